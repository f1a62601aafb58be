/* Networks of a supernet that a person keeps. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/store_pins.h"
#include "daemon/store_supernets.h"

enum { ARCHS_MAX = 1000 };

/* Whose networks; context of what is done to each. */
struct pinning {
    struct api_call *call;
    const char *supernet; /* id */
};
/* As job_spec_each_arch calls it. */
struct pin_action {
    int (*act)(void *context, const struct job_spec_arch *arch, struct err *err);
};

static int load_space(struct sql *sql, const char *supernet, struct err *err,
                      struct space **ret_space) {
    char *document = NULL;
    int r = store_supernet_space(sql, supernet, err, &document);
    if (r == 0)
        r = space_parse(document, strlen(document), err, ret_space);
    free(document);
    return r;
}

static int act_on_archs(struct api_call *call, const struct pin_action *action, struct err *err) {
    static const char *const keys[] = {"archs", NULL};
    const cJSON *archs = NULL;
    cJSON *supernet = NULL;
    struct space *space = NULL;
    struct sql_page_args page = {.size = ARCHS_MAX};
    int r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_array(call->body, "", "archs", 1, ARCHS_MAX, err, &archs);
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id"));
    if (r == 0)
        r = load_space(call->sql, id, err, &space);
    if (r == 0)
        r = job_spec_each_arch(space, archs, &(struct pinning){call, id}, action->act, err);
    if (r == 0)
        r = store_pin_list(call->sql, id, &page, err, &call->answer);
    space_destroy(space);
    cJSON_Delete(supernet);
    return r;
}

static int pin_one(void *context, const struct job_spec_arch *arch, struct err *err) {
    const struct pinning *of = context;
    return store_pin_add(of->call->tx, of->supernet, arch->text, arch->id, err);
}

static int unpin_one(void *context, const struct job_spec_arch *arch, struct err *err) {
    const struct pinning *of = context;
    return store_pin_remove(of->call->tx, of->supernet, arch->id, err);
}

static int pin(struct api_call *call, struct err *err) {
    return act_on_archs(call, &(struct pin_action){pin_one}, err);
}

static int unpin(struct api_call *call, struct err *err) {
    return act_on_archs(call, &(struct pin_action){unpin_one}, err);
}

static int list_pins(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    cJSON *supernet = NULL;
    int r = api_page_numbered(call, err, &page);
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_pin_list(call->sql, cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id")),
                           &page, err, &call->answer);
    cJSON_Delete(supernet);
    return r;
}

const struct api_route api_pins[] = {
    {"GET", "/api/v1/supernets/{id}/pins", "page_size,after", .read = list_pins},
    {"POST", "/api/v1/supernets/{id}/pins", NULL, .body_limit = 4 << 20, .write = pin},
    {"POST", "/api/v1/supernets/{id}/unpin", NULL, .body_limit = 4 << 20, .write = unpin},
    {.method = NULL}};
