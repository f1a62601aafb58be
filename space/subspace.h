/* A part of a space: fewer choices of some genes. It is a space itself, with a fingerprint of its
 * own; its archs are archs of the whole space too. */
#pragma once

#include <cjson/cJSON.h>

#include "space/arch.h"

/* doc: {"resolutions"?, "depths"?, "channels"?, "kernel_sizes"?, "expand_ratios"?, "stages"?:
 * {NAME: the same without resolutions}}, lists of values that are kept. A list outside stages is
 * about every stage that has a choice there, and leaves the others as they are; one inside is about
 * its stage alone, in place of that. Errors, with pointers below at: ESP_EINVAL (no object, another
 * member or stage, an empty list, a value that no such stage has or that is there twice, a stage
 * that would keep nothing), ESP_ENOMEM. */
int subspace_create(const struct space *whole, const cJSON *doc, const char *at, struct err *err,
                    struct space **ret_part);
/* Whether part is what subspace_create could have made of whole, so that its archs can be lifted.
 * Errors, with pointers below at: ESP_EINVAL (a choice or stage that whole has not, or it differs
 * in something else), ESP_ENOMEM. */
int subspace_check(const struct space *whole, const struct space *part, const char *at,
                   struct err *err);
/* The arch of a part as one of the whole: the same network. Both valid. */
void subspace_lift(const struct space *part, const struct space *whole, const struct arch *arch,
                   struct arch *ret_arch);
