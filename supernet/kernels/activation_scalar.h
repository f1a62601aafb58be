/* Activations and their derivatives, one value at a time: the specification. */
#pragma once

#include <assert.h>

#include "supernet/kernels/train_kernels.h"

static inline float act_value(enum act act, float z) {
    switch (act) {
    case ACT_NONE:
        return z;
    case ACT_RELU:
        return z > 0 ? z : 0;
    case ACT_HSWISH:
        return z <= -3 ? 0 : z >= 3 ? z : z * (z + 3) * (1.0f / 6);
    case ACT_RELU6:
        return z < 0 ? 0 : z > 6 ? 6 : z;
    case ACT_HSIGMOID:
        break;
    }
    assert(!"no activation behind a BN");
    return 0;
}

static inline float act_slope(enum act act, float z) {
    switch (act) {
    case ACT_NONE:
        return 1;
    case ACT_RELU:
        return z > 0 ? 1 : 0;
    case ACT_HSWISH:
        return z < -3 ? 0 : z > 3 ? 1 : z * (1.0f / 3) + 0.5f; /* as PyTorch at the corners */
    case ACT_RELU6:
        return z > 0 && z < 6 ? 1 : 0;
    case ACT_HSIGMOID:
        break;
    }
    assert(!"no activation behind a BN");
    return 0;
}

/* z of channel c. */
static inline float bn_act_pre(const struct bn_act *f, int c, float a) {
    return f->scale ? f->scale[c] * a + f->shift[c] : a;
}

static inline float bn_act_value(const struct bn_act *f, int c, float a) {
    return act_value(f->act, bn_act_pre(f, c, a));
}
