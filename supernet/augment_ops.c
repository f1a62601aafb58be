#include "supernet/augment_ops.h"

#include <math.h>
#include <string.h>

enum { TRIES = 10 };

static double uniform(struct rng *rng, const double range[2]) {
    return range[0] + (range[1] - range[0]) * rng_unit(rng);
}

static int clamp(int value, int low, int high) {
    return value < low ? low : value > high ? high : value;
}

static struct crop_box middle_box(const double ratio[2], int height, int width) {
    double own = (double)width / height;
    struct crop_box box = {.height = height, .width = width};
    if (own < ratio[0])
        box.height = clamp((int)lround(width / ratio[0]), 1, height);
    else if (own > ratio[1])
        box.width = clamp((int)lround(height * ratio[1]), 1, width);
    box.top = (height - box.height) / 2;
    box.left = (width - box.width) / 2;
    return box;
}

struct crop_box crop_box_draw(struct rng *rng, const struct augment_options *options, int height,
                              int width) {
    double area = (double)height * width;
    double logs[2] = {log(options->ratio[0]), log(options->ratio[1])};
    for (int i = 0; i < TRIES; i++) {
        double part = area * uniform(rng, options->scale), ratio = exp(uniform(rng, logs));
        int w = (int)lround(sqrt(part * ratio)), h = (int)lround(sqrt(part / ratio));
        if (w < 1 || h < 1 || w > width || h > height)
            continue;
        return (struct crop_box){.top = (int)rng_below(rng, (uint32_t)(height - h + 1)),
                                 .left = (int)rng_below(rng, (uint32_t)(width - w + 1)),
                                 .height = h,
                                 .width = w};
    }
    return middle_box(options->ratio, height, width);
}

static void sum_rows(const struct resample *rows, int y, const uint8_t *top_left, size_t pitch,
                     int width, float *ret) {
    const float *weights = rows->weights + (size_t)y * (size_t)rows->taps;
    memset(ret, 0, (size_t)width * sizeof *ret);
    for (int t = 0; t < rows->taps; t++) {
        const uint8_t *in = top_left + (size_t)(rows->first[y] + t) * pitch;
        float weight = weights[t];
        if (weight == 0)
            continue;
        for (int x = 0; x < width; x++)
            ret[x] += weight * (float)in[x];
    }
}

static void sum_columns(const struct resample *columns, const float *row, bool flip,
                        struct affine affine, float *ret) {
    int r = columns->size, taps = columns->taps;
    for (int x = 0; x < r; x++) {
        const float *weights = columns->weights + (size_t)x * (size_t)taps;
        const float *in = row + columns->first[x];
        float sum = 0;
        for (int t = 0; t < taps; t++)
            sum += weights[t] * in[t];
        ret[flip ? r - 1 - x : x] = affine.scale * sum + affine.offset;
    }
}

void crop_resize(const struct crop_taps *taps, const struct crop_box *box, const uint8_t *plane,
                 size_t pitch, bool flip, struct affine affine, float *row, float *ret) {
    const uint8_t *top_left = plane + (size_t)box->top * pitch + (size_t)box->left;
    for (int y = 0; y < taps->rows.size; y++) {
        sum_rows(&taps->rows, y, top_left, pitch, box->width, row);
        sum_columns(&taps->columns, row, flip, affine, ret + (size_t)y * (size_t)taps->rows.size);
    }
}

static float draw_factor(struct rng *rng, double strength) {
    double range[2] = {strength < 1 ? 1 - strength : 0, 1 + strength};
    return (float)uniform(rng, range);
}

struct jitter jitter_draw(struct rng *rng, const struct augment_options *options) {
    struct jitter jitter;
    jitter.brightness = draw_factor(rng, options->brightness);
    jitter.contrast = draw_factor(rng, options->contrast);
    jitter.saturation = draw_factor(rng, options->saturation);
    return jitter;
}

static float cut(float value) {
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

static float grey_at(const float *planes, int channels, size_t n, size_t i) {
    if (channels == 3)
        return 0.299f * planes[i] + 0.587f * planes[n + i] + 0.114f * planes[2 * n + i];
    float sum = 0;
    for (int c = 0; c < channels; c++)
        sum += planes[(size_t)c * n + i];
    return sum / (float)channels;
}

static void mix_with(float *planes, size_t n, float factor, float other) {
    for (size_t i = 0; i < n; i++)
        planes[i] = cut(factor * planes[i] + (1 - factor) * other);
}

static void saturate(float factor, size_t n, float *planes) {
    for (size_t i = 0; i < n; i++) {
        float grey = (1 - factor) * grey_at(planes, 3, n, i);
        for (size_t c = 0; c < 3; c++)
            planes[c * n + i] = cut(factor * planes[c * n + i] + grey);
    }
}

void jitter_apply(const struct jitter *jitter, int channels, size_t n, float *planes) {
    size_t all = (size_t)channels * n;
    if (jitter->brightness != 1)
        mix_with(planes, all, jitter->brightness, 0);
    if (jitter->contrast != 1) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)grey_at(planes, channels, n, i);
        mix_with(planes, all, jitter->contrast, (float)(sum / (double)n));
    }
    if (jitter->saturation != 1 && channels == 3)
        saturate(jitter->saturation, n, planes);
}
