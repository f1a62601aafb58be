/* What this machine is: the environment fingerprint of a profile revision, and a machine id that
 * survives re-installation of the worker. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/hash.h"

/* "a,b-c" as in cpusets. Errors: ESP_EINVAL. Returns the number of cores written. */
int board_parse_cores(const char *text, int *ret_cores, int max, struct err *err);

/* CPU model, flags and caches, kernel, libc, governor of the first core, memory; with the runtime's
 * revision. The caller frees it. NULL on memory exhaustion. */
cJSON *board_fingerprint(void);
/* hash of /etc/machine-id or, where there is none, of what DMI and the CPU say; `salt` tells boards
 * on one machine apart (may be ""). */
void board_machine_id(const char *salt, char ret_id[HASH_TEXT]);
/* Of a core: "performance", …, or "unknown". */
void board_governor(int core, char *ret_text, size_t size);
/* The kernel holds the processors back now, which shows in their range of frequencies. */
bool board_held_back(void);
/* Of a core, as the owner has set it: "600000-1500000" kHz; "" where unknown. */
void board_frequency_range(int core, char *ret_text, size_t size);
/* A word for what runs on this machine since its kernel started: the same for all workers on it,
 * in containers too. ret_id "" where it cannot be told. */
void board_host_id(char ret_id[HASH_TEXT]);
double board_temperature_c(void); /* of the hottest zone that matters; NaN where unknown */
/* The same for the gate of that limit (heat_of_zones). */
double board_heat_c(double limit_c);
double board_load(void); /* load average of one minute; 0 where unknown */
/* Where sensors are read in place of /sys; borrowed. For tests that play a board. */
void board_set_sysfs(const char *root);
/* Temperature, frequency and load now, for the record of one measurement. The caller frees it. */
cJSON *board_environment(void);
