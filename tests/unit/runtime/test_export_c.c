/* The C file that a network is written as: compiled by itself with every warning on, it answers
 * what the runtime answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>

#include "base/file.h"
#include "base/rng.h"
#include "runtime/export_c.h"

struct network {
    char folder[64];
    struct graph *graph;
    struct plan_weights *weights;
    size_t n_in, n_out;
    float *image, *logits;
};

static size_t elements(const struct tensor_shape *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

/* Plain convolutions, bottlenecks with each kind of shortcut, inverted residuals with SE, and a
 * feature mix; small, as a compiler reads every number. */
static struct space *mixed_space(void) {
    static const char text[] =
        "{\"name\":\"mixed\",\"input_channels\":3,\"n_classes\":7,\"resolutions\":[17],"
        "\"stem\":{\"channels\":16,\"kernel_size\":3,\"stride\":1,\"act\":\"relu6\"},\"stages\":["
        "{\"block\":\"conv\",\"depths\":[1,2],\"channels\":[16],\"kernel_sizes\":[3,5],"
        "\"stride\":1,\"act\":\"h_swish\",\"residual\":true},"
        "{\"block\":\"bottleneck\",\"depths\":[2],\"channels\":[32],\"kernel_sizes\":[3,5],"
        "\"expand_ratios\":[0.5,1],\"stride\":2,\"act\":\"relu\"},"
        "{\"depths\":[2],\"channels\":[32],\"kernel_sizes\":[5,7],\"expand_ratios\":[1,2],"
        "\"stride\":1,\"act\":\"h_swish\",\"se\":true}],"
        "\"head\":{\"expand_channels\":56,\"mix_channels\":24,\"act\":\"h_swish\"}}";
    struct space *space = NULL;
    struct err err = {0};
    if (space_parse(text, sizeof(text) - 1, &err, &space) != 0)
        fail_msg("%s %s", err.pointer, err.message);
    return space;
}

static void make(uint32_t index, struct network *net) {
    struct space *space = mixed_space();
    struct arch arch;
    struct plan *plan = NULL;
    struct rng rng = rng_make(11, RNG_TEST, 0, index);
    struct plan_options options = {.batch = 1};
    *net = (struct network){.folder = "/tmp/espalier-c-XXXXXX"};
    assert_non_null(mkdtemp(net->folder));
    arch_random(space, &rng, &arch);
    assert_int_equal(graph_build(space, &arch, NULL, &net->graph), 0);
    assert_int_equal(plan_weights_random(net->graph, index, NULL, &net->weights), 0);
    net->n_in = elements(&net->graph->tensors[0]);
    net->n_out = elements(&net->graph->tensors[net->graph->n_tensors - 1]);
    net->image = calloc(net->n_in, sizeof(float));
    net->logits = calloc(net->n_out, sizeof(float));
    for (size_t i = 0; i < net->n_in; i++)
        net->image[i] = (float)rng_normal(&rng);
    assert_int_equal(plan_create(net->graph, net->weights, &options, NULL, &plan), 0);
    assert_int_equal(plan_run(plan, net->image, 1, net->logits), 0);
    plan_destroy(plan);
    space_destroy(space);
}

static void finish(struct network *net) {
    assert_int_equal(file_remove_tree(net->folder, NULL), 0);
    free(net->graph);
    plan_weights_destroy(net->weights);
    free(net->image);
    free(net->logits);
}

static const char program[] = "#include <stdio.h>\n#include <stdlib.h>\n#include \"net.h\"\n"
                              "static float image[ESPALIER_NET_CHANNELS * ESPALIER_NET_HEIGHT * "
                              "ESPALIER_NET_WIDTH], logits[ESPALIER_NET_OUTPUTS];\n"
                              "int main(void) {\n"
                              "    float *scratch = malloc(ESPALIER_NET_SCRATCH * sizeof(float));\n"
                              "    if (!scratch || fread(image, sizeof image, 1, stdin) != 1)\n"
                              "        return 1;\n"
                              "    espalier_net_run(image, scratch, logits);\n"
                              "    free(scratch);\n"
                              "    return fwrite(logits, sizeof logits, 1, stdout) != 1;\n"
                              "}\n";

static void write_in(const struct network *net, const char *name, const void *data, size_t len) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", net->folder, name);
    assert_int_equal(file_write_atomic(path, data, len, NULL), 0);
}

