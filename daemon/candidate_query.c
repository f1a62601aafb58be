#include "daemon/candidate_query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "base/parameter.h"
#include "daemon/metric_text.h"

static const char *const fields[] = {"feasible", "on_front", "generation", "strategy", NULL};
enum { FIELDS = 4, STRATEGIES_MAX = 8 /* more than a search has */ };

struct reading {
    const struct query_metrics *metrics;
    const char *parameter; /* that is read */
    struct candidate_query *query;
    struct err *err;
};

/* A key as people write it in a query: latency_us:pf_1 is latency_us@pf_1. */
static void write_key(const char *key, char ret[METRIC_KEY_MAX]) {
    snprintf(ret, METRIC_KEY_MAX, "%s", key);
    char *colon = strchr(ret, ':');
    if (colon != NULL)
        *colon = '@';
}

/* "did you mean ...? It has ..." */
static void advise(const char *const *names, const char *word, char *ret, size_t size) {
    char list[320];
    nearest_list(names, list, sizeof(list));
    nearest_advice(nearest_of(names, word), "it has ", list, ret, size);
}

static int refuse_name(const struct reading *reading, const char *word) {
    char written[METRICS_MAX][METRIC_KEY_MAX], advice[448];
    const char *names[FIELDS + METRICS_MAX + 1] = {NULL};
    int n = 0, k = 0;
    const cJSON *key;
    for (; strcmp(reading->parameter, "where") == 0 && n < FIELDS; n++)
        names[n] = fields[n]; /* first: a list of many boards' metrics is cut */
    cJSON_ArrayForEach(key, reading->metrics->known) {
        if (k == METRICS_MAX)
            break;
        write_key(key->valuestring, written[k]);
        names[n++] = written[k++];
    }
    advise(names, word, advice, sizeof(advice));
    return parameter_refuse(reading->err, ESP_EPARSE, reading->parameter,
                            ": the search has no metric \"%.60s\"; %s", word, advice);
}

static bool is_known(const struct reading *reading, const char *key) {
    const cJSON *known;
    cJSON_ArrayForEach(known, reading->metrics->known) if (strcmp(known->valuestring, key) ==
                                                           0) return true;
    return false;
}

/* The metric's index in goals, added if it is new; negative: an error. */
static int find_metric(const struct reading *reading, const char *word) {
    const struct query_metrics *metrics = reading->metrics;
    const char *at = strchr(word, '@');
    char key[2 * METRIC_KEY_MAX], id[METRIC_KEY_MAX];
    struct err said = {0};
    snprintf(key, sizeof(key), "%.79s", word);
    if (at != NULL && at - word < METRIC_KEY_MAX)
        key[at - word] = ':';
    if (!is_known(reading, key) && at != NULL) {
        int r = metrics->resolve(metrics->context, at + 1, &said, id);
        if (r != 0)
            return parameter_refuse(reading->err,
                                    r == ESP_ENOTFOUND || r == ESP_EINVAL ? ESP_EPARSE : r,
                                    reading->parameter, ", \"%.60s\": %s", word, said.message);
        snprintf(key, sizeof(key), "%.*s:%s", (int)(at - word), word, id);
    }
    if (strlen(word) >= METRIC_KEY_MAX || !is_known(reading, key))
        return refuse_name(reading, word);
    return goals_add_metric(&reading->query->goals, key, reading->err);
}

static bool read_number(const char *text, double *ret) {
    char *end;
    *ret = strtod(text, &end);
    return *text != '\0' && *end == '\0' && isfinite(*ret);
}

static int refuse_value(const struct reading *reading, const char *name, const char *value,
                        const char *what) {
    return parameter_refuse(reading->err, ESP_EPARSE, reading->parameter,
                            ": %s is %s, not \"%.60s\"", name, what, value);
}

/* "<=", ">=" or "=", in sign '<', '>' or '='. */
struct relation {
    char sign;
    const char *value;
};

