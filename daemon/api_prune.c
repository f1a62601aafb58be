#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/disk_usage.h"
#include "daemon/janitor.h"
#include "daemon/store_prune.h"

enum {
    KINDS_MAX = 16,
    AGE_DEFAULT_S = 30 * 24 * 3600,
    FOLDERS_MAX = 20000 /* that are looked at for their size */
};

struct request {
    bool dry_run, more, wanted[KINDS_MAX];
    int64_t age_s, before_us;
    cJSON *rows[KINDS_MAX]; /* that go, if they still may */
};

static void request_destroy(void *state) {
    struct request *request = state;
    for (int i = 0; i < KINDS_MAX; i++)
        cJSON_Delete(request->rows[i]);
    free(request);
}

static int refuse_kind(const char *name, const char *pointer, struct err *err) {
    const char *names[KINDS_MAX + 1] = {NULL};
    char choice[320];
    for (int i = 0; i < KINDS_MAX && prune_kinds[i].name != NULL; i++)
        names[i] = prune_kinds[i].name;
    nearest_choice(names, name, choice, sizeof(choice));
    return err_set(err, ESP_EINVAL, pointer, "a kind must be %s", choice);
}

static int read_kind(const cJSON *item, int number, struct request *request, struct err *err) {
    char pointer[32];
    snprintf(pointer, sizeof(pointer), "/kinds/%d", number);
    if (!cJSON_IsString(item))
        return err_set(err, ESP_EINVAL, pointer, "a kind must be a text");
    const struct prune_kind *kind = prune_kind_find(item->valuestring);
    if (kind == NULL)
        return refuse_kind(item->valuestring, pointer, err);
    request->wanted[kind - prune_kinds] = true;
    return 0;
}

static int read_kinds(const cJSON *body, struct request *request, struct err *err) {
    const cJSON *kinds = NULL, *item;
    int number = 0, r = 0;
    if (!json_has(body, "kinds")) {
        for (int i = 0; prune_kinds[i].name != NULL; i++)
            request->wanted[i] = !prune_kinds[i].when_named;
        return 0;
    }
    r = json_array(body, "", "kinds", 1, KINDS_MAX, err, &kinds);
    cJSON_ArrayForEach(item, kinds) {
        if (r == 0)
            r = read_kind(item, number++, request, err);
    }
    return r;
}

static int read_request(const cJSON *body, struct request *request, struct err *err) {
    static const char *const keys[] = {"dry_run", "kinds", "older_than_s", NULL};
    request->age_s = AGE_DEFAULT_S;
    int r = json_only(body, "", keys, err);
    if (r == 0 && cJSON_HasObjectItem(body, "dry_run")) /* null is no leave to remove */
        r = json_bool(body, "", "dry_run", err, &request->dry_run);
    if (r == 0)
        r = json_int_opt(body, "", "older_than_s", 0, INT64_C(3200000000), err, &request->age_s);
    if (r == 0)
        r = read_kinds(body, request, err);
    request->before_us = clock_wall_us() - request->age_s * 1000000;
    return r;
}

/* names: with spaces between. */
static int64_t use_of_folders(const char *parent, const char *names) {
    char path[PATH_SIZE + 400];
    int64_t sum = 0;
    for (size_t len; *names != '\0'; names += len + (names[len] == ' ')) {
        len = strcspn(names, " ");
        snprintf(path, sizeof(path), "%s/%.*s", parent, (int)(len < 64 ? len : 64), names);
        sum += (int64_t)disk_usage_of(path);
    }
    return sum;
}

/* A folder counts as its row does. Returns what they have together. */
static int64_t add_folders(const struct api_call *call, const struct prune_kind *kind,
                           cJSON *rows) {
    char parent[PATH_SIZE + 32];
    int64_t sum = 0;
    cJSON *row;
    if (kind->folder == NULL)
        return 0;
    snprintf(parent, sizeof(parent), "%s/%s", call->daemon->data_dir, kind->folder);
    cJSON_ArrayForEach(row, rows) {
        cJSON *bytes = cJSON_GetObjectItem(row, "bytes");
        int64_t used =
            use_of_folders(parent, cJSON_GetStringValue(cJSON_GetObjectItem(row, "folders")));
        cJSON_SetNumberValue(bytes, bytes->valuedouble + (double)used);
        sum += used;
    }
    return sum;
}

