/* Texts that come from elsewhere, printed so that a terminal shows them and does nothing else. */
#ifndef PRINT_H
#define PRINT_H

#include <stdio.h>

/* Print a text; control characters, line breaks, marks of direction and bytes that aren't UTF-8 are escaped. */
void print_visible(FILE *file, const char *text);

#endif
