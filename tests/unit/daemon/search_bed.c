#include "tests/unit/daemon/search_bed.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/map.h"
#include "daemon/job/job.h"
#include "latency/predictor.h"
#include "supernet/checkpoint.h"
#include "tests/unit/supernet/fixture.h"

const char evaluated_body[] =
    "{" OBJECTIVES ",\"baseline\":\"random\",\"evaluations\":24,\"population\":8,"
    "\"accuracy\":\"evaluated\",\"measure_front\":6,\"calibration_nets\":5,"
    "\"calibration_choice\":\"useful\",\"seed\":4}";
const char predicted_body[] =
    "{" OBJECTIVES ",\"baseline\":\"random\",\"evaluations\":200,\"population\":20,"
    "\"initial_evaluations\":40,\"measure_front\":6,\"calibration_nets\":5,\"seed\":4}";

/* --- the world: data set, supernet, table --- */

static void fill_table(struct world *world) {
    struct unit_list *units;
    assert_int_equal(latency_table_create("rev_1", NULL, &world->table), 0);
    assert_int_equal(space_units(world->space, NULL, &units), 0);
    for (int i = 0; i < units->n; i++) {
        const char *signature = units->entries[i].signature;
        double us = 20 + (double)(map_hash(signature, strlen(signature)) % 80);
        struct latency_entry e = {
            .median_us = us, .low_us = us, .high_us = us, .n = 9, .method = 1};
        memcpy(e.signature, signature, sizeof e.signature);
        assert_int_equal(latency_table_put(world->table, &e, NULL), 0);
    }
    unit_list_destroy(units);
}

void open_world(struct world *world) {
    static const struct fixture_idx shape = {
        .n_train = 300, .n_test = 60, .side = 12, .n_classes = 5};
    struct supernet *supernet;
    struct checkpoint_summary summary;
    world->data_dir = fixture_make_dir();
    world->supernet_dir = fixture_make_dir();
    world->job_dir = fixture_make_dir();
    world->space = fixture_space(5);
    fixture_write_idx(world->data_dir, &shape);
    assert_int_equal(supernet_create(world->space, 3, NULL, &supernet), 0);
    snprintf(world->checkpoint, sizeof world->checkpoint, "%s/a.ckpt", world->supernet_dir);
    assert_int_equal(checkpoint_write(world->checkpoint, supernet, &(struct checkpoint_notes){0},
                                      NULL, &summary),
                     0);
    supernet_destroy(supernet);
    fill_table(world);
}

void close_world(struct world *world) {
    latency_table_destroy(world->table);
    space_destroy(world->space);
    fixture_remove_dir(world->data_dir);
    fixture_remove_dir(world->supernet_dir);
    fixture_remove_dir(world->job_dir);
}

cJSON *parse(const char *text) {
    cJSON *doc = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &json_limits_default, &err, &doc) != 0)
        fail_msg("%s: %s", err.message, text);
    return doc;
}

cJSON *spec_of(const struct world *world, const char *body) {
    char *space = space_print(world->space);
    cJSON *spec = cJSON_CreateObject(), *dataset = cJSON_AddObjectToObject(spec, "dataset");
    cJSON *profiles = cJSON_AddArrayToObject(spec, "profiles"), *profile = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "search_id", "se_1");
    cJSON_AddStringToObject(spec, "supernet_dir", world->supernet_dir);
    cJSON_AddStringToObject(spec, "checkpoint", world->checkpoint);
    cJSON_AddItemToObject(spec, "space", parse(space));
    cJSON_AddStringToObject(dataset, "path", world->data_dir);
    cJSON_AddNumberToObject(dataset, "validation", 100);
    cJSON_AddItemToObject(spec, "search", parse(body));
    cJSON_AddStringToObject(profile, "profile_id", "pf_1");
    cJSON_AddStringToObject(profile, "profile_revision", "rev_1");
    cJSON_AddItemToObject(profile, "table", latency_table_to_json(world->table));
    cJSON_AddItemToArray(profiles, profile);
    cJSON_free(space);
    return spec;
}

cJSON *with_fleet(const struct world *world, const char *fleet) {
    cJSON *spec = spec_of(world, evaluated_body);
    cJSON_AddItemToObject(spec, "fleet", parse(fleet));
    return spec;
}

/* --- the daemon's side --- */

