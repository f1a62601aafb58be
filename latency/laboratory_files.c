#include "latency/laboratory_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "latency/laboratory_private.h"

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for measurements");
}

/* Of every row a positive number, of ops 0 too, or nothing: NAN. */
static int read_times(const struct csv *csv, int column, bool zero, struct err *err,
                      double **ret_times) {
    double *times = mem_array(csv_rows(csv) + 1, sizeof *times);
    if (!times)
        return out_of_memory(err);
    for (size_t row = 0; row < csv_rows(csv); row++) {
        const char *field = csv_field(csv, row, column);
        if (field[0] == 0) {
            times[row] = NAN;
        } else if (!csv_number(csv, row, column, &times[row]) || times[row] < 0 ||
                   (!zero && times[row] == 0)) {
            free(times);
            return err_set(err, ESP_EINVAL, NULL,
                           "%s line %zu, column \"%.60s\": \"%.40s\" is no time: times are %s, and "
                           "a field is empty where nothing was measured",
                           csv_name(csv), csv_line(csv, row), csv_title(csv, column), field,
                           zero ? "numbers from 0 on" : "positive numbers");
        }
    }
    *ret_times = times;
    return 0;
}

static bool is_wanted(const struct laboratory_files *files, const struct laboratory_board *board,
                      const char *profile) {
    return (!files->ops || board->in_ops >= 0) &&
           (!profile || strcmp(profile, board->name) == 0 ||
            strcmp(profile, csv_title(files->networks, board->in_networks)) == 0);
}

/* Of a board that is not judged, and may be part of the fleet, what cannot be read is passed over.
 */
static int read_board(struct laboratory_files *files, const char *profile, struct err *err,
                      struct laboratory_board *board) {
    bool wanted = is_wanted(files, board, profile);
    int code = read_times(files->networks, board->in_networks, false, wanted ? err : NULL,
                          &board->network_times);
    if (code == ESP_EINVAL && !wanted) {
        files->columns[board->in_networks] =
            (struct laboratory_column){LABORATORY_PASSED_OVER, "a field is no time"};
        return 0;
    }
    if (code == 0 && wanted && files->ops)
        code = read_times(files->ops, board->in_ops, true, err, &board->op_times);
    return code < 0 && !wanted ? out_of_memory(err) : code;
}

static int read_boards(struct laboratory_files *files, const char *profile, struct err *err) {
    int code = 0;
    for (int i = 0; code == 0 && i < files->n_boards; i++) {
        code = read_board(files, profile, err, &files->boards[i]);
        if (is_wanted(files, &files->boards[i], profile))
            files->profiles[files->n_profiles++] = i;
    }
    return code < 0 || files->n_profiles > 0 ? code
                                             : laboratory_columns_refuse(files, profile, err);
}

static int name_networks(struct laboratory_files *files, struct err *err) {
    const struct csv *csv = files->networks;
    if (laboratory_names_init(&files->names, csv_rows(csv)) < 0)
        return out_of_memory(err);
    for (size_t row = 0; row < csv_rows(csv); row++) {
        const char *name = csv_field(csv, row, files->network);
        int64_t before = laboratory_names_find(&files->names, name);
        if (before >= 0)
            return err_set(err, ESP_EINVAL, NULL,
                           "%s line %zu, column \"%.60s\": network \"%.60s\" stands twice in the "
                           "file, first in line %zu",
                           csv_name(csv), csv_line(csv, row), csv_title(csv, files->network), name,
                           csv_line(csv, (size_t)before));
        if (laboratory_names_add(&files->names, name) < 0)
            return out_of_memory(err);
    }
    return 0;
}

/* What network each op is of; those of networks that nobody knows are counted. */
static int match_ops(struct laboratory_files *files, struct err *err) {
    size_t n = csv_rows(files->ops), known = csv_rows(files->networks);
    struct laboratory_names unknown;
    files->op_networks = mem_array(n + 1, sizeof *files->op_networks);
    int code = laboratory_names_init(&unknown, n) == 0 && files->op_networks ? 0 : ESP_ENOMEM;
    for (size_t row = 0; code == 0 && row < n; row++) {
        const char *name = csv_field(files->ops, row, files->op_network);
        int64_t found = laboratory_names_find(&files->names, name);
        if (found < 0) {
            files->n_ops_of_unknown++;
            found = laboratory_names_find(&unknown, name);
            if (found < 0) {
                found = unknown.n;
                code = laboratory_names_add(&unknown, name);
            }
            found += (int64_t)known;
        }
        files->op_networks[row] = (int32_t)found;
    }
    files->n_unknown = unknown.n;
    laboratory_names_finish(&unknown);
    return code < 0 ? out_of_memory(err) : 0;
}

