#include "utf8.h"

uint32_t utf8_read(const char *text, size_t bytes, size_t *at) {
    static const uint32_t LEAST[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)text[(*at)++];
    if (first < 0x80) return first;
    const size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || bytes - *at < more) return UTF8_INVALID;
    uint32_t code = first & (0x3Fu >> more);
    for (size_t i = 0; i < more; i++) {
        const unsigned char next = (unsigned char)text[*at + i];
        if ((next & 0xC0) != 0x80) return UTF8_INVALID;
        code = code << 6 | (next & 0x3F);
    }
    if (code < LEAST[more] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return UTF8_INVALID;
    *at += more;
    return code;
}

size_t utf8_write(uint32_t code, char *into) {
    if (code < 0x80) {
        into[0] = (char)code;
        return 1;
    }
    const size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, code >>= 6) into[i] = (char)(0x80 | (code & 0x3F));
    into[0] = (char)(0xF00 >> (more + 1) | code); /* as many ones as there are bytes */
    return more + 1;
}
