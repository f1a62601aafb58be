/* Named tensors of a foreign file (safetensors, PyTorch): what the file says of them, checked
 * against its size, and their values as float32. Files are untrusted: only job processes read them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    TENSOR_FILE_NAME_MAX = 256, /* bytes with NUL */
    TENSOR_FILE_DIMS_MAX = 8,
    TENSOR_FILE_TENSORS_MAX = 20000
};
#define TENSOR_FILE_BYTES_MAX (INT64_C(2) << 30)    /* of the file, and of all it unpacks to */
#define TENSOR_FILE_ELEMENTS_MAX (INT64_C(1) << 28) /* of one tensor */

enum tensor_dtype {
    DTYPE_F64,
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_I64,
    DTYPE_I32,
    DTYPE_I16,
    DTYPE_I8,
    DTYPE_U8,
    DTYPE_BOOL,
    DTYPES
};
size_t tensor_dtype_bytes(enum tensor_dtype dtype);
extern const char *const tensor_dtype_names[]; /* "float64", ...; NULL-terminated */

/* Element (i, j, ...) stands at offset + i * strides[0] + j * strides[1] + ... of its storage. */
struct foreign_tensor {
    char name[TENSOR_FILE_NAME_MAX];
    enum tensor_dtype dtype;
    int n_dims;
    int64_t dims[TENSOR_FILE_DIMS_MAX], strides[TENSOR_FILE_DIMS_MAX]; /* strides in elements */
    int64_t count, offset;                                             /* elements */
    const uint8_t *storage; /* borrowed from the file; little-endian, unaligned */
    int64_t storage_count;  /* elements that it holds */
};

struct tensor_file {
    int n;
    struct foreign_tensor *tensors;
    char *metadata; /* safetensors: JSON object of texts; NULL if there is none */
    /* what tensors borrow from */
    void *bytes;     /* of the file */
    void **unpacked; /* n_unpacked storages */
    int n_unpacked;
};

/* Reads a file, which tells its form by its first bytes: safetensors, or what torch.save writes
 * (legacy or zip). Errors: ESP_ENOTFOUND, ESP_EIO, ESP_EPARSE (no such file, damaged, or a
 * pickle that builds what is no tensor, dict, list, tuple, number or text: named), ESP_ELIMIT,
 * ESP_EUNSUPPORTED (kinds of numbers), ESP_ENOMEM. */
int tensor_file_open(const char *path, struct err *err, struct tensor_file **ret_file);
/* The same out of memory. Takes bytes (from malloc) in any case. */
int tensor_file_parse(void *bytes, size_t len, struct err *err, struct tensor_file **ret_file);
void tensor_file_close(struct tensor_file *file); /* takes NULL */

/* All values in row-major order: count floats. float64, int64 and int32 are rounded to
 * the nearest; of a bool 1 is true. */
void foreign_tensor_read(const struct foreign_tensor *tensor, float *ret_values);
/* "[16, 3, 3, 3]"; "[]" for a scalar. */
enum { TENSOR_SHAPE_TEXT = 192 };
void foreign_tensor_shape(const struct foreign_tensor *tensor, char ret_text[TENSOR_SHAPE_TEXT]);
/* Checks dims, strides and offset against the storage and sets count. ESP_ELIMIT, ESP_EPARSE. */
int foreign_tensor_check(struct foreign_tensor *tensor, struct err *err);
