/* A search space: stages of blocks with choice lists, read from JSON. What an arch (one subnet) may
 * choose: resolution, and per stage depth and output channels, and per block kernel size and expand
 * ratio. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

enum {
    SPACE_STAGES_MAX = 16,
    SPACE_DEPTH_MAX = 12,  /* blocks a stage */
    SPACE_BLOCKS_MAX = 64, /* blocks in all */
    SPACE_CHOICES_MAX = 8, /* values of one gene */
    SPACE_RESOLUTIONS_MAX = 64,
    SPACE_CHANNELS_MAX = 4096,
    SPACE_KERNEL_MAX = 7,
    SPACE_CLASSES_MAX = 100000,
    SPACE_INPUT_MAX = 1024, /* pixels a side */
    SPACE_INPUT_CHANNELS_MAX = 64,
    SPACE_TEXT_MAX = 65536 /* bytes of JSON */
};
/* Limits of the largest subnet. */
#define SPACE_MACS_MAX 100e9
#define SPACE_BYTES_MAX 2e9 /* of activations, and of weights, at 4 bytes an element */

enum act { ACT_NONE, ACT_RELU, ACT_HSWISH, ACT_HSIGMOID, ACT_RELU6 };
extern const char *const act_names[]; /* "none", "relu", "h_swish", "h_sigmoid", "relu6", NULL */
/* Those that a space or a unit may name, and what they are. Names end with NULL. */
extern const char *const layer_act_names[];
extern const enum act layer_acts[];

struct space_choices {
    int n;
    int value[SPACE_CHOICES_MAX]; /* strictly ascending */
};

/* What a stage's blocks are; BN stands behind each convolution.
 *   inverted residual (Cai et al. 2020, sec. 3; MobileNetV3): 1x1 expand (absent at expand ratio
 *     1), depthwise k x k, SE, 1x1 project; residual where stride is 1 and channels agree
 *   conv: dense k x k; the input is added behind the activation where the stage wants that, stride
 *     is 1 and channels agree
 *   bottleneck (He et al. 2016, fig. 5; stride on the k x k as in torchvision): 1x1 reduce, dense
 *     k x k, 1x1 to the block's output; plus the input, or where stride or channels differ a
 *     strided 1x1 of it; then the activation. Expand ratios are of the output channels. */
enum block_kind { BLOCK_INVERTED_RESIDUAL, BLOCK_CONV, BLOCK_BOTTLENECK };
extern const char *const block_kind_names[]; /* "inverted_residual", ..., NULL */

/* A stage of blocks of one kind. A subnet keeps the stage's first depth blocks. */
struct space_stage {
    char name[32];
    enum block_kind block;
    struct space_choices depths, channels /* output; multiples of 8 */, kernel_sizes /* 3, 5, 7 */;
    int n_expand_ratios; /* conv: 1, the ratio 1, which its archs and JSON leave out */
    double expand_ratios[SPACE_CHOICES_MAX]; /* strictly ascending, thousandths, in [1, 12], of
                                                bottlenecks in [0.05, 4]; no two give one width for
                                                the same channels */
    int stride;                              /* of the first block: 1 or 2 */
    enum act act;
    bool se;         /* inverted residual */
    bool residual;   /* conv */
    int first_block; /* index of its first block among the space's blocks */
    int max_depth;
};

struct space {
    char name[64];
    char description[256];
    char fingerprint[HASH_TEXT]; /* of the canonical JSON of everything but names and description */
    int input_channels, n_classes;
    int n_resolutions;
    int resolutions[SPACE_RESOLUTIONS_MAX]; /* ascending, pixels a side */
    struct {
        int channels, kernel /* 3, 5, 7 */, stride /* 1, 2 */;
        enum act act;
    } stem; /* dense convolution + BN */
    int n_stages, n_blocks;
    struct space_stage stages[SPACE_STAGES_MAX];
    struct {
        int expand_channels; /* 1x1 + BN before the global mean; 0: absent */
        int mix_channels;    /* 1x1 behind the mean, no BN; 0: absent */
        bool mix_bias;
        enum act act;
    } head;
};

/* Reads and checks a space. text is JSON of the form of docs/SPACES.md. err points at the field.
 * Errors: ESP_EPARSE, ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. The caller frees *ret_space with
 * space_destroy. */
int space_parse(const char *text, size_t len, struct err *err, struct space **ret_space);
void space_destroy(struct space *space); /* takes NULL */
/* A copy with another number of classes and input channels (those of a data set); the fingerprint
 * follows. */
int space_adapt(const struct space *space, int n_classes, int input_channels, struct err *err,
                struct space **ret_space);
/* A copy with n of its resolutions alone, strictly ascending (pixels); the fingerprint follows.
 * ESP_EINVAL: none, or one that it does not have. */
int space_narrow(const struct space *space, const int *resolutions, int n, struct err *err,
                 struct space **ret_space);
/* Canonical JSON, which space_parse reads back; caller frees; NULL on memory exhaustion. */
char *space_print(const struct space *space);

/* Built-in spaces, compiled in. Names end with NULL. */
extern const char *const space_builtin_names[];
const char *space_builtin_text(const char *name); /* static JSON text; NULL if there is none */
int space_builtin(const char *name, struct err *err,
                  struct space **ret_space); /* ESP_ENOTFOUND lists the names */

/* Number of distinct subnets (canonical archs, resolutions counted), as a double: exact below 2^53.
 */
double space_cardinality(const struct space *space);
/* make_divisible of MobileNetV3: v rounded to a multiple of 8, at least 8, never below 0.9 v. */
int space_make_divisible(double v);
int space_mid_channels(int channels, double expand_ratio); /* make_divisible(round(channels * e)) */
int space_se_channels(int mid);                            /* make_divisible(mid / 4) */
