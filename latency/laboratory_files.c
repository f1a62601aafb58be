#include "latency/laboratory_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/csv.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/rng.h"

enum { NO_COLUMN = -1, NO_NETWORK = -1 /* as find_name says it */ };

/* Numbers of texts, in the order in which they were met first. */
struct names {
    struct map map;
    const char **texts;
    uint32_t n;
};

struct question {
    const struct names *names;
    const char *text;
};

static bool same_text(const void *context, uint32_t item) {
    const struct question *question = context;
    return strcmp(question->names->texts[item], question->text) == 0;
}

static int64_t find_name(const struct names *names, const char *text) {
    struct question question = {names, text};
    return map_find(&names->map, map_hash(text, strlen(text)), same_text, &question);
}

static int add_name(struct names *names, const char *text) {
    names->texts[names->n] = text;
    return map_add(&names->map, map_hash(text, strlen(text)), names->n++);
}

static int names_init(struct names *names, size_t capacity) {
    *names = (struct names){.texts = mem_array(capacity + 1, sizeof *names->texts)};
    map_init(&names->map);
    return names->texts ? 0 : ESP_ENOMEM;
}

static void names_finish(struct names *names) {
    map_finish(&names->map);
    free(names->texts);
}

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for measurements");
}

struct profile_columns {
    char name[LABORATORY_NAME_MAX];
    int in_networks, in_ops; /* in_ops NO_COLUMN: cannot be a target when there are ops */
    /* Of each row, 0 where nothing was measured; op_times NULL without a column of ops. */
    double *network_times, *op_times;
};

struct laboratory_files {
    struct csv *ops, *networks;
    int op_network, op_kind, op_features, network; /* columns */
    int n_columns, n_profiles;
    struct profile_columns columns[LABORATORY_PROFILES_MAX]; /* every profile of the networks */
    int profiles[LABORATORY_PROFILES_MAX];                   /* those that can be predicted */
    struct names names;                 /* of all networks: their numbers are rows of the file */
    int32_t *op_rows;                   /* [rows of ops]: the row of its network, or NO_NETWORK */
    size_t n_unknown, n_ops_of_unknown; /* networks of ops that are not in the networks file */
    /* Of the profile that was read last. */
    double *measured, *fleet, *costs;
    struct laboratory_op *op_list, *sorted;
};

static const char *const network_titles[] = {LABORATORY_NETWORK_COLUMNS, NULL};
static const char *const kind_titles[] = {LABORATORY_KIND_COLUMNS, NULL};
static const char *const feature_titles[] = {LABORATORY_FEATURE_COLUMNS, NULL};
/* Columns of networks that are no times. */
static const char *const cost_titles[] = {LABORATORY_COST_COLUMNS, NULL};
static const char *const other_titles[] = {"accuracy", "top1", "n", "id", NULL};

static bool named(const char *title, const char *const *names) {
    for (; *names; names++)
        if (strcasecmp(title, *names) == 0)
            return true;
    return false;
}

static int find_titled(const struct csv *csv, const char *const *names) {
    for (; *names; names++)
        for (int i = 0; i < csv_columns(csv); i++)
            if (strcasecmp(csv_title(csv, i), *names) == 0)
                return i;
    return NO_COLUMN;
}

/* Of a list of words in a message; as many as there is room for. */
static void list_word(char *text, size_t size, const char *word) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s\"%.40s\"", used > 0 ? ", " : "", word);
}

static int no_column(const struct csv *csv, const char *const *names, const char *file,
                     struct err *err) {
    char accepted[160] = "", found[160] = "";
    for (; *names; names++)
        list_word(accepted, sizeof accepted, *names);
    for (int i = 0; i < csv_columns(csv); i++)
        list_word(found, sizeof found, csv_title(csv, i));
    bool semicolons = csv_columns(csv) == 1 && strchr(csv_title(csv, 0), ';') != NULL;
    return err_set(err, ESP_EINVAL, NULL, "%s, the file of %s, has no column %s%s; it has %s%s",
                   csv_name(csv), file, strchr(accepted, ',') ? "called one of " : "", accepted,
                   found, semicolons ? " (fields are separated by commas, not semicolons)" : "");
}

