#include "latency/order.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "latency/estimate.h"
#include "latency/scales.h"
#include "space/cost.h"

enum {
    ORDER_PIVOTS = 128, /* of a kind: what more of them would tell is little */
    MACS_PER_BYTE = 4   /* of a processor that waits for neither: a guess until times are known */
};
/* Variances of log times: of the slopes along each standardised log size (and of the constant), of
 * what departs from a line and how far that reaches; what a measurement leaves open; and how much
 * more doubtful than all that is a unit whose kind has too few entries to interpolate between. */
#define SLOPES 1.0
#define BENDS 0.02
#define REACH 2.0
#define NUGGET 1e-4
#define UNKNOWN 100.0
/* Shares of time count by this power: by their full worth the largest units come first and all
 * others are extrapolated from them, which is 7 % off where this is 1.5 (test_order.c). */
#define DAMPING 0.25
#define TAKEN (-1.0)

struct item {
    int unit;     /* number in the list */
    double share; /* of time, damped */
    double variance;
    bool known, taken;
    int kind, n_features;
    double x[INTERPOLATION_FEATURES_MAX]; /* standardised in its kind */
};

struct order {
    struct item *items; /* [n] */
    double *weights;    /* [n]; those of taken ones are TAKEN */
    float *factor;      /* [n][ORDER_PIVOTS]: rows of the Cholesky factor of each kind */
    size_t n;
    int pivots[UNIT_KINDS],
        told[UNIT_KINDS]; /* of each kind; told: measured, or asked for before */
};

static double covariance(const struct item *a, const struct item *b) {
    double distance = 0, line = 1;
    for (int i = 0; i < a->n_features; i++) {
        double d = (a->x[i] - b->x[i]) / REACH;
        distance += d * d;
        line += a->x[i] * b->x[i];
    }
    return SLOPES * line + BENDS * exp(-distance / 2);
}

/* The share of an item times its doubt; of known ones their doubt alone, so that those that tell
 * most are taken in first. */
static double weigh(const struct order *order, const struct item *item) {
    bool unknown = order->told[item->kind] <= item->n_features;
    if (item->taken)
        return TAKEN;
    return item->known ? item->variance
                       : item->share * sqrt(item->variance + NUGGET) * (unknown ? UNKNOWN : 1);
}

/* What becomes known of the others of its kind when an item is measured. */
static void condition(struct order *order, const struct item *item) {
    int kind = item->kind, column = order->pivots[kind];
    const float *row = order->factor + (size_t)(item - order->items) * ORDER_PIVOTS;
    double pivot = sqrt(item->variance + NUGGET);
    if (column == ORDER_PIVOTS)
        return;
    for (size_t i = 0; i < order->n; i++) {
        struct item *other = &order->items[i];
        float *its = order->factor + i * ORDER_PIVOTS;
        if (other->kind != kind || other->taken)
            continue;
        double rest = covariance(other, item);
        for (int k = 0; k < column; k++)
            rest -= (double)its[k] * (double)row[k];
        its[column] = (float)(rest / pivot);
        other->variance = fmax(0, other->variance - (rest / pivot) * (rest / pivot));
    }
    order->pivots[kind]++;
}

static void take(struct order *order, struct item *item) {
    item->taken = true;
    order->told[item->kind]++;
    condition(order, item);
    order->weights[item - order->items] = TAKEN;
    for (size_t i = 0; i < order->n && order->told[item->kind] <= ORDER_PIVOTS; i++)
        if (order->items[i].kind == item->kind)
            order->weights[i] = weigh(order, &order->items[i]);
}

/* Takes those that are known, or those that are not, the heaviest first. ret_order may be NULL. */
static int take_all(struct order *order, bool known, int *ret_order) {
    int n = 0;
    for (;;) {
        struct item *best = NULL;
        double most = TAKEN;
        for (size_t i = 0; i < order->n; i++)
            if (order->weights[i] > most && order->items[i].known == known) {
                most = order->weights[i];
                best = &order->items[i];
            }
        if (!best)
            return n;
        take(order, best);
        if (ret_order)
            ret_order[n] = best->unit;
        n++;
    }
}

/* A time as long as the work; only its share counts. */
static double guess(const struct unit_entry *entry) {
    struct cost cost;
    unit_cost(entry->graph, 0, &cost);
    return (double)cost.macs + MACS_PER_BYTE * (double)cost.traffic_bytes;
}

static struct item make_item(const struct unit_list *units, int unit,
                             const struct latency_table *table) {
    const struct unit_entry *entry = &units->entries[unit];
    struct interpolation_sample sample = latency_unit_sample(&entry->graph->units[0].spec);
    struct item item = {.unit = unit,
                        .share = pow(entry->uses * guess(entry), DAMPING),
                        .known = table && latency_table_find(table, entry->signature),
                        .kind = sample.kind,
                        .n_features = sample.n_features};
    for (int i = 0; i < sample.n_features; i++)
        item.x[i] = log1p(sample.features[i]);
    return item;
}

/* Every log size of a kind to mean 0 and variance 1; what does not differ to 0. */
static void standardise(struct order *order, int kind) {
    for (int f = 0; f < INTERPOLATION_FEATURES_MAX; f++) {
        double sum = 0, square = 0, n = 0;
        for (size_t i = 0; i < order->n; i++) {
            double x = order->items[i].kind == kind ? order->items[i].x[f] : 0;
            n += order->items[i].kind == kind;
            sum += x;
            square += x * x;
        }
        double mean = sum / fmax(1, n), sd = sqrt(fmax(0, square / fmax(1, n) - mean * mean));
        for (size_t i = 0; i < order->n; i++)
            if (order->items[i].kind == kind)
                order->items[i].x[f] = sd > 1e-9 ? (order->items[i].x[f] - mean) / sd : 0;
    }
}

static int describe(struct order *order, const struct unit_list *units,
                    const struct latency_table *table, struct err *err) {
    order->n = (size_t)units->n;
    order->items = mem_array(order->n + 1, sizeof *order->items);
    order->weights = mem_array(order->n + 1, sizeof *order->weights);
    order->factor = mem_array(order->n + 1, ORDER_PIVOTS * sizeof *order->factor);
    if (!order->items || !order->weights || !order->factor)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the order of a table's entries");
    for (int i = 0; i < units->n; i++)
        order->items[i] = make_item(units, i, table);
    for (int kind = 0; kind < UNIT_KINDS; kind++)
        standardise(order, kind);
    for (size_t i = 0; i < order->n; i++) {
        struct item *item = &order->items[i];
        item->variance = covariance(item, item);
        order->weights[i] = weigh(order, item);
    }
    return 0;
}

int latency_order(const struct unit_list *units, const struct latency_table *table, struct err *err,
                  int *ret_order) {
    struct order order = {.n = 0};
    int n = describe(&order, units, table, err);
    if (n == 0) {
        take_all(&order, true, NULL);
        n = take_all(&order, false, ret_order);
    }
    free(order.items);
    free(order.weights);
    free(order.factor);
    return n;
}
