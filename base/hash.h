/* BLAKE2b (libsodium) for identities and checksums; SHA-256 for what sha256sum elsewhere checks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HASH_TEXT 33      /* 32 hex digits (128 bits) and NUL */
#define HASH_TEXT_LONG 65 /* 64 hex digits (256 bits) and NUL */

void hash_text(const void *data, size_t len, char ret_text[HASH_TEXT]);
void hash_text_long(const void *data, size_t len, char ret_text[HASH_TEXT_LONG]);
/* Streaming, 256 bits. */
struct hash {
    unsigned char state[512] __attribute__((aligned(64)));
};
void hash_init(struct hash *hash);
void hash_update(struct hash *hash, const void *data, size_t len);
void hash_final(struct hash *hash, char ret_text[HASH_TEXT_LONG]);
/* SHA-256. */
void hash_sha256(const void *data, size_t len, char ret_text[HASH_TEXT_LONG]);
/* Of a file's first size bytes, wherever its offset stands. ESP_EIO: it cannot be read or is
 * shorter (errno is 0 then). */
int hash_sha256_file(int fd, uint64_t size, char ret_text[HASH_TEXT_LONG]);
/* A new random secret: prefix + 43 base64url characters. size >= strlen(prefix) + 44. */
void hash_random_token(const char *prefix, char *text, size_t size);
