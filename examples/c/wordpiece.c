#include "wordpiece.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 100, MAX_UTF8 = 4, MAX_CHANGE = 3, INVALID = 0xFFFD };

typedef enum { SPACE, NOTHING, WORD, LETTER } Kind;

typedef struct {
    uint32_t first, last;
    Kind kind;
} Range;

typedef struct {
    uint32_t from, to[MAX_CHANGE]; /* what is not needed is 0 */
} Change;

#include "unicode_tables.h"

typedef struct {
    const Vocabulary *vocabulary;
    int64_t *ids;
    size_t count, room;
    char word[MAX_WORD * MAX_UTF8];
    size_t starts[MAX_WORD + 1]; /* where each letter of the word starts, and where the last one ends */
    size_t letters;
} Encoder;

static int by_text(const void *left, const void *right) {
    return strcmp(((const Piece *)left)->text, ((const Piece *)right)->text);
}

void wordpiece_sort(Vocabulary *vocabulary) {
    qsort(vocabulary->pieces, vocabulary->count, sizeof(Piece), by_text);
}

static int64_t find(const Vocabulary *vocabulary, const char *prefix, const char *text, size_t bytes) {
    char key[MAX_WORD * MAX_UTF8 + sizeof "##"];
    size_t before = strlen(prefix);
    memcpy(key, prefix, before);
    memcpy(key + before, text, bytes);
    key[before + bytes] = '\0';
    const Piece wanted = {key, 0};
    const Piece *found = bsearch(&wanted, vocabulary->pieces, vocabulary->count, sizeof(Piece), by_text);
    return found ? found->id : -1;
}

static void add_id(Encoder *encoder, int64_t id) {
    if (encoder->count < encoder->room) encoder->ids[encoder->count++] = id;
}

/* Cut the word into the longest pieces from its beginning on; one that can't be cut is unknown as a whole. */
static void end_word(Encoder *encoder) {
    int64_t found[MAX_WORD];
    size_t count = 0, start = 0;
    while (start < encoder->letters && encoder->letters <= MAX_WORD) {
        int64_t id = -1;
        size_t end = encoder->letters;
        for (; end > start; end--) {
            const size_t from = encoder->starts[start];
            id = find(encoder->vocabulary, start ? "##" : "", encoder->word + from, encoder->starts[end] - from);
            if (id >= 0) break;
        }
        if (id < 0) break;
        found[count++] = id;
        start = end;
    }
    if (start < encoder->letters) {
        add_id(encoder, find(encoder->vocabulary, "", "[UNK]", strlen("[UNK]")));
    } else {
        for (size_t i = 0; i < count; i++) add_id(encoder, found[i]);
    }
    encoder->letters = 0;
}

static size_t write_utf8(uint32_t code, char *into) {
    if (code < 0x80) {
        into[0] = (char)code;
        return 1;
    }
    const size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, code >>= 6) into[i] = (char)(0x80 | (code & 0x3F));
    into[0] = (char)(0xF00 >> (more + 1) | code); /* as many ones as there are bytes */
    return more + 1;
}

static void add_letter(Encoder *encoder, uint32_t code) {
    if (encoder->letters >= MAX_WORD) { /* too long for a word: it will be unknown */
        encoder->letters = MAX_WORD + 1;
        return;
    }
    if (encoder->letters == 0) encoder->starts[0] = 0;
    const size_t start = encoder->starts[encoder->letters++];
    encoder->starts[encoder->letters] = start + write_utf8(code, encoder->word + start);
}

static int in_range(const void *code, const void *range) {
    const uint32_t wanted = *(const uint32_t *)code;
    const Range *here = range;
    return wanted < here->first ? -1 : wanted > here->last;
}

static Kind kind_of(uint32_t code) {
    const Range *found = bsearch(&code, RANGES, sizeof RANGES / sizeof *RANGES, sizeof *RANGES, in_range);
    return found ? found->kind : LETTER;
}

static int by_code(const void *code, const void *change) {
    const uint32_t wanted = *(const uint32_t *)code, here = ((const Change *)change)->from;
    return wanted < here ? -1 : wanted > here;
}

/* Write what the character becomes in lower case and without accents; return how many characters that is. */
static size_t normalize(uint32_t code, uint32_t *into) {
    if (code >= 0xAC00 && code <= 0xD7A3) { /* Hangul: lead, vowel, and perhaps tail */
        const uint32_t syllable = code - 0xAC00;
        into[0] = 0x1100 + syllable / 588;
        into[1] = 0x1161 + syllable % 588 / 28;
        into[2] = 0x11A7 + syllable % 28;
        return syllable % 28 ? 3 : 2;
    }
    const Change *found = bsearch(&code, CHANGES, sizeof CHANGES / sizeof *CHANGES, sizeof *CHANGES, by_code);
    if (!found) {
        into[0] = code;
        return 1;
    }
    memcpy(into, found->to, sizeof found->to);
    return into[1] == 0 ? 1 : into[2] == 0 ? 2 : 3;
}

static void add_character(Encoder *encoder, uint32_t code) {
    uint32_t letters[MAX_CHANGE];
    const Kind kind = kind_of(code);
    if (kind == NOTHING) return;
    if (kind == SPACE) {
        end_word(encoder);
        return;
    }
    const size_t count = normalize(code, letters);
    for (size_t i = 0; i < count; i++) {
        /* The character itself may be a word of its own, or only what it becomes. */
        const int alone = kind == WORD || kind_of(letters[i]) == WORD;
        if (alone) end_word(encoder);
        add_letter(encoder, letters[i]);
        if (alone) end_word(encoder);
    }
}

static uint32_t read_utf8(const unsigned char *text, size_t bytes, size_t *at) {
    const unsigned char first = text[(*at)++];
    if (first < 0x80) return first;
    const size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || bytes - *at < more) return INVALID;
    uint32_t code = first & (0x3Fu >> more);
    for (size_t i = 0; i < more; i++) {
        const unsigned char next = text[*at + i];
        if ((next & 0xC0) != 0x80) return INVALID;
        code = code << 6 | (next & 0x3F);
    }
    static const uint32_t LEAST[] = {0, 0x80, 0x800, 0x10000};
    if (code < LEAST[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return INVALID;
    *at += more;
    return code;
}

size_t wordpiece_encode(const Vocabulary *vocabulary, const char *text, size_t bytes, int64_t *ids, size_t room) {
    Encoder encoder = {.vocabulary = vocabulary, .ids = ids, .room = room - 1}; /* one is kept for [SEP] */
    add_id(&encoder, find(vocabulary, "", "[CLS]", strlen("[CLS]")));
    for (size_t at = 0; at < bytes && encoder.count < encoder.room;) {
        add_character(&encoder, read_utf8((const unsigned char *)text, bytes, &at));
    }
    end_word(&encoder);
    encoder.room = room;
    add_id(&encoder, find(vocabulary, "", "[SEP]", strlen("[SEP]")));
    return encoder.count;
}
