#include "daemon/store_results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_devices.h"
#include "daemon/store_leases.h"
#include "daemon/store_measurements.h"
#include "daemon/store_retest.h"
#include "devices/method.h"

enum { SAMPLES_MAX = 10000 };

/* ---- what came ------------------------------------------------------------------------------- */

struct result {
    const char *lease, *measurement, *key, *status;
    int64_t attempt;
    enum measurement_event event;
    char body_hash[HASH_TEXT];
    double *samples_us; /* [n_samples], owned */
    int n_samples;
    bool late; /* its lease has ended, or another attempt was begun since */
    bool counts;
    bool again; /* it cannot be true, and the measurement is still to be answered */
    enum plausible_doubt doubt;
    enum retest_verdict retest; /* of a result that counts */
    struct err why;             /* of the doubt */
};

static int read_result(const cJSON *body, struct err *err, struct result *ret) {
    int r = json_string(body, "", "lease_id", 1, ID_MAX - 1, err, &ret->lease);
    if (r == 0)
        r = json_string(body, "", "measurement_id", 1, ID_MAX - 1, err, &ret->measurement);
    if (r == 0)
        r = json_int(body, "", "attempt", 0, INT32_MAX, err, &ret->attempt);
    if (r == 0)
        r = json_string(body, "", "idempotency_key", 8, 128, err, &ret->key);
    if (r == 0)
        r = json_string(body, "", "status", 1, 32, err, &ret->status);
    if (r != 0)
        return r;
    int event = measurement_event_of_result(ret->status);
    if (event < 0)
        return err_set(err, ESP_EINVAL, "/status", "unknown status \"%s\"", ret->status);
    ret->event = (enum measurement_event)event;
    char *text = json_print_canonical(body);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    hash_text(text, strlen(text), ret->body_hash);
    free(text);
    return 0;
}

/* *ret_repeat: this very result is there already. */
static int find_repeat(struct sql *sql, const struct result *result, struct err *err,
                       bool *ret_repeat) {
    struct sql_rows rows;
    bool same = true;
    *ret_repeat = false;
    sql_query(sql, &rows, "SELECT body_hash FROM results WHERE idempotency_key = ?1", "t",
              result->key);
    if (sql_next(&rows)) {
        *ret_repeat = true;
        same = strcmp(sql_text(&rows, 0), result->body_hash) == 0;
    }
    int r = sql_end(&rows, err);
    if (r == 0 && !same)
        r = err_set(err, ESP_ECONFLICT, "/idempotency_key",
                    "another result was sent under this key");
    return r;
}

static int check_item(struct sql *sql, const struct result *result, struct err *err) {
    int64_t items = 0;
    int r =
        sql_get_int(sql, err, &items, NULL,
                    "SELECT count(*) FROM lease_items WHERE lease = ?1 AND measurement = ?2 AND "
                    "attempt = ?3",
                    "tti", result->lease, result->measurement, result->attempt);
    if (r == 0 && items == 0)
        r = err_set(err, ESP_EGONE, "/measurement_id",
                    "the lease does not hold this measurement under this attempt");
    return r;
}

static int take_samples(const cJSON *body, struct err *err, struct result *ret) {
    bool needed = ret->event == MEASUREMENT_GOOD;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "samples_us"), *item;
    int n = cJSON_GetArraySize(list), i = 0, r = 0;
    if ((list != NULL && !cJSON_IsArray(list)) || (needed && n == 0))
        return err_set(err, ESP_EINVAL, "/samples_us", "a measured time needs its samples");
    if (n == 0)
        return 0;
    if (n > SAMPLES_MAX)
        return err_set(err, ESP_ELIMIT, "/samples_us", "more than %d samples", SAMPLES_MAX);
    double *samples = mem_array((size_t)n, sizeof(*samples));
    if (samples == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble > 0) || item->valuedouble > 1e10)
            r = err_set(err, ESP_EINVAL, "/samples_us", "every sample must be a positive time");
        samples[i++] = item->valuedouble;
    }
    if (r != 0) {
        free(samples);
        return r;
    }
    ret->samples_us = samples;
    ret->n_samples = n;
    return 0;
}

