/* The simulated board, and the sampling rule on it: outliers, throttling steps and drift, against
 * what the board's model says without noise. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/stats.h"
#include "devices/health.h"
#include "devices/simulation.h"
#include "space/cost.h"

#define SUBJECT_US 2000.0 /* longer than a sample, so that a sample is one run */

static struct simulation_model model_of(const char *text) {
    struct simulation_model model;
    struct err err = {0};

    if (simulation_model_read(text, &err, &model))
        fail_msg("%s: %s", text, err.message);
    return model;
}

/* The quantile of a normal deviate, by bisection on erfc. */
static double normal_quantile(double p) {
    double low = -8, high = 8;

    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        *(0.5 * erfc(-middle / sqrt(2)) < p ? &low : &high) = middle;
    }
    return low;
}

/* The median of a run's time while a measurement was made: of the board's slowness over that time,
 * and of the noise, of which the slow outliers are the upper end. */
static double true_median(const struct simulation_model *model, int64_t from_ns, int64_t to_ns) {
    enum { MOMENTS = 401 };
    double slowness[MOMENTS];

    for (int i = 0; i < MOMENTS; i++)
        slowness[i] = simulation_slowness(model, from_ns + (to_ns - from_ns) * i / (MOMENTS - 1));
    return SUBJECT_US * stats_median(slowness, MOMENTS) *
           exp(model->noise * normal_quantile(0.5 / (1 - model->outliers)));
}

struct coverage {
    int sound, covered; /* measurements that nothing was found wrong with; the truth in them */
    int flagged;
};

static void measure_once(const struct simulation_model *model, const char *method, uint32_t index,
                         struct coverage *coverage) {
    enum { WARMUP_NS = 60000000 };
    struct simulation simulation;
    struct sampler_result r;
    struct err err = {0};

    simulation_start(model, SUBJECT_US, 1000, index, &simulation);
    struct sampler_source source = simulation_source(&simulation);
    int64_t from_ns = simulation.now_ns + WARMUP_NS;
    assert_int_equal(sampler_run(method_find(method), &source, &err, &r), 0);
    double truth = true_median(model, from_ns, simulation.now_ns);
    double floor = 2 * 1.2816 * model->noise; /* 90 % quantile − 10 % quantile */
    if (r.bimodal || r.noisy ||
        health_drifted(r.reference_before_us, r.reference_after_us, floor)) {
        coverage->flagged++;
    } else {
        coverage->sound++;
        coverage->covered += r.low_us <= truth && truth <= r.high_us;
    }
    sampler_result_finish(&r);
}

static void intervals_cover_on_disturbed_boards(void **state) {
    static const struct {
        const char *model, *method;
        int least_flagged, most_flagged; /* of 300 */
    } rows[] = {
        {"noise=0.02", "brief", 0, 15},
        {"noise=0.02", "full", 0, 15},
        {"noise=0.02,outliers=0.05", "brief", 0, 15},
        {"noise=0.02,outliers=0.05", "full", 0, 15},
        {"noise=0.02,outliers=0.2,outlier_factor=2", "full", 0, 100},
        {"noise=0.02,level_noise=0.02", "brief", 0, 15},
        {"noise=0.02,level_noise=0.02", "full", 0, 15},
        /* Short steps inside a measurement are found, or leave the interval right. */
        {"noise=0.02,throttle_every_s=1.37,throttle_s=0.1", "brief", 15, 150},
        {"noise=0.02,throttle_every_s=1.37,throttle_s=0.1", "full", 15, 150},
        {"noise=0.02,throttle_every_s=0.33,throttle_s=0.1", "brief", 60, 300},
        {"noise=0.02,throttle_every_s=3.1,throttle_s=1.3", "full", 15, 200},
        {"noise=0.02,throttle_every_s=0.5,throttle_s=0.2", "full", 290, 300},
        {"noise=0.02,drift_per_hour=0.1", "brief", 0, 15},
        {"noise=0.01,drift_per_hour=10", "full", 0, 15},
    };
    enum { N = 300 };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct simulation_model model = model_of(rows[i].model);
        struct coverage c = {0};
        for (uint32_t k = 0; k < N; k++)
            measure_once(&model, rows[i].method, 7 * k, &c);
        if (c.flagged < rows[i].least_flagged || c.flagged > rows[i].most_flagged ||
            c.covered * 100 < c.sound * 93)
            fail_msg("%s, %s: %d of %d covered, %d flagged", rows[i].model, rows[i].method,
                     c.covered, c.sound, c.flagged);
        simulation_model_finish(&model);
    }
}

