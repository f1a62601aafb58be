#include "latency/design.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Variances before anything is measured, in those of one network's own error: a profile's line may
 * be off by tens of per cent, what sets networks apart is about as large as what nothing explains.
 */
#define LINE_VARIANCE 1
#define LIKENESS_VARIANCE 10

struct state {
    const struct design *design;
    double *left; /* [n][n]: covariance after what is known */
    bool *known;  /* [n] */
};

void design_covariance(const struct ladder_networks *networks, double *ret_covariance) {
    size_t n = networks->n;
    double typical = 0;
    int rungs = 0;
    for (size_t i = 0; i < n; i++)
        typical += 1 / networks->sum_us[i] / (double)n;
    for (int r = 0; r < LADDER_RUNGS; r++)
        rungs += networks->likeness[r] != NULL;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double a = 1 / (typical * networks->sum_us[i]) - 1,
                   b = 1 / (typical * networks->sum_us[j]) - 1, alike = 0;
            for (int r = 0; r < LADDER_RUNGS; r++)
                if (networks->likeness[r])
                    alike += networks->likeness[r][i * n + j] / rungs;
            ret_covariance[i * n + j] = LINE_VARIANCE * (1 + a * b) + LIKENESS_VARIANCE * alike;
        }
}

static double weight_of(const struct design *design, size_t i) {
    return design->weight ? design->weight[i] : 1;
}

/* By how much the weighted sum of variances falls when a network is measured. */
static double gain(const struct state *state, size_t network) {
    const double *row = state->left + network * state->design->n;
    double sum = 0;
    for (size_t j = 0; j < state->design->n; j++)
        sum += weight_of(state->design, j) * row[j] * row[j];
    return sum / (row[network] + 1);
}

void design_know(double *covariance, size_t n, size_t network, double *scratch) {
    memcpy(scratch, covariance + network * n, n * sizeof *scratch);
    double total = scratch[network] + 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            covariance[i * n + j] -= scratch[i] * scratch[j] / total;
}

static void measure(struct state *state, size_t network, double *row) {
    design_know(state->left, state->design->n, network, row);
    state->known[network] = true;
}

static double mean_left(const struct state *state) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < state->design->n; i++) {
        sum += weight_of(state->design, i) * state->left[i * state->design->n + i];
        weights += weight_of(state->design, i);
    }
    return weights > 0 ? sum / weights : 0;
}

/* What is worth the same but for rounding counts as the same, so that the order does not depend on
 * it. */
static size_t best(const struct state *state) {
    size_t found = state->design->n;
    double most = 0;
    for (size_t i = 0; i < state->design->n; i++) {
        if (state->known[i])
            continue;
        double worth = gain(state, i);
        if (found == state->design->n || worth > most * (1 + 1e-9)) {
            found = i;
            most = worth;
        }
    }
    return found;
}

static int check(const struct design *design, const uint32_t *known, size_t n_known,
                 size_t n_wanted, struct err *err) {
    if (design->n > DESIGN_NETWORKS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "networks are chosen of at most %d, not of %zu",
                       DESIGN_NETWORKS_MAX, design->n);
    for (size_t i = 0; i < n_known; i++)
        if (known[i] >= design->n)
            return err_set(err, ESP_EINVAL, NULL, "there is no network %u of %zu", known[i],
                           design->n);
    if (n_known + n_wanted > design->n)
        return err_set(err, ESP_EINVAL, NULL,
                       "%zu networks cannot be chosen of %zu, %zu of them "
                       "known",
                       n_wanted, design->n, n_known);
    return 0;
}

int design_choose(const struct design *design, const uint32_t *known, size_t n_known,
                  size_t n_wanted, struct err *err, uint32_t *ret_chosen, double *ret_left) {
    size_t n = design->n;
    int code = check(design, known, n_known, n_wanted, err);
    if (code < 0 || n_wanted == 0)
        return code;
    struct state state = {design, mem_array(n * n, sizeof(double)), mem_array(n, sizeof(bool))};
    double *row = mem_array(n, sizeof *row);
    if (!state.left || !state.known || !row)
        code = err_set(err, ESP_ENOMEM, NULL, "no memory to choose networks");
    if (code == 0)
        memcpy(state.left, design->covariance, n * n * sizeof *state.left);
    for (size_t i = 0; code == 0 && i < n_known; i++)
        measure(&state, known[i], row);
    for (size_t i = 0; code == 0 && i < n_wanted; i++) {
        size_t network = best(&state);
        measure(&state, network, row);
        ret_chosen[i] = (uint32_t)network;
        if (ret_left)
            ret_left[i] = mean_left(&state);
    }
    free(state.left);
    free(state.known);
    free(row);
    return code;
}
