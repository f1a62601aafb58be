#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_memory.h"
#include "daemon/store_jobs.h"
#include "daemon/store_measurements.h"
#include "daemon/store_tables.h"

enum { LOG_PIECE_DEFAULT = 64 << 10, LOG_PIECE_MAX = 1 << 20 };

static void finish_one(struct api_call *call) {
    job_memory_add(call->daemon, call->answer);
}

static void finish_list(struct api_call *call) {
    cJSON *job;
    cJSON_ArrayForEach(job, cJSON_GetObjectItem(call->answer, "items"))
        job_memory_add(call->daemon, job);
}

static int get_job(struct api_call *call, struct err *err) {
    return store_job_get(call->sql, call->id, err, &call->answer);
}

static int list_jobs(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "job_", err, &page);
    if (r == 0)
        r = api_query_word(call, "state", job_state_names, err);
    if (r == 0)
        r = api_query_word(call, "kind", store_job_kinds, err);
    return r != 0 ? r
                  : store_job_list(call->sql, &page, api_query(call, "state"),
                                   api_query(call, "kind"), err, &call->answer);
}

/* A table's job has no process that would have to stop. */
static int cancel_job(struct api_call *call, struct err *err) {
    struct job_row row;
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_job_load(call->sql, call->id, err, &row);
    if (r == 0)
        r = store_job_apply(call->tx, call->id, JOB_CANCEL, NULL, err);
    if (r == 0 && strcmp(row.kind, "table") == 0 && row.status.state == JOB_RUNNING)
        r = store_job_apply(call->tx, call->id, JOB_STOP, "canceled", err);
    if (r == 0)
        r = store_measure_requests_drop(call->tx, call->id, err);
    call->status = 202;
    return r != 0 ? r : store_job_get(call->sql, call->id, err, &call->answer);
}

static int retry_job(struct api_call *call, struct err *err) {
    struct job_row row;
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_job_load(call->sql, call->id, err, &row);
    if (r == 0)
        r = store_job_apply(call->tx, call->id, JOB_RETRY, NULL, err);
    if (r == 0 && strcmp(row.kind, "table") == 0)
        r = store_table_retry(call->tx, row.subject, call->id, err);
    if (r == 0)
        r = store_measure_requests_renew(call->tx, call->id, err);
    call->status = 202;
    return r != 0 ? r : store_job_get(call->sql, call->id, err, &call->answer);
}

/* Reads [offset, offset + limit) of the log, cut at a whole character. */
static int read_piece(int fd, int64_t offset, int64_t limit, bool ended, struct err *err,
                      cJSON **ret_doc) {
    char *text = malloc((size_t)limit + 1);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    off_t size = lseek(fd, 0, SEEK_END);
    if (offset > size) /* the log was shortened meanwhile */
        offset = 0;
    ssize_t n = pread(fd, text, (size_t)limit, offset);
    if (n < 0) {
        free(text);
        return err_set(err, ESP_EIO, NULL, "cannot read the job's log: %s", strerror(errno));
    }
    size_t len = offset + n < size ? utf8_trim(text, (size_t)n) : (size_t)n;
    int64_t next = offset + (int64_t)len;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text[len] = '\0';
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "text", text);
    cJSON_AddNumberToObject(doc, "offset", (double)offset);
    cJSON_AddNumberToObject(doc, "next_offset", (double)next);
    cJSON_AddBoolToObject(doc, "end", ended && next >= size);
    free(text);
    *ret_doc = doc;
    return 0;
}

/* Where the last whole lines begin that are no more bytes than these; in the middle of a longer
 * line at a character. */
static int64_t find_tail(int fd, int64_t bytes) {
    char piece[4096];
    int64_t size = lseek(fd, 0, SEEK_END), start = size - bytes;
    if (start <= 0)
        return 0;
    /* A line that begins just there is whole. */
    for (int64_t at = start - 1; at < size - 1;) {
        ssize_t n = pread(fd, piece, sizeof(piece), at);
        const char *end = n > 0 ? memchr(piece, '\n', (size_t)n) : NULL;
        if (end != NULL && at + (end - piece) + 1 < size)
            return at + (end - piece) + 1;
        if (end != NULL || n <= 0)
            break;
        at += n;
    }
    ssize_t n = pread(fd, piece, 4, start), i = 0;
    while (i < n && ((unsigned char)piece[i] & 0xc0) == 0x80)
        i++;
    return start + i;
}

static int read_place(struct api_call *call, struct err *err, int64_t *offset, int64_t *limit,
                      int64_t *tail) {
    int r = api_query_int(call, "offset", 0, INT64_C(1) << 50, err, offset);
    if (r == 0)
        r = api_query_int(call, "limit", 16, LOG_PIECE_MAX, err, limit);
    if (r == 0)
        r = api_query_int(call, "tail", 1, LOG_PIECE_MAX, err, tail);
    if (r == 0 && *tail > 0 && (api_query(call, "offset") || api_query(call, "limit")))
        r = err_set(err, ESP_EINVAL, NULL, "tail is given in place of offset and limit");
    return r;
}

static int get_log(struct api_call *call, struct err *err) {
    struct job_row row;
    int64_t offset = 0, limit = LOG_PIECE_DEFAULT, tail = 0;
    char path[PATH_SIZE + 64];
    int r = read_place(call, err, &offset, &limit, &tail);
    if (r == 0)
        r = store_job_load(call->sql, call->id, err, &row);
    if (r != 0)
        return r;
    snprintf(path, sizeof(path), "%s/jobs/%s/log", call->daemon->data_dir, row.id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return err_set(err, ESP_EIO, NULL, "cannot read the job's log: %s", strerror(errno));
    if (fd < 0) /* not started yet, or the daemon's own */
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (tail > 0) {
        offset = find_tail(fd, tail);
        limit = tail;
    }
    r = read_piece(fd, offset, limit, job_terminal(row.status.state), err, &call->answer);
    close(fd);
    return r;
}

int api_start_with_archs(struct api_call *call, const char *kind, cJSON *spec, cJSON *supernet,
                         struct err *err) {
    cJSON *job_doc = NULL;
    char job[ID_MAX];
    int r = store_job_create(
        call->tx, kind, cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id")), spec, err, job);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    cJSON *archs = cJSON_DetachItemFromObject(spec, "archs");
    cJSON_Delete(spec);
    cJSON_Delete(supernet);
    if (r == 0)
        return api_answer_with_job(call, "archs", archs, job_doc);
    cJSON_Delete(archs);
    return r;
}

/* The progress of a table is counted over its entries. */
static bool is_by_key(struct sql *sql, const char *id) {
    return !store_job_is_table(sql, id);
}

const struct api_route api_jobs[] = {
    {"GET", "/api/v1/jobs", "state,kind,page_size,after", .read = list_jobs, .finish = finish_list},
    {"GET", "/api/v1/jobs/{id}", NULL, .read = get_job, .by_key = is_by_key, .finish = finish_one},
    {"POST", "/api/v1/jobs/{id}/cancel", NULL, .write = cancel_job, .finish = finish_one},
    {"POST", "/api/v1/jobs/{id}/retry", NULL, .write = retry_job, .finish = finish_one},
    {"GET", "/api/v1/jobs/{id}/log", "offset,limit,tail", .read = get_log},
    {.method = NULL}};