static int need_column(const struct csv *csv, const char *const *names, const char *file,
                       struct err *err, int *ret_column) {
    *ret_column = find_titled(csv, names);
    return *ret_column >= 0 ? 0 : no_column(csv, names, file, err);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static bool has_means(const struct csv *csv) {
    for (int i = 0; i < csv_columns(csv); i++)
        if (ends_with(csv_title(csv, i), "|mean"))
            return true;
    return false;
}

static int twice(const struct csv *csv, const char *profile, struct err *err) {
    return err_set(err, ESP_EINVAL, NULL, "%s has two columns of times of the profile \"%.60s\"",
                   csv_name(csv), profile);
}

/* The column of ops called as the profile, or as its column of networks; two would be one too many.
 */
static int find_in_ops(const struct laboratory_files *files, const char *title, struct err *err,
                       struct profile_columns *columns) {
    columns->in_ops = NO_COLUMN;
    for (int i = 0; files->ops && i < csv_columns(files->ops); i++)
        if (strcmp(csv_title(files->ops, i), columns->name) == 0 ||
            strcmp(csv_title(files->ops, i), title) == 0) {
            if (columns->in_ops >= 0)
                return twice(files->ops, columns->name, err);
            columns->in_ops = i;
        }
    return 0;
}

/* The next profile, of a column of networks; refused if one before has its name. */
static int add_profile(struct laboratory_files *files, int column, size_t name_len,
                       struct err *err) {
    const char *title = csv_title(files->networks, column);
    struct profile_columns *columns = &files->columns[files->n_columns];
    if (files->n_columns == LABORATORY_PROFILES_MAX || name_len >= LABORATORY_NAME_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "at most %d profiles with names of at most %d bytes",
                       LABORATORY_PROFILES_MAX, LABORATORY_NAME_MAX - 1);
    snprintf(columns->name, sizeof columns->name, "%.*s", (int)name_len, title);
    columns->in_networks = column;
    for (int i = 0; i < files->n_columns; i++)
        if (strcmp(files->columns[i].name, columns->name) == 0)
            return twice(files->networks, columns->name, err);
    int code = find_in_ops(files, title, err, columns);
    if (code == 0 && (!files->ops || columns->in_ops >= 0))
        files->profiles[files->n_profiles++] = files->n_columns;
    files->n_columns++;
    return code;
}

static int find_profiles(struct laboratory_files *files, struct err *err) {
    int code = 0;
    bool means = has_means(files->networks);
    for (int i = 0; code == 0 && i < csv_columns(files->networks); i++) {
        const char *title = csv_title(files->networks, i);
        bool times = means ? ends_with(title, "|mean")
                           : !named(title, other_titles) && !named(title, cost_titles);
        if (i != files->network && times)
            code = add_profile(files, i, strlen(title) - (means ? strlen("|mean") : 0), err);
    }
    if (code < 0)
        return code;
    return files->n_profiles > 0 ? 0
                                 : err_set(err, ESP_EINVAL, NULL, "no profile has times%s",
                                           files->ops ? " in both files" : "");
}

static int find_columns(struct laboratory_files *files, struct err *err) {
    int code = need_column(files->networks, network_titles, "networks", err, &files->network);
    if (code == 0 && files->ops)
        code = need_column(files->ops, network_titles, "ops", err, &files->op_network);
    if (code == 0 && files->ops)
        code = need_column(files->ops, kind_titles, "ops", err, &files->op_kind);
    if (code == 0 && files->ops)
        code = need_column(files->ops, feature_titles, "ops", err, &files->op_features);
    return code < 0 ? code : find_profiles(files, err);
}

static bool is_empty(const char *text) {
    return text[strspn(text, " ")] == 0;
}

/* Of every row a positive number, or nothing: 0. The caller frees *ret_times, of failures too. */
static int read_times(const struct csv *csv, int column, struct err *err, double **ret_times) {
    double *times = *ret_times = mem_array(csv_rows(csv) + 1, sizeof *times);
    if (!times)
        return out_of_memory(err);
    for (size_t row = 0; row < csv_rows(csv); row++)
        if (!is_empty(csv_field(csv, row, column)) &&
            (!csv_number(csv, row, column, &times[row]) || !(times[row] > 0)))
            return err_set(
                err, ESP_EINVAL, NULL,
                "%s line %zu, column \"%.60s\": \"%.40s\" is no time: times are positive "
                "numbers, and a field is empty where nothing was measured",
                csv_name(csv), csv_line(csv, row), csv_title(csv, column),
                csv_field(csv, row, column));
    return 0;
}

static int read_all_times(struct laboratory_files *files, struct err *err) {
    int code = 0;
    for (int i = 0; code == 0 && i < files->n_columns; i++) {
        struct profile_columns *columns = &files->columns[i];
        code = read_times(files->networks, columns->in_networks, err, &columns->network_times);
        if (code == 0 && columns->in_ops >= 0)
            code = read_times(files->ops, columns->in_ops, err, &columns->op_times);
    }
    return code;
}

static int name_networks(struct laboratory_files *files, struct err *err) {
    const struct csv *csv = files->networks;
    if (names_init(&files->names, csv_rows(csv)) < 0)
        return out_of_memory(err);
    for (size_t row = 0; row < csv_rows(csv); row++) {
        const char *name = csv_field(csv, row, files->network);
        int64_t before = find_name(&files->names, name);
        if (before >= 0)
            return err_set(err, ESP_EINVAL, NULL,
                           "%s line %zu, column \"%.60s\": network \"%.60s\" stands twice in the "
                           "file, first in line %zu",
                           csv_name(csv), csv_line(csv, row), csv_title(csv, files->network), name,
                           csv_line(csv, (size_t)before));
        if (add_name(&files->names, name) < 0)
            return out_of_memory(err);
    }
    return 0;
}

/* What network each op is of; those of networks that nobody knows are counted. */
static int match_ops(struct laboratory_files *files, struct err *err) {
    size_t n = csv_rows(files->ops);
    struct names unknown;
    files->op_rows = mem_array(n + 1, sizeof *files->op_rows);
    int code = names_init(&unknown, n) == 0 && files->op_rows ? 0 : ESP_ENOMEM;
    for (size_t row = 0; code == 0 && row < n; row++) {
        const char *name = csv_field(files->ops, row, files->op_network);
        files->op_rows[row] = (int32_t)find_name(&files->names, name);
        if (files->op_rows[row] >= 0)
            continue;
        files->n_ops_of_unknown++;
        if (find_name(&unknown, name) < 0)
            code = add_name(&unknown, name);
    }
    files->n_unknown = unknown.n;
    names_finish(&unknown);
    return code < 0 ? out_of_memory(err) : 0;
}

int laboratory_files_open(const char *ops, const char *networks, struct err *err,
                          struct laboratory_files **ret_files) {
    struct laboratory_files *files = calloc(1, sizeof *files);
    int code = files ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for tables");
    if (code == 0)
        code = csv_open(networks, err, &files->networks);
    if (code == 0 && ops)
        code = csv_open(ops, err, &files->ops);
    if (code == 0 && csv_rows(files->networks) > LABORATORY_NETWORKS_MAX)
        code = err_set(err, ESP_ELIMIT, NULL, "at most %d networks", LABORATORY_NETWORKS_MAX);
    if (code == 0 && files->ops && csv_rows(files->ops) > LABORATORY_OPS_MAX)
        code = err_set(err, ESP_ELIMIT, NULL, "at most %d ops", LABORATORY_OPS_MAX);
    if (code == 0)
        code = find_columns(files, err);
    if (code == 0)
        code = read_all_times(files, err);
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
    for (int i = 0; i < files->n_columns; i++) {
        free(files->columns[i].network_times);
        free(files->columns[i].op_times);
    }
    names_finish(&files->names);
    free(files->op_rows);
    csv_close(files->ops);
    csv_close(files->networks);
    free(files);
}

int laboratory_files_profiles(const struct laboratory_files *files) {
    return files->n_profiles;
}

const char *laboratory_files_profile_name(const struct laboratory_files *files, int profile) {
    return files->columns[files->profiles[profile]].name;
}

/* The rows of networks as the profile has them. */
struct selection {
    int32_t *number; /* [rows]: of the network in the profile, or NO_NETWORK */
    size_t *rows;    /* [n] */
    size_t n;
};

static void selection_finish(struct selection *selection) {
    free(selection->number);
    free(selection->rows);
}

/* Ops without a time leave out their network: its sum would be too small. */
static void leave_out_gaps(const struct laboratory_files *files, const double *op_times,
                           struct selection *selection, struct laboratory_left_out *ret) {
    enum { GAP = NO_NETWORK - 1 };
    for (size_t i = 0; i < csv_rows(files->ops); i++) {
        int32_t row = files->op_rows[i];
        if (row < 0 || selection->number[row] == NO_NETWORK || op_times[i] > 0)
            continue;
        ret->ops_not_measured++;
        ret->networks_with_gaps += selection->number[row] != GAP;
        selection->number[row] = GAP;
    }
    for (size_t i = 0; i < csv_rows(files->ops); i++)
        ret->ops_of_gaps += files->op_rows[i] >= 0 && selection->number[files->op_rows[i]] == GAP;
    for (size_t row = 0; row < csv_rows(files->networks); row++)
        if (selection->number[row] == GAP)
            selection->number[row] = NO_NETWORK;
}

static size_t count_selected(const struct laboratory_files *files,
                             const struct selection *selection) {
    size_t n = 0;
    for (size_t row = 0; row < csv_rows(files->networks); row++)
        n += selection->number[row] != NO_NETWORK;
    return n;
}

/* Those without ops, which tell nothing, would take the place of others when networks are drawn. */
static int leave_out_empty(const struct laboratory_files *files, struct err *err,
                           struct selection *selection, struct laboratory_left_out *ret) {
    size_t n = csv_rows(files->networks);
    bool *has_ops = mem_array(n + 1, sizeof *has_ops);
    if (!has_ops)
        return out_of_memory(err);
    for (size_t i = 0; i < csv_rows(files->ops); i++)
        if (files->op_rows[i] >= 0)
            has_ops[files->op_rows[i]] = true;
    for (size_t row = 0; row < n; row++)
        if (selection->number[row] != NO_NETWORK && !has_ops[row]) {
            selection->number[row] = NO_NETWORK;
            ret->networks_without_ops++;
        }
    free(has_ops);
    return 0;
}

/* Of more networks than the ladder takes, as many as it takes, all equally likely (Knuth's
 * algorithm S). */
static int draw_networks(const struct laboratory_files *files, uint64_t seed, struct err *err,
                         struct selection *selection, struct laboratory_left_out *ret) {
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
        if (selection->number[row] == NO_NETWORK)
            continue;
        if (rng_below(&rng, (uint32_t)left--) < wanted)
            wanted--;
        else
            selection->number[row] = NO_NETWORK;
    }
    return 0;
}

