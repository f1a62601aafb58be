/* A search's report: its sections, in the order of the page. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/cli/html.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/report.h"
#include "daemon/cli/report_style.h"
#include "daemon/cli/resource.h"
#include "daemon/cli/search_text.h"

enum { TEXT = 2048 };

/* ---- parts of a page ----------------------------------------------------------------------- */

static void section(struct buf *out, const char *title) {
    buf_puts(out, "<h2>");
    html_text(out, title);
    buf_puts(out, "</h2>\n");
}

/* Nothing for what is not known. */
static void pair(struct buf *out, const char *name, const char *value) {
    if (!value[0] || !strcmp(value, "-"))
        return;
    html_element(out, "dt", name);
    html_element(out, "dd", value);
    buf_puts(out, "\n");
}

static void pair_of(struct buf *out, const char *name, const cJSON *doc, const char *path,
                    enum cell_kind kind) {
    const struct column column = {name, path, kind};
    char text[TEXT];
    cli_cell(doc, &column, text, sizeof(text));
    pair(out, name, text);
}

static void table_begin(struct buf *out, const char *caption, const char *const *titles, int n) {
    buf_puts(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    html_text(out, caption);
    buf_puts(out, "\"><table>\n");
    html_element(out, "caption", caption);
    buf_puts(out, "<thead><tr>");
    for (int i = 0; i < n; i++) /* "+" before a title: a column of numbers */
        html_element(out, titles[i][0] == '+' ? "th scope=\"col\" class=\"n\"" : "th scope=\"col\"",
                     titles[i] + (titles[i][0] == '+'));
    buf_puts(out, "</tr></thead>\n<tbody>\n");
}

static void table_end(struct buf *out) {
    buf_puts(out, "</tbody></table></div>\n");
}

static void cell(struct buf *out, const cJSON *row, const char *path, enum cell_kind kind) {
    const struct column column = {"", path, kind};
    char text[TEXT];
    bool number = kind != CELL_TEXT && kind != CELL_TIME && kind != CELL_WORDS;
    cli_cell(row, &column, text, sizeof(text));
    html_element(out, number ? "td class=\"n\"" : "td", text);
}

static const char *name_of(const struct report *report, const char *id) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(report->names, id));
    return name ? name : id;
}

/* ---- head ---------------------------------------------------------------------------------- */

static void fact(struct buf *out, const char *name, const char *value) {
    if (!strcmp(value, "-"))
        return;
    buf_puts(out, "<div>");
    html_element(out, "dt", name);
    html_element(out, "dd", value);
    buf_puts(out, "</div>\n");
}

/* With digits enough to tell two hypervolumes apart. */
static void fact_of(struct buf *out, const char *name, const cJSON *doc, const char *path) {
    double value = cli_number(doc, path);
    char text[64] = "-";
    if (!isnan(value))
        snprintf(text, sizeof(text), "%.6g", value);
    fact(out, name, text);
}

static int n_measured(const struct report *report) {
    const cJSON *item = NULL, *metric = NULL;
    int n = 0;
    cJSON_ArrayForEach(item, cli_item(report->front, "items")) {
        bool measured = false;
        cJSON_ArrayForEach(metric, cli_item(item, "metrics")) measured =
            measured || !strcmp(cli_text(metric, "source"), "measured");
        n += measured;
    }
    return n;
}

/* Whether a board stands behind what was meant, or has measured. */
static bool has_board(const struct report *report) {
    return report->profiles->child || report->calibrations->child || n_measured(report) > 0;
}

