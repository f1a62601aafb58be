/* The listening socket, libmicrohttpd under uv_poll and uv_timer, and deadlines of connections. */
#include <errno.h>
#include <netinet/in.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "web/internal.h"
#include "web/tls.h"

enum {
    TICK_MS = 500,
    RATE_SLOTS = 4096,
    RATE_BURST_S = 2, /* so many seconds' requests may come at once */
    STALLED_S = 60    /* an answer of which the client takes nothing for so long is given up */
};

int64_t web_now_us(void) {
    return clock_mono_ns() / 1000;
}

static void after_run(struct web_server *server);
static void on_run_timer(uv_timer_t *timer);

static void run_mhd(struct web_server *server) {
    const struct web_config *config = server->config;
    if (config->turn != NULL)
        config->turn(config->user, true);
    MHD_run(server->mhd);
    if (config->turn != NULL)
        config->turn(config->user, false);
    after_run(server);
}

void web_resume(struct web_request *req) {
    if (!req->suspended)
        return;
    req->suspended = false;
    MHD_resume_connection(req->connection);
    uv_timer_start(&req->server->run_timer, on_run_timer, 0, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    run_mhd(poll->data);
}

static void on_run_timer(uv_timer_t *timer) {
    run_mhd(timer->data);
}

static void after_run(struct web_server *server) {
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (MHD_get_timeout(server->mhd, &wait_ms) == MHD_YES)
        uv_timer_start(&server->run_timer, on_run_timer, wait_ms, 0);
    else
        uv_timer_stop(&server->run_timer);
}

/* The client will send no more. libmicrohttpd watches for edges: an end that comes together with
 * the last bytes is none of its own, and goes unseen. */
static bool sends_no_more(const struct web_conn *conn) {
    char byte;
    return recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* libmicrohttpd's own timeout counts inactivity only: a client that sends a byte now and then would
 * keep its place for ever. A connection has a deadline while it waits for its client. */
static void on_tick(uv_timer_t *timer) {
    struct web_server *server = timer->data;
    int64_t now = web_now_us();
    for (struct web_conn *conn = server->conns; conn != NULL; conn = conn->next)
        if (conn->deadline_us != 0 && (conn->deadline_us < now || sends_no_more(conn))) {
            conn->deadline_us = 0;
            shutdown(conn->fd, SHUT_RDWR);
        }
}

/* Whom a bucket of requests belongs to that come without a token. Of IPv6 the network: whoever has
 * one address there has them all. */
static void name_peer(const struct sockaddr *peer, char name[WEB_PEER_MAX]) {
    if (peer != NULL && peer->sa_family == AF_INET)
        uv_ip4_name((const struct sockaddr_in *)peer, name, WEB_PEER_MAX);
    if (peer == NULL || peer->sa_family != AF_INET6)
        return;
    struct sockaddr_in6 v6;
    memcpy(&v6, peer, sizeof(v6));
    if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        memset(&v6.sin6_addr.s6_addr[8], 0, 8);
    uv_ip6_name(&v6, name, WEB_PEER_MAX);
}

static struct web_conn *conn_create(struct web_server *server, struct MHD_Connection *connection) {
    struct web_conn *conn = mem_array(1, sizeof(*conn));
    if (conn == NULL)
        return NULL;
    conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct sockaddr_storage own;
    socklen_t own_len = sizeof(own);
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    conn->by_file = server->config->socket_path != NULL;
    conn->loopback =
        conn->by_file || (peer != NULL && listen_loopback_peer(peer->client_addr) &&
                          getsockname(conn->fd, (struct sockaddr *)&own, &own_len) == 0 &&
                          listen_loopback_peer((struct sockaddr *)&own));
    if (!conn->by_file)
        name_peer(peer != NULL ? peer->client_addr : NULL, conn->peer);
    conn->deadline_us = web_now_us() + server->config->head_us;
    conn->next = server->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    server->conns = conn;
    return conn;
}

static void conn_destroy(struct web_server *server, struct web_conn *conn) {
    if (conn == NULL)
        return;
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    free(conn);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = conn_create(context, connection);
    } else {
        conn_destroy(context, *socket_context);
        *socket_context = NULL;
    }
}

/* "%00" would end the path before its end: it becomes a byte that no route has. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text) {
    size_t len = MHD_http_unescape(text);
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0')
            text[i] = '\1';
    return len;
}

/* Remembers how long the target is as text; see web_on_access. */
static void *note_target(void *context, const char *target, struct MHD_Connection *connection) {
    struct web_conn *conn =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (conn != NULL)
        conn->target_len = strlen(target);
    return NULL;
}

static const char versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static struct MHD_Daemon *start_mhd(struct web_server *server, int fd) {
    const struct web_config *config = server->config;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[4] = {{MHD_OPTION_END, 0, NULL}};
    if (config->socket_path == NULL && strchr(config->address, ':') != NULL)
        flags |= MHD_USE_IPv6;
    if (config->tls != NULL) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, config->tls->cert};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, config->tls->key};
        tls[2] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)versions};
        tls[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    return MHD_start_daemon(
        flags, 0, NULL, NULL, web_on_access, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_COMPLETED, web_on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->max_connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)config->max_connections_per_address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WEB_CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STALLED_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, note_target, NULL, MHD_OPTION_UNESCAPE_CALLBACK, unescape,
        NULL, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static int attach_to_loop(struct web_server *server, struct err *err) {
    int epoll = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int r = uv_poll_init(server->config->loop, &server->poll, epoll);
    if (r != 0)
        return err_set(err, ESP_EIO, NULL, "cannot watch connections: %s", uv_strerror(r));
    uv_timer_init(server->config->loop, &server->run_timer);
    uv_timer_init(server->config->loop, &server->tick);
    server->n_handles = 3;
    server->poll.data = server->run_timer.data = server->tick.data = server;
    uv_poll_start(&server->poll, UV_READABLE, on_poll);
    uv_timer_start(&server->tick, on_tick, TICK_MS, TICK_MS);
    after_run(server);
    return 0;
}

static int create_rates(struct web_server *server, struct err *err) {
    const struct web_config *config = server->config;
    bool failed = false;
    if (config->rate_per_s > 0) {
        server->rate = rate_create(
            RATE_SLOTS,
            &(struct rate_limit){config->rate_per_s, fmax(1, RATE_BURST_S * config->rate_per_s)});
        failed |= server->rate == NULL;
    }
    if (config->local_rate_per_s > 0) {
        server->local_rate = rate_create(
            RATE_SLOTS, &(struct rate_limit){config->local_rate_per_s,
                                             fmax(1, RATE_BURST_S * config->local_rate_per_s)});
        failed |= server->local_rate == NULL;
    }
    return failed ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
}

void web_server_free(struct web_server *server) {
    rate_destroy(server->rate);
    rate_destroy(server->local_rate);
    free(server);
}

int web_create(const struct web_config *config, struct err *err, struct web_server **ret_server) {
    int fd = -1, r;
    struct web_server *server = mem_array(1, sizeof(*server));
    if (server == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    server->own_config = *config;
    server->config = &server->own_config;
    server->beyond_loopback =
        config->socket_path == NULL && !web_is_loopback_address(config->address);
    r = create_rates(server, err);
    if (r == 0)
        r = config->socket_path != NULL
                ? listen_on_file(config->socket_path, err, &fd, &server->socket_file)
                : listen_on_address(config->address, config->port, err, &fd, &server->port);
    if (r != 0)
        goto out;
    if (config->session_cookie != NULL) /* __Host-: nobody but this host, over TLS, can set it */
        snprintf(server->cookie, sizeof(server->cookie), "%s%s-%d",
                 config->tls != NULL ? "__Host-" : "", config->session_cookie, server->port);
    server->mhd = start_mhd(server, fd);
    if (server->mhd == NULL) {
        r = err_set(err, ESP_EIO, NULL, "cannot start the HTTP server");
        goto out;
    }
    fd = -1; /* MHD's from here on */
    r = attach_to_loop(server, err);
out:
    if (r == 0) {
        *ret_server = server;
        return 0;
    }
    if (fd >= 0)
        close(fd);
    if (server->mhd != NULL)
        MHD_stop_daemon(server->mhd);
    web_server_free(server);
    return r;
}

int web_port(const struct web_server *server) {
    return server->port;
}

void web_quiesce(struct web_server *server) {
    if (server->quiesced)
        return;
    server->quiesced = true;
    int fd = MHD_quiesce_daemon(server->mhd);
    if (server->config->socket_path != NULL)
        listen_remove_file(server->config->socket_path, &server->socket_file);
    if (fd >= 0)
        close(fd);
}

static void on_closed(uv_handle_t *handle) {
    struct web_server *server = handle->data;
    if (--server->n_handles == 0 && server->n_kept == 0)
        web_server_free(server);
}

/* libmicrohttpd must not be stopped while a connection sleeps: each gets an answer first. */
static void wake_all(struct web_server *server) {
    struct err closing = {0};
    err_set(&closing, ESP_EBUSY, NULL, "the daemon is stopping");
    for (struct web_request *req = server->requests, *next; req != NULL; req = next) {
        next = req->next;
        if (req->answer.status == 0) {
            bool kept = req->handler_owns;
            web_reply_error(req, &closing, NULL);
            req->handler_owns = kept; /* its handler does not know yet */
        }
        web_resume(req);
    }
}

void web_destroy(struct web_server *server) {
    if (server == NULL)
        return;
    server->stopping = true;
    wake_all(server);
    for (int i = 0; i < 3; i++) /* resume, answer, write */
        MHD_run(server->mhd);
    MHD_stop_daemon(server->mhd);
    if (server->config->socket_path != NULL && !server->quiesced)
        listen_remove_file(server->config->socket_path, &server->socket_file);
    for (struct web_request *req = server->requests; req != NULL; req = req->next)
        server->n_kept++;
    uv_close((uv_handle_t *)&server->poll, on_closed);
    uv_close((uv_handle_t *)&server->run_timer, on_closed);
    uv_close((uv_handle_t *)&server->tick, on_closed);
}
