/* What a search wants: objectives and hard constraints over a vector of metrics. Metrics are named
 * by key ("top1", "loss", "macs", "latency_us:<profile>"); a candidate has one value for each, with
 * its interval and where it comes from. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    METRICS_MAX = 32,    /* more than a search on eight latencies and eight energies has */
    METRIC_KEY_MAX = 80, /* with its NUL */
    OBJECTIVES_MAX = 16,
    CONSTRAINTS_MAX = 16
};

/* From the weakest to the strongest, but for the last: METRIC_INTERPOLATED is predicted from a
 * table that has no entry for some of a network's units. It is told apart for people; whatever
 * decides takes it for METRIC_PREDICTED (metric_kind). States of searches keep the numbers. */
enum metric_source {
    METRIC_COUNTED,
    METRIC_PREDICTED,
    METRIC_EVALUATED,
    METRIC_MEASURED,
    METRIC_INTERPOLATED
};
extern const char *const metric_source_names[]; /* "counted", "predicted", …, NULL */
/* The source of that name, which need not end behind len bytes; -1: none, or name is NULL. */
int metric_source_find(const char *name, size_t len);
/* The source that counts, of which a stronger one is a greater number: METRIC_PREDICTED for
 * METRIC_INTERPOLATED. */
enum metric_source metric_kind(enum metric_source source);

struct metric {
    double value;     /* NAN: not known */
    double low, high; /* low <= value <= high; all equal where there is no doubt */
    enum metric_source source;
};

struct objective {
    int metric; /* index into goals->keys */
    bool maximise;
};
struct constraint {
    int metric;
    bool is_max; /* metric <= bound, else metric >= bound */
    double bound;
};

/* How messages speak of a metric and of its values. Each writes up to size bytes, or returns false:
 * by its key, as a plain number. */
struct metric_words {
    const void *context;
    bool (*name)(const void *context, const char *key, size_t size, char *ret_text);
    bool (*value)(const void *context, const char *key, double value, size_t size, char *ret_text);
};
enum { METRIC_NAME_MAX = 256, METRIC_VALUE_MAX = 40 };

struct goals {
    int n_metrics;
    char keys[METRICS_MAX][METRIC_KEY_MAX]; /* those of objectives and constraints first */
    int n_objectives;
    struct objective objectives[OBJECTIVES_MAX];
    int n_constraints;
    struct constraint constraints[CONSTRAINTS_MAX];
    const struct metric_words *words; /* borrowed; NULL: by keys and plain numbers */
};

void goals_say_metric(const struct goals *goals, int metric, char ret_text[METRIC_NAME_MAX]);
void goals_say_value(const struct goals *goals, int metric, double value,
                     char ret_text[METRIC_VALUE_MAX]);

/* Index of the key, added if it is new. Errors: ESP_ELIMIT, ESP_EINVAL (too long or empty). */
int goals_add_metric(struct goals *goals, const char *key, struct err *err);
int goals_find_metric(const struct goals *goals, const char *key); /* -1 if there is none */

/* Reads "objectives": [{"metric", "profile"?, "direction": "maximise"|"minimise"}] (at least one)
 * and the optional "constraints": [{"metric", "profile"?, "max" | "min"}] of doc; other members are
 * the caller's. known lists the metrics that there are (NULL-terminated); the one called
 * "latency_us" needs a profile, "energy_uj" may have one, the others must have none. The keys of a
 * profile's are "latency_us:<profile>" and "energy_uj:<profile>". Errors: ESP_EINVAL, ESP_ELIMIT,
 * with pointer. */
int goals_from_json(const cJSON *doc, const char *at, const char *const *known, struct err *err,
                    struct goals *ret_goals);

/* The objectives as costs, to be minimised (maximised ones negated): n_objectives numbers. */
void goals_costs(const struct goals *goals, const struct metric *metrics, double *ret_costs);
/* 0 when every constraint holds, else the sum of what is beyond each bound in units of the bound
 * (Deb 2000); infinite when a metric that counts is not known. */
double goals_violation(const struct goals *goals, const struct metric *metrics);

/* The same over the constraints alone whose metric is known. */
double goals_known_violation(const struct goals *goals, const struct metric *metrics);

/* {key: {"value", "low", "high", "source"}} without the metrics that are not known; NULL on memory
 * exhaustion. Reading ignores keys that goals does not have. */
cJSON *metrics_to_json(const struct goals *goals, const struct metric *metrics);
int metrics_from_json(const struct goals *goals, const cJSON *doc, const char *at, struct err *err,
                      struct metric *ret_metrics);
