#include "supernet/checkpoint_format.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

static const struct json_limits header_limits = {CHECKPOINT_HEADER_MAX, 32, 2000000};

struct checkpoint_content {
    int fd;
    int64_t start, size; /* of the sections; of the file */
    int n;
    struct checkpoint_section *sections;
};

static int read_at(const struct checkpoint *checkpoint, int64_t offset, void *data, size_t bytes,
                   struct err *err) {
    for (size_t got = 0; got < bytes;) {
        ssize_t n = pread(checkpoint->content->fd, (char *)data + got, bytes - got,
                          (off_t)(offset + (int64_t)got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", checkpoint->path,
                           strerror(errno));
        if (n == 0)
            return err_set(err, ESP_ECORRUPT, NULL, "%s is truncated: it ends at byte %lld of %lld",
                           checkpoint->path, (long long)(offset + (int64_t)got),
                           (long long)(offset + (int64_t)bytes));
        got += (size_t)n;
    }
    return 0;
}

static int open_file(struct checkpoint *checkpoint, struct err *err) {
    struct stat st;
    int fd = -1, rc = file_open_regular(checkpoint->path, err, &fd);
    if (rc != 0)
        return rc;
    checkpoint->content->fd = fd;
    if (fstat(fd, &st) != 0)
        return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", checkpoint->path, strerror(errno));
    checkpoint->content->size = st.st_size;
    checkpoint->summary.bytes = st.st_size;
    return 0;
}

/* Magic, version, length and checksum; *ret_text is the header, NUL-terminated, the caller's. */
static int read_header(struct checkpoint *checkpoint, struct err *err, char **ret_text,
                       size_t *ret_len) {
    char prefix[CHECKPOINT_PREFIX], checksum[HASH_TEXT_LONG];
    uint32_t numbers[2];
    int rc = read_at(checkpoint, 0, prefix, sizeof prefix, err);
    if (rc != 0)
        return rc;
    if (memcmp(prefix, CHECKPOINT_MAGIC, CHECKPOINT_MAGIC_BYTES) != 0)
        return err_set(err, ESP_ECORRUPT, NULL, "%s is no checkpoint", checkpoint->path);
    memcpy(numbers, prefix + CHECKPOINT_MAGIC_BYTES, sizeof numbers);
    if (numbers[0] != CHECKPOINT_VERSION)
        return err_set(err, ESP_EVERSION, NULL, "%s has version %u; this program reads version %d",
                       checkpoint->path, numbers[0], CHECKPOINT_VERSION);
    if (numbers[1] > CHECKPOINT_HEADER_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "%s has a header of %u bytes, more than %d",
                       checkpoint->path, numbers[1], CHECKPOINT_HEADER_MAX);
    char *text = malloc((size_t)numbers[1] + 1);
    if (!text)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the header of %s", checkpoint->path);
    rc = read_at(checkpoint, CHECKPOINT_PREFIX, text, numbers[1], err);
    if (rc == 0) {
        hash_text_long(text, numbers[1], checksum);
        if (memcmp(checksum, prefix + CHECKPOINT_PREFIX - (HASH_TEXT_LONG - 1),
                   HASH_TEXT_LONG - 1) != 0)
            rc = err_set(err, ESP_ECORRUPT, NULL,
                         "%s is damaged: the checksum of its header is "
                         "wrong",
                         checkpoint->path);
    }
    if (rc != 0) {
        free(text);
        return rc;
    }
    text[numbers[1]] = '\0';
    memcpy(checkpoint->summary.id, checksum, HASH_TEXT - 1);
    checkpoint->content->start = CHECKPOINT_PREFIX + (int64_t)numbers[1];
    *ret_text = text;
    *ret_len = numbers[1];
    return 0;
}

static int parse_dims(const cJSON *row, const char *at, struct err *err,
                      struct checkpoint_section *section) {
    const cJSON *dims = NULL, *dim;
    int rc = json_array(row, at, "dims", 0, TENSOR_DIMS_MAX, err, &dims);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(dim, dims) {
        if (!cJSON_IsNumber(dim) || dim->valuedouble < 1 || dim->valuedouble > INT_MAX ||
            dim->valuedouble != (double)(int)dim->valuedouble)
            return err_set(err, ESP_EINVAL, at, "a size of the tensor is no positive integer");
        section->dims[section->n_dims++] = (int)dim->valuedouble;
    }
    return 0;
}

static int parse_section(const cJSON *row, const char *at, struct err *err,
                         struct checkpoint_section *section) {
    const char *name = NULL, *checksum = NULL;
    int part = 0, codec = 0, rc;
    if ((rc = json_string(row, at, "name", 1, TENSOR_NAME_MAX - 1, err, &name)) != 0 ||
        (rc = json_enum(row, at, "part", checkpoint_part_names, err, &part)) != 0 ||
        (rc = parse_dims(row, at, err, section)) != 0 ||
        (rc = json_enum(row, at, "codec", checkpoint_codec_names, err, &codec)) != 0 ||
        (rc = json_int(row, at, "offset", 0, INT64_C(1) << 52, err, &section->offset)) != 0 ||
        (rc = json_int(row, at, "stored", 0, INT64_C(1) << 40, err, &section->stored)) != 0 ||
        (rc = json_string(row, at, "checksum", HASH_TEXT_LONG - 1, HASH_TEXT_LONG - 1, err,
                          &checksum)) != 0)
        return rc;
    snprintf(section->name, sizeof section->name, "%s", name);
    snprintf(section->checksum, sizeof section->checksum, "%s", checksum);
    section->part = (enum supernet_part)part;
    section->codec = (enum checkpoint_codec)codec;
    return 0;
}

static int parse_sections(struct checkpoint *checkpoint, const cJSON *header, struct err *err) {
    struct checkpoint_content *content = checkpoint->content;
    const cJSON *rows = NULL, *row;
    char at[64];
    int rc = json_array(header, "", "sections", 1, CHECKPOINT_SECTIONS_MAX, err, &rows);
    if (rc != 0)
        return rc;
    content->sections = mem_array((size_t)cJSON_GetArraySize(rows), sizeof *content->sections);
    if (!content->sections)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the header of %s", checkpoint->path);
    cJSON_ArrayForEach(row, rows) {
        struct checkpoint_section *section = &content->sections[content->n];
        snprintf(at, sizeof at, "/sections/%d", content->n);
        if ((rc = parse_section(row, at, err, section)) != 0)
            return rc;
        int64_t end = content->start + section->offset + section->stored;
        if (end > content->size)
            return err_set(err, ESP_ECORRUPT, NULL,
                           "%s is truncated: it has %lld bytes, and %s "
                           "ends at byte %lld",
                           checkpoint->path, (long long)content->size, section->name,
                           (long long)end);
        content->n++;
    }
    return 0;
}

static int parse_space(struct checkpoint *checkpoint, const cJSON *header, struct err *err) {
    const cJSON *space = NULL;
    const char *fingerprint = NULL;
    int rc = json_object(header, "", "space", err, &space);
    if (rc == 0)
        rc =
            json_string(header, "", "fingerprint", HASH_TEXT - 1, HASH_TEXT - 1, err, &fingerprint);
    if (rc != 0)
        return rc;
    char *text = json_print_canonical(space);
    if (!text)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the header of %s", checkpoint->path);
    rc = space_parse(text, strlen(text), err, &checkpoint->space);
    free(text);
    if (rc == 0 && strcmp(checkpoint->space->fingerprint, fingerprint) != 0)
        rc = err_set(err, ESP_ECORRUPT, NULL, "its fingerprint is not that of its space");
    return rc;
}

static int parse_notes(struct checkpoint *checkpoint, cJSON *header, struct err *err) {
    const cJSON *training = NULL, *history = NULL;
    const char *revision = NULL;
    int rc;
    if ((rc = json_object(header, "", "training", err, &training)) != 0 ||
        (rc = json_array(header, "", "history", 0, INT_MAX, err, &history)) != 0 ||
        (rc = json_string(header, "", "dataset_revision", 0, HASH_TEXT - 1, err, &revision)) != 0)
        return rc;
    snprintf(checkpoint->dataset_revision, HASH_TEXT, "%s", revision);
    checkpoint->training = cJSON_DetachItemFromObjectCaseSensitive(header, "training");
    checkpoint->history = cJSON_DetachItemFromObjectCaseSensitive(header, "history");
    return 0;
}

/* A header that stands under its checksum and yet makes no sense is damage all the same. */
static int as_damage(const struct checkpoint *checkpoint, int rc, struct err *err) {
    if (rc == 0 || rc == ESP_ENOMEM || (rc == ESP_ECORRUPT && err && err->pointer[0] == '\0'))
        return rc;
    if (!err)
        return ESP_ECORRUPT;
    char reason[sizeof err->message], pointer[sizeof err->pointer];
    memcpy(reason, err->message, sizeof reason);
    memcpy(pointer, err->pointer, sizeof pointer);
    return err_set(err, ESP_ECORRUPT, NULL, "%s has a bad header: %s%s%s", checkpoint->path,
                   pointer, pointer[0] ? ": " : "", reason);
}

static int parse_header(struct checkpoint *checkpoint, const char *text, size_t len,
                        struct err *err) {
    cJSON *header = NULL;
    int rc = json_parse(text, len, &header_limits, err, &header);
    if (rc == 0)
        rc = parse_space(checkpoint, header, err);
    if (rc == 0)
        rc = parse_sections(checkpoint, header, err);
    if (rc == 0)
        rc = parse_notes(checkpoint, header, err);
    cJSON_Delete(header);
    return as_damage(checkpoint, rc, err);
}

int checkpoint_open(const char *path, struct err *err, struct checkpoint **ret_checkpoint) {
    char *text = NULL;
    size_t len = 0;
    struct checkpoint *checkpoint = mem_array(1, sizeof *checkpoint);
    if (!checkpoint || !(checkpoint->content = mem_array(1, sizeof *checkpoint->content))) {
        free(checkpoint);
        return err_set(err, ESP_ENOMEM, NULL, "no memory to read %s", path);
    }
    checkpoint->content->fd = -1;
    int rc = 0;
    if (strlen(path) >= sizeof checkpoint->path) {
        rc = err_set(err, ESP_ELIMIT, NULL, "the path of the checkpoint is too long");
        goto out;
    }
    snprintf(checkpoint->path, sizeof checkpoint->path, "%s", path);
    if ((rc = open_file(checkpoint, err)) != 0 ||
        (rc = read_header(checkpoint, err, &text, &len)) != 0 ||
        (rc = parse_header(checkpoint, text, len, err)) != 0)
        goto out;
    *ret_checkpoint = checkpoint;
    checkpoint = NULL;
out:
    free(text);
    checkpoint_close(checkpoint);
    return rc;
}

void checkpoint_close(struct checkpoint *checkpoint) {
    if (!checkpoint)
        return;
    if (checkpoint->content->fd >= 0)
        close(checkpoint->content->fd);
    free(checkpoint->content->sections);
    free(checkpoint->content);
    space_destroy(checkpoint->space);
    cJSON_Delete(checkpoint->training);
    cJSON_Delete(checkpoint->history);
    free(checkpoint);
}

int checkpoint_require_space(const struct checkpoint *checkpoint, const struct space *space,
                             struct err *err) {
    if (strcmp(checkpoint->space->fingerprint, space->fingerprint) == 0)
        return 0;
    return err_set(err, ESP_EMISMATCH, "/space",
                   "%s is of the space %s (fingerprint %s), not of %s (fingerprint %s)",
                   checkpoint->path, checkpoint->space->name, checkpoint->space->fingerprint,
                   space->name, space->fingerprint);
}

/* The bytes of a section as they lie in the file, checked; the caller frees. */
static int read_section(const struct checkpoint *checkpoint,
                        const struct checkpoint_section *section, struct err *err,
                        void **ret_data) {
    char checksum[HASH_TEXT_LONG];
    size_t bytes = (size_t)section->stored;
    void *data = malloc(bytes ? bytes : 1);
    if (!data)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %s of %s", section->name,
                       checkpoint->path);
    int rc = read_at(checkpoint, checkpoint->content->start + section->offset, data, bytes, err);
    if (rc == 0) {
        hash_text_long(data, bytes, checksum);
        if (strcmp(checksum, section->checksum) != 0)
            rc = err_set(
                err, ESP_ECORRUPT, NULL,
                "%s is damaged: the checksum of %s (bytes %lld to "
                "%lld) is wrong",
                checkpoint->path, section->name,
                (long long)(checkpoint->content->start + section->offset),
                (long long)(checkpoint->content->start + section->offset + section->stored));
    }
    if (rc != 0) {
        free(data);
        return rc;
    }
    *ret_data = data;
    return 0;
}

