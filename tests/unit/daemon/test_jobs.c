/* Jobs in the store, and what their processes say. */
#include "fixture.h"

#include "daemon/ingest.h"
#include "daemon/store_datasets.h"
#include "daemon/store_jobs.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"
#include "daemon/store_system.h"

static int do_dataset(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct dataset_request request = {
        .name = "data", .path = "/data", .validation = 100, .split_seed = 1};
    char dataset[ID_MAX];
    cJSON *spec = cJSON_CreateObject();
    int r = store_dataset_create(tx, &request, err, dataset);
    if (r == 0)
        r = store_job_create(tx, "dataset", dataset, spec, err, f->id);
    cJSON_Delete(spec);
    return r;
}

/* A supernet with the job that trains it; with argument "search" a search on it and its job. */
static int do_supernet(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct dataset_request data = {.name = "data", .path = "/data"};
    struct supernet_request request = {.name = "net", .space = "space", .space_fingerprint = "f"};
    char dataset[ID_MAX], supernet[ID_MAX], search[ID_MAX];
    cJSON *spec = cJSON_CreateObject();
    request.train = spec;
    int r = store_dataset_create(tx, &data, err, dataset);
    request.dataset = dataset;
    if (r == 0)
        r = store_space_document_put(tx, "f", "{}", err);
    if (r == 0)
        r = store_supernet_create(tx, &request, err, supernet);
    if (r == 0 && argument == NULL)
        r = store_job_create(tx, "train", supernet, spec, err, f->id);
    if (r == 0 && argument != NULL) {
        cJSON_AddStringToObject(spec, "strategy", "nsga2");
        r = store_search_create(
            tx, &(struct new_search){.name = "search", .supernet = supernet, .body = spec}, err,
            search);
        if (r == 0)
            r = store_job_create(tx, "search", search, spec, err, f->id);
    }
    cJSON_Delete(spec);
    return r;
}

static int do_next(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_job_next(tx, err, argument);
}

struct step {
    enum job_event event;
    const char *reason;
};

static int do_step(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct step *step = argument;
    return store_job_apply(tx, f->id, step->event, step->reason, err);
}

static int step(struct fixture *f, enum job_event event, const char *reason) {
    return in_tx(f, do_step, &(struct step){event, reason});
}

static int do_recover(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_job_recover(tx, err);
}

static cJSON *job_of(struct fixture *f) {
    cJSON *doc = NULL;
    if (store_job_get(store_loop_sql(f->store), f->id, &f->err, &doc) != 0)
        fail_msg("%s", f->err.message);
    return as_sent(doc);
}

static void expect_job(struct fixture *f, const char *state, int attempt) {
    cJSON *job = job_of(f);
    assert_string_equal(text_at(job, "state"), state);
    assert_int_equal(number_at(job, "attempt"), attempt);
    cJSON_Delete(job);
}

static void expect_dataset(struct fixture *f, const char *state) {
    cJSON *doc = NULL;
    assert_int_equal(store_dataset_get(store_loop_sql(f->store), "data", &f->err, &doc), 0);
    assert_string_equal(text_at(doc, "state"), state);
    cJSON_Delete(doc);
}

static void start_job(struct fixture *f) {
    cJSON *start = NULL;
    assert_int_equal(in_tx(f, do_next, &start), 0);
    assert_non_null(start);
    assert_string_equal(text_at(start, "job_id"), f->id);
    cJSON_Delete(start);
}

static int do_predictor(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    cJSON *search = NULL, *predictor = cJSON_Parse(argument);
    int r = store_search_get(store_tx_sql(tx), "search", err, &search);
    if (r == 0)
        r = store_predictor_set(tx, text_at(search, "id"), predictor, err);
    cJSON_Delete(search);
    cJSON_Delete(predictor);
    return r;
}

/* The notes of the search whose predictor this is. */
static cJSON *notes_with(struct fixture *f, const char *predictor) {
    cJSON *search = NULL;
    assert_int_equal(in_tx(f, do_predictor, (void *)predictor), 0);
    assert_int_equal(store_search_get(store_loop_sql(f->store), "search", &f->err, &search), 0);
    search = as_sent(search);
    cJSON *notes = cJSON_DetachItemFromObject(search, "notes");
    cJSON_Delete(search);
    return notes;
}

