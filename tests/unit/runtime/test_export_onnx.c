/* What goes wrong; that the files are right is tests/integration/onnx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"
#include "runtime/export_onnx.h"

struct fixture {
    char folder[64], path[128];
    struct space *space;
    struct graph *graph;
    struct plan_weights *weights;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct arch arch;
    snprintf(f->folder, sizeof(f->folder), "/tmp/espalier-onnx-XXXXXX");
    if (!mkdtemp(f->folder) || space_builtin("fashion_small", NULL, &f->space))
        return 1;
    snprintf(f->path, sizeof(f->path), "%s/subnet.onnx", f->folder);
    arch_min(f->space, &arch);
    *state = f;
    return graph_build(f->space, &arch, NULL, &f->graph) ||
           plan_weights_random(f->graph, 1, NULL, &f->weights);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    unlink(f->path);
    rmdir(f->folder);
    plan_weights_destroy(f->weights);
    free(f->graph);
    space_destroy(f->space);
    free(f);
    return 0;
}

static void file_holds_all_weights(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    char *data = NULL;
    size_t len = 0, floats = 0;
    if (export_onnx(f->graph, f->weights, NULL, f->path, &err))
        fail_msg("%s", err.message);
    assert_int_equal(file_read(f->path, 1 << 24, NULL, &data, &len), 0);
    for (int i = 0; i < f->graph->n_ops; i++) {
        const struct op *op = &f->graph->ops[i];
        const float *weight = f->weights->ops[i].weight;
        if (!weight)
            continue;
        size_t n = (size_t)op->c_out * (op->kind == OP_DEPTHWISE ? 1 : (size_t)op->c_in) *
                   (size_t)op->kernel * (size_t)op->kernel;
        assert_non_null(memmem(data, len, weight, n * sizeof(float)));
        floats += n;
    }
    assert_true(len > floats * sizeof(float) && len < floats * sizeof(float) * 2);
    free(data);
}

static void missing_weights_are_named(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    free(f->weights->ops[2].weight);
    f->weights->ops[2].weight = NULL;
    assert_int_equal(export_onnx(f->graph, f->weights, NULL, f->path, &err), ESP_EINVAL);
    assert_non_null(strstr(err.message, "depthwise"));
    assert_false(file_exists(f->path));
}

static void weights_of_another_graph_are_refused(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    f->weights->n_ops--;
    assert_int_equal(export_onnx(f->graph, f->weights, NULL, f->path, &err), ESP_EINVAL);
    f->weights->n_ops++;
    assert_false(file_exists(f->path));
}

static void a_folder_that_is_not_there(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/none/subnet.onnx", f->folder);
    assert_int_not_equal(export_onnx(f->graph, f->weights, NULL, path, &err), 0);
    assert_true(err.message[0]);
}

/* A unit that can stand in a row and one that cannot. */
static void chain_holds_the_weights_of_all_links(void **state) {
    struct fixture *f = *state;
    int in_a_row = 0, beside = 0;
    struct graph *graph = NULL;
    struct arch arch;
    arch_max(f->space, &arch);
    assert_int_equal(graph_build(f->space, &arch, NULL, &graph), 0);
    for (int u = 0; u < graph->n_units; u++) {
        struct plan_weights *weights[3] = {NULL};
        struct graph *unit = NULL;
        struct err err = {0};
        char *data = NULL;
        size_t len = 0;
        assert_int_equal(graph_of_unit(graph, u, NULL, &unit), 0);
        for (int i = 0; i < 3; i++)
            assert_int_equal(plan_weights_random(unit, (uint64_t)(u * 3 + i), NULL, &weights[i]),
                             0);
        if (export_onnx_chain(unit, weights, 3, f->path, &err))
            fail_msg("%s", err.message);
        assert_int_equal(file_read(f->path, 1 << 24, NULL, &data, &len), 0);
        for (int i = 0; i < 3; i++)
            for (int op = 0; op < unit->n_ops; op++) {
                const struct op *o = &unit->ops[op];
                size_t n = (size_t)o->c_out * (o->kind == OP_DEPTHWISE ? 1 : (size_t)o->c_in) *
                           (size_t)o->kernel * (size_t)o->kernel * sizeof(float);
                const float *weight = weights[i]->ops[op].weight;
                assert_true(!weight || memmem(data, len, weight, n));
            }
        bool row = export_onnx_in_a_row(unit);
        assert_int_equal(row, unit->units[0].spec.residual);
        assert_int_equal(memmem(data, len, "link2.sum", 9) || memmem(data, len, "link1.sum", 9),
                         !row);
        in_a_row += row;
        beside += !row;
        for (int i = 0; i < 3; i++)
            plan_weights_destroy(weights[i]);
        free(data);
        free(unit);
    }
    free(graph);
    assert_true(in_a_row > 0 && beside > 0);
}

static void chains_of_no_length(void **state) {
    struct fixture *f = *state;
    struct plan_weights *weights[ONNX_LINKS_MAX + 1];
    struct err err = {0};
    for (int i = 0; i <= ONNX_LINKS_MAX; i++)
        weights[i] = f->weights;
    for (int n = -1; n <= 1; n++)
        assert_int_equal(export_onnx_chain(f->graph, weights, n, f->path, &err), ESP_EINVAL);
    assert_int_equal(export_onnx_chain(f->graph, weights, ONNX_LINKS_MAX + 1, f->path, &err),
                     ESP_EINVAL);
    assert_non_null(strstr(err.message, "links"));
    assert_false(file_exists(f->path));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_holds_all_weights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(missing_weights_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(weights_of_another_graph_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chain_holds_the_weights_of_all_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chains_of_no_length, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("supernet-export-onnx", tests, NULL, NULL);
}
