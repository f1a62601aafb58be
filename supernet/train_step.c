#include "supernet/train_step.h"

#include "base/memory.h"
#include <stdlib.h>

#define BN_MOMENTUM 0.1f /* once-for-all */

struct train_step {
    struct engine *engine;
    struct supernet *supernet;
    const struct space *space;
    struct train_step_settings settings;
    float *teacher, *logits, *d_logits, *d_soft; /* [batch, n_classes] */
};

int train_step_create(struct engine *engine, struct supernet *supernet, int batch,
                      const struct train_step_settings *settings, struct err *err,
                      struct train_step **ret_step) {
    size_t count = (size_t)batch * (size_t)supernet->space->n_classes;
    struct train_step *step = mem_array(1, sizeof *step);
    if (step) {
        step->engine = engine;
        step->supernet = supernet;
        step->space = supernet->space;
        step->settings = *settings;
        step->teacher = mem_array(count, sizeof(float));
        step->logits = mem_array(count, sizeof(float));
        step->d_logits = mem_array(count, sizeof(float));
        step->d_soft = mem_array(count, sizeof(float));
    }
    if (!step || !step->teacher || !step->logits || !step->d_logits || !step->d_soft) {
        train_step_destroy(step);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the logits of a step");
    }
    *ret_step = step;
    return 0;
}

void train_step_destroy(struct train_step *step) {
    if (!step)
        return;
    free(step->teacher);
    free(step->logits);
    free(step->d_logits);
    free(step->d_soft);
    free(step);
}

/* A step under way. */
struct work {
    struct train_step *step;
    const struct regime_phase *phase;
    const struct loader_batch *batch; /* the whole one */
    struct shard shard;
    const float *images; /* this process's */
    const uint16_t *labels;
    uint64_t number;
    struct train_step_losses losses;
};

/* What images [first, first + n) of this process's add to the mean over the whole batch. */
typedef double loss_fn(const struct work *work, int first, int n, const float *logits,
                       float *ret_dlogits);

static double on_labels(const struct work *work, int first, int n, const float *logits,
                        float *ret_dlogits) {
    const struct train_step *step = work->step;
    return loss_cross_entropy(logits, work->labels + first, n, step->space->n_classes,
                              step->settings.label_smoothing, work->shard.batch, ret_dlogits);
}

static double on_teacher(const struct work *work, int first, int n, const float *logits,
                         float *ret_dlogits) {
    const struct train_step *step = work->step;
    int classes = step->space->n_classes;
    struct loss_soft soft = step->settings.soft;
    soft.batch = work->shard.batch;
    return loss_distill(logits, step->teacher + (size_t)first * (size_t)classes, n, classes, &soft,
                        ret_dlogits);
}

/* Over the whole batch, in chunks as all sums are (supernet/comm.h). */
static double whole_loss(const struct work *work, loss_fn *loss, const float *logits,
                         float *ret_dlogits) {
    const struct shard *shard = &work->shard;
    double parts[SHARD_CHUNKS_MAX];
    for (int i = 0; i < shard_chunks(shard); i++) {
        int first = i * shard->chunk, left = shard->n - first;
        size_t at = (size_t)first * (size_t)work->step->space->n_classes;
        parts[i] = loss(work, first, left < shard->chunk ? left : shard->chunk, logits + at,
                        ret_dlogits ? ret_dlogits + at : NULL);
    }
    double sum = comm_fold(parts, shard_chunks(shard));
    comm_sum_f64(engine_comm(work->step->engine), &sum, 1);
    return sum;
}

static double label_loss(const struct work *work, const float *logits, float *ret_dlogits) {
    return whole_loss(work, on_labels, logits, ret_dlogits);
}

static double soft_loss(const struct work *work, float *ret_dlogits) {
    return whole_loss(work, on_teacher, work->step->logits, ret_dlogits);
}

static void largest_arch(const struct work *work, struct arch *ret_arch) {
    arch_max(work->step->space, ret_arch);
    ret_arch->resolution = (uint8_t)work->batch->resolution;
    arch_canonicalise(work->step->space, ret_arch);
}

static void random_arch(const struct work *work, int i, struct arch *ret_arch) {
    struct rng rng = rng_make(work->step->settings.seed, RNG_SUBNET, work->number, (uint32_t)i);
    regime_sample(work->step->space, work->phase, &rng, work->batch->resolution, ret_arch);
}

static struct engine_run plain_run(const struct work *work, const struct arch *arch) {
    return (struct engine_run){.arch = arch,
                               .mode = ENGINE_TRAIN,
                               .images = work->images,
                               .n = work->shard.n,
                               .shard = work->shard};
}

/* On labels, as the i-th of the step: with dropout, and running statistics follow. */
static struct engine_run label_run(const struct work *work, const struct arch *arch, int i) {
    struct engine_run run = plain_run(work, arch);
    run.bn_momentum = BN_MOMENTUM;
    run.dropout = work->step->settings.dropout;
    run.dropout_seed = work->step->settings.seed ^ ((uint64_t)i << 40);
    run.dropout_step = work->number;
    return run;
}

