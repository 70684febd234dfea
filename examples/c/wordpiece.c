#include "wordpiece.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"

enum { MAX_WORD = 100, MAX_CHANGE = 3 };

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
    char word[MAX_WORD * UTF8_MOST_BYTES];
    size_t starts[MAX_WORD + 1]; /* where each letter of the word starts, and where the last one ends */
    size_t letters;
} Encoder;

static int by_text(const void *left, const void *right) {
    return strcmp(((const Piece *)left)->text, ((const Piece *)right)->text);
}

static int64_t find(const Vocabulary *vocabulary, const char *prefix, const char *text, size_t bytes) {
    char key[MAX_WORD * UTF8_MOST_BYTES + sizeof "##"];
    size_t before = strlen(prefix);
    memcpy(key, prefix, before);
    memcpy(key + before, text, bytes);
    key[before + bytes] = '\0';
    const Piece wanted = {key, 0};
    const Piece *found = bsearch(&wanted, vocabulary->pieces, vocabulary->count, sizeof(Piece), by_text);
    return found ? found->id : -1;
}

const char *wordpiece_prepare(Vocabulary *vocabulary) {
    if (!vocabulary->count) return "the vocabulary is empty";
    qsort(vocabulary->pieces, vocabulary->count, sizeof(Piece), by_text);
    for (size_t i = 1; i < vocabulary->count; i++) {
        if (!by_text(&vocabulary->pieces[i - 1], &vocabulary->pieces[i])) return "a piece stands twice";
    }
    vocabulary->cls = find(vocabulary, "", "[CLS]", strlen("[CLS]"));
    vocabulary->sep = find(vocabulary, "", "[SEP]", strlen("[SEP]"));
    vocabulary->unk = find(vocabulary, "", "[UNK]", strlen("[UNK]"));
    if (vocabulary->cls < 0) return "the vocabulary has no [CLS]";
    if (vocabulary->sep < 0) return "the vocabulary has no [SEP]";
    if (vocabulary->unk < 0) return "the vocabulary has no [UNK]";
    if (find(vocabulary, "", "[PAD]", strlen("[PAD]")) < 0) return "the vocabulary has no [PAD]";
    return NULL;
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
        add_id(encoder, encoder->vocabulary->unk);
    } else {
        for (size_t i = 0; i < count; i++) add_id(encoder, found[i]);
    }
    encoder->letters = 0;
}

static void add_letter(Encoder *encoder, uint32_t code) {
    if (encoder->letters >= MAX_WORD) { /* too long for a word: it will be unknown */
        encoder->letters = MAX_WORD + 1;
        return;
    }
    if (encoder->letters == 0) encoder->starts[0] = 0;
    const size_t start = encoder->starts[encoder->letters++];
    encoder->starts[encoder->letters] = start + utf8_write(code, encoder->word + start);
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

size_t wordpiece_encode(const Vocabulary *vocabulary, const char *text, size_t bytes, int64_t *ids, size_t room) {
    if (room < 2) return 0;
    Encoder encoder = {.vocabulary = vocabulary, .ids = ids, .room = room - 1}; /* one is kept for [SEP] */
    add_id(&encoder, vocabulary->cls);
    for (size_t at = 0; at < bytes && encoder.count < encoder.room;) {
        add_character(&encoder, utf8_read(text, bytes, &at));
    }
    end_word(&encoder);
    encoder.room = room;
    add_id(&encoder, vocabulary->sep);
    return encoder.count;
}

void wordpiece_free(Vocabulary *vocabulary) {
    for (size_t i = 0; i < vocabulary->count; i++) free(vocabulary->pieces[i].text);
    free(vocabulary->pieces);
    *vocabulary = (Vocabulary){0};
}