static void test_a_predictor_below_the_line_is_noted(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, "search"), 0);
    cJSON *notes =
        notes_with(f, "{\"accepted\":true,\"kendall_tau\":0.71,\"baseline_kendall_tau\":0.7251}");
    assert_int_equal(cJSON_GetArraySize(notes), 1);
    assert_non_null(strstr(notes->child->valuestring, "0.710 against 0.725"));
    cJSON_Delete(notes);
    static const char *const silent[] = {
        "{\"accepted\":true,\"kendall_tau\":0.73,\"baseline_kendall_tau\":0.7251}",
        "{\"accepted\":false,\"kendall_tau\":0.6,\"baseline_kendall_tau\":0.7251}",
        "{\"accepted\":true,\"kendall_tau\":0.6}"};
    for (int i = 0; i < 3; i++) {
        notes = notes_with(f, silent[i]);
        assert_true(cJSON_IsArray(notes));
        assert_int_equal(cJSON_GetArraySize(notes), 0);
        cJSON_Delete(notes);
    }
}

static void test_the_life_of_a_job(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_dataset, NULL), 0);
    expect_job(f, "queued", 0);
    start_job(f);
    expect_job(f, "running", 1);
    cJSON *none = NULL;
    assert_int_equal(in_tx(f, do_next, &none), 0);
    assert_null(none);
    assert_int_equal(step(f, JOB_PAUSE, NULL), 0);
    expect_job(f, "paused", 1);
    assert_int_equal(step(f, JOB_RESUME, NULL), 0);
    expect_dataset(f, "checking");
    assert_int_equal(step(f, JOB_FINISH, "done"), 0);
    expect_dataset(f, "ready");
    assert_int_equal(step(f, JOB_CANCEL, NULL), ESP_ECONFLICT);
    assert_non_null(strstr(f->err.message, "done"));
    cJSON *job = job_of(f);
    assert_int_equal(cJSON_GetArraySize(member(job, "attempts")), 1);
    assert_string_equal(text_at(job, "attempts.0.reason"), "done");
    assert_string_equal(text_at(job, "attempts.0.ended_at"), text_at(job, "ended_at"));
    cJSON_Delete(job);
}

static int do_hold(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_job_hold(tx, f->id, *(bool *)argument, err);
}

static int hold(struct fixture *f, bool held) {
    return in_tx(f, do_hold, &held);
}

static void expect_nothing_starts(struct fixture *f) {
    cJSON *none = NULL;
    assert_int_equal(in_tx(f, do_next, &none), 0);
    assert_null(none);
}

/* Metrics call it what the API calls it. */
static void expect_counted(struct fixture *f, const char *kind, const char *state) {
    const struct store_family *family = store_families;
    char labels[80];
    cJSON *rows = NULL;
    while (strcmp(family->name, "espalier_jobs") != 0)
        family++;
    assert_int_equal(family->rows(store_loop_sql(f->store), &f->err, &rows), 0);
    snprintf(labels, sizeof(labels), "kind=\"%s\",state=\"%s\"", kind, state);
    assert_int_equal(cJSON_GetArraySize(rows), 1);
    assert_string_equal(text_at(rows, "0.labels"), labels);
    cJSON_Delete(rows);
}

static void expect_held(struct fixture *f, const char *state, bool held) {
    cJSON *job = job_of(f);
    expect_counted(f, text_at(job, "kind"), state);
    assert_string_equal(text_at(job, "state"), state);
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(job, "held")), held);
    cJSON_Delete(job);
}

