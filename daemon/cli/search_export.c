/* espalier search export: every candidate of a search as CSV or JSON, never cut short. It is read
 * page by page, so a search of any length needs little memory: some 30 bytes a candidate, to tell
 * those that come again because they have changed meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/query.h"
#include "daemon/cli/target.h"

enum { PAGE = 5000, METRICS_MAX = 64, KEY_MAX = 128, NAME_MAX_BYTES = 256 };
enum { ARCH_ID = 0, STRATEGY = 2 }; /* in plain */
static const char *const plain[] = {"arch_id",    "arch",         "strategy",
                                    "generation", "feasible",     "on_front",
                                    "origin",     "first_parent", "second_parent"};
static const char *const parts[] = {"value", "low", "high", "source"};
enum { N_PLAIN = sizeof(plain) / sizeof(plain[0]), N_PARTS = sizeof(parts) / sizeof(parts[0]) };

struct writer {
    FILE *file;
    bool json, lines; /* lines: JSON, an object a line */
    int64_t n;
    struct map written;              /* by strategy and arch_id */
    char keys[METRICS_MAX][KEY_MAX]; /* of the metrics, in the order of their columns */
    int n_keys;
    cJSON *names; /* of profiles and models, by their ids; NULL: columns are called by the ids */
};

/* A cell as CSV (RFC 4180): in quotes where it holds a comma, a quote or a line's end. */
static void put_text(FILE *file, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void put_cell(FILE *file, const cJSON *v) {
    char number[CLI_EXACT];
    if (cJSON_IsString(v))
        put_text(file, v->valuestring);
    else if (cJSON_IsBool(v))
        fputs(cJSON_IsTrue(v) ? "true" : "false", file);
    else if (cJSON_IsNumber(v))
        fputs(cli_exact(v->valuedouble, number), file);
}

/* The name that a metric's column may have in place of its profile's or model's id; NULL: none. */
static const char *name_of(const struct writer *writer, const char *key) {
    const char *colon = strchr(key, ':');
    return colon ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(writer->names, colon + 1))
                 : NULL;
}

/* "latency_us@pi4/t1", as conditions say it, unless another column would be called so, too. */
static void column_title(const struct writer *writer, int k, char title[2 * KEY_MAX]) {
    const char *key = writer->keys[k], *name = name_of(writer, key);
    size_t metric = strcspn(key, ":");
    bool alone = name != NULL;
    for (int i = 0; i < writer->n_keys && alone; i++) {
        const char *other = i == k ? NULL : name_of(writer, writer->keys[i]);
        alone =
            !other || strcmp(other, name) != 0 || strncmp(writer->keys[i], key, metric + 1) != 0;
    }
    if (alone)
        snprintf(title, 2 * KEY_MAX, "%.*s@%.127s", (int)metric, key, name);
    else
        snprintf(title, 2 * KEY_MAX, "%s", key);
}

static void csv_head(struct writer *writer) {
    for (int i = 0; i < N_PLAIN; i++)
        fprintf(writer->file, "%s%s", i ? "," : "", plain[i]);
    for (int k = 0; k < writer->n_keys; k++)
        for (int p = 0; p < N_PARTS; p++) {
            char column[2 * KEY_MAX], title[2 * KEY_MAX + 16];
            column_title(writer, k, column);
            snprintf(title, sizeof(title), "%s%s%s", column, p ? " " : "", p ? parts[p] : "");
            fputc(',', writer->file);
            put_text(writer->file, title);
        }
    fputs("\r\n", writer->file);
}

/* The items of a page's columns that come next, one row after another: each column is walked once,
 * as an index into cJSON's lists counts from their beginning. */
struct cursor {
    const cJSON *plain[N_PLAIN], *metrics[METRICS_MAX][N_PARTS];
};

static void cursor_begin(const struct writer *writer, const cJSON *columns,
                         struct cursor *ret_cursor) {
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(columns, "metrics");
    for (int i = 0; i < N_PLAIN; i++) {
        const cJSON *column = cJSON_GetObjectItemCaseSensitive(columns, plain[i]);
        ret_cursor->plain[i] = column ? column->child : NULL;
    }
    for (int k = 0; k < writer->n_keys; k++)
        for (int p = 0; p < N_PARTS; p++) {
            const cJSON *metric = cJSON_GetObjectItemCaseSensitive(metrics, writer->keys[k]);
            const cJSON *column = cJSON_GetObjectItemCaseSensitive(metric, parts[p]);
            ret_cursor->metrics[k][p] = column ? column->child : NULL;
        }
}

static const cJSON *take(const cJSON **item) {
    const cJSON *now = *item;
    if (now)
        *item = now->next;
    return now;
}

