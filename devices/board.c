#include "devices/board.h"

#include <gnu/libc-version.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cpu.h"
#include "devices/heat.h"
#include "devices/sysfs.h"
#include "devices/throttle.h"
#include "runtime/plan.h"

enum { TRIPS_MAX = 12 };

static const char *sysfs = "/sys";

void board_set_sysfs(const char *root) {
    sysfs = root;
}

static bool parse_range(const char **text, long *first, long *last) {
    char *end = NULL;

    if (**text < '0' || **text > '9')
        return false;
    *first = *last = strtol(*text, &end, 10);
    if (*end == '-') {
        const char *rest = end + 1;
        *last = strtol(rest, &end, 10);
        if (end == rest)
            return false;
    }
    *text = end;
    return *first <= *last && *last < 1024;
}

int board_parse_cores(const char *text, int *ret_cores, int max, struct err *err) {
    const char *at = text;
    int n = 0;

    while (*at) {
        long first = 0, last = 0;
        if (!parse_range(&at, &first, &last) || (*at && *at != ',') || n + (last - first + 1) > max)
            return err_set(err, ESP_EINVAL, NULL, "cores: \"%s\" is not a list such as 0,2-3",
                           text);
        for (long core = first; core <= last; core++)
            ret_cores[n++] = (int)core;
        at += *at == ',';
    }
    if (n == 0)
        return err_set(err, ESP_EINVAL, NULL, "cores: an empty list");
    return n;
}

void board_governor(int core, char *ret_text, size_t size) {
    char path[96];

    snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/cpufreq/scaling_governor", core);
    sysfs_line(sysfs, path, ret_text, size);
    if (!ret_text[0])
        snprintf(ret_text, size, "unknown");
}

bool board_held_back(void) {
    return throttle_holds_back(sysfs);
}

void board_frequency_range(int core, char *ret_text, size_t size) {
    char path[96], least[32], most[32];

    snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/cpufreq/scaling_min_freq", core);
    sysfs_line(sysfs, path, least, sizeof(least));
    snprintf(path, sizeof(path), "devices/system/cpu/cpu%d/cpufreq/scaling_max_freq", core);
    sysfs_line(sysfs, path, most, sizeof(most));
    ret_text[0] = 0;
    if (least[0] && most[0])
        snprintf(ret_text, size, "%s-%s", least, most);
}

double board_load(void) {
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : 0;
}

static void add_caches(cJSON *doc) {
    cJSON *caches = cJSON_AddArrayToObject(doc, "caches");
    char path[96], size[32], kind[32];

    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "devices/system/cpu/cpu0/cache/index%d/size", i);
        sysfs_line(sysfs, path, size, sizeof(size));
        snprintf(path, sizeof(path), "devices/system/cpu/cpu0/cache/index%d/type", i);
        sysfs_line(sysfs, path, kind, sizeof(kind));
        if (size[0]) {
            char text[80];
            snprintf(text, sizeof(text), "%s %s", kind, size);
            cJSON_AddItemToArray(caches, cJSON_CreateString(text));
        }
    }
}

cJSON *board_fingerprint(void) {
    cJSON *doc = cJSON_CreateObject();
    struct utsname name = {0};
    char text[160];

    uname(&name);
    snprintf(text, sizeof(text), "%s %s", name.sysname, name.release);
    cJSON_AddStringToObject(doc, "kernel", text);
    cJSON_AddStringToObject(doc, "machine", name.machine);
    cJSON_AddStringToObject(doc, "cpu_model", cpu_model_name());
    cJSON_AddNumberToObject(doc, "cpu_flags", cpu_flags());
    cJSON_AddNumberToObject(doc, "cores", (double)sysconf(_SC_NPROCESSORS_CONF));
    cJSON_AddNumberToObject(doc, "memory_mib",
                            (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) /
                                (1 << 20));
    add_caches(doc);
    snprintf(text, sizeof(text), "glibc %s", gnu_get_libc_version());
    cJSON_AddStringToObject(doc, "libc", text);
    board_governor(0, text, sizeof(text));
    cJSON_AddStringToObject(doc, "governor", text);
    cJSON_AddStringToObject(doc, "runtime_revision", runtime_revision());
    return doc;
}

