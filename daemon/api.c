#include "daemon/api.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/parameter.h"
#include "base/utf8.h"
#include "daemon/api_nouns.h"
#include "daemon/disk.h"
#include "daemon/etag.h"
#include "daemon/ids.h"
#include "daemon/metrics.h"
#include "daemon/store_sessions.h"
#include "daemon/store_sql.h"
#include "daemon/store_tokens.h"

enum { KEY_MAX = 255, IF_MATCH_MAX = 2048, REPEAT_ROUTE_MAX = ROUTE_PARAM_MAX + 192 };

#define API_NOUN_ENTRY(name) name,
const struct api_route *const api_nouns[] = {API_NOUNS(API_NOUN_ENTRY) NULL};

int api_answer_with_job(struct api_call *call, const char *name, cJSON *doc, cJSON *job) {
    call->status = 202;
    call->answer = cJSON_CreateObject();
    cJSON_AddItemToObject(call->answer, name, doc);
    cJSON_AddItemToObject(call->answer, "job", job);
    return 0;
}

static const char *word_of(const cJSON *user, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(user, key));
    return text != NULL ? text : "";
}

/* Whether its kind and name tell it from the others; a job's name is what it does. */
static bool is_told_by_name(const cJSON *users, const cJSON *user) {
    const cJSON *other;
    if (strcmp(word_of(user, "kind"), "job") == 0)
        return false;
    cJSON_ArrayForEach(other, users) {
        if (other != user && strcmp(word_of(other, "kind"), word_of(user, "kind")) == 0 &&
            strcmp(word_of(other, "name"), word_of(user, "name")) == 0)
            return false;
    }
    return true;
}

/* "the supernet is used by others" gets who they are: (search "night", job "train" job_01k…, and 3
 * more). */
static void name_users(const cJSON *users, struct err *err) {
    enum { NAMED = 5 };
    char text[sizeof(err->message)] = "";
    int len = 0, n = 0, code = err->code;
    const cJSON *user;
    cJSON_ArrayForEach(user, users) {
        if (n++ >= NAMED || len >= (int)sizeof(text) - 140)
            continue;
        bool named = is_told_by_name(users, user);
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.20s \"%.63s\"%s%.32s",
                        n > 1 ? ", " : "", word_of(user, "kind"), word_of(user, "name"),
                        named ? "" : " ", named ? "" : word_of(user, "id"));
    }
    if (n > NAMED && len < (int)sizeof(text) - 30)
        snprintf(text + len, sizeof(text) - (size_t)len, ", and %d more", n - NAMED);
    struct err said = *err;
    err_set(err, code, said.pointer, "%s (%s)", said.message, text);
}

void api_problem_users(struct api_call *call, cJSON *users, struct err *err) {
    if (users == NULL)
        return;
    name_users(users, err);
    call->problem = cJSON_CreateObject();
    cJSON_AddItemToObject(call->problem, "users", users);
}

static void call_destroy(struct api_call *call) {
    if (call == NULL)
        return;
    for (int i = 0; i < call->n_queries; i++)
        free(call->queries[i].value);
    if (call->file > 0)
        close(call->file);
    if (call->state_destroy != NULL)
        call->state_destroy(call->state);
    cJSON_Delete(call->body);
    cJSON_Delete(call->answer);
    cJSON_Delete(call->problem);
    free(call->text);
    free(call->key);
    free(call->if_match);
    free(call);
}

const char *api_host(const struct api_call *call) {
    return call->host;
}

int api_open_file(struct api_call *call, const char *path, const char *content_type,
                  struct err *err) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        if (fd >= 0)
            close(fd);
        return err_set(err, errno == ENOENT ? ESP_ENOTFOUND : ESP_EIO, NULL,
                       "the file cannot be opened: %s", strerror(errno));
    }
    call->file = fd;
    call->file_size = (uint64_t)info.st_size;
    call->file_type = content_type;
    snprintf(call->file_name, sizeof(call->file_name), "%s", strrchr(path, '/') + 1);
    return 0;
}

