#include "daemon/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/disk.h"
#include "daemon/ingest.h"
#include "daemon/joblog.h"
#include "daemon/process.h"
#include "daemon/store_jobs.h"
#include "daemon/store_measurements.h"
#include "web/sse.h"

enum {
    GRACE_MS = 20000, /* from SIGTERM to SIGKILL */
    LINES_MAX = 2048, /* that wait to be stored */
    BYTES_MAX = 32 << 20,
    SMALL_LINE = 64 << 10, /* progress and the like; longer lines are events */
    REQUESTS_MAX = 10000000,
    EXIT_LATER = 75 /* a job that was interrupted and can go on */
};

struct run {
    struct daemon *daemon;
    struct run_listener listener;
    struct process *process; /* NULL: could not be started */
    uv_timer_t kill;
    char id[ID_MAX], kind[16], subject[ID_MAX], dir[PATH_SIZE];
    int64_t attempt;
    cJSON *progress;
    char **lines; /* events that wait to be stored */
    int n_lines, capacity;
    size_t bytes;
    bool storing, throttled;
    bool pause_wanted, paused;
    int64_t pause_number; /* of the newest pause: an answer to an older one says nothing */
    bool terminal;        /* the store has its end */
    bool deaf;            /* what it says is let go: something before it is not in the store */
    bool unstored;        /* because the store could not take it */
    bool put_off;         /* the disk was too full for it */
    bool ended, finishing;
    bool told_to_end, stopping;
    enum run_reason reason; /* when told to end */
    bool answering, answer_again;
    int exit_code, signal;
    unsigned char *answered; /* by request number */
    size_t n_answered;
    int64_t open_requests;
};

/* ---- storing what the job says -------------------------------------------------------------- */

struct ingest_call {
    struct store_call call;
    struct run *run;
    char job[ID_MAX];
    char **lines;
    struct ingest_batch batch;
    struct ingest_result result;
    struct err why; /* the job is failed */
};

static void free_lines(char **lines, int n) {
    for (int i = 0; i < n; i++)
        free(lines[i]);
    free(lines);
}

static int write_ingest(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct ingest_call *ingest = (struct ingest_call *)call;
    return ingest_lines(tx, &ingest->batch, err, &ingest->result);
}

static void send_json(struct run *run, cJSON *doc) {
    char *text = json_print(doc);
    if (text != NULL)
        process_send(run->process, text, strlen(text));
    free(text);
    cJSON_Delete(doc);
}

static void finish_run(struct run *run);
static void on_kill(uv_timer_t *timer);
static void store_lines(struct run *run);

static void drop_lines(struct run *run) {
    free_lines(run->lines, run->n_lines);
    run->lines = NULL;
    run->n_lines = run->capacity = 0;
    run->bytes = 0;
}

static void hear_again(struct run *run) {
    if (run->throttled && !run->ended)
        process_pause_lines(run->process, false);
    run->throttled = false;
}

/* Lets everything go that it says from now on, up to its end: the pipe has to be read, or that
 * would never come. Unacknowledged events are sent again by the next attempt. */
static void deafen(struct run *run) {
    run->deaf = true;
    hear_again(run);
}

static void free_ingest(struct ingest_call *ingest) {
    free_lines(ingest->lines, ingest->batch.n_lines);
    free(ingest);
}

/* A store that cannot take it now (its disk is full) is not the job's fault: it goes back into the
 * queue. */
static void put_off(struct run *run) {
    run->unstored = true;
    deafen(run);
    run_end(run, RUN_UNSTORED);
    finish_run(run);
}

static bool is_store_trouble(int code) {
    return code == ESP_ENOSPACE || code == ESP_EIO || code == ESP_EBUSY || code == ESP_ENOMEM;
}

static int write_reject(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct ingest_call *ingest = (struct ingest_call *)call;
    return ingest_reject(tx, &ingest->batch, &ingest->why, err);
}

static void reject_done(struct store_call *call, int code, const struct err *err) {
    struct ingest_call *ingest = (struct ingest_call *)call;
    struct run *run = ingest->run;
    run->storing = false;
    run->terminal = code == 0;
    run->unstored |= is_store_trouble(code);
    process_signal(run->process, SIGKILL);
    finish_run(run);
    free_ingest(ingest);
}

/* The job said what it must not say, or the store could not take it. What came behind that must not
 * be stored without it. Takes ingest. */