static void test_a_job_that_is_held_does_not_start_until_it_is_released(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, "search"), 0);
    assert_int_equal(hold(f, false), ESP_ECONFLICT);
    assert_int_equal(hold(f, true), 0);
    assert_int_equal(hold(f, true), 0);
    expect_held(f, "paused", true);
    expect_nothing_starts(f);
    assert_int_equal(hold(f, false), 0);
    start_job(f);
    assert_int_equal(hold(f, true), 0);
    expect_held(f, "running", true); /* its process has not ended yet */
    assert_int_equal(in_tx(f, do_recover, NULL), 0);
    expect_held(f, "paused", true);
    expect_nothing_starts(f);
    assert_int_equal(hold(f, false), 0);
    start_job(f);
    assert_int_equal(hold(f, true), 0);
    assert_int_equal(step(f, JOB_CRASH, "killed"), 0);
    expect_held(f, "paused", true);
    assert_int_equal(step(f, JOB_CANCEL, NULL), 0);
    expect_held(f, "canceled", false);
    assert_int_equal(hold(f, true), ESP_ECONFLICT);
    assert_int_equal(step(f, JOB_RETRY, NULL), 0);
    start_job(f);
    assert_int_equal(hold(f, true), 0);
    assert_int_equal(step(f, JOB_FINISH, "done"), 0);
    expect_held(f, "done", false); /* it was faster */
}

static int do_keep_progress(struct store_tx *tx, struct fixture *f, void *argument,
                            struct err *err) {
    return store_job_keep_progress(tx, f->id, argument, err);
}

/* NULL: it tells none. */
static void expect_progress(struct fixture *f, const char *text) {
    cJSON *job = job_of(f);
    char *progress = json_print(cJSON_GetObjectItem(job, "progress"));
    assert_string_equal(progress, text != NULL ? text : "null");
    free(progress);
    cJSON_Delete(job);
}

static void test_what_a_job_had_reached_is_told_until_it_is_over(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_dataset, NULL), 0);
    expect_progress(f, NULL);
    start_job(f);
    char told[] = "{\"phase\":\"train\",\"fraction\":0.25,\"eta_s\":9,\"images_per_s\":8}";
    assert_int_equal(in_tx(f, do_keep_progress, told), 0);
    assert_int_equal(step(f, JOB_STOP, "paused"), 0);
    expect_progress(f, "{\"phase\":\"train\",\"fraction\":0.25}");
    start_job(f);
    expect_progress(f, "{\"phase\":\"train\",\"fraction\":0.25}");
    assert_int_equal(step(f, JOB_FAIL, "failed"), 0);
    expect_progress(f, NULL);
    assert_int_equal(step(f, JOB_RETRY, NULL), 0);
    expect_progress(f, NULL);
}

static void test_a_started_daemon_queues_again_what_ran(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_dataset, NULL), 0);
    for (int i = 1; i <= 5; i++) { /* more often than a job may crash */
        start_job(f);
        expect_job(f, "running", i);
        assert_int_equal(in_tx(f, do_recover, NULL), 0);
        expect_job(f, "queued", i);
    }
    start_job(f);
    assert_int_equal(step(f, JOB_CANCEL, NULL), 0);
    expect_job(f, "canceling", 6);
    assert_int_equal(in_tx(f, do_recover, NULL), 0);
    expect_job(f, "canceled", 6);
    expect_dataset(f, "failed");
}

static void test_three_crashes_fail_it(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_dataset, NULL), 0);
    for (int i = 0; i < 3; i++) {
        start_job(f);
        assert_int_equal(step(f, JOB_CRASH, "killed by signal 9"), 0);
    }
    cJSON *job = job_of(f);
    assert_string_equal(text_at(job, "state"), "failed");
    assert_string_equal(text_at(job, "error.code"), "internal");
    assert_non_null(strstr(text_at(job, "error.message"), "signal 9"));
    cJSON_Delete(job);
    expect_dataset(f, "failed");
    assert_int_equal(step(f, JOB_RETRY, NULL), 0);
    expect_dataset(f, "checking");
    start_job(f);
    expect_job(f, "running", 4);
}

struct lines {
    char *text[8];
    int n;
    int64_t attempt;
    const struct daemon *daemon;
    struct ingest_batch batch;
    struct ingest_result result;
};

static int do_ingest(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct lines *lines = argument;
    lines->batch = (struct ingest_batch){.daemon = lines->daemon,
                                         .job = f->id,
                                         .attempt = lines->attempt,
                                         .lines = lines->text,
                                         .n_lines = lines->n};
    return ingest_lines(tx, &lines->batch, err, &lines->result);
}

