/* espalier search create, ls, show, front, cancel, resume, rm; arch export. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/export.h"
#include "daemon/cli/resource.h"

static const struct column list[] = {{"ID", "id", CELL_TEXT},
                                     {"NAME", "name", CELL_TEXT},
                                     {"SUPERNET", "supernet", CELL_TEXT},
                                     {"STATE", "state", CELL_TEXT},
                                     {"STAGE", "stage", CELL_TEXT},
                                     {"EVALUATIONS", "evaluations_done", CELL_INT},
                                     {"FRONT", "front_size", CELL_INT},
                                     {"HYPERVOLUME", "hypervolume", CELL_REAL}};
static const struct column fields[] = {
    {"id", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"supernet", "supernet", CELL_TEXT},
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
    {"  mean absolute error", "predictor.mae", CELL_REAL},
    {"job", "job", CELL_TEXT},
    {"created", "created_at", CELL_TIME}};
static const struct resource searches = RESOURCE("/searches", list, fields);

struct search_options {
    const char *supernet, *dataset, *space, *predictor, *objectives, *profile, *strategy, *baseline,
        *accuracy, *method, *warm_start_file;
    int64_t patience, evaluations, population, seed, initial, measure;
    double max_latency_ms, max_macs, max_params, max_memory_kb; /* NaN: no limit */
    struct option_list limits, options, warm_start;
};

static cJSON *objective(const char *metric, const char *direction, const char *profile) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "metric", metric);
    cJSON_AddStringToObject(o, "direction", direction);
    if (profile)
        cJSON_AddStringToObject(o, "profile", profile);
    return o;
}

static void add_bound(cJSON *constraints, const char *metric, const char *profile,
                      const char *bound, double value) {
    if (isnan(value))
        return;
    cJSON *c = cJSON_CreateObject();
    cJSON_AddStringToObject(c, "metric", metric);
    if (profile)
        cJSON_AddStringToObject(c, "profile", profile);
    cJSON_AddNumberToObject(c, bound, value);
    cJSON_AddItemToArray(constraints, c);
}

static void add_limit(cJSON *constraints, const char *metric, const char *profile, double max) {
    add_bound(constraints, metric, profile, "max", max);
}

/* "latency@pi4/t2", "macs": what people say of a metric. */
struct goal {
    char metric[64], profile[256]; /* profile "" */
};

/* len bytes of text. What they mean the daemon says. */
static int read_goal(const char *text, size_t len, struct goal *ret) {
    const char *at = memchr(text, '@', len);
    size_t name = at ? (size_t)(at - text) : len, rest = at ? len - name - 1 : 0;

    if (name == 0 || name >= sizeof(ret->metric) || rest >= sizeof(ret->profile))
        return cli_usage("\"%.100s\" is no metric", text);
    snprintf(ret->metric, sizeof(ret->metric), "%.*s", (int)name, text);
    snprintf(ret->profile, sizeof(ret->profile), "%.*s", (int)rest, at ? at + 1 : "");
    if (!strcmp(ret->metric, "latency"))
        strcpy(ret->metric, "latency_us");
    return CLI_OK;
}

/* "latency@pi4=0.4" in ms, "macs=3e6", "top1=0.9": at most, or for top-1 at least. */
static int add_limits(const struct option_list *texts, cJSON *constraints) {
    for (int i = 0; i < texts->n; i++) {
        const char *equals = strrchr(texts->items[i], '=');
        struct goal goal;
        char *end = NULL;
        double value = equals ? strtod(equals + 1, &end) : 0;
        if (!equals || end == equals + 1 || *end || !isfinite(value))
            return cli_usage("--limit: \"%.100s\" is not METRIC=NUMBER", texts->items[i]);
        int code = read_goal(texts->items[i], (size_t)(equals - texts->items[i]), &goal);
        if (code != CLI_OK)
            return code;
        bool least = !strcmp(goal.metric, "top1"), latency = !strcmp(goal.metric, "latency_us");
        add_bound(constraints, goal.metric, goal.profile[0] ? goal.profile : NULL,
                  least ? "min" : "max", latency ? value * 1000 : value);
    }
    return CLI_OK;
}

