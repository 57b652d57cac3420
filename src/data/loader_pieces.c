/* loader_pieces.c - windows of numbers as a batch: rows as long as the longest, with the padding's number behind the
 * others. Everything is in memory and known beforehand, so a sample is written where it stays. Words are hidden here,
 * anew in each epoch, by (seed, epoch, sample), as pictures are changed. */
#include "data/loader_inside.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int64_t numbers_of(const tl_loader *l) { return 1 + l->config.types; }

/* The longest window of a batch of the epoch. */
static int64_t widest(const tl_loader *l, int64_t batch)
{
    int64_t most = 1;
    for (int64_t i = l->plan.offset[batch]; i < l->plan.offset[batch + 1]; i++)
        if (l->longest[l->plan.order[i]] > most) most = l->longest[l->plan.order[i]];
    return most;
}

static int marked(const tl_loader *l) { return l->config.mask_share > 0 || l->source->fields & TL_FIELD_MARKS; }

static int64_t pieces_bytes(const tl_loader *l, int64_t batch)
{
    return (l->plan.offset[batch + 1] - l->plan.offset[batch]) * widest(l, batch) *
           (numbers_of(l) + (marked(l) ? 1 : 0)) * (int64_t)sizeof(int32_t);
}

static int pieces_begin(tl_error *err, const tl_loader *l, tl_slot *s)
{
    free(s->ids);
    s->row = widest(l, s->batch);
    s->ids = tl__malloc(err, (size_t)s->bytes);
    s->piece_marks = s->ids && marked(l) ? s->ids + s->n * s->row * numbers_of(l) : NULL;
    return s->ids ? 0 : -1;
}

static int pieces_room(tl_error *err, const tl_loader *l, tl_slot *s)
{
    s->lengths = tl__malloc(err, (size_t)l->batch_room * sizeof *s->lengths);
    if (s->lengths && l->source->fields & TL_FIELD_SPANS)
        s->spans = tl__malloc(err, (size_t)l->batch_room * 2 * sizeof *s->spans);
    return s->lengths && (s->spans || !(l->source->fields & TL_FIELD_SPANS)) ? 0 : -1;
}

/* ---- hidden words (BERT, Devlin et al. 2018, 3.1): of those that are drawn 8 in 10 become the mask, 1 another number,
 * 1 stays ---- */

static void hide(const tl_loader *l, const tl_piece_row *r, uint64_t epoch, uint64_t item, int32_t *ids, int64_t step,
                 int32_t *marks)
{
    const tl_loader_config *c = &l->config;
    tl_rng_key key = tl__rng_key(c->seed, TL_RNG_AUGMENT, epoch << 40 ^ item);
    int64_t drawn = 0, own = 0, chosen = 0;
    for (int64_t k = 0; k < r->count; k++) own += r->all->sequence[r->at + k] >= 0;
    if (!own) return;
    /* One at least, or a short text would teach nothing. */
    chosen = (int64_t)tl__rng_below(key, 0, (uint64_t)own);
    for (int64_t k = 0; k < r->count; k++) {
        if (r->all->sequence[r->at + k] < 0) continue;
        uint32_t bits[4];
        tl__philox(key, (uint64_t)k + 1, bits);
        int64_t place = drawn++;
        if (place != chosen && (double)tl__uniform(bits[0]) >= c->mask_share) continue;
        marks[k] = ids[k * step];
        double way = (double)tl__uniform(bits[1]);
        if (way < 0.8) ids[k * step] = c->mask_id;
        else if (way < 0.9) ids[k * step] = (int32_t)(bits[2] % (uint32_t)c->mask_size);
    }
}

/* ---- a sample ---- */

