/* BERT's uncased WordPiece: text to token ids. */
#ifndef WORDPIECE_H
#define WORDPIECE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *text; /* UTF-8; inside a word it starts with "##" */
    int64_t id;
} Piece;

typedef struct {
    Piece *pieces; /* sorted by text */
    size_t count;
    int64_t cls, sep, unk; /* the ids of [CLS], [SEP] and [UNK] */
} Vocabulary;

/* Sort the pieces and look for the special ones. Return NULL, or what is wrong with them. */
const char *wordpiece_prepare(Vocabulary *vocabulary);

/* Write [CLS], the tokens of the text and [SEP] into ids, at most room of them; return how many, 0 where there is
   no room for those two. The text is UTF-8; a byte that isn't is left out, as U+FFFD is. */
size_t wordpiece_encode(const Vocabulary *vocabulary, const char *text, size_t bytes, int64_t *ids, size_t room);

void wordpiece_free(Vocabulary *vocabulary);

#endif
