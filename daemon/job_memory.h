/* What is known of a job beside what is stored: what a running one said last of its progress, and
 * what it waits for. On the loop. */
#pragma once

#include <cjson/cJSON.h>

struct daemon;

/* Into a job as store_job_get gives it: its newest progress, and "waits_for". While a board that
 * takes no work keeps the job there is no time left. */
void job_memory_add(const struct daemon *daemon, cJSON *job);