static void put_head(struct buf *out, const struct report *report) {
    const cJSON *search = report->search;
    char now[40], text[TEXT];

    clock_format_utc(clock_wall_us(), now, sizeof(now));
    html_element(out, "h1", cli_text(search, "name"));
    buf_puts(out, "<p class=\"lead\">A search for Pareto-optimal networks of the space ");
    html_text(out, cli_text(search, "space"));
    buf_puts(out, ", as Espalier knew it on ");
    html_textf(out, "%.10s at %.5s UTC. It is %s%s%s.", now, now + 11, cli_text(search, "state"),
               cli_text(search, "stage")[0] ? ", its front " : "", cli_text(search, "stage"));
    buf_puts(out, "</p>\n<dl class=\"facts\">\n");
    int n = cJSON_GetArraySize(cli_item(report->front, "items"));
    snprintf(text, sizeof(text), "%d", n);
    fact(out, n == 1 ? "network on the front" : "networks on the front", text);
    if (has_board(report)) {
        snprintf(text, sizeof(text), "%d", n_measured(report));
        fact(out, "of them measured on a board", text);
    }
    snprintf(text, sizeof(text), "%.0f", cli_number(search, "evaluations_done"));
    fact(out, "evaluations", text);
    fact_of(out, "hypervolume at the end", search, "result.hypervolume");
    fact_of(out, "of the baseline", search, "result.hypervolume_random");
    buf_puts(out, "</dl>\n");
}

/* ---- what was asked ------------------------------------------------------------------------ */

static void put_goal(struct buf *out, const struct report *report, const cJSON *goal) {
    char key[METRIC_TEXT], title[METRIC_TEXT], text[METRIC_TEXT + 16];
    snprintf(text, sizeof(text), "%s %s",
             !strcmp(cli_text(goal, "direction"), "maximise") ? "maximise" : "minimise",
             metric_title(metric_key(goal, key), report->names, title));
    html_element(out, "dd", text);
}

static void put_limit(struct buf *out, const struct report *report, const cJSON *limit) {
    char key[METRIC_TEXT], title[METRIC_TEXT], value[CLI_LATENCY], text[METRIC_TEXT + 64];
    static const char *const bounds[][2] = {{"min", "at least"}, {"max", "at most"}};
    metric_title(metric_key(limit, key), report->names, title);
    for (int i = 0; i < 2; i++) {
        double bound = cli_number(limit, bounds[i][0]);
        const struct metric_unit unit = metric_unit(key, bound);
        if (isnan(bound))
            continue;
        snprintf(text, sizeof(text), "%s %s %s", title, bounds[i][1],
                 metric_value(bound, &unit, value));
        html_element(out, "dd", text);
    }
}

static void put_goals(struct buf *out, const struct report *report) {
    const cJSON *goal = NULL, *limits = cli_item(report->search, "constraints");
    html_element(out, "dt", "objectives");
    cJSON_ArrayForEach(goal, cli_item(report->search, "objectives")) {
        if (goal->prev->next) /* not the first: its place is below the other */
            buf_puts(out, "<dt></dt>");
        put_goal(out, report, goal);
    }
    if (cJSON_GetArraySize(limits) == 0)
        return pair(out, "limits", "none");
    cJSON_ArrayForEach(goal, limits) {
        html_element(out, "dt", goal == limits->child ? "limits" : "");
        put_limit(out, report, goal);
    }
}

/* "crossover 0.9, mutation 0.1" */
static void put_numbers(struct buf *out, const char *name, const cJSON *numbers) {
    const cJSON *number = NULL;
    char text[TEXT] = "";
    int len = 0;
    cJSON_ArrayForEach(number, numbers) {
        if (cJSON_IsNumber(number) && len < TEXT - 100)
            len += snprintf(text + len, (size_t)(TEXT - len), "%s%.64s %.6g", len ? ", " : "",
                            number->string, number->valuedouble);
    }
    pair(out, name, text);
}

static void put_json(struct buf *out, const char *name, const cJSON *doc) {
    char *text = doc && !cJSON_IsNull(doc) ? json_print(doc) : NULL;
    pair(out, name, text ? text : "");
    free(text);
}

/* Where accuracies come from: an imported predictor by its name; how many subnets a predictor of
 * the search's own is fitted to only where there is one. */
