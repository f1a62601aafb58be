#include "daemon/store_searches.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_jobs.h"

#define BODY(key) "json_extract(body, '$." key "')"
#define NEWEST_FRONT(column)                                                                       \
    "(SELECT " column " FROM fronts WHERE search = searches.id ORDER BY version DESC LIMIT 1)"
#define NEWEST_GENERATION(column)                                                                  \
    "(SELECT " column " FROM generations WHERE search = searches.id AND strategy = "               \
    "" BODY("strategy") " ORDER BY generation DESC LIMIT 1)"
/* What a search should be told of, as a person would say it. */
#define NOTE_LINAS                                                                                 \
    "linas fits models of what it is told; where accuracy is predicted these are models of a "     \
    "model, and nsga2 with more evaluations costs as little: linas is meant for accuracy "         \
    "evaluated"
/* Formats its figures. */
#define NOTE_WORSE                                                                                 \
    "the accuracy predictor is used although a line through MACs alone ranks unseen subnets a "    \
    "little better (Kendall tau %.3f against %.3f, within the doubt of the comparison): more "     \
    "initial evaluations would make it surer"
#define PREDICTOR(key) "json_extract(predictor, '$." key "')"
/* clang-format off */
/* Arrays of notes: none, or one. */
#define LINAS_NOTES                                                                                \
    "CASE WHEN " BODY("strategy") " = 'linas' AND body -> '$.accuracy' <> '\"evaluated\"' THEN "    \
    "json_array('" NOTE_LINAS "') ELSE '[]' END"
#define WORSE_NOTES                                                                                \
    "CASE WHEN " PREDICTOR("accepted") " AND " PREDICTOR("kendall_tau") " < "                       \
    PREDICTOR("baseline_kendall_tau") " THEN json_array(printf('" NOTE_WORSE "', "                  \
    PREDICTOR("kendall_tau") ", " PREDICTOR("baseline_kendall_tau") ")) ELSE '[]' END"
#define SEARCH_COLUMNS                                                                             \
    "id, name, supernet, (SELECT k.id FROM checkpoints k WHERE k.supernet = searches.supernet "    \
    "AND k.hash = searches.checkpoint ORDER BY k.id DESC LIMIT 1) AS checkpoint, "                 \
    "(SELECT name FROM supernets WHERE supernets.id = "                                            \
    "searches.supernet) AS supernet_name, space, coalesce("                                        \
    BODY("dataset")                                                                                \
    ", (SELECT dataset FROM supernets WHERE supernets.id = searches.supernet)) AS dataset, "\
    STORE_SEARCH_STATE " AS state, stage, "                                                        \
    BODY("objectives")                                                                             \
    " AS \"objectives@json\", coalesce("                                                           \
    BODY("constraints")                                                                            \
    ", '[]') AS \"constraints@json\", "                                                            \
    BODY("strategy")                                                                               \
    " AS strategy, coalesce("                                                                      \
    BODY("strategy_options")                                                                       \
    ", '{}') AS \"strategy_options@json\", "                                                       \
    BODY("baseline")                                                                               \
    " AS baseline, body -> '$.subspace' AS \"subspace@json\", (SELECT json_group_array(n.value) FROM (SELECT "   \
    "value FROM json_each(coalesce(body -> '$.notes', '[]')) UNION ALL SELECT value FROM "         \
    "json_each(" LINAS_NOTES ") UNION ALL SELECT value FROM json_each(" WORSE_NOTES ") UNION ALL SELECT value FROM "         \
    "json_each(coalesce(result -> '$.notes', '[]'))) n) AS \"notes@json\", "                            \
    "body -> '$.accuracy' AS \"accuracy@json\", (SELECT json_group_array(json_object('id', "        \
    "m.id, 'name', m.name, 'kind', m.kind)) FROM search_models u JOIN models m ON m.id = "         \
    "u.model WHERE u.search = searches.id) AS \"models@json\", "                                   \
    BODY("seed")                                                                                   \
    " AS seed, "                                                                                   \
    BODY("population")                                                                             \
    " AS population, evaluations_done, "                                                           \
    BODY("evaluations")                                                                            \
    " AS evaluations, "                                                                            \
    BODY("time_budget_s")                                                                          \
    " AS time_budget_s, "                                                                          \
    BODY("rounds")                                                                                 \
    " AS rounds, coalesce("                                                                        \
    NEWEST_FRONT("json_array_length(arch_ids)")                                                    \
    ", "                                                                                           \
    NEWEST_GENERATION("front_size")                                                                \
    ") AS front_size, coalesce("                                                                   \
    NEWEST_FRONT("hypervolume")                                                                    \
    ", "                                                                                           \
    NEWEST_GENERATION("hypervolume")                                                               \
    ") AS hypervolume, "                                                                           \
    NEWEST_FRONT("reference_point")                                                                \
    " AS \"reference_point@json\", predictor AS \"predictor@json\", (SELECT "                      \
    "json_group_array(json(json_set(json_remove(data, '$.calibration', '$.points'), '$.id', c.id))) "          \
    "FROM calibrations c WHERE c.search = searches.id) AS \"calibrations@json\", job, "            \
    "result AS \"result@json\", created_us AS \"created_at@time\""
