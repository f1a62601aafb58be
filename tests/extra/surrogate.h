/* Accuracy of any subnet, as tests/bench/run-search fitted it to measured ones on the canonical
 * one-hot features (arch_features): what search strategies of this and other programs are compared
 * on. */
#pragma once

#include "space/arch.h"

/* Reads what run-search wrote for this space. Ends the program with a message where that fails. */
struct surrogate;
struct surrogate *surrogate_read(const struct space *space, const char *path);
void surrogate_destroy(struct surrogate *surrogate);
const char *surrogate_name(const struct surrogate *surrogate);
double surrogate_top1(const struct surrogate *surrogate, const struct arch *arch); /* per cent */
