/* Boards, leases, results and tables in a store of their own. Time passes by setting what is
 * stored. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/store_devices.h"
#include "daemon/store_leases.h"
#include "daemon/store_measurements.h"
#include "daemon/store_results.h"
#include "daemon/store_tables.h"
#include "daemon/store_tokens.h"
#include "space/graph.h"

struct fixture {
    char dir[64], path[96];
    uv_loop_t loop;
    struct store *store;
    struct err err; /* of the last call */
    char *graph, graph_id[HASH_TEXT];
    char device[ID_MAX], profile[ID_MAX];
    int64_t epoch;
};

/* What a call takes and gives: a test fills what its operation uses. */
struct work {
    struct store_call call;
    int (*fn)(struct store_tx *tx, struct work *op, struct err *err);
    bool done;
    int code;
    const char *a, *b, *c;
    const cJSON *body;
    int64_t number;
    struct measurement_request ask;
    struct table_request table;
    enum measurement_event event;
    int status;
    cJSON *doc;
    char id[ID_MAX], job[ID_MAX];
};

int fleet_run(struct fixture *f, struct work *op,
              int (*fn)(struct store_tx *tx, struct work *op, struct err *err));
void fleet_open_store(struct fixture *f);
void fleet_close_store(struct fixture *f);
int64_t fleet_number(struct fixture *f, const char *literal, const char *id);
void fleet_change(struct fixture *f, const char *literal, const char *id);
cJSON *fleet_introduction(const char *machine, const char *threads, const char *fingerprint);
int do_enrol(struct store_tx *tx, struct work *op, struct err *err);
int do_connect(struct store_tx *tx, struct work *op, struct err *err);
void fleet_note_welcome(struct fixture *f, cJSON *doc);
int fleet_enrol(struct fixture *f, const char *machine);
int fleet_connect_board(struct fixture *f, const char *machine, const char *threads,
                        const char *fingerprint);
int fleet_start(void **state);
int fleet_stop(void **state);
/* A network called graph (its identity); the id goes to ret_id. */
int fleet_ask(struct fixture *f, const char *graph, const char *method, char ret_id[ID_MAX]);
int do_grant(struct store_tx *tx, struct work *op, struct err *err);
/* ret_id "" when there is nothing. Returns how many items. */
int fleet_grant(struct fixture *f, int64_t max_items, char ret_id[ID_MAX]);
int fleet_ack(struct fixture *f, const char *lease);
int do_expire(struct store_tx *tx, struct work *op, struct err *err);
void fleet_expire(struct fixture *f, const char *lease);
cJSON *fleet_result_body(const char *lease, const char *measurement, int attempt,
                         const char *status);
/* The answer's HTTP status, or an error. */
int fleet_send_result(struct fixture *f, const cJSON *body);
int fleet_send_new(struct fixture *f, const char *lease, const char *measurement, int attempt,
                   const char *status);
void fleet_assert_state(struct fixture *f, const char *id, const char *want);
/* Grants all that waits and answers it with status. */
int fleet_measure_all(struct fixture *f, const char *status);
