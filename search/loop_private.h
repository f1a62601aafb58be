/* What loop.c and loop_state.c share; not for others. */
#pragma once

#include "search/loop.h"
#include "search/relaxed_goals.h"

/* Something from outside, before generation + 1 was asked for. */
struct log_entry {
    int generation;
    int candidate; /* -1: a rescoring */
    int metric;    /* of goals; evaluator of a rescoring */
    struct metric value;
    char reason[64];
};

struct search_loop {
    struct search_loop_config config;
    struct foresight foresight;    /* the cheap evaluators, for the strategy */
    struct constrained *limits;    /* for the strategy; may be NULL */
    struct relaxed_goals *relaxed; /* the same */
    struct strategy *strategy;
    struct archive archive;
    int generation;
    int64_t evaluations;
    bool exhausted;
    int *candidates; /* [batch] of the latest generation */
    int n_log, log_capacity;
    struct log_entry *log;
};

int search_loop_log(struct search_loop *loop, const struct log_entry *entry, struct err *err);
