/* Who this worker is to its daemon, kept in its state folder. Written by rename and synced, so that
 * a worker killed at any moment has the one or the other. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

enum { IDENTITY_ID_SIZE = 64, IDENTITY_TOKEN_SIZE = 128, IDENTITY_PATH_SIZE = 4096 };

struct identity {
    char url[1024];                       /* of the daemon; "": not known */
    char device_id[IDENTITY_ID_SIZE];     /* "": not known to be enrolled */
    char token[IDENTITY_TOKEN_SIZE];      /* ""; without device_id: a secret that may be enrolled */
    char next_token[IDENTITY_TOKEN_SIZE]; /* ""; that takes its place, as far as we know */
    /* A word for the newest start that the daemon has confirmed, and one for the next: by these it
     * tells copies of this identity from it. "" */
    char instance[IDENTITY_ID_SIZE], next_instance[IDENTITY_ID_SIZE];
    /* How this daemon is trusted, as the person said when this board enrolled; "", false. */
    char ca_file[1024], pinned_key[128];
    bool plain;          /* plain http beyond this machine */
    bool noise_reported; /* to a daemon that does not ask for it by a lease */
    char path[IDENTITY_PATH_SIZE], pending_path[IDENTITY_PATH_SIZE];
};

/* dir: the state folder. url: as the person says, it wins over what is kept (also over how another
 * daemon was trusted); NULL. Nothing kept is no error. ESP_EIO, ESP_EPARSE and the like: the
 * identity cannot be read. */
int identity_load(struct identity *identity, const char *dir, const char *url, struct err *err);
/* Takes what is said now; what is not said (NULL, false) stays as it was kept. */
void identity_trust(struct identity *identity, const char *ca_file, const char *pinned_key,
                    bool plain);
/* What the daemon has confirmed. */
int identity_save(const struct identity *identity, struct err *err);
/* Before a start is told: its word is made and kept, unless it was before. */
int identity_begin(struct identity *identity, struct err *err);
/* The daemon has confirmed the start. Saves. */
int identity_begun(struct identity *identity, struct err *err);
/* Makes and keeps next_token, unless there is one. */
int identity_next_token(struct identity *identity, struct err *err);
/* next_token becomes the token. Saves. */
int identity_take_token(struct identity *identity, struct err *err);
/* A secret for an enrolment with this daemon, made by the worker and kept before it is told: killed
 * at any moment from then on, the worker asks for the same enrolment again, which gives it the same
 * identity. Takes the one that is kept, if there is one. Forgets device_id. */
int identity_make_secret(struct identity *identity, struct err *err);
