#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/parameter.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/database_check.h"
#include "daemon/disk.h"
#include "daemon/loop_watch.h"
#include "daemon/metrics.h"
#include "daemon/openapi.h"
#include "daemon/store_system.h"
#include "runtime/plan.h"
#include "web/sse.h"

static const char topics[] = "job,progress,metric,space,supernet,dataset,model,search,device,"
                             "table,export,candidates,generation,front,measurement,recovered";

static void answer_health(struct web_request *req) {
    char *text = mem_strdup("{\"status\":\"ok\"}");
    web_reply_text(req, 200, "application/json", text, text == NULL ? 0 : strlen(text));
}

static int get_ready(struct api_call *call, struct err *err) {
    struct system_counts counts;
    int r = store_system_counts(call->sql, err, &counts);
    if (r != 0)
        return err_set(err, ESP_EBUSY, NULL, "the database does not answer");
    call->answer = cJSON_CreateObject();
    cJSON_AddStringToObject(call->answer, "status", "ready");
    return 0;
}

static int get_version(struct api_call *call, struct err *err) {
    call->answer = cJSON_CreateObject();
    cJSON_AddStringToObject(call->answer, "version", ESP_VERSION);
    cJSON_AddStringToObject(call->answer, "api", "v1");
    cJSON_AddStringToObject(call->answer, "sqlite", store_sqlite_version());
    cJSON_AddStringToObject(call->answer, "runtime_revision", runtime_revision());
    return 0;
}

static int get_openapi(struct api_call *call, struct err *err) {
    return openapi_print(err, &call->text);
}

static bool wants_check(const struct api_call *call) {
    const char *word = api_query(call, "check");
    return word != NULL && strcmp(word, "true") == 0;
}

static void add_check(cJSON *checks, const char *name, bool ok, const char *detail) {
    cJSON *check = cJSON_CreateObject();
    cJSON_AddStringToObject(check, "name", name);
    cJSON_AddBoolToObject(check, "ok", ok);
    cJSON_AddStringToObject(check, "detail", detail);
    cJSON_AddItemToArray(checks, check);
}

static double file_bytes(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (double)info.st_size : 0;
}

static double database_bytes(const struct daemon *daemon) {
    char wal[PATH_SIZE + 16];
    snprintf(wal, sizeof(wal), "%s-wal", store_path(daemon->store));
    return file_bytes(store_path(daemon->store)) + file_bytes(wal);
}

/* Looks only when that is asked for: it reads the whole database. */
static int add_database_check(struct api_call *call, cJSON *checks, struct err *err) {
    struct database_check *check = call->daemon->database_check;
    struct database_state last;
    char at[40];
    int r = wants_check(call) ? database_check_run(check, call->sql, err) : 0;
    if (r != 0)
        return r;
    bool checked = database_check_last(check, &last);
    add_check(checks, "database", !checked || last.ok, checked ? last.detail : "not checked yet");
    cJSON *row = cJSON_GetArrayItem(checks, cJSON_GetArraySize(checks) - 1);
    clock_format_utc(last.at_us, at, sizeof(at));
    cJSON_AddItemToObject(row, "checked_at", checked ? cJSON_CreateString(at) : cJSON_CreateNull());
    return 0;
}

static int add_board_check(struct api_call *call, cJSON *checks, struct err *err) {
    char detail[STORE_BOARDS_DETAIL];
    bool ok;
    int r = store_system_check_boards(call->sql, err, &ok, detail);
    if (r == 0)
        add_check(checks, "boards", ok, detail);
    return r;
}

static int add_checks(struct api_call *call, double free_bytes, struct err *err) {
    const struct daemon *daemon = call->daemon;
    cJSON *checks = cJSON_AddArrayToObject(call->answer, "checks");
    char detail[400], used[160], free_text[DISK_BYTES_TEXT], floor_text[DISK_BYTES_TEXT];
    int r = add_database_check(call, checks, err);
    if (r != 0)
        return r;
    bool ok = !(free_bytes < (double)daemon->disk_floor_bytes);
    disk_usage_words(daemon->disk, used, sizeof(used));
    snprintf(detail, sizeof(detail), "%s free, %s stay free%s%s%s",
             disk_bytes_text(free_bytes, free_text),
             disk_bytes_text((double)daemon->disk_floor_bytes, floor_text),
             ok ? "" : ": nothing new is begun", used[0] != '\0' ? "; " : "", used);
    add_check(checks, "disk", ok, detail);
    ok = access(daemon->job_program, X_OK) == 0;
    snprintf(detail, sizeof(detail), "%.200s%s", daemon->job_program,
             ok ? "" : " cannot be started");
    add_check(checks, "job program", ok, detail);
    return add_board_check(call, checks, err);
}

