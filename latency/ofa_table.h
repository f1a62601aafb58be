/* Latency tables that once-for-all and ProxylessNAS publish for their devices (YAML: keys such as
 * "expanded_conv-input:10x10x136-output:…", each with count, mean and std or var in ms), as tables
 * of a space of ours. Foreign files: to be read in a job process. */
#pragma once

#include "latency/table.h"
#include "space/arch.h"

enum { OFA_TABLE_BYTES_MAX = 16 << 20, OFA_TABLE_KEYS_MAX = 20000, OFA_TABLE_METHOD = 1000 };

struct ofa_table_report {
    int resolution;          /* the input size of the stem in the file */
    int keys;                /* in the file */
    int entries;             /* units of the space at that resolution that it knows */
    int missing;             /* and does not know */
    int foreign;             /* keys of the file that no unit of the space has */
    char first_missing[128]; /* the key that the first missing unit lacks; "" */
    char first_foreign[128]; /* "" */
};

/* Reads the file of one resolution: tables of one device are one file for each, and the same key
 * may take other times in another file. A unit of the space may need several keys (the head:
 * pooling, feature mix, classifier), whose means add up and whose variances do. Intervals are of
 * the mean, from the spread and the count; method is OFA_TABLE_METHOD. Errors: those of
 * file_read_regular; ESP_EPARSE (no YAML, no mapping of that form, a key twice), ESP_EINVAL (a
 * value that is no latency, a resolution that the space does not have), ESP_EMISMATCH (not one unit
 * known), ESP_ELIMIT, ESP_ENOMEM. */
int ofa_table_read(const char *path, const struct space *space, struct err *err,
                   struct ofa_table_report *ret_report, struct latency_table **ret_table);