void board_machine_id(const char *salt, char ret_id[HASH_TEXT]) {
    struct buf text;
    char line[256];

    buf_init(&text, 4096);
    sysfs_line("", "/etc/machine-id", line, sizeof(line));
    if (!line[0])
        sysfs_line("", "/var/lib/dbus/machine-id", line, sizeof(line));
    if (!line[0])
        sysfs_line("", "/sys/class/dmi/id/product_uuid", line, sizeof(line));
    if (!line[0])
        sysfs_line("", "/proc/sys/kernel/hostname", line, sizeof(line));
    buf_printf(&text, "espalier machine %s %s %s", line, cpu_model_name(), salt);
    hash_text(text.data ? text.data : "", text.len, ret_id);
    buf_finish(&text);
}

void board_host_id(char ret_id[HASH_TEXT]) {
    char line[128], text[160];

    ret_id[0] = 0;
    sysfs_line("", "/proc/sys/kernel/random/boot_id", line, sizeof(line));
    if (!line[0])
        return;
    snprintf(text, sizeof(text), "espalier host %s", line);
    hash_text(text, strlen(text), ret_id);
}

static double read_degrees(const char *path) {
    char text[64], *end = NULL;

    sysfs_line(sysfs, path, text, sizeof(text));
    double thousandths = strtod(text, &end);
    return end == text ? NAN : thousandths / 1000;
}

static double lowest_trip_c(int zone) {
    char path[80], type[32];
    double lowest = NAN;

    for (int i = 0; i < TRIPS_MAX; i++) {
        snprintf(path, sizeof(path), "class/thermal/thermal_zone%d/trip_point_%d_type", zone, i);
        sysfs_line(sysfs, path, type, sizeof(type));
        if (!type[0])
            break;
        snprintf(path, sizeof(path), "class/thermal/thermal_zone%d/trip_point_%d_temp", zone, i);
        double at = read_degrees(path);
        if (heat_trip_matters(type, at))
            lowest = fmin(lowest, at);
    }
    return lowest;
}

/* Zones with a temperature; their trip points if asked for. */
static int read_zones(bool trips, struct heat_zone *zones) {
    char path[64];
    int n = 0;

    for (int i = 0; i < HEAT_ZONES_MAX; i++) {
        struct heat_zone *zone = &zones[n];
        snprintf(path, sizeof(path), "class/thermal/thermal_zone%d/temp", i);
        zone->temperature_c = read_degrees(path);
        if (isnan(zone->temperature_c))
            continue;
        snprintf(path, sizeof(path), "class/thermal/thermal_zone%d/type", i);
        sysfs_line(sysfs, path, zone->type, sizeof(zone->type));
        zone->trip_c = trips ? lowest_trip_c(i) : (double)NAN;
        n++;
    }
    return n;
}

double board_temperature_c(void) {
    struct heat_zone zones[HEAT_ZONES_MAX];
    int n = read_zones(false, zones);
    return heat_of_zones(zones, n, 0);
}

double board_heat_c(double limit_c) {
    struct heat_zone zones[HEAT_ZONES_MAX];
    int n = read_zones(true, zones);
    return heat_of_zones(zones, n, limit_c);
}

cJSON *board_environment(void) {
    cJSON *doc = cJSON_CreateObject();
    char text[64];

    cJSON_AddNumberToObject(doc, "load", board_load());
    double hottest = board_temperature_c();
    if (!isnan(hottest))
        cJSON_AddNumberToObject(doc, "temperature_c", hottest);
    sysfs_line(sysfs, "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", text, sizeof(text));
    if (text[0])
        cJSON_AddNumberToObject(doc, "frequency_khz", atof(text));
    board_governor(0, text, sizeof(text));
    cJSON_AddStringToObject(doc, "governor", text);
    return doc;
}
