#include "supernet/image_cache_format.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>

enum { GROW_RECORDS = 4096 };

struct image_cache_writer {
    struct file_writer *file;
    uint64_t position;
    size_t image_bytes, plane;
    size_t n, capacity;
    uint8_t *index; /* [capacity, CACHE_RECORD] */
    struct hash chunk;
    size_t chunk_used;
    cJSON *chunks;
};

static void put_little(uint8_t *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for a cache of images");
}

static int put(struct image_cache_writer *writer, const void *data, size_t len, struct err *err) {
    int rc = file_writer_put(writer->file, data, len, err);
    writer->position += rc == 0 ? len : 0;
    return rc;
}

int image_cache_create(const char *path, int side, struct err *err,
                       struct image_cache_writer **ret_writer) {
    static const uint8_t zeros[CACHE_PIXELS_AT];
    uint8_t head[CACHE_MAGIC_BYTES + 4];
    struct image_cache_writer *writer = mem_array(1, sizeof *writer);
    int rc = writer && (writer->chunks = cJSON_CreateArray()) ? 0 : no_memory(err);
    if (rc != 0)
        goto out;
    writer->plane = (size_t)side * (size_t)side;
    writer->image_bytes = writer->plane * IMAGE_CACHE_CHANNELS;
    hash_init(&writer->chunk);
    memcpy(head, CACHE_MAGIC, CACHE_MAGIC_BYTES);
    put_little(head + CACHE_MAGIC_BYTES, IMAGE_CACHE_VERSION, 4);
    if ((rc = file_writer_open(path, err, &writer->file)) != 0 ||
        (rc = put(writer, head, sizeof head, err)) != 0 ||
        (rc = put(writer, zeros, CACHE_PIXELS_AT - sizeof head, err)) != 0)
        goto out;
    *ret_writer = writer;
    return 0;
out:
    image_cache_abort(writer);
    return rc;
}

static int end_chunk(struct image_cache_writer *writer, struct err *err) {
    char text[HASH_TEXT_LONG];
    if (writer->chunk_used == 0)
        return 0;
    hash_final(&writer->chunk, text);
    hash_init(&writer->chunk);
    writer->chunk_used = 0;
    return cJSON_AddItemToArray(writer->chunks, cJSON_CreateString(text)) ? 0 : no_memory(err);
}

static int hash_pixels(struct image_cache_writer *writer, const uint8_t *pixels, struct err *err) {
    size_t left = writer->image_bytes;
    int rc = 0;
    while (rc == 0 && left > 0) {
        size_t room = CACHE_CHUNK - writer->chunk_used, part = left < room ? left : room;
        hash_update(&writer->chunk, pixels, part);
        writer->chunk_used += part;
        pixels += part;
        left -= part;
        if (writer->chunk_used == CACHE_CHUNK)
            rc = end_chunk(writer, err);
    }
    return rc;
}

static int add_record(struct image_cache_writer *writer, const uint8_t *pixels, uint16_t label,
                      struct err *err) {
    if (writer->n == writer->capacity) {
        size_t capacity = 2 * writer->capacity + GROW_RECORDS;
        uint8_t *grown = reallocarray(writer->index, capacity, CACHE_RECORD);
        if (!grown)
            return no_memory(err);
        writer->index = grown;
        writer->capacity = capacity;
    }
    uint8_t *record = writer->index + writer->n++ * CACHE_RECORD;
    put_little(record, label, 4);
    for (size_t c = 0; c < IMAGE_CACHE_CHANNELS; c++) {
        uint64_t sum = 0, squares = 0;
        for (size_t i = c * writer->plane; i < (c + 1) * writer->plane; i++) {
            sum += pixels[i];
            squares += (uint32_t)pixels[i] * pixels[i];
        }
        put_little(record + 4 + 16 * c, sum, 8);
        put_little(record + 12 + 16 * c, squares, 8);
    }
    return 0;
}