static void put_accuracy(struct buf *out, const struct report *report) {
    const cJSON *accuracy = cli_item(report->search, "accuracy");
    const char *imported = cli_text(accuracy, "predictor"), *word = cJSON_GetStringValue(accuracy);
    char text[TEXT];
    snprintf(text, sizeof(text), "by the imported predictor %.100s", name_of(report, imported));
    pair(out, "accuracy", imported[0] ? text : word ? word : "");
    if (!imported[0] && (!word || strcmp(word, "evaluated") != 0))
        pair_of(out, "subnets evaluated to fit its predictor", report->request,
                "initial_evaluations", CELL_INT);
}

/* Nothing is measured where no board stands behind what is meant, nor is a front evaluated where
 * there is no supernet. */
static void put_measuring(struct buf *out, const struct report *report) {
    const cJSON *request = report->request;
    bool boards = has_board(report);
    if (boards)
        pair_of(out, "networks measured to calibrate", request, "calibration_nets", CELL_INT);
    if (boards || cli_text(report->search, "supernet_name")[0])
        pair_of(out,
                boards ? "networks of the front measured, at most, in a pass"
                       : "networks of the front evaluated, at most, in a pass",
                request, "measure_front", CELL_INT);
    if (!boards)
        return;
    pair_of(out, "measurements at most", request, "measurements", CELL_INT);
    pair(out, "method of measurement", cli_text(request, "method"));
}

static void put_asked(struct buf *out, const struct report *report) {
    const cJSON *search = report->search, *request = report->request;
    const char *baseline = cli_text(search, "baseline");
    section(out, "What was asked");
    buf_puts(out, "<dl class=\"pairs\">\n");
    put_goals(out, report);
    pair(out, "strategy", cli_text(search, "strategy"));
    put_numbers(out, "its options", cli_item(search, "strategy_options"));
    pair(out, "baseline, at equal budget", baseline[0] ? baseline : "none");
    pair_of(out, "budget, in evaluations", search, "evaluations", CELL_INT);
    pair_of(out, "asked for in seconds", search, "time_budget_s", CELL_REAL);
    pair_of(out, "seed", search, "seed", CELL_INT);
    pair_of(out, "population", search, "population", CELL_INT);
    pair_of(out, "rounds", search, "rounds", CELL_INT);
    pair_of(out, "patience, in evaluations", request, "patience", CELL_INT);
    pair(out, "supernet", cli_text(search, "supernet_name"));
    pair(out, "space", cli_text(search, "space"));
    put_json(out, "part of it that is searched", cli_item(search, "subspace"));
    pair(out, "data set", cli_text(report->dataset, "name"));
    put_accuracy(out, report);
    put_measuring(out, report);
    put_json(out, "begun with", cli_item(request, "warm_start"));
    buf_puts(out, "</dl>\n");
    const cJSON *note = NULL;
    cJSON_ArrayForEach(note, cli_item(search, "notes"))
        html_element(out, "p", cJSON_GetStringValue(note));
}

/* ---- the front's table --------------------------------------------------------------------- */

static double smallest_first(const cJSON *item, const char *key) {
    const cJSON *metric = cJSON_GetObjectItemCaseSensitive(cli_item(item, "metrics"), key);
    double value = cli_number(metric, "value");
    return isnan(value) ? INFINITY : value;
}

/* The objective that rows are sorted by: the second, or the only one. */
static const char *sort_key(const struct report *report, char key[METRIC_TEXT]) {
    const cJSON *goals = cli_item(report->search, "objectives");
    const cJSON *goal = goals ? goals->child : NULL;
    return metric_key(goal && goal->next ? goal->next : goal, key);
}

/* Of the items that were not put yet, the one with the smallest value: fronts are short. */
static const cJSON *next_item(const cJSON *items, const char *key, const bool *put, int *ret_at) {
    const cJSON *item = NULL, *best = NULL;
    int at = 0;
    cJSON_ArrayForEach(item, items) {
        if (!put[at] && (!best || smallest_first(item, key) < smallest_first(best, key))) {
            best = item;
            *ret_at = at;
        }
        at++;
    }
    return best;
}

