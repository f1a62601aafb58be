/* Folders of images as a list of files, each with its class and split. Nothing is decoded here. */
#pragma once

#include "base/error.h"
#include "supernet/dataset.h"

enum {
    FOLDER_FILES_MAX = 10000000,
    FOLDER_CLASSES_MAX = 65535, /* what a label holds */
    FOLDER_NAME_MAX = 255
};

struct folder_file {
    uint64_t name; /* where it begins in folder_list.names */
    int64_t bytes, mtime_ns;
    uint16_t class_index;
    uint8_t split; /* enum dataset_split; SPLIT_TRAIN for all when list.cut */
};

struct folder_list {
    char *root;
    const char *parts[SPLITS]; /* folder of a split below root, "" for root itself; NULL: none */
    bool cut;       /* one folder of classes only: validation and test are cut off by the seed */
    char **classes; /* [n_classes], sorted bytewise */
    size_t n_classes;
    struct folder_file *files; /* by split, class and name (bytewise) */
    size_t n_files, files_capacity;
    char *names; /* NUL-terminated, one behind the other */
    size_t names_len, names_capacity;
    size_t n_ignored;               /* files that are no images by their names */
    struct dataset_skipped skipped; /* links, special files, names that are no UTF-8, … */
};

/* ROOT/train/CLASS/FILE with ROOT/test or ROOT/val (or both), or ROOT/CLASS/FILE. Links are never
 * followed. Errors: ESP_EINVAL (one class, an empty class, names that are not UTF-8, a test class
 * that is not among the training's), ESP_ELIMIT, ESP_ENOTFOUND, ESP_EIO, ESP_ENOMEM. */
int folder_scan(const char *root, struct err *err, struct folder_list *ret_list);
void folder_finish(struct folder_list *list); /* of a zeroed one: nothing */
/* Whether root has a folder with a folder with an image in it. */
bool folder_probe(const char *root);

const char *folder_name(const struct folder_list *list, const struct folder_file *file);
/* "train/cat/7.jpg" */
void folder_path(const struct folder_list *list, const struct folder_file *file, char *ret_path,
                 size_t size);
/* A hash over the list: names, classes, sizes and times of the files. */
void folder_fingerprint(const struct folder_list *list, char ret_text[HASH_TEXT_LONG]);
/* The file's bytes, which the caller frees. It must still be the regular file of that size, and no
 * link. Errors: ESP_EIO, ESP_ELIMIT, ESP_ECORRUPT, ESP_ENOMEM: each one skips the file. */
int folder_read(const struct folder_list *list, const struct folder_file *file, struct err *err,
                uint8_t **ret_data);
