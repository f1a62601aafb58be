/* espalier search front: a search's Pareto front as a table, its best point, its archs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"

static const cJSON *metric_of(const cJSON *item, const char *kind, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(cli_item(item, kind), key);
}

/* ---- what is shown ------------------------------------------------------------------------- */

/* SHOWN_MAX with room for the top-1 on test images and the arch in a table; FRONT_MIN as the daemon
 * has it. */
enum { SHOWN_MAX = 36, FRONT_MIN = 8 };
struct shown_metrics {
    int n;
    char keys[SHOWN_MAX][METRIC_TEXT];
};

static bool is_latency(const char *key) {
    return !strncmp(key, "latency_us", 10);
}

/* Of a board: it may be predicted or measured, each with an interval. */
static bool is_of_board(const char *key) {
    return is_latency(key) || !strncmp(key, "energy_uj", 9);
}

static void show_metric(struct shown_metrics *shown, const char *key) {
    for (int i = 0; i < shown->n; i++)
        if (!strcmp(shown->keys[i], key))
            return;
    if (shown->n < SHOWN_MAX)
        snprintf(shown->keys[shown->n++], METRIC_TEXT, "%s", key);
}

static void show_goals(struct shown_metrics *shown, const cJSON *goals) {
    const cJSON *goal = NULL;
    char key[METRIC_TEXT];
    cJSON_ArrayForEach(goal, goals) show_metric(shown, metric_key(goal, key));
}

static bool has_loss(const cJSON *items) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items) if (cli_item(item, "metrics.loss")) return true;
    return false;
}

/* What the front was asked for and the search's objectives, then its limits, then what people look
 * for in any front. */
static void choose_metrics(const cJSON *search, const cJSON *front, struct shown_metrics *shown) {
    const cJSON *items = cli_item(front, "items"), *metric = NULL;
    shown->n = 0;
    show_goals(shown, cli_item(front, "objectives"));
    show_goals(shown, cli_item(search, "objectives"));
    show_goals(shown, cli_item(search, "constraints"));
    show_metric(shown, "top1");
    if (has_loss(items))
        show_metric(shown, "loss");
    cJSON_ArrayForEach(metric, cli_item(cJSON_GetArrayItem(items, 0), "metrics")) {
        if (is_latency(metric->string))
            show_metric(shown, metric->string);
    }
    show_metric(shown, "macs");
    show_metric(shown, "params");
    show_metric(shown, "peak_activation_bytes");
}

/* ---- its cells ----------------------------------------------------------------------------- */

static bool is_interpolated(const cJSON *metric) {
    return !strcmp(cli_text(metric, "source"), "interpolated");
}

/* What stands before a value that rests on entries that the board's table does not have. */
static const char *mark_of(const cJSON *metric) {
    return is_interpolated(metric) ? "~" : "";
}

/* "1.234 -> 1.301 [1.290, 1.315]" in the unit of the table. */
static void describe_cost(const cJSON *item, const char *key, const struct cli_unit *unit,
                          cJSON *row) {
    const cJSON *now = metric_of(item, "metrics", key), *before = metric_of(item, "predicted", key);
    double predicted = cli_number(before, "value");
    const char *source = cli_text(now, "source");
    char value[CLI_LATENCY], low[CLI_LATENCY], high[CLI_LATENCY], was[CLI_LATENCY];
    char text[4 * CLI_LATENCY + 32] = "-";

    if (now) {
        cli_latency(cli_number(now, "value"), unit, value);
        cli_latency(cli_number(now, "low"), unit, low);
        cli_latency(cli_number(now, "high"), unit, high);
    }
    if (!strcmp(source, "measured") && !isnan(predicted))
        snprintf(text, sizeof(text), "%s%s -> %s [%s, %s]", mark_of(before),
                 cli_latency(predicted, unit, was), value, low, high);
    else if (!strcmp(source, "counted"))
        snprintf(text, sizeof(text), "%s", value);
    else if (now)
        snprintf(text, sizeof(text), "%s%s [%s, %s] %.16s", mark_of(now), value, low, high, source);
    cJSON_AddStringToObject(row, key, text);
}

static void describe_top1(const cJSON *item, cJSON *row) {
    double top1 = cli_number(item, "metrics.top1.value"), test = cli_number(item, "test_top1");
    char text[64];

    snprintf(text, sizeof(text), "%.2f %% %s", 100 * top1, cli_text(item, "metrics.top1.source"));
    cJSON_AddStringToObject(row, "top1", text);
    if (!isnan(test))
        cJSON_AddNumberToObject(row, "test_top1", test);
}

/* Energies are told in uJ, as everywhere. */
static const struct cli_unit *unit_of(const char *key, const struct cli_unit *of_latencies) {
    static const struct cli_unit energy = {"uJ", 1};
    return is_latency(key) ? of_latencies : &energy;
}

