#include "daemon/webhook_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64, MAPPED_BITS = 96 };

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b}; /* 64:ff9b::/96, RFC 6052 */

static const struct special {
    const char *range, *what;
} specials[] = {
    {"0.0.0.0/8", "an address of \"this network\""},
    {"10.0.0.0/8", "a private address"},
    {"100.64.0.0/10", "an address shared behind a carrier's NAT"},
    {"127.0.0.0/8", "a loopback address"},
    {"169.254.0.0/16", "a link-local address"},
    {"172.16.0.0/12", "a private address"},
    {"192.0.0.0/24", "an address for protocols"},
    {"192.0.2.0/24", "an address for documentation"},
    {"192.88.99.0/24", "an address of 6to4 relays"},
    {"192.168.0.0/16", "a private address"},
    {"198.18.0.0/15", "an address for benchmarks"},
    {"198.51.100.0/24", "an address for documentation"},
    {"203.0.113.0/24", "an address for documentation"},
    {"224.0.0.0/4", "a multicast address"},
    {"240.0.0.0/4", "a reserved or broadcast address"},
    {"::", "the unspecified address"},
    {"::1", "a loopback address"},
    {"fc00::/7", "a private address"},
    {"fe80::/10", "a link-local address"},
    {"fec0::/10", "a site-local address"},
    {"ff00::/8", "a multicast address"},
    {"2001::/23", "an address for protocols"}, /* Teredo, ORCHID and others */
    {"2001:db8::/32", "an address for documentation"},
    {"2002::/16", "a 6to4 address"}, /* names an IPv4 address, whichever */
    {"3fff::/20", "an address for documentation"},
};
static const char unicast[] = "2000::/3", ipv4[] = "::ffff:0:0/96";

static bool parse_address(const char *text, unsigned char ret[16], int *ret_prefix) {
    memcpy(ret, mapped, sizeof(mapped));
    *ret_prefix = MAPPED_BITS;
    if (inet_pton(AF_INET, text, ret + sizeof(mapped)) == 1)
        return true;
    *ret_prefix = 0;
    return inet_pton(AF_INET6, text, ret) == 1;
}

static bool bit_at(const unsigned char address[16], int bit) {
    return (address[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

static int parse_range(const char *text, struct err *err, struct webhook_range *ret) {
    struct webhook_range range;
    char address[TEXT_MAX];
    const char *slash = strchr(text, '/');
    char *end = NULL;
    int before = 0;
    snprintf(address, sizeof(address), "%.*s",
             slash != NULL ? (int)(slash - text) : (int)strlen(text), text);
    if (!parse_address(address, range.address, &before))
        return err_set(err, ESP_EINVAL, NULL,
                       "\"%.64s\" is no range of addresses, such as 10.0.0.0/8 or fd00::/8", text);
    long bits = slash != NULL ? strtol(slash + 1, &end, 10) : 128 - before;
    if (slash != NULL && (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > 128 - before))
        return err_set(err, ESP_EINVAL, NULL, "\"%.64s\": a prefix has 0 to %d bits", text,
                       128 - before);
    range.bits = before + (int)bits;
    for (int bit = range.bits; bit < 128; bit++)
        if (bit_at(range.address, bit))
            return err_set(err, ESP_EINVAL, NULL,
                           "\"%.64s\": there are bits behind the prefix that are not 0", text);
    *ret = range;
    return 0;
}

int webhook_ranges_parse(const char *text, struct err *err, struct webhook_ranges *ret) {
    struct webhook_ranges list = {.n = 0};
    char item[TEXT_MAX + 8];
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        snprintf(item, sizeof(item), "%.*s", (int)len, text);
        text += len + (text[len] == ',');
        if (list.n == WEBHOOK_RANGES_MAX)
            return err_set(err, ESP_ELIMIT, NULL, "more than %d ranges of addresses",
                           WEBHOOK_RANGES_MAX);
        int r = parse_range(item, err, &list.ranges[list.n]);
        if (r != 0)
            return r;
        list.n++;
    }
    *ret = list;
    return 0;
}

static bool within(const unsigned char address[16], const struct webhook_range *range) {
    for (int bit = 0; bit < range->bits; bit++)
        if (bit_at(address, bit) != bit_at(range->address, bit))
            return false;
    return true;
}

static bool within_text(const unsigned char address[16], const char *text) {
    struct webhook_range range;
    return parse_range(text, NULL, &range) == 0 && within(address, &range);
}

static const char *judge(const unsigned char address[16], const struct webhook_ranges *listed) {
    unsigned char inner[16];
    for (int i = 0; i < listed->n; i++)
        if (within(address, &listed->ranges[i]))
            return NULL;
    for (size_t i = 0; i < sizeof(specials) / sizeof(*specials); i++)
        if (within_text(address, specials[i].range))
            return specials[i].what;
    if (memcmp(address, nat64, sizeof(nat64)) == 0) {
        memcpy(inner, mapped, sizeof(mapped));
        memcpy(inner + sizeof(mapped), address + sizeof(nat64), 4);
        return judge(inner, listed);
    }
    return within_text(address, ipv4) || within_text(address, unicast)
               ? NULL
               : "an address that is not public";
}

const char *webhook_address_refusal(const struct sockaddr *address,
                                    const struct webhook_ranges *listed) {
    unsigned char bytes[16];
    if (address->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof(mapped));
        memcpy(bytes + sizeof(mapped), &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6)
        memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof(bytes));
    else
        return "no address of the internet";
    return judge(bytes, listed);
}

const char *webhook_host_refusal(const char *host, const struct webhook_ranges *listed) {
    unsigned char bytes[16];
    char text[TEXT_MAX];
    int before = 0;
    size_t len = strlen(host);
    bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
    snprintf(text, sizeof(text), "%.*s", (int)(brackets ? len - 2 : len),
             brackets ? host + 1 : host);
    text[strcspn(text, "%")] = '\0'; /* a zone changes nothing of what it is */
    return parse_address(text, bytes, &before) ? judge(bytes, listed) : NULL;
}
