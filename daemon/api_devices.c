/* Boards and their profiles. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/fleet.h"
#include "daemon/store_devices.h"
#include "daemon/store_history.h"
#include "daemon/store_measurements.h"
#include "daemon/store_identity.h"

/* What a board waits for is nowhere stored. */
static void add_waiting(const struct api_call *call, cJSON *device) {
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(device, "id"));
    cJSON_AddItemToObject(device, "waits_for", fleet_waits_for(call->daemon->fleet, id));
}

/* As a word of a command that people copy into a shell: the name where it needs no quotes. */
static const char *shell_word(const cJSON *device) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(device, "name"));
    bool plain =
        name != NULL && name[0] != '-' &&
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
            strlen(name);
    return plain ? name : cJSON_GetStringValue(cJSON_GetObjectItem(device, "id"));
}

/* What to do about a noise floor that nobody should believe. */
static void add_noise_note(cJSON *device) {
    const char *doubt = cJSON_GetStringValue(cJSON_GetObjectItem(device, "noise_doubt"));
    char text[256];
    if (doubt == NULL) {
        cJSON_AddNullToObject(device, "noise_note");
        return;
    }
    snprintf(text, sizeof(text), "%s: measure again with: espalier device check %.80s",
             strcmp(doubt, "implausible") == 0
                 ? "noise measured on a busy machine"
                 : "noise measured higher than what later measurements show",
             shell_word(device));
    cJSON_AddStringToObject(device, "noise_note", text);
}

static void finish_one(struct api_call *call) {
    add_waiting(call, call->answer);
    add_noise_note(call->answer);
}

static void finish_list(struct api_call *call) {
    cJSON *device;
    cJSON_ArrayForEach(device, cJSON_GetObjectItem(call->answer, "items")) {
        add_waiting(call, device);
        add_noise_note(device);
    }
}

/* The id of the board that the path names. */
static int find_device(struct api_call *call, struct err *err, char ret_id[ID_MAX]) {
    cJSON *device = NULL;
    int r = store_device_get(call->sql, call->id, err, &device);
    if (r == 0)
        strcpy(ret_id, cJSON_GetStringValue(cJSON_GetObjectItem(device, "id")));
    cJSON_Delete(device);
    return r;
}

static int list_devices(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "dev_", err, &page);
    return r != 0 ? r : store_device_list(call->sql, &page, err, &call->answer);
}

static int get_device(struct api_call *call, struct err *err) {
    return store_device_get(call->sql, call->id, err, &call->answer);
}

static int get_history(struct api_call *call, struct err *err) {
    char id[ID_MAX];
    int r = find_device(call, err, id);
    return r != 0 ? r : store_device_history(call->sql, id, err, &call->answer);
}

static int read_patch(const cJSON *body, struct err *err, struct device_patch *patch) {
    static const char *const keys[] = {"name", "state", "note", NULL};
    static const char *const states[] = {"active",      "draining",    "paused",
                                         "quarantined", "maintenance", NULL};
    int state = 0;
    int r = json_only(body, "", keys, err);
    if (r == 0 && json_has(body, "name"))
        r = api_name(body, err, &patch->name);
    if (r == 0 && json_has(body, "state")) {
        r = json_enum(body, "", "state", states, err, &state);
        patch->state = states[state];
    }
    if (r == 0)
        r = json_string_opt(body, "", "note", 0, 1000, err, &patch->note);
    return r;
}

static int patch_device(struct api_call *call, struct err *err) {
    struct device_patch patch = {.name = NULL};
    char id[ID_MAX];
    int r = read_patch(call->body, err, &patch);
    if (r == 0)
        r = find_device(call, err, id);
    if (r == 0)
        r = store_device_patch(call->tx, id, &patch, err);
    return r != 0 ? r : store_device_get(call->sql, id, err, &call->answer);
}

static int delete_device(struct api_call *call, struct err *err) {
    char id[ID_MAX];
    cJSON *users = NULL;
    int r = find_device(call, err, id);
    if (r == 0)
        r = store_device_remove(call->tx, id, err, &users);
    api_problem_users(call, users, err);
    return r;
}

/* What a person says about who a board is. */
static int act(struct api_call *call,
               int (*action)(struct store_tx *tx, const char *device, struct err *err),
               struct err *err) {
    static const char *const keys[] = {NULL};
    char id[ID_MAX];
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = find_device(call, err, id);
    if (r == 0)
        r = action(call->tx, id, err);
    return r != 0 ? r : store_device_get(call->sql, id, err, &call->answer);
}

static int allow_identity(struct api_call *call, struct err *err) {
    return act(call, store_identity_allow, err);
}

