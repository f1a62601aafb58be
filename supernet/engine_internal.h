/* Inside of the engine: planes, units, passes. For supernet/engine*.c and supernet/layers_*.c only.
 *
 * A plane is an activation of the whole batch in the kernels' blocked layout, images grouped where
 * they are small: [groups][channels / 8][group * height * width][8].
 *
 * A pass runs over the batch in chunks of whole octets of images. The chunks depend on the size of
 * the whole batch alone, and what a chunk adds up (weight gradients) goes to its own slot; sums for
 * batch normalisation are kept per group. Both are then summed as supernet/comm.h says. So results
 * depend neither on the number of threads nor on how the batch is split over processes. */
#pragma once

#include "supernet/engine.h"
#include "supernet/kernels/batch_norm.h"
#include "supernet/kernels/se_grad.h"
#include "supernet/kernels/train_kernels.h"
#include "supernet/supernet_map.h"

enum {
    ENGINE_SLOTS = SHARD_CHUNKS_MAX, /* most chunks of a pass */
    ENGINE_OCTET = SHARD_OCTET,      /* images that chunks are made of; most images of a group */
    ENGINE_GROUP_PIXELS = 128,       /* images are grouped until they have as many pixels */
    ENGINE_TILE = 128,               /* pixels that a chain of kernels takes at a time */
    ENGINE_MERGE_CHANNELS = 32,      /* see layers_expand.c */
    ENGINE_MERGED_MID_MAX = ENGINE_MERGE_CHANNELS * 12, /* expand ratios go to 12 */
    ENGINE_UNITS_MAX = SPACE_BLOCKS_MAX + 2
};
#define ENGINE_BN_EPS 1e-5f

struct plane {
    float *data;
    int channels, height, width, group;
};

/* Working memory of a thread. */
struct scratch {
    float *tile[3];  /* [channels / 8][tile_block] each */
    float *plane;    /* of the depthwise and dense kernels */
    float *row;      /* one image's vector of channels */
    float *octet[3]; /* [channels / 8][8 images][8] each */
    float *run;      /* [channels / 8][tile_block] of the images of a group */
    float *panel;    /* [PW_PANEL_MAX / 8][tile_block] of the images of a group */
    float *excite;   /* block_excitation_floats() */
};

/* A batch normalisation of the running subnet. */
struct bn_layer {
    struct bn_batch batch;
    const struct bn_tensors *tensors;
    int64_t pixels; /* that it averages over, of the whole batch */
    int index;      /* among the subnet's BN layers, in graph order */
};

/* Drop-connect of a residual block: what its last BN's vectors are for an image whose branch stays,
 * and where it does not. */
struct drop {
    bool on;
    int block; /* among the running subnet's */
    float rate;
    float *stays; /* of each image: 1 or 0 */
    float *scale, *shift, *on_dz, *factor /* 1 / (1 - rate) */, *zeros;
};

/* Buffers of a unit for the largest subnet. Without training, units share them. */
struct unit_memory {
    float *expanded, *filtered, *projected, *shortcut, *output;
    float *bn[4];
    float *moments;                       /* of a merged block's input: layers_expand.c */
    float *se_mean, *se_hidden, *se_gate; /* [batch][channels] */
    float *drop;                          /* drop_floats() */
};

/* Stem, block or head convolution of the running subnet. A convolution's output is kept as it came
 * (before BN); who reads it applies BN and activation. */
struct unit {
    struct unit_spec spec;
    const struct block_tensors *tensors; /* blocks only */
    int mid;                             /* channels inside a block */
    bool merged;                         /* expands, but never stores what it expanded to */
    float *moments;                      /* of the input, where merged */
    /* A bottleneck's reduced plane is `expanded`; a plane that a unit's kind has not is empty. */
    struct plane input, expanded, filtered, shortcut, projected, output;
    struct bn_layer expanded_bn, filtered_bn, shortcut_bn, projected_bn;
    float *se_mean, *se_hidden, *se_gate;
    struct drop drop;
};

