/* Measurements of others for the laboratory, from CSV files: ops of networks (a row each: network,
 * kind, features, and a column of times per profile), whole networks (a row each, a column of times
 * per profile), or whole networks alone, where the other profiles of the file, or a column of what
 * networks cost anywhere (LABORATORY_COSTS_TEXT), stand in for a table.
 * Foreign files: to be read in a job process. */
#pragma once

#include "latency/laboratory.h"

/* A file has one column of each of these names (the case of letters does not count), the first that
 * there is; of networks a first column without a title will do. Times are in any unit, the same in
 * both files: decimal numbers, positive or, of ops, 0 (too short to be told), or an empty field
 * where nothing was measured. A column of a profile is called as the profile, or that and "|mean".
 * A network may have the same op many times, in as many rows: the format has no number of an op, so
 * a row that was copied by mistake cannot be told. */
#define LABORATORY_NETWORK_COLUMNS                                                                 \
    "model", "network", "name", "arch", "architecture", "net", "index"
#define LABORATORY_KIND_COLUMNS "operation", "op", "kind", "type"
#define LABORATORY_FEATURE_COLUMNS "feature", "features"

enum {
    LABORATORY_PROFILES_MAX = 1024,
    LABORATORY_NAME_MAX = 128,
    LABORATORY_NETWORKS_MAX = 1000000 /* that are read; LADDER_NETWORKS_MAX of a profile count */
};

/* Borrowed while the files are opened. */
struct laboratory_sources {
    const char *networks, *ops; /* paths; ops NULL: whole networks alone */
    const char *profile;        /* NULL: all; else what others have is read as far as it can be */
    const char *const *times; /* the columns of networks that are profiles', by title or profile, up
                                 to a NULL; NULL: those that are, by their titles and numbers */
};

struct laboratory_files;
/* Columns of networks are profiles', costs (LABORATORY_COSTS_TEXT, also with units, "GFLOPs",
 * "params (M)") or passed over: without a title, without a number, called as what is no time
 * ("top1_acc", "resolution", "id"), or beside means. Errors: those of csv_open; ESP_EINVAL (a
 * column is missing, a network or a profile's column stands twice, no profile in both files,
 * /times, a time that is none in what is judged; file, line and column are named), ESP_ENOTFOUND
 * (/profile; those that there are are named), ESP_ELIMIT, ESP_ENOMEM. */
int laboratory_files_open(const struct laboratory_sources *sources, struct err *err,
                          struct laboratory_files **ret_files);
void laboratory_files_close(struct laboratory_files *files); /* takes NULL */
/* What columns of networks were taken as: {"boards": [title], "costs": [title], "passed_over":
 * [{"column", "number" (from 1), "reason"}]}. NULL on memory exhaustion. */
cJSON *laboratory_files_columns_to_json(const struct laboratory_files *files);
/* Profiles that can be predicted. */
int laboratory_files_profiles(const struct laboratory_files *files);
const char *laboratory_files_profile_name(const struct laboratory_files *files, int profile);
/* What was measured on one. Left out, and counted: networks without a time; their ops, and those of
 * networks that are not in the list, are in the table. An op without a time is asked of the others.
 * The fleet are the profiles of other boards ("board|…") that have at most a tenth of their times
 * missing, which are taken as the fleet's mean. Costs are read of columns that have a positive
 * number for each network, the first LABORATORY_COSTS_MAX of them. Of more than LADDER_NETWORKS_MAX
 * networks as many are drawn, by the seed, and the ops of the others are left out. Valid until the
 * next call or the close. Errors: ESP_EINVAL (nothing is left, a feature that is not finite),
 * ESP_ELIMIT, ESP_ENOMEM. */
int laboratory_files_read(struct laboratory_files *files, int profile, uint64_t seed,
                          struct err *err, struct laboratory_profile *ret_profile);
