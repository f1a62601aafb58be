#include "daemon/store_prune.h"

#include <string.h>

#include "daemon/checkpoint_users.h"
#include "daemon/store_supernets.h"

enum { SLICE = 500 };

#define ENDED "IN ('done', 'failed', 'canceled')"

/* ?1 is the age. The job of a thing that stays tells how that was made; a search's asked for its
 * measurements, and so for a calibration's. */
#define JOBS                                                                                       \
    "FROM jobs t WHERE t.state " ENDED " AND t.ended_us < ?1 AND NOT EXISTS (SELECT 1 FROM "       \
    "searches s WHERE s.id = t.subject) AND NOT EXISTS (SELECT 1 FROM calibrations c WHERE "       \
    "c.search = t.subject) AND NOT EXISTS (SELECT 1 FROM calibrations c WHERE c.id = t.subject) "  \
    "AND NOT EXISTS (SELECT 1 FROM supernets s WHERE s.id = t.subject AND s.job = t.id) AND NOT "  \
    "EXISTS (SELECT 1 FROM tables b WHERE b.id = t.subject AND b.job = t.id) AND NOT EXISTS "      \
    "(SELECT 1 FROM models m WHERE m.id = t.subject AND m.job = t.id) AND NOT EXISTS (SELECT 1 "   \
    "FROM exports x WHERE x.id = t.subject AND x.job = t.id) "

#define EXPORTS "FROM exports t WHERE t.state <> 'queued' AND t.created_us < ?1 "

/* Those that nobody needs. Of several with one path the newest, whose file it is, goes last. */
#define CHECKPOINTS                                                                                \
    "FROM checkpoints t WHERE t.created_us < ?1 AND NOT EXISTS (SELECT 1 "                         \
    "FROM " CHECKPOINT_SUPERNETS ") AND NOT EXISTS (SELECT 1 FROM " CHECKPOINT_SEARCHES            \
    ") AND NOT EXISTS (SELECT 1 "                                                                  \
    "FROM " CHECKPOINT_EVALUATIONS ") AND NOT EXISTS (SELECT 1 FROM " CHECKPOINT_JOBS              \
    ") AND NOT EXISTS (SELECT 1 FROM " CHECKPOINT_REPLACED ") "

/* As in store_retention.c: what a table, a search or a calibration uses stays. */
#define SAMPLES                                                                                    \
    "FROM results t WHERE t.created_us < ?1 AND NOT (t.counted AND (EXISTS (SELECT 1 FROM "        \
    "table_entries e WHERE e.measurement = t.measurement) OR EXISTS (SELECT 1 FROM "               \
    "measure_requests q JOIN jobs j ON j.id = q.job WHERE q.measurement = t.measurement AND "      \
    "(EXISTS (SELECT 1 FROM searches s WHERE s.id = j.subject) OR EXISTS (SELECT 1 FROM "          \
    "calibrations c WHERE c.search = j.subject) OR EXISTS (SELECT 1 FROM calibrations c WHERE "    \
    "c.id = j.subject))))) "

#define LEASES "FROM leases t WHERE t.created_us < ?1 AND t.state NOT IN ('granted', 'acked') "

/* What boards accepted of networks is what people asked for, and what energy prices are fitted
 * from: it stays while its profile is of that revision. */
#define MEASUREMENTS                                                                               \
    "FROM measurements t WHERE t.finished_us < ?1 AND t.state IN ('accepted', 'failed', "          \
    "'canceled') AND NOT EXISTS (SELECT 1 FROM results r WHERE r.measurement = t.id) AND NOT "     \
    "EXISTS (SELECT 1 FROM lease_items l WHERE l.measurement = t.id) AND NOT EXISTS (SELECT 1 "    \
    "FROM table_entries e WHERE e.measurement = t.id) AND NOT EXISTS (SELECT 1 FROM "              \
    "measure_requests q WHERE q.measurement = t.id) AND NOT EXISTS (SELECT 1 FROM measurements m " \
    "WHERE m.repeats = t.id) AND NOT (t.kind = 'network' AND t.state = 'accepted' AND EXISTS "     \
    "(SELECT 1 FROM profiles p WHERE p.id = t.profile AND p.revision = t.profile_revision)) "