static void reject(struct ingest_call *ingest, int code, const struct err *err) {
    struct run *run = ingest->run;
    log_error("job %s: %s", run->id, err->message);
    drop_lines(run);
    if (is_store_trouble(code)) {
        free_ingest(ingest);
        put_off(run);
        return;
    }
    deafen(run);
    ingest->why = *err;
    err_prefix(&ingest->why, ESP_EINTERNAL, "the job sent something that makes no sense");
    ingest->why.code = ESP_EINTERNAL;
    ingest->call = (struct store_call){.run = write_reject, .done = reject_done};
    run->storing = true;
    store_write(run->daemon->store, &ingest->call);
}

static void acknowledge(struct run *run, int64_t seq) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "type", "ack");
    cJSON_AddNumberToObject(doc, "seq", (double)seq);
    send_json(run, doc);
}

static void ingest_done(struct store_call *call, int code, const struct err *err) {
    struct ingest_call *ingest = (struct ingest_call *)call;
    struct run *run = ingest->run;
    struct ingest_result result = ingest->result;
    run->storing = false;
    if (code != 0) {
        reject(ingest, code, err);
        return;
    }
    free_ingest(ingest);
    run->terminal |= result.ended || result.fenced;
    run->put_off |= result.put_off;
    if (result.put_off)
        disk_look(run->daemon->disk); /* before another attempt */
    if (result.fenced)
        process_signal(run->process, SIGTERM);
    if (run->terminal && !run->ended) /* it has only to go */
        uv_timer_start(&run->kill, on_kill, GRACE_MS, 0);
    if (!result.fenced)
        acknowledge(run, result.acked);
    if (run->terminal) /* nothing counts behind the end */
        drop_lines(run);
    hear_again(run);
    if (result.asked)
        run_answer(run);
    store_lines(run);
    finish_run(run);
}

static void store_lines(struct run *run) {
    if (run->storing || run->n_lines == 0)
        return;
    struct ingest_call *ingest = mem_array(1, sizeof(*ingest));
    if (ingest == NULL)
        return; /* the next line or tick tries again */
    ingest->call = (struct store_call){.run = write_ingest, .done = ingest_done};
    ingest->run = run;
    memcpy(ingest->job, run->id, sizeof(ingest->job));
    ingest->lines = run->lines;
    ingest->batch = (struct ingest_batch){.daemon = run->daemon,
                                          .job = ingest->job,
                                          .attempt = run->attempt,
                                          .lines = run->lines,
                                          .n_lines = run->n_lines};
    run->lines = NULL;
    run->n_lines = run->capacity = 0;
    run->bytes = 0;
    run->storing = true;
    store_write(run->daemon->store, &ingest->call);
}

static bool add_line(struct run *run, const char *text, size_t len) {
    if (run->n_lines == run->capacity) {
        int capacity = run->capacity == 0 ? 16 : 2 * run->capacity;
        char **lines = realloc(run->lines, (size_t)capacity * sizeof(*lines));
        if (lines == NULL)
            return false;
        run->lines = lines;
        run->capacity = capacity;
    }
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    run->lines[run->n_lines++] = copy;
    run->bytes += len;
    return true;
}

static void keep_line(struct run *run, const char *text, size_t len) {
    if (!add_line(run, text, len)) {
        log_error("job %s: no memory for what it says", run->id);
        put_off(run);
        return;
    }
    if (!run->throttled && (run->n_lines >= LINES_MAX || run->bytes >= BYTES_MAX)) {
        run->throttled = true;
        process_pause_lines(run->process, true);
    }
    store_lines(run);
}

/* ---- pauses ---------------------------------------------------------------------------------- */

struct step_call {
    struct store_call call;
    char job[ID_MAX];
    enum job_event event;
};

static int write_step(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct step_call *step = (struct step_call *)call;
    return store_job_apply(tx, step->job, step->event, NULL, err);
}

/* Conflicts are no errors here: the job may have been canceled meanwhile. */
static void step_done(struct store_call *call, int code, const struct err *err) {
    free(call);
}

static void store_step(struct run *run, enum job_event event) {
    struct step_call *step = mem_array(1, sizeof(*step));
    if (step == NULL)
        return;
    step->call = (struct store_call){.run = write_step, .done = step_done};
    memcpy(step->job, run->id, sizeof(step->job));
    step->event = event;
    store_write(run->daemon->store, &step->call);
}

static void on_paused(struct run *run, const cJSON *doc) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(doc, "number");
    if (!run->pause_wanted || run->paused || !cJSON_IsNumber(number) ||
        (int64_t)number->valuedouble != run->pause_number)
        return;
    run->paused = true;
    store_step(run, JOB_PAUSE);
    run->listener.changed(run->listener.context);
}

