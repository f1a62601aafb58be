/* espalier supernet metrics: the points of a training's curves, a row a step. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/query.h"
#include "daemon/cli/resource.h"

enum { SERIES_MAX = 36, TITLE = 64 };

/* What a table shows when nothing is said: it should fit a terminal. */
static const char usual_series[] =
    "loss,loss/distillation,learning_rate,images_per_s,top1/largest,top1/random,top1/smallest";

/* ---- a row a step ---------------------------------------------------------------------------- */

/* Points of a series that are still to come, the next first. */
struct cursor {
    const char *name;
    const cJSON *step, *epoch, *value;
};

static struct cursor cursor_of(const cJSON *series) {
    const cJSON *step = cli_item(series, "step"), *epoch = cli_item(series, "epoch");
    const cJSON *value = cli_item(series, "value");
    return (struct cursor){cli_text(series, "name"), step ? step->child : NULL,
                           epoch ? epoch->child : NULL, value ? value->child : NULL};
}

static void advance(struct cursor *cursor) {
    cursor->step = cursor->step->next;
    cursor->epoch = cursor->epoch ? cursor->epoch->next : NULL;
    cursor->value = cursor->value ? cursor->value->next : NULL;
}

/* {"step", "epoch", and the value of each series that has a point there}; NULL: there are no more.
 */
static cJSON *next_row(struct cursor *cursors, int n) {
    double least = INFINITY;
    cJSON *row = NULL;
    for (int i = 0; i < n; i++)
        if (cursors[i].step)
            least = fmin(least, cursors[i].step->valuedouble);
    for (int i = 0; i < n; i++) {
        struct cursor *cursor = &cursors[i];
        if (!cursor->step || cursor->step->valuedouble > least)
            continue;
        if (!row) {
            row = cJSON_CreateObject();
            cJSON_AddNumberToObject(row, "step", least);
            cJSON_AddItemToObject(row, "epoch", cJSON_Duplicate(cursor->epoch, true));
        }
        cJSON_AddItemToObject(row, cursor->name, cJSON_Duplicate(cursor->value, true));
        advance(cursor);
    }
    return row;
}

static cJSON *make_rows(const cJSON *doc) {
    struct cursor cursors[SERIES_MAX];
    const cJSON *series = NULL;
    cJSON *rows = cJSON_CreateArray(), *row;
    int n = 0;
    cJSON_ArrayForEach(series, cli_item(doc, "series")) if (n < SERIES_MAX) cursors[n++] =
        cursor_of(series);
    while ((row = next_row(cursors, n)) != NULL)
        cJSON_AddItemToArray(rows, row);
    return rows;
}

/* ---- how it is printed ----------------------------------------------------------------------- */

static enum cell_kind kind_of(const char *series) {
    return !strncmp(series, "top1", 4)       ? CELL_PERCENT
           : !strcmp(series, "images_per_s") ? CELL_INT
                                             : CELL_REAL;
}

static void print_table(struct cli *cli, const cJSON *doc, const cJSON *rows) {
    struct column columns[SERIES_MAX + 2] = {{"STEP", "step", CELL_INT},
                                             {"EPOCH", "epoch", CELL_REAL}};
    char titles[SERIES_MAX][TITLE];
    const cJSON *series = NULL;
    int n = 0;
    cJSON_ArrayForEach(series, cli_item(doc, "series")) {
        const char *name = cli_text(series, "name");
        if (n == SERIES_MAX)
            break;
        snprintf(titles[n], TITLE, "%.*s", TITLE - 1, name);
        for (char *c = titles[n]; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        columns[n + 2] = (struct column){titles[n], name, kind_of(name)};
        n++;
    }
    cli_table(cli, rows, columns, n + 2);
}

static void print_csv(const cJSON *doc, const cJSON *rows) {
    const cJSON *series = NULL, *row = NULL;
    fputs("step,epoch", stdout);
    cJSON_ArrayForEach(series, cli_item(doc, "series")) printf(",%s", cli_text(series, "name"));
    fputs("\r\n", stdout);
    cJSON_ArrayForEach(row, rows) {
        printf("%.0f,%.17g", cli_number(row, "step"), cli_number(row, "epoch"));
        cJSON_ArrayForEach(series, cli_item(doc, "series")) {
            double value = cli_number(row, cli_text(series, "name"));
            if (isnan(value))
                putchar(',');
            else
                printf(",%.17g", value);
        }
        fputs("\r\n", stdout);
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static void print_metrics(struct cli *cli, const cJSON *doc, bool csv) {
    cJSON *rows = NULL;
    if (cli->get || cli->json) {
        cli_print_plain(cli, doc);
        return;
    }
    if (cli->output && !cli->jsonl) {
        cli_print_plain(cli, cli_item(doc, "series"));
        return;
    }
    rows = make_rows(doc);
    if (csv && !cli->jsonl)
        print_csv(doc, rows);
    else
        print_table(cli, doc, rows);
    cJSON_Delete(rows);
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
    print_metrics(cli, doc, csv);
    cJSON_Delete(doc);
    return CLI_OK;
}

const struct cli_command cli_supernet_metrics = {
    "supernet", "metrics", "SUPERNET",
    "the curves of its training: losses, top-1 of subnets, rate, speed, gradient norms",
    metrics_run};
