/* espalier search ls, show, front, cancel, resume, rm; arch export. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/export.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"NAME", "name", CELL_TEXT},
                                     {"SUPERNET", "supernet_name", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"STAGE", "stage", CELL_TEXT},
                                     {"EVALUATIONS", "evaluations_done", CELL_INT},
                                     {"FRONT", "front_size", CELL_INT},
                                     {"HYPERVOLUME", "hypervolume", CELL_REAL}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"supernet", "supernet_name", CELL_TEXT},
    {"its checkpoint", "checkpoint", CELL_TEXT},
    {"space", "space", CELL_TEXT},
    {"state", "state", CELL_TEXT},
    {"stage", "stage", CELL_TEXT},
    {"strategy", "strategy", CELL_TEXT},
    {"baseline", "baseline", CELL_TEXT},
    {"evaluations", "evaluations_done", CELL_INT},
    {"of", "evaluations", CELL_INT},
    {"front", "front_size", CELL_INT},
    {"hypervolume of the newest front", "hypervolume", CELL_REAL},
    {"hypervolume at the end of the search", "result.hypervolume", CELL_REAL},
    {"  of the baseline, at equal budget", "result.hypervolume_random", CELL_REAL},
    {"  both by values that are", "result.hypervolume_stage", CELL_TEXT},
    {"accuracy predictor's Kendall tau", "predictor.kendall_tau", CELL_REAL},
    {"  of a line through MACs alone", "predictor.baseline_kendall_tau", CELL_REAL},
    {"  mean absolute error", "predictor.mae", CELL_REAL},
    {"job", "job", CELL_TEXT},
    {"created", "created_at", CELL_TIME}};
static const struct resource searches = RESOURCE("/searches", list, fields);

static int ls_run(struct cli *cli, int argc, char **argv) {
    return resource_list(cli, &searches, argc, argv);
}

static void print_option(const cJSON *option) {
    char left[96], right[512];
    snprintf(left, sizeof(left), "    %.40s=%.6g", cli_text(option, "name"),
             cli_number(option, "default"));
    snprintf(right, sizeof(right), "%.400s (%s%.8g to %.8g)", cli_text(option, "help"),
             strcmp(cli_text(option, "kind"), "int") ? "" : "whole, ", cli_number(option, "min"),
             cli_number(option, "max"));
    options_print_columns(stdout, left, right, 28);
}

static void print_strategy(const cJSON *strategy) {
    char when[512];
    const cJSON *option = NULL;
    options_print_columns(stdout, cli_text(strategy, "name"), cli_text(strategy, "help"), 16);
    snprintf(when, sizeof(when), "take it when: %.400s", cli_text(strategy, "when"));
    options_print_columns(stdout, "", when, 16);
    cJSON_ArrayForEach(option, cli_item(strategy, "options")) print_option(option);
}

static int strategies_run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL, *item = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    if (cli_get(cli, &err, &doc, "/strategies"))
        return cli_fail(&err);
    if (!cli_print_plain(cli, cli_item(doc, "items")))
        cJSON_ArrayForEach(item, cli_item(doc, "items")) print_strategy(item);
    cJSON_Delete(doc);
    return CLI_OK;
}

static void print_search(struct cli *cli, const cJSON *doc) {
    const cJSON *note;
    cli_fields(doc, searches.fields, searches.n_fields);
    if (cli_text(doc, "result.ending")[0])
        printf("ended early: %s\n", cli_shown(cli_text(doc, "result.ending")));
    cJSON_ArrayForEach(note, cli_item(doc, "notes"))
        printf("note: %s\n", cli_shown(note->valuestring));
}

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_page(cli, &(struct resource_word){"/searches/", ""}, print_search, argc, argv);
}

static int cancel_run(struct cli *cli, int argc, char **argv) {
    return resource_stop(cli, &searches, argc, argv);
}

static int pause_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "pause", argc, argv);
}

static int resume_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "resume", argc, argv);
}

static int rm_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "rm", argc, argv);
}

/* ---- the front as a table ------------------------------------------------------------------ */

static const cJSON *latency_metric(const cJSON *metrics) {
    const cJSON *metric = NULL;
    cJSON_ArrayForEach(metric,
                       metrics) if (!strncmp(metric->string, "latency_us", 10)) return metric;
    return NULL;
}