static void send_pause(struct run *run) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "type", "pause");
    cJSON_AddNumberToObject(doc, "number", (double)++run->pause_number);
    send_json(run, doc);
}

/* From the moment it is told to go on it may compute, whatever it says or has said. */
static void send_resume(struct run *run) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "type", "resume");
    send_json(run, doc);
    if (run->paused)
        store_step(run, JOB_RESUME);
    run->paused = false;
}

void run_set_paused(struct run *run, bool wanted) {
    if (run->pause_wanted == wanted || run->told_to_end || run->ended)
        return;
    run->pause_wanted = wanted;
    if (wanted)
        send_pause(run);
    else
        send_resume(run);
}

bool run_is_quiet(const struct run *run) {
    return run->ended || (run->paused && run->pause_wanted);
}

bool run_waits_for_measurements(const struct run *run) {
    return run->open_requests > 0;
}

/* ---- answers of boards ----------------------------------------------------------------------- */

struct answer_read {
    struct store_read read;
    struct run *run;
    char job[ID_MAX];
    cJSON *answers;
    int64_t open;
};

static int read_answers(struct sql *sql, struct store_read *read, struct err *err) {
    struct answer_read *answer = (struct answer_read *)read;
    int r = store_measure_answers(sql, answer->job, err, &answer->answers);
    return r != 0 ? r : store_measure_requests_open(sql, answer->job, err, &answer->open);
}

/* Whether this request is answered for the first time in this attempt. */
static bool first_answer(struct run *run, double request) {
    if (!(request >= 0 && request < REQUESTS_MAX))
        return true; /* the job ignores what it has */
    size_t byte = (size_t)request / 8;
    unsigned char bit = (unsigned char)(1u << ((size_t)request % 8));
    if (byte >= run->n_answered) {
        size_t n = 2 * byte + 64;
        unsigned char *grown = realloc(run->answered, n);
        if (grown == NULL)
            return true;
        memset(grown + run->n_answered, 0, n - run->n_answered);
        run->answered = grown;
        run->n_answered = n;
    }
    bool first = (run->answered[byte] & bit) == 0;
    run->answered[byte] |= bit;
    return first;
}

static void answers_done(struct store_read *read, int code, const struct err *err) {
    struct answer_read *answer = (struct answer_read *)read;
    struct run *run = answer->run;
    cJSON *item;
    run->answering = false;
    if (code == 0)
        run->open_requests = answer->open;
    while (code == 0 && (item = cJSON_DetachItemFromArray(answer->answers, 0)) != NULL) {
        if (first_answer(run, cJSON_GetNumberValue(cJSON_GetObjectItem(item, "request"))))
            send_json(run, item);
        else
            cJSON_Delete(item);
    }
    cJSON_Delete(answer->answers);
    free(answer);
    run->listener.changed(run->listener.context);
    if (run->answer_again) {
        run->answer_again = false;
        run_answer(run);
    }
    finish_run(run);
}

void run_answer(struct run *run) {
    if (run->ended || run->terminal)
        return;
    if (run->answering) {
        run->answer_again = true;
        return;
    }
    struct answer_read *answer = mem_array(1, sizeof(*answer));
    if (answer == NULL)
        return;
    answer->read = (struct store_read){.run = read_answers, .done = answers_done};
    answer->run = run;
    memcpy(answer->job, run->id, sizeof(answer->job));
    run->answering = true;
    store_read(run->daemon->store, &answer->read);
}

/* ---- hearing --------------------------------------------------------------------------------- */

static void publish_progress(struct run *run) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "job", run->id);
    cJSON_AddStringToObject(doc, "kind", run->kind);
    cJSON_AddStringToObject(doc, "subject", run->subject);
    cJSON_AddItemToObject(doc, "progress", cJSON_Duplicate(run->progress, true));
    char *text = json_print(doc);
    if (text != NULL)
        sse_publish(run->daemon->events, 0, "progress", text);
    free(text);
    cJSON_Delete(doc);
}

