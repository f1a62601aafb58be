#include "daemon/webhooks.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/daemon.h"
#include "daemon/store.h"
#include "daemon/store_webhooks.h"
#include "daemon/webhook_sender.h"

enum { TROUBLE_MS = 5000, SLEEP_MAX_MS = 3600 * 1000 };

/* A delivery under way, from its start until its outcome is stored: as long as that cannot be, it
 * is not sent again. */
struct sending {
    struct store_call call;
    struct webhook_post post;
    struct webhooks *webhooks;
    cJSON *row; /* of store_webhooks_due; post borrows from it */
    bool disabled;
    bool unstored; /* its outcome is known and could not be written; no call is under way */
    bool told;     /* of that, in the log */
    struct sending *next;
};

struct webhooks {
    struct daemon *daemon;
    struct webhook_sender *sender;
    uv_timer_t timer;
    struct sending *sendings;
    bool reading, again, closing, closed;
};

struct due_read {
    struct store_read read;
    struct webhooks *webhooks;
    cJSON *rows;
};

static const char *text(const cJSON *row, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

static bool under_way(const struct webhooks *webhooks, const char *webhook) {
    for (const struct sending *s = webhooks->sendings; s != NULL; s = s->next)
        if (strcmp(text(s->row, "webhook"), webhook) == 0)
            return true;
    return false;
}

static void free_when_idle(struct webhooks *webhooks) {
    if (webhooks->closed && !webhooks->reading && webhooks->sendings == NULL)
        free(webhooks);
}

static void forget(struct sending *sending) {
    struct sending **at = &sending->webhooks->sendings;
    while (*at != sending)
        at = &(*at)->next;
    *at = sending->next;
    cJSON_Delete(sending->row);
    free(sending);
}

static void on_timer(uv_timer_t *timer) {
    webhooks_wake(timer->data);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static int write_outcome(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct sending *sending = (struct sending *)call;
    const struct webhook_post *post = &sending->post;
    const struct daemon *daemon = sending->webhooks->daemon;
    const struct webhook_outcome outcome = {.delivery = post->id,
                                            .url = post->url,
                                            .status = post->status,
                                            .error = post->error[0] != '\0' ? post->error : NULL,
                                            .duration_us = post->duration_us,
                                            .retry_after_s = post->retry_after_s};
    return store_webhook_outcome(tx, &daemon->webhook_rules, &outcome, err, &sending->disabled);
}

static void outcome_done(struct store_call *call, int code, const struct err *err) {
    struct sending *sending = (struct sending *)call;
    struct webhooks *webhooks = sending->webhooks;
    if (code != 0 && !sending->told)
        log_warn("the outcome of delivery %s could not be stored, which is tried again: %s",
                 sending->post.id, err->message);
    else if (code == 0 && sending->disabled)
        log_warn("webhook %s is disabled: %s", text(sending->row, "webhook"), sending->post.error);
    sending->unstored = sending->told = code != 0 && !webhooks->closing;
    if (!sending->unstored)
        forget(sending);
    if (webhooks->closing)
        free_when_idle(webhooks);
    else if (code != 0)
        uv_timer_start(&webhooks->timer, on_timer, TROUBLE_MS, 0);
    else
        webhooks_wake(webhooks);
}

static void store_outcome(struct sending *sending) {
    sending->unstored = false;
    sending->call = (struct store_call){.run = write_outcome, .done = outcome_done};
    store_write(sending->webhooks->daemon->store, &sending->call);
}

static void on_sent(struct webhook_post *post) {
    struct sending *sending = post->context;
    if (post->ended_by_closing) {
        forget(sending);
        return;
    }
    if (post->error[0] != '\0')
        log_info("delivery %s of webhook %s: %s", post->id, text(sending->row, "webhook"),
                 post->error);
    store_outcome(sending);
}

static void store_again(struct webhooks *webhooks) {
    for (struct sending *s = webhooks->sendings; s != NULL; s = s->next)
        if (s->unstored)
            store_outcome(s);
}

/* After a restart they are sent again. */
static void forget_unstored(struct webhooks *webhooks) {
    struct sending *next;
    for (struct sending *s = webhooks->sendings; s != NULL; s = next) {
        next = s->next;
        if (s->unstored)
            forget(s);
    }
}

static bool has_unstored(const struct webhooks *webhooks) {
    for (const struct sending *s = webhooks->sendings; s != NULL; s = s->next)
        if (s->unstored)
            return true;
    return false;
}

/* ---- what is due ----------------------------------------------------------------------------- */

/* Takes row. */
static void send_row(struct webhooks *webhooks, cJSON *row) {
    struct sending *sending = mem_array(1, sizeof(*sending));
    if (sending == NULL) {
        cJSON_Delete(row);
        return; /* it stays due */
    }
    *sending = (struct sending){.webhooks = webhooks, .row = row, .next = webhooks->sendings};
    sending->post = (struct webhook_post){.url = text(row, "url"),
                                          .id = text(row, "id"),
                                          .secret = text(row, "secret"),
                                          .body = text(row, "body"),
                                          .done = on_sent,
                                          .context = sending};
    webhooks->sendings = sending;
    webhook_sender_post(webhooks->sender, &sending->post);
}

/* Sends what is due of webhooks that have nothing under way; sleeps until the next. */
static void send_due(struct webhooks *webhooks, cJSON *rows) {
    int64_t now = clock_wall_us();
    int64_t sleep_ms = has_unstored(webhooks) ? TROUBLE_MS : SLEEP_MAX_MS;
    cJSON *row;
    while ((row = cJSON_DetachItemFromArray(rows, 0)) != NULL) {
        int64_t left_us = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "next_us")) - now;
        bool due = text(row, "body") != NULL;
        if (due && !under_way(webhooks, text(row, "webhook"))) {
            send_row(webhooks, row);
            continue;
        }
        if (!due && left_us / 1000 < sleep_ms)
            sleep_ms = left_us > 0 ? left_us / 1000 + 1 : 0;
        cJSON_Delete(row);
    }
    uv_timer_start(&webhooks->timer, on_timer, (uint64_t)sleep_ms, 0);
}