int checkpoint_verify(const struct checkpoint *checkpoint, struct err *err) {
    int rc = 0;
    for (int i = 0; rc == 0 && i < checkpoint->content->n; i++) {
        void *data = NULL;
        rc = read_section(checkpoint, &checkpoint->content->sections[i], err, &data);
        free(data);
    }
    return rc;
}

static int unpack(const struct checkpoint *checkpoint, const struct checkpoint_section *section,
                  const void *data, float *ret_floats, size_t count, struct err *err) {
    size_t bytes = count * sizeof *ret_floats, stored = (size_t)section->stored;
    bool whole;
    if (section->codec == CODEC_RAW) {
        if ((whole = stored == bytes))
            memcpy(ret_floats, data, bytes);
    } else {
        whole = ZSTD_decompress(ret_floats, bytes, data, stored) == bytes;
    }
    return whole ? 0
                 : err_set(err, ESP_ECORRUPT, NULL, "%s: %s does not unpack to its %zu bytes",
                           checkpoint->path, section->name, bytes);
}

static bool same_shape(const struct checkpoint_section *section, const struct tensor *tensor) {
    return section->n_dims == tensor->n_dims &&
           memcmp(section->dims, tensor->dims, (size_t)tensor->n_dims * sizeof *tensor->dims) == 0;
}

