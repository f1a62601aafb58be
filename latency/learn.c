#include "latency/learn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"
#include "latency/design.h"
#include "latency/estimate.h"
#include "latency/ladder.h"

enum {
    LIKENESS_MAX = 256, /* networks beyond which the rungs above the line gain nothing any more */
    SESSION_MIN = 4     /* networks of a session that tell its spread */
};

/* One distinct unit of the networks. */
struct part {
    const struct graph_unit *unit;
    double us;
    double fleet_us[LEARN_FLEET_MAX];
};

struct bench {
    size_t n, n_parts;
    double doubt_square;                   /* sum over networks */
    const struct learn_network **networks; /* [n]: those with a sum */
    struct part *parts;
    struct map by_signature;
    int n_fleet;
    const struct latency_table *fleet[LEARN_FLEET_MAX]; /* those that know every unit */
    double ratio[LEARN_FLEET_MAX]; /* of this profile's sums to theirs, in the mean */
    double *sum, *measured;        /* [n] */
    size_t n_features[LADDER_RUNGS];
    double *features[LADDER_RUNGS], *likeness[LADDER_RUNGS];
    struct ladder_networks ladder;
};

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory to learn a calibration");
}

static void bench_finish(struct bench *bench) {
    for (int r = 0; r < LADDER_RUNGS; r++) {
        free(bench->features[r]);
        free(bench->likeness[r]);
    }
    map_finish(&bench->by_signature);
    free(bench->networks);
    free(bench->parts);
    free(bench->sum);
    free(bench->measured);
}

/* --- units of the networks --- */

struct lookup {
    const struct bench *bench;
    const char *signature;
};

static bool same_signature(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    return strcmp(lookup->bench->parts[item].unit->signature, lookup->signature) == 0;
}

static int64_t find_part(const struct bench *bench, const char *signature) {
    const struct lookup lookup = {bench, signature};
    return map_find(&bench->by_signature, map_hash(signature, strlen(signature)), same_signature,
                    &lookup);
}

static int add_part(struct bench *bench, const struct graph_unit *unit, double us,
                    struct err *err) {
    uint64_t hash = map_hash(unit->signature, strlen(unit->signature));
    if (find_part(bench, unit->signature) >= 0)
        return 0;
    if (map_add(&bench->by_signature, hash, (uint32_t)bench->n_parts) < 0)
        return out_of_memory(err);
    bench->parts[bench->n_parts++] = (struct part){.unit = unit, .us = us};
    return 0;
}

static double graph_sum(const struct latency_estimator *estimator, const struct graph *graph) {
    double sum = 0;
    for (int i = 0; i < graph->n_units; i++)
        sum += latency_estimate(estimator, &graph->units[i]).median_us;
    return sum;
}

static int add_network(struct bench *bench, const struct latency_estimator *estimator,
                       const struct learn_network *network, struct err *err) {
    double sum = graph_sum(estimator, network->graph);
    double doubt = 0; /* what the intervals of entries leave open of it: they move together */
    int code = 0;
    if (isnan(sum) || bench->n == LADDER_KNOWN_MAX)
        return 0;
    for (int i = 0; i < network->graph->n_units && code == 0; i++) {
        const struct graph_unit *unit = &network->graph->units[i];
        struct latency_estimate estimate = latency_estimate(estimator, unit);
        if (estimate.state == ESTIMATE_MEASURED)
            doubt += estimate.median_us * estimate.log_sd / sum;
        code = add_part(bench, unit, estimate.median_us, err);
    }
    bench->doubt_square += doubt * doubt;
    bench->sum[bench->n] = sum;
    bench->measured[bench->n] = network->measured_us;
    bench->networks[bench->n++] = network;
    return code;
}

