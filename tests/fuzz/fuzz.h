/* What a fuzz target provides. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Feeds data to the code under test; always returns 0. A crash, a failed assert, a sanitizer's
 * report or more than ten seconds is a finding. data is exactly size bytes (no NUL behind it) and
 * must not be written to. */
int fuzz_one(const uint8_t *data, size_t size);
