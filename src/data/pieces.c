/* pieces.c - windows of numbers as samples. */
#include "data/pieces.h"

#include "data/source.h"

#include <stdlib.h>
#include <string.h>

struct tl_pieces {
    tl_encodings windows;
    int32_t *mark, *span;
    char **place;
    int64_t place_count;
};

void tl__pieces_free(tl_pieces *p)
{
    if (!p) return;
    tl__encodings_free(&p->windows);
    free(p->mark);
    free(p->span);
    tl__names_free(p->place, p->place_count);
    free(p);
}

static int32_t *copied(tl_error *err, const int32_t *from, int64_t n)
{
    int32_t *to = tl__malloc(err, (size_t)n * sizeof *to + 1);
    if (to && n) memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

static int check(tl_error *err, const tl_pieces_given *g)
{
    const tl_encodings *w = g->windows;
    for (int64_t i = 0; i < w->windows; i++) {
        int64_t n = w->offset[i + 1] - w->offset[i];
        if (g->place && w->text[i] >= g->place_count)
            return tl__fail(err, TL_EARG, "window %lld is of text %lld, and %lld have places", (long long)i + 1,
                            (long long)w->text[i] + 1, (long long)g->place_count);
        if (g->span && (g->span[2 * i] < 0 || g->span[2 * i] > g->span[2 * i + 1] || g->span[2 * i + 1] >= n))
            return tl__fail(err, TL_EARG, "window %lld has %lld pieces, and its span is %d to %d", (long long)i + 1,
                            (long long)n, g->span[2 * i], g->span[2 * i + 1]);
    }
    return 0;
}

tl_pieces *tl__pieces_open(tl_error *err, const tl_pieces_given *g)
{
    if (check(err, g) != 0) return NULL;
    tl_pieces *p = tl__calloc(err, 1, sizeof *p);
    if (!p) return NULL;
    if ((g->mark && !(p->mark = copied(err, g->mark, g->windows->all.count))) ||
        (g->span && !(p->span = copied(err, g->span, 2 * g->windows->windows))) ||
        (g->place && !(p->place = tl__names_copy(err, g->place, g->place_count)))) {
        tl__pieces_free(p);
        return NULL;
    }
    p->place_count = g->place ? g->place_count : 0;
    p->windows = *g->windows;
    *g->windows = (tl_encodings){0};
    return p;
}

tl_piece_row tl__pieces_row(const tl_pieces *p, int64_t i)
{
    const tl_encodings *w = &p->windows;
    int64_t at = w->offset[i];
    return (tl_piece_row){.all = &w->all,
                          .at = at,
                          .count = w->offset[i + 1] - at,
                          .text = w->text[i],
                          .mark = p->mark ? p->mark + at : NULL,
                          .span = p->span ? p->span + 2 * i : NULL};
}

const char *tl__pieces_locate(const tl_pieces *p, int64_t i, int64_t *number)
{
    int64_t text = p->windows.text[i];
    *number = p->place ? -1 : text + 1;
    return p->place ? p->place[text] : "texts";
}

void tl__pieces_hash(const tl_pieces *p, int64_t i, tl_sha256 *h)
{
    tl_piece_row r = tl__pieces_row(p, i);
    size_t n = (size_t)r.count;
    tl__sha256_update(h, &r.count, sizeof r.count);
    tl__sha256_update(h, r.all->ids + r.at, n * sizeof *r.all->ids);
    tl__sha256_update(h, r.all->types + r.at, n * sizeof *r.all->types);
    if (r.mark) tl__sha256_update(h, r.mark, n * sizeof *r.mark);
    if (r.span) tl__sha256_update(h, r.span, 2 * sizeof *r.span);
}
