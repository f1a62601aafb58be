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
/* Every kind of block: conv with and without residual, bottlenecks whose shortcut is the input for
 * some archs and a convolution for others, an inverted residual block behind. */
#define MIXED_SPACE                                                                                \
    "{\"name\":\"mixed\",\"input_channels\":1,\"n_classes\":5,\"resolutions\":[9,16],"             \
    "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":1,\"act\":\"relu\"},\"stages\":["       \
    "{\"name\":\"a\",\"block\":\"conv\",\"depths\":[1,2],\"channels\":[8,16],"                     \
    "\"kernel_sizes\":[3,5],\"stride\":2,\"act\":\"relu6\",\"residual\":true},"                    \
    "{\"block\":\"conv\",\"depths\":[1],\"channels\":[16],\"kernel_sizes\":[3],\"stride\":1,"      \
    "\"act\":\"relu\"},"                                                                           \
    "{\"block\":\"bottleneck\",\"depths\":[1],\"channels\":[16,24],\"kernel_sizes\":[3],"          \
    "\"expand_ratios\":[0.5],\"stride\":1,\"act\":\"h_swish\"},"                                   \
    "{\"name\":\"b\",\"block\":\"bottleneck\",\"depths\":[1,2],\"channels\":[24,32],"              \
    "\"kernel_sizes\":[3,5],\"expand_ratios\":[0.25,0.5],\"stride\":2,\"act\":\"relu\"},"          \
    "{\"depths\":[1],\"channels\":[32],\"kernel_sizes\":[3],\"expand_ratios\":[1,2],"              \
    "\"stride\":1,\"act\":\"h_swish\",\"se\":true}],"                                              \
    "\"head\":{\"expand_channels\":0,\"mix_channels\":0,\"act\":\"relu\"}}"
enum { MIXED_SUBNETS = 2 * (2 * (2 + 4)) * 2 * (2 * (4 + 16)) * 2 };
enum { TINY_SUBNETS = 2 * (2 * (2 + 4)) * (2 * (3 + 9)) * 3 };