static cJSON *front_row(const cJSON *item, const struct shown_metrics *shown,
                        const struct cli_unit *unit) {
    cJSON *row = cJSON_CreateObject();

    for (int i = 0; i < shown->n; i++) {
        const char *key = shown->keys[i];
        double value = cli_number(metric_of(item, "metrics", key), "value");
        if (!strcmp(key, "top1"))
            describe_top1(item, row);
        else if (is_of_board(key))
            describe_cost(item, key, unit_of(key, unit), row);
        else if (!isnan(value))
            cJSON_AddNumberToObject(row, key, value);
    }
    cJSON_AddStringToObject(row, "arch", cli_text(item, "arch"));
    return row;
}

/* ---- its rows ------------------------------------------------------------------------------ */

static double latency_of(const cJSON *item) {
    const cJSON *metric = NULL;
    cJSON_ArrayForEach(metric, cli_item(item, "metrics")) {
        if (is_latency(metric->string))
            return cli_number(metric, "value");
    }
    return NAN;
}

/* From the fastest network to the slowest; those without a latency by their MACs, last. */
static double row_order(const cJSON *item) {
    double us = latency_of(item);
    return isnan(us) ? 1e12 + cli_number(item, "metrics.macs.value") : us;
}

static int compare_items(const void *a, const void *b) {
    double x = row_order(*(const cJSON *const *)a), y = row_order(*(const cJSON *const *)b);
    return (x > y) - (x < y);
}

/* The front's rows as a table in their order. cJSON_InsertItemInArray would do it in place, but
 * Debian's 1.7.15 refuses some places in the middle. */
static cJSON *front_table(const cJSON *items, const struct shown_metrics *shown,
                          const struct cli_unit *unit) {
    cJSON *table = cJSON_CreateArray();
    const cJSON *item = NULL;
    int n = 0;
    const cJSON **order = mem_array((size_t)cJSON_GetArraySize(items) + 1, sizeof(*order));

    if (order) {
        cJSON_ArrayForEach(item, items) order[n++] = item;
        qsort(order, (size_t)n, sizeof(*order), compare_items);
    }
    for (int i = 0; i < n; i++)
        cJSON_AddItemToArray(table, front_row(order[i], shown, unit));
    free(order);
    return table;
}

/* The point with the best value of top1 among those that meet the constraints. */
static const cJSON *front_best(const cJSON *items) {
    const cJSON *item = NULL, *best = NULL;
    cJSON_ArrayForEach(item, items) {
        double top1 = cli_number(item, "metrics.top1.value");
        bool feasible = !cJSON_IsFalse(cli_item(item, "feasible"));
        if (feasible && (!best || top1 > cli_number(best, "metrics.top1.value")))
            best = item;
    }
    return best;
}

/* Of the front's latencies in us; high is 0 when it has none. */
struct span {
    double low, high;
};

static struct span front_span(const cJSON *items) {
    const cJSON *item = NULL;
    struct span span = {INFINITY, 0};
    cJSON_ArrayForEach(item, items) {
        double us = latency_of(item);
        span.low = fmin(span.low, us);
        span.high = fmax(span.high, us);
    }
    return span;
}

static bool has_interpolated(const cJSON *items, const char *kind) {
    const cJSON *item = NULL, *metric = NULL;
    cJSON_ArrayForEach(item, items) {
        cJSON_ArrayForEach(metric, cli_item(item, kind)) {
            if (is_interpolated(metric))
                return true;
        }
    }
    return false;
}

/* A front with what it is of. */
struct told_front {
    const cJSON *search, *front; /* search NULL: it is gone */
    bool limited, one_board;     /* to networks that keep the limits that were given */
};

/* Why there is nothing on the front that was asked for. */
static void print_empty(struct cli *cli, FILE *out, const struct told_front *told) {
    const char *state = cli_text(told->search, "state");
    char why[RESOURCE_WHY];

    if (told->limited)
        fputs("No network keeps these limits.\n", out);
    else if (cli_item(told->front, "objectives"))
        fputs("No network has a value of each of these metrics.\n", out);
    else if (!strcmp(state, "failed"))
        fprintf(out, "The search failed before it had a front%s%s.\n",
                resource_why_failed(cli, told->search, why)[0] ? ": " : "", why);
    else if (!strcmp(state, "canceled"))
        fputs("The search was cancelled before it had a front.\n", out);
    else if (strcmp(state, "done") != 0)
        fputs("There is no front yet: it comes with the first generation, at the latest when the "
              "strategy is done.\n",
              out);
    else
        fputs("No network met the search's limits.\n", out);
}

