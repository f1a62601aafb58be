/* Writes some subnets of the built-in spaces as ONNX, each with images and what the runtime makes
 * of them: NAME.onnx, NAME.input and NAME.output (raw float32), and a line "NAME N C H W OUTPUTS"
 * on stdout for each. Usage: export_cases FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "devices/outputs.h"
#include "runtime/export_onnx.h"

enum { IMAGES = 3, LINKS = 3, PATH_BYTES = 4096 };

static void check(int code, const struct err *err) {
    if (!code)
        return;
    fprintf(stderr, "export_cases: %s\n", err->message);
    exit(1);
}

static size_t elements(const struct tensor_shape *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

static void write_floats(const char *folder, const char *name, const char *suffix,
                         const float *data, size_t n) {
    char path[PATH_BYTES];
    struct err err = {0};
    snprintf(path, sizeof(path), "%s/%s.%s", folder, name, suffix);
    check(file_write_atomic(path, data, n * sizeof(float), &err), &err);
}

static void export_case(const char *folder, const char *name, const struct graph *graph) {
    const struct tensor_shape *in = &graph->tensors[0];
    const struct tensor_shape *out = &graph->tensors[graph->n_tensors - 1];
    struct plan_weights *weights = NULL;
    struct plan *plan = NULL;
    struct err err = {0};
    char path[PATH_BYTES];
    check(plan_weights_random(graph, 11, &err, &weights), &err);
    check(plan_create(graph, weights, &(struct plan_options){.batch = IMAGES}, &err, &plan), &err);
    float *images = calloc(elements(in) * IMAGES, sizeof(float));
    float *outputs = calloc(elements(out) * IMAGES, sizeof(float));
    struct rng rng = rng_make(2, RNG_INPUT, 0, 0);
    for (size_t i = 0; i < elements(in) * IMAGES; i++)
        images[i] = (float)rng_normal(&rng);
    check(plan_run(plan, images, IMAGES, outputs), &err);
    snprintf(path, sizeof(path), "%s/%s.onnx", folder, name);
    check(export_onnx(graph, weights, NULL, path, &err), &err);
    write_floats(folder, name, "input", images, elements(in) * IMAGES);
    write_floats(folder, name, "output", outputs, elements(out) * IMAGES);
    printf("%s %d %d %d %d %zu\n", name, IMAGES, in->channels, in->height, in->width,
           elements(out));
    free(images);
    free(outputs);
    plan_destroy(plan);
    plan_weights_destroy(weights);
}

static void export_archs(const char *folder, const struct space *space, uint32_t archs) {
    struct err err = {0};
    for (uint32_t i = 0; i < archs; i++) {
        struct rng rng = rng_make(4, RNG_SAMPLE, 0, i);
        struct arch arch;
        struct graph *graph = NULL;
        char name[64];
        if (i == 0)
            arch_min(space, &arch);
        else if (i == 1)
            arch_max(space, &arch);
        else
            arch_random(space, &rng, &arch);
        snprintf(name, sizeof(name), "%.40s-%u", space->name, i);
        check(graph_build(space, &arch, &err, &graph), &err);
        export_case(folder, name, graph);
        free(graph);
    }
}

/* A unit several times in a file, with one image; what it is to give by the runtime, link by
 * link. */
static void export_chain(const char *folder, const char *name, const struct graph *unit) {
    const struct tensor_shape *in = &unit->tensors[0];
    struct plan_weights *weights[LINKS] = {NULL};
    struct err err = {0};
    char path[PATH_BYTES];
    float *images = calloc(elements(in), sizeof(float)), *outputs = NULL;
    size_t n = 0;
    struct rng rng = rng_make(3, RNG_INPUT, 0, 0);
    for (size_t i = 0; i < elements(in); i++)
        images[i] = (float)rng_normal(&rng);
    for (int i = 0; i < LINKS; i++)
        check(plan_weights_random(unit, 20 + (uint64_t)i, &err, &weights[i]), &err);
    snprintf(path, sizeof(path), "%s/%s.onnx", folder, name);
    check(export_onnx_chain(unit, weights, LINKS, path, &err), &err);
    check(outputs_expect_chain(unit, weights, LINKS, images, &err, &outputs, &n), &err);
    write_floats(folder, name, "input", images, elements(in));
    write_floats(folder, name, "output", outputs, n);
    printf("%s 1 %d %d %d %zu\n", name, in->channels, in->height, in->width, n);
    for (int i = 0; i < LINKS; i++)
        plan_weights_destroy(weights[i]);
    free(outputs);
    free(images);
}

/* Every unit of a network alone (graphs that do not end in a classifier), and in a chain. */
static void export_units(const char *folder, const struct space *space) {
    struct graph *graph = NULL;
    struct err err = {0};
    struct arch arch;
    arch_min(space, &arch);
    check(graph_build(space, &arch, &err, &graph), &err);
    for (int i = 0; i < graph->n_units; i++) {
        struct graph *unit = NULL;
        char name[64];
        snprintf(name, sizeof(name), "%.40s-unit-%d", space->name, i);
        check(graph_of_unit(graph, i, &err, &unit), &err);
        export_case(folder, name, unit);
        snprintf(name, sizeof(name), "%.40s-chain-%d", space->name, i);
        export_chain(folder, name, unit);
        free(unit);
    }
    free(graph);
}

static void export_builtin(const char *folder, const char *name, uint32_t archs) {
    struct space *space = NULL;
    struct err err = {0};
    check(space_builtin(name, &err, &space), &err);
    export_archs(folder, space, archs);
    if (strcmp(name, "fashion_small") == 0)
        export_units(folder, space);
    space_destroy(space);
}

/* Plain convolutions and bottlenecks beside inverted residual blocks. */
static void export_mixed(const char *folder) {
    struct space *space = NULL;
    struct err err = {0};
    char *text = NULL;
    size_t len;
    check(file_read(MIXED_28, 1 << 16, &err, &text, &len), &err);
    check(space_parse(text, len, &err, &space), &err);
    free(text);
    export_archs(folder, space, 6);
    export_units(folder, space);
    space_destroy(space);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: export_cases FOLDER\n");
        return 2;
    }
    export_builtin(argv[1], "fashion_small", 4);
    export_builtin(argv[1], "peer_28", 3);
    export_builtin(argv[1], "peer_32", 3);
    export_builtin(argv[1], "ofa_mbv3", 2);
    export_builtin(argv[1], "ofa_proxyless", 1);
    export_builtin(argv[1], "resnet_50_elastic", 1);
    export_mixed(argv[1]);
    return 0;
}
