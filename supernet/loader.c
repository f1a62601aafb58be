#include "supernet/loader.h"

#include "base/memory.h"
#include "base/rng.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 16, QUEUE_MAX = 64 };

struct slot {
    bool ready;
    struct loader_batch batch;
    float *images;
    uint16_t *labels;
    uint32_t *indices;
};

/* What one thread works with: the order of one epoch and scratch. */
struct preparer {
    uint64_t epoch;
    bool has_epoch;
    uint32_t *order;
    struct augment_scratch *scratch;
};

struct loader {
    const struct dataset *dataset;
    struct loader_options options;
    struct augment *augment;
    size_t images_per_epoch;
    uint64_t batches_per_epoch;
    struct slot *slots;
    int n_slots;
    size_t slot_bytes; /* of images */
    struct preparer own;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t claimed;  /* next batch that a thread will take */
    uint64_t consumed; /* batches before this one may be overwritten */
    bool started, stopping;
    int n_threads;
    pthread_t threads[THREADS_MAX];
};

static bool beyond_end(const struct loader *loader, uint64_t number) {
    return loader->options.end != 0 && number >= loader->options.end;
}

static void set_epoch(const struct loader *loader, struct preparer *preparer, uint64_t epoch) {
    if (preparer->has_epoch && preparer->epoch == epoch)
        return;
    enum dataset_split split = loader->options.split;
    size_t n = loader->dataset->n[split];
    memcpy(preparer->order, loader->dataset->index[split], n * sizeof *preparer->order);
    if (loader->options.shuffle) {
        struct rng rng = rng_make(loader->options.seed, RNG_SHUFFLE, epoch, 0);
        rng_shuffle_u32(&rng, preparer->order, n);
    }
    preparer->epoch = epoch;
    preparer->has_epoch = true;
}

static int draw_resolution(const struct loader *loader, uint64_t number) {
    if (loader->options.n_resolutions == 1)
        return 0;
    struct rng rng = rng_make(loader->options.seed, RNG_RESOLUTION, number, 0);
    return (int)rng_below(&rng, (uint32_t)loader->options.n_resolutions);
}

static void prepare(const struct loader *loader, struct preparer *preparer, uint64_t number,
                    struct slot *slot) {
    const struct loader_options *options = &loader->options;
    uint64_t epoch = number / loader->batches_per_epoch;
    size_t start = (size_t)(number % loader->batches_per_epoch) * (size_t)options->batch;
    size_t left = loader->images_per_epoch - start;
    int n = left < (size_t)options->batch ? (int)left : options->batch;
    int resolution = draw_resolution(loader, number), side = options->resolutions[resolution];
    size_t count = (size_t)loader->dataset->channels * (size_t)side * (size_t)side;
    struct augment_draw draw = {options->augment, options->seed, epoch};
    set_epoch(loader, preparer, epoch);
    for (int i = 0; i < n; i++) {
        uint32_t image = preparer->order[start + (size_t)i];
        slot->indices[i] = image;
        slot->labels[i] = loader->dataset->labels[image];
        augment_image(loader->augment, &draw, image, resolution, preparer->scratch,
                      slot->images + (size_t)i * count);
    }
    slot->batch = (struct loader_batch){.number = number,
                                        .epoch = epoch,
                                        .n = n,
                                        .resolution = resolution,
                                        .images = slot->images,
                                        .labels = slot->labels,
                                        .indices = slot->indices};
}

static struct slot *slot_of(const struct loader *loader, uint64_t number) {
    return &loader->slots[number % (uint64_t)loader->n_slots];
}

static int preparer_init(const struct loader *loader, struct preparer *preparer) {
    size_t n = loader->dataset->n[loader->options.split];
    preparer->order = mem_array(n, sizeof *preparer->order);
    return preparer->order ? augment_scratch_create(loader->augment, &preparer->scratch)
                           : ESP_ENOMEM;
}

static void preparer_finish(struct preparer *preparer) {
    free(preparer->order);
    augment_scratch_destroy(preparer->scratch);
}

/* Waits for a batch that fits the queue; false when there is nothing more to do. */
static bool claim(struct loader *loader, uint64_t *ret_number) {
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stopping && !beyond_end(loader, loader->claimed) &&
           loader->claimed >= loader->consumed + (uint64_t)loader->n_slots)
        pthread_cond_wait(&loader->changed, &loader->mutex);
    bool go = !loader->stopping && !beyond_end(loader, loader->claimed);
    if (go)
        *ret_number = loader->claimed++;
    pthread_mutex_unlock(&loader->mutex);
    return go;
}

/* A preparer and the loader it works for, made by loader_create and freed by its thread. */
struct worker {
    struct loader *loader;
    struct preparer preparer;
};

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct loader *loader = worker->loader;
    uint64_t number;
    while (claim(loader, &number)) {
        struct slot *slot = slot_of(loader, number);
        prepare(loader, &worker->preparer, number, slot);
        pthread_mutex_lock(&loader->mutex);
        slot->ready = true;
        pthread_cond_broadcast(&loader->changed);
        pthread_mutex_unlock(&loader->mutex);
    }
    preparer_finish(&worker->preparer);
    free(worker);
    return NULL;
}

