/* A search as a command line. */
#pragma once

#include "base/buf.h"
#include "daemon/cli/cli.h"

/* Appends the `espalier search create …` that is the same as the request (the body of POST
 * /searches), with names (id to name) in place of ids, quoted for a shell. False, with nothing
 * appended, when the request has what no option says: subnets by their text to begin with, or a
 * member that this version does not know. */
bool search_command(struct buf *out, const cJSON *request, const cJSON *names);