/* Global mean, feature mix and classifier: planes of 1 x 1 pixels. */
struct tail {
    struct plane pooled, mixed /* before bias and activation */, features /* behind dropout */,
        mask /* of dropout, scaled */, logits;
    struct plane d_pooled, d_mixed, d_features;
    float *mix_scale, *mix_shift; /* ones, bias or zeros */
    float *classifier;            /* [classes rounded up to 8, features], zero rows behind */
    bool dropped;
};

/* The same as memory for the largest subnet. */
struct tail_memory {
    float *pooled, *mixed, *features, *mask, *logits, *d_pooled, *d_mixed, *d_features;
    float *mix_scale, *mix_shift, *classifier;
};

/* What the storage is laid out for. */
struct engine_layout {
    int batch;     /* largest n */
    bool training; /* every unit has planes of its own, and there is what backward needs */
};

struct engine {
    struct supernet *net;
    struct parallel *pool;
    const struct comm *comm;
    struct engine_limits limits;
    const struct kernels *forward;
    const struct train_kernels *backward;
    float *storage;
    size_t storage_floats;
    struct engine_layout layout; /* of the storage now; what stands below points into it */

    struct unit_memory memory[ENGINE_UNITS_MAX];
    struct tail_memory tail_memory;
    struct scratch *scratch; /* of each thread */
    float *images;           /* copy of the run's */
    float *sums;             /* [groups][2][channels] of the plane that is written */
    double *totals;          /* two vectors of channels (or classes) */
    float *packed[3];
    float *filters, *filters_packed; /* depthwise, of the running subnet's kernel size */
    float *slots;                    /* [ENGINE_SLOTS][slot_floats] */
    size_t slot_floats;
    float *narrow_grad[2];  /* training only, as all below */
    float *wide_grad[2];    /* of expanded planes (not merged), of filtered ones */
    float *merge_work;      /* of layers_expand_grad.c */
    int merge_channels_max; /* blocks of at most as many input channels are merged */
    bool output_summed;     /* the unit behind has left the sums of this one's last BN */
    float *se_grad[3];      /* d_gate, d_hidden, d_mean: [batch][channels] */

    /* the latest forward */
    struct engine_run run; /* arch points to the copy below */
    struct arch arch;
    int n_images, n_units, n_bn, n_blocks;
    int bn_channels[4 * ENGINE_UNITS_MAX];
    struct unit units[ENGINE_UNITS_MAX];
    struct tail tail;
    bool can_backward;
    int64_t phase_ns[ENGINE_PHASES];

    engine_stop_fn *stop;
    void *stop_context;
    bool stopped; /* in this run: no further pass does anything */
};

/* ---- Planes ---- */

static inline int plane_group_size(int pixels) {
    int group = 1;
    while (group < ENGINE_OCTET && group * pixels < ENGINE_GROUP_PIXELS)
        group *= 2;
    return group;
}
static inline struct plane plane_make(float *data, int channels, int height, int width) {
    return (struct plane){data, channels, height, width, plane_group_size(height * width)};
}
static inline int plane_pixels(const struct plane *p) {
    return p->height * p->width;
}
/* floats from one block of 8 channels to the next */
static inline ptrdiff_t plane_block(const struct plane *p) {
    return (ptrdiff_t)p->group * plane_pixels(p) * KERNEL_LANES;
}
static inline float *plane_group(const struct plane *p, int group) {
    return p->data + (ptrdiff_t)group * p->channels * p->group * plane_pixels(p);
}
static inline float *plane_image(const struct plane *p, int image) {
    return plane_group(p, image / p->group) +
           (ptrdiff_t)(image % p->group) * plane_pixels(p) * KERNEL_LANES;
}

/* Up to a whole number of cache lines. */
static inline size_t aligned_floats(size_t floats) {
    return (floats + 15) / 16 * 16;
}

/* ---- Passes ---- */

/* Images [first, end) of a chunk. */
struct chunk {
    struct engine *engine;
    struct unit *unit;
    const void *extra; /* of the pass */
    struct scratch *scratch;
    float *slot;
    int first, end;
};
typedef void chunk_fn(const struct chunk *chunk);
/* Runs fn on every chunk of the latest forward's images. */
void engine_pass(struct engine *engine, enum engine_phase phase, struct unit *unit,
                 const void *extra, chunk_fn *fn);
