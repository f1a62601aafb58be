/* A whole connection of hostile bytes: request lines, headers, chunks, pipelines. */
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

int fuzz_one(const uint8_t *data, size_t size) {
    daemon_fuzz_raw(data, size);
    return 0;
}
