/* From the bytes of a data set to what a network reads: random shift, flip and cutout (training
 * only), resampling to the batch's resolution, normalisation. What is drawn depends on (seed,
 * epoch, image) alone, so batches are the same for any number of threads and after a resume. */
#pragma once

#include "supernet/dataset.h"
#include <stdbool.h>

enum { AUGMENT_PAD_MAX = 64, AUGMENT_RESOLUTIONS_MAX = 64 };

struct augment_options {
    int pad;    /* pixels of black around the image before a random crop of its size; 0: none */
    bool flip;  /* mirrored left to right with probability 1/2 */
    int cutout; /* side of a square set to the mean, its centre anywhere in the image, in pixels of
                   the data set's images; 0: none */
    bool crop;  /* random resized crop; pad is not looked at then */
    double scale[2], ratio[2];               /* of crop: share of the area, and width to height */
    double brightness, contrast, saturation; /* factors drawn from 1 ± this; 0: left alone */
};
extern const double augment_scale_default[2], augment_ratio_default[2]; /* 0.08 to 1, 3/4 to 4/3 */

struct augment_draw {
    const struct augment_options *options; /* NULL: nothing is drawn */
    uint64_t seed, epoch;
};

/* Normalisation and resampling tables for a data set (borrowed) and a list of resolutions. Shared
 * by threads once created. */
struct augment;
/* resolutions: n of them, pixels a side, each in [1, DATASET_SIDE_MAX].
 * Errors: ESP_ENOMEM, ESP_EINVAL. */
int augment_create(const struct dataset *dataset, const int *resolutions, int n, struct err *err,
                   struct augment **ret_augment);
void augment_destroy(struct augment *augment); /* takes NULL */

/* What one thread needs to work in. */
struct augment_scratch;
int augment_scratch_create(const struct augment *augment, struct augment_scratch **ret_scratch);
void augment_scratch_destroy(struct augment_scratch *scratch); /* takes NULL */

/* ret_pixels: [C, r, r], r = resolutions[resolution]. Resampling is bilinear, antialiased when it
 * shrinks (a triangle as wide as the step). image is an index into dataset->images. */
void augment_image(const struct augment *augment, const struct augment_draw *draw, uint32_t image,
                   int resolution, struct augment_scratch *scratch, float *ret_pixels);