static int insert_result(struct store_tx *tx, const struct result *result, const cJSON *body,
                         struct err *err) {
    cJSON *rest = cJSON_Duplicate(body, true);
    cJSON_DeleteItemFromObjectCaseSensitive(rest, "samples_us");
    char *text = json_print(rest);
    int r =
        sql_run(store_tx_sql(tx), err, NULL,
                "INSERT INTO results (measurement, lease, attempt, idempotency_key, body_hash, "
                "status, counted, samples, data, created_us, late, doubt) VALUES (?1, ?2, ?3, "
                "?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                "ttitttibtiit", result->measurement, result->lease, result->attempt, result->key,
                result->body_hash, result->status, (int64_t)result->counts, result->samples_us,
                (size_t)result->n_samples * sizeof(*result->samples_us), text, store_tx_now_us(tx),
                (int64_t)result->late, plausible_doubt_names[result->doubt]);
    free(text);
    cJSON_Delete(rest);
    return r;
}

/* Whether the result decides the measurement. A late one (its lease was lost) still does while no
 * other attempt has; a late crash does not: it was counted as a loss. */
static int decide(struct sql *sql, const struct lease_row *lease, struct err *err,
                  struct result *result) {
    struct measurement_status status;
    int64_t twin = 0;
    int r = store_measurement_status(sql, result->measurement, err, &status);
    if (r != 0)
        return r;
    result->late = !lease_open(lease->state) || status.attempt != result->attempt;
    result->counts = result->doubt == PLAUSIBLE &&
                     (!result->late || result->event != MEASUREMENT_CRASH) &&
                     measurement_step(&status, result->event) == 0;
    result->again = result->doubt != PLAUSIBLE && !result->late &&
                    measurement_step(&status, MEASUREMENT_DOUBT) == 0;
    /* One that was canceled may have been asked for again: then that one stands. */
    if (result->counts)
        r = sql_get_int(sql, err, &twin, NULL,
                        "SELECT count(*) FROM measurements m JOIN measurements o ON "
                        "o.profile_revision = m.profile_revision AND o.graph_id = m.graph_id AND "
                        "o.method = m.method AND o.take = m.take AND o.id <> m.id WHERE m.id = ?1 "
                        "AND m.state = 'canceled' AND o.aside = 0 AND o.state IN ('queued', "
                        "'leased', 'running', 'accepted') AND "
                        "o.kind <> 'reference'",
                        "t", result->measurement);
    if (twin > 0)
        result->counts = false;
    return r;
}

/* A drift between single runs of the reference network, as short methods take them, is as likely a
 * burst of something else: it says nothing of the board's health. */
static bool drift_tells(const char *id) {
    const struct method *method = method_find(id);
    return method != NULL && method->batches_min / method->reference_every >= 3;
}

/* What to compare drift with. */
static int load_yardstick(struct sql *sql, const char *device, const char *measurement,
                          struct err *err, double *ret_noise, bool *ret_drift_tells,
                          char ret_profile[ID_MAX]) {
    struct sql_rows rows;
    sql_query(sql, &rows,
              "SELECT coalesce(p.noise, 0), m.method, p.id FROM profiles p JOIN measurements m ON "
              "m.profile = p.id WHERE p.device = ?1 AND m.id = ?2",
              "tt", device, measurement);
    if (sql_next(&rows)) {
        *ret_noise = sql_real(&rows, 0);
        *ret_drift_tells = drift_tells(sql_text(&rows, 1));
        snprintf(ret_profile, ID_MAX, "%s", sql_text(&rows, 2));
    }
    return sql_end(&rows, err);
}