/* The objective that text[0..len) names: "top1", "macs", "latency@PROFILE", "latency" on fallback.
 */
static cJSON *named_objective(const char *text, size_t len, const char *fallback) {
    static const char latency[] = "latency";
    const size_t n = sizeof(latency) - 1;
    char word[256], *profile;
    snprintf(word, sizeof(word), "%.*s", (int)len, text);
    profile = strchr(word, '@');
    if (profile)
        *profile++ = '\0';
    bool is_latency = strncmp(word, latency, n) == 0 && (!word[n] || !strcmp(word + n, "_us"));
    return objective(is_latency ? "latency_us" : word,
                     strcmp(word, "top1") ? "minimise" : "maximise",
                     profile || !is_latency ? profile : fallback);
}

static void add_objectives(const struct search_options *o, cJSON *objectives) {
    if (!o->objectives) {
        cJSON_AddItemToArray(objectives, objective("top1", "maximise", NULL));
        cJSON_AddItemToArray(objectives, o->profile
                                             ? objective("latency_us", "minimise", o->profile)
                                             : objective("macs", "minimise", NULL));
        return;
    }
    for (const char *at = o->objectives; *at;) {
        size_t len = strcspn(at, ",");
        cJSON_AddItemToArray(objectives, named_objective(at, len, o->profile));
        at += len + (at[len] == ',');
    }
}

static int search_goals(const struct search_options *o, cJSON *objectives, cJSON *constraints) {
    add_objectives(o, objectives);
    add_limit(constraints, "latency_us", o->profile, o->max_latency_ms * 1000);
    add_limit(constraints, "macs", NULL, o->max_macs);
    add_limit(constraints, "params", NULL, o->max_params);
    add_limit(constraints, "peak_activation_bytes", NULL, o->max_memory_kb * 1000);
    return add_limits(&o->limits, constraints);
}

/* "mutation=0.2". What they mean, and what is no number, the daemon says. */
static int add_options(const struct option_list *texts, cJSON *body) {
    cJSON *options = texts->n ? cJSON_AddObjectToObject(body, "strategy_options") : NULL;
    for (int i = 0; i < texts->n; i++) {
        const char *equals = strchr(texts->items[i], '=');
        char name[64], *end = NULL;
        int len = equals ? (int)(equals - texts->items[i]) : 0;
        if (len == 0 || len >= (int)sizeof(name) || !equals[1])
            return cli_usage("--option: \"%.100s\" is not NAME=NUMBER", texts->items[i]);
        snprintf(name, sizeof(name), "%.*s", len, texts->items[i]);
        if (cJSON_GetObjectItemCaseSensitive(options, name))
            return cli_usage("--option: %s is given twice", name);
        double value = strtod(equals + 1, &end);
        if (*end || !isfinite(value))
            cJSON_AddStringToObject(options, name, equals + 1);
        else
            cJSON_AddNumberToObject(options, name, value);
    }
    return CLI_OK;
}

static void add_accuracy(const struct search_options *o, cJSON *body) {
    if (!o->predictor) {
        cJSON_AddStringToObject(body, "accuracy", o->accuracy);
        return;
    }
    cJSON *accuracy = cJSON_AddObjectToObject(body, "accuracy");
    cJSON_AddStringToObject(accuracy, "predictor", o->predictor);
}

/* A line of the file is an arch; empty ones are passed over. */
static int add_arch_lines(const char *path, cJSON *archs) {
    char line[4096];
    FILE *file = strcmp(path, "-") ? fopen(path, "r") : stdin;
    if (!file) {
        fprintf(stderr, "espalier: cannot open %s\n", path);
        return CLI_FAILURE;
    }
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[0])
            cJSON_AddItemToArray(archs, cJSON_CreateString(line));
    }
    bool failed = ferror(file) != 0;
    if (file != stdin)
        fclose(file);
    if (!failed)
        return CLI_OK;
    fprintf(stderr, "espalier: cannot read %s\n", path);
    return CLI_FAILURE;
}

