#include "latency/laboratory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/stats.h"

const char *const laboratory_choice_names[] = {"random", "spread", "useful", NULL};

/* What another source's error must be below, as a share of the first one's: with few known networks
 * chance would decide. */
#define FIRST_SOURCE 0.75
enum { ENTRIES_BYTES_MAX = 256 << 20 };

/* Sums of networks, by a table or by what stands in for it, and what the rungs ask of them. */
struct source {
    double *sum;                    /* [n] */
    double *likeness[LADDER_RUNGS]; /* [n][n] or NULL */
    struct ladder_networks networks;
};

/* Networks with a sum. */
struct bench {
    size_t n;
    double *measured;   /* [n] */
    uint32_t *network;  /* [n]: number in the profile */
    size_t n_ops;       /* of the networks of the profile, its first ones */
    double *op_us;      /* [n_ops]: by the table without the op's own network */
    double *covariance; /* [n][n] or NULL */
    int n_sources;      /* of which each split takes one; 1 with a table */
    struct source sources[LABORATORY_STAND_INS_MAX];
};

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for a comparison of predictions");
}

/* Sums over equal ops that were measured, of all networks and of the one that comes next in the
 * list. */
struct key_sum {
    double us, own_us;
    int n, own_n;
    int own; /* network of own_us and own_n */
};

/* What answers for ops, and how it did. */
struct table {
    struct key_sum *sums; /* [keys] */
    struct interpolator *interpolator;
    size_t exact, interpolated, judged;   /* answers; of the interpolated those that have a time */
    double log_error, log_error_expected; /* sums of squares over those */
};

static int table_make(const struct laboratory_profile *profile, struct err *err,
                      struct table *table) {
    table->sums = mem_array(profile->n_keys + 1, sizeof *table->sums);
    int code = table->sums ? interpolator_create(err, &table->interpolator) : out_of_memory(err);
    for (size_t i = 0; code == 0 && i < profile->n_keys; i++)
        table->sums[i].own = INTERPOLATION_GROUP_NONE;
    for (size_t i = 0; code == 0 && i < profile->n_ops; i++) {
        const struct laboratory_op *op = &profile->ops[i];
        if (isnan(op->sample.us))
            continue;
        table->sums[op->key].us += op->sample.us;
        table->sums[op->key].n++;
        if (op->sample.us > 0)
            code = interpolator_add(table->interpolator, &op->sample, err);
    }
    return code;
}

static void add_own(struct key_sum *sum, const struct laboratory_op *op) {
    if (sum->own != op->sample.group) {
        sum->own = op->sample.group;
        sum->own_us = 0;
        sum->own_n = 0;
    }
    if (isnan(op->sample.us))
        return;
    sum->own_us += op->sample.us;
    sum->own_n++;
}

static double square(double x) {
    return x * x;
}

/* By the other networks; 0 if they cannot tell. */
static double ask(struct table *table, const struct laboratory_op *op) {
    const struct key_sum *sum = &table->sums[op->key];
    struct interpolation answer;
    if (sum->n > sum->own_n) {
        table->exact++;
        return (sum->us - sum->own_us) / (sum->n - sum->own_n);
    }
    if (!interpolator_ask(table->interpolator, &op->sample, op->sample.group, &answer))
        return 0;
    table->interpolated++;
    if (op->sample.us > 0) {
        table->judged++;
        table->log_error += square(log(answer.us / op->sample.us));
        table->log_error_expected += square(answer.log_sd);
    }
    return answer.us;
}

/* Ops of a network stand together (the reader sees to that), so one pass per network counts what is
 * its own and a second one asks. */
static void time_ops(const struct laboratory_op *ops, size_t n, struct table *table,
                     double *op_us) {
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && ops[end].sample.group == ops[begin].sample.group; end++)
            add_own(&table->sums[ops[end].key], &ops[end]);
        for (size_t i = begin; i < end; i++)
            op_us[i] = ask(table, &ops[i]);
    }
}

static size_t count_judged_ops(const struct laboratory_profile *profile) {
    size_t n = 0;
    while (n < profile->n_ops && (size_t)profile->ops[n].sample.group < profile->n_networks)
        n++;
    return n;
}

