/* espalier search lineage: the closest earlier networks of a search, step by step. */
#include <stdio.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/query.h"

enum { METRICS_SHOWN = 6 };

static void flatten(const cJSON *items, const char *const *keys, int n, cJSON *rows) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items) {
        cJSON *row = cJSON_Duplicate(item, true);
        for (int i = 0; i < n; i++) {
            const cJSON *metric =
                cJSON_GetObjectItemCaseSensitive(cli_item(item, "metrics"), keys[i]);
            char name[8], text[40] = "-";
            snprintf(name, sizeof(name), "m%d", i);
            if (cJSON_IsNumber(cli_item(metric, "value")))
                snprintf(text, sizeof(text), "%.6g", cli_number(metric, "value"));
            cJSON_AddStringToObject(row, name, text);
        }
        cJSON_AddItemToArray(rows, row);
    }
}

static void print_lineage(struct cli *cli, const cJSON *doc) {
    static const char names[METRICS_SHOWN][4] = {"m0", "m1", "m2", "m3", "m4", "m5"};
    struct column columns[METRICS_SHOWN + 3] = {{"GENERATION", "generation", CELL_INT},
                                                {"DIFFERS IN", "distance", CELL_INT}};
    const char *keys[METRICS_SHOWN];
    const cJSON *items = cli_item(doc, "items"), *metric = NULL;
    int n = 0;
    cJSON_ArrayForEach(metric, cli_item(cJSON_GetArrayItem(items, 0), "metrics")) {
        if (n == METRICS_SHOWN)
            break;
        keys[n] = metric->string;
        columns[2 + n] = (struct column){metric->string, names[n], CELL_TEXT};
        n++;
    }
    columns[2 + n] = (struct column){"ARCH", "arch", CELL_TEXT};
    cJSON *rows = cJSON_CreateArray();
    flatten(items, keys, n, rows);
    cli_table(cli, rows, columns, n + 3);
    cJSON_Delete(rows);
    if (!cli->no_headers)
        fprintf(cli_remarks(cli),
                "\nstrategies keep no parents: each row is the network of an earlier generation of "
                "%s that is closest to the one above it\n",
                cli_text(doc, "strategy"));
}

static int lineage_run(struct cli *cli, int argc, char **argv) {
    const char *strategy = NULL;
    int64_t steps = 0;
    char path[QUERY_PATH_MAX];
    const struct option_row rows[] = {
        {"strategy", 0, OPTION_TEXT, NULL, 0, 0, "",
         "as this strategy asked for it (not given: the one that did so first)", &strategy},
        {"steps", 'n', OPTION_INT, "12", 1, 64, "", "at most so many steps back", &steps},
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){2, 2}, &first);

    if (code >= 0)
        return code;
    snprintf(path, sizeof(path), "/searches/%.200s/lineage?steps=%d", cli_encode(argv[first]),
             (int)steps);
    query_add_text(path, "arch", argv[first + 1]);
    query_add_text(path, "strategy", strategy);
    if (cli_get(cli, &err, &doc, "%s", path))
        return cli_fail(&err);
    if (!cli_print_plain(cli, doc))
        print_lineage(cli, doc);
    cJSON_Delete(doc);
    return CLI_OK;
}

const struct cli_command cli_search_lineage = {
    "search", "lineage", "SEARCH ARCH", "the closest networks of earlier generations, step by step",
    lineage_run};
