/* A raw HTTP client on the same loop as the server under test. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "web/web.h"

struct exchange {
    int fd;
    char text[1 << 20]; /* what came back, NUL-terminated */
    size_t len;
    bool closed;
};

static struct exchange *client_open(int port) {
    struct exchange *x = calloc(1, sizeof(*x));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    x->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(x->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        abort();
    return x;
}

static void client_send(struct exchange *x, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = send(x->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server has closed: what it said shows why */
        bytes += n;
        len -= (size_t)n;
    }
}

/* Runs the loop until needle has come (NULL: until the server closes), or for limit_ms. */
static bool client_wait(uv_loop_t *loop, struct exchange *x, const char *needle, int limit_ms) {
    for (uint64_t end = uv_hrtime() + (uint64_t)limit_ms * 1000000; uv_hrtime() < end;) {
        uv_run(loop, UV_RUN_NOWAIT);
        ssize_t n = recv(x->fd, x->text + x->len, sizeof(x->text) - 1 - x->len, MSG_DONTWAIT);
        if (n > 0)
            x->len += (size_t)n;
        else if (n == 0)
            x->closed = true;
        else
            usleep(500);
        if (needle != NULL && memmem(x->text, x->len, needle, strlen(needle)) != NULL)
            return true;
        if (x->closed)
            return needle == NULL;
    }
    return false;
}

static void client_close(struct exchange *x) {
    close(x->fd);
    free(x);
}

/* One request on a connection of its own; the whole answer. */
__attribute__((unused)) static struct exchange *client_ask(uv_loop_t *loop, int port,
                                                           const char *request) {
    struct exchange *x = client_open(port);
    client_send(x, request, strlen(request));
    client_wait(loop, x, NULL, 5000);
    return x;
}
