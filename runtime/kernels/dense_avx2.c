/* Dense k x k convolution as a product of matrices that is never laid out: tiles of 4 pixels x 24
 * outputs (6 x 16, 8 x 8) as of a 1x1 convolution, each pixel with an address for each tap. */
#include "runtime/kernels/avx2.h"

enum {
    RUN_PIXELS = 24, /* a multiple of every tile height */
    TAPS_MAX = SPACE_KERNEL_MAX * SPACE_KERNEL_MAX
};

/* Outputs (r0 + up * i, q0 + up * j): those that the same taps reach when x has zeros between. */
struct phase {
    int r0, q0, rows, columns;
};

/* Some outputs of a phase and where their taps read and they are stored. */
struct run {
    int n, n_taps;
    int tap[TAPS_MAX];                    /* which of the kernel's */
    ptrdiff_t from[TAPS_MAX][RUN_PIXELS]; /* floats from x; negative: zeros */
    ptrdiff_t to[RUN_PIXELS];             /* floats from y */
};

static const float zeros[8] __attribute__((aligned(32)));

/* Place of a tap's row or column for the first output of a phase, in pixels of x; false if the tap
 * falls between. */
static bool tap_start(const struct dense_args *a, int first, int tap, int *ret_start) {
    int place = first * a->stride + tap - a->kernel / 2;
    int start = (place + a->kernel * a->up) / a->up - a->kernel; /* floor */
    *ret_start = start;
    return start * a->up == place;
}

static void run_tap(const struct dense_args *a, const struct phase *phase, int p, int row0,
                    int column0, struct run *run) {
    ptrdiff_t *from = run->from[run->n_taps];
    int step = a->up > 1 ? 1 : a->stride, i = p / phase->columns, j = p % phase->columns;
    for (int m = 0; m < run->n; m++) {
        int row = row0 + i * step, column = column0 + j * step;
        bool inside = (unsigned)row < (unsigned)a->h_in && (unsigned)column < (unsigned)a->w_in;
        from[m] = inside ? ((ptrdiff_t)row * a->w_in + column) * 8 : -1;
        if (++j == phase->columns)
            i++, j = 0;
    }
}

/* The run of outputs [p, p + n) of a phase. */
static void run_init(const struct dense_args *a, const struct phase *phase, int p, int n,
                     struct run *run) {
    run->n = n;
    run->n_taps = 0;
    for (int m = 0; m < n; m++) {
        int r = phase->r0 + (p + m) / phase->columns * a->up;
        int q = phase->q0 + (p + m) % phase->columns * a->up;
        run->to[m] = ((ptrdiff_t)r * a->w_out + q) * 8;
    }
    for (int t = 0; t < a->kernel * a->kernel; t++) {
        int row0, column0;
        if (!tap_start(a, phase->r0, t / a->kernel, &row0) ||
            !tap_start(a, phase->q0, t % a->kernel, &column0))
            continue;
        run_tap(a, phase, p, row0, column0, run);
        run->tap[run->n_taps++] = t;
    }
}

/* Outputs [m0, m0 + pixels) of a run, 8 `vectors` channels from c on; w is their panel. first: the
 * output of a->y that the run begins with. */
INLINE void tile(const int pixels, const int vectors, const struct dense_args *a,
                 const struct run *run, int m0, const float *w, int c, int first) {
    __m256 acc[TILE_PIXELS][TILE_VECTORS];
    UNROLL
    for (int i = 0; i < pixels * vectors; i++)
        acc[i / vectors][i % vectors] = _mm256_setzero_ps();
    const ptrdiff_t block_weights = (ptrdiff_t)a->kernel * a->kernel * vectors * 64;
    const float *x = a->x;
    for (int blocks = a->c_in / 8; blocks > 0; blocks--, x += a->x_block, w += block_weights)
        for (int t = 0; t < run->n_taps; t++) {
            const ptrdiff_t *from = run->from[t] + m0;
            const float *weights = w + run->tap[t] * (vectors * 64), *p[TILE_PIXELS];
            ptrdiff_t all = -1;
            UNROLL
            for (int m = 0; m < pixels; m++) {
                p[m] = from[m] < 0 ? zeros : x + from[m];
                all &= from[m];
            }
            if (all < 0)
                continue;
            UNROLL
            for (int k = 0; k < 8; k++) {
                __m256 weight[TILE_VECTORS];
                UNROLL
                for (int v = 0; v < vectors; v++)
                    weight[v] = load(weights + (k * vectors + v) * 8);
                UNROLL
                for (int m = 0; m < pixels; m++) {
                    __m256 value = _mm256_broadcast_ss(p[m] + k);
                    UNROLL
                    for (int v = 0; v < vectors; v++)
                        FMA(acc[m][v], value, weight[v]);
                }
            }
        }
    epilogue_avx2(pixels, vectors, &a->epi, acc, first + m0, c, a->y + c / 8 * a->y_block,
                  a->y_block, run->to + m0);
}

#define TILE(pixels, vectors)                                                                      \
    static __attribute__((noinline)) void tile_##pixels##x##vectors(                               \
        const struct dense_args *a, const struct run *run, int m0, const float *w, int c,          \
        int first) {                                                                               \
        tile(pixels, vectors, a, run, m0, w, c, first);                                            \
    }
/* clang-format off */
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3)
    /* clang-format on */

    typedef void tile_function(const struct dense_args *, const struct run *, int, const float *,
                               int, int);
/* [vectors of the panel][pixels - 1] */
static tile_function *const tiles[4][8] = {
    {NULL},
    {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1},
    {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    {tile_1x3, tile_2x3, tile_3x3, tile_4x3}};
static const int tile_pixels[4] = {0, 8, 6, 4};

/* Outputs [p, p + n) of a phase, all channels. */
static void run_outputs(const struct dense_args *a, const struct phase *phase, int p, int n) {
    struct run run;
    run_init(a, phase, p, n, &run);
    for (int c = 0, width; c < a->c_out; c += width) {
        width = pw_panel(a->c_out - c);
        const float *w = a->w + (ptrdiff_t)c * a->c_in * a->kernel * a->kernel;
        int vectors = width / 8, full = tile_pixels[vectors], m = 0;
        for (; m + full <= n; m += full)
            tiles[vectors][full - 1](a, &run, m, w, c, p);
        if (m < n)
            tiles[vectors][n - m - 1](a, &run, m, w, c, p);
    }
}

static void run_phase(const struct dense_args *a, const struct phase *phase, int first, int end) {
    for (int p = first; p < end; p += RUN_PIXELS)
        run_outputs(a, phase, p, end - p < RUN_PIXELS ? end - p : RUN_PIXELS);
}

void dense_f32_avx2(const struct dense_args *a) {
    if (a->up == 1) {
        struct phase all = {0, 0, a->h_out, a->w_out};
        run_phase(a, &all, a->first, a->first + a->pixels);
        return;
    }
    for (int r0 = 0; r0 < a->up; r0++)
        for (int q0 = 0; q0 < a->up; q0++) {
            struct phase phase = {r0, q0, (a->h_out - r0 + a->up - 1) / a->up,
                                  (a->w_out - q0 + a->up - 1) / a->up};
            if (phase.rows > 0 && phase.columns > 0)
                run_phase(a, &phase, 0, phase.rows * phase.columns);
        }
}
