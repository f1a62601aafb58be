/* The HTTP API's frame: a row for each route, calls that read in the thread pool or write in the
 * store's thread, answers made in one place. A file api_<noun>.c holds a noun's rows. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "daemon/daemon.h"
#include "daemon/store.h"
#include "daemon/store_tokens.h"
#include "web/route.h"
#include "web/web.h"

/* What a token must be good for; each but the worker's includes those before it. */
enum api_scope {
    API_SCOPE_BY_METHOD, /* of a route: GET reads, DELETE is the administrator's, others submit */
    API_SCOPE_READ,      /* looks */
    API_SCOPE_SUBMIT,    /* starts work, and stops it */
    API_SCOPE_ADMIN      /* removes, lets boards in and out, makes tokens */
};

enum { API_QUERIES_MAX = 8, API_PAGE_MAX = 1000, API_PAGE_DEFAULT = 100, API_NAME_MAX = 64 };

struct api_call;

struct api_route {
    const char *method, *path, *query; /* as in struct web_route */
    unsigned flags;
    size_t body_limit;
    enum api_scope scope;
    /* In the thread pool, on a snapshot: the whole answer of a GET; for others what needs time, or
     * checks before the write. May be NULL. */
    int (*read)(struct api_call *call, struct err *err);
    /* Whether read finds a few rows by their key: then it runs on the loop, which is much faster.
     * Asked on the loop; NULL: it does not. */
    bool (*by_key)(struct sql *sql, const char *id);
    /* Whether read may take seconds (enum store_slowness). Asked on the loop; NULL: it does not. */
    bool (*slow)(const struct api_call *call);
    /* On the writer's thread, in one transaction together with the Idempotency-Key. May be NULL. */
    int (*write)(struct api_call *call, struct err *err);
    /* On the loop, when the answer is ready: adds what only memory knows. May be NULL. */
    void (*finish)(struct api_call *call);
    /* Instead of all these: on the loop, answers itself. */
    void (*loop)(struct web_request *req);
    /* Refused with ESP_ENOSPACE below the disk's floor: it begins what will write. */
    bool needs_room;
    /* Of a GET of one resource: the members that its changes are about, for its ETag (NULL:
     * all that read gives). */
    const char *const *state_members;
};
bool api_by_key(struct sql *sql, const char *id); /* whatever the id */
/* A noun's rows, ending with method NULL; api_nouns ends with NULL. */
extern const struct api_route *const api_nouns[];

struct api_call {
    struct daemon *daemon;
    const struct api_route *route;
    struct web_request *req;        /* on the loop only */
    char id[ROUTE_PARAM_MAX];       /* the path's parameter, "" if it has none */
    char host[256];                 /* as the client named us */
    char identity[64];              /* device of a worker's token, or token id; "" */
    char session[TOKEN_SECRET_MAX]; /* of the cookie; "" */
    bool local, has_bearer;
    int n_queries;
    struct {
        char name[24];
        char *value; /* owned */
    } queries[API_QUERIES_MAX];
    cJSON *body;     /* of POST and PATCH: an object; NULL with WEB_RAW */
    const char *raw; /* the body's bytes of a route with WEB_RAW; borrowed of the request */
    size_t raw_len;
    char *key;                 /* Idempotency-Key or NULL */
    char body_hash[HASH_TEXT]; /* of body and query, where there is a key */
    struct sql *sql;           /* in read and write */
    struct store_tx *tx;       /* in write */
    void *state;               /* from read to write; freed with state_destroy */
    void (*state_destroy)(void *state);

    int status;               /* of the answer; 0: 200, or 204 without answer */
    cJSON *answer;            /* owned */
    char *text;               /* owned: text made elsewhere, instead of answer */
    const char *content_type; /* of text; NULL: JSON */
    struct err refusal;       /* code != 0: answered although what was written stays */
    cJSON *problem;           /* owned: members for the problem document */
    int file;                 /* of api_open_file; 0: none */
    uint64_t file_size;
    const char *file_type;
    char file_name[128];
    bool sets_session; /* the answer gives the browser new_session ("": forgets it) */
    char new_session[TOKEN_SECRET_MAX];
    char etag[HASH_TEXT_LONG + 2]; /* of file, quoted; "": none */
    char *if_match;                /* where api_takes_if_match; NULL: none. Owned */
    char state_tag[HASH_TEXT];     /* of the answer before finish; "": no resource */
    char text_hash[HASH_TEXT];     /* of text, where it was made in the pool; "": not yet */
    struct store_call store_call;
    struct store_read store_read;
};

const char *api_query(const struct api_call *call, const char *name); /* NULL if absent */
int api_query_int(const struct api_call *call, const char *name, int64_t min, int64_t max,
                  struct err *err, int64_t *ret);
/* ESP_EPARSE when the parameter is there and none of words (NULL-terminated). */
int api_query_word(const struct api_call *call, const char *name, const char *const *words,
                   struct err *err);
/* Of what r was found wrong with a thing that the query names: the refusal points at the parameter,
 * as there is no body. Returns r. */
int api_of_query(int r, const char *name, struct err *err);
/* Of a route with the parameter dry_run: whether the call only says what it would do. A key would
 * give the real creation the answer of its trial: ESP_EPARSE, as for another word than true and
 * false. */
bool api_is_dry(const struct api_call *call);
int api_check_dry_run(const struct api_call *call, struct err *err);
const char *api_host(const struct api_call *call);
/* The answer is the file at path, as a download (in read). ESP_ENOTFOUND, ESP_EIO. */
int api_open_file(struct api_call *call, const char *path, const char *content_type,
                  struct err *err);
/* page_size and after of the query, in the form that sql_page takes. The cursor is an id that
 * begins with prefix ("job_"), which may have been deleted since; a row's number; or what the
 * caller checks. ESP_EPARSE names the parameter. */
struct sql_page_args;
int api_page(const struct api_call *call, const char *prefix, struct err *err,
             struct sql_page_args *ret_page);
int api_page_numbered(const struct api_call *call, struct err *err, struct sql_page_args *ret_page);
int api_page_sized(const struct api_call *call, struct err *err, struct sql_page_args *ret_page);
/* ESP_EPARSE: after is no cursor of this list. */
int api_no_cursor(const char *after, struct err *err);
/* A name for a new thing: 1 to 64 bytes of visible text without '/', and no id. */
int api_name(const cJSON *body, struct err *err, const char **ret_name);

/* Whether the route changes a resource that has a GET, by PATCH, DELETE or an action. */
bool api_takes_if_match(const struct api_route *route);

/* Whether the route is a POST that changes something, which an Idempotency-Key keeps from being
 * done twice. Where it has no write the answer is remembered behind read: a repeat that comes in
 * between must be refused by what read does. */
bool api_takes_key(const struct api_route *route);

/* The scope of a route, never API_SCOPE_BY_METHOD, and its name. */
enum api_scope api_scope(const struct api_route *route);
const char *api_scope_name(enum api_scope scope);
/* Names of those that a person's token may have, in their order, ends with NULL. */
extern const char *const api_scope_names[];

/* All routes as web_create takes them; the caller frees the array. */
int api_routes(struct err *err, struct web_route **ret_routes);
/* web_config.authorise and .answered; user is the daemon. */
int api_authorise(void *user, const struct web_route *route, const struct web_credentials *given,
                  struct err *err, char identity[64]);
/* web_config.turn: what the requests of a turn read by key is one state. */
void api_turn(void *user, bool begins);
void api_answered(void *user, const struct web_route *route, int status, int64_t duration_us);