static int add_networks(const struct learn_sources *sources, const struct learn_network *networks,
                        size_t n, struct err *err, struct bench *bench) {
    struct latency_estimator *estimator;
    size_t units = 0;
    for (size_t i = 0; i < n; i++)
        units += (size_t)networks[i].graph->n_units;
    bench->networks = mem_array(n + 1, sizeof *bench->networks);
    bench->parts = mem_array(units + 1, sizeof *bench->parts);
    bench->sum = mem_array(n + 1, sizeof *bench->sum);
    bench->measured = mem_array(n + 1, sizeof *bench->measured);
    if (!bench->networks || !bench->parts || !bench->sum || !bench->measured)
        return out_of_memory(err);
    int code = latency_estimator_create(sources->table, err, &estimator);
    if (code < 0)
        return code;
    for (size_t i = 0; i < n && code == 0; i++)
        code = add_network(bench, estimator, &networks[i], err);
    latency_estimator_destroy(estimator);
    return code;
}

/* Times of a fleet's profile for every unit; it is left out where it lacks one. */
static int add_fleet(struct bench *bench, const struct latency_table *table, struct err *err) {
    struct latency_estimator *estimator;
    int code = latency_estimator_create(table, err, &estimator), at = bench->n_fleet;
    bool whole = true;
    if (code < 0)
        return code;
    for (size_t i = 0; i < bench->n_parts && whole; i++) {
        double us = latency_estimate(estimator, bench->parts[i].unit).median_us;
        bench->parts[i].fleet_us[at] = us;
        whole = us > 0;
    }
    latency_estimator_destroy(estimator);
    if (whole)
        bench->fleet[bench->n_fleet++] = table;
    return 0;
}

/* --- what networks resemble each other in --- */

static const struct part *part_of(const struct bench *bench, const struct graph_unit *unit) {
    return &bench->parts[find_part(bench, unit->signature)];
}

static double fleet_sum(const struct bench *bench, size_t network, int profile) {
    const struct graph *graph = bench->networks[network]->graph;
    double sum = 0;
    for (int i = 0; i < graph->n_units; i++)
        sum += part_of(bench, &graph->units[i])->fleet_us[profile];
    return sum;
}

/* Shares of kinds, or of entries, in a network's sum; of the fleet what its profiles take more. */
static void describe(const struct bench *bench, enum ladder_rung rung, size_t network,
                     double *row) {
    const struct graph *graph = bench->networks[network]->graph;
    double sum = bench->sum[network];
    for (int i = 0; i < graph->n_units; i++) {
        const struct part *part = part_of(bench, &graph->units[i]);
        size_t column =
            rung == LADDER_KINDS ? (size_t)part->unit->spec.kind : (size_t)(part - bench->parts);
        if (rung != LADDER_FLEET)
            row[column] += part->us / sum;
    }
    for (int p = 0; p < bench->n_fleet && rung == LADDER_FLEET; p++)
        row[p] = bench->ratio[p] * fleet_sum(bench, network, p) / sum - 1;
}

static int add_rung(struct bench *bench, enum ladder_rung rung, size_t n_features,
                    struct err *err) {
    if (n_features == 0)
        return 0;
    bench->n_features[rung] = n_features;
    bench->features[rung] = mem_array(bench->n * n_features, sizeof(double));
    bench->likeness[rung] = mem_array(bench->n * bench->n, sizeof(double));
    if (!bench->features[rung] || !bench->likeness[rung])
        return out_of_memory(err);
    for (size_t i = 0; i < bench->n; i++)
        describe(bench, rung, i, bench->features[rung] + i * n_features);
    ladder_likeness(bench->features[rung], bench->n, n_features, bench->likeness[rung]);
    bench->ladder.likeness[rung] = bench->likeness[rung];
    return 0;
}

