/* espalier search candidates: what a search has looked at, by conditions and in an order. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"

enum {
    METRICS_SHOWN = 32, /* METRICS_MAX of search/objective.h: as many as a search has */
    COLUMN_NAME = 8,
    TEXT_MAX = 1300
};

void query_add_text(char path[QUERY_PATH_MAX], const char *parameter, const char *value) {
    size_t len = strlen(path);
    if (value)
        snprintf(path + len, QUERY_PATH_MAX - len, "%c%s=%s", strchr(path, '?') ? '&' : '?',
                 parameter, cli_encode(value));
}

int query_add(char path[QUERY_PATH_MAX], const char *parameter, const struct option_list *parts) {
    char text[TEXT_MAX + 1] = "";
    size_t len = 0;
    for (int i = 0; i < parts->n; i++) {
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "," : "", parts->items[i]);
        if (len >= sizeof(text))
            return cli_usage("what is asked for has more than %d bytes", TEXT_MAX);
    }
    query_add_text(path, parameter, parts->n ? text : NULL);
    return -1;
}

void query_name_option(const char *parameter, const char *option, struct err *err) {
    char name[64], before[sizeof(err->message)];
    snprintf(name, sizeof(name), "the parameter %s", parameter);
    const char *at = strstr(err->message, name);
    if (err->pointer[0] != '?' || strcmp(err->pointer + 1, parameter) != 0 || !at)
        return;
    snprintf(before, sizeof(before), "%.*s", (int)(at - err->message), err->message);
    err_set(err, err->code, NULL, "%s%s%s", before, option, at + strlen(name));
}

/* A page's columns, each at the item that comes next. */
struct walk {
    const cJSON *plain[5], *values[METRICS_SHOWN], *sources[METRICS_SHOWN];
    const char *keys[METRICS_SHOWN];
    char names[METRICS_SHOWN][COLUMN_NAME]; /* of rows' members */
    int n_metrics;
};
static const char *const plain[] = {"strategy", "generation", "feasible", "on_front", "arch"};

static const cJSON *first_of(const cJSON *columns, const char *name) {
    const cJSON *column = cJSON_GetObjectItemCaseSensitive(columns, name);
    return column ? column->child : NULL;
}

static void walk_begin(const cJSON *columns, struct walk *walk) {
    const cJSON *metric = NULL;
    for (int i = 0; i < COUNT(plain); i++)
        walk->plain[i] = first_of(columns, plain[i]);
    walk->n_metrics = 0;
    cJSON_ArrayForEach(metric, cli_item(columns, "metrics")) {
        if (walk->n_metrics == METRICS_SHOWN)
            break;
        snprintf(walk->names[walk->n_metrics], COLUMN_NAME, "m%d", walk->n_metrics);
        walk->keys[walk->n_metrics] = metric->string;
        walk->values[walk->n_metrics] = first_of(metric, "value");
        walk->sources[walk->n_metrics++] = first_of(metric, "source");
    }
}

static const cJSON *take(const cJSON **item) {
    const cJSON *now = *item;
    if (now)
        *item = now->next;
    return now;
}

static void put_plain(cJSON *row, const char *name, const cJSON *item) {
    if (cJSON_IsBool(item))
        cJSON_AddStringToObject(row, name, cJSON_IsTrue(item) ? "yes" : "no");
    else
        cJSON_AddItemToObject(row, name, cJSON_Duplicate(item, true));
}

/* "0.9132 evaluated" */
static void put_metric(cJSON *row, const char *name, const cJSON *value, const cJSON *source) {
    char text[80] = "-";
    if (cJSON_IsNumber(value))
        snprintf(text, sizeof(text), "%.6g%s%.20s", value->valuedouble,
                 source && strcmp(source->valuestring, "counted") ? " " : "",
                 source && strcmp(source->valuestring, "counted") ? source->valuestring : "");
    cJSON_AddStringToObject(row, name, text);
}