static int pieces_make(const tl_loader *l, tl_worker *w, int64_t epoch, int64_t item, tl_slot *s, int at, tl_error *err)
{
    int64_t index = item / l->repeats, step = numbers_of(l), row = s->row;
    tl_piece_row r = tl__source_pieces(l->source, index);
    int32_t *ids = s->ids + at * row * step, *marks = s->piece_marks ? s->piece_marks + at * row : NULL;
    for (int64_t k = 0; k < row; k++) {
        ids[k * step] = k < r.count ? r.all->ids[r.at + k] : l->config.pad;
        if (step == 2) ids[k * step + 1] = k < r.count ? r.all->types[r.at + k] : 0;
        if (marks) marks[k] = r.mark && k < r.count ? r.mark[k] : TL_MARK_IGNORED;
    }
    if (l->config.mask_share > 0) hide(l, &r, (uint64_t)epoch, (uint64_t)item, ids, step, marks);
    s->lengths[at] = (int32_t)r.count;
    if (s->spans) memcpy(s->spans + 2 * at, r.span, 2 * sizeof *s->spans);
    if (!s->values) return 0;
    if (tl__source_target(err, l->source, index, TL_FIELD_VALUES, &w->target) != 0) return -1;
    memcpy(s->values + (size_t)at * l->values, w->target.values, l->values * sizeof *s->values);
    return 0;
}

/* Nothing is ever left out: what is in memory cannot be damaged. */
static void pieces_move(const tl_loader *l, tl_slot *s, int from, int to) { (void)l, (void)s, (void)from, (void)to; }
static int pieces_finish(const tl_loader *l, tl_slot *s, int64_t epoch)
{
    (void)l, (void)s, (void)epoch;
    return 0;
}

static void pieces_lend(const tl_loader *l, const tl_slot *s, tl_batch *b)
{
    b->ids = s->ids;
    b->numbers = (int)numbers_of(l);
    b->length = s->row;
    b->lengths = s->lengths;
    b->piece_marks = s->piece_marks;
    b->spans = s->spans;
}

/* ---- opening ---- */

static int check_options(tl_error *err, const tl_loader *l)
{
    const tl_loader_config *c = &l->config;
    if (c->mixup > 0 || c->cutmix > 0)
        return tl__fail(err, TL_EARG, "mixup and cutmix are for pictures, and these are texts; leave them out");
    if (c->noise || c->seconds > 0)
        return tl__fail(err, TL_EARG, "noises and seconds are for sound, and these are texts; leave them out");
    if (c->pieces > 0 && c->drop_last)
        return tl__fail(err, TL_EARG,
                        "drop_last is for batches of so many texts, and these are of pieces; leave it out");
    if (c->pieces > 0 && c->shuffle && !c->buckets)
        return tl__fail(err, TL_EARG, "shuffled batches of pieces need buckets = true");
    if (c->mask_share > 0 && (c->mask_id < 0 || c->mask_size < 1 || c->mask_share > 1))
        return tl__fail(err, TL_EARG, "words are hidden by a share up to 1, a number for them and how many there are");
    return tl__pipeline_keeps(err, l->pipeline, l->source->fields);
}

static int pieces_open(tl_error *err, tl_loader *l)
{
    tl_loader_config *c = &l->config;
    if (check_options(err, l) != 0) return -1;
    l->longest = tl__malloc(err, (size_t)l->source->count * sizeof *l->longest);
    if (!l->longest) return -1;
    for (int64_t i = 0; i < l->source->count; i++) {
        l->longest[i] = tl__source_pieces(l->source, i).count;
        if (c->pieces == 0 || l->longest[i] <= c->pieces) continue;
        tl__fail(err, TL_EARG, "it has %lld pieces, and a batch %lld; make batches larger, or texts shorter",
                 (long long)l->longest[i], (long long)c->pieces);
        return tl__loader_about(l, i, err);
    }
    if (tl__batches_open(err, &l->plan, c, l->source->count, l->longest, c->pieces) != 0) return -1;
    tl__batches_epoch(&l->plan, 0); /* sizes of batches are those of all epochs */
    for (int64_t b = 0; b < l->plan.batches; b++) {
        int64_t n = l->plan.offset[b + 1] - l->plan.offset[b];
        if (n > INT_MAX) return tl__fail(err, TL_EARG, "a batch of %lld texts; make batches smaller", (long long)n);
        if (n > l->batch_room) l->batch_room = (int)n;
    }
    return 0;
}

const tl_cargo tl__cargo_pieces = {.open = pieces_open,
                                   .room = pieces_room,
                                   .bytes = pieces_bytes,
                                   .begin = pieces_begin,
                                   .make = pieces_make,
                                   .move = pieces_move,
                                   .finish = pieces_finish,
                                   .lend = pieces_lend};