static int add_rungs(struct bench *bench, struct err *err) {
    for (int p = 0; p < bench->n_fleet; p++) {
        double log_ratio = 0;
        for (size_t i = 0; i < bench->n; i++)
            log_ratio += log(bench->sum[i] / fleet_sum(bench, i, p)) / (double)bench->n;
        bench->ratio[p] = exp(log_ratio);
    }
    int code = add_rung(bench, LADDER_KINDS, UNIT_KINDS, err);
    if (code == 0)
        code = add_rung(bench, LADDER_FLEET, (size_t)bench->n_fleet, err);
    return code == 0 ? add_rung(bench, LADDER_ENTRIES, bench->n_parts, err) : code;
}

/* Rungs above the line are made for up to likeness_max networks. */
static int bench_make(const struct learn_sources *sources, const struct learn_network *networks,
                      size_t n, size_t likeness_max, struct err *err, struct bench *bench) {
    int code = add_networks(sources, networks, n, err, bench);
    if (code == 0 && bench->n < CALIBRATION_MIN_NETWORKS)
        code = err_set(err, ESP_EINVAL, NULL,
                       "a calibration needs at least %d measured networks, there are %zu",
                       CALIBRATION_MIN_NETWORKS, bench->n);
    bool likeness = bench->n <= likeness_max;
    for (int p = 0; p < sources->n_fleet && p < LEARN_FLEET_MAX && likeness && code == 0; p++)
        code = add_fleet(bench, sources->fleet[p], err);
    if (code == 0 && likeness)
        code = add_rungs(bench, err);
    bench->ladder.n = bench->n;
    bench->ladder.sum_us = bench->sum;
    bench->ladder.measured_us = bench->measured;
    return code;
}

/* --- spread --- */

/* Variance of the errors inside their sessions. */
static double variance_within(const struct learn_error *errors, size_t n, bool representative,
                              double *own, int *ret_n) {
    double squares = 0;
    int networks = 0, sessions = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count = 0;
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first &= errors[j].session != errors[i].session;
        for (size_t j = i; j < n && first; j++)
            if (errors[j].session == errors[i].session &&
                (errors[j].representative || !representative))
                own[count++] = errors[j].log;
        networks += (int)count;
        sessions += count > 0;
        squares += count ? stats_variance(own, count) * (double)(count - 1) : 0;
    }
    *ret_n = networks;
    return networks > sessions ? squares / (networks - sessions) : 0;
}

/* Variance of sessions' means beyond what their networks' explains, by the method of moments. The
 * mean of all errors is about 0, so there is one degree of freedom less than sessions. */
static double variance_between(const struct learn_error *errors, size_t n, double *own) {
    double squares = 0, explained = 0;
    int sessions = 0;
    for (size_t i = 0; i < n; i++) {
        size_t count = 0;
        bool first = true;
        for (size_t j = 0; j < i; j++)
            first &= errors[j].session != errors[i].session;
        for (size_t j = i; j < n && first; j++)
            if (errors[j].session == errors[i].session)
                own[count++] = errors[j].log;
        if (count < SESSION_MIN)
            continue;
        double mean = stats_mean(own, count);
        squares += mean * mean;
        explained += stats_variance(own, count) / (double)count;
        sessions++;
    }
    return sessions < 2 ? 0 : fmax(0, squares / (sessions - 1) - explained / sessions);
}

double learn_spread(const struct learn_error *errors, size_t n, double *scratch, int *ret_n) {
    double pooled = 0;
    int representatives;
    for (size_t i = 0; i < n; i++)
        pooled += errors[i].log * errors[i].log / (double)n;
    double between = variance_between(errors, n, scratch);
    double within = variance_within(errors, n, true, scratch, &representatives);
    bool enough = representatives >= LEARN_REPRESENTATIVE_MIN;
    if (!enough)
        within = variance_within(errors, n, false, scratch, &representatives);
    *ret_n = representatives;
    return sqrt(fmax(pooled, within + between));
}

/* --- learning --- */

static struct learn_error error_of(const struct bench *bench, size_t network, double log) {
    const struct learn_network *n = bench->networks[network];
    return (struct learn_error){log, n->session, n->representative};
}

