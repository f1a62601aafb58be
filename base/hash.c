#include "base/hash.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_BYTES = 16, LONG_BYTES = 32, TOKEN_BYTES = 32 };

static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hash),
              "room for libsodium's state");
static_assert(2 * SHORT_BYTES + 1 == HASH_TEXT && 2 * LONG_BYTES + 1 == HASH_TEXT_LONG,
              "hex digits");

/* Cheap after the first call; without it libsodium keeps to its slow portable code. */
static void ready(void) {
    if (sodium_init() < 0)
        abort();
}

void hash_text(const void *data, size_t len, char ret_text[HASH_TEXT]) {
    unsigned char digest[SHORT_BYTES];
    ready();
    crypto_generichash(digest, sizeof(digest), data, len, NULL, 0);
    sodium_bin2hex(ret_text, HASH_TEXT, digest, sizeof(digest));
}

void hash_text_long(const void *data, size_t len, char ret_text[HASH_TEXT_LONG]) {
    unsigned char digest[LONG_BYTES];
    ready();
    crypto_generichash(digest, sizeof(digest), data, len, NULL, 0);
    sodium_bin2hex(ret_text, HASH_TEXT_LONG, digest, sizeof(digest));
}

void hash_init(struct hash *hash) {
    ready();
    crypto_generichash_init((crypto_generichash_state *)hash->state, NULL, 0, LONG_BYTES);
}

void hash_update(struct hash *hash, const void *data, size_t len) {
    crypto_generichash_update((crypto_generichash_state *)hash->state, data, len);
}

void hash_final(struct hash *hash, char ret_text[HASH_TEXT_LONG]) {
    unsigned char digest[LONG_BYTES];
    crypto_generichash_final((crypto_generichash_state *)hash->state, digest, sizeof(digest));
    sodium_bin2hex(ret_text, HASH_TEXT_LONG, digest, sizeof(digest));
}

void hash_random_token(const char *prefix, char *text, size_t size) {
    const int variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    unsigned char secret[TOKEN_BYTES];
    size_t len = strlen(prefix);
    assert(size >= len + sodium_base64_ENCODED_LEN(TOKEN_BYTES, variant));
    ready();
    randombytes_buf(secret, sizeof(secret));
    memcpy(text, prefix, len);
    sodium_bin2base64(text + len, size - len, secret, sizeof(secret), variant);
    sodium_memzero(secret, sizeof(secret));
}
