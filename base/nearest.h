/* Guessing what was meant by a word that nobody knows. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Letters to put in, take out, change, or swap with their neighbour to make one word of the other.
 * Words beyond 63 bytes count as far from everything. */
int nearest_distance(const char *a, const char *b);
/* Whether so small a distance may be a slip of the finger in a word: a third of its letters, one at
 * least. */
bool nearest_is_slip(const char *word, int distance);
/* What may have been meant by word; NULL: nothing of names (NULL-terminated) is near. */
const char *nearest_of(const char *const *names, const char *word);
/* "a, b, c" of names (NULL-terminated), cut where it does not fit. */
void nearest_list(const char *const *names, char *ret, size_t size);
/* What a word must be that is none of names (NULL-terminated): one of: a, b, not "c"; and where
 * one of them is near: did you mean "b"? */
void nearest_choice(const char *const *names, const char *word, char *ret, size_t size);
/* What a refusal ends with, of the head "there are " and the list "a, b": there are a, b; and where
 * "a" was meant (not NULL): did you mean "a"? There are a, b */
void nearest_advice(const char *meant, const char *head, const char *list, char *ret, size_t size);