int engine_chunks(const struct engine *engine);
/* Sums floats [0, n) of the slots of all ranks into the first slot. */
void engine_sum_slots(struct engine *engine, size_t n);
/* Sums n floats (up to the next multiple of 16) of `parts` arrays, stride floats apart, into the
 * first, as a balanced tree. */
void engine_sum_parts(float *first, size_t stride, int parts, size_t n);
/* Sums of n numbers a row over the whole batch, in doubles; a row is of `group` images. */
struct sum_rows {
    const float *first;
    ptrdiff_t stride; /* floats from one row to the next */
    int group, n;
};
void engine_sum_rows(const struct engine *engine, const struct sum_rows *rows, double *ret_totals);

/* Floats from one block of channels to the next of a thread's tile: a cache line more than the
 * pixels take, or else all blocks of a power of two pixels would share a few lines of the first
 * cache. */
static inline ptrdiff_t tile_block(int pixels) {
    return (ptrdiff_t)pixels * KERNEL_LANES + 16;
}
/* A run of pixels of one group, at most ENGINE_TILE. */
struct tile {
    int group;    /* of the plane */
    int first, n; /* pixels of the group */
};
/* Iterates over the tiles of a plane that a chunk covers; start with tile->n = 0. */
bool chunk_next_tile(const struct chunk *chunk, const struct plane *plane, struct tile *tile);
static inline float *tile_data(const struct plane *plane, const struct tile *tile) {
    return plane_group(plane, tile->group) + (ptrdiff_t)tile->first * KERNEL_LANES;
}
/* A part of a tile inside one image, from pixel `first` of the tile on; false behind the last. */
struct tile_part {
    int image, first, n;
};
bool tile_next_part(const struct plane *plane, const struct tile *tile, struct tile_part *part);

/* Sums for batch normalisation of one group: two vectors of `channels`, cleared by whoever starts
 * the group. */
static inline float *engine_sums(const struct engine *engine, const struct plane *plane,
                                 int group) {
    return engine->sums + (ptrdiff_t)group * 2 * plane->channels;
}
void engine_clear_sums(const struct chunk *chunk, const struct plane *plane);

/* ---- Batch normalisation ---- */

void bn_layer_init(struct engine *engine, struct bn_layer *bn, const struct bn_tensors *tensors,
                   const struct plane *plane, float *memory);
/* Behind the pass that wrote plane: coefficients by the run's mode, statistics kept up. */
void bn_layer_forward(struct engine *engine, struct bn_layer *bn, const struct plane *plane);
/* The same from moments that were found another way (unused where statistics are given). */
void bn_layer_forward_from(struct engine *engine, struct bn_layer *bn, const double *mean,
                           const double *square);
/* Behind the pass that summed dz and dz * a per group of plane. */
void bn_layer_backward(struct engine *engine, struct bn_layer *bn, const struct plane *plane);
static inline struct bn_act bn_layer_act(const struct bn_layer *bn, enum act act) {
    return (struct bn_act){bn->batch.scale, bn->batch.shift, act};
}
static inline struct bn_grad_coef bn_layer_grad(const struct bn_layer *bn) {
    return (struct bn_grad_coef){bn->batch.on_dz, bn->batch.on_a, bn->batch.offset};
}

/* ---- Drop-connect ---- */

size_t drop_floats(int images, int channels);
/* Of the running subnet's block number `block`; off where the run has none or the block no shortcut
 * that is its input. */
void drop_init(const struct engine *engine, struct unit *unit, int block, float *memory);
/* Behind the last BN's coefficients: those for an image that keeps its branch. */
void drop_forward(struct engine *engine, struct unit *unit);
void drop_backward(struct unit *unit);
/* A part of a tile for which all images keep their branch or none does: the tile where it is off,
 * else one image's. vector: of drop, for images that keep it. */
bool drop_next_part(const struct unit *unit, const struct plane *plane, const struct tile *tile,
                    struct tile_part *part);
static inline const float *drop_vector(const struct unit *unit, const struct tile_part *part,
                                       const float *vector) {
    return unit->drop.stays[part->image] > 0 ? vector : unit->drop.zeros;
}

/* ---- Units: forward, then backward from dy (gradient of the output) to dx ---- */

