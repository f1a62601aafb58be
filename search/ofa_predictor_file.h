/* An accuracy predictor of once-for-all as this program keeps it: magic, the fingerprint of the
 * space that it is of, BLAKE2b of all that follows: the number of resolutions and room for
 * OFA_PREDICTOR_RESOLUTIONS_MAX of them as little-endian int32, then the layers' weights and biases
 * as float32. Files of before there were resolutions in them have those of acc_predictor.pth. */
#pragma once

#include "search/ofa_predictor.h"

/* Atomic. fingerprint: of the whole space. *ret_hash: of the file. Errors: those of
 * file_write_atomic. */
int ofa_predictor_write(const char *path, const struct ofa_predictor_weights *weights,
                        const char *fingerprint, struct err *err, char ret_hash[HASH_TEXT]);

struct ofa_predictor_file {
    char fingerprint[HASH_TEXT], hash[HASH_TEXT];
    struct ofa_predictor_weights weights; /* into values */
    float *values;
};
/* Errors: those of file_read_regular, ESP_ECORRUPT (length, magic, checksum). */
int ofa_predictor_file_read(const char *path, struct err *err, struct ofa_predictor_file *ret);
void ofa_predictor_file_finish(struct ofa_predictor_file *file); /* takes one that is all zero */
