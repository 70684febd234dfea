#include "print.h"

#include <stdbool.h>
#include <string.h>

#include "utf8.h"

static bool is_unsafe(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0)         /* controls: line breaks, ESC, C1 */
           || code == 0x61C || code == 0x200E || code == 0x200F /* marks of direction */
           || (code >= 0x2028 && code <= 0x202E)                /* separators, embeddings, overrides */
           || (code >= 0x2066 && code <= 0x2069);               /* isolates */
}

void print_visible(FILE *file, const char *text) {
    const size_t bytes = strlen(text);
    for (size_t at = 0; at < bytes;) {
        const size_t start = at;
        const uint32_t code = utf8_read(text, bytes, &at);
        if (code == UTF8_INVALID && at == start + 1) {
            fprintf(file, "\\x%02x", (unsigned char)text[start]);
        } else if (code == '\n' || code == '\r' || code == '\t') {
            fprintf(file, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
        } else if (is_unsafe(code)) {
            fprintf(file, code < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)code);
        } else {
            fwrite(text + start, 1, at - start, file);
        }
    }
}