static int do_reject(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct lines *lines = argument;
    struct err why = {.code = ESP_EINTERNAL, .message = "no sense"};
    return ingest_reject(tx, &lines->batch, &why, err);
}

#define EVENT(seq, kind, data)                                                                     \
    "{\"type\":\"event\",\"seq\":" #seq ",\"attempt\":1,\"kind\":\"" kind "\",\"data\":" data "}"
#define METRIC(seq, step, value)                                                                   \
    EVENT(seq, "metric",                                                                           \
          "{\"series\":\"loss\",\"step\":" #step ",\"epoch\":0.5,\"value\":" #value "}")

static int say(struct fixture *f, struct lines *lines) {
    while (lines->n < 8 && lines->text[lines->n] != NULL)
        lines->n++;
    return in_tx(f, do_ingest, lines);
}

static cJSON *metrics_of(struct fixture *f, int max_points) {
    struct job_row job;
    cJSON *doc = NULL;
    struct sql *sql = store_loop_sql(f->store);
    assert_int_equal(store_job_load(sql, f->id, &f->err, &job), 0);
    assert_int_equal(store_metrics(sql, job.subject, NULL, -1, max_points, &f->err, &doc), 0);
    return doc;
}

static void test_events_are_applied_once_and_in_order(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    struct lines first = {{METRIC(1, 10, 2.5), METRIC(2, 20, 2.25)}, .attempt = 1};
    assert_int_equal(say(f, &first), 0);
    assert_int_equal(first.result.acked, 2);
    /* Sent again after a restart, with one more; what is known is passed over. */
    struct lines again = {{METRIC(1, 10, 9), METRIC(2, 20, 9), METRIC(3, 30, 2)}, .attempt = 1};
    assert_int_equal(say(f, &again), 0);
    assert_int_equal(again.result.acked, 3);
    cJSON *doc = metrics_of(f, 100);
    assert_int_equal(cJSON_GetArraySize(member(doc, "series.0.value")), 3);
    assert_float_equal(number_at(doc, "series.0.value.0"), 2.5, 0);
    assert_float_equal(number_at(doc, "series.0.value.1"), 2.25, 0);
    cJSON_Delete(doc);
    /* A gap is the job's fault and changes nothing. */
    struct lines gap = {{METRIC(4, 40, 1), METRIC(6, 60, 1)}, .attempt = 1};
    assert_int_equal(say(f, &gap), ESP_EINVAL);
    doc = metrics_of(f, 100);
    assert_int_equal(cJSON_GetArraySize(member(doc, "series.0.value")), 3);
    cJSON_Delete(doc);
    struct lines right = {{METRIC(4, 40, 1)}, .attempt = 1};
    assert_int_equal(say(f, &right), 0);
    assert_int_equal(right.result.acked, 4);
}

/* Below the floor of free disk there will be room again; above it the job met a limit of its own.
 */
static void test_a_full_disk_puts_it_off(void **state) {
    struct fixture *f = *state;
    struct daemon roomy = {.data_dir = "/tmp"}, full = roomy;
    full.disk_floor_bytes = INT64_C(1) << 60;
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    struct lines lines = {
        {METRIC(1, 10, 2.5), EVENT(2, "failed", "{\"code\":\"no_space\",\"message\":\"no room\"}")},
        .attempt = 1,
        .daemon = &full};
    assert_int_equal(say(f, &lines), 0);
    assert_true(lines.result.ended && lines.result.put_off);
    assert_int_equal(lines.result.acked, 2);
    cJSON *job = as_sent(job_of(f));
    assert_string_equal(text_at(job, "state"), "queued");
    assert_string_equal(text_at(job, "attempts.0.reason"), "the disk is full: no room");
    cJSON_Delete(job);
    start_job(f);
    struct lines own = {
        {EVENT(3, "failed", "{\"code\":\"no_space\"}")}, .attempt = 2, .daemon = &roomy};
    assert_int_equal(say(f, &own), 0);
    expect_job(f, "failed", 2);
    assert_int_equal(step(f, JOB_RETRY, NULL), 0);
    start_job(f);
    struct lines wrong = {
        {EVENT(4, "failed", "{\"code\":\"invalid_value\"}")}, .attempt = 3, .daemon = &full};
    assert_int_equal(say(f, &wrong), 0);
    expect_job(f, "failed", 3);
}

/* What a job says that failed for want of room may not be stored before there is room again. */
static void test_a_disk_that_was_full_puts_it_off(void **state) {
    struct fixture *f = *state;
    struct daemon roomy = {.data_dir = "/tmp", .disk_floor_bytes = 4096};
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    struct lines late = {{EVENT(1, "failed", "{\"code\":\"no_space\",\"free_bytes\":4095}")},
                         .attempt = 1,
                         .daemon = &roomy};
    assert_int_equal(say(f, &late), 0);
    assert_true(late.result.ended && late.result.put_off);
    start_job(f);
    struct lines own = {{EVENT(2, "failed", "{\"code\":\"no_space\",\"free_bytes\":4096}")},
                        .attempt = 2,
                        .daemon = &roomy};
    assert_int_equal(say(f, &own), 0);
    expect_job(f, "failed", 2);
}

static int do_ask(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    char text[1600];
    snprintf(text, sizeof(text),
             "INSERT INTO devices (id, name, machine_id, state, health, health_counts, "
             "fingerprint, worker_version, epoch, local, last_seen_us, created_us) VALUES ('dv', "
             "'b', 'm', 'active', 'good', '{}', '{}', '1', 1, 0, 0, 0); INSERT INTO profiles (id, "
             "device, name, runtime, precision, threads, cores, governor, created_us) VALUES "
             "('pf', 'dv', 'p', 'r', 'fp32', 1, '', '', 0); INSERT INTO profile_revisions (id, "
             "profile, fingerprint, created_us) VALUES ('rev', 'pf', '{}', 0); INSERT INTO "
             "measurements (id, profile, profile_revision, kind, graph_id, graph, method, seed, "
             "state, created_us) VALUES ('me', 'pf', 'rev', 'network', 'g', '{}', 'full', 1, "
             "'queued', 0); INSERT INTO measure_requests (job, request, measurement) VALUES ('%s', "
             "1, 'me')",
             f->id);
    return sql_exec(store_tx_sql(tx), err, text);
}

static int64_t queued_measurements(struct fixture *f) {
    int64_t count = -1;
    assert_int_equal(sql_get_int(store_loop_sql(f->store), &f->err, &count, NULL,
                                 "SELECT count(*) FROM measurements WHERE state = 'queued'", ""),
                     0);
    return count;
}

/* To be canceled meanwhile, it ends there, and nobody waits for what it had asked boards for. */
static void test_a_full_disk_ends_what_is_canceled(void **state) {
    struct fixture *f = *state;
    struct daemon full = {.data_dir = "/tmp", .disk_floor_bytes = INT64_C(1) << 60};
    struct lines lines = {
        {EVENT(1, "failed", "{\"code\":\"no_space\"}")}, .attempt = 1, .daemon = &full};
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    if (in_tx(f, do_ask, NULL) != 0)
        fail_msg("%s", f->err.message);
    assert_int_equal(step(f, JOB_CANCEL, NULL), 0);
    assert_int_equal(queued_measurements(f), 1);
    assert_int_equal(say(f, &lines), 0);
    expect_job(f, "canceled", 1);
    assert_int_equal(queued_measurements(f), 0);
}

static void test_older_attempts_are_fenced(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    assert_int_equal(step(f, JOB_CRASH, "exit code 1"), 0);
    start_job(f);
    struct lines old = {{METRIC(1, 10, 2.5)}, .attempt = 1};
    assert_int_equal(say(f, &old), 0);
    assert_true(old.result.fenced);
    assert_int_equal(old.result.acked, 0);
    cJSON *doc = metrics_of(f, 100);
    assert_int_equal(cJSON_GetArraySize(member(doc, "series")), 0);
    cJSON_Delete(doc);
}

static void test_what_makes_no_sense_is_refused(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *line;
        int code;
    } rows[] = {
        {"{", ESP_EPARSE},
        {"[]", ESP_EINVAL},
        {"{\"type\":\"event\"}", ESP_EINVAL},
        {EVENT(1, "dance", "{}"), ESP_EINVAL},
        {EVENT(1, "front", "{}"), ESP_EINVAL}, /* not of a training */
        {EVENT(1, "metric", "{}"), ESP_EINVAL},
        {EVENT(1, "checkpoint", "{\"path\":1}"), ESP_EINVAL},
        {EVENT(0, "metric", "{}"), ESP_EINVAL},
        {EVENT(1, "failed", "[]"), ESP_EINVAL},
    };
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct lines lines = {{(char *)(uintptr_t)rows[i].line}, .attempt = 1};
        assert_int_equal(say(f, &lines), rows[i].code);
        assert_true(f->err.message[0] != '\0');
    }
    expect_job(f, "running", 1);
}

