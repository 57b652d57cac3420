/* detect.c - boxes of a part, and the matching of what was found with what is there, picture by picture and class by
 * class, as pycocotools' evaluateImg does it: from the highest score down each box takes the free truth that it
 * overlaps most, at each of ten IoUs; truths that do not count (crowds, other sizes) are taken last, and who has one of
 * these, or has none and is of another size himself, does not count either. */
#include "task/detect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for `wanted` elements of a growing list: half as many more each time. */
static int grow(tl_error *err, void **list, int64_t *room, int64_t wanted, size_t size)
{
    if (wanted <= *room) return 0;
    int64_t more = wanted + wanted / 2 + 16;
    void *grown = tl__realloc(err, *list, (size_t)more * size);
    if (!grown) return -1;
    *list = grown;
    *room = more;
    return 0;
}

/* The same of the two lists of offsets, which share their room. */
static int grow_offsets(tl_error *err, tl_boxes *b)
{
    int64_t room = b->room, same = b->room;
    void *found = b->found_from, *truth = b->truth_from;
    int bad = grow(err, &found, &room, b->pictures + 2, sizeof *b->found_from);
    b->found_from = found;
    if (bad || grow(err, &truth, &same, b->pictures + 2, sizeof *b->truth_from) != 0) return -1;
    b->truth_from = truth;
    b->room = same;
    if (b->pictures == 0) b->found_from[0] = b->truth_from[0] = 0;
    return 0;
}

int tl__boxes_add(tl_error *err, tl_boxes *b, const tl_found *found, int64_t n, const tl_truth *truth, int64_t m)
{
    if (grow_offsets(err, b) != 0) return -1;
    int64_t f = b->found_from[b->pictures], t = b->truth_from[b->pictures];
    void *all_found = b->found, *all_truth = b->truth;
    int bad = grow(err, &all_found, &b->found_room, f + n, sizeof *b->found);
    b->found = all_found;
    if (bad || grow(err, &all_truth, &b->truth_room, t + m, sizeof *b->truth) != 0) return -1;
    b->truth = all_truth;
    if (n) memcpy(b->found + f, found, (size_t)n * sizeof *found);
    if (m) memcpy(b->truth + t, truth, (size_t)m * sizeof *truth);
    b->pictures++;
    b->found_from[b->pictures] = f + n;
    b->truth_from[b->pictures] = t + m;
    return 0;
}

void tl__boxes_free(tl_boxes *b)
{
    free(b->found_from);
    free(b->truth_from);
    free(b->found);
    free(b->truth);
    *b = (tl_boxes){.classes = b->classes};
}

/* ---- one picture ---- */

static double area_of(const double *p) { return (p[2] - p[0]) * (p[3] - p[1]); }

/* Of a crowd what counts is how much of the box lies in it. */
static double overlap(const tl_found *f, const tl_truth *t)
{
    const double *p = f->box, *q = t->box;
    double w = fmin(p[2], q[2]) - fmax(p[0], q[0]), h = fmin(p[3], q[3]) - fmax(p[1], q[1]);
    if (w <= 0 || h <= 0) return 0;
    return w * h / (t->crowd ? area_of(p) : area_of(p) + area_of(q) - w * h);
}

/* Boxes of one picture in order, truths likewise, and how much they overlap; lists are borrowed and grow. */
typedef struct scene {
    const tl_found *found;
    const tl_truth *truth;
    int64_t n, m;
    int64_t *found_at, *truth_at;      /* by class; found by falling score, then as they came */
    double *iou;                       /* of one class: (found, truth) */
    int64_t *order;                    /* of truths: those that do not count last */
    int64_t *taken;                    /* of truths: who has it, or -1 */
    uint8_t *ignored;                  /* of truths */
    int64_t found_room, truth_room, iou_room, order_room, taken_room, ignored_room;
} scene;

static void scene_free(scene *s)
{
    free(s->found_at);
    free(s->truth_at);
    free(s->iou);
    free(s->order);
    free(s->taken);
    free(s->ignored);
}

typedef struct place { double score; int64_t at; int32_t label; } place;

