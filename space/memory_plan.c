#include "space/memory_plan.h"

#include "space/lower.h"

enum { TENSORS_MAX = GRAPH_OPS_MAX + 1, ALIGN = 64 };

enum end { BOTTOM, TOP };

/* Tensors that share memory (SE in place) have one root: the first of them. */
struct planner {
    const struct graph *graph;
    int root[TENSORS_MAX];
    int last[TENSORS_MAX]; /* of a root: index of the last op that touches it */
    enum end end[TENSORS_MAX];
    int64_t size[TENSORS_MAX], offset[TENSORS_MAX];
    int64_t capacity;
};

static int born(int tensor) {
    return tensor ? tensor - 1 : 0;
}

static bool lives(const struct planner *planner, int tensor, int op) {
    return planner->root[tensor] == tensor && born(tensor) <= op && op <= planner->last[tensor];
}

static void find_lifetimes(struct planner *planner, int bytes_per_element) {
    const struct graph *graph = planner->graph;
    for (int t = 0; t < graph->n_tensors; t++) {
        const struct tensor_shape *shape = &graph->tensors[t];
        int64_t bytes = (int64_t)shape->channels * shape->height * shape->width * bytes_per_element;
        planner->size[t] = (bytes + ALIGN - 1) / ALIGN * ALIGN;
        planner->root[t] = t;
        planner->last[t] = born(t);
    }
    for (int i = 0; i < graph->n_ops; i++) {
        const struct op *op = &graph->ops[i];
        if (op->kind == OP_SE)
            planner->root[op->output] = planner->root[op->input];
        planner->last[planner->root[op->input]] = i;
        if (op->residual >= 0)
            planner->last[planner->root[op->residual]] = i;
    }
    planner->last[planner->root[graph->n_tensors - 1]] = graph->n_ops;
}

static void find_capacity(struct planner *planner) {
    const struct graph *graph = planner->graph;
    for (int i = 0; i < graph->n_ops; i++) {
        int64_t sum = 0;
        for (int t = 0; t <= i + 1; t++)
            sum += lives(planner, t, i) ? planner->size[t] : 0;
        if (sum > planner->capacity)
            planner->capacity = sum;
    }
}

static enum end other_end(enum end end) {
    return end == BOTTOM ? TOP : BOTTOM;
}

/* What a residual block's last op reads lies beside the block's input, so that its output finds the
 * other end free; everything else goes to the end that its input does not hold. */
static enum end choose_end(const struct planner *planner, const struct op *op) {
    int last = planner->last[op->output];
    if (last < planner->graph->n_ops) {
        int kept = planner->graph->ops[last].residual;
        kept = kept < 0 ? -1 : planner->root[kept];
        if (kept >= 0 && kept != op->output && kept < op->output)
            return planner->end[kept];
    }
    int beside = op->residual >= 0 ? op->residual : op->input;
    return other_end(planner->end[planner->root[beside]]);
}

static bool is_free(const struct planner *planner, int tensor, int64_t offset) {
    if (offset < 0 || offset + planner->size[tensor] > planner->capacity)
        return false;
    for (int t = 0; t < tensor; t++)
        if (lives(planner, t, born(tensor)) && offset < planner->offset[t] + planner->size[t] &&
            planner->offset[t] < offset + planner->size[tensor])
            return false;
    return true;
}

/* The free place nearest to the tensor's end; -1 if there is none. */
static int64_t find_place(const struct planner *planner, int tensor) {
    bool bottom = planner->end[tensor] == BOTTOM;
    int64_t best = bottom ? 0 : planner->capacity - planner->size[tensor];
    if (is_free(planner, tensor, best))
        return best;
    best = -1;
    for (int t = 0; t < tensor; t++) {
        if (!lives(planner, t, born(tensor)))
            continue;
        int64_t at = bottom ? planner->offset[t] + planner->size[t]
                            : planner->offset[t] - planner->size[tensor];
        bool better = best < 0 || (bottom ? at < best : at > best);
        if (better && is_free(planner, tensor, at))
            best = at;
    }
    return best;
}

static void place(struct planner *planner, int tensor) {
    int64_t at = find_place(planner, tensor);
    if (at < 0) { /* no chain of units comes here; the plan stays right if one did */
        at = planner->capacity;
        planner->capacity += planner->size[tensor];
    }
    planner->offset[tensor] = at;
}

int64_t memory_plan(const struct graph *graph, int bytes_per_element, int64_t *ret_offsets) {
    struct planner planner = {.graph = graph};
    find_lifetimes(&planner, bytes_per_element);
    find_capacity(&planner);
    place(&planner, 0);
    for (int i = 0; i < graph->n_ops; i++) {
        int tensor = graph->ops[i].output;
        if (planner.root[tensor] != tensor)
            continue;
        planner.end[tensor] = choose_end(&planner, &graph->ops[i]);
        place(&planner, tensor);
    }
    for (int t = 0; t < graph->n_tensors; t++)
        ret_offsets[t] = planner.offset[planner.root[t]];
    return planner.capacity;
}
