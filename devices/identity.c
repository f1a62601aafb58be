#include "devices/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

enum { BYTES_MAX = 65536 };

static int read_doc(const char *path, struct err *err, cJSON **ret_doc) {
    char *text = NULL;
    size_t len = 0;
    int rc = file_read(path, BYTES_MAX, err, &text, &len);

    if (!rc)
        rc = json_parse(text, len, &json_limits_default, err, ret_doc);
    free(text);
    return rc;
}

/* Takes doc. */
static int write_doc(const char *path, cJSON *doc, struct err *err) {
    char *text = json_print(doc);
    int rc = text ? file_write_atomic(path, text, strlen(text), err)
                  : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    free(text);
    cJSON_Delete(doc);
    return rc;
}

/* A text that may be missing. */
static int take_text(const cJSON *doc, const char *name, size_t size, struct err *err, char *ret) {
    const char *text = NULL;
    int rc = json_string_opt(doc, "", name, 0, size - 1, err, &text);

    if (!rc && text)
        snprintf(ret, size, "%s", text);
    return rc;
}

static int take_trust(const cJSON *doc, struct err *err, struct identity *id) {
    int rc = take_text(doc, "ca_file", sizeof(id->ca_file), err, id->ca_file);

    if (!rc)
        rc = take_text(doc, "pinned_key", sizeof(id->pinned_key), err, id->pinned_key);
    return rc ? rc : json_bool_opt(doc, "", "insecure_lan", err, &id->plain);
}

static int load_confirmed(struct identity *id, struct err *err) {
    const char *url = NULL, *device = NULL, *token = NULL;
    bool noise = false;
    cJSON *doc = NULL;
    int rc = read_doc(id->path, err, &doc);

    if (rc == ESP_ENOTFOUND)
        return 0;
    if (!rc)
        rc = json_string(doc, "", "daemon", 1, sizeof(id->url) - 1, err, &url);
    if (!rc)
        rc = json_string(doc, "", "device_id", 1, IDENTITY_ID_SIZE - 1, err, &device);
    if (!rc)
        rc = json_string(doc, "", "worker_token", 1, IDENTITY_TOKEN_SIZE - 1, err, &token);
    if (!rc)
        rc = json_bool_opt(doc, "", "noise_reported", err, &noise);
    if (!rc)
        rc = take_trust(doc, err, id);
    if (!rc)
        rc = take_text(doc, "next_worker_token", sizeof(id->next_token), err, id->next_token);
    if (!rc)
        rc = take_text(doc, "instance", sizeof(id->instance), err, id->instance);
    if (!rc)
        rc = take_text(doc, "next_instance", sizeof(id->next_instance), err, id->next_instance);
    if (rc) {
        rc = err_prefix(err, rc, "%s", id->path);
    } else {
        snprintf(id->url, sizeof(id->url), "%s", url);
        snprintf(id->device_id, sizeof(id->device_id), "%s", device);
        snprintf(id->token, sizeof(id->token), "%s", token);
        id->noise_reported = noise;
    }
    cJSON_Delete(doc);
    return rc;
}

/* One that cannot be read, or is for another daemon, counts as none. */
static void load_pending(struct identity *id) {
    const char *url = NULL, *token = NULL;
    cJSON *doc = NULL;

    if (!read_doc(id->pending_path, NULL, &doc) &&
        !json_string(doc, "", "daemon", 1, sizeof(id->url) - 1, NULL, &url) &&
        !json_string(doc, "", "worker_token", 1, IDENTITY_TOKEN_SIZE - 1, NULL, &token) &&
        (!id->url[0] || !strcmp(url, id->url))) {
        snprintf(id->url, sizeof(id->url), "%s", url);
        snprintf(id->token, sizeof(id->token), "%s", token);
        take_text(doc, "next_instance", sizeof(id->next_instance), NULL, id->next_instance);
        take_trust(doc, NULL, id);
    }
    cJSON_Delete(doc);
}

static void forget_trust(struct identity *id) {
    id->ca_file[0] = id->pinned_key[0] = 0;
    id->plain = false;
}

