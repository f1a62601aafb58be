/* Which addresses webhooks may be sent to: those that are reachable from everywhere, and ranges
 * that the operator lists. Pure. */
#pragma once

#include <sys/socket.h>

#include "base/error.h"

enum { WEBHOOK_RANGES_MAX = 64 };

struct webhook_range {
    unsigned char address[16]; /* IPv4 in its mapped form, ::ffff:a.b.c.d */
    int bits;                  /* of 128 */
};
struct webhook_ranges {
    int n;
    struct webhook_range ranges[WEBHOOK_RANGES_MAX];
};

/* Ranges as "10.0.0.0/8,fd00::/8,192.168.1.7", separated by commas; an address alone is a range of
 * one. Errors: ESP_EINVAL (also bits behind the prefix that are not 0), ESP_ELIMIT. */
int webhook_ranges_parse(const char *text, struct err *err, struct webhook_ranges *ret);

/* NULL: a webhook may connect to this address; else what it is, such as "a loopback address". An
 * IPv4 address in IPv6's clothes (mapped, or behind NAT64) is judged by what it stands for.
 * Source: the IANA registries of special-purpose addresses (RFC 6890 and what amends it). */
const char *webhook_address_refusal(const struct sockaddr *address,
                                    const struct webhook_ranges *listed);
/* The same of a URL's host when that is an address, "127.0.0.1" or "[::1]"; NULL for names, which
 * are judged when they are resolved. */
const char *webhook_host_refusal(const char *host, const struct webhook_ranges *listed);