/* As in store_retention.c: those of fronts, pins and exports stay. */
#define EVALUATIONS                                                                                \
    "FROM evaluations t WHERE t.created_us < ?1 AND NOT EXISTS (SELECT 1 FROM pins p WHERE "       \
    "p.supernet = t.supernet AND p.arch_id = t.arch_id) AND NOT EXISTS (SELECT 1 FROM exports x "  \
    "WHERE x.supernet = t.supernet AND x.arch_id = t.arch_id) AND NOT EXISTS (SELECT 1 FROM "      \
    "searches s JOIN candidates c ON c.search = s.id AND c.arch_id = t.arch_id AND c.on_front "    \
    "WHERE s.supernet = t.supernet) "

/* One goes by the end of its last job; one that waits, is paused or goes on is not over. */
#define ENDED_AT                                                                                   \
    "coalesce((SELECT max(j.ended_us) FROM jobs j WHERE j.subject = t.id), t.created_us)"
#define SEARCHES                                                                                   \
    "FROM searches t WHERE t.state IN ('canceled', 'failed') AND " ENDED_AT                        \
    " < ?1 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.subject = t.id AND j.state NOT " ENDED     \
    ") "
#define JOBS_OF_SEARCH                                                                             \
    "coalesce((SELECT group_concat(j.id, ' ') FROM jobs j WHERE j.subject = t.id AND NOT EXISTS "  \
    "(SELECT 1 FROM calibrations c WHERE c.search = t.id)), '')"

#define ROWS(table, where, bytes, at) ROWS_OF(table, where, bytes, at, "")
#define ROWS_OF(table, where, bytes, at, more)                                                     \
    .count = "SELECT count(*), sum(" bytes "), min(" at ") " where,                                \
    .list = "SELECT t.id AS id, " bytes " AS bytes, " at " AS at_us" more " " where "ORDER BY " at \
            ", t.id LIMIT ?2",                                                                     \
    .remove = "DELETE FROM " table " WHERE id IN (SELECT t.id " where "AND t.id = ?2)"

const struct prune_kind prune_kinds[] = {
    {.name = "searches",
     .topic = "search",
     .folder = "jobs",
     .when_named = true,
     .slice = 1,
     ROWS_OF("searches", SEARCHES, "length(t.body)", ENDED_AT, ", " JOBS_OF_SEARCH " AS folders"),
     .remove_jobs =
         "DELETE FROM jobs WHERE id IN (SELECT t.id " JOBS "AND t.subject = ?2) RETURNING id"},
    {.name = "jobs",
     .topic = "job",
     .folder = "jobs",
     .slice = SLICE,
     ROWS_OF("jobs", JOBS, "length(t.spec) + coalesce(length(t.result), 0)", "t.ended_us",
             ", t.id AS folders")},
    {.name = "exports",
     .topic = "export",
     .slice = SLICE,
     ROWS("exports", EXPORTS, "coalesce(t.bytes, 0)", "t.created_us")},
    {.name = "checkpoints",
     .slice = SLICE,
     ROWS_OF("checkpoints", CHECKPOINTS, "t.bytes", "t.created_us", ", t.supernet AS supernet")},
    {.name = "samples",
     .slice = SLICE,
     ROWS("results", SAMPLES, "length(t.samples) + length(t.data)", "t.created_us")},
    {.name = "leases", .slice = SLICE, ROWS("leases", LEASES, "100", "t.created_us")},
    {.name = "measurements",
     .slice = SLICE,
     ROWS("measurements", MEASUREMENTS, "length(t.graph)", "t.finished_us")},
    {.name = "evaluations",
     .slice = SLICE,
     ROWS("evaluations", EVALUATIONS, "length(t.data)", "t.created_us")},
    {.name = NULL}};

const struct prune_kind *prune_kind_find(const char *name) {
    const struct prune_kind *kind = prune_kinds;
    while (kind->name != NULL && strcmp(kind->name, name) != 0)
        kind++;
    return kind->name != NULL ? kind : NULL;
}