static int64_t acked_of(struct fixture *f) {
    struct job_row row;
    assert_int_equal(store_job_load(store_loop_sql(f->store), f->id, &f->err, &row), 0);
    return row.acked_seq;
}

/* What was good before it stays, and a retry goes on behind it. */
static void test_what_was_refused_is_passed_over_by_a_retry(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    struct lines bad = {{METRIC(1, 10, 2.5), EVENT(2, "metric", "{}"), METRIC(3, 30, 2)},
                        .attempt = 1};
    assert_int_equal(say(f, &bad), ESP_EINVAL);
    assert_int_equal(acked_of(f), 0);
    assert_int_equal(bad.batch.n_good, 1);
    assert_int_equal(in_tx(f, do_reject, &bad), 0);
    expect_job(f, "failed", 1);
    assert_int_equal(acked_of(f), 2);
    cJSON *job = job_of(f);
    assert_string_equal(text_at(job, "error.message"), "no sense");
    cJSON_Delete(job);
    assert_int_equal(step(f, JOB_RETRY, NULL), 0);
    start_job(f);
    /* The events that came behind are sent again; one is missing on the way. */
    struct lines gap = {{METRIC(3, 30, 2), METRIC(5, 50, 1)}, .attempt = 2};
    assert_int_equal(say(f, &gap), ESP_EINVAL);
    assert_int_equal(in_tx(f, do_reject, &gap), 0);
    assert_int_equal(acked_of(f), 4);
    assert_int_equal(step(f, JOB_RETRY, NULL), 0);
    start_job(f);
    struct lines rest = {{METRIC(5, 50, 1)}, .attempt = 3};
    assert_int_equal(say(f, &rest), 0);
    cJSON *doc = metrics_of(f, 100);
    assert_int_equal(cJSON_GetArraySize(member(doc, "series.0.value")), 3);
    cJSON_Delete(doc);
}

