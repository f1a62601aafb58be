/* All latency tables of one device that once-for-all or ProxylessNAS publish: a file, or a folder
 * of files, one for each resolution. Foreign files: to be read in a job process. */
#pragma once

#include "latency/ofa_table.h"
#include "latency/sections.h"

enum { OFA_MODEL_FILES_MAX = LATENCY_SECTIONS_MAX };

struct ofa_model_report {
    int n;
    struct ofa_model_file {
        char name[128]; /* without the folder */
        struct ofa_table_report table;
        double least_us, most_us; /* of the smallest and the largest subnet at that resolution; NAN:
                                     a unit of it cannot even be interpolated */
    } files[OFA_MODEL_FILES_MAX]; /* in rising order of resolution */
};

/* path: a file, or a folder whose files *.yaml and *.yml are read, all of them; others, hidden ones
 * and folders in it do not count. *report is filled as far as it came. Errors: those of
 * ofa_table_read, with the file's name; ESP_EINVAL (a folder without such files, two files for one
 * resolution), ESP_EMISMATCH (a file that knows fewer than half of the units that the space has at
 * its resolution: it is of another space), ESP_ELIMIT (files). */
int ofa_model_read(const char *path, const struct space *space, struct err *err,
                   struct ofa_model_report *report, struct latency_sections *ret_sections);