static int read_range(const struct reading *reading, const char *name, struct relation relation,
                      struct candidate_term *term) {
    double bound;
    if (!read_number(relation.value, &bound))
        return refuse_value(reading, name, relation.value, "a number");
    term->low = relation.sign == '<' ? -INFINITY : bound;
    term->high = relation.sign == '>' ? INFINITY : bound;
    return 0;
}

static int read_flag(const struct reading *reading, const char *name, struct relation relation,
                     struct candidate_term *term) {
    term->flag = strcmp(relation.value, "true") == 0;
    if (relation.sign != '=' || (!term->flag && strcmp(relation.value, "false") != 0))
        return refuse_value(reading, name, relation.value, "=true or =false");
    return 0;
}

int candidate_query_strategy(const cJSON *strategies, const char *parameter, const char *name,
                             struct err *err) {
    char advice[448];
    const char *names[STRATEGIES_MAX + 1] = {NULL};
    int n = 0;
    const cJSON *known;
    cJSON_ArrayForEach(known, strategies) {
        if (strcmp(known->valuestring, name) == 0)
            return 0;
        if (n < STRATEGIES_MAX)
            names[n++] = known->valuestring;
    }
    advise(names, name, advice, sizeof(advice));
    return parameter_refuse(err, ESP_EPARSE, parameter,
                            ": the search has no strategy \"%.60s\"; %s", name, advice);
}

static int read_strategy(const struct reading *reading, struct relation relation,
                         struct candidate_term *term) {
    size_t len = strlen(relation.value);
    if (relation.sign != '=' || len == 0 || len >= sizeof(term->strategy))
        return refuse_value(reading, "strategy", relation.value, "a strategy's name behind =");
    memcpy(term->strategy, relation.value, len + 1);
    return candidate_query_strategy(reading->metrics->strategies, reading->parameter,
                                    term->strategy, reading->err);
}

static int read_metric_term(const struct reading *reading, const char *name,
                            struct relation relation, struct candidate_term *term) {
    double number;
    term->metric = find_metric(reading, name);
    if (term->metric < 0)
        return term->metric;
    if (relation.sign != '=' || read_number(relation.value, &number)) {
        term->kind = TERM_RANGE;
        return read_range(reading, name, relation, term);
    }
    term->kind = TERM_SOURCE;
    int source = metric_source_find(relation.value, strlen(relation.value));
    if (source < 0)
        return refuse_value(reading, name, relation.value,
                            "a number, counted, predicted, interpolated, evaluated or measured");
    term->source = (enum metric_source)source;
    return 0;
}

static int read_term(const struct reading *reading, const char *name, struct relation relation) {
    struct candidate_query *query = reading->query;
    if (query->n_terms == QUERY_TERMS_MAX)
        return parameter_refuse(reading->err, ESP_EPARSE, "where", " has at most %d conditions",
                                QUERY_TERMS_MAX);
    struct candidate_term *term = &query->terms[query->n_terms++];
    *term = (struct candidate_term){.kind = TERM_GENERATION};
    if (strcmp(name, "generation") == 0)
        return read_range(reading, name, relation, term);
    if (strcmp(name, "feasible") == 0 || strcmp(name, "on_front") == 0) {
        term->kind = name[0] == 'f' ? TERM_FEASIBLE : TERM_ON_FRONT;
        return read_flag(reading, name, relation, term);
    }
    if (strcmp(name, "strategy") == 0) {
        term->kind = TERM_STRATEGY;
        return read_strategy(reading, relation, term);
    }
    return read_metric_term(reading, name, relation, term);
}

static int read_condition(const struct reading *reading, char *text) {
    char *sign = strpbrk(text, "<>=");
    if (sign == NULL || sign == text || (*sign != '=' && sign[1] != '='))
        return parameter_refuse(reading->err, ESP_EPARSE, "where",
                                ": a condition is NAME<=NUMBER, NAME>=NUMBER or "
                                "NAME=VALUE, not \"%.60s\"",
                                text);
    struct relation relation = {*sign, sign + (*sign == '=' ? 1 : 2)};
    *sign = '\0';
    return read_term(reading, text, relation);
}

