/* levels.c - outputs of networks that give a row for each cell of several levels, in Lua: more of core.detect. `out` is
 * (N, A, width), float32; src/task/assign.h has what its rows are. The options say which levels these are:
 * {strides =, height =, width = of the pictures, bins = 0, classes =}.
 *   core.detect.assign(out, boxes, labels, offsets, {...}) -> {n =, rows = (n) int32, cells = (n, 3): column, row and
 *     stride, boxes = (n, 4), labels = (n) int32, scores = (n)}      which rows, by their numbers from 0 in all
 *     pictures, are to learn which of `boxes` (B, 4) with `labels` (B), of which picture i has offsets[i] to
 *     offsets[i + 1]: by SimOTA, or with bins task-aligned; where n is 0 there are no tensors
 *   core.detect.decode(out, {..., confidence = 0, iou = 0.65, most = 300, per_class = true, several = false}) -> {{boxes = {{left, top,
 *     right, bottom}...}, scores = {...}, labels = {...}}...}      what was found in each picture after suppression,
 *     the highest score first; false for a picture whose numbers are none
 *   core.detect.row_boxes(out, rows, {...}) -> {{left, top, right, bottom}...}      of rows by their numbers from 0,
 *     those of the second picture behind those of the first */
#include "lua/binding.h"

#include "task/assign.h"
#include "task/detect.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what was given ---- */

