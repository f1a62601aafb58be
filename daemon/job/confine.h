/* A job parses files of strangers: it must not reach the network, nor start programs, whatever they
 * make it do. */
#pragma once

#include "base/error.h"

/* For this process and its threads, for good: no new sockets, no execve, no gained privileges, no
 * core dumps, few open files. Descriptors that are open already go on working. Errors:
 * ESP_EUNSUPPORTED where the kernel cannot filter system calls (the limits stand all the same). */
int confine_process(struct err *err);
