/* Checks of single header fields; pure. Against DNS rebinding and cross-site requests: a browser
 * page of another origin must reach nothing, loopback or not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Host: a loopback name or address with any port; one of names (NULL-terminated, may be NULL, port
 * ignored); any address literal when beyond_loopback (rebinding needs a name). */
bool guard_host(const char *host, const char *const *names, bool beyond_loopback);
bool guard_host_is_loopback(const char *host);
/* Origin (NULL: not sent, so no browser) must be http or https and the same host and port as Host.
 */
bool guard_origin(const char *origin, const char *host);
bool guard_is_json(const char *content_type);   /* application/json, in UTF-8 if it says so */
bool guard_is_octets(const char *content_type); /* application/octet-stream, any parameters */
/* Accept-Encoding (NULL: not sent) lists gzip by its name, with no weight of 0 (RFC 9110, 12.4.2:
 * "0", "0.", "0.000"). */
bool guard_accepts_gzip(const char *accept_encoding);
/* One of the entity tags that If-Match or If-None-Match list, without its quotes. */
struct guard_etag {
    const char *text;
    size_t len;
    bool weak;
};
/* The next tag of *list, which moves behind it; false: no more, or what follows is none. "*" is no
 * tag. */
bool guard_etag_next(const char **list, struct guard_etag *ret_tag);
/* Whether the header (NULL: no) has etag (quoted), as If-None-Match compares: also as weak, also as
 * that of the compressed form, which ends with GUARD_ETAG_GZIP. *ret_gzip: it was that one. */
#define GUARD_ETAG_GZIP "-gzip"
bool guard_etag_known(const char *header, const char *etag, bool *ret_gzip);
/* The token of "Bearer TOKEN", or NULL. */
const char *guard_bearer(const char *authorization);