static int make_op_times(const struct laboratory_profile *profile, struct err *err,
                         struct bench *bench, struct laboratory_report *report) {
    struct table table = {0};
    size_t n = bench->n_ops = count_judged_ops(profile);
    bench->op_us = mem_array(n + 1, sizeof *bench->op_us);
    int code = bench->op_us ? table_make(profile, err, &table) : out_of_memory(err);
    if (code == 0)
        time_ops(profile->ops, n, &table, bench->op_us);
    report->n_ops = n;
    report->n_ops_unpredicted = n - table.exact - table.interpolated;
    report->exact = n ? (double)table.exact / (double)n : 0;
    report->log_error = sqrt(table.log_error / fmax(1, (double)table.judged));
    report->log_error_expected = sqrt(table.log_error_expected / fmax(1, (double)table.judged));
    interpolator_destroy(table.interpolator);
    free(table.sums);
    return code;
}

static double fleet_mean(const struct laboratory_profile *profile, size_t network) {
    return stats_mean(profile->fleet_log_us + network * profile->n_fleet, profile->n_fleet);
}

/* Those networks whose sum is not 0. */
static int keep_networks(const struct laboratory_profile *profile, const double *sum,
                         struct err *err, struct bench *bench) {
    bench->measured = mem_array(profile->n_networks, sizeof *bench->measured);
    bench->network = mem_array(profile->n_networks, sizeof *bench->network);
    if (!bench->measured || !bench->network)
        return out_of_memory(err);
    for (size_t i = 0; i < profile->n_networks; i++)
        if (!sum || sum[i] > 0) {
            bench->measured[bench->n] = profile->measured_us[i];
            bench->network[bench->n++] = (uint32_t)i;
        }
    return 0;
}

/* One more source, its sums still to be filled in. */
static struct source *add_source(struct bench *bench, bool stand_in, struct err *err) {
    struct source *source = &bench->sources[bench->n_sources];
    source->sum = mem_array(bench->n + 1, sizeof *source->sum);
    if (!source->sum) {
        out_of_memory(err);
        return NULL;
    }
    source->networks = (struct ladder_networks){
        .n = bench->n, .sum_us = source->sum, .measured_us = bench->measured, .stand_in = stand_in};
    bench->n_sources++;
    return source;
}

static int sum_by_table(const struct laboratory_profile *profile, struct err *err,
                        struct bench *bench) {
    double *sum = mem_array(profile->n_networks, sizeof *sum);
    struct source *source = NULL;
    if (!sum)
        return out_of_memory(err);
    for (size_t i = 0; i < bench->n_ops; i++)
        sum[profile->ops[i].sample.group] += bench->op_us[i];
    int code = keep_networks(profile, sum, err, bench);
    if (code == 0 && bench->n == 0)
        code = err_set(err, ESP_EINVAL, NULL, "of no network an op could be predicted");
    if (code == 0 && !(source = add_source(bench, false, err)))
        code = ESP_ENOMEM;
    for (size_t i = 0; code == 0 && i < bench->n; i++)
        source->sum[i] = sum[bench->network[i]];
    free(sum);
    return code;
}

/* Stand-ins have no unit: the ladder finds their scale, on known networks alone. Where the fleet is
 * small, a column of costs may be better; each split tries on the networks that it knows. */
static int sum_by_stand_ins(const struct laboratory_profile *profile, struct err *err,
                            struct bench *bench, struct laboratory_report *report) {
    bool fleet = profile->n_fleet > 0, weak = profile->n_fleet < LABORATORY_FLEET_MIN;
    struct source *source;
    int code = keep_networks(profile, NULL, err, bench);
    if (code == 0 && fleet) {
        report->stand_ins[bench->n_sources] =
            (struct laboratory_stand_in){.name = "fleet", .weak = weak};
        if (!(source = add_source(bench, true, err)))
            return ESP_ENOMEM;
        for (size_t i = 0; i < bench->n; i++)
            source->sum[i] = exp(fleet_mean(profile, i));
    }
    for (int c = 0; code == 0 && weak && c < profile->n_costs; c++) {
        report->stand_ins[bench->n_sources] =
            (struct laboratory_stand_in){.name = profile->cost_names[c], .weak = true};
        if (!(source = add_source(bench, true, err)))
            return ESP_ENOMEM;
        memcpy(source->sum, profile->costs[c], bench->n * sizeof *source->sum);
    }
    report->n_stand_ins = bench->n_sources;
    return code < 0 || bench->n_sources > 0
               ? code
               : err_set(err, ESP_EINVAL, NULL,
                         "nothing tells networks apart: give ops (--ops), times on another board "
                         "(a column whose name begins otherwise; %d or more tell most), or a "
                         "column %s with a positive number for each network",
                         LABORATORY_FLEET_MIN, LABORATORY_COSTS_TEXT);
}

