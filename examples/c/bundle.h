/* What a program needs of the folder that `mkd export` wrote. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include <stdbool.h>

#include "wordpiece.h"

enum { BUNDLE_LEAST_LENGTH = 4, BUNDLE_MOST_LENGTH = 131072, BUNDLE_PROBLEM_BYTES = 512 };

typedef struct {
    Vocabulary vocabulary;
    char **labels; /* one per output, at least one */
    size_t label_count;
    int64_t max_length;  /* tokens per text, [CLS] and [SEP] included; within the bounds above */
    double threshold;    /* the least score that counts, at most 1; 0 where the bundle has none */
    char *abstain_label; /* the answer below it */
    char *model_file;    /* relative to the folder, and inside it */
} Bundle;

/* Read mkd.json and tokenizer.json of a folder. Return whether that went well; if not, `problem` says in a line
   what is wrong, and there is nothing to free. */
bool bundle_read(Bundle *bundle, const char *folder, char problem[BUNDLE_PROBLEM_BYTES]);

/* The same for the contents of both files. They may be anything, and need no '\0' behind them. */
bool bundle_parse(Bundle *bundle, const char *manifest, size_t manifest_bytes, const char *tokenizer,
                  size_t tokenizer_bytes, char problem[BUNDLE_PROBLEM_BYTES]);

void bundle_free(Bundle *bundle);

/* Return FOLDER/NAME, which the caller frees; NULL where there is no memory. */
char *bundle_path(const char *folder, const char *name);

#endif
