#include "daemon/housekeeping.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/daemon.h"
#include "daemon/fleet.h"
#include "daemon/store.h"
#include "daemon/store_devices.h"
#include "daemon/store_leases.h"
#include "daemon/store_repeats.h"
#include "daemon/store_retest.h"

enum {
    PRUNE_TICKS = 600,
    REPEAT_TICKS = 300,
    REPEAT_FIRST_TICKS = 3 /* until the first time: boards come back */
};

struct keep {
    struct store_call call;
    struct housekeeping *house;
    int64_t silent_since_us; /* boards not heard of since are away */
    char repeat[ID_MAX];     /* of this board's entries those older than old_us; "": no board's */
    int64_t old_us;
    bool prune;
    struct retention_round round; /* begins where the house's stands */
};

static int run_keep(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct keep *keep = (struct keep *)call;
    int r = store_leases_expire(tx, err);
    if (r == 0)
        r = store_devices_expire(tx, keep->silent_since_us, err);
    if (r == 0)
        r = store_noise_review(tx, err);
    if (r == 0)
        r = store_retest_review(tx, err);
    if (r == 0 && keep->repeat[0] != '\0')
        r = store_repeat_oldest(tx, keep->repeat, keep->old_us, err);
    if (r == 0 && keep->prune)
        r = store_prune(tx, &keep->house->daemon->retention, &keep->round, err);
    return r;
}

static void keep_done(struct store_call *call, int code, const struct err *err) {
    struct keep *keep = (struct keep *)call;
    struct housekeeping *house = keep->house;
    if (code != 0)
        log_error("housekeeping failed: %s", err->message);
    if (keep->prune)
        house->round = keep->round;
    if (code != 0)
        house->round.done = true; /* until the next round */
    house->keeping = false;
    free(keep);
    house->kept(house->context);
}

static struct sql *loop_sql(const struct housekeeping *house) {
    return store_loop_sql(house->daemon->store);
}

static void start(struct keep *keep, struct housekeeping *house) {
    keep->call.done = keep_done;
    keep->house = house;
    house->keeping = true;
    store_write(house->daemon->store, &keep->call);
}

/* Reads first: an idle daemon does not write every second. */
static bool anything_due(const struct housekeeping *house, int64_t silent_since_us) {
    struct err err = {0};
    int64_t expiry = INT64_MAX;
    bool silent = false, noise = false, retest = false;
    int r = store_lease_next_expiry(loop_sql(house), &err, &expiry);
    if (r == 0)
        r = store_devices_silent(loop_sql(house), silent_since_us, &err, &silent);
    if (r == 0)
        r = store_noise_due(loop_sql(house), clock_wall_us(), &err, &noise);
    if (r == 0)
        r = store_retest_due(loop_sql(house), clock_wall_us(), &err, &retest);
    if (r != 0)
        log_error("leases cannot be read: %s", err.message);
    return r == 0 && (silent || noise || retest || expiry < clock_wall_us());
}

/* Boards that have nothing else to do measure a few of their tables' oldest entries again: one
 * board a second, all of them in turn, and not before REPEAT_TICKS from the beginning. "": none
 * now. */
static void next_to_repeat(struct housekeeping *house, char ret_device[ID_MAX]) {
    struct err err = {0};
    ret_device[0] = '\0';
    if (house->daemon->table_age_us == 0)
        return;
    if (!house->touring && house->ticks - house->tour_ticks >= REPEAT_TICKS) {
        house->touring = true;
        house->tour_ticks = house->ticks;
        house->toured[0] = '\0';
    }
    if (!house->touring)
        return;
    if (store_repeat_next_board(loop_sql(house), house->toured, &err, ret_device) != 0)
        log_error("the ages of tables cannot be read: %s", err.message);
    house->touring = ret_device[0] != '\0';
    memcpy(house->toured, ret_device, ID_MAX);
}

void housekeeping_tick(struct housekeeping *house) {
    house->ticks++;
    int64_t away_us = FLEET_AWAY_S * INT64_C(1000000), now = clock_wall_us();
    /* While the daemon was down nobody could be heard. */
    int64_t since = now - house->started_us < away_us ? 0 : now - away_us;
    if (!house->keeping && house->ticks % PRUNE_TICKS == 1)
        house->round = (struct retention_round){.done = false};
    bool prune = !house->keeping && !house->round.done;
    char repeat[ID_MAX] = "";
    if (!house->keeping)
        next_to_repeat(house, repeat);
    if (house->keeping || (!prune && repeat[0] == '\0' && !anything_due(house, since)))
        return;
    struct keep *keep = mem_array(1, sizeof(*keep));
    if (keep == NULL)
        return;
    keep->call.run = run_keep;
    keep->silent_since_us = since;
    keep->prune = prune;
    keep->old_us = now - house->daemon->table_age_us;
    memcpy(keep->repeat, repeat, sizeof(repeat));
    keep->round = house->round;
    start(keep, house);
}

static int run_grace(struct store_tx *tx, struct store_call *call, struct err *err) {
    return store_leases_grace(tx, FLEET_HEARTBEAT_S * INT64_C(1000000), err);
}

int housekeeping_begin(struct housekeeping *house, struct daemon *daemon,
                       void (*kept)(void *context), void *context, struct err *err) {
    struct keep *keep = mem_array(1, sizeof(*keep));
    if (keep == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    *house = (struct housekeeping){.daemon = daemon,
                                   .kept = kept,
                                   .context = context,
                                   .started_us = clock_wall_us(),
                                   .tour_ticks = REPEAT_FIRST_TICKS - REPEAT_TICKS};
    keep->call.run = run_grace;
    start(keep, house);
    return 0;
}
