/* safetensors: 8 bytes of the header's length (little-endian), a JSON header, the tensors' bytes.
 * Form: https://github.com/huggingface/safetensors#format */
#include "supernet/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "supernet/tensor_file_forms.h"

enum { LENGTH_BYTES = 8, HEADER_MAX = 16 << 20, DTYPE_TEXT = 8 };
static const struct json_limits header_limits = {HEADER_MAX, 4, 500000};
static const char *const header_dtypes[] = {"F64", "F32", "F16", "BF16", "I64", "I32",
                                            "I16", "I8",  "U8",  "BOOL", NULL};

/* ---- Reading ---- */

static int integer_item(const cJSON *item, int64_t max, const char *name, const char *what,
                        struct err *err, int64_t *ret) {
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= (double)max) ||
        item->valuedouble != (double)(int64_t)item->valuedouble)
        return err_set(err, ESP_EPARSE, NULL, "%s of %s is no integer from 0 to %lld", what, name,
                       (long long)max);
    *ret = (int64_t)item->valuedouble;
    return 0;
}

static int parse_shape(const cJSON *row, struct err *err, struct foreign_tensor *tensor) {
    const cJSON *shape = NULL, *dim;
    int rc = json_array(row, "", "shape", 0, TENSOR_FILE_DIMS_MAX, err, &shape);
    cJSON_ArrayForEach(dim, shape) {
        rc = integer_item(dim, TENSOR_FILE_ELEMENTS_MAX, tensor->name, "a size", err,
                          &tensor->dims[tensor->n_dims]);
        if (rc < 0)
            return rc;
        tensor->n_dims++;
    }
    int64_t stride = 1;
    for (int i = tensor->n_dims - 1; rc == 0 && i >= 0 && stride <= INT32_MAX; i--) {
        tensor->strides[i] = stride;
        stride *= tensor->dims[i];
    }
    return rc;
}

/* Places the tensor's bytes, [begin, end) behind the header. */
static int parse_place(const cJSON *row, const uint8_t *data, int64_t bytes, struct err *err,
                       struct foreign_tensor *tensor) {
    const cJSON *offsets = NULL;
    int64_t begin = 0, end = 0;
    int rc = json_array(row, "", "data_offsets", 2, 2, err, &offsets);
    if (rc == 0)
        rc = integer_item(cJSON_GetArrayItem(offsets, 0), TENSOR_FILE_BYTES_MAX, tensor->name,
                          "the begin", err, &begin);
    if (rc == 0)
        rc = integer_item(cJSON_GetArrayItem(offsets, 1), TENSOR_FILE_BYTES_MAX, tensor->name,
                          "the end", err, &end);
    if (rc < 0)
        return rc;
    if (begin > bytes || end > bytes)
        return err_set(err, ESP_EPARSE, NULL,
                       "the file is truncated: %s ends at byte %lld of the values, of which there "
                       "are %lld",
                       tensor->name, (long long)(end > begin ? end : begin), (long long)bytes);
    int64_t size = (int64_t)tensor_dtype_bytes(tensor->dtype);
    tensor->storage = data + begin;
    tensor->storage_count = end > begin ? (end - begin) / size : 0;
    rc = foreign_tensor_check(tensor, err);
    if (rc == 0 && tensor->count * size != end - begin)
        rc = err_set(err, ESP_EPARSE, NULL, "%s takes %lld bytes, its place has %lld", tensor->name,
                     (long long)(tensor->count * size), (long long)(end - begin));
    return rc;
}

static int parse_tensor(const cJSON *row, const uint8_t *data, int64_t bytes, struct err *err,
                        struct foreign_tensor *tensor) {
    static const char *const keys[] = {"dtype", "shape", "data_offsets", NULL};
    const char *dtype = NULL;
    if (strlen(row->string) >= TENSOR_FILE_NAME_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a tensor's name is longer than %d bytes",
                       TENSOR_FILE_NAME_MAX - 1);
    snprintf(tensor->name, sizeof tensor->name, "%s", row->string);
    int rc = json_only(row, "", keys, err);
    if (rc == 0)
        rc = json_string(row, "", "dtype", 1, DTYPE_TEXT, err, &dtype);
    if (rc < 0)
        return rc;
    int i = 0;
    while (header_dtypes[i] && strcmp(header_dtypes[i], dtype) != 0)
        i++;
    if (!header_dtypes[i])
        return err_set(err, ESP_EUNSUPPORTED, NULL,
                       "%s holds %s; F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL are read",
                       tensor->name, dtype);
    tensor->dtype = (enum tensor_dtype)i;
    rc = parse_shape(row, err, tensor);
    return rc < 0 ? rc : parse_place(row, data, bytes, err, tensor);
}

static int compare_places(const void *a, const void *b) {
    const struct foreign_tensor *x = a, *y = b;
    if (x->storage != y->storage)
        return x->storage < y->storage ? -1 : 1;
    return (x->storage_count > y->storage_count) - (x->storage_count < y->storage_count);
}

