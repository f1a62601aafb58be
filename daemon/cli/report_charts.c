/* The charts of a search's report. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/chart.h"
#include "daemon/cli/html.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/report.h"
#include "daemon/cli/resource.h"

enum { POINT_TITLE = 512 };

/* Points that own their titles. */
struct points {
    struct chart_point *points;
    char (*titles)[POINT_TITLE];
    int n, room;
};

static bool points_make(struct points *ret, int room) {
    ret->n = 0;
    ret->room = room;
    ret->points = mem_array((size_t)room + 1, sizeof(*ret->points));
    ret->titles = mem_array((size_t)room + 1, sizeof(*ret->titles));
    return ret->points && ret->titles;
}

static void points_finish(struct points *points) {
    free(points->points);
    free(points->titles);
}

static struct chart_point *points_add(struct points *points, double x, double y, int series) {
    struct chart_point *p = &points->points[points->n];
    *p = (struct chart_point){.x = x,
                              .y = y,
                              .x_low = NAN,
                              .x_high = NAN,
                              .y_low = NAN,
                              .y_high = NAN,
                              .from_x = NAN,
                              .from_y = NAN,
                              .series = series};
    points->n += points->n < points->room;
    return p;
}

/* ---- the front ----------------------------------------------------------------------------- */

/* One metric of the front's networks, with the unit that fits all of them. */
struct dimension {
    char key[METRIC_TEXT], title[METRIC_TEXT], label[METRIC_TEXT + 16];
    struct metric_unit unit;
    double limit; /* in that unit; NaN: none */
};

static const cJSON *metric_of(const cJSON *item, const char *when, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(cli_item(item, when), key);
}

static double largest_of(const cJSON *items, const char *key) {
    const cJSON *item = NULL;
    double largest = 0;
    cJSON_ArrayForEach(item, items) largest =
        fmax(largest, fabs(cli_number(metric_of(item, "metrics", key), "value")));
    return largest;
}

static double limit_of(const struct report *report, const char *key) {
    const cJSON *limit = NULL;
    char other[METRIC_TEXT];
    cJSON_ArrayForEach(limit, cli_item(report->search, "constraints")) {
        double max = cli_number(limit, "max");
        if (!strcmp(metric_key(limit, other), key))
            return isnan(max) ? cli_number(limit, "min") : max;
    }
    return NAN;
}

static void dimension_make(const struct report *report, const cJSON *goal, struct dimension *ret) {
    metric_key(goal, ret->key);
    metric_title(ret->key, report->names, ret->title);
    ret->unit = metric_unit(ret->key, largest_of(cli_item(report->front, "items"), ret->key));
    ret->limit = limit_of(report, ret->key) / ret->unit.one;
    snprintf(ret->label, sizeof(ret->label), "%s%s%s%s", ret->title, ret->unit.name[0] ? " (" : "",
             ret->unit.name, ret->unit.name[0] ? ")" : "");
}

static double in_unit(const cJSON *metric, const char *part, const struct dimension *d) {
    return cli_number(metric, part) / d->unit.one;
}

/* Where it was before it was measured or evaluated: only where that is another place. */
static double before(const cJSON *item, const struct dimension *d, double now) {
    double was = in_unit(metric_of(item, "predicted", d->key), "value", d);
    return isnan(was) ? now : was;
}

enum { MEASURED, PREDICTED, EARLIER };

static void add_point(struct points *points, const cJSON *item, const struct dimension *x,
                      const struct dimension *y) {
    const cJSON *mx = metric_of(item, "metrics", x->key), *my = metric_of(item, "metrics", y->key);
    char vx[CLI_LATENCY], vy[CLI_LATENCY];
    int known = !metric_is_predicted(mx) && !metric_is_predicted(my);
    struct chart_point *p = points_add(points, in_unit(mx, "value", x), in_unit(my, "value", y),
                                       known ? MEASURED : PREDICTED);
    char *title = points->titles[p - points->points];

    snprintf(title, POINT_TITLE, "%.300s: %.80s %s (%s), %.60s %s (%s)", cli_text(item, "arch"),
             x->title, metric_value(cli_number(mx, "value"), &x->unit, vx), cli_text(mx, "source"),
             y->title, metric_value(cli_number(my, "value"), &y->unit, vy), cli_text(my, "source"));
    p->title = title;
    if (strcmp(cli_text(mx, "source"), "counted") != 0) {
        p->x_low = in_unit(mx, "low", x);
        p->x_high = in_unit(mx, "high", x);
    }
    if (strcmp(cli_text(my, "source"), "counted") != 0) {
        p->y_low = in_unit(my, "low", y);
        p->y_high = in_unit(my, "high", y);
    }
    double from_x = before(item, x, p->x), from_y = before(item, y, p->y);
    if (from_x == p->x && from_y == p->y)
        return;
    p->from_x = from_x;
    p->from_y = from_y;
    struct chart_point *ghost = points_add(points, from_x, from_y, EARLIER);
    snprintf(points->titles[ghost - points->points], POINT_TITLE, "%.400s as it was predicted",
             cli_text(item, "arch"));
    ghost->title = points->titles[ghost - points->points];
}

