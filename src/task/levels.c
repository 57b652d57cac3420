/* levels.c - cells of several levels and the boxes that their rows stand for. */
#include "task/assign.h"

#include <math.h>
#include <stdlib.h>

int tl__levels_check(tl_error *err, const tl_levels *l)
{
    if (l->count < 1 || l->count > TL_MOST_LEVELS)
        return tl__fail(err, TL_EARG, "levels: there are from 1 to %d strides, not %d", TL_MOST_LEVELS, l->count);
    if (l->bins < 0 || l->bins == 1 || l->bins > TL_MOST_BINS || l->classes < 1)
        return tl__fail(err, TL_EARG, "levels: bins must be 0 or from 2 to %d and classes 1 at least, not %d and %d",
                        TL_MOST_BINS, l->bins, l->classes);
    for (int k = 0; k < l->count; k++)
        if (l->stride[k] < 1 || l->height < 1 || l->width < 1 || l->height % l->stride[k] || l->width % l->stride[k])
            return tl__fail(err, TL_EARG,
                            "levels: pictures of %lld x %lld pixels have no whole cells of %d; both sides must be "
                            "multiples of it", (long long)l->width, (long long)l->height, l->stride[k]);
    return 0;
}

int64_t tl__levels_cells(const tl_levels *l)
{
    int64_t n = 0;
    for (int k = 0; k < l->count; k++) n += (l->height / l->stride[k]) * (l->width / l->stride[k]);
    return n;
}

int64_t tl__levels_width(const tl_levels *l) { return (l->bins ? 4 * l->bins : 5) + l->classes; }

void tl__levels_place(const tl_levels *l, float *cell)
{
    for (int k = 0; k < l->count; k++)
        for (int64_t y = 0; y < l->height / l->stride[k]; y++)
            for (int64_t x = 0; x < l->width / l->stride[k]; x++) {
                *cell++ = (float)x;
                *cell++ = (float)y;
                *cell++ = (float)l->stride[k];
            }
}

float tl__sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/* The mean of 0, 1, ... weighted by the softmax of the logits. */
static float expected(const float *logit, int bins)
{
    float most = logit[0], sum = 0.0f, mean = 0.0f;
    for (int i = 1; i < bins; i++) most = logit[i] > most ? logit[i] : most;
    for (int i = 0; i < bins; i++) {
        float e = expf(logit[i] - most);
        sum += e;
        mean += e * (float)i;
    }
    return mean / sum;
}

void tl__levels_box(const tl_levels *l, const float *cell, const float *row, float box[4])
{
    float s = cell[2];
    if (l->bins) {
        for (int k = 0; k < 4; k++) {
            float far = expected(row + k * l->bins, l->bins);
            float centre = cell[k & 1] + 0.5f;
            box[k] = (k < 2 ? centre - far : centre + far) * s;
        }
        return;
    }
    float x = (row[0] + cell[0]) * s, y = (row[1] + cell[1]) * s, w = expf(row[2]) * s, h = expf(row[3]) * s;
    box[0] = x - 0.5f * w;
    box[1] = y - 0.5f * h;
    box[2] = x + 0.5f * w;
    box[3] = y + 0.5f * h;
}

int64_t tl__levels_found(const tl_levels *l, const float *cell, const float *rows, float confidence, int several,
                         float *box, float *score, int32_t *label)
{
    int64_t cells = tl__levels_cells(l), width = tl__levels_width(l), n = 0;
    int head = l->bins ? 4 * l->bins : 5;
    for (int64_t c = 0; c < cells; c++, rows += width) {
        for (int k = 0; k < width; k++)
            if (!isfinite(rows[k])) return -1;
        int best = 0;
        for (int k = 1; k < l->classes; k++)
            if (rows[head + k] > rows[head + best]) best = k;
        float object = l->bins ? 1.0f : tl__sigmoid(rows[4]);
        int first = several ? 0 : best, last = several ? l->classes - 1 : best;
        for (int k = first; k <= last; k++) {
            float sure = tl__sigmoid(rows[head + k]) * object;
            if (sure < confidence) continue;
            tl__levels_box(l, cell + 3 * c, rows, box + 4 * n);
            score[n] = sure;
            label[n++] = k;
        }
    }
    return n;
}

/* ---- matches ---- */

int tl__matches_add(tl_error *err, tl_matches *m, tl_match one)
{
    if (m->n == m->room) {
        int64_t room = m->room ? 2 * m->room : 64;
        tl_match *more = tl__realloc(err, m->match, (size_t)room * sizeof *more);
        if (!more) return -1;
        m->match = more;
        m->room = room;
    }
    m->match[m->n++] = one;
    return 0;
}

static int by_cell(const void *a, const void *b)
{
    const tl_match *x = a, *y = b;
    if (x->cell != y->cell) return x->cell < y->cell ? -1 : 1;
    return x->truth < y->truth ? -1 : x->truth > y->truth;
}

void tl__matches_sort(tl_matches *m) { qsort(m->match, (size_t)m->n, sizeof *m->match, by_cell); }
