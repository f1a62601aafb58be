#include "search/origin.h"

#include <assert.h>

const char *const origin_names[] = {
    [ORIGIN_SEEDED] = "seeded",         [ORIGIN_SAMPLED] = "sampled",
    [ORIGIN_ENUMERATED] = "enumerated", [ORIGIN_MUTATED] = "mutated",
    [ORIGIN_CROSSED] = "crossed",       [ORIGIN_NEIGHBOUR] = "neighbour",
    [ORIGIN_PREDICTED] = "predicted",   [ORIGIN_POLICY] = "policy",
    [ORIGIN_GRADIENT] = "gradient",     [ORIGIN_GRADIENT + 1] = NULL,
};

void origin_set(struct origin *origin, enum origin_kind kind) {
    origin->kind = kind;
    origin->n_parents = 0;
}

void origin_add_parent(struct origin *origin, const struct arch *parent) {
    for (int i = 0; i < origin->n_parents; i++)
        if (arch_equal(&origin->parents[i], parent))
            return;
    assert(origin->n_parents < ORIGIN_PARENTS_MAX);
    origin->parents[origin->n_parents++] = *parent;
}

void origin_set_parents(struct origin *origin, enum origin_kind kind, const struct arch *a,
                        const struct arch *b) {
    origin_set(origin, kind);
    origin_add_parent(origin, a);
    if (b)
        origin_add_parent(origin, b);
    if (kind == ORIGIN_CROSSED && origin->n_parents == 1)
        origin->kind = ORIGIN_MUTATED;
}
