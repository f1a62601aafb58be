/* A job parses files of strangers: it must not reach the network, nor start programs, nor fill the
 * machine's memory or disk, whatever they make it do. */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* For this process and its threads, for good: no new sockets nor connections, no execve, no hand in
 * other processes, no gained privileges, no core dumps, few open files. Descriptors that are open
 * already go on working. Errors: ESP_EUNSUPPORTED where the kernel cannot filter system calls (the
 * limits stand all the same). */
int confine_process(struct err *err);

/* What one job may take; 0: as much as there is. */
struct confine_limits {
    int64_t memory_bytes; /* of its own, writable: the heap and threads' stacks */
    int64_t file_bytes;   /* of one file that it writes; beyond it ESP_ENOSPACE */
};
/* For this process, for good; what stands lower already stays. An allocation beyond fails as when
 * the machine has no more. Programs with a sanitizer keep their memory, which is mostly shadow. */
void confine_resources(const struct confine_limits *limits);
bool confine_bounds_memory(void); /* false in a program with a sanitizer */
