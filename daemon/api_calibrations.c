/* Calibrations of latencies: asked for, listed, shown. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_measurements.h"
#include "daemon/api_nouns.h"
#include "daemon/search_fleet.h"
#include "daemon/search_known.h"
#include "daemon/spaces.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_devices.h"
#include "daemon/store_jobs.h"

enum { NETWORKS_DEFAULT = 10 };
static const char method_name[] = "full"; /* a calibration is as good as its measurements */

/* A calibration that is asked for, worked out in the thread pool. */
struct plan {
    char profile[ID_MAX];
    int64_t networks, seed;
    int n_known; /* networks that the profile has measured before */
    int version; /* of the newest calibration; 0: there is none */
    cJSON *spec; /* of the job */
};

static void plan_destroy(void *state) {
    struct plan *plan = state;
    if (plan != NULL)
        cJSON_Delete(plan->spec);
    free(plan);
}

/* ---- what is asked for ---- */

static int read_body(struct api_call *call, struct plan *plan, struct err *err,
                     struct space **ret_space) {
    static const char *const keys[] = {"profile", "space", "networks", "seed", NULL};
    const char *profile, *space;
    plan->networks = NETWORKS_DEFAULT;
    plan->seed = 1;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_string(call->body, "", "profile", 1, 256, err, &profile);
    if (r == 0)
        r = json_string(call->body, "", "space", 1, API_NAME_MAX, err, &space);
    if (r == 0)
        r = json_int_opt(call->body, "", "networks", 0, CALIBRATION_CHOICE_MAX, err,
                         &plan->networks);
    if (r == 0)
        r = json_int_opt(call->body, "", "seed", 0, INT64_C(1) << 53, err, &plan->seed);
    if (r == 0)
        r = api_find_profile(call->sql, profile, err, plan->profile);
    if (r == 0 && (r = spaces_load(call->sql, space, err, ret_space, NULL)) != 0)
        err_set(err, r, "/space", "there is no space \"%s\"", space);
    return r;
}

static int check_board(struct sql *sql, const struct plan *plan, struct err *err) {
    bool has = true;
    int r = plan->networks > 0 ? store_profile_has_board(sql, plan->profile, err, &has) : 0;
    return r != 0 || has ? r
                         : err_set(err, ESP_ECONFLICT, "/profile",
                                   "the board of this profile was removed: nothing can be measured "
                                   "(with networks 0 a calibration is fitted to what it has "
                                   "measured)");
}

static int check_enough(const struct plan *plan, struct err *err) {
    int least = CALIBRATION_MIN_NETWORKS - plan->n_known;
    if (plan->networks >= least)
        return 0;
    return err_set(err, ESP_EINVAL, "/networks",
                   "a calibration needs %d networks, and the profile has measured %d of the space: "
                   "have %d more measured at least",
                   CALIBRATION_MIN_NETWORKS, plan->n_known, least);
}

/* ---- the job's spec ---- */

/* NULL: out of memory. */
static cJSON *document_of(const struct space *space) {
    char *document = space_print(space);
    cJSON *doc = document != NULL ? cJSON_Parse(document) : NULL;
    free(document);
    return doc;
}

/* Takes item; false: there was none, or no memory for it. */
static bool put(cJSON *object, const char *key, cJSON *item) {
    bool ok = cJSON_AddItemToObject(object, key, item);
    if (!ok)
        cJSON_Delete(item);
    return ok;
}

/* The one profile, without what it knows. NULL: out of memory. */
static cJSON *add_profile(cJSON *spec, const struct profile_latency *latency) {
    cJSON *profiles = cJSON_AddArrayToObject(spec, "profiles"), *profile = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(profiles, profile)) {
        cJSON_Delete(profile);
        return NULL;
    }
    return cJSON_AddStringToObject(profile, "profile_id", latency->id) &&
                   cJSON_AddStringToObject(profile, "profile_revision", latency->revision) &&
                   put(profile, "table", cJSON_Duplicate(latency->table_doc, true))
               ? profile
               : NULL;
}

static bool add_wishes(cJSON *spec, const struct plan *plan) {
    cJSON *wanted = cJSON_AddObjectToObject(spec, "calibrate");
    cJSON *versions = cJSON_AddObjectToObject(spec, "versions");
    cJSON *calibrations = cJSON_AddObjectToObject(versions, "calibrations");
    return cJSON_AddNumberToObject(calibrations, plan->profile, plan->version) &&
           cJSON_AddNumberToObject(wanted, "networks", (double)plan->networks) &&
           cJSON_AddNumberToObject(wanted, "seed", (double)plan->seed) &&
           cJSON_AddStringToObject(wanted, "method", method_name);
}