static int rotate_token(struct api_call *call, struct err *err) {
    return act(call, store_identity_rotate, err);
}

static int revoke_token(struct api_call *call, struct err *err) {
    return act(call, store_identity_revoke, err);
}

/* The profiles to check: the named one, else all that the board's worker runs now. */
static int profiles_to_check(struct api_call *call, const char *device, struct err *err,
                             cJSON **ret_rows) {
    static const char *const keys[] = {"profile", NULL};
    const char *profile = NULL;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_string_opt(call->body, "", "profile", 1, 256, err, &profile);
    if (r == 0)
        r = store_device_profiles(call->sql, device, profile, err, ret_rows);
    if (r == 0 && cJSON_GetArraySize(*ret_rows) == 0)
        r = profile != NULL ? err_set(err, ESP_ENOTFOUND, "/profile",
                                      "this board has no profile \"%.100s\"", profile)
                            : err_set(err, ESP_ECONFLICT, NULL,
                                      "no worker of this board has connected yet: there is no "
                                      "profile to check");
    return r;
}

static int check_device(struct api_call *call, struct err *err) {
    char id[ID_MAX], measurement[ID_MAX];
    cJSON *profiles = NULL, *answer = cJSON_CreateObject(), *doc;
    cJSON *items = cJSON_AddArrayToObject(answer, "items");
    const cJSON *row;
    int r = find_device(call, err, id);
    if (r == 0)
        r = profiles_to_check(call, id, err, &profiles);
    cJSON_ArrayForEach(row, profiles) {
        doc = NULL;
        if (r == 0)
            r = store_noise_again(call->tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")),
                                  true, err, measurement);
        if (r == 0)
            r = store_measurement_row(call->sql, measurement, err, &doc);
        if (doc != NULL)
            cJSON_AddItemToArray(items, doc);
    }
    cJSON_Delete(profiles);
    if (r != 0) {
        cJSON_Delete(answer);
        return r;
    }
    call->status = 202;
    call->answer = answer;
    return 0;
}

static int list_profiles(struct api_call *call, struct err *err) {
    const char *removed = api_query(call, "removed");
    struct sql_page_args page;
    int r = api_page(call, "pf_", err, &page);
    if (r == 0)
        r = api_query_word(call, "removed", (const char *const[]){"true", "false", NULL}, err);
    return r != 0 ? r
                  : store_profile_list(call->sql, &page,
                                       removed != NULL && strcmp(removed, "true") == 0, err,
                                       &call->answer);
}

static int get_profile(struct api_call *call, struct err *err) {
    return store_profile_get(call->sql, call->id, err, &call->answer);
}

static int delete_profile(struct api_call *call, struct err *err) {
    char id[ID_MAX];
    cJSON *users = NULL;
    int r = store_profile_find(call->sql, call->id, err, id);
    if (r == 0)
        r = store_profile_remove(call->tx, id, err, &users);
    api_problem_users(call, users, err);
    return r;
}

/* A board reports all the time: that is nobody's change. */
static const char *const state_members[] = {"id", "name", "state", "note", NULL};

const struct api_route api_devices[] = {
    {"GET", "/api/v1/devices", "page_size,after", .read = list_devices, .finish = finish_list},
    {"GET", "/api/v1/devices/{id}", NULL, .read = get_device, .finish = finish_one,
     .state_members = state_members},
    {"PATCH", "/api/v1/devices/{id}", NULL, .scope = API_SCOPE_ADMIN, .write = patch_device,
     .finish = finish_one},
    {"DELETE", "/api/v1/devices/{id}", NULL, .write = delete_device},
    {"GET", "/api/v1/devices/{id}/history", NULL, .read = get_history},
    {"POST", "/api/v1/devices/{id}/allow", NULL, .scope = API_SCOPE_ADMIN, .write = allow_identity,
     .finish = finish_one},
    {"POST", "/api/v1/devices/{id}/rotate", NULL, .scope = API_SCOPE_ADMIN, .write = rotate_token,
     .finish = finish_one},
    {"POST", "/api/v1/devices/{id}/revoke", NULL, .scope = API_SCOPE_ADMIN, .write = revoke_token,
     .finish = finish_one},
    {"POST", "/api/v1/devices/{id}/check", NULL, .write = check_device},
    {"GET", "/api/v1/profiles", "page_size,after,removed", .read = list_profiles},
    {"GET", "/api/v1/profiles/{id}", NULL, .read = get_profile},
    {"DELETE", "/api/v1/profiles/{id}", NULL, .write = delete_profile},
    {.method = NULL}};
