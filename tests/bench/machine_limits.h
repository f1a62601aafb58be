/* What this machine can do at best, measured: the ceilings that the kernels are put beside. */
#pragma once

#include "base/parallel.h"

struct machine_limits {
    double gflops; /* fused multiply-adds of the widest vectors, counted twice; all threads */
    double read_gb_s, copy_gb_s; /* of planes far larger than the caches; copy counts both ways */
};
/* Takes about a second. pool NULL: one thread. Zeros where memory is short. */
struct machine_limits machine_limits_measure(struct parallel *pool);
