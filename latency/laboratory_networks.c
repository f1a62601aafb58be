#include "latency/laboratory_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for measurements of networks");
}

void laboratory_selection_finish(struct laboratory_selection *selection) {
    free(selection->number);
    free(selection->rows);
}

static size_t count_selected(const struct laboratory_files *files,
                             const struct laboratory_selection *selection) {
    size_t n = 0;
    for (size_t row = 0; row < csv_rows(files->networks); row++)
        n += selection->number[row] >= 0;
    return n;
}

/* Those without ops, which tell nothing, would take the place of others when networks are drawn. */
static int leave_out_empty(const struct laboratory_files *files, struct err *err,
                           struct laboratory_selection *selection,
                           struct laboratory_left_out *ret) {
    size_t n = csv_rows(files->networks);
    bool *has_ops = mem_array(n + 1, sizeof *has_ops);
    if (!has_ops)
        return out_of_memory(err);
    for (size_t i = 0; i < csv_rows(files->ops); i++)
        if ((size_t)files->op_networks[i] < n)
            has_ops[files->op_networks[i]] = true;
    for (size_t row = 0; row < n; row++)
        if (selection->number[row] >= 0 && !has_ops[row]) {
            selection->number[row] = LABORATORY_WITHOUT_OPS;
            ret->networks_without_ops++;
        }
    free(has_ops);
    return 0;
}

/* Of more networks than the ladder takes, as many as it takes, all equally likely (Knuth's
 * algorithm S). */
static int draw_networks(const struct laboratory_files *files, uint64_t seed, struct err *err,
                         struct laboratory_selection *selection, struct laboratory_left_out *ret) {
    size_t left = count_selected(files, selection), wanted = LADDER_NETWORKS_MAX;
    struct rng rng = rng_make(seed, RNG_SAMPLE, 0, 0);
    if (left > wanted && files->ops) {
        int code = leave_out_empty(files, err, selection, ret);
        if (code < 0)
            return code;
        left = count_selected(files, selection);
    }
    ret->networks_not_drawn = left > wanted ? left - wanted : 0;
    for (size_t row = 0; ret->networks_not_drawn > 0 && row < csv_rows(files->networks); row++) {
        if (selection->number[row] < 0)
            continue;
        if (rng_below(&rng, (uint32_t)left--) < wanted)
            wanted--;
        else
            selection->number[row] = LABORATORY_NOT_DRAWN;
    }
    return 0;
}

int laboratory_networks_select(struct laboratory_files *files, const struct laboratory_board *board,
                               uint64_t seed, struct err *err, struct laboratory_selection *ret,
                               struct laboratory_left_out *ret_left_out) {
    size_t n = csv_rows(files->networks);
    files->measured = mem_array(n + 1, sizeof *files->measured);
    ret->number = mem_array(n + 1, sizeof *ret->number);
    ret->rows = mem_array(n + 1, sizeof *ret->rows);
    if (!files->measured || !ret->number || !ret->rows)
        return out_of_memory(err);
    for (size_t row = 0; row < n; row++) {
        bool measured = !isnan(board->network_times[row]);
        ret->number[row] = measured ? 0 : LABORATORY_UNTIMED;
        ret_left_out->networks_not_measured += !measured;
    }
    int code = draw_networks(files, seed, err, ret, ret_left_out);
    if (code < 0)
        return code;
    for (size_t row = 0; row < n; row++)
        if (ret->number[row] >= 0) {
            files->measured[ret->n] = board->network_times[row];
            ret->rows[ret->n] = row;
            ret->number[row] = (int32_t)ret->n++;
        }
    return ret->n > 0
               ? 0
               : err_set(err, ESP_EINVAL, NULL, "no network has a time on \"%s\"", board->name);
}

static size_t board_length(const char *profile) {
    return strcspn(profile, "|");
}

static bool same_board(const char *a, const char *b) {
    size_t n = board_length(a);
    return n == board_length(b) && strncmp(a, b, n) == 0;
}

static size_t count_missing(const double *times, const size_t *rows, size_t n) {
    size_t missing = 0;
    for (size_t i = 0; i < n; i++)
        missing += isnan(times[rows[i]]);
    return missing;
}

/* Times of the fleet of a profile; returns of how many columns. */
static size_t find_fleet(const struct laboratory_files *files, const char *profile,
                         const size_t *rows, size_t n, const double **ret_times) {
    size_t n_columns = 0;
    for (int i = 0; i < files->n_boards; i++) {
        const double *times = files->boards[i].network_times;
        if (!times || same_board(files->boards[i].name, profile))
            continue;
        size_t missing = count_missing(times, rows, n);
        if (missing * 10 <= n && missing < n)
            ret_times[n_columns++] = times;
    }
    return n_columns;
}

/* Logs of times around their column's mean; what is missing takes the mean of its row. */
static void fill_fleet(struct laboratory_files *files, const size_t *rows, size_t n,
                       const double *const *columns, size_t n_columns) {
    for (size_t c = 0; c < n_columns; c++) {
        double mean = 0, there = 0;
        for (size_t i = 0; i < n; i++) {
            double time = columns[c][rows[i]];
            files->fleet[i * n_columns + c] = log(time); /* NAN of NAN */
            mean += isnan(time) ? 0 : log(time);
            there += !isnan(time);
        }
        for (size_t i = 0; i < n; i++)
            files->fleet[i * n_columns + c] -= mean / there;
    }
    for (size_t i = 0; i < n; i++) {
        double *row = files->fleet + i * n_columns, mean = 0, there = 0;
        for (size_t c = 0; c < n_columns; c++)
            if (!isnan(row[c])) {
                mean += row[c];
                there++;
            }
        for (size_t c = 0; c < n_columns; c++)
            if (isnan(row[c]))
                row[c] = there > 0 ? mean / there : 0;
    }
}

int laboratory_networks_read_fleet(struct laboratory_files *files, const char *profile,
                                   const size_t *rows, struct err *err,
                                   struct laboratory_profile *ret) {
    const double *columns[LABORATORY_PROFILES_MAX];
    size_t n = find_fleet(files, profile, rows, ret->n_networks, columns);
    if (n == 0)
        return 0;
    files->fleet = mem_array(ret->n_networks * n, sizeof *files->fleet);
    if (!files->fleet)
        return out_of_memory(err);
    fill_fleet(files, rows, ret->n_networks, columns, n);
    ret->fleet_log_us = files->fleet;
    ret->n_fleet = n;
    return 0;
}

/* Those that have a positive number for every network. */
int laboratory_networks_read_costs(struct laboratory_files *files,
                                   const struct laboratory_selection *networks, struct err *err,
                                   struct laboratory_profile *ret) {
    const struct csv *csv = files->networks;
    size_t n = networks->n;
    files->costs = mem_array(n * LABORATORY_COSTS_MAX + 1, sizeof *files->costs);
    if (!files->costs)
        return out_of_memory(err);
    for (int i = 0; i < csv_columns(csv) && ret->n_costs < LABORATORY_COSTS_MAX; i++) {
        double *costs = files->costs + (size_t)ret->n_costs * n;
        bool whole = files->columns[i].use == LABORATORY_COST;
        for (size_t k = 0; whole && k < n; k++)
            whole = csv_number(csv, networks->rows[k], i, &costs[k]) && costs[k] > 0;
        if (!whole)
            continue;
        ret->cost_names[ret->n_costs] = csv_title(csv, i);
        ret->costs[ret->n_costs++] = costs;
    }
    return 0;
}
