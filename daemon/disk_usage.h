/* What the data folder takes on the disk, by kind. */
#pragma once

#include <stdatomic.h>

enum disk_kind {
    DISK_DATABASE,    /* with its log, and the copies that migrations leave */
    DISK_CHECKPOINTS, /* of supernets */
    DISK_MODELS,
    DISK_UPLOADS, /* data sets that were uploaded, and uploads that are to become such */
    DISK_CACHES,  /* decoded images; scores and BN statistics of subnets */
    DISK_EXPORTS,
    DISK_JOBS, /* folders of jobs: logs, journals, checkpoints that searches keep */
    DISK_BACKUPS,
    DISK_KINDS
};
extern const char *const disk_kind_names[]; /* ends with NULL */

/* Adds up blocks of regular files, not their lengths; one of several names counts for each name in
 * equal parts, so that kinds add up to what is taken. Of links only those are
 * followed that the data folder's own folders are (supernets, exports and so on). Goes through all
 * files: in the pool; ends early, with less, when stop is set. What cannot be read counts nothing.
 */
void disk_usage_measure(const char *data_dir, const atomic_bool *stop,
                        double ret_bytes[DISK_KINDS]);
/* The same of a folder or a file alone. */
double disk_usage_of(const char *path);
