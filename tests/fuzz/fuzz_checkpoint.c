/* A checkpoint from hostile bytes: refused with an error, or read. An odd first byte puts the right
 * checksum over the header, so that what
 * stands behind that check is reached too. */
#include "supernet/checkpoint_format.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(bool ok) {
    if (!ok)
        abort();
}

static void sign(uint8_t *bytes, size_t size) {
    uint32_t len;
    char checksum[HASH_TEXT_LONG];
    if (size < CHECKPOINT_PREFIX)
        return;
    memcpy(&len, bytes + CHECKPOINT_MAGIC_BYTES + 4, sizeof len);
    if (len > size - CHECKPOINT_PREFIX)
        return;
    hash_text_long(bytes + CHECKPOINT_PREFIX, len, checksum);
    memcpy(bytes + CHECKPOINT_MAGIC_BYTES + 8, checksum, HASH_TEXT_LONG - 1);
}

static void read_checkpoint(const char *path) {
    struct checkpoint *checkpoint = NULL;
    struct supernet *supernet = NULL;
    struct err err = {0};
    int rc = checkpoint_open(path, &err, &checkpoint);
    if (rc == 0)
        rc = checkpoint_verify(checkpoint, &err);
    /* Spaces may be as large as the limits allow; a fuzzer has no time for such supernets. */
    if (rc == 0 && checkpoint->summary.bytes < 1 << 20 && checkpoint->space->n_blocks <= 2)
        rc = checkpoint_load(checkpoint, &err, &supernet);
    require(rc == 0 || (err.code == rc && err.message[0]));
    supernet_destroy(supernet);
    checkpoint_close(checkpoint);
}

int fuzz_one(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (size == 0)
        return 0;
    if (fd < 0) {
        fd = memfd_create("checkpoint", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    uint8_t *bytes = malloc(size);
    require(fd >= 0 && bytes);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        sign(bytes, size - 1);
    require(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, size - 1, 0) == (ssize_t)(size - 1));
    free(bytes);
    read_checkpoint(path);
    return 0;
}
