/* The best network within a latency limit by once-for-all's own accuracy predictor and latency
 * tables of the Note 10: ofa_search PREDICTOR.pth LIMIT_MS STRATEGY|all TABLE.yaml…  Prints JSON
 * objects, one a line, for check-constrained-search: the tables' sums, what is drawn within the
 * limit, and of each strategy with ten seeds the best networks, their predicted top-1 in per cent
 * after 600 evaluations and at the end, and the median of the seconds on one core. LIMIT_MS 0: no
 * limit, two objectives, and in place of the best the front's hypervolume in per cent of the box
 * from 70 % and 100 ms to 100 % and 0 ms. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/stats.h"
#include "latency/ofa_table.h"
#include "latency/predictor.h"
#include "search/loop.h"
#include "search/ofa_predictor.h"
#include "supernet/tensor_file.h"

enum {
    TABLES_MAX = 8,
    SEEDS = 10,
    POPULATION = 50,
    EARLY = 600,
    BUDGET = 50100,
    RANDOM = 50000,
    DEFAULT_POPULATION = 64,
    DEFAULT_BUDGET = 4000
};

struct device {
    struct space *space; /* with the tables' resolutions */
    struct latency_predictor *latency[TABLES_MAX];
    struct ofa_predictor *accuracy;
    int resolution; /* that units are asked for */
};

static void die(const struct err *err) {
    fprintf(stderr, "ofa_search: %s\n", err->message);
    exit(1);
}

static void read_tables(struct device *device, char **paths, int n) {
    struct err err = {0};
    struct latency_table *tables[TABLES_MAX];
    struct space *whole;
    int resolutions[TABLES_MAX];
    if (space_builtin("ofa_mbv3_w12", &err, &whole) < 0)
        die(&err);
    for (int i = 0; i < n; i++) {
        struct ofa_table_report report;
        if (ofa_table_read(paths[i], whole, &err, &report, &tables[i]) < 0)
            die(&err);
        resolutions[i] = report.resolution;
        if (i > 0 && resolutions[i] <= resolutions[i - 1]) {
            err_set(&err, ESP_EINVAL, NULL, "tables must come in rising order of resolution");
            die(&err);
        }
    }
    if (space_narrow(whole, resolutions, n, &err, &device->space) < 0)
        die(&err);
    space_destroy(whole);
    for (int i = 0; i < n; i++)
        if (latency_predictor_create(device->space, tables[i], &calibration_none, &err,
                                     &device->latency[i]) < 0)
            die(&err);
}

static float *read_tensor(const struct tensor_file *file, const char *name, int64_t count) {
    struct err err = {0};
    for (int i = 0; i < file->n; i++)
        if (strcmp(file->tensors[i].name, name) == 0 && file->tensors[i].count == count) {
            float *values = mem_array((size_t)count, sizeof *values);
            foreign_tensor_read(&file->tensors[i], values);
            return values;
        }
    err_set(&err, ESP_ENOTFOUND, NULL, "no tensor %s of %lld numbers", name, (long long)count);
    die(&err);
    return NULL;
}

static void read_predictor(struct device *device, const char *path) {
    enum { IN = OFA_PREDICTOR_CHOICES + 8, H = OFA_PREDICTOR_HIDDEN };
    static const struct {
        const char *weight, *bias;
        int64_t outputs, inputs;
    } layers[OFA_PREDICTOR_LAYERS] = {{"0.weight", "0.bias", H, IN},
                                      {"2.weight", "2.bias", H, H},
                                      {"4.weight", "4.bias", H, H},
                                      {"6.weight", "6.bias", 1, H}};
    struct err err = {0};
    struct tensor_file *file;
    struct ofa_predictor_weights weights;
    ofa_predictor_tutorial_resolutions(&weights);
    if (tensor_file_open(path, &err, &file) < 0)
        die(&err);
    for (int l = 0; l < OFA_PREDICTOR_LAYERS; l++) {
        weights.weight[l] =
            read_tensor(file, layers[l].weight, layers[l].outputs * layers[l].inputs);
        weights.bias[l] = read_tensor(file, layers[l].bias, layers[l].outputs);
    }
    tensor_file_close(file);
    if (ofa_predictor_create(device->space, &weights, &err, &device->accuracy) < 0)
        die(&err);
}

