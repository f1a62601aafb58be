/* Quality of latency/ on public measurements of CNNs on phones (qed-usc/mobile-ml-benchmark):
 * latency_prediction NAME OPS.csv OPS_COLUMN NETWORKS.csv NETWORKS_COLUMN
 * Each network is predicted by the sum of a table made of all other networks' ops (exactly equal
 * op, else interpolated between those of its kind), then by calibrations on 5, 10 and 20 random
 * networks, judged on the rest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/stats.h"
#include "latency/interpolate.h"
#include "latency/quality.h"
#include "latency/table.h"

enum { OPS_MAX = 10000, NETWORKS_MAX = 200, SPLITS = 1000 };

struct timed_op {
    char kind[64], key[GRAPH_SIGNATURE_MAX];
    struct interpolation_sample sample; /* group: the network */
};

struct benchmark {
    int n_ops, n_networks, n_kinds;
    struct timed_op ops[OPS_MAX];
    char names[NETWORKS_MAX][64];
    double measured[NETWORKS_MAX], sum[NETWORKS_MAX];
    int hits;
    double interpolation_error, interpolation_sd; /* root mean squares in log time */
};

static _Noreturn void die(const char *what) {
    fprintf(stderr, "latency_prediction: %s\n", what);
    exit(1);
}

/* Cuts a line of CSV into fields, in place. */
static int split(char *line, char **fields, int max) {
    int n = 0;
    for (char *at = line; at && n < max;) {
        bool quoted = *at == '"';
        fields[n++] = at += quoted;
        char *end = quoted ? strchr(at, '"') : at + strcspn(at, ",\r\n");
        if (!end)
            die("an open quote");
        char next = quoted ? end[1] : *end;
        char *rest = next == ',' ? end + 1 + quoted : NULL;
        *end = 0;
        at = rest;
    }
    return n;
}

static int find_column(char **fields, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(fields[i], name) == 0)
            return i;
    die("no such column");
}

static int network_index(const struct benchmark *b, const char *name) {
    for (int i = 0; i < b->n_networks; i++)
        if (strcmp(b->names[i], name) == 0)
            return i;
    return -1;
}

typedef void row_fn(struct benchmark *b, char **fields, int column);

static void read_csv(const char *path, const char *column, row_fn *row, struct benchmark *b) {
    static char line[65536];
    char *fields[512];
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file))
        die(path);
    int at = find_column(fields, split(line, fields, 512), column);
    while (fgets(line, sizeof line, file))
        if (split(line, fields, 512) > at)
            row(b, fields, at);
    fclose(file);
}

static void add_network(struct benchmark *b, char **fields, int column) {
    double us = strtod(fields[column], NULL);
    if (!(us > 0) || b->n_networks == NETWORKS_MAX)
        return;
    snprintf(b->names[b->n_networks], sizeof b->names[0], "%s", fields[0]);
    b->measured[b->n_networks++] = us;
}

/* The numbers in the text of a feature dictionary, in its order; what is no number counts as 0. */
static int read_features(const char *text, double *ret_features) {
    int n = 0;
    for (const char *at = strchr(text, ':'); at && n < INTERPOLATION_FEATURES_MAX;
         at = strchr(at + 1, ':'))
        ret_features[n++] = fmax(0, strtod(at + 1 + strspn(at + 1, " '\"[("), NULL));
    return n;
}

/* The number of a kind, told by the first op that is of it. Ops with more features are another. */
static int kind_of(struct benchmark *b, const struct timed_op *op) {
    for (int i = 0; i < b->n_ops; i++)
        if (strcmp(b->ops[i].kind, op->kind) == 0 &&
            b->ops[i].sample.n_features == op->sample.n_features)
            return b->ops[i].sample.kind;
    if (b->n_kinds == INTERPOLATION_KINDS_MAX)
        die("too many kinds of ops");
    return b->n_kinds++;
}

static void add_op(struct benchmark *b, char **fields, int column) {
    struct timed_op *op = &b->ops[b->n_ops];
    char text[4096];
    int network = network_index(b, fields[0]);
    if (network < 0 || b->n_ops == OPS_MAX)
        return;
    *op = (struct timed_op){.sample = {.group = network, .us = strtod(fields[column], NULL)}};
    if (!(op->sample.us > 0))
        return;
    snprintf(op->kind, sizeof op->kind, "%s", fields[1]);
    snprintf(text, sizeof text, "%s %s", fields[1], fields[2]);
    hash_text(text, strlen(text), op->key);
    op->sample.n_features = read_features(fields[2], op->sample.features);
    op->sample.kind = kind_of(b, op);
    b->n_ops++;
}

/* Table of the mean of equal ops over all networks but one. */
static struct latency_table *make_table(const struct benchmark *b, int without) {
    struct latency_table *table;
    struct err err = {0};
    if (latency_table_create("benchmark", &err, &table) < 0)
        die(err.message);
    for (int i = 0; i < b->n_ops; i++) {
        const struct timed_op *op = &b->ops[i];
        if (op->sample.group == without)
            continue;
        const struct latency_entry *old = latency_table_find(table, op->key);
        struct latency_entry e = {.n = old ? old->n + 1 : 1, .method = 1};
        snprintf(e.signature, sizeof e.signature, "%s", op->key);
        double us = op->sample.us;
        double mean = old ? old->median_us + (us - old->median_us) / (double)e.n : us;
        e.median_us = e.low_us = e.high_us = mean;
        if (latency_table_put(table, &e, &err) < 0)
            die(err.message);
    }
    return table;
}

