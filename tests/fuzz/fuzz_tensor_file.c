/* A file of tensors from hostile bytes, in every form: refused with an error, or read, and then
 * imported or refused. The first byte chooses repairs that let the bytes behind a check be reached:
 * 1 sets every checksum of an archive's directory from the entry itself. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "supernet/import.h"
#include "supernet/zip.h"
#include "tests/fuzz/fuzz.h"

static void require(bool ok) {
    if (!ok)
        abort();
}

/* Stored entries only: their bytes lie in the archive. */
static void repair_checksums(uint8_t *bytes, size_t len) {
    struct zip zip;
    if (zip_is(bytes, len) && zip_open(&zip, bytes, len, NULL) == 0)
        for (int i = 0; i < zip.n; i++) {
            struct zip_entry *entry = &zip.entries[i];
            size_t row = (size_t)(entry->name - (const char *)bytes) - 46;
            size_t data = entry->header + 30;
            if (entry->header > len || len - entry->header < 30)
                continue;
            data += bytes[entry->header + 26] + 256u * bytes[entry->header + 27];
            data += bytes[entry->header + 28] + 256u * bytes[entry->header + 29];
            if (data > len || entry->size > len - data)
                continue;
            uint32_t crc = (uint32_t)crc32_z(0, bytes + data, entry->size);
            for (int k = 0; k < 4; k++)
                bytes[row + 16 + (size_t)k] = (uint8_t)(crc >> (8 * k));
        }
    else
        return;
    zip_finish(&zip);
}

static void read_values(const struct tensor_file *file) {
    for (int i = 0; i < file->n; i++) {
        const struct foreign_tensor *t = &file->tensors[i];
        char shape[TENSOR_SHAPE_TEXT];
        foreign_tensor_shape(t, shape);
        if (t->count > 1 << 16) /* a stride of 0 makes many out of few */
            continue;
        float *values = malloc(((size_t)t->count + 1) * sizeof *values);
        require(values != NULL);
        foreign_tensor_read(t, values);
        free(values);
    }
}

static const struct space *space(void) {
    static struct space *small;
    if (!small)
        require(space_builtin("fashion_small", NULL, &small) == 0);
    return small;
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct err err = {0};
    struct tensor_file *file = NULL;
    struct supernet *net = NULL;
    struct import_report report;
    if (size == 0)
        return 0;
    uint8_t *bytes = malloc(size);
    require(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        repair_checksums(bytes, size - 1);
    int rc = tensor_file_parse(bytes, size - 1, &err, &file);
    require(rc == 0 || (err.code == rc && err.message[0]));
    if (rc == 0) {
        read_values(file);
        rc = supernet_import(file, file->metadata ? NULL : space(), &err, &report, &net);
        require(rc == 0 || (err.code == rc && err.message[0]));
    }
    supernet_destroy(net);
    tensor_file_close(file);
    return 0;
}
