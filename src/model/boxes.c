/* boxes.c - networks that find boxes, asked about pictures: what `tlua predict` says of them
 * (lua/tlua/task/detect.lua). Rows become boxes by task/levels.c, those that overlap are dropped by task/nms.c, and the
 * way back to the pixels of the pictures that were given is that of the model's own preprocessing
 * (tl__pipeline_geometry). */
#include "io/image.h"
#include "model/model.h"
#include "task/detect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the description ---- */

static int damaged(tl_error *err, const char *what, const char *which)
{
    return tl__fail(err, TL_EFORMAT, "its description is damaged: %s%s", what, which);
}

/* An option of the task, where it is there. */
static int take_share(tl_error *err, const cJSON *options, const char *name, double *to)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(options, name);
    if (!j || cJSON_IsNull(j)) return 0;
    if (!cJSON_IsNumber(j) || !(j->valuedouble >= 0 && j->valuedouble <= 1)) return damaged(err, "task.options.", name);
    *to = j->valuedouble;
    return 0;
}

static int take_flag(tl_error *err, const cJSON *options, const char *name, int *to)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(options, name);
    if (!j || cJSON_IsNull(j)) return 0;
    if (!cJSON_IsBool(j)) return damaged(err, "task.options.", name);
    *to = cJSON_IsTrue(j);
    return 0;
}

static int take_options(tl_error *err, tl_finder *f, const cJSON *options)
{
    /* The defaults of lua/tlua/task/detect.lua. */
    f->confidence = 0.25;
    f->iou = 0.65;
    f->per_class = 1;
    f->most = 100;
    if (take_share(err, options, "confidence", &f->confidence) != 0 || take_share(err, options, "iou", &f->iou) != 0)
        return -1;
    if (take_flag(err, options, "per_class", &f->per_class) != 0 ||
        take_flag(err, options, "several", &f->several) != 0)
        return -1;
    const cJSON *most = cJSON_GetObjectItemCaseSensitive(options, "most");
    if (most && !cJSON_IsNull(most) && (!tl__json_is_whole(most, &f->most) || f->most < 1 || f->most > INT32_MAX))
        return damaged(err, "task.options.", "most");
    return 0;
}

/* {"strides": [8, 16, 32], "form": "offsets" or "distribution", "bins": of the latter, "objectness": of the former} */
static int take_levels(tl_error *err, tl_levels *l, const cJSON *levels)
{
    enum { MOST_STRIDE = 1 << 16 };
    const cJSON *strides = cJSON_GetObjectItemCaseSensitive(levels, "strides"),
                *bins = cJSON_GetObjectItemCaseSensitive(levels, "bins"),
                *form = cJSON_GetObjectItemCaseSensitive(levels, "form"),
                *object = cJSON_GetObjectItemCaseSensitive(levels, "objectness");
    int64_t v = 0;
    if (!cJSON_IsArray(strides) || !strides->child || cJSON_GetArraySize(strides) > TL_MOST_LEVELS)
        return damaged(err, "task.kept.levels.", "strides");
    for (const cJSON *each = strides->child; each; each = each->next) {
        if (!tl__json_is_whole(each, &v) || v < 1 || v > MOST_STRIDE)
            return damaged(err, "task.kept.levels.", "strides");
        l->stride[l->count++] = (int)v;
    }
    v = 0;
    if (bins && !cJSON_IsNull(bins) && (!tl__json_is_whole(bins, &v) || v < 2 || v > TL_MOST_BINS))
        return damaged(err, "task.kept.levels.", "bins");
    l->bins = (int)v;
    const char *own = l->bins ? "distribution" : "offsets";
    if (form && !(cJSON_IsString(form) && strcmp(form->valuestring, own) == 0))
        return damaged(err, "task.kept.levels.", "form");
    if (object && !(cJSON_IsBool(object) && cJSON_IsTrue(object) == !l->bins))
        return damaged(err, "task.kept.levels.", "objectness");
    return 0;
}

int tl__finder_read(tl_error *err, tl_model *m, const cJSON *task)
{
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(task, "kept"),
                *levels = cJSON_GetObjectItemCaseSensitive(kept, "levels");
    if (strcmp(m->task, "detect") != 0 || !levels || cJSON_IsNull(levels)) return 0;
    m->finder = tl__calloc(err, 1, sizeof *m->finder);
    if (!m->finder || take_levels(err, &m->finder->levels, levels) != 0) return -1;
    return take_options(err, m->finder, cJSON_GetObjectItemCaseSensitive(task, "options"));
}