int prune_count(struct sql *sql, const struct prune_kind *kind, int64_t before_us, struct err *err,
                struct prune_found *ret) {
    struct sql_rows rows;
    struct prune_found found = {0};
    sql_query(sql, &rows, kind->count, "i", before_us);
    if (sql_next(&rows))
        found = (struct prune_found){sql_int(&rows, 0), sql_int(&rows, 1), sql_int(&rows, 2)};
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret = found;
    return r;
}

int prune_list(struct sql *sql, const struct prune_kind *kind, int64_t before_us, int64_t limit,
               struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows, kind->list, "ii", before_us, limit);
}

/* Ids are texts or numbers. */
static int remove_one(struct sql *sql, const struct prune_kind *kind, int64_t before_us,
                      const cJSON *id, struct err *err, int *ret_changes) {
    if (cJSON_IsNumber(id))
        return sql_run(sql, err, ret_changes, kind->remove, "ii", before_us,
                       (int64_t)id->valuedouble);
    return sql_run(sql, err, ret_changes, kind->remove, "it", before_us, id->valuestring);
}

static int remove_jobs(struct store_tx *tx, const struct prune_kind *kind, int64_t before_us,
                       const char *subject, struct err *err) {
    cJSON *jobs = NULL;
    const cJSON *job;
    int r = sql_get_rows(store_tx_sql(tx), err, &jobs, kind->remove_jobs, "it", before_us, subject);
    cJSON_ArrayForEach(job, jobs) {
        if (r == 0)
            r = store_tx_removed(tx, err, "job",
                                 cJSON_GetStringValue(cJSON_GetObjectItem(job, "id")));
    }
    cJSON_Delete(jobs);
    return r;
}

/* What went with a row, and the word of it. */
static int remove_rest(struct store_tx *tx, const struct prune_kind *kind, int64_t before_us,
                       const char *id, struct err *err) {
    int r = kind->remove_jobs != NULL ? remove_jobs(tx, kind, before_us, id, err) : 0;
    return r == 0 && kind->topic != NULL ? store_tx_removed(tx, err, kind->topic, id) : r;
}

/* Supernets that a part of went, each once: they are told anew, as when one checkpoint is removed.
 * supernets: {id: true}. */
static int announce(struct store_tx *tx, const cJSON *supernets, struct err *err) {
    const cJSON *supernet;
    int r = 0;
    cJSON_ArrayForEach(supernet, supernets) {
        if (r == 0)
            r = store_supernet_announce(tx, supernet->string, err);
    }
    return r;
}

/* Notes the supernet that a row was of. */
static void note_supernet(cJSON *supernets, const cJSON *row) {
    const char *supernet = cJSON_GetStringValue(cJSON_GetObjectItem(row, "supernet"));
    if (supernet != NULL && cJSON_GetObjectItemCaseSensitive(supernets, supernet) == NULL)
        cJSON_AddTrueToObject(supernets, supernet);
}

static void count_row(struct prune_found *found, const cJSON *row) {
    int64_t at_us = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "at_us"));
    found->count++;
    found->bytes += (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "bytes"));
    found->oldest_us = found->oldest_us == 0 || at_us < found->oldest_us ? at_us : found->oldest_us;
}

int prune_remove(struct store_tx *tx, const struct prune_kind *kind, int64_t before_us,
                 const cJSON *rows, struct err *err, struct prune_found *ret) {
    struct prune_found found = {0};
    cJSON *supernets = cJSON_CreateObject();
    const cJSON *row;
    int r = 0;
    cJSON_ArrayForEach(row, rows) {
        const cJSON *id = cJSON_GetObjectItem(row, "id");
        int changes = 0;
        if (r == 0)
            r = remove_one(store_tx_sql(tx), kind, before_us, id, err, &changes);
        if (r != 0 || changes == 0)
            continue;
        r = remove_rest(tx, kind, before_us, cJSON_GetStringValue(id), err);
        note_supernet(supernets, row);
        count_row(&found, row);
    }
    if (r == 0)
        r = announce(tx, supernets, err);
    if (r == 0)
        *ret = found;
    cJSON_Delete(supernets);
    return r;
}