struct judge {
    double *predicted, *low, *high, *scratch;  /* [n] each */
    struct learn_error *errors, *known_errors; /* [n] each */
    uint32_t *known;                           /* [n] */
};

/* The ladder on n known networks as a calibration, but for its scales. */
static struct calibration line_of(const struct bench *bench, const struct ladder *ladder, size_t n,
                                  const struct judge *judge) {
    struct calibration calibration = *ladder_line(ladder);
    const double *logs = ladder_errors(ladder, ladder_chosen(ladder));
    for (size_t i = 0; i < n; i++)
        judge->known_errors[i] = error_of(bench, judge->known[i], logs[i]);
    calibration.residual_sd =
        learn_spread(judge->known_errors, n, judge->scratch, &calibration.spread_n);
    calibration.rung = ladder_chosen(ladder);
    calibration.n = (int)n;
    calibration.entries_sd = sqrt(bench->doubt_square / (double)bench->n);
    return calibration;
}

/* Predicts every n_folds-th network from the others. */
static int leave_out(const struct bench *bench, size_t fold, size_t n_folds, struct judge *judge,
                     struct err *err) {
    struct ladder *ladder;
    size_t n = 0;
    for (size_t i = 0; i < bench->n; i++)
        if (i % n_folds != fold)
            judge->known[n++] = (uint32_t)i;
    int code = ladder_fit(&bench->ladder, judge->known, n, err, &ladder);
    if (code < 0)
        return code;
    const struct calibration calibration = line_of(bench, ladder, n, judge);
    double factor = calibration_interval_factor(&calibration);
    for (size_t i = fold; i < bench->n; i += n_folds) {
        judge->predicted[i] = ladder_predict(ladder, ladder_chosen(ladder), i);
        judge->errors[i] = error_of(bench, i, log(bench->measured[i] / judge->predicted[i]));
        judge->low[i] = judge->predicted[i] / factor;
        judge->high[i] = judge->predicted[i] * factor;
    }
    ladder_destroy(ladder);
    return 0;
}

static int judge_init(struct judge *judge, size_t n, struct err *err) {
    judge->predicted = mem_array(n, 4 * sizeof(double));
    judge->errors = mem_array(n, 2 * sizeof(struct learn_error));
    judge->known = mem_array(n, sizeof *judge->known);
    if (!judge->predicted || !judge->errors || !judge->known)
        return out_of_memory(err);
    judge->low = judge->predicted + n;
    judge->high = judge->low + n;
    judge->scratch = judge->high + n;
    judge->known_errors = judge->errors + n;
    return 0;
}

static void judge_finish(struct judge *judge) {
    free(judge->predicted);
    free(judge->errors);
    free(judge->known);
}

static double relative_noise(const struct bench *bench, double *scratch) {
    for (size_t i = 0; i < bench->n; i++)
        scratch[i] = bench->networks[i]->repeat_sd_us / bench->measured[i];
    return stats_median(scratch, bench->n);
}

static int note_points(const struct bench *bench, const struct judge *judge,
                       const struct learn_network *first, struct err *err,
                       struct learn_report *report) {
    report->points = mem_array(bench->n, sizeof *report->points);
    if (!report->points)
        return out_of_memory(err);
    for (size_t i = 0; i < bench->n; i++)
        report->points[i] =
            (struct learn_point){(size_t)(bench->networks[i] - first), bench->sum[i],
                                 judge->predicted[i], judge->low[i], judge->high[i]};
    return 0;
}