/* What the reference network took before and after; false when that was not told. */
static bool read_drift(const cJSON *body, double *ret_before_us, double *ret_after_us) {
    const cJSON *reference = cJSON_GetObjectItemCaseSensitive(body, "reference");
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(reference, "before_us");
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(reference, "after_us");
    if (!cJSON_IsNumber(before) || !cJSON_IsNumber(after) || !(before->valuedouble > 0) ||
        !(after->valuedouble > 0))
        return false;
    *ret_before_us = before->valuedouble;
    *ret_after_us = after->valuedouble;
    return true;
}

/* health: else only the statistics of its noise take note, for its lease was lost long ago. */
static int judge_board(struct store_tx *tx, const char *device, const struct result *result,
                       const cJSON *body, bool health, struct err *err) {
    double noise = 0, before_us, after_us;
    bool tells = false;
    char profile[ID_MAX] = "";
    int r;
    if (result->event == MEASUREMENT_CRASH)
        return health ? store_device_health(tx, device, HEALTH_CRASH, err) : 0;
    if (health && result->retest != RETEST_NONE)
        return store_retest_note(tx, device, result->retest, err);
    if (!read_drift(body, &before_us, &after_us))
        return 0;
    r = load_yardstick(store_tx_sql(tx), device, result->measurement, err, &noise, &tells, profile);
    bool drifted = health_drifted(before_us, after_us, noise);
    if (r == 0 && tells && profile[0] != '\0')
        r = store_profile_drift(tx, profile, before_us, after_us, err);
    if (r != 0 || !health || (drifted && !tells))
        return r;
    return store_device_health(tx, device, drifted ? HEALTH_DRIFT : HEALTH_STEADY, err);
}

static bool is_told(const cJSON *flags, const char *flag) {
    const cJSON *item;
    cJSON_ArrayForEach(item, flags) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, flag) == 0)
            return true;
    }
    return false;
}

/* What the worker says of a result in words that are known, and drift, which only who knows the
 * board's noise can call so. */
static int set_numbers(struct store_tx *tx, const char *device, const struct result *result,
                       const cJSON *body, struct err *err) {
    static const char *const known[] = {"hot", "throttled", "bimodal", "unsettled", NULL};
    double noise = 0, before_us, after_us;
    bool tells = false;
    char profile[ID_MAX] = "";
    const cJSON *told = cJSON_GetObjectItemCaseSensitive(body, "flags");
    cJSON *flags = cJSON_CreateArray();
    int r =
        load_yardstick(store_tx_sql(tx), device, result->measurement, err, &noise, &tells, profile);
    for (int i = 0; known[i] != NULL; i++)
        if (is_told(told, known[i]))
            cJSON_AddItemToArray(flags, cJSON_CreateString(known[i]));
    if (tells && read_drift(body, &before_us, &after_us) &&
        health_drifted(before_us, after_us, noise))
        cJSON_AddItemToArray(flags, cJSON_CreateString("drift"));
    char *text = json_print(flags);
    cJSON_Delete(flags);
    if (r == 0 && text == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = store_measurement_set(tx, result->measurement, body, text, err);
    free(text);
    return r;
}

static int apply_result(struct store_tx *tx, const char *device, const struct result *result,
                        const cJSON *body, struct err *err) {
    struct err why = {0};
    const char *message = "",
               *failure = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "failure"));
    bool hung =
        result->event == MEASUREMENT_CRASH && failure != NULL && strcmp(failure, "timeout") == 0;
    int code = hung                                         ? ESP_ETIMEOUT
               : strcmp(result->status, "oom") == 0         ? ESP_ENOMEM
               : strcmp(result->status, "unsupported") == 0 ? ESP_EUNSUPPORTED
               : strcmp(result->status, "invalid") == 0     ? ESP_EINVAL
                                                            : ESP_EINTERNAL;
    int r = json_string_opt(body, "", "message", 0, 4096, err, &message);
    err_set(&why, code, NULL, "%s%s%.400s", hung ? failure : result->status,
            message[0] != '\0' ? ": " : "", message);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = set_numbers(tx, device, result, body, err);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = store_profile_noise_measured(tx, result->measurement, err);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = store_reference_seen(tx, result->measurement, body, err);
    return r != 0 ? r : store_measurement_apply(tx, result->measurement, result->event, &why, err);
}

