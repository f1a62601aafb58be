#include "web/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { PEM_MAX = 1 << 20, DIGEST_BYTES = 32 };

static gnutls_datum_t datum(char *text) {
    return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

/* gnutls compares the certificate's public key with the private one. */
static int check_pair(const struct web_tls *tls, struct err *err) {
    gnutls_certificate_credentials_t credentials;
    gnutls_datum_t cert = datum(tls->cert), key = datum(tls->key);
    if (gnutls_certificate_allocate_credentials(&credentials) < 0)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    return r >= 0 ? 0
                  : err_set(err, ESP_ECORRUPT, NULL, "the certificate and key cannot be used: %s",
                            gnutls_strerror(r));
}

static int encode_pin(const gnutls_datum_t *public_key, char ret_pin[WEB_TLS_PIN]) {
    unsigned char digest[DIGEST_BYTES];
    const gnutls_datum_t bytes = {digest, sizeof(digest)};
    gnutls_datum_t text = {NULL, 0};
    int r = gnutls_hash_fast(GNUTLS_DIG_SHA256, public_key->data, public_key->size, digest);
    if (r >= 0)
        r = gnutls_base64_encode2(&bytes, &text);
    if (r >= 0)
        snprintf(ret_pin, WEB_TLS_PIN, "sha256//%.*s", (int)text.size, (const char *)text.data);
    gnutls_free(text.data);
    return r;
}

static int take_pin(struct web_tls *tls, struct err *err) {
    gnutls_x509_crt_t cert = NULL;
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t text = datum(tls->cert), der = {NULL, 0};
    int r = gnutls_x509_crt_init(&cert);
    if (r >= 0)
        r = gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM);
    if (r >= 0)
        r = gnutls_pubkey_init(&key);
    if (r >= 0)
        r = gnutls_pubkey_import_x509(key, cert, 0);
    if (r >= 0)
        r = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
    if (r >= 0)
        r = encode_pin(&der, tls->pin);
    gnutls_free(der.data);
    if (key != NULL)
        gnutls_pubkey_deinit(key);
    if (cert != NULL)
        gnutls_x509_crt_deinit(cert);
    return r >= 0 ? 0
                  : err_set(err, ESP_ECORRUPT, NULL, "the certificate cannot be read: %s",
                            gnutls_strerror(r));
}

int web_tls_read(const char *cert_path, const char *key_path, struct err *err,
                 struct web_tls **ret_tls) {
    struct web_tls *tls = mem_array(1, sizeof(*tls));
    size_t len;
    if (tls == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = file_read(cert_path, PEM_MAX, err, &tls->cert, &len);
    if (r == 0)
        r = file_read(key_path, PEM_MAX, err, &tls->key, &len);
    if (r == 0)
        r = check_pair(tls, err);
    if (r == 0)
        r = take_pin(tls, err);
    if (r != 0) {
        web_tls_destroy(tls);
        return r;
    }
    *ret_tls = tls;
    return 0;
}

void web_tls_destroy(struct web_tls *tls) {
    if (tls == NULL)
        return;
    if (tls->key != NULL)
        explicit_bzero(tls->key, strlen(tls->key));
    free(tls->cert);
    free(tls->key);
    free(tls);
}