/* What it says is kept as the teacher's. */
static int train_on_labels(struct work *work, const struct arch *arch, struct err *err) {
    struct train_step *step = work->step;
    struct engine_run run = label_run(work, arch, 0);
    run.drop_connect = step->settings.drop_connect;
    int rc = engine_forward(step->engine, &run, err, step->teacher);
    if (rc != 0)
        return rc;
    work->losses.labels = label_loss(work, step->teacher, step->d_logits);
    return engine_backward(step->engine, step->d_logits, err);
}

/* --- sandwich --- */

/* Of the teacher's and the labels' gradients, into the former. */
static void mix_gradients(const struct work *work) {
    struct train_step *step = work->step;
    size_t count = (size_t)work->shard.n * (size_t)step->space->n_classes;
    float labels = step->settings.label_share, teacher = 1 - labels;
    for (size_t i = 0; labels > 0 && i < count; i++)
        step->d_soft[i] = teacher * step->d_soft[i] + labels * step->d_logits[i];
}

static int train_student(struct work *work, const struct arch *arch, double weight, struct err *err,
                         double *ret_labels) {
    struct train_step *step = work->step;
    struct engine_run run = plain_run(work, arch);
    int rc = engine_forward(step->engine, &run, err, step->logits);
    if (rc != 0)
        return rc;
    work->losses.distill += weight * soft_loss(work, step->d_soft);
    double labels = label_loss(work, step->logits, step->d_logits);
    work->losses.gap += weight * (labels - work->losses.labels);
    *ret_labels = labels;
    mix_gradients(work);
    return engine_backward(step->engine, step->d_soft, err);
}

static int run_sandwich(struct work *work, struct err *err) {
    struct arch arch;
    int students = work->step->settings.random_subnets + 1;
    largest_arch(work, &arch);
    int rc = train_on_labels(work, &arch, err);
    for (int i = 0; rc == 0 && i < students; i++) {
        double labels = 0;
        if (i == 0)
            regime_smallest(work->step->space, work->phase, work->batch->resolution, &arch);
        else
            random_arch(work, i, &arch);
        rc = train_student(work, &arch, 1.0 / students, err, &labels);
        if (i == 0)
            work->losses.smallest = labels;
        else
            work->losses.random += labels / (students - 1);
    }
    return rc;
}

/* --- one network alone --- */

static int run_alone(struct work *work, struct err *err) {
    struct arch arch;
    if (work->step->settings.alone)
        arch = *work->step->settings.alone;
    else
        largest_arch(work, &arch);
    return train_on_labels(work, &arch, err);
}

/* --- subnets beside a frozen teacher --- */

static int ask_teacher(struct work *work, struct err *err) {
    struct train_step *step = work->step;
    struct arch arch;
    largest_arch(work, &arch);
    struct engine_run run = plain_run(work, &arch);
    supernet_swap_part(step->supernet, PART_TEACHER);
    int rc = engine_forward(step->engine, &run, err, step->teacher);
    supernet_swap_part(step->supernet, PART_TEACHER);
    return rc;
}

/* Gradients of both losses, added up. Source: once-for-all, kd_ratio 1. */
static int train_taught(struct work *work, int i, double weight, struct err *err) {
    struct train_step *step = work->step;
    size_t count = (size_t)work->shard.n * (size_t)step->space->n_classes;
    struct arch arch;
    random_arch(work, i, &arch);
    struct engine_run run = label_run(work, &arch, i);
    int rc = engine_forward(step->engine, &run, err, step->logits);
    if (rc != 0)
        return rc;
    work->losses.labels += weight * label_loss(work, step->logits, step->d_logits);
    work->losses.distill += weight * soft_loss(work, step->d_soft);
    for (size_t k = 0; k < count; k++)
        step->d_logits[k] += step->d_soft[k];
    return engine_backward(step->engine, step->d_logits, err);
}

static int run_taught(struct work *work, struct err *err) {
    int n = work->phase->subnets, rc = ask_teacher(work, err);
    for (int i = 0; rc == 0 && i < n; i++)
        rc = train_taught(work, i, 1.0 / n, err);
    if (rc == 0)
        work->losses.gap = work->losses.labels - label_loss(work, work->step->teacher, NULL);
    return rc;
}

static int take_shard(struct work *work, struct err *err) {
    const struct loader_batch *batch = work->batch;
    const struct space *space = work->step->space;
    const struct arch *alone = work->step->settings.alone;
    int resolution = alone ? alone->resolution : batch->resolution;
    size_t side = (size_t)space->resolutions[resolution];
    int rc = comm_shard(engine_comm(work->step->engine), batch->n, err, &work->shard);
    if (rc != 0)
        return rc;
    work->images =
        batch->images + (size_t)work->shard.first * (size_t)space->input_channels * side * side;
    work->labels = batch->labels + work->shard.first;
    return 0;
}

int train_step_run(struct train_step *step, const struct regime_phase *phase,
                   const struct loader_batch *batch, uint64_t number, struct err *err,
                   struct train_step_losses *ret_losses) {
    struct work work = {.step = step, .phase = phase, .batch = batch, .number = number};
    int rc = take_shard(&work, err);
    if (rc != 0)
        return rc;
    switch (phase->rule) {
    case RULE_SANDWICH:
        rc = run_sandwich(&work, err);
        break;
    case RULE_ALONE:
        rc = run_alone(&work, err);
        break;
    case RULE_TEACHER:
        rc = run_taught(&work, err);
        break;
    }
    if (rc == 0)
        *ret_losses = work.losses;
    return rc;
}
