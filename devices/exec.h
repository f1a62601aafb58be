/* The command of the back end exec: how a board's owner configures it, what it is asked and what it
 * may answer (docs/BACKENDS.md). Only the configuration on the board says what is run. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum {
    EXEC_ARGS_MAX = 64,
    EXEC_NAME_MAX = 32,
    EXEC_ANSWER_MAX = 64 << 10, /* bytes of an answer */
    EXEC_CHATTER_MAX = 1 << 20, /* bytes that are no answer, for each request */
    EXEC_SAMPLES_MAX = 100,     /* of one request */
    EXEC_STDERR_KEPT = 256
};

/* ---- configuration ------------------------------------------------------------------------- */

struct exec_config {
    cJSON *doc; /* as it was read; owned */
    const char *command[EXEC_ARGS_MAX + 1], *version_command[EXEC_ARGS_MAX + 1]; /* end with NULL */
    bool once; /* an argument holds a {placeholder}: a process for each request */
    const char *runtime, *precision;
    double timeout_s;     /* for one answer; less than a lease holds without a heartbeat */
    double measurement_s; /* for all answers of one measuring process */
    bool check_outputs;
    bool board_energy; /* it runs on this board's processor, whose sensors tell its energy */
    double tolerance;  /* |output - reference| at most, of the largest |reference| */
    double peak_gmacs; /* 10^9 multiply-adds a second that the data sheet tells; 0: not told */
    bool steady;       /* its times do not vary */
    bool chain;        /* it times units in chains: the difference of several to one */
};
/* Errors: ESP_EINVAL with a pointer, and what reading a file gives. */
int exec_config_read(const char *path, struct err *err, struct exec_config *ret_config);
void exec_config_finish(struct exec_config *config);

/* ---- requests and answers -------------------------------------------------------------------- */

struct exec_request {
    const char *model, *model_id; /* path of the ONNX file; the same for the same network */
    const char *input;            /* path: float32, little-endian, [1, C, H, W] */
    const char *output; /* path for what one run gives, likewise; NULL: not wanted this time */
    int channels, height, width;
    int threads, runs, samples;
};
/* A line of JSON without its end; the caller frees it. NULL on memory exhaustion. */
char *exec_request_print(const struct exec_request *request);
/* Fills argv (which ends with NULL, strings in arena) with the command's arguments, placeholders
 * filled in. ESP_ELIMIT. */
int exec_request_arguments(const struct exec_request *request, const char *const *command,
                           struct buf *arena, struct err *err, char *argv[EXEC_ARGS_MAX + 1]);
/* line: what the command said. ESP_EPARSE: no answer to a request for so many samples;
 * ESP_EUNSUPPORTED, ESP_ENOMEM, ESP_EINVAL, ESP_EIO: the failure that it reports. *ret_energy_uj:
 * of one run; NaN: it tells none. */
int exec_answer_read(const char *line, size_t len, int samples, struct err *err, double *ret_us,
                     double *ret_energy_uj);

/* ---- the process ----------------------------------------------------------------------------- */

struct exec_process {
    pid_t pid; /* 0: none */
    int in, out, err;
    struct buf said;             /* of its stdout, not yet looked at */
    char tail[EXEC_STDERR_KEPT]; /* end of its stderr */
    const char *dir;             /* it works there; borrowed */
    bool own_group;              /* it leads a process group, which exec_stop() ends */
};
void exec_init(struct exec_process *process, const char *dir, bool own_group);
int exec_start(struct exec_process *process, char *const *argv, struct err *err);
/* Sends line and its end. The line that its answer is (one that begins with "{") goes to ret_line,
 * cleared first; others are passed over. Errors: ESP_ETIMEOUT, ESP_EIO (it ended: its status and
 * the end of its stderr are in the message), ESP_EPARSE (too much that is no answer). */
int exec_ask(struct exec_process *process, const char *line, int64_t deadline_ns, struct err *err,
             struct buf *ret_line);
/* Waits for its end, which must be a good one. Errors as above. */
int exec_wait(struct exec_process *process, int64_t deadline_ns, struct err *err);
/* Whether it has ended well, so that it is to be started again. ESP_EIO: it ended otherwise. */
int exec_ended(struct exec_process *process, struct err *err, bool *ret_ended);
void exec_stop(struct exec_process *process); /* at once; what it wrote is forgotten */
