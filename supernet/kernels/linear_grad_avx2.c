/* Both gradients of a dense layer are one product: c[m][j] (+)= sum_k a(m, k) * b[k][j], with b and
 * c row-major. Tiles of c stay in registers over all k. */
#include "supernet/kernels/train_avx2.h"

struct product {
    int m, n, k;
    const float *a; /* a(m, k) = a[m * a_m + k * a_k] */
    ptrdiff_t a_m, a_k;
    const float *b; /* [k][b_ld] */
    ptrdiff_t b_ld;
    float *c; /* [m][c_ld] */
    ptrdiff_t c_ld;
    bool add;
};

/* Lanes below n set, for the last columns. */
INLINE __m256i lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* M rows x V vectors at (m, j); left columns remain, so the last vector may be partial. */
INLINE void tile(const int M, const int V, const struct product *p, int m, int j) {
    __m256i mask = lanes(p->n - j - (V - 1) * 8);
    float *c = p->c + m * p->c_ld + j;
    __m256 acc[4][3];
    UNROLL
    for (int i = 0; i < M * V; i++) {
        float *at = c + i / V * p->c_ld + i % V * 8;
        if (!p->add)
            acc[i / V][i % V] = _mm256_setzero_ps();
        else if (i % V < V - 1)
            acc[i / V][i % V] = _mm256_loadu_ps(at);
        else
            acc[i / V][i % V] = _mm256_maskload_ps(at, mask);
    }
    const float *a = p->a + m * p->a_m, *b = p->b + j;
    for (int k = 0; k < p->k; k++, a += p->a_k, b += p->b_ld) {
        __m256 row[3];
        UNROLL
        for (int v = 0; v < V - 1; v++)
            row[v] = _mm256_loadu_ps(b + v * 8);
        row[V - 1] = _mm256_maskload_ps(b + (V - 1) * 8, mask);
        UNROLL
        for (int r = 0; r < M; r++) {
            __m256 value = _mm256_broadcast_ss(a + r * p->a_m);
            UNROLL
            for (int v = 0; v < V; v++)
                FMA(acc[r][v], value, row[v]);
        }
    }
    UNROLL
    for (int i = 0; i < M * V; i++) {
        float *at = c + i / V * p->c_ld + i % V * 8;
        if (i % V < V - 1)
            _mm256_storeu_ps(at, acc[i / V][i % V]);
        else
            _mm256_maskstore_ps(at, mask, acc[i / V][i % V]);
    }
}

INLINE void rows(const int M, const struct product *p, int m) {
    int j = 0;
    for (; p->n - j > 16; j += 24)
        tile(M, 3, p, m, j);
    if (p->n - j > 8)
        tile(M, 2, p, m, j);
    else if (p->n - j > 0)
        tile(M, 1, p, m, j);
}

static void multiply(const struct product *p) {
    int m = 0;
    for (; m + 4 <= p->m; m += 4)
        rows(4, p, m);
    for (; m < p->m; m++)
        rows(1, p, m);
}

static void add_bias(const struct linear_grad_args *a) {
    for (int image = 0; image < a->n; image++)
        for (int o = 0; o < a->c_out; o++)
            a->d_bias[o] += a->dy[image * a->dy_ld + o];
}

void linear_grad_f32_avx2(const struct linear_grad_args *a) {
    struct product weight = {.m = a->c_out,
                             .n = a->c_in,
                             .k = a->n,
                             .a = a->dy,
                             .a_m = 1,
                             .a_k = a->dy_ld,
                             .b = a->x,
                             .b_ld = a->x_ld,
                             .c = a->d_weight,
                             .c_ld = a->w_ld,
                             .add = true};
    struct product data = {.m = a->n,
                           .n = a->c_in,
                           .k = a->c_out,
                           .a = a->dy,
                           .a_m = a->dy_ld,
                           .a_k = 1,
                           .b = a->w,
                           .b_ld = a->w_ld,
                           .c = a->dx,
                           .c_ld = a->dx_ld};
    if (a->d_weight)
        multiply(&weight);
    if (a->d_bias)
        add_bias(a);
    if (a->dx)
        multiply(&data);
}
