/* Weights that one supernet takes over from another. */
#pragma once

#include "supernet/checkpoint.h"

/* Where they come from: a checkpoint, or the newest whole one of a folder. */
struct train_init {
    const char *path, *dir; /* path NULL: of dir */
};
/* Takes all weights and BN statistics (the moving average where there is one) into a supernet of
 * the same space but, maybe, another number of classes: its classifier then stays as it is. ret_id
 * names the checkpoint. Errors: ESP_EMISMATCH, ESP_ENOTFOUND at /init_from; those of
 * checkpoint_load. */
int supernet_inherit(struct supernet *supernet, const struct train_init *init, struct err *err,
                     char ret_id[HASH_TEXT]);
/* ESP_EMISMATCH unless the one can take weights from the other. */
int supernet_can_inherit(const struct space *from, const struct space *to, struct err *err);
