/* Small random spaces of every kind of block, as text: channels on both sides of the limit below
 * which expansion is merged, with and without head convolutions, resolutions on both sides of the
 * limit from which images are no longer grouped. */
#pragma once

#include "base/rng.h"

enum { RANDOM_SPACE_TEXT = 4096, RANDOM_SPACE_SIDE = 17 /* largest resolution */ };

void random_space(struct rng *rng, char ret_text[RANDOM_SPACE_TEXT]);
