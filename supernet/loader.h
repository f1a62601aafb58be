/* Batches of a data set in a fixed order, prepared ahead by threads of its own in a bounded queue.
 * Batch k is the same whatever the number of threads and wherever the reading starts. */
#pragma once

#include "supernet/augment.h"

struct loader_options {
    enum dataset_split split;
    int batch;      /* images in a batch; the last of an epoch may hold fewer */
    bool shuffle;   /* a new order every epoch; else that of the split */
    bool drop_last; /* no batch smaller than batch */
    size_t limit;   /* only the first images of the (shuffled) order; 0: all */
    const struct augment_options *augment; /* borrowed; NULL: none */
    const int *resolutions;                /* borrowed; one is drawn for each batch */
    int n_resolutions;
    uint64_t seed;
    bool once;           /* one epoch only */
    uint64_t first, end; /* batch numbers, counted over all epochs: [first, end); end 0: no end */
    int threads;         /* that prepare batches ahead; 0: loader_next prepares them itself */
    int queue;           /* batches ahead, at least 1 */
};

struct loader_batch {
    uint64_t number, epoch;
    int n;               /* images */
    int resolution;      /* index into the options' resolutions */
    const float *images; /* [n, C, r, r] */
    const uint16_t *labels;
    const uint32_t *indices; /* into dataset->images */
};

struct loader;
/* Borrows the data set. Errors: ESP_EINVAL (no whole batch in the split), ESP_ENOMEM. */
int loader_create(const struct dataset *dataset, const struct loader_options *options,
                  struct err *err, struct loader **ret_loader);
void loader_destroy(struct loader *loader); /* takes NULL; ends its threads */
/* The next batch, valid until the following call. False behind the last one. */
bool loader_next(struct loader *loader, struct loader_batch *ret_batch);
uint64_t loader_batches_per_epoch(const struct loader *loader);
