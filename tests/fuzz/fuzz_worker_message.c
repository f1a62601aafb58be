/* Messages of an enrolled board that has gone mad: answered, never with a failure of the daemon. */
#include "tests/fuzz/daemon.h"
#include "tests/fuzz/fuzz.h"

int fuzz_one(const uint8_t *data, size_t size) {
    daemon_fuzz(data, size, 1);
    return 0;
}
