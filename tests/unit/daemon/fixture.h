/* A store in a folder of its own, and calls on its writer's thread that a test waits for. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

struct fixture {
    char dir[64], path[96];
    uv_loop_t loop;
    struct store *store;
    struct err err;
    char events[8192]; /* "topic;" of every event */
    char id[ID_MAX];   /* of a test's own thing */
};

typedef int fixture_fn(struct store_tx *tx, struct fixture *f, void *argument, struct err *err);

struct fixture_call {
    struct store_call call;
    struct fixture *f;
    fixture_fn *fn;
    void *argument;
    bool done;
};

static void fixture_event(void *context, int64_t id, const char *topic, const char *data) {
    struct fixture *f = context;
    size_t len = strlen(f->events);
    snprintf(f->events + len, sizeof(f->events) - len, "%s;", topic);
}

static int fixture_run(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct fixture_call *c = (struct fixture_call *)call;
    return c->fn(tx, c->f, c->argument, err);
}

static void fixture_done(struct store_call *call, int code, const struct err *err) {
    ((struct fixture_call *)call)->done = true;
}

/* Runs fn in a transaction of its own; its error is in f->err. */
__attribute__((unused)) static int in_tx(struct fixture *f, fixture_fn *fn, void *argument) {
    struct fixture_call c = {
        .call = {.run = fixture_run, .done = fixture_done}, .f = f, .fn = fn, .argument = argument};
    store_write(f->store, &c.call);
    while (!c.done)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->err = c.call.err;
    return c.call.code;
}

static int fixture_start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct store_listener listener = {fixture_event, NULL, f};
    strcpy(f->dir, "/tmp/espalier-unit-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    uv_loop_init(&f->loop);
    if (store_open(&f->loop, f->path, &listener, &f->err, &f->store) != 0)
        fail_msg("%s", f->err.message);
    *state = f;
    return 0;
}

static int fixture_stop(void **state) {
    struct fixture *f = *state;
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&f->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    if (system(command) != 0)
        r = 1;
    free(f);
    return r;
}

__attribute__((unused)) static cJSON *doc_of(const char *text) {
    cJSON *doc = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), &json_limits_default, &err, &doc) != 0)
        fail_msg("%s: %s", text, err.message);
    return doc;
}

/* A member by a dotted path, as a number or a text; fails when it is not there. */
__attribute__((unused)) static const cJSON *member(const cJSON *doc, const char *path) {
    char word[64];
    const char *rest = path;
    while (*rest != '\0') {
        size_t len = strcspn(rest, ".");
        snprintf(word, sizeof(word), "%.*s", (int)len, rest);
        doc = cJSON_IsArray(doc) ? cJSON_GetArrayItem(doc, atoi(word))
                                 : cJSON_GetObjectItemCaseSensitive(doc, word);
        if (doc == NULL)
            fail_msg("there is no %s", path);
        rest += len + (rest[len] == '.');
    }
    return doc;
}

__attribute__((unused)) static double number_at(const cJSON *doc, const char *path) {
    return cJSON_GetNumberValue(member(doc, path));
}

__attribute__((unused)) static const char *text_at(const cJSON *doc, const char *path) {
    return cJSON_GetStringValue(member(doc, path));
}

/* Rows are made of raw JSON texts: printed and parsed, they are what clients get. */
__attribute__((unused)) static cJSON *as_sent(cJSON *doc) {
    char *text = json_print(doc);
    cJSON *sent = doc_of(text);
    free(text);
    cJSON_Delete(doc);
    return sent;
}
