/* In which order a board is asked for the entries that a table lacks: first what matters most,
 * which is a unit's share of the time of the space's networks (damped, since what is measured has
 * to tell of what is not) times how little is known of its own time.
 *
 * What is known of a time that was not measured comes of the measured ones of its kind: log times
 * are taken as a Gaussian process over the logs of sizes, whose variance depends on where was
 * measured and not on what came out. So an order can be made before anything is measured, in which
 * each entry counts what those before it will have told (a weighted pivoted Cholesky
 * factorisation; Harbrecht, Peters & Schneider 2012). */
#pragma once

#include "latency/table.h"

/* Fills ret_order with the numbers of the units that the table has no entry for, what matters most
 * first; returns how many. table may be NULL. O(units * ORDER_PIVOTS²) for each kind of unit.
 * Deterministic. Errors: ESP_ENOMEM. */
int latency_order(const struct unit_list *units, const struct latency_table *table, struct err *err,
                  int *ret_order);
