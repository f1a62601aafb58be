#include "daemon/job/ofa_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/job/spec.h"
#include "supernet/tensor_file.h"

enum { IN = OFA_PREDICTOR_INPUTS, H = OFA_PREDICTOR_HIDDEN, TENSORS = 2 * OFA_PREDICTOR_LAYERS };

static const struct {
    const char *name;
    int n_dims;
    int64_t dims[2];
} expected[TENSORS] = {{"0.weight", 2, {H, IN}}, {"0.bias", 1, {H}},      {"2.weight", 2, {H, H}},
                       {"2.bias", 1, {H}},       {"4.weight", 2, {H, H}}, {"4.bias", 1, {H}},
                       {"6.weight", 2, {1, H}},  {"6.bias", 1, {1}}};

static const struct foreign_tensor *find(const struct tensor_file *file, const char *name) {
    for (int i = 0; i < file->n; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

static int refuse_missing(const struct tensor_file *file, const char *name, struct err *err) {
    return err_set(err, ESP_EMISMATCH, NULL,
                   "there is no tensor \"%s\" (of %d tensors the first is \"%.60s\"): the file is "
                   "no accuracy predictor of once-for-all's tutorial, whose tensors are 0.weight, "
                   "0.bias, 2.weight … 6.bias",
                   name, file->n, file->n > 0 ? file->tensors[0].name : "");
}

static int take_tensor(const struct tensor_file *file, int i, struct err *err, float **ret_values) {
    const struct foreign_tensor *tensor = find(file, expected[i].name);
    if (!tensor)
        return refuse_missing(file, expected[i].name, err);
    bool fits = tensor->n_dims == expected[i].n_dims;
    for (int d = 0; d < expected[i].n_dims; d++)
        fits = fits && tensor->dims[d] == expected[i].dims[d];
    char shape[TENSOR_SHAPE_TEXT];
    foreign_tensor_shape(tensor, shape);
    if (!fits)
        return err_set(err, ESP_EMISMATCH, NULL,
                       "tensor \"%s\" has shape %s in place of [%d%s%.0d]", tensor->name, shape,
                       (int)expected[i].dims[0], expected[i].n_dims == 2 ? ", " : "",
                       (int)expected[i].dims[1]);
    float *values = mem_array((size_t)tensor->count, sizeof *values);
    if (!values)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an accuracy predictor");
    *ret_values = values;
    foreign_tensor_read(tensor, values);
    for (int64_t k = 0; k < tensor->count; k++)
        if (!isfinite(values[k]))
            return err_set(err, ESP_EINVAL, NULL,
                           "tensor \"%s\": value %lld is not a finite number", tensor->name,
                           (long long)k);
    return 0;
}

/* Whatever else is in the file would be left out without a word. */
static int refuse_others(const struct tensor_file *file, struct err *err) {
    for (int i = 0; i < file->n; i++) {
        bool known = false;
        for (int k = 0; k < TENSORS; k++)
            known |= strcmp(file->tensors[i].name, expected[k].name) == 0;
        if (!known)
            return err_set(err, ESP_EMISMATCH, NULL,
                           "the tensor \"%.80s\" belongs to no accuracy predictor that is known",
                           file->tensors[i].name);
    }
    return 0;
}

static int read_tensors(const char *path, struct err *err, struct ofa_weights *weights) {
    struct tensor_file *file = NULL;
    int rc = tensor_file_open(path, err, &file);
    for (int i = 0; i < TENSORS && rc == 0; i++) {
        rc = take_tensor(file, i, err, &weights->values[i]);
        *(i % 2 ? &weights->weights.bias[i / 2] : &weights->weights.weight[i / 2]) =
            weights->values[i];
    }
    if (rc == 0)
        rc = refuse_others(file, err);
    tensor_file_close(file);
    return rc;
}

int ofa_weights_read(const char *path, struct err *err, struct ofa_weights *ret_weights) {
    struct ofa_weights weights = {.values = {NULL}};
    char file[SPEC_SOURCE_MAX];
    int rc = spec_source_file(path, err, file);
    if (rc == 0)
        rc = read_tensors(file, err, &weights);
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
