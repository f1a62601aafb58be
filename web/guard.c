#include "web/guard.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 256 };

/* Host without port and brackets, as "localhost", "127.0.0.1" or "::1"; false if malformed. */
static bool split_host(const char *host, char name[HOST_MAX]) {
    size_t len;
    const char *rest;
    if (host == NULL)
        return false;
    if (host[0] == '[') {
        const char *close = strchr(++host, ']');
        if (close == NULL)
            return false;
        len = (size_t)(close - host);
        rest = close + 1;
    } else {
        len = strcspn(host, ":");
        rest = host + len;
    }
    if (len == 0 || len >= HOST_MAX || (*rest != '\0' && *rest != ':'))
        return false;
    if (*rest == ':' && strspn(rest + 1, "0123456789") != strlen(rest + 1))
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    return true;
}

static bool is_address(const char *name) {
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool is_loopback(const char *name) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, name, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(name, "localhost") == 0;
}

bool guard_host_is_loopback(const char *host) {
    char name[HOST_MAX];
    return split_host(host, name) && is_loopback(name);
}

bool guard_host(const char *host, const char *const *names, bool beyond_loopback) {
    char name[HOST_MAX];
    if (!split_host(host, name))
        return false;
    if (is_loopback(name) || (beyond_loopback && is_address(name)))
        return true;
    for (; names != NULL && *names != NULL; names++)
        if (strcasecmp(*names, name) == 0)
            return true;
    return false;
}

bool guard_origin(const char *origin, const char *host) {
    if (origin == NULL)
        return true;
    if (strncmp(origin, "http://", 7) == 0)
        origin += 7;
    else if (strncmp(origin, "https://", 8) == 0)
        origin += 8;
    else
        return false;
    return host != NULL && strcasecmp(origin, host) == 0;
}

/* Whether the charset is UTF-8, where the parameters of a media type name one. */
static bool is_utf8(const char *parameters) {
    for (const char *at = strchr(parameters, ';'); at != NULL; at = strchr(at, ';')) {
        at += 1 + strspn(at + 1, " \t");
        if (strncasecmp(at, "charset=", 8) != 0)
            continue;
        at += 8;
        size_t quote = *at == '"', len = strcspn(at + quote, "\"; \t");
        if (len != 5 || strncasecmp(at + quote, "utf-8", len) != 0)
            return false;
    }
    return true;
}

/* wanted, with or without parameters. */
static bool is_type(const char *content_type, const char *wanted) {
    size_t len = strlen(wanted);
    if (content_type == NULL || strncasecmp(content_type, wanted, len) != 0)
        return false;
    const char *rest = content_type + len;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

bool guard_is_json(const char *content_type) {
    return is_type(content_type, "application/json") && is_utf8(content_type);
}

bool guard_is_octets(const char *content_type) {
    return is_type(content_type, "application/octet-stream");
}

/* Of what stands behind a word of Accept-Encoding: its weight is not 0, which means never. */
static bool is_wanted(const char *rest) {
    rest += strspn(rest, " \t");
    if (*rest != ';')
        return *rest == '\0' || *rest == ',';
    rest += 1 + strspn(rest + 1, " \t");
    if (strncasecmp(rest, "q=", 2) != 0)
        return false;
    return strcspn(rest + 2, "123456789") < strcspn(rest + 2, " \t,;");
}

bool guard_accepts_gzip(const char *accept_encoding) {
    const char *word = accept_encoding;
    while (word != NULL) {
        word += strspn(word, " \t,");
        size_t len = strcspn(word, " \t,;");
        if (len == 4 && strncasecmp(word, "gzip", len) == 0)
            return is_wanted(word + len);
        word = strchr(word, ',');
    }
    return false;
}

bool guard_etag_next(const char **list, struct guard_etag *ret_tag) {
    const char *p = *list + strspn(*list, " \t,");
    bool weak = strncmp(p, "W/", 2) == 0;
    p += weak ? 2 : 0;
    const char *close = *p == '"' ? strchr(p + 1, '"') : NULL;
    if (close == NULL)
        return false;
    *ret_tag = (struct guard_etag){p + 1, (size_t)(close - p - 1), weak};
    *list = close + 1;
    return true;
}

bool guard_etag_known(const char *header, const char *etag, bool *ret_gzip) {
    const size_t len = strlen(etag) - 2, suffix = strlen(GUARD_ETAG_GZIP);
    struct guard_etag tag;
    *ret_gzip = false;
    if (header == NULL)
        return false;
    if (strcmp(header, "*") == 0)
        return true;
    while (guard_etag_next(&header, &tag)) {
        if (tag.len < len || memcmp(tag.text, etag + 1, len) != 0)
            continue;
        *ret_gzip = tag.len == len + suffix && memcmp(tag.text + len, GUARD_ETAG_GZIP, suffix) == 0;
        if (tag.len == len || *ret_gzip)
            return true;
    }
    return false;
}

const char *guard_bearer(const char *authorization) {
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    return authorization + sizeof(scheme) - 1;
}
