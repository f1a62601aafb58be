/* espalier supernet metrics: the points of a training's curves, a row a step. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/query.h"
#include "daemon/cli/series.h"

enum { TITLE = 64 };

/* What a table shows when nothing is said: it should fit a terminal. */
static const char usual_series[] =
    "loss,loss/distillation,learning_rate,images_per_s,top1/largest,top1/random,top1/smallest";

/* ---- a row a step ---------------------------------------------------------------------------- */

/* Points of a series that are still to come. */
struct cursor {
    const char *name;
    struct series_point at;
};

/* {"step", "epoch", and the value of each series that has a point there}; NULL: there are no more.
 */
static cJSON *next_row(struct cursor *cursors, int n) {
    double least = INFINITY;
    cJSON *row = NULL;
    for (int i = 0; i < n; i++)
        if (cursors[i].at.step)
            least = fmin(least, cursors[i].at.step->valuedouble);
    for (int i = 0; i < n; i++) {
        struct series_point *at = &cursors[i].at;
        if (!at->step || at->step->valuedouble > least)
            continue;
        if (!row) {
            row = cJSON_CreateObject();
            cJSON_AddNumberToObject(row, "step", least);
            cJSON_AddItemToObject(row, "epoch", cJSON_Duplicate(at->epoch, true));
        }
        cJSON_AddItemToObject(row, cursors[i].name, cJSON_Duplicate(at->value, true));
        *at = series_next(*at);
    }
    return row;
}

static int make_rows(const cJSON *all, struct err *err, cJSON **ret_rows) {
    struct cursor *cursors = mem_array((size_t)cJSON_GetArraySize(all) + 1, sizeof(*cursors));
    const cJSON *series = NULL;
    cJSON *rows, *row;
    int n = 0;
    if (!cursors)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    rows = cJSON_CreateArray();
    cJSON_ArrayForEach(series, all) cursors[n++] =
        (struct cursor){cli_text(series, "name"), series_first(series)};
    while ((row = next_row(cursors, n)) != NULL)
        cJSON_AddItemToArray(rows, row);
    free(cursors);
    *ret_rows = rows;
    return 0;
}

/* ---- how it is printed ----------------------------------------------------------------------- */

static enum cell_kind kind_of(const char *series) {
    return !strncmp(series, "top1", 4)       ? CELL_PERCENT
           : !strcmp(series, "images_per_s") ? CELL_INT
                                             : CELL_REAL;
}

static void print_table(struct cli *cli, const cJSON *all, const cJSON *rows,
                        struct column *columns, char (*titles)[TITLE]) {
    const cJSON *series = NULL;
    int n = 0;
    columns[n++] = (struct column){"STEP", "step", CELL_INT};
    columns[n++] = (struct column){"EPOCH", "epoch", CELL_REAL};
    cJSON_ArrayForEach(series, all) {
        const char *name = cli_text(series, "name");
        snprintf(titles[n], TITLE, "%s", name);
        for (char *c = titles[n]; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        columns[n] = (struct column){titles[n], name, kind_of(name)};
        n++;
    }
    cli_table(cli, rows, columns, n);
}

static int make_table(struct cli *cli, const cJSON *all, const cJSON *rows, struct err *err) {
    size_t room = (size_t)cJSON_GetArraySize(all) + 2;
    struct column *columns = mem_array(room, sizeof(*columns));
    char(*titles)[TITLE] = mem_array(room, sizeof(*titles));
    bool there = columns && titles;
    if (there)
        print_table(cli, all, rows, columns, titles);
    free(columns);
    free(titles);
    return there ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static void print_csv(const cJSON *all, const cJSON *rows) {
    const cJSON *series = NULL, *row = NULL;
    char number[CLI_EXACT];
    fputs("step,epoch", stdout);
    cJSON_ArrayForEach(series, all) printf(",%s", cli_text(series, "name"));
    fputs("\r\n", stdout);
    cJSON_ArrayForEach(row, rows) {
        fputs(cli_exact(cli_number(row, "step"), number), stdout);
        printf(",%s", cli_exact(cli_number(row, "epoch"), number));
        cJSON_ArrayForEach(series, all) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, cli_text(series, "name"));
            printf(",%s", cJSON_IsNumber(value) ? cli_exact(value->valuedouble, number) : "");
        }
        fputs("\r\n", stdout);
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static int print_metrics(struct cli *cli, const cJSON *doc, bool csv, struct err *err) {
    const cJSON *all = cli_item(doc, "series");
    cJSON *rows = NULL;
    if (cli->get || cli->json || (cli->output && !cli->jsonl)) {
        cli_print_plain(cli, cli->get || cli->json ? doc : all);
        return 0;
    }
    int rc = make_rows(all, err, &rows);
    if (rc == 0 && csv && !cli->jsonl)
        print_csv(all, rows);
    else if (rc == 0)
        rc = make_table(cli, all, rows, err);
    cJSON_Delete(rows);
    return rc;
}

static int metrics_run(struct cli *cli, int argc, char **argv) {
    const char *series = NULL, *format = NULL;
    int64_t after = CLI_UNSET, most = CLI_UNSET;
    const struct option_row rows[] = {
        {"series", 's', OPTION_TEXT, NULL, 0, 0, "",
         "of these curves, with commas between: loss, top1/largest, gradient_norm and so on "
         "(docs/TRAINING.md; default: all, of a table the usual ones)",
         &series},
        {"after", 0, OPTION_INT, NULL, 0, 0, "", "behind this step", &after},
        {"max-points", 'n', OPTION_INT, NULL, 0, 0, "",
         "as many points of each at most, evenly thinned (default: 2000)", &most},
        {"format", 0, OPTION_TEXT, "table", 0, 0, "", "table or csv", &format},
        CLI_COMMON_ROWS(cli)};
    char path[QUERY_PATH_MAX], number[32];
    struct err err = {0};
    cJSON *doc = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    bool csv = !strcmp(format, "csv");
    if (!csv && strcmp(format, "table") != 0)
        return cli_usage("--format is table or csv, not \"%.40s\"", format);
    if (!series && !csv && !cli_is_plain(cli))
        series = usual_series;
    snprintf(path, sizeof(path), "/supernets/%.1000s/metrics", cli_encode(argv[first]));
    query_add_text(path, "series", series);
    snprintf(number, sizeof(number), "%lld", (long long)after);
    query_add_text(path, "after", after == CLI_UNSET ? NULL : number);
    snprintf(number, sizeof(number), "%lld", (long long)most);
    query_add_text(path, "max_points", most == CLI_UNSET ? NULL : number);
    if (cli_get(cli, &err, &doc, "%s", path)) {
        query_name_option("series", "--series", &err);
        query_name_option("max_points", "--max-points", &err);
        query_name_option("after", "--after", &err);
        return cli_fail(&err);
    }
    code = print_metrics(cli, doc, csv, &err) ? cli_fail(&err) : CLI_OK;
    cJSON_Delete(doc);
    return code;
}

const struct cli_command cli_supernet_metrics = {
    "supernet", "metrics", "SUPERNET",
    "the curves of its training: losses, top-1 of subnets, rate, speed, gradient norms",
    metrics_run};
