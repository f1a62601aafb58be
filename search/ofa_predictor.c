#include "search/ofa_predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum {
    H = OFA_PREDICTOR_HIDDEN,
    LAYERS = OFA_PREDICTOR_LAYERS,
    STAGES = 5,
    BLOCKS = 20, /* four of each stage */
    CHOICES = 3,
    LANES = 16,
    BATCH = 8,   /* archs at a time: their sums of 16 outputs stay in registers */
    BATCHES = 8, /* at a time: rows of both sides stay in the second cache */
    ACTIVE_MAX = 2 * BLOCKS + 1
};
static const int kernels[CHOICES] = {3, 5, 7};
static const double ratios[CHOICES] = {3, 4, 6};

/* One function compiled for several processors, chosen when the program is loaded. */
#ifdef PROCESSOR_CLONES
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

/* Without it GCC leaves the sums of a batch in memory at -O2; clang unrolls by itself. */
#ifdef __clang__
#define UNROLLED
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

struct ofa_predictor {
    const struct space *space;
    int stages[STAGES];                     /* of the space */
    int resolutions[SPACE_RESOLUTIONS_MAX]; /* the input of each of the space's */
    int inputs;
    float *first;            /* [inputs, H] */
    float *middle[2];        /* [H, H], inputs before outputs */
    float *panels[2];        /* the same by panels of LANES outputs: [H / LANES, H, LANES] */
    float *last;             /* [H] */
    float *bias[LAYERS - 1]; /* [H] */
    float last_bias;
};

/* --- which input a choice is --- */

static int kernel_place(int kernel) {
    for (int i = 0; i < CHOICES; i++)
        if (kernels[i] == kernel)
            return i;
    return -1;
}

static int ratio_place(double ratio) {
    for (int i = 0; i < CHOICES; i++)
        if (ratios[i] == ratio)
            return i;
    return -1;
}

void ofa_predictor_tutorial_resolutions(struct ofa_predictor_weights *weights) {
    weights->n_resolutions = 8;
    for (int i = 0; i < weights->n_resolutions; i++)
        weights->resolutions[i] = 112 + 16 * i;
}

static int resolution_place(const struct ofa_predictor_weights *weights, int resolution) {
    for (int i = 0; i < weights->n_resolutions; i++)
        if (weights->resolutions[i] == resolution)
            return i;
    return -1;
}

int ofa_predictor_resolutions(const struct ofa_predictor_weights *weights,
                              const struct space *space, int ret[OFA_PREDICTOR_RESOLUTIONS_MAX]) {
    int n = 0;
    for (int i = 0; i < space->n_resolutions; i++)
        if (resolution_place(weights, space->resolutions[i]) >= 0)
            ret[n++] = space->resolutions[i];
    return n;
}

static bool stage_fits(const struct space_stage *stage) {
    if (stage->block != BLOCK_INVERTED_RESIDUAL || stage->max_depth > BLOCKS / STAGES ||
        stage->channels.n != 1)
        return false;
    for (int i = 0; i < stage->kernel_sizes.n; i++)
        if (kernel_place(stage->kernel_sizes.value[i]) < 0)
            return false;
    for (int i = 0; i < stage->n_expand_ratios; i++)
        if (ratio_place(stage->expand_ratios[i]) < 0)
            return false;
    return true;
}

static bool stage_is_fixed(const struct space_stage *stage) {
    return stage->depths.n == 1 && stage->kernel_sizes.n == 1 && stage->n_expand_ratios == 1 &&
           stage->channels.n == 1;
}

static int find_stages(const struct space *space, struct err *err, int ret_stages[STAGES]) {
    int n = 0;
    for (int s = 0; s < space->n_stages; s++) {
        if (stage_fits(&space->stages[s]) && n < STAGES)
            ret_stages[n++] = s;
        else if (!stage_is_fixed(&space->stages[s]))
            n = STAGES + 1;
    }
    return n == STAGES ? 0
                       : err_set(err, ESP_EMISMATCH, NULL,
                                 "the accuracy predictor is of once-for-all's MobileNetV3 space, "
                                 "which \"%s\" is not",
                                 space->name);
}

