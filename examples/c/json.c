#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

enum { MOST_DIGITS = 40 };

Reader json_reader(const char *content, size_t bytes) {
    return (Reader){.start = content, .at = content, .end = content + bytes};
}

void json_fail(Reader *reader, const char *format, ...) {
    if (*reader->problem) return;
    va_list values;
    va_start(values, format);
    char what[JSON_PROBLEM_BYTES - 32];
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    snprintf(reader->problem, sizeof reader->problem, "%s (byte %zu)", what, (size_t)(reader->at - reader->start));
    reader->at = reader->end;
}

static size_t left(const Reader *reader) { return (size_t)(reader->end - reader->at); }

/* Return the next byte, or '\0' at the end: no JSON outside a string has one. */
static char peek(const Reader *reader) { return left(reader) ? *reader->at : '\0'; }

static void skip_space(Reader *reader) {
    while (left(reader) && strchr(" \t\r\n", *reader->at) && *reader->at) reader->at++;
}

static bool take(Reader *reader, char character) {
    skip_space(reader);
    if (!left(reader) || *reader->at != character) return false;
    reader->at++;
    return true;
}

static void need(Reader *reader, char character) {
    if (!take(reader, character)) json_fail(reader, "a %c is missing", character);
}

bool json_enter(Reader *reader, char bracket) {
    need(reader, bracket);
    return !*reader->problem && !take(reader, bracket == '{' ? '}' : ']');
}

bool json_next(Reader *reader, char bracket) {
    if (*reader->problem || take(reader, bracket)) return false;
    need(reader, ',');
    return !*reader->problem;
}

static uint32_t read_hex(Reader *reader) {
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        static const char DIGITS[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = peek(reader) ? strchr(DIGITS, peek(reader)) : NULL;
        if (!digit) {
            json_fail(reader, "\\u needs four hexadecimal digits");
            return 0;
        }
        code = code << 4 | (uint32_t)((digit - DIGITS) % 16);
        reader->at++;
    }
    return code;
}

/* What stands behind \u: one UTF-16 unit, or two of them for a character beyond U+FFFF. */
static uint32_t read_unicode_escape(Reader *reader) {
    const uint32_t high = read_hex(reader);
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high < 0xDC00 && left(reader) >= 2 && reader->at[0] == '\\' && reader->at[1] == 'u') {
        reader->at += 2;
        const uint32_t low = read_hex(reader);
        if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00));
    }
    json_fail(reader, "half of a surrogate pair");
    return 0;
}

static uint32_t read_escape(Reader *reader) {
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    if (peek(reader) == 'u') {
        reader->at++;
        return read_unicode_escape(reader);
    }
    const char *name = peek(reader) ? strchr(NAMES, peek(reader)) : NULL;
    if (!name) {
        json_fail(reader, "an unknown escape");
        return 0;
    }
    reader->at++;
    return (uint32_t)(unsigned char)MEANT[name - NAMES];
}

/* Return the next character of a string. */
static uint32_t read_character(Reader *reader) {
    if (*reader->at == '\\') {
        reader->at++;
        const uint32_t code = read_escape(reader);
        if (!code) json_fail(reader, "a string holds NUL");
        return code;
    }
    const char *start = reader->at;
    size_t length = 0;
    const uint32_t code = utf8_read(start, left(reader), &length);
    if (code < 0x20) json_fail(reader, "a control character in a string");
    if (code == UTF8_INVALID && length == 1) json_fail(reader, "a string is not UTF-8");
    if (!*reader->problem) reader->at += length;
    return code;
}

/* Read a string into memory for it, or over it where `into` is NULL; return its length. */
static size_t read_characters(Reader *reader, char *into) {
    size_t length = 0;
    while (left(reader) && *reader->at != '"') {
        const uint32_t code = read_character(reader);
        if (*reader->problem) break;
        char spare[UTF8_MOST_BYTES];
        length += utf8_write(code, into ? into + length : spare);
    }
    need(reader, '"');
    return length;
}