int api_name(const cJSON *body, struct err *err, const char **ret_name) {
    const char *name;
    int r = json_string(body, "", "name", 1, API_NAME_MAX, err, &name);
    if (r != 0)
        return r;
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '/')
            return err_set(err, ESP_EINVAL, "/name",
                           "a name holds no control characters and no '/'");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) /* addresses are folded at these */
        return err_set(err, ESP_EINVAL, "/name", "a name is neither \".\" nor \"..\"");
    if (name[0] == ' ' || name[strlen(name) - 1] == ' ')
        return err_set(err, ESP_EINVAL, "/name", "a name neither begins nor ends with a space");
    if (id_is_any(name)) /* it would be taken for that thing */
        return err_set(err, ESP_EINVAL, "/name", "a name does not look like an id");
    *ret_name = name;
    return 0;
}

static int take_query(struct api_call *call, const char *name, const char *value, struct err *err) {
    if (!utf8_valid(value, strlen(value)))
        return parameter_refuse(err, ESP_EPARSE, name, " is no UTF-8");
    snprintf(call->queries[call->n_queries].name, sizeof(call->queries[0].name), "%s", name);
    call->queries[call->n_queries].value = mem_strdup(value);
    if (call->queries[call->n_queries].value == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->n_queries++;
    return 0;
}

/* The values of the parameters that the route lists. */
static int take_queries(struct api_call *call, struct err *err) {
    const char *words = call->route->query;
    int r = 0;
    while (r == 0 && words != NULL && *words != '\0' && call->n_queries < API_QUERIES_MAX) {
        char name[24];
        size_t len = strcspn(words, ",");
        snprintf(name, sizeof(name), "%.*s", (int)len, words);
        const char *value = web_query(call->req, name);
        if (value != NULL)
            r = take_query(call, name, value, err);
        words += len + (words[len] == ',');
    }
    return r;
}

static int take_key(struct api_call *call, struct err *err) {
    const char *key = web_header(call->req, "Idempotency-Key");
    if (key == NULL || !api_takes_key(call->route))
        return 0;
    if (key[0] == '\0' || strlen(key) > KEY_MAX)
        return err_set(err, ESP_EPARSE, NULL, "the Idempotency-Key must have 1 to %d characters",
                       KEY_MAX);
    for (const char *p = key; *p != '\0'; p++)
        if (!isprint((unsigned char)*p))
            return err_set(err, ESP_EPARSE, NULL, "the Idempotency-Key must be printable ASCII");
    call->key = mem_strdup(key);
    return call->key != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int take_if_match(struct api_call *call, struct err *err) {
    const char *text = web_header(call->req, "If-Match");
    if (text == NULL || !api_takes_if_match(call->route))
        return 0;
    if (strlen(text) > IF_MATCH_MAX)
        return err_set(err, ESP_EPARSE, NULL, "If-Match must have at most %d characters",
                       IF_MATCH_MAX);
    call->if_match = mem_strdup(text);
    return call->if_match != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* What the call asks for, beside its path: the body and the query, with another of which a key is
 * not sent again. */
static void hash_request(const char *text, size_t len, struct api_call *call) {
    struct hash hash;
    char whole[HASH_TEXT_LONG];
    hash_text(text, len, call->body_hash);
    if (call->n_queries == 0)
        return;
    hash_init(&hash);
    hash_update(&hash, call->body_hash, strlen(call->body_hash));
    for (int i = 0; i < call->n_queries; i++) {
        hash_update(&hash, call->queries[i].name, strlen(call->queries[i].name) + 1);
        hash_update(&hash, call->queries[i].value, strlen(call->queries[i].value) + 1);
    }
    hash_final(&hash, whole);
    hash_text(whole, strlen(whole), call->body_hash);
}

static int take_body(struct api_call *call, struct err *err) {
    size_t len;
    const char *text = web_body(call->req, &len);
    if (call->key != NULL)
        hash_request(text, len, call);
    if ((call->route->flags & WEB_RAW) != 0) {
        call->raw = text;
        call->raw_len = len;
        return 0;
    }
    if (strcmp(call->route->method, "POST") != 0 && strcmp(call->route->method, "PATCH") != 0)
        return 0;
    return web_json(call->req, err, &call->body);
}

static int call_create(struct web_request *req, struct err *err, struct api_call **ret_call) {
    struct api_call *call = mem_array(1, sizeof(*call));
    if (call == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->daemon = web_user(req);
    call->route = web_matched(req)->context;
    call->req = req;
    call->local = web_local(req);
    snprintf(call->host, sizeof(call->host), "%s", web_header(req, "Host"));
    memcpy(call->identity, web_identity(req), sizeof(call->identity));
    struct web_credentials given;
    web_credentials(req, &given);
    call->has_bearer = given.bearer != NULL;
    if (given.session != NULL && strlen(given.session) < sizeof(call->session))
        snprintf(call->session, sizeof(call->session), "%s", given.session);
    if (strchr(call->route->path, '{') != NULL)
        snprintf(call->id, sizeof(call->id), "%s", web_first_param(req));
    int r = utf8_valid(call->id, strlen(call->id))
                ? 0
                : err_set(err, ESP_ENOTFOUND, NULL, "the path is no UTF-8");
    if (r == 0)
        r = take_queries(call, err);
    if (r == 0)
        r = take_key(call, err);
    if (r == 0)
        r = take_if_match(call, err);
    if (r == 0)
        r = take_body(call, err);
    if (r != 0) {
        call_destroy(call);
        return r;
    }
    *ret_call = call;
    return 0;
}

static const struct api_route *find_get(const char *path, size_t len) {
    for (int noun = 0; api_nouns[noun] != NULL; noun++)
        for (const struct api_route *row = api_nouns[noun]; row->method != NULL; row++)
            if (strcmp(row->method, "GET") == 0 && row->read != NULL &&
                strncmp(row->path, path, len) == 0 && row->path[len] == '\0')
                return row;
    return NULL;
}

/* The GET of the same path, or for "POST …/{id}/word" of the resource that it acts on; NULL: there
 * is none. */
static const struct api_route *route_of_resource(const struct api_route *route) {
    const char *end = strrchr(route->path, '}');
    bool action = strcmp(route->method, "POST") == 0;
    if (end == NULL || (end[1] != '\0' && (!action || strchr(end + 2, '/') != NULL)))
        return NULL;
    return find_get(route->path, (size_t)(end + 1 - route->path));
}

bool api_takes_if_match(const struct api_route *route) {
    bool changes = strcmp(route->method, "PATCH") == 0 || strcmp(route->method, "DELETE") == 0 ||
                   (strcmp(route->method, "POST") == 0 && route->write != NULL);
    return changes && (route->flags & (WEB_RAW | WEB_WORKER)) == 0 &&
           route_of_resource(route) != NULL;
}

bool api_takes_key(const struct api_route *route) {
    return strcmp(route->method, "POST") == 0 && route->loop == NULL &&
           api_scope(route) != API_SCOPE_READ;
}

/* Here in the pool rather than on the loop. */
static int print_answer(struct api_call *call, struct err *err) {
    if (call->answer == NULL)
        return 0;
    call->text = json_print(call->answer);
    cJSON_Delete(call->answer);
    call->answer = NULL;
    return call->text != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* Whether the answer is the resource's state and nothing else, so that one hash names both. */
static bool is_state(const struct api_call *call) {
    return strcmp(call->route->method, "GET") == 0 && call->route->finish == NULL &&
           call->route->state_members == NULL;
}

/* Megabytes would hold up the loop. */
static void hash_answer(struct api_call *call) {
    bool known = call->state_tag[0] != '\0' && is_state(call);
    if (call->text != NULL && call->content_type == NULL && !known)
        hash_text(call->text, strlen(call->text), call->text_hash);
}

/* What the answer's ETag says of the resource's state. */
static int take_state(struct api_call *call, struct err *err) {
    bool tagged =
        strcmp(call->route->method, "GET") == 0 || strcmp(call->route->method, "PATCH") == 0;
    const struct api_route *resource =
        tagged && call->answer != NULL ? route_of_resource(call->route) : NULL;
    if (resource == NULL)
        return 0;
    if (!is_state(call))
        return etag_state(call->answer, resource->state_members, err, call->state_tag);
    int r = print_answer(call, err);
    if (r == 0)
        hash_text(call->text, strlen(call->text), call->state_tag);
    return r;
}

/* Whether the resource is as the client saw it, if it said how: in the transaction that changes it.
 */
static int check_if_match(struct api_call *call, struct err *err) {
    const struct api_route *resource =
        call->if_match != NULL ? route_of_resource(call->route) : NULL;
    if (resource == NULL)
        return 0;
    struct api_call *look = mem_array(1, sizeof(*look));
    if (look == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    look->daemon = call->daemon;
    look->route = resource;
    look->sql = call->sql;
    memcpy(look->id, call->id, sizeof(look->id));
    int r = resource->read(look, err);
    if (r == 0)
        r = take_state(look, err);
    if (r == 0 && !etag_allows(call->if_match, look->state_tag))
        r = err_set(err, ESP_EPRECONDITION, NULL,
                    "it has changed since it was read with the ETag of If-Match: read it again");
    call_destroy(look);
    return r;
}

/* True: the client has it already. */
static bool set_etag(const struct api_call *call, const char *text) {
    char etag[ETAG_MAX];
    bool get = strcmp(call->route->method, "GET") == 0;
    if ((!get && call->state_tag[0] == '\0') || (call->status != 0 && call->status != 200))
        return false;
    char hash[HASH_TEXT];
    if (call->state_tag[0] != '\0' && is_state(call))
        memcpy(hash, call->state_tag, sizeof(hash));
    else if (call->text_hash[0] != '\0')
        memcpy(hash, call->text_hash, sizeof(hash));
    else
        hash_text(text, strlen(text), hash);
    etag_make(call->state_tag, hash, etag);
    return web_has_etag(call->req, etag) && get;
}

/* Takes text, JSON. */
static void answer_json(struct api_call *call, char *text) {
    if (set_etag(call, text)) {
        free(text);
        web_reply_empty(call->req, 304);
        return;
    }
    web_reply_text(call->req, call->status != 0 ? call->status : 200, "application/json", text,
                   strlen(text));
}

static void answer(struct api_call *call, int code, const struct err *err) {
    struct web_request *req = call->req;
    if (code == 0 && call->refusal.code != 0) {
        code = call->refusal.code;
        err = &call->refusal;
    }
    if (code != 0) {
        cJSON *problem = call->problem;
        struct err copy = *err;
        copy.code = code;
        call->problem = NULL;
        web_reply_error(req, &copy, problem);
        call_destroy(call);
        return;
    }
    if (call->route->finish != NULL && (call->answer != NULL || call->text != NULL))
        call->route->finish(call);
    if (call->sets_session)
        web_set_session(req, call->new_session[0] != '\0' ? call->new_session : NULL,
                        call->daemon->session_us / 1000000);
    int status = call->status;
    if (call->text != NULL) {
        char *text = call->text;
        call->text = NULL;
        if (call->content_type == NULL)
            answer_json(call, text);
        else
            web_reply_text(req, status != 0 ? status : 200, call->content_type, text, strlen(text));
    } else if (call->file > 0) {
        int fd = call->file;
        call->file = 0;
        if (call->etag[0] != '\0' && web_has_etag(req, call->etag)) {
            close(fd);
            web_reply_empty(req, 304);
            call_destroy(call);
            return;
        }
        web_reply_file(req, fd, call->file_size, call->file_type, call->file_name);
    } else if (call->answer != NULL) {
        char *text = json_print(call->answer);
        if (text != NULL)
            answer_json(call, text);
        else
            web_reply_json(req, 503, NULL);
    } else {
        web_reply_empty(req, status != 0 ? status : 204);
    }
    call_destroy(call);
}

/* For a repeat of the call. What is told once is not kept, not even for that. */
static char *print_for_repeat(const cJSON *answer) {
    static const char *const secrets[] = {"token", "worker_token", "command", "secret", NULL};
    cJSON *copy = cJSON_Duplicate(answer, true);
    for (int i = 0; secrets[i] != NULL && copy != NULL; i++)
        if (cJSON_GetObjectItem(copy, secrets[i]) != NULL)
            cJSON_ReplaceItemInObject(copy, secrets[i], cJSON_CreateNull());
    char *text = copy == NULL ? NULL : json_print(copy);
    cJSON_Delete(copy);
    return text;
}

/* The answer of an earlier call of the same client under the same key, if there was one: then
 * call->text and status are its. An identity has no space, and a method is none. */
static int find_repeat(struct api_call *call, char route[REPEAT_ROUTE_MAX], struct err *err) {
    int status = 0;
    snprintf(route, REPEAT_ROUTE_MAX, "%s%s%s %s %s", call->identity,
             call->identity[0] != '\0' ? " " : "", call->route->method, call->route->path,
             call->id);
    if (call->key == NULL || call->text != NULL)
        return 0;
    int r = store_idempotency_find(call->sql, call->key, route, call->body_hash, err, &status,
                                   &call->text);
    if (status != 0)
        call->status = status;
    return r;
}

/* Behind the look for a repeat: what was begun when there was room is told again. A trial begins
 * nothing. */
static int check_room(const struct api_call *call, struct err *err) {
    return call->route->needs_room && !api_is_dry(call) ? disk_check_room(call->daemon, 0, err) : 0;
}

/* The answer of an earlier call under the same key, or this call's own, stored with its effect. */
static int run_write(struct store_tx *tx, struct store_call *store_call, struct err *err) {
    struct api_call *call =
        (struct api_call *)((char *)store_call - offsetof(struct api_call, store_call));
    char route[REPEAT_ROUTE_MAX];
    call->tx = tx;
    call->sql = store_tx_sql(tx);
    int r = find_repeat(call, route, err);
    if (r != 0 || call->text != NULL)
        return r;
    r = call->route->read == NULL ? check_room(call, err) : 0;
    if (r == 0)
        r = check_if_match(call, err);
    if (r == 0 && call->route->write != NULL)
        r = call->route->write(call, err);
    if (r == 0)
        r = take_state(call, err);
    if (r != 0 || call->key == NULL || call->answer == NULL)
        return r;
    char *text = print_for_repeat(call->answer);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    r = store_idempotency_put(tx, call->key, route, call->body_hash,
                              call->status != 0 ? call->status : 200, text, err);
    free(text);
    return r;
}

static void write_done(struct store_call *store_call, int code, const struct err *err) {
    answer((struct api_call *)((char *)store_call - offsetof(struct api_call, store_call)), code,
           err);
}

static void start_write(struct api_call *call) {
    call->store_call = (struct store_call){.run = run_write, .done = write_done};
    store_write(call->daemon->store, &call->store_call);
}

/* Whether something is left to do, or to remember for a repeat, when read has ended. */
static bool writes(const struct api_call *call) {
    return call->route->write != NULL || call->key != NULL;
}

static int run_read(struct sql *sql, struct store_read *read, struct err *err) {
    struct api_call *call =
        (struct api_call *)((char *)read - offsetof(struct api_call, store_read));
    call->sql = sql;
    char route[REPEAT_ROUTE_MAX];
    /* What is checked before a write would refuse the repeat of one that has changed things. */
    int r = writes(call) ? find_repeat(call, route, err) : check_if_match(call, err);
    if (r == 0 && call->text == NULL)
        r = check_room(call, err);
    if (r == 0 && call->text == NULL)
        r = call->route->read(call, err);
    if (r == 0)
        r = take_state(call, err);
    if (r == 0 && call->route->finish == NULL && !writes(call)) {
        r = print_answer(call, err);
        hash_answer(call);
    }
    call->sql = NULL;
    return r;
}

static void read_done(struct store_read *read, int code, const struct err *err) {
    struct api_call *call =
        (struct api_call *)((char *)read - offsetof(struct api_call, store_read));
    if (code == 0 && writes(call) && call->text == NULL)
        start_write(call);
    else
        answer(call, code, err);
}

bool api_by_key(struct sql *sql, const char *id) {
    return true;
}

static void dispatch(struct web_request *req) {
    struct api_call *call = NULL;
    struct err err = {0};
    if (call_create(req, &err, &call) != 0) {
        web_reply_error(req, &err, NULL);
        return;
    }
    if (call->route->read == NULL) {
        start_write(call);
        return;
    }
    bool slow = call->route->slow != NULL && call->route->slow(call);
    call->store_read = (struct store_read){
        .run = run_read, .done = read_done, .slow = slow ? STORE_SLOW : STORE_QUICK};
    if (call->route->by_key != NULL &&
        call->route->by_key(store_loop_sql(call->daemon->store), call->id))
        store_read_now(call->daemon->store, &call->store_read);
    else
        store_read(call->daemon->store, &call->store_read);
}

int api_routes(struct err *err, struct web_route **ret_routes) {
    size_t n = 0, i = 0;
    for (int noun = 0; api_nouns[noun] != NULL; noun++)
        for (const struct api_route *route = api_nouns[noun]; route->method != NULL; route++)
            n++;
    struct web_route *routes = mem_array(n + 1, sizeof(*routes));
    if (routes == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    for (int noun = 0; api_nouns[noun] != NULL; noun++)
        for (const struct api_route *route = api_nouns[noun]; route->method != NULL; route++)
            routes[i++] =
                (struct web_route){.method = route->method,
                                   .path = route->path,
                                   .query = route->query,
                                   .handler = route->loop != NULL ? route->loop : dispatch,
                                   .flags = route->flags,
                                   .body_limit = route->body_limit,
                                   .context = route};
    *ret_routes = routes;
    return 0;
}

const char *const api_scope_names[] = {"read", "submit", "admin", NULL};

enum api_scope api_scope(const struct api_route *route) {
    if (route->scope != API_SCOPE_BY_METHOD)
        return route->scope;
    return strcmp(route->method, "GET") == 0      ? API_SCOPE_READ
           : strcmp(route->method, "DELETE") == 0 ? API_SCOPE_ADMIN
                                                  : API_SCOPE_SUBMIT;
}

const char *api_scope_name(enum api_scope scope) {
    return api_scope_names[scope - API_SCOPE_READ];
}

/* Whether the token is of the route's kind, and good for it. */
static int check_scope(const struct web_route *route, const struct token *token, struct err *err) {
    bool for_worker = (route->flags & WEB_WORKER) != 0;
    if (strcmp(token->kind, for_worker ? "worker" : "api") != 0)
        return err_set(err, ESP_EFORBIDDEN, NULL, "a token for %s may not do this",
                       strcmp(token->kind, "worker") == 0 ? "a worker"
                       : strcmp(token->kind, "api") == 0  ? "people"
                                                          : "enrolment");
    if (for_worker)
        return 0;
    enum api_scope needed = api_scope(route->context), has = API_SCOPE_READ;
    while (has < API_SCOPE_ADMIN && strcmp(api_scope_name(has), token->scope) != 0)
        has++;
    if (has >= needed)
        return 0;
    return err_set(err, ESP_EFORBIDDEN, NULL,
                   "this needs a token of scope \"%s\"; this one's is \"%s\"",
                   api_scope_name(needed), token->scope);
}

/* Whose token or session it is. A session that has ended is none: on loopback nobody needs one. */
static int find_token(const struct daemon *daemon, const struct web_credentials *given,
                      struct err *err, struct token *ret_token) {
    struct sql *sql = store_loop_sql(daemon->store);
    if (given->bearer != NULL)
        return store_token_find(sql, given->bearer, err, ret_token);
    int r = store_session_find(sql, given->session, err, ret_token);
    if (r == ESP_EUNAUTHORIZED && given->local) {
        *err = (struct err){0};
        ret_token->id[0] = '\0';
        r = 0;
    }
    return r;
}

static int refuse_anonymous(const struct daemon *daemon, bool for_worker, struct err *err) {
    if (for_worker)
        return err_set(err, ESP_EUNAUTHORIZED, NULL, "this needs the token of an enrolled worker");
    return err_set(err, ESP_EUNAUTHORIZED, NULL, "%s",
                   daemon->tokens_on_loopback ? "every request needs a token (--tokens-on-loopback)"
                                              : "beyond this machine every request needs a token");
}

int api_authorise(void *user, const struct web_route *route, const struct web_credentials *given,
                  struct err *err, char identity[64]) {
    bool for_worker = (route->flags & WEB_WORKER) != 0;
    bool anonymous = given->bearer == NULL && (given->session == NULL || for_worker);
    struct token token;
    identity[0] = '\0';
    if ((route->flags & WEB_PUBLIC) != 0 || (anonymous && given->local && !for_worker) ||
        (given->bearer == NULL && (route->flags & WEB_TICKET) != 0))
        return 0;
    if (anonymous)
        return refuse_anonymous(user, for_worker, err);
    int r = find_token(user, given, err, &token);
    if (r != 0 || token.id[0] == '\0')
        return r;
    r = check_scope(route, &token, err);
    if (r == 0)
        snprintf(identity, 64, "%s", for_worker ? token.device : token.id);
    return r;
}

void api_turn(void *user, bool begins) {
    const struct daemon *daemon = user;
    store_turn(daemon->store, begins);
}

void api_answered(void *user, const struct web_route *route, int status, int64_t duration_us) {
    const struct daemon *daemon = user;
    metrics_request(daemon->metrics, route, status, duration_us);
}