/* The form allows neither overlaps nor bytes that belong to no tensor. */
static int check_places(struct tensor_file *file, const uint8_t *data, int64_t bytes,
                        struct err *err) {
    const uint8_t *at = data;
    qsort(file->tensors, (size_t)file->n, sizeof *file->tensors, compare_places);
    for (int i = 0; i < file->n; i++) {
        const struct foreign_tensor *t = &file->tensors[i];
        if (t->storage != at)
            return err_set(err, ESP_EPARSE, NULL, "%s does not begin where the tensor before ends",
                           t->name);
        at += (size_t)t->storage_count * tensor_dtype_bytes(t->dtype);
    }
    if (at != data + bytes)
        return err_set(err, ESP_EPARSE, NULL, "%lld bytes at the end belong to no tensor",
                       (long long)(data + bytes - at));
    return 0;
}

static int parse_metadata(struct tensor_file *file, const cJSON *metadata, struct err *err) {
    const cJSON *item;
    if (!cJSON_IsObject(metadata))
        return err_set(err, ESP_EPARSE, NULL, "__metadata__ is no object");
    cJSON_ArrayForEach(item, metadata) if (!cJSON_IsString(item)) return err_set(
        err, ESP_EPARSE, NULL, "%s of __metadata__ is no text", item->string);
    file->metadata = json_print(metadata);
    return file->metadata ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for a file's header");
}

static int parse_header(struct tensor_file *file, const cJSON *header, const uint8_t *data,
                        int64_t bytes, struct err *err) {
    const cJSON *row;
    int n = cJSON_GetArraySize(header), rc = 0;
    if (!cJSON_IsObject(header) || n > TENSOR_FILE_TENSORS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "the header is no object of at most %d tensors",
                       TENSOR_FILE_TENSORS_MAX);
    file->tensors = mem_array((size_t)n + 1, sizeof *file->tensors);
    if (!file->tensors)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %d tensors", n);
    cJSON_ArrayForEach(row, header) {
        if (strcmp(row->string, "__metadata__") == 0)
            rc = parse_metadata(file, row, err);
        else
            rc = parse_tensor(row, data, bytes, err, &file->tensors[file->n++]);
        if (rc < 0)
            return rc;
    }
    return check_places(file, data, bytes, err);
}

/* Whatever a getter found wrong with the header is the file's fault. */
static int as_parse_error(int rc, struct err *err) {
    if (rc != ESP_EINVAL || !err)
        return rc;
    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    return err_set(err, ESP_EPARSE, NULL, "the header is bad: %s", message);
}

int safetensors_parse(struct tensor_file *file, size_t len, struct err *err) {
    const uint8_t *bytes = file->bytes;
    cJSON *header = NULL;
    uint64_t size = len >= LENGTH_BYTES ? little_endian(bytes, LENGTH_BYTES) : UINT64_MAX;
    if (len < LENGTH_BYTES || size > len - LENGTH_BYTES)
        return err_set(err, ESP_EPARSE, NULL,
                       "the file is truncated: it ends before its header does");
    if (size > HEADER_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "the header has more than %d bytes", HEADER_MAX);
    const char *text = (const char *)bytes + LENGTH_BYTES;
    size_t text_len = (size_t)size; /* the form pads with spaces, and only with these */
    while (text_len > 0 && text[text_len - 1] == ' ')
        text_len--;
    int rc = json_parse(text, text_len, &header_limits, err, &header);
    if (rc == 0)
        rc = parse_header(file, header, bytes + LENGTH_BYTES + size,
                          (int64_t)(len - LENGTH_BYTES - size), err);
    cJSON_Delete(header);
    return as_parse_error(rc, err);
}

/* ---- Writing ---- */

static bool counts_batches(const struct tensor *t, char ret_name[TENSOR_NAME_MAX + 32]) {
    static const char mean[] = "running_mean";
    if (t->kind != TENSOR_BN_MEAN)
        return false;
    snprintf(ret_name, TENSOR_NAME_MAX + 32, "%.*snum_batches_tracked",
             (int)(strlen(t->name) - strlen(mean)), t->name);
    return true;
}

static bool add_row(cJSON *header, const char *name, const char *dtype, const int *dims, int n_dims,
                    int64_t begin, int64_t bytes) {
    cJSON *row = cJSON_AddObjectToObject(header, name);
    double offsets[2] = {(double)begin, (double)(begin + bytes)};
    cJSON_AddStringToObject(row, "dtype", dtype);
    cJSON *shape = n_dims > 0 ? cJSON_CreateIntArray(dims, n_dims) : cJSON_CreateArray();
    cJSON *places = cJSON_CreateDoubleArray(offsets, 2);
    bool whole = row && cJSON_AddItemToObject(row, "shape", shape);
    if (!whole)
        cJSON_Delete(shape);
    if (!whole || !cJSON_AddItemToObject(row, "data_offsets", places)) {
        cJSON_Delete(places);
        return false;
    }
    return true;
}