/* Networks with a time of the profile, and of all of their ops. */
static int select_networks(struct laboratory_files *files, const struct profile_columns *columns,
                           uint64_t seed, struct err *err, struct selection *ret,
                           struct laboratory_left_out *ret_left_out) {
    size_t n = csv_rows(files->networks);
    files->measured = mem_array(n + 1, sizeof *files->measured);
    ret->number = mem_array(n + 1, sizeof *ret->number);
    ret->rows = mem_array(n + 1, sizeof *ret->rows);
    if (!files->measured || !ret->number || !ret->rows)
        return out_of_memory(err);
    for (size_t row = 0; row < n; row++) {
        bool measured = columns->network_times[row] > 0;
        ret->number[row] = measured ? 0 : NO_NETWORK;
        ret_left_out->networks_not_measured += !measured;
    }
    if (files->ops)
        leave_out_gaps(files, columns->op_times, ret, ret_left_out);
    int code = draw_networks(files, seed, err, ret, ret_left_out);
    if (code < 0)
        return code;
    for (size_t row = 0; row < n; row++)
        if (ret->number[row] != NO_NETWORK) {
            files->measured[ret->n] = columns->network_times[row];
            ret->rows[ret->n] = row;
            ret->number[row] = (int32_t)ret->n++;
        }
    if (ret->n == 0 && ret_left_out->networks_with_gaps > 0)
        return err_set(err, ESP_EINVAL, NULL,
                       "of each of the %zu networks with a time on \"%s\" an op has none",
                       ret_left_out->networks_with_gaps, columns->name);
    return ret->n > 0
               ? 0
               : err_set(err, ESP_EINVAL, NULL, "no network has a time on \"%s\"", columns->name);
}

