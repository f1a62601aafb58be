/* Files of measurements on their way to a profile's; for latency/laboratory_*.c only. */
#pragma once

#include "base/csv.h"
#include "base/map.h"
#include "latency/laboratory_files.h"

enum { LABORATORY_NONE = -1 /* no column, no network */ };

/* Numbers of texts, in the order in which they were met first. The texts stay with the caller. */
struct laboratory_names {
    struct map map;
    const char **texts;
    uint32_t n;
};
int laboratory_names_init(struct laboratory_names *names, size_t capacity); /* 0 or ESP_ENOMEM */
void laboratory_names_finish(struct laboratory_names *names);
int64_t laboratory_names_find(const struct laboratory_names *names, const char *text); /* or NONE */
int laboratory_names_add(struct laboratory_names *names, const char *text); /* 0 or ESP_ENOMEM */

enum laboratory_use {
    LABORATORY_PASSED_OVER,
    LABORATORY_NETWORK,
    LABORATORY_COST,
    LABORATORY_BOARD
};
/* What a column of networks is taken as. */
struct laboratory_column {
    enum laboratory_use use;
    const char *why; /* it is passed over: half a sentence */
};

/* A board's column of networks, and that of ops, if there is one. */
struct laboratory_board {
    char name[LABORATORY_NAME_MAX];
    int in_networks, in_ops; /* in_ops LABORATORY_NONE: part of the fleet at most, with ops */
    /* Of each row, NAN where nothing was measured; NULL where there is no column, network_times
     * also where it cannot be read and was not asked for. */
    double *network_times, *op_times;
};

struct laboratory_files {
    struct csv *ops, *networks;
    int op_network, op_kind, op_features, network; /* columns */
    struct laboratory_column *columns;             /* [of networks] */
    int n_boards, n_profiles;
    struct laboratory_board boards[LABORATORY_PROFILES_MAX];
    int profiles[LABORATORY_PROFILES_MAX]; /* boards that can be predicted */
    struct laboratory_names names;         /* of all networks: their numbers are rows of the file */
    int32_t *op_networks; /* [rows of ops]: row of its network; behind the last one, those of no row
                             in the order in which they were met */
    size_t n_unknown, n_ops_of_unknown; /* networks of ops that have no row */
    /* Of the profile that was read last. */
    double *measured, *fleet, *costs;
    struct laboratory_op *op_list, *sorted;
};

/* Finds what the columns are: fills those of ops, columns and boards (no times yet). The caller
 * frees files->columns, of failures too. */
int laboratory_columns_find(struct laboratory_files *files,
                            const struct laboratory_sources *sources, struct err *err);
/* "no profile …", with what there is instead, as it is after boards were found and read. */
int laboratory_columns_refuse(const struct laboratory_files *files, const char *profile,
                              struct err *err);

/* The rows of networks as the profile has them. */
struct laboratory_selection {
    int32_t *number; /* [rows]: of the network in the profile, or why it is not there */
    size_t *rows;    /* [n] */
    size_t n;
};
enum { LABORATORY_UNTIMED = -1, LABORATORY_NOT_DRAWN = -2, LABORATORY_WITHOUT_OPS = -3 };

/* Networks with a time on the board; files->measured is theirs. The caller finishes *ret, of
 * failures too. */
int laboratory_networks_select(struct laboratory_files *files, const struct laboratory_board *board,
                               uint64_t seed, struct err *err, struct laboratory_selection *ret,
                               struct laboratory_left_out *ret_left_out);
void laboratory_selection_finish(struct laboratory_selection *selection);
int laboratory_networks_read_fleet(struct laboratory_files *files, const char *profile,
                                   const size_t *rows, struct err *err,
                                   struct laboratory_profile *ret);
int laboratory_networks_read_costs(struct laboratory_files *files,
                                   const struct laboratory_selection *networks, struct err *err,
                                   struct laboratory_profile *ret);

/* Ops of the selected networks, and behind them those of networks without a time, as far as they
 * have one themselves. */
int laboratory_ops_read(struct laboratory_files *files, const struct laboratory_board *board,
                        const struct laboratory_selection *networks, struct err *err,
                        struct laboratory_profile *ret);

/* What the text of an op's features says: members with numbers, in their order there. */
enum { LABORATORY_MEMBERS_MAX = 64, LABORATORY_LIST_MAX = 8 };
struct laboratory_member {
    const char *name;
    size_t name_len;         /* 0: values without a name, all of the text's */
    const char *begin, *end; /* where its values stand in the text */
    int n;                   /* numbers; with a name the first LABORATORY_LIST_MAX at most */
    double numbers[INTERPOLATION_FEATURES_MAX];
};
struct laboratory_features {
    int n;
    struct laboratory_member members[LABORATORY_MEMBERS_MAX];
    int by_name[LABORATORY_MEMBERS_MAX]; /* members in the order of their names */
};
/* Takes a dictionary of Python's or of JSON, members in other forms ("a: 1; b=2"), or values alone
 * ("224;3;64"). A value is a number, a list of them ("[1, 224]", "3x3"), or anything else, which
 * counts as 0 with a name and not at all without; negative and hexadecimal numbers count as 0.
 * Errors: ESP_EINVAL (nan, inf or beyond a double's range), ESP_ELIMIT (more members). */
int laboratory_features_parse(const char *text, struct laboratory_features *ret);
/* The next of a member's values from *at on, without quotes, as text; *at begins as its begin.
 * False at their end. */
bool laboratory_features_next(const struct laboratory_member *member, const char **at,
                              const char **ret_value, size_t *ret_len);
