/* UTF-8: one character at a time. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_INVALID = 0xFFFD, UTF8_MOST_BYTES = 4 };

/* Return the character of text[*at], where *at < bytes, and step over it. A byte that belongs to no character
   counts as UTF8_INVALID, by itself. */
uint32_t utf8_read(const char *text, size_t bytes, size_t *at);

/* Write a character that isn't a surrogate, and return how many bytes it takes, at most UTF8_MOST_BYTES. */
size_t utf8_write(uint32_t code, char *into);

#endif
