#include "supernet/tensor_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "supernet/tensor_file_forms.h"

const char *const tensor_dtype_names[] = {"float64", "float32", "float16", "bfloat16",
                                          "int64",   "int32",   "int16",   "int8",
                                          "uint8",   "bool",    NULL};

size_t tensor_dtype_bytes(enum tensor_dtype dtype) {
    static const size_t bytes[DTYPES] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
    return bytes[dtype];
}

void foreign_tensor_shape(const struct foreign_tensor *tensor, char ret_text[TENSOR_SHAPE_TEXT]) {
    int at = snprintf(ret_text, TENSOR_SHAPE_TEXT, "[");
    for (int i = 0; i < tensor->n_dims; i++)
        at += snprintf(ret_text + at, (size_t)(TENSOR_SHAPE_TEXT - at), "%s%lld", i ? ", " : "",
                       (long long)tensor->dims[i]);
    snprintf(ret_text + at, (size_t)(TENSOR_SHAPE_TEXT - at), "]");
}

/* dims and strides are below 2^31 each and there are at most 2^28 elements, so nothing overflows.
 */
int foreign_tensor_check(struct foreign_tensor *t, struct err *err) {
    if (t->offset < 0 || t->offset > t->storage_count)
        return err_set(err, ESP_EPARSE, NULL, "%s begins beyond the %lld elements of its storage",
                       t->name, (long long)t->storage_count);
    int64_t count = 1, last = t->offset;
    for (int i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0 || t->dims[i] > TENSOR_FILE_ELEMENTS_MAX ||
            (count *= t->dims[i]) > TENSOR_FILE_ELEMENTS_MAX)
            return err_set(err, ESP_ELIMIT, NULL, "%s has more than %lld elements", t->name,
                           (long long)TENSOR_FILE_ELEMENTS_MAX);
        if (t->strides[i] < 0 || t->strides[i] > INT32_MAX)
            return err_set(err, ESP_EPARSE, NULL, "%s has a stride of %lld", t->name,
                           (long long)t->strides[i]);
        last += t->dims[i] > 0 ? (t->dims[i] - 1) * t->strides[i] : 0;
    }
    if (count > 0 && last >= t->storage_count)
        return err_set(err, ESP_EPARSE, NULL, "%s reaches beyond the %lld elements of its storage",
                       t->name, (long long)t->storage_count);
    t->count = count;
    return 0;
}

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16: exact in float32. */
static float from_half(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    uint32_t fraction = half & 1023;
    if (exponent == 31)
        return from_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent > 0)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float value = (float)fraction * 0x1p-24f;
    return sign ? -value : value;
}

static float element(const struct foreign_tensor *t, int64_t at) {
    const uint8_t *bytes = t->storage + (size_t)at * tensor_dtype_bytes(t->dtype);
    double wide;
    int64_t integer;
    switch (t->dtype) {
    case DTYPE_F64:
        memcpy(&wide, bytes, sizeof wide);
        return (float)wide;
    case DTYPE_F32:
        return from_bits((uint32_t)little_endian(bytes, 4));
    case DTYPE_F16:
        return from_half((uint16_t)little_endian(bytes, 2));
    case DTYPE_BF16:
        return from_bits((uint32_t)little_endian(bytes, 2) << 16);
    case DTYPE_I64:
        memcpy(&integer, bytes, sizeof integer);
        return (float)integer;
    case DTYPE_I32:
        return (float)(int32_t)(uint32_t)little_endian(bytes, 4);
    case DTYPE_I16:
        return (float)(int16_t)(uint16_t)little_endian(bytes, 2);
    case DTYPE_I8:
        return (float)(int8_t)bytes[0];
    case DTYPE_U8:
        return (float)bytes[0];
    case DTYPE_BOOL:
        return bytes[0] ? 1 : 0;
    case DTYPES:
        break;
    }
    return 0;
}

/* Counts up the index, last dimension first; returns the element's place in the storage. */
static int64_t next_place(const struct foreign_tensor *t, int64_t index[], int64_t place) {
    for (int d = t->n_dims - 1; d >= 0; d--) {
        place += t->strides[d];
        if (++index[d] < t->dims[d])
            return place;
        place -= index[d] * t->strides[d];
        index[d] = 0;
    }
    return place;
}

void foreign_tensor_read(const struct foreign_tensor *tensor, float *ret_values) {
    int64_t index[TENSOR_FILE_DIMS_MAX] = {0}, place = tensor->offset;
    for (int64_t i = 0; i < tensor->count; i++) {
        ret_values[i] = element(tensor, place);
        place = next_place(tensor, index, place);
    }
}

static int parse_form(struct tensor_file *file, size_t len, struct err *err) {
    if (pth_is_zip(file->bytes, len))
        return pth_parse_zip(file, len, err);
    if (pth_is_legacy(file->bytes, len))
        return pth_parse_legacy(file, len, err);
    if (len > 8 && ((const uint8_t *)file->bytes)[8] == '{')
        return safetensors_parse(file, len, err);
    return err_set(err, ESP_EPARSE, NULL,
                   "this is neither a safetensors file nor one that torch.save wrote");
}

int tensor_file_parse(void *bytes, size_t len, struct err *err, struct tensor_file **ret_file) {
    struct tensor_file *file = mem_array(1, sizeof *file);
    if (!file) {
        free(bytes);
        return err_set(err, ESP_ENOMEM, NULL, "no memory to read a file of tensors");
    }
    file->bytes = bytes;
    int rc = parse_form(file, len, err);
    if (rc < 0) {
        tensor_file_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int tensor_file_open(const char *path, struct err *err, struct tensor_file **ret_file) {
    char *bytes = NULL;
    size_t len = 0;
    int rc = file_read_regular(path, (size_t)TENSOR_FILE_BYTES_MAX, err, &bytes, &len);
    return rc < 0 ? rc : tensor_file_parse(bytes, len, err, ret_file);
}

void tensor_file_close(struct tensor_file *file) {
    if (!file)
        return;
    for (int i = 0; i < file->n_unpacked; i++)
        free(file->unpacked[i]);
    free(file->unpacked);
    free(file->tensors);
    free(file->metadata);
    free(file->bytes);
    free(file);
}