static int restore_section(const struct checkpoint *checkpoint,
                           const struct checkpoint_section *section, struct supernet *supernet,
                           struct err *err, const struct tensor **ret_tensor) {
    struct tensor *tensor = supernet_find(supernet, section->name);
    float *floats = tensor ? tensor_part(tensor, section->part) : NULL;
    void *data = NULL;
    if (!floats || !same_shape(section, tensor))
        return err_set(err, ESP_EMISMATCH, NULL, "%s: the supernet has no %s of %s with that shape",
                       checkpoint->path, checkpoint_part_names[section->part], section->name);
    int rc = read_section(checkpoint, section, err, &data);
    if (rc == 0)
        rc = unpack(checkpoint, section, data, floats, tensor->count, err);
    free(data);
    *ret_tensor = tensor;
    return rc;
}

/* Once every section is restored without a repetition, equal numbers mean that nothing is missing.
 */
static int check_number(const struct checkpoint *checkpoint, const struct supernet *supernet,
                        struct err *err) {
    int n = 0;
    for (int i = 0; i < supernet->n_tensors; i++)
        for (int part = 0; part < SUPERNET_PARTS; part++)
            n += tensor_part(&supernet->tensors[i], part) != NULL;
    if (checkpoint->content->n == n)
        return 0;
    return err_set(err, ESP_EMISMATCH, NULL, "%s has %d sections, the supernet %d",
                   checkpoint->path, checkpoint->content->n, n);
}

