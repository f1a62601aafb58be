/* A communicator of threads, each a rank with everything of its own: what processes would be. */
#pragma once

#include "supernet/comm.h"

enum { RANKS_MAX = 16 };

/* Runs body(context, comm) for each rank in a thread of its own, and returns when all are done. */
void ranks_run(int size, void (*body)(void *context, const struct comm *comm), void *context);
