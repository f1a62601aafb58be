#include "daemon/job_memory.h"

#include <string.h>

#include "daemon/daemon.h"
#include "daemon/disk.h"
#include "daemon/fleet.h"
#include "daemon/scheduler.h"

/* A job with a process is begun only while the disk has room. */
static cJSON *waits_for_room(const struct daemon *daemon, const cJSON *job) {
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(job, "state"));
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItem(job, "kind"));
    if (!disk_is_low(daemon->disk) || strcmp(state, "queued") != 0 || strcmp(kind, "table") == 0)
        return NULL;
    cJSON *doc = cJSON_CreateObject(), *disk = cJSON_AddObjectToObject(doc, "disk");
    cJSON_AddNumberToObject(disk, "free_bytes", disk_free_bytes(daemon->disk));
    cJSON_AddNumberToObject(disk, "floor_bytes", (double)daemon->disk_floor_bytes);
    return doc;
}

void job_memory_add(const struct daemon *daemon, cJSON *job) {
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(job, "id"));
    const cJSON *progress = scheduler_progress(daemon->scheduler, id);
    if (progress != NULL)
        cJSON_ReplaceItemInObjectCaseSensitive(job, "progress", cJSON_Duplicate(progress, true));
    cJSON *waits = waits_for_room(daemon, job);
    if (waits == NULL)
        waits = fleet_job_waits_for(daemon->fleet, id);
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(job, "state"));
    if (cJSON_HasObjectItem(waits, "why") && strcmp(state, "running") != 0) {
        cJSON_Delete(waits); /* it does not go on to wait */
        waits = cJSON_CreateNull();
    }
    if (cJSON_HasObjectItem(waits, "why")) /* what was foreseen does not count down */
        cJSON_DeleteItemFromObject(cJSON_GetObjectItem(job, "progress"), "eta_s");
    cJSON_AddItemToObject(job, "waits_for", waits);
}