static void test_a_job_ends_by_its_last_event(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    struct lines lines = {
        {EVENT(1, "checkpoint",
               "{\"path\":\"checkpoints/a\",\"step\":7,\"epoch\":1.5,\"bytes\":10,\"hash\":\"h\","
               "\"top1_largest\":0.75,\"top1_smallest\":null}"),
         EVENT(2, "done", "{\"result\":{\"steps\":7,\"images\":896}}"),
         METRIC(3, 8, 1) /* behind the end: does not count */},
        .attempt = 1};
    assert_int_equal(say(f, &lines), 0);
    assert_true(lines.result.ended);
    assert_int_equal(lines.result.acked, 2);
    expect_job(f, "done", 1);
    cJSON *doc = NULL;
    assert_int_equal(store_supernet_get(store_loop_sql(f->store), "net", &f->err, &doc), 0);
    doc = as_sent(doc);
    assert_string_equal(text_at(doc, "state"), "ready");
    assert_int_equal(number_at(doc, "images"), 896);
    assert_int_equal(number_at(doc, "step"), 7);
    assert_float_equal(number_at(doc, "top1_largest"), 0.75, 0);
    assert_true(cJSON_IsNull(member(doc, "top1_smallest")));
    assert_true(id_has_prefix(text_at(doc, "checkpoint"), "ck_"));
    cJSON_Delete(doc);
    assert_non_null(strstr(f->events, "supernet;"));
}

