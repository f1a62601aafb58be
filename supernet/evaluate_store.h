/* Evaluations kept from one job to the next: scores, and the BN statistics that recalibration
 * found, each in a file of its own below a folder for each checkpoint. A record stands under its
 * whole key and a checksum: one that is damaged, or of another key, is as good as none and is
 * written anew. Several processes may use one folder: records appear whole, and equal keys have
 * equal records. */
#pragma once

#include "supernet/evaluate_cache.h"

/* Part of every key: to be raised when what is computed for an equal key changes by more than
 * rounding. */
enum { EVALUATION_METHOD = 1 };

struct evaluation_store;
/* dir is made when the first record is written. limit_bytes: of all records on disk, whatever their
 * checkpoint; beyond it those go that were not used for longest. Errors: ESP_ENOMEM, ESP_ELIMIT
 * (dir is too long). */
int evaluation_store_open(const char *dir, int64_t limit_bytes, struct err *err,
                          struct evaluation_store **ret_store);
void evaluation_store_close(struct evaluation_store *store); /* takes NULL */

/* False when the score is not known. */
bool evaluation_store_score(struct evaluation_store *store, const struct evaluation_key *key,
                            struct score *ret_score);
void evaluation_store_put_score(struct evaluation_store *store, const struct evaluation_key *key,
                                const struct score *score);
/* Statistics of a subnet; the key's split and limit do not matter. *stats has the subnet's layers
 * and is written only when true is returned. */
bool evaluation_store_stats(struct evaluation_store *store, const struct evaluation_key *key,
                            struct bn_stats *stats);
void evaluation_store_put_stats(struct evaluation_store *store, const struct evaluation_key *key,
                                const struct bn_stats *stats);
/* The first put that failed (a full disk costs time later, no result now); code 0: none. */
const struct err *evaluation_store_failure(const struct evaluation_store *store);
