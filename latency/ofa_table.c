#include "latency/ofa_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/stats.h"

enum { KEY_MAX = 128, PARTS_MAX = 3 };

struct row {
    char key[KEY_MAX];
    double mean_ms, variance, count;
    bool used; /* by a unit of the space */
};

struct rows {
    int n;
    struct row *items; /* [OFA_TABLE_KEYS_MAX] */
    struct map by_key;
};

struct question {
    const struct rows *rows;
    const char *key;
};

static bool same_key(const void *context, uint32_t item) {
    const struct question *question = context;
    return strcmp(question->rows->items[item].key, question->key) == 0;
}

static struct row *find(const struct rows *rows, const char *key) {
    struct question question = {rows, key};
    int64_t item = map_find(&rows->by_key, map_hash(key, strlen(key)), same_key, &question);
    return item < 0 ? NULL : &rows->items[item];
}

/* --- the file --- */

/* Where the parser is: a mapping of mappings of numbers, and nothing else. */
struct place {
    int depth; /* 0 outside, 1 among keys, 2 among a key's values */
    bool in_value;
    char member[16];
    bool has_mean, has_count, has_spread;
};

static int bad(struct err *err, const yaml_event_t *event, const char *what) {
    return err_set(err, ESP_EPARSE, NULL, "line %zu: %s", event->start_mark.line + 1, what);
}

/* The same of a key's value. */
static int bad_value(struct err *err, const yaml_event_t *event, const struct row *row,
                     const char *what) {
    return err_set(err, ESP_EPARSE, NULL, "line %zu: key \"%s\": %s", event->start_mark.line + 1,
                   row->key, what);
}