/* clang-format on */

int store_search_announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = store_search_get(store_tx_sql(tx), id, err, &doc);
    if (r == 0)
        r = store_tx_event(tx, err, "search", doc);
    cJSON_Delete(doc);
    return r;
}

int store_search_name_free(struct sql *sql, const char *name, struct err *err) {
    int64_t same = 0;
    int r = sql_get_int(sql, err, &same, NULL, "SELECT count(*) FROM searches WHERE name = ?1", "t",
                        name);
    return r == 0 && same > 0
               ? err_set(err, ESP_ECONFLICT, "/name", "there is a search \"%s\" already", name)
               : r;
}

int store_search_create(struct store_tx *tx, const struct new_search *search, struct err *err,
                        char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    char id[ID_MAX];
    int r = store_search_name_free(sql, search->name, err);
    if (r != 0)
        return r;
    char *text = json_print(search->body);
    id_make("se_", id);
    r = sql_run(sql, err, NULL,
                "INSERT INTO searches (id, name, supernet, space, space_fingerprint, state, body, "
                "created_us) VALUES (?1, ?2, ?3, coalesce(?6, (SELECT space FROM supernets WHERE "
                "id = ?3)), coalesce(?7, (SELECT space_fingerprint FROM supernets WHERE id = ?3)), "
                "'queued', ?4, ?5)",
                "ttttitt", id, search->name, search->supernet, text, store_tx_now_us(tx),
                search->space, search->fingerprint);
    free(text);
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

int store_search_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r =
        sql_get_row(sql, err, &doc,
                    "SELECT " SEARCH_COLUMNS " FROM searches WHERE id = ?1 OR name = ?1", "t", ref);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no search \"%s\"", ref);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_search_front(struct sql *sql, const char *ref, struct err *err,
                       struct search_front *ret_front) {
    struct search_front front = {.archs = NULL};
    struct sql_rows rows;
    sql_query(sql, &rows, "SELECT id, space_fingerprint FROM searches WHERE id = ?1 OR name = ?1",
              "t", ref);
    bool found = sql_next(&rows);
    if (found) {
        snprintf(front.id, sizeof(front.id), "%s", sql_text(&rows, 0));
        snprintf(front.fingerprint, sizeof(front.fingerprint), "%s", sql_text(&rows, 1));
    }
    int r = sql_end(&rows, err);
    if (r == 0 && !found)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no search \"%.60s\"", ref);
    if (r == 0)
        r = sql_get_rows(sql, err, &front.archs,
                         "SELECT DISTINCT arch_id, arch FROM candidates WHERE search = ?1 AND "
                         "on_front ORDER BY arch_id",
                         "t", front.id);
    if (r == 0)
        *ret_front = front;
    return r;
}

