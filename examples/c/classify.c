/* Lines of standard input to labels: classify BUNDLE < texts */
#define _POSIX_C_SOURCE 200809L
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"

static const OrtApi *ort;

static void check(OrtStatus *status) {
    if (!status) return;
    fprintf(stderr, "onnxruntime: %s\n", ort->GetErrorMessage(status));
    exit(1);
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
    if (graph.count > 3) {
        fprintf(stderr, "%s: takes more than ids, mask and types\n", path);
        exit(1);
    }
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

static void print_best(const Bundle *bundle, const float *probabilities) {
    size_t best = 0;
    for (size_t i = 1; i < bundle->label_count; i++) best = probabilities[i] > probabilities[best] ? i : best;
    const float score = probabilities[best];
    printf("%s\t%.4f\n", score < bundle->threshold ? bundle->abstain_label : bundle->labels[best], score);
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
    const Bundle bundle = read_bundle(arguments[1]);
    OrtEnv *env;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "classify", &env));
    Graph graph = open_graph(env, bundle.model_path);

    int64_t *ids = calloc(3 * bundle.max_length, sizeof *ids);
    if (!ids) return 1;
    int64_t *ones = ids + bundle.max_length, *zeros = ones + bundle.max_length;
    for (size_t i = 0; i < bundle.max_length; i++) ones[i] = 1;
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    while ((bytes = getline(&line, &room, stdin)) >= 0) {
        if (bytes > 0 && line[bytes - 1] == '\n') bytes--;
        const size_t length = wordpiece_encode(&bundle.vocabulary, line, (size_t)bytes, ids, bundle.max_length);
        OrtValue *output = run(&graph, ids, ones, zeros, length);
        float *probabilities;
        check(ort->GetTensorMutableData(output, (void **)&probabilities));
        print_best(&bundle, probabilities);
        ort->ReleaseValue(output);
    }
    free(line);
    free(ids);
    ort->ReleaseMemoryInfo(graph.memory);
    ort->ReleaseSession(graph.session);
    ort->ReleaseEnv(env);
    return 0;
}