static int add_warm_start(const struct search_options *o, cJSON *body) {
    if (o->warm_start.n == 0 && !o->warm_start_file)
        return CLI_OK;
    cJSON *warm = cJSON_AddObjectToObject(body, "warm_start");
    if (o->warm_start.n > 0)
        cJSON_AddItemToObject(warm, "searches",
                              cJSON_CreateStringArray(o->warm_start.items, o->warm_start.n));
    return o->warm_start_file
               ? add_arch_lines(o->warm_start_file, cJSON_AddArrayToObject(warm, "archs"))
               : CLI_OK;
}

/* *ret_code: of what the options say. */
static cJSON *search_body(const struct search_options *o, const char *name, int *ret_code) {
    cJSON *body = cJSON_CreateObject();
    cJSON *objectives = cJSON_AddArrayToObject(body, "objectives"),
          *constraints = cJSON_AddArrayToObject(body, "constraints");

    cJSON_AddStringToObject(body, "name", name);
    cli_put_text(body, "supernet", o->supernet);
    cli_put_text(body, "dataset", o->dataset);
    cli_put_text(body, "space", o->space);
    *ret_code = search_goals(o, objectives, constraints);
    cJSON_AddStringToObject(body, "strategy", o->strategy);
    if (*ret_code == CLI_OK)
        *ret_code = add_options(&o->options, body);
    if (o->baseline && !strcmp(o->baseline, "none"))
        cJSON_AddNullToObject(body, "baseline");
    else if (o->baseline)
        cJSON_AddStringToObject(body, "baseline", o->baseline);
    if (*ret_code == CLI_OK)
        *ret_code = add_warm_start(o, body);
    add_accuracy(o, body);
    cJSON_AddStringToObject(body, "method", o->method);
    cli_put_int(body, "evaluations", o->evaluations);
    cli_put_int(body, "patience", o->patience);
    cli_put_int(body, "population", o->population);
    cli_put_int(body, "seed", o->seed);
    cli_put_int(body, "initial_evaluations", o->initial);
    cli_put_int(body, "measure_front", o->measure);
    return body;
}

