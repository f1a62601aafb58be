/* The parts of augmentation that are worked out anew for each image. Pure functions of what they
 * are given. */
#pragma once

#include "base/rng.h"
#include "supernet/augment.h"
#include "supernet/resample.h"

struct crop_box {
    int top, left, height, width; /* pixels, inside the image */
};
/* Ten tries at a share of the area from scale and a ratio (width to height, uniform in its
 * logarithm) from ratio; if none fits, the largest middle box of a ratio within the range.
 * Source: Szegedy et al. 2015, sec. 6; torchvision's RandomResizedCrop.get_params. */
struct crop_box crop_box_draw(struct rng *rng, const struct augment_options *options, int height,
                              int width);

/* Bytes of one plane with pitch bytes a row, cut to box and scaled: ret = [r, r], columns mirrored
 * if flip; scale * (weighted sum of bytes) + offset. row: box.width floats to work in. */
struct crop_taps {
    struct resample rows, columns; /* set for the box and r */
};
struct affine {
    float scale, offset;
};
void crop_resize(const struct crop_taps *taps, const struct crop_box *box, const uint8_t *plane,
                 size_t pitch, bool flip, struct affine affine, float *row, float *ret);

/* Factors of brightness, contrast and saturation; 1 leaves it as it is. */
struct jitter {
    float brightness, contrast, saturation;
};
struct jitter jitter_draw(struct rng *rng, const struct augment_options *options);
/* planes: [channels, n] of values in [0, 1], in place. In this order, cut to [0, 1] after each:
 * brightness multiplies; contrast mixes with the mean of the grey image, saturation with the
 * pixel's own grey (0.299 R + 0.587 G + 0.114 B; other than three channels: their mean, and no
 * saturation). Source: torchvision's ColorJitter, in a fixed order and without hue. */
void jitter_apply(const struct jitter *jitter, int channels, size_t n, float *planes);
