/* edit.c - how far two rows of symbols are apart, and which of one stands for which of the other. */
#include "task/ctc.h"

#include <stdlib.h>

enum { SAME, OTHER, LEFT_OUT, PUT_IN };

/* The least number of changes, and what they are; of as many changes the one with more substitutions. */
typedef struct cell { int64_t cost, substitutions, insertions, deletions; } cell;

/* The cell after (corner, above, left); sets what was done last. */
static cell next(cell corner, cell above, cell left, int same, uint8_t *how)
{
    cell best = corner;
    *how = same ? SAME : OTHER;
    best.cost += !same;
    best.substitutions += !same;
    if (above.cost + 1 < best.cost) {
        best = above;
        best.cost++;
        best.deletions++;
        *how = LEFT_OUT;
    }
    if (left.cost + 1 < best.cost) {
        best = left;
        best.cost++;
        best.insertions++;
        *how = PUT_IN;
    }
    return best;
}

/* Pairs from the last changes of all cells, which are walked from the end. */
static void pair_up(const uint8_t *how, int64_t n, int64_t m, tl_edit *out)
{
    int64_t at = n + m;
    for (int64_t i = n, j = m; i > 0 || j > 0;) {
        int step = i == 0 ? PUT_IN : j == 0 ? LEFT_OUT : how[(i - 1) * m + j - 1];
        i -= step != PUT_IN;
        j -= step != LEFT_OUT;
        at--;
        out->pairs[2 * at] = step != PUT_IN ? i : -1;
        out->pairs[2 * at + 1] = step != LEFT_OUT ? j : -1;
    }
    out->count = n + m - at;
    for (int64_t k = 0; k < 2 * out->count; k++) out->pairs[k] = out->pairs[2 * at + k];
}

int tl__edit(tl_error *err, const int32_t *said, int64_t n, const int32_t *heard, int64_t m, int want_pairs,
             tl_edit *out)
{
    enum { MOST_CELLS = 1 << 28 };
    *out = (tl_edit){0};
    if (want_pairs && m > 0 && n > MOST_CELLS / m)
        return tl__fail(err, TL_EARG, "texts of %lld and %lld symbols are too long to be laid side by side; compare "
                        "them in parts", (long long)n, (long long)m);
    cell *row = tl__calloc(err, (size_t)m + 1, sizeof *row);
    uint8_t unused, *how = want_pairs ? tl__calloc(err, (size_t)(n * m) + 1, 1) : &unused;
    if (want_pairs) out->pairs = tl__calloc(err, 2 * (size_t)(n + m) + 1, sizeof *out->pairs);
    int bad = !row || !how || (want_pairs && !out->pairs);
    for (int64_t j = 1; j <= m && !bad; j++) row[j] = (cell){j, 0, j, 0};
    for (int64_t i = 1; i <= n && !bad; i++) {
        cell corner = row[0];
        row[0] = (cell){i, 0, 0, i};
        for (int64_t j = 1; j <= m; j++) {
            cell above = row[j];
            row[j] = next(corner, above, row[j - 1], said[i - 1] == heard[j - 1],
                          want_pairs ? &how[(i - 1) * m + j - 1] : &unused);
            corner = above;
        }
    }
    if (!bad) {
        out->substitutions = row[m].substitutions;
        out->insertions = row[m].insertions;
        out->deletions = row[m].deletions;
        if (want_pairs) pair_up(how, n, m, out);
    } else free(out->pairs), out->pairs = NULL;
    free(row);
    if (want_pairs) free(how);
    return bad ? -1 : 0;
}