/* features [n][n_features], which it takes. */
static int add_likeness(struct source *source, enum ladder_rung rung, double *features,
                        size_t n_features, struct err *err) {
    size_t n = source->networks.n;
    double *likeness = mem_array(n * n, sizeof *likeness);
    if (features && likeness)
        ladder_likeness(features, n, n_features, likeness);
    int code = features && likeness ? 0 : out_of_memory(err);
    source->likeness[rung] = likeness;
    source->networks.likeness[rung] = likeness;
    free(features);
    return code;
}

/* What the kinds of ops, or the ops themselves, have of a network's sum. */
static int share_likeness(const struct laboratory_profile *profile, enum ladder_rung rung,
                          struct err *err, struct bench *bench) {
    size_t n_features = rung == LADDER_KINDS ? (size_t)INTERPOLATION_KINDS_MAX : profile->n_keys;
    double *features = mem_array(bench->n * n_features, sizeof *features);
    int64_t *row = mem_array(profile->n_networks, sizeof *row);
    if (!features || !row) {
        free(features);
        free(row);
        return out_of_memory(err);
    }
    for (size_t i = 0; i < profile->n_networks; i++)
        row[i] = -1;
    for (size_t i = 0; i < bench->n; i++)
        row[bench->network[i]] = (int64_t)i;
    for (size_t i = 0; i < bench->n_ops; i++) {
        const struct laboratory_op *op = &profile->ops[i];
        int64_t at = row[op->sample.group];
        size_t column = rung == LADDER_KINDS ? (size_t)op->sample.kind : op->key;
        if (at >= 0)
            features[(size_t)at * n_features + column] +=
                bench->op_us[i] / bench->sources[0].sum[at];
    }
    free(row);
    return add_likeness(&bench->sources[0], rung, features, n_features, err);
}

/* Of the first source: the table or the fleet itself. */
static int fleet_likeness(const struct laboratory_profile *profile, struct err *err,
                          struct bench *bench) {
    struct source *source = &bench->sources[0];
    double *features = mem_array(bench->n * profile->n_fleet, sizeof *features);
    for (size_t i = 0; features && i < bench->n; i++)
        for (size_t p = 0; p < profile->n_fleet; p++)
            features[i * profile->n_fleet + p] =
                profile->fleet_log_us[bench->network[i] * profile->n_fleet + p] -
                log(source->sum[i]);
    return add_likeness(source, LADDER_FLEET, features, profile->n_fleet, err);
}

static void bench_finish(struct bench *bench) {
    for (int s = 0; s < bench->n_sources; s++) {
        for (int r = 0; r < LADDER_RUNGS; r++)
            free(bench->sources[s].likeness[r]);
        free(bench->sources[s].sum);
    }
    free(bench->measured);
    free(bench->network);
    free(bench->op_us);
    free(bench->covariance);
}

/* So many ops that what each network has of each would take gigabytes, and hours to compare. */
static bool too_many_entries(const struct laboratory_profile *profile, const struct bench *bench) {
    return profile->n_keys > ENTRIES_BYTES_MAX / sizeof(double) / (bench->n + 1);
}

static int bench_make(const struct laboratory_profile *profile, struct err *err,
                      struct bench *bench, struct laboratory_report *report) {
    bool table = profile->n_ops > 0;
    size_t fleet_min = table ? LABORATORY_FLEET_MIN : 2;
    int code = make_op_times(profile, err, bench, report);
    if (code == 0)
        code = table ? sum_by_table(profile, err, bench)
                     : sum_by_stand_ins(profile, err, bench, report);
    if (code == 0 && table)
        code = share_likeness(profile, LADDER_KINDS, err, bench);
    if (code == 0 && profile->n_fleet >= fleet_min)
        code = fleet_likeness(profile, err, bench);
    report->entries_skipped = code == 0 && table && too_many_entries(profile, bench);
    if (code == 0 && table && !report->entries_skipped)
        code = share_likeness(profile, LADDER_ENTRIES, err, bench);
    return code;
}

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t kept = *a;
    *a = *b;
    *b = kept;
}

