/* Where an arch that a search looks at comes from. It is kept for people, who want to see how a
 * network came about: no strategy goes by it. */
#pragma once

#include "space/arch.h"

enum origin_kind {
    ORIGIN_SEEDED,     /* known before the search began: evaluated for a predictor, or handed in */
    ORIGIN_SAMPLED,    /* drawn from the space, by nothing but the seed and the limits */
    ORIGIN_ENUMERATED, /* its turn among all */
    ORIGIN_MUTATED,    /* the parent with choices drawn anew */
    ORIGIN_CROSSED,    /* choices of two parents mixed; some may have been drawn anew besides */
    ORIGIN_NEIGHBOUR,  /* the parent with one choice changed */
    ORIGIN_PREDICTED, /* found by a search on models; parents are the nearest of its ancestors there
                         that were evaluated */
    ORIGIN_POLICY,    /* drawn from a policy that has learnt: of all that was told, so no parents */
    ORIGIN_GRADIENT,  /* drawn where gradients led: no parents either */
};
extern const char *const origin_names[]; /* "seeded" and so on, NULL */
enum { ORIGIN_PARENTS_MAX = 2 };

struct origin {
    enum origin_kind kind;
    int n_parents; /* [0, ORIGIN_PARENTS_MAX] */
    /* Different from each other; asked for or told of before. */
    struct arch parents[ORIGIN_PARENTS_MAX];
};

/* Of one that has no parents. */
void origin_set(struct origin *origin, enum origin_kind kind);
/* Adds a parent, unless it is there already. */
void origin_add_parent(struct origin *origin, const struct arch *parent);
/* Of one with a parent, or with two: mutated in place of crossed where both are the same arch. b
 * NULL: one. */
void origin_set_parents(struct origin *origin, enum origin_kind kind, const struct arch *a,
                        const struct arch *b);