/* x and y of all candidates that have both. The caller frees. */
static double *cloud_of(const struct report *report, const struct dimension *x,
                        const struct dimension *y, int *ret_n) {
    const cJSON *xs = cJSON_GetObjectItemCaseSensitive(report->clouds, x->key);
    const cJSON *ys = cJSON_GetObjectItemCaseSensitive(report->clouds, y->key);
    double *cloud = mem_array((size_t)cJSON_GetArraySize(xs) + 1, 2 * sizeof(*cloud));
    int n = 0;
    xs = xs ? xs->child : NULL;
    ys = ys ? ys->child : NULL;
    for (; cloud && xs && ys; xs = xs->next, ys = ys->next)
        if (cJSON_IsNumber(xs) && cJSON_IsNumber(ys)) {
            cloud[2 * n] = xs->valuedouble / x->unit.one;
            cloud[2 * n++ + 1] = ys->valuedouble / y->unit.one;
        }
    *ret_n = cloud ? n : 0;
    return cloud;
}

static void put_pair(struct buf *out, const struct report *report, const struct dimension *x,
                     const struct dimension *y, int number) {
    static const struct chart_series series[] = {
        {"on the front, measured or evaluated, with its 95 % interval", "measured", CHART_DOT},
        {"on the front, predicted, with its interval", "predicted", CHART_DIAMOND},
        {"as it was predicted before", "earlier", CHART_CROSS}};
    const cJSON *items = cli_item(report->front, "items"), *item = NULL;
    struct points points;
    char id[32], title[2 * METRIC_TEXT + 64];
    int n_cloud = 0;
    double *cloud = cloud_of(report, x, y, &n_cloud);

    if (points_make(&points, 2 * cJSON_GetArraySize(items)) && cloud) {
        cJSON_ArrayForEach(item, items) add_point(&points, item, x, y);
        snprintf(id, sizeof(id), "front-%d", number);
        snprintf(title, sizeof(title), "The front: %s against %s. Its values stand in the table.",
                 y->title, x->title);
        struct chart chart = {.id = id,
                              .title = title,
                              .x = {x->label, x->limit, true},
                              .y = {y->label, y->limit, false},
                              .series = series,
                              .n_series = COUNT(series),
                              .points = points.points,
                              .n_points = points.n,
                              .cloud = cloud,
                              .n_cloud = n_cloud};
        chart_put(out, &chart);
    } else {
        out->error = ESP_ENOMEM;
    }
    free(cloud);
    points_finish(&points);
}

/* Each further objective against the first, which is mostly top-1. */
void report_put_front(struct buf *out, const struct report *report) {
    const cJSON *goals = cli_item(report->search, "objectives"), *goal = NULL;
    struct dimension first, other;
    int number = 0;

    if (!goals || !goals->child || cJSON_GetArraySize(cli_item(report->front, "items")) == 0)
        return;
    dimension_make(report, goals->child, &first);
    for (goal = goals->child->next; goal; goal = goal->next) {
        dimension_make(report, goal, &other);
        put_pair(out, report, &other, &first, ++number);
    }
}

/* ---- hypervolume --------------------------------------------------------------------------- */

static int n_points_of(const cJSON *series) {
    const cJSON *row = NULL;
    int n = 0;
    cJSON_ArrayForEach(row, series) n += cJSON_GetArraySize(cli_item(row, "evaluations"));
    return n;
}

static void add_curve(struct points *points, const cJSON *row, int series) {
    const cJSON *x = cli_item(row, "evaluations"), *y = cli_item(row, "hypervolume");
    x = x ? x->child : NULL;
    y = y ? y->child : NULL;
    for (; x && y; x = x->next, y = y->next)
        points_add(points, x->valuedouble, cJSON_IsNumber(y) ? y->valuedouble : NAN, series);
}

