#include "supernet/evaluate_store.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "supernet/evaluate_trim.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A record: magic, checksum of all that follows (64 hex digits), the key (text with its NUL), the
 * numbers as the machine has them. A folder of another byte order holds no record. */
static const char magic[8] = "ESPEVAL1";

enum { RECORD_MAX = 64 << 20, DIR_MAX = 900, PATH_MAX_BYTES = DIR_MAX + 2 * HASH_TEXT };
enum { SUM = 8, KEY = SUM + HASH_TEXT_LONG - 1 }; /* where they begin */

struct evaluation_store {
    char dir[DIR_MAX];
    int64_t limit_bytes, bytes; /* bytes: of all records; -1: to be counted */
    struct err failure;
};

struct score_record {
    double top1, loss;
    int64_t images;
};

int evaluation_store_open(const char *dir, int64_t limit_bytes, struct err *err,
                          struct evaluation_store **ret_store) {
    if (strlen(dir) >= DIR_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "the path %.60s... is too long", dir);
    struct evaluation_store *store = mem_array(1, sizeof *store);
    if (!store)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the store of evaluations");
    snprintf(store->dir, sizeof store->dir, "%s", dir);
    store->limit_bytes = limit_bytes;
    store->bytes = -1;
    *ret_store = store;
    return 0;
}

void evaluation_store_close(struct evaluation_store *store) {
    free(store);
}

const struct err *evaluation_store_failure(const struct evaluation_store *store) {
    return &store->failure;
}

/* --- keys --- */

