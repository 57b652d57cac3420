/* work.c - a text on its way: two buffers, pieces, and what each byte stands for. */
#include "text/inside.h"

#include <stdlib.h>
#include <string.h>

int tl__pieces_add(tl_error *err, tl_pieces *p, size_t begin, size_t end, int32_t id)
{
    if (begin == end) return 0;
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        tl_piece *more = tl__realloc(err, p->at, room * sizeof *more);
        if (!more) return -1;
        p->at = more;
        p->room = room;
    }
    p->at[p->count++] = (tl_piece){(uint32_t)begin, (uint32_t)end, id};
    return 0;
}

int tl__tokens_add(tl_error *err, tl_tokens *t, int32_t id, size_t begin, size_t end, int32_t word)
{
    if (t->count == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        tl_token *more = tl__realloc(err, t->at, room * sizeof *more);
        if (!more) return -1;
        t->at = more;
        t->room = room;
    }
    t->at[t->count++] = (tl_token){id, (uint32_t)begin, (uint32_t)end, word};
    return 0;
}

int tl__buffer_reserve(tl_error *err, tl_buffer *b, size_t bytes, size_t most)
{
    if (bytes <= b->room) return 0;
    if (bytes > most) return tl__fail(err, TL_EARG, "the tokenizer's rules make more than %zu bytes of the text", most);
    size_t room = bytes + bytes / 2 + 64;
    char *text = tl__realloc(err, b->text, room);
    if (text) b->text = text;
    tl_span *span = text ? tl__realloc(err, b->span, room * sizeof *span) : NULL;
    if (!span) return -1;
    b->span = span;
    b->room = room;
    return 0;
}

int tl__work_copy(tl_error *err, tl_text_work *w, size_t begin, size_t end)
{
    size_t n = end - begin;
    if (tl__buffer_reserve(err, &w->next, w->next.bytes + n, w->most) != 0) return -1;
    memcpy(w->next.text + w->next.bytes, w->now.text + begin, n);
    memcpy(w->next.span + w->next.bytes, w->now.span + begin, n * sizeof *w->next.span);
    w->next.bytes += n;
    return 0;
}

/* Bytes of the character at `at`; 0 at the end. */
static size_t width_at(const tl_cursor *c)
{
    if (c->at >= c->end) return 0;
    unsigned char first = (unsigned char)c->w->now.text[c->at];
    size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return n < c->end - c->at ? n : c->end - c->at;
}

void tl__cursor_skip(tl_cursor *c, int64_t count)
{
    for (; count > 0; count--) c->at += width_at(c);
}

int tl__cursor_put(tl_error *err, tl_cursor *c, int32_t point, int change)
{
    tl_buffer *to = &c->w->next;
    const tl_span *span = c->w->now.span;
    tl_span own = {span[c->begin].from, span[c->begin].from};
    if (change > 0 && c->at > c->begin) own = span[c->at - 1];
    else if (change <= 0) own = span[c->at < c->end ? c->at : c->end - 1];
    if (to->bytes + 4 > to->room && tl__buffer_reserve(err, to, to->bytes + 4, c->w->most) != 0) return -1;
    size_t n;
    if (point < 0x80) to->text[to->bytes] = (char)point, n = 1;
    else n = tl__utf8_write(point, to->text + to->bytes);
    for (size_t i = 0; i < n; i++) to->span[to->bytes + i] = own;
    to->bytes += n;
    if (change <= 0) tl__cursor_skip(c, 1 - change);
    return 0;
}

int tl__work_each(tl_error *err, tl_text_work *w, const tl_text_step *s,
                  int (*step)(tl_error *err, const tl_text_step *s, tl_cursor *c))
{
    size_t kept = 0;
    w->next.bytes = 0;
    for (size_t i = 0; i < w->pieces.count; i++) {
        tl_piece p = w->pieces.at[i];
        size_t begin = w->next.bytes;
        tl_cursor c = {w, p.begin, p.begin, p.end};
        if ((p.id < 0 ? step(err, s, &c) : tl__work_copy(err, w, p.begin, p.end)) != 0) return -1;
        if (w->next.bytes == begin) continue; /* nothing is left of it */
        w->pieces.at[kept++] = (tl_piece){(uint32_t)begin, (uint32_t)w->next.bytes, p.id};
    }
    w->pieces.count = kept;
    tl_buffer before = w->now;
    w->now = w->next;
    w->next = before;
    return 0;
}

/* ---- cutting ---- */

typedef struct cuts {
    tl_pieces *to;
    int behaviour, before; /* was the last stretch a match? */
    size_t first;          /* of this piece's cuts in `to` */
} cuts;

