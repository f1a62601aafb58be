/* Results of a search that DyNAS-T wrote (Cummings et al. 2022): a CSV file with a row for each
 * subnet of once-for-all's spaces that was evaluated. Foreign files: to be read in a job process.
 */
#pragma once

#include "space/arch.h"

enum { DYNAST_ROWS_MAX = 200000, DYNAST_BYTES_MAX = 128 << 20 };

struct dynast_row {
    struct arch arch;
    double top1;       /* share; NAN: not evaluated */
    int64_t macs;      /* as the file says; 0: not counted */
    double latency_us; /* NAN: not measured */
};
struct dynast_rows {
    size_t n;
    struct dynast_row *items; /* in the order of the file */
};

/* Needs the columns "Sub-network" (a Python dict of ks, e, d, r) and "Top-1 Acc (%)"; takes "MACs"
 * and "Latency (ms)" where they are there; others do not count. A figure of 0, which DyNAS-T writes
 * where it was not asked for it, and an empty one say nothing. ks and e have a value for each block
 * that the stages with choices can have, d one for each of these stages; what lies beyond a depth
 * does not count. Errors: those of file_read_regular and csv_parse; ESP_EINVAL (a column is
 * missing, a number is none or out of range, no rows), ESP_EPARSE (a sub-network that is no such
 * dict), ESP_EMISMATCH (it is none of the space), which name the row or the column; ESP_ELIMIT,
 * ESP_ENOMEM. */
int dynast_read(const char *path, const struct space *space, struct err *err,
                struct dynast_rows *ret_rows);
int dynast_parse(const char *text, size_t len, const struct space *space, struct err *err,
                 struct dynast_rows *ret_rows);
void dynast_finish(struct dynast_rows *rows); /* takes one that is all zero */
