#include <string.h>

#include "base/clock.h"
#include "supernet/engine_internal.h"

static int octets(const struct engine *e) {
    return (e->n_images + ENGINE_OCTET - 1) / ENGINE_OCTET;
}

static int images_per_chunk(const struct engine *e) {
    return (octets(e) + ENGINE_SLOTS - 1) / ENGINE_SLOTS * ENGINE_OCTET;
}

int engine_chunks(const struct engine *engine) {
    int each = images_per_chunk(engine);
    return (engine->n_images + each - 1) / each;
}

struct pass {
    struct engine *engine;
    struct unit *unit;
    const void *extra;
    chunk_fn *fn;
};

static void run_chunk(void *context, int index, int thread) {
    const struct pass *pass = context;
    struct engine *e = pass->engine;
    int each = images_per_chunk(e), end = (index + 1) * each;
    struct chunk chunk = {.engine = e,
                          .unit = pass->unit,
                          .extra = pass->extra,
                          .scratch = &e->scratch[thread],
                          .slot = e->slots ? e->slots + (size_t)index * e->slot_floats : NULL,
                          .first = index * each,
                          .end = end < e->n_images ? end : e->n_images};
    pass->fn(&chunk);
}

void engine_pass(struct engine *engine, enum engine_phase phase, struct unit *unit,
                 const void *extra, chunk_fn *fn) {
    struct pass pass = {engine, unit, extra, fn};
    int64_t start = clock_mono_ns();
    parallel_for(engine->pool, engine_chunks(engine), run_chunk, &pass);
    engine->phase_ns[phase] += clock_mono_ns() - start;
}

const char *const engine_phase_names[] = {
    "stem",      "expand",      "filter",       "project",     "finish",
    "head",      "output_sums", "project_grad", "filter_grad", "expand_grad",
    "head_grad", "stem_grad",   "slot_sums",    NULL};

void engine_phase_times(const struct engine *engine, int64_t ret_ns[ENGINE_PHASES]) {
    memcpy(ret_ns, engine->phase_ns, sizeof engine->phase_ns);
}

enum { SUM_RANGES = 16, SUM_STEP = 16 };

struct slot_sum {
    struct engine *engine;
    size_t n;
};

/* SUM_STEP floats at once, so that the compiler keeps them in vector registers. */
static void sum_step(float *first_slot, size_t slot_floats, int slots) {
    float total[SUM_STEP];
    memcpy(total, first_slot, sizeof total);
    for (int s = 1; s < slots; s++)
        for (int i = 0; i < SUM_STEP; i++)
            total[i] += first_slot[(size_t)s * slot_floats + (size_t)i];
    memcpy(first_slot, total, sizeof total);
}

static void sum_range(void *context, int index, int thread) {
    const struct slot_sum *sum = context;
    size_t steps = (sum->n + SUM_STEP - 1) / SUM_STEP; /* slots are whole multiples of a step */
    size_t end = steps * (size_t)(index + 1) / SUM_RANGES;
    for (size_t i = steps * (size_t)index / SUM_RANGES; i < end; i++)
        sum_step(sum->engine->slots + i * SUM_STEP, sum->engine->slot_floats,
                 engine_chunks(sum->engine));
}

void engine_sum_slots(struct engine *engine, size_t n) {
    struct slot_sum sum = {engine, n};
    int64_t start = clock_mono_ns();
    parallel_for(engine->pool, SUM_RANGES, sum_range, &sum);
    engine->phase_ns[PHASE_SLOT_SUMS] += clock_mono_ns() - start;
}

bool chunk_next_tile(const struct chunk *chunk, const struct plane *plane, struct tile *tile) {
    int first_group = chunk->first / plane->group;
    if (tile->n == 0)
        *tile = (struct tile){first_group, 0, 0};
    else
        tile->first += tile->n;
    for (; tile->group * plane->group < chunk->end; tile->group++, tile->first = 0) {
        int images = chunk->end - tile->group * plane->group;
        int pixels = (images < plane->group ? images : plane->group) * plane_pixels(plane);
        tile->n = pixels - tile->first < ENGINE_TILE ? pixels - tile->first : ENGINE_TILE;
        if (tile->n > 0)
            return true;
    }
    return false;
}

bool tile_next_part(const struct plane *plane, const struct tile *tile, struct tile_part *part) {
    int first = part->n == 0 ? 0 : part->first + part->n;
    if (first >= tile->n)
        return false;
    int pixel = tile->first + first, in_image = pixel % plane_pixels(plane);
    int left = plane_pixels(plane) - in_image;
    part->image = tile->group * plane->group + pixel / plane_pixels(plane);
    part->first = first;
    part->n = left < tile->n - first ? left : tile->n - first;
    return true;
}

void engine_clear_sums(const struct chunk *chunk, const struct plane *plane) {
    int first = chunk->first / plane->group;
    int end = (chunk->end + plane->group - 1) / plane->group;
    memset(engine_sums(chunk->engine, plane, first), 0,
           (size_t)(end - first) * 2 * (size_t)plane->channels * sizeof(float));
}

void plane_get_row(const struct plane *plane, int image, float *row) {
    const float *from = plane_image(plane, image);
    for (int c = 0; c < plane->channels; c += KERNEL_LANES)
        memcpy(row + c, from + c / KERNEL_LANES * plane_block(plane), KERNEL_LANES * sizeof *row);
}

void plane_put_row(const struct plane *plane, int image, const float *row) {
    float *to = plane_image(plane, image);
    for (int c = 0; c < plane->channels; c += KERNEL_LANES)
        memcpy(to + c / KERNEL_LANES * plane_block(plane), row + c, KERNEL_LANES * sizeof *row);
}

void pack_pointwise(const struct tensor *weight, int c_out, int c_in, float *packed) {
    struct pw_matrix matrix = {weight->data, weight->dims[1], 1};
    pw_pack(&matrix, c_out, c_in, packed);
}

void pack_pointwise_transposed(const struct tensor *weight, int c_out, int c_in, float *packed) {
    struct pw_matrix matrix = {weight->data, 1, weight->dims[1]};
    pw_pack(&matrix, c_in, c_out, packed);
}

void add_pointwise_grad(struct engine *engine, const struct tensor *weight, int c_out, int c_in) {
    engine_sum_slots(engine, pw_grad_dense_floats(c_in, c_out));
    pw_grad_unpack_add(engine->slots, c_in, c_out, weight->grad, weight->dims[1]);
}
