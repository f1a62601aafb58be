#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"

enum { READ_SIZE = 64 << 10 };

struct process {
    uv_process_t handle;
    uv_pipe_t down, up;
    struct process_listener listener;
    struct buf line; /* the beginning of a line whose end has not come */
    char chunk[READ_SIZE];
    int exit_code, signal;
    bool exited, up_closed, told, started, destroyed;
    int n_handles; /* open ones */
};

static void on_closed(uv_handle_t *handle) {
    struct process *process = handle->data;
    if (--process->n_handles > 0)
        return;
    buf_finish(&process->line);
    free(process);
}

/* A last line without its end is no line. */
static void tell_end(struct process *process) {
    if (!process->exited || !process->up_closed || process->told || process->destroyed)
        return;
    process->told = true;
    process->listener.ended(process->listener.context, process->exit_code, process->signal);
}

static void on_exit_process(uv_process_t *handle, int64_t status, int signal) {
    struct process *process = handle->data;
    process->exited = true;
    process->exit_code = (int)status;
    process->signal = signal;
    tell_end(process);
}

/* A line beyond the limit is left out whole: buf's error sticks until its end has come. */
static void give_line(struct process *process, const char *text, size_t len) {
    if (process->line.len == 0 && process->line.error == 0) {
        process->listener.line(process->listener.context, text, len);
        return;
    }
    buf_append(&process->line, text, len);
    if (process->line.error == 0)
        process->listener.line(process->listener.context, process->line.data, process->line.len);
    buf_clear(&process->line);
}

static void take_chunk(struct process *process, const char *bytes, size_t len) {
    while (len > 0 && !process->destroyed) {
        const char *end = memchr(bytes, '\n', len);
        if (end == NULL) {
            buf_append(&process->line, bytes, len);
            return;
        }
        size_t piece = (size_t)(end - bytes);
        give_line(process, bytes, piece);
        bytes += piece + 1;
        len -= piece + 1;
    }
}

static void alloc_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct process *process = handle->data;
    *buf = uv_buf_init(process->chunk, sizeof(process->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct process *process = stream->data;
    if (n > 0)
        take_chunk(process, buf->base, (size_t)n);
    if (n >= 0)
        return;
    uv_read_stop(stream);
    process->up_closed = true;
    tell_end(process);
}

static int spawn(struct process *process, uv_loop_t *loop, const char *program, const char *dir,
                 int log_fd) {
    char *args[] = {(char *)(uintptr_t)program, NULL};
    uv_stdio_container_t stdio[5] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = log_fd},
        {.flags = UV_INHERIT_FD, .data.fd = log_fd},
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&process->down},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->up}};
    uv_process_options_t options = {.file = program,
                                    .args = args,
                                    .cwd = dir,
                                    .stdio = stdio,
                                    .stdio_count = 5,
                                    .exit_cb = on_exit_process};
    return uv_spawn(loop, &process->handle, &options);
}

int process_start(uv_loop_t *loop, const char *program, const char *dir, const char *log_path,
                  const struct process_listener *listener, struct err *err,
                  struct process **ret_process) {
    struct process *process = mem_array(1, sizeof(*process));
    int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (process == NULL || log_fd < 0) {
        free(process);
        if (log_fd >= 0)
            close(log_fd);
        return err_set(err, process == NULL ? ESP_ENOMEM : ESP_EIO, NULL,
                       "cannot open the job's log %s: %s", log_path, strerror(errno));
    }
    process->listener = *listener;
    buf_init(&process->line, PROCESS_LINE_MAX);
    uv_pipe_init(loop, &process->down, 0);
    uv_pipe_init(loop, &process->up, 0);
    process->handle.data = process->down.data = process->up.data = process;
    process->n_handles = 3;
    int r = spawn(process, loop, program, dir, log_fd);
    close(log_fd);
    process->started = r == 0;
    if (r != 0) {
        process->exited = true;
        process_destroy(process);
        return err_set(err, ESP_EIO, NULL, "cannot start %s: %s", program, uv_strerror(r));
    }
    uv_read_start((uv_stream_t *)&process->up, alloc_chunk, on_read);
    *ret_process = process;
    return 0;
}

struct outgoing {
    uv_write_t request;
    char bytes[];
};

static void on_written(uv_write_t *request, int status) {
    free(request->data);
}

void process_send(struct process *process, const char *text, size_t len) {
    if (process->exited || process->destroyed)
        return;
    struct outgoing *out = malloc(sizeof(*out) + len + 1);
    if (out == NULL)
        return;
    memcpy(out->bytes, text, len);
    out->bytes[len] = '\n';
    out->request.data = out;
    uv_buf_t buf = uv_buf_init(out->bytes, (unsigned)len + 1);
    if (uv_write(&out->request, (uv_stream_t *)&process->down, &buf, 1, on_written) != 0)
        free(out);
}

void process_signal(struct process *process, int signal) {
    if (!process->exited)
        uv_process_kill(&process->handle, signal);
}

void process_pause_lines(struct process *process, bool paused) {
    if (process->up_closed || process->destroyed)
        return;
    if (paused)
        uv_read_stop((uv_stream_t *)&process->up);
    else
        uv_read_start((uv_stream_t *)&process->up, alloc_chunk, on_read);
}

int process_pid(const struct process *process) {
    return process->handle.pid;
}

void process_destroy(struct process *process) {
    if (process == NULL || process->destroyed)
        return;
    process->destroyed = true;
    process_signal(process, SIGKILL);
    uv_close((uv_handle_t *)&process->handle, on_closed);
    uv_close((uv_handle_t *)&process->down, on_closed);
    uv_close((uv_handle_t *)&process->up, on_closed);
}
