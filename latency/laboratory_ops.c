#include "latency/laboratory_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"

/* Where the numbers of a kind's ops go. */
struct layout {
    int n_features;
    int at[LABORATORY_MEMBERS_MAX]; /* of members by name: the place of the first number */
};

struct reader {
    struct laboratory_files *files;
    const double *times;
    const struct laboratory_selection *networks;
    int32_t *group; /* [networks of ops]: its number in the profile, of those without a time behind
                       the selected ones, or LABORATORY_NONE */
    int32_t n_groups;
    struct laboratory_names kinds, keys;
    struct layout *layouts; /* [INTERPOLATION_KINDS_MAX] */
    struct laboratory_features features;
    struct buf text;
    struct arena texts; /* of kinds and keys */
};

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for measurements of ops");
}

/* Number of the text that was put together, new or known. */
static int number_text(struct reader *reader, struct laboratory_names *names, struct err *err,
                       uint32_t *ret_number) {
    if (reader->text.error)
        return out_of_memory(err);
    int64_t found = laboratory_names_find(names, reader->text.data);
    *ret_number = found >= 0 ? (uint32_t)found : names->n;
    if (found >= 0)
        return 0;
    char *text = arena_alloc(&reader->texts, reader->text.len + 1);
    if (!text)
        return out_of_memory(err);
    memcpy(text, reader->text.data, reader->text.len + 1);
    return laboratory_names_add(names, text) < 0 ? out_of_memory(err) : 0;
}

/* In the order in which they stand in the first op of the kind. */
static void lay_out(const struct laboratory_features *features, struct layout *ret) {
    int place[LABORATORY_MEMBERS_MAX], n = 0;
    for (int i = 0; i < features->n; i++) {
        place[i] = n;
        n += features->members[i].n;
    }
    for (int i = 0; i < features->n; i++)
        ret->at[i] = place[features->by_name[i]];
    n = n < INTERPOLATION_FEATURES_MAX ? n : INTERPOLATION_FEATURES_MAX;
    ret->n_features = n > 0 ? n : 1; /* ops without features are alike */
}

/* Ops are of one kind that have the same members, in whatever order, with as many numbers. */
static int find_kind(struct reader *reader, const char *operation, struct err *err,
                     uint32_t *ret_kind) {
    uint32_t known = reader->kinds.n;
    buf_clear(&reader->text);
    buf_printf(&reader->text, "%s\x1e", operation);
    for (int i = 0; i < reader->features.n; i++) {
        const struct laboratory_member *member =
            &reader->features.members[reader->features.by_name[i]];
        buf_printf(&reader->text, "%.*s\x1f%d\x1e", (int)member->name_len, member->name, member->n);
    }
    int code = number_text(reader, &reader->kinds, err, ret_kind);
    if (code == 0 && *ret_kind >= INTERPOLATION_KINDS_MAX)
        return err_set(err, ESP_ELIMIT, NULL,
                       "at most %d kinds of ops (with the names and numbers of their features)",
                       INTERPOLATION_KINDS_MAX);
    if (code == 0 && *ret_kind == known)
        lay_out(&reader->features, &reader->layouts[known]);
    return code;
}

/* Ops of a kind are the same work that have the same values, as text. */
static int find_key(struct reader *reader, uint32_t kind, struct err *err, uint32_t *ret_key) {
    buf_clear(&reader->text);
    buf_printf(&reader->text, "%u", kind);
    for (int i = 0; i < reader->features.n; i++) {
        const struct laboratory_member *member =
            &reader->features.members[reader->features.by_name[i]];
        const char *at = member->begin, *value;
        size_t len;
        buf_puts(&reader->text, "\x1e");
        while (laboratory_features_next(member, &at, &value, &len)) {
            buf_puts(&reader->text, "\x1f");
            buf_append(&reader->text, value, len);
        }
    }
    return number_text(reader, &reader->keys, err, ret_key);
}

static void place_numbers(const struct laboratory_features *features, const struct layout *layout,
                          struct interpolation_sample *sample) {
    sample->n_features = layout->n_features;
    for (int i = 0; i < features->n; i++) {
        const struct laboratory_member *member = &features->members[features->by_name[i]];
        for (int k = 0; k < member->n && layout->at[i] + k < layout->n_features; k++)
            sample->features[layout->at[i] + k] = member->numbers[k];
    }
}

static int refuse_features(const struct csv *csv, size_t row, int column, int code,
                           struct err *err) {
    char what[64] = "has a feature that is not finite";
    if (code == ESP_ELIMIT)
        snprintf(what, sizeof what, "has more than %d features", LABORATORY_MEMBERS_MAX);
    return err_set(err, code, NULL, "%s line %zu, column \"%.60s\": \"%.60s\" %s", csv_name(csv),
                   csv_line(csv, row), csv_title(csv, column), csv_field(csv, row, column), what);
}

static int read_op(struct reader *reader, size_t row, struct err *err, struct laboratory_op *ret) {
    const struct laboratory_files *files = reader->files;
    const char *features = csv_field(files->ops, row, files->op_features);
    uint32_t kind = 0;
    int code = laboratory_features_parse(features, &reader->features);
    if (code < 0)
        return refuse_features(files->ops, row, files->op_features, code, err);
    *ret = (struct laboratory_op){.sample.us = reader->times[row]};
    code = find_kind(reader, csv_field(files->ops, row, files->op_kind), err, &kind);
    if (code == 0)
        code = find_key(reader, kind, err, &ret->key);
    if (code == 0)
        place_numbers(&reader->features, &reader->layouts[kind], &ret->sample);
    ret->sample.kind = (int)kind;
    return code;
}