/* All splits of one size. */
struct trial {
    const struct bench *bench;
    size_t size, pool, given;
    int splits;
    uint64_t seed;
    enum laboratory_choice choice;
    struct latency_quality *qualities; /* [splits][LABORATORY_ROWS] */
    int *chosen;                       /* [splits]: a rung, or an error */
    int *source;                       /* [splits]: of the bench */
};

static void judge(const struct trial *trial, const struct ladder *ladder, enum ladder_rung rung,
                  const uint32_t *order, double *scratch, struct latency_quality *ret) {
    const struct bench *bench = trial->bench;
    size_t n = bench->n - trial->pool;
    double *us = scratch, *low = us + n, *high = low + n, *measured = high + n;
    double factor = ladder_interval_factor(ladder, rung);
    for (size_t i = 0; i < n; i++) {
        uint32_t network = order[trial->pool + i];
        us[i] = ladder_predict(ladder, rung, network);
        low[i] = us[i] / factor;
        high[i] = us[i] * factor;
        measured[i] = bench->measured[network];
    }
    latency_quality_compute(us, rung == LADDER_SUM ? NULL : low, rung == LADDER_SUM ? NULL : high,
                            measured, n, ret);
}

/* Behind those that are given, the first size of the pool become those that are nearest to even
 * steps between its ends. */
static void choose_spread(const struct trial *trial, uint32_t *pool) {
    const double *sum = trial->bench->sources[0].sum;
    size_t n = trial->pool - trial->given, wanted = trial->size - trial->given;
    if (wanted == 0)
        return;
    pool += trial->given;
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && sum[pool[j]] < sum[pool[j - 1]]; j--)
            swap(&pool[j], &pool[j - 1]);
    double low = sum[pool[0]], high = sum[pool[n - 1]];
    for (size_t i = 0; i < wanted; i++) {
        double target = low + (high - low) * (double)(i + 1) / (double)(wanted + 1);
        size_t nearest = i;
        for (size_t j = i; j < n; j++)
            if (fabs(sum[pool[j]] - target) < fabs(sum[pool[nearest]] - target))
                nearest = j;
        swap(&pool[i], &pool[nearest]);
    }
}

/* The same for the most useful of the pool. */
static int choose_useful(const struct trial *trial, uint32_t *pool) {
    size_t n = trial->pool, given = trial->given;
    double *covariance = mem_array(n * n, sizeof *covariance);
    uint32_t *chosen = mem_array(n, sizeof *chosen); /* those that are given first */
    struct design design = {.n = n, .covariance = covariance};
    int code = covariance && chosen ? 0 : ESP_ENOMEM;
    for (size_t i = 0; code == 0 && i < n * n; i++)
        covariance[i] = trial->bench->covariance[pool[i / n] * trial->bench->n + pool[i % n]];
    for (size_t i = 0; code == 0 && i < given; i++)
        chosen[i] = (uint32_t)i;
    if (code == 0)
        code =
            design_choose(&design, chosen, given, trial->size - given, NULL, chosen + given, NULL);
    for (size_t i = 0; code == 0 && i < trial->size; i++)
        chosen[i] = pool[chosen[i]];
    for (size_t i = 0; code == 0 && i < trial->size; i++)
        for (size_t j = i; j < n; j++)
            if (pool[j] == chosen[i])
                swap(&pool[i], &pool[j]);
    free(covariance);
    free(chosen);
    return code;
}

static int choose(const struct trial *trial, uint32_t *pool) {
    switch (trial->choice) {
    case LABORATORY_RANDOM:
        return 0;
    case LABORATORY_SPREAD:
        choose_spread(trial, pool);
        return 0;
    case LABORATORY_USEFUL:
        return choose_useful(trial, pool);
    }
    return ESP_EINTERNAL;
}

/* The ladder on the source that predicts best what is known and was left out; on the first one, the
 * fleet if there is one, unless another is clearly better. */
static int fit_best(const struct bench *bench, const uint32_t *known, size_t n, int *ret_source,
                    struct ladder **ret_ladder) {
    double least = INFINITY;
    for (int s = 0; s < bench->n_sources; s++) {
        struct ladder *ladder;
        int code = ladder_fit(&bench->sources[s].networks, known, n, NULL, &ladder);
        if (code < 0)
            return code;
        double loss = ladder_loss(ladder, ladder_chosen(ladder)) * (s == 0 ? FIRST_SOURCE : 1);
        bool better = s == 0 || loss < least;
        ladder_destroy(better ? *ret_ladder : ladder);
        if (better) {
            least = loss;
            *ret_ladder = ladder;
            *ret_source = s;
        }
    }
    return 0;
}