static void pass_over(const struct writer *writer, struct cursor *cursor) {
    for (int i = 0; i < N_PLAIN; i++)
        take(&cursor->plain[i]);
    for (int k = 0; k < writer->n_keys; k++)
        for (int p = 0; p < N_PARTS; p++)
            take(&cursor->metrics[k][p]);
}

static void csv_row(struct writer *writer, struct cursor *cursor) {
    for (int i = 0; i < N_PLAIN; i++) {
        if (i)
            fputc(',', writer->file);
        put_cell(writer->file, take(&cursor->plain[i]));
    }
    for (int k = 0; k < writer->n_keys; k++)
        for (int p = 0; p < N_PARTS; p++) {
            fputc(',', writer->file);
            put_cell(writer->file, take(&cursor->metrics[k][p]));
        }
    fputs("\r\n", writer->file);
}

/* A copy whose number keeps all its digits: cJSON prints fifteen. */
static cJSON *copy_exact(const cJSON *v) {
    char text[CLI_EXACT];
    return cJSON_IsNumber(v) ? cJSON_CreateRaw(cli_exact(v->valuedouble, text))
                             : cJSON_Duplicate(v, true);
}

static void json_row(struct writer *writer, struct cursor *cursor) {
    cJSON *row = cJSON_CreateObject(), *metrics = cJSON_CreateObject();
    for (int i = 0; i < N_PLAIN; i++)
        cJSON_AddItemToObject(row, plain[i], copy_exact(take(&cursor->plain[i])));
    for (int k = 0; k < writer->n_keys; k++) {
        cJSON *metric = cJSON_CreateObject();
        for (int p = 0; p < N_PARTS; p++)
            cJSON_AddItemToObject(metric, parts[p], copy_exact(take(&cursor->metrics[k][p])));
        if (cJSON_IsRaw(cJSON_GetObjectItemCaseSensitive(metric, "value")))
            cJSON_AddItemToObject(metrics, writer->keys[k], metric);
        else
            cJSON_Delete(metric);
    }
    cJSON_AddItemToObject(row, "metrics", metrics);
    char *text = cJSON_PrintUnformatted(row);
    fprintf(writer->file, "%s%s%s", writer->n && !writer->lines ? ",\n" : "", text ? text : "null",
            writer->lines ? "\n" : "");
    cJSON_free(text);
    cJSON_Delete(row);
}

static bool known(const struct writer *writer, const char *key) {
    for (int k = 0; k < writer->n_keys; k++)
        if (strcmp(writer->keys[k], key) == 0)
            return true;
    return false;
}

/* First pass: which metrics there are. */
static int learn_page(struct writer *writer, const cJSON *columns, struct err *err) {
    const cJSON *metric = NULL;
    cJSON_ArrayForEach(metric, cJSON_GetObjectItemCaseSensitive(columns, "metrics")) {
        if (known(writer, metric->string))
            continue;
        if (writer->n_keys == METRICS_MAX || strlen(metric->string) >= KEY_MAX)
            return err_set(err, ESP_ETOOLARGE, NULL,
                           "a search with more than %d metrics is not exported", METRICS_MAX);
        snprintf(writer->keys[writer->n_keys++], KEY_MAX, "%s", metric->string);
    }
    return 0;
}

/* Whether the candidate that comes next is not written yet; -1: no memory. */
static int is_new(struct writer *writer, const struct cursor *cursor) {
    char name[NAME_MAX_BYTES];
    const char *strategy = cJSON_GetStringValue(cursor->plain[STRATEGY]);
    const char *arch_id = cJSON_GetStringValue(cursor->plain[ARCH_ID]);

    snprintf(name, sizeof(name), "%s %s", strategy ? strategy : "", arch_id ? arch_id : "");
    uint64_t hash = map_hash(name, strlen(name));
    if (map_find(&writer->written, hash, NULL, NULL) >= 0)
        return 0;
    return map_add(&writer->written, hash, 0) ? -1 : 1;
}

/* Second pass: the rows. One that comes again stays as it was written. */
static int write_page(struct writer *writer, const cJSON *columns, struct err *err) {
    const cJSON *metric = NULL;
    struct cursor cursor;
    int n = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(columns, "arch_id"));

    cJSON_ArrayForEach(metric, cJSON_GetObjectItemCaseSensitive(columns, "metrics")) if (
        !known(writer, metric->string)) return err_set(err, ESP_ECONFLICT, NULL,
                                                       "the search has got a metric (%s) while it "
                                                       "was read: export it again",
                                                       metric->string);
    cursor_begin(writer, columns, &cursor);
    for (int i = 0; i < n; i++) {
        int new = is_new(writer, &cursor);
        if (new < 0)
            return err_set(err, ESP_ENOMEM, NULL, "out of memory");
        if (new)
            writer->json ? json_row(writer, &cursor) : csv_row(writer, &cursor);
        else
            pass_over(writer, &cursor);
        writer->n += new;
    }
    return 0;
}