static int create_run(struct cli *cli, int argc, char **argv) {
    struct search_options o = {.max_latency_ms = CLI_UNSET_REAL,
                               .max_macs = CLI_UNSET_REAL,
                               .max_params = CLI_UNSET_REAL,
                               .max_memory_kb = CLI_UNSET_REAL,
                               .patience = CLI_UNSET};
    const struct option_row rows[] = {
        {"supernet", 's', OPTION_TEXT, NULL, 0, 0, "", "supernet whose subnets are searched",
         &o.supernet},
        {"dataset", 'd', OPTION_TEXT, NULL, 0, 0, "",
         "score them on this data set, of as many classes (default: the supernet's)", &o.dataset},
        {"profile", 'p', OPTION_TEXT, NULL, 0, 0, "",
         "minimise latency on this profile, a board's default one, or an imported latency model "
         "(default: MACs)",
         &o.profile},
        {"predictor", 0, OPTION_TEXT, NULL, 0, 0, "",
         "imported accuracy predictor; then no supernet is needed", &o.predictor},
        {"space", 0, OPTION_TEXT, NULL, 0, 0, "",
         "space to search without a supernet (default: the predictor's)", &o.space},
        {"objectives", 0, OPTION_TEXT, NULL, 1, 1000, "",
         "in place of top1 and latency: such as top1 or top1,latency@PROFILE,params; "
         "PROFILE: also BOARD, or BOARD/WORDS such as pi4/t2",
         &o.objectives},
        {"limit", 0, OPTION_LIST, NULL, 0, 0, "",
         "hard limit, such as latency@pi4/t2=0.4 (ms), macs=3e6 or top1=0.9 (at least); may be "
         "given again",
         &o.limits},
        {"max-latency", 0, OPTION_REAL, NULL, 0, 0, "ms", "hard limit", &o.max_latency_ms},
        {"max-macs", 0, OPTION_REAL, NULL, 0, 0, "", "hard limit", &o.max_macs},
        {"max-params", 0, OPTION_REAL, NULL, 0, 0, "", "hard limit", &o.max_params},
        {"max-memory", 0, OPTION_REAL, NULL, 0, 0, "kB", "hard limit of the peak activation memory",
         &o.max_memory_kb},
        {"strategy", 0, OPTION_TEXT, "nsga2", 0, 0, "", "its name: espalier search strategies",
         &o.strategy},
        {"option", 'o', OPTION_LIST, NULL, 0, 0, "",
         "option of the strategy, such as mutation=0.2 (espalier search strategies); may be given "
         "again",
         &o.options},
        {"warm-start", 0, OPTION_LIST, NULL, 0, 0, "",
         "begin with the front of this earlier search over the same space; may be given again",
         &o.warm_start},
        {"warm-start-file", 0, OPTION_TEXT, NULL, 0, 0, "",
         "begin with the subnets of this file, one a line (-: standard input)", &o.warm_start_file},
        {"baseline", 0, OPTION_TEXT, NULL, 0, 0, "",
         "beside it at equal budget, or none (default: random beside another strategy)",
         &o.baseline},
        {"accuracy", 0, OPTION_TEXT, "predicted", 0, 0, "", "predicted or evaluated", &o.accuracy},
        {"method", 'm', OPTION_TEXT, "full", 0, 0, "",
         "of measurements: full, or brief (half a second each)", &o.method},
        {"evaluations", 'n', OPTION_INT, "4000", 0, 0, "", "budget", &o.evaluations},
        {"patience", 0, OPTION_INT, NULL, 0, 0, "",
         "end after so many evaluations without growth of the front (default: none)", &o.patience},
        {"population", 0, OPTION_INT, "64", 0, 0, "", "of a generation", &o.population},
        {"seed", 0, OPTION_INT, "1", 0, 0, "", "of the search", &o.seed},
        {"initial-evaluations", 0, OPTION_INT, "64", 0, 0, "",
         "subnets evaluated to fit the accuracy predictor", &o.initial},
        {"measure-front", 0, OPTION_INT, "24", 0, 0, "",
         "candidates measured on the board at the end", &o.measure},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!o.supernet && !o.predictor)
        return cli_usage("--supernet is needed, or --predictor");
    if (!isnan(o.max_latency_ms) && !o.profile)
        return cli_usage("--max-latency needs --profile");
    cJSON *body = search_body(&o, argv[first], &code);
    int rc = code == CLI_OK ? cli_send(cli, "POST", "/searches", body, &err, &doc) : 0;
    cJSON_Delete(body);
    if (code != CLI_OK)
        return code;
    return rc ? cli_fail(&err) : cli_started(cli, doc, "search");
}

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

static int show_run(struct cli *cli, int argc, char **argv) {
    return resource_show(cli, &searches, argc, argv);
}

