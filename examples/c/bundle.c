#define _POSIX_C_SOURCE 200809L
#include "bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not a JSON library: the files are ours, so it is enough to find a key and read the value behind it. */

static void fail(const char *where, const char *what) {
    fprintf(stderr, "%s: %s\n", where, what);
    exit(1);
}

static void *make(size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory) fail("malloc", "out of memory");
    return memory;
}

static char *join(const char *folder, const char *name) {
    char *path = make(strlen(folder) + strlen(name) + 2);
    sprintf(path, "%s/%s", folder, name);
    return path;
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path, "can't be opened");
    fseek(file, 0, SEEK_END);
    const long bytes = ftell(file);
    rewind(file);
    char *content = make((size_t)bytes + 1);
    if (fread(content, 1, (size_t)bytes, file) != (size_t)bytes) fail(path, "can't be read");
    content[bytes] = '\0';
    fclose(file);
    return content;
}

static const char *skip(const char *json, const char *characters) { return json + strspn(json, characters); }

/* Return where the value of the first such key starts, or NULL. */
static const char *value_of(const char *json, const char *key) {
    const size_t bytes = strlen(key);
    while ((json = strstr(json, key))) {
        const char *after = skip(json + bytes, " ");
        if (*after == ':') return skip(after + 1, " \n");
        json += bytes;
    }
    return NULL;
}

static size_t write_escape(const char **json, char *into) {
    static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
    const char *name = strchr(NAMES, **json);
    (*json)++;
    if (name) {
        *into = MEANT[name - NAMES];
        return 1;
    }
    /* \u00XX: a control character is all that our writers escape so. */
    unsigned code = 0;
    sscanf(*json, "%4x", &code);
    *json += 4;
    *into = (char)code;
    return 1;
}

/* Return the string at *json, which starts with its quote, and step over it. */
static char *read_string(const char **json) {
    const char *end = ++*json;
    while (*end && *end != '"') end += *end == '\\' ? 2 : 1;
    char *text = make((size_t)(end - *json) + 1), *at = text;
    while (*json < end) {
        if (**json == '\\') {
            ++*json;
            at += write_escape(json, at);
        } else {
            *at++ = *(*json)++;
        }
    }
    *at = '\0';
    ++*json;
    return text;
}

/* {"piece": 0, ...} */
static Vocabulary read_vocabulary(const char *json) {
    size_t room = 1 << 15;
    Vocabulary vocabulary = {make(room * sizeof(Piece)), 0};
    for (json = skip(json, "{ \n"); *json == '"'; json = skip(json, ", \n")) {
        if (vocabulary.count == room) {
            room *= 2;
            vocabulary.pieces = realloc(vocabulary.pieces, room * sizeof(Piece));
            if (!vocabulary.pieces) fail("realloc", "out of memory");
        }
        Piece *piece = &vocabulary.pieces[vocabulary.count++];
        piece->text = read_string(&json);
        char *end;
        piece->id = strtoll(skip(json, ": "), &end, 10);
        json = end;
    }
    wordpiece_sort(&vocabulary);
    return vocabulary;
}

/* ["label", ...] */
static void read_labels(const char *json, Bundle *bundle) {
    bundle->labels = make(strlen(json) / 2 * sizeof(char *)); /* at least two characters each */
    bundle->label_count = 0;
    for (json = skip(json, "[ \n"); *json == '"'; json = skip(json, ", \n")) {
        bundle->labels[bundle->label_count++] = read_string(&json);
    }
}

static const char *need(const char *path, const char *json, const char *key) {
    const char *value = value_of(json, key);
    if (!value) fail(path, key);
    return value;
}

Bundle read_bundle(const char *folder) {
    Bundle bundle = {0};
    char *path = join(folder, "mkd.json");
    char *json = read_file(path);
    read_labels(need(path, json, "\"labels\""), &bundle);
    bundle.max_length = strtoul(need(path, json, "\"max_length\""), NULL, 10);
    bundle.threshold = strtod(need(path, json, "\"threshold\""), NULL); /* null reads as 0 */
    const char *value = need(path, json, "\"abstain_label\"");
    bundle.abstain_label = *value == '"' ? read_string(&value) : strdup("out_of_scope");
    value = need(path, json, "\"model_file\"");
    char *name = read_string(&value);
    bundle.model_path = join(folder, name);
    if (strncmp(need(path, json, "\"task\""), "\"single_label\"", 14)) fail(path, "not a single-label bundle");
    free(name);
    free(json);
    free(path);

    path = join(folder, "tokenizer.json");
    json = read_file(path);
    if (!strstr(json, "\"WordPiece\"") || strncmp(need(path, json, "\"lowercase\""), "true", 4)) {
        fail(path, "not an uncased WordPiece");
    }
    bundle.vocabulary = read_vocabulary(need(path, json, "\"vocab\""));
    free(json);
    free(path);
    return bundle;
}