static int add_retention(struct api_call *call, struct err *err) {
    cJSON *rules = NULL;
    int r = store_retention_describe(call->sql, &call->daemon->retention, err, &rules);
    if (r == 0)
        cJSON_AddItemToObject(call->answer, "retention", rules);
    return r;
}

static int get_system(struct api_call *call, struct err *err) {
    const struct daemon *daemon = call->daemon;
    struct system_counts counts;
    char started[40];
    double free_bytes = disk_free_now(daemon->data_dir);
    int r = api_query_word(call, "check", (const char *const[]){"true", "false", NULL}, err);
    if (r == 0)
        r = store_system_counts(call->sql, err, &counts);
    if (r != 0)
        return r;
    clock_format_utc(daemon->started_us, started, sizeof(started));
    cJSON *doc = call->answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(doc, "cores", parallel_cores());
    cJSON_AddNumberToObject(doc, "memory_bytes", (double)mem_machine_bytes());
    cJSON_AddNumberToObject(doc, "job_memory_bytes", (double)daemon->job_memory_bytes);
    cJSON_AddNumberToObject(doc, "job_file_bytes", (double)daemon->job_file_bytes);
    cJSON_AddStringToObject(doc, "cpu_model", cpu_model_name());
    cJSON_AddStringToObject(doc, "data_dir", daemon->data_dir);
    cJSON_AddNumberToObject(doc, "disk_free_bytes", free_bytes);
    cJSON_AddNumberToObject(doc, "disk_floor_bytes", (double)daemon->disk_floor_bytes);
    cJSON_AddItemToObject(doc, "disk", disk_usage_describe(daemon->disk));
    cJSON_AddNumberToObject(doc, "database_bytes", database_bytes(daemon));
    cJSON_AddStringToObject(doc, "started_at", started);
    cJSON_AddNumberToObject(doc, "jobs_running", (double)counts.jobs_running);
    cJSON_AddNumberToObject(doc, "workers_online", (double)counts.workers_online);
    r = add_retention(call, err);
    return r != 0 ? r : add_checks(call, free_bytes, err);
}

static void print_disk_usage(struct disk *disk, struct buf *out) {
    static const struct metrics_family used = {
        "espalier_disk_used_bytes", "gauge",
        "What the daemon's data take on the disk, as last measured."};
    cJSON *doc = disk_usage_describe(disk), *rows = cJSON_CreateArray();
    const cJSON *kind;
    cJSON_ArrayForEach(kind, cJSON_GetObjectItem(doc, "kinds")) {
        char labels[48];
        snprintf(labels, sizeof(labels), "kind=\"%s\"",
                 cJSON_GetStringValue(cJSON_GetObjectItem(kind, "kind")));
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "labels", labels);
        cJSON_AddNumberToObject(row, "value",
                                cJSON_GetNumberValue(cJSON_GetObjectItem(kind, "bytes")));
        cJSON_AddItemToArray(rows, row);
    }
    metrics_print_family(out, &used, rows);
    cJSON_Delete(rows);
    cJSON_Delete(doc);
}