/* The search's own way with it, or that of the metric: accuracy is to be great, all else small. */
static bool is_maximised(const struct reading *reading, const char *key) {
    const cJSON *objective;
    cJSON_ArrayForEach(objective, reading->metrics->objectives) {
        char own[2 * METRIC_KEY_MAX];
        const char *metric = cJSON_GetStringValue(cJSON_GetObjectItem(objective, "metric"));
        const char *profile = cJSON_GetStringValue(cJSON_GetObjectItem(objective, "profile"));
        const char *direction = cJSON_GetStringValue(cJSON_GetObjectItem(objective, "direction"));
        snprintf(own, sizeof(own), "%.79s%s%.79s", metric != NULL ? metric : "",
                 profile != NULL ? ":" : "", profile != NULL ? profile : "");
        if (direction != NULL && strcmp(own, key) == 0)
            return strcmp(direction, "maximise") == 0;
    }
    return strcmp(key, "top1") == 0;
}

static int read_objective(const struct reading *reading, char *text) {
    struct goals *goals = &reading->query->goals;
    int metric = find_metric(reading, text);
    if (metric < 0)
        return metric;
    for (int i = 0; i < goals->n_objectives; i++)
        if (goals->objectives[i].metric == metric)
            return parameter_refuse(reading->err, ESP_EPARSE, "objectives",
                                    " names \"%.60s\" twice", text);
    if (goals->n_objectives == OBJECTIVES_MAX)
        return parameter_refuse(reading->err, ESP_EPARSE, "objectives", " names at most %d metrics",
                                OBJECTIVES_MAX);
    goals->objectives[goals->n_objectives++] =
        (struct objective){metric, is_maximised(reading, goals->keys[metric])};
    return 0;
}

/* Calls read with each part between commas. */
static int each_part(struct reading *reading, const char *parameter, const char *text,
                     int (*read)(const struct reading *reading, char *part)) {
    char copy[QUERY_TEXT_MAX + 1];
    int r = 0;
    reading->parameter = parameter;
    if (text == NULL)
        return 0;
    if (strlen(text) > QUERY_TEXT_MAX)
        return parameter_refuse(reading->err, ESP_EPARSE, parameter, " has at most %d bytes",
                                QUERY_TEXT_MAX);
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *part = copy, *next; r == 0 && part != NULL; part = next) {
        next = strchr(part, ',');
        if (next != NULL)
            *next++ = '\0';
        r = read(reading, part);
    }
    return r;
}

static int read_sort(const struct reading *reading, char *text) {
    struct candidate_query *query = reading->query;
    if (query->sort != QUERY_SORT_NONE)
        return parameter_refuse(reading->err, ESP_EPARSE, "sort", " names one metric");
    query->falling = text[0] == '-';
    text += query->falling;
    if (strcmp(text, "generation") == 0) {
        query->sort = QUERY_SORT_GENERATION;
        return 0;
    }
    int metric = find_metric(reading, text);
    if (metric >= 0)
        query->sort = metric;
    return metric < 0 ? metric : 0;
}

int candidate_query_parse(const struct query_metrics *metrics, const struct query_texts *texts,
                          struct err *err, struct candidate_query *ret_query) {
    struct candidate_query query = {.sort = QUERY_SORT_NONE};
    struct reading reading = {metrics, NULL, &query, err};
    int r = each_part(&reading, "objectives", texts->objectives, read_objective);
    if (r == 0)
        r = each_part(&reading, "where", texts->where, read_condition);
    if (r == 0)
        r = each_part(&reading, "sort", texts->sort, read_sort);
    if (r == 0 && query.goals.n_objectives == 1)
        r = parameter_refuse(err, ESP_EPARSE, "objectives", " names two metrics or more");
    if (r == 0)
        *ret_query = query;
    return r;
}

