/* What is asked of a search's candidates: conditions, the objectives of a front, an order. Read
 * from the parameters of a query; pure.
 *
 *   where       what each must keep, with commas between: "latency_us@pi4<=25000,macs>=1e6,
 *               top1=evaluated,feasible=true,on_front=true,strategy=nsga2,generation<=10"
 *   objectives  two to sixteen metrics: "top1,latency_us@pi4,macs"
 *   sort        a metric or "generation", "-" in front for the largest first
 *   reference   a number for each objective: "0.1,25000", where a hypervolume ends */
#pragma once

#include <cjson/cJSON.h>
#include <stdint.h>

#include "search/objective.h"

enum { QUERY_TERMS_MAX = 16, QUERY_TEXT_MAX = 2000, QUERY_STRATEGY_MAX = 64 };

/* One condition. */
struct candidate_term {
    enum {
        TERM_RANGE,
        TERM_SOURCE,
        TERM_GENERATION,
        TERM_FEASIBLE,
        TERM_ON_FRONT,
        TERM_STRATEGY
    } kind;
    int metric;       /* of a range or a source: index into goals.keys */
    double low, high; /* of a range or of generations, both within; infinite: no end */
    bool flag;
    enum metric_source source;
    char strategy[QUERY_STRATEGY_MAX];
};

enum { QUERY_SORT_NONE = -1, QUERY_SORT_GENERATION = -2 };
struct candidate_query {
    struct goals goals; /* the metrics that are named, the objectives */
    int n_terms;
    struct candidate_term terms[QUERY_TERMS_MAX];
    int sort; /* metric, or QUERY_SORT_… */
    bool falling;
    int n_reference;                  /* 0: it is left to the search, else as many as objectives */
    double reference[OBJECTIVES_MAX]; /* as values of the metrics, not as costs */
};

/* The metrics that there are, by key, and what people call them. */
struct query_metrics {
    const cJSON *known;      /* [key] of the search */
    const cJSON *objectives; /* of the search: [{"metric", "profile"?, "direction"}] */
    const cJSON *strategies; /* [name] of the search */
    /* Id of the profile or latency model that is called so; ESP_ENOTFOUND. */
    int (*resolve)(void *context, const char *ref, struct err *err, char ret_id[METRIC_KEY_MAX]);
    void *context;
};

struct query_texts {
    const char *where, *objectives, *sort; /* each may be NULL: none */
};
/* ESP_EPARSE names the parameter, what is wrong in it, and what may have been meant. */
int candidate_query_parse(const struct query_metrics *metrics, const struct query_texts *texts,
                          struct err *err, struct candidate_query *ret_query);
/* Whether it is one of the search's strategies. ESP_EPARSE names the parameter and those that there
 * are. */
int candidate_query_strategy(const cJSON *strategies, const char *parameter, const char *name,
                             struct err *err);
/* The objectives of the search itself, of which there may be one only. */
int candidate_query_own_objectives(const struct query_metrics *metrics, struct err *err,
                                   struct candidate_query *query);
/* Where the hypervolume of the query's objectives ends. ESP_EPARSE: not a number for each of them.
 */
int candidate_query_reference(const char *text, struct err *err, struct candidate_query *query);

/* One candidate as a query looks at it. */
struct candidate_view {
    const char *strategy;
    int64_t generation;
    bool feasible, on_front;
    double values[METRICS_MAX]; /* as goals.keys; NAN: not known */
    int sources[METRICS_MAX];   /* enum metric_source; -1: not known */
};
/* Fills values and sources from the text of a candidate's metrics, {key: {"value", "source", …}}.
 */
void candidate_view_metrics(const struct candidate_query *query, const char *metrics,
                            struct candidate_view *view);
/* Whether it keeps all conditions. A metric that is not known is in no range. */
bool candidate_matches(const struct candidate_query *query, const struct candidate_view *view);
/* Whether some condition is of this kind. */
bool candidate_query_has(const struct candidate_query *query, int kind);
/* What it is sorted by, rising: negated where the largest come first; NAN: last. */
double candidate_order(const struct candidate_query *query, const struct candidate_view *view);