int store_search_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                      cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " SEARCH_COLUMNS
                    " FROM searches WHERE (?1 IS NULL OR id < ?1) ORDER BY "
                    "id DESC LIMIT ?2",
                    "");
}

static int refuse_delete(struct sql *sql, const char *id, struct err *err) {
    char state[16] = "running";
    int r = sql_get_text(sql, err, state, sizeof(state),
                         "SELECT " STORE_SEARCH_STATE " FROM searches WHERE id = ?1", "t", id);
    if (r != 0)
        return r;
    if (strcmp(state, "canceling") == 0)
        return err_set(err, ESP_ECONFLICT, NULL,
                       "the search is being stopped: remove it when it has ended");
    bool waits = strcmp(state, "queued") == 0 || strcmp(state, "paused") == 0;
    return err_set(err, ESP_ECONFLICT, NULL, "the search is %s: cancel it first",
                   waits ? state : "running");
}

int store_search_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    cJSON *users = NULL;
    int r = sql_get_rows(store_tx_sql(tx), err, &users,
                         "SELECT 'job' AS kind, id, kind AS name FROM jobs WHERE subject = ?1 AND "
                         "state NOT IN ('done', 'failed', 'canceled')",
                         "t", id);
    if (r != 0)
        return r;
    if (cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return refuse_delete(store_tx_sql(tx), id, err);
    }
    cJSON_Delete(users);
    r = sql_run(store_tx_sql(tx), err, NULL, "DELETE FROM searches WHERE id = ?1", "t", id);
    return r == 0 ? store_tx_removed(tx, err, "search", id) : r;
}

int store_search_set_job(struct store_tx *tx, const char *id, const char *job, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE searches SET job = ?2 WHERE id = ?1", "tt",
                    id, job);
    return r != 0 ? r : store_search_announce(tx, id, err);
}

int store_search_follow(struct store_tx *tx, const char *id, enum job_state state,
                        struct err *err) {
    const char *text =
        job_terminal(state) || state == JOB_QUEUED ? job_state_names[state] : "running";
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes,
                    "UPDATE searches SET state = ?2 WHERE id = ?1 AND state <> ?2", "tt", id, text);
    /* One that is being stopped is shown so. */
    bool same = changes == 0 && state != JOB_CANCELING;
    return r != 0 || same ? r : store_search_announce(tx, id, err);
}

int store_search_finished(struct store_tx *tx, const char *id, const cJSON *result,
                          struct err *err) {
    char *text = json_print(result);
    /* Of results that were taken over only the job knows how many there were. */
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE searches SET result = ?2, body = iif(" BODY(
                        "evaluations") " IS NULL, "
                                       "json_set(body, '$.evaluations', json_extract(?2, "
                                       "'$.evaluations')), body) "
                                       "WHERE id = ?1",
                    "tt", id, text);
    free(text);
    return r;
}

int store_search_set_stage(struct store_tx *tx, const char *id, const char *stage,
                           struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE searches SET stage = ?2 WHERE id = ?1",
                    "tt", id, stage);
    return r != 0 ? r : store_search_announce(tx, id, err);
}

int store_search_scored(struct store_tx *tx, const char *id, const char *checkpoint,
                        struct err *err) {
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes,
                    "UPDATE searches SET checkpoint = ?2 WHERE id = ?1 AND checkpoint IS NOT ?2",
                    "tt", id, checkpoint);
    return r != 0 || changes == 0 ? r : store_search_announce(tx, id, err);
}

int store_search_keepers(struct sql *sql, const char *supernet, const char *checkpoint,
                         struct err *err, cJSON **ret_jobs) {
    return sql_get_rows(sql, err, ret_jobs,
                        "SELECT j.id FROM searches s JOIN jobs j ON j.subject = s.id WHERE "
                        "s.supernet = ?1 AND s.checkpoint = ?2 ORDER BY s.id DESC, j.id DESC",
                        "tt", supernet, checkpoint);
}

