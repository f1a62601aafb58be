/* The passes over pixels of BN and activations, one channel block at a time. Sums run in two
 * levels, so that a long run does not lose digits. What gains nothing from wider vectors takes the
 * AVX2 row: the stem's and the dense layers' gradients. */
#include "supernet/kernels/train_avx512.h"

enum { RUN = 512 }; /* pixels that a first-level sum covers */

INLINE int run_end(int p, int pixels) {
    return p + RUN < pixels ? p + RUN : pixels;
}

/* ---- act_sums ---- */

INLINE void sums_block(const enum act act, const struct act_sums_args *g, int c) {
    const float *a = g->a + c / 8 * g->a_block;
    struct pair_affine bn = pair_affine_load(&g->bn_act, c);
    __m512 total = _mm512_setzero_ps();
    for (int p = 0; p < g->pixels;) {
        __m512 even = _mm512_setzero_ps(), odd = even;
        int end = run_end(p, g->pixels);
        for (; p + 4 <= end; p += 4) {
            even = _mm512_add_ps(even, act2(act, pair_affine_apply(bn, load2(a + p * 8L))));
            odd = _mm512_add_ps(odd, act2(act, pair_affine_apply(bn, load2(a + p * 8L + 16))));
        }
        for (; p < end; p++) /* one pixel: what lies behind it must not count */
            even = _mm512_mask_add_ps(even, 0xff, even,
                                      act2(act, pair_affine_apply(bn, load1(a + p * 8L))));
        total = _mm512_add_ps(total, _mm512_add_ps(even, odd));
    }
    add_pair_to(g->sum + c, total);
}

void act_sums_f32_avx512(const struct act_sums_args *g) {
    for (int c = 0; c < g->channels; c += 8)
        WITH_CONSTANT_ACT(g->bn_act.act, sums_block(ACT, g, c));
}

/* ---- act_grad ---- */

struct act_grad_block {
    const float *a, *dy;
    const float *next_a; /* what a next block or tile will read */
    float *dz, *h;
    struct pair_affine bn;
    __m512 gate, add;
};

/* dz of a pair or one pixel (the upper half is then garbage); stores dz and h where wanted. */
INLINE __m512 act_grad_pair(const enum act act, const bool single, const struct act_grad_block *b,
                            long i, __m512 a) {
    struct act_pair2 at = act_pair2(act, pair_affine_apply(b->bn, a));
    __m512 dh = b->add;
    if (b->dy)
        dh = _mm512_fmadd_ps(single ? load1(b->dy + i) : load2(b->dy + i), b->gate, b->add);
    __m512 dz = _mm512_mul_ps(dh, at.slope);
    if (b->dz)
        single ? store1(b->dz + i, dz) : store2(b->dz + i, dz);
    if (b->h) {
        __m512 h = _mm512_mul_ps(at.value, b->gate);
        single ? store1(b->h + i, h) : store2(b->h + i, h);
    }
    return dz;
}

INLINE void act_grad_run(const enum act act, const struct act_grad_block *b, int pixels, float *sum,
                         float *sum_a) {
    __m512 total = _mm512_setzero_ps(), total_a = total;
    for (int p = 0; p < pixels;) {
        __m512 s = _mm512_setzero_ps(), s_a = s;
        int end = run_end(p, pixels);
        for (; p + 2 <= end; p += 2) {
            _mm_prefetch((const char *)(b->next_a + p * 8L), _MM_HINT_T0);
            __m512 a = load2(b->a + p * 8L), dz = act_grad_pair(act, false, b, p * 8L, a);
            s = _mm512_add_ps(s, dz);
            s_a = _mm512_fmadd_ps(dz, a, s_a);
        }
        for (; p < end; p++) {
            __m512 a = load1(b->a + p * 8L), dz = act_grad_pair(act, true, b, p * 8L, a);
            s = _mm512_mask_add_ps(s, 0xff, s, dz);
            s_a = _mm512_mask3_fmadd_ps(dz, a, s_a, 0xff);
        }
        total = _mm512_add_ps(total, s);
        total_a = _mm512_add_ps(total_a, s_a);
    }
    if (sum) {
        add_pair_to(sum, total);
        add_pair_to(sum_a, total_a);
    }
}