static void put_metric(struct buf *out, const cJSON *item, const char *key, double largest) {
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(cli_item(item, "metrics"), key);
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(cli_item(item, "predicted"), key);
    const struct metric_unit unit = metric_unit(key, largest);
    const char *source = cli_text(now, "source");
    char value[CLI_LATENCY], low[CLI_LATENCY], high[CLI_LATENCY], text[4 * CLI_LATENCY];

    buf_puts(out, "<td class=\"n\">");
    html_text(out, metric_value(cli_number(now, "value"), &unit, value));
    if (source[0] && strcmp(source, "counted") != 0) {
        snprintf(text, sizeof(text), "%s to %s, %s",
                 metric_value(cli_number(now, "low"), &unit, low),
                 metric_value(cli_number(now, "high"), &unit, high), source);
        buf_puts(out, "<br>");
        html_element(out, "small", text);
    }
    if (was && !metric_is_predicted(now)) {
        snprintf(text, sizeof(text), "%.16s %s", cli_text(was, "source"),
                 metric_value(cli_number(was, "value"), &unit, value));
        buf_puts(out, "<br>");
        html_element(out, "small", text);
    }
    buf_puts(out, "</td>");
}

/* The metrics that the front's networks have, in the order of the first of them. */
enum { METRICS_MAX = 32 };
struct metrics {
    int n;
    const char *keys[METRICS_MAX];
    double largest[METRICS_MAX];
};

static void metrics_of(const cJSON *items, struct metrics *ret) {
    const cJSON *metric = NULL, *item = NULL;
    ret->n = 0;
    cJSON_ArrayForEach(metric, cli_item(cJSON_GetArrayItem(items, 0), "metrics")) {
        if (ret->n == METRICS_MAX)
            break;
        double largest = 0;
        cJSON_ArrayForEach(item, items) {
            double v = smallest_first(item, metric->string);
            largest = isfinite(v) ? fmax(largest, fabs(v)) : largest;
        }
        ret->keys[ret->n] = metric->string;
        ret->largest[ret->n++] = largest;
    }
}

static void put_front_row(struct buf *out, const cJSON *item, const struct metrics *metrics) {
    buf_puts(out, "<tr>");
    html_element(out, "th scope=\"row\" class=\"arch\"", cli_text(item, "arch"));
    for (int i = 0; i < metrics->n; i++)
        put_metric(out, item, metrics->keys[i], metrics->largest[i]);
    if (cJSON_IsNumber(cli_item(item, "test_top1")))
        cell(out, item, "test_top1", CELL_PERCENT);
    else
        buf_puts(out, "<td></td>");
    buf_puts(out, "</tr>\n");
}

static void put_front_table(struct buf *out, const struct report *report) {
    const cJSON *items = cli_item(report->front, "items"), *item;
    char titles[METRICS_MAX][METRIC_TEXT + 1], text[METRIC_TEXT], key[METRIC_TEXT];
    const char *heads[METRICS_MAX + 2];
    struct metrics metrics;
    bool *put = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof(*put));
    int at = 0;

    metrics_of(items, &metrics);
    heads[0] = "network";
    for (int i = 0; i < metrics.n; i++) {
        snprintf(titles[i], sizeof(titles[i]), "+%s",
                 metric_title(metrics.keys[i], report->names, text));
        heads[i + 1] = titles[i];
    }
    heads[metrics.n + 1] = "+top-1 on test images";
    sort_key(report, key);
    table_begin(out, "Every network of the front, with 95 % intervals", heads, metrics.n + 2);
    while (put && (item = next_item(items, key, put, &at))) {
        put_front_row(out, item, &metrics);
        put[at] = true;
    }
    table_end(out);
    if (!put)
        out->error = ESP_ENOMEM;
    free(put);
}

static void put_front(struct buf *out, const struct report *report) {
    section(out, "The front");
    if (cJSON_GetArraySize(cli_item(report->front, "items")) == 0) {
        html_element(out, "p",
                     "There is no network on it: none was found yet, or none met the "
                     "limits.");
        return;
    }
    if (cJSON_IsTrue(cli_item(report->front, "no_board")))
        html_element(out, "p",
                     "A board was gone or did not answer: what was not measured is predicted.");
    if (cJSON_IsTrue(cli_item(report->front, "refused")))
        html_element(out, "p",
                     "A board refused every network that it was asked to measure: what it would "
                     "have measured is predicted.");
    report_put_front(out, report);
    put_front_table(out, report);
}

