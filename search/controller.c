#include "search/controller.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

#define BOUND 4.0 /* of logits */
#define NORM_MAX 5.0
static const double adam_b1 = 0.9, adam_b2 = 0.999, adam_eps = 1e-8;
enum { GATES = 4 }; /* input, forget, new, output: H rows of each */

/* One step of the last roll. */
struct trace {
    int choice;          /* -1: none was made */
    size_t input;        /* place of the embedding that went in */
    const double *gates; /* [4H], after their functions */
    const double *cell;  /* [H] */
    const double *out;   /* [H] */
    double *p;           /* chances of the choices */
    double *bounded;     /* logits */
};

struct controller {
    int n_steps, n_context, h;
    int *n_choices;
    /* Places among the weights. */
    size_t w_in, w_back, bias;      /* [H, 4H], [H, 4H], [4H]: inputs before outputs */
    size_t first, first_bias;       /* [n_context, H], [H] */
    size_t *embed, *head, *at_head; /* of each step: [choices, H], [H, choices], [choices] */
    struct controller_numbers numbers;
    double *grad;
    double context[16];
    struct trace *trace;
    double *rolled; /* gates, cell and output of each step, then zeros */
    double *chances;
    double *scratch;  /* [16 H] */
    double *d_logits; /* of the step with the most choices */
};

struct controller_numbers *controller_numbers(struct controller *controller) {
    return &controller->numbers;
}

const double *controller_gradient(const struct controller *controller) {
    return controller->grad;
}

static size_t place(size_t *count, size_t n) {
    size_t at = *count;
    *count += n;
    return at;
}

/* Returns the number of chances over all steps. */
static size_t lay_out(struct controller *c) {
    size_t h = (size_t)c->h, count = 0, chances = 0;
    c->w_in = place(&count, GATES * h * h);
    c->w_back = place(&count, GATES * h * h);
    c->bias = place(&count, GATES * h);
    c->first = place(&count, h * (size_t)c->n_context);
    c->first_bias = place(&count, h);
    for (int s = 0; s < c->n_steps; s++) {
        size_t n = (size_t)c->n_choices[s];
        c->embed[s] = place(&count, n * h);
        c->head[s] = place(&count, n * h);
        c->at_head[s] = place(&count, n);
        chances += n;
    }
    c->numbers.count = count;
    return chances;
}

static void start(struct controller *c, uint64_t seed) {
    struct rng rng = rng_make(seed, RNG_INIT, 0, 0);
    double *w = c->numbers.weights;
    for (size_t i = 0; i < c->numbers.count; i++)
        w[i] = 0.2 * rng_unit(&rng) - 0.1;
    for (int i = 0; i < c->h; i++)
        w[c->bias + (size_t)(c->h + i)] = 1;
}

static bool allocate(struct controller *c, const struct controller_shape *shape) {
    size_t steps = (size_t)shape->n_steps, h = (size_t)shape->hidden;
    c->n_steps = shape->n_steps;
    c->n_context = shape->n_context;
    c->h = shape->hidden;
    c->n_choices = mem_array(steps, sizeof *c->n_choices);
    c->embed = mem_array(3 * steps, sizeof *c->embed);
    c->trace = mem_array(steps, sizeof *c->trace);
    c->rolled = mem_array((GATES + 2) * h * (steps + 1), sizeof *c->rolled);
    c->scratch = mem_array(16 * h, sizeof *c->scratch);
    if (!c->n_choices || !c->embed || !c->trace || !c->rolled || !c->scratch)
        return false;
    memcpy(c->n_choices, shape->n_choices, steps * sizeof *c->n_choices);
    c->head = c->embed + steps;
    c->at_head = c->head + steps;
    size_t chances = lay_out(c);
    c->chances = mem_array(3 * chances, sizeof *c->chances);
    c->d_logits = c->chances ? c->chances + 2 * chances : NULL;
    c->numbers.weights = mem_array(4 * c->numbers.count, sizeof *c->numbers.weights);
    if (!c->chances || !c->numbers.weights)
        return false;
    c->numbers.first = c->numbers.weights + c->numbers.count;
    c->numbers.second = c->numbers.first + c->numbers.count;
    c->grad = c->numbers.second + c->numbers.count;
    return true;
}

int controller_create(const struct controller_shape *shape, uint64_t seed, struct err *err,
                      struct controller **ret_controller) {
    struct controller *c = mem_array(1, sizeof *c);
    if (!c || !allocate(c, shape)) {
        controller_destroy(c);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a controller");
    }
    start(c, seed);
    *ret_controller = c;
    return 0;
}

void controller_destroy(struct controller *c) {
    if (!c)
        return;
    free(c->n_choices);
    free(c->embed);
    free(c->trace);
    free(c->rolled);
    free(c->scratch);
    free(c->chances);
    free(c->numbers.weights);
    free(c);
}

/* --- forward --- */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* y [rows] += w [n, rows]' x [n]: weights of one input lie together, so that the inner loop is over
 * outputs and no sum changes its order. */
