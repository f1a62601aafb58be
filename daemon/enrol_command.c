#include "daemon/enrol_command.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/buf.h"
#include "daemon/daemon.h"
#include "web/guard.h"
#include "web/web.h"

static const char *host_of(const char *address) {
    const char *slashes = strstr(address, "://");
    return slashes != NULL ? slashes + 3 : address;
}

static bool is_plain(const char *host) {
    return host[0] != '\0' && strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "0123456789.:-[]") == strlen(host);
}

static int take_asked(const char *asked, struct err *err, char ret_address[ENROL_ADDRESS_MAX]) {
    const char *host = host_of(asked);
    bool http = strncmp(asked, "http://", 7) == 0, https = strncmp(asked, "https://", 8) == 0;
    if ((!http && !https) || !is_plain(host) || strlen(asked) >= ENROL_ADDRESS_MAX)
        return err_set(err, ESP_EINVAL, "/address",
                       "the address is http:// or https://, a name or number, and a port, "
                       "without a path");
    snprintf(ret_address, ENROL_ADDRESS_MAX, "%s", asked);
    return 0;
}

/* IPv4 before IPv6, in the system's order. */
static bool own_address(int family, char *text, size_t size) {
    uv_interface_address_t *list = NULL;
    int n = 0;
    bool found = false;
    if (uv_interface_addresses(&list, &n) != 0)
        return false;
    for (int i = 0; i < n && !found; i++) {
        const struct sockaddr_in6 *v6 = &list[i].address.address6;
        found = !list[i].is_internal && list[i].address.address4.sin_family == family &&
                (family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr));
        if (found && family == AF_INET)
            uv_ip4_name(&list[i].address.address4, text, size);
        else if (found)
            uv_ip6_name(v6, text, size);
    }
    uv_free_interface_addresses(list, n);
    return found;
}

static bool is_any(const char *address) {
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

/* This machine as others see it; false: it is not seen. */
static bool guess_host(const struct daemon *daemon, char *host, size_t size) {
    char text[INET6_ADDRSTRLEN] = "";
    if (daemon->address == NULL || web_is_loopback_address(daemon->address))
        return false;
    if (!is_any(daemon->address))
        snprintf(text, sizeof(text), "%s", daemon->address);
    else if (!own_address(AF_INET, text, sizeof(text)) &&
             (strcmp(daemon->address, "::") != 0 || !own_address(AF_INET6, text, sizeof(text))))
        return false;
    bool v6 = strchr(text, ':') != NULL;
    snprintf(host, size, "%s%s%s:%d", v6 ? "[" : "", text, v6 ? "]" : "", web_port(daemon->web));
    return true;
}

int enrol_address(const struct daemon *daemon, const char *asked, const char *host, struct err *err,
                  char ret_address[ENROL_ADDRESS_MAX]) {
    char guess[ENROL_ADDRESS_MAX - 10];
    if (asked != NULL)
        return take_asked(asked, err, ret_address);
    if (!guard_host_is_loopback(host) || !guess_host(daemon, guess, sizeof(guess)))
        snprintf(guess, sizeof(guess), "%s", is_plain(host) ? host : "127.0.0.1");
    snprintf(ret_address, ENROL_ADDRESS_MAX, "http%s://%s", daemon->tls != NULL ? "s" : "", guess);
    return 0;
}

static bool is_insecure(const char *address) {
    return strncmp(address, "http://", 7) == 0 && !guard_host_is_loopback(host_of(address));
}

/* What the worker is told by its environment, but for the token. */
static void print_trust(const struct enrol_command *c, struct buf *out) {
    if (is_insecure(c->address))
        buf_puts(out, "ESPALIER_INSECURE_LAN=1 ");
    if (c->pin != NULL)
        buf_printf(out, "ESPALIER_PINNED_KEY=%s ", c->pin);
}

/* What is fetched is checked by its digest, so the certificate need not be. */
static void print_installer(const struct enrol_command *c, struct buf *out) {
    bool tls = strncmp(c->address, "https://", 8) == 0;
    buf_printf(out,
               "u='%s/api/v1/worker-builds/install.sh?enrolment=%s'; "
               "i=\"$(command -v curl >/dev/null && curl -sS%s -m 60 \"$u\" || wget %s-qO- "
               "\"$u\")\"; "
               "if printf '%%s\\n' \"$i\" | sha256sum | grep -q ^%s; then "
               "ESPALIER_INSTALLER=\"$u\" ",
               c->address, c->ticket, tls ? "k" : "", tls ? "--no-check-certificate " : "",
               c->installer_sha256);
    print_trust(c, out);
    buf_printf(out,
               "ESPALIER_ENROL_TOKEN=%s sh -c \"$i\" espalier%s; "
               "else printf 'espalier: nothing was started. Is the token used up or expired? This "
               "came instead of the installer: %%.400s\\n' \"$i\" >&2; false; fi",
               c->token, c->service ? " --service" : "");
}

void enrol_command_print(const struct enrol_command *c, struct buf *out) {
    if (c->installer_sha256 != NULL) {
        print_installer(c, out);
        return;
    }
    print_trust(c, out);
    buf_printf(out, "ESPALIER_ENROL_TOKEN=%s espalier-worker --daemon %s", c->token, c->address);
}

static void add_notice(struct enrol_notices *notices, const char *text) {
    if (notices->n < ENROL_NOTICES_MAX)
        snprintf(notices->text[notices->n++], sizeof(notices->text[0]), "%s", text);
}

void enrol_notices(const struct daemon *daemon, const struct enrol_command *command,
                   struct enrol_notices *ret_notices) {
    struct enrol_notices notices = {.n = 0};
    if (command->installer_sha256 == NULL)
        add_notice(&notices,
                   "This daemon carries no workers for boards, so espalier-worker must be "
                   "on the board already; scripts/worker-tarball makes what it can carry "
                   "(docs/BOARDS.md)");
    if (guard_host_is_loopback(host_of(command->address)))
        add_notice(&notices,
                   daemon->address == NULL || web_is_loopback_address(daemon->address)
                       ? "The daemon listens on its own machine only: the command works there; for "
                         "other boards start espalierd with --listen"
                       : "The command is for the daemon's own machine; name what other boards dial "
                         "by --address");
    *ret_notices = notices;
}