static int start_thread(struct loader *loader) {
    struct worker *worker = mem_array(1, sizeof *worker);
    if (!worker)
        return ESP_ENOMEM;
    worker->loader = loader;
    int rc = preparer_init(loader, &worker->preparer);
    if (rc == 0 &&
        pthread_create(&loader->threads[loader->n_threads], NULL, worker_main, worker) != 0)
        rc = ESP_ENOMEM;
    if (rc != 0) {
        preparer_finish(&worker->preparer);
        free(worker);
        return rc;
    }
    loader->n_threads++;
    return 0;
}

static int slots_create(struct loader *loader) {
    const struct loader_options *options = &loader->options;
    int largest = 0;
    for (int i = 0; i < options->n_resolutions; i++)
        largest = options->resolutions[i] > largest ? options->resolutions[i] : largest;
    size_t batch = (size_t)options->batch, side = (size_t)largest;
    loader->slot_bytes = batch * (size_t)loader->dataset->channels * side * side * sizeof(float);
    /* One more than waits ahead: the batch that the caller holds. */
    loader->n_slots = options->threads > 0 ? options->queue + 1 : 1;
    loader->slots = mem_array((size_t)loader->n_slots, sizeof *loader->slots);
    for (int i = 0; loader->slots && i < loader->n_slots; i++) {
        struct slot *slot = &loader->slots[i];
        slot->images = mem_pages(loader->slot_bytes);
        slot->labels = mem_array(batch, sizeof *slot->labels);
        slot->indices = mem_array(batch, sizeof *slot->indices);
        if (!slot->images || !slot->labels || !slot->indices)
            return ESP_ENOMEM;
    }
    return loader->slots ? 0 : ESP_ENOMEM;
}

static int check_options(const struct dataset *dataset, const struct loader_options *options,
                         struct err *err) {
    size_t n = dataset->n[options->split];
    n = options->limit > 0 && options->limit < n ? options->limit : n;
    if (options->batch < 1 || options->threads < 0 || options->threads > THREADS_MAX ||
        options->queue > QUEUE_MAX || (options->threads > 0 && options->queue < 1))
        return err_set(err, ESP_EINVAL, NULL,
                       "batch %d, %d threads and a queue of %d are not possible", options->batch,
                       options->threads, options->queue);
    if (n == 0 || (options->drop_last && n < (size_t)options->batch))
        return err_set(err, ESP_EINVAL, "/batch", "the %s split has %zu images: no batch of %d",
                       dataset_split_names[options->split], n, options->batch);
    return 0;
}

static void count_batches(struct loader *loader) {
    const struct loader_options *options = &loader->options;
    size_t n = loader->dataset->n[options->split], batch = (size_t)options->batch;
    n = options->limit > 0 && options->limit < n ? options->limit : n;
    loader->images_per_epoch = n;
    loader->batches_per_epoch = options->drop_last ? n / batch : (n + batch - 1) / batch;
    if (options->once)
        loader->options.end = loader->batches_per_epoch;
}

int loader_create(const struct dataset *dataset, const struct loader_options *options,
                  struct err *err, struct loader **ret_loader) {
    int rc = check_options(dataset, options, err);
    if (rc != 0)
        return rc;
    struct loader *loader = mem_array(1, sizeof *loader);
    if (!loader)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a loader");
    loader->dataset = dataset;
    loader->options = *options;
    loader->claimed = loader->consumed = options->first;
    count_batches(loader);
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->changed, NULL);
    rc = augment_create(dataset, options->resolutions, options->n_resolutions, err,
                        &loader->augment);
    if (rc != 0)
        goto out;
    rc = slots_create(loader);
    if (rc == 0 && options->threads == 0)
        rc = preparer_init(loader, &loader->own);
    for (int i = 0; rc == 0 && i < options->threads; i++)
        rc = start_thread(loader);
    if (rc != 0) {
        err_set(err, rc, NULL, "no memory for batches of %d images", options->batch);
        goto out;
    }
    *ret_loader = loader;
    loader = NULL;
out:
    loader_destroy(loader);
    return rc;
}

void loader_destroy(struct loader *loader) {
    if (!loader)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->n_threads; i++)
        pthread_join(loader->threads[i], NULL);
    for (int i = 0; loader->slots && i < loader->n_slots; i++) {
        mem_pages_free(loader->slots[i].images, loader->slot_bytes);
        free(loader->slots[i].labels);
        free(loader->slots[i].indices);
    }
    free(loader->slots);
    preparer_finish(&loader->own);
    augment_destroy(loader->augment);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->mutex);
    free(loader);
}

/* The batch handed out last is the caller's until now: its slot becomes free. */
static uint64_t advance(struct loader *loader) {
    if (loader->started) {
        slot_of(loader, loader->consumed)->ready = false;
        loader->consumed++;
        pthread_cond_broadcast(&loader->changed);
    }
    loader->started = true;
    return loader->consumed;
}

bool loader_next(struct loader *loader, struct loader_batch *ret_batch) {
    pthread_mutex_lock(&loader->mutex);
    uint64_t number = advance(loader);
    struct slot *slot = slot_of(loader, number);
    bool more = !beyond_end(loader, number);
    while (more && loader->n_threads > 0 && !slot->ready)
        pthread_cond_wait(&loader->changed, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    if (!more) {
        loader->started = false; /* asking again at the end must not move on */
        return false;
    }
    if (loader->n_threads == 0)
        prepare(loader, &loader->own, number, slot);
    *ret_batch = slot->batch;
    return true;
}

uint64_t loader_batches_per_epoch(const struct loader *loader) {
    return loader->batches_per_epoch;
}
