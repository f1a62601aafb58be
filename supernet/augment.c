#include "supernet/augment.h"

#include "base/memory.h"
#include "base/rng.h"
#include "supernet/augment_ops.h"
#include <stdlib.h>
#include <string.h>

struct augment {
    const struct dataset *dataset;
    int n, largest;
    int resolutions[AUGMENT_RESOLUTIONS_MAX];
    struct resample rows[AUGMENT_RESOLUTIONS_MAX], columns[AUGMENT_RESOLUTIONS_MAX];
    float value[DATASET_CHANNELS_MAX][256]; /* normalised */
};

struct augment_scratch {
    float *stage; /* [C, H, W]: the image before it is scaled */
    float *rows;  /* [H, largest], or a row of a crop */
    struct crop_taps taps;
};

const double augment_scale_default[2] = {0.08, 1}, augment_ratio_default[2] = {3.0 / 4, 4.0 / 3};

/* What was drawn for one image. */
struct drawn {
    int dx, dy; /* shift of the crop, in [-pad, pad] */
    bool flip;
    int cut_y, cut_x; /* first row and column of the cutout */
    struct crop_box box;
    struct jitter jitter;
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

int augment_scratch_create(const struct augment *augment, struct augment_scratch **ret_scratch) {
    int height = augment->dataset->height, width = augment->dataset->width, r = augment->largest;
    size_t plane = (size_t)height * (size_t)width;
    size_t rows =
        (size_t)height * (size_t)r > (size_t)width ? (size_t)height * (size_t)r : (size_t)width;
    struct augment_scratch *scratch = mem_array(1, sizeof *scratch);
    if (!scratch)
        return ESP_ENOMEM;
    scratch->stage = mem_array((size_t)augment->dataset->channels * plane, sizeof(float));
    scratch->rows = mem_array(rows, sizeof(float));
    if (!scratch->stage || !scratch->rows ||
        resample_reserve(&scratch->taps.rows, height, r) != 0 ||
        resample_reserve(&scratch->taps.columns, width, r) != 0) {
        augment_scratch_destroy(scratch);
        return ESP_ENOMEM;
    }
    *ret_scratch = scratch;
    return 0;
}

void augment_scratch_destroy(struct augment_scratch *scratch) {
    if (!scratch)
        return;
    free(scratch->stage);
    free(scratch->rows);
    resample_finish(&scratch->taps.rows);
    resample_finish(&scratch->taps.columns);
    free(scratch);
}

static struct drawn draw_image(const struct augment_draw *draw, uint32_t image, int height,
                               int width) {
    struct drawn drawn = {.jitter = {1, 1, 1}};
    const struct augment_options *options = draw->options;
    if (!options)
        return drawn;
    struct rng rng = rng_make(draw->seed, RNG_AUGMENT, draw->epoch, image);
    int pad = options->crop ? 0 : options->pad;
    uint32_t shifts = 2 * (uint32_t)pad + 1;
    drawn.dx = (int)rng_below(&rng, shifts) - pad;
    drawn.dy = (int)rng_below(&rng, shifts) - pad;
    drawn.flip = (rng_u32(&rng) >> 31) != 0 && options->flip;
    drawn.cut_y = (int)rng_below(&rng, (uint32_t)height) - options->cutout / 2;
    drawn.cut_x = (int)rng_below(&rng, (uint32_t)width) - options->cutout / 2;
    if (options->crop)
        drawn.box = crop_box_draw(&rng, options, height, width);
    drawn.jitter = jitter_draw(&rng, options);
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

/* plane: [height, width]; one pixel of the data set is scale_y x scale_x of its pixels. */
static void cut_out(const struct drawn *drawn, int side, int height, int width, double scale_y,
                    double scale_x, float *plane) {
    int y0 = (int)(drawn->cut_y * scale_y), y1 = (int)((drawn->cut_y + side) * scale_y);
    int x0 = (int)(drawn->cut_x * scale_x), x1 = (int)((drawn->cut_x + side) * scale_x);
    y0 = y0 > 0 ? y0 : 0;
    x0 = x0 > 0 ? x0 : 0;
    y1 = y1 < height ? y1 : height;
    x1 = x1 < width ? x1 : width;
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

/* The image shifted and mirrored as drawn, normalised: [C, H, W]. */
static void shift_image(const struct augment *augment, const uint8_t *pixels,
                        const struct drawn *drawn, float *ret) {
    int height = augment->dataset->height, width = augment->dataset->width;
    for (int c = 0; c < augment->dataset->channels; c++) {
        const float *value = augment->value[c];
        for (int y = 0; y < height; y++, ret += width) {
            int from = y + drawn->dy;
            if (from >= 0 && from < height)
                copy_row(pixels + from * width, value, drawn, width, ret);
            else
                for (int x = 0; x < width; x++)
                    ret[x] = value[0];
        }
        pixels += (size_t)height * (size_t)width;
    }
}

/* The box cut out, scaled and mirrored as drawn, normalised: [C, r, r]. */
static void crop_image(const struct augment *augment, const uint8_t *pixels,
                       const struct drawn *drawn, int r, struct augment_scratch *scratch,
                       float *ret) {
    const struct dataset *dataset = augment->dataset;
    size_t pitch = (size_t)dataset->width, plane = pitch * (size_t)dataset->height;
    /* Neither can fail: memory for the largest was taken at the start. */
    resample_set(&scratch->taps.rows, drawn->box.height, r);
    resample_set(&scratch->taps.columns, drawn->box.width, r);
    for (int c = 0; c < dataset->channels; c++) {
        struct affine affine = {1 / (255 * dataset->deviation[c]),
                                -dataset->mean[c] / dataset->deviation[c]};
        crop_resize(&scratch->taps, &drawn->box, pixels + (size_t)c * plane, pitch, drawn->flip,
                    affine, scratch->rows, ret + (size_t)c * (size_t)r * (size_t)r);
    }
}

/* planes: [C, n], normalised, in place. */
static void jitter_image(const struct dataset *dataset, const struct jitter *jitter, size_t n,
                         float *planes) {
    if (jitter->brightness == 1 && jitter->contrast == 1 && jitter->saturation == 1)
        return;
    for (int c = 0; c < dataset->channels; c++)
        for (size_t i = 0; i < n; i++)
            planes[(size_t)c * n + i] =
                planes[(size_t)c * n + i] * dataset->deviation[c] + dataset->mean[c];
    jitter_apply(jitter, dataset->channels, n, planes);
    for (int c = 0; c < dataset->channels; c++)
        for (size_t i = 0; i < n; i++)
            planes[(size_t)c * n + i] =
                (planes[(size_t)c * n + i] - dataset->mean[c]) / dataset->deviation[c];
}

static void scale_image(const struct augment *augment, int resolution,
                        struct augment_scratch *scratch, float *ret) {
    int height = augment->dataset->height, width = augment->dataset->width;
    int r = augment->resolutions[resolution];
    for (int c = 0; c < augment->dataset->channels; c++) {
        resample_columns(&augment->columns[resolution], height, width,
                         scratch->stage + (size_t)c * (size_t)height * (size_t)width,
                         scratch->rows);
        resample_rows(&augment->rows[resolution], r, scratch->rows,
                      ret + (size_t)c * (size_t)r * (size_t)r);
    }
}

void augment_image(const struct augment *augment, const struct augment_draw *draw, uint32_t image,
                   int resolution, struct augment_scratch *scratch, float *ret_pixels) {
    const struct dataset *dataset = augment->dataset;
    const struct augment_options *options = draw->options;
    int height = dataset->height, width = dataset->width, r = augment->resolutions[resolution];
    size_t plane = (size_t)height * (size_t)width;
    const uint8_t *pixels = dataset->images + (size_t)image * (size_t)dataset->channels * plane;
    struct drawn drawn = draw_image(draw, image, height, width);
    bool crop = options && options->crop, direct = crop || (r == height && r == width);
    int rows = direct ? r : height, columns = direct ? r : width;
    float *stage = direct ? ret_pixels : scratch->stage;
    size_t n = (size_t)rows * (size_t)columns;
    if (crop)
        crop_image(augment, pixels, &drawn, r, scratch, stage);
    else
        shift_image(augment, pixels, &drawn, stage);
    jitter_image(dataset, &drawn.jitter, n, stage);
    for (int c = 0; options && options->cutout > 0 && c < dataset->channels; c++)
        cut_out(&drawn, options->cutout, rows, columns, (double)rows / height,
                (double)columns / width, stage + (size_t)c * n);
    if (!direct)
        scale_image(augment, resolution, scratch, ret_pixels);
}
