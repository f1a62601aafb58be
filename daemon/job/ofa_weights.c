#include "daemon/job/ofa_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/job/spec.h"
#include "supernet/tensor_file.h"

enum {
    H = OFA_PREDICTOR_HIDDEN,
    CHOICES = OFA_PREDICTOR_CHOICES,
    ANY = -1, /* inputs of the first layer of a library's predictor */
    TENSORS = 2 * OFA_PREDICTOR_LAYERS
};

struct expected {
    const char *name;
    int n_dims;
    int64_t dims[2];
};
static const struct form {
    const char *words;
    struct expected tensors[TENSORS];
} tutorial = {"0.weight, 0.bias, 2.weight … 6.bias",
              {{"0.weight", 2, {H, CHOICES + 8}},
               {"0.bias", 1, {H}},
               {"2.weight", 2, {H, H}},
               {"2.bias", 1, {H}},
               {"4.weight", 2, {H, H}},
               {"4.bias", 1, {H}},
               {"6.weight", 2, {1, H}},
               {"6.bias", 1, {1}}}},
  library = {"layers.0.0.weight, layers.0.0.bias … layers.3.weight, base_acc",
             {{"layers.0.0.weight", 2, {H, ANY}},
              {"layers.0.0.bias", 1, {H}},
              {"layers.1.0.weight", 2, {H, H}},
              {"layers.1.0.bias", 1, {H}},
              {"layers.2.0.weight", 2, {H, H}},
              {"layers.2.0.bias", 1, {H}},
              {"layers.3.weight", 2, {1, H}},
              {"base_acc", 1, {1}}}};

