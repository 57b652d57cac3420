/* ctc_beam.c - prefix beam search (Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition
 * using bi-directional recurrent DNNs", algorithm 1): the chances of all paths that spell a prefix are added up,
 * those that end in a blank apart from the others, and the best prefixes go on. A language model of characters is
 * weighed as pyctcdecode weighs its own: log p(frames) + alpha log p(text) + beta for each symbol. */
#include "task/ctc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A prefix: a symbol behind another prefix. There is one node of each, so that what meets again is added up. */
typedef struct node {
    int32_t label;                    /* -1 of the root */
    int64_t parent, child, sibling;   /* -1: none */
    int64_t beam;                     /* its place among those that are kept; -1: it is not */
    int64_t depth;
    double model;
} node;

/* `blank`, `other`: logarithms of the chance of the paths that end so. */
typedef struct beam { int64_t node; double blank, other; } beam;
typedef struct candidate { int64_t from; int32_t label; double blank, other, model, rank; } candidate;

typedef struct search {
    const tl_ctc_scores *s;
    const tl_ctc_search *o;
    node *nodes;
    int64_t nodes_count, nodes_room;
    beam *beams;
    candidate *tried;                 /* first those that stay, by place; then those with a symbol more */
    int64_t *best;                    /* a heap of places in `tried`, the worst on top */
    int64_t *children;                /* by class: the child of the prefix at hand, or -1 */
    float *row;
    int64_t count, tried_count, best_count;
} search;

static double log_add(double a, double b)
{
    if (a < b) {
        double t = a;
        a = b;
        b = t;
    }
    return b == -INFINITY ? a : a + log1p(exp(b - a));
}

static int64_t add_node(tl_error *err, search *w, int64_t parent, int32_t label, double model)
{
    if (w->nodes_count == w->nodes_room) {
        int64_t room = w->nodes_room ? 2 * w->nodes_room : 256;
        node *more = tl__realloc(err, w->nodes, (size_t)room * sizeof *more);
        if (!more) return -1;
        w->nodes = more;
        w->nodes_room = room;
    }
    node n = {label, parent, -1, -1, -1, 0, model};
    if (parent >= 0) {
        n.sibling = w->nodes[parent].child;
        n.depth = w->nodes[parent].depth + 1;
        w->nodes[parent].child = w->nodes_count;
    }
    w->nodes[w->nodes_count] = n;
    return w->nodes_count++;
}

/* Up to `most` of the last symbols of a prefix, the newest last; gives how many. */
static int64_t symbols_of(const search *w, int64_t at, int32_t *out, int64_t most)
{
    int64_t n = w->nodes[at].depth < most ? w->nodes[at].depth : most;
    for (int64_t k = n - 1; k >= 0; k--, at = w->nodes[at].parent) out[k] = w->nodes[at].label;
    return n;
}

/* What a symbol behind the `n` last ones adds. */
static double model_of(const search *w, const int32_t *before, int64_t n, int32_t label)
{
    double bonus = label < w->s->classes ? w->o->beta : 0;
    return bonus + (w->o->model ? w->o->alpha * tl__ngram_log(w->o->model, before, n, label) : 0);
}

/* Each kept prefix as it is: with a blank, or with its last symbol going on. */
static void stay(search *w, const uint8_t *tries)
{
    for (int64_t i = 0; i < w->count; i++) {
        const beam *b = &w->beams[i];
        const node *n = &w->nodes[b->node];
        candidate *c = &w->tried[i];
        *c = (candidate){i, -1, -INFINITY, -INFINITY, n->model, 0};
        if (tries[w->s->blank]) c->blank = log_add(b->blank, b->other) + (double)w->row[w->s->blank];
        if (n->label >= 0 && tries[n->label]) c->other = b->other + (double)w->row[n->label];
    }
    w->tried_count = w->count;
}

/* Prefix i with each class behind it; where that is a kept prefix too, its chance is added there. */
static void extend(search *w, int64_t i, const uint8_t *tries)
{
    const beam *b = &w->beams[i];
    const node *n = &w->nodes[b->node];
    int32_t before[TL_NGRAM_LONGEST];
    int64_t known = symbols_of(w, b->node, before, TL_NGRAM_LONGEST - 1);
    double both = log_add(b->blank, b->other);
    for (int64_t c = n->child; c >= 0; c = w->nodes[c].sibling) w->children[w->nodes[c].label] = c;
    for (int32_t k = 0; k < w->s->classes; k++) {
        double v = (k == n->label ? b->blank : both) + (double)w->row[k];
        int64_t child = w->children[k];
        if (k == w->s->blank || !tries[k] || v == -INFINITY) continue;
        if (child >= 0 && w->nodes[child].beam >= 0) {
            candidate *c = &w->tried[w->nodes[child].beam];
            c->other = log_add(c->other, v);
        } else {
            double model = child >= 0 ? w->nodes[child].model : n->model + model_of(w, before, known, k);
            w->tried[w->tried_count++] = (candidate){i, k, -INFINITY, v, model, 0};
        }
    }
    for (int64_t c = n->child; c >= 0; c = w->nodes[c].sibling) w->children[w->nodes[c].label] = -1;
}

/* Of two that are as good the one that was tried first. */
static int worse(const search *w, int64_t a, int64_t b)
{
    double x = w->tried[a].rank, y = w->tried[b].rank;
    return x < y || (x == y && a > b);
}

static void sink(search *w, int64_t at)
{
    for (;;) {
        int64_t least = at;
        for (int64_t c = 2 * at + 1; c <= 2 * at + 2 && c < w->best_count; c++)
            if (worse(w, w->best[c], w->best[least])) least = c;
        if (least == at) return;
        int64_t t = w->best[at];
        w->best[at] = w->best[least];
        w->best[least] = t;
        at = least;
    }
}

