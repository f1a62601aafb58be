/* Error codes of the whole project. Functions return 0 or a negative ESP_E… code, which must be
 * checked; what a person or a board can cause also fills a struct err. */
#pragma once

/* X(name, number, text, HTTP status) */
#define ESP_ERRORS(X)                                                                              \
    X(ESP_EINVAL, 1, "invalid_value", 422)                                                         \
    X(ESP_EPARSE, 2, "malformed", 400)                                                             \
    X(ESP_ELIMIT, 3, "limit_exceeded", 422)                                                        \
    X(ESP_ENOMEM, 4, "out_of_memory", 503)                                                         \
    X(ESP_EIO, 5, "io_error", 500)                                                                 \
    X(ESP_ENOTFOUND, 6, "not_found", 404)                                                          \
    X(ESP_ECONFLICT, 7, "conflict", 409)                                                           \
    X(ESP_ECORRUPT, 8, "corrupt", 422)                                                             \
    X(ESP_EVERSION, 9, "unsupported_version", 422)                                                 \
    X(ESP_EMISMATCH, 10, "mismatch", 422)                                                          \
    X(ESP_EUNAUTHORIZED, 11, "unauthorized", 401)                                                  \
    X(ESP_EFORBIDDEN, 12, "forbidden", 403)                                                        \
    X(ESP_ECANCELED, 13, "canceled", 409)                                                          \
    X(ESP_ETIMEOUT, 14, "timeout", 504)                                                            \
    X(ESP_EINFEASIBLE, 15, "infeasible", 422)                                                      \
    X(ESP_EMISSING, 16, "missing_entry", 409)                                                      \
    X(ESP_ENOSPACE, 17, "no_space", 507)                                                           \
    X(ESP_EBUSY, 18, "busy", 503)                                                                  \
    X(ESP_EUNSUPPORTED, 19, "unsupported", 422)                                                    \
    X(ESP_EGONE, 20, "gone", 410)                                                                  \
    X(ESP_ETOOLARGE, 21, "too_large", 413)                                                         \
    X(ESP_EINTERNAL, 22, "internal", 500)                                                          \
    X(ESP_EDIVERGED, 23, "diverged", 500)                                                          \
    X(ESP_EUNREACHABLE, 24, "unreachable", 503)                                                    \
    X(ESP_EIMPLAUSIBLE, 25, "implausible", 422)                                                    \
    X(ESP_EPRECONDITION, 26, "precondition_failed", 412)                                           \
    X(ESP_ERATE, 27, "too_many_requests", 429)

enum esp_error {
#define ESP_ERROR_ENUM(name, number, text, status) name = -(number),
    ESP_ERRORS(ESP_ERROR_ENUM)
#undef ESP_ERROR_ENUM
};

/* What went wrong, for people. Zero-initialise; owned by the caller; never allocated. */
struct err {
    int code;          /* 0 or ESP_E… */
    char message[512]; /* one sentence that names the cause, without a trailing full stop */
    char pointer[256]; /* RFC 6901 pointer into the offending document, or "?NAME": a parameter of
                          a query (base/parameter.h); "" when it is about neither */
};

/* Fills err (which may be NULL; the first error set wins only if the caller clears in between:
 * a later call overwrites) and returns code. pointer may be NULL. */
int err_set(struct err *err, int code, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the message that err holds; no-op for NULL. Returns err's code or code.
 */
int err_prefix(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *err_name(int code);       /* "infeasible"; "ok" for 0; "unknown" otherwise. Static. */
extern const char *const err_names[]; /* of all codes, as above; ends with NULL */
int err_code(const char *name);       /* the code of a name; ESP_EINTERNAL for what is unknown */
int err_http_status(int code);        /* 500 for what is unknown */
