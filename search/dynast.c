#include "search/dynast.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/memory.h"

enum { VALUES_MAX = SPACE_BLOCKS_MAX, NUMBER_MAX = 100000 };
#define MACS_MAX 1e15
#define LATENCY_MS_MAX 1e7

/* --- the dict --- */

struct numbers {
    int n;
    int values[VALUES_MAX];
};
struct subnet {
    struct numbers kernels, ratios, depths, resolutions;
};

static const char *skip(const char *at) {
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* A number, or a list of them in brackets. NULL: neither. */
static const char *read_numbers(const char *at, struct numbers *numbers) {
    bool list = *at == '[';
    at = skip(at + list);
    numbers->n = 0;
    while (isdigit((unsigned char)*at)) {
        char *end;
        long value = strtol(at, &end, 10);
        if (numbers->n == VALUES_MAX || value > NUMBER_MAX)
            return NULL;
        numbers->values[numbers->n++] = (int)value;
        at = skip(end);
        if (!list)
            return at;
        if (*at == ',')
            at = skip(at + 1);
        else
            break;
    }
    return list && *at == ']' && numbers->n > 0 ? skip(at + 1) : NULL;
}

/* 'key': value, where None is passed over. NULL: nothing of the kind. */
static const char *read_member(const char *at, struct subnet *subnet) {
    const struct {
        const char *name;
        struct numbers *numbers;
    } known[] = {{"'ks':", &subnet->kernels},
                 {"'e':", &subnet->ratios},
                 {"'d':", &subnet->depths},
                 {"'r':", &subnet->resolutions}};
    static const char width[] = "'wid':", none[] = "None";
    if (strncmp(at, width, sizeof width - 1) == 0) {
        at = skip(at + sizeof width - 1);
        return strncmp(at, none, sizeof none - 1) == 0 ? skip(at + sizeof none - 1) : NULL;
    }
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
        size_t len = strlen(known[i].name);
        if (strncmp(at, known[i].name, len) == 0)
            return known[i].numbers->n == 0 ? read_numbers(skip(at + len), known[i].numbers) : NULL;
    }
    return NULL;
}

static bool read_subnet(const char *text, struct subnet *subnet) {
    const char *at = skip(text);
    *subnet = (struct subnet){.kernels = {.n = 0}};
    if (*at != '{')
        return false;
    do {
        at = read_member(skip(at + 1), subnet);
    } while (at && *at == ',');
    return at && *at == '}' && *skip(at + 1) == '\0' && subnet->kernels.n > 0 &&
           subnet->ratios.n > 0 && subnet->depths.n > 0 && subnet->resolutions.n == 1;
}

/* --- as an arch --- */

static bool is_fixed(const struct space_stage *stage) {
    return stage->depths.n == 1 && stage->kernel_sizes.n == 1 && stage->n_expand_ratios == 1;
}

static int find_choice(const struct space_choices *choices, int value) {
    for (int i = 0; i < choices->n; i++)
        if (choices->value[i] == value)
            return i;
    return -1;
}

static int find_ratio(const struct space_stage *stage, int value) {
    for (int i = 0; i < stage->n_expand_ratios; i++)
        if (stage->expand_ratios[i] == value)
            return i;
    return -1;
}

static int find_resolution(const struct space *space, int value) {
    for (int i = 0; i < space->n_resolutions; i++)
        if (space->resolutions[i] == value)
            return i;
    return -1;
}

static int refuse(struct err *err, size_t row, const char *what, int value,
                  const struct space *space) {
    return err_set(err, ESP_EMISMATCH, NULL,
                   "row %zu: %s %d, which space \"%s\" does not have there", row + 1, what, value,
                   space->name);
}

/* The blocks of one stage, whose values begin at first. */
static int take_stage(const struct space *space, int s, const struct subnet *subnet, int first,
                      size_t row, struct err *err, struct arch *arch) {
    const struct space_stage *stage = &space->stages[s];
    for (int b = 0; b < stage->depths.value[arch->depth[s]]; b++) {
        int kernel = find_choice(&stage->kernel_sizes, subnet->kernels.values[first + b]);
        int ratio = find_ratio(stage, subnet->ratios.values[first + b]);
        if (kernel < 0)
            return refuse(err, row, "kernel size", subnet->kernels.values[first + b], space);
        if (ratio < 0)
            return refuse(err, row, "expand ratio", subnet->ratios.values[first + b], space);
        arch->kernel[stage->first_block + b] = (uint8_t)kernel;
        arch->expand[stage->first_block + b] = (uint8_t)ratio;
    }
    return 0;
}

static int check_lengths(const struct space *space, const struct subnet *subnet, size_t row,
                         struct err *err) {
    int stages = 0, blocks = 0;
    for (int s = 0; s < space->n_stages; s++)
        if (!is_fixed(&space->stages[s])) {
            stages++;
            blocks += space->stages[s].max_depth;
        }
    if (subnet->depths.n == stages && subnet->kernels.n == blocks && subnet->ratios.n == blocks)
        return 0;
    return err_set(err, ESP_EMISMATCH, NULL,
                   "row %zu: %d depths, %d kernel sizes and %d expand ratios, where space \"%s\" "
                   "has %d stages and %d blocks with choices",
                   row + 1, subnet->depths.n, subnet->kernels.n, subnet->ratios.n, space->name,
                   stages, blocks);
}

