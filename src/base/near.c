/* near.c - Damerau-Levenshtein distance (the "optimal string alignment" form, in which no piece is
 * edited twice) over short names, for messages about unknown names. */
#include "base/near.h"

#include <stdio.h>
#include <string.h>

#define LONGEST 63

static int folded(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c; }

static int least(int a, int b) { return a < b ? a : b; }

int tl__edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return 1 << 20;
    /* Row i of the table lies in row[i % 3]; a swap looks two rows back. */
    int row[3][LONGEST + 1];
    for (size_t j = 0; j <= m; j++) row[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *two_before = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int same = folded(a[i - 1]) == folded(b[j - 1]);
            now[j] = least(least(before[j] + 1, now[j - 1] + 1), before[j - 1] + !same);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                now[j] = least(now[j], two_before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

const char *tl__near_miss(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    int best_distance = 1 << 20;
    for (; *candidates; candidates++) {
        size_t n = strlen(word), m = strlen(*candidates);
        int longer = (int)(n > m ? n : m), allowed = longer / 3 > 1 ? longer / 3 : 1;
        int distance = tl__edit_distance(word, *candidates);
        if (distance <= allowed && distance < longer && distance < best_distance) {
            best = *candidates;
            best_distance = distance;
        }
    }
    return best;
}

const char *tl__did_you_mean(const char *word, const char *const *candidates, char *buf, unsigned size)
{
    const char *near = tl__near_miss(word, candidates);
    if (near)
        snprintf(buf, size, "; did you mean \"%s\"?", near);
    else if (size)
        buf[0] = 0;
    return buf;
}
