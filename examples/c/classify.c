/* Lines of standard input to labels: classify BUNDLE < texts */
#define _POSIX_C_SOURCE 200809L
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "print.h"

static const OrtApi *ort;

static _Noreturn void fail(const char *where, const char *what) {
    print_visible(stderr, where);
    fputs(": ", stderr);
    print_visible(stderr, what);
    fputc('\n', stderr);
    exit(1);
}

static void check(OrtStatus *status) {
    if (status) fail("onnxruntime", ort->GetErrorMessage(status));
}

/* A guest in somebody's program: one thread, and memory given back after each call. */
static OrtSession *open_session(OrtEnv *env, const char *path) {
    OrtSessionOptions *options;
    OrtSession *session;
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1));
    check(ort->DisableCpuMemArena(options));
    check(ort->DisableMemPattern(options));
    check(ort->CreateSession(env, path, options, &session));
    ort->ReleaseSessionOptions(options);
    return session;
}

typedef struct {
    OrtSession *session;
    OrtMemoryInfo *memory;
    char *names[3];
    size_t count;
} Graph;

static Graph open_graph(OrtEnv *env, const char *path) {
    Graph graph = {.session = open_session(env, path)};
    OrtAllocator *allocator;
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &graph.memory));
    check(ort->SessionGetInputCount(graph.session, &graph.count));
    if (graph.count > 3) fail(path, "takes more than ids, mask and types");
    for (size_t i = 0; i < graph.count; i++) {
        check(ort->SessionGetInputName(graph.session, i, allocator, &graph.names[i]));
    }
    return graph;
}

/* Return the probabilities of one text; the caller releases them. */
static OrtValue *run(const Graph *graph, int64_t *ids, int64_t *ones, int64_t *zeros, size_t length) {
    static const char *const OUTPUTS[] = {"probabilities"};
    const int64_t shape[] = {1, (int64_t)length};
    OrtValue *inputs[3] = {0}, *probabilities = NULL;
    for (size_t i = 0; i < graph->count; i++) {
        const char *name = graph->names[i];
        int64_t *data = !strcmp(name, "input_ids") ? ids : !strcmp(name, "attention_mask") ? ones : zeros;
        check(ort->CreateTensorWithDataAsOrtValue(graph->memory, data, length * sizeof *data, shape, 2,
                                                  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, &inputs[i]));
    }
    check(ort->Run(graph->session, NULL, (const char *const *)graph->names, (const OrtValue *const *)inputs,
                   graph->count, OUTPUTS, 1, &probabilities));
    for (size_t i = 0; i < graph->count; i++) ort->ReleaseValue(inputs[i]);
    return probabilities;
}

/* Return the numbers in a tensor, which has to hold one per label. */
static const float *read_scores(OrtValue *tensor, const Bundle *bundle) {
    OrtTensorTypeAndShapeInfo *shape;
    enum ONNXTensorElementDataType type;
    size_t count;
    check(ort->GetTensorTypeAndShape(tensor, &shape));
    check(ort->GetTensorElementType(shape, &type));
    check(ort->GetTensorShapeElementCount(shape, &count));
    ort->ReleaseTensorTypeAndShapeInfo(shape);
    if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || count != bundle->label_count) {
        char what[96];
        snprintf(what, sizeof what, "gives %zu probabilities for the %zu labels of mkd.json", count,
                 bundle->label_count);
        fail(bundle->model_file, what);
    }
    float *scores;
    check(ort->GetTensorMutableData(tensor, (void **)&scores));
    return scores;
}

static size_t best_of(const Bundle *bundle, const float *scores) {
    size_t best = 0;
    for (size_t i = 0; i < bundle->label_count; i++) {
        /* NaN is in no range. A sum of rounded numbers may be a little more than 1. */
        if (!(scores[i] >= 0 && scores[i] < 1.001f)) fail(bundle->model_file, "gives what is no probability");
        if (scores[i] > scores[best]) best = i;
    }
    return best;
}

typedef struct {
    Bundle bundle;
    Graph graph;
    int64_t *ids, *ones, *zeros; /* max_length each */
} Classifier;

/* Answer a text, on standard output if it is to be printed. */
static void classify(const Classifier *classifier, const char *text, size_t bytes, bool print) {
    const Bundle *bundle = &classifier->bundle;
    const size_t room = (size_t)bundle->max_length;
    const size_t length = wordpiece_encode(&bundle->vocabulary, text, bytes, classifier->ids, room);
    OrtValue *output = run(&classifier->graph, classifier->ids, classifier->ones, classifier->zeros, length);
    const float *scores = read_scores(output, bundle);
    const size_t best = best_of(bundle, scores);
    if (print) {
        print_visible(stdout, scores[best] < bundle->threshold ? bundle->abstain_label : bundle->labels[best]);
        printf("\t%.4f\n", scores[best]);
    }
    ort->ReleaseValue(output);
}

static Classifier open_classifier(OrtEnv *env, const char *folder) {
    Classifier classifier;
    char problem[BUNDLE_PROBLEM_BYTES];
    if (!bundle_read(&classifier.bundle, folder, problem)) fail(folder, problem);
    const size_t room = (size_t)classifier.bundle.max_length;
    char *path = bundle_path(folder, classifier.bundle.model_file);
    classifier.ids = calloc(3 * room, sizeof *classifier.ids);
    if (!path || !classifier.ids) fail(folder, "out of memory");
    classifier.ones = classifier.ids + room;
    classifier.zeros = classifier.ones + room;
    for (size_t i = 0; i < room; i++) classifier.ones[i] = 1;
    classifier.graph = open_graph(env, path);
    free(path);
    /* A graph that doesn't suit its manifest is refused before the first text. */
    classify(&classifier, "", 0, false);
    return classifier;
}

static void close_classifier(Classifier *classifier) {
    OrtAllocator *allocator;
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    for (size_t i = 0; i < classifier->graph.count; i++) {
        check(ort->AllocatorFree(allocator, classifier->graph.names[i]));
    }
    ort->ReleaseMemoryInfo(classifier->graph.memory);
    ort->ReleaseSession(classifier->graph.session);
    free(classifier->ids);
    bundle_free(&classifier->bundle);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: %s BUNDLE < texts\n", arguments[0]);
        return 2;
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* on by default from 1.29 on */
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!ort) {
        fprintf(stderr, "libonnxruntime is older than the header\n");
        return 1;
    }
    OrtEnv *env;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "classify", &env));
    Classifier classifier = open_classifier(env, arguments[1]);
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    while ((bytes = getline(&line, &room, stdin)) >= 0) {
        if (bytes > 0 && line[bytes - 1] == '\n') bytes--;
        classify(&classifier, line, (size_t)bytes, true);
    }
    free(line);
    close_classifier(&classifier);
    ort->ReleaseEnv(env);
    if (fflush(stdout)) fail("standard output", "can't be written");
    return 0;
}
