/* What commands that export to a file share. */
#pragma once

#include "daemon/cli/cli.h"

/* Posts the export; waits for it when told to or when there is a file to write, downloads it there,
 * and prints what was made. Returns the command's exit code. */
int export_to_file(struct cli *cli, const cJSON *body, const char *file /* NULL: none */);
