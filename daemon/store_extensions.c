/* Searches as they stand, to go on with them: more evaluations by another job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_jobs.h"
#include "daemon/store_searches.h"

static int parse(const char *text, struct err *err, cJSON **ret_doc) {
    *ret_doc = cJSON_Parse(text);
    return cJSON_IsObject(*ret_doc)
               ? 0
               : err_set(err, ESP_EINTERNAL, NULL, "what is stored of the search cannot be read");
}

static void copy(const struct sql_rows *rows, int column, char *ret, size_t size) {
    snprintf(ret, size, "%s", sql_null(rows, column) ? "" : sql_text(rows, column));
}

/* Of what a search's profiles and space have, as they are counted when they are stored: whoever
 * asked for them. */
#define LAST_VERSION CALIBRATIONS_LAST_VERSION("own.profile_revision", "own.space_fingerprint")
#define LAST_VERSIONS                                                                              \
    "SELECT own.profile, max(" LAST_VERSION ") AS version FROM calibrations own WHERE own.search " \
    "= searches.id GROUP BY own.profile"

int store_search_load(struct sql *sql, const char *ref, struct err *err,
                      struct stored_search *ret_search) {
    struct stored_search s = {.body = NULL};
    struct sql_rows rows;
    int parsed = 0;
    sql_query(
        sql, &rows,
        "SELECT id, " STORE_SEARCH_STATE
        ", job, body, coalesce(json_extract(result, '$.evaluations'), "
        "evaluations_done), coalesce(json_extract(body, '$.evaluations'), 0), "
        "coalesce(json_extract(result, '$.stagnated'), 0), coalesce((SELECT kind = 'results' FROM "
        "jobs WHERE jobs.id = searches.job), 0), coalesce((SELECT max(version) FROM fronts WHERE "
        "search = searches.id), 0), (SELECT json_group_object(profile, version) FROM "
        "(" LAST_VERSIONS ")) FROM searches WHERE id = ?1 OR name = ?1",
        "t", ref);
    bool found = sql_next(&rows);
    if (found) {
        copy(&rows, 0, s.id, sizeof(s.id));
        copy(&rows, 1, s.state, sizeof(s.state));
        copy(&rows, 2, s.job, sizeof(s.job));
        s.evaluations = sql_int(&rows, 4);
        s.budget = sql_int(&rows, 5);
        s.stagnated = sql_int(&rows, 6) != 0;
        s.taken_over = sql_int(&rows, 7) != 0;
        s.front_version = sql_int(&rows, 8);
        parsed = parse(sql_text(&rows, 3), err, &s.body);
        if (parsed == 0)
            parsed = parse(sql_text(&rows, 9), err, &s.calibration_versions);
    }
    int r = sql_end(&rows, err);
    if (r == 0 && !found)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no search \"%.60s\"", ref);
    r = r != 0 ? r : parsed;
    if (r == 0)
        *ret_search = s;
    else
        stored_search_finish(&s);
    return r;
}

void stored_search_finish(struct stored_search *search) {
    cJSON_Delete(search->body);
    cJSON_Delete(search->calibration_versions);
    search->body = search->calibration_versions = NULL;
}

/* The last generation may have been cut short by the budget: a longer run asks for other subnets
 * behind the whole ones. */
static int drop_cut_generations(struct sql *sql, const struct search_extension *e,
                                struct err *err) {
    int r = sql_run(sql, err, NULL, "DELETE FROM candidates WHERE search = ?1 AND generation > ?2",
                    "ti", e->search, e->whole_generations);
    return r != 0 ? r
                  : sql_run(sql, err, NULL,
                            "DELETE FROM generations WHERE search = ?1 AND generation > ?2", "ti",
                            e->search, e->whole_generations);
}

int store_search_extend(struct store_tx *tx, const struct search_extension *e, struct err *err,
                        char ret_job[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int changes = 0;
    char *body = json_print(e->body);
    int r = sql_run(sql, err, &changes,
                    "UPDATE searches SET body = ?3, result = NULL, state = 'queued' WHERE id = ?1 "
                    "AND job = ?2 AND state = 'done'",
                    "ttt", e->search, e->job, body);
    free(body);
    if (r == 0 && changes == 0)
        r = err_set(err, ESP_ECONFLICT, NULL, "the search was extended meanwhile");
    if (r == 0)
        r = drop_cut_generations(sql, e, err);
    if (r == 0)
        r = store_job_create(tx, "search", e->search, e->spec, err, ret_job);
    return r != 0 ? r : store_search_set_job(tx, e->search, ret_job, err);
}
