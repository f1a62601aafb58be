/* Members that the specs of several kinds share. */
#pragma once

#include "daemon/job/job.h"
#include "space/space.h"
#include "supernet/dataset.h"
#include <cjson/cJSON.h>

enum { SPEC_PATH_MAX = 800 };

/* Opens the data set that the member "dataset" of the job's spec describes; tells of the progress
 * when images are decoded for that. */
int spec_dataset(const struct job *job, struct err *err, struct dataset **ret_dataset);
/* Refuses images too small for the space's largest resolution (dataset_check_size), and says in the
 * job's log when they are enlarged. */
int spec_check_size(const struct dataset *dataset, const struct space *space, struct err *err);
/* Parses the member, "space" almost always; pointers of errors begin with it. */
int spec_space(const cJSON *spec, const char *member, struct err *err, struct space **ret_space);
/* supernet_dir/checkpoints */
int spec_checkpoint_dir(const cJSON *spec, struct err *err, char ret_dir[SPEC_PATH_MAX + 16]);
/* What a request named to be read: the file at path, or the only file of the folder there, as an
 * upload leaves it. ESP_EINVAL (none or several), ESP_EIO. */
enum { SPEC_SOURCE_MAX = SPEC_PATH_MAX + 260 };
int spec_source_file(const char *path, struct err *err, char ret_file[SPEC_SOURCE_MAX]);
/* The data of a dataset event; NULL on memory exhaustion. */
cJSON *spec_describe_dataset(const struct dataset *dataset);