static const struct foreign_tensor *find(const struct tensor_file *file, const char *name) {
    for (int i = 0; i < file->n; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

static int refuse_missing(const struct tensor_file *file, const char *name, struct err *err) {
    return err_set(err, ESP_EMISMATCH, NULL,
                   "there is no tensor \"%s\" (of %d tensors the first is \"%.60s\"): the file is "
                   "no accuracy predictor of once-for-all, whose tensors are %s in its tutorial, "
                   "%s in its library",
                   name, file->n, file->n > 0 ? file->tensors[0].name : "", tutorial.words,
                   library.words);
}

/* Inputs of a library's predictor: those of the blocks and of 1 to RESOLUTIONS_MAX resolutions. */
static bool dim_fits(int64_t dim, int64_t wanted) {
    return wanted == ANY ? dim > CHOICES && dim <= OFA_PREDICTOR_INPUTS_MAX : dim == wanted;
}

static int refuse_shape(const struct foreign_tensor *tensor, const struct expected *expected,
                        struct err *err) {
    char shape[TENSOR_SHAPE_TEXT];
    foreign_tensor_shape(tensor, shape);
    if (expected->n_dims == 2 && expected->dims[1] == ANY)
        return err_set(err, ESP_EMISMATCH, NULL,
                       "tensor \"%s\" has shape %s in place of [%d, %d and a column for each of up "
                       "to %d resolutions]",
                       tensor->name, shape, H, CHOICES, OFA_PREDICTOR_RESOLUTIONS_MAX);
    return err_set(err, ESP_EMISMATCH, NULL, "tensor \"%s\" has shape %s in place of [%d%s%.0d]",
                   tensor->name, shape, (int)expected->dims[0], expected->n_dims == 2 ? ", " : "",
                   (int)expected->dims[1]);
}

static int take_tensor(const struct tensor_file *file, const struct expected *expected,
                       struct err *err, float **ret_values, int64_t *ret_inputs) {
    const struct foreign_tensor *tensor = find(file, expected->name);
    if (!tensor)
        return refuse_missing(file, expected->name, err);
    bool fits = tensor->n_dims == expected->n_dims;
    for (int d = 0; fits && d < expected->n_dims; d++)
        fits = dim_fits(tensor->dims[d], expected->dims[d]);
    if (!fits)
        return refuse_shape(tensor, expected, err);
    float *values = mem_array((size_t)tensor->count, sizeof *values);
    if (!values)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    *ret_values = values;
    *ret_inputs = tensor->n_dims == 2 ? tensor->dims[1] : 0;
    foreign_tensor_read(tensor, values);
    for (int64_t k = 0; k < tensor->count; k++)
        if (!isfinite(values[k]))
            return err_set(err, ESP_EINVAL, NULL,
                           "tensor \"%s\": value %lld is not a finite number", tensor->name,
                           (long long)k);
    return 0;
}

/* Whatever else is in the file would be left out without a word. */
static int refuse_others(const struct tensor_file *file, const struct form *form, struct err *err) {
    for (int i = 0; i < file->n; i++) {
        bool known = false;
        for (int k = 0; k < TENSORS; k++)
            known |= strcmp(file->tensors[i].name, form->tensors[k].name) == 0;
        if (!known)
            return err_set(err, ESP_EMISMATCH, NULL,
                           "the tensor \"%.80s\" belongs to no accuracy predictor that is known",
                           file->tensors[i].name);
    }
    return 0;
}

/* *ret_inputs: of the first layer. */
static int read_tensors(const struct tensor_file *file, const struct form *form, struct err *err,
                        struct ofa_weights *weights, int *ret_inputs) {
    for (int i = 0; i < TENSORS; i++) {
        int64_t inputs = 0;
        int rc = take_tensor(file, &form->tensors[i], err, &weights->values[i], &inputs);
        if (rc != 0)
            return rc;
        *(i % 2 ? &weights->weights.bias[i / 2] : &weights->weights.weight[i / 2]) =
            weights->values[i];
        if (i == 0)
            *ret_inputs = (int)inputs;
    }
    return refuse_others(file, form, err);
}

/* --- resolutions --- */

static int default_resolutions(int n, int ret[OFA_PREDICTOR_RESOLUTIONS_MAX]) {
    static const int four[] = {128, 160, 192, 224};
    struct ofa_predictor_weights eight;
    ofa_predictor_tutorial_resolutions(&eight);
    if (n == 1)
        ret[0] = 224;
    else if (n == 4)
        memcpy(ret, four, sizeof four);
    else if (n == eight.n_resolutions)
        memcpy(ret, eight.resolutions, sizeof eight.resolutions);
    else
        return ESP_EINVAL;
    return 0;
}

/* How many of the resolutions are smaller. */
static int rank_of(const int *resolutions, int n, int i) {
    int rank = 0;
    for (int k = 0; k < n; k++)
        rank += resolutions[k] < resolutions[i];
    return rank;
}

static int check_resolutions(const int *resolutions, int n, int wanted, struct err *err) {
    if (n != wanted)
        return err_set(err, ESP_EINVAL, "/resolutions",
                       "the predictor knows %d resolutions, not %d: name all of them in the order "
                       "that it was trained with",
                       wanted, n);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            if (resolutions[i] == resolutions[k])
                return err_set(err, ESP_EINVAL, "/resolutions", "%d is there twice",
                               resolutions[i]);
    return 0;
}

static int find_resolutions(const int *given, int n, int wanted, struct err *err,
                            int ret[OFA_PREDICTOR_RESOLUTIONS_MAX]) {
    if (n == 0)
        return default_resolutions(wanted, ret) == 0
                   ? 0
                   : err_set(err, ESP_EINVAL, "/resolutions",
                             "the predictor knows %d resolutions and does not say which: name them "
                             "in the order that it was trained with",
                             wanted);
    int rc = check_resolutions(given, n, wanted, err);
    if (rc == 0)
        memcpy(ret, given, (size_t)n * sizeof *given);
    return rc;
}

/* The library's inputs, resolutions first, in the order of struct ofa_predictor_weights. */
static int reorder(struct ofa_weights *weights, const int *resolutions, int n, struct err *err) {
    int inputs = n + CHOICES;
    float *from = weights->values[0];
    float *to = mem_array((size_t)inputs * H, sizeof *to);
    if (!to)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    weights->weights.n_resolutions = n;
    for (int i = 0; i < n; i++) {
        int rank = rank_of(resolutions, n, i);
        weights->weights.resolutions[rank] = resolutions[i];
        for (int o = 0; o < H; o++)
            to[o * inputs + CHOICES + rank] = from[o * inputs + i];
    }
    for (int o = 0; o < H; o++)
        memcpy(to + (ptrdiff_t)o * inputs, from + (ptrdiff_t)o * inputs + n, CHOICES * sizeof *to);
    free(from);
    weights->values[0] = to;
    weights->weights.weight[0] = to;
    return 0;
}

static int read_library(const struct tensor_file *file, const int *resolutions, int n,
                        struct err *err, struct ofa_weights *weights) {
    int inputs, own[OFA_PREDICTOR_RESOLUTIONS_MAX];
    int rc = read_tensors(file, &library, err, weights, &inputs);
    if (rc == 0)
        rc = find_resolutions(resolutions, n, inputs - CHOICES, err, own);
    weights->assumed = n == 0;
    return rc == 0 ? reorder(weights, own, inputs - CHOICES, err) : rc;
}

static int read_tutorial(const struct tensor_file *file, int n, struct err *err,
                         struct ofa_weights *weights) {
    int inputs;
    ofa_predictor_tutorial_resolutions(&weights->weights);
    int rc = read_tensors(file, &tutorial, err, weights, &inputs);
    if (rc == 0 && n > 0)
        rc = err_set(err, ESP_EINVAL, "/resolutions",
                     "a predictor of once-for-all's tutorial is of 112, 128, … 224 pixels: only "
                     "those of its library have others");
    return rc;
}

/* --- the file --- */

int ofa_weights_read(const char *path, const int *resolutions, int n, struct err *err,
                     struct ofa_weights *ret_weights) {
    struct ofa_weights weights = {.values = {NULL}};
    struct tensor_file *file = NULL;
    char found[SPEC_SOURCE_MAX];
    int rc = spec_source_file(path, err, found);
    if (rc == 0)
        rc = tensor_file_open(found, err, &file);
    if (rc == 0)
        rc = find(file, library.tensors[0].name) ? read_library(file, resolutions, n, err, &weights)
                                                 : read_tutorial(file, n, err, &weights);
    tensor_file_close(file);
    if (rc == 0)
        *ret_weights = weights;
    else
        ofa_weights_finish(&weights);
    return rc;
}

void ofa_weights_finish(struct ofa_weights *weights) {
    for (int i = 0; i < TENSORS; i++)
        free(weights->values[i]);
    *weights = (struct ofa_weights){.values = {NULL}};
}
