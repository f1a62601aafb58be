/* Sends webhooks: a thread of its own with libcurl, so that neither names that resolve slowly nor
 * receivers that answer slowly hold up the loop or each other. It knows HTTP and which addresses
 * are allowed, no SQL and no retries. No redirects, no proxies, http and https only; of an answer
 * nothing but its status is kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/webhook_address.h"

struct webhook_sender;

/* One attempt. Kept by its caller, with all that it borrows, until done was called on the loop. */
struct webhook_post {
    const char *url, *id, *secret, *body; /* borrowed; id: header webhook-id */
    void (*done)(struct webhook_post *post);
    void *context;

    /* Results. */
    int status;            /* of the answer; 0: there was none */
    char error[256];       /* why it did not arrive; "" with a status of 2xx */
    int retry_after_s;     /* as the answer asked, at most an hour; 0: it did not */
    int64_t duration_us;   /* of the attempt */
    bool ended_by_closing; /* nothing is known of it: the daemon stops */

    struct webhook_post *next;
};

struct webhook_sender_options {
    const struct webhook_ranges *listed; /* borrowed */
    int64_t timeout_ms;                  /* of an attempt, from the look-up of the name on */
};
/* Errors: ESP_ENOMEM. Loop's thread, as all below. */
int webhook_sender_create(uv_loop_t *loop, const struct webhook_sender_options *options,
                          struct err *err, struct webhook_sender **ret_sender);
void webhook_sender_post(struct webhook_sender *sender, struct webhook_post *post);
/* Ends what is under way, calls done for it, and is freed when the loop has run its closing
 * callback. Takes NULL. */
void webhook_sender_close(struct webhook_sender *sender);
