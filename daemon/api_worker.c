/* What workers say: docs/WORKER_PROTOCOL.md. Unknown members are ignored: a worker may be newer
 * than the daemon. */
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/fleet.h"
#include "daemon/store_devices.h"
#include "daemon/store_identity.h"
#include "daemon/store_leases.h"
#include "daemon/store_results.h"
#include "daemon/store_tokens.h"

enum { RESULT_BYTES_MAX = 1 << 20, NOISE_SAMPLES_MIN = 3, NOISE_SAMPLES_MAX = 10000 };
#define EPOCH_MAX (INT64_C(1) << 53)

static void add_intervals(cJSON *welcome) {
    cJSON *intervals = cJSON_AddObjectToObject(welcome, "intervals");
    cJSON_AddNumberToObject(intervals, "poll_s", FLEET_POLL_S);
    cJSON_AddNumberToObject(intervals, "heartbeat_s", FLEET_HEARTBEAT_S);
}

/* A token of its own for the worker, in the same transaction as the board's row. secret: that the
 * worker made, which is not sent back; NULL: it made none. */
static int give_token(struct api_call *call, const char *secret, cJSON *welcome, struct err *err) {
    const char *device = cJSON_GetStringValue(cJSON_GetObjectItem(welcome, "device_id"));
    struct token_request request = {
        .scope = "worker", .kind = "worker", .label = "", .device = device, .secret = secret};
    cJSON *token = NULL;
    int r = store_token_create(call->tx, &request, err, &token, NULL);
    if (r == 0 && secret == NULL)
        cJSON_AddItemToObject(welcome, "worker_token",
                              cJSON_DetachItemFromObjectCaseSensitive(token, "token"));
    cJSON_Delete(token);
    return r;
}

/* An answer whose cause was noted, which an error would undo. */
static int refuse(struct api_call *call, struct err *err) {
    call->refusal = *err;
    *err = (struct err){0};
    return 0;
}

struct enrolment {
    struct introduction in;
    const char *token, *secret; /* secret: the worker's own, NULL */
    char device[ID_MAX];        /* that has enrolled with this secret before; "" */
};

static int read_enrolment(struct api_call *call, struct err *err, struct enrolment *ret) {
    int r = json_string(call->body, "", "enrolment_token", 1, TOKEN_SECRET_MAX, err, &ret->token);
    if (r == 0)
        r = introduction_read(call->body, err, &ret->in);
    if (r == 0)
        r = json_string_opt(call->body, "", "worker_token", 1, TOKEN_SECRET_MAX - 1, err,
                            &ret->secret);
    if (r == 0 && ret->secret != NULL)
        r = store_token_worker(call->sql, ret->secret, err, ret->device);
    ret->in.local = call->local && !ret->in.simulated;
    return r;
}

/* The token may name the board and hold a note for it. */
static int enrol_new(struct api_call *call, struct enrolment *enrolment, struct err *err,
                     cJSON **ret_welcome) {
    struct token token;
    int r = store_token_check(call->sql, enrolment->token, err, &token);
    if (r != 0)
        return r;
    if (token.name[0] != '\0')
        enrolment->in.given_name = token.name;
    enrolment->in.note = token.label;
    r = store_device_enrol(call->tx, &enrolment->in, err, ret_welcome);
    if (r == 0 && *ret_welcome == NULL)
        return 0; /* refused: the token keeps its use */
    if (r == 0)
        r = store_token_use(call->tx, enrolment->token, err);
    if (r == 0)
        r = store_token_used_by(
            call->tx, token.id,
            cJSON_GetStringValue(cJSON_GetObjectItem(*ret_welcome, "device_id")), err);
    return r != 0 ? r : give_token(call, enrolment->secret, *ret_welcome, err);
}

/* A worker that was killed before it knew that it is enrolled asks the same again: its secret
 * proves who it is, and the enrolment token was used up by its first request. */
static int enrol(struct api_call *call, struct err *err) {
    struct enrolment enrolment = {.token = NULL};
    cJSON *welcome = NULL;
    int r = read_enrolment(call, err, &enrolment);
    bool again = enrolment.device[0] != '\0';
    if (r == 0 && again)
        r = store_device_connect(call->tx, enrolment.device, &enrolment.in, err, &welcome);
    if (r == 0 && !again)
        r = enrol_new(call, &enrolment, err, &welcome);
    if (r != 0) {
        cJSON_Delete(welcome);
        return r;
    }
    if (welcome == NULL)
        return refuse(call, err);
    add_intervals(welcome);
    call->status = again ? 200 : 201;
    call->answer = welcome;
    return 0;
}

