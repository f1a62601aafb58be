/* The daemon's certificate and key, for HTTPS. */
#pragma once

#include "base/error.h"

enum { WEB_TLS_PIN = 64 };

struct web_tls {
    char *cert, *key;      /* PEM; cert may hold a chain, the server's own first */
    char pin[WEB_TLS_PIN]; /* "sha256//…" of the public key, as curl's --pinnedpubkey takes it */
};

/* Reads both files (at most 1 MiB each) and checks that they belong together: ESP_ECORRUPT.
 * Errors of file_read, ESP_ENOMEM. The caller destroys *ret_tls. */
int web_tls_read(const char *cert_path, const char *key_path, struct err *err,
                 struct web_tls **ret_tls);
void web_tls_destroy(struct web_tls *tls); /* takes NULL; wipes the key */