static int by_class(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int room_for(tl_error *err, scene *s)
{
    void *list[5] = {s->found_at, s->truth_at, s->order, s->taken, s->ignored};
    int bad = grow(err, &list[0], &s->found_room, s->n, sizeof *s->found_at) != 0 ||
              grow(err, &list[1], &s->truth_room, s->m, sizeof *s->truth_at) != 0 ||
              grow(err, &list[2], &s->order_room, s->m, sizeof *s->order) != 0 ||
              grow(err, &list[3], &s->taken_room, s->m, sizeof *s->taken) != 0 ||
              grow(err, &list[4], &s->ignored_room, s->m, sizeof *s->ignored) != 0;
    s->found_at = list[0];
    s->truth_at = list[1];
    s->order = list[2];
    s->taken = list[3];
    s->ignored = list[4];
    return bad ? -1 : 0;
}

static int scene_open(tl_error *err, scene *s, const tl_boxes *b, int64_t picture)
{
    s->n = b->found_from[picture + 1] - b->found_from[picture];
    s->m = b->truth_from[picture + 1] - b->truth_from[picture];
    s->found = s->n ? b->found + b->found_from[picture] : NULL;
    s->truth = s->m ? b->truth + b->truth_from[picture] : NULL;
    if (room_for(err, s) != 0) return -1;
    place *list = tl__malloc(err, (size_t)(s->n > s->m ? s->n : s->m) * sizeof *list + 1);
    if (!list) return -1;
    for (int64_t i = 0; i < s->n; i++) list[i] = (place){s->found[i].score, i, s->found[i].label};
    qsort(list, (size_t)s->n, sizeof *list, by_class);
    for (int64_t i = 0; i < s->n; i++) s->found_at[i] = list[i].at;
    for (int64_t i = 0; i < s->m; i++) list[i] = (place){0, i, s->truth[i].label};
    qsort(list, (size_t)s->m, sizeof *list, by_class);
    for (int64_t i = 0; i < s->m; i++) s->truth_at[i] = list[i].at;
    free(list);
    return 0;
}

/* A class of the scene: stretches of found_at and truth_at. */
typedef struct stretch { int32_t label; const int64_t *found, *truth; int64_t n, m; } stretch;

/* The next class behind what `c` has; 0 where there is none. */
static int next_class(const scene *s, stretch *c)
{
    const int64_t *f = c->found + c->n, *t = c->truth + c->m;
    const int64_t *f_end = s->found_at + s->n, *t_end = s->truth_at + s->m;
    if (f == f_end && t == t_end) return 0;
    int32_t of_f = f < f_end ? s->found[*f].label : INT32_MAX, of_t = t < t_end ? s->truth[*t].label : INT32_MAX;
    *c = (stretch){.label = of_f < of_t ? of_f : of_t, .found = f, .truth = t};
    while (f + c->n < f_end && s->found[f[c->n]].label == c->label) c->n++;
    while (t + c->m < t_end && s->truth[t[c->m]].label == c->label) c->m++;
    return 1;
}

static int measure(tl_error *err, scene *s, const stretch *c, int64_t n)
{
    void *iou = s->iou;
    if (grow(err, &iou, &s->iou_room, n * c->m, sizeof *s->iou) != 0) return -1;
    s->iou = iou;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c->m; k++)
            s->iou[i * c->m + k] = overlap(&s->found[c->found[i]], &s->truth[c->truth[k]]);
    return 0;
}

/* Which truths of the class do not count where areas are from `low` to `high`, and these last. Gives how many count. */
static int64_t set_order(scene *s, const stretch *c, double low, double high)
{
    int64_t at = 0;
    for (int64_t k = 0; k < c->m; k++) {
        const tl_truth *t = &s->truth[c->truth[k]];
        s->ignored[k] = t->crowd || t->area < low || t->area > high;
    }
    for (int64_t k = 0; k < c->m; k++)
        if (!s->ignored[k]) s->order[at++] = k;
    int64_t count = at;
    for (int64_t k = 0; k < c->m; k++)
        if (s->ignored[k]) s->order[at++] = k;
    return count;
}

/* The truth that box i of the class takes at this IoU, or -1. */
static int64_t choose(const scene *s, const stretch *c, int64_t i, double iou)
{
    int64_t best = -1;
    iou = fmin(iou, 1 - 1e-10);
    for (int64_t j = 0; j < c->m; j++) {
        int64_t k = s->order[j];
        if (s->taken[k] >= 0 && !s->truth[c->truth[k]].crowd) continue;
        if (best >= 0 && !s->ignored[best] && s->ignored[k]) break;
        if (s->iou[i * c->m + k] < iou) continue;
        iou = s->iou[i * c->m + k];
        best = k;
    }
    return best;
}