int laboratory_files_open(const struct laboratory_sources *sources, struct err *err,
                          struct laboratory_files **ret_files) {
    struct laboratory_files *files = calloc(1, sizeof *files);
    int code = files ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for tables");
    if (code == 0)
        code = csv_open(sources->networks, err, &files->networks);
    if (code == 0 && sources->ops)
        code = csv_open(sources->ops, err, &files->ops);
    if (code == 0 && csv_rows(files->networks) > LABORATORY_NETWORKS_MAX)
        code = err_set(err, ESP_ELIMIT, NULL, "at most %d networks", LABORATORY_NETWORKS_MAX);
    if (code == 0 && files->ops && csv_rows(files->ops) > LABORATORY_OPS_MAX)
        code = err_set(err, ESP_ELIMIT, NULL, "at most %d ops", LABORATORY_OPS_MAX);
    if (code == 0)
        code = laboratory_columns_find(files, sources, err);
    if (code == 0)
        code = read_boards(files, sources->profile, err);
    if (code == 0)
        code = name_networks(files, err);
    if (code == 0 && files->ops)
        code = match_ops(files, err);
    if (code < 0)
        laboratory_files_close(files);
    else
        *ret_files = files;
    return code;
}

static void forget_profile(struct laboratory_files *files) {
    free(files->measured);
    free(files->fleet);
    free(files->costs);
    free(files->op_list);
    free(files->sorted);
    files->measured = files->fleet = files->costs = NULL;
    files->op_list = files->sorted = NULL;
}

void laboratory_files_close(struct laboratory_files *files) {
    if (!files)
        return;
    forget_profile(files);
    for (int i = 0; i < files->n_boards; i++) {
        free(files->boards[i].network_times);
        free(files->boards[i].op_times);
    }
    laboratory_names_finish(&files->names);
    free(files->columns);
    free(files->op_networks);
    csv_close(files->ops);
    csv_close(files->networks);
    free(files);
}

int laboratory_files_profiles(const struct laboratory_files *files) {
    return files->n_profiles;
}

const char *laboratory_files_profile_name(const struct laboratory_files *files, int profile) {
    return files->boards[files->profiles[profile]].name;
}

static bool add_passed_over(cJSON *list, const struct laboratory_files *files, int i) {
    cJSON *doc = cJSON_CreateObject();
    if (cJSON_AddStringToObject(doc, "column", csv_title(files->networks, i)) &&
        cJSON_AddNumberToObject(doc, "number", i + 1) &&
        cJSON_AddStringToObject(doc, "reason", files->columns[i].why) &&
        cJSON_AddItemToArray(list, doc))
        return true;
    cJSON_Delete(doc);
    return false;
}

cJSON *laboratory_files_columns_to_json(const struct laboratory_files *files) {
    cJSON *doc = cJSON_CreateObject(), *boards = cJSON_AddArrayToObject(doc, "boards"),
          *costs = cJSON_AddArrayToObject(doc, "costs"),
          *others = cJSON_AddArrayToObject(doc, "passed_over");
    bool whole = boards && costs && others;
    for (int i = 0; whole && i < csv_columns(files->networks); i++)
        switch (files->columns[i].use) {
        case LABORATORY_NETWORK:
            break;
        case LABORATORY_BOARD:
            whole = cJSON_AddItemToArray(boards, cJSON_CreateString(csv_title(files->networks, i)));
            break;
        case LABORATORY_COST:
            whole = cJSON_AddItemToArray(costs, cJSON_CreateString(csv_title(files->networks, i)));
            break;
        case LABORATORY_PASSED_OVER:
            whole = add_passed_over(others, files, i);
            break;
        }
    if (whole)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

int laboratory_files_read(struct laboratory_files *files, int profile, uint64_t seed,
                          struct err *err, struct laboratory_profile *ret_profile) {
    const struct laboratory_board *board = &files->boards[files->profiles[profile]];
    struct laboratory_selection networks = {0};
    struct laboratory_profile read = {.left_out = {.unknown_networks = files->n_unknown,
                                                   .ops_of_unknown = files->n_ops_of_unknown}};
    forget_profile(files);
    int code = laboratory_networks_select(files, board, seed, err, &networks, &read.left_out);
    read.n_networks = networks.n;
    read.measured_us = files->measured;
    if (code == 0 && files->ops)
        code = laboratory_ops_read(files, board, &networks, err, &read);
    if (code == 0 && !files->ops)
        code = laboratory_networks_read_costs(files, &networks, err, &read);
    if (code == 0)
        code = laboratory_networks_read_fleet(files, board->name, networks.rows, err, &read);
    laboratory_selection_finish(&networks);
    if (code == 0)
        *ret_profile = read;
    return code;
}