/* What the store counts is gathered in the pool, what the loop counts when that has come. */
static int get_metrics(struct api_call *call, struct err *err) {
    static const struct metrics_family disk = {"espalier_disk_free_bytes", "gauge",
                                               "Free on the disk of the daemon's data."};
    static const struct metrics_family floor = {"espalier_disk_floor_bytes", "gauge",
                                                "Below this nothing new is begun."};
    static const struct metrics_family database = {"espalier_database_bytes", "gauge",
                                                   "Size of the database."};
    struct buf out;
    int r = 0;
    buf_init(&out, 0);
    buf_printf(
        &out,
        "# HELP espalier_build_info The daemon's version.\n# TYPE espalier_build_info gauge\n"
        "espalier_build_info{version=\"%s\",runtime=\"%s\"} 1\n",
        ESP_VERSION, runtime_revision());
    for (const struct store_family *family = store_families; family->name != NULL && r == 0;
         family++) {
        cJSON *rows = NULL;
        r = family->rows(call->sql, err, &rows);
        if (r == 0)
            metrics_print_family(
                &out, &(struct metrics_family){family->name, "gauge", family->help}, rows);
        cJSON_Delete(rows);
    }
    metrics_print_number(&out, &disk, disk_free_now(call->daemon->data_dir));
    metrics_print_number(&out, &floor, (double)call->daemon->disk_floor_bytes);
    metrics_print_number(&out, &database, database_bytes(call->daemon));
    print_disk_usage(call->daemon->disk, &out);
    metrics_print_process(&out, call->daemon->started_us);
    if (r == 0 && (call->text = buf_take(&out)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    buf_finish(&out);
    return r;
}

static void add_stream_metrics(const struct sse_hub *hub, struct buf *out) {
    static const struct metrics_family open = {"espalier_event_subscribers", "gauge",
                                               "Open event streams."};
    static const struct metrics_family made = {
        "espalier_events_serialised_total", "counter",
        "Events that were made into text, once each for all streams."};
    static const struct metrics_family given = {"espalier_events_delivered_total", "counter",
                                                "Times that a stream was given an event."};
    struct sse_counts counts = sse_counts(hub);
    metrics_print_number(out, &open, sse_clients(hub));
    metrics_print_number(out, &made, (double)counts.serialised);
    metrics_print_number(out, &given, (double)counts.delivered);
}

static void add_loop_metrics(struct api_call *call) {
    struct buf out;
    buf_init(&out, 0);
    buf_puts(&out, call->text);
    add_stream_metrics(call->daemon->events, &out);
    metrics_print_requests(call->daemon->metrics, &out);
    loop_watch_print(call->daemon->loop_watch, &out);
    char *text = buf_take(&out);
    if (text != NULL) {
        free(call->text);
        call->text = text;
    }
    buf_finish(&out);
    call->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

static int check_topics(const char *asked, struct err *err) {
    while (asked != NULL && *asked != '\0') {
        char word[32];
        size_t len = strcspn(asked, ",");
        snprintf(word, sizeof(word), "%.*s", (int)len, asked);
        if (len >= sizeof(word) || !route_word_listed(topics, word))
            return parameter_refuse(err, ESP_EPARSE, "topics",
                                    ": there is no topic \"%s\"; there are %s", word, topics);
        asked += len + (asked[len] == ',');
    }
    return 0;
}

static void serve_events(struct web_request *req) {
    const struct daemon *daemon = web_user(req);
    const char *asked = web_query(req, "topics"), *last = web_header(req, "Last-Event-ID");
    struct err err = {0};
    int64_t after = -1;
    int r = check_topics(asked, &err);
    if (last == NULL)
        last = web_query(req, "after");
    if (r == 0)
        r = web_parse_int("after", last, 0, INT64_MAX, &err, &after);
    if (r != 0 && last != NULL && last == web_header(req, "Last-Event-ID"))
        err_set(&err, ESP_EPARSE, NULL,
                "the header Last-Event-ID must be the id of an event, from 0 on, not \"%.60s\"",
                last);
    if (r != 0)
        web_reply_error(req, &err, NULL);
    else
        sse_serve(daemon->events, req, after, asked);
}

const struct api_route api_system[] = {
    {"GET", "/healthz", NULL, .flags = WEB_PUBLIC, .loop = answer_health},
    {"GET", "/readyz", NULL, .flags = WEB_PUBLIC, .read = get_ready},
    {"GET", "/metrics", NULL, .read = get_metrics, .finish = add_loop_metrics},
    {"GET", "/api/v1/version", NULL, .read = get_version},
    {"GET", "/api/v1/openapi.json", NULL, .read = get_openapi},
    {"GET", "/api/v1/system", "check", .read = get_system, .slow = wants_check},
    {"GET", "/api/v1/events", "topics,after", .flags = WEB_STREAM, .loop = serve_events},
    {.method = NULL}};
