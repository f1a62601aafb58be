/* The one line that is pasted on a board, to make it one of the daemon's. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct buf;
struct daemon;

enum { ENROL_ADDRESS_MAX = 300, ENROL_NOTICES_MAX = 3 };

/* What is said beside the command, each a sentence. */
struct enrol_notices {
    int n;
    char text[ENROL_NOTICES_MAX][256];
};

/* What the board is to dial: asked ("http://HOST[:PORT]" or https), else how the client named the
 * daemon (host), else, when that is loopback and the daemon listens beyond it, this machine's first
 * address. Only letters, digits and ".:-[]" come through: a shell reads it. ESP_EINVAL with pointer
 * /address. */
int enrol_address(const struct daemon *daemon, const char *asked, const char *host, struct err *err,
                  char ret_address[ENROL_ADDRESS_MAX]);

struct enrol_command {
    const char *address, *token, *ticket; /* ticket: the token's id */
    const char *installer_sha256;         /* NULL: the daemon carries no worker */
    const char *pin;                      /* of the daemon's key, when it speaks TLS itself; NULL */
    bool service;                         /* a systemd user service, not the foreground */
};
/* Never puts the token into a program's arguments. */
void enrol_command_print(const struct enrol_command *command, struct buf *out);
void enrol_notices(const struct daemon *daemon, const struct enrol_command *command,
                   struct enrol_notices *ret_notices);