static void set_strides(lua_State *L, int options, tl_levels *l)
{
    if (lua_getfield(L, options, "strides") != LUA_TTABLE) tl__lua_raise(L, "detect: strides are missing, a list");
    lua_Unsigned n = lua_rawlen(L, -1);
    if (n < 1 || n > TL_MOST_LEVELS) tl__lua_raisef(L, "detect: there are from 1 to %d strides", TL_MOST_LEVELS);
    l->count = (int)n;
    for (int k = 0; k < l->count; k++) {
        int whole;
        lua_rawgeti(L, -1, k + 1);
        lua_Integer stride = lua_tointegerx(L, -1, &whole);
        if (!whole || stride < 1 || stride > INT_MAX)
            tl__lua_raisef(L, "detect: strides are whole numbers of pixels, and number %d is none", k + 1);
        l->stride[k] = (int)stride;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* The levels that the options at `options` speak of, checked against the output at argument 1. */
static tl_levels levels_of(lua_State *L, int options)
{
    enum { MOST_SIDE = 1 << 20, MOST_CLASSES = 100000 };
    tl_error err = {0};
    tl_levels l = {0};
    luaL_checktype(L, options, LUA_TTABLE);
    set_strides(L, options, &l);
    l.height = tl__lua_field_integer(L, options, "height", 0, 1, MOST_SIDE);
    l.width = tl__lua_field_integer(L, options, "width", 0, 1, MOST_SIDE);
    l.bins = (int)tl__lua_field_integer(L, options, "bins", 0, 0, TL_MOST_BINS);
    l.classes = (int)tl__lua_field_integer(L, options, "classes", 0, 1, MOST_CLASSES);
    if (tl__levels_check(&err, &l) != 0) tl__lua_raise(L, err.text);
    tl_tensor *t = tl__lua_tensor(L, 1);
    char text[TL__SHAPE_TEXT];
    if (t->dtype != TL_F32 || t->shape.rank != 3 || t->shape.dim[1] != tl__levels_cells(&l) ||
        t->shape.dim[2] != tl__levels_width(&l))
        tl__lua_raisef(L,
                       "detect: outputs are %s, and must be float32 (N, %lld, %lld) with these levels and %d classes",
                       tl__shape_text(&t->shape, text, sizeof text), (long long)tl__levels_cells(&l),
                       (long long)tl__levels_width(&l), l.classes);
    return l;
}

/* A batch of outputs on the host; what holds them is pushed. */
typedef struct outputs {
    tl_levels l;
    int64_t n, cells, width;
    const float *rows;
    float *cell;
} outputs;

static outputs outputs_of(lua_State *L, int options)
{
    outputs o = {.l = levels_of(L, options)};
    o.n = tl__lua_tensor(L, 1)->shape.dim[0];
    o.cells = tl__levels_cells(&o.l);
    o.width = tl__levels_width(&o.l);
    o.rows = tl__lua_values(L, tl__lua_tensor(L, 1));
    o.cell = lua_newuserdatauv(L, (size_t)o.cells * 3 * sizeof *o.cell, 0);
    tl__levels_place(&o.l, o.cell);
    return o;
}

/* ---- assignment ---- */

typedef struct truths { const float *box; const int32_t *label; int64_t *from; } truths;

/* Boxes, labels and offsets from arguments 2 to 4, checked; what holds them is pushed. */
static truths truths_of(lua_State *L, const outputs *o)
{
    tl_tensor *boxes = tl__lua_tensor(L, 2), *labels = tl__lua_tensor(L, 3);
    int64_t all = boxes->shape.dim[0], before = 0;
    truths t = {0};
    luaL_checktype(L, 4, LUA_TTABLE);
    if (boxes->dtype != TL_F32 || boxes->shape.rank != 2 || boxes->shape.dim[1] != 4 || labels->dtype != TL_I32 ||
        labels->shape.rank != 1 || labels->shape.dim[0] != all)
        tl__lua_raise(L, "detect.assign: boxes must be float32 (B, 4), and labels int32 (B)");
    if ((int64_t)lua_rawlen(L, 4) != o->n + 1)
        tl__lua_raisef(L, "detect.assign: there are %lld pictures, so offsets must be %lld", (long long)o->n,
                       (long long)o->n + 1);
    t.from = lua_newuserdatauv(L, (size_t)(o->n + 1) * sizeof *t.from, 0);
    for (int64_t i = 0; i <= o->n; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, 4, i + 1);
        t.from[i] = luaL_checkinteger(L, -1);
        if (t.from[i] < before || t.from[i] > all || (i == 0 && t.from[i] != 0))
            tl__lua_raise(L, "detect.assign: offsets must grow from 0 to how many boxes there are");
        before = t.from[i];
    }
    if (all == 0) return t;
    t.box = tl__lua_values(L, boxes);
    t.label = tl__lua_values(L, labels);
    for (int64_t i = 0; i < all; i++)
        if (t.label[i] < 0 || t.label[i] >= o->l.classes)
            tl__lua_raisef(L, "detect.assign: label %lld is %d, and there are %d classes", (long long)i + 1, t.label[i],
                           o->l.classes);
    return t;
}

static tl_tensor *from_host(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *host)
{
    return tl_from(s, dtype, shape->rank, shape->dim, host);
}

/* Sets field `key` of the table on top to a tensor (n) or (n, wide). */
static void set_tensor(lua_State *L, const char *key, tl_dtype dtype, int64_t n, int wide, const void *host)
{
    tl_shape shape = {.rank = wide ? 2 : 1, .dim = {n, wide}};
    tl__lua_make(L, from_host, &shape, dtype, host);
    lua_setfield(L, -2, key);
}

/* Matches of all pictures, kept by the collector. */
typedef struct found { tl_matches of_one; int64_t n; int32_t *row, *label; float *cell, *box, *score; } found;

static int found_gc(lua_State *L)
{
    found *f = luaL_checkudata(L, 1, "tlua.matches");
    void *const all[] = {f->of_one.match, f->row, f->label, f->cell, f->box, f->score};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *f = (found){0};
    return 0;
}

static int more(tl_error *err, found *f, int64_t n)
{
    size_t all = (size_t)(f->n + n) + 1;
    void *p;
#define GROW(list, width) \
    if (!(p = tl__realloc(err, list, all * (width) * sizeof *list))) return -1; \
    list = p;
    GROW(f->row, 1) GROW(f->label, 1) GROW(f->cell, 3) GROW(f->box, 4) GROW(f->score, 1)
#undef GROW
    return 0;
}

/* The matches of picture i, added. */
static int add_picture(tl_error *err, found *f, const outputs *o, const truths *t, int64_t i)
{
    int64_t from = t->from[i], n = t->from[i + 1] - from;
    const float *rows = o->rows + i * o->cells * o->width;
    f->of_one.n = 0;
    if (n == 0) return 0;
    int (*assign)(tl_error *, const tl_levels *, const float *, const float *, const float *, const int32_t *, int64_t,
                  tl_matches *) = o->l.bins ? tl__assign_aligned : tl__assign_simota;
    if (assign(err, &o->l, o->cell, rows, t->box + 4 * from, t->label + from, n, &f->of_one) != 0 ||
        more(err, f, f->of_one.n) != 0)
        return -1;
    for (int64_t k = 0; k < f->of_one.n; k++, f->n++) {
        tl_match m = f->of_one.match[k];
        f->row[f->n] = (int32_t)(i * o->cells + m.cell);
        f->label[f->n] = t->label[from + m.truth];
        f->score[f->n] = m.score;
        memcpy(f->cell + 3 * f->n, o->cell + 3 * (int64_t)m.cell, 3 * sizeof *f->cell);
        memcpy(f->box + 4 * f->n, t->box + 4 * (from + m.truth), 4 * sizeof *f->box);
    }
    return 0;
}

static int assign(lua_State *L)
{
    tl_error err = {0};
    lua_settop(L, 5);
    outputs o = outputs_of(L, 5);
    truths t = truths_of(L, &o);
    if (o.n * o.cells > INT32_MAX)
        return tl__lua_raisef(L, "detect.assign: %lld cells are more than int32 can number; smaller batches have fewer",
                              (long long)(o.n * o.cells));
    found *f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = (found){0};
    luaL_setmetatable(L, "tlua.matches");
    for (int64_t i = 0; i < o.n; i++)
        if (add_picture(&err, f, &o, &t, i) != 0) return tl__lua_raise(L, err.text);
    lua_newtable(L);
    lua_pushinteger(L, f->n);
    lua_setfield(L, -2, "n");
    if (f->n == 0) return 1;
    set_tensor(L, "rows", TL_I32, f->n, 0, f->row);
    set_tensor(L, "labels", TL_I32, f->n, 0, f->label);
    set_tensor(L, "scores", TL_F32, f->n, 0, f->score);
    set_tensor(L, "cells", TL_F32, f->n, 3, f->cell);
    set_tensor(L, "boxes", TL_F32, f->n, 4, f->box);
    return 1;
}

/* ---- answers ---- */

typedef struct wanted { double iou; float confidence; int64_t most; int per_class, several; } wanted;
typedef struct answer { int64_t n; float *box, *score; int32_t *label; int64_t *keep; } answer;

static void push_answer(lua_State *L, const answer *a, int64_t kept)
{
    lua_createtable(L, 0, 3);
    lua_createtable(L, (int)kept, 0);
    lua_createtable(L, (int)kept, 0);
    lua_createtable(L, (int)kept, 0);
    for (int64_t i = 0; i < kept; i++) {
        int64_t at = a->keep[i];
        lua_createtable(L, 4, 0);
        for (int k = 0; k < 4; k++) {
            lua_pushnumber(L, a->box[4 * at + k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_rawseti(L, -4, i + 1);
        lua_pushnumber(L, a->score[at]);
        lua_rawseti(L, -3, i + 1);
        lua_pushinteger(L, a->label[at]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -4, "labels");
    lua_setfield(L, -3, "scores");
    lua_setfield(L, -2, "boxes");
}

static int decode(lua_State *L)
{
    tl_error err = {0};
    lua_settop(L, 2);
    outputs o = outputs_of(L, 2);
    wanted w = {.iou = tl__lua_field_number(L, 2, "iou", 0.65),
                .confidence = (float)tl__lua_field_number(L, 2, "confidence", 0),
                .most = tl__lua_field_integer(L, 2, "most", 300, 1, INT32_MAX),
                .per_class = tl__lua_field_bool(L, 2, "per_class", 1),
                .several = tl__lua_field_bool(L, 2, "several", 0)};
    if (!(w.iou >= 0 && w.iou <= 1)) return tl__lua_raisef(L, "detect.decode: iou must be from 0 to 1, not %g", w.iou);
    size_t room = (size_t)o.cells * (size_t)(w.several ? o.l.classes : 1) + 1;
    answer a = {.box = lua_newuserdatauv(L, room * 4 * sizeof *a.box, 0),
                .score = lua_newuserdatauv(L, room * sizeof *a.score, 0)};
    a.label = lua_newuserdatauv(L, room * sizeof *a.label, 0);
    a.keep = lua_newuserdatauv(L, room * sizeof *a.keep, 0);
    lua_createtable(L, (int)o.n, 0);
    for (int64_t i = 0; i < o.n; i++) {
        a.n = tl__levels_found(&o.l, o.cell, o.rows + i * o.cells * o.width, w.confidence, w.several, a.box, a.score,
                               a.label);
        if (a.n < 0) {
            lua_pushboolean(L, 0);
        } else {
            int64_t kept = tl__nms(&err, a.box, a.score, w.per_class ? a.label : NULL, a.n, w.iou, w.most, a.keep);
            if (kept < 0) return tl__lua_raise(L, err.text);
            push_answer(L, &a, kept);
        }
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int row_boxes(lua_State *L)
{
    lua_settop(L, 3);
    outputs o = outputs_of(L, 3);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        float side[4];
        lua_rawgeti(L, 2, i);
        lua_Integer row = luaL_checkinteger(L, -1);
        lua_pop(L, 1);
        if (row < 0 || row >= o.n * o.cells)
            return tl__lua_raisef(L, "detect.row_boxes: there is no row %lld of %lld", (long long)row,
                                  (long long)(o.n * o.cells));
        tl__levels_box(&o.l, o.cell + 3 * (row % o.cells), o.rows + row * o.width, side);
        lua_createtable(L, 4, 0);
        for (int k = 0; k < 4; k++) {
            lua_pushnumber(L, side[k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_rawseti(L, -2, i);
    }
    return 1;
}

void tl__lua_add_levels(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"assign", assign, 5, "strides height width bins classes"},
        {"decode", decode, 2, "strides height width bins classes confidence iou most per_class several"},
        {"row_boxes", row_boxes, 3, "strides height width bins classes"},
        {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, "tlua.matches");
    lua_pushcfunction(L, found_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    tl__lua_functions(L, functions, 0);
}
