#define _POSIX_C_SOURCE 200809L
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"

enum { MOST_FIELDS = 8, MOST_MANIFEST_BYTES = 1 << 24, MOST_TOKENIZER_BYTES = 1 << 26 };

static const char MANIFEST[] = "mkd.json", TOKENIZER[] = "tokenizer.json";

/* A member that an object must have: read by a function, or one of two literals. */
typedef struct {
    const char *key;
    void (*read)(Reader *reader, Bundle *bundle);
    const char *is, *or_is;
} Field;

/* Read each field once, and step over what else an object has. */
static void read_fields(Reader *reader, Bundle *bundle, const Field *fields) {
    bool seen[MOST_FIELDS] = {false};
    for (bool more = json_enter(reader, '{'); more; more = json_next(reader, '}')) {
        char *key = json_key(reader);
        size_t i = 0;
        while (key && fields[i].key && strcmp(fields[i].key, key)) i++;
        free(key);
        const Field *field = &fields[i];
        if (!key || !field->key) {
            json_skip(reader);
            continue;
        }
        if (seen[i]) {
            json_fail(reader, "%s stands twice", field->key);
            return;
        }
        seen[i] = true;
        if (field->read) {
            field->read(reader, bundle);
        } else if (!json_literal(reader, field->is) && !(field->or_is && json_literal(reader, field->or_is))) {
            json_fail(reader, "%s must be %s: other bundles are not read here", field->key, field->is);
        }
    }
    for (size_t i = 0; fields[i].key; i++) {
        if (!seen[i]) json_fail(reader, "%s is missing", fields[i].key);
    }
}

/* Return an array with room for one item more, NULL where there is no memory; it doubles at each power of two. */
static void *with_room(Reader *reader, void *items, size_t count, size_t bytes) {
    if (count & (count - 1)) return items;
    void *larger = realloc(items, (count ? 2 * count : 1) * bytes);
    if (!larger) json_fail(reader, "out of memory");
    return larger;
}

static void read_vocabulary(Reader *reader, Bundle *bundle) {
    Vocabulary *vocabulary = &bundle->vocabulary;
    for (bool more = json_enter(reader, '{'); more; more = json_next(reader, '}')) {
        Piece *pieces = with_room(reader, vocabulary->pieces, vocabulary->count, sizeof(Piece));
        if (!pieces) return;
        vocabulary->pieces = pieces;
        char *text = json_key(reader);
        if (!text) return;
        pieces[vocabulary->count++] = (Piece){text, json_integer(reader, 0, INT32_MAX, "a piece's id")};
    }
}

static void read_labels(Reader *reader, Bundle *bundle) {
    for (bool more = json_enter(reader, '['); more; more = json_next(reader, ']')) {
        char **labels = with_room(reader, bundle->labels, bundle->label_count, sizeof(char *));
        if (!labels) return;
        bundle->labels = labels;
        char *label = json_string(reader);
        if (!label) return;
        labels[bundle->label_count++] = label;
    }
    if (!bundle->label_count) json_fail(reader, "labels must have at least one label");
}

static void read_max_length(Reader *reader, Bundle *bundle) {
    bundle->max_length = json_integer(reader, BUNDLE_LEAST_LENGTH, BUNDLE_MOST_LENGTH, "max_length");
}

static void read_threshold(Reader *reader, Bundle *bundle) {
    bundle->threshold = json_literal(reader, "null") ? 0 : json_share(reader, "threshold");
}

static void read_abstain_label(Reader *reader, Bundle *bundle) {
    bundle->abstain_label = json_literal(reader, "null") ? strdup("out_of_scope") : json_string(reader);
    if (!bundle->abstain_label) json_fail(reader, "out of memory");
}

static bool leaves_folder(const char *name) {
    if (!*name || *name == '/' || strpbrk(name, "\\:")) return true;
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (!part[2] || part[2] == '/')) return true;
    }
    return false;
}

static void read_model_file(Reader *reader, Bundle *bundle) {
    bundle->model_file = json_string(reader);
    if (bundle->model_file && leaves_folder(bundle->model_file)) json_fail(reader, "model_file leaves the folder");
}

static void read_normalizer(Reader *reader, Bundle *bundle) {
    static const Field FIELDS[] = {
        {.key = "type", .is = "\"BertNormalizer\""},
        {.key = "clean_text", .is = "true"},
        {.key = "handle_chinese_chars", .is = "true"},
        {.key = "strip_accents", .is = "null", .or_is = "true"},
        {.key = "lowercase", .is = "true"},
        {.key = NULL},
    };
    read_fields(reader, bundle, FIELDS);
}

static void read_pre_tokenizer(Reader *reader, Bundle *bundle) {
    static const Field FIELDS[] = {{.key = "type", .is = "\"BertPreTokenizer\""}, {.key = NULL}};
    read_fields(reader, bundle, FIELDS);
}

