#include "search/objective.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

const char *const metric_source_names[] = {"counted",  "predicted",    "evaluated",
                                           "measured", "interpolated", NULL};

int metric_source_find(const char *name, size_t len) {
    for (int i = 0; name != NULL && metric_source_names[i] != NULL; i++)
        if (strncmp(name, metric_source_names[i], len) == 0 && metric_source_names[i][len] == '\0')
            return i;
    return -1;
}

enum metric_source metric_kind(enum metric_source source) {
    return source == METRIC_INTERPOLATED ? METRIC_PREDICTED : source;
}

#define BOUND_MAX 1e18

int goals_find_metric(const struct goals *goals, const char *key) {
    for (int i = 0; i < goals->n_metrics; i++)
        if (strcmp(goals->keys[i], key) == 0)
            return i;
    return -1;
}

int goals_add_metric(struct goals *goals, const char *key, struct err *err) {
    int found = goals_find_metric(goals, key);
    if (found >= 0)
        return found;
    size_t len = strlen(key);
    if (len == 0 || len >= METRIC_KEY_MAX)
        return err_set(err, ESP_EINVAL, NULL, "a metric's key must have 1 to %d characters",
                       METRIC_KEY_MAX - 1);
    if (goals->n_metrics == METRICS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a search has at most %d metrics", METRICS_MAX);
    memcpy(goals->keys[goals->n_metrics], key, len + 1);
    return goals->n_metrics++;
}

void goals_say_metric(const struct goals *goals, int metric, char ret_text[METRIC_NAME_MAX]) {
    const struct metric_words *words = goals->words;
    const char *key = goals->keys[metric];
    if (!words || !words->name(words->context, key, METRIC_NAME_MAX, ret_text))
        snprintf(ret_text, METRIC_NAME_MAX, "%s", key);
}

void goals_say_value(const struct goals *goals, int metric, double value,
                     char ret_text[METRIC_VALUE_MAX]) {
    const struct metric_words *words = goals->words;
    const char *key = goals->keys[metric];
    if (!words || !words->value(words->context, key, value, METRIC_VALUE_MAX, ret_text))
        snprintf(ret_text, METRIC_VALUE_MAX, "%.6g", value);
}

/* Reads "metric" and "profile" of an objective or constraint. Returns the index of the metric. */
static int read_metric(const cJSON *item, const char *at, const char *const *known,
                       struct goals *goals, struct err *err) {
    int which;
    const char *profile = NULL;
    char key[METRIC_KEY_MAX], pointer[200];
    int code = json_enum(item, at, "metric", known, err, &which);
    if (code == 0)
        code = json_string_opt(item, at, "profile", 1, METRIC_KEY_MAX - sizeof "latency_us:", err,
                               &profile);
    if (code < 0)
        return code;
    bool wants_profile = strcmp(known[which], "latency_us") == 0;
    bool takes_profile = wants_profile || strcmp(known[which], "energy_uj") == 0;
    snprintf(pointer, sizeof pointer, "%.180s/profile", at);
    if (wants_profile && !profile)
        return err_set(err, ESP_EINVAL, pointer, "a latency needs the profile that it is meant on");
    if (!takes_profile && profile)
        return err_set(err, ESP_EINVAL, pointer, "%s does not depend on a profile", known[which]);
    snprintf(key, sizeof key, "%s%s%s", known[which], profile ? ":" : "", profile ? profile : "");
    return goals_add_metric(goals, key, err);
}

/* Of how good a network is at its task. */
static int check_direction(const char *key, bool maximise, const char *at, struct err *err) {
    bool top1 = strcmp(key, "top1") == 0, loss = strcmp(key, "loss") == 0;
    char pointer[192];
    if (!(top1 && !maximise) && !(loss && maximise))
        return 0;
    snprintf(pointer, sizeof pointer, "%s/direction", at);
    return err_set(err, ESP_EINVAL, pointer, "%s is %s: nobody looks for the worst", key,
                   top1 ? "maximised" : "minimised");
}

static int read_objective(const cJSON *item, const char *at, const char *const *known,
                          struct goals *goals, struct err *err) {
    static const char *const keys[] = {"metric", "profile", "direction", NULL};
    static const char *const directions[] = {"maximise", "minimise", NULL};
    int direction;
    int code = json_only(item, at, keys, err);
    if (code == 0)
        code = read_metric(item, at, known, goals, err);
    if (code < 0)
        return code;
    struct objective objective = {.metric = code};
    code = json_enum(item, at, "direction", directions, err, &direction);
    if (code < 0)
        return code;
    objective.maximise = direction == 0;
    if ((code = check_direction(goals->keys[objective.metric], objective.maximise, at, err)) < 0)
        return code;
    for (int i = 0; i < goals->n_objectives; i++)
        if (goals->objectives[i].metric == objective.metric)
            return err_set(err, ESP_EINVAL, at, "that is the objective /objectives/%d again", i);
    goals->objectives[goals->n_objectives++] = objective;
    return 0;
}

static int read_constraint(const cJSON *item, const char *at, const char *const *known,
                           struct goals *goals, struct err *err) {
    static const char *const keys[] = {"metric", "profile", "max", "min", NULL};
    int code = json_only(item, at, keys, err);
    if (code == 0)
        code = read_metric(item, at, known, goals, err);
    if (code < 0)
        return code;
    struct constraint constraint = {.metric = code, .is_max = json_has(item, "max")};
    if (constraint.is_max == json_has(item, "min"))
        return err_set(err, ESP_EINVAL, at, "a constraint has either a max or a min");
    code = json_real(item, at, constraint.is_max ? "max" : "min", -BOUND_MAX, BOUND_MAX, err,
                     &constraint.bound);
    if (code < 0)
        return code;
    goals->constraints[goals->n_constraints++] = constraint;
    return 0;
}

typedef int read_fn(const cJSON *item, const char *at, const char *const *known,
                    struct goals *goals, struct err *err);

static int read_list(const cJSON *list, const char *at, const char *name, const char *const *known,
                     read_fn *read, struct goals *goals, struct err *err) {
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, list) {
        char pointer[160];
        snprintf(pointer, sizeof pointer, "%.100s/%s/%d", at, name, i++);
        int code = read(item, pointer, known, goals, err);
        if (code < 0)
            return code;
    }
    return 0;
}

