#include "daemon/database_check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/store_system.h"

static const int64_t DAILY_US =
    INT64_C(23) * 3600 * 1000000; /* what comes once a day is not early */

struct database_check {
    pthread_mutex_t mutex;
    struct database_state state; /* at_us 0: none */
};

int database_check_create(struct err *err, struct database_check **ret_check) {
    struct database_check *check = mem_array(1, sizeof(*check));
    if (check == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    pthread_mutex_init(&check->mutex, NULL);
    *ret_check = check;
    return 0;
}

void database_check_destroy(struct database_check *check) {
    if (check == NULL)
        return;
    pthread_mutex_destroy(&check->mutex);
    free(check);
}

int database_check_run(struct database_check *check, struct sql *sql, struct err *err) {
    struct database_state state = {.ok = false};
    struct err said = {0};
    int r = store_system_check(sql, &said, &state.ok, state.detail);
    if (r == ESP_ECORRUPT)
        snprintf(state.detail, sizeof(state.detail), "%.199s", said.message);
    else if (r != 0)
        return err_set(err, r, NULL, "%s", said.message);
    if (!state.ok)
        log_error("the database is broken: %s", state.detail);
    state.at_us = clock_wall_us();
    pthread_mutex_lock(&check->mutex);
    check->state = state;
    pthread_mutex_unlock(&check->mutex);
    return 0;
}

bool database_check_last(struct database_check *check, struct database_state *ret_state) {
    pthread_mutex_lock(&check->mutex);
    *ret_state = check->state;
    pthread_mutex_unlock(&check->mutex);
    return ret_state->at_us != 0;
}

int database_check_run_daily(struct database_check *check, struct sql *sql, struct err *err) {
    struct database_state last;
    if (database_check_last(check, &last) && clock_wall_us() - last.at_us < DAILY_US)
        return 0;
    return database_check_run(check, sql, err);
}
