/* A job's process: spawned with a command channel (its fd 3), an event channel (its fd 4) and its
 * log as standard output and error. Lines in, lines out; the loop's thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/error.h"

struct process;

enum { PROCESS_LINE_MAX = 16 << 20 };

struct process_listener {
    /* A whole line, without its end; valid during the call. */
    void (*line)(void *context, const char *text, size_t len);
    /* The process has ended and all its lines were heard. why: "exit code 1", "signal 9". Last
     * call; process_destroy may be called from it. */
    void (*ended)(void *context, int exit_code, int signal);
    void *context;
};

/* program runs in dir, which exists; its output goes to the end of log_path. Errors: ESP_EIO,
 * ESP_ENOMEM. */
int process_start(uv_loop_t *loop, const char *program, const char *dir, const char *log_path,
                  const struct process_listener *listener, struct err *err,
                  struct process **ret_process);
/* Sends text (copied) and a line end; nothing happens when the process has ended. */
void process_send(struct process *process, const char *text, size_t len);
void process_signal(struct process *process, int signal);
/* Stops and restarts hearing: events wait in the pipe, and their sender with them. */
void process_pause_lines(struct process *process, bool paused);
int process_pid(const struct process *process);
/* Frees it once the loop has closed its handles; kills a process that still runs. Takes NULL. */
void process_destroy(struct process *process);