/* ---- hypervolume, predictions -------------------------------------------------------------- */

static void put_curve(struct buf *out, const struct report *report) {
    const cJSON *point = cli_item(report->search, "reference_point"), *value = NULL;
    char title[METRIC_TEXT], number[CLI_LATENCY];

    section(out, "How the front grew");
    report_put_curve(out, report);
    if (cJSON_GetArraySize(point) == 0)
        return;
    buf_puts(out, "<p class=\"lead\">The hypervolume is what the front dominates, up to the "
                  "reference point:");
    cJSON_ArrayForEach(value, point) {
        const struct metric_unit unit = metric_unit(value->string, value->valuedouble);
        html_textf(out, "%s %s %s", value == point->child ? "" : ",",
                   metric_title(value->string, report->names, title),
                   metric_value(value->valuedouble, &unit, number));
    }
    buf_puts(out, ".</p>\n");
}

static void put_predictor(struct buf *out, const struct report *report) {
    const cJSON *predictor = cli_item(report->search, "predictor");
    if (!cJSON_IsObject(predictor))
        return;
    html_element(out, "h3", "Accuracy, out of fold");
    buf_puts(out, "<dl class=\"pairs\">\n");
    pair(out, "model", cli_text(predictor, "model"));
    pair_of(out, "fitted on, in subnets", predictor, "n", CELL_INT);
    pair_of(out, "Kendall tau", predictor, "kendall_tau", CELL_REAL);
    pair_of(out, "of a line through MACs alone", predictor, "baseline_kendall_tau", CELL_REAL);
    pair_of(out, "mean absolute error", predictor, "mae", CELL_PERCENT);
    pair_of(out, "root mean square error", predictor, "rmse", CELL_PERCENT);
    buf_puts(out, "</dl>\n");
}

static void put_calibrations(struct buf *out, const struct report *report, const cJSON *rows) {
    static const char *const heads[] = {
        "profile",          "+version",    "rung",         "+networks", "+mean error",
        "+before",          "+within 5 %", "+within 10 %", "+bias",     "+Kendall tau",
        "+interval covers", "+noise",      "calibration"};
    const cJSON *row = NULL;
    table_begin(out, "Calibrations of latency, judged on networks that they were not fitted on",
                heads, COUNT(heads));
    cJSON_ArrayForEach(row, rows) {
        buf_puts(out, "<tr>");
        html_element(out, "td", name_of(report, cli_text(row, "profile_id")));
        cell(out, row, "version", CELL_INT);
        cell(out, row, "rung", CELL_TEXT);
        cell(out, row, "n", CELL_INT);
        cell(out, row, "after.mape", CELL_PERCENT);
        cell(out, row, "before.mape", CELL_PERCENT);
        cell(out, row, "after.within_5", CELL_PERCENT);
        cell(out, row, "after.within_10", CELL_PERCENT);
        cell(out, row, "after.bias", CELL_PERCENT);
        cell(out, row, "after.kendall_tau", CELL_REAL);
        cell(out, row, "after.coverage", CELL_PERCENT);
        cell(out, row, "noise", CELL_PERCENT);
        cell(out, row, "id", CELL_TEXT);
        buf_puts(out, "</tr>\n");
    }
    table_end(out);
}

static void put_predictions(struct buf *out, const struct report *report) {
    const cJSON *own = cli_item(report->search, "calibrations");
    bool calibrated = cJSON_GetArraySize(own) > 0;
    section(out, "How good the predictions were");
    if (!cJSON_IsObject(cli_item(report->search, "predictor")) && !report->calibrations->child)
        html_element(out, "p", "Nothing in it was predicted by what was fitted here.");
    put_predictor(out, report);
    if (!report->calibrations->child)
        return;
    html_element(out, "h3", "Latency");
    if (!calibrated)
        html_element(out, "p",
                     "It fitted no calibration of its own: these are the newest that "
                     "its profiles have.");
    put_calibrations(out, report, calibrated ? own : report->calibrations);
    report_put_residuals(out, report);
}