/* That the daemon found the front of the finished search few or narrow, and which of them. */
static void print_degenerate(FILE *out, const struct told_front *told, int n, double high) {
    if (!cJSON_IsTrue(cli_item(told->search, "result.degenerate")))
        return;
    fprintf(out, "The space is degenerate%s: %s.\n",
            high > 0 && told->one_board ? " on this board" : "",
            n < FRONT_MIN      ? "fewer than 8 points"
            : high == 0        ? "a ratio of MACs below 1.5"
            : !told->one_board ? "a latency ratio below 1.5 on its first board"
                               : "a latency ratio below 1.5");
}

/* How many points, and how wide the front is. */
static void print_extent(FILE *out, const cJSON *front, int n, struct span span) {
    const struct cli_unit *unit = cli_latency_unit(span.high);
    char low[CLI_LATENCY], high[CLI_LATENCY];
    double hypervolume = cli_number(front, "hypervolume");

    fprintf(out, "\n%d %s", n, n == 1 ? "point" : "points");
    if (span.high > 0)
        fprintf(out, ", latency %s to %s %s (ratio %.2f)", cli_latency(span.low, unit, low),
                cli_latency(span.high, unit, high), unit->name, span.high / span.low);
    if (!isnan(hypervolume))
        fprintf(out, ", hypervolume %.6g", hypervolume);
    if (cli_text(front, "stage")[0])
        fprintf(out, ", %s front", cli_text(front, "stage"));
    else if (!cli_item(front, "objectives"))
        fputs(", the best so far", out);
    fputc('\n', out);
}

/* People at a terminal are told below the table what its cells are. */
static bool is_terse(const struct cli *cli) {
    return cli_remarks(cli) == stdout;
}

/* Of one that was asked for, with metrics or limits of its own, nothing of the search's holds. */
static void print_front_summary(struct cli *cli, const struct told_front *told) {
    const cJSON *front = told->front, *items = cli_item(front, "items");
    struct span span = front_span(items);
    FILE *out = cli_remarks(cli);
    int n = cJSON_GetArraySize(items);

    if (n == 0) {
        print_empty(cli, out, told);
        return;
    }
    print_extent(out, front, n, span);
    if (is_terse(cli))
        fputs("TOP-1 is of the validation images, TEST of the test images; costs are predicted, or "
              "predicted -> measured, [with an interval].\n",
              out);
    if (cJSON_IsTrue(cli_item(front, "no_board")))
        fputs("Latency not measured: no board. What has no measured interval is predicted.\n", out);
    if (cJSON_IsTrue(cli_item(front, "refused")))
        fputs("A board refused every network that it was asked to measure: espalier search show "
              "says why. What has no measured interval is predicted.\n",
              out);
    if (has_interpolated(items, "metrics") || has_interpolated(items, "predicted"))
        fputs("~: interpolated, that is predicted though the board's table has no entry for some "
              "of the network's units.\n",
              out);
    if (!told->limited && !cli_item(front, "objectives"))
        print_degenerate(out, told, n, span.high);
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Whether all that is of a board is of the same one, which then need not be named. */
static bool is_of_one_board(const struct shown_metrics *shown) {
    const char *first = NULL;
    for (int i = 0; i < shown->n; i++) {
        const char *profile = strchr(shown->keys[i], ':');
        if (profile && first && strcmp(profile, first) != 0)
            return false;
        first = profile ? profile : first;
    }
    return true;
}

static void cost_title(struct cli *cli, const char *key, bool named, const struct cli_unit *unit,
                       char title[256]) {
    const char *profile = strchr(key, ':');
    char board[200] = "", name[METRIC_TEXT];
    bool terse = is_terse(cli);

    if (named && profile) {
        (void)metric_profile(cli, profile + 1, name);
        snprintf(board, sizeof(board), " ON %.150s", name);
    }
    if (is_latency(key))
        snprintf(title, 256, "LATENCY %s%s%s", unit->us == 1 ? "US" : "MS", board,
                 terse ? "" : ": PREDICTED -> MEASURED [95 %]");
    else if (profile)
        snprintf(title, 256, "ENERGY UJ%s%s", board,
                 terse ? "" : ": PREDICTED -> MEASURED [INTERVAL]");
    else
        snprintf(title, 256, terse ? "ENERGY UJ" : "ENERGY UJ, ESTIMATED");
}

static bool has_test(const cJSON *items) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items) if (cJSON_IsNumber(cli_item(item, "test_top1"))) return true;
    return false;
}

/* What is said below the table, or is plain, is left out. */
static const char *terse_title(const char *key, const char *title) {
    return !strcmp(key, "top1")                    ? "TOP-1"
           : !strcmp(key, "peak_activation_bytes") ? "MEMORY"
                                                   : title;
}