enum { CURVES_MAX = 8 };

void report_put_curve(struct buf *out, const struct report *report) {
    const cJSON *rows = cli_item(report->curve, "series"), *row = NULL;
    const char *baseline = cli_text(report->search, "baseline");
    struct chart_series series[CURVES_MAX];
    struct points points;
    int n = 0;

    if (n_points_of(rows) == 0)
        return;
    if (points_make(&points, n_points_of(rows))) {
        cJSON_ArrayForEach(row, rows) {
            const char *name = cli_text(row, "strategy");
            bool beside = baseline[0] && !strcmp(name, baseline);
            if (n == CURVES_MAX)
                break;
            series[n] = (struct chart_series){name, beside ? "baseline" : "strategy",
                                              beside ? CHART_DASHES : CHART_LINE};
            add_curve(&points, row, n++);
        }
        struct chart chart = {.id = "hypervolume",
                              .title = "The hypervolume by the number of evaluations, beside that "
                                       "of the baseline",
                              .x = {"evaluations", NAN, false},
                              .y = {"hypervolume", NAN, false},
                              .series = series,
                              .n_series = n,
                              .points = points.points,
                              .n_points = points.n};
        chart_put(out, &chart);
    } else {
        out->error = ESP_ENOMEM;
    }
    points_finish(&points);
}

/* ---- residuals ----------------------------------------------------------------------------- */

static void add_residual(struct points *points, const cJSON *row, const struct metric_unit *unit) {
    struct chart_point *p = points_add(points, cli_number(row, "measured_us") / unit->one,
                                       cli_number(row, "predicted_us") / unit->one,
                                       cJSON_IsTrue(cli_item(row, "representative")) ? 0 : 1);
    char *title = points->titles[p - points->points];
    char was[CLI_LATENCY], is[CLI_LATENCY];
    p->y_low = cli_number(row, "low_us") / unit->one;
    p->y_high = cli_number(row, "high_us") / unit->one;
    snprintf(title, POINT_TITLE, "%.400s: predicted %s, measured %s", cli_text(row, "arch"),
             metric_value(cli_number(row, "predicted_us"), unit, was),
             metric_value(cli_number(row, "measured_us"), unit, is));
    p->title = title;
}

static void put_residuals(struct buf *out, const cJSON *rows, const char *profile, int number) {
    static const struct chart_series series[] = {
        {"chosen to stand for the space", "predicted", CHART_DIAMOND},
        {"of the search", "measured", CHART_DOT}};
    const cJSON *row = NULL;
    struct points points;
    double largest = 0;
    char id[32], title[METRIC_TEXT + 64], x[32], y[32];

    cJSON_ArrayForEach(row, rows) largest = fmax(largest, cli_number(row, "measured_us"));
    const struct metric_unit unit = metric_unit("latency_us", largest);
    if (!points_make(&points, cJSON_GetArraySize(rows)))
        out->error = ESP_ENOMEM;
    else {
        cJSON_ArrayForEach(row, rows) add_residual(&points, row, &unit);
        snprintf(id, sizeof(id), "residuals-%d", number);
        snprintf(title, sizeof(title), "Predicted against measured latency on %.200s", profile);
        snprintf(x, sizeof(x), "measured (%s)", unit.name);
        snprintf(y, sizeof(y), "predicted (%s)", unit.name);
        struct chart chart = {.id = id,
                              .title = title,
                              .x = {x, NAN, true},
                              .y = {y, NAN, true},
                              .series = series,
                              .n_series = COUNT(series),
                              .points = points.points,
                              .n_points = points.n,
                              .diagonal = true};
        chart_put(out, &chart);
    }
    points_finish(&points);
}

void report_put_residuals(struct buf *out, const struct report *report) {
    const cJSON *calibration = NULL;
    int number = 0;
    cJSON_ArrayForEach(calibration, report->calibrations) {
        const cJSON *rows = cli_item(calibration, "points");
        char key[METRIC_TEXT], title[METRIC_TEXT];
        if (cJSON_GetArraySize(rows) == 0)
            continue;
        snprintf(key, sizeof(key), "latency_us:%.150s", cli_text(calibration, "profile_id"));
        const char *profile = metric_title(key, report->names, title) + sizeof("latency on ") - 1;
        html_element(out, "h3", profile);
        put_residuals(out, rows, profile, ++number);
    }
}