static void multiply(const double *w, const double *x, int rows, int n, double *restrict y) {
    for (int i = 0; i < n; i++)
        for (int r = 0; r < rows; r++)
            y[r] += w[i * rows + r] * x[i];
}

static void step_cell(const struct controller *c, const double *x, const double *cell_before,
                      const double *out_before, double *gates, double *cell, double *out) {
    const double *w = c->numbers.weights;
    int h = c->h;
    memcpy(gates, w + c->bias, (size_t)(GATES * h) * sizeof *gates);
    multiply(w + c->w_in, x, GATES * h, h, gates);
    multiply(w + c->w_back, out_before, GATES * h, h, gates);
    for (int i = 0; i < h; i++) {
        gates[i] = sigmoid(gates[i]);
        gates[h + i] = sigmoid(gates[h + i]);
        gates[2 * h + i] = tanh(gates[2 * h + i]);
        gates[3 * h + i] = sigmoid(gates[3 * h + i]);
        cell[i] = gates[h + i] * cell_before[i] + gates[i] * gates[2 * h + i];
        out[i] = gates[3 * h + i] * tanh(cell[i]);
    }
}

static void give_chances(const struct controller *c, int step, const double *out, double *bounded,
                         double *p) {
    int n = c->n_choices[step];
    double largest = -INFINITY, sum = 0;
    memcpy(bounded, c->numbers.weights + c->at_head[step], (size_t)n * sizeof *bounded);
    multiply(c->numbers.weights + c->head[step], out, n, c->h, bounded);
    for (int j = 0; j < n; j++) {
        bounded[j] = BOUND * tanh(bounded[j] / BOUND);
        largest = fmax(largest, bounded[j]);
    }
    for (int j = 0; j < n; j++)
        sum += p[j] = exp(bounded[j] - largest);
    for (int j = 0; j < n; j++)
        p[j] /= sum;
}

/* The first input, in scratch. */
static const double *first_input(struct controller *c, const double *context) {
    memcpy(c->context, context, (size_t)c->n_context * sizeof *context);
    memcpy(c->scratch, c->numbers.weights + c->first_bias, (size_t)c->h * sizeof *c->scratch);
    multiply(c->numbers.weights + c->first, context, c->h, c->n_context, c->scratch);
    return c->scratch;
}

void controller_roll(struct controller *c, const double *context, controller_pick *pick,
                     void *pick_context) {
    size_t h = (size_t)c->h, width = (GATES + 2) * h;
    const double *zeros = c->rolled + width * (size_t)c->n_steps, *cell = zeros, *out = zeros;
    const double *x = first_input(c, context);
    double *chances = c->chances;
    size_t input = SIZE_MAX; /* the first one */
    for (int s = 0; s < c->n_steps; s++) {
        double *gates = c->rolled + width * (size_t)s, *bounded = chances + c->n_choices[s];
        c->trace[s].choice = -1;
        if (pick(pick_context, s, NULL, c->n_choices[s]) < 0)
            continue;
        step_cell(c, x, cell, out, gates, gates + GATES * h, gates + (GATES + 1) * h);
        give_chances(c, s, gates + (GATES + 1) * h, bounded, chances);
        int choice = pick(pick_context, s, chances, c->n_choices[s]);
        c->trace[s] = (struct trace){
            choice, input, gates, gates + GATES * h, gates + (GATES + 1) * h, chances, bounded};
        cell = c->trace[s].cell;
        out = c->trace[s].out;
        input = c->embed[s] + (size_t)choice * h;
        x = c->numbers.weights + input;
        chances = bounded + c->n_choices[s];
    }
}

static double entropy_of(const double *p, int n) {
    double entropy = 0;
    for (int j = 0; j < n; j++)
        entropy -= p[j] > 0 ? p[j] * log(p[j]) : 0;
    return entropy;
}

double controller_loss(const struct controller *c, double advantage, double entropy_bonus) {
    double loss = 0;
    for (int s = 0; s < c->n_steps; s++)
        if (c->trace[s].choice >= 0)
            loss -= advantage * log(c->trace[s].p[c->trace[s].choice]) +
                    entropy_bonus * entropy_of(c->trace[s].p, c->n_choices[s]);
    return loss;
}

/* --- backward --- */

/* grad [n, rows] += x [n] d [rows]', and d_x [n] += w [n, rows] d. */
static void multiply_back(const double *w, const double *x, const double *d, int rows, int n,
                          double *restrict grad, double *restrict d_x) {
    for (int i = 0; i < n; i++) {
        double sums[4] = {0};
        int r = 0;
        for (; r + 4 <= rows; r += 4)
            for (int k = 0; k < 4; k++)
                sums[k] += w[i * rows + r + k] * d[r + k];
        for (; r < rows; r++)
            sums[0] += w[i * rows + r] * d[r];
        d_x[i] += (sums[0] + sums[1]) + (sums[2] + sums[3]);
        for (r = 0; r < rows; r++)
            grad[i * rows + r] += d[r] * x[i];
    }
}