int store_predictor_set(struct store_tx *tx, const char *search, const cJSON *data,
                        struct err *err) {
    char *text = json_print(data);
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE searches SET predictor = ?2 WHERE id = ?1",
                    "tt", search, text);
    free(text);
    return r != 0 ? r : store_search_announce(tx, search, err);
}

int store_search_budget(struct store_tx *tx, const char *search, const cJSON *data,
                        struct err *err) {
    int64_t evaluations;
    int r = json_int(data, "", "evaluations", 1, INT64_C(1) << 40, err, &evaluations);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE searches SET body = json_set(body, '$.evaluations', ?2) WHERE id = ?1",
                    "ti", search, evaluations);
    return r != 0 ? r : store_search_announce(tx, search, err);
}

int store_generation_add(struct store_tx *tx, const char *search, const cJSON *data,
                         struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    const cJSON *volume = cJSON_GetObjectItemCaseSensitive(data, "hypervolume");
    const char *strategy;
    int64_t generation, evaluations, front_size, feasible = 0;
    int r = json_string(data, "", "strategy", 1, 64, err, &strategy);
    if (r == 0)
        r = json_int(data, "", "generation", 0, INT32_MAX, err, &generation);
    if (r == 0)
        r = json_int(data, "", "evaluations", 0, INT64_C(1) << 40, err, &evaluations);
    if (r == 0)
        r = json_int(data, "", "front_size", 0, INT32_MAX, err, &front_size);
    if (r == 0)
        r = json_int_opt(data, "", "feasible", 0, INT64_C(1) << 40, err, &feasible);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "INSERT INTO generations (search, strategy, generation, evaluations, "
                    "hypervolume, front_size, feasible) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON "
                    "CONFLICT DO UPDATE SET evaluations = excluded.evaluations, hypervolume = "
                    "excluded.hypervolume, front_size = excluded.front_size, feasible = "
                    "excluded.feasible",
                    "ttiirii", search, strategy, generation, evaluations,
                    cJSON_IsNumber(volume) ? volume->valuedouble : __builtin_nan(""), front_size,
                    feasible);
    if (r == 0)
        r = sql_run(
            sql, err, NULL,
            "UPDATE searches SET evaluations_done = max(evaluations_done, ?3) WHERE id = ?1 "
            "AND " BODY("strategy") " = ?2",
            "tti", search, strategy, evaluations);
    if (r != 0)
        return r;
    cJSON *doc = cJSON_Duplicate(data, true);
    cJSON_AddStringToObject(doc, "search", search);
    r = store_tx_event(tx, err, "generation", doc);
    cJSON_Delete(doc);
    return r;
}

int store_hypervolume(struct sql *sql, const char *search, struct err *err, cJSON **ret_doc) {
    struct sql_rows rows;
    cJSON *doc = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(doc, "series"),
          *series = NULL;
    for (sql_query(sql, &rows,
                   "SELECT strategy, evaluations, hypervolume FROM generations WHERE search = ?1 "
                   "ORDER BY strategy, generation",
                   "t", search);
         sql_next(&rows);) {
        const char *strategy = sql_text(&rows, 0);
        const char *last = cJSON_GetStringValue(cJSON_GetObjectItem(series, "strategy"));
        if (last == NULL || strcmp(last, strategy) != 0) {
            series = cJSON_CreateObject();
            cJSON_AddStringToObject(series, "strategy", strategy);
            cJSON_AddArrayToObject(series, "evaluations");
            cJSON_AddArrayToObject(series, "hypervolume");
            cJSON_AddItemToArray(list, series);
        }
        cJSON_AddItemToArray(cJSON_GetObjectItem(series, "evaluations"),
                             cJSON_CreateNumber((double)sql_int(&rows, 1)));
        cJSON_AddItemToArray(cJSON_GetObjectItem(series, "hypervolume"),
                             sql_null(&rows, 2) ? cJSON_CreateNull()
                                                : cJSON_CreateNumber(sql_real(&rows, 2)));
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}
