/* Signatures of webhooks, by the rules of Standard Webhooks (github.com/standard-webhooks,
 * version 1): HMAC-SHA256 over "id.timestamp.body", so that receivers verify with any library of
 * theirs. Pure but for the secret's randomness; needs sodium_init(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { WEBHOOK_SECRET_MAX = 64, WEBHOOK_SIGNATURE_MAX = 64 };

/* A new secret: "whsec_" and the base64 of 32 random bytes. */
void webhook_secret_make(char ret_secret[WEBHOOK_SECRET_MAX]);

struct webhook_message {
    const char *id;      /* of the delivery, without '.' */
    int64_t timestamp_s; /* of the attempt, since the epoch */
    const char *body;
    size_t len; /* bytes of body */
};
/* "v1," and the base64 of the code. ESP_EINVAL: secret is none (24 to 64 bytes as base64 behind
 * "whsec_"). */
int webhook_sign(const char *secret, const struct webhook_message *message,
                 char ret_signature[WEBHOOK_SIGNATURE_MAX]);
