/* What a program needs of the folder that `mkd export` wrote. */
#ifndef BUNDLE_H
#define BUNDLE_H

#include "wordpiece.h"

typedef struct {
    Vocabulary vocabulary;
    char **labels; /* one per output */
    size_t label_count;
    size_t max_length;   /* tokens per text, [CLS] and [SEP] included */
    double threshold;    /* the least score that counts; 0 where the bundle has none */
    char *abstain_label; /* the answer below it */
    char *model_path;
} Bundle;

/* Read a bundle, or end the program with a line that says what is wrong with it. */
Bundle read_bundle(const char *folder);

#endif
