/* espalier search lineage: the networks that one of a search came from. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/metric.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"

enum { METRICS_SHOWN = 6 };

/* The number of the network's row, from 1; 0: it is not shown. */
static int row_of(const cJSON *items, const char *arch_id) {
    const cJSON *item = NULL;
    int row = 0;
    cJSON_ArrayForEach(item, items) {
        row++;
        if (strcmp(cli_text(item, "arch_id"), arch_id) == 0)
            return row;
    }
    return 0;
}

/* "2, 5" and "1, 4": rows of the parents, "~2" the closest, "+" one that is not shown; choices in
 * which each differs. */
static void add_parents(const cJSON *items, const cJSON *item, cJSON *row) {
    char parents[64] = "", changed[64] = "";
    const cJSON *parent = NULL;
    cJSON_ArrayForEach(parent, cli_item(item, "parents")) {
        const char *comma = *parents ? ", " : "";
        int at = row_of(items, cli_text(parent, "arch_id"));
        size_t used = strlen(parents), told = strlen(changed);
        snprintf(parents + used, sizeof(parents) - used, "%s%s", comma,
                 strcmp(cli_text(parent, "relation"), "closest") == 0 ? "~" : "");
        used = strlen(parents);
        if (at)
            snprintf(parents + used, sizeof(parents) - used, "%d", at);
        else
            snprintf(parents + used, sizeof(parents) - used, "+");
        snprintf(changed + told, sizeof(changed) - told, "%s%.0f", comma,
                 cli_number(parent, "distance"));
    }
    cJSON_AddStringToObject(row, "of", *parents ? parents : "-");
    cJSON_AddStringToObject(row, "changed", *changed ? changed : "-");
}

static void add_metrics(const cJSON *item, const char *const *keys, int n, cJSON *row) {
    for (int i = 0; i < n; i++) {
        const cJSON *metric = cJSON_GetObjectItemCaseSensitive(cli_item(item, "metrics"), keys[i]);
        char name[8], text[40] = "-";
        snprintf(name, sizeof(name), "m%d", i);
        if (cJSON_IsNumber(cli_item(metric, "value")))
            snprintf(text, sizeof(text), "%.6g", cli_number(metric, "value"));
        cJSON_AddStringToObject(row, name, text);
    }
}

static cJSON *rows_of(const cJSON *items, const char *const *keys, int n) {
    cJSON *rows = cJSON_CreateArray();
    const cJSON *item = NULL;
    int number = 0;
    cJSON_ArrayForEach(item, items) {
        cJSON *row = cJSON_CreateObject();
        const char *origin = cli_text(item, "origin");
        cJSON_AddNumberToObject(row, "row", ++number);
        cJSON_AddNumberToObject(row, "generation", cli_number(item, "generation"));
        cJSON_AddStringToObject(row, "origin", *origin ? origin : "not known");
        add_parents(items, item, row);
        add_metrics(item, keys, n, row);
        cJSON_AddStringToObject(row, "arch", cli_text(item, "arch"));
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static void print_remarks(struct cli *cli, const cJSON *doc) {
    const cJSON *item = NULL;
    bool closest = false;
    cJSON_ArrayForEach(item, cli_item(doc, "items")) closest |=
        strcmp(cli_text(cJSON_GetArrayItem(cli_item(item, "parents"), 0), "relation"), "closest") ==
        0;
    fprintf(cli_remarks(cli),
            "\nof %s; PARENTS are the rows that a network was made of, CHANGED the choices in "
            "which it differs from each\n",
            cli_text(doc, "strategy"));
    if (closest)
        fprintf(cli_remarks(cli), "~: its parents are not known, the row is the closest network of "
                                  "an earlier generation\n");
    if (cJSON_IsTrue(cli_item(doc, "more")))
        fprintf(cli_remarks(cli), "there is more behind: --steps, --networks\n");
}

static void print_lineage(struct cli *cli, const cJSON *doc) {
    static const char names[METRICS_SHOWN][4] = {"m0", "m1", "m2", "m3", "m4", "m5"};
    struct column columns[METRICS_SHOWN + 6] = {{"ROW", "row", CELL_INT},
                                                {"GENERATION", "generation", CELL_INT},
                                                {"ORIGIN", "origin", CELL_TEXT},
                                                {"PARENTS", "of", CELL_TEXT},
                                                {"CHANGED", "changed", CELL_TEXT}};
    const char *keys[METRICS_SHOWN];
    char titles[METRICS_SHOWN][METRIC_TEXT];
    const cJSON *items = cli_item(doc, "items"), *metric = NULL;
    int n = 0;
    cJSON_ArrayForEach(metric, cli_item(cJSON_GetArrayItem(items, 0), "metrics")) {
        if (n == METRICS_SHOWN)
            break;
        keys[n] = metric->string;
        columns[5 + n] =
            (struct column){metric_named(cli, metric->string, titles[n]), names[n], CELL_TEXT};
        n++;
    }
    columns[5 + n] = (struct column){"ARCH", "arch", CELL_TEXT};
    cJSON *rows = rows_of(items, keys, n);
    cli_table(cli, rows, columns, n + 6);
    cJSON_Delete(rows);
    if (!cli->no_headers)
        print_remarks(cli, doc);
}

static int lineage_run(struct cli *cli, int argc, char **argv) {
    const char *strategy = NULL;
    int64_t steps = 0, networks = 0;
    char path[QUERY_PATH_MAX];
    const struct option_row rows[] = {
        {"strategy", 0, OPTION_TEXT, NULL, 0, 0, "",
         "as this strategy asked for it (not given: the one that did so first)", &strategy},
        {"steps", 'n', OPTION_INT, "12", 1, 256, "", "at most so many steps back", &steps},
        {"networks", 0, OPTION_INT, "64", 1, 256, "", "at most so many networks", &networks},
        CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "/searches/%.200s/lineage?steps=%d&networks=%d",
             cli_encode(argv[first]), (int)steps, (int)networks);
    query_add_text(path, "arch", argv[first + 1]);
    query_add_text(path, "strategy", strategy);
    return resource_answer(
        cli, &(struct resource_request){.method = "GET", .path = path, .print = print_lineage});
}

const struct cli_command cli_search_lineage = {
    "search", "lineage", "SEARCH ARCH", "the networks that one of a search came from", lineage_run};