/* ---- all pictures ---- */

static const double areas[TL_AREAS][2] = {{0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}};

/* 0.50, 0.55, ... 0.95 as numpy.linspace makes them. */
static double iou_at(int t) { return t == TL_IOUS - 1 ? 0.95 : t * ((0.95 - 0.5) / (TL_IOUS - 1)) + 0.5; }

static void class_fates(scene *s, const stretch *c, int64_t n, tl_fates *out)
{
    for (int a = 0; a < TL_AREAS; a++) {
        out->truths[c->label][a] += set_order(s, c, areas[a][0], areas[a][1]);
        for (int t = 0; t < TL_IOUS; t++) {
            for (int64_t k = 0; k < c->m; k++) s->taken[k] = -1;
            for (int64_t i = 0; i < n; i++) {
                tl_fate *f = &out->fate[out->n + i];
                int64_t k = choose(s, c, i, iou_at(t));
                double area = area_of(s->found[c->found[i]].box);
                int ignored = k >= 0 ? s->ignored[k] : area < areas[a][0] || area > areas[a][1];
                if (k >= 0) s->taken[k] = i;
                if (k >= 0) f->hit[a] |= (uint16_t)(1 << t);
                if (ignored) f->ignored[a] |= (uint16_t)(1 << t);
            }
        }
    }
}

static int picture_fates(tl_error *err, scene *s, tl_fates *out)
{
    stretch c = {.found = s->found_at, .truth = s->truth_at};
    void *fate = out->fate;
    int bad = grow(err, &fate, &out->room, out->n + s->n, sizeof *out->fate);
    out->fate = fate;
    if (bad) return -1;
    while (next_class(s, &c)) {
        int64_t n = c.n < TL_MOST_FOUND ? c.n : TL_MOST_FOUND;
        if (measure(err, s, &c, n) != 0) return -1;
        for (int64_t i = 0; i < n; i++)
            out->fate[out->n + i] = (tl_fate){.score = s->found[c.found[i]].score, .at = out->n + i, .label = c.label,
                                              .rank = (uint8_t)i};
        class_fates(s, &c, n, out);
        out->n += n;
    }
    return 0;
}

static int by_score(const void *a, const void *b)
{
    const tl_fate *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int tl__fates(tl_error *err, const tl_boxes *b, tl_fates *out)
{
    scene s = {0};
    int status = 0;
    out->from = tl__calloc(err, (size_t)b->classes + 1, sizeof *out->from);
    out->truths = tl__calloc(err, (size_t)b->classes + 1, sizeof *out->truths);
    if (!out->from || !out->truths) status = -1;
    for (int64_t i = 0; i < b->pictures && status == 0; i++) {
        status = scene_open(err, &s, b, i);
        if (status == 0) status = picture_fates(err, &s, out);
    }
    scene_free(&s);
    if (status != 0) return -1;
    if (out->n) qsort(out->fate, (size_t)out->n, sizeof *out->fate, by_score);
    for (int64_t i = 0; i < out->n; i++) out->from[out->fate[i].label + 1]++;
    for (int k = 0; k < b->classes; k++) out->from[k + 1] += out->from[k];
    return 0;
}

void tl__fates_free(tl_fates *f)
{
    free(f->fate);
    free(f->from);
    free(f->truths);
    *f = (tl_fates){0};
}

/* ---- pairs ---- */

typedef struct pair { double iou; int64_t found, truth; } pair;

static int by_iou(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->iou != y->iou) return x->iou < y->iou ? 1 : -1;
    if (x->found != y->found) return x->found < y->found ? -1 : 1;
    return x->truth < y->truth ? -1 : x->truth > y->truth;
}