/* The decimal numbers in the text of a dictionary, in its order; what is no number counts as 0. At
 * least one, for ops without features are alike. False: one is infinite or not a number. */
static bool read_features(const char *text, double *ret_features, int *ret_n) {
    int n = 0;
    for (const char *at = strchr(text, ':'); at && n < INTERPOLATION_FEATURES_MAX;
         at = strchr(at + 1, ':')) {
        const char *number = at + 1 + strspn(at + 1, " \t\n\v\f\r'\"[(");
        bool hexadecimal = strncasecmp(number + strspn(number, "+-"), "0x", 2) == 0;
        double value = hexadecimal ? 0 : strtod(number, NULL);
        if (!isfinite(value))
            return false;
        ret_features[n++] = fmax(0, value);
    }
    *ret_n = n > 0 ? n : 1;
    return true;
}

struct op_names {
    struct names kinds, keys;
    char *texts; /* of kinds ("CONV_2D 8") and keys ("CONV_2D {…}"), one behind the other */
    size_t used, capacity;
};

/* Number of the text of an op, new or known. */
static int number(struct op_names *op_names, struct names *names, const char *kind,
                  const char *rest, struct err *err, uint32_t *ret_number) {
    char *text = op_names->texts + op_names->used;
    int len = snprintf(text, op_names->capacity - op_names->used, "%s %s", kind, rest);
    int64_t found = find_name(names, text);
    *ret_number = found >= 0 ? (uint32_t)found : names->n;
    if (found >= 0)
        return 0;
    op_names->used += (size_t)len + 1;
    return add_name(names, text) < 0 ? out_of_memory(err) : 0;
}