/* Through the chances of a step to its output: adds to d_out. */
static void back_chances(struct controller *c, int step, double advantage, double bonus,
                         double *d_out) {
    const struct trace *t = &c->trace[step];
    int n = c->n_choices[step];
    double entropy = entropy_of(t->p, n), *d = c->d_logits;
    for (int j = 0; j < n; j++) {
        double score = (j == t->choice) - t->p[j];
        double spread = t->p[j] > 0 ? -t->p[j] * (log(t->p[j]) + entropy) : 0;
        double scaled = t->bounded[j] / BOUND;
        d[j] = -(advantage * score + bonus * spread) * (1 - scaled * scaled);
        c->grad[c->at_head[step] + (size_t)j] += d[j];
    }
    multiply_back(c->numbers.weights + c->head[step], t->out, d, n, c->h, c->grad + c->head[step],
                  d_out);
}

/* Through the functions of the gates: d_gates before them from d_out and d_cell; d_cell becomes
 * that of the step before. */
static void back_cell(const struct controller *c, const struct trace *t, const double *cell_before,
                      const double *d_out, double *d_cell, double *d_gates) {
    int h = c->h;
    for (int i = 0; i < h; i++) {
        double in = t->gates[i], forget = t->gates[h + i], fresh = t->gates[2 * h + i];
        double show = t->gates[3 * h + i], squashed = tanh(t->cell[i]);
        double d = d_cell[i] + d_out[i] * show * (1 - squashed * squashed);
        d_gates[i] = d * fresh * in * (1 - in);
        d_gates[h + i] = d * cell_before[i] * forget * (1 - forget);
        d_gates[2 * h + i] = d * in * (1 - fresh * fresh);
        d_gates[3 * h + i] = d_out[i] * squashed * show * (1 - show);
        d_cell[i] = d * forget;
    }
}

/* To what went in: an embedding, or the context's. */
static void back_input(struct controller *c, size_t input, const double *d_x) {
    for (int i = 0; i < c->h && input != SIZE_MAX; i++)
        c->grad[input + (size_t)i] += d_x[i];
    for (int i = 0; i < c->h && input == SIZE_MAX; i++) {
        c->grad[c->first_bias + (size_t)i] += d_x[i];
        for (int k = 0; k < c->n_context; k++)
            c->grad[c->first + (size_t)(k * c->h + i)] += d_x[i] * c->context[k];
    }
}

static int step_before(const struct controller *c, int step) {
    do
        step--;
    while (step >= 0 && c->trace[step].choice < 0);
    return step;
}

void controller_backward(struct controller *c, double advantage, double entropy_bonus) {
    const double *w = c->numbers.weights;
    size_t h = (size_t)c->h;
    const double *zeros = c->rolled + (GATES + 2) * h * (size_t)c->n_steps;
    double *x = c->scratch, *d_out = x + h, *d_cell = d_out + h, *d_x = d_cell + h;
    double *d_gates = d_x + h, *d_before = d_gates + GATES * h;
    memset(d_out, 0, 2 * h * sizeof *d_out); /* and d_cell */
    for (int s = step_before(c, c->n_steps), before; s >= 0; s = before) {
        const struct trace *t = &c->trace[s];
        before = step_before(c, s);
        back_chances(c, s, advantage, entropy_bonus, d_out);
        back_cell(c, t, before < 0 ? zeros : c->trace[before].cell, d_out, d_cell, d_gates);
        memset(d_x, 0, h * sizeof *d_x);
        memset(d_before, 0, h * sizeof *d_before);
        for (size_t i = 0; i < GATES * h; i++)
            c->grad[c->bias + i] += d_gates[i];
        multiply_back(w + c->w_in, t->input == SIZE_MAX ? x : w + t->input, d_gates, GATES * c->h,
                      c->h, c->grad + c->w_in, d_x);
        multiply_back(w + c->w_back, before < 0 ? zeros : c->trace[before].out, d_gates,
                      GATES * c->h, c->h, c->grad + c->w_back, d_before);
        back_input(c, t->input, d_x);
        memcpy(d_out, d_before, h * sizeof *d_out);
    }
}

void controller_descend(struct controller *c, double rate, double scale) {
    struct controller_numbers *n = &c->numbers;
    double squares = 0;
    for (size_t i = 0; i < n->count; i++)
        squares += c->grad[i] * c->grad[i];
    double norm = sqrt(squares) * scale, cut = norm > NORM_MAX ? scale * NORM_MAX / norm : scale;
    n->steps++;
    double c1 = 1 - pow(adam_b1, (double)n->steps), c2 = 1 - pow(adam_b2, (double)n->steps);
    for (size_t i = 0; i < n->count; i++) {
        double g = cut * c->grad[i];
        n->first[i] = adam_b1 * n->first[i] + (1 - adam_b1) * g;
        n->second[i] = adam_b2 * n->second[i] + (1 - adam_b2) * g * g;
        n->weights[i] -= rate * (n->first[i] / c1) / (sqrt(n->second[i] / c2) + adam_eps);
        c->grad[i] = 0;
    }
}
