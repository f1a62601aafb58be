/* Per-channel passes. What gains nothing from wider vectors takes the AVX2 row: the stem's dense
 * convolution, single vectors and layout changes. */
#include "runtime/kernels/avx512.h"

INLINE void affine_block(const enum act act, const struct affine_args *a, int b) {
    __m512 scale = load_twice_or(a->scale, b * 8, 1), shift = load_twice_or(a->shift, b * 8, 0);
    const float *x = a->x + b * a->x_block;
    const float *residual = a->residual ? a->residual + b * a->residual_block : NULL;
    float *y = a->y + b * a->y_block;
    ptrdiff_t n = (ptrdiff_t)a->pixels * 8, i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 v = act2(act, _mm512_fmadd_ps(load2(x + i), scale, shift));
        store2(y + i, residual ? _mm512_add_ps(v, load2(residual + i)) : v);
    }
    if (i < n) {
        __m512 v = act2(act, _mm512_fmadd_ps(load1(x + i), scale, shift));
        store1(y + i, residual ? _mm512_add_ps(v, load1(residual + i)) : v);
    }
}

void affine_f32_avx512(const struct affine_args *a) {
    for (int b = 0; b < a->channels / 8; b++)
        WITH_EACH_ACT(a->act, affine_block(ACT, a, b));
}

/* Partial sums hide the latency of the addition. */
static void stats_block(const float *x, int pixels, float *sum, float *sum_sq) {
    __m512 s[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, q[2] = {s[0], s[0]};
    int p = 0;
    for (; p + 4 <= pixels; p += 4)
        for (int i = 0; i < 2; i++) {
            __m512 v = load2(x + (p + 2 * i) * 8);
            s[i] = _mm512_add_ps(s[i], v);
            q[i] = _mm512_fmadd_ps(v, v, q[i]);
        }
    for (; p < pixels; p++) {
        __m512 v = load1(x + p * 8);
        s[0] = _mm512_add_ps(s[0], v);
        q[0] = _mm512_fmadd_ps(v, v, q[0]);
    }
    add_pair_to(sum, _mm512_add_ps(s[0], s[1]));
    if (sum_sq)
        add_pair_to(sum_sq, _mm512_add_ps(q[0], q[1]));
}

void stats_f32_avx512(const struct stats_args *a) {
    for (int b = 0; b < a->channels / 8; b++)
        stats_block(a->x + b * a->x_block, a->pixels, a->sum + b * 8,
                    a->sum_sq ? a->sum_sq + b * 8 : NULL);
}

void conv_f32_avx512(const struct conv_args *a) {
    conv_f32_avx2(a);
}
void linear_f32_avx512(const struct linear_args *a) {
    linear_f32_avx2(a);
}
void to_blocked_f32_avx512(const struct layout_args *a) {
    to_blocked_f32_avx2(a);
}
void from_blocked_f32_avx512(const struct layout_args *a) {
    from_blocked_f32_avx2(a);
}
