/* Images that one thread of the loader prepares in a second of processor time, from a mapped cache
 * file of noise: bench_loader [SECONDS]. Shapes: 32 x 32 with pad and flip, the same with colour
 * jitter, and 256 x 256 cropped at random to 224. The page cache is warm. */
#include "base/rng.h"
#include "supernet/image_cache.h"
#include "supernet/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct shape {
    const char *name;
    int side, resolution, images;
    struct augment_options options;
};

static const struct shape shapes[] = {
    {"32 px, pad 2, flip", 32, 32, 20000, {.pad = 2, .flip = true}},
    {"32 px, pad 2, flip, jitter",
     32,
     32,
     20000,
     {.pad = 2, .flip = true, .brightness = 0.4, .contrast = 0.4, .saturation = 0.4}},
    {"32 px to 28, pad 2, flip", 32, 28, 20000, {.pad = 2, .flip = true}},
    {"256 px to 224, random resized crop, flip",
     256,
     224,
     1000,
     {.flip = true, .crop = true, .scale = {0.08, 1}, .ratio = {0.75, 1.3333}}},
    {"256 px to 224, random resized crop, flip, jitter",
     256,
     224,
     1000,
     {.flip = true,
      .crop = true,
      .scale = {0.08, 1},
      .ratio = {0.75, 1.3333},
      .brightness = 0.4,
      .contrast = 0.4,
      .saturation = 0.4}},
};

static void fail(const struct err *err) {
    fprintf(stderr, "bench_loader: %s\n", err->message);
    exit(1);
}

static void make_cache(const char *path, const struct shape *shape) {
    struct image_cache_writer *writer = NULL;
    struct err err = {0};
    char *classes[] = {"a", "b"};
    struct image_cache cache = {.side = shape->side,
                                .classes = classes,
                                .n_classes = 2,
                                .n = {(size_t)shape->images, 0, 0},
                                .cut = true};
    size_t bytes = 3 * (size_t)shape->side * (size_t)shape->side;
    uint8_t *pixels = malloc(bytes);
    memset(cache.source, '0', sizeof cache.source - 1);
    memset(cache.content, '0', sizeof cache.content - 1);
    if (!pixels || image_cache_create(path, shape->side, &err, &writer) != 0)
        fail(&err);
    for (int i = 0; i < shape->images; i++) {
        struct rng rng = rng_make(1, RNG_TEST, 0, (uint32_t)i);
        for (size_t j = 0; j < bytes; j++)
            pixels[j] = (uint8_t)(j * 7 + (j % 64 ? 0 : rng_u32(&rng)));
        if (image_cache_put(writer, pixels, (uint16_t)(i % 2), &err) != 0)
            fail(&err);
    }
    if (image_cache_commit(writer, &cache, &err) != 0)
        fail(&err);
    free(pixels);
}

/* Of this thread: a busy neighbour on the machine does not count. */
static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double measure(const struct dataset *dataset, const struct shape *shape, double seconds) {
    struct loader_options options = {.split = SPLIT_TRAIN,
                                     .batch = 50,
                                     .shuffle = true,
                                     .drop_last = true,
                                     .augment = &shape->options,
                                     .resolutions = &shape->resolution,
                                     .n_resolutions = 1,
                                     .seed = 1};
    struct loader *loader = NULL;
    struct loader_batch batch;
    struct err err = {0};
    if (loader_create(dataset, &options, &err, &loader) != 0)
        fail(&err);
    for (int i = 0; i < shape->images / 50; i++) /* every page once */
        loader_next(loader, &batch);
    double start = cpu_seconds(), now = start;
    int64_t images = 0;
    while (now - start < seconds) {
        loader_next(loader, &batch);
        images += batch.n;
        now = cpu_seconds();
    }
    loader_destroy(loader);
    return (double)images / (now - start);
}

static void run(const struct shape *shape, double seconds) {
    char path[] = "/tmp/espalier-bench-XXXXXX", source[HASH_TEXT_LONG] = {0};
    struct image_cache cache = {0};
    struct err err = {0};
    int fd = mkstemp(path);
    close(fd);
    make_cache(path, shape);
    memset(source, '0', sizeof source - 1);
    double start = cpu_seconds();
    if (image_cache_open(path, source, NULL, &err, &cache) != 0)
        fail(&err);
    double opened = cpu_seconds() - start;
    unlink(path);
    uint32_t *index = malloc((size_t)shape->images * sizeof *index);
    for (int i = 0; i < shape->images; i++)
        index[i] = (uint32_t)i;
    struct dataset dataset = {.channels = 3,
                              .height = shape->side,
                              .width = shape->side,
                              .n_classes = 2,
                              .n = {(size_t)shape->images, 0, 0},
                              .index = {index},
                              .images = cache.images,
                              .labels = cache.labels,
                              .mean = {0.5f, 0.5f, 0.5f},
                              .deviation = {0.25f, 0.25f, 0.25f}};
    printf("%-50s %8.0f images/s, %4.0f MB checked in %.2f s\n", shape->name,
           measure(&dataset, shape, seconds), (double)cache.map_bytes / 1e6, opened);
    free(index);
    image_cache_finish(&cache);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 3;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        run(&shapes[i], seconds);
    return 0;
}
