/* What a person may have removed beyond the rules of store_retention.h: by kind and age, never what
 * something that stays depends on. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store.h"
#include "daemon/store_sql.h"

struct prune_kind {
    const char *name;
    const char *folder; /* of the data folder: rows tell of folders there; NULL: none */
    bool when_named;    /* only if asked for by name */
    int slice;          /* rows that one transaction removes */
    const char *count, *list, *remove;
    const char *topic;       /* of the event that tells of what has gone; NULL: none does, or that
                                of the supernet which it was a part of */
    const char *remove_jobs; /* behind a row's removal: jobs that went with it; NULL: none */
};
extern const struct prune_kind prune_kinds[]; /* ends with name NULL; in the order of removal */
const struct prune_kind *prune_kind_find(const char *name); /* NULL: there is none */

struct prune_found {
    int64_t count, bytes; /* bytes: of rows and of files whose sizes rows tell */
    int64_t oldest_us;    /* 0: there is none */
};
/* All rows of a kind that may go, being older than before_us. */
int prune_count(struct sql *sql, const struct prune_kind *kind, int64_t before_us, struct err *err,
                struct prune_found *ret);
/* Their next ones, at most limit: [{"id", "bytes", "at_us", "folders"?, "supernet"?}], oldest
 * first; folders are names with spaces between, and their bytes are not in bytes. */
int prune_list(struct sql *sql, const struct prune_kind *kind, int64_t before_us, int64_t limit,
               struct err *err, cJSON **ret_rows);
/* Removes those of rows that may still go, and adds them up. Files go when the janitor comes. */
int prune_remove(struct store_tx *tx, const struct prune_kind *kind, int64_t before_us,
                 const cJSON *rows, struct err *err, struct prune_found *ret);
