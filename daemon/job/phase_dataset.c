/* Opens a data set (a folder of images is decoded), checks all of it and says what is in it. */
#include "daemon/job/job.h"
#include "daemon/job/spec.h"

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct dataset *dataset = NULL;
    int rc = spec_dataset(job, err, &dataset);
    if (rc != 0)
        return rc;
    channel_event(job->channel, "dataset", spec_describe_dataset(dataset));
    *ret_result = spec_describe_dataset(dataset);
    dataset_close(dataset);
    return *ret_result ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for the result");
}

extern const struct job_phase phase_dataset;
const struct job_phase phase_dataset = {
    .kind = "dataset", .help = "read and check a data set", .run = run};
