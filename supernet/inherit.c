#include "supernet/inherit.h"

#include "supernet/checkpoint_store.h"
#include <string.h>

int supernet_can_inherit(const struct space *from, const struct space *to, struct err *err) {
    struct space *adapted = NULL;
    int rc = space_adapt(from, to->n_classes, from->input_channels, err, &adapted);
    if (rc == 0 && strcmp(adapted->fingerprint, to->fingerprint) != 0)
        rc = err_set(err, ESP_EMISMATCH, "/init_from",
                     "its weights are of the space %s with %d input channels (fingerprint %s), not "
                     "of %s with %d",
                     from->name, from->input_channels, from->fingerprint, to->name,
                     to->input_channels);
    space_destroy(adapted);
    return rc;
}

static int open_source(const struct train_init *init, struct err *err,
                       struct checkpoint **ret_checkpoint) {
    struct err skipped = {0};
    int rc = init->path ? checkpoint_open(init->path, err, ret_checkpoint)
                        : checkpoint_store_newest(init->dir, err, &skipped, ret_checkpoint);
    /* Not older weights in place of the newest. */
    if (rc == 0 && skipped.code != 0) {
        checkpoint_close(*ret_checkpoint);
        *ret_checkpoint = NULL;
        return err_set(err, skipped.code, "/init_from", "%s", skipped.message);
    }
    return rc == ESP_ENOTFOUND ? err_set(err, rc, "/init_from", "there is no checkpoint %s",
                                         init->path ? init->path : init->dir)
                               : rc;
}

static bool same_shape(const struct tensor *a, const struct tensor *b) {
    return a->n_dims == b->n_dims &&
           memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims) == 0;
}

/* Of equal spaces only the classifier differs in shape. */
static void copy_weights(const struct supernet *from, struct supernet *to) {
    for (int i = 0; i < to->n_tensors; i++)
        if (same_shape(&from->tensors[i], &to->tensors[i]))
            memcpy(to->tensors[i].data, from->tensors[i].data,
                   to->tensors[i].count * sizeof(float));
}

int supernet_inherit(struct supernet *supernet, const struct train_init *init, struct err *err,
                     char ret_id[HASH_TEXT]) {
    struct checkpoint *checkpoint = NULL;
    struct supernet *source = NULL;
    int rc = open_source(init, err, &checkpoint);
    if (rc == 0)
        rc = supernet_can_inherit(checkpoint->space, supernet->space, err);
    if (rc == 0)
        rc = checkpoint_load(checkpoint, err, &source);
    if (rc == 0) {
        copy_weights(source, supernet);
        memcpy(ret_id, checkpoint->summary.id, HASH_TEXT);
    }
    supernet_destroy(source);
    checkpoint_close(checkpoint);
    return rc;
}
