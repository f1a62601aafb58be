/* What the parts of space/space*.c share; not for others. */
#pragma once

#include "space/space.h"

/* Fills what follows from the other fields and checks what spans several of them: blocks in all,
 * distinct widths, size of the largest subnet, fingerprint. */
int space_finish(struct space *space, struct err *err);
/* Hash of the canonical JSON without names. ESP_ENOMEM. */
int space_fingerprint(const struct space *space, char ret_fingerprint[HASH_TEXT]);

/* Generated from space/builtin/, in the order of space_builtin_names. */
extern const char *const space_builtin_texts[];
