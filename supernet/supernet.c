#include "supernet/supernet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "supernet/supernet_map.h"

enum { TENSOR_ALIGN_FLOATS = MEM_ALIGN / sizeof(float) };

static bool has_gradient(const struct tensor *t) {
    return t->kind != TENSOR_BN_MEAN && t->kind != TENSOR_BN_VARIANCE;
}

static size_t padded(const struct tensor *t) {
    return (t->count + TENSOR_ALIGN_FLOATS - 1) / TENSOR_ALIGN_FLOATS * TENSOR_ALIGN_FLOATS;
}

static void fill_constant(struct tensor *t, float value) {
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = value;
}

static void fill_identity(struct tensor *t) {
    for (int i = 0; i < t->dims[0]; i++)
        t->data[(size_t)i * (size_t)t->dims[1] + (size_t)i] = 1;
}

static void fill_random(struct tensor *t, uint64_t seed, uint32_t index) {
    struct rng rng = rng_make(seed, RNG_INIT, 0, index);
    if (t->n_dims == 2) { /* a linear layer */
        double bound = 1 / sqrt(t->dims[1]);
        for (size_t i = 0; i < t->count; i++)
            t->data[i] = (float)((2 * rng_unit(&rng) - 1) * bound);
        return;
    }
    /* depthwise filters have one input channel and as many groups as outputs */
    bool depthwise = t->dims[1] == 1 && index > 0;
    double fan_out = (double)t->dims[2] * t->dims[3] * (depthwise ? 1 : t->dims[0]);
    double deviation = sqrt(2 / fan_out);
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = (float)(deviation * rng_normal(&rng));
}

static void tensor_init(struct tensor *t, uint64_t seed, uint32_t index) {
    switch (t->kind) {
    case TENSOR_WEIGHT:
        fill_random(t, seed, index);
        break;
    case TENSOR_TRANSFORM:
        fill_identity(t);
        break;
    case TENSOR_BN_SCALE:
    case TENSOR_BN_VARIANCE:
        fill_constant(t, 1);
        break;
    case TENSOR_BIAS:
    case TENSOR_BN_SHIFT:
    case TENSOR_BN_MEAN:
        break;
    }
}

size_t supernet_memory_estimate(const struct space *space, int copies) {
    size_t floats = 0;
    struct tensor *tensors = mem_array((size_t)supernet_map_tensors_max(space), sizeof *tensors);
    struct supernet_map *map = mem_array(1, sizeof *map);
    if (tensors && map) {
        int n = supernet_map_fill(space, tensors, map);
        for (int i = 0; i < n; i++)
            floats += padded(&tensors[i]) * ((has_gradient(&tensors[i]) ? 3 : 1) + (size_t)copies);
    }
    free(tensors);
    free(map);
    return floats * sizeof(float);
}

static int allocate_storage(struct supernet *net, struct err *err) {
    size_t all = 0, learnt = 0;
    for (int i = 0; i < net->n_tensors; i++) {
        all += padded(&net->tensors[i]);
        learnt += has_gradient(&net->tensors[i]) ? padded(&net->tensors[i]) : 0;
    }
    net->storage = mem_aligned(all + 2 * learnt, sizeof(float));
    if (!net->storage)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %zu weights", all);
    float *data = net->storage, *grad = data + all, *momentum = grad + learnt;
    for (int i = 0; i < net->n_tensors; i++) {
        struct tensor *t = &net->tensors[i];
        t->data = data;
        data += padded(t);
        if (!has_gradient(t))
            continue;
        t->grad = grad;
        t->momentum = momentum;
        grad += padded(t);
        momentum += padded(t);
    }
    return 0;
}

int supernet_create(const struct space *space, uint64_t seed, struct err *err,
                    struct supernet **ret_supernet) {
    int rc = ESP_ENOMEM;
    struct supernet *net = mem_array(1, sizeof *net);
    if (!net)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a supernet");
    net->tensors = mem_array((size_t)supernet_map_tensors_max(space), sizeof *net->tensors);
    net->map = mem_array(1, sizeof *net->map);
    if (!net->tensors || !net->map) {
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for a supernet");
        goto out;
    }
    rc = space_adapt(space, space->n_classes, space->input_channels, err, &net->space);
    if (rc < 0)
        goto out;
    net->n_tensors = supernet_map_fill(net->space, net->tensors, net->map);
    rc = allocate_storage(net, err);
    if (rc < 0)
        goto out;
    for (int i = 0; i < net->n_tensors; i++)
        tensor_init(&net->tensors[i], seed, (uint32_t)i);
    *ret_supernet = net;
    net = NULL;
    rc = 0;
out:
    supernet_destroy(net);
    return rc;
}

void supernet_destroy(struct supernet *supernet) {
    if (!supernet)
        return;
    space_destroy(supernet->space);
    free(supernet->tensors);
    free(supernet->map);
    free(supernet->storage);
    for (int part = 0; part < SUPERNET_PARTS; part++)
        free(supernet->copies[part]);
    free(supernet);
}

struct tensor *supernet_find(struct supernet *supernet, const char *name) {
    for (int i = 0; i < supernet->n_tensors; i++)
        if (strcmp(supernet->tensors[i].name, name) == 0)
            return &supernet->tensors[i];
    return NULL;
}

void supernet_zero_grad(struct supernet *supernet) {
    for (int i = 0; i < supernet->n_tensors; i++)
        if (supernet->tensors[i].grad)
            memset(supernet->tensors[i].grad, 0, supernet->tensors[i].count * sizeof(float));
}

size_t supernet_parameter_count(const struct supernet *supernet) {
    size_t n = 0;
    for (int i = 0; i < supernet->n_tensors; i++)
        n += has_gradient(&supernet->tensors[i]) ? supernet->tensors[i].count : 0;
    return n;
}
