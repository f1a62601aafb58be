/* The passes over pixels of BN and activations, one channel block at a time. Sums run in two
 * levels, so that a long run does not lose digits. */
#include "supernet/kernels/train_avx2.h"

enum { RUN = 512 }; /* pixels that a first-level sum covers */

INLINE int run_end(int p, int pixels) {
    return p + RUN < pixels ? p + RUN : pixels;
}

INLINE void add_to(float *sum, __m256 value) {
    _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), value));
}

/* ---- act_sums ---- */

/* Even and odd pixels apart: one chain of additions would wait for itself. */
INLINE void sums_block(const enum act act, const struct act_sums_args *g, int c) {
    const float *a = g->a + c / 8 * g->a_block;
    struct block_affine bn = block_affine_load(&g->bn_act, c);
    __m256 total = _mm256_setzero_ps();
    for (int p = 0; p < g->pixels;) {
        __m256 even = _mm256_setzero_ps(), odd = even;
        int end = run_end(p, g->pixels);
        for (; p + 2 <= end; p += 2) {
            const float *pair = a + p * 8L;
            even = _mm256_add_ps(even, act_vec(act, block_affine_apply(bn, load(pair))));
            odd = _mm256_add_ps(odd, act_vec(act, block_affine_apply(bn, load(pair + 8))));
        }
        for (; p < end; p++)
            even = _mm256_add_ps(even, act_vec(act, block_affine_apply(bn, load(a + p * 8L))));
        total = _mm256_add_ps(total, _mm256_add_ps(even, odd));
    }
    add_to(g->sum + c, total);
}

void act_sums_f32_avx2(const struct act_sums_args *g) {
    for (int c = 0; c < g->channels; c += 8)
        WITH_CONSTANT_ACT(g->bn_act.act, sums_block(ACT, g, c));
}

/* ---- act_grad ---- */

struct act_grad_block {
    const float *a, *dy;
    const float *next_a; /* what a next block or tile will read */
    float *dz, *h;
    struct block_affine bn;
    __m256 gate, add;
};

/* dz of one pixel; stores dz and h where wanted. */
INLINE __m256 act_grad_pixel(const enum act act, const struct act_grad_block *b, long i, __m256 a) {
    struct act_pair at = act_pair_avx2(act, block_affine_apply(b->bn, a));
    __m256 dh = b->dy ? _mm256_fmadd_ps(load(b->dy + i), b->gate, b->add) : b->add;
    __m256 dz = _mm256_mul_ps(dh, at.slope);
    if (b->dz)
        _mm256_store_ps(b->dz + i, dz);
    if (b->h)
        _mm256_store_ps(b->h + i, _mm256_mul_ps(at.value, b->gate));
    return dz;
}

INLINE void act_grad_run(const enum act act, const struct act_grad_block *b, int pixels, float *sum,
                         float *sum_a) {
    __m256 total = _mm256_setzero_ps(), total_a = total;
    for (int p = 0; p < pixels;) {
        __m256 s = _mm256_setzero_ps(), s_a = s;
        for (int end = run_end(p, pixels); p < end; p++) {
            _mm_prefetch((const char *)(b->next_a + p * 8L), _MM_HINT_T0);
            __m256 a = load(b->a + p * 8L), dz = act_grad_pixel(act, b, p * 8L, a);
            s = _mm256_add_ps(s, dz);
            s_a = _mm256_fmadd_ps(dz, a, s_a);
        }
        total = _mm256_add_ps(total, s);
        total_a = _mm256_add_ps(total_a, s_a);
    }
    if (sum) {
        add_to(sum, total);
        add_to(sum_a, total_a);
    }
}

/* Pointers that are wanted or not are made constants, so that the inner loop has no branch. A
 * tile's blocks lie far apart, so the processor does not foresee them: the loop fetches the next
 * block, or the tile that follows (fetching beyond an end does no harm). */
INLINE void act_grad_block(const enum act act, const struct act_grad_args *g, int c) {
    struct act_grad_block b = {.a = g->a + c / 8 * g->a_block, .dy = NULL, .dz = NULL, .h = NULL};
    bool last = c + 8 == g->channels;
    b.next_a = last ? g->a + g->pixels * 8L : b.a + g->a_block;
    b.bn = block_affine_load(&g->bn_act, c);
    b.gate = load_or(g->gate, c, 1);
    b.add = load_or(g->add, c, 0);
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

void act_grad_f32_avx2(const struct act_grad_args *g) {
    for (int c = 0; c < g->channels; c += 8)
        WITH_CONSTANT_ACT(g->bn_act.act, act_grad_block(ACT, g, c));
}

/* ---- se_gate_grad ---- */

struct gate_block {
    const float *a, *dy;
    float *h;
    struct block_affine bn;
    __m256 gate;
};

/* *sum += dy * act(z) of pixel p; stores h where wanted. */
INLINE void gate_pixel(const enum act act, const struct gate_block *b, long p, __m256 *sum) {
    __m256 value = act_vec(act, block_affine_apply(b->bn, load(b->a + p * 8)));
    *sum = _mm256_fmadd_ps(value, load(b->dy + p * 8), *sum);
    if (b->h)
        _mm256_store_ps(b->h + p * 8, _mm256_mul_ps(value, b->gate));
}

INLINE void gate_run(const enum act act, const struct gate_block *b, int pixels, float *d_gate) {
    __m256 total = _mm256_setzero_ps();
    for (int p = 0; p < pixels;) {
        __m256 even = _mm256_setzero_ps(), odd = even;
        int end = run_end(p, pixels);
        for (; p + 2 <= end; p += 2) {
            gate_pixel(act, b, p, &even);
            gate_pixel(act, b, p + 1, &odd);
        }
        for (; p < end; p++)
            gate_pixel(act, b, p, &even);
        total = _mm256_add_ps(total, _mm256_add_ps(even, odd));
    }
    add_to(d_gate, total);
}

INLINE void gate_channels(const enum act act, const struct se_gate_grad_args *g, int c) {
    struct gate_block b = {.a = g->a + c / 8 * g->a_block, .dy = g->dy + c / 8 * g->dy_block};
    b.bn = block_affine_load(&g->bn_act, c);
    if (g->h) {
        b.h = g->h + c / 8 * g->h_block;
        b.gate = _mm256_loadu_ps(g->gate + c);
        gate_run(act, &b, g->pixels, g->d_gate + c);
    } else {
        b.h = NULL;
        b.gate = _mm256_setzero_ps();
        gate_run(act, &b, g->pixels, g->d_gate + c);
    }
}

void se_gate_grad_f32_avx2(const struct se_gate_grad_args *g) {
    for (int c = 0; c < g->channels; c += 8)
        WITH_CONSTANT_ACT(g->bn_act.act, gate_channels(ACT, g, c));
}

/* ---- bn_grad ---- */

void bn_grad_f32_avx2(const struct bn_grad_args *g) {
    for (int c = 0; c < g->channels; c += 8) {
        const float *a = g->a + c / 8 * g->a_block, *dz = g->dz + c / 8 * g->dz_block;
        float *da = g->da + c / 8 * g->da_block;
        __m256 on_dz = _mm256_loadu_ps(g->coef.on_dz + c), on_a = _mm256_loadu_ps(g->coef.on_a + c);
        __m256 offset = _mm256_loadu_ps(g->coef.offset + c);
        for (long i = 0; i < g->pixels * 8L; i += 8) {
            __m256 rest = _mm256_fmadd_ps(on_a, load(a + i), offset);
            _mm256_store_ps(da + i, _mm256_fmadd_ps(on_dz, load(dz + i), rest));
        }
    }
}
