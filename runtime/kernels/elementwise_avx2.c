/* Per-channel passes, vectors and layout changes. */
#include "runtime/kernels/avx2.h"

INLINE void affine_block(const enum act act, const float *x, const float *residual, float *y,
                         int pixels, __m256 scale, __m256 shift) {
    if (residual) {
        for (ptrdiff_t i = 0; i < (ptrdiff_t)pixels * 8; i += 8) {
            __m256 v = act_avx2(act, _mm256_fmadd_ps(load(x + i), scale, shift));
            _mm256_store_ps(y + i, _mm256_add_ps(v, load(residual + i)));
        }
    } else {
        for (ptrdiff_t i = 0; i < (ptrdiff_t)pixels * 8; i += 8)
            _mm256_store_ps(y + i, act_avx2(act, _mm256_fmadd_ps(load(x + i), scale, shift)));
    }
}

void affine_f32_avx2(const struct affine_args *a) {
    for (int b = 0; b < a->channels / 8; b++) {
        __m256 scale = load_or(a->scale, b * 8, 1), shift = load_or(a->shift, b * 8, 0);
        const float *x = a->x + b * a->x_block;
        const float *residual = a->residual ? a->residual + b * a->residual_block : NULL;
        float *y = a->y + b * a->y_block;
        switch (a->act) {
        case ACT_NONE:
            affine_block(ACT_NONE, x, residual, y, a->pixels, scale, shift);
            break;
        case ACT_RELU:
            affine_block(ACT_RELU, x, residual, y, a->pixels, scale, shift);
            break;
        case ACT_HSWISH:
            affine_block(ACT_HSWISH, x, residual, y, a->pixels, scale, shift);
            break;
        case ACT_HSIGMOID:
            affine_block(ACT_HSIGMOID, x, residual, y, a->pixels, scale, shift);
            break;
        case ACT_RELU6:
            affine_block(ACT_RELU6, x, residual, y, a->pixels, scale, shift);
            break;
        }
    }
}

static void add_to(float *sum, __m256 v) {
    _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), v));
}

/* Four partial sums hide the latency of the addition. */
static void sum_block(const float *x, int pixels, float *sum) {
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps()};
    int p = 0;
    for (; p + 4 <= pixels; p += 4)
        for (int i = 0; i < 4; i++)
            s[i] = _mm256_add_ps(s[i], load(x + (p + i) * 8));
    for (; p < pixels; p++)
        s[0] = _mm256_add_ps(s[0], load(x + p * 8));
    add_to(sum, _mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
}

static void sum_square_block(const float *x, int pixels, float *sum_sq) {
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                   _mm256_setzero_ps()};
    int p = 0;
    for (; p + 4 <= pixels; p += 4)
        for (int i = 0; i < 4; i++) {
            __m256 v = load(x + (p + i) * 8);
            s[i] = _mm256_fmadd_ps(v, v, s[i]);
        }
    for (; p < pixels; p++) {
        __m256 v = load(x + p * 8);
        s[0] = _mm256_fmadd_ps(v, v, s[0]);
    }
    add_to(sum_sq, _mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
}

void stats_f32_avx2(const struct stats_args *a) {
    for (int b = 0; b < a->channels / 8; b++) {
        const float *x = a->x + b * a->x_block;
        sum_block(x, a->pixels, a->sum + b * 8);
        if (a->sum_sq)
            sum_square_block(x, a->pixels, a->sum_sq + b * 8);
    }
}

/* `blocks` blocks of outputs, each in `parts` partial sums: blocks * parts = 8 chains hide the
 * latency of FMA. */
INLINE void linear_blocks(const int blocks, const int parts, const struct linear_args *a,
                          int first) {
    __m256 acc[8];
    const ptrdiff_t stride = (ptrdiff_t)a->c_in * 8;
    const float *w = a->w + first * stride;
    UNROLL
    for (int i = 0; i < blocks * parts; i++)
        acc[i] = _mm256_setzero_ps();
    int i = 0;
    for (; i + parts <= a->c_in; i += parts) {
        UNROLL
        for (int part = 0; part < parts; part++) {
            __m256 x = _mm256_broadcast_ss(a->x + i + part);
            UNROLL
            for (int b = 0; b < blocks; b++)
                FMA(acc[b * parts + part], x, load(w + b * stride + (i + part) * 8));
        }
    }
    for (; i < a->c_in; i++) {
        __m256 x = _mm256_broadcast_ss(a->x + i);
        UNROLL
        for (int b = 0; b < blocks; b++)
            FMA(acc[b * parts], x, load(w + b * stride + i * 8));
    }
    UNROLL
    for (int b = 0; b < blocks; b++) {
        __m256 v = load_or(a->bias, (first + b) * 8, 0);
        UNROLL
        for (int part = 0; part < parts; part++)
            v = _mm256_add_ps(v, acc[b * parts + part]);
        _mm256_storeu_ps(a->y + (first + b) * 8, act_avx2(a->act, v));
    }
}

void linear_f32_avx2(const struct linear_args *a) {
    int blocks = (a->c_out + 7) / 8, b = 0;
    for (; b + 8 <= blocks; b += 8)
        linear_blocks(8, 1, a, b);
    for (; b + 4 <= blocks; b += 4)
        linear_blocks(4, 2, a, b);
    for (; b + 2 <= blocks; b += 2)
        linear_blocks(2, 4, a, b);
    for (; b < blocks; b++)
        linear_blocks(1, 8, a, b);
}

/* 8 x 8 transposition in registers. */
INLINE void transpose(__m256 r[8]) {
    __m256 t[8], u[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

void to_blocked_f32_avx2(const struct layout_args *a) {
    int whole = a->pixels / 8 * 8;
    for (int c = 0; c < a->channels; c += 8) {
        float *y = a->y + c / 8 * a->block;
        int lanes = a->channels - c < 8 ? a->channels - c : 8;
        const float *x = a->x + (ptrdiff_t)c * a->pixels;
        for (int p = 0; p < whole; p += 8) {
            __m256 r[8];
            for (int i = 0; i < 8; i++)
                r[i] = i < lanes ? _mm256_loadu_ps(x + (ptrdiff_t)i * a->pixels + p)
                                 : _mm256_setzero_ps();
            transpose(r);
            for (int i = 0; i < 8; i++)
                _mm256_store_ps(y + (p + i) * 8, r[i]);
        }
        for (int p = whole; p < a->pixels; p++)
            for (int i = 0; i < 8; i++)
                y[p * 8 + i] = i < lanes ? x[(ptrdiff_t)i * a->pixels + p] : 0;
    }
}

void from_blocked_f32_avx2(const struct layout_args *a) {
    int whole = a->pixels / 8 * 8;
    for (int c = 0; c < a->channels; c += 8) {
        const float *x = a->x + c / 8 * a->block;
        int lanes = a->channels - c < 8 ? a->channels - c : 8;
        float *y = a->y + (ptrdiff_t)c * a->pixels;
        for (int p = 0; p < whole; p += 8) {
            __m256 r[8];
            for (int i = 0; i < 8; i++)
                r[i] = load(x + (p + i) * 8);
            transpose(r);
            for (int i = 0; i < lanes; i++)
                _mm256_storeu_ps(y + (ptrdiff_t)i * a->pixels + p, r[i]);
        }
        for (int p = whole; p < a->pixels; p++)
            for (int i = 0; i < lanes; i++)
                y[(ptrdiff_t)i * a->pixels + p] = x[p * 8 + i];
    }
}
