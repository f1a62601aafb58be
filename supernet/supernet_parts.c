#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "supernet/supernet.h"

static float **part_of(struct tensor *tensor, enum supernet_part part) {
    switch (part) {
    case PART_DATA:
        return &tensor->data;
    case PART_MOMENTUM:
        return &tensor->momentum;
    case PART_AVERAGE:
        return &tensor->average;
    case PART_TEACHER:
        return &tensor->teacher;
    case SUPERNET_PARTS:
        break;
    }
    return NULL;
}

float *tensor_part(const struct tensor *tensor, enum supernet_part part) {
    struct tensor copy = *tensor;
    float **floats = part_of(&copy, part);
    return floats ? *floats : NULL;
}

bool supernet_has_part(const struct supernet *supernet, enum supernet_part part) {
    return supernet->copies[part] != NULL;
}

static size_t aligned(const struct tensor *t) {
    size_t floats = MEM_ALIGN / sizeof(float);
    return (t->count + floats - 1) / floats * floats;
}

static int allocate(struct supernet *net, enum supernet_part part, struct err *err) {
    size_t all = 0;
    for (int i = 0; i < net->n_tensors; i++)
        all += aligned(&net->tensors[i]);
    float *at = net->copies[part] = mem_aligned(all, sizeof(float));
    if (!at)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a copy of %zu weights", all);
    for (int i = 0; i < net->n_tensors; i++) {
        *part_of(&net->tensors[i], part) = at;
        at += aligned(&net->tensors[i]);
    }
    return 0;
}

int supernet_copy_part(struct supernet *supernet, enum supernet_part part, struct err *err) {
    int rc = supernet_has_part(supernet, part) ? 0 : allocate(supernet, part, err);
    for (int i = 0; rc == 0 && i < supernet->n_tensors; i++) {
        struct tensor *t = &supernet->tensors[i];
        memcpy(*part_of(t, part), t->data, t->count * sizeof *t->data);
    }
    return rc;
}

void supernet_drop_part(struct supernet *supernet, enum supernet_part part) {
    free(supernet->copies[part]);
    supernet->copies[part] = NULL;
    for (int i = 0; i < supernet->n_tensors; i++)
        *part_of(&supernet->tensors[i], part) = NULL;
}

void supernet_swap_part(struct supernet *supernet, enum supernet_part part) {
    for (int i = 0; i < supernet->n_tensors; i++) {
        struct tensor *t = &supernet->tensors[i];
        float **other = part_of(t, part), *data = t->data;
        t->data = *other;
        *other = data;
    }
}

struct averaging {
    struct supernet *net;
    float decay;
};

static void average_tensor(void *context, int chunk, int thread) {
    const struct averaging *run = context;
    const struct tensor *t = &run->net->tensors[chunk];
    float decay = run->decay, rest = 1 - decay;
    float *restrict average = t->average;
    const float *restrict data = t->data;
    for (size_t i = 0; i < t->count; i++)
        average[i] = decay * average[i] + rest * data[i];
}

void supernet_average_step(struct supernet *supernet, struct parallel *pool, double decay) {
    struct averaging run = {supernet, (float)decay};
    parallel_for(pool, supernet->n_tensors, average_tensor, &run);
}

static bool is_statistic(const struct tensor *t) {
    return t->kind == TENSOR_BN_MEAN || t->kind == TENSOR_BN_VARIANCE;
}

size_t supernet_statistics_floats(const struct supernet *supernet) {
    size_t n = 0;
    for (int i = 0; i < supernet->n_tensors; i++)
        n += is_statistic(&supernet->tensors[i]) ? supernet->tensors[i].count : 0;
    return n;
}

void supernet_get_statistics(const struct supernet *supernet, float *ret_floats) {
    for (int i = 0; i < supernet->n_tensors; i++) {
        const struct tensor *t = &supernet->tensors[i];
        if (!is_statistic(t))
            continue;
        memcpy(ret_floats, t->data, t->count * sizeof *t->data);
        ret_floats += t->count;
    }
}

void supernet_put_statistics(struct supernet *supernet, const float *floats) {
    for (int i = 0; i < supernet->n_tensors; i++) {
        struct tensor *t = &supernet->tensors[i];
        if (!is_statistic(t))
            continue;
        memcpy(t->data, floats, t->count * sizeof *t->data);
        floats += t->count;
    }
}

void supernet_zero_momentum(struct supernet *supernet) {
    for (int i = 0; i < supernet->n_tensors; i++)
        if (supernet->tensors[i].momentum)
            memset(supernet->tensors[i].momentum, 0, supernet->tensors[i].count * sizeof(float));
}