/* Fills the report and the spread of errors that were left out with their rung's choice. */
static int judge_all(const struct bench *bench, struct judge *judge, struct err *err,
                     struct learn_report *report, double *ret_spread) {
    size_t n = bench->n, n_folds = ladder_folds(n);
    int code = 0;
    report->judged = n > CALIBRATION_MIN_NETWORKS;
    if (!report->judged)
        return 0;
    for (size_t fold = 0; fold < n_folds && code == 0; fold++)
        code = leave_out(bench, fold, n_folds, judge, err);
    if (code < 0)
        return code;
    latency_quality_compute(bench->sum, NULL, NULL, bench->measured, n, &report->latency.before);
    latency_quality_compute(judge->predicted, judge->low, judge->high, bench->measured, n,
                            &report->latency.after);
    report->latency.noise = relative_noise(bench, judge->scratch);
    int unused;
    *ret_spread = learn_spread(judge->errors, n, judge->scratch, &unused);
    return 0;
}

/* --- a rung's weights as scales of units --- */

/* What a unit's time is multiplied by. */
static double scale_of(const struct bench *bench, enum ladder_rung rung, const struct part *part,
                       const double *weights, double share) {
    double scale = 1 + share;
    if (rung == LADDER_KINDS)
        return scale + weights[part->unit->spec.kind];
    if (rung == LADDER_ENTRIES)
        return scale + weights[part - bench->parts];
    for (int p = 0; p < bench->n_fleet; p++)
        scale += weights[p] * (bench->ratio[p] * part->fleet_us[p] / part->us - 1);
    return scale;
}

/* The fleet knows every unit of the space, not only those of the networks. */
static int scale_by_fleet(const struct learn_sources *sources, const struct bench *bench,
                          const double *weights, double share, struct err *err,
                          struct unit_scales *scales) {
    struct latency_estimator *own, *others[LEARN_FLEET_MAX] = {NULL};
    int code = latency_estimator_create(sources->table, err, &own);
    if (code < 0)
        return code;
    for (int p = 0; p < bench->n_fleet && code == 0; p++)
        code = latency_estimator_create(bench->fleet[p], err, &others[p]);
    for (int i = 0; i < sources->units->n && code == 0; i++) {
        struct part part = {.unit = &sources->units->entries[i].graph->units[0]};
        part.us = latency_estimate(own, part.unit).median_us;
        for (int p = 0; p < bench->n_fleet; p++)
            part.fleet_us[p] = latency_estimate(others[p], part.unit).median_us;
        double scale = scale_of(bench, LADDER_FLEET, &part, weights, share);
        if (isfinite(scale))
            code = unit_scales_add(scales, part.unit->signature, scale, err);
    }
    for (int p = 0; p < bench->n_fleet; p++)
        latency_estimator_destroy(others[p]);
    latency_estimator_destroy(own);
    return code;
}

static int fill_scales(const struct learn_sources *sources, const struct bench *bench,
                       enum ladder_rung rung, const double *weights, double share, struct err *err,
                       struct unit_scales *scales) {
    int code = 0;
    for (int k = 0; k < UNIT_KINDS; k++) {
        double scale = 1 + share + (rung == LADDER_KINDS ? weights[k] : 0);
        scales->of_kind[k] = fmin(fmax(scale, UNIT_SCALE_MIN), UNIT_SCALE_MAX);
    }
    if (rung == LADDER_FLEET)
        return scale_by_fleet(sources, bench, weights, share, err, scales);
    for (size_t i = 0; i < bench->n_parts && rung == LADDER_ENTRIES && code == 0; i++)
        code = unit_scales_add(scales, bench->parts[i].unit->signature,
                               scale_of(bench, rung, &bench->parts[i], weights, share), err);
    return code;
}