void identity_trust(struct identity *id, const char *ca_file, const char *pinned_key, bool plain) {
    char *whole = ca_file ? realpath(ca_file, NULL) : NULL; /* found from any folder */

    if (ca_file)
        snprintf(id->ca_file, sizeof(id->ca_file), "%s", whole ? whole : ca_file);
    if (pinned_key)
        snprintf(id->pinned_key, sizeof(id->pinned_key), "%s", pinned_key);
    id->plain |= plain;
    free(whole);
}

int identity_load(struct identity *id, const char *dir, const char *url, struct err *err) {
    if (snprintf(id->path, sizeof(id->path), "%s/worker.json", dir) >= IDENTITY_PATH_SIZE - 64)
        return err_set(err, ESP_EINVAL, NULL, "the state folder's name is too long");
    snprintf(id->pending_path, sizeof(id->pending_path), "%.*s/enrolment.json",
             IDENTITY_PATH_SIZE - 64, dir);
    int rc = load_confirmed(id, err);
    if (!rc && url && strcmp(url, id->url))
        forget_trust(id);
    if (!rc && url)
        snprintf(id->url, sizeof(id->url), "%s", url);
    if (!rc && !id->token[0])
        load_pending(id);
    return rc;
}

static void add_text(cJSON *doc, const char *name, const char *text) {
    if (text[0])
        cJSON_AddStringToObject(doc, name, text);
}

static void add_trust(cJSON *doc, const struct identity *id) {
    add_text(doc, "ca_file", id->ca_file);
    add_text(doc, "pinned_key", id->pinned_key);
    if (id->plain)
        cJSON_AddTrueToObject(doc, "insecure_lan");
}

int identity_save(const struct identity *id, struct err *err) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "daemon", id->url);
    cJSON_AddStringToObject(doc, "device_id", id->device_id);
    cJSON_AddStringToObject(doc, "worker_token", id->token);
    add_trust(doc, id);
    add_text(doc, "next_worker_token", id->next_token);
    add_text(doc, "instance", id->instance);
    add_text(doc, "next_instance", id->next_instance);
    cJSON_AddBoolToObject(doc, "noise_reported", id->noise_reported);
    int rc = write_doc(id->path, doc, err);
    if (!rc)
        unlink(id->pending_path);
    return rc;
}

static int save_pending(const struct identity *id, struct err *err) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "daemon", id->url);
    cJSON_AddStringToObject(doc, "worker_token", id->token);
    add_text(doc, "next_instance", id->next_instance);
    add_trust(doc, id);
    return write_doc(id->pending_path, doc, err);
}

int identity_begin(struct identity *id, struct err *err) {
    if (id->next_instance[0])
        return 0;
    hash_random_token("in_", id->next_instance, sizeof(id->next_instance));
    int rc = id->device_id[0] ? identity_save(id, err) : save_pending(id, err);
    if (rc)
        id->next_instance[0] = 0;
    return rc;
}

int identity_begun(struct identity *id, struct err *err) {
    memcpy(id->instance, id->next_instance, sizeof(id->instance));
    id->next_instance[0] = 0;
    return identity_save(id, err);
}

int identity_next_token(struct identity *id, struct err *err) {
    if (id->next_token[0])
        return 0;
    hash_random_token("esp_w_", id->next_token, sizeof(id->next_token));
    int rc = identity_save(id, err);
    if (rc)
        id->next_token[0] = 0;
    return rc;
}

int identity_take_token(struct identity *id, struct err *err) {
    memcpy(id->token, id->next_token, sizeof(id->token));
    id->next_token[0] = 0;
    return identity_save(id, err);
}

int identity_make_secret(struct identity *id, struct err *err) {
    id->device_id[0] = id->token[0] = id->next_token[0] = 0;
    id->instance[0] = id->next_instance[0] = 0;
    load_pending(id);
    if (id->token[0])
        return 0;
    hash_random_token("esp_w_", id->token, sizeof(id->token));
    int rc = save_pending(id, err);
    if (rc)
        id->token[0] = 0;
    return rc;
}