static int cancel_run(struct cli *cli, int argc, char **argv) {
    return resource_act(cli, &searches, "cancel", argc, argv);
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
static void print_front_summary(const cJSON *front) {
    struct span span = front_span(cli_item(front, "items"));
    const struct cli_unit *unit = cli_latency_unit(span.high);
    char low[CLI_LATENCY], high[CLI_LATENCY];
    int n = cJSON_GetArraySize(cli_item(front, "items"));

    printf("\n%d %s", n, n == 1 ? "point" : "points");
    if (span.high > 0)
        printf(", latency %s to %s %s (ratio %.2f)", cli_latency(span.low, unit, low),
               cli_latency(span.high, unit, high), unit->name, span.high / span.low);
    printf(", hypervolume %.6g, %s front\n", cli_number(front, "hypervolume"),
           cli_text(front, "stage"));
    if (cJSON_IsTrue(cli_item(front, "no_board")))
        puts("Latency not measured: no board. What has no measured interval is predicted.");
    if (n == 0)
        puts("No network met the limits.");
    else if (cJSON_GetArraySize(cli_item(front, "reference_point")) > 1 &&
             (n < 8 || (span.high > 0 && span.high < 1.5 * span.low)))
        printf("The space is degenerate%s.\n",
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
             : doc ? cli_text(doc, "name")
                   : key);
    cJSON_Delete(doc);
}

static void print_front(struct cli *cli, const cJSON *front) {
    static const struct column before[] = {{"TOP-1 (VALIDATION)", "top1", CELL_TEXT},
                                           {"TEST", "test_top1", CELL_PERCENT}};
    static const struct column behind[] = {{"MACS", "macs", CELL_MACS},
                                           {"PARAMS", "params", CELL_MACS},
                                           {"PEAK MEMORY", "memory", CELL_BYTES},
                                           {"ARCH", "arch", CELL_TEXT}};
    struct column columns[COUNT(before) + LATENCIES_MAX + COUNT(behind)];
    const cJSON *items = cli_item(front, "items");
    const struct cli_unit *unit = cli_latency_unit(front_span(items).high);
    const char *keys[LATENCIES_MAX];
    char titles[LATENCIES_MAX][256];
    int n_keys = latency_keys(items, keys), n = COUNT(before);
    cJSON *table = front_table(items, keys, n_keys, unit);

    memcpy(columns, before, sizeof(before));
    for (int i = 0; i < n_keys; i++) {
        latency_title(cli, keys[i], n_keys == 1, unit, titles[i]);
        columns[n++] = (struct column){titles[i], latency_columns[i], CELL_TEXT};
    }
    memcpy(columns + n, behind, sizeof(behind));
    cli_table(cli, table, columns, n + COUNT(behind));
    cJSON_Delete(table);
    if (!cli->no_headers)
        print_front_summary(front);
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
    const struct option_row rows[] = {
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
    if (cli_get(cli, &err, &doc, "/searches/%s/front", cli_encode(argv[first])))
        return cli_fail(&err);
    code = CLI_OK;
    if (best) {
        code = print_best(cli, cli_item(doc, "items"), argv[first]);
    } else if (archs) {
        cJSON_ArrayForEach(item, cli_item(doc, "items")) puts(cli_text(item, "arch"));
    } else if (!cli_print_plain(cli, doc)) {
        print_front(cli, doc);
    }
    cJSON_Delete(doc);
    return code;
}

/* ---- export -------------------------------------------------------------------------------- */

static int export_run(struct cli *cli, int argc, char **argv) {
    const char *file = NULL, *checkpoint = NULL, *dataset = NULL;
    bool raw = false;
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "", "write the network here (waits for it)", &file},
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
    cJSON_AddStringToObject(body, "format", "onnx");
    cli_put_text(body, "checkpoint", checkpoint);
    cli_put_text(body, "dataset", dataset);
    if (raw)
        cJSON_AddBoolToObject(body, "recalibrate", false);
    code = export_to_file(cli, body, file);
    cJSON_Delete(body);
    return code;
}

const struct cli_command cli_search_create = {
    "search", "create", "NAME", "search a supernet or a space for its Pareto front", create_run};
const struct cli_command cli_search_ls = {"search", "ls", "", "searches", ls_run};
const struct cli_command cli_search_show = {"search", "show", "SEARCH", "one search", show_run};
const struct cli_command cli_search_front = {"search", "front", "SEARCH",
                                             "its Pareto front as a table", front_run};
const struct cli_command cli_search_strategies = {"search", "strategies", "",
                                                  "how a search can be done", strategies_run};
const struct cli_command cli_search_cancel = {"search", "cancel", "SEARCH...",
                                              "stop searches; they can be resumed", cancel_run};
const struct cli_command cli_search_resume = {"search", "resume", "SEARCH...",
                                              "go on with searches", resume_run};
const struct cli_command cli_search_rm = {"search", "rm", "SEARCH...", "remove searches", rm_run};
const struct cli_command cli_arch_export = {"arch", "export", "SUPERNET ARCH",
                                            "export a subnet as ONNX", export_run};
