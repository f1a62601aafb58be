/* The OpenAPI document, made of the route table (paths, methods, parameters, scopes) and of what
 * daemon/openapi/ says of each route (summary, bodies, answers). */
#pragma once

#include "base/error.h"

/* The whole document as text; the caller frees it. ESP_ENOMEM; ESP_EINTERNAL names a route that
 * daemon/openapi/ does not describe, or a description that belongs to no route. Any thread. */
int openapi_print(struct err *err, char **ret_text);
