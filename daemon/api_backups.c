#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/backups.h"

static int make_doc(const struct api_call *call, const char *id, struct err *err, cJSON **ret_doc) {
    const char *state;
    struct err failure;
    int r = backups_state(call->daemon->backups, id, err, &state, &failure);
    if (r != 0)
        return r;
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "id", id);
    cJSON_AddStringToObject(doc, "state", state);
    cJSON *error = failure.code == 0 ? cJSON_AddNullToObject(doc, "error")
                                     : cJSON_AddObjectToObject(doc, "error");
    if (failure.code != 0) {
        cJSON_AddStringToObject(error, "code", err_name(failure.code));
        cJSON_AddStringToObject(error, "message", failure.message);
    }
    *ret_doc = doc;
    return 0;
}

static int begin(struct api_call *call, struct err *err) {
    static const char *const keys[] = {NULL};
    char id[ID_MAX];
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = backups_begin(call->daemon->backups, err, id);
    if (r == 0)
        r = make_doc(call, id, err, &call->answer);
    call->status = 202;
    return r;
}

static int look(struct api_call *call, struct err *err) {
    return make_doc(call, call->id, err, &call->answer);
}

static int add_to(const struct api_call *call, const char *id, struct err *err, cJSON *items) {
    cJSON *doc = NULL;
    int r = make_doc(call, id, err, &doc);
    if (r == 0)
        cJSON_AddItemToArray(items, doc);
    return r == ESP_ENOTFOUND ? 0 : r; /* removed meanwhile */
}

static int list(struct api_call *call, struct err *err) {
    char ids[BACKUPS_MAX][ID_MAX], making[ID_MAX];
    int r = 0;
    call->answer = cJSON_CreateObject();
    cJSON *items = cJSON_AddArrayToObject(call->answer, "items");
    if (backups_making(call->daemon->backups, making))
        r = add_to(call, making, err, items);
    else
        making[0] = '\0';
    int n = backup_list(call->daemon->data_dir, ids, BACKUPS_MAX);
    for (int i = 0; i < n && r == 0; i++)
        if (strcmp(ids[i], making) != 0)
            r = add_to(call, ids[i], err, items);
    cJSON_AddNullToObject(call->answer, "next");
    return r;
}

static int remove_one(struct api_call *call, struct err *err) {
    return backups_remove(call->daemon->backups, call->id, err);
}

static int open_file(struct api_call *call, struct err *err) {
    char path[PATH_SIZE * 2];
    const char *file = api_query(call, "path");
    int r = backup_find(call->daemon->data_dir, call->id, NULL, err, path);
    if (r == 0)
        r = backup_find(call->daemon->data_dir, call->id, file != NULL ? file : BACKUP_MANIFEST,
                        err, path);
    return r != 0 ? r : api_open_file(call, path, "application/octet-stream", err);
}

const struct api_route api_backups[] = {
    {"GET", "/api/v1/backups", NULL, .scope = API_SCOPE_ADMIN, .read = list},
    {"POST", "/api/v1/backups", NULL, .scope = API_SCOPE_ADMIN, .write = begin, .needs_room = true},
    {"GET", "/api/v1/backups/{id}", NULL, .scope = API_SCOPE_ADMIN, .read = look},
    {"DELETE", "/api/v1/backups/{id}", NULL, .read = remove_one},
    {"GET", "/api/v1/backups/{id}/file", "path", .scope = API_SCOPE_ADMIN, .read = open_file},
    {.method = NULL}};
