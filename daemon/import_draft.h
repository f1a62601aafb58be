/* What requests that take over files of other programs have in common: a name, the space that the
 * content is of, and where it lies. Found out by the read, for the write. */
#pragma once

#include "daemon/api.h"
#include "space/space.h"

struct import_draft {
    const char *name, *space_name; /* borrowed from the body */
    struct space *space;
    char *document; /* of the space */
    char *path;     /* of the source */
    cJSON *dataset; /* of weights; NULL: none */
    int choice;     /* a model's kind, the cost of results: index in the noun's own words */
};
/* Makes the call's state a new draft and reads the body's name and space; no other members than
 * keys. */
int import_draft_begin(struct api_call *call, const char *const *keys, struct err *err,
                       struct import_draft **ret_draft);
/* The body's "path" (api_data_path), or the folder of its "upload". Touches the disk. */
int import_draft_source(struct api_call *call, struct err *err, struct import_draft *draft);
