/* What server.c, request.c and reply.c share. */
#pragma once

#include <microhttpd.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "web/rate.h"
#include "web/route.h"
#include "web/web.h"

enum {
    WEB_CONNECTION_MEMORY = 48 << 10, /* request line, headers and buffers of a connection */
    WEB_HEADERS_MAX = 10,
    WEB_HEADER_VALUE_MAX = 256,
    WEB_GZIP_FROM = 16 << 10,
    WEB_LARGE_FROM = 64 << 10, /* bytes of an answer that is counted */
    WEB_PEER_MAX = 48,
    WEB_COOKIE_MAX = 64 /* of a cookie's name */
};

struct web_conn { /* one TCP connection */
    int fd;
    bool loopback;           /* both ends; true by_file */
    bool by_file;            /* over the socket that is a file */
    char peer[WEB_PEER_MAX]; /* address, of IPv6 the first half; "" by_file */
    int64_t deadline_us;     /* monotonic; 0: none */
    size_t target_len;       /* bytes of the newest request's target before its first NUL */
    struct web_conn *prev, *next;
};

struct web_answer {
    int status; /* 0: none yet */
    const char *content_type;
    char *text; /* owned */
    size_t len;
    bool gzipped;
    struct MHD_Response *response; /* made already (file, stream, asset); owned */
    int n_headers;
    struct {
        const char *name;
        char value[WEB_HEADER_VALUE_MAX];
    } headers[WEB_HEADERS_MAX];
};

/* Two owners: the connection (until MHD has completed it) and the handler (until it has answered).
 */
struct web_request {
    struct web_server *server;
    struct MHD_Connection *connection; /* NULL when MHD has let go of it */
    struct web_conn *conn;
    struct route_match match;
    char method[12], path[512], id[24], identity[64];
    struct buf body;
    size_t body_limit, discarded;
    size_t held;        /* bytes of body, counted in the server's */
    size_t unread;      /* bytes of a large answer, counted in the server's */
    struct err refused; /* code != 0: the answer instead of the handler's, after the body */
    int retry_after_s;  /* of a refusal; 0: none */
    char allow[ROUTE_ALLOW_MAX];
    bool unrouted; /* the path is none of the API's */
    bool cut;      /* answered in the middle of its body, which is only drained now */
    bool started, in_handler, suspended, handler_owns;
    int64_t begun_us;
    struct web_answer answer;
    struct web_stream stream;
    bool streaming, compressing;
    struct web_request *prev, *next;
};

struct web_server {
    const struct web_config *config; /* = &own_config */
    struct web_config own_config;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    uv_timer_t run_timer, tick;
    int n_handles; /* of the three, not yet closed */
    struct stat socket_file;
    struct rate_table *rate, *local_rate; /* NULL: no limit */
    int n_kept; /* requests that handlers still hold after MHD was stopped */
    int port;
    char cookie[WEB_COOKIE_MAX]; /* name of the session's; "": there is none */
    bool beyond_loopback, stopping, quiesced;
    uint64_t n_requests;
    size_t held;   /* bytes of bodies */
    size_t unread; /* bytes of large answers */
    struct web_conn *conns;
    struct web_request *requests;
};

/* server.c */
void web_resume(struct web_request *req);       /* no-op unless suspended */
bool web_is_get(const struct web_request *req); /* GET or HEAD */
int64_t web_now_us(void);
void web_server_free(struct web_server *server);

/* listen.c. The caller closes *ret_fd. */
struct sockaddr;
bool listen_loopback_peer(const struct sockaddr *address); /* takes NULL */
int listen_on_address(const char *address, int port, struct err *err, int *ret_fd, int *ret_port);
/* Of mode 0600. ret_info tells the file from another's that lies there later. */
int listen_on_file(const char *path, struct err *err, int *ret_fd, struct stat *ret_info);
void listen_remove_file(const char *path, const struct stat *own);

/* request.c */
enum MHD_Result web_on_access(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **request);
void web_on_completed(void *context, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode why);
void web_request_release(struct web_request *req); /* frees it when neither owner is left */

/* reply.c */
enum MHD_Result web_send(struct web_request *req); /* queues req->answer */
void web_answer_ready(struct web_request *req);    /* sends it, or wakes what will */
void web_serve_asset(struct web_request *req, const struct web_asset *asset);
/* Answers req->refused while the body still comes, past libmicrohttpd, which takes answers only
 * before a body or behind it; nothing more is sent on the connection afterwards. */
void web_cut_off(struct web_request *req);
