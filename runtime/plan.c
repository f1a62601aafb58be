#include "runtime/plan.h"

#include <stdlib.h>

#include "base/cpu.h"
#include "runtime/unit.h"

struct plan {
    const struct kernels *kernels;
    struct parallel *pool;
    int batch, threads, n_units;
    struct unit *units;
    struct arena weights;
    struct tensor_shape input, output;
    int64_t arena_bytes;
    char **arenas; /* [threads]; those beyond the first hold scratch planes only if batch is 1 */
};

static int64_t elements(const struct tensor_shape *shape) {
    return (int64_t)shape->channels * shape->height * shape->width;
}

/* Bytes that a thread other than the first needs. */
static int64_t spare_bytes(const struct graph *graph, const struct plan *plan) {
    if (plan->batch > 1)
        return plan->arena_bytes;
    int64_t most = 0;
    for (int i = 0; i < graph->n_units; i++) {
        const struct unit_spec *spec = &graph->units[i].spec;
        bool shared = spec->kind == UNIT_BLOCK || spec->kind == UNIT_STEM;
        int64_t bytes = shared ? unit_memory(spec, sizeof(float)).scratch : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static int allocate_arenas(const struct graph *graph, struct plan *plan, struct err *err) {
    plan->arenas = mem_array((size_t)plan->threads, sizeof(*plan->arenas));
    if (!plan->arenas)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    for (int t = 0; t < plan->threads; t++) {
        int64_t bytes = t ? spare_bytes(graph, plan) : plan->arena_bytes;
        plan->arenas[t] = mem_aligned((size_t)bytes, 1);
        if (!plan->arenas[t])
            return err_set(err, ESP_ENOMEM, "", "out of memory for %lld bytes of activations",
                           (long long)bytes);
    }
    return 0;
}

static int pack_units(const struct graph *graph, const struct plan_weights *weights,
                      struct plan *plan, struct err *err) {
    struct unit_memory places[GRAPH_UNITS_MAX];
    plan->arena_bytes = memory_plan(graph, sizeof(float), places);
    plan->units = mem_array((size_t)graph->n_units, sizeof(*plan->units));
    if (!plan->units)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    for (; plan->n_units < graph->n_units; plan->n_units++) {
        const struct graph_unit *unit = &graph->units[plan->n_units];
        int code = unit_pack(unit, weights->ops + unit->first_op, &plan->weights, err,
                             &plan->units[plan->n_units]);
        if (code)
            return code;
        plan->units[plan->n_units].at = places[plan->n_units];
    }
    return 0;
}

int plan_create(const struct graph *graph, const struct plan_weights *weights,
                const struct plan_options *options, struct err *err, struct plan **ret_plan) {
    if (weights->n_ops != graph->n_ops)
        return err_set(err, ESP_EINVAL, "", "weights of %d operations for a network of %d",
                       weights->n_ops, graph->n_ops);
    if (options->batch < 1)
        return err_set(err, ESP_EINVAL, "", "a batch has at least one image, not %d",
                       options->batch);
    struct plan *plan = mem_array(1, sizeof(*plan));
    if (!plan)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    uint32_t flags = options->cpu_flags ? options->cpu_flags & cpu_flags() : cpu_flags();
    plan->kernels = kernels_select(flags);
    plan->pool = options->pool;
    plan->batch = options->batch;
    plan->threads = parallel_threads(options->pool);
    plan->input = graph->tensors[0];
    plan->output = graph->tensors[graph->n_tensors - 1];
    arena_init(&plan->weights, 0);
    int code = pack_units(graph, weights, plan, err);
    if (!code)
        code = allocate_arenas(graph, plan, err);
    if (code) {
        plan_destroy(plan);
        return code;
    }
    *ret_plan = plan;
    return 0;
}

void plan_destroy(struct plan *plan) {
    if (!plan)
        return;
    for (int t = 0; plan->arenas && t < plan->threads; t++)
        free(plan->arenas[t]);
    free(plan->arenas);
    free(plan->units);
    arena_finish(&plan->weights);
    free(plan);
}

/* A network's image is read by the stem where it is; a unit alone gets its input in blocks. */
static void load_input(const struct plan *plan, const struct unit_run *run) {
    const struct unit *first = &plan->units[0];
    if (first->spec.kind == UNIT_STEM)
        return;
    int pixels = plan->input.height * plan->input.width;
    plan->kernels->to_blocked_f32(
        &(struct layout_args){.x = run->image,
                              .y = (float *)(void *)(run->arena + first->at.input),
                              .block = (ptrdiff_t)pixels * KERNEL_LANES,
                              .channels = plan->input.channels,
                              .pixels = pixels});
}

static void store_output(const struct plan *plan, const struct unit_run *run, float *ret_output) {
    const struct unit *last = &plan->units[plan->n_units - 1];
    int pixels = plan->output.height * plan->output.width;
    plan->kernels->from_blocked_f32(
        &(struct layout_args){.x = (const float *)(const void *)(run->arena + last->at.output),
                              .y = ret_output,
                              .block = (ptrdiff_t)pixels * KERNEL_LANES,
                              .channels = plan->output.channels,
                              .pixels = pixels});
}

static void run_units(const struct plan *plan, const struct unit_run *run) {
    for (int i = 0; i < plan->n_units; i++)
        unit_run(&plan->units[i], run);
}

static void run_image(const struct plan *plan, const struct unit_run *run, float *ret_output) {
    load_input(plan, run);
    run_units(plan, run);
    store_output(plan, run, ret_output);
}

struct batch {
    const struct plan *plan;
    const float *input;
    float *output;
};

static void run_chunk(void *context, int image, int thread) {
    const struct batch *batch = context;
    const struct plan *plan = batch->plan;
    struct unit_run run = {.kernels = plan->kernels,
                           .arena = plan->arenas[thread],
                           .image = batch->input + image * elements(&plan->input)};
    run_image(plan, &run, batch->output + image * elements(&plan->output));
}

/* Of one image, on all threads. */
static struct unit_run run_of_one(const struct plan *plan, const float *input) {
    return (struct unit_run){.kernels = plan->kernels,
                             .pool = plan->pool,
                             .arena = plan->arenas[0],
                             .spare = plan->arenas,
                             .image = input};
}

void plan_take_in(struct plan *plan, const float *input) {
    struct unit_run run = run_of_one(plan, input);
    load_input(plan, &run);
}

void plan_run_inside(struct plan *plan, const float *input) {
    struct unit_run run = run_of_one(plan, input);
    run_units(plan, &run);
}

int plan_run(struct plan *plan, const float *input, int n, float *ret_output) {
    if (n < 1 || n > plan->batch)
        return ESP_EINVAL;
    if (n == 1) {
        struct unit_run run = run_of_one(plan, input);
        run_image(plan, &run, ret_output);
        return 0;
    }
    struct batch batch = {plan, input, ret_output};
    parallel_for(plan->pool, n, run_chunk, &batch);
    return 0;
}

int64_t plan_arena_bytes(const struct plan *plan) {
    return plan->arena_bytes;
}

const char *plan_kernel_set(const struct plan *plan) {
    return plan->kernels->name;
}
