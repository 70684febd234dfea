/* Changing JSON by chance, mostly so that it stays JSON. For the fuzzer. */
#ifndef MUTATE_H
#define MUTATE_H

#include <stddef.h>
#include <stdint.h>

enum { TEXT_MOST_BYTES = 1 << 17 };

typedef struct {
    char bytes[TEXT_MOST_BYTES];
    size_t count;
} Text;

/* Begin the sequence that a number stands for. */
void chance_begin(uint64_t number);

/* Return the sequence's next number, from 0 to below - 1. */
uint64_t chance(uint64_t below);

/* Change one thing: a value, a key, an escape, an item more or less, the nesting, a byte. */
void mutate(Text *text);

#endif
