#include "base/nearest.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 64 };

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Rows of the table of distances between beginnings: of the one before the last, the last, this. */
int nearest_distance(const char *a, const char *b) {
    int rows[3][WORD_MAX];
    size_t n = strlen(a), m = strlen(b);
    if (n >= WORD_MAX || m >= WORD_MAX)
        return INT_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

bool nearest_is_slip(const char *word, int distance) {
    int letters = (int)strlen(word) / 3;
    return distance <= (letters > 1 ? letters : 1);
}

const char *nearest_of(const char *const *names, const char *word) {
    const char *best = NULL;
    int shortest = INT_MAX;
    for (int i = 0; names[i] != NULL; i++) {
        int distance = nearest_distance(word, names[i]);
        if (distance < shortest && nearest_is_slip(word, distance)) {
            shortest = distance;
            best = names[i];
        }
    }
    return best;
}

void nearest_list(const char *const *names, char *ret, size_t size) {
    size_t len = 0;
    ret[0] = '\0';
    for (int i = 0; names[i] != NULL && len < size; i++)
        len += (size_t)snprintf(ret + len, size - len, "%s%s", i > 0 ? ", " : "", names[i]);
}

void nearest_choice(const char *const *names, const char *word, char *ret, size_t size) {
    char list[320];
    const char *meant = nearest_of(names, word);
    nearest_list(names, list, sizeof(list));
    snprintf(ret, size, "one of: %s, not \"%.60s\"%s%s%s", list, word,
             meant ? "; did you mean \"" : "", meant ? meant : "", meant ? "\"?" : "");
}

void nearest_advice(const char *meant, const char *head, const char *list, char *ret, size_t size) {
    if (meant == NULL)
        snprintf(ret, size, "%s%s", head, list);
    else
        snprintf(ret, size, "did you mean \"%.80s\"? %c%s%s", meant,
                 toupper((unsigned char)head[0]), head + 1, list);
}
