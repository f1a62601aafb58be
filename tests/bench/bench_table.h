/* What benches of searches share: a latency table that is made up. */
#pragma once

#include "base/error.h"
#include "latency/table.h"
#include "space/cost.h"

/* Says the message under the program's name; exit status 1. */
_Noreturn void die(const struct err *err);
/* Of every unit of the space, each so many microseconds of its cost, with no doubt. The caller
 * destroys it. */
struct latency_table *make_table(const struct space *space,
                                 double (*us_of_cost)(const struct cost *cost));
