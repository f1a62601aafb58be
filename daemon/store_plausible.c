#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_devices.h"
#include "daemon/store_measurements.h"
#include "daemon/store_results.h"

/* What a result is held against. */
struct yardstick {
    char runtime[ID_MAX], precision[32], fingerprint[160];
    int threads;
    bool reference, by_person;
    double known_us;
    struct graph *graph; /* owned; NULL: there is no such measurement */
};

static int read_graph(const char *text, struct err *err, struct graph **ret_graph) {
    cJSON *doc = NULL;
    int r = json_parse(text, strlen(text), NULL, err, &doc);
    if (r == 0)
        r = graph_from_json(doc, "", err, ret_graph);
    cJSON_Delete(doc);
    return r;
}

static int load_yardstick(struct sql *sql, const char *measurement, struct err *err,
                          struct yardstick *ret) {
    struct sql_rows rows;
    int r = 0;
    *ret = (struct yardstick){.threads = 1};
    sql_query(sql, &rows,
              "SELECT p.runtime, p.precision, v.fingerprint, p.threads, m.kind = 'reference', "
              "m.priority, coalesce(v.reference_us, 0), m.graph FROM measurements m JOIN profiles "
              "p ON p.id = m.profile JOIN profile_revisions v ON v.id = m.profile_revision WHERE "
              "m.id = ?1",
              "t", measurement);
    if (sql_next(&rows)) {
        snprintf(ret->runtime, sizeof(ret->runtime), "%s", sql_text(&rows, 0));
        snprintf(ret->precision, sizeof(ret->precision), "%s", sql_text(&rows, 1));
        snprintf(ret->fingerprint, sizeof(ret->fingerprint), "%s", sql_text(&rows, 2));
        ret->threads = (int)sql_int(&rows, 3);
        ret->reference = sql_int(&rows, 4) != 0;
        ret->by_person = sql_int(&rows, 5) == MEASUREMENT_OF_CHECK;
        ret->known_us = sql_real(&rows, 6);
        r = read_graph(sql_text(&rows, 7), err, &ret->graph);
    }
    int end = sql_end(&rows, r == 0 ? err : NULL);
    return r != 0 ? r : end;
}

static double number_or(const cJSON *doc, const char *key, double otherwise) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, key);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

/* The shorter of its two times beside a result; 0: none was taken. */
static double reference_beside(const cJSON *body) {
    const cJSON *reference = cJSON_GetObjectItemCaseSensitive(body, "reference");
    double before = number_or(reference, "before_us", 0),
           after = number_or(reference, "after_us", 0);
    return before > 0 && after > 0 ? fmin(before, after) : 0;
}

static int read_outputs(const cJSON *body, double ret_outputs[PLAUSIBLE_OUTPUTS_MAX]) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "outputs"), *item;
    int n = 0;
    cJSON_ArrayForEach(item, list) {
        if (n < PLAUSIBLE_OUTPUTS_MAX)
            ret_outputs[n++] = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    }
    return n;
}

int store_result_judge(struct sql *sql, const char *measurement, const cJSON *body,
                       const double *samples_us, int n, struct err *err, struct err *why,
                       enum plausible_doubt *ret_doubt) {
    double median_us = number_or(body, "median_us", 0), outputs[PLAUSIBLE_OUTPUTS_MAX];
    struct yardstick yardstick;
    *ret_doubt = PLAUSIBLE;
    if (!(median_us > 0))
        return 0;
    int r = load_yardstick(sql, measurement, err, &yardstick);
    if (r != 0 || yardstick.graph == NULL)
        return r;
    struct plausible_result result = {
        .runtime = yardstick.runtime,
        .precision = yardstick.precision,
        .threads = yardstick.threads,
        .fingerprint = yardstick.fingerprint,
        .told_fingerprint =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "fingerprint")),
        .reference = yardstick.reference,
        .peak_gmacs = number_or(body, "peak_gmacs", 0),
        .steady = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "steady")),
        .median_us = median_us,
        .samples_us = samples_us,
        .n = n,
        .reference_us = reference_beside(body),
        .reference_known_us = yardstick.reference && yardstick.by_person ? 0 : yardstick.known_us,
        .output_error = number_or(body, "output_error", -1),
        .output_tolerance = number_or(body, "output_tolerance", 0),
        .outputs = outputs,
        .n_outputs = read_outputs(body, outputs)};
    *ret_doubt = plausible_judge(&result, yardstick.graph, why);
    free(yardstick.graph);
    return 0;
}

int store_device_doubt(struct store_tx *tx, const char *device, enum plausible_doubt doubt,
                       const struct err *why, struct err *err) {
    int r =
        sql_run(store_tx_sql(tx), err, NULL,
                "UPDATE devices SET doubt = ?2, doubt_why = ?3, doubt_us = ?4, doubts = doubts "
                "+ 1 WHERE id = ?1",
                "ttti", device, plausible_doubt_names[doubt], why->message, store_tx_now_us(tx));
    if (r == 0)
        r = store_device_health(tx, device, HEALTH_IMPLAUSIBLE, err);
    return r != 0 ? r : store_device_announce(tx, device, err);
}

int store_device_believe(struct store_tx *tx, const char *device, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE devices SET doubt = NULL, doubt_why = NULL, doubt_us = NULL, doubts = "
                    "0 WHERE id = ?1",
                    "t", device);
    return r != 0 ? r
                  : sql_run(store_tx_sql(tx), err, NULL,
                            "UPDATE profile_revisions SET reference_us = NULL WHERE profile IN "
                            "(SELECT id FROM profiles WHERE device = ?1)",
                            "t", device);
}

int store_reference_seen(struct store_tx *tx, const char *measurement, const cJSON *body,
                         struct err *err) {
    /* What a person asked for stands, whatever it is. */
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE profile_revisions AS v SET reference_us = m.us FROM (SELECT "
                   "profile_revision, CASE kind WHEN 'reference' THEN ?2 ELSE ?3 END AS us, kind = "
                   "'reference' AND priority = ?4 AS stands FROM measurements WHERE id = ?1) AS m "
                   "WHERE v.id = m.profile_revision AND m.us > 0 AND (v.reference_us IS NULL OR "
                   "m.stands OR m.us < v.reference_us)",
                   "trri", measurement, number_or(body, "median_us", 0), reference_beside(body),
                   (int64_t)MEASUREMENT_OF_CHECK);
}