static int make_scales(const struct learn_sources *sources, const struct bench *bench,
                       const struct ladder *ladder, struct err *err,
                       struct calibration *calibration) {
    enum ladder_rung rung = ladder_chosen(ladder);
    size_t n_features = bench->n_features[rung];
    double *weights;
    struct ladder_line line;
    struct unit_scales *scales = NULL;
    if (rung <= LADDER_LINE)
        return 0;
    weights = mem_array(n_features, sizeof *weights);
    int code = weights ? unit_scales_create(err, &scales) : out_of_memory(err);
    if (code == 0) {
        ladder_linear(ladder, rung, bench->features[rung], n_features, weights, &line);
        code = fill_scales(sources, bench, rung, weights, line.share, err, scales);
    }
    free(weights);
    if (code < 0)
        unit_scales_destroy(scales);
    if (code < 0)
        return code;
    calibration->scales = scales;
    calibration->kind = CALIBRATION_SHRUNK;
    calibration->c_us += calibration->a * line.us;
    return 0;
}

static int learn(const struct learn_sources *sources, const struct bench *bench,
                 struct judge *judge, struct err *err, struct calibration *ret_calibration,
                 struct learn_report *report) {
    struct ladder *ladder;
    size_t n = bench->n;
    double spread = 0;
    int code = judge_all(bench, judge, err, report, &spread);
    for (size_t i = 0; i < n; i++)
        judge->known[i] = (uint32_t)i;
    if (code == 0)
        code = ladder_fit(&bench->ladder, judge->known, n, err, &ladder);
    if (code < 0)
        return code;
    struct calibration calibration = line_of(bench, ladder, n, judge);
    calibration.residual_sd = fmax(spread, calibration.residual_sd);
    for (int r = 0; r < LADDER_RUNGS; r++)
        report->error[r] = ladder_loss(ladder, (enum ladder_rung)r);
    code = make_scales(sources, bench, ladder, err, &calibration);
    ladder_destroy(ladder);
    if (code == 0)
        *ret_calibration = calibration;
    return code;
}

int calibration_learn(const struct learn_sources *sources, const struct learn_network *networks,
                      size_t n, int version, struct err *err, struct calibration *ret_calibration,
                      struct learn_report *ret_report) {
    struct bench bench = {0};
    struct learn_report report = {0};
    struct calibration calibration = calibration_none;
    struct judge judge = {0};
    if (n > LEARN_NETWORKS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a calibration takes at most %d networks",
                       LEARN_NETWORKS_MAX);
    map_init(&bench.by_signature);
    int code = bench_make(sources, networks, n, LIKENESS_MAX, err, &bench);
    if (code == 0)
        code = judge_init(&judge, bench.n, err);
    report.n = bench.n;
    if (code == 0)
        code = learn(sources, &bench, &judge, err, &calibration, &report);
    if (code == 0 && report.judged && (code = note_points(&bench, &judge, networks, err, &report)))
        calibration_finish(&calibration);
    judge_finish(&judge);
    bench_finish(&bench);
    if (code < 0)
        return code;
    calibration.version = version;
    *ret_calibration = calibration;
    *ret_report = report;
    return 0;
}

void learn_report_finish(struct learn_report *report) {
    free(report->points);
    report->points = NULL;
}

int learn_covariance(const struct learn_sources *sources, const struct graph *const *graphs,
                     size_t n, struct err *err, double *ret_covariance) {
    struct bench bench = {0};
    struct learn_network *networks = mem_array(n + 1, sizeof *networks);
    int code = networks ? 0 : out_of_memory(err);
    if (n > LADDER_KNOWN_MAX)
        code = err_set(err, ESP_ELIMIT, NULL, "networks to calibrate on are chosen of at most %d",
                       LADDER_KNOWN_MAX);
    map_init(&bench.by_signature);
    for (size_t i = 0; i < n && code == 0; i++)
        networks[i] = (struct learn_network){.graph = graphs[i], .measured_us = 1};
    if (code == 0)
        code = bench_make(sources, networks, n, n, err, &bench);
    if (code == 0 && bench.n < n)
        code =
            err_set(err, ESP_EMISSING, NULL,
                    "%zu of %zu networks have units that the table does not know", n - bench.n, n);
    if (code == 0)
        design_covariance(&bench.ladder, ret_covariance);
    bench_finish(&bench);
    free(networks);
    return code;
}
