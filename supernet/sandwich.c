#include "supernet/sandwich.h"

#include "base/memory.h"
#include "supernet/loss.h"
#include <stdlib.h>

#define BN_MOMENTUM 0.1f /* once-for-all */

struct sandwich {
    struct engine *engine;
    const struct space *space;
    struct sandwich_settings settings;
    float *teacher, *logits, *d_logits; /* [batch, n_classes] */
};

int sandwich_create(struct engine *engine, const struct space *space, int batch,
                    const struct sandwich_settings *settings, struct err *err,
                    struct sandwich **ret_sandwich) {
    size_t count = (size_t)batch * (size_t)space->n_classes;
    struct sandwich *sandwich = mem_array(1, sizeof *sandwich);
    if (sandwich) {
        sandwich->engine = engine;
        sandwich->space = space;
        sandwich->settings = *settings;
        sandwich->teacher = mem_array(count, sizeof(float));
        sandwich->logits = mem_array(count, sizeof(float));
        sandwich->d_logits = mem_array(count, sizeof(float));
    }
    if (!sandwich || !sandwich->teacher || !sandwich->logits || !sandwich->d_logits) {
        sandwich_destroy(sandwich);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the logits of a step");
    }
    *ret_sandwich = sandwich;
    return 0;
}

void sandwich_destroy(struct sandwich *sandwich) {
    if (!sandwich)
        return;
    free(sandwich->teacher);
    free(sandwich->logits);
    free(sandwich->d_logits);
    free(sandwich);
}

static void set_resolution(const struct space *space, int resolution, struct arch *arch) {
    arch->resolution = (uint8_t)resolution;
    arch_canonicalise(space, arch);
}

void sandwich_random_arch(const struct space *space, uint64_t seed, uint64_t step, int i,
                          int resolution, struct arch *ret_arch) {
    struct rng rng = rng_make(seed, RNG_SUBNET, step, (uint32_t)i);
    arch_random(space, &rng, ret_arch);
    set_resolution(space, resolution, ret_arch);
}

static int train_largest(struct sandwich *sandwich, const struct loader_batch *batch, uint64_t step,
                         struct err *err, double *ret_loss) {
    struct arch arch;
    arch_max(sandwich->space, &arch);
    set_resolution(sandwich->space, batch->resolution, &arch);
    struct engine_run run = {.arch = &arch,
                             .mode = ENGINE_TRAIN,
                             .images = batch->images,
                             .n = batch->n,
                             .bn_momentum = BN_MOMENTUM,
                             .dropout = sandwich->settings.dropout,
                             .dropout_seed = sandwich->settings.seed,
                             .dropout_step = step};
    int rc = engine_forward(sandwich->engine, &run, err, sandwich->teacher);
    if (rc != 0)
        return rc;
    *ret_loss =
        loss_cross_entropy(sandwich->teacher, batch->labels, batch->n, sandwich->space->n_classes,
                           sandwich->settings.label_smoothing, 1, sandwich->d_logits);
    return engine_backward(sandwich->engine, sandwich->d_logits, err);
}

static int train_student(struct sandwich *sandwich, const struct loader_batch *batch,
                         const struct arch *arch, struct err *err, double *ret_loss) {
    struct engine_run run = {
        .arch = arch, .mode = ENGINE_TRAIN, .images = batch->images, .n = batch->n};
    int rc = engine_forward(sandwich->engine, &run, err, sandwich->logits);
    if (rc != 0)
        return rc;
    *ret_loss = loss_distill(sandwich->logits, sandwich->teacher, batch->n,
                             sandwich->space->n_classes, 1, 1, sandwich->d_logits);
    return engine_backward(sandwich->engine, sandwich->d_logits, err);
}

int sandwich_step(struct sandwich *sandwich, const struct loader_batch *batch, uint64_t step,
                  struct err *err, struct sandwich_losses *ret_losses) {
    struct sandwich_losses losses = {0};
    struct arch arch;
    double loss = 0;
    int students = sandwich->settings.random_subnets + 1;
    int rc = train_largest(sandwich, batch, step, err, &losses.labels);
    for (int i = 0; rc == 0 && i < students; i++) {
        if (i == 0) {
            arch_min(sandwich->space, &arch);
            set_resolution(sandwich->space, batch->resolution, &arch);
        } else {
            sandwich_random_arch(sandwich->space, sandwich->settings.seed, step, i,
                                 batch->resolution, &arch);
        }
        rc = train_student(sandwich, batch, &arch, err, &loss);
        losses.distill += loss / students;
    }
    if (rc == 0)
        *ret_losses = losses;
    return rc;
}