static struct interpolator *make_interpolator(const struct benchmark *b) {
    struct interpolator *interpolator;
    struct err err = {0};
    if (interpolator_create(&err, &interpolator) < 0)
        die(err.message);
    for (int i = 0; i < b->n_ops; i++)
        if (interpolator_add(interpolator, &b->ops[i].sample, &err) < 0)
            die(err.message);
    return interpolator;
}

static double interpolated(struct benchmark *b, const struct interpolator *interpolator,
                           const struct timed_op *op) {
    struct interpolation answer;
    if (!interpolator_ask(interpolator, &op->sample, op->sample.group, &answer))
        return 0;
    double error = log(answer.us / op->sample.us);
    b->interpolation_error += error * error;
    b->interpolation_sd += answer.log_sd * answer.log_sd;
    return answer.us;
}

static void sum_networks(struct benchmark *b) {
    struct interpolator *interpolator = make_interpolator(b);
    for (int k = 0; k < b->n_networks; k++) {
        struct latency_table *table = make_table(b, k);
        for (int i = 0; i < b->n_ops; i++) {
            const struct timed_op *op = &b->ops[i];
            if (op->sample.group != k)
                continue;
            const struct latency_entry *entry = latency_table_find(table, op->key);
            b->hits += entry != NULL;
            b->sum[k] += entry ? entry->median_us : interpolated(b, interpolator, op);
        }
        latency_table_destroy(table);
    }
    interpolator_destroy(interpolator);
    b->interpolation_error = sqrt(b->interpolation_error / fmax(1, b->n_ops - b->hits));
    b->interpolation_sd = sqrt(b->interpolation_sd / fmax(1, b->n_ops - b->hits));
    /* Networks whose ops are not in the log. */
    int kept = 0;
    for (int k = 0; k < b->n_networks; k++)
        if (b->sum[k] > 0) {
            b->sum[kept] = b->sum[k];
            b->measured[kept++] = b->measured[k];
        }
    b->n_networks = kept;
}

/* Calibrates on the first n of a random order and judges on the rest. */
static void judge_split(const struct benchmark *b, int n, uint32_t split_number,
                        struct latency_quality *ret_quality, struct calibration *ret_calibration) {
    uint32_t order[NETWORKS_MAX];
    double sum[NETWORKS_MAX], measured[NETWORKS_MAX], us[NETWORKS_MAX], low[NETWORKS_MAX],
        high[NETWORKS_MAX];
    struct err err = {0};
    struct rng rng = rng_make(1, RNG_TEST, (uint64_t)n, split_number);
    for (int i = 0; i < b->n_networks; i++)
        order[i] = (uint32_t)i;
    rng_shuffle_u32(&rng, order, (size_t)b->n_networks);
    for (int i = 0; i < b->n_networks; i++) {
        sum[i] = b->sum[order[i]];
        measured[i] = b->measured[order[i]];
    }
    if (calibration_fit(sum, measured, (size_t)n, 1, &err, ret_calibration) < 0)
        die(err.message);
    double factor = calibration_interval_factor(ret_calibration);
    for (int i = n; i < b->n_networks; i++) {
        us[i] = calibration_apply(ret_calibration, sum[i]);
        low[i] = us[i] / factor;
        high[i] = us[i] * factor;
    }
    latency_quality_compute(us + n, low + n, high + n, measured + n, (size_t)(b->n_networks - n),
                            ret_quality);
}

static void print_calibrated(const struct benchmark *b, int n) {
    double mape[SPLITS], within[SPLITS], inside = 0, identities = 0;
    for (uint32_t s = 0; s < SPLITS; s++) {
        struct latency_quality q;
        struct calibration calibration;
        judge_split(b, n, s, &q, &calibration);
        mape[s] = 100 * q.mape;
        within[s] = 100 * q.within_10;
        inside += q.coverage / SPLITS;
        identities += calibration.kind == CALIBRATION_IDENTITY;
    }
    printf("  N=%-3d %5.1f (%4.1f) / %2.0f %%  covers %.2f", n, stats_mean(mape, SPLITS),
           stats_median(mape, SPLITS), stats_mean(within, SPLITS), inside);
    printf("  identity %2.0f %%\n", 100 * identities / SPLITS);
}

int main(int argc, char **argv) {
    static struct benchmark b;
    static const int sizes[] = {5, 10, 20};
    if (argc != 6) {
        fprintf(stderr, "usage: latency_prediction NAME OPS.csv COLUMN NETWORKS.csv COLUMN\n");
        return 2;
    }
    read_csv(argv[4], argv[5], add_network, &b);
    read_csv(argv[2], argv[3], add_op, &b);
    sum_networks(&b);
    struct latency_quality plain;
    latency_quality_compute(b.sum, NULL, NULL, b.measured, (size_t)b.n_networks, &plain);
    printf("%s: %d networks, %d ops, %.0f %% with an exact table entry; tau %.3f\n", argv[1],
           b.n_networks, b.n_ops, 100.0 * b.hits / b.n_ops, plain.kendall_tau);
    printf("  the others interpolated: error %.3f in log time, %.3f expected\n",
           b.interpolation_error, b.interpolation_sd);
    printf("  MAPE mean (median over %d splits) / share within 10 %%\n", SPLITS);
    printf("  sum   %5.1f        / %2.0f %%\n", 100 * plain.mape, 100 * plain.within_10);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        print_calibrated(&b, sizes[i]);
    return 0;
}
