/* Mutants of a bundle's manifest and tokenizer, all in one process: fuzz BUNDLE SEED COUNT

   Built with sanitizers, it ends with a report at the first read or write out of bounds, leak or undefined step.
   Each mutant lies in memory of exactly its size. What is read in spite of a mutation must be a bundle that holds
   what bundle.h says, and must encode texts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "mutate.h"
#include "utf8.h"

enum { MOST_REASONS = 256, ENCODED_BYTES = 400 };

static unsigned long long seed, number;

static void say_which(void) { fprintf(stderr, "fuzz: it was mutant %llu of seed %llu\n", number, seed); }

/* The sanitizers call this before they end the program. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void die(const char *what) {
    fprintf(stderr, "fuzz: %s\n", what);
    say_which();
    abort();
}

static void check(bool holds, const char *what) {
    if (!holds) die(what);
}

static void check_bundle(const Bundle *bundle) {
    check(bundle->label_count > 0, "no label");
    for (size_t i = 0; i < bundle->label_count; i++) {
        const char *label = bundle->labels[i];
        for (size_t at = 0, start = 0; label[at]; start = at) {
            const uint32_t code = utf8_read(label, strlen(label), &at);
            check(code != UTF8_INVALID || at > start + 1, "a label is not UTF-8");
        }
    }
    check(bundle->max_length >= BUNDLE_LEAST_LENGTH && bundle->max_length <= BUNDLE_MOST_LENGTH, "max_length");
    check(bundle->threshold >= 0 && bundle->threshold <= 1, "threshold");
    check(bundle->abstain_label && bundle->model_file, "a name is missing");
    check(*bundle->model_file && *bundle->model_file != '/', "model_file is absolute");
    check(strcmp(bundle->model_file, "..") && strncmp(bundle->model_file, "../", 3), "model_file is outside");
    check(!strstr(bundle->model_file, "/../"), "model_file is outside");
    const Vocabulary *vocabulary = &bundle->vocabulary;
    check(vocabulary->cls >= 0 && vocabulary->sep >= 0 && vocabulary->unk >= 0, "a special token is missing");
    for (size_t i = 0; i < vocabulary->count; i++) {
        check(vocabulary->pieces[i].id >= 0 && vocabulary->pieces[i].id <= INT32_MAX, "an id is out of range");
        check(!i || strcmp(vocabulary->pieces[i - 1].text, vocabulary->pieces[i].text) < 0, "not sorted");
    }
}

static void check_encoding(const Bundle *bundle) {
    const size_t bytes = chance(ENCODED_BYTES), most = (size_t)bundle->max_length;
    const size_t room = chance(4) ? most : chance(8);
    char *text = malloc(bytes);
    int64_t *ids = malloc(room * sizeof *ids);
    if ((bytes && !text) || (room && !ids)) die("out of memory");
    for (size_t i = 0; i < bytes; i++) text[i] = (char)(chance(3) ? 'a' + (char)chance(26) : (char)chance(256));
    if (chance(2)) memset(text, 'a', bytes);
    const size_t count = wordpiece_encode(&bundle->vocabulary, text, bytes, ids, room);
    check(count <= room && (count >= 2) == (room >= 2), "the number of ids");
    check(!count || (ids[0] == bundle->vocabulary.cls && ids[count - 1] == bundle->vocabulary.sep), "the ends");
    free(text);
    free(ids);
}

typedef struct {
    char what[BUNDLE_PROBLEM_BYTES];
    size_t count;
} Reason;

static Reason reasons[MOST_REASONS];

/* Count why bundles were refused; where in the file is left out. */
static void count_reason(char *problem) {
    check(*problem && !strpbrk(problem, "\n\x1b"), "a problem is one line");
    char *where = strstr(problem, " (byte ");
    if (where) *where = '\0';
    size_t i = 0;
    while (reasons[i].count && strcmp(reasons[i].what, problem)) i++;
    check(i + 1 < MOST_REASONS, "more reasons than there is room for");
    snprintf(reasons[i].what, sizeof reasons[i].what, "%s", problem);
    reasons[i].count++;
}

/* Read both from memory of exactly their size; return whether they are a bundle. */
static bool try(const Text *manifest, const Text *tokenizer) {
    char *first = malloc(manifest->count), *second = malloc(tokenizer->count), problem[BUNDLE_PROBLEM_BYTES] = "";
    if ((manifest->count && !first) || (tokenizer->count && !second)) die("out of memory");
    memcpy(first, manifest->bytes, manifest->count);
    memcpy(second, tokenizer->bytes, tokenizer->count);
    Bundle bundle;
    const bool good = bundle_parse(&bundle, first, manifest->count, second, tokenizer->count, problem);
    free(first);
    free(second);
    if (good) {
        check_bundle(&bundle);
        for (int i = 0; i < 2; i++) check_encoding(&bundle);
    } else {
        count_reason(problem);
    }
    bundle_free(&bundle);
    return good;
}

static void copy(Text *into, const Text *from) {
    memcpy(into->bytes, from->bytes, from->count);
    into->count = from->count;
}

/* Whatever is cut off, what remains is no bundle. */
static void try_cuts(Text *cut, const Text *whole, Text *manifest, Text *tokenizer) {
    const size_t end = whole->count - (whole->bytes[whole->count - 1] == '\n');
    for (cut->count = 0; cut->count < end; cut->count++) check(!try(manifest, tokenizer), "half a file is a bundle");
    copy(cut, whole);
}

static void load(Text *text, const char *folder, const char *name) {
    char *path = bundle_path(folder, name);
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) die("the bundle can't be read");
    text->count = fread(text->bytes, 1, TEXT_MOST_BYTES, file);
    if (text->count == TEXT_MOST_BYTES) die("the bundle is too large: its files must be smaller than 128 KiB");
    fclose(file);
    free(path);
}

int main(int count, char **arguments) {
    static Text manifest, tokenizer, changed, changed_tokenizer;
    if (count != 4) {
        fprintf(stderr, "usage: %s BUNDLE SEED COUNT\n", arguments[0]);
        return 2;
    }
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(say_which);
    load(&manifest, arguments[1], "mkd.json");
    load(&tokenizer, arguments[1], "tokenizer.json");
    seed = strtoull(arguments[2], NULL, 10);
    const unsigned long long most = strtoull(arguments[3], NULL, 10);
    chance_begin(seed);
    check(try(&manifest, &tokenizer), "the bundle itself is refused");
    copy(&changed, &manifest);
    copy(&changed_tokenizer, &tokenizer);
    try_cuts(&changed, &manifest, &changed, &changed_tokenizer);
    try_cuts(&changed_tokenizer, &tokenizer, &changed, &changed_tokenizer);
    unsigned long long read = 0;
    for (number = 0; number < most; number++) {
        chance_begin(seed << 32 ^ number);
        copy(&changed, &manifest);
        copy(&changed_tokenizer, &tokenizer);
        const uint64_t which = chance(8); /* more of the manifest, which has more to it */
        for (uint64_t i = chance(2) ? 1 : 1 + chance(4); i; i--) mutate(which < 3 ? &changed_tokenizer : &changed);
        if (which == 7) mutate(&changed_tokenizer);
        read += try(&changed, &changed_tokenizer);
    }
    for (size_t i = 0; reasons[i].count; i++) printf("%8zu  %s\n", reasons[i].count, reasons[i].what);
    printf("%llu mutants of seed %llu: %llu read, %llu refused\n", most, seed, read, most - read);
    return 0;
}