static void on_line(void *context, const char *text, size_t len) {
    struct run *run = context;
    struct err err = {0};
    cJSON *doc = NULL;
    if (run->terminal || run->deaf)
        return;
    if (len > SMALL_LINE) {
        keep_line(run, text, len);
        return;
    }
    if (json_parse(text, len, &json_limits_default, &err, &doc) != 0) {
        keep_line(run, text, len); /* fails the job, in order */
        return;
    }
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "type"));
    if (type != NULL && strcmp(type, "progress") == 0) {
        cJSON_DeleteItemFromObject(doc, "type");
        cJSON_Delete(run->progress);
        run->progress = doc;
        publish_progress(run);
        return;
    }
    if (type != NULL && strcmp(type, "paused") == 0)
        on_paused(run, doc);
    else if (type == NULL ||
             strcmp(type, "resumed") != 0) /* that was decided when it was told to */
        keep_line(run, text, len);
    cJSON_Delete(doc);
}

/* ---- the end of a run ------------------------------------------------------------------------ */

struct end_call {
    struct store_call call;
    struct run *run;
    char job[ID_MAX], reason[64];
    char *progress; /* what it said last of it; NULL: nothing */
    enum job_event event;
};

static int write_end(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct end_call *end = (struct end_call *)call;
    struct job_row row;
    int r = store_job_load(store_tx_sql(tx), end->job, err, &row);
    if (r != 0 || job_terminal(row.status.state) || row.status.state == JOB_QUEUED)
        return r;
    if (end->progress != NULL)
        r = store_job_keep_progress(tx, end->job, end->progress, err);
    if (r == 0)
        r = store_job_apply(tx, end->job, end->event, end->reason, err);
    if (r == 0)
        r = store_job_load(store_tx_sql(tx), end->job, err, &row);
    if (r == 0 && job_terminal(row.status.state))
        r = store_measure_requests_drop(tx, end->job, err);
    return r;
}

static void on_timer_closed(uv_handle_t *handle) {
    struct run *run = handle->data;
    free_lines(run->lines, run->n_lines);
    cJSON_Delete(run->progress);
    free(run->answered);
    free(run);
}

static void end_done(struct store_call *call, int code, const struct err *err) {
    struct end_call *end = (struct end_call *)call;
    struct run *run = end->run;
    struct run_listener listener = run->listener;
    bool crashed = end->event == JOB_CRASH && !run->terminal;
    bool wait = crashed || run->unstored || run->put_off || code != 0 || run->process == NULL;
    if (code != 0)
        log_error("job %s: its end was not stored: %s", run->id, err->message);
    free(end->progress);
    free(end); /* err is inside */
    if (code != 0 && code != ESP_ENOTFOUND && !run->stopping) {
        run->finishing = false; /* the next tick tries again: no other job runs before */
        return;
    }
    process_destroy(run->process);
    uv_close((uv_handle_t *)&run->kill, on_timer_closed);
    listener.ended(listener.context, wait);
}

static void describe_end(const struct run *run, struct end_call *end) {
    end->event = run->told_to_end || run->unstored ? JOB_STOP : JOB_CRASH;
    if (run->terminal)
        snprintf(end->reason, sizeof(end->reason), "ended");
    else if (run->process == NULL)
        snprintf(end->reason, sizeof(end->reason), "it could not be started");
    else if (run->unstored)
        snprintf(end->reason, sizeof(end->reason), "what it said could not be stored");
    else if (run->told_to_end)
        snprintf(end->reason, sizeof(end->reason), "%s",
                 run->reason == RUN_CANCELED ? "canceled"
                 : run->reason == RUN_HELD   ? "paused"
                                             : "the daemon was stopped");
    else if (run->signal != 0)
        snprintf(end->reason, sizeof(end->reason), "killed by signal %d (%s)", run->signal,
                 strsignal(run->signal));
    else if (run->exit_code == EXIT_LATER)
        snprintf(end->reason, sizeof(end->reason), "it was interrupted");
    else
        snprintf(end->reason, sizeof(end->reason), "exit code %d", run->exit_code);
}

/* When the process has ended and all that it said is stored. */
static void finish_run(struct run *run) {
    if (!run->ended || run->storing || run->n_lines > 0 || run->answering || run->finishing)
        return;
    struct end_call *end = mem_array(1, sizeof(*end));
    if (end == NULL)
        return; /* the next tick tries again */
    end->call = (struct store_call){.run = write_end, .done = end_done};
    end->run = run;
    memcpy(end->job, run->id, sizeof(end->job));
    describe_end(run, end);
    end->progress = run->progress != NULL ? json_print(run->progress) : NULL;
    run->finishing = true;
    log_info("job %s (%s): %s", run->id, run->kind, end->reason);
    store_write(run->daemon->store, &end->call);
}