/* What the numbers of a key's record depend on, and where it lies. */
struct place {
    struct buf key; /* owned */
    char dir[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
};

static void print_key(struct buf *buf, const struct evaluation_key *key, bool is_score) {
    const struct recalibration *r = &key->recalibration;
    buf_init(buf, 0);
    buf_printf(buf, "method %d checkpoint %s arch %s data %s", EVALUATION_METHOD, key->checkpoint,
               key->arch_id, key->dataset_revision);
    if (key->recalibrated)
        buf_printf(buf, " images %d batch %d seed %llu pad %d flip %d cutout %d", r->images,
                   r->batch, (unsigned long long)r->seed, r->augment.pad, r->augment.flip,
                   r->augment.cutout);
    if (key->recalibrated && r->augment.crop)
        buf_printf(buf, " scale %a %a ratio %a %a", r->augment.scale[0], r->augment.scale[1],
                   r->augment.ratio[0], r->augment.ratio[1]);
    if (key->recalibrated &&
        (r->augment.brightness > 0 || r->augment.contrast > 0 || r->augment.saturation > 0))
        buf_printf(buf, " jitter %a %a %a", r->augment.brightness, r->augment.contrast,
                   r->augment.saturation);
    if (is_score)
        buf_printf(buf, " split %s limit %zu", dataset_split_names[key->split], key->limit);
    buf_append(buf, "", 1);
}

/* The caller finishes place->key, also on failure. */
static int find_place(const struct evaluation_store *store, const struct evaluation_key *key,
                      bool is_score, struct place *place) {
    char id[HASH_TEXT];
    print_key(&place->key, key, is_score);
    if (place->key.error)
        return place->key.error;
    hash_text(place->key.data, place->key.len, id);
    snprintf(place->dir, sizeof place->dir, "%s/%s", store->dir, key->checkpoint);
    snprintf(place->path, sizeof place->path, "%s/%s/%s", store->dir, key->checkpoint, id);
    return 0;
}

/* --- reading --- */

static bool is_whole(const char *bytes, size_t len, const struct buf *key, size_t size) {
    char sum[HASH_TEXT_LONG];
    if (len != KEY + key->len + size || memcmp(bytes, magic, sizeof magic) != 0)
        return false;
    hash_text_long(bytes + KEY, len - KEY, sum);
    return memcmp(bytes + SUM, sum, sizeof sum - 1) == 0 &&
           memcmp(bytes + KEY, key->data, key->len) == 0;
}

/* The record's bytes, the numbers being its last size ones; the caller frees it. NULL: none. */
static char *read_record(const struct evaluation_store *store, const struct evaluation_key *key,
                         bool is_score, size_t size, const char **ret_numbers) {
    struct place place;
    char *bytes = NULL;
    size_t len = 0;
    if (find_place(store, key, is_score, &place) == 0 &&
        file_read(place.path, RECORD_MAX, NULL, &bytes, &len) == 0) {
        if (is_whole(bytes, len, &place.key, size)) {
            *ret_numbers = bytes + len - size;
            utimensat(AT_FDCWD, place.path, NULL, 0); /* used, so it stays longer */
        } else {
            free(bytes);
            bytes = NULL;
        }
    }
    buf_finish(&place.key);
    return bytes;
}

bool evaluation_store_score(struct evaluation_store *store, const struct evaluation_key *key,
                            struct score *ret_score) {
    struct score_record record;
    const char *numbers;
    char *bytes = read_record(store, key, true, sizeof record, &numbers);
    if (!bytes)
        return false;
    memcpy(&record, numbers, sizeof record);
    free(bytes);
    if (!(record.top1 >= 0 && record.top1 <= 1) || !isfinite(record.loss) || record.images < 1)
        return false;
    *ret_score = (struct score){record.top1, record.loss, record.images};
    return true;
}

static size_t stats_bytes(const struct bn_stats *stats) {
    size_t n = 0;
    for (int i = 0; i < stats->n_layers; i++)
        n += (size_t)stats->channels[i];
    return sizeof stats->images + 2 * n * sizeof(float);
}

bool evaluation_store_stats(struct evaluation_store *store, const struct evaluation_key *key,
                            struct bn_stats *stats) {
    const char *at;
    char *bytes = read_record(store, key, false, stats_bytes(stats), &at);
    if (!bytes)
        return false;
    memcpy(&stats->images, at, sizeof stats->images);
    at += sizeof stats->images;
    for (int i = 0; i < stats->n_layers; i++) {
        size_t size = (size_t)stats->channels[i] * sizeof(float);
        memcpy(stats->mean[i], at, size);
        memcpy(stats->variance[i], at + size, size);
        at += 2 * size;
    }
    free(bytes);
    return true;
}

/* --- writing --- */

/* A quarter of the folder goes at a time, so that it is seldom listed. */
static int make_room(struct evaluation_store *store, size_t len, struct err *err) {
    int64_t bytes = evaluation_trim_disk_bytes((int64_t)len);
    if (store->bytes < 0) {
        int rc = evaluation_trim(store->dir, store->limit_bytes, err, &store->bytes);
        if (rc != 0)
            return rc;
    }
    if (store->bytes + bytes > store->limit_bytes) {
        int rc = evaluation_trim(store->dir, store->limit_bytes / 4 * 3, err, &store->bytes);
        if (rc != 0)
            return rc;
    }
    store->bytes += bytes;
    return 0;
}

static void put_body(struct buf *record, const struct buf *key, const struct buf *numbers) {
    char sum[HASH_TEXT_LONG];
    struct buf body;
    buf_init(&body, RECORD_MAX - KEY);
    buf_append(&body, key->data, key->len);
    buf_append(&body, numbers->data, numbers->len);
    hash_text_long(body.data, body.len, sum);
    buf_append(record, magic, sizeof magic);
    buf_append(record, sum, sizeof sum - 1);
    buf_append(record, body.data, body.len);
    if (body.error)
        record->error = body.error;
    buf_finish(&body);
}

static int write_record(struct evaluation_store *store, const struct evaluation_key *key,
                        bool is_score, const struct buf *numbers, struct err *err) {
    struct place place;
    struct buf record;
    buf_init(&record, RECORD_MAX);
    int rc = find_place(store, key, is_score, &place);
    if (rc == 0)
        put_body(&record, &place.key, numbers);
    if (rc == 0)
        rc = numbers->error ? numbers->error : record.error;
    if (rc != 0)
        err_set(err, rc, NULL, "no memory for the record of an evaluation");
    if (rc == 0)
        rc = make_room(store, record.len, err);
    if (rc == 0)
        rc = file_make_dirs(place.dir, err);
    if (rc == 0)
        rc = file_write_atomic(place.path, record.data, record.len, err);
    buf_finish(&place.key);
    buf_finish(&record);
    return rc;
}

/* Takes the numbers. Another process that writes the same record is no failure. */
static void put(struct evaluation_store *store, const struct evaluation_key *key, bool is_score,
                struct buf *numbers) {
    struct err err = {0};
    int rc = write_record(store, key, is_score, numbers, &err);
    if (rc != 0 && rc != ESP_EBUSY && store->failure.code == 0)
        store->failure = err;
    buf_finish(numbers);
}

void evaluation_store_put_score(struct evaluation_store *store, const struct evaluation_key *key,
                                const struct score *score) {
    struct score_record record = {score->top1, score->loss, score->images};
    struct buf numbers;
    buf_init(&numbers, 0);
    buf_append(&numbers, &record, sizeof record);
    put(store, key, true, &numbers);
}

void evaluation_store_put_stats(struct evaluation_store *store, const struct evaluation_key *key,
                                const struct bn_stats *stats) {
    struct buf numbers;
    buf_init(&numbers, RECORD_MAX);
    buf_append(&numbers, &stats->images, sizeof stats->images);
    for (int i = 0; i < stats->n_layers; i++) {
        size_t size = (size_t)stats->channels[i] * sizeof(float);
        buf_append(&numbers, stats->mean[i], size);
        buf_append(&numbers, stats->variance[i], size);
    }
    put(store, key, false, &numbers);
}