static void put_residual_tables(struct buf *out, const struct report *report) {
    static const char *const heads[] = {"+predicted", "+from",       "+to",    "+measured",
                                        "+error",     "networks of", "network"};
    const cJSON *calibration = NULL, *row = NULL;
    char caption[METRIC_TEXT + 64];
    cJSON_ArrayForEach(calibration, report->calibrations) {
        if (cJSON_GetArraySize(cli_item(calibration, "points")) == 0)
            continue;
        snprintf(caption, sizeof(caption), "Every network measured on %.200s",
                 name_of(report, cli_text(calibration, "profile_id")));
        table_begin(out, caption, heads, COUNT(heads));
        cJSON_ArrayForEach(row, cli_item(calibration, "points")) {
            double was = cli_number(row, "predicted_us"), is = cli_number(row, "measured_us");
            buf_puts(out, "<tr>");
            cell(out, row, "predicted_us", CELL_LATENCY);
            cell(out, row, "low_us", CELL_LATENCY);
            cell(out, row, "high_us", CELL_LATENCY);
            cell(out, row, "measured_us", CELL_LATENCY);
            buf_printf(out, "<td class=\"n\">%+.1f %%</td>", 100 * (was / is - 1));
            html_element(out, "td",
                         cJSON_IsTrue(cli_item(row, "representative")) ? "the space"
                                                                       : "the search");
            html_element(out, "td class=\"arch\"", cli_text(row, "arch"));
            buf_puts(out, "</tr>\n");
        }
        table_end(out);
    }
}

/* ---- boards, provenance -------------------------------------------------------------------- */

static const cJSON *find(const cJSON *list, const char *id) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list) if (!strcmp(cli_text(item, "id"), id)) return item;
    return NULL;
}

static void put_board(struct buf *out, const struct report *report, const cJSON *profile) {
    const cJSON *device = find(report->devices, cli_text(profile, "device")), *part = NULL;
    html_element(out, "h3", cli_text(profile, "name"));
    buf_puts(out, "<dl class=\"pairs\">\n");
    pair(out, "board", cli_text(profile, "device_name"));
    pair(out, "runtime", cli_text(profile, "runtime"));
    pair(out, "precision", cli_text(profile, "precision"));
    pair_of(out, "threads", profile, "threads", CELL_INT);
    pair(out, "cores", cli_text(profile, "cores"));
    pair(out, "governor", cli_text(profile, "governor"));
    pair_of(out, "noise of the reference network", profile, "noise", CELL_PERCENT);
    pair(out, "worker", cli_text(device, "worker_version"));
    cJSON_ArrayForEach(part, cli_item(device, "fingerprint")) if (cJSON_IsString(part) &&
                                                                  strcmp(part->string, "governor"))
        pair(out, part->string, part->valuestring);
    pair(out, "revision of the profile now", cli_text(profile, "revision.id"));
    pair(out, "its fingerprint", cli_text(profile, "revision.fingerprint"));
    buf_puts(out, "</dl>\n");
}

static void put_boards(struct buf *out, const struct report *report) {
    const cJSON *profile = NULL, *model = NULL;
    section(out, "Boards");
    if (!report->profiles->child)
        html_element(out, "p", "No board had a part in it.");
    cJSON_ArrayForEach(profile, report->profiles) put_board(out, report, profile);
    cJSON_ArrayForEach(model, cli_item(report->search, "models")) {
        buf_puts(out, "<p>");
        html_textf(out, "Imported model of %s: %s (%s)", cli_text(model, "kind"),
                   cli_text(model, "name"), cli_text(model, "id"));
        buf_puts(out, "</p>\n");
    }
}