int candidate_query_own_objectives(const struct query_metrics *metrics, struct err *err,
                                   struct candidate_query *query) {
    const cJSON *objective;
    cJSON_ArrayForEach(objective, metrics->objectives) {
        char key[2 * METRIC_KEY_MAX];
        const char *metric = cJSON_GetStringValue(cJSON_GetObjectItem(objective, "metric"));
        const char *profile = cJSON_GetStringValue(cJSON_GetObjectItem(objective, "profile"));
        snprintf(key, sizeof(key), "%.79s%s%.79s", metric != NULL ? metric : "",
                 profile != NULL ? ":" : "", profile != NULL ? profile : "");
        int found = goals_add_metric(&query->goals, key, err);
        if (found < 0)
            return found;
        struct reading reading = {metrics, "objectives", query, err};
        if (query->goals.n_objectives < OBJECTIVES_MAX)
            query->goals.objectives[query->goals.n_objectives++] =
                (struct objective){found, is_maximised(&reading, key)};
    }
    return 0;
}

static int read_reference(const struct reading *reading, char *text) {
    struct candidate_query *query = reading->query;
    double value;
    if (!read_number(text, &value))
        return parameter_refuse(reading->err, ESP_EPARSE, "reference", ": \"%.60s\" is no number",
                                text);
    if (query->n_reference < OBJECTIVES_MAX)
        query->reference[query->n_reference] = value;
    query->n_reference++;
    return 0;
}

int candidate_query_reference(const char *text, struct err *err, struct candidate_query *query) {
    struct reading reading = {NULL, NULL, query, err};
    int r = each_part(&reading, "reference", text, read_reference);
    if (r == 0 && query->n_reference != query->goals.n_objectives)
        r = parameter_refuse(err, ESP_EPARSE, "reference",
                             " has a number for each metric that objectives names: %d, not %d",
                             query->goals.n_objectives, query->n_reference);
    return r;
}

void candidate_view_metrics(const struct candidate_query *query, const char *metrics,
                            struct candidate_view *view) {
    const struct goals *goals = &query->goals;
    struct metric_text metric;
    for (int i = 0; i < goals->n_metrics; i++) {
        view->values[i] = (double)NAN;
        view->sources[i] = -1;
    }
    while (metric_text_next(&metrics, &metric))
        for (int i = 0; i < goals->n_metrics; i++)
            if (metric_text_is(metric.key, metric.key_len, goals->keys[i])) {
                view->values[i] = metric.number != NULL ? strtod(metric.number, NULL) : (double)NAN;
                view->sources[i] = metric_source_find(metric.source, metric.source_len);
            }
}

static bool is_within(const struct candidate_term *term, double value) {
    return value >= term->low && value <= term->high; /* false where it is not known */
}

/* What is interpolated is predicted too. */
static bool is_of_source(enum metric_source asked, int source) {
    return source == (int)asked ||
           (source >= 0 && metric_kind((enum metric_source)source) == asked);
}

static bool keeps(const struct candidate_term *term, const struct candidate_view *view) {
    switch (term->kind) {
    case TERM_RANGE:
        return is_within(term, view->values[term->metric]);
    case TERM_SOURCE:
        return is_of_source(term->source, view->sources[term->metric]);
    case TERM_GENERATION:
        return is_within(term, (double)view->generation);
    case TERM_FEASIBLE:
        return view->feasible == term->flag;
    case TERM_ON_FRONT:
        return view->on_front == term->flag;
    case TERM_STRATEGY:
        return strcmp(view->strategy, term->strategy) == 0;
    }
    return false;
}

bool candidate_matches(const struct candidate_query *query, const struct candidate_view *view) {
    for (int i = 0; i < query->n_terms; i++)
        if (!keeps(&query->terms[i], view))
            return false;
    return true;
}

bool candidate_query_has(const struct candidate_query *query, int kind) {
    for (int i = 0; i < query->n_terms; i++)
        if ((int)query->terms[i].kind == kind)
            return true;
    return false;
}

double candidate_order(const struct candidate_query *query, const struct candidate_view *view) {
    if (query->sort == QUERY_SORT_NONE)
        return 0;
    double value =
        query->sort == QUERY_SORT_GENERATION ? (double)view->generation : view->values[query->sort];
    return query->falling ? -value : value;
}