static void add_text(cJSON *row, const char *key, const char *text) {
    cJSON_AddStringToObject(row, key, text);
}

enum { LATENCIES_MAX = 8 };

/* The keys of the latencies that a front is about, in the order of its objectives. */
static int latency_keys(const cJSON *items, const char *ret_keys[LATENCIES_MAX]) {
    const cJSON *metric = NULL;
    int n = 0;
    cJSON_ArrayForEach(metric, cli_item(cJSON_GetArrayItem(items, 0), "metrics")) {
        if (n < LATENCIES_MAX && !strncmp(metric->string, "latency_us", 10))
            ret_keys[n++] = metric->string;
    }
    return n;
}

static const cJSON *metric_of(const cJSON *item, const char *kind, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(cli_item(item, kind), key);
}

/* "1.234 -> 1.301 [1.290, 1.315]" in the unit of the table. */
static void describe_latency(const cJSON *item, const char *key, const struct cli_unit *unit,
                             const char *column, cJSON *row) {
    const cJSON *now = metric_of(item, "metrics", key), *before = metric_of(item, "predicted", key);
    double predicted = cli_number(before, "value");
    char value[CLI_LATENCY], low[CLI_LATENCY], high[CLI_LATENCY], was[CLI_LATENCY];
    char text[4 * CLI_LATENCY + 32] = "-";

    if (now) {
        cli_latency(cli_number(now, "value"), unit, value);
        cli_latency(cli_number(now, "low"), unit, low);
        cli_latency(cli_number(now, "high"), unit, high);
    }
    if (now && !strcmp(cli_text(now, "source"), "measured") && !isnan(predicted))
        snprintf(text, sizeof(text), "%s -> %s [%s, %s]", cli_latency(predicted, unit, was), value,
                 low, high);
    else if (now)
        snprintf(text, sizeof(text), "%s [%s, %s] %.16s", value, low, high,
                 cli_text(now, "source"));
    add_text(row, column, text);
}

static const char *const latency_columns[LATENCIES_MAX] = {"latency_0", "latency_1", "latency_2",
                                                           "latency_3", "latency_4", "latency_5",
                                                           "latency_6", "latency_7"};

static cJSON *front_row(const cJSON *item, const char *const *keys, int n_keys,
                        const struct cli_unit *unit) {
    cJSON *row = cJSON_CreateObject();
    double top1 = cli_number(item, "metrics.top1.value"), test = cli_number(item, "test_top1");
    char text[64];

    snprintf(text, sizeof(text), "%.2f %% %s", 100 * top1, cli_text(item, "metrics.top1.source"));
    add_text(row, "top1", text);
    cJSON_AddNumberToObject(row, "loss", cli_number(item, "metrics.loss.value"));
    if (!isnan(test))
        cJSON_AddNumberToObject(row, "test_top1", test);
    for (int i = 0; i < n_keys; i++)
        describe_latency(item, keys[i], unit, latency_columns[i], row);
    cJSON_AddNumberToObject(row, "latency_us",
                            cli_number(latency_metric(cli_item(item, "metrics")), "value"));
    cJSON_AddNumberToObject(row, "macs", cli_number(item, "metrics.macs.value"));
    cJSON_AddNumberToObject(row, "params", cli_number(item, "metrics.params.value"));
    cJSON_AddNumberToObject(row, "memory", cli_number(item, "metrics.peak_activation_bytes.value"));
    add_text(row, "arch", cli_text(item, "arch"));
    return row;
}

/* Rows from the fastest network to the slowest; those without a latency by their MACs, last. */
static double row_order(const cJSON *row) {
    double us = cli_number(row, "latency_us");
    return isnan(us) ? 1e12 + cli_number(row, "macs") : us;
}

static int compare_rows(const void *a, const void *b) {
    double x = row_order(*(cJSON *const *)a), y = row_order(*(cJSON *const *)b);
    return (x > y) - (x < y);
}

/* The front's rows as a table in their order. cJSON_InsertItemInArray would do it in place, but
 * Debian's 1.7.15 refuses some places in the middle. */