static void tell_kind(cJSON *answer, const struct prune_kind *kind,
                      const struct prune_found *found) {
    char oldest[40];
    cJSON *item = cJSON_CreateObject();
    clock_format_utc(found->oldest_us, oldest, sizeof(oldest));
    cJSON_AddStringToObject(item, "kind", kind->name);
    cJSON_AddNumberToObject(item, "count", (double)found->count);
    cJSON_AddNumberToObject(item, "bytes", (double)found->bytes);
    cJSON_AddItemToObject(item, "oldest_at",
                          found->count > 0 ? cJSON_CreateString(oldest) : cJSON_CreateNull());
    cJSON_AddItemToArray(cJSON_GetObjectItem(answer, "kinds"), item);
}

static void begin_answer(struct api_call *call, const struct request *request) {
    call->answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(call->answer, "dry_run", request->dry_run);
    cJSON_AddNumberToObject(call->answer, "older_than_s", (double)request->age_s);
    cJSON_AddArrayToObject(call->answer, "kinds");
}

static int count_kind(struct api_call *call, const struct prune_kind *kind,
                      const struct request *request, struct err *err) {
    struct prune_found found;
    cJSON *rows = NULL;
    int r = prune_count(call->sql, kind, request->before_us, err, &found);
    if (r == 0 && kind->folder != NULL)
        r = prune_list(call->sql, kind, request->before_us, FOLDERS_MAX, err, &rows);
    if (r == 0) {
        found.bytes += add_folders(call, kind, rows);
        tell_kind(call->answer, kind, &found);
    }
    cJSON_Delete(rows);
    return r;
}

/* What is to go is looked for here in the pool, not while the writer waits. */
static int look(struct api_call *call, struct err *err) {
    struct request *request = mem_array(1, sizeof(*request));
    if (request == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->state = request;
    call->state_destroy = request_destroy;
    int r = read_request(call->body, request, err);
    begin_answer(call, request);
    for (int i = 0; prune_kinds[i].name != NULL && r == 0; i++) {
        const struct prune_kind *kind = &prune_kinds[i];
        if (request->wanted[i] && request->dry_run)
            r = count_kind(call, kind, request, err);
        else if (request->wanted[i])
            r = prune_list(call->sql, kind, request->before_us, kind->slice, err,
                           &request->rows[i]);
        if (r == 0)
            add_folders(call, kind, request->rows[i]);
    }
    return r;
}

static int prune(struct api_call *call, struct err *err) {
    struct request *request = call->state;
    int64_t removed = 0;
    int r = 0;
    for (int i = 0; prune_kinds[i].name != NULL && r == 0 && !request->dry_run; i++) {
        struct prune_found found = {0};
        if (!request->wanted[i])
            continue;
        r = prune_remove(call->tx, &prune_kinds[i], request->before_us, request->rows[i], err,
                         &found);
        if (r == 0)
            tell_kind(call->answer, &prune_kinds[i], &found);
        removed += found.count;
    }
    request->more = removed > 0;
    cJSON_AddBoolToObject(call->answer, "more", request->more);
    return r;
}

/* Rows first, then files: what is killed in between is swept at the next start. Once behind the
 * last slice; if nobody asks for it, a little later. */
static void sweep(struct api_call *call) {
    const struct request *request = call->state;
    if (request == NULL || request->dry_run)
        return;
    if (request->more)
        janitor_sweep_later(call->daemon->janitor);
    else
        janitor_sweep(call->daemon->janitor);
}

const struct api_route api_prune[] = {{"POST", "/api/v1/prune", NULL, .scope = API_SCOPE_ADMIN,
                                       .read = look, .write = prune, .finish = sweep},
                                      {.method = NULL}};
