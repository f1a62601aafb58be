#include "space/space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/cost.h"
#include "space/space_internal.h"

const char *const act_names[] = {"none", "relu", "h_swish", "h_sigmoid", "relu6", NULL};
const char *const layer_act_names[] = {"relu", "h_swish", "relu6", NULL};
const enum act layer_acts[] = {ACT_RELU, ACT_HSWISH, ACT_RELU6};
const char *const block_kind_names[] = {"inverted_residual", "conv", "bottleneck", NULL};

void space_destroy(struct space *space) {
    free(space);
}

int space_make_divisible(double v) {
    int rounded = (int)(v + 4) / 8 * 8;
    if (rounded < 8)
        rounded = 8;
    return rounded < 0.9 * v ? rounded + 8 : rounded;
}

int space_mid_channels(int channels, double expand_ratio) {
    return space_make_divisible(rint(channels * expand_ratio));
}

int space_se_channels(int mid) {
    return space_make_divisible(mid / 4);
}

/* Subnets of one stage for one output width: a block has kernels x ratios forms. */
static double stage_cardinality(const struct space_stage *stage) {
    double forms = (double)stage->kernel_sizes.n * stage->n_expand_ratios, sum = 0;
    for (int i = 0; i < stage->depths.n; i++)
        sum += pow(forms, stage->depths.value[i]);
    return sum;
}

double space_cardinality(const struct space *space) {
    double product = space->n_resolutions;
    for (int i = 0; i < space->n_stages; i++)
        product *= space->stages[i].channels.n * stage_cardinality(&space->stages[i]);
    return product;
}

static int number_blocks(struct space *space, struct err *err) {
    int blocks = 0;
    for (int i = 0; i < space->n_stages; i++) {
        struct space_stage *stage = &space->stages[i];
        stage->first_block = blocks;
        stage->max_depth = stage->depths.value[stage->depths.n - 1];
        blocks += stage->max_depth;
    }
    if (blocks > SPACE_BLOCKS_MAX)
        return err_set(err, ESP_ELIMIT, "/stages",
                       "the stages have %d blocks in all, the limit is %d", blocks,
                       SPACE_BLOCKS_MAX);
    space->n_blocks = blocks;
    return 0;
}

/* Ratios that make_divisible rounds to one width would give one network two names. */
static int check_widths(const struct space_stage *stage, int index, int channels, struct err *err) {
    for (int i = 1; i < stage->n_expand_ratios; i++) {
        int before = space_mid_channels(channels, stage->expand_ratios[i - 1]);
        int here = space_mid_channels(channels, stage->expand_ratios[i]);
        if (here > before)
            continue;
        char pointer[64];
        snprintf(pointer, sizeof(pointer), "/stages/%d/expand_ratios/%d", index, i);
        return err_set(err, ESP_EINVAL, pointer,
                       "expand ratios %g and %g both give %d channels on %d %s channels",
                       stage->expand_ratios[i - 1], stage->expand_ratios[i], here, channels,
                       stage->block == BLOCK_BOTTLENECK ? "output" : "input");
    }
    return 0;
}

static int check_stage_widths(const struct space_stage *stage, int index,
                              const struct space_choices *channels, struct err *err) {
    int code = 0;
    for (int c = 0; !code && c < channels->n; c++)
        code = check_widths(stage, index, channels->value[c], err);
    return code;
}

static int check_all_widths(const struct space *space, struct err *err) {
    const struct space_choices stem = {1, {space->stem.channels}};
    int code = 0;
    for (int i = 0; !code && i < space->n_stages; i++) {
        const struct space_stage *stage = &space->stages[i];
        bool of_output = stage->block == BLOCK_BOTTLENECK;
        if (!of_output)
            code = check_stage_widths(stage, i, i ? &space->stages[i - 1].channels : &stem, err);
        if (!code && (of_output || stage->max_depth > 1))
            code = check_stage_widths(stage, i, &stage->channels, err);
    }
    return code;
}

/* Costs grow with every gene, so the largest subnet stands for all: within the factor of 2 that the
 * shortcut's convolution, which only blocks that change their channels have, adds to a bottleneck.
 */