static void test_a_job_says_why_it_failed(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_dataset, NULL), 0);
    start_job(f);
    struct lines lines = {
        {EVENT(1, "failed", "{\"code\":\"corrupt\",\"message\":\"cut off\",\"pointer\":\"/a\"}")},
        .attempt = 1};
    assert_int_equal(say(f, &lines), 0);
    cJSON *job = job_of(f);
    assert_string_equal(text_at(job, "error.code"), "corrupt");
    assert_string_equal(text_at(job, "error.message"), "cut off");
    assert_string_equal(text_at(job, "error.pointer"), "/a");
    cJSON_Delete(job);
    expect_dataset(f, "failed");
}

static void test_curves_are_thinned_but_keep_their_end(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, NULL), 0);
    start_job(f);
    for (int i = 1; i <= 1000; i++) {
        char line[256];
        snprintf(line, sizeof(line),
                 "{\"type\":\"event\",\"seq\":%d,\"attempt\":1,\"kind\":\"metric\",\"data\":{"
                 "\"series\":\"loss\",\"step\":%d,\"epoch\":0,\"value\":%d}}",
                 i, i, i);
        struct lines lines = {{line}, .attempt = 1};
        assert_int_equal(say(f, &lines), 0);
    }
    cJSON *doc = metrics_of(f, 100);
    int n = cJSON_GetArraySize(member(doc, "series.0.step"));
    assert_in_range(n, 50, 100);
    char last[40];
    snprintf(last, sizeof(last), "series.0.step.%d", n - 1);
    assert_int_equal(number_at(doc, last), 1000);
    cJSON_Delete(doc);
    doc = metrics_of(f, 5000);
    assert_int_equal(cJSON_GetArraySize(member(doc, "series.0.step")), 1000);
    cJSON_Delete(doc);
}

#define CANDIDATE(id, strategy_value, source)                                                      \
    "{\"arch_id\":\"" id "\",\"arch\":\"arch " id "\",\"feasible\":true,\"metrics\":{\"top1\":{"   \
    "\"value\":" strategy_value ",\"low\":0.1,\"high\":0.9,\"source\":\"" source "\"},\"macs\":{"  \
    "\"value\":5,\"low\":5,\"high\":5,\"source\":\"counted\"}}}"
#define CANDIDATES(seq, strategy, items)                                                           \
    EVENT(seq, "candidates",                                                                       \
          "{\"strategy\":\"" strategy "\",\"generation\":1,\"items\":[" items "]}")
#define FRONT(seq, version, stage, ids)                                                            \
    EVENT(seq, "front",                                                                            \
          "{\"version\":" #version ",\"stage\":\"" stage "\",\"hypervolume\":1.5,"                 \
          "\"calibration_version\":1,\"reference_point\":{\"top1\":0},\"arch_ids\":" ids "}")

static cJSON *candidates_of(struct fixture *f, int64_t after, int64_t size) {
    struct job_row job;
    struct candidate_page page = {.after = after, .size = size};
    char *text = NULL;
    assert_int_equal(store_job_load(store_loop_sql(f->store), f->id, &f->err, &job), 0);
    assert_int_equal(store_candidates(store_loop_sql(f->store), job.subject, &page, &f->err, &text),
                     0);
    cJSON *doc = doc_of(text);
    free(text);
    return doc;
}

static void test_candidates_show_again_when_they_change(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, "search"), 0);
    start_job(f);
    struct lines lines = {
        {CANDIDATES(1, "nsga2",
                    CANDIDATE("a", "0.5", "predicted") "," CANDIDATE(
                        "b", "0.6", "predicted") "," CANDIDATE("c", "0.7", "predicted"))},
        .attempt = 1};
    assert_int_equal(say(f, &lines), 0);
    cJSON *doc = candidates_of(f, 0, 2);
    assert_int_equal(number_at(doc, "total"), 3);
    assert_int_equal(cJSON_GetArraySize(member(doc, "columns.id")), 2);
    assert_string_equal(text_at(doc, "next"), text_at(doc, "cursor"));
    int64_t cursor = atoll(text_at(doc, "next"));
    cJSON_Delete(doc);
    doc = candidates_of(f, cursor, 2);
    assert_int_equal(cJSON_GetArraySize(member(doc, "columns.id")), 1);
    assert_true(cJSON_IsNull(member(doc, "next")));
    cursor = atoll(text_at(doc, "cursor"));
    cJSON_Delete(doc);
    struct lines better = {{CANDIDATES(2, "nsga2", CANDIDATE("a", "0.55", "evaluated"))},
                           .attempt = 1};
    assert_int_equal(say(f, &better), 0);
    doc = candidates_of(f, cursor, 10);
    assert_int_equal(cJSON_GetArraySize(member(doc, "columns.id")), 1);
    assert_string_equal(text_at(doc, "columns.arch_id.0"), "a");
    assert_float_equal(number_at(doc, "columns.metrics.top1.value.0"), 0.55, 0);
    assert_string_equal(text_at(doc, "columns.metrics.top1.source.0"), "evaluated");
    assert_int_equal(number_at(doc, "total"), 3);
    cJSON_Delete(doc);
}

