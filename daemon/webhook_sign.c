#include "daemon/webhook_sign.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { KEY_BYTES = 32, KEY_BYTES_MIN = 24, KEY_BYTES_MAX = 64 };

static const char prefix[] = "whsec_", version[] = "v1,";

void webhook_secret_make(char ret_secret[WEBHOOK_SECRET_MAX]) {
    unsigned char key[KEY_BYTES];
    randombytes_buf(key, sizeof(key));
    memcpy(ret_secret, prefix, sizeof(prefix));
    sodium_bin2base64(ret_secret + strlen(prefix), WEBHOOK_SECRET_MAX - strlen(prefix), key,
                      sizeof(key), sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(key, sizeof(key));
}

static void update(crypto_auth_hmacsha256_state *state, const void *data, size_t len) {
    crypto_auth_hmacsha256_update(state, data, len);
}

int webhook_sign(const char *secret, const struct webhook_message *message,
                 char ret_signature[WEBHOOK_SIGNATURE_MAX]) {
    unsigned char key[KEY_BYTES_MAX], code[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    char time[24];
    size_t key_len = 0;
    size_t head = strlen(prefix);
    if (strncmp(secret, prefix, head) != 0 ||
        sodium_base642bin(key, sizeof(key), secret + head, strlen(secret) - head, NULL, &key_len,
                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        key_len < KEY_BYTES_MIN)
        return ESP_EINVAL;
    int time_len = snprintf(time, sizeof(time), ".%lld.", (long long)message->timestamp_s);
    crypto_auth_hmacsha256_init(&state, key, key_len);
    update(&state, message->id, strlen(message->id));
    update(&state, time, (size_t)time_len);
    update(&state, message->body, message->len);
    crypto_auth_hmacsha256_final(&state, code);
    sodium_memzero(key, sizeof(key));
    sodium_memzero(&state, sizeof(state));
    memcpy(ret_signature, version, sizeof(version));
    sodium_bin2base64(ret_signature + strlen(version), WEBHOOK_SIGNATURE_MAX - strlen(version),
                      code, sizeof(code), sodium_base64_VARIANT_ORIGINAL);
    return 0;
}