static void same_seed_same_times(void **state) {
    struct simulation_model model = model_of("noise=0.1,outliers=0.1,seed=5"),
                            other = model_of("noise=0.1,outliers=0.1,seed=6");
    const struct simulation_model *models[] = {&model, &model, &other};
    int64_t ends[3];

    for (int i = 0; i < 3; i++) {
        struct simulation s;
        simulation_start(models[i], 100, 50, 3, &s);
        struct sampler_source source = simulation_source(&s);
        for (int k = 0; k < 100; k++)
            assert_int_equal(source.run(source.context), 0);
        ends[i] = s.now_ns;
    }
    assert_int_equal(ends[0], ends[1]);
    assert_int_not_equal(ends[0], ends[2]);
}

static void fates_come_as_often_as_asked(void **state) {
    struct simulation_model model = model_of("crash=0.1,hang=0.2,oom=0.05,unsupported=0.15");
    int counts[SIMULATION_REFUSES + 1] = {0};
    const double want[] = {0.5, 0.1, 0.2, 0.05, 0.15};
    enum { N = 4000 };

    for (uint32_t i = 0; i < N; i++) {
        struct simulation s;
        simulation_start(&model, 100, 50, i, &s);
        counts[s.fate]++;
    }
    for (int i = 0; i <= SIMULATION_REFUSES; i++)
        assert_true(fabs((double)counts[i] / N - want[i]) < 0.03);
}

static void lacking_memory_is_an_error_of_the_source(void **state) {
    struct simulation_model model = model_of("oom=1");
    struct simulation s;
    struct sampler_result r = {.n = -1};
    struct err err = {0};

    simulation_start(&model, 100, 50, 0, &s);
    struct sampler_source source = simulation_source(&s);
    assert_int_equal(sampler_run(method_find("brief"), &source, &err, &r), ESP_ENOMEM);
    assert_int_equal(r.n, -1);
    simulation_model_finish(&model);
}

static struct graph *largest(void) {
    struct space *space = NULL;
    struct graph *graph = NULL;
    struct arch arch;

    assert_int_equal(space_builtin("peer_32", NULL, &space), 0);
    arch_max(space, &arch);
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    space_destroy(space);
    return graph;
}

static void roofline(void **state) {
    struct graph *graph = largest();
    struct cost cost;
    assert_int_equal(graph_cost(graph, 4, NULL, &cost), 0);

    /* Memory without end: multiply-adds alone, 1 GMAC/s. */
    struct simulation_model model = model_of("gmacs=1,gbps=1e6,op_us=0,launch_us=0");
    double us = (double)cost.macs / 1e3;
    assert_true(fabs(simulation_graph_us(&model, graph) - us) < 0.01 * us);
    /* Arithmetic without end: at least the weights have to come, 1 GB/s. */
    model = model_of("gmacs=1e6,gbps=1,op_us=0,launch_us=0");
    assert_true(simulation_graph_us(&model, graph) > (double)cost.model_bytes / 1e3);
    model = model_of("gmacs=1e6,gbps=1e6,op_us=3,launch_us=7");
    us = 7 + 3.0 * graph->n_ops;
    assert_true(fabs(simulation_graph_us(&model, graph) - us) < 0.01 * us);
    free(graph);
}

static void table_of_units_from_a_file(void **state) {
    char path[] = "/tmp/espalier-sim-XXXXXX";
    struct graph *graph = largest();
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_true(dprintf(fd, "{\"launch_us\": 5, \"units\": {") > 0);
    for (int i = 0; i < graph->n_units; i++) { /* a signature may come again: the first counts */
        bool again = false;
        for (int k = 0; k < i; k++)
            again |= !strcmp(graph->units[k].signature, graph->units[i].signature);
        if (!again)
            dprintf(fd, "%s\"%s\": 11", i ? ", " : "", graph->units[i].signature);
    }
    dprintf(fd, "}}");
    close(fd);
    struct simulation_model model = model_of(path);
    assert_true(fabs(simulation_graph_us(&model, graph) - (5 + 11.0 * graph->n_units)) < 1e-6);
    simulation_model_finish(&model);
    unlink(path);
    free(graph);
}

static void wrong_models_are_refused(void **state) {
    static const char *const texts[] = {
        "noise",     "=1",          "noise=",  "noise=-1",  "noise=nan",
        "noise=inf", "noise=x",     "gmacs=0", "noise=1,,", "noise=1,noise=2",
        "speed=3",   "lie=perhaps", "crash=2", "units=3",   "no-such-file",
        "lie=1"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct simulation_model model = {.seed = 42};
        struct err err = {0};
        if (!simulation_model_read(texts[i], &err, &model) || !err.message[0] || model.seed != 42)
            fail_msg("%s was taken", texts[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_cover_on_disturbed_boards),
        cmocka_unit_test(same_seed_same_times),
        cmocka_unit_test(fates_come_as_often_as_asked),
        cmocka_unit_test(lacking_memory_is_an_error_of_the_source),
        cmocka_unit_test(roofline),
        cmocka_unit_test(table_of_units_from_a_file),
        cmocka_unit_test(wrong_models_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
