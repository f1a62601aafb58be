#include "daemon/loop_watch.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"

enum { BUCKETS = 7 };

static const double bucket_s[BUCKETS] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.1, 1};

struct loop_watch {
    uv_prepare_t prepare;       /* runs before each wait */
    uint64_t ended_ns, idle_ns; /* when the turn before ended; what the loop had waited by then */
    uint64_t buckets[BUCKETS], n;
    double seconds, longest_s;
};

static void on_prepare(uv_prepare_t *prepare) {
    struct loop_watch *watch = prepare->data;
    uint64_t now_ns = uv_hrtime(), idle_ns = uv_metrics_idle_time(prepare->loop);
    double busy_s = (double)(now_ns - watch->ended_ns - (idle_ns - watch->idle_ns)) / 1e9;
    watch->ended_ns = now_ns;
    watch->idle_ns = idle_ns;
    watch->n++;
    watch->seconds += busy_s;
    if (busy_s > watch->longest_s)
        watch->longest_s = busy_s;
    for (int i = 0; i < BUCKETS; i++)
        watch->buckets[i] += busy_s <= bucket_s[i];
}

int loop_watch_create(uv_loop_t *loop, struct err *err, struct loop_watch **ret_watch) {
    struct loop_watch *watch = mem_array(1, sizeof(*watch));
    if (watch == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    uv_prepare_init(loop, &watch->prepare);
    watch->prepare.data = watch;
    watch->ended_ns = uv_hrtime();
    watch->idle_ns = uv_metrics_idle_time(loop);
    uv_prepare_start(&watch->prepare, on_prepare);
    uv_unref((uv_handle_t *)&watch->prepare); /* nothing waits for it */
    *ret_watch = watch;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void loop_watch_destroy(struct loop_watch *watch) {
    if (watch != NULL)
        uv_close((uv_handle_t *)&watch->prepare, on_closed);
}

void loop_watch_print(const struct loop_watch *watch, struct buf *out) {
    static const char turns[] = "espalier_loop_turn_seconds",
                      longest[] = "espalier_loop_longest_turn_seconds";
    buf_printf(out,
               "# HELP %s Time that the event loop was busy from one wait to the next.\n"
               "# TYPE %s histogram\n",
               turns, turns);
    for (int i = 0; i < BUCKETS; i++)
        buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", turns, bucket_s[i],
                   (unsigned long long)watch->buckets[i]);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", turns,
               (unsigned long long)watch->n, turns, watch->seconds, turns,
               (unsigned long long)watch->n);
    buf_printf(out,
               "# HELP %s The longest of them since the daemon's start.\n# TYPE %s gauge\n"
               "%s %.6f\n",
               longest, longest, longest, watch->longest_s);
}
