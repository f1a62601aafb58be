/* A golden sandwich step of tests/golden/: its space, its inputs, computed from names as
 * generate.py computes them, and its recorded numbers. */
#pragma once

#include "supernet/supernet.h"

enum { GOLDEN_IMAGES = 20, GOLDEN_SUBNETS = 4, GOLDEN_CLASSES = 5, GOLDEN_SIDE = 12 };

struct golden {
    struct space *space;
    float *images; /* [GOLDEN_IMAGES, 3, GOLDEN_SIDE, GOLDEN_SIDE] */
    uint16_t labels[GOLDEN_IMAGES];
    struct arch archs[GOLDEN_SUBNETS];
    char *text; /* of NAME.txt */
    float *data;
};
/* Reads NAME.* ("step", "mixed") in the folder named by the environment variable GOLDEN_DIR;
 * asserts. */
void golden_open(struct golden *golden, const char *name);
void golden_close(struct golden *golden);
/* A recorded tensor, or NULL. */
const float *golden_find(const struct golden *golden, const char *what, int subnet,
                         const char *name, size_t *ret_count);
/* Fills data and statistics of every tensor as generate.py does. */
void golden_fill(struct supernet *net);
/* count numbers in [-1, 1) that depend on the name. */
void golden_noise(const char *name, size_t count, float *ret_values);
