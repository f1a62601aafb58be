#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "latency/order.h"
#include "latency/predictor.h"
#include "space/cost.h"

struct fixture {
    struct space *space;
    struct unit_list *units;
    int *order;
};

static struct fixture set_up(const char *name) {
    struct fixture f;
    assert_int_equal(space_builtin(name, NULL, &f.space), 0);
    assert_int_equal(space_units(f.space, NULL, &f.units), 0);
    f.order = malloc((size_t)f.units->n * sizeof *f.order);
    assert_non_null(f.order);
    return f;
}

static void tear_down(struct fixture *f) {
    free(f->order);
    unit_list_destroy(f->units);
    space_destroy(f->space);
}

/* A board whose kernels change their speed with kernel size and number of channels. */
static double true_us(const struct graph *graph, int unit) {
    const struct unit_spec *spec = &graph->units[unit].spec;
    struct cost cost;
    unit_cost(graph, unit, &cost);
    double macs = (double)cost.macs / 8000, bytes = (double)cost.traffic_bytes / 4000;
    double speed = (1 + 0.2 * (spec->kernel == 5)) * (spec->c_out % 16 ? 1.15 : 1) *
                   (1 + 0.1 * sin((double)spec->c_in));
    return 3 + speed * (macs + bytes) + (spec->se_channels ? 4 : 0);
}

static void put(struct latency_table *table, const struct unit_entry *unit) {
    double us = true_us(unit->graph, 0);
    struct latency_entry e = {
        .median_us = us, .low_us = us, .high_us = us, .sd_us = 0, .n = 20, .method = 1};
    memcpy(e.signature, unit->signature, sizeof e.signature);
    assert_int_equal(latency_table_put(table, &e, NULL), 0);
}

/* Mean error of random networks by a table of the first n units of an order; infinite where one
 * cannot be told. */
static double error_after(const struct fixture *f, const int *order, int n) {
    struct latency_table *table;
    struct latency_predictor *predictor;
    double error = 0;
    enum { NETWORKS = 200 };
    assert_int_equal(latency_table_create("rev", NULL, &table), 0);
    for (int i = 0; i < n; i++)
        put(table, &f->units->entries[order[i]]);
    assert_int_equal(latency_predictor_create(f->space, table, &calibration_none, NULL, &predictor),
                     0);
    for (uint32_t i = 0; i < NETWORKS; i++) {
        struct rng rng = rng_make(5, RNG_TEST, 3, i);
        struct arch arch;
        struct graph *graph;
        struct latency_prediction p;
        double us = 0;
        arch_random(f->space, &rng, &arch);
        assert_int_equal(graph_build(f->space, &arch, NULL, &graph), 0);
        for (int u = 0; u < graph->n_units; u++)
            us += true_us(graph, u);
        assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
        error += p.state == LATENCY_MISSING ? INFINITY : fabs(p.us / us - 1) / NETWORKS;
        free(graph);
    }
    latency_predictor_destroy(predictor);
    latency_table_destroy(table);
    return error;
}

/* Kinds of units of which there are few, whole, then the others in any order. */
static void rare_kinds_first(const struct fixture *f, uint32_t seed, int *ret_order) {
    enum { KINDS = UNIT_HEAD_TAIL + 1, FEW = 30 };
    struct rng rng = rng_make(seed, RNG_TEST, 4, 0);
    int of_kind[KINDS] = {0}, n = 0;
    uint32_t *any = malloc((size_t)f->units->n * sizeof *any);
    assert_non_null(any);
    for (int i = 0; i < f->units->n; i++) {
        any[i] = (uint32_t)i;
        of_kind[f->units->entries[i].graph->units[0].spec.kind]++;
    }
    rng_shuffle_u32(&rng, any, (size_t)f->units->n);
    for (int few = 1; few >= 0; few--)
        for (int i = 0; i < f->units->n; i++)
            if ((of_kind[f->units->entries[any[i]].graph->units[0].spec.kind] <= FEW) == few)
                ret_order[n++] = (int)any[i];
    free(any);
}