/* A confidence for each class. */
static int take_chosen(tl_error *err, tl_model *m, const cJSON *list)
{
    if (!list || cJSON_IsNull(list)) return 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != m->classes)
        return damaged(err, "task.kept.", "confidences");
    double *to = m->finder->chosen = tl__calloc(err, (size_t)m->classes + 1, sizeof *m->finder->chosen);
    for (const cJSON *each = to ? list->child : NULL; each; each = each->next) {
        if (!cJSON_IsNumber(each) || !(each->valuedouble >= 0 && each->valuedouble <= 1))
            return damaged(err, "task.kept.", "confidences");
        *to++ = each->valuedouble;
    }
    return m->finder->chosen ? 0 : -1;
}

int tl__finder_check(tl_error *err, tl_model *m, const cJSON *task)
{
    if (!m->finder) return 0;
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(task, "kept");
    const tl_model_tensor *y = &m->out[0];
    tl_levels *l = &m->finder->levels;
    l->classes = m->classes;
    if (m->classes < 1 || m->plan->outputs != 1 || y->rank != 3 || y->dtype != TL_F32 ||
        y->dim[2] != tl__levels_width(l))
        return tl__fail(err, TL_EFORMAT,
                        "it finds boxes of %d classes in rows of %lld numbers, and its plan gives others", m->classes,
                        (long long)tl__levels_width(l));
    return take_chosen(err, m, cJSON_GetObjectItemCaseSensitive(kept, "confidences"));
}

void tl__finder_free(tl_finder *f)
{
    if (f) free(f->chosen);
    free(f);
}

/* ---- asking ---- */

/* What one call works with. */
typedef struct search {
    tl_error *err;
    const tl_model *m;
    tl_levels levels;
    double confidence; /* below 0: the model's own */
    float *cell, *box, *score;
    int32_t *label;
    int64_t *keep;
    tl_box *out;
    int64_t room, n; /* boxes that `out` has room for, and those that were found */
} search;

static int can_find(tl_scope *s, const tl_model *m, double confidence, const tl_box *out, int64_t room)
{
    if (!s || s->err.code) return 0;
    if (!m) tl__fail(&s->err, TL_EARG, "the model is NULL");
    else if (!m->finder && strcmp(m->task, "detect") == 0)
        tl__fail(&s->err, TL_ESTATE, "tl_model_boxes: the file does not say what the rows of its outputs mean");
    else if (!m->finder)
        tl__fail(&s->err, TL_ESTATE,
                 "tl_model_boxes is for networks that find boxes, and this network was made for another task: %s; "
                 "tl_model_run gives what it says",
                 m->task);
    else if (!(confidence <= 1))
        tl__fail(&s->err, TL_EARG, "tl_model_boxes: a confidence is at most 1, not %g", confidence);
    else if (room < 0 || (room > 0 && !out))
        tl__fail(&s->err, TL_EARG, "tl_model_boxes: there is no room for %lld boxes", (long long)room);
    return !s->err.code;
}

static int open_search(search *f, int64_t height, int64_t width, const tl_tensor *y)
{
    tl_levels *l = &f->levels;
    *l = f->m->finder->levels;
    l->height = height;
    l->width = width;
    if (tl__levels_check(f->err, l) != 0) return -1;
    int64_t cells = tl__levels_cells(l);
    if (y->shape.rank != 3 || y->shape.dim[1] != cells)
        return tl__fail(f->err, TL_EFORMAT,
                        "its levels have %lld cells in pictures of %lld x %lld pixels, and it gives %lld rows",
                        (long long)cells, (long long)width, (long long)height,
                        (long long)(y->shape.rank == 3 ? y->shape.dim[1] : 0));
    int64_t most = cells, classes = f->m->finder->several ? l->classes : 1;
    if (tl__mul_size(most, classes, &most) != 0) return tl__fail(f->err, TL_EMEMORY, "its levels have too many cells");
    size_t n = (size_t)most;
    if (!(f->cell = tl__malloc(f->err, 3 * (size_t)cells * sizeof *f->cell)) ||
        !(f->box = tl__malloc(f->err, 4 * n * sizeof *f->box)) ||
        !(f->score = tl__malloc(f->err, n * sizeof *f->score)) ||
        !(f->label = tl__malloc(f->err, n * sizeof *f->label)) || !(f->keep = tl__malloc(f->err, n * sizeof *f->keep)))
        return -1;
    tl__levels_place(l, f->cell);
    return 0;
}

