/* detect.c - boxes that are found beside those that are there, in Lua: core.detect. Boxes are left, top, right, bottom:
 * a tensor (N, 4), a list of rows or a flat list; scores, labels and areas a tensor or a list. Labels count from 0,
 * pictures and boxes from 1.
 *   core.detect.nms(boxes, scores, labels [, {iou=, most=, least=, per_class=}]) -> list of those that stay, the
 *     highest score first     of those that overlap by more than iou (0.65), at most `most`, of scores from `least` on;
 *     labels may be nil; per_class=false lets boxes of all classes take each other out
 *   core.detect.meter(classes) -> meter       what a part's figures are counted with
 *   meter:add {boxes=, scores=, labels=, truth=, truth_labels=, crowd=, areas=}   a picture; crowd: truths that stand
 *     for many, which count nowhere; areas: of the truths (their boxes')
 *   meter:figures() -> {ap=, ap_50=, ap_75=, ap_small=, ap_medium=, ap_large=, ar_1=, ar_10=, ar_100=, ar_small=,
 *     ar_medium=, ar_large=, classes={the same with truths=, found=}}    COCO's; NaN where there is no truth to find
 *   meter:curve([label]) -> {scores=, precision=, recall=, f1=, truths=}    at an IoU of 0.5, highest score first; of
 *     all classes together without a label
 *   meter:best() -> {confidence=, f1=, precision=, recall=, classes={the same}}  where f1 is highest; no confidence
 *     where nothing was found
 *   meter:confusion {confidence=, iou=} -> rows[truth][found], the last of both is background
 *   meter:pairs(picture, {confidence=, iou=}) -> of each box found its truth, of each truth its box; 0 none, -1 a
 *     crowd, false: below the confidence, which is a number or one for each class
 *   meter:pictures() -> how many were added
 *   meter:drawn(list) -> a meter of these pictures (numbers from 1, some of them more than once) */
#include "lua/binding.h"

#include "task/detect.h"

#include <math.h>
#include <string.h>

#define METER "tlua.detect"
enum { MOST_CLASSES = 100000 };

typedef struct meter {
    tl_boxes boxes;
    tl_fates fates;
    int matched; /* fates are of all boxes */
} meter;

static meter *meter_at(lua_State *L) { return luaL_checkudata(L, 1, METER); }

static int meter_gc(lua_State *L)
{
    meter *m = meter_at(L);
    tl__boxes_free(&m->boxes);
    tl__fates_free(&m->fates);
    return 0;
}

/* ---- numbers ---- */

static double number_here(lua_State *L, const char *what, int64_t i)
{
    int number = 1, kind = lua_type(L, -1);
    double v = kind == LUA_TBOOLEAN ? lua_toboolean(L, -1) : lua_tonumberx(L, -1, &number);
    if (!number) tl__lua_raisef(L, "detect: %s %lld is no number", what, (long long)i);
    lua_pop(L, 1);
    return v;
}

static double *list_numbers(lua_State *L, int index, int width, const char *what, int64_t *n)
{
    int64_t count = (int64_t)lua_rawlen(L, index);
    int rows = lua_rawgeti(L, index, 1) == LUA_TTABLE;
    lua_pop(L, 1);
    if (!rows && count % width)
        tl__lua_raisef(L, "detect: %s have %d numbers each, and there are %lld", what, width, (long long)count);
    *n = rows ? count : count / width;
    double *list = lua_newuserdatauv(L, (size_t)(*n * width + 1) * sizeof *list, 0);
    for (int64_t i = 0; i < *n * width; i++) {
        if (rows) {
            if (lua_rawgeti(L, index, i / width + 1) != LUA_TTABLE || (int)lua_rawlen(L, -1) != width)
                tl__lua_raisef(L, "detect: row %lld of %s has not %d numbers", (long long)(i / width) + 1, what, width);
            lua_rawgeti(L, -1, i % width + 1);
            list[i] = number_here(L, what, i / width + 1);
            lua_pop(L, 1);
        } else {
            lua_rawgeti(L, index, i + 1);
            list[i] = number_here(L, what, i / width + 1);
        }
    }
    return list;
}