enum { OPEN = -1, MATCH = -2 }; /* ids of pieces, while they are cut */

/* One stretch, a match or what lies between two. */
static int stretch(tl_error *err, cuts *c, size_t begin, size_t end, int match)
{
    tl_pieces *to = c->to;
    int join = 0, before = c->before;
    if (begin == end) return 0;
    c->before = match;
    if (c->behaviour == TL_SPLIT_REMOVED && match) return 0;
    if (c->behaviour == TL_SPLIT_CONTIGUOUS) join = match == before;
    if (c->behaviour == TL_SPLIT_PREVIOUS) join = match && !before;
    if (join && to->count > c->first) {
        to->at[to->count - 1].end = (uint32_t)end;
        return 0;
    }
    return tl__pieces_add(err, to, begin, end, c->behaviour == TL_SPLIT_NEXT && match ? MATCH : OPEN);
}

/* Matches go with what is behind them: of several in a row the last alone. */
static void join_next(tl_pieces *to, size_t first)
{
    size_t used = first;
    for (size_t i = first; i < to->count; i++) {
        tl_piece p = to->at[i];
        if (p.id == MATCH && i + 1 < to->count && to->at[i + 1].id == OPEN) p.end = to->at[++i].end;
        p.id = OPEN;
        to->at[used++] = p;
    }
    to->count = used;
}

static int split_piece(tl_error *err, tl_text_work *w, tl_piece p, tl_text_find find, const void *what, cuts *c,
                       int invert)
{
    const char *text = w->now.text + p.begin;
    size_t bytes = p.end - p.begin, done = 0, at = 0, from = 0, to = 0;
    int found = 0;
    c->first = c->to->count;
    c->before = 0;
    while (at <= bytes && (found = find(err, what, w, text, bytes, at, &from, &to)) > 0) {
        if (stretch(err, c, p.begin + done, p.begin + from, invert) != 0) return -1;
        if (stretch(err, c, p.begin + from, p.begin + to, !invert) != 0) return -1;
        done = to;
        at = to > at ? to : at + 1;
    }
    if (found < 0 || stretch(err, c, p.begin + done, p.end, invert) != 0) return -1;
    if (c->behaviour == TL_SPLIT_NEXT) join_next(c->to, c->first);
    return 0;
}

int tl__work_split(tl_error *err, tl_text_work *w, tl_text_find find, const void *what, int behaviour, int invert)
{
    cuts c = {&w->other, behaviour, 0, 0};
    w->other.count = 0;
    for (size_t i = 0; i < w->pieces.count; i++) {
        tl_piece p = w->pieces.at[i];
        if ((p.id >= 0 ? tl__pieces_add(err, &w->other, p.begin, p.end, p.id)
                       : split_piece(err, w, p, find, what, &c, invert)) != 0)
            return -1;
    }
    tl_pieces before = w->pieces;
    w->pieces = w->other;
    w->other = before;
    return 0;
}

int tl__step_find(const tl_text_step *s, const char *text, size_t bytes, size_t at, size_t *from, size_t *to)
{
    size_t n = strlen(s->text);
    for (; n && at + n <= bytes; at++) {
        const char *first = memchr(text + at, s->text[0], bytes - at - n + 1);
        if (!first) return 0;
        at = (size_t)(first - text);
        if (memcmp(first, s->text, n) != 0) continue;
        *from = at;
        *to = at + n;
        return 1;
    }
    return 0;
}

int tl__steps_run(tl_error *err, const tl_text_step *list, tl_text_work *w)
{
    for (const tl_text_step *s = list; s; s = s->next)
        if (s->row->run(err, s, w) != 0) return -1;
    return 0;
}

/* ---- memory ---- */

tl_text_work *tl__text_work_new(tl_error *err)
{
    tl_text_work *w = tl__calloc(err, 1, sizeof *w);
    if (!w) return NULL;
    w->classes = tl__unicode_classes(err);
    if (!w->classes) {
        free(w);
        return NULL;
    }
    return w;
}

void tl__text_work_free(tl_text_work *w)
{
    if (!w) return;
    tl__regex_work_free(w);
    free(w->now.text), free(w->now.span);
    free(w->next.text), free(w->next.span);
    free(w->pieces.at), free(w->other.at);
    free(w->changes.at);
    free(w->tokens.at);
    free(w->heap), free(w->symbols), free(w->best);
    for (int i = 0; i < 2; i++) tl__encoding_free(&w->one[i]);
    for (int64_t i = 0; i < w->window_room; i++) tl__encoding_free(&w->window[i]);
    free(w->window);
    free(w);
}
