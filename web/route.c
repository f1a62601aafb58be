#include "web/route.h"

#include <stdio.h>
#include <string.h>

static bool take_param(struct route_match *match, const char *pattern, const char *value,
                       size_t len) {
    if (len == 0 || len >= ROUTE_PARAM_MAX || match->n_params == ROUTE_PARAMS_MAX)
        return false;
    match->params[match->n_params].name = pattern + 1;
    memcpy(match->params[match->n_params].value, value, len);
    match->params[match->n_params++].value[len] = '\0';
    return true;
}

/* Parameters are whole segments. */
static bool match_path(const char *pattern, const char *path, struct route_match *match) {
    match->n_params = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (!take_param(match, pattern, path, len))
            return false;
        path += len;
        pattern += strcspn(pattern, "/");
    }
    return *path == '\0';
}

static void add_allowed(char allow[ROUTE_ALLOW_MAX], const char *method) {
    size_t len = strlen(allow);
    snprintf(allow + len, ROUTE_ALLOW_MAX - len, "%s%s%s", len > 0 ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

int route_find(const struct web_route *routes, const char *method, const char *path,
               char ret_allow[ROUTE_ALLOW_MAX], struct route_match *ret_match) {
    struct route_match match;
    char allow[ROUTE_ALLOW_MAX] = "";
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (const struct web_route *route = routes; route->method != NULL; route++) {
        if (!match_path(route->path, path, &match))
            continue;
        if (strcmp(route->method, wanted) == 0) {
            match.route = route;
            *ret_match = match;
            return 0;
        }
        add_allowed(allow, route->method);
    }
    if (allow[0] == '\0')
        return ESP_ENOTFOUND;
    memcpy(ret_allow, allow, sizeof(allow));
    return ESP_EUNSUPPORTED;
}

const char *route_param(const struct route_match *match, const char *name) {
    size_t len = strlen(name);
    for (int i = 0; i < match->n_params; i++)
        if (strncmp(match->params[i].name, name, len) == 0 && match->params[i].name[len] == '}')
            return match->params[i].value;
    return "";
}

bool route_word_listed(const char *words, const char *word) {
    size_t len = strlen(word);
    if (words == NULL || len == 0)
        return false;
    for (;;) {
        size_t item = strcspn(words, ",");
        if (item == len && memcmp(words, word, len) == 0)
            return true;
        if (words[item] == '\0')
            return false;
        words += item + 1;
    }
}