static int check_size(const struct space *space, struct err *err) {
    struct arch largest;
    struct cost cost;
    arch_max(space, &largest);
    int code = arch_cost(space, &largest, err, &cost);
    if (code)
        return code;
    if ((double)cost.macs > SPACE_MACS_MAX)
        return err_set(err, ESP_ELIMIT, "", "the largest subnet has %.3g MACs, the limit is %.3g",
                       (double)cost.macs, SPACE_MACS_MAX);
    int64_t bytes = cost.peak_activation_bytes > cost.model_bytes ? cost.peak_activation_bytes
                                                                  : cost.model_bytes;
    if ((double)bytes > SPACE_BYTES_MAX)
        return err_set(err, ESP_ELIMIT, "",
                       "the largest subnet needs %.3g bytes, the limit is %.3g", (double)bytes,
                       SPACE_BYTES_MAX);
    return 0;
}

int space_finish(struct space *space, struct err *err) {
    int code = number_blocks(space, err);
    if (!code)
        code = check_all_widths(space, err);
    if (!code)
        code = check_size(space, err);
    if (!code && space_fingerprint(space, space->fingerprint))
        code = err_set(err, ESP_ENOMEM, "", "out of memory");
    return code;
}

int space_adapt(const struct space *space, int n_classes, int input_channels, struct err *err,
                struct space **ret_space) {
    if (n_classes < 2 || n_classes > SPACE_CLASSES_MAX)
        return err_set(err, ESP_EINVAL, "/n_classes", "the number of classes must be from 2 to %d",
                       SPACE_CLASSES_MAX);
    if (input_channels < 1 || input_channels > SPACE_INPUT_CHANNELS_MAX)
        return err_set(err, ESP_EINVAL, "/input_channels",
                       "the number of input channels must be from 1 to %d",
                       SPACE_INPUT_CHANNELS_MAX);
    struct space *copy = malloc(sizeof(*copy));
    if (!copy)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    *copy = *space;
    copy->n_classes = n_classes;
    copy->input_channels = input_channels;
    int code = space_finish(copy, err);
    if (code) {
        space_destroy(copy);
        return code;
    }
    *ret_space = copy;
    return 0;
}

static bool has_resolution(const struct space *space, int resolution) {
    for (int i = 0; i < space->n_resolutions; i++)
        if (space->resolutions[i] == resolution)
            return true;
    return false;
}

int space_narrow(const struct space *space, const int *resolutions, int n, struct err *err,
                 struct space **ret_space) {
    if (n < 1 || n > SPACE_RESOLUTIONS_MAX)
        return err_set(err, ESP_EINVAL, "/resolutions", "a space has 1 to %d resolutions",
                       SPACE_RESOLUTIONS_MAX);
    for (int i = 0; i < n; i++)
        if (!has_resolution(space, resolutions[i]) ||
            (i > 0 && resolutions[i] <= resolutions[i - 1]))
            return err_set(err, ESP_EINVAL, "/resolutions",
                           "%d pixels is no resolution of space \"%s\", or not in rising order",
                           resolutions[i], space->name);
    struct space *copy = malloc(sizeof(*copy));
    if (!copy)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    *copy = *space;
    copy->n_resolutions = n;
    memcpy(copy->resolutions, resolutions, (size_t)n * sizeof(*resolutions));
    int code = space_finish(copy, err);
    if (code) {
        space_destroy(copy);
        return code;
    }
    *ret_space = copy;
    return 0;
}

const char *space_builtin_text(const char *name) {
    for (int i = 0; space_builtin_names[i]; i++)
        if (strcmp(space_builtin_names[i], name) == 0)
            return space_builtin_texts[i];
    return NULL;
}

int space_builtin(const char *name, struct err *err, struct space **ret_space) {
    const char *text = space_builtin_text(name);
    if (text)
        return space_parse(text, strlen(text), err, ret_space);
    char names[256] = "";
    for (int i = 0; space_builtin_names[i]; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ", " : "",
                 space_builtin_names[i]);
    return err_set(err, ESP_ENOTFOUND, "", "there is no built-in space %.64s; there are: %s", name,
                   names);
}