static void close_search(search *f)
{
    void *const all[] = {f->cell, f->box, f->score, f->label, f->keep};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static double confidence_of(const search *f, int label)
{
    const tl_finder *own = f->m->finder;
    return f->confidence >= 0 ? f->confidence : own->chosen ? own->chosen[label] : own->confidence;
}

/* The lowest score that is looked at: `tlua predict` looks at those from 0.05 on, which say how undecided the network
 * is. So doing the same leaves the same boxes where classes take each other out and have confidences of their own. */
static float least_of(const search *f)
{
    double least = 0.05;
    for (int k = 0; k < f->levels.classes; k++) least = fmin(least, confidence_of(f, k));
    return (float)least;
}

/* Adds what is found in picture i, of width x height, whose rows these are. */
static int add_picture(search *f, int i, const float *rows, const int size[2])
{
    const tl_finder *own = f->m->finder;
    tl_geometry way;
    int64_t n = tl__levels_found(&f->levels, f->cell, rows, least_of(f), own->several, f->box, f->score,
                                 f->label);
    if (n < 0)
        return tl__fail(f->err, TL_EFORMAT, "the network's outputs are no numbers (nan); its weights may hold NaN");
    if (tl__pipeline_geometry(f->err, f->m->pipeline, size[0], size[1], &way) != 0) return -1;
    n = tl__nms(f->err, f->box, f->score, own->per_class ? f->label : NULL, n, own->iou, own->most, f->keep);
    for (int64_t k = 0; k < n; k++) {
        int64_t at = f->keep[k];
        const float *b = f->box + 4 * at;
        double score = (double)f->score[at], side[4] = {(double)b[0], (double)b[1], (double)b[2], (double)b[3]};
        if (score < confidence_of(f, f->label[at])) continue;
        if (tl__geometry_back(f->err, &way, side) != 0) return -1;
        if (f->n++ < f->room) f->out[f->n - 1] = (tl_box){i, f->label[at], score, side[0], side[1], side[2], side[3]};
    }
    return n < 0 ? -1 : 0;
}

/* The boxes in x (n, H, W, C), pictures that were of these sizes; how many, or -1. */
static int64_t find(tl_scope *s, tl_model *m, tl_tensor *x, int n, const int (*size)[2], double confidence, tl_box *out,
                    int64_t room)
{
    search f = {.err = &s->err, .m = m, .confidence = confidence, .out = out, .room = room};
    tl_tensor *y = tl_model_logits(s, m, x);
    float *rows = NULL;
    int status = y ? open_search(&f, x->shape.dim[1], x->shape.dim[2], y) : -1;
    size_t floats = status == 0 ? (size_t)tl_numel(y) : 0;
    if (status == 0) rows = tl__malloc(&s->err, floats * sizeof *rows);
    if (!rows || tl_read(s, y, rows, floats * sizeof *rows) != 0) status = -1;
    for (int i = 0; i < n && status == 0; i++) {
        status = add_picture(&f, i, rows + (size_t)i * (floats / (size_t)n), size[i]);
        if (status != 0) tl__error_prefix(&s->err, "pictures[%d]: ", i);
    }
    free(rows);
    close_search(&f);
    return status == 0 ? f.n : -1;
}

int64_t tl_model_boxes(tl_scope *s, tl_model *m, const char *const *paths, int n, double confidence, tl_box *out,
                       int64_t room)
{
    if (!can_find(s, m, confidence, out, room)) return -1;
    tl_tensor *x = tl_model_pictures(s, m, paths, n);
    int(*size)[2] = x ? tl__calloc(&s->err, (size_t)n, sizeof *size) : NULL;
    int bad = !size;
    for (int i = 0; i < n && !bad; i++) bad = tl__image_size(&s->err, paths[i], &size[i][0], &size[i][1]) != 0;
    int64_t found = bad ? -1 : find(s, m, x, n, (const int(*)[2])size, confidence, out, room);
    free(size);
    return found;
}

int64_t tl_model_boxes_memory(tl_scope *s, tl_model *m, const tl_picture *pictures, int n, double confidence,
                              tl_box *out, int64_t room)
{
    if (!can_find(s, m, confidence, out, room)) return -1;
    tl_tensor *x = tl_model_pictures_memory(s, m, pictures, n);
    int(*size)[2] = x ? tl__calloc(&s->err, (size_t)n, sizeof *size) : NULL;
    int bad = !size;
    for (int i = 0; i < n && !bad; i++) {
        const tl_picture *p = &pictures[i];
        size[i][0] = p->width;
        size[i][1] = p->height;
        if (!p->channels)
            bad = tl__image_size_memory(&s->err, p->name ? p->name : "pictures", p->data, p->bytes, &size[i][0],
                                        &size[i][1]) != 0;
    }
    int64_t found = bad ? -1 : find(s, m, x, n, (const int(*)[2])size, confidence, out, room);
    free(size);
    return found;
}