static int predict_accuracy(void *context, struct evaluation *evaluations, int n, struct err *err) {
    const struct device *device = context;
    static const struct arch *archs[BUDGET];
    static double top1[BUDGET];
    for (int i = 0; i < n; i++)
        archs[i] = evaluations[i].arch;
    ofa_predictor_run(device->accuracy, archs, n, top1);
    (void)err;
    for (int i = 0; i < n; i++) {
        evaluations[i].values[0] = (struct metric){top1[i], top1[i], top1[i], METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static int predict_latency(void *context, struct evaluation *evaluations, int n, struct err *err) {
    const struct device *device = context;
    for (int i = 0; i < n; i++) {
        const struct arch *arch = evaluations[i].arch;
        struct latency_prediction p;
        int code = latency_predictor_run(device->latency[arch->resolution], arch, err, &p);
        if (code < 0)
            return code;
        evaluations[i].values[0] = (struct metric){p.us, p.us, p.us, METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static int descend_accuracy(void *context, int metric, const struct relaxed_shape *shape,
                            const double *point, struct err *err, double *ret_value,
                            double *ret_gradient) {
    const struct device *device = context;
    (void)metric;
    (void)err;
    ofa_predictor_gradient(device->accuracy, shape, point, ret_value, ret_gradient);
    return 0;
}

static double unit_us(void *context, const struct graph *graph, int unit) {
    const struct device *device = context;
    return latency_predictor_unit_us(device->latency[device->resolution], graph, unit);
}

static void set_resolution(void *context, int resolution) {
    ((struct device *)context)->resolution = resolution;
}

static bool latency_sum(void *context, int metric, struct additive_metric *ret_metric) {
    (void)metric;
    *ret_metric = (struct additive_metric){
        .cost = {.unit = unit_us, .context = context, .resolution = set_resolution}};
    return true;
}

static struct additive_cost cost_of(struct device *device) {
    struct additive_metric metric;
    latency_sum(device, 0, &metric);
    return metric.cost;
}

/* What of the space is within the limit, and how long it takes to draw from there. */
static void draw(struct device *device, double limit_ms) {
    enum { DRAWS = 10000 };
    struct err err = {0};
    struct constrained_limit limit = {.cost = cost_of(device), .bound = 1000 * limit_ms};
    struct constrained *constrained;
    struct arch arch;
    double least, sum = 0, most = 0;
    int64_t start = clock_mono_ns();
    if (additive_min(device->space, &limit.cost, &err, &least, &arch) < 0 ||
        constrained_create(device->space, &limit, 1, &err, &constrained) < 0)
        die(&err);
    int64_t made = clock_mono_ns();
    for (uint32_t i = 0; i < DRAWS; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 3, i);
        struct latency_prediction p;
        if (!constrained_draw(constrained, &rng, 1, &arch) ||
            latency_predictor_run(device->latency[arch.resolution], &arch, &err, &p) < 0)
            die(&err);
        sum += p.us / DRAWS;
        most = fmax(most, p.us);
    }
    double seconds = (double)(clock_mono_ns() - made) / 1e9;
    printf("{\"least_ms\": %.17g, \"share\": %.17g, \"draws\": %d, \"mean_ms\": %.17g, "
           "\"most_ms\": %.17g, \"prepare_ms\": %.3f, \"draw_us\": %.3f}\n",
           least / 1e3, constrained_share(constrained), DRAWS, sum / 1e3, most / 1e3,
           (double)(made - start) / 1e6, 1e6 * seconds / DRAWS);
    fflush(stdout);
    constrained_destroy(constrained);
}

/* Per cent, NAN before any subnet is within the limit. */
static double best_of(struct search_loop *loop, char ret_arch[ARCH_TEXT_MAX]) {
    struct err err = {0};
    struct archive *archive = search_loop_archive(loop);
    const int *front;
    int n;
    ret_arch[0] = 0;
    if (archive_front(archive, &front, &n) < 0)
        die(&err);
    if (n == 0)
        return NAN;
    arch_format(archive->space, &archive->candidates[front[0]].arch, ret_arch);
    return -100 * archive_costs(archive, front[0])[0];
}

#define BOX_TOP1 0.7
#define BOX_US 100e3

static double share_of_box(const struct generation *generation) {
    return 100 * generation->hypervolume / ((1 - BOX_TOP1) * BOX_US);
}

struct row {
    const char *strategy;
    int64_t budget;
    int population;
    bool derivatives; /* the accuracy has them, for the strategy that goes by them */
};
static const struct row rows[] = {{"evolution", BUDGET, POPULATION, false},
                                  {"nsga2", BUDGET, POPULATION, false},
                                  {"aging", BUDGET, POPULATION, false},
                                  {"random", RANDOM, POPULATION, false},
                                  {"linas", EARLY, POPULATION, false},
                                  {"gradient", EARLY, POPULATION, false},
                                  {"gradient", EARLY, POPULATION, true},
                                  {"reinforcement", 5 * EARLY, POPULATION, false},
                                  {"nsga2", DEFAULT_BUDGET, DEFAULT_POPULATION, false},
                                  {"nsga2", 2 * DEFAULT_BUDGET, DEFAULT_POPULATION, false},
                                  {"nsga2", 3 * DEFAULT_BUDGET, DEFAULT_POPULATION, false},
                                  {"nsga2", 5 * DEFAULT_BUDGET, DEFAULT_POPULATION, false},
                                  {"nsga2", 10 * DEFAULT_BUDGET, DEFAULT_POPULATION, false}};

/* What one seed found. */
struct found {
    double early, top1, seconds; /* per cent */
    char arch[ARCH_TEXT_MAX];
};

static void run(struct device *device, double limit_ms, const struct row *row, uint64_t seed,
                struct found *ret) {
    static const char *const keys[] = {"top1", "latency_us:note10"};
    const struct evaluator evaluators[] = {{.n_metrics = 1,
                                            .keys = keys,
                                            .context = device,
                                            .submit = predict_accuracy,
                                            .gradient = row->derivatives ? descend_accuracy : NULL},
                                           {.n_metrics = 1,
                                            .keys = keys + 1,
                                            .cheap = true,
                                            .context = device,
                                            .submit = predict_latency,
                                            .additive = latency_sum}};
    const struct goals goals = {.n_metrics = 2,
                                .keys = {"top1", "latency_us:note10"},
                                .n_objectives = limit_ms > 0 ? 1 : 2,
                                .objectives = {{0, true}, {1, false}},
                                .n_constraints = limit_ms > 0,
                                .constraints = {{1, true, 1000 * limit_ms}}};
    struct search_loop_config config = {
        .space = device->space,
        .goals = &goals,
        .evaluators = evaluators,
        .n_evaluators = 2,
        .strategy = row->strategy,
        .strategy_config = strategy_config_default(device->space, goals.n_objectives, seed),
        .budget = row->budget,
        .batch = row->population,
        .reference = {-BOX_TOP1, BOX_US}};
    struct err err = {0};
    struct search_loop *loop;
    struct generation generation, last = {0};
    ret->early = NAN;
    config.strategy_config.population = row->population;
    int64_t began = clock_mono_ns();
    int more = search_loop_create(&config, &err, &loop);
    while (more >= 0 && (more = search_loop_step(loop, &err, &generation)) > 0) {
        last = generation;
        if (search_loop_evaluations(loop) == EARLY)
            ret->early = limit_ms > 0 ? best_of(loop, ret->arch) : share_of_box(&generation);
    }
    if (more < 0)
        die(&err);
    ret->seconds = (double)(clock_mono_ns() - began) / 1e9;
    ret->top1 = limit_ms > 0 ? best_of(loop, ret->arch) : share_of_box(&last);
    search_loop_destroy(loop);
}

static void print_number(const char *before, double value) {
    isnan(value) ? printf("%snull", before) : printf("%s%.17g", before, value);
}

static void compare(struct device *device, double limit_ms, const struct row *row) {
    static struct found found[SEEDS];
    double seconds[SEEDS];
    for (int s = 0; s < SEEDS; s++) {
        run(device, limit_ms, row, (uint64_t)s + 1, &found[s]);
        seconds[s] = found[s].seconds;
    }
    printf("{\"strategy\": \"%s\", \"derivatives\": %s, \"evaluations\": %lld, \"seconds\": %.4f, "
           "\"early\": ",
           row->strategy, row->derivatives ? "true" : "false", (long long)row->budget,
           stats_median(seconds, SEEDS));
    for (int s = 0; s < SEEDS; s++)
        print_number(s ? ", " : "[", found[s].early);
    printf("], \"top1\": ");
    for (int s = 0; s < SEEDS; s++)
        print_number(s ? ", " : "[", found[s].top1);
    printf("], \"archs\": ");
    for (int s = 0; s < SEEDS; s++)
        printf("%s\"%s\"", s ? ", " : "[", found[s].arch);
    printf("]}\n");
    fflush(stdout);
}

static void print_sums(const struct device *device) {
    printf("{\"sums_ms\": ");
    for (int r = 0; r < device->space->n_resolutions; r++) {
        struct err err = {0};
        struct latency_prediction least, most;
        struct arch min, max;
        arch_min(device->space, &min);
        arch_max(device->space, &max);
        min.resolution = max.resolution = (uint8_t)r;
        if (latency_predictor_run(device->latency[r], &min, &err, &least) < 0 ||
            latency_predictor_run(device->latency[r], &max, &err, &most) < 0)
            die(&err);
        printf("%s\"%d\": [%.17g, %.17g]", r ? ", " : "{", device->space->resolutions[r],
               least.us / 1000, most.us / 1000);
    }
    printf("}}\n");
}

int main(int argc, char **argv) {
    enum { FIXED = 4 };
    struct device device = {0};
    if (argc <= FIXED || argc - FIXED > TABLES_MAX) {
        fprintf(stderr, "usage: ofa_search PREDICTOR.pth LIMIT_MS STRATEGY|all TABLE.yaml...\n");
        return 2;
    }
    const char *only = strcmp(argv[3], "all") == 0 ? NULL : argv[3];
    read_tables(&device, argv + FIXED, argc - FIXED);
    read_predictor(&device, argv[1]);
    print_sums(&device);
    double limit_ms = strtod(argv[2], NULL);
    if (limit_ms > 0)
        draw(&device, limit_ms);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!only || strcmp(only, rows[i].strategy) == 0)
            compare(&device, limit_ms, &rows[i]);
    return 0;
}