/* Counters first: all tensors then begin at a multiple of their elements' size. */
static bool describe(const struct supernet *net, cJSON *header) {
    int64_t at = 0;
    char name[TENSOR_NAME_MAX + 32];
    for (int i = 0; i < net->n_tensors; i++)
        if (counts_batches(&net->tensors[i], name)) {
            if (!add_row(header, name, "I64", NULL, 0, at, sizeof(int64_t)))
                return false;
            at += (int64_t)sizeof(int64_t);
        }
    for (int i = 0; i < net->n_tensors; i++) {
        const struct tensor *t = &net->tensors[i];
        int64_t bytes = (int64_t)(t->count * sizeof(float));
        if (!add_row(header, t->name, "F32", t->dims, t->n_dims, at, bytes))
            return false;
        at += bytes;
    }
    return true;
}

static char *print_header(const struct supernet *net, const char *source) {
    cJSON *header = cJSON_CreateObject(), *metadata;
    char *space = space_print(net->space), *text = NULL;
    metadata = cJSON_AddObjectToObject(header, "__metadata__");
    if (space && cJSON_AddStringToObject(metadata, "format", "pt") &&
        cJSON_AddStringToObject(metadata, SAFETENSORS_SPACE, space) &&
        cJSON_AddStringToObject(metadata, SAFETENSORS_FINGERPRINT, net->space->fingerprint) &&
        cJSON_AddStringToObject(metadata, SAFETENSORS_SOURCE, source ? source : "") &&
        describe(net, header))
        text = json_print(header);
    free(space);
    cJSON_Delete(header);
    return text;
}

/* Length, header, spaces up to a multiple of 8. */
static int put_header(struct file_writer *writer, const char *text, struct err *err) {
    static const char spaces[LENGTH_BYTES] = "        ";
    size_t len = strlen(text), pad = (LENGTH_BYTES - len % LENGTH_BYTES) % LENGTH_BYTES;
    uint8_t length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (uint8_t)((uint64_t)(len + pad) >> (8 * i));
    int rc = file_writer_put(writer, length, sizeof length, err);
    if (rc == 0)
        rc = file_writer_put(writer, text, len, err);
    return rc < 0 ? rc : file_writer_put(writer, spaces, pad, err);
}

static int put_supernet(struct file_writer *writer, const void *context, struct err *err) {
    const struct supernet *net = context;
    static const int64_t zero;
    int rc = 0;
    for (int i = 0; rc == 0 && i < net->n_tensors; i++)
        if (net->tensors[i].kind == TENSOR_BN_MEAN)
            rc = file_writer_put(writer, &zero, sizeof zero, err);
    for (int i = 0; rc == 0 && i < net->n_tensors; i++)
        rc = file_writer_put(writer, net->tensors[i].data, net->tensors[i].count * sizeof(float),
                             err);
    return rc;
}

/* text: the header, taken; put: what comes behind it. NULL: no memory. */
static int write_file(const char *path, char *text,
                      int (*put)(struct file_writer *writer, const void *context, struct err *err),
                      const void *context, struct err *err) {
    struct file_writer *writer = NULL;
    if (!text)
        return err_set(err, ESP_ENOMEM, NULL, "no memory to write %s", path);
    int rc = file_writer_open(path, err, &writer);
    if (rc < 0)
        goto out;
    rc = put_header(writer, text, err);
    if (rc == 0)
        rc = put(writer, context, err);
    if (rc == 0)
        rc = file_writer_commit(writer, err);
    else
        file_writer_abort(writer);
out:
    free(text);
    return rc;
}

int safetensors_write(const char *path, const struct supernet *supernet, const char *source,
                      struct err *err) {
    return write_file(path, print_header(supernet, source), put_supernet, supernet, err);
}

struct tensor_list {
    const struct safetensor *tensors;
    int n;
};

static int64_t bytes_of(const struct safetensor *t) {
    int64_t bytes = (int64_t)tensor_dtype_bytes(t->dtype);
    for (int i = 0; i < t->n_dims; i++)
        bytes *= t->dims[i];
    return bytes;
}

static int put_list(struct file_writer *writer, const void *context, struct err *err) {
    const struct tensor_list *list = context;
    int rc = 0;
    for (int i = 0; rc == 0 && i < list->n; i++)
        rc = file_writer_put(writer, list->tensors[i].data, (size_t)bytes_of(&list->tensors[i]),
                             err);
    return rc;
}

static char *print_list(const struct tensor_list *list, const cJSON *metadata) {
    cJSON *header = cJSON_CreateObject(), *notes = cJSON_Duplicate(metadata, true);
    bool whole = cJSON_AddItemToObject(header, "__metadata__", notes);
    int64_t at = 0;
    if (!whole)
        cJSON_Delete(notes);
    for (int i = 0; whole && i < list->n; i++) {
        const struct safetensor *t = &list->tensors[i];
        whole =
            add_row(header, t->name, header_dtypes[t->dtype], t->dims, t->n_dims, at, bytes_of(t));
        at += bytes_of(t);
    }
    char *text = whole ? json_print(header) : NULL;
    cJSON_Delete(header);
    return text;
}

int safetensors_write_tensors(const char *path, const struct safetensor *tensors, int n,
                              const cJSON *metadata, struct err *err) {
    const struct tensor_list list = {tensors, n};
    return write_file(path, print_list(&list, metadata), put_list, &list, err);
}