int export_lines(const cJSON *columns, FILE *file, struct err *err) {
    struct writer writer = {.file = file, .json = true, .lines = true};
    int rc = learn_page(&writer, columns, err);

    if (rc == 0)
        rc = write_page(&writer, columns, err);
    map_finish(&writer.written);
    return rc;
}

static int each_page(struct cli *cli, const char *search, struct writer *writer,
                     int (*page)(struct writer *, const cJSON *, struct err *), struct err *err) {
    char after[256] = "";
    int rc = 0;
    for (bool more = true; rc == 0 && more && !ferror(writer->file);) {
        cJSON *doc = NULL;
        rc = cli_get(cli, err, &doc, "/searches/%s/candidates?origins=true&page_size=%d%s%s",
                     cli_encode(search), PAGE, *after ? "&after=" : "", cli_encode(after));
        if (rc == 0)
            rc = page(writer, cli_item(doc, "columns"), err);
        more = cJSON_IsString(cli_item(doc, "next"));
        snprintf(after, sizeof(after), "%s", cli_text(doc, "next"));
        cJSON_Delete(doc);
    }
    return rc;
}

static void learn_names_of(cJSON *names, const cJSON *items) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items)
        cJSON_AddStringToObject(names, cli_text(item, "id"), cli_text(item, "name"));
}

/* Of the profiles, those of removed boards too, and the search's models. */
static int learn_names(struct cli *cli, const char *search, struct writer *writer,
                       struct err *err) {
    cJSON *profiles = NULL, *doc = NULL;
    int rc = cli_list(cli, "/profiles?removed=true", err, &profiles);
    if (rc == 0)
        rc = cli_get(cli, err, &doc, "/searches/%s", cli_encode(search));
    if (rc == 0) {
        writer->names = cJSON_CreateObject();
        learn_names_of(writer->names, profiles);
        learn_names_of(writer->names, cli_item(doc, "models"));
    }
    cJSON_Delete(profiles);
    cJSON_Delete(doc);
    return rc;
}

static int write_all(struct cli *cli, const char *search, struct writer *writer, struct err *err) {
    int rc = each_page(cli, search, writer, learn_page, err);
    if (rc)
        return rc;
    if (!writer->json)
        csv_head(writer);
    else if (!writer->lines)
        fputs("[", writer->file);
    rc = each_page(cli, search, writer, write_page, err);
    if (writer->json && !writer->lines)
        fputs("]\n", writer->file);
    return rc;
}

static int export_run(struct cli *cli, int argc, char **argv) {
    const char *path = NULL, *format = NULL;
    bool names = false;
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "", "write it here (default: print it)", &path},
        {"format", 0, OPTION_TEXT, "csv", 0, 0, "", "csv, json, or jsonl: an object a line",
         &format},
        {"names", 0, OPTION_FLAG, NULL, 0, 0, "",
         "columns of CSV have names of boards and models, latency_us@pi4, in place of their ids",
         &names},
        CLI_JSON_ROWS(cli),
        CLI_TEXT_ROWS(cli)};
    struct err err = {0};
    struct writer writer = {0};
    struct target target;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    writer.lines = cli->jsonl || strcmp(format, "jsonl") == 0;
    writer.json = cli->json || writer.lines || strcmp(format, "json") == 0;
    if (strcmp(format, "csv") != 0 && strcmp(format, "json") != 0 && strcmp(format, "jsonl") != 0)
        return cli_usage("--format is csv, json or jsonl, not \"%s\"", format);
    int rc = target_begin(&target, path, &err);
    if (rc)
        return cli_fail(&err);
    writer.file = target.stream;
    rc = names && !writer.json ? learn_names(cli, argv[first], &writer, &err) : 0;
    if (rc == 0)
        rc = write_all(cli, argv[first], &writer, &err);
    cJSON_Delete(writer.names);
    map_finish(&writer.written);
    if (target_end(&target, rc, &err))
        return cli_fail(&err);
    if (path)
        fprintf(stderr, "%lld candidates written\n", (long long)writer.n);
    return CLI_OK;
}

const struct cli_command cli_search_export = {
    "search", "export", "SEARCH", "all its candidates as CSV or JSON, never cut short", export_run};
