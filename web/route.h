/* Finding the route of a path; pure. */
#pragma once

#include "web/web.h"

enum { ROUTE_PARAMS_MAX = 3, ROUTE_PARAM_MAX = 200, ROUTE_ALLOW_MAX = 64 };

struct route_match {
    const struct web_route *route;
    int n_params;
    struct {
        const char *name; /* points into the route's path, ends with '}' */
        char value[ROUTE_PARAM_MAX];
    } params[ROUTE_PARAMS_MAX];
};

/* routes ends with method NULL; path is decoded. ESP_ENOTFOUND: no route has this path;
 * ESP_EUNSUPPORTED: only other methods, which ret_allow lists ("GET, HEAD, POST"). */
int route_find(const struct web_route *routes, const char *method, const char *path,
               char ret_allow[ROUTE_ALLOW_MAX], struct route_match *ret_match);
const char *route_param(const struct route_match *match, const char *name); /* "" if absent */
/* Whether the comma-separated words (NULL: none) hold word. */
bool route_word_listed(const char *words, const char *word);