static cJSON *front_table(const cJSON *items, const char *const *keys, int n_keys,
                          const struct cli_unit *unit) {
    cJSON *table = cJSON_CreateArray();
    const cJSON *item = NULL;
    int n = 0;
    cJSON **rows = mem_array((size_t)cJSON_GetArraySize(items) + 1, sizeof(*rows));

    if (rows) {
        cJSON_ArrayForEach(item, items) rows[n++] = front_row(item, keys, n_keys, unit);
        qsort(rows, (size_t)n, sizeof(*rows), compare_rows);
    }
    for (int i = 0; i < n; i++)
        cJSON_AddItemToArray(table, rows[i]);
    free(rows);
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
        double us = cli_number(latency_metric(cli_item(item, "metrics")), "value");
        span.low = fmin(span.low, us);
        span.high = fmax(span.high, us);
    }
    return span;
}

/* How wide the front is; a front that is narrow or has few points is said to be so. */
static void print_front_summary(const struct cli *cli, const cJSON *front) {
    struct span span = front_span(cli_item(front, "items"));
    const struct cli_unit *unit = cli_latency_unit(span.high);
    char low[CLI_LATENCY], high[CLI_LATENCY];
    FILE *out = cli_remarks(cli);
    int n = cJSON_GetArraySize(cli_item(front, "items"));

    fprintf(out, "\n%d %s", n, n == 1 ? "point" : "points");
    if (span.high > 0)
        fprintf(out, ", latency %s to %s %s (ratio %.2f)", cli_latency(span.low, unit, low),
                cli_latency(span.high, unit, high), unit->name, span.high / span.low);
    fprintf(out, ", hypervolume %.6g, %s front\n", cli_number(front, "hypervolume"),
            cli_text(front, "stage"));
    if (cJSON_IsTrue(cli_item(front, "no_board")))
        fputs("Latency not measured: no board. What has no measured interval is predicted.\n", out);
    if (cJSON_IsTrue(cli_item(front, "refused")))
        fputs("A board refused every network that it was asked to measure: espalier search show "
              "says why. What has no measured interval is predicted.\n",
              out);
    if (n == 0)
        fputs("No network met the limits.\n", out);
    else if (cJSON_GetArraySize(cli_item(front, "reference_point")) > 1 &&
             (n < 8 || (span.high > 0 && span.high < 1.5 * span.low)))
        fprintf(out, "The space is degenerate%s.\n",
                span.high > 0 ? " on this board: fewer than 8 points or a latency ratio below 1.5"
                              : ": fewer than 8 points");
}

/* Of several latencies each says on which profile it is. */
static void latency_title(struct cli *cli, const char *key, bool only, const struct cli_unit *unit,
                          char title[256]) {
    const char *profile = strchr(key, ':');
    struct err err = {0};
    cJSON *doc = NULL;

    if (!only && profile)
        (void)cli_get(cli, &err, &doc, "/profiles/%s", cli_encode(profile + 1));
    snprintf(title, 256, "LATENCY %s%s%.150s: PREDICTED -> MEASURED [95 %%]",
             unit->us == 1 ? "US" : "MS", only ? "" : " ON ",
             only  ? ""
             : doc ? cli_shown(cli_text(doc, "name"))
                   : key);
    cJSON_Delete(doc);
}

static bool has_loss(const cJSON *items) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items) if (cli_item(item, "metrics.loss")) return true;
    return false;
}

static void print_front(struct cli *cli, const cJSON *front) {
    static const struct column before[] = {{"TOP-1 (VALIDATION)", "top1", CELL_TEXT},
                                           {"TEST", "test_top1", CELL_PERCENT}};
    static const struct column loss = {"LOSS (VALIDATION)", "loss", CELL_REAL};
    static const struct column behind[] = {{"MACS", "macs", CELL_MACS},
                                           {"PARAMS", "params", CELL_MACS},
                                           {"PEAK MEMORY", "memory", CELL_BYTES},
                                           {"ARCH", "arch", CELL_TEXT}};
    struct column columns[COUNT(before) + 1 + LATENCIES_MAX + COUNT(behind)];
    const cJSON *items = cli_item(front, "items");
    const struct cli_unit *unit = cli_latency_unit(front_span(items).high);
    const char *keys[LATENCIES_MAX];
    char titles[LATENCIES_MAX][256];
    int n_keys = latency_keys(items, keys), n = COUNT(before);
    cJSON *table = front_table(items, keys, n_keys, unit);

    memcpy(columns, before, sizeof(before));
    if (has_loss(items))
        columns[n++] = loss;
    for (int i = 0; i < n_keys; i++) {
        latency_title(cli, keys[i], n_keys == 1, unit, titles[i]);
        columns[n++] = (struct column){titles[i], latency_columns[i], CELL_TEXT};
    }
    memcpy(columns + n, behind, sizeof(behind));
    cli_table(cli, table, columns, n + COUNT(behind));
    cJSON_Delete(table);
    if (!cli->no_headers)
        print_front_summary(cli, front);
}