static void send_line(struct daemon *daemon, cJSON *doc) {
    char *text = json_print(doc);
    size_t len = strlen(text);
    text[len] = '\n';
    /* A job that was told to stop may be gone already. */
    if (write(daemon->messages_fd, text, len + 1) < 0)
        daemon->received = EVENTS_MAX;
    cJSON_free(text);
    cJSON_Delete(doc);
}

static void send_type(struct daemon *daemon, const char *type) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "type", type);
    send_line(daemon, doc);
}

static double graph_us(const struct daemon *daemon, const struct graph *graph, const char *id) {
    struct latency_prediction p;
    double off = map_hash(id, strlen(id)) & 64 ? 1 : -1;
    assert_int_equal(
        latency_predict(daemon->world->table, &calibration_none, graph, NULL, &p, NULL, NULL), 0);
    return (1.3 * p.us + 50) * (1 + daemon->scattered * off);
}

double board_us(const struct daemon *daemon, const char *text) {
    struct graph *graph;
    struct arch arch;
    char id[HASH_TEXT];
    assert_int_equal(arch_parse(daemon->world->space, text, strlen(text), NULL, &arch), 0);
    assert_int_equal(graph_build(daemon->world->space, &arch, NULL, &graph), 0);
    graph_id(graph, "fp32", id);
    double us = graph_us(daemon, graph, id);
    free(graph);
    return us;
}

static bool refuses(const struct daemon *daemon, const cJSON *item, const char *id, bool again) {
    bool once = daemon->once_only || (daemon->once_half && map_hash(id, strlen(id)) & 32);
    int number = cJSON_GetObjectItem(item, "request")->valueint;
    return (again && once) || number <= daemon->fails_until ||
           (daemon->fails_from > 0 && number >= daemon->fails_from);
}

static void measure(struct daemon *daemon, const cJSON *item) {
    const char *profile = cJSON_GetStringValue(cJSON_GetObjectItem(item, "profile_id"));
    struct graph *graph;
    if (daemon->silent && strcmp(profile, daemon->silent) == 0)
        return;
    assert_int_equal(graph_from_json(cJSON_GetObjectItem(item, "graph"), "", NULL, &graph), 0);
    bool gone = daemon->gone && strcmp(profile, daemon->gone) == 0;
    bool again = cJSON_HasObjectItem(item, "take");
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "graph_id"));
    double us = graph_us(daemon, graph, id);
    if (again && daemon->second > 0)
        us *= daemon->second;
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "type", "measurement");
    cJSON_AddNumberToObject(doc, "request", cJSON_GetObjectItem(item, "request")->valuedouble);
    bool good = daemon->has_board && !gone && !refuses(daemon, item, id, again);
    cJSON_AddStringToObject(doc, "state", good ? "accepted" : "failed");
    if (gone || !daemon->has_board)
        cJSON_AddTrueToObject(doc, "no_board");
    if (!good)
        cJSON_AddStringToObject(doc, "error", "the network needs more memory than the board has");
    cJSON_AddNumberToObject(doc, "median_us", us);
    cJSON_AddNumberToObject(doc, "low_us", 0.99 * us);
    cJSON_AddNumberToObject(doc, "high_us", 1.01 * us);
    cJSON_AddNumberToObject(doc, "sd_us", 0.02 * us);
    if (daemon->watts > 0)
        cJSON_AddNumberToObject(doc, "energy_uj", daemon->watts * us);
    else
        cJSON_AddNullToObject(doc, "energy_uj");
    send_line(daemon, doc);
    free(graph);
}

const char *kind_of(const cJSON *event) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(event, "kind"));
}

static void take_event(struct daemon *daemon, cJSON *event) {
    const cJSON *item;
    int64_t seq = (int64_t)cJSON_GetObjectItem(event, "seq")->valuedouble;
    assert_true(daemon->n < EVENTS_MAX);
    assert_int_equal(seq, daemon->acked + 1);
    daemon->events[daemon->n++] = event;
    daemon->acked = seq;
    cJSON *ack = cJSON_CreateObject();
    cJSON_AddStringToObject(ack, "type", "ack");
    cJSON_AddNumberToObject(ack, "seq", (double)seq);
    send_line(daemon, ack);
    if (++daemon->received == daemon->stop_after)
        send_type(daemon, "cancel");
    if (strcmp(kind_of(event), "measure_request") == 0)
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(cJSON_GetObjectItem(event, "data"), "items"))
            measure(daemon, item);
}

