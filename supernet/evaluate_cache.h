/* Scores that are known already. A key names everything that a score depends on, so more training,
 * a new split or other recalibration never meet an old score. */
#pragma once

#include "supernet/evaluate.h"

struct evaluation_key {
    char checkpoint[HASH_TEXT], arch_id[HASH_TEXT], dataset_revision[HASH_TEXT];
    enum dataset_split split;
    size_t limit;
    bool recalibrated;
    struct recalibration recalibration; /* all zero when not recalibrated */
};
/* Fills *ret_key from what evaluation_score would be asked, zeroing what does not matter. */
void evaluation_key_make(const char *checkpoint_id, const struct evaluation_options *options,
                         const struct score_request *request, struct evaluation_key *ret_key);

struct evaluation_cache;
int evaluation_cache_create(size_t limit, struct evaluation_cache **ret_cache); /* ESP_ENOMEM */
void evaluation_cache_destroy(struct evaluation_cache *cache);                  /* takes NULL */
/* False when the score is not known. */
bool evaluation_cache_find(const struct evaluation_cache *cache, const struct evaluation_key *key,
                           struct score *ret_score);
/* Remembers a score; past the limit the cache is emptied first. ESP_ENOMEM. */
int evaluation_cache_put(struct evaluation_cache *cache, const struct evaluation_key *key,
                         const struct score *score);
