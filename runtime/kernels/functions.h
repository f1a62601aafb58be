/* Declares every kernel function op_isa of the list. */
#pragma once

#include "runtime/kernels/kernels.h"

#define DECLARE(isa, flags) KERNEL_OPS(KERNEL_DECLARE, isa)
KERNEL_ROWS(DECLARE)
#undef DECLARE