/* What nobody has of either side, whatever the class: the most alike first. */
static int pair_rest(tl_error *err, const scene *s, const uint8_t *wanted, double iou, int64_t *of_found,
                     int64_t *of_truth)
{
    pair *list = NULL;
    int64_t n = 0, room = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (!wanted[i] || of_found[i] != -1) continue;
        for (int64_t k = 0; k < s->m; k++) {
            double v = of_truth[k] == -1 ? overlap(&s->found[i], &s->truth[k]) : 0;
            void *grown = list;
            if (v < iou || v <= 0) continue;
            if (grow(err, &grown, &room, n + 1, sizeof *list) != 0) {
                free(list);
                return -1;
            }
            list = grown;
            list[n++] = (pair){v, i, k};
        }
    }
    if (n) qsort(list, (size_t)n, sizeof *list, by_iou);
    for (int64_t p = 0; p < n; p++) {
        if (of_found[list[p].found] != -1 || of_truth[list[p].truth] != -1) continue;
        of_found[list[p].found] = list[p].truth;
        of_truth[list[p].truth] = list[p].found;
    }
    free(list);
    return 0;
}

static int pair_scene(tl_error *err, scene *s, const double *confidence, double iou, int64_t *of_found,
                      int64_t *of_truth)
{
    stretch c = {.found = s->found_at, .truth = s->truth_at};
    uint8_t *wanted = tl__calloc(err, (size_t)s->n + 1, 1);
    int status = wanted ? 0 : -1;
    for (int64_t i = 0; i < s->n; i++) of_found[i] = -1;
    for (int64_t k = 0; k < s->m; k++) of_truth[k] = s->truth[k].crowd ? -2 : -1;
    while (status == 0 && next_class(s, &c)) {
        int64_t n = 0;
        while (n < c.n && n < TL_MOST_FOUND && s->found[c.found[n]].score >= confidence[c.label]) n++;
        if ((status = measure(err, s, &c, n)) != 0) break;
        set_order(s, &c, areas[0][0], areas[0][1]);
        for (int64_t k = 0; k < c.m; k++) s->taken[k] = -1;
        for (int64_t i = 0; i < n; i++) {
            int64_t k = choose(s, &c, i, iou);
            wanted[c.found[i]] = 1;
            if (k < 0) continue;
            s->taken[k] = i;
            of_found[c.found[i]] = s->ignored[k] ? -2 : c.truth[k];
            if (!s->ignored[k]) of_truth[c.truth[k]] = c.found[i];
        }
    }
    if (status == 0) status = pair_rest(err, s, wanted, iou, of_found, of_truth);
    for (int64_t i = 0; i < s->n && status == 0; i++)
        if (!wanted[i]) of_found[i] = -3;
    free(wanted);
    return status;
}

int tl__boxes_paired(tl_error *err, const tl_boxes *b, int64_t picture, const double *confidence, double iou,
                     int64_t *of_found, int64_t *of_truth)
{
    scene s = {0};
    int status = scene_open(err, &s, b, picture);
    if (status == 0) status = pair_scene(err, &s, confidence, iou, of_found, of_truth);
    scene_free(&s);
    return status;
}

/* Pairs of one picture into the table. */
static void count_pairs(const scene *s, const int64_t *of_found, const int64_t *of_truth, int64_t side, int64_t *table)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (of_found[i] < -1) continue;
        int64_t is = of_found[i] < 0 ? side - 1 : s->truth[of_found[i]].label;
        table[is * side + s->found[i].label]++;
    }
    for (int64_t k = 0; k < s->m; k++)
        if (of_truth[k] == -1) table[s->truth[k].label * side + side - 1]++;
}

int tl__boxes_confused(tl_error *err, const tl_boxes *b, const double *confidence, double iou, int64_t *table)
{
    scene s = {0};
    int64_t side = (int64_t)b->classes + 1, most_n = 0, most_m = 0;
    for (int64_t i = 0; i < b->pictures; i++) {
        int64_t n = b->found_from[i + 1] - b->found_from[i], m = b->truth_from[i + 1] - b->truth_from[i];
        if (n > most_n) most_n = n;
        if (m > most_m) most_m = m;
    }
    int64_t *of_found = tl__malloc(err, ((size_t)most_n + 1) * sizeof *of_found);
    int64_t *of_truth = tl__malloc(err, ((size_t)most_m + 1) * sizeof *of_truth);
    int status = of_found && of_truth ? 0 : -1;
    memset(table, 0, (size_t)(side * side) * sizeof *table);
    for (int64_t i = 0; i < b->pictures && status == 0; i++) {
        status = scene_open(err, &s, b, i);
        if (status == 0) status = pair_scene(err, &s, confidence, iou, of_found, of_truth);
        if (status == 0) count_pairs(&s, of_found, of_truth, side, table);
    }
    scene_free(&s);
    free(of_found);
    free(of_truth);
    return status;
}
