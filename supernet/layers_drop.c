/* Drop-connect: residual blocks whose branch some images of a batch do without. The branch ends in
 * a BN (and an activation, of conv blocks), so leaving it out or scaling it up is another set of
 * that BN's vectors, image by image; backward alike. */
#include <string.h>

#include "base/rng.h"
#include "supernet/engine_internal.h"

enum { VECTORS = 5 };

size_t drop_floats(int images, int channels) {
    return aligned_floats((size_t)images) + VECTORS * aligned_floats((size_t)channels);
}

static void draw(const struct engine *e, struct drop *drop) {
    const struct engine_run *run = &e->run;
    for (int i = 0; i < e->n_images; i++) {
        uint32_t index = (uint32_t)((run->shard.first + i) * SPACE_BLOCKS_MAX + drop->block);
        struct rng rng = rng_make(run->dropout_seed, RNG_DROP_CONNECT, run->dropout_step, index);
        drop->stays[i] = rng_unit(&rng) < drop->rate ? 0 : 1;
    }
}

void drop_init(const struct engine *engine, struct unit *unit, int block, float *memory) {
    const struct engine *e = engine;
    struct drop *drop = &unit->drop;
    int channels = unit->output.channels;
    size_t step = aligned_floats((size_t)channels);
    *drop = (struct drop){.block = block};
    drop->rate = e->run.drop_connect * (float)block / (float)e->n_blocks;
    drop->on = e->run.mode == ENGINE_TRAIN && drop->rate > 0 && unit->spec.residual;
    if (!drop->on)
        return;
    float **vectors[VECTORS] = {&drop->scale, &drop->shift, &drop->on_dz, &drop->factor,
                                &drop->zeros};
    drop->stays = memory;
    memory += aligned_floats((size_t)e->layout.batch);
    for (int i = 0; i < VECTORS; i++)
        *vectors[i] = memory + (size_t)i * step;
    for (int c = 0; c < channels; c++) {
        drop->factor[c] = 1 / (1 - drop->rate);
        drop->zeros[c] = 0;
    }
    draw(e, drop);
}

void drop_forward(struct engine *engine, struct unit *unit) {
    struct drop *drop = &unit->drop;
    const struct bn_batch *bn = &unit->projected_bn.batch;
    for (int c = 0; drop->on && c < bn->channels; c++) {
        drop->scale[c] = drop->factor[c] * bn->scale[c];
        drop->shift[c] = drop->factor[c] * bn->shift[c];
    }
}

void drop_backward(struct unit *unit) {
    struct drop *drop = &unit->drop;
    const struct bn_batch *bn = &unit->projected_bn.batch;
    for (int c = 0; drop->on && c < bn->channels; c++)
        drop->on_dz[c] = drop->factor[c] * bn->on_dz[c];
}

bool drop_next_part(const struct unit *unit, const struct plane *plane, const struct tile *tile,
                    struct tile_part *part) {
    if (unit->drop.on)
        return tile_next_part(plane, tile, part);
    bool first = part->n == 0;
    *part = (struct tile_part){.first = 0, .n = tile->n};
    return first;
}
