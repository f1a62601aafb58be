#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum { SHORT_BYTES = 16, LONG_BYTES = 32, TOKEN_BYTES = 32, FILE_STEP = 64 << 10 };

static_assert(sizeof(crypto_generichash_state) <= sizeof(struct hash),
              "room for libsodium's state");
static_assert(crypto_hash_sha256_BYTES == LONG_BYTES, "hex digits");
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

void hash_sha256(const void *data, size_t len, char ret_text[HASH_TEXT_LONG]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    ready();
    crypto_hash_sha256(digest, data, len);
    sodium_bin2hex(ret_text, HASH_TEXT_LONG, digest, sizeof(digest));
}

int hash_sha256_file(int fd, uint64_t size, char ret_text[HASH_TEXT_LONG]) {
    unsigned char digest[crypto_hash_sha256_BYTES], bytes[FILE_STEP];
    crypto_hash_sha256_state state;
    ready();
    crypto_hash_sha256_init(&state);
    for (uint64_t at = 0; at < size;) {
        size_t wanted = size - at < sizeof(bytes) ? (size_t)(size - at) : sizeof(bytes);
        errno = 0;
        ssize_t n = pread(fd, bytes, wanted, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ESP_EIO;
        crypto_hash_sha256_update(&state, bytes, (size_t)n);
        at += (uint64_t)n;
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(ret_text, HASH_TEXT_LONG, digest, sizeof(digest));
    return 0;
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
