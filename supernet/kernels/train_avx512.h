/* What the AVX-512 training kernels share beyond runtime/kernels/avx512.h. Included only by files
 * that are compiled with these instruction sets. */
#pragma once

#include "runtime/kernels/avx512.h"
#include "supernet/kernels/train_avx2.h"

/* An activation's value and slope at z, as struct act_pair. */
struct act_pair2 {
    __m512 value, slope;
};

INLINE struct act_pair2 act_pair2(enum act act, __m512 z) {
    if (act == ACT_RELU) {
        __mmask16 above = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_GT_OQ);
        return (struct act_pair2){_mm512_maskz_mov_ps(above, z),
                                  _mm512_maskz_mov_ps(above, _mm512_set1_ps(1))};
    }
    if (act == ACT_RELU6) {
        __mmask16 inside = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_GT_OQ) &
                           _mm512_cmp_ps_mask(z, _mm512_set1_ps(6), _CMP_LT_OQ);
        return (struct act_pair2){act2(ACT_RELU6, z),
                                  _mm512_maskz_mov_ps(inside, _mm512_set1_ps(1))};
    }
    if (act == ACT_HSWISH) {
        __m512 sixth = _mm512_mul_ps(z, _mm512_set1_ps(1.0f / 6));
        __m512 open = _mm512_add_ps(sixth, _mm512_set1_ps(0.5f));
        __m512 gate = _mm512_max_ps(_mm512_min_ps(open, _mm512_set1_ps(1)), _mm512_setzero_ps());
        __mmask16 inside = _mm512_cmp_ps_mask(gate, open, _CMP_EQ_OQ);
        return (struct act_pair2){_mm512_mul_ps(z, gate),
                                  _mm512_mask_add_ps(gate, inside, gate, sixth)};
    }
    return (struct act_pair2){z, _mm512_set1_ps(1)};
}

/* scale and shift of one channel block for a pair; identity where a BN is absent. */
struct pair_affine {
    __m512 scale, shift;
};

INLINE struct pair_affine pair_affine_load(const struct bn_act *f, int c) {
    return (struct pair_affine){load_twice_or(f->scale, c, 1), load_twice_or(f->shift, c, 0)};
}

INLINE __m512 pair_affine_apply(struct pair_affine f, __m512 a) {
    return _mm512_fmadd_ps(a, f.scale, f.shift);
}
