/* Checks of header fields, from hostile text: lines Host, Origin, Content-Type, Accept-Encoding,
 * If-None-Match and Authorization. What is let in has the form that it must have. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/fuzz/fuzz.h"
#include "web/guard.h"

enum { LINES = 6, TEXT_MAX = 4096 };

static void require(bool ok) {
    if (!ok)
        abort();
}

static void check_tags(const char *list) {
    struct guard_etag tag;
    const char *rest = list;
    bool gzip;
    for (const char *before = rest; guard_etag_next(&rest, &tag); before = rest) {
        require(rest > before && tag.text >= before && tag.text + tag.len < rest);
        require(tag.text[-1] == '"' && tag.text[tag.len] == '"');
        require(memchr(tag.text, '"', tag.len) == NULL);
    }
    if (guard_etag_known(list, "\"0123456789\"", &gzip))
        require(strcmp(list, "*") == 0 || strstr(list, "\"0123456789") != NULL);
}

static void check_host(const char *host, const char *origin) {
    static const char *const names[] = {"nas.example", NULL};
    const char *name = host + (host[0] == '[');
    bool local = guard_host_is_loopback(host);
    require(!local || guard_host(host, NULL, false));
    require(!guard_host(host, names, false) || guard_host(host, names, true));
    if (guard_host(host, names, false) && !local)
        require(strncasecmp(name, "nas.example", 11) == 0 &&
                strspn(name + 11, ".]:0123456789") == strlen(name + 11));
    if (guard_origin(origin, host)) /* what follows the scheme is the host that was asked */
        require(strncasecmp(origin, "http", 4) == 0 && strstr(origin, "://") != NULL &&
                strncasecmp(strstr(origin, "://") + 3, host, strcspn(host, ":")) == 0);
}

int fuzz_one(const uint8_t *data, size_t size) {
    char text[TEXT_MAX], *line[LINES], *rest = text;
    if (size >= TEXT_MAX || memchr(data, '\0', size) != NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (int i = 0; i < LINES; i++) {
        line[i] = rest;
        rest += strcspn(rest, "\n");
        if (*rest != '\0')
            *rest++ = '\0';
    }
    check_host(line[0], line[1]);
    if (guard_is_json(line[2]))
        require(strncasecmp(line[2], "application/json", 16) == 0 && !guard_is_octets(line[2]));
    if (guard_accepts_gzip(line[3]))
        require(strcasestr(line[3], "gzip") != NULL || strchr(line[3], '*') != NULL);
    check_tags(line[4]);
    const char *token = guard_bearer(line[5]);
    require(token == NULL || (token > line[5] && token <= line[5] + strlen(line[5]) &&
                              strncasecmp(line[5], "Bearer ", 7) == 0));
    return 0;
}