static void read_model(Reader *reader, Bundle *bundle) {
    static const Field FIELDS[] = {
        {.key = "type", .is = "\"WordPiece\""},
        {.key = "unk_token", .is = "\"[UNK]\""},
        {.key = "continuing_subword_prefix", .is = "\"##\""},
        {.key = "max_input_chars_per_word", .is = "100"},
        {.key = "vocab", .read = read_vocabulary},
        {.key = NULL},
    };
    read_fields(reader, bundle, FIELDS);
}

static bool parse(Bundle *bundle, const char *content, size_t bytes, const char *name, const Field *fields,
                  char *problem) {
    Reader reader = json_reader(content, bytes);
    read_fields(&reader, bundle, fields);
    json_finish(&reader);
    if (*reader.problem) snprintf(problem, BUNDLE_PROBLEM_BYTES, "%s: %s", name, reader.problem);
    return !*reader.problem;
}

bool bundle_parse(Bundle *bundle, const char *manifest, size_t manifest_bytes, const char *tokenizer,
                  size_t tokenizer_bytes, char problem[BUNDLE_PROBLEM_BYTES]) {
    static const Field MANIFEST_FIELDS[] = {
        {.key = "format_version", .is = "1"},
        {.key = "task", .is = "\"single_label\""},
        {.key = "labels", .read = read_labels},
        {.key = "max_length", .read = read_max_length},
        {.key = "threshold", .read = read_threshold},
        {.key = "abstain_label", .read = read_abstain_label},
        {.key = "model_file", .read = read_model_file},
        {.key = NULL},
    };
    static const Field TOKENIZER_FIELDS[] = {
        {.key = "normalizer", .read = read_normalizer},
        {.key = "pre_tokenizer", .read = read_pre_tokenizer},
        {.key = "model", .read = read_model},
        {.key = NULL},
    };
    _Static_assert(sizeof MANIFEST_FIELDS / sizeof(Field) <= MOST_FIELDS + 1, "read_fields notes what it saw");
    *bundle = (Bundle){0};
    bool good = parse(bundle, manifest, manifest_bytes, MANIFEST, MANIFEST_FIELDS, problem) &&
                parse(bundle, tokenizer, tokenizer_bytes, TOKENIZER, TOKENIZER_FIELDS, problem);
    if (good) {
        const char *unfit = wordpiece_prepare(&bundle->vocabulary);
        if (unfit) snprintf(problem, BUNDLE_PROBLEM_BYTES, "%s: %s", TOKENIZER, unfit);
        good = !unfit;
    }
    if (!good) bundle_free(bundle);
    return good;
}

void bundle_free(Bundle *bundle) {
    for (size_t i = 0; i < bundle->label_count; i++) free(bundle->labels[i]);
    free(bundle->labels);
    free(bundle->abstain_label);
    free(bundle->model_file);
    wordpiece_free(&bundle->vocabulary);
    *bundle = (Bundle){0};
}

char *bundle_path(const char *folder, const char *name) {
    const size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

/* Return what an open file holds, NULL where it can't be read; `why` says why then. */
static char *read_content(int file, off_t most, size_t *bytes, const char **why) {
    struct stat status;
    *why = "not a regular file";
    if (fstat(file, &status) || !S_ISREG(status.st_mode)) return NULL;
    *why = "larger than any that mkd writes";
    if (status.st_size > most) return NULL;
    *why = "out of memory";
    *bytes = (size_t)status.st_size;
    char *content = malloc(*bytes + 1);
    if (!content) return NULL;
    *why = "can't be read";
    for (size_t got = 0; got < *bytes;) {
        const ssize_t more = read(file, content + got, *bytes - got);
        if (more <= 0) {
            free(content);
            return NULL;
        }
        got += (size_t)more;
    }
    return content;
}

static char *read_file(const char *folder, const char *name, off_t most, size_t *bytes, char *problem) {
    const char *why = "out of memory";
    char *path = bundle_path(folder, name), *content = NULL;
    if (path) {
        /* O_NONBLOCK: a pipe of that name must not keep the program waiting. */
        const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        why = strerror(errno);
        if (file >= 0) {
            content = read_content(file, most, bytes, &why);
            close(file);
        }
    }
    if (!content) snprintf(problem, BUNDLE_PROBLEM_BYTES, "%s: %s", name, why);
    free(path);
    return content;
}

bool bundle_read(Bundle *bundle, const char *folder, char problem[BUNDLE_PROBLEM_BYTES]) {
    size_t manifest_bytes = 0, tokenizer_bytes = 0;
    char *manifest = read_file(folder, MANIFEST, MOST_MANIFEST_BYTES, &manifest_bytes, problem);
    char *tokenizer = manifest ? read_file(folder, TOKENIZER, MOST_TOKENIZER_BYTES, &tokenizer_bytes, problem) : NULL;
    const bool good =
        tokenizer && bundle_parse(bundle, manifest, manifest_bytes, tokenizer, tokenizer_bytes, problem);
    free(manifest);
    free(tokenizer);
    return good;
}