int goals_from_json(const cJSON *doc, const char *at, const char *const *known, struct err *err,
                    struct goals *ret_goals) {
    struct goals goals = {0};
    const cJSON *objectives, *constraints = NULL;
    int code = json_array(doc, at, "objectives", 1, OBJECTIVES_MAX, err, &objectives);
    if (code == 0 && json_has(doc, "constraints"))
        code = json_array(doc, at, "constraints", 0, CONSTRAINTS_MAX, err, &constraints);
    if (code == 0)
        code = read_list(objectives, at, "objectives", known, read_objective, &goals, err);
    if (code == 0 && constraints)
        code = read_list(constraints, at, "constraints", known, read_constraint, &goals, err);
    if (code < 0)
        return code;
    *ret_goals = goals;
    return 0;
}

void goals_costs(const struct goals *goals, const struct metric *metrics, double *ret_costs) {
    for (int i = 0; i < goals->n_objectives; i++) {
        double value = metrics[goals->objectives[i].metric].value;
        ret_costs[i] = goals->objectives[i].maximise ? -value : value;
    }
}

double goals_known_violation(const struct goals *goals, const struct metric *metrics) {
    double total = 0;
    for (int i = 0; i < goals->n_constraints; i++) {
        const struct constraint *c = &goals->constraints[i];
        double value = metrics[c->metric].value;
        double beyond = c->is_max ? value - c->bound : c->bound - value;
        if (beyond > 0) /* false where the metric is not known */
            total += beyond / fmax(fabs(c->bound), 1e-12);
    }
    return total;
}

double goals_violation(const struct goals *goals, const struct metric *metrics) {
    for (int i = 0; i < goals->n_objectives; i++)
        if (isnan(metrics[goals->objectives[i].metric].value))
            return INFINITY;
    for (int i = 0; i < goals->n_constraints; i++)
        if (isnan(metrics[goals->constraints[i].metric].value))
            return INFINITY;
    return goals_known_violation(goals, metrics);
}

static bool add_metric_json(cJSON *doc, const char *key, const struct metric *m) {
    cJSON *item = cJSON_AddObjectToObject(doc, key);
    return item && cJSON_AddNumberToObject(item, "value", m->value) &&
           cJSON_AddNumberToObject(item, "low", m->low) &&
           cJSON_AddNumberToObject(item, "high", m->high) &&
           cJSON_AddStringToObject(item, "source", metric_source_names[m->source]);
}

cJSON *metrics_to_json(const struct goals *goals, const struct metric *metrics) {
    cJSON *doc = cJSON_CreateObject();
    bool ok = doc;
    for (int i = 0; ok && i < goals->n_metrics; i++)
        if (!isnan(metrics[i].value))
            ok = add_metric_json(doc, goals->keys[i], &metrics[i]);
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

static int read_metric_value(const cJSON *item, const char *at, struct err *err,
                             struct metric *ret_metric) {
    static const char *const keys[] = {"value", "low", "high", "source", NULL};
    struct metric m;
    int source;
    int code = json_only(item, at, keys, err);
    if (code == 0)
        code = json_real(item, at, "value", -BOUND_MAX, BOUND_MAX, err, &m.value);
    if (code == 0)
        code = json_real(item, at, "low", -BOUND_MAX, m.value, err, &m.low);
    if (code == 0)
        code = json_real(item, at, "high", m.value, BOUND_MAX, err, &m.high);
    if (code == 0)
        code = json_enum(item, at, "source", metric_source_names, err, &source);
    if (code < 0)
        return code;
    m.source = (enum metric_source)source;
    *ret_metric = m;
    return 0;
}

int metrics_from_json(const struct goals *goals, const cJSON *doc, const char *at, struct err *err,
                      struct metric *ret_metrics) {
    struct metric metrics[METRICS_MAX];
    for (int i = 0; i < goals->n_metrics; i++) {
        metrics[i] = (struct metric){NAN, NAN, NAN, METRIC_COUNTED};
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, goals->keys[i]);
        if (!item)
            continue;
        char pointer[256];
        snprintf(pointer, sizeof pointer, "%.120s/%s", at, goals->keys[i]);
        int code = read_metric_value(item, pointer, err, &metrics[i]);
        if (code < 0)
            return code;
    }
    memcpy(ret_metrics, metrics, (size_t)goals->n_metrics * sizeof *metrics);
    return 0;
}
