#include "mutate.h"

#include <stdbool.h>
#include <string.h>

#include "json.h"

enum { MOST_SPANS = 1 << 13, MOST_DEPTH = 256 };

static uint64_t state;

void chance_begin(uint64_t number) {
    state = number * 0x9E3779B97F4A7C15 | 1;
    chance(1);
}

uint64_t chance(uint64_t below) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 0x2545F4914F6CDD1D >> 33) % below;
}

typedef struct {
    size_t start, end;
} Span; /* a string, a number or literal, an object or an array */

static Span spans[MOST_SPANS];
static size_t span_count;

static void add_span(size_t start, size_t end) {
    if (span_count < MOST_SPANS) spans[span_count++] = (Span){start, end};
}

/* Find the values and keys of a text that may be damaged already. */
static void find_spans(const Text *text) {
    size_t open[MOST_DEPTH], depth = 0;
    span_count = 0;
    for (size_t at = 0; at < text->count;) {
        const size_t start = at;
        const char first = text->bytes[at++];
        if (first == '"') {
            while (at < text->count && text->bytes[at] != '"') at += text->bytes[at] == '\\' ? 2 : 1;
            at = at < text->count ? at + 1 : text->count;
            add_span(start, at);
        } else if (first == '{' || first == '[') {
            if (depth < MOST_DEPTH) open[depth++] = start;
        } else if (first == '}' || first == ']') {
            if (depth) add_span(open[--depth], at);
        } else if (!strchr(" \t\r\n,:", first)) {
            while (at < text->count && !strchr(" \t\r\n,:]}\"", text->bytes[at])) at++;
            add_span(start, at);
        }
    }
}

/* Put other bytes in the place of a span; nothing is done where they don't fit. */
static void replace(Text *text, Span span, const char *bytes, size_t count) {
    const size_t after = text->count - span.end;
    if (span.start + count + after > TEXT_MOST_BYTES) return;
    memmove(text->bytes + span.start + count, text->bytes + span.end, after);
    memcpy(text->bytes + span.start, bytes, count);
    text->count = span.start + count + after;
}

static const char *const VALUES[] = {
    "0", "-1", "-0", "1", "2", "3", "4", "5", "131072", "131073", "2147483647", "2147483648", "4294967296",
    "6148914691236517206", "9223372036854775807", "9223372036854775808", "18446744073709551616",
    "-9223372036854775808", "1e999", "-1e999", "1e-999", "0.5", "1.0", "1.5", "32.0",
    "0.12345678901234567890123456", "0.123456789012345678901234567890123456789012345", "null", "true", "false",
    "[]", "{}", "[[]]", "[\"\"]", "[\"a\", \"b\"]", "{\"\":\"\"}", "{\"a\":0}", "\"\"", "\"single_label\"",
    "\"WordPiece\"", "\"[CLS]\"", "\"onnx/model.onnx\"", "\"../x\"", "\"/etc/passwd\"", "\"a/../b\"", "\"a/..\"",
    "\"a/..b\"", "\"C:x\"", "\"\\\\x\"",
};
static const char *const BROKEN_VALUES[] = {
    "", "-", "00", "01", "+1", ".5", "1.", "1e", "NaN", "Infinity", "nul", "truely", "[\"a\",]", "[,]", "{,}",
    "{\"a\"}", "{\"a\":}", "[\"a\" \"b\"]", "\"", "{", "[", "}", "]", ",", ":",
};
static const char *const ESCAPES[] = { /* inside a string */
    "\\u00e9", "\\u00E9", "\\u0007", "\\ud83d\\ude00", "\\uffff", "\\u2028", "\\n", "\\\\", "\\\"", "\\/", "\x7f",
    "é", "\xf0\x9f\x98\x80", "\xef\xbf\xbd", "##", "[UNK]", "..", "/",
};
static const char *const BROKEN_ESCAPES[] = {
    "\\u0000", "\\u12", "\\u12g4", "\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\ud83d\\", "\\ud83d\\ud83d", "\\x",
    "\\", "\"", "\n", "\x1b[2J", "\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80",
};
static const char *const KEYS[] = {
    "\"format_version\"", "\"task\"", "\"labels\"", "\"max_length\"", "\"threshold\"", "\"abstain_label\"",
    "\"model_file\"", "\"normalizer\"", "\"pre_tokenizer\"", "\"model\"", "\"type\"", "\"lowercase\"",
    "\"strip_accents\"", "\"unk_token\"", "\"continuing_subword_prefix\"", "\"max_input_chars_per_word\"",
    "\"vocab\"", "\"[PAD]\"", "\"[UNK]\"", "\"[CLS]\"", "\"[SEP]\"", "\"##a\"",
};
#define PICK(array) (array)[chance(sizeof(array) / sizeof *(array))]

