#include "devices/retry.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/rng.h"

enum { WAIT_MAX_S = 60 };

bool retry_is_final(int status) {
    return status == 400 || status == 401 || status == 403 || status == 404 || status == 409 ||
           status == 410 || status == 413 || status == 415 || status == 422 || status == 426;
}

void retry_wait(struct http_client *client, int *failures, volatile sig_atomic_t *stop) {
    struct rng rng =
        rng_make((uint64_t)clock_mono_ns(), RNG_SAMPLE, (uint64_t)*failures, (uint32_t)getpid());
    int power = *failures < 6 ? *failures : 6;
    double seconds = rng_unit(&rng) * (1 << power), asked = http_client_retry_after(client);

    (*failures)++;
    if (seconds > WAIT_MAX_S)
        seconds = WAIT_MAX_S;
    if (seconds < asked)
        seconds = asked;
    for (int64_t left = (int64_t)(seconds * 1e6); left > 0 && !*stop; left -= 100000)
        clock_sleep_us(left < 100000 ? left : 100000);
}