char *json_string(Reader *reader) {
    need(reader, '"');
    Reader ahead = *reader;
    const size_t length = read_characters(&ahead, NULL);
    if (*ahead.problem) {
        *reader = ahead;
        return NULL;
    }
    char *text = malloc(length + 1);
    if (!text) {
        json_fail(reader, "out of memory");
        return NULL;
    }
    read_characters(reader, text);
    text[length] = '\0';
    return text;
}

char *json_key(Reader *reader) {
    char *key = json_string(reader);
    need(reader, ':');
    if (!*reader->problem) return key;
    free(key);
    return NULL;
}

/* Copy a number's characters, so that the C library can't read past them; return whether it is as JSON has it. */
static bool read_digits(Reader *reader, char digits[MOST_DIGITS + 1], bool whole) {
    skip_space(reader);
    size_t count = 0;
    while (count < MOST_DIGITS && peek(reader) && strchr(whole ? "-0123456789" : "-+.eE0123456789", peek(reader))) {
        digits[count++] = *reader->at++;
    }
    digits[count] = '\0';
    const char *first = digits + (*digits == '-');
    const bool padded = first[0] == '0' && first[1] >= '0' && first[1] <= '9';
    /* What goes on as a number is longer than any that is meant, or a fraction where none may be. */
    const bool more = peek(reader) && strchr("-+.eE0123456789", peek(reader));
    return *first >= '0' && *first <= '9' && !padded && !more;
}

int64_t json_integer(Reader *reader, int64_t least, int64_t most, const char *what) {
    char digits[MOST_DIGITS + 1];
    bool fits = read_digits(reader, digits, true);
    const bool negative = *digits == '-';
    int64_t value = 0;
    for (const char *digit = digits + negative; fits && *digit; digit++) {
        const int number = *digit - '0';
        fits = number >= 0 && value <= (INT64_MAX - number) / 10;
        if (fits) value = value * 10 + number;
    }
    value = negative ? -value : value;
    if (!*reader->problem && fits && value >= least && value <= most) return value;
    json_fail(reader, "%s must be a whole number from %lld to %lld", what, (long long)least, (long long)most);
    return 0;
}

double json_share(Reader *reader, const char *what) {
    char digits[MOST_DIGITS + 1], *end = digits;
    const bool number = read_digits(reader, digits, false);
    const double value = number ? strtod(digits, &end) : 0;
    if (!*reader->problem && number && !*end && value >= 0 && value <= 1) return value;
    json_fail(reader, "%s must be a number from 0 to 1", what);
    return 0;
}

bool json_literal(Reader *reader, const char *literal) {
    skip_space(reader);
    const size_t length = strlen(literal);
    if (left(reader) < length || memcmp(reader->at, literal, length)) return false;
    Reader behind = *reader;
    behind.at += length;
    if (peek(&behind) && !strchr(" \t\r\n,]}", peek(&behind))) return false; /* 1 is not 1.5 */
    *reader = behind;
    return true;
}

static void skip_scalar(Reader *reader) {
    if (peek(reader) == '"') {
        reader->at++;
        read_characters(reader, NULL);
    } else if (!json_literal(reader, "null") && !json_literal(reader, "true") && !json_literal(reader, "false")) {
        const char *start = reader->at;
        while (peek(reader) && strchr("-+.eE0123456789", peek(reader))) reader->at++;
        if (reader->at == start) json_fail(reader, "a value is missing");
    }
}

static void skip_value(Reader *reader, int nested) {
    skip_space(reader);
    const char bracket = peek(reader);
    if (bracket != '{' && bracket != '[') {
        skip_scalar(reader);
        return;
    }
    if (nested == JSON_MOST_NESTED) json_fail(reader, "nested deeper than %d", JSON_MOST_NESTED);
    const char closing = bracket == '{' ? '}' : ']';
    for (bool more = json_enter(reader, bracket); more; more = json_next(reader, closing)) {
        if (bracket == '{') {
            need(reader, '"');
            read_characters(reader, NULL);
            need(reader, ':');
        }
        skip_value(reader, nested + 1);
    }
}

void json_skip(Reader *reader) { skip_value(reader, 0); }

void json_finish(Reader *reader) {
    skip_space(reader);
    if (left(reader)) json_fail(reader, "more follows");
}