static double *tensor_numbers(lua_State *L, int index, int width, const char *what, int64_t *n)
{
    tl_tensor *t = tl__lua_tensor(L, index);
    int64_t all = tl_numel(t);
    char text[TL__SHAPE_TEXT];
    int fits = width == 1 ? t->shape.rank == 1 : t->shape.rank == 2 && t->shape.dim[1] == width;
    if (!fits)
        tl__lua_raisef(L, "detect: %s are %s, and must be (N%s)", what, tl__shape_text(&t->shape, text, sizeof text),
                       width == 1 ? "" : ", 4");
    *n = all / width;
    const void *host = tl__lua_values(L, t);
    double *list = lua_newuserdatauv(L, (size_t)(all + 1) * sizeof *list, 0);
    for (int64_t i = 0; i < all; i++) list[i] = tl__lua_value_at(host, t->dtype, i);
    lua_remove(L, -2);
    return list;
}

/* Numbers of the list or tensor at `index`, `width` each, in a userdata that is pushed; NULL, and nil pushed, where
 * there is nothing. */
static double *numbers(lua_State *L, int index, int width, const char *what, int64_t *n)
{
    *n = 0;
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return NULL;
    }
    if (lua_istable(L, index)) return list_numbers(L, index, width, what, n);
    return tensor_numbers(L, index, width, what, n);
}

/* The same of field `key` of the table at `t`. */
static double *field_numbers(lua_State *L, int t, const char *key, int width, int64_t *n)
{
    lua_getfield(L, t, key);
    double *list = numbers(L, lua_gettop(L), width, key, n);
    lua_remove(L, -2);
    return list;
}

static void check_count(lua_State *L, const char *what, int64_t got, int64_t wanted, const char *of)
{
    if (got != wanted)
        tl__lua_raisef(L, "detect: %lld %s for %lld %s", (long long)got, what, (long long)wanted, of);
}

static void check_box(lua_State *L, const double *p, const char *what, int64_t i)
{
    for (int k = 0; k < 4; k++)
        if (!isfinite(p[k])) tl__lua_raisef(L, "detect: %s %lld has a side at %g", what, (long long)i + 1, p[k]);
    if (p[2] < p[0] || p[3] < p[1])
        tl__lua_raisef(L, "detect: %s %lld is %g, %g, %g, %g, and must be left, top, right, bottom", what,
                       (long long)i + 1, p[0], p[1], p[2], p[3]);
}

static int32_t label_of(lua_State *L, double v, int64_t classes, const char *what, int64_t i)
{
    if (!(v >= 0 && v < (double)classes) || v != floor(v))
        tl__lua_raisef(L, "detect: the label of %s %lld is %g, and must be a whole number from 0 to %lld", what,
                       (long long)i + 1, v, (long long)classes - 1);
    return (int32_t)v;
}

/* ---- nms ---- */

static void check_score(lua_State *L, double v, int64_t i)
{
    if (isnan(v)) tl__lua_raisef(L, "detect: score %lld is NaN, and has no place among the others", (long long)i + 1);
}