static cJSON *make_rows(struct walk *walk) {
    cJSON *rows = cJSON_CreateArray();
    while (walk->plain[0]) {
        cJSON *row = cJSON_CreateObject();
        for (int i = 0; i < COUNT(plain); i++)
            put_plain(row, plain[i], take(&walk->plain[i]));
        for (int i = 0; i < walk->n_metrics; i++)
            put_metric(row, walk->names[i], take(&walk->values[i]), take(&walk->sources[i]));
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static void print_candidates(struct cli *cli, const cJSON *doc) {
    static const struct column before[] = {{"STRATEGY", "strategy", CELL_TEXT},
                                           {"GENERATION", "generation", CELL_INT},
                                           {"FEASIBLE", "feasible", CELL_TEXT},
                                           {"ON FRONT", "on_front", CELL_TEXT}};
    struct column columns[COUNT(before) + METRICS_SHOWN + 1];
    char titles[METRICS_SHOWN][METRIC_TEXT];
    struct walk walk;
    int n = COUNT(before);

    walk_begin(cli_item(doc, "columns"), &walk);
    memcpy(columns, before, sizeof(before));
    for (int i = 0; i < walk.n_metrics; i++)
        columns[n++] =
            (struct column){metric_named(cli, walk.keys[i], titles[i]), walk.names[i], CELL_TEXT};
    columns[n++] = (struct column){"ARCH", "arch", CELL_TEXT};
    cJSON *rows = make_rows(&walk);
    cli_table(cli, rows, columns, n);
    if (!cli->no_headers)
        fprintf(cli_remarks(cli), "\n%d of %.0f candidates\n", cJSON_GetArraySize(rows),
                cli_number(doc, "total"));
    cJSON_Delete(rows);
}

static void print_ids(const cJSON *columns) {
    const cJSON *id = NULL;
    cJSON_ArrayForEach(id, cli_item(columns, "arch_id")) puts(cli_text(id, ""));
}

static int print_page(struct cli *cli, const char *path) {
    struct err err = {0};
    cJSON *doc = NULL;
    int rc = cli_get(cli, &err, &doc, "%s", path);

    if (rc == 0 && cli->jsonl)
        rc = export_lines(cli_item(doc, "columns"), stdout, &err);
    else if (rc == 0 && cli->output)
        print_ids(cli_item(doc, "columns"));
    else if (rc == 0 && !cli_print_plain(cli, doc))
        print_candidates(cli, doc);
    cJSON_Delete(doc);
    return rc ? cli_fail(&err) : CLI_OK;
}

static int candidates_run(struct cli *cli, int argc, char **argv) {
    struct option_list where = {0};
    const char *sort = NULL;
    int64_t n = 0;
    char path[QUERY_PATH_MAX];
    const struct option_row rows[] = {
        {"where", 'W', OPTION_LIST, NULL, 0, 0, "",
         "those that keep this, such as \"latency_us@pi4<=25000\", top1=evaluated, feasible=true, "
         "on_front=true, strategy=nsga2, \"generation<=10\"; may be repeated",
         &where},
        {"sort", 's', OPTION_TEXT, NULL, 0, 0, "",
         "a metric or generation, the smallest first; with - in front the largest (as "
         "--sort=-top1)",
         &sort},
        {"number", 'n', OPTION_INT, "50", 1, 20000, "", "at most so many", &n},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "/searches/%.200s/candidates?page_size=%d",
             cli_encode(argv[first]), (int)n);
    query_add_text(path, "sort", sort);
    query_add_text(path, "origins", cli->jsonl ? "true" : NULL); /* as an export has them */
    code = query_add(path, "where", &where);
    return code >= 0 ? code : print_page(cli, path);
}

const struct cli_command cli_search_candidates = {
    "search", "candidates", "SEARCH", "what it has looked at, by conditions", candidates_run};
