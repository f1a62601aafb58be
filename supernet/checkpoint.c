#include "supernet/checkpoint_format.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "checkpoints hold little-endian floats as they lie in memory"
#endif

const char *const checkpoint_part_names[] = {"data", "momentum", "average", "teacher", NULL};
const char *const checkpoint_codec_names[] = {"raw", "zstd", NULL};

enum { ZSTD_LEVEL = 1 };

static const char *text_or_empty(const char *text) {
    return text ? text : "";
}

/* Appends the floats to sections: compressed, if that saves a sixteenth at least (momentum that is
 * still zero does; trained weights hardly do). */
static int pack(const float *floats, size_t count, struct buf *sections, struct err *err,
                struct checkpoint_section *section) {
    size_t bytes = count * sizeof *floats, bound = ZSTD_compressBound(bytes);
    const void *stored = floats;
    void *packed = malloc(bound);
    if (!packed)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to write %s", section->name);
    size_t len = ZSTD_compress(packed, bound, floats, bytes, ZSTD_LEVEL);
    section->codec = !ZSTD_isError(len) && len < bytes - bytes / 16 ? CODEC_ZSTD : CODEC_RAW;
    if (section->codec == CODEC_ZSTD)
        stored = packed;
    else
        len = bytes;
    section->offset = (int64_t)sections->len;
    section->stored = (int64_t)len;
    hash_text_long(stored, len, section->checksum);
    buf_append(sections, stored, len);
    free(packed);
    return sections->error ? err_set(err, sections->error, NULL, "no memory for a checkpoint") : 0;
}

static cJSON *describe(const struct checkpoint_section *section) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", section->name);
    cJSON_AddStringToObject(row, "part", checkpoint_part_names[section->part]);
    cJSON_AddItemToObject(row, "dims", cJSON_CreateIntArray(section->dims, section->n_dims));
    cJSON_AddStringToObject(row, "codec", checkpoint_codec_names[section->codec]);
    cJSON_AddNumberToObject(row, "offset", (double)section->offset);
    cJSON_AddNumberToObject(row, "stored", (double)section->stored);
    if (!cJSON_AddStringToObject(row, "checksum", section->checksum)) {
        cJSON_Delete(row);
        return NULL;
    }
    return row;
}

static int pack_tensor(const struct tensor *tensor, enum supernet_part part, struct buf *sections,
                       cJSON *rows, struct err *err) {
    struct checkpoint_section section = {.part = part, .n_dims = tensor->n_dims};
    memcpy(section.name, tensor->name, sizeof section.name);
    memcpy(section.dims, tensor->dims, sizeof section.dims);
    int rc = pack(tensor_part(tensor, part), tensor->count, sections, err, &section);
    if (rc == 0 && !cJSON_AddItemToArray(rows, describe(&section)))
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for a checkpoint");
    return rc;
}

/* The array of rows for the header; the bytes go to sections. */
static int pack_supernet(const struct supernet *supernet, struct buf *sections, struct err *err,
                         cJSON **ret_rows) {
    cJSON *rows = cJSON_CreateArray();
    int rc = 0;
    for (int i = 0; rc == 0 && i < supernet->n_tensors; i++)
        for (int part = 0; rc == 0 && part < SUPERNET_PARTS; part++)
            if (tensor_part(&supernet->tensors[i], part))
                rc = pack_tensor(&supernet->tensors[i], part, sections, rows, err);
    if (rc != 0) {
        cJSON_Delete(rows);
        return rc;
    }
    *ret_rows = rows;
    return 0;
}

/* Takes rows. */
static char *print_header(const struct space *space, const struct checkpoint_notes *notes,
                          cJSON *rows) {
    char *space_text = space_print(space), *text = NULL;
    cJSON *header = cJSON_CreateObject();
    cJSON *training = notes->training ? cJSON_Duplicate(notes->training, 1) : cJSON_CreateObject();
    cJSON *history = notes->history ? cJSON_Duplicate(notes->history, 1) : cJSON_CreateArray();
    cJSON_AddStringToObject(header, "fingerprint", space->fingerprint);
    cJSON_AddStringToObject(header, "dataset_revision", text_or_empty(notes->dataset_revision));
    bool whole = space_text && cJSON_AddItemToObject(header, "space", cJSON_Parse(space_text)) &&
                 cJSON_AddItemToObject(header, "training", training);
    bool had_history = whole && cJSON_AddItemToObject(header, "history", history);
    bool had_rows = had_history && cJSON_AddItemToObject(header, "sections", rows);
    if (!whole)
        cJSON_Delete(training);
    if (!had_history)
        cJSON_Delete(history);
    if (!had_rows)
        cJSON_Delete(rows);
    else
        text = json_print_canonical(header);
    free(space_text);
    cJSON_Delete(header);
    return text;
}

static void make_prefix(const char *header, size_t len, char ret_prefix[CHECKPOINT_PREFIX + 1]) {
    uint32_t numbers[2] = {CHECKPOINT_VERSION, (uint32_t)len};
    memcpy(ret_prefix, CHECKPOINT_MAGIC, CHECKPOINT_MAGIC_BYTES);
    memcpy(ret_prefix + CHECKPOINT_MAGIC_BYTES, numbers, sizeof numbers);
    hash_text_long(header, len, ret_prefix + CHECKPOINT_MAGIC_BYTES + sizeof numbers);
}

static int write_file(const char *path, const char *prefix, const char *header,
                      const struct buf *sections, struct err *err) {
    struct file_writer *writer = NULL;
    int rc = file_writer_open(path, err, &writer);
    if (rc != 0)
        return rc;
    rc = file_writer_put(writer, prefix, CHECKPOINT_PREFIX, err);
    if (rc == 0)
        rc = file_writer_put(writer, header, strlen(header), err);
    if (rc == 0)
        rc = file_writer_put(writer, sections->data, sections->len, err);
    if (rc == 0)
        return file_writer_commit(writer, err);
    file_writer_abort(writer);
    return rc;
}

int checkpoint_write(const char *path, const struct supernet *supernet,
                     const struct checkpoint_notes *notes, struct err *err,
                     struct checkpoint_summary *ret_summary) {
    char prefix[CHECKPOINT_PREFIX + 1], *header = NULL;
    struct buf sections;
    cJSON *rows = NULL;
    buf_init(&sections, 0);
    int rc = pack_supernet(supernet, &sections, err, &rows);
    if (rc != 0)
        goto out;
    if (!(header = print_header(supernet->space, notes, rows))) {
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for a checkpoint");
        goto out;
    }
    size_t len = strlen(header);
    if (len > CHECKPOINT_HEADER_MAX) {
        rc = err_set(err, ESP_ELIMIT, NULL, "the header of %s has %zu bytes, more than %d", path,
                     len, CHECKPOINT_HEADER_MAX);
        goto out;
    }
    make_prefix(header, len, prefix);
    if ((rc = write_file(path, prefix, header, &sections, err)) != 0)
        goto out;
    memcpy(ret_summary->id, prefix + CHECKPOINT_PREFIX - (HASH_TEXT_LONG - 1), HASH_TEXT - 1);
    ret_summary->id[HASH_TEXT - 1] = '\0';
    ret_summary->bytes = CHECKPOINT_PREFIX + (int64_t)len + (int64_t)sections.len;
out:
    free(header);
    buf_finish(&sections);
    return rc;
}
