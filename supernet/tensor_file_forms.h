/* The forms of foreign tensor files, for supernet/tensor_file*.c: each fills a zeroed file whose
 * bytes (len of them) are set. What they had made by a failure goes with tensor_file_close. */
#pragma once

#include "supernet/tensor_file.h"

int safetensors_parse(struct tensor_file *file, size_t len, struct err *err);
bool pth_is_legacy(const void *bytes, size_t len);
bool pth_is_zip(const void *bytes, size_t len);
int pth_parse_legacy(struct tensor_file *file, size_t len, struct err *err);
int pth_parse_zip(struct tensor_file *file, size_t len, struct err *err);

static inline uint64_t little_endian(const uint8_t *bytes, int n) {
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}