static void run_split(void *context, int split, int thread) {
    struct trial *trial = context;
    const struct bench *bench = trial->bench;
    struct latency_quality *row = trial->qualities + (size_t)split * LABORATORY_ROWS;
    struct rng rng = rng_make(trial->seed, RNG_SPLIT, trial->pool, (uint32_t)split);
    uint32_t *order = mem_array(bench->n, sizeof *order);
    double *scratch = mem_array(4 * bench->n, sizeof *scratch);
    struct ladder *ladder = NULL;
    int code = order && scratch ? 0 : ESP_ENOMEM;
    (void)thread;
    for (size_t i = 0; code == 0 && i < bench->n; i++)
        order[i] = (uint32_t)i;
    if (code == 0) {
        rng_shuffle_u32(&rng, order, bench->n);
        code = choose(trial, order);
    }
    if (code == 0)
        code = fit_best(bench, order, trial->size, &trial->source[split], &ladder);
    for (int r = 0; code == 0 && r < LADDER_RUNGS; r++)
        if (isfinite(ladder_loss(ladder, (enum ladder_rung)r)))
            judge(trial, ladder, (enum ladder_rung)r, order, scratch, &row[r]);
    if (code == 0) {
        enum ladder_rung rung = ladder_chosen(ladder);
        row[LABORATORY_LADDER] = row[rung == LADDER_SUM ? LADDER_LINE : rung];
        code = (int)rung;
    }
    trial->chosen[split] = code;
    ladder_destroy(ladder);
    free(order);
    free(scratch);
}

static void summarise(const struct trial *trial, int row, double *mape,
                      struct laboratory_figures *ret) {
    size_t n = (size_t)trial->splits;
    *ret = (struct laboratory_figures){.there = true};
    for (size_t s = 0; s < n; s++) {
        const struct latency_quality *quality =
            &trial->qualities[s * LABORATORY_ROWS + (size_t)row];
        mape[s] = quality->mape;
        ret->within_5 += quality->within_5 / (double)n;
        ret->within_10 += quality->within_10 / (double)n;
        ret->kendall_tau += quality->kendall_tau / (double)n;
        ret->coverage += quality->coverage / (double)n;
        ret->chosen += (trial->chosen[s] == row) / (double)n;
    }
    ret->mape = stats_mean(mape, n);
    ret->mape_sd = sqrt(stats_variance(mape, n));
    ret->mape_median = stats_median(mape, n);
}

/* ret_chosen [n_sources]: shares of splits, added to what is there. */
static int run_trial(struct trial *trial, struct parallel *pool, struct err *err,
                     struct laboratory_figures *ret_figures, double *ret_chosen) {
    int code = 0;
    size_t n = (size_t)trial->splits;
    double *mape = mem_array(n, sizeof *mape);
    trial->qualities = mem_array(n * LABORATORY_ROWS, sizeof *trial->qualities);
    trial->chosen = mem_array(n, sizeof *trial->chosen);
    trial->source = mem_array(n, sizeof *trial->source);
    if (!mape || !trial->qualities || !trial->chosen || !trial->source)
        code = out_of_memory(err);
    if (code == 0)
        parallel_for(pool, trial->splits, run_split, trial);
    for (size_t s = 0; code == 0 && s < n; s++)
        if (trial->chosen[s] < 0)
            code = err_set(err, trial->chosen[s], NULL, "split %zu of %zu networks: %s", s,
                           trial->size, err_name(trial->chosen[s]));
    for (int r = 0; code == 0 && r < LABORATORY_ROWS; r++)
        if (r <= LADDER_LINE || r == LABORATORY_LADDER ||
            (trial->bench->n_sources == 1 && trial->bench->sources[0].likeness[r]))
            summarise(trial, r, mape, &ret_figures[r]);
    free(mape);
    for (size_t s = 0; code == 0 && s < n; s++)
        ret_chosen[trial->source[s]] += 1 / (double)n;
    free(trial->qualities);
    free(trial->chosen);
    free(trial->source);
    return code;
}

static int add_covariance(struct bench *bench, struct err *err) {
    bench->covariance = mem_array(bench->n * bench->n, sizeof *bench->covariance);
    if (!bench->covariance)
        return out_of_memory(err);
    design_covariance(&bench->sources[0].networks, bench->covariance);
    return 0;
}

