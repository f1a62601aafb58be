/* What a board owner's command says: refused with an error, or as many sound times as asked for. */
#include <math.h>
#include <stdlib.h>

#include "devices/exec.h"
#include "tests/fuzz/fuzz.h"

int fuzz_one(const uint8_t *data, size_t size) {
    double us[EXEC_SAMPLES_MAX], energy = NAN;
    struct err err = {0};
    int samples = size > 0 ? 1 + data[0] % EXEC_SAMPLES_MAX : 1;

    if (size == 0)
        return 0;
    int rc = exec_answer_read((const char *)data + 1, size - 1, samples, &err, us, &energy);
    for (int i = 0; i < samples && !rc; i++)
        if (!(us[i] > 0 && us[i] < 1e10))
            abort();
    if (!rc && !isnan(energy) && !(energy >= 0 && energy <= 1e12))
        abort();
    if (rc && (err.code != rc || !err.message[0]))
        abort();
    return 0;
}