/* The best `width` of what was tried, in a heap. */
static void choose(search *w)
{
    double top = -INFINITY;
    for (int64_t i = 0; i < w->tried_count; i++) {
        candidate *c = &w->tried[i];
        c->rank = log_add(c->blank, c->other) + c->model;
        if (c->rank > top) top = c->rank;
    }
    w->best_count = 0;
    for (int64_t i = 0; i < w->tried_count; i++) {
        if (!(w->tried[i].rank > -INFINITY) || w->tried[i].rank < top - w->o->behind) continue;
        if (w->best_count < w->o->width) {
            w->best[w->best_count++] = i;
            if (w->best_count == w->o->width)
                for (int64_t k = w->best_count / 2; k >= 0; k--) sink(w, k);
        } else if (worse(w, w->best[0], i)) {
            w->best[0] = i;
            sink(w, 0);
        }
    }
}

/* What was chosen becomes what is kept. */
static int keep(tl_error *err, search *w, beam *next)
{
    for (int64_t k = 0; k < w->best_count; k++) {
        const candidate *c = &w->tried[w->best[k]];
        int64_t at = w->beams[c->from].node, child = -1;
        if (c->label >= 0) {
            child = w->nodes[at].child;
            while (child >= 0 && w->nodes[child].label != c->label) child = w->nodes[child].sibling;
            if (child < 0) child = add_node(err, w, at, c->label, c->model);
            if (child < 0) return -1;
            at = child;
        }
        next[k] = (beam){at, c->blank, c->other};
    }
    for (int64_t i = 0; i < w->count; i++) w->nodes[w->beams[i].node].beam = -1;
    w->count = w->best_count;
    for (int64_t k = 0; k < w->count; k++) {
        w->beams[k] = next[k];
        w->nodes[next[k].node].beam = k;
    }
    return 0;
}

/* Which classes of a frame are tried. */
static void look_at(search *w, int64_t frame, uint8_t *tries)
{
    int64_t best = 0;
    tl__ctc_frame(w->s, frame, w->row);
    for (int64_t k = 0; k < w->s->classes; k++) {
        tries[k] = (double)w->row[k] >= w->o->least && w->row[k] > -INFINITY;
        if (w->row[k] > w->row[best]) best = k;
    }
    tries[best] = 1;
}

/* One of what is left as a text, with the places that its symbols have on the best path. */
static int tell(tl_error *err, search *w, int64_t i, tl_ctc_text *out)
{
    const beam *b = &w->beams[i];
    int64_t n = w->nodes[b->node].depth;
    int32_t *labels = tl__calloc(err, (size_t)n + 1, sizeof *labels);
    int bad = !labels;
    if (!bad) {
        symbols_of(w, b->node, labels, n);
        bad = tl__ctc_align(err, w->s, labels, n, out) != 0;
    }
    if (!bad) {
        out->score = log_add(b->blank, b->other);
        out->model = w->tried[i].rank - out->score;
    }
    free(labels);
    return bad ? -1 : 0;
}

/* The best of what is left, in order, each with the end of the text behind it. */
static int tell_best(tl_error *err, search *w, int most, tl_ctc_text *out)
{
    int32_t before[TL_NGRAM_LONGEST];
    for (int64_t i = 0; i < w->count; i++) {
        const beam *b = &w->beams[i];
        int64_t known = symbols_of(w, b->node, before, TL_NGRAM_LONGEST - 1);
        double end = w->o->model ? model_of(w, before, known, (int32_t)w->s->classes) : 0;
        w->tried[i].rank = log_add(b->blank, b->other) + w->nodes[b->node].model + end;
    }
    int told = 0;
    for (; told < most && told < w->count; told++) {
        int64_t best = -1;
        for (int64_t i = 0; i < w->count; i++)
            if (w->nodes[w->beams[i].node].beam >= 0 && (best < 0 || worse(w, best, i))) best = i;
        w->nodes[w->beams[best].node].beam = -1;
        if (tell(err, w, best, &out[told]) == 0) continue;
        while (told > 0) tl__ctc_text_free(&out[--told]);
        return -1;
    }
    return told;
}

int tl__ctc_beam(tl_error *err, const tl_ctc_scores *s, const tl_ctc_search *o, int most, tl_ctc_text *out)
{
    size_t k = (size_t)s->classes, width = (size_t)o->width;
    search w = {.s = s, .o = o, .count = 1};
    beam *next = tl__calloc(err, width, sizeof *next);
    uint8_t *tries = tl__calloc(err, k, 1);
    w.beams = tl__calloc(err, width, sizeof *w.beams);
    w.tried = tl__calloc(err, width * (k + 1), sizeof *w.tried);
    w.best = tl__calloc(err, width, sizeof *w.best);
    w.children = tl__calloc(err, k, sizeof *w.children);
    w.row = tl__calloc(err, k, sizeof *w.row);
    int told = -1;
    int bad = !next || !tries || !w.beams || !w.tried || !w.best || !w.children || !w.row ||
              add_node(err, &w, -1, -1, 0) < 0;
    if (!bad) {
        w.beams[0] = (beam){0, 0, -INFINITY};
        w.nodes[0].beam = 0;
        for (size_t i = 0; i < k; i++) w.children[i] = -1;
    }
    for (int64_t t = 0; !bad && t < s->frames; t++) {
        look_at(&w, t, tries);
        stay(&w, tries);
        for (int64_t i = 0; i < w.count; i++) extend(&w, i, tries);
        choose(&w);
        bad = keep(err, &w, next) != 0;
    }
    if (!bad) told = tell_best(err, &w, most, out);
    void *all[] = {next, tries, w.beams, w.tried, w.best, w.children, w.row, w.nodes};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return told;
}