static void put_provenance(struct buf *out, const struct report *report) {
    const cJSON *calibration = NULL;
    char text[TEXT];
    section(out, "Where it comes from");
    buf_puts(out, "<dl class=\"pairs\">\n");
    pair(out, "search", cli_text(report->search, "id"));
    pair_of(out, "begun", report->search, "created_at", CELL_TIME);
    pair(out, "job", cli_text(report->job, "id"));
    pair_of(out, "its attempts", report->job, "attempt", CELL_INT);
    pair_of(out, "ended", report->job, "ended_at", CELL_TIME);
    pair(out, "espalierd", cli_text(report->daemon, "version"));
    pair(out, "its runtime's revision", cli_text(report->daemon, "runtime_revision"));
    pair(out, "SQLite", cli_text(report->daemon, "sqlite"));
    pair(out, "espalier", ESP_VERSION);
    pair(out, "fingerprint of the space", cli_text(report->space, "fingerprint"));
    pair(out, "supernet", cli_text(report->search, "supernet"));
    pair(out, "checkpoint", cli_text(report->search, "checkpoint"));
    pair(out, "its hash", cli_text(report->checkpoint, "hash"));
    pair(out, "revision of the data set", cli_text(report->dataset, "revision"));
    cJSON_ArrayForEach(calibration, report->calibrations) {
        snprintf(text, sizeof(text), "%.60s of %.200s, by revision %.60s of the profile",
                 cli_text(calibration, "id"), name_of(report, cli_text(calibration, "profile_id")),
                 cli_text(calibration, "profile_revision"));
        pair(out, "newest calibration", text);
    }
    buf_puts(out, "</dl>\n");
}

/* ---- again --------------------------------------------------------------------------------- */

/* The request, by the checkpoint that the search went by: a supernet may be trained on. */
static cJSON *exact_request(const struct report *report) {
    cJSON *request = cJSON_Duplicate(report->request, true);
    const char *checkpoint = cli_text(report->search, "checkpoint");
    if (checkpoint[0] && cli_text(request, "supernet")[0])
        cli_put_text(request, "checkpoint", checkpoint);
    return request;
}

/* cJSON's text, indented by blanks: in texts it writes a tab as an escape. */
static void put_document(struct buf *out, const cJSON *doc) {
    char *text = cJSON_Print(doc), one[2] = "";
    buf_puts(out, "<pre id=\"request\">");
    for (const char *c = text ? text : ""; *c; c++) {
        one[0] = *c;
        html_text(out, *c != '\t' ? one : c > text && c[-1] == ':' ? " " : "  ");
    }
    buf_puts(out, "</pre>\n");
    free(text);
}

static void put_repeat(struct buf *out, const struct report *report) {
    section(out, "To repeat it");
    if (!report->request) {
        html_element(out, "p", "These are results that were taken over from another program.");
        return;
    }
    cJSON *request = exact_request(report);
    struct buf command;
    buf_init(&command, 0);
    html_element(out, "p",
                 "Under another name, by the daemon that knows these ids. By the command line:");
    if (!search_command(&command, request, report->names))
        buf_puts(&command, "espalier apply -f search.json");
    html_element(out, "pre id=\"command\"", command.data ? command.data : "");
    html_element(out, "p",
                 "By the API, as the body of POST /api/v1/searches, or as the file "
                 "search.json of espalier apply -f search.json:");
    put_document(out, request);
    buf_finish(&command);
    cJSON_Delete(request);
}

/* ---- the page ------------------------------------------------------------------------------ */

void report_put(struct buf *out, const struct report *report) {
    buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; img-src data:\">\n"
                  "<link rel=\"icon\" href=\"data:,\">\n<title>");
    html_text(out, cli_text(report->search, "name"));
    buf_puts(out, ", a search by Espalier</title>\n<style>\n");
    buf_puts(out, report_style);
    buf_puts(out, "</style>\n</head>\n<body>\n<main>\n");
    put_head(out, report);
    put_asked(out, report);
    put_front(out, report);
    put_curve(out, report);
    put_predictions(out, report);
    put_residual_tables(out, report);
    put_boards(out, report);
    put_provenance(out, report);
    put_repeat(out, report);
    buf_puts(out, "</main>\n</body>\n</html>\n");
}