/* A unit's forward ends with its last convolution; BN, activation or shortcut, which give its
 * output, happen in the next one's first pass, tile by tile, or in a pass of their own. */
void unit_finish_tile(const struct chunk *chunk, const struct unit *unit, const struct tile *tile);
void unit_finish(struct engine *engine, struct unit *unit);

void stem_forward(struct engine *engine, struct unit *unit);
void stem_backward(struct engine *engine, struct unit *unit, const struct plane *dy);
/* Adds a tile's sums for the last BN of a block whose output's gradient is dy. */
void block_output_sums(const struct chunk *chunk, const struct unit *block, const struct plane *dy,
                       const struct tile *tile);
/* The unit before, if it is a block: whoever completes its output's gradient adds its sums too. */
static inline const struct unit *block_before(const struct unit *unit) {
    return unit[-1].spec.kind == UNIT_BLOCK ? unit - 1 : NULL;
}
void block_forward(struct engine *engine, struct unit *unit);
void block_backward(struct engine *engine, struct unit *unit, const struct plane *dy,
                    const struct plane *dx);
void conv_forward(struct engine *engine, struct unit *unit);
void conv_backward(struct engine *engine, struct unit *unit, const struct plane *dy,
                   const struct plane *dx);
void bottleneck_forward(struct engine *engine, struct unit *unit);
/* Uses up dy. */
void bottleneck_backward(struct engine *engine, struct unit *unit, const struct plane *dy,
                         const struct plane *dx);
void bottleneck_finish_tile(const struct chunk *chunk, const struct unit *unit,
                            const struct tile *tile);
void head_conv_forward(struct engine *engine, struct unit *unit);
/* From the tail's d_pooled. */
void head_conv_backward(struct engine *engine, struct unit *unit, const struct plane *dx);
/* last: the unit whose output the global mean reads. */
void tail_forward(struct engine *engine, struct unit *last, float *ret_logits);
/* Leaves each pixel's share of the mean's gradient in the tail's d_pooled. */
void tail_backward(struct engine *engine, struct unit *last, const float *d_logits);
/* Gives d_pooled to every pixel of dy: where no head convolution stands between. */
void tail_spread(struct engine *engine, struct unit *last, const struct plane *dy);

/* ---- Pieces that layers share ---- */

/* Leading slice [c_out, c_in] of a 1x1 convolution's weights, packed for forward or backward. */
void pack_pointwise(const struct tensor *weight, int c_out, int c_in, float *packed);
void pack_pointwise_transposed(const struct tensor *weight, int c_out, int c_in, float *packed);
/* Sums the slots' dense weight gradients and adds them to the leading slice of weight's. */
void add_pointwise_grad(struct engine *engine, const struct tensor *weight, int c_out, int c_in);
/* Row of the kernels' vector per channel of image i out of a plane of 1 x 1 pixels, and back. */
void plane_get_row(const struct plane *plane, int image, float *row);
void plane_put_row(const struct plane *plane, int image, const float *row);

/* ---- Memory ---- */

/* Whether a block that expands is merged (layers_expand.c). By the tensors' channels, so that every
 * subnet's block is what the memory was laid out for. */
bool engine_merges(const struct engine *engine, const struct block_tensors *tensors);

/* engine_create with another limit than ENGINE_MERGE_CHANNELS. */
int engine_create_merging(struct supernet *supernet, struct parallel *pool,
                          const struct engine_limits *limits, int merge_channels_max,
                          struct err *err, struct engine **ret_engine);

/* The layout that a run of that mode needs. */
struct engine_layout engine_layout_of(const struct engine_limits *limits, enum engine_mode mode);
/* Points every buffer of the engine into base (which may be NULL) by engine->layout and returns the
 * floats needed. Forgets what pointed there before. engine->scratch holds `threads` entries (or is
 * NULL). */
size_t engine_carve(struct engine *engine, const struct space *space,
                    const struct supernet_map *map, int threads, float *base);
/* Floats that every layout of the engine's limits finds room in. Leaves it in that of training. */
size_t engine_storage_floats(struct engine *engine, const struct space *space,
                             const struct supernet_map *map, int threads);
