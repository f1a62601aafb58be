/* Entries of latency tables that are measured again: noisy ones until they are not, or twice; old
 * ones to see whether the board has changed. The accepted measurement stands for its unit until
 * another one takes its place; every one stays, with its samples for as long as those are kept. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

enum { REPEATS_OF_NOISE = 2, REPEATS_A_ROUND = 4 };

/* SQL: half the width of the interval of measurement m, as a share of its median; whether that is
 * too much. */
#define REPEAT_SPREAD "((m.high_us - m.low_us) / (2 * m.median_us))"
#define REPEAT_NOISY "(" REPEAT_SPREAD " > 0.1)"

/* A measurement was accepted: if it repeats one, it takes its place (of noisy ones the narrower
 * interval stands; the newer of old ones, flagged "changed" where both intervals and what the board
 * varies by speak against chance); and what stands is asked for again when it is noisy. */
int store_repeat_settle(struct store_tx *tx, const char *measurement, struct err *err);
/* Asks again for a table's entries that are noisy or older than before_us, oldest first. */
int store_repeat_entries(struct store_tx *tx, const char *table, int64_t before_us,
                         struct err *err);
/* The first board behind after, in the order of their ids, that is there and has nothing to
 * measure; "" when there is none. */
int store_repeat_next_board(struct sql *sql, const char *after, struct err *err,
                            char ret_device[ID_MAX]);
/* Asks this board for REPEATS_A_ROUND of its tables' entries, the oldest of those older than
 * before_us. One that failed to be repeated since then is left in peace. */
int store_repeat_oldest(struct store_tx *tx, const char *device, int64_t before_us,
                        struct err *err);
