/* Keeps a running job's log within bounds. */
#pragma once

#include <uv.h>

/* In the thread pool: when dir/log has grown too large, only its last part is kept, behind a line
 * that says so. The job appends, so it needs not know. */
void joblog_trim(uv_loop_t *loop, const char *dir);