static int print_best(struct cli *cli, const cJSON *items, const char *search) {
    const cJSON *best = front_best(items);

    if (!best) {
        fprintf(stderr, "espalier: %s \"%s\"\n",
                cJSON_GetArraySize(items) == 0
                    ? "there is no point yet on the front of the search"
                    : "no point meets the constraints on the front of the search",
                search);
        return CLI_NOT_FOUND;
    }
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
         "the feasible point of highest top-1 alone (as JSON)", &best},
        {"archs", 'a', OPTION_FLAG, NULL, 0, 0, "", "archs only, a line each", &archs},
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    const cJSON *item = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
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
        code = print_best(cli, cli_item(doc, "items"), argv[first]);
    } else if (archs) {
        cJSON_ArrayForEach(item, cli_item(doc, "items")) puts(cli_text(item, "arch"));
    } else if (!cli_print_plain(cli, cli_streams(cli) ? cli_item(doc, "items") : doc)) {
        print_front(cli, doc);
    }
    cJSON_Delete(doc);
    return code;
}

/* ---- export -------------------------------------------------------------------------------- */

static int export_run(struct cli *cli, int argc, char **argv) {
    const char *file = NULL, *checkpoint = NULL, *dataset = NULL, *format = NULL;
    bool raw = false;
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "", "write the network here (waits for it)", &file},
        {"format", 0, OPTION_TEXT, "onnx", 1, 31, "",
         "onnx, or c: a C99 header with weights, ops and a plain forward pass", &format},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "recalibrate its BN statistics on this data set (default: the supernet's)", &dataset},
        {"raw", 0, OPTION_FLAG, NULL, 0, 0, "",
         "with the checkpoint's own BN statistics, without recalibration", &raw},
        {"checkpoint", 'c', OPTION_TEXT, NULL, 0, 0, "",
         "with weights of this checkpoint (default: the newest; of a search: espalier search show)",
         &checkpoint},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "supernet", argv[first]);
    cJSON_AddStringToObject(body, "arch", argv[first + 1]);
    cJSON_AddStringToObject(body, "format", format);
    cli_put_text(body, "checkpoint", checkpoint);
    cli_put_text(body, "dataset", dataset);
    if (raw)
        cJSON_AddBoolToObject(body, "recalibrate", false);
    code = export_to_file(cli, body, file);
    cJSON_Delete(body);
    return code;
}

const struct cli_command cli_search_ls = {"search", "ls", "", "searches", ls_run};
const struct cli_command cli_search_show = {"search", "show", "SEARCH", "one search", show_run};
const struct cli_command cli_search_front = {"search", "front", "SEARCH",
                                             "its Pareto front as a table", front_run};
const struct cli_command cli_search_strategies = {"search", "strategies", "",
                                                  "how a search can be done", strategies_run};
const struct cli_command cli_search_cancel = {"search", "cancel", "SEARCH...",
                                              "stop searches; they can be resumed", cancel_run};
const struct cli_command cli_search_pause = {"search", "pause", "SEARCH...",
                                             "pause searches until they are resumed", pause_run};
const struct cli_command cli_search_resume = {"search", "resume", "SEARCH...",
                                              "go on with searches", resume_run};
const struct cli_command cli_search_rm = {"search", "rm", "SEARCH...", "remove searches", rm_run};
const struct cli_command cli_arch_export = {"arch", "export", "SUPERNET ARCH",
                                            "export a subnet as ONNX or as C", export_run};