static int nms(lua_State *L)
{
    int64_t n, scores, labels, kept = 0;
    tl_error err = {0};
    lua_settop(L, 4);
    int options = lua_istable(L, 4);
    double iou = options ? tl__lua_field_number(L, 4, "iou", 0.65) : 0.65;
    double least = options ? tl__lua_field_number(L, 4, "least", -HUGE_VAL) : -HUGE_VAL;
    int64_t most = options ? tl__lua_field_integer(L, 4, "most", 0, 1, INT32_MAX) : 0;
    int per_class = options ? tl__lua_field_bool(L, 4, "per_class", 1) : 1;
    if (!(iou >= 0 && iou <= 1)) tl__lua_raisef(L, "detect.nms: iou must be from 0 to 1, not %g", iou);
    const double *given = numbers(L, 1, 4, "boxes", &n), *score = numbers(L, 2, 1, "scores", &scores);
    const double *label = numbers(L, 3, 1, "labels", &labels);
    if (!given || !score) tl__lua_raise(L, "detect.nms: boxes and scores are needed");
    check_count(L, "scores", scores, n, "boxes");
    if (label) check_count(L, "labels", labels, n, "boxes");
    size_t room = (size_t)n + 1;
    float *side = lua_newuserdatauv(L, room * 4 * sizeof *side, 0);
    float *rank = lua_newuserdatauv(L, room * sizeof *rank, 0);
    int32_t *class = lua_newuserdatauv(L, room * sizeof *class, 0);
    int64_t *at = lua_newuserdatauv(L, room * sizeof *at, 0), *keep = lua_newuserdatauv(L, room * sizeof *keep, 0);
    for (int64_t i = 0; i < n; i++) {
        check_score(L, score[i], i);
        if (score[i] < least) continue;
        for (int k = 0; k < 4; k++) side[4 * kept + k] = (float)given[4 * i + k];
        rank[kept] = (float)score[i];
        class[kept] = label ? label_of(L, label[i], INT32_MAX, "box", i) : 0;
        at[kept++] = i;
    }
    int64_t stay = tl__nms(&err, side, rank, label && per_class ? class : NULL, kept, iou, most, keep);
    if (stay < 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, (int)stay, 0);
    for (int64_t i = 0; i < stay; i++) {
        lua_pushinteger(L, at[keep[i]] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- meter ---- */

static meter *push_meter(lua_State *L, int classes)
{
    meter *m = lua_newuserdatauv(L, sizeof *m, 0);
    *m = (meter){.boxes.classes = classes};
    luaL_setmetatable(L, METER);
    return m;
}

static int new_meter(lua_State *L)
{
    lua_Integer classes = luaL_checkinteger(L, 1);
    if (classes < 1 || classes > MOST_CLASSES)
        return tl__lua_raisef(L, "detect.meter: classes must be from 1 to %d, not %lld", MOST_CLASSES,
                              (long long)classes);
    push_meter(L, (int)classes);
    return 1;
}

/* The boxes of field `key` and their labels; pushes what holds them. */
static const double *boxes_of(lua_State *L, const char *key, const char *label_key, const double **label, int64_t *n)
{
    int64_t labels;
    const double *given = field_numbers(L, 2, key, 4, n);
    *label = field_numbers(L, 2, label_key, 1, &labels);
    check_count(L, label_key, labels, *n, key);
    for (int64_t i = 0; i < *n; i++) check_box(L, given + 4 * i, key, i);
    return given;
}

static int add(lua_State *L)
{
    meter *m = meter_at(L);
    int64_t n, truths, count;
    const double *label, *of_truth;
    tl_error err = {0};
    luaL_checktype(L, 2, LUA_TTABLE);
    const double *given = boxes_of(L, "boxes", "labels", &label, &n);
    const double *score = field_numbers(L, 2, "scores", 1, &count);
    check_count(L, "scores", count, n, "boxes");
    const double *is = boxes_of(L, "truth", "truth_labels", &of_truth, &truths);
    const double *crowd = field_numbers(L, 2, "crowd", 1, &count);
    if (crowd) check_count(L, "marks of crowds", count, truths, "truths");
    const double *area = field_numbers(L, 2, "areas", 1, &count);
    if (area) check_count(L, "areas", count, truths, "truths");
    tl_found *found = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *found, 0);
    tl_truth *truth = lua_newuserdatauv(L, (size_t)(truths + 1) * sizeof *truth, 0);
    for (int64_t i = 0; i < n; i++) {
        check_score(L, score[i], i);
        found[i] = (tl_found){.score = score[i], .label = label_of(L, label[i], m->boxes.classes, "box", i)};
        memcpy(found[i].box, given + 4 * i, sizeof found[i].box);
    }
    for (int64_t i = 0; i < truths; i++) {
        const double *p = is + 4 * i;
        truth[i] = (tl_truth){.area = area ? area[i] : (p[2] - p[0]) * (p[3] - p[1]), .crowd = crowd && crowd[i] != 0,
                              .label = label_of(L, of_truth[i], m->boxes.classes, "truth", i)};
        memcpy(truth[i].box, p, sizeof truth[i].box);
    }
    if (tl__boxes_add(&err, &m->boxes, found, n, truth, truths) != 0) return tl__lua_raise(L, err.text);
    tl__fates_free(&m->fates);
    m->matched = 0;
    return 0;
}

static const tl_fates *fates_of(lua_State *L, meter *m)
{
    tl_error err = {0};
    if (!m->matched && tl__fates(&err, &m->boxes, &m->fates) != 0) {
        tl__fates_free(&m->fates);
        tl__lua_raise(L, err.text);
    }
    m->matched = 1;
    return &m->fates;
}

static void push_figures(lua_State *L, const double *row)
{
    static const char *const keys[TL_BOX_FIGURES] = {"ap",   "ap_50", "ap_75",  "ap_small", "ap_medium", "ap_large",
                                                     "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"};
    lua_createtable(L, 0, TL_BOX_FIGURES + 2);
    for (int i = 0; i < TL_BOX_FIGURES; i++) tl__lua_set_number(L, keys[i], row[i]);
}

static int figures(lua_State *L)
{
    meter *m = meter_at(L);
    const tl_fates *f = fates_of(L, m);
    int classes = m->boxes.classes;
    double (*rows)[TL_BOX_FIGURES] = lua_newuserdatauv(L, (size_t)classes * sizeof *rows, 0), mean[TL_BOX_FIGURES];
    tl_error err = {0};
    if (tl__box_figures(&err, f, classes, rows, mean) != 0) return tl__lua_raise(L, err.text);
    push_figures(L, mean);
    lua_createtable(L, classes, 0);
    for (int k = 0; k < classes; k++) {
        push_figures(L, rows[k]);
        tl__lua_set_integer(L, "truths", f->truths[k][0]);
        tl__lua_set_integer(L, "found", f->from[k + 1] - f->from[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "classes");
    return 1;
}

/* ---- curves ---- */

/* Steps of a class (-1: all together), in a userdata that is pushed, and how many truths there are. */
static const tl_box_step *steps_of(lua_State *L, meter *m, int label, int64_t *n, int64_t *truths)
{
    const tl_fates *f = fates_of(L, m);
    int64_t room = label < 0 ? f->n : f->from[label + 1] - f->from[label];
    tl_box_step *list = lua_newuserdatauv(L, (size_t)(room + 1) * sizeof *list, 0);
    tl_error err = {0};
    *truths = 0;
    for (int k = 0; k < m->boxes.classes; k++)
        if (label < 0 || k == label) *truths += f->truths[k][0];
    *n = tl__box_curve(&err, f, label, m->boxes.classes, list);
    if (*n < 0) tl__lua_raise(L, err.text);
    return list;
}

/* Precision, recall and F1 of a step. */
static void rates(const tl_box_step *s, int64_t truths, double out[3])
{
    double hits = (double)s->hits, alarms = (double)s->false_alarms, all = (double)truths;
    out[0] = hits / (hits + alarms);
    out[1] = truths ? hits / all : (double)NAN;
    out[2] = truths ? 2 * hits / (hits + alarms + all) : (double)NAN;
}

static int curve(lua_State *L)
{
    static const char *const keys[4] = {"precision", "recall", "f1", "scores"};
    meter *m = meter_at(L);
    int label = lua_isnoneornil(L, 2) ? -1 : label_of(L, luaL_checknumber(L, 2), m->boxes.classes, "curve", 0);
    int64_t n, truths;
    const tl_box_step *steps = steps_of(L, m, label, &n, &truths);
    lua_createtable(L, 0, 5);
    for (int k = 0; k < 4; k++) {
        lua_createtable(L, (int)n, 0);
        for (int64_t i = 0; i < n; i++) {
            double v[3];
            rates(&steps[i], truths, v);
            lua_pushnumber(L, k < 3 ? v[k] : steps[i].score);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, keys[k]);
    }
    tl__lua_set_integer(L, "truths", truths);
    return 1;
}

static void push_best(lua_State *L, meter *m, int label)
{
    int64_t n, truths, best = -1;
    const tl_box_step *steps = steps_of(L, m, label, &n, &truths);
    double most = 0, v[3];
    for (int64_t i = 0; i < n; i++) {
        rates(&steps[i], truths, v);
        if (!(v[2] > most)) continue;
        most = v[2];
        best = i;
    }
    lua_createtable(L, 0, 4);
    if (best >= 0) rates(&steps[best], truths, v);
    if (best >= 0) tl__lua_set_number(L, "confidence", steps[best].score);
    tl__lua_set_number(L, "precision", best >= 0 ? v[0] : (double)NAN);
    tl__lua_set_number(L, "recall", best >= 0 ? v[1] : truths ? 0 : (double)NAN);
    tl__lua_set_number(L, "f1", best >= 0 ? v[2] : truths ? 0 : (double)NAN);
    lua_remove(L, -2);
}

static int best(lua_State *L)
{
    meter *m = meter_at(L);
    push_best(L, m, -1);
    lua_createtable(L, m->boxes.classes, 0);
    for (int k = 0; k < m->boxes.classes; k++) {
        push_best(L, m, k);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "classes");
    return 1;
}

/* ---- pairs ---- */

/* The confidence of each class and the IoU of the options at `t`; pushes what holds them. */
static const double *confidence_of(lua_State *L, int t, int classes, const char *function, double *iou)
{
    double *list = lua_newuserdatauv(L, (size_t)classes * sizeof *list, 0);
    int kind = lua_istable(L, t) ? lua_getfield(L, t, "confidence") : LUA_TNIL;
    *iou = lua_istable(L, t) ? tl__lua_field_number(L, t, "iou", 0.5) : 0.5;
    if (!(*iou > 0 && *iou <= 1))
        tl__lua_raisef(L, "detect.%s: iou must be above 0 and at most 1, not %g", function, *iou);
    if (kind == LUA_TTABLE && (int64_t)lua_rawlen(L, -1) != classes)
        tl__lua_raisef(L, "detect.%s: confidence has %lld numbers, and there are %d classes", function,
                       (long long)lua_rawlen(L, -1), classes);
    for (int k = 0; k < classes; k++) {
        int number = 1;
        if (kind == LUA_TTABLE) lua_rawgeti(L, -1, k + 1);
        list[k] = lua_tonumberx(L, -1, &number);
        if (!number)
            tl__lua_raisef(L, "detect.%s: confidence must be a number, or a list of one for each class", function);
        if (kind == LUA_TTABLE) lua_pop(L, 1);
    }
    return list;
}

static int confusion(lua_State *L)
{
    meter *m = meter_at(L);
    tl_error err = {0};
    double iou;
    int classes = m->boxes.classes;
    const double *confidence = confidence_of(L, 2, classes, "confusion", &iou);
    size_t side = (size_t)classes + 1;
    if (side > 10000) tl__lua_raise(L, "detect.confusion: a table of so many classes is too large");
    int64_t *table = lua_newuserdatauv(L, side * side * sizeof *table, 0);
    if (tl__boxes_confused(&err, &m->boxes, confidence, iou, table) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, (int)side, 0);
    for (size_t i = 0; i < side; i++) {
        lua_createtable(L, (int)side, 0);
        for (size_t k = 0; k < side; k++) {
            lua_pushinteger(L, table[i * side + k]);
            lua_rawseti(L, -2, (lua_Integer)k + 1);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static void push_pairs(lua_State *L, const int64_t *list, int64_t n)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        if (list[i] == -3) lua_pushboolean(L, 0);
        else lua_pushinteger(L, list[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
}

static int pairs_of(lua_State *L)
{
    meter *m = meter_at(L);
    const tl_boxes *b = &m->boxes;
    lua_Integer picture = luaL_checkinteger(L, 2);
    tl_error err = {0};
    double iou;
    if (picture < 1 || picture > b->pictures)
        return tl__lua_raisef(L, "detect.pairs: picture %lld is not among the %lld", (long long)picture,
                              (long long)b->pictures);
    const double *confidence = confidence_of(L, 3, b->classes, "pairs", &iou);
    int64_t n = b->found_from[picture] - b->found_from[picture - 1];
    int64_t t = b->truth_from[picture] - b->truth_from[picture - 1];
    int64_t *of_found = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *of_found, 0);
    int64_t *of_truth = lua_newuserdatauv(L, (size_t)(t + 1) * sizeof *of_truth, 0);
    if (tl__boxes_paired(&err, b, picture - 1, confidence, iou, of_found, of_truth) != 0)
        return tl__lua_raise(L, err.text);
    push_pairs(L, of_found, n);
    push_pairs(L, of_truth, t);
    return 2;
}

static int drawn(lua_State *L)
{
    const tl_boxes *b = &meter_at(L)->boxes;
    tl_error err = {0};
    luaL_checktype(L, 2, LUA_TTABLE);
    meter *out = push_meter(L, b->classes);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, 2, i);
        lua_Integer at = luaL_checkinteger(L, -1) - 1;
        if (at < 0 || at >= b->pictures)
            return tl__lua_raisef(L, "detect: there is no picture %lld of %lld", (long long)at + 1,
                                  (long long)b->pictures);
        int64_t f = b->found_from[at], t = b->truth_from[at];
        if (tl__boxes_add(&err, &out->boxes, b->found + f, b->found_from[at + 1] - f, b->truth + t,
                          b->truth_from[at + 1] - t) != 0)
            return tl__lua_raise(L, err.text);
    }
    return 1;
}

static int pictures(lua_State *L)
{
    lua_pushinteger(L, meter_at(L)->boxes.pictures);
    return 1;
}

void tl__lua_open_detect(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"nms", nms, 4, "iou most least per_class"},
                                              {"meter", new_meter, 1, NULL},
                                              {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {
        {"add", add, 2, "boxes scores labels truth truth_labels crowd areas"},
        {"figures", figures, 1, NULL},
        {"curve", curve, 2, NULL},
        {"best", best, 1, NULL},
        {"confusion", confusion, 2, "confidence iou"},
        {"pairs", pairs_of, 3, "confidence iou"},
        {"pictures", pictures, 1, NULL},
        {"drawn", drawn, 2, NULL},
        {"__gc", meter_gc, TL__ANY, NULL},
        {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, METER);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    tl__lua_add_levels(L);
    lua_setfield(L, -2, "detect");
}
