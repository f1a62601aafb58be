#include "daemon/candidate_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"

/* Columns of one metric: as long as the rows before it, filled with null where a row lacks it. */
struct metric_columns {
    char key[96];
    int n;
    struct buf value, low, high, source;
};
enum { METRIC_COLUMNS_MAX = 32, PLAIN_COLUMNS = 7, ORIGIN_COLUMNS = 3 };

struct candidate_columns {
    int n_rows, n_metrics;
    struct buf plain[PLAIN_COLUMNS], origins[ORIGIN_COLUMNS];
    bool has_origins;
    struct metric_columns *metrics;
};

static void add_item(struct buf *column, int row, const char *text) {
    if (row > 0)
        buf_append(column, ",", 1);
    buf_puts(column, text);
}

static void add_json(struct buf *column, int row, const cJSON *item) {
    char *text = item != NULL ? json_print(item) : NULL;
    add_item(column, row, text != NULL ? text : "null");
    free(text);
}

static void add_metric(struct metric_columns *m, const cJSON *metric) {
    add_json(&m->value, m->n, cJSON_GetObjectItemCaseSensitive(metric, "value"));
    add_json(&m->low, m->n, cJSON_GetObjectItemCaseSensitive(metric, "low"));
    add_json(&m->high, m->n, cJSON_GetObjectItemCaseSensitive(metric, "high"));
    add_json(&m->source, m->n, cJSON_GetObjectItemCaseSensitive(metric, "source"));
    m->n++;
}

static struct metric_columns *find_metric(struct candidate_columns *columns, const char *key) {
    for (int i = 0; i < columns->n_metrics; i++)
        if (strcmp(columns->metrics[i].key, key) == 0)
            return &columns->metrics[i];
    if (columns->n_metrics == METRIC_COLUMNS_MAX)
        return NULL;
    struct metric_columns *m = &columns->metrics[columns->n_metrics++];
    snprintf(m->key, sizeof(m->key), "%s", key);
    while (m->n < columns->n_rows)
        add_metric(m, NULL);
    return m;
}

static void add_metrics(struct candidate_columns *columns, const char *text) {
    cJSON *metrics = cJSON_Parse(text);
    const cJSON *metric;
    cJSON_ArrayForEach(metric, metrics) {
        struct metric_columns *m = find_metric(columns, metric->string);
        if (m != NULL && m->n == columns->n_rows)
            add_metric(m, metric);
    }
    columns->n_rows++;
    for (int i = 0; i < columns->n_metrics; i++)
        while (columns->metrics[i].n < columns->n_rows)
            add_metric(&columns->metrics[i], NULL);
    cJSON_Delete(metrics);
}

void candidate_columns_add(struct candidate_columns *columns, const struct sql_rows *rows) {
    cJSON *item;
    for (int i = 0; i < PLAIN_COLUMNS; i++) {
        if (i < 4)
            item = cJSON_CreateString(sql_text(rows, i));
        else if (i == 4)
            item = cJSON_CreateNumber((double)sql_int(rows, i));
        else
            item = cJSON_CreateBool(sql_int(rows, i) != 0);
        add_json(&columns->plain[i], columns->n_rows, item);
        cJSON_Delete(item);
    }
    for (int i = 0; i < ORIGIN_COLUMNS && columns->has_origins; i++) {
        int at = CANDIDATE_REVISION + 1 + i;
        item = sql_null(rows, at) ? NULL : cJSON_CreateString(sql_text(rows, at));
        add_json(&columns->origins[i], columns->n_rows, item);
        cJSON_Delete(item);
    }
    add_metrics(columns, sql_text(rows, PLAIN_COLUMNS));
}

static void print_column(struct buf *out, const char *name, struct buf *column, bool last) {
    buf_printf(out, "\"%s\":[%s]%s", name, column->data == NULL ? "" : column->data,
               last ? "" : ",");
    if (column->error != 0)
        out->error = column->error;
}

static void print_metric(struct buf *out, struct metric_columns *m, bool first) {
    cJSON *key = cJSON_CreateString(m->key);
    char *text = json_print(key);
    buf_printf(out, "%s%s:{", first ? "" : ",", text);
    print_column(out, "value", &m->value, false);
    print_column(out, "low", &m->low, false);
    print_column(out, "high", &m->high, false);
    print_column(out, "source", &m->source, true);
    buf_puts(out, "}");
    free(text);
    cJSON_Delete(key);
}

char *candidate_columns_print(struct candidate_columns *columns, int64_t total, const char *cursor,
                              bool more) {
    static const char *const names[PLAIN_COLUMNS] = {
        "id", "arch_id", "arch", "strategy", "generation", "feasible", "on_front"};
    static const char *const origins[ORIGIN_COLUMNS] = {"origin", "first_parent", "second_parent"};
    struct buf out;
    buf_init(&out, 0);
    buf_puts(&out, "{\"columns\":{");
    for (int i = 0; i < PLAIN_COLUMNS; i++)
        print_column(&out, names[i], &columns->plain[i], false);
    for (int i = 0; i < ORIGIN_COLUMNS && columns->has_origins; i++)
        print_column(&out, origins[i], &columns->origins[i], false);
    buf_puts(&out, "\"metrics\":{");
    for (int i = 0; i < columns->n_metrics; i++)
        print_metric(&out, &columns->metrics[i], i == 0);
    buf_printf(&out, "}},\"total\":%lld,\"cursor\":\"%s\",\"next\":", (long long)total, cursor);
    if (more)
        buf_printf(&out, "\"%s\"}", cursor);
    else
        buf_puts(&out, "null}");
    char *text = buf_take(&out);
    buf_finish(&out);
    return text;
}

int candidate_columns_create(bool origins, struct err *err,
                             struct candidate_columns **ret_columns) {
    struct candidate_columns *columns = mem_array(1, sizeof(*columns));
    struct metric_columns *metrics = mem_array(METRIC_COLUMNS_MAX, sizeof(*metrics));
    if (columns == NULL || metrics == NULL) {
        free(columns);
        free(metrics);
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    }
    columns->metrics = metrics;
    columns->has_origins = origins;
    *ret_columns = columns;
    return 0;
}

int candidate_columns_n(const struct candidate_columns *columns) {
    return columns->n_rows;
}

void candidate_columns_destroy(struct candidate_columns *columns) {
    if (columns == NULL)
        return;
    for (int i = 0; i < PLAIN_COLUMNS; i++)
        buf_finish(&columns->plain[i]);
    for (int i = 0; i < ORIGIN_COLUMNS; i++)
        buf_finish(&columns->origins[i]);
    for (int i = 0; i < METRIC_COLUMNS_MAX; i++) {
        buf_finish(&columns->metrics[i].value);
        buf_finish(&columns->metrics[i].low);
        buf_finish(&columns->metrics[i].high);
        buf_finish(&columns->metrics[i].source);
    }
    free(columns->metrics);
    free(columns);
}
