#include "supernet/augment.h"

#include "base/memory.h"
#include "base/rng.h"
#include "supernet/resample.h"
#include <stdlib.h>
#include <string.h>

struct augment {
    const struct dataset *dataset;
    int n, largest;
    int resolutions[AUGMENT_RESOLUTIONS_MAX];
    struct resample rows[AUGMENT_RESOLUTIONS_MAX], columns[AUGMENT_RESOLUTIONS_MAX];
    float value[DATASET_CHANNELS_MAX][256]; /* normalised */
};

/* What was drawn for one image. */
struct drawn {
    int dx, dy; /* shift of the crop, in [-pad, pad] */
    bool flip;
    int cut_y, cut_x; /* first row and column of the cutout */
};

static int check_resolutions(const int *resolutions, int n, struct err *err) {
    if (n < 1 || n > AUGMENT_RESOLUTIONS_MAX)
        return err_set(err, ESP_EINVAL, NULL, "%d resolutions; 1 to %d are possible", n,
                       AUGMENT_RESOLUTIONS_MAX);
    for (int i = 0; i < n; i++)
        if (resolutions[i] < 1 || resolutions[i] > DATASET_SIDE_MAX)
            return err_set(err, ESP_EINVAL, NULL, "resolution %d is outside 1 to %d",
                           resolutions[i], DATASET_SIDE_MAX);
    return 0;
}

int augment_create(const struct dataset *dataset, const int *resolutions, int n, struct err *err,
                   struct augment **ret_augment) {
    int rc = check_resolutions(resolutions, n, err);
    if (rc != 0)
        return rc;
    struct augment *augment = mem_array(1, sizeof *augment);
    if (!augment)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for augmentation");
    augment->dataset = dataset;
    augment->n = n;
    for (int i = 0; i < n; i++) {
        augment->resolutions[i] = resolutions[i];
        augment->largest = resolutions[i] > augment->largest ? resolutions[i] : augment->largest;
        if (resample_set(&augment->rows[i], dataset->height, resolutions[i]) != 0 ||
            resample_set(&augment->columns[i], dataset->width, resolutions[i]) != 0) {
            augment_destroy(augment);
            return err_set(err, ESP_ENOMEM, NULL, "no memory for augmentation");
        }
    }
    for (int c = 0; c < dataset->channels; c++)
        for (int v = 0; v < 256; v++)
            augment->value[c][v] = ((float)v / 255.0f - dataset->mean[c]) / dataset->deviation[c];
    *ret_augment = augment;
    return 0;
}

void augment_destroy(struct augment *augment) {
    if (!augment)
        return;
    for (int i = 0; i < augment->n; i++) {
        resample_finish(&augment->rows[i]);
        resample_finish(&augment->columns[i]);
    }
    free(augment);
}

size_t augment_scratch_count(const struct augment *augment) {
    size_t height = (size_t)augment->dataset->height, width = (size_t)augment->dataset->width;
    return height * width + height * (size_t)augment->largest;
}

static struct drawn draw_image(const struct augment_draw *draw, uint32_t image, int height,
                               int width) {
    struct drawn drawn = {0};
    const struct augment_options *options = draw->options;
    if (!options)
        return drawn;
    struct rng rng = rng_make(draw->seed, RNG_AUGMENT, draw->epoch, image);
    uint32_t shifts = 2 * (uint32_t)options->pad + 1;
    drawn.dx = (int)rng_below(&rng, shifts) - options->pad;
    drawn.dy = (int)rng_below(&rng, shifts) - options->pad;
    drawn.flip = (rng_u32(&rng) >> 31) != 0 && options->flip;
    drawn.cut_y = (int)rng_below(&rng, (uint32_t)height) - options->cutout / 2;
    drawn.cut_x = (int)rng_below(&rng, (uint32_t)width) - options->cutout / 2;
    return drawn;
}

/* One row of the crop: columns before first and from last on lie outside the image. */
static void copy_row(const uint8_t *source, const float value[256], const struct drawn *drawn,
                     int width, float *ret_row) {
    int first = drawn->dx < 0 ? -drawn->dx : 0, last = drawn->dx > 0 ? width - drawn->dx : width;
    first = first > width ? width : first;
    last = last < first ? first : last;
    for (int x = 0; x < first; x++)
        ret_row[x] = value[0];
    for (int x = first; x < last; x++)
        ret_row[x] = value[source[x + drawn->dx]];
    for (int x = last; x < width; x++)
        ret_row[x] = value[0];
    for (int x = 0; drawn->flip && x < width / 2; x++) {
        float other = ret_row[width - 1 - x];
        ret_row[width - 1 - x] = ret_row[x];
        ret_row[x] = other;
    }
}

static void cut_out(const struct drawn *drawn, int side, int height, int width, float *plane) {
    int y0 = drawn->cut_y > 0 ? drawn->cut_y : 0, x0 = drawn->cut_x > 0 ? drawn->cut_x : 0;
    int y1 = drawn->cut_y + side < height ? drawn->cut_y + side : height;
    int x1 = drawn->cut_x + side < width ? drawn->cut_x + side : width;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            plane[y * width + x] = 0;
}

/* [height, width] -> [height, r] */
static void resample_columns(const struct resample *columns, int height, int width,
                             const float *plane, float *ret) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < columns->size; x++) {
            const float *in = plane + y * width + columns->first[x];
            const float *weights = columns->weights + (size_t)x * (size_t)columns->taps;
            float sum = 0;
            for (int t = 0; t < columns->taps; t++)
                sum += weights[t] * in[t];
            ret[y * columns->size + x] = sum;
        }
}

/* [height, width] -> [r, width] */
static void resample_rows(const struct resample *rows, int width, const float *plane, float *ret) {
    for (int y = 0; y < rows->size; y++) {
        const float *in = plane + rows->first[y] * width;
        const float *weights = rows->weights + (size_t)y * (size_t)rows->taps;
        float *out = ret + y * width;
        memset(out, 0, (size_t)width * sizeof *out);
        for (int t = 0; t < rows->taps; t++)
            for (int x = 0; x < width; x++)
                out[x] += weights[t] * in[t * width + x];
    }
}

void augment_image(const struct augment *augment, const struct augment_draw *draw, uint32_t image,
                   int resolution, float *scratch, float *ret_pixels) {
    const struct dataset *dataset = augment->dataset;
    int height = dataset->height, width = dataset->width, r = augment->resolutions[resolution];
    size_t plane = (size_t)height * (size_t)width, out_plane = (size_t)r * (size_t)r;
    bool same = r == height && r == width;
    struct drawn drawn = draw_image(draw, image, height, width);
    for (int c = 0; c < dataset->channels; c++) {
        const uint8_t *source =
            dataset->images + ((size_t)image * (size_t)dataset->channels + (size_t)c) * plane;
        float *out = ret_pixels + (size_t)c * out_plane, *crop = same ? out : scratch;
        for (int y = 0; y < height; y++) {
            int from = y + drawn.dy;
            if (from >= 0 && from < height)
                copy_row(source + from * width, augment->value[c], &drawn, width, crop + y * width);
            else
                for (int x = 0; x < width; x++)
                    crop[y * width + x] = augment->value[c][0];
        }
        if (draw->options && draw->options->cutout > 0)
            cut_out(&drawn, draw->options->cutout, height, width, crop);
        if (same)
            continue;
        resample_columns(&augment->columns[resolution], height, width, scratch, scratch + plane);
        resample_rows(&augment->rows[resolution], r, scratch + plane, out);
    }
}