static int connect_worker(struct api_call *call, struct err *err) {
    struct introduction in;
    int r = introduction_read(call->body, err, &in);
    if (r != 0)
        return r;
    in.local = call->local && !in.simulated;
    r = store_device_connect(call->tx, call->identity, &in, err, &call->answer);
    if (r != 0)
        return r;
    if (call->answer == NULL)
        return refuse(call, err);
    add_intervals(call->answer);
    return 0;
}

static int rotate(struct api_call *call, struct err *err) {
    const char *secret;
    int r = json_string(call->body, "", "worker_token", 1, TOKEN_SECRET_MAX - 1, err, &secret);
    if (r == 0)
        r = store_identity_renew(call->tx, call->identity, secret, err);
    if (r == 0)
        call->answer = cJSON_CreateObject();
    return r;
}

/* Every message is a sign of life, and one of an older start of the worker is refused. */
static int touch(struct api_call *call, struct err *err) {
    int64_t epoch;
    int r = json_int(call->body, "", "epoch", 0, EPOCH_MAX, err, &epoch);
    return r != 0 ? r : store_device_touch(call->tx, call->identity, epoch, err);
}

static int acknowledge(struct api_call *call, struct err *err) {
    double estimate_s = 0;
    int r = json_real_opt(call->body, "", "estimate_s", 0, 1e9, err, &estimate_s);
    if (r == 0)
        r = touch(call, err);
    return r != 0 ? r
                  : store_lease_ack(call->tx, call->identity, call->id, estimate_s, err,
                                    &call->answer);
}

static int heartbeat(struct api_call *call, struct err *err) {
    const char *measurement = NULL;
    int r = touch(call, err);
    if (r == 0)
        r = json_string_opt(call->body, "", "measurement_id", 1, 64, err, &measurement);
    return r != 0 ? r
                  : store_lease_heartbeat(call->tx, call->identity, call->id, measurement, err,
                                          &call->answer);
}

static int release(struct api_call *call, struct err *err) {
    int r = touch(call, err);
    if (r == 0)
        r = store_lease_release(call->tx, call->identity, call->id, err);
    if (r == 0)
        call->answer = cJSON_CreateObject();
    return r;
}

/* A result carries no epoch: one that was spooled before a restart of the worker still counts. */
static int take_result(struct api_call *call, struct err *err) {
    int r = store_device_heard(call->tx, call->identity, err);
    return r != 0 ? r
                  : store_result_add(call->tx, call->identity, call->body, err, &call->status,
                                     &call->answer);
}

static int take_noise(struct api_call *call, struct err *err) {
    const char *profile;
    const cJSON *samples;
    int r = json_string(call->body, "", "profile_id", 1, ID_MAX - 1, err, &profile);
    if (r == 0)
        r = json_array(call->body, "", "reference_us", NOISE_SAMPLES_MIN, NOISE_SAMPLES_MAX, err,
                       &samples);
    if (r == 0)
        r = touch(call, err);
    if (r == 0)
        r = store_profile_noise(call->tx, call->identity, profile, samples, err);
    if (r == 0)
        call->answer = cJSON_CreateObject();
    return r;
}

static int goodbye(struct api_call *call, struct err *err) {
    int r = touch(call, err);
    if (r == 0)
        r = store_leases_give_back(call->tx, call->identity, err);
    if (r == 0)
        r = store_device_away(call->tx, call->identity, err);
    if (r == 0)
        call->answer = cJSON_CreateObject();
    return r;
}

const struct api_route api_worker[] = {
    {"POST", "/api/v1/worker/enrol", NULL, WEB_PUBLIC, .write = enrol},
    {"POST", "/api/v1/worker/connect", NULL, WEB_WORKER, .write = connect_worker},
    {"POST", "/api/v1/worker/rotate", NULL, WEB_WORKER, .write = rotate},
    {"POST", "/api/v1/worker/lease", NULL, WEB_WORKER, .loop = fleet_lease},
    {"POST", "/api/v1/worker/leases/{id}/ack", NULL, WEB_WORKER, .write = acknowledge},
    {"POST", "/api/v1/worker/leases/{id}/heartbeat", NULL, WEB_WORKER, .write = heartbeat},
    {"POST", "/api/v1/worker/leases/{id}/release", NULL, WEB_WORKER, .write = release},
    {"POST", "/api/v1/worker/results", NULL, WEB_WORKER, RESULT_BYTES_MAX, .write = take_result},
    {"POST", "/api/v1/worker/noise", NULL, WEB_WORKER, RESULT_BYTES_MAX, .write = take_noise},
    {"POST", "/api/v1/worker/goodbye", NULL, WEB_WORKER, .write = goodbye},
    {.method = NULL}};