static int find_resolutions(const struct ofa_predictor_weights *weights, const struct space *space,
                            struct err *err, int ret[SPACE_RESOLUTIONS_MAX]) {
    for (int i = 0; i < space->n_resolutions; i++) {
        int place = resolution_place(weights, space->resolutions[i]);
        if (place < 0)
            return err_set(err, ESP_EMISMATCH, NULL,
                           "the accuracy predictor does not know images of %d pixels",
                           space->resolutions[i]);
        ret[i] = OFA_PREDICTOR_CHOICES + place;
    }
    return 0;
}

/* The inputs that are one. */
static int active_inputs(const struct ofa_predictor *p, const struct arch *arch,
                         int ret[ACTIVE_MAX]) {
    const struct space *space = p->space;
    int n = 0;
    for (int s = 0; s < STAGES; s++) {
        const struct space_stage *stage = &space->stages[p->stages[s]];
        int depth = stage->depths.value[arch->depth[p->stages[s]]];
        for (int d = 0; d < depth; d++) {
            int block = stage->first_block + d, place = BLOCKS / STAGES * s + d;
            ret[n++] =
                CHOICES * place + kernel_place(stage->kernel_sizes.value[arch->kernel[block]]);
            ret[n++] =
                CHOICES * (BLOCKS + place) + ratio_place(stage->expand_ratios[arch->expand[block]]);
        }
    }
    ret[n++] = p->resolutions[arch->resolution];
    return n;
}

/* --- making --- */

static float *transposed(const float *weight, int outputs, int inputs) {
    float *out = mem_aligned((size_t)outputs * (size_t)inputs, sizeof *out);
    for (int o = 0; out && o < outputs; o++)
        for (int i = 0; i < inputs; i++)
            out[i * outputs + o] = weight[o * inputs + i];
    return out;
}

/* [H, H] by panels of LANES outputs, so that one is read from end to end. */
static float *in_panels(const float *weight) {
    float *out = mem_aligned((size_t)H * H, sizeof *out);
    for (int o = 0; out && o < H; o++)
        for (int i = 0; i < H; i++)
            out[(o / LANES * H + i) * LANES + o % LANES] = weight[i * H + o];
    return out;
}