static int read_op(const struct laboratory_files *files, size_t row, int64_t network, double time,
                   struct op_names *op_names, struct err *err, struct laboratory_op *ret_op) {
    const char *kind = csv_field(files->ops, row, files->op_kind);
    const char *features = csv_field(files->ops, row, files->op_features);
    char n_features[16];
    uint32_t kind_number;
    *ret_op = (struct laboratory_op){.sample = {.group = (int)network, .us = time}};
    if (!read_features(features, ret_op->sample.features, &ret_op->sample.n_features))
        return err_set(err, ESP_EINVAL, NULL,
                       "%s line %zu, column \"%.60s\": \"%.60s\" has a feature that is not finite",
                       csv_name(files->ops), csv_line(files->ops, row),
                       csv_title(files->ops, files->op_features), features);
    snprintf(n_features, sizeof n_features, "%d", ret_op->sample.n_features);
    int code = number(op_names, &op_names->kinds, kind, n_features, err, &kind_number);
    if (code == 0)
        code = number(op_names, &op_names->keys, kind, features, err, &ret_op->key);
    if (code == 0 && kind_number >= INTERPOLATION_KINDS_MAX)
        code = err_set(err, ESP_ELIMIT, NULL,
                       "at most %d kinds of ops (with their numbers of features)",
                       INTERPOLATION_KINDS_MAX);
    ret_op->sample.kind = (int)kind_number;
    return code;
}

static int read_op_rows(struct laboratory_files *files, const double *times,
                        const struct selection *networks, struct op_names *op_names,
                        struct err *err, size_t *ret_n) {
    int code = 0;
    for (size_t row = 0; code == 0 && row < csv_rows(files->ops); row++) {
        int32_t network = files->op_rows[row];
        if (network < 0 || networks->number[network] == NO_NETWORK)
            continue;
        code = read_op(files, row, networks->number[network], times[row], op_names, err,
                       &files->op_list[(*ret_n)++]);
    }
    return code;
}

/* Those of a network in a row. */
static int sort_ops(struct laboratory_files *files, size_t n, size_t n_networks, struct err *err) {
    size_t *at = mem_array(n_networks + 1, sizeof *at);
    if (!at)
        return out_of_memory(err);
    for (size_t i = 0; i < n; i++)
        at[files->op_list[i].sample.group + 1]++;
    for (size_t i = 0; i < n_networks; i++)
        at[i + 1] += at[i];
    for (size_t i = 0; i < n; i++)
        files->sorted[at[files->op_list[i].sample.group]++] = files->op_list[i];
    free(at);
    return 0;
}

