/* The workers that the daemon carries, and the script that brings one to a board. On a board there
 * is no API token: the id of a good enrolment token in the query serves as a ticket, which opens
 * nothing but these downloads. The token itself stays out of addresses and command lines. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/store_tokens.h"
#include "daemon/worker_builds.h"

static int check_ticket(struct api_call *call, struct err *err) {
    const char *ticket = api_query(call, "enrolment");
    if (ticket != NULL)
        return store_token_ticket(call->sql, ticket, err);
    if (call->local || call->identity[0] != '\0')
        return 0;
    return err_set(err, ESP_EUNAUTHORIZED, "?enrolment",
                   "%sthis needs a token, or ?enrolment= with the id of an enrolment token",
                   call->daemon->tokens_on_loopback ? "" : "beyond this machine ");
}

static void add_build(cJSON *items, const struct worker_build *build) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "arch", build->arch);
    cJSON_AddStringToObject(item, "version", ESP_VERSION);
    cJSON_AddNumberToObject(item, "bytes", (double)build->bytes);
    cJSON_AddStringToObject(item, "sha256", build->sha256);
    cJSON_AddItemToArray(items, item);
}

static int list_builds(struct api_call *call, struct err *err) {
    int r = check_ticket(call, err);
    if (r != 0)
        return r;
    call->answer = cJSON_CreateObject();
    cJSON *items = cJSON_AddArrayToObject(call->answer, "items");
    cJSON_AddNullToObject(call->answer, "next");
    for (int i = 0; worker_build_archs[i] != NULL; i++) {
        struct worker_build build;
        int fd = -1;
        r = worker_build_open(call->daemon->builds, worker_build_archs[i], err, &build, &fd);
        if (r == ESP_ENOTFOUND)
            continue;
        if (r != 0)
            return r;
        close(fd);
        add_build(items, &build);
    }
    return 0;
}

static int get_build(struct api_call *call, struct err *err) {
    struct worker_build build;
    int fd = -1;
    int r = check_ticket(call, err);
    if (r == 0)
        r = worker_build_open(call->daemon->builds, call->id, err, &build, &fd);
    if (r != 0)
        return r;
    call->file = fd;
    call->file_size = build.bytes;
    call->file_type = "application/gzip";
    snprintf(call->file_name, sizeof(call->file_name), "%s", build.name);
    snprintf(call->etag, sizeof(call->etag), "\"%s\"", build.sha256);
    return 0;
}

static int get_installer(struct api_call *call, struct err *err) {
    struct buf script;
    int n = 0;
    int r = check_ticket(call, err);
    if (r != 0)
        return r;
    buf_init(&script, 0);
    r = worker_builds_installer(call->daemon->builds, err, &script, &n);
    if (r == 0) {
        call->text = buf_take(&script);
        call->content_type = "text/x-shellscript; charset=utf-8";
    }
    buf_finish(&script);
    return r;
}

const struct api_route api_worker_builds[] = {
    {"GET", "/api/v1/worker-builds", "enrolment", .flags = WEB_TICKET, .read = list_builds},
    {"GET", "/api/v1/worker-builds/install.sh", "enrolment", .flags = WEB_TICKET,
     .read = get_installer},
    {"GET", "/api/v1/worker-builds/{arch}", "enrolment", .flags = WEB_TICKET, .read = get_build},
    {.method = NULL}};
