/* The checkpoints of one training in a folder: the last ones and the best. */
#pragma once

#include "supernet/checkpoint.h"

struct checkpoint_store {
    char dir[900];
    uint64_t first;    /* step of the first regular checkpoint */
    uint64_t interval; /* steps between regular checkpoints, at least 1 */
    uint64_t standing; /* of what the training has read or written last; 0: nothing yet */
    int keep;          /* regular checkpoints kept, at least 1; besides the newest and the best */
};

/* Writes step-N.ckpt, then removes what is not to be kept. Where the disk is full, all earlier ones
 * but the newest, the newest regular one, the one that the training stands on and the best make
 * room for it. Errors: those of checkpoint_write; these stay as they are. */
int checkpoint_store_save(const struct checkpoint_store *store, uint64_t step,
                          const struct supernet *supernet, const struct checkpoint_notes *notes,
                          struct err *err, struct checkpoint_summary *ret_summary);
/* Names the checkpoint of a step as the best: best.ckpt becomes another name of the same file.
 * Errors: ESP_EIO, ESP_ENOSPACE. */
int checkpoint_store_mark_best(const struct checkpoint_store *store, uint64_t step,
                               struct err *err);
/* File name of the checkpoint of a step. */
void checkpoint_store_name(uint64_t step, char ret_name[64]);

/* The newest checkpoint that is whole, opened and verified. What had to be passed over on the way
 * is told in ret_skipped (code 0: nothing). Errors: ESP_ENOTFOUND (there is none), ESP_ECORRUPT
 * (there are only damaged ones), and those of checkpoint_open. */
int checkpoint_store_newest(const char *dir, struct err *err, struct err *ret_skipped,
                            struct checkpoint **ret_checkpoint);
/* The same for a regular one to go back to from a step: the newest that was written at least proof
 * steps before it, else the oldest at or before it; one that is damaged is passed over. */
int checkpoint_store_regular(const struct checkpoint_store *store, uint64_t step, uint64_t proof,
                             struct err *err, struct checkpoint **ret_checkpoint);
/* Removes the checkpoints of later steps; best.ckpt stays. */
void checkpoint_store_forget(const struct checkpoint_store *store, uint64_t step);
