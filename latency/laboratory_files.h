/* Measurements of others for the laboratory, from CSV files: ops of networks (a row each: network,
 * kind, features, and a column of times per profile), whole networks (a row each, a column of times
 * per profile), or whole networks alone, where the other profiles of the file stand in for a table.
 * Foreign files: to be read in a job process. */
#pragma once

#include "latency/laboratory.h"

/* A file has one column of each of these names (the case of letters does not count), the first that
 * there is. Times are in any unit, the same in both files, of columns with positive numbers; a
 * column of a profile is called as the profile, or that and "|mean" (then "|std" stands beside it).
 */
#define LABORATORY_NETWORK_COLUMNS "model", "network", "name"
#define LABORATORY_KIND_COLUMNS "operation", "op", "kind", "type"
#define LABORATORY_FEATURE_COLUMNS "feature", "features"

enum { LABORATORY_PROFILES_MAX = 1024, LABORATORY_NAME_MAX = 128 };

struct laboratory_files;
/* ops NULL: whole networks alone. Errors: those of csv_open; ESP_EINVAL (a column is missing, a
 * network twice, no profile in both files), ESP_ELIMIT. */
int laboratory_files_open(const char *ops, const char *networks, struct err *err,
                          struct laboratory_files **ret_files);
void laboratory_files_close(struct laboratory_files *files); /* takes NULL */
/* Profiles that can be predicted. */
int laboratory_files_profiles(const struct laboratory_files *files);
const char *laboratory_files_profile_name(const struct laboratory_files *files, int profile);
/* What was measured on one: networks without a time, and ops of networks that are not in the list,
 * are left out; the fleet are the profiles of other boards ("board|…") that have at most a tenth of
 * their times missing, which are taken as the fleet's mean. Valid until the next call or the close.
 * Errors: ESP_EINVAL (a time that is not a number or not positive), ESP_ELIMIT, ESP_ENOMEM. */
int laboratory_files_read(struct laboratory_files *files, int profile, struct err *err,
                          struct laboratory_profile *ret_profile);