static void test_fronts_keep_what_was_predicted(void **state) {
    struct fixture *f = *state;
    struct job_row job;
    cJSON *doc = NULL;
    assert_int_equal(in_tx(f, do_supernet, "search"), 0);
    start_job(f);
    struct lines lines = {{CANDIDATES(1, "nsga2", CANDIDATE("a", "0.5", "predicted")),
                           CANDIDATES(2, "random", CANDIDATE("a", "0.5", "predicted")),
                           CANDIDATES(3, "random", CANDIDATE("b", "0.4", "predicted")),
                           FRONT(4, 1, "predicted", "[\"a\",\"b\"]"),
                           CANDIDATES(5, "nsga2", CANDIDATE("a", "0.55", "interpolated")),
                           CANDIDATES(6, "nsga2", CANDIDATE("a", "0.45", "evaluated")),
                           FRONT(7, 2, "final", "[\"a\"]")},
                          .attempt = 1};
    assert_int_equal(say(f, &lines), 0);
    assert_int_equal(store_job_load(store_loop_sql(f->store), f->id, &f->err, &job), 0);
    assert_int_equal(store_front(store_loop_sql(f->store), job.subject, &f->err, &doc), 0);
    doc = as_sent(doc);
    assert_string_equal(text_at(doc, "stage"), "final");
    assert_int_equal(number_at(doc, "version"), 2);
    assert_int_equal(cJSON_GetArraySize(member(doc, "items")), 1); /* one arch, two finders */
    assert_string_equal(text_at(doc, "items.0.arch_id"), "a");
    assert_float_equal(number_at(doc, "items.0.metrics.top1.value"), 0.45, 0);
    assert_float_equal(number_at(doc, "items.0.predicted.top1.value"), 0.55, 0);
    assert_string_equal(text_at(doc, "items.0.predicted.top1.source"), "interpolated");
    cJSON_Delete(doc);
    doc = candidates_of(f, 0, 100);
    int on_front = 0;
    for (int i = 0; i < 3; i++) {
        char path[40];
        snprintf(path, sizeof(path), "columns.on_front.%d", i);
        on_front += cJSON_IsTrue(member(doc, path));
    }
    assert_int_equal(on_front, 2); /* a, found by both strategies */
    cJSON_Delete(doc);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_a_predictor_below_the_line_is_noted),
        TEST(test_the_life_of_a_job),
        TEST(test_what_a_job_had_reached_is_told_until_it_is_over),
        TEST(test_a_started_daemon_queues_again_what_ran),
        TEST(test_a_job_that_is_held_does_not_start_until_it_is_released),
        TEST(test_three_crashes_fail_it),
        TEST(test_events_are_applied_once_and_in_order),
        TEST(test_a_full_disk_puts_it_off),
        TEST(test_a_disk_that_was_full_puts_it_off),
        TEST(test_a_full_disk_ends_what_is_canceled),
        TEST(test_older_attempts_are_fenced),
        TEST(test_what_makes_no_sense_is_refused),
        TEST(test_what_was_refused_is_passed_over_by_a_retry),
        TEST(test_a_job_ends_by_its_last_event),
        TEST(test_a_job_says_why_it_failed),
        TEST(test_curves_are_thinned_but_keep_their_end),
        TEST(test_candidates_show_again_when_they_change),
        TEST(test_fronts_keep_what_was_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
