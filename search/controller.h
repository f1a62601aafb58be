/* A recurrent controller of choices (Zoph and Le 2017): one LSTM cell (Hochreiter and Schmidhuber
 * 1997, with forget gates) makes one step for each gene; its input is the embedding of the choice
 * before, its output the logits of the gene's own choices, bounded by 4 tanh(z / 4) (as ENAS bounds
 * them, Pham et al. 2018). What the choices are made for (weights of objectives) is the first
 * input. Policy gradients go back through all steps. Numbers are doubles; not thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct controller_shape {
    int n_steps, n_context, hidden;
    const int *n_choices; /* [n_steps]; copied */
};

/* All of a controller's state: count numbers each. */
struct controller_numbers {
    size_t count;
    double *weights, *first, *second; /* moments of Adam */
    int64_t steps;                    /* of Adam */
};

struct controller;
/* Weights uniform in [-0.1, 0.1], the forget gates' biases 1. Deterministic in seed. Errors:
 * ESP_ENOMEM. */
int controller_create(const struct controller_shape *shape, uint64_t seed, struct err *err,
                      struct controller **ret_controller);
void controller_destroy(struct controller *controller);                       /* takes NULL */
struct controller_numbers *controller_numbers(struct controller *controller); /* borrowed */

/* Makes the choice of one step by the chances p [n]. Asked with p NULL before: -1 says that there
 * is nothing to choose, and the cell makes no step. */
typedef int controller_pick(void *context, int step, const double *p, int n);
/* Rolls the controller out; what is needed to go back is kept until the next. */
void controller_roll(struct controller *controller, const double *context, controller_pick *pick,
                     void *pick_context);
/* Of the last roll: -(advantage * log p(choices) + entropy_bonus * sum of the steps' entropies). */
double controller_loss(const struct controller *controller, double advantage, double entropy_bonus);
/* Adds the gradient of controller_loss by all weights to the one that is gathered. */
void controller_backward(struct controller *controller, double advantage, double entropy_bonus);
const double *controller_gradient(const struct controller *controller); /* gathered; borrowed */
/* One step of Adam down the gathered gradient times scale, its norm cut at 5; then it is zero. */
void controller_descend(struct controller *controller, double rate, double scale);