static void on_ended(void *context, int exit_code, int signal) {
    struct run *run = context;
    run->ended = true;
    run->exit_code = exit_code;
    run->signal = signal;
    finish_run(run);
}

static void on_kill(uv_timer_t *timer) {
    struct run *run = timer->data;
    if (run->ended)
        return;
    log_warn("job %s did not end in time: it is killed", run->id);
    process_signal(run->process, SIGKILL);
}

void run_end(struct run *run, enum run_reason reason) {
    run->stopping |= reason == RUN_STOPPED;
    if (run->told_to_end || run->ended)
        return;
    run->told_to_end = true;
    run->reason = reason;
    process_signal(run->process, SIGTERM);
    uv_timer_start(&run->kill, on_kill, GRACE_MS, 0);
}

/* ---- the beginning ----------------------------------------------------------------------------
 */

static const char *text_of(const cJSON *doc, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key));
    return text != NULL ? text : "";
}

static void take_start(struct run *run, const cJSON *start) {
    snprintf(run->id, sizeof(run->id), "%s", text_of(start, "job_id"));
    snprintf(run->kind, sizeof(run->kind), "%s", text_of(start, "kind"));
    snprintf(run->subject, sizeof(run->subject), "%s", text_of(start, "subject"));
    snprintf(run->dir, sizeof(run->dir), "%.900s/jobs/%s", run->daemon->data_dir, run->id);
    run->attempt = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(start, "attempt"));
}

/* The process of a killed daemon's attempt may still be writing its checkpoint. */
static int wait_for_lock(const struct run *run, struct err *err) {
    char path[PATH_SIZE + 16];
    int fd;
    snprintf(path, sizeof(path), "%s/job.lock", run->dir);
    int r = file_lock(path, err, &fd);
    if (r == 0)
        close(fd);
    return r;
}

static int start_process(struct run *run, struct err *err) {
    struct process_listener listener = {on_line, on_ended, run};
    char log_path[PATH_SIZE + 16];
    int r = file_make_dirs(run->dir, err);
    if (r == 0)
        r = wait_for_lock(run, err);
    snprintf(log_path, sizeof(log_path), "%s/log", run->dir);
    if (r == 0)
        r = process_start(&run->daemon->loop, run->daemon->job_program, run->dir, log_path,
                          &listener, err, &run->process);
    return r;
}

static void send_start(struct run *run, cJSON *start) {
    cJSON_DeleteItemFromObject(start, "subject");
    cJSON_AddStringToObject(start, "type", "start");
    cJSON_AddNumberToObject(start, "threads", run->daemon->threads);
    cJSON_AddNumberToObject(start, "memory_bytes", (double)run->daemon->job_memory_bytes);
    cJSON_AddNumberToObject(start, "file_bytes", (double)run->daemon->job_file_bytes);
    send_json(run, start);
}

/* It could not be started: the attempt is over. A held lock or a full disk is no crash. */
static void end_unstarted(struct run *run, int code, const struct err *err) {
    log_error("job %s was not started: %s", run->id, err->message);
    run->ended = true;
    run->told_to_end = code == ESP_EBUSY || code == ESP_ENOSPACE;
    run->reason = RUN_STOPPED;
    run->exit_code = 127;
    finish_run(run);
}

static void begin(struct run *run, cJSON *start) {
    struct err err = {0};
    int r = start_process(run, &err);
    if (r != 0) {
        cJSON_Delete(start);
        end_unstarted(run, r, &err);
        return;
    }
    log_info("job %s (%s): attempt %lld, process %d", run->id, run->kind, (long long)run->attempt,
             process_pid(run->process));
    send_start(run, start);
    run_answer(run); /* what an earlier attempt asked for */
}

int run_create(struct daemon *daemon, cJSON *start, const struct run_listener *listener,
               struct err *err, struct run **ret_run) {
    struct run *run = mem_array(1, sizeof(*run));
    if (run == NULL) {
        cJSON_Delete(start);
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    }
    run->daemon = daemon;
    run->listener = *listener;
    uv_timer_init(&daemon->loop, &run->kill);
    run->kill.data = run;
    take_start(run, start);
    *ret_run = run;
    begin(run, start);
    return 0;
}

const char *run_job(const struct run *run) {
    return run->id;
}

const cJSON *run_progress(const struct run *run) {
    return run->progress;
}

void run_tick(struct run *run) {
    joblog_trim(&run->daemon->loop, run->dir);
    store_lines(run);
    finish_run(run);
}
