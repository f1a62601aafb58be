#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "devices/exec.h"

void exec_init(struct exec_process *p, const char *dir, bool own_group) {
    *p = (struct exec_process){.in = -1, .out = -1, .err = -1, .dir = dir, .own_group = own_group};
    buf_init(&p->said, EXEC_CHATTER_MAX);
}

/* ---- start and end ----------------------------------------------------------------------------
 */

/* In the new process: nothing of the worker's but its environment. */
static void become(const struct exec_process *p, const int fds[3], pid_t parent,
                   char *const *argv) {
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    if (p->own_group)
        setpgid(0, 0);
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) != i)
            _exit(126);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (p->dir && chdir(p->dir))
        dprintf(2, "%s: %s\n", p->dir, strerror(errno));
    else
        execvp(argv[0], argv);
    dprintf(2, "%s cannot be run: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Ends 0 and 1 of pipes 0 (stdin), 1 (stdout) and 2 (stderr); above 2, so that none of them is in
 * the way of the child's own. */
static int make_pipes(int ends[3][2]) {
    for (int i = 0; i < 3; i++)
        ends[i][0] = ends[i][1] = -1;
    for (int i = 0; i < 3; i++) {
        if (pipe2(ends[i], O_CLOEXEC))
            return ESP_EIO;
        for (int k = 0; k < 2; k++) {
            int high = fcntl(ends[i][k], F_DUPFD_CLOEXEC, 10);
            if (high < 0)
                return ESP_EIO;
            close(ends[i][k]);
            ends[i][k] = high;
        }
    }
    return 0;
}

int exec_start(struct exec_process *p, char *const *argv, struct err *err) {
    int ends[3][2];
    pid_t parent = getpid();
    int rc = make_pipes(ends);
    pid_t child = rc ? -1 : fork();

    if (child == 0)
        become(p, (int[]){ends[0][0], ends[1][1], ends[2][1]}, parent, argv);
    if (child < 0)
        rc = err_set(err, ESP_EIO, NULL, "the command cannot be started: %s", strerror(errno));
    close_fd(&ends[0][0]);
    close_fd(&ends[1][1]);
    close_fd(&ends[2][1]);
    if (rc) {
        close_fd(&ends[0][1]);
        close_fd(&ends[1][0]);
        close_fd(&ends[2][0]);
        return rc;
    }
    if (p->own_group)
        setpgid(child, child);
    p->pid = child;
    p->in = ends[0][1];
    p->out = ends[1][0];
    p->err = ends[2][0];
    p->tail[0] = 0;
    buf_clear(&p->said);
    return 0;
}

static void forget(struct exec_process *p) {
    close_fd(&p->in);
    close_fd(&p->out);
    close_fd(&p->err);
    p->pid = 0;
}

void exec_stop(struct exec_process *p) {
    if (p->pid > 0) {
        kill(p->own_group ? -p->pid : p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    forget(p);
    buf_finish(&p->said);
}

static int end_of(struct exec_process *p, int status, struct err *err) {
    forget(p);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return err_set(err, ESP_EIO, NULL, "the command died of signal %d (%s): %s",
                       WTERMSIG(status), strsignal(WTERMSIG(status)), p->tail);
    return err_set(err, ESP_EIO, NULL, "the command ended with status %d: %s", WEXITSTATUS(status),
                   p->tail);
}

/* ---- what it says -----------------------------------------------------------------------------
 */

static int late(struct err *err) {
    return err_set(err, ESP_ETIMEOUT, NULL, "the command did not answer in time");
}

/* Keeps the last line or so of stderr. */
static void read_err(struct exec_process *p) {
    char piece[4096];
    ssize_t n = read(p->err, piece, sizeof(piece));

    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        close_fd(&p->err);
        return;
    }
    while (n > 0 && (piece[n - 1] == '\n' || piece[n - 1] == 0))
        n--;
    size_t keep = n < EXEC_STDERR_KEPT ? (size_t)n : EXEC_STDERR_KEPT - 1;
    if (keep == 0)
        return;
    memcpy(p->tail, piece + (size_t)n - keep, keep);
    p->tail[keep] = 0;
    for (char *c = p->tail; *c; c++) /* a message is one line of plain text */
        if (*c < ' ' || *c > '~')
            *c = ' ';
}

static int read_out(struct exec_process *p, struct err *err) {
    char piece[16384];
    ssize_t n = read(p->out, piece, sizeof(piece));

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0) {
        close_fd(&p->out);
        return 0;
    }
    buf_append(&p->said, piece, (size_t)n);
    return p->said.error ? err_set(err, ESP_EPARSE, NULL, "the command says more than %d bytes",
                                   EXEC_CHATTER_MAX)
                         : 0;
}

/* Waits for a word on stdout or stderr, or the end of stdout. */
static int listen_once(struct exec_process *p, int64_t deadline_ns, struct err *err) {
    struct pollfd fds[] = {{.fd = p->out, .events = POLLIN}, {.fd = p->err, .events = POLLIN}};
    int64_t left_ns = deadline_ns - clock_mono_ns();

    if (left_ns <= 0)
        return late(err);
    if (poll(fds, 2, (int)(left_ns / 1000000) + 1) < 0 && errno != EINTR)
        return err_set(err, ESP_EIO, NULL, "poll: %s", strerror(errno));
    if (fds[1].revents)
        read_err(p);
    return fds[0].revents ? read_out(p, err) : 0;
}

/* Takes the first line that begins with "{" out of what was said. */
static bool find_answer(struct exec_process *p, struct buf *ret_line) {
    size_t at = 0;

    while (at < p->said.len) {
        char *line = p->said.data + at, *end = memchr(line, '\n', p->said.len - at);
        if (!end && p->out >= 0)
            return false; /* more of it may come */
        size_t len = end ? (size_t)(end - line) : p->said.len - at;
        at += len + (end != NULL);
        if (*line != '{')
            continue;
        buf_append(ret_line, line, len);
        memmove(p->said.data, p->said.data + at, p->said.len - at);
        p->said.len -= at;
        return true;
    }
    return false;
}

int exec_wait(struct exec_process *p, int64_t deadline_ns, struct err *err) {
    int status = 0, rc = 0;

    close_fd(&p->in);
    while (p->out >= 0 && !rc)
        rc = listen_once(p, deadline_ns, err);
    while (!rc) {
        pid_t pid = waitpid(p->pid, &status, WNOHANG);
        if (pid == p->pid)
            return end_of(p, status, err);
        if (pid < 0 && errno != EINTR)
            return err_set(err, ESP_EIO, NULL, "waitpid: %s", strerror(errno));
        if (p->err >= 0 && poll(&(struct pollfd){.fd = p->err, .events = POLLIN}, 1, 0) > 0)
            read_err(p);
        else
            clock_sleep_us(2000);
        rc = clock_mono_ns() > deadline_ns ? late(err) : 0;
    }
    return rc;
}

int exec_ended(struct exec_process *p, struct err *err, bool *ret_ended) {
    int status = 0;

    *ret_ended = p->pid == 0;
    if (*ret_ended || waitpid(p->pid, &status, WNOHANG) != p->pid)
        return 0;
    *ret_ended = true;
    return end_of(p, status, err);
}

/* A line fits the pipe as a rule; a process that reads nothing must not hold the writer up. */
static int send_line(struct exec_process *p, const char *line, int64_t deadline_ns,
                     struct err *err) {
    size_t len = strlen(line);

    fcntl(p->in, F_SETFL, O_NONBLOCK);
    for (size_t at = 0; at <= len;) {
        ssize_t n = at < len ? write(p->in, line + at, len - at) : write(p->in, "\n", 1);
        if (n > 0)
            at += (size_t)n;
        else if (errno == EPIPE)
            return 0; /* how it ended tells more */
        else if (errno != EAGAIN && errno != EINTR)
            return err_set(err, ESP_EIO, NULL, "the command cannot be asked: %s", strerror(errno));
        else if (clock_mono_ns() > deadline_ns)
            return late(err);
        else
            clock_sleep_us(1000);
    }
    return 0;
}

int exec_ask(struct exec_process *p, const char *line, int64_t deadline_ns, struct err *err,
             struct buf *ret_line) {
    int rc = 0;

    buf_clear(ret_line);
    buf_clear(&p->said);
    rc = send_line(p, line, deadline_ns, err);
    while (!rc && !find_answer(p, ret_line)) {
        if (p->out < 0) {
            rc = exec_wait(p, deadline_ns, err);
            return rc ? rc
                      : err_set(err, ESP_EPARSE, NULL, "the command ended without an answer: %s",
                                p->tail);
        }
        rc = listen_once(p, deadline_ns, err);
    }
    if (!rc && ret_line->error)
        rc = err_set(err, ESP_EPARSE, NULL, "the command's answer has more than %d bytes",
                     EXEC_ANSWER_MAX);
    return rc;
}