static int restore_all(const struct checkpoint *checkpoint, struct supernet *supernet, bool *seen,
                       struct err *err) {
    for (int i = 0; i < checkpoint->content->n; i++) {
        const struct checkpoint_section *section = &checkpoint->content->sections[i];
        const struct tensor *tensor = NULL;
        int rc = restore_section(checkpoint, section, supernet, err, &tensor);
        if (rc != 0)
            return rc;
        bool *mark = &seen[(tensor - supernet->tensors) * SUPERNET_PARTS + section->part];
        if (*mark)
            return err_set(err, ESP_ECORRUPT, NULL, "%s holds the %s of %s twice", checkpoint->path,
                           checkpoint_part_names[section->part], section->name);
        *mark = true;
    }
    return 0;
}

static bool holds(const struct checkpoint *checkpoint, enum supernet_part part) {
    for (int i = 0; i < checkpoint->content->n; i++)
        if (checkpoint->content->sections[i].part == part)
            return true;
    return false;
}

/* The supernet has the copies that the checkpoint has. */
static int make_copies(const struct checkpoint *checkpoint, struct supernet *supernet,
                       struct err *err) {
    int rc = 0;
    for (int part = PART_AVERAGE; rc == 0 && part < SUPERNET_PARTS; part++)
        if (holds(checkpoint, (enum supernet_part)part))
            rc = supernet_copy_part(supernet, (enum supernet_part)part, err);
        else
            supernet_drop_part(supernet, (enum supernet_part)part);
    return rc;
}

int checkpoint_restore(const struct checkpoint *checkpoint, struct supernet *supernet,
                       struct err *err) {
    int rc = checkpoint_require_space(checkpoint, supernet->space, err);
    if (rc == 0)
        rc = make_copies(checkpoint, supernet, err);
    if (rc == 0)
        rc = check_number(checkpoint, supernet, err);
    if (rc != 0)
        return rc;
    bool *seen = mem_array((size_t)supernet->n_tensors * SUPERNET_PARTS, sizeof *seen);
    if (!seen)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to read %s", checkpoint->path);
    rc = restore_all(checkpoint, supernet, seen, err);
    free(seen);
    return rc;
}

/* A moving average is what a training is judged by, where there is one. */
static void take_average(struct supernet *supernet) {
    for (int i = 0; supernet_has_part(supernet, PART_AVERAGE) && i < supernet->n_tensors; i++) {
        struct tensor *t = &supernet->tensors[i];
        memcpy(t->data, t->average, t->count * sizeof *t->data);
    }
    supernet_drop_part(supernet, PART_AVERAGE);
    supernet_drop_part(supernet, PART_TEACHER);
}

int checkpoint_load(const struct checkpoint *checkpoint, struct err *err,
                    struct supernet **ret_supernet) {
    struct supernet *supernet = NULL;
    int rc = supernet_create(checkpoint->space, 0, err, &supernet);
    if (rc == 0)
        rc = checkpoint_restore(checkpoint, supernet, err);
    if (rc != 0) {
        supernet_destroy(supernet);
        return rc;
    }
    take_average(supernet);
    *ret_supernet = supernet;
    return 0;
}
