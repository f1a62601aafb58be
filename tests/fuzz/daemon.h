/* A whole daemon in the fuzz target's own process, spoken to over a real connection. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* data is a line "METHOD /path" and a body. Sends it (with the token of an enrolled board when
 * as_worker); words such as PROFILE_ID, LEASE_ID and MEASUREMENT_ID in it stand for those of a
 * board that was given something to measure, and of what else there is; a supernet is called "n", a
 * search that has ended "s". Aborts when the daemon fails (500), or answers with what is
 * no HTTP. */
void daemon_fuzz(const uint8_t *data, size_t size, int as_worker);
/* data is all that a client sends, before it closes its sending half. */
void daemon_fuzz_raw(const uint8_t *data, size_t size);
