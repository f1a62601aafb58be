#include "daemon/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"

enum { SERIES_MAX = 512, BUCKETS = 7 };

static const double bucket_s[BUCKETS] = {0.001, 0.005, 0.02, 0.1, 0.5, 2, 10};

struct series {
    const char *method, *path; /* of the route: static */
    int status;
    uint64_t count;
};

/* Labels are route patterns, never ids: their number is bounded by the program. */
struct metrics {
    struct series series[SERIES_MAX];
    int n_series;
    uint64_t buckets[BUCKETS + 1], n;
    double seconds;
};

struct metrics *metrics_create(void) {
    return mem_array(1, sizeof(struct metrics));
}

void metrics_destroy(struct metrics *metrics) {
    free(metrics);
}

static struct series *find_series(struct metrics *metrics, const char *method, const char *path,
                                  int status) {
    for (int i = 0; i < metrics->n_series; i++) {
        struct series *series = &metrics->series[i];
        if (series->path == path && series->method == method && series->status == status)
            return series;
    }
    if (metrics->n_series == SERIES_MAX)
        return NULL;
    struct series *series = &metrics->series[metrics->n_series++];
    *series = (struct series){.method = method, .path = path, .status = status};
    return series;
}

void metrics_request(struct metrics *metrics, const struct web_route *route, int status,
                     int64_t duration_us) {
    static const char none[] = "none", other[] = "other";
    struct series *series = find_series(metrics, route != NULL ? route->method : none,
                                        route != NULL ? route->path : other, status);
    if (series != NULL)
        series->count++;
    if (route != NULL && (route->flags & WEB_STREAM) != 0)
        return; /* how long a stream or a long poll lasts says nothing */
    double seconds = (double)duration_us / 1e6;
    int bucket = 0;
    while (bucket < BUCKETS && seconds > bucket_s[bucket])
        bucket++;
    metrics->buckets[bucket]++;
    metrics->n++;
    metrics->seconds += seconds;
}

static void print_head(struct buf *out, const struct metrics_family *family) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
               family->type);
}

void metrics_print_requests(const struct metrics *metrics, struct buf *out) {
    static const struct metrics_family requests = {"espalier_http_requests_total", "counter",
                                                   "HTTP requests answered."};
    static const struct metrics_family durations = {
        "espalier_http_request_duration_seconds", "histogram", "Time to answer, streams left out."};
    print_head(out, &requests);
    for (int i = 0; i < metrics->n_series; i++) {
        const struct series *series = &metrics->series[i];
        buf_printf(out, "%s{method=\"%s\",route=\"%s\",code=\"%d\"} %llu\n", requests.name,
                   series->method, series->path, series->status, (unsigned long long)series->count);
    }
    print_head(out, &durations);
    uint64_t below = 0;
    for (int i = 0; i < BUCKETS; i++) {
        below += metrics->buckets[i];
        buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", durations.name, bucket_s[i],
                   (unsigned long long)below);
    }
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", durations.name,
               (unsigned long long)metrics->n, durations.name, metrics->seconds, durations.name,
               (unsigned long long)metrics->n);
}

void metrics_print_number(struct buf *out, const struct metrics_family *family, double value) {
    print_head(out, family);
    buf_printf(out, "%s %.17g\n", family->name, value);
}

static double resident_bytes(void) {
    long long whole = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%lld %lld", &whole, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    int n = -3; /* ".", ".." and the folder itself */
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

void metrics_print_process(struct buf *out, int64_t started_us) {
    static const struct metrics_family cpu = {"process_cpu_seconds_total", "counter",
                                              "Processor time, of the daemon without its jobs."};
    static const struct metrics_family memory = {"process_resident_memory_bytes", "gauge",
                                                 "Resident memory."};
    static const struct metrics_family files = {"process_open_fds", "gauge",
                                                "Open file descriptors."};
    static const struct metrics_family start = {"process_start_time_seconds", "gauge",
                                                "When the daemon was started, since 1970."};
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        metrics_print_number(out, &cpu,
                             (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    metrics_print_number(out, &memory, resident_bytes());
    metrics_print_number(out, &files, open_files());
    metrics_print_number(out, &start, (double)started_us / 1e6);
}

void metrics_print_family(struct buf *out, const struct metrics_family *family, const cJSON *rows) {
    const cJSON *row;
    print_head(out, family);
    cJSON_ArrayForEach(row, rows) {
        const char *labels = cJSON_GetStringValue(cJSON_GetObjectItem(row, "labels"));
        buf_printf(out, "%s%s%s%s %.17g\n", family->name, labels != NULL ? "{" : "",
                   labels != NULL ? labels : "", labels != NULL ? "}" : "",
                   cJSON_GetNumberValue(cJSON_GetObjectItem(row, "value")));
    }
}