static int add_row(struct rows *rows, const yaml_event_t *event, struct err *err) {
    const char *key = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (rows->n == OFA_TABLE_KEYS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a table has at most %d keys", OFA_TABLE_KEYS_MAX);
    if (len == 0 || len >= KEY_MAX || strlen(key) != len)
        return bad(err, event, "a key that is empty or too long");
    if (find(rows, key))
        return err_set(err, ESP_EPARSE, NULL, "line %zu: key \"%s\", which was there before",
                       event->start_mark.line + 1, key);
    struct row *row = &rows->items[rows->n];
    *row = (struct row){0};
    memcpy(row->key, key, len + 1);
    return map_add(&rows->by_key, map_hash(key, len), (uint32_t)rows->n++) < 0
               ? err_set(err, ESP_ENOMEM, NULL, "no memory for a table")
               : 0;
}

/* Where a member's value goes; NULL: nobody needs it. */
static bool *place_member(struct place *place, struct row *row, double **ret_value) {
    static const char *const spreads[] = {"std", "var"};
    *ret_value = &row->variance;
    for (int i = 0; i < 2; i++)
        if (strcmp(place->member, spreads[i]) == 0)
            return &place->has_spread;
    if (strcmp(place->member, "count") == 0) {
        *ret_value = &row->count;
        return &place->has_count;
    }
    if (strcmp(place->member, "mean") != 0)
        return NULL;
    *ret_value = &row->mean_ms;
    return &place->has_mean;
}

static int set_member(struct place *place, struct row *row, const yaml_event_t *event,
                      struct err *err) {
    double number = 0, *value;
    bool *there = place_member(place, row, &value);
    if (!there)
        return 0;
    if (*there)
        return bad_value(err, event, row, "a member that was there before");
    if (!csv_read_number((const char *)event->data.scalar.value, &number) || number < 0)
        return bad_value(err, event, row, "a value that is no positive number");
    *there = true;
    *value = strcmp(place->member, "std") == 0 ? number * number : number;
    return 0;
}

static int take_scalar(struct place *place, struct rows *rows, const yaml_event_t *event,
                       struct err *err) {
    if (place->depth == 0 || (place->depth == 1 && place->in_value))
        return bad(err, event, "not a table of count, mean and std by key");
    place->in_value = !place->in_value;
    if (place->depth == 1)
        return add_row(rows, event, err);
    if (!place->in_value)
        return set_member(place, &rows->items[rows->n - 1], event, err);
    snprintf(place->member, sizeof place->member, "%s", (const char *)event->data.scalar.value);
    return 0;
}

static int end_mapping(struct place *place, const struct rows *rows, const yaml_event_t *event,
                       struct err *err) {
    const struct row *row = &rows->items[rows->n - 1];
    if (place->depth-- == 1)
        return 0;
    place->in_value = false;
    if (!place->has_mean || !place->has_count || !(row->mean_ms > 0) ||
        !(row->mean_ms * 1000 < LATENCY_US_MAX) || !(row->count >= 1) || row->count > 1e12)
        return bad_value(err, event, row, "without a positive mean and count");
    place->has_mean = place->has_count = place->has_spread = false;
    return 0;
}

static int take_event(struct place *place, struct rows *rows, const yaml_event_t *event,
                      struct err *err) {
    switch (event->type) {
    case YAML_MAPPING_START_EVENT:
        if (place->depth == 2 || (place->depth == 1 && !place->in_value))
            return bad(err, event, "not a table of count, mean and std by key");
        place->depth++;
        place->in_value = false;
        return 0;
    case YAML_MAPPING_END_EVENT:
        return end_mapping(place, rows, event, err);
    case YAML_SCALAR_EVENT:
        return take_scalar(place, rows, event, err);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_SEQUENCE_END_EVENT:
    case YAML_ALIAS_EVENT:
        return bad(err, event, "not a table of count, mean and std by key");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int parse_rows(const char *text, size_t len, struct rows *rows, struct err *err) {
    yaml_parser_t parser;
    struct place place = {0};
    int code = 0;
    bool end = false;
    if (!yaml_parser_initialize(&parser))
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a table");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    while (code == 0 && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            code = err_set(err, ESP_EPARSE, NULL, "line %zu: %s", parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "no YAML");
            break;
        }
        end = event.type == YAML_STREAM_END_EVENT;
        code = take_event(&place, rows, &event, err);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (code == 0 && rows->n == 0)
        code = err_set(err, ESP_EPARSE, NULL, "an empty table");
    return code;
}

/* --- keys of units --- */

static int shrunk(int size, int stride) {
    return (size - 1) / stride + 1;
}

/* As once-for-all writes them for MobileNetV3: the channels inside; or, without channels, by the
 * ratio, as ProxylessNAS does. */
static void block_key(const struct unit_spec *u, bool proxyless, char ret[KEY_MAX]) {
    int mid = u->expand_channels ? u->expand_channels : u->c_in;
    int n =
        snprintf(ret, KEY_MAX,
                 "expanded_conv-input:%dx%dx%d-output:%dx%dx%d-expand:%d-kernel:%d-stride:%d-"
                 "idskip:%d",
                 u->h_in, u->w_in, u->c_in, shrunk(u->h_in, u->stride), shrunk(u->w_in, u->stride),
                 u->c_out, proxyless ? mid / u->c_in : mid, u->kernel, u->stride, u->residual);
    if (!proxyless)
        snprintf(ret + n, (size_t)(KEY_MAX - n), "-se:%d-hs:%d", u->se_channels > 0,
                 u->act == ACT_HSWISH);
}

/* Of ProxylessNAS "Logits" is all that comes after Conv_1, by what goes into it. */
static int tail_keys(const struct unit_spec *u, const struct rows *rows,
                     char ret[PARTS_MAX][KEY_MAX]) {
    int n = 0, channels = u->mix_channels ? u->mix_channels : u->c_in;
    snprintf(ret[0], KEY_MAX, "Logits-input:%dx%dx%d-output:%d", u->h_in, u->w_in, u->c_in,
             u->c_out);
    if (u->h_in > 1 && !u->mix_channels && find(rows, ret[0]))
        return 1;
    snprintf(ret[n++], KEY_MAX, "AvgPool2D-input:%dx%dx%d-output:1x1x%d", u->h_in, u->w_in, u->c_in,
             u->c_in);
    if (u->mix_channels)
        snprintf(ret[n++], KEY_MAX, "Conv_2-input:1x1x%d-output:1x1x%d", u->c_in, u->mix_channels);
    snprintf(ret[n++], KEY_MAX, "Logits-input:1x1x%d-output:%d", channels, u->c_out);
    return n;
}

/* Returns the number of keys whose times add up to the unit's. */
static int unit_keys(const struct unit_spec *u, const struct rows *rows,
                     char ret[PARTS_MAX][KEY_MAX]) {
    int n = 0;
    switch (u->kind) {
    case UNIT_STEM:
        snprintf(ret[n++], KEY_MAX, "Conv-input:%dx%dx%d-output:%dx%dx%d", u->h_in, u->w_in,
                 u->c_in, shrunk(u->h_in, u->stride), shrunk(u->w_in, u->stride), u->c_out);
        return n;
    case UNIT_BLOCK:
        block_key(u, false, ret[n]);
        if (!find(rows, ret[n]))
            block_key(u, true, ret[n]);
        if (!find(rows, ret[n]))
            block_key(u, false, ret[n]);
        return 1;
    case UNIT_HEAD_CONV:
        snprintf(ret[n++], KEY_MAX, "Conv_1-input:%dx%dx%d-output:%dx%dx%d", u->h_in, u->w_in,
                 u->c_in, u->h_in, u->w_in, u->c_out);
        return n;
    case UNIT_HEAD_TAIL:
        return tail_keys(u, rows, ret);
    case UNIT_CONV:
    case UNIT_BOTTLENECK:
        snprintf(ret[n++], KEY_MAX, "no key for a unit of kind %s", unit_kind_names[u->kind]);
        return n;
    }
    return n;
}

/* The sum of the keys' times; false if one is missing, whose key is then in ret_missing. */
static bool add_up(const struct unit_spec *unit, const struct rows *rows,
                   struct latency_entry *ret_entry, char ret_missing[KEY_MAX]) {
    char keys[PARTS_MAX][KEY_MAX];
    double mean = 0, variance = 0, of_mean = 0, least = INFINITY;
    int n = unit_keys(unit, rows, keys);
    for (int i = 0; i < n; i++) {
        struct row *row = find(rows, keys[i]);
        if (!row) {
            memcpy(ret_missing, keys[i], KEY_MAX);
            return false;
        }
        row->used = true;
        mean += row->mean_ms;
        variance += row->variance;
        of_mean += row->variance / row->count;
        least = fmin(least, row->count);
    }
    double half = stats_normal_quantile(0.975) * sqrt(of_mean);
    ret_entry->median_us = 1000 * mean;
    ret_entry->low_us = fmax(1000 * (mean - half), 0.5 * ret_entry->median_us);
    ret_entry->high_us = 1000 * (mean + half);
    ret_entry->sd_us = 1000 * sqrt(variance);
    ret_entry->n = (int64_t)least;
    ret_entry->method = OFA_TABLE_METHOD;
    return true;
}

static int add_units(const struct rows *rows, const struct unit_list *units, struct err *err,
                     struct latency_table *table, struct ofa_table_report *report) {
    for (int i = 0; i < units->n; i++) {
        const struct unit_spec *unit = &units->entries[i].graph->units[0].spec;
        struct latency_entry entry = {0};
        char missing[KEY_MAX];
        memcpy(entry.signature, units->entries[i].signature, sizeof entry.signature);
        if (add_up(unit, rows, &entry, missing)) {
            int code = latency_table_put(table, &entry, err);
            if (code < 0)
                return code;
            report->entries++;
        } else if (report->missing++ == 0) {
            memcpy(report->first_missing, missing, KEY_MAX);
        }
    }
    return report->entries > 0 ? 0
                               : err_set(err, ESP_EMISMATCH, NULL,
                                         "the table knows no unit of the space (\"%.100s\" is one)",
                                         report->first_missing);
}

/* The input size of the stem. */
static int file_resolution(const struct rows *rows) {
    int height, width, channels;
    for (int i = 0; i < rows->n; i++)
        if (sscanf(rows->items[i].key, "Conv-input:%dx%dx%d-", &height, &width, &channels) == 3)
            return height;
    return 0;
}

static void count_foreign(const struct rows *rows, struct ofa_table_report *report) {
    for (int i = 0; i < rows->n; i++)
        if (!rows->items[i].used && report->foreign++ == 0)
            memcpy(report->first_foreign, rows->items[i].key, KEY_MAX);
}

/* The space with that one of its resolutions. */
static int narrow_space(const struct space *space, int resolution, struct err *err,
                        struct space **ret_space) {
    struct err said = {0};
    int code = space_narrow(space, &resolution, 1, &said, ret_space);
    if (code == ESP_EINVAL && resolution == 0)
        return err_set(err, code, NULL, "no key \"Conv-input:…\", which says the resolution");
    if (code == ESP_EINVAL)
        return err_set(err, code, NULL,
                       "a table for inputs of %d pixels, which space \"%s\" does not have",
                       resolution, space->name);
    return code < 0 ? err_set(err, code, NULL, "%s", said.message) : 0;
}

static int make_table(const struct rows *rows, const struct space *space, struct err *err,
                      struct ofa_table_report *report, struct latency_table **ret_table) {
    struct space *narrow = NULL;
    struct unit_list *units = NULL;
    report->keys = rows->n;
    report->resolution = file_resolution(rows);
    int code = narrow_space(space, report->resolution, err, &narrow);
    if (code == 0)
        code = space_units(narrow, err, &units);
    if (code == 0)
        code = latency_table_create("ofa", err, ret_table);
    if (code == 0) {
        code = add_units(rows, units, err, *ret_table, report);
        if (code < 0)
            latency_table_destroy(*ret_table);
    }
    if (code == 0)
        count_foreign(rows, report);
    unit_list_destroy(units);
    space_destroy(narrow);
    return code;
}

int ofa_table_read(const char *path, const struct space *space, struct err *err,
                   struct ofa_table_report *ret_report, struct latency_table **ret_table) {
    struct rows rows = {0};
    char *text = NULL;
    size_t len = 0;
    int code = file_read_regular(path, OFA_TABLE_BYTES_MAX, err, &text, &len);
    if (code < 0)
        return code;
    *ret_report = (struct ofa_table_report){0};
    map_init(&rows.by_key);
    rows.items = mem_array(OFA_TABLE_KEYS_MAX, sizeof *rows.items);
    code = rows.items ? parse_rows(text, len, &rows, err)
                      : err_set(err, ESP_ENOMEM, NULL, "no memory for a table");
    if (code == 0)
        code = make_table(&rows, space, err, ret_report, ret_table);
    if (code < 0)
        err_prefix(err, code, "%s", path);
    map_finish(&rows.by_key);
    free(rows.items);
    free(text);
    return code;
}