/* The lease ends with the last of its items. */
static int close_if_done(struct store_tx *tx, const struct lease_row *lease, struct err *err) {
    int64_t open = 0;
    if (!lease_open(lease->state))
        return 0;
    int r = sql_get_int(store_tx_sql(tx), err, &open, NULL,
                        "SELECT count(*) FROM lease_items i JOIN measurements m ON m.id = "
                        "i.measurement WHERE i.lease = ?1 AND m.attempt = i.attempt AND m.state IN "
                        "('leased', 'running')",
                        "t", lease->id);
    return r != 0 || open > 0 ? r : store_lease_step(tx, lease, LEASE_RESULTS, err);
}

/* The result cannot be true: the board is doubted, and the measurement, if it is this attempt's
 * still, tried again. */
static int refuse(struct store_tx *tx, const char *device, const struct result *result,
                  struct err *err) {
    int r = store_device_doubt(tx, device, result->doubt, &result->why, err);
    return r != 0 || !result->again ? r
                                    : store_measurement_apply(tx, result->measurement,
                                                              MEASUREMENT_DOUBT, &result->why, err);
}

/* NaN unless it was measured. */
static double median_of(const struct result *result, const cJSON *body) {
    return result->event == MEASUREMENT_GOOD
               ? cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(body, "median_us"))
               : (double)NAN;
}

/* A result that is there for the first time. */
static int take_result(struct store_tx *tx, const char *device, const struct lease_row *lease,
                       const cJSON *body, struct err *err, struct result *result) {
    struct sql *sql = store_tx_sql(tx);
    int r = check_item(sql, result, err);
    if (r == 0)
        r = take_samples(body, err, result);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = store_measurement_check(body, err);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = store_result_judge(sql, result->measurement, body, result->samples_us,
                               result->n_samples, err, &result->why, &result->doubt);
    if (r == 0)
        r = decide(sql, lease, err, result);
    if (r == 0 && result->counts && result->event != MEASUREMENT_CRASH)
        r = store_retest_judge(sql,
                               &(struct retest_result){device, result->measurement,
                                                       median_of(result, body),
                                                       store_tx_now_us(tx)},
                               err, &result->retest);
    if (r == 0)
        r = insert_result(tx, result, body, err);
    if (r == 0 && result->doubt != PLAUSIBLE)
        r = refuse(tx, device, result, err);
    else if (r == 0 && result->counts)
        r = apply_result(tx, device, result, body, err);
    if (r == 0 && (result->counts || (result->late && result->doubt == PLAUSIBLE)))
        r = judge_board(tx, device, result, body, result->counts, err);
    return r != 0 ? r : close_if_done(tx, lease, err);
}

static cJSON *answer_of(const struct result *result) {
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "counted", result->counts);
    if (result->late)
        cJSON_AddBoolToObject(answer, "late", true);
    if (result->doubt != PLAUSIBLE) {
        cJSON_AddStringToObject(answer, "doubt", plausible_doubt_names[result->doubt]);
        cJSON_AddStringToObject(answer, "message", result->why.message);
    }
    return answer;
}

int store_result_add(struct store_tx *tx, const char *device, const cJSON *body, struct err *err,
                     int *ret_status, cJSON **ret_answer) {
    struct sql *sql = store_tx_sql(tx);
    struct result result = {.doubt = PLAUSIBLE};
    struct lease_row lease;
    bool repeat = false;
    int r = read_result(body, err, &result);
    if (r == 0)
        r = store_lease_load(sql, result.lease, device, err, &lease);
    if (r == 0)
        r = find_repeat(sql, &result, err, &repeat);
    if (r == 0 && !repeat)
        r = take_result(tx, device, &lease, body, err, &result);
    free(result.samples_us);
    if (r != 0)
        return r;
    result.counts |= repeat;
    *ret_status = repeat || result.late ? 200 : 201;
    *ret_answer = answer_of(&result);
    return 0;
}
