/* Copying a folder of this machine into the daemon's data folder. */
#pragma once

#include "daemon/cli/cli.h"

/* Sends every regular file below folder (hidden ones and links left out), or the file that it is,
 * in pieces, with a line of progress on stderr. resume: the id of an upload that was broken off,
 * whose files are not sent again; NULL: a new one. *ret_id: the upload's, for POST /datasets. On
 * failure err says how to go on. */
int cli_upload(struct cli *cli, const char *folder, const char *resume, struct err *err,
               char ret_id[64]);
/* Says in body where the daemon finds a file or folder: it opens it itself, at the whole path
 * ("path") where that is known here, or out of an upload ("upload") that this makes. */
int cli_add_source(struct cli *cli, const char *path, bool upload, struct err *err, cJSON *body);