static int make_arch(const struct space *space, const struct subnet *subnet, size_t row,
                     struct err *err, struct arch *ret_arch) {
    struct arch arch = {.resolution = 0};
    int first = 0, n = 0, code = check_lengths(space, subnet, row, err);
    int resolution = find_resolution(space, subnet->resolutions.values[0]);
    if (code == 0 && resolution < 0)
        code = refuse(err, row, "resolution", subnet->resolutions.values[0], space);
    arch.resolution = (uint8_t)(resolution < 0 ? 0 : resolution);
    for (int s = 0; s < space->n_stages && code == 0; s++) {
        const struct space_stage *stage = &space->stages[s];
        if (is_fixed(stage))
            continue;
        int depth = find_choice(&stage->depths, subnet->depths.values[n]);
        if (depth < 0)
            return refuse(err, row, "depth", subnet->depths.values[n], space);
        arch.depth[s] = (uint8_t)depth;
        code = take_stage(space, s, subnet, first, row, err, &arch);
        first += stage->max_depth;
        n++;
    }
    if (code == 0)
        *ret_arch = arch;
    return code;
}

/* --- the file --- */

struct columns {
    int subnet, top1, macs, latency; /* macs, latency: -1 where there is none */
};

static int find_columns(const struct csv *csv, struct err *err, struct columns *ret) {
    static const char *const titles[] = {"Sub-network", "Top-1 Acc (%)"};
    int found[2];
    for (int i = 0; i < 2; i++)
        if ((found[i] = csv_find(csv, titles[i])) < 0)
            return err_set(err, ESP_EINVAL, NULL,
                           "there is no column \"%s\": the file is no table of results of DyNAS-T",
                           titles[i]);
    *ret =
        (struct columns){found[0], found[1], csv_find(csv, "MACs"), csv_find(csv, "Latency (ms)")};
    return 0;
}

/* DyNAS-T writes 0 for what it was not asked to measure; so is an empty field, or no column. */
static int read_number(const struct csv *csv, size_t row, int column, double max, struct err *err,
                       double *ret) {
    *ret = 0;
    if (column < 0 || csv_field(csv, row, column)[0] == '\0')
        return 0;
    if (csv_number(csv, row, column, ret) && *ret >= 0 && *ret <= max)
        return 0;
    return err_set(err, ESP_EINVAL, NULL,
                   "row %zu: \"%.40s\" in column \"%s\" is no number from 0 "
                   "to %g",
                   row + 1, csv_field(csv, row, column), csv_title(csv, column), max);
}

static int read_row(const struct csv *csv, size_t row, const struct columns *columns,
                    const struct space *space, struct err *err, struct dynast_row *ret) {
    struct subnet subnet;
    double macs = 0, top1 = 0, latency_ms = 0;
    const char *text = csv_field(csv, row, columns->subnet);
    if (!read_subnet(text, &subnet))
        return err_set(err, ESP_EPARSE, NULL,
                       "row %zu: \"%.60s\" is no sub-network: {'wid': None, 'ks': […], 'e': […], "
                       "'d': […], 'r': […]}",
                       row + 1, text);
    int code = make_arch(space, &subnet, row, err, &ret->arch);
    if (code == 0)
        code = read_number(csv, row, columns->macs, MACS_MAX, err, &macs);
    if (code == 0)
        code = read_number(csv, row, columns->top1, 100, err, &top1);
    if (code == 0)
        code = read_number(csv, row, columns->latency, LATENCY_MS_MAX, err, &latency_ms);
    if (code != 0)
        return code;
    ret->macs = (int64_t)macs;
    ret->top1 = top1 > 0 ? top1 / 100 : (double)NAN;
    ret->latency_us = latency_ms > 0 ? 1000 * latency_ms : (double)NAN;
    return 0;
}

static int read_rows(const struct csv *csv, const struct space *space, struct err *err,
                     struct dynast_rows *ret_rows) {
    struct dynast_rows rows = {.n = csv_rows(csv)};
    struct columns columns;
    int code = find_columns(csv, err, &columns);
    if (code == 0 && rows.n == 0)
        code = err_set(err, ESP_EINVAL, NULL, "there are no results below the titles");
    if (code == 0 && rows.n > DYNAST_ROWS_MAX)
        code = err_set(err, ESP_ELIMIT, NULL, "at most %d results", DYNAST_ROWS_MAX);
    if (code == 0 && !(rows.items = mem_array(rows.n, sizeof *rows.items)))
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for results");
    for (size_t i = 0; i < rows.n && code == 0; i++)
        code = read_row(csv, i, &columns, space, err, &rows.items[i]);
    if (code == 0)
        *ret_rows = rows;
    else
        dynast_finish(&rows);
    return code;
}

int dynast_read(const char *path, const struct space *space, struct err *err,
                struct dynast_rows *ret_rows) {
    char *text = NULL;
    size_t len = 0;
    int code = file_read_regular(path, DYNAST_BYTES_MAX, err, &text, &len);
    if (code == 0)
        code = dynast_parse(text, len, space, err, ret_rows);
    free(text);
    return code < 0 ? err_prefix(err, code, "%s", path) : 0;
}

int dynast_parse(const char *text, size_t len, const struct space *space, struct err *err,
                 struct dynast_rows *ret_rows) {
    struct csv *csv = NULL;
    int code = csv_parse(text, len, err, &csv);
    if (code == 0)
        code = read_rows(csv, space, err, ret_rows);
    csv_close(csv);
    return code;
}

void dynast_finish(struct dynast_rows *rows) {
    free(rows->items);
    *rows = (struct dynast_rows){.n = 0};
}