/* Takes known and fleet. ESP_ENOMEM. */
static int make_spec(struct plan *plan, const struct space *space,
                     const struct profile_latency *latency, cJSON *known, cJSON *fleet,
                     struct err *err) {
    cJSON *spec = plan->spec = cJSON_CreateObject(), *profile = add_profile(spec, latency);
    bool whole = put(profile, "known_networks", known);
    whole = put(spec, "fleet", fleet) && whole;
    whole = whole && add_wishes(spec, plan) && put(spec, "space", document_of(space)) &&
            cJSON_AddStringToObject(spec, "space_fingerprint", space->fingerprint);
    return whole ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* What the profile knows of the space, as a search begins with it. */
static int gather(struct api_call *call, struct plan *plan, const struct space *space,
                  const struct profile_latency *latency, struct err *err) {
    cJSON *known = NULL, *fleet = NULL;
    char method[METHOD_ID_MAX];
    method_id(method_find(method_name), method);
    const struct known_query query = {latency->id, latency->revision, method};
    int r = search_known_networks(call->sql, space, &query, SEARCH_KNOWN_NETWORKS_MAX, err, &known);
    plan->n_known = cJSON_GetArraySize(known);
    plan->version = latency->calibration.version;
    if (r == 0)
        r = check_enough(plan, err);
    if (r == 0)
        r = search_fleet_make(call->sql, space, latency->id, err, &fleet);
    if (r == 0)
        return make_spec(plan, space, latency, known, fleet, err);
    cJSON_Delete(known);
    return r;
}

static int plan_calibration(struct api_call *call, struct err *err) {
    struct profile_latency latency = {.table = NULL};
    struct plan *plan = mem_array(1, sizeof(*plan));
    struct space *space = NULL;
    if (plan == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->state = plan;
    call->state_destroy = plan_destroy;
    int r = read_body(call, plan, err, &space);
    if (r == 0)
        r = profile_latency_load(call->sql, plan->profile, space->fingerprint, err, &latency);
    if (r == 0)
        r = profile_latency_check(&latency, space, "/profile", err);
    if (r == 0)
        r = check_board(call->sql, plan, err);
    if (r == 0)
        r = gather(call, plan, space, &latency, err);
    if (r == 0 && call->daemon->board_patience_us > 0 &&
        !cJSON_AddNumberToObject(plan->spec, "board_patience_s",
                                 (double)call->daemon->board_patience_us / 1e6))
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    profile_latency_finish(&latency);
    space_destroy(space);
    return r;
}

/* ---- the job ---- */

static int start_calibration(struct api_call *call, struct err *err) {
    const struct plan *plan = call->state;
    char id[ID_MAX], job[ID_MAX];
    cJSON *job_doc = NULL;
    id_make("cal_", id);
    int r = store_job_create(call->tx, "calibrate", id, plan->spec, err, job);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    if (r != 0)
        return r;
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "id", id);
    cJSON_AddStringToObject(doc, "profile_id", plan->profile);
    cJSON_AddNumberToObject(doc, "networks", (double)plan->networks);
    cJSON_AddNumberToObject(doc, "n_known", plan->n_known);
    return api_answer_with_job(call, "calibration", doc, job_doc);
}

static int list_calibrations(struct api_call *call, struct err *err) {
    const char *ref = api_query(call, "profile");
    struct sql_page_args page;
    char profile[ID_MAX];
    int r = api_page_sized(call, err, &page);
    if (r == 0 && page.after != NULL && !store_calibration_is_cursor(page.after))
        r = api_no_cursor(page.after, err);
    if (r == 0 && ref != NULL)
        r = api_of_query(api_find_profile(call->sql, ref, err, profile), "profile", err);
    return r != 0 ? r
                  : store_calibration_list(call->sql, ref != NULL ? profile : NULL, &page, err,
                                           &call->answer);
}

static int get_calibration(struct api_call *call, struct err *err) {
    return store_calibration_get(call->sql, call->id, err, &call->answer);
}

const struct api_route api_calibrations[] = {
    {"GET", "/api/v1/calibrations", "profile,page_size,after", .read = list_calibrations},
    {"POST", "/api/v1/calibrations", NULL, .read = plan_calibration, .write = start_calibration,
     .needs_room = true},
    {"GET", "/api/v1/calibrations/{id}", NULL, .read = get_calibration},
    {.method = NULL}};
