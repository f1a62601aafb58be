/* What the tests of space/ share. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "space/arch.h"

static inline struct space *builtin(const char *name) {
    struct space *space = NULL;
    struct err err = {0};
    if (space_builtin(name, &err, &space))
        fail_msg("%s: %s %s", name, err.pointer, err.message);
    return space;
}

static inline struct space *parsed_space(const char *text) {
    struct space *space = NULL;
    struct err err = {0};
    if (space_parse(text, strlen(text), &err, &space))
        fail_msg("%s: %s", err.pointer, err.message);
    return space;
}

static inline struct arch parsed(const struct space *space, const char *text) {
    struct arch arch;
    struct err err = {0};
    memset(&arch, 0, sizeof(arch));
    if (arch_parse(space, text, strlen(text), &err, &arch))
        fail_msg("%s: %s", text, err.message);
    return arch;
}

/* The next arch in counting order over all genes; false behind the last. */
static inline bool next_arch(const struct gene *genes, int n, struct arch *arch) {
    for (int i = 0; i < n; i++) {
        int choice = arch_gene(arch, &genes[i]) + 1;
        if (choice < genes[i].n_choices) {
            arch_set_gene(arch, &genes[i], choice);
            return true;
        }
        arch_set_gene(arch, &genes[i], 0);
    }
    return false;
}

/* Two resolutions, elastic width in both stages, an expand ratio of 1, SE, stride 2: 1,728 distinct
 * subnets. */
#define TINY_STAGES                                                                                \
    "{\"name\":\"a\",\"depths\":[1,2],\"channels\":[8,16],\"kernel_sizes\":[3,5],"                 \
    "\"expand_ratios\":[1],\"stride\":2,\"act\":\"relu\",\"se\":false},"                           \
    "{\"name\":\"b\",\"depths\":[1,2],\"channels\":[16,24],\"kernel_sizes\":[3],"                  \
    "\"expand_ratios\":[1,2,3.5],\"stride\":1,\"act\":\"h_swish\",\"se\":true},"                   \
    "{\"depths\":[1],\"channels\":[24],\"kernel_sizes\":[3,5,7],\"expand_ratios\":[2],"            \
    "\"stride\":2,\"act\":\"h_swish\",\"se\":true}"
#define TINY_SPACE                                                                                 \
    "{\"name\":\"tiny\",\"input_channels\":3,\"n_classes\":4,\"resolutions\":[9,16],"              \
    "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":1,\"act\":\"h_swish\"},\"stages\":"     \
    "[" TINY_STAGES                                                                                \
    "],\"head\":{\"expand_channels\":32,\"mix_channels\":40,\"mix_bias\":true,\"act\":\"relu\"}}"
enum { TINY_SUBNETS = 2 * (2 * (2 + 4)) * (2 * (3 + 9)) * 3 };