/* As in norm_avx2.c: wanted pointers are made constants, and the next block is fetched. */
INLINE void act_grad_block(const enum act act, const struct act_grad_args *g, int c) {
    struct act_grad_block b = {.a = g->a + c / 8 * g->a_block, .dy = NULL, .dz = NULL, .h = NULL};
    bool last = c + 8 == g->channels;
    b.next_a = last ? g->a + g->pixels * 8L : b.a + g->a_block;
    b.bn = pair_affine_load(&g->bn_act, c);
    b.gate = load_twice_or(g->gate, c, 1);
    b.add = load_twice_or(g->add, c, 0);
    float *sum = g->sum ? g->sum + c : NULL, *sum_a = g->sum ? g->sum_a + c : NULL;
    const float *dy = g->dy ? g->dy + c / 8 * g->dy_block : NULL;
    float *dz = g->dz ? g->dz + c / 8 * g->dz_block : NULL;
    float *h = g->h ? g->h + c / 8 * g->h_block : NULL;
    if (dy && dz && h) {
        b.dy = dy, b.dz = dz, b.h = h;
        act_grad_run(act, &b, g->pixels, sum, sum_a);
    } else if (dy && dz) {
        b.dy = dy, b.dz = dz;
        act_grad_run(act, &b, g->pixels, sum, sum_a);
    } else {
        b.dy = dy, b.dz = dz, b.h = h;
        act_grad_run(act, &b, g->pixels, sum, sum_a);
    }
}

void act_grad_f32_avx512(const struct act_grad_args *g) {
    for (int c = 0; c < g->channels; c += 8)
        WITH_CONSTANT_ACT(g->bn_act.act, act_grad_block(ACT, g, c));
}

/* ---- se_gate_grad ---- */

struct gate_block {
    const float *a, *dy;
    float *h;
    struct pair_affine bn;
    __m512 gate;
};

/* *sum += dy * act(z) of a pair or of one pixel; stores h where wanted. */
INLINE void gate_pair(const enum act act, const bool single, const struct gate_block *b, long i,
                      __m512 *sum) {
    __m512 a = single ? load1(b->a + i) : load2(b->a + i);
    __m512 dy = single ? load1(b->dy + i) : load2(b->dy + i);
    __m512 value = act2(act, pair_affine_apply(b->bn, a));
    *sum = _mm512_fmadd_ps(value, dy, *sum);
    if (b->h) {
        __m512 h = _mm512_mul_ps(value, b->gate);
        single ? store1(b->h + i, h) : store2(b->h + i, h);
    }
}

INLINE void gate_run(const enum act act, const struct gate_block *b, int pixels, float *d_gate) {
    __m512 total = _mm512_setzero_ps();
    for (int p = 0; p < pixels;) {
        __m512 even = _mm512_setzero_ps(), odd = even;
        int end = run_end(p, pixels);
        for (; p + 4 <= end; p += 4) {
            gate_pair(act, false, b, p * 8L, &even);
            gate_pair(act, false, b, p * 8L + 16, &odd);
        }
        for (; p < end; p++)
            gate_pair(act, true, b, p * 8L, &even);
        total = _mm512_add_ps(total, _mm512_add_ps(even, odd));
    }
    add_pair_to(d_gate, total);
}

INLINE void gate_channels(const enum act act, const struct se_gate_grad_args *g, int c) {
    struct gate_block b = {.a = g->a + c / 8 * g->a_block, .dy = g->dy + c / 8 * g->dy_block};
    b.bn = pair_affine_load(&g->bn_act, c);
    if (g->h) {
        b.h = g->h + c / 8 * g->h_block;
        b.gate = load_twice_or(g->gate, c, 1);
        gate_run(act, &b, g->pixels, g->d_gate + c);
    } else {
        b.h = NULL;
        b.gate = _mm512_setzero_ps();
        gate_run(act, &b, g->pixels, g->d_gate + c);
    }
}

void se_gate_grad_f32_avx512(const struct se_gate_grad_args *g) {
    for (int c = 0; c < g->channels; c += 8)
        WITH_CONSTANT_ACT(g->bn_act.act, gate_channels(ACT, g, c));
}

/* ---- bn_grad ---- */

void bn_grad_f32_avx512(const struct bn_grad_args *g) {
    for (int c = 0; c < g->channels; c += 8) {
        const float *a = g->a + c / 8 * g->a_block, *dz = g->dz + c / 8 * g->dz_block;
        float *da = g->da + c / 8 * g->da_block;
        __m512 on_dz = load_twice_or(g->coef.on_dz, c, 1);
        __m512 on_a = load_twice_or(g->coef.on_a, c, 0);
        __m512 offset = load_twice_or(g->coef.offset, c, 0);
        long n = g->pixels * 8L, i = 0;
        for (; i + 16 <= n; i += 16)
            store2(da + i, _mm512_fmadd_ps(on_dz, load2(dz + i),
                                           _mm512_fmadd_ps(on_a, load2(a + i), offset)));
        if (i < n)
            store1(da + i, _mm512_fmadd_ps(on_dz, load1(dz + i),
                                           _mm512_fmadd_ps(on_a, load1(a + i), offset)));
    }
}

void dense_grad_f32_avx512(const struct dense_grad_args *a) {
    dense_grad_f32_avx2(a);
}
void stem_grad_f32_avx512(const struct stem_grad_args *a) {
    stem_grad_f32_avx2(a);
}
void linear_grad_f32_avx512(const struct linear_grad_args *a) {
    linear_grad_f32_avx2(a);
}