static int read_ops(struct laboratory_files *files, const double *times,
                    const struct selection *networks, struct err *err,
                    struct laboratory_profile *ret) {
    size_t rows = csv_rows(files->ops);
    struct op_names op_names = {0};
    for (size_t row = 0; row < rows; row++)
        op_names.capacity += 2 * strlen(csv_field(files->ops, row, files->op_kind)) +
                             strlen(csv_field(files->ops, row, files->op_features)) + 64;
    op_names.texts = mem_array(op_names.capacity + 64, 1);
    files->op_list = mem_array(rows + 1, sizeof *files->op_list);
    files->sorted = mem_array(rows + 1, sizeof *files->sorted);
    bool enough = names_init(&op_names.kinds, rows) == 0 && names_init(&op_names.keys, rows) == 0;
    int code = op_names.texts && files->op_list && files->sorted && enough ? 0 : out_of_memory(err);
    if (code == 0)
        code = read_op_rows(files, times, networks, &op_names, err, &ret->n_ops);
    if (code == 0)
        code = sort_ops(files, ret->n_ops, networks->n, err);
    ret->ops = files->sorted;
    ret->n_keys = op_names.keys.n;
    names_finish(&op_names.kinds);
    names_finish(&op_names.keys);
    free(op_names.texts);
    return code;
}

static size_t count_without_ops(const struct laboratory_profile *profile) {
    size_t there = 0;
    for (size_t i = 0; i < profile->n_ops; i++)
        there += i == 0 || profile->ops[i].sample.group != profile->ops[i - 1].sample.group;
    return profile->n_networks - there;
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
        missing += !(times[rows[i]] > 0);
    return missing;
}

/* Times of the fleet of a profile; returns of how many columns. */
static size_t find_fleet(const struct laboratory_files *files, const char *profile,
                         const size_t *rows, size_t n, const double **ret_times) {
    size_t n_columns = 0;
    for (int i = 0; i < files->n_columns; i++) {
        if (same_board(files->columns[i].name, profile))
            continue;
        const double *times = files->columns[i].network_times;
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
            files->fleet[i * n_columns + c] = time > 0 ? log(time) : NAN;
            mean += time > 0 ? log(time) : 0;
            there += time > 0;
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

static int read_fleet(struct laboratory_files *files, const char *profile, const size_t *rows,
                      struct err *err, struct laboratory_profile *ret) {
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

/* Columns of costs that have a positive number for every network. */
static int read_costs(struct laboratory_files *files, const struct selection *networks,
                      struct err *err, struct laboratory_profile *ret) {
    const struct csv *csv = files->networks;
    size_t n = networks->n;
    files->costs = mem_array(n * LABORATORY_COSTS_MAX + 1, sizeof *files->costs);
    if (!files->costs)
        return out_of_memory(err);
    for (const char *const *title = cost_titles; *title; title++) {
        double *costs = files->costs + (size_t)ret->n_costs * n;
        int column = find_titled(csv, (const char *const[]){*title, NULL});
        bool whole = column >= 0;
        for (size_t i = 0; whole && i < n; i++)
            whole = csv_number(csv, networks->rows[i], column, &costs[i]) && costs[i] > 0;
        if (!whole)
            continue;
        ret->cost_names[ret->n_costs] = *title;
        ret->costs[ret->n_costs++] = costs;
    }
    return 0;
}

static int read_all_ops(struct laboratory_files *files, const struct profile_columns *columns,
                        const struct selection *networks, struct err *err,
                        struct laboratory_profile *ret) {
    int code = read_ops(files, columns->op_times, networks, err, ret);
    ret->left_out.networks_without_ops += code == 0 ? count_without_ops(ret) : 0;
    if (code == 0 && ret->n_ops == 0)
        code = err_set(err, ESP_EINVAL, NULL,
                       "no op of %s is of a network with a time on \"%s\" in %s",
                       csv_name(files->ops), columns->name, csv_name(files->networks));
    return code;
}

int laboratory_files_read(struct laboratory_files *files, int profile, uint64_t seed,
                          struct err *err, struct laboratory_profile *ret_profile) {
    const struct profile_columns *columns = &files->columns[files->profiles[profile]];
    struct selection networks = {0};
    struct laboratory_profile read = {.left_out = {.unknown_networks = files->n_unknown,
                                                   .ops_of_unknown = files->n_ops_of_unknown}};
    forget_profile(files);
    int code = select_networks(files, columns, seed, err, &networks, &read.left_out);
    read.n_networks = networks.n;
    read.measured_us = files->measured;
    if (code == 0 && files->ops)
        code = read_all_ops(files, columns, &networks, err, &read);
    if (code == 0 && !files->ops)
        code = read_costs(files, &networks, err, &read);
    if (code == 0)
        code = read_fleet(files, columns->name, networks.rows, err, &read);
    selection_finish(&networks);
    if (code == 0)
        *ret_profile = read;
    return code;
}
