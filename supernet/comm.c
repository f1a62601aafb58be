#include "supernet/comm.h"

static void keep_f32(void *context, float *values, size_t n) {
}

static void keep_f64(void *context, double *values, size_t n) {
}

static void keep(void *context, void *data, size_t bytes) {
}

static const struct comm_ops alone_ops = {keep_f32, keep_f64, keep};
const struct comm comm_alone = {.size = 1, .ops = &alone_ops};

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

int shard_chunk(int batch) {
    return divide_up(divide_up(batch, SHARD_OCTET), SHARD_CHUNKS_MAX) * SHARD_OCTET;
}

int shard_chunks(const struct shard *shard) {
    return divide_up(shard->n, shard->chunk);
}

bool shard_fits(const struct shard *shard) {
    int end = shard->first + shard->n;
    return shard->n >= 1 && shard->first >= 0 && end <= shard->batch &&
           shard->chunk == shard_chunk(shard->batch) && shard->first % shard->chunk == 0 &&
           (end == shard->batch || end % shard->chunk == 0);
}

/* A rank has a whole subtree of the tree over all chunks, which is as wide as the next power of two
 * above their number. */
int comm_shard(const struct comm *comm, int batch, struct err *err, struct shard *ret_shard) {
    struct shard shard = {.batch = batch, .chunk = shard_chunk(batch)};
    int width = 1;
    while (width * shard.chunk < batch)
        width *= 2;
    int each = width / comm->size * shard.chunk; /* images of a rank */
    shard.first = comm->rank * each;
    shard.n = batch - shard.first < each ? batch - shard.first : each;
    if (each == 0 || shard.n < 1)
        return err_set(err, ESP_EINVAL, NULL,
                       "a batch of %d images is too small for %d processes: chunks of %d are dealt "
                       "out",
                       batch, comm->size, shard.chunk);
    *ret_shard = shard;
    return 0;
}

double comm_fold(double *parts, int n) {
    for (int reach = 1; reach < n; reach *= 2)
        for (int i = 0; i + reach < n; i += 2 * reach)
            parts[i] += parts[i + reach];
    return parts[0];
}
