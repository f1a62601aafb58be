#include <string.h>

#include "base/clock.h"
#include "supernet/engine_internal.h"

int engine_chunks(const struct engine *engine) {
    return shard_chunks(&engine->run.shard);
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
    int each = e->run.shard.chunk, end = (index + 1) * each;
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
    engine->stopped = engine->stopped || engine_stopping(engine);
    if (engine->stopped)
        return;
    parallel_for(engine->pool, engine_chunks(engine), run_chunk, &pass);
    engine->phase_ns[phase] += clock_mono_ns() - start;
}

void engine_set_stop(struct engine *engine, engine_stop_fn *stop, void *context) {
    engine->stop = stop;
    engine->stop_context = context;
}

bool engine_stopping(const struct engine *engine) {
    return engine->stop && engine->stop(engine->stop_context);
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

/* SUM_STEP floats of up to four parts as a balanced tree. */
static inline void sum_four(const float *p, size_t stride, int parts, float *restrict ret) {
    const float *q = p + stride, *r = q + stride, *s = r + stride;
    switch (parts) {
    case 1:
        memcpy(ret, p, SUM_STEP * sizeof *ret);
        break;
    case 2:
        for (int i = 0; i < SUM_STEP; i++)
            ret[i] = p[i] + q[i];
        break;
    case 3:
        for (int i = 0; i < SUM_STEP; i++)
            ret[i] = p[i] + q[i] + r[i];
        break;
    case 4:
        for (int i = 0; i < SUM_STEP; i++)
            ret[i] = (p[i] + q[i]) + (r[i] + s[i]);
        break;
    }
}

/* The same of all parts, of which there are at most 4 * 4. */
static void sum_step(float *first, size_t stride, int parts) {
    float quarter[4][SUM_STEP], total[SUM_STEP];
    int quarters = (parts + 3) / 4;
    for (int i = 0; i < quarters; i++)
        sum_four(first + 4 * (size_t)i * stride, stride, i < parts / 4 ? 4 : parts % 4, quarter[i]);
    sum_four(quarter[0], SUM_STEP, quarters, total);
    memcpy(first, total, sizeof total);
}

void engine_sum_parts(float *first, size_t stride, int parts, size_t n) {
    for (size_t i = 0; i < n; i += SUM_STEP)
        sum_step(first + i, stride, parts);
}

static void sum_range(void *context, int index, int thread) {
    const struct slot_sum *sum = context;
    size_t steps = (sum->n + SUM_STEP - 1) / SUM_STEP; /* slots are whole multiples of a step */
    size_t first = steps * (size_t)index / SUM_RANGES * SUM_STEP;
    size_t end = steps * (size_t)(index + 1) / SUM_RANGES * SUM_STEP;
    engine_sum_parts(sum->engine->slots + first, sum->engine->slot_floats,
                     engine_chunks(sum->engine), end - first);
}

void engine_sum_slots(struct engine *engine, size_t n) {
    struct slot_sum sum = {engine, n};
    int64_t start = clock_mono_ns();
    parallel_for(engine->pool, SUM_RANGES, sum_range, &sum);
    comm_sum_f32(engine->comm, engine->slots, n);
    engine->phase_ns[PHASE_SLOT_SUMS] += clock_mono_ns() - start;
}

enum { ROW_STEP = 8, ROW_PARTS = 8, ROWS_WORTH = 8192 /* numbers that pay for other threads */ };

static inline void sum_rows_of_chunk(const float *first, ptrdiff_t stride, int rows, int n,
                                     double *part) {
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < n; i++)
            part[i] += first[row * stride + i];
}

/* Numbers [at, at + n) of the rows, n <= ROW_STEP. */
static void sum_row_step(const struct engine *e, const struct sum_rows *rows, int at, int n,
                         double *ret_totals) {
    double part[ENGINE_SLOTS][ROW_STEP];
    int each = e->run.shard.chunk / rows->group, chunks = engine_chunks(e);
    int left = (e->n_images + rows->group - 1) / rows->group;
    const float *first = rows->first + at;
    memset(part, 0, (size_t)chunks * sizeof *part);
    for (int s = 0; s < chunks; s++, left -= each, first += each * rows->stride)
        if (n == ROW_STEP) /* the compiler's vectors */
            sum_rows_of_chunk(first, rows->stride, left < each ? left : each, ROW_STEP, part[s]);
        else
            sum_rows_of_chunk(first, rows->stride, left < each ? left : each, n, part[s]);
    for (int reach = 1; reach < chunks; reach *= 2)
        for (int s = 0; s + reach < chunks; s += 2 * reach)
            for (int i = 0; i < ROW_STEP; i++)
                part[s][i] += part[s + reach][i];
    memcpy(ret_totals + at, part[0], (size_t)n * sizeof *ret_totals);
}

struct row_sum {
    const struct engine *engine;
    const struct sum_rows *rows;
    double *totals;
    int parts;
};

static void sum_row_part(void *context, int part, int thread) {
    const struct row_sum *sum = context;
    int n = sum->rows->n, steps = (n + ROW_STEP - 1) / ROW_STEP;
    int first = steps * part / sum->parts * ROW_STEP;
    int end = steps * (part + 1) / sum->parts * ROW_STEP;
    for (int at = first; at < end; at += ROW_STEP)
        sum_row_step(sum->engine, sum->rows, at, n - at < ROW_STEP ? n - at : ROW_STEP,
                     sum->totals);
}

void engine_sum_rows(const struct engine *engine, const struct sum_rows *rows, double *ret_totals) {
    int numbers = (engine->n_images + rows->group - 1) / rows->group * rows->n;
    struct row_sum sum = {engine, rows, ret_totals, numbers < ROWS_WORTH ? 1 : ROW_PARTS};
    if (sum.parts > 1)
        parallel_for(engine->pool, sum.parts, sum_row_part, &sum);
    else
        sum_row_part(&sum, 0, 0);
    comm_sum_f64(engine->comm, ret_totals, (size_t)rows->n);
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