/* Measurements that were asked for come again after a restart, as the protocol says. */
static void send_open_measurements(struct daemon *daemon) {
    const cJSON *item;
    for (int i = 0; i < daemon->n; i++)
        if (strcmp(kind_of(daemon->events[i]), "measure_request") == 0)
            cJSON_ArrayForEach(
                item, cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "items"))
                measure(daemon, item);
}

static void take_fraction(struct daemon *daemon, const cJSON *doc) {
    double fraction = cJSON_GetObjectItem(doc, "fraction")->valuedouble;
    daemon->fell |= fraction < daemon->fraction;
    daemon->fraction = fraction;
    if (json_has(doc, "eta_s"))
        daemon->eta_s = cJSON_GetObjectItem(doc, "eta_s")->valuedouble;
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "unit")), "evaluations") != 0)
        return;
    double done = cJSON_GetObjectItem(doc, "done")->valuedouble;
    if (daemon->at_first < 0)
        daemon->at_first = fraction;
    if (daemon->at_half < 0 && 2 * done >= cJSON_GetObjectItem(doc, "total")->valuedouble)
        daemon->at_half = fraction;
}

static void take_progress(struct daemon *daemon, const cJSON *doc) {
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "type")), "progress") != 0)
        return;
    if (json_has(doc, "unit"))
        take_fraction(daemon, doc);
    if (!json_has(doc, "evaluated"))
        return;
    daemon->evaluated = cJSON_GetObjectItem(doc, "evaluated")->valueint;
    daemon->reused = cJSON_GetObjectItem(doc, "reused")->valueint;
}

static void *daemon_main(void *argument) {
    struct daemon *daemon = argument;
    char *line = NULL;
    size_t size = 0;
    FILE *events = fdopen(daemon->events_fd, "r");
    send_open_measurements(daemon);
    while (getline(&line, &size, events) > 0) {
        cJSON *doc = cJSON_Parse(line);
        take_progress(daemon, doc);
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "type")), "event") == 0)
            take_event(daemon, doc);
        else
            cJSON_Delete(doc);
    }
    free(line);
    fclose(events);
    return NULL;
}

/* One attempt. Returns the job's exit status. */
int attempt(struct daemon *daemon, const cJSON *spec, int number) {
    int down[2], up[2];
    struct channel *channel;
    pthread_t thread;
    char path[300];
    cJSON *start = cJSON_CreateObject(), *received = NULL;
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    daemon->messages_fd = down[1];
    daemon->events_fd = up[0];
    daemon->received = 0;
    daemon->evaluated = daemon->reused = -1;
    daemon->fraction = 0;
    daemon->at_first = daemon->at_half = daemon->eta_s = -1;
    cJSON_AddStringToObject(start, "type", "start");
    cJSON_AddStringToObject(start, "kind", daemon->kind ? daemon->kind : "search");
    cJSON_AddNumberToObject(start, "attempt", number);
    cJSON_AddNumberToObject(start, "acked", (double)daemon->acked);
    cJSON_AddNumberToObject(start, "threads", 1);
    cJSON_AddItemToObject(start, "spec", cJSON_Duplicate(spec, true));
    send_line(daemon, start);
    assert_int_equal(pthread_create(&thread, NULL, daemon_main, daemon), 0);
    snprintf(path, sizeof path, "%s/events.jsonl", daemon->world->job_dir);
    assert_int_equal(channel_open(down[0], up[1], path, NULL, &channel), 0);
    channel_hold(channel, 0); /* the daemon hears of each at once, and may stop the job there */
    assert_int_equal(channel_start(channel, NULL, &received), 0);
    int status = job_run(channel, received, daemon->world->job_dir);
    channel_close(channel);
    close(up[1]);
    pthread_join(thread, NULL);
    close(down[0]);
    close(down[1]);
    cJSON_Delete(received);
    return status;
}

int attempt_in_parts(struct daemon *daemon, const cJSON *spec, int earlier, int most) {
    int status = JOB_STOPPED;
    while (status == JOB_STOPPED && earlier < most)
        status = attempt(daemon, spec, ++earlier);
    assert_int_equal(status, JOB_DONE);
    return earlier;
}

void forget_events(struct daemon *daemon) {
    for (int i = 0; i < daemon->n; i++)
        cJSON_Delete(daemon->events[i]);
    daemon->n = 0;
}

const cJSON *last_data(const struct daemon *daemon, const char *kind) {
    for (int i = daemon->n - 1; i >= 0; i--)
        if (strcmp(kind_of(daemon->events[i]), kind) == 0)
            return cJSON_GetObjectItem(daemon->events[i], "data");
    return NULL;
}

