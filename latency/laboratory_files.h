/* Measurements of others for the laboratory, from CSV files: ops of networks (a row each: network,
 * kind, features, and a column of times per profile), whole networks (a row each, a column of times
 * per profile), or whole networks alone, where the other profiles of the file, or a column of what
 * networks cost anywhere (LABORATORY_COST_COLUMNS), stand in for a table.
 * Foreign files: to be read in a job process. */
#pragma once

#include "latency/laboratory.h"

/* A file has one column of each of these names (the case of letters does not count), the first that
 * there is. Times are in any unit, the same in both files: positive decimal numbers, or an empty
 * field where nothing was measured. A column of a profile is called as the profile, or that and
 * "|mean" (then "|std" stands beside it). A network may have the same op many times, in as many
 * rows: the format has no number of an op, so a row that was copied by mistake cannot be told. */
#define LABORATORY_NETWORK_COLUMNS "model", "network", "name"
#define LABORATORY_KIND_COLUMNS "operation", "op", "kind", "type"
#define LABORATORY_FEATURE_COLUMNS "feature", "features"

enum {
    LABORATORY_PROFILES_MAX = 1024,
    LABORATORY_NAME_MAX = 128,
    LABORATORY_NETWORKS_MAX = 1000000 /* that are read; LADDER_NETWORKS_MAX of a profile count */
};

struct laboratory_files;
/* ops NULL: whole networks alone. Errors: those of csv_open; ESP_EINVAL (a column is missing, a
 * network or a profile's column stands twice, no profile in both files, a time that is no positive
 * number; file, line and column are named), ESP_ELIMIT, ESP_ENOMEM. */
int laboratory_files_open(const char *ops, const char *networks, struct err *err,
                          struct laboratory_files **ret_files);
void laboratory_files_close(struct laboratory_files *files); /* takes NULL */
/* Profiles that can be predicted. */
int laboratory_files_profiles(const struct laboratory_files *files);
const char *laboratory_files_profile_name(const struct laboratory_files *files, int profile);
/* What was measured on one. Left out, and counted: networks without a time, networks of which an op
 * has none (their sums would be too small), ops of networks that are not in the list. The fleet are
 * the profiles of other boards ("board|…") that have at most a tenth of their times missing, which
 * are taken as the fleet's mean. Costs are read of columns that have a positive number for each
 * network. Of more than LADDER_NETWORKS_MAX networks as many are drawn, by the seed. Valid until
 * the next call or the close. Errors: ESP_EINVAL (nothing is left), ESP_ELIMIT, ESP_ENOMEM. */
int laboratory_files_read(struct laboratory_files *files, int profile, uint64_t seed,
                          struct err *err, struct laboratory_profile *ret_profile);
