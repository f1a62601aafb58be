/* Training of a supernet by one of the regimes of supernet/regime.h. By default the sandwich rule:
 * every step trains the largest subnet on the labels and the smallest and some random ones on what
 * the largest says. Source: Yu et al. 2020 (BigNAS), sec. 3; Yu and Huang 2019 (in-place
 * distillation); Cai et al. 2020 (progressive shrinking).
 *
 * A run is a function of (configuration, space, data set): killed anywhere and started again it
 * goes on from its newest whole checkpoint and ends with the same bits, on the same machine. */
#pragma once

#include "supernet/checkpoint_store.h"
#include "supernet/dataset.h"
#include "supernet/inherit.h"
#include "supernet/train_config.h"

/* Accuracy of one subnet on validation images, by recalibrated and by running BN statistics. */
struct train_accuracy {
    double top1, top1_raw;
};

struct train_metrics {
    uint64_t step;
    double epoch;    /* passed so far, over all rounds */
    uint64_t images; /* trained on until then, in all rounds */
    /* Means of the steps since the last metrics; 0 while there are none. */
    uint64_t averaged; /* how many */
    double loss; /* on labels: of the largest subnet, of the one trained alone, of all sampled ones
                    beside a teacher */
    double distill; /* of those that learn from what another says; 0: there are none */
    double gap;     /* their loss on labels less that of who says it */
    double learning_rate, gradient_norm, images_per_s;
    int n_parts;                           /* of the gradient: stem, stages, head */
    double part_norms[GRADIENT_PARTS_MAX]; /* roots of the mean squares */
    const char *phase;
    uint64_t phase_step; /* its first */
    double phase_epoch;  /* passed before it, over all rounds */
    struct train_accuracy largest, smallest, random;
};

/* Name of a part of the gradient: "stem", "stage_1", ..., "head". */
enum { GRADIENT_PART_NAME = 16 };
void train_part_name(int part, int n_parts, char ret_name[GRADIENT_PART_NAME]);

enum train_event_kind {
    TRAIN_MEASURING, /* step: how long a step takes is being found out, before the start */
    TRAIN_STARTED,   /* step, steps, epoch; reason: "" or what was passed over on resuming */
    TRAIN_PROGRESS,  /* step, steps, metrics without accuracies, eta_s; at once when a phase begins
                      */
    TRAIN_POINT,   /* metrics without accuracies, means since the last of them (of part_norms: since
                    * the   last validation): every second or so */
    TRAIN_METRICS, /* metrics, means since the last of them: at a validation */
    TRAIN_SAVING,  /* a checkpoint is about to be written: what was told before must last */
    TRAIN_CHECKPOINT,        /* step, path, summary, its epoch, metrics of the latest validation */
    TRAIN_CHECKPOINT_FAILED, /* step, code, reason: goes on; earlier checkpoints are whole */
    TRAIN_RECOVERED          /* step (that failed), back_to_step, reason */
};
struct train_event {
    enum train_event_kind kind;
    uint64_t step, steps; /* done; in all */
    uint64_t images;      /* as in metrics */
    /* metrics.phase is set, but of TRAIN_MEASURING and TRAIN_RECOVERED; its first step and epoch
     * are in TRAIN_PROGRESS, TRAIN_POINT and TRAIN_METRICS. */
    uint64_t back_to_step;
    double eta_s;
    struct train_metrics metrics;
    bool has_accuracy; /* metrics hold accuracies */
    const char *name;  /* file name of the checkpoint */
    struct checkpoint_summary summary;
    int code;
    const char *reason;
};

struct train_hooks {
    void *context;
    void (*event)(void *context, const struct train_event *event);
    /* Called between two steps: may wait (the machine is needed quiet); true asks to stop. */
    bool (*boundary)(void *context);
    /* Asked again and again inside of steps and validations; never waits; NULL: never. true gives
     * up what is under way, as if it had not begun, when there is one process. */
    bool (*stopping)(void *context);
};

struct train_options {
    const struct space *space;
    const struct dataset *dataset;
    const struct train_config *config;
    const char *checkpoint_dir;    /* must exist; what is there is gone on with */
    const struct train_init *init; /* NULL: a new training begins with fresh weights */
    struct parallel *pool;
    const struct comm *comm; /* NULL: one process. All ranks see the same folder; rank 0 writes it,
                                calls the hooks' boundary and decides */
    const struct train_hooks *hooks;
    /* Nanoseconds by which a time budget is turned into steps, called by this thread alone; NULL:
     * clock_mono_ns. A test plays its own, which other work on the machine does not move. */
    int64_t (*pace_clock_ns)(void);
};

struct train_result {
    uint64_t steps;
    double epochs, seconds;             /* seconds: of this call */
    uint64_t images;                    /* trained on, in all rounds */
    double top1_largest, top1_smallest; /* by the last validation */
    char checkpoint[64];                /* file name of the last */
};

/* Bytes that train_run will take beside the data set, at its most. The pool decides the threads.
 * Errors: those of arch_cost. */
int train_memory_estimate(const struct train_options *options, struct err *err, int64_t *ret_bytes);
/* The images of a batch of BN recalibration, where that takes more than a step and so decides;
 * else 0. */
int train_memory_by_recalibration(const struct train_options *options);
/* Trains to the end. A finished training is gone on with in a new round when the configuration is
 * another one. Errors: ESP_ECANCELED (asked to stop; a checkpoint
 * of the last whole step is written), ESP_EDIVERGED (the
 * loss blew up again and again), ESP_ENOSPACE (the last checkpoint could not be written),
 * ESP_EMISMATCH (the data set is not the space's, or not that of the unfinished training),
 * ESP_ENOTFOUND (the checkpoint to begin with is gone), ESP_ECONFLICT (an unfinished training has
 * another configuration), ESP_ECORRUPT, ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. */
int train_run(const struct train_options *options, struct err *err,
              struct train_result *ret_result);
