#include "daemon/awaited.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/daemon.h"
#include "daemon/job_memory.h"
#include "daemon/scheduler.h"
#include "daemon/store.h"
#include "daemon/store_jobs.h"
#include "daemon/store_measurements.h"
#include "web/sse.h"

struct awaited_read {
    struct store_read read;
    struct awaited *awaited;
    char job[ID_MAX];
    cJSON *board;
};

/* The running job, as long as it waits for measurements; else NULL. */
static const char *waiting_job(const struct awaited *awaited) {
    const struct scheduler *scheduler = awaited->daemon->scheduler;
    bool waits = scheduler != NULL && scheduler_waits_for_measurements(scheduler);
    return waits ? scheduler_running(scheduler) : NULL;
}

static void publish(const struct daemon *daemon, cJSON *job) {
    job_memory_add(daemon, job);
    char *text = json_print(job);
    if (text != NULL)
        sse_publish(daemon->events, 0, "job", text);
    free(text);
}

/* That a job is over, or gone, is told by an event of its own. */
static void tell(const struct awaited *awaited, const char *job) {
    const struct daemon *daemon = awaited->daemon;
    struct err err = {0};
    cJSON *doc = NULL;
    if (daemon->events == NULL || store_job_get(store_loop_sql(daemon->store), job, &err, &doc))
        return;
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "state")), "running") == 0)
        publish(daemon, doc);
    cJSON_Delete(doc);
}

/* Takes board; NULL: none keeps the job. */
static void keep(struct awaited *awaited, const char *job, cJSON *board) {
    char told[ID_MAX];
    bool same = strcmp(awaited->job, job) == 0 && cJSON_Compare(awaited->board, board, true);
    bool any = awaited->board != NULL || board != NULL;
    snprintf(told, sizeof(told), "%s", job[0] != '\0' ? job : awaited->job);
    cJSON_Delete(awaited->board);
    awaited->board = board;
    snprintf(awaited->job, sizeof(awaited->job), "%s", job);
    if (any && !same)
        tell(awaited, told);
}

static int read_board(struct sql *sql, struct store_read *read, struct err *err) {
    struct awaited_read *look = (struct awaited_read *)read;
    return store_measure_requests_keeper(sql, look->job, err, &look->board);
}

static void board_read(struct store_read *read, int code, const struct err *err) {
    struct awaited_read *look = (struct awaited_read *)read;
    struct awaited *awaited = look->awaited;
    const char *job = waiting_job(awaited);
    awaited->looking = false;
    if (code != 0)
        log_error("the boards that a job waits for cannot be read: %s", err->message);
    if (code == 0 && job != NULL && strcmp(job, look->job) == 0)
        keep(awaited, job, look->board);
    else
        cJSON_Delete(look->board);
    free(look);
    awaited->looked(awaited->context);
}

void awaited_tick(struct awaited *awaited) {
    const char *job = waiting_job(awaited);
    if (job == NULL && awaited->job[0] != '\0')
        keep(awaited, "", NULL);
    if (job == NULL || awaited->looking)
        return;
    struct awaited_read *look = mem_array(1, sizeof(*look));
    if (look == NULL)
        return;
    look->read = (struct store_read){.run = read_board, .done = board_read};
    look->awaited = awaited;
    snprintf(look->job, sizeof(look->job), "%s", job);
    awaited->looking = true;
    store_read(awaited->daemon->store, &look->read);
}

const cJSON *awaited_board(const struct awaited *awaited, const char *job) {
    const char *waiting = waiting_job(awaited);
    bool is_it = waiting != NULL && strcmp(waiting, job) == 0 && strcmp(awaited->job, job) == 0;
    return is_it ? awaited->board : NULL;
}

void awaited_finish(struct awaited *awaited) {
    cJSON_Delete(awaited->board);
    awaited->board = NULL;
}