static int check_size(const struct laboratory_options *options, int pool, int size, size_t n,
                      struct err *err) {
    if (pool && (pool < size || (size_t)pool >= n))
        return err_set(err, ESP_EINVAL, "/pool",
                       "a pool of %d networks%s: it takes at least the %d that are chosen, and "
                       "fewer than the %zu that there are",
                       pool, options->pool ? "" : " (half of them, as none is given)", size, n);
    if (options->given < 0 || options->given > size)
        return err_set(err, ESP_EINVAL, "/given",
                       "%d networks are given: they are among those that calibrations are "
                       "fitted on, which may be as few as %d",
                       options->given, size);
    if (size < CALIBRATION_MIN_NETWORKS || size > LADDER_KNOWN_MAX || (size_t)size >= n)
        return err_set(err, ESP_EINVAL, "/sizes",
                       "calibrations on %d networks: they take %d to %d, and fewer than the "
                       "%zu that there are",
                       size, CALIBRATION_MIN_NETWORKS, LADDER_KNOWN_MAX, n);
    return 0;
}

static int choose_pool(const struct laboratory_options *options, size_t n, struct err *err,
                       struct laboratory_report *report) {
    size_t half = n / 2 < LABORATORY_POOL_MAX ? n / 2 : LABORATORY_POOL_MAX;
    if (options->pool < 0 || options->pool > LABORATORY_POOL_MAX)
        return err_set(err, ESP_EINVAL, "/pool", "a pool has at most %d networks",
                       LABORATORY_POOL_MAX);
    bool by_itself = options->pool == 0 && options->choice != LABORATORY_RANDOM;
    report->pool = by_itself ? (int)half : options->pool;
    return 0;
}

/* Those that fit the networks and the pool; refused is what is wrong with another, and with the
 * first one if none fits. */
static int choose_sizes(const struct laboratory_options *options, size_t n, struct err *err,
                        struct laboratory_report *report) {
    int most = report->pool && (size_t)report->pool < n ? report->pool : (int)n - 1, code = 0;
    bool some = false;
    for (int i = 0; i < options->n_sizes; i++)
        some |= options->sizes[i] <= most;
    for (int i = 0; code == 0 && i < options->n_sizes; i++) {
        int size = options->sizes[i];
        if (some && size > most) {
            report->skipped[report->n_skipped++] = size;
            continue;
        }
        code = check_size(options, report->pool, size, n, err);
        report->sizes[report->n_sizes++] = size;
    }
    return code;
}

/* What stands in for a sum has no unit, so there is an order of networks and no error. */
static void judge_sums(const struct bench *bench, struct laboratory_report *report) {
    if (report->n_stand_ins == 0)
        latency_quality_compute(bench->sources[0].sum, NULL, NULL, bench->measured, bench->n,
                                &report->sum);
    for (int i = 0; i < report->n_stand_ins; i++)
        report->stand_ins[i].kendall_tau =
            stats_kendall_tau(bench->sources[i].sum, bench->measured, bench->n);
}

int laboratory_run(const struct laboratory_profile *profile,
                   const struct laboratory_options *options, struct parallel *pool, struct err *err,
                   struct laboratory_report *ret_report) {
    struct bench bench = {0};
    struct laboratory_report report = {.left_out = profile->left_out};
    int code = bench_make(profile, err, &bench, &report);
    report.n_networks = bench.n;
    if (code == 0)
        code = choose_pool(options, bench.n, err, &report);
    if (code == 0)
        code = choose_sizes(options, bench.n, err, &report);
    if (code == 0 && options->choice == LABORATORY_USEFUL)
        code = add_covariance(&bench, err);
    if (code == 0)
        judge_sums(&bench, &report);
    for (int i = 0; code == 0 && i < report.n_sizes; i++) {
        struct trial trial = {.bench = &bench,
                              .size = (size_t)report.sizes[i],
                              .pool = (size_t)(report.pool ? report.pool : report.sizes[i]),
                              .given = (size_t)options->given,
                              .choice = options->choice,
                              .splits = options->splits,
                              .seed = options->seed};
        double chosen[LABORATORY_STAND_INS_MAX] = {0};
        code = run_trial(&trial, pool, err, report.figures[i], chosen);
        for (int s = 0; s < report.n_stand_ins; s++)
            report.stand_ins[s].chosen[i] = chosen[s];
    }
    bench_finish(&bench);
    if (code == 0)
        *ret_report = report;
    return code;
}
