/* Time: one clock for durations, one for display. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ns(void); /* CLOCK_MONOTONIC_RAW: for durations */
int64_t clock_wall_us(void); /* microseconds since the epoch, for display and storage */
void clock_format_utc(int64_t wall_us, char *text, size_t size); /* 2026-01-31T12:00:00.123456Z */
void clock_sleep_us(int64_t us); /* goes on after signals; returns at once for us <= 0 */