static void print_table(struct cli *cli, const cJSON *items, const struct shown_metrics *shown) {
    const struct cli_unit *unit = cli_latency_unit(front_span(items).high);
    struct column columns[SHOWN_MAX + 2];
    char titles[SHOWN_MAX][256];
    bool named = !is_of_one_board(shown);
    cJSON *table = front_table(items, shown, unit);
    int n = 0;

    for (int i = 0; i < shown->n; i++) {
        const char *key = shown->keys[i];
        columns[n] = metric_column(key);
        if (is_of_board(key)) {
            cost_title(cli, key, named, unit, titles[i]);
            columns[n] = (struct column){titles[i], key, CELL_TEXT};
        }
        n++;
        if (is_terse(cli))
            columns[n - 1].title = terse_title(key, columns[n - 1].title);
        if (!strcmp(key, "top1") && (!is_terse(cli) || has_test(items)))
            columns[n++] = (struct column){"TEST", "test_top1", CELL_PERCENT};
    }
    columns[n++] = (struct column){"ARCH", "arch", CELL_TEXT};
    cli_table(cli, table, columns, n);
    cJSON_Delete(table);
}

/* A search that is gone meanwhile is no reason not to show its front. */
static void print_front(struct cli *cli, const char *search, const cJSON *front, bool limited) {
    struct shown_metrics shown;
    struct err err = {0};
    cJSON *doc = NULL;

    (void)cli_get(cli, &err, &doc, "/searches/%.200s", cli_encode(search));
    choose_metrics(doc, front, &shown);
    print_table(cli, cli_item(front, "items"), &shown);
    if (!cli->no_headers)
        print_front_summary(cli,
                            &(struct told_front){doc, front, limited, is_of_one_board(&shown)});
    cJSON_Delete(doc);
}

/* As JSON where no other form is asked for; archs: its text alone. */
static int print_best(struct cli *cli, const cJSON *items, const char *search, bool archs) {
    const cJSON *best = front_best(items);

    if (!best) {
        fprintf(stderr, "espalier: %s \"%s\"\n",
                cJSON_GetArraySize(items) == 0
                    ? "there is no point yet on the front of the search"
                    : "no point meets the constraints on the front of the search",
                search);
        return CLI_NOT_FOUND;
    }
    if (archs) {
        puts(cli_text(best, "arch"));
        return CLI_OK;
    }
    if (!cli_is_plain(cli))
        cli->json = true;
    cli_print_plain(cli, best);
    return CLI_OK;
}

static int front_run(struct cli *cli, int argc, char **argv) {
    bool best = false, archs = false;
    struct option_list objectives = {0}, limits = {0};
    char path[QUERY_PATH_MAX];
    const struct option_row rows[] = {
        {"objective", 'O', OPTION_LIST, NULL, 0, 0, "",
         "the front of these metrics instead of the search's own, such as top1, macs, "
         "latency_us@pi4; two or more, one each time",
         &objectives},
        {"limit", 'l', OPTION_LIST, NULL, 0, 0, "",
         "of networks alone that keep this, such as \"latency_us@pi4<=25000\" or top1=evaluated; "
         "may "
         "be repeated",
         &limits},
        {"best", 'b', OPTION_FLAG, NULL, 0, 0, "",
         "the feasible point of highest top-1 alone (as JSON, if nothing else is asked for)",
         &best},
        {"archs", 'a', OPTION_FLAG, NULL, 0, 0, "", "archs only, a line each", &archs},
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    const cJSON *item = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (archs && cli_is_plain(cli) && cli_way_is_by_hand(cli))
        return cli_usage("--archs prints the networks' texts: not with --json, --jsonl, --get or "
                         "--output name");
    snprintf(path, sizeof(path), "/searches/%.200s/front", cli_encode(argv[first]));
    code = query_add(path, "objectives", &objectives);
    if (code < 0)
        code = query_add(path, "where", &limits);
    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "%s", path)) {
        query_name_option("objectives", "--objective", &err);
        query_name_option("where", "--limit", &err);
        return cli_fail(&err);
    }
    code = CLI_OK;
    if (best) {
        code = print_best(cli, cli_item(doc, "items"), argv[first], archs);
    } else if (archs) {
        cJSON_ArrayForEach(item, cli_item(doc, "items")) puts(cli_text(item, "arch"));
    } else if (!cli_print_plain(cli, cli_streams(cli) ? cli_item(doc, "items") : doc)) {
        print_front(cli, argv[first], doc, limits.n > 0);
    }
    cJSON_Delete(doc);
    return code;
}

const struct cli_command cli_search_front = {"search", "front", "SEARCH",
                                             "its Pareto front as a table", front_run};