static bool all_finite(const float *x, int n) {
    for (int i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static int check_weights(const struct ofa_predictor_weights *weights, struct err *err) {
    const int inputs[LAYERS] = {ofa_predictor_inputs(weights), H, H, H},
              outputs[LAYERS] = {H, H, H, 1};
    for (int l = 0; l < LAYERS; l++)
        if (!all_finite(weights->weight[l], inputs[l] * outputs[l]) ||
            !all_finite(weights->bias[l], outputs[l]))
            return err_set(err, ESP_EINVAL, NULL,
                           "the accuracy predictor has a weight that is not finite");
    return 0;
}

int ofa_predictor_create(const struct space *space, const struct ofa_predictor_weights *weights,
                         struct err *err, struct ofa_predictor **ret_predictor) {
    int stages[STAGES], resolutions[SPACE_RESOLUTIONS_MAX];
    int code = find_stages(space, err, stages);
    if (code == 0)
        code = find_resolutions(weights, space, err, resolutions);
    if (code == 0)
        code = check_weights(weights, err);
    if (code < 0)
        return code;
    struct ofa_predictor *p = mem_array(1, sizeof *p);
    bool whole = p != NULL;
    if (p) {
        p->space = space;
        p->inputs = ofa_predictor_inputs(weights);
        memcpy(p->stages, stages, sizeof stages);
        memcpy(p->resolutions, resolutions, sizeof resolutions);
        p->last_bias = weights->bias[LAYERS - 1][0];
        whole = (p->first = transposed(weights->weight[0], H, ofa_predictor_inputs(weights))) &&
                (p->last = transposed(weights->weight[LAYERS - 1], 1, H));
        for (int l = 0; l < 2; l++)
            whole = whole && (p->middle[l] = transposed(weights->weight[l + 1], H, H)) &&
                    (p->panels[l] = in_panels(p->middle[l]));
        for (int l = 0; l < LAYERS - 1; l++)
            whole = whole && (p->bias[l] = transposed(weights->bias[l], H, 1));
    }
    if (!whole) {
        ofa_predictor_destroy(p);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    }
    *ret_predictor = p;
    return 0;
}

void ofa_predictor_destroy(struct ofa_predictor *p) {
    if (!p)
        return;
    free(p->first);
    free(p->last);
    for (int l = 0; l < 2; l++) {
        free(p->middle[l]);
        free(p->panels[l]);
    }
    for (int l = 0; l < LAYERS - 1; l++)
        free(p->bias[l]);
    free(p);
}

/* --- running --- */

/* The inputs are ones, so the first layer is a sum of rows. */
CLONES static void first_layer(const struct ofa_predictor *p, const int *active, int n,
                               float y[H]) {
    for (int o = 0; o < H; o += LANES) {
        lanes sum, row;
        memcpy(&sum, p->bias[0] + o, sizeof sum);
        for (int i = 0; i < n; i++) {
            memcpy(&row, p->first + active[i] * H + o, sizeof row);
            sum += row;
        }
        for (int k = 0; k < LANES; k++)
            y[o + k] = sum[k] > 0 ? sum[k] : 0;
    }
}

/* y = relu(weight' x + bias) of so many batches: a panel of the weights stays in the nearest cache
 * for all of them. */
CLONES static void layer(const float *panels, const float *bias, int batches,
                         float (*restrict x)[BATCH][H], float (*restrict y)[BATCH][H]) {
    for (int o = 0; o < H; o += LANES, panels += H * LANES)
        for (int at = 0; at < batches; at++) {
            lanes sums[BATCH];
            UNROLLED
            for (int b = 0; b < BATCH; b++)
                memcpy(&sums[b], bias + o, sizeof sums[b]);
            for (int i = 0; i < H; i++) {
                lanes w;
                memcpy(&w, panels + i * LANES, sizeof w);
                UNROLLED
                for (int b = 0; b < BATCH; b++)
                    sums[b] += w * x[at][b][i];
            }
            UNROLLED
            for (int b = 0; b < BATCH; b++)
                for (int k = 0; k < LANES; k++)
                    y[at][b][o + k] = sums[b][k] > 0 ? sums[b][k] : 0;
        }
}

/* Each row's sum in the order of its inputs. */
static void last_layer(const struct ofa_predictor *p, float x[BATCH][H], int n, double *ret_top1) {
    double sums[BATCH];
    for (int b = 0; b < BATCH; b++)
        sums[b] = p->last_bias;
    for (int i = 0; i < H; i++)
        for (int b = 0; b < BATCH; b++)
            sums[b] += p->last[i] * x[b][i];
    memcpy(ret_top1, sums, (size_t)n * sizeof *sums);
}

static int least(int a, int b) {
    return a < b ? a : b;
}

void ofa_predictor_run(const struct ofa_predictor *p, const struct arch *const *archs, int n,
                       double *ret_top1) {
    float x[BATCHES][BATCH][H], y[BATCHES][BATCH][H];
    for (int begin = 0; begin < n; begin += BATCHES * BATCH) {
        int count = least(n - begin, BATCHES * BATCH), batches = (count + BATCH - 1) / BATCH;
        memset(x[batches - 1], 0, sizeof x[0]);
        for (int b = 0; b < count; b++) {
            int active[ACTIVE_MAX], n_active = active_inputs(p, archs[begin + b], active);
            first_layer(p, active, n_active, x[b / BATCH][b % BATCH]);
        }
        layer(p->panels[0], p->bias[1], batches, x, y);
        layer(p->panels[1], p->bias[2], batches, y, x);
        for (int b = 0; b < count; b += BATCH)
            last_layer(p, x[b / BATCH], least(count - b, BATCH), ret_top1 + begin + b);
    }
}

/* --- the relaxed space --- */

/* An input that a probability feeds: it is the chance that the block is there times that. */
struct feed {
    int stage, position; /* of the block; position -1: the resolution, which is always there */
    int from, input;     /* places among the probabilities and the inputs */
};
enum { FEEDS_MAX = 2 * BLOCKS * CHOICES + SPACE_RESOLUTIONS_MAX };

static int list_feeds(const struct ofa_predictor *p, const struct relaxed_shape *shape,
                      struct feed ret_feeds[FEEDS_MAX]) {
    const struct space *space = p->space;
    int n = 0;
    for (int s = 0; s < STAGES; s++) {
        const struct space_stage *stage = &space->stages[p->stages[s]];
        for (int d = 0; d < stage->max_depth; d++) {
            int block = stage->first_block + d, place = BLOCKS / STAGES * s + d;
            for (int k = 0; k < stage->kernel_sizes.n; k++)
                ret_feeds[n++] =
                    (struct feed){p->stages[s], d, shape->kernel[block] + k,
                                  CHOICES * place + kernel_place(stage->kernel_sizes.value[k])};
            for (int e = 0; e < stage->n_expand_ratios; e++)
                ret_feeds[n++] = (struct feed){p->stages[s], d, shape->expand[block] + e,
                                               CHOICES * (BLOCKS + place) +
                                                   ratio_place(stage->expand_ratios[e])};
        }
    }
    for (int r = 0; r < space->n_resolutions; r++)
        ret_feeds[n++] = (struct feed){-1, -1, r, p->resolutions[r]};
    return n;
}

/* y = relu(weight' x + bias); inputs that are 0 cost nothing. */
CLONES static void forward(const float *weight, const float *bias, const float *x, int n,
                           float y[H]) {
    memcpy(y, bias, H * sizeof *y);
    for (int i = 0; i < n; i++) {
        if (x[i] == 0)
            continue;
        for (int o = 0; o < H; o += LANES) {
            lanes sum, w;
            memcpy(&sum, y + o, sizeof sum);
            memcpy(&w, weight + i * H + o, sizeof w);
            sum += x[i] * w;
            memcpy(y + o, &sum, sizeof sum);
        }
    }
    for (int o = 0; o < H; o++)
        y[o] = y[o] > 0 ? y[o] : 0;
}

/* by_x = weight by_y; where x is given, a hidden layer, only where x is positive. */
CLONES static void backward(const float *weight, const float by_y[H], const float *x, int n,
                            float *by_x) {
    for (int i = 0; i < n; i++) {
        lanes sums = {0};
        float sum = 0;
        for (int o = 0; o < H && !(x && x[i] <= 0); o += LANES) {
            lanes d, w;
            memcpy(&d, by_y + o, sizeof d);
            memcpy(&w, weight + i * H + o, sizeof w);
            sums += d * w;
        }
        for (int k = 0; k < LANES; k++)
            sum += sums[k];
        by_x[i] = sum;
    }
}

/* Value, and the derivative by each input. */
static double run_back(const struct ofa_predictor *p, const float *inputs, float *by_input) {
    float y[LAYERS - 1][H], by[H], below[H];
    double top1 = p->last_bias;
    forward(p->first, p->bias[0], inputs, p->inputs, y[0]);
    for (int l = 0; l < LAYERS - 2; l++)
        forward(p->middle[l], p->bias[l + 1], y[l], H, y[l + 1]);
    for (int i = 0; i < H; i++) {
        top1 += (double)p->last[i] * (double)y[LAYERS - 2][i];
        by[i] = y[LAYERS - 2][i] > 0 ? p->last[i] : 0;
    }
    for (int l = LAYERS - 3; l >= 0; l--) {
        backward(p->middle[l], by, y[l], H, below);
        memcpy(by, below, sizeof by);
    }
    backward(p->first, by, NULL, p->inputs, by_input);
    return top1;
}

void ofa_predictor_gradient(const struct ofa_predictor *p, const struct relaxed_shape *shape,
                            const double *point, double *ret_value, double *ret_gradient) {
    struct feed feeds[FEEDS_MAX];
    float inputs[OFA_PREDICTOR_INPUTS_MAX] = {0}, by_input[OFA_PREDICTOR_INPUTS_MAX];
    double presence[FEEDS_MAX];
    int n = list_feeds(p, shape, feeds);
    for (int i = 0; i < n; i++) {
        const struct feed *f = &feeds[i];
        presence[i] = f->position < 0 ? 1 : relaxed_presence(shape, point, f->stage, f->position);
        inputs[f->input] = (float)(presence[i] * point[f->from]);
    }
    *ret_value = run_back(p, inputs, by_input);
    memset(ret_gradient, 0, (size_t)shape->n * sizeof *ret_gradient);
    for (int i = 0; i < n; i++) {
        const struct feed *f = &feeds[i];
        double d = (double)by_input[f->input];
        ret_gradient[f->from] += presence[i] * d;
        if (f->position >= 0)
            relaxed_presence_back(shape, f->stage, f->position, point[f->from] * d, ret_gradient);
    }
}