static bool is(const Text *text, Span span, const char *word) {
    return span.end - span.start == strlen(word) && !memcmp(text->bytes + span.start, word, strlen(word));
}

/* Return a key with its value, or the span itself where it is no key. */
static Span with_value(const Text *text, Span key) {
    size_t at = key.end;
    while (at < text->count && strchr(" \t\r\n", text->bytes[at])) at++;
    if (at == text->count || text->bytes[at] != ':') return key;
    Span value = {text->count, text->count}; /* the longest that starts first behind the key */
    for (size_t i = 0; i < span_count; i++) {
        const bool first = spans[i].start > at && spans[i].start <= value.start;
        if (first && (spans[i].start < value.start || spans[i].end > value.end)) value = spans[i];
    }
    return (Span){key.start, value.end};
}

/* Return a string, often one of the keys that the reader looks for, or another span. */
static Span pick_span(const Text *text) {
    if (!span_count) return (Span){0, text->count};
    const char *key = PICK(KEYS);
    for (size_t i = 0; chance(2) && i < span_count; i++) {
        if (is(text, spans[i], key)) return spans[i];
    }
    return spans[chance(span_count)];
}

/* Return the value of a key, or another value. */
static Span pick_value(const Text *text) {
    const Span key = pick_span(text), member = with_value(text, key);
    for (size_t i = 0; i < span_count && member.end != key.end; i++) {
        if (spans[i].end == member.end && spans[i].start >= key.end) return spans[i];
    }
    return key;
}

/* Return a member or an item, and a comma beside it. */
static Span pick_member(const Text *text) {
    Span member = with_value(text, pick_span(text));
    size_t after = member.end;
    while (after < text->count && strchr(" \t\r\n", text->bytes[after])) after++;
    if (after < text->count && text->bytes[after] == ',') return (Span){member.start, after + 1};
    while (member.start && strchr(" \t\r\n", text->bytes[member.start - 1])) member.start--;
    if (member.start && text->bytes[member.start - 1] == ',') member.start--;
    return member;
}

static void nest(Text *text, Span span) {
    static const size_t DEPTHS[] = {1, 2, JSON_MOST_NESTED - 1, JSON_MOST_NESTED, JSON_MOST_NESTED + 1, 60000};
    static char brackets[60000];
    const size_t depth = PICK(DEPTHS);
    const bool object = chance(4) == 0;
    if (chance(8)) {
        memset(brackets, object ? '}' : ']', depth);
        replace(text, (Span){span.end, span.end}, brackets, depth);
    }
    memset(brackets, object ? '{' : '[', depth);
    replace(text, (Span){span.start, span.start}, brackets, depth);
}

static void mutate_bytes(Text *text) {
    const size_t at = chance(text->count + 1), most = text->count - at;
    char byte = (char)chance(256);
    if (chance(2)) byte = "\"\\{}[],:-0\n"[chance(11)];
    switch (chance(4)) {
    case 0: replace(text, (Span){at, at + (most > 0)}, &byte, 1); break;
    case 1: replace(text, (Span){at, at}, &byte, 1); break;
    case 2: replace(text, (Span){at, at + chance(most + 1)}, "", 0); break;
    default: text->count = at;
    }
}

static void put(Text *text, Span span, const char *word) { replace(text, span, word, strlen(word)); }

/* Put an escape into a string, and now and then nothing behind it. */
static void put_escape(Text *text, size_t at, bool broken) {
    const char *escape = broken ? PICK(BROKEN_ESCAPES) : PICK(ESCAPES);
    put(text, (Span){at, at}, escape);
    const size_t end = at + strlen(escape);
    if (broken && chance(4) == 0 && end <= text->count) text->count = end;
}

void mutate(Text *text) {
    static char copy[TEXT_MOST_BYTES];
    find_spans(text);
    const bool broken = chance(8) == 0;
    const Span value = pick_value(text), other = pick_value(text);
    const Span string = pick_span(text), member = pick_member(text);
    const size_t inside = string.start + (string.end - string.start > 1);
    memcpy(copy, text->bytes, text->count);
    switch (chance(8)) {
    case 0: put(text, value, broken ? PICK(BROKEN_VALUES) : PICK(VALUES)); break;
    case 1: put_escape(text, inside, broken); break;
    case 2: replace(text, value, copy + other.start, other.end - other.start); break;
    case 3: replace(text, member, "", 0); break;
    case 4: /* a second time */
        replace(text, (Span){member.start, member.start}, copy + member.start, member.end - member.start);
        break;
    case 5: put(text, string, PICK(KEYS)); break;
    case 6: nest(text, value); break;
    default:
        if (broken) mutate_bytes(text);
    }
}
