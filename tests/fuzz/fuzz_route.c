/* The router on all routes of the daemon, from hostile paths: what it finds is what a matcher finds
 * that compares segment by segment, and its parameters are those segments. The first byte chooses
 * the method, the rest is the path, decoded. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "tests/fuzz/fuzz.h"
#include "web/route.h"

enum { PATH_MAX_HERE = 511, SEGMENTS_MAX = 600 };

struct segments {
    char text[PATH_MAX_HERE + 1];
    const char *at[SEGMENTS_MAX];
    int n;
};

static void require(bool ok) {
    if (!ok)
        abort();
}

static void split(const char *path, struct segments *ret) {
    ret->n = 0;
    strcpy(ret->text, path);
    for (char *p = ret->text; *p != '\0'; p++)
        if (*p == '/') {
            *p = '\0';
            ret->at[ret->n++] = p + 1;
        }
}

static bool fits(const char *want, const char *have) {
    size_t len = strlen(have);
    return want[0] == '{' ? len > 0 && len < ROUTE_PARAM_MAX : strcmp(want, have) == 0;
}

static bool matches(const char *pattern, const char *path) {
    static struct segments want, have;
    split(pattern, &want);
    split(path, &have);
    bool same = want.n == have.n && path[0] == '/';
    for (int i = 0; same && i < want.n; i++)
        same = fits(want.at[i], have.at[i]);
    return same;
}

/* The parameters put back into the pattern give the path. */
static void check_params(const struct route_match *match, const char *path) {
    char built[2 * PATH_MAX_HERE] = "";
    int n = 0;
    for (const char *p = match->route->path; *p != '\0';) {
        if (*p != '{') {
            strncat(built, p++, 1);
            continue;
        }
        strcat(built, match->params[n++].value);
        p = strchr(p, '}') + 1;
    }
    require(n == match->n_params && strcmp(built, path) == 0);
}

int fuzz_one(const uint8_t *data, size_t size) {
    static const char *const methods[] = {"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", ""};
    static struct web_route *routes;
    char path[PATH_MAX_HERE + 1], allow[ROUTE_ALLOW_MAX] = "";
    struct route_match match;
    struct err err = {0};
    if (routes == NULL)
        require(api_routes(&err, &routes) == 0);
    if (size == 0 || size - 1 > PATH_MAX_HERE || memchr(data, '\0', size) != NULL)
        return 0;
    const char *method = methods[data[0] % 7];
    memcpy(path, data + 1, size - 1);
    path[size - 1] = '\0';
    const struct web_route *wanted = NULL;
    bool known = false;
    for (const struct web_route *route = routes; route->method != NULL && wanted == NULL; route++)
        if (matches(route->path, path)) {
            known = true;
            if (strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0)
                wanted = route;
        }
    int r = route_find(routes, method, path, allow, &match);
    require(r == (wanted != NULL ? 0 : known ? ESP_EUNSUPPORTED : ESP_ENOTFOUND));
    if (r == 0) {
        require(match.route == wanted);
        check_params(&match, path);
    }
    require((r == ESP_EUNSUPPORTED) == (allow[0] != '\0'));
    return 0;
}