/* Ops that were not measured are asked of the other networks; those of networks without a time of
 * their own tell others, and are of no use without one. */
static bool is_wanted(struct reader *reader, size_t row, struct laboratory_left_out *left_out,
                      int *ret_group) {
    const struct laboratory_files *files = reader->files;
    size_t network = (size_t)files->op_networks[row], known = csv_rows(files->networks);
    int32_t number = network < known ? reader->networks->number[network] : LABORATORY_UNTIMED;
    bool measured = !isnan(reader->times[row]);
    if (number >= 0) {
        left_out->ops_not_measured += !measured;
        *ret_group = number;
        return true;
    }
    if (number != LABORATORY_UNTIMED || !measured)
        return false;
    if (reader->group[network] == LABORATORY_NONE) {
        reader->group[network] = reader->n_groups++;
        left_out->networks_of_table++;
    }
    left_out->ops_of_table++;
    *ret_group = reader->group[network];
    return true;
}

static int read_rows(struct reader *reader, struct err *err, struct laboratory_profile *ret) {
    struct laboratory_files *files = reader->files;
    int code = 0, group;
    for (size_t row = 0; code == 0 && row < csv_rows(files->ops); row++) {
        if (!is_wanted(reader, row, &ret->left_out, &group))
            continue;
        struct laboratory_op *op = &files->op_list[ret->n_ops++];
        code = read_op(reader, row, err, op);
        op->sample.group = group;
    }
    return code;
}

/* Those of a network in a row. */
static int sort_ops(struct laboratory_files *files, size_t n, size_t n_groups, struct err *err) {
    size_t *at = mem_array(n_groups + 1, sizeof *at);
    if (!at)
        return out_of_memory(err);
    for (size_t i = 0; i < n; i++)
        at[files->op_list[i].sample.group + 1]++;
    for (size_t i = 0; i < n_groups; i++)
        at[i + 1] += at[i];
    for (size_t i = 0; i < n; i++)
        files->sorted[at[files->op_list[i].sample.group]++] = files->op_list[i];
    free(at);
    return 0;
}

static int reader_init(struct reader *reader, struct err *err) {
    struct laboratory_files *files = reader->files;
    size_t rows = csv_rows(files->ops), networks = csv_rows(files->networks) + files->n_unknown;
    buf_init(&reader->text, 0);
    arena_init(&reader->texts, 0);
    reader->n_groups = (int32_t)reader->networks->n;
    reader->group = mem_array(networks + 1, sizeof *reader->group);
    reader->layouts = mem_array(INTERPOLATION_KINDS_MAX, sizeof *reader->layouts);
    files->op_list = mem_array(rows + 1, sizeof *files->op_list);
    files->sorted = mem_array(rows + 1, sizeof *files->sorted);
    for (size_t i = 0; reader->group && i < networks; i++)
        reader->group[i] = LABORATORY_NONE;
    bool enough = laboratory_names_init(&reader->kinds, rows) == 0;
    enough = laboratory_names_init(&reader->keys, rows) == 0 && enough;
    return enough && reader->group && reader->layouts && files->op_list && files->sorted
               ? 0
               : out_of_memory(err);
}

static void reader_finish(struct reader *reader) {
    laboratory_names_finish(&reader->kinds);
    laboratory_names_finish(&reader->keys);
    buf_finish(&reader->text);
    arena_finish(&reader->texts);
    free(reader->group);
    free(reader->layouts);
}

/* Some op of a selected network, and some time. */
static int check_ops(const struct laboratory_files *files, const struct laboratory_board *board,
                     const struct laboratory_profile *profile, struct err *err) {
    size_t n_networks = profile->n_networks, measured = 0;
    for (size_t i = 0; i < profile->n_ops; i++)
        measured += !isnan(profile->ops[i].sample.us);
    if (profile->n_ops == 0 || (size_t)profile->ops[0].sample.group >= n_networks)
        return err_set(err, ESP_EINVAL, NULL,
                       "no op of %s is of a network with a time on \"%s\" in %s",
                       csv_name(files->ops), board->name, csv_name(files->networks));
    return measured > 0 ? 0
                        : err_set(err, ESP_EINVAL, NULL, "no op of %s has a time on \"%s\"",
                                  csv_name(files->ops), board->name);
}

static size_t count_with_ops(const struct laboratory_profile *profile) {
    size_t n = 0;
    for (size_t i = 0; i < profile->n_ops; i++)
        n += (size_t)profile->ops[i].sample.group < profile->n_networks &&
             (i == 0 || profile->ops[i].sample.group != profile->ops[i - 1].sample.group);
    return n;
}

int laboratory_ops_read(struct laboratory_files *files, const struct laboratory_board *board,
                        const struct laboratory_selection *networks, struct err *err,
                        struct laboratory_profile *ret) {
    struct reader reader = {.files = files, .times = board->op_times, .networks = networks};
    int code = reader_init(&reader, err);
    if (code == 0)
        code = read_rows(&reader, err, ret);
    if (code == 0)
        code = sort_ops(files, ret->n_ops, (size_t)reader.n_groups, err);
    ret->ops = files->sorted;
    ret->n_keys = reader.keys.n;
    reader_finish(&reader);
    if (code == 0)
        ret->left_out.networks_without_ops += ret->n_networks - count_with_ops(ret);
    return code < 0 ? code : check_ops(files, board, ret, err);
}