static void check_answers(uint32_t index) {
    static const struct onnx_note items[] = {{"espalier.arch", "r28 | */ #error \n#error"}};
    const struct onnx_notes notes = {1, items};
    struct network net;
    struct err err = {0};
    char path[128], command[512], *got = NULL;
    size_t len = 0;
    make(index, &net);
    snprintf(path, sizeof(path), "%s/net.h", net.folder);
    if (export_c(net.graph, net.weights, &notes, path, &err) != 0)
        fail_msg("%s", err.message);
    write_in(&net, "main.c", program, sizeof(program) - 1);
    write_in(&net, "in", net.image, net.n_in * sizeof(float));
    snprintf(
        command, sizeof(command),
        "cd %s && cc -std=c99 -Wall -Wextra -Werror -pedantic -O1 main.c -o main && ./main <in "
        ">out",
        net.folder);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/out", net.folder);
    assert_int_equal(file_read(path, 1 << 20, &err, &got, &len), 0);
    assert_int_equal(len, net.n_out * sizeof(float));
    double largest = 0, off = 0;
    for (size_t i = 0; i < net.n_out; i++) {
        float value;
        memcpy(&value, got + i * sizeof(float), sizeof(float));
        largest = fmax(largest, fabs((double)net.logits[i]));
        off = fmax(off, fabs((double)value - (double)net.logits[i]));
    }
    assert_true(largest > 0);
    if (off > 1e-4 * largest)
        fail_msg("network %d: %g of %g", (int)index, off, largest);
    free(got);
    finish(&net);
}

static void compiled_it_answers_as_the_runtime(void **state) {
    for (uint32_t index = 0; index < 3; index++)
        check_answers(index);
}

/* The names without an id are those of the first. */
static void one_file_includes_several(void **state) {
    static const char both[] = "#include \"net.h\"\n#include \"other.h\"\n#include \"net.h\"\n";
    struct network net;
    struct err err = {0};
    char path[128], command[1024];
    make(5, &net);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s.h", net.folder, i == 0 ? "net" : "other");
        assert_int_equal(export_c(net.graph, net.weights, NULL, path, &err), 0);
        net.weights->ops[0].weight[0] += 1;
    }
    write_in(&net, "two.c", both, sizeof(both) - 1);
    snprintf(command, sizeof(command),
             "cd %s && echo 'int main(void) { return 0; }' >>two.c && cc -std=c99 -Wall -Wextra "
             "-Werror -Wno-unused-const-variable -pedantic two.c -o two && cc -E two.c | grep -c "
             "'^static inline void espalier_net_[0-9a-f]*_run(' >n && test \"$(cat n)\" = 2",
             net.folder);
    assert_int_equal(system(command), 0);
    finish(&net);
}

static void what_is_not_finite_is_refused(void **state) {
    static const float values[] = {(float)NAN, (float)INFINITY, (float)-INFINITY};
    struct network net;
    char path[128];
    make(6, &net);
    snprintf(path, sizeof(path), "%s/net.h", net.folder);
    for (int i = 0; i < 3; i++) {
        struct err err = {0};
        net.weights->ops[0].weight[3] = values[i];
        assert_int_equal(export_c(net.graph, net.weights, NULL, path, &err), ESP_EINVAL);
        assert_non_null(strstr(err.message, "weight 3 of op 0"));
        assert_false(file_exists(path));
    }
    finish(&net);
}

static void weights_of_another_network_are_refused(void **state) {
    struct network net;
    struct err err = {0};
    char path[128];
    make(4, &net);
    snprintf(path, sizeof(path), "%s/net.h", net.folder);
    free(net.weights->ops[0].weight);
    net.weights->ops[0].weight = NULL;
    assert_int_equal(export_c(net.graph, net.weights, NULL, path, &err), ESP_EINVAL);
    assert_false(file_exists(path));
    net.weights->n_ops--;
    assert_int_equal(export_c(net.graph, net.weights, NULL, path, &err), ESP_EINVAL);
    net.weights->n_ops++;
    finish(&net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiled_it_answers_as_the_runtime),
        cmocka_unit_test(one_file_includes_several),
        cmocka_unit_test(what_is_not_finite_is_refused),
        cmocka_unit_test(weights_of_another_network_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
