/* Reading JSON that may hold anything: no step leads past its end, and after the first problem nothing is read. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_MOST_NESTED = 64, JSON_PROBLEM_BYTES = 160 };

typedef struct {
    const char *start, *at, *end;
    char problem[JSON_PROBLEM_BYTES]; /* what is wrong and at which byte; empty while nothing is */
} Reader;

Reader json_reader(const char *content, size_t bytes);

/* Keep the first problem, and be at the end from then on. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void json_fail(Reader *reader, const char *format, ...);

/* for (bool more = json_enter(reader, '{'); more; more = json_next(reader, '}')) ... reads an object's members,
   and with [ ] an array's items. Each turn has to read one. */
bool json_enter(Reader *reader, char bracket);
bool json_next(Reader *reader, char bracket);

/* Return a string, or a member's key; NULL after a problem. The caller frees it. It is UTF-8 without NUL. */
char *json_string(Reader *reader);
char *json_key(Reader *reader);

/* Return a whole number within bounds; 0 after a problem. `what` names it. */
int64_t json_integer(Reader *reader, int64_t least, int64_t most, const char *what);

/* Return a number from 0 to 1; 0 after a problem. */
double json_share(Reader *reader, const char *what);

/* Step over such a literal, such as null, where it is the next value; return whether it was. */
bool json_literal(Reader *reader, const char *literal);

/* Step over a value, whatever it is. */
void json_skip(Reader *reader);

/* Nothing may follow. */
void json_finish(Reader *reader);

#endif