static void every_missing_unit_once(void **state) {
    struct fixture f = set_up("fashion_small");
    struct latency_table *table;
    char *seen = calloc((size_t)f.units->n, 1);
    int n = latency_order(f.units, NULL, NULL, f.order), missing = 0;
    assert_int_equal(n, f.units->n);
    for (int i = 0; i < n; i++)
        assert_int_equal(seen[f.order[i]]++, 0);
    assert_int_equal(latency_table_create("rev", NULL, &table), 0);
    for (int i = 0; i < f.units->n; i += 3)
        put(table, &f.units->entries[i]);
    n = latency_order(f.units, table, NULL, f.order);
    for (int i = 0; i < n; i++) {
        assert_null(latency_table_find(table, f.units->entries[f.order[i]].signature));
        assert_int_equal(seen[f.order[i]]++, 1);
        missing++;
    }
    assert_int_equal(missing, f.units->n - table->n);
    latency_table_destroy(table);
    free(seen);
    tear_down(&f);
}

/* A table that is begun serves soon, and better than one that was filled in any order. */
static void what_matters_comes_first(void **state) {
    static const char *const names[] = {"fashion_small", "ofa_mbv3"};
    for (int k = 0; k < 2; k++) {
        struct fixture f = set_up(names[k]);
        int *any = malloc((size_t)f.units->n * sizeof *any);
        assert_non_null(any);
        assert_int_equal(latency_order(f.units, NULL, NULL, f.order), f.units->n);
        for (int percent = 20; percent <= 40; percent *= 2) {
            int n = f.units->n * percent / 100;
            double error = error_after(&f, f.order, n), others = 0;
            enum { ORDERS = 5 };
            for (uint32_t o = 0; o < ORDERS; o++) {
                rare_kinds_first(&f, o, any);
                others += error_after(&f, any, n) / ORDERS;
            }
            printf("# %s, %d of %d entries: error %.4f; in any order, rare kinds first, %.4f\n",
                   names[k], n, f.units->n, error, others);
            assert_true(isfinite(error) && error < others);
        }
        free(any);
        tear_down(&f);
    }
}

/* What is known already is asked for by nobody, and what resembles it matters less. */
static void what_is_known_makes_its_likes_wait(void **state) {
    struct fixture f = set_up("ofa_mbv3");
    struct latency_table *table;
    int *rank = malloc((size_t)f.units->n * sizeof *rank);
    double near = 0, far = 0;
    int n_near = 0, n_far = 0;
    assert_non_null(rank);
    assert_int_equal(latency_table_create("rev", NULL, &table), 0);
    for (int i = 0; i < f.units->n; i++) /* all of the first resolutions' blocks of kernel size 3 */
        if (f.units->entries[i].graph->units[0].spec.kernel == 3 && i < f.units->n / 2)
            put(table, &f.units->entries[i]);
    int n = latency_order(f.units, table, NULL, f.order);
    assert_true(n > 0);
    for (int i = 0; i < n / 4; i++) {
        const struct unit_spec *spec = &f.units->entries[f.order[i]].graph->units[0].spec;
        near += spec->kind == UNIT_BLOCK && spec->kernel == 3;
        far += spec->kind == UNIT_BLOCK && spec->kernel == 7;
    }
    for (int i = 0; i < n; i++) {
        const struct unit_spec *spec = &f.units->entries[f.order[i]].graph->units[0].spec;
        n_near += spec->kind == UNIT_BLOCK && spec->kernel == 3;
        n_far += spec->kind == UNIT_BLOCK && spec->kernel == 7;
    }
    assert_true(far / n_far > 1.5 * near / n_near);
    latency_table_destroy(table);
    free(rank);
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_missing_unit_once),
                                       cmocka_unit_test(what_matters_comes_first),
                                       cmocka_unit_test(what_is_known_makes_its_likes_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