int image_cache_put(struct image_cache_writer *writer, const uint8_t *pixels, uint16_t label,
                    struct err *err) {
    int rc = put(writer, pixels, writer->image_bytes, err);
    if (rc == 0)
        rc = hash_pixels(writer, pixels, err);
    return rc == 0 ? add_record(writer, pixels, label, err) : rc;
}

static cJSON *describe_classes(const struct image_cache *cache) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < cache->n_classes; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(cache->classes[i]));
    return list;
}

/* Takes the writer's list of hashes. NULL: no memory. */
static cJSON *describe(struct image_cache_writer *writer, const struct image_cache *cache,
                       uint64_t index_at) {
    char text[HASH_TEXT_LONG];
    cJSON *doc = cJSON_CreateObject(), *skipped = dataset_skipped_print(&cache->skipped);
    if (!cJSON_AddItemToObject(doc, "skipped", skipped)) { /* no memory for either */
        cJSON_Delete(skipped);
        cJSON_Delete(doc);
        return NULL;
    }
    hash_text_long(writer->index, writer->n * CACHE_RECORD, text);
    cJSON_AddStringToObject(doc, "source", cache->source);
    cJSON_AddStringToObject(doc, "content", cache->content);
    cJSON_AddNumberToObject(doc, "side", cache->side);
    cJSON_AddNumberToObject(doc, "n_train", (double)cache->n[SPLIT_TRAIN]);
    cJSON_AddNumberToObject(doc, "n_validation", (double)cache->n[SPLIT_VALIDATION]);
    cJSON_AddNumberToObject(doc, "n_test", (double)cache->n[SPLIT_TEST]);
    cJSON_AddBoolToObject(doc, "cut", cache->cut);
    cJSON_AddNumberToObject(doc, "files", (double)cache->skipped.n_files);
    cJSON_AddNumberToObject(doc, "n_skipped", (double)cache->skipped.n);
    cJSON_AddNumberToObject(doc, "n_enlarged", (double)cache->n_enlarged);
    cJSON_AddNumberToObject(doc, "index_at", (double)index_at);
    cJSON_AddStringToObject(doc, "index_hash", text);
    cJSON_AddItemToObject(doc, "chunks", writer->chunks);
    writer->chunks = NULL;
    cJSON_AddItemToObject(doc, "classes", describe_classes(cache));
    return doc;
}

static int put_directory(struct image_cache_writer *writer, cJSON *doc, struct err *err) {
    uint8_t footer[CACHE_FOOTER] = {0};
    char hash[HASH_TEXT_LONG];
    char *text = doc ? json_print(doc) : NULL;
    if (!text)
        return no_memory(err);
    size_t len = strlen(text);
    hash_text_long(text, len, hash);
    put_little(footer, writer->position, 8);
    put_little(footer + 8, len, 8);
    memcpy(footer + 16, hash, HASH_TEXT_LONG - 1);
    memcpy(footer + 80, CACHE_MAGIC, CACHE_MAGIC_BYTES);
    int rc = put(writer, text, len, err);
    if (rc == 0)
        rc = put(writer, footer, sizeof footer, err);
    free(text);
    return rc;
}

int image_cache_commit(struct image_cache_writer *writer, const struct image_cache *cache,
                       struct err *err) {
    uint64_t index_at = writer->position;
    int rc = end_chunk(writer, err);
    if (rc == 0)
        rc = put(writer, writer->index, writer->n * CACHE_RECORD, err);
    if (rc == 0) {
        cJSON *doc = describe(writer, cache, index_at);
        rc = put_directory(writer, doc, err);
        cJSON_Delete(doc);
    }
    if (rc == 0) {
        rc = file_writer_commit(writer->file, err);
        writer->file = NULL;
    }
    image_cache_abort(writer);
    return rc;
}

void image_cache_abort(struct image_cache_writer *writer) {
    if (!writer)
        return;
    file_writer_abort(writer->file);
    free(writer->index);
    cJSON_Delete(writer->chunks);
    free(writer);
}
