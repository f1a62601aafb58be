/* Takes deliveries of webhooks from the store when they are due, has them sent, and stores what
 * came of it: one at a time of each webhook. Nothing of it is in memory alone: a delivery whose
 * outcome was not stored is sent again after a restart; until then storing it is tried again.
 * Loop's thread. */
#pragma once

#include "base/error.h"

struct daemon;
struct webhooks;

/* daemon (borrowed) has its loop, store and options. Begins at once. Errors: ESP_ENOMEM. */
int webhooks_create(struct daemon *daemon, struct err *err, struct webhooks **ret_webhooks);
/* There may be something to send: call it on STORE_WAKE_WEBHOOKS. Takes NULL. */
void webhooks_wake(struct webhooks *webhooks);
/* Ends what is under way. Must come before store_close; freed by the loop. Takes NULL. */
void webhooks_close(struct webhooks *webhooks);