static int read_due(struct sql *sql, struct store_read *read, struct err *err) {
    return store_webhooks_due(sql, clock_wall_us(), err, &((struct due_read *)read)->rows);
}

static void due_done(struct store_read *read, int code, const struct err *err) {
    struct due_read *due = (struct due_read *)read;
    struct webhooks *webhooks = due->webhooks;
    bool again = webhooks->again;
    webhooks->reading = webhooks->again = false;
    if (code != 0)
        log_warn("deliveries of webhooks cannot be read: %s", err->message);
    if (webhooks->closing)
        free_when_idle(webhooks);
    else if (code != 0)
        uv_timer_start(&webhooks->timer, on_timer, TROUBLE_MS, 0);
    else if (again) /* what was read may have been sent meanwhile */
        webhooks_wake(webhooks);
    else
        send_due(webhooks, due->rows);
    cJSON_Delete(due->rows);
    free(due);
}

void webhooks_wake(struct webhooks *webhooks) {
    if (webhooks == NULL || webhooks->closing)
        return;
    store_again(webhooks);
    webhooks->again = webhooks->reading;
    if (webhooks->reading)
        return;
    struct due_read *due = mem_array(1, sizeof(*due));
    if (due == NULL) {
        uv_timer_start(&webhooks->timer, on_timer, TROUBLE_MS, 0);
        return;
    }
    due->read = (struct store_read){.run = read_due, .done = due_done};
    due->webhooks = webhooks;
    webhooks->reading = true;
    store_read(webhooks->daemon->store, &due->read);
}

/* ---- start and end --------------------------------------------------------------------------- */

int webhooks_create(struct daemon *daemon, struct err *err, struct webhooks **ret_webhooks) {
    const struct webhook_sender_options options = {.listed = &daemon->webhook_ranges,
                                                   .timeout_ms = daemon->webhook_timeout_us / 1000};
    struct webhooks *webhooks = mem_array(1, sizeof(*webhooks));
    if (webhooks == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    webhooks->daemon = daemon;
    int r = webhook_sender_create(&daemon->loop, &options, err, &webhooks->sender);
    if (r != 0) {
        free(webhooks);
        return r;
    }
    uv_timer_init(&daemon->loop, &webhooks->timer);
    webhooks->timer.data = webhooks;
    *ret_webhooks = webhooks;
    webhooks_wake(webhooks);
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct webhooks *webhooks = handle->data;
    webhooks->closed = true;
    free_when_idle(webhooks);
}

void webhooks_close(struct webhooks *webhooks) {
    if (webhooks == NULL)
        return;
    webhooks->closing = true;
    forget_unstored(webhooks);
    webhook_sender_close(webhooks->sender);
    uv_close((uv_handle_t *)&webhooks->timer, on_closed);
}