int count(const struct daemon *daemon, const char *kind) {
    int n = 0;
    for (int i = 0; i < daemon->n; i++)
        n += strcmp(kind_of(daemon->events[i]), kind) == 0;
    return n;
}

/* The latest that was said of a candidate. */
const cJSON *candidate(const struct daemon *daemon, const char *id) {
    const cJSON *item, *found = NULL;
    for (int i = 0; i < daemon->n; i++) {
        if (strcmp(kind_of(daemon->events[i]), "candidates") != 0)
            continue;
        cJSON_ArrayForEach(
            item,
            cJSON_GetObjectItem(
                cJSON_GetObjectItem(daemon->events[i], "data"),
                "items")) if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id")),
                                     id) == 0) found = item;
    }
    return found;
}

void assert_source(const cJSON *candidate, const char *key, const char *source) {
    const cJSON *metric = cJSON_GetObjectItem(cJSON_GetObjectItem(candidate, "metrics"), key);
    assert_non_null(metric);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(metric, "source")), source);
    double value = cJSON_GetObjectItem(metric, "value")->valuedouble;
    assert_true(cJSON_GetObjectItem(metric, "low")->valuedouble <= value);
    assert_true(cJSON_GetObjectItem(metric, "high")->valuedouble >= value);
}

void assert_final_front(const struct daemon *daemon, const char *latency_source) {
    const cJSON *front = last_data(daemon, "front"), *id;
    const cJSON *ids = cJSON_GetObjectItem(front, "arch_ids");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(front, "stage")), "final");
    assert_true(cJSON_GetArraySize(ids) > 0);
    assert_true(cJSON_GetObjectItem(front, "hypervolume")->valuedouble > 0);
    assert_true(json_has(cJSON_GetObjectItem(front, "reference_point"), "latency_us:pf_1"));
    cJSON_ArrayForEach(id, ids) {
        const cJSON *item = candidate(daemon, id->valuestring);
        assert_non_null(item);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(item, "feasible")));
        assert_source(item, "top1", "evaluated");
        assert_source(item, "latency_us:pf_1", latency_source);
        assert_source(item, "macs", "counted");
    }
    const cJSON *result = cJSON_GetObjectItem(last_data(daemon, "done"), "result");
    assert_int_equal(cJSON_GetObjectItem(result, "front_size")->valueint, cJSON_GetArraySize(ids));
    assert_true(cJSON_GetObjectItem(result, "hypervolume")->valuedouble > 0);
    assert_true(cJSON_GetObjectItem(result, "hypervolume_random")->valuedouble > 0);
}

void assert_same_events(const struct daemon *a, const struct daemon *b) {
    for (int i = 0; i < a->n && i < b->n; i++) {
        assert_string_equal(kind_of(a->events[i]), kind_of(b->events[i]));
        char *x = json_print_canonical(cJSON_GetObjectItem(a->events[i], "data"));
        char *y = json_print_canonical(cJSON_GetObjectItem(b->events[i], "data"));
        if (strcmp(x, y) != 0)
            fail_msg("event %d (%s) is\n%.2000s\nin place of\n%.2000s", i, kind_of(a->events[i]), y,
                     x);
        cJSON_free(x);
        cJSON_free(y);
    }
    assert_int_equal(a->n, b->n);
}

void forget_job(struct world *world) {
    fixture_remove_dir(world->job_dir);
    world->job_dir = fixture_make_dir();
}

int count_takes(const struct daemon *daemon, const char *arch_id) {
    const cJSON *item;
    int n = 0;
    for (int i = 0; i < daemon->n; i++)
        if (strcmp(kind_of(daemon->events[i]), "measure_request") == 0)
            cJSON_ArrayForEach(
                item, cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "items"))
                n +=
                !arch_id[0] ||
                strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id")), arch_id) == 0;
    return n;
}

double number_of(const cJSON *candidate, const char *metric, const char *key) {
    const cJSON *doc = cJSON_GetObjectItem(cJSON_GetObjectItem(candidate, "metrics"), metric);
    return cJSON_GetObjectItem(doc, key)->valuedouble;
}

void assert_fails(struct world *world, cJSON *spec, const char *code, const char *pointer) {
    struct daemon daemon = {.world = world, .has_board = true};
    forget_job(world);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_FAILED);
    const cJSON *failed = last_data(&daemon, "failed");
    assert_non_null(failed);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(failed, "code")), code);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(failed, "pointer")), pointer);
    forget_events(&daemon);
    cJSON_Delete(spec);
}
