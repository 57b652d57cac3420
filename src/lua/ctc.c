/* ctc.c - from frames of scores to texts in Lua: core.ctc. Scores x are logits or logarithms of chances, (T, K) of one
 * clip or (N, T, K) with the frames of each that count (a list, an int32 tensor, or nil: all). Labels count from 0,
 * frames too.
 *   core.ctc.greedy(x, lengths [, {blank=}]) -> said
 *   core.ctc.beam(x, lengths [, {blank=, width=, least=, behind=, model=, alpha=, beta=, best=}]) -> said
 *   core.ctc.align(x (T, K), labels [, {blank=}]) -> said
 *   core.ctc.edit(said, heard [, {pairs=}]) -> {distance=, substitutions=, insertions=, deletions=, pairs={{i, j}...}}
 *   core.ctc.ngram(texts, {classes=, order=, most=}) -> model; core.ctc.ngram_from(table) -> model
 *   model:table(); model:log(labels, label); model:order(); model:classes()
 * said is {labels=, begins=, ends=, peaks=, chances=, score=, model=, blanks=, unknown=}, of (N, T, K) a list of those,
 * with `best` above 1 in a list `best` of the first. Texts said and heard are lists of whole numbers or of strings. */
#include "lua/binding.h"

#include "task/ctc.h"

#include <math.h>
#include <stdlib.h>

#define TEXTS "tlua.ctc_texts"
#define NGRAM "tlua.ngram"

/* What C allocates while Lua may still raise: the collector frees it. */
typedef struct goods { tl_ctc_text *texts; int count; tl_edit edit; } goods;

static goods *new_goods(lua_State *L, int texts)
{
    goods *g = lua_newuserdatauv(L, sizeof *g, 0);
    tl_error err = {0};
    *g = (goods){0};
    luaL_setmetatable(L, TEXTS);
    g->texts = tl__calloc(&err, (size_t)texts, sizeof *g->texts);
    if (!g->texts) tl__lua_raise(L, err.text);
    g->count = texts;
    return g;
}

static int goods_gc(lua_State *L)
{
    goods *g = luaL_checkudata(L, 1, TEXTS);
    for (int i = 0; i < g->count; i++) tl__ctc_text_free(&g->texts[i]);
    free(g->texts);
    free(g->edit.pairs);
    *g = (goods){0};
    return 0;
}

enum { LABEL, BEGIN, END, PEAK };

static void set_list(lua_State *L, const char *key, const tl_ctc_text *t, int what)
{
    lua_createtable(L, (int)t->count, 0);
    for (int64_t i = 0; i < t->count; i++) {
        const tl_ctc_symbol *s = &t->symbols[i];
        lua_pushinteger(L, what == LABEL ? s->label : what == BEGIN ? s->first : what == END ? s->end : s->peak);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, key);
}

static void push_said(lua_State *L, const tl_ctc_text *t)
{
    lua_createtable(L, 0, 10);
    set_list(L, "labels", t, LABEL);
    set_list(L, "begins", t, BEGIN);
    set_list(L, "ends", t, END);
    set_list(L, "peaks", t, PEAK);
    lua_createtable(L, (int)t->count, 0);
    for (int64_t i = 0; i < t->count; i++) {
        lua_pushnumber(L, (double)t->symbols[i].chance);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "chances");
    tl__lua_set_number(L, "score", t->score);
    tl__lua_set_number(L, "model", t->model);
    tl__lua_set_integer(L, "blanks", t->blanks);
    tl__lua_set_integer(L, "unknown", t->unknown);
}

/* Whole numbers of the list at `index`, in a userdata that is pushed. */
static int32_t *whole_numbers(lua_State *L, int index, const char *function, const char *what, int64_t *count)
{
    luaL_checktype(L, index, LUA_TTABLE);
    *count = (int64_t)lua_rawlen(L, index);
    int32_t *list = lua_newuserdatauv(L, (size_t)(*count + 1) * sizeof *list, 0);
    for (int64_t i = 0; i < *count; i++) {
        int whole;
        lua_rawgeti(L, index, i + 1);
        lua_Integer v = lua_tointegerx(L, -1, &whole);
        if (!whole || v < INT32_MIN || v > INT32_MAX)
            tl__lua_raisef(L, "%s: %s %lld is no whole number", function, what, (long long)i + 1);
        list[i] = (int32_t)v;
        lua_pop(L, 1);
    }
    return list;
}

/* The scores at argument 1, all clips; (T, K) is one clip. Pushes what holds them. */
static tl_ctc_scores scores_of(lua_State *L, const char *function, int options, int64_t *clips)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    char text[TL__SHAPE_TEXT];
    int r = t->shape.rank;
    if (r < 2 || r > 3 || t->shape.dim[r - 1] < 1 || t->dtype != TL_F32)
        tl__lua_raisef(L, "ctc.%s: float32 scores (T, K) or (N, T, K) are needed, not %s", function,
                       tl__shape_text(&t->shape, text, sizeof text));
    tl_ctc_scores s = {.frames = t->shape.dim[r - 2], .classes = t->shape.dim[r - 1]};
    if (s.classes > INT32_MAX / 2)
        tl__lua_raisef(L, "ctc.%s: %lld classes are too many", function, (long long)s.classes);
    *clips = r == 3 ? t->shape.dim[0] : 1;
    lua_settop(L, options);
    s.blank = lua_istable(L, options) ? (int32_t)tl__lua_field_integer(L, options, "blank", 0, 0, s.classes - 1) : 0;
    s.x = tl__lua_values(L, t);
    return s;
}

/* Frames of each clip from argument 2, in a userdata that is pushed. */
static int32_t *lengths_of(lua_State *L, const char *function, const tl_ctc_scores *s, int64_t clips)
{
    int64_t count = clips;
    int32_t *list;
    if (lua_isnoneornil(L, 2)) {
        list = lua_newuserdatauv(L, (size_t)(clips + 1) * sizeof *list, 0);
        for (int64_t i = 0; i < clips; i++) list[i] = (int32_t)s->frames;
    } else if (lua_istable(L, 2)) list = whole_numbers(L, 2, function, "length", &count);
    else {
        tl_tensor *t = tl__lua_tensor(L, 2);
        count = tl_numel(t);
        if (t->dtype != TL_I32) tl__lua_raisef(L, "ctc.%s: lengths are int32", function);
        list = tl__lua_values(L, t);
    }
    if (count != clips)
        tl__lua_raisef(L, "ctc.%s: there are %lld clips and %lld lengths", function, (long long)clips,
                       (long long)count);
    for (int64_t i = 0; i < clips; i++)
        if (list[i] < 0 || list[i] > s->frames)
            tl__lua_raisef(L, "ctc.%s: length %lld is %d, and there are %lld frames", function, (long long)i + 1,
                           list[i], (long long)s->frames);
    return list;
}

/* Clip i of many. */
static tl_ctc_scores clip_of(const tl_ctc_scores *s, int64_t i, const int32_t *lengths)
{
    tl_ctc_scores own = *s;
    own.x += i * s->frames * s->classes;
    own.frames = lengths[i];
    return own;
}

static int greedy(lua_State *L)
{
    int64_t clips;
    tl_error err = {0};
    int one = tl__lua_tensor(L, 1)->shape.rank == 2;
    tl_ctc_scores s = scores_of(L, "greedy", 3, &clips);
    const int32_t *lengths = lengths_of(L, "greedy", &s, clips);
    goods *g = new_goods(L, 1);
    lua_createtable(L, (int)clips, 0);
    for (int64_t i = 0; i < clips; i++) {
        tl_ctc_scores own = clip_of(&s, i, lengths);
        tl__ctc_text_free(&g->texts[0]);
        if (tl__ctc_greedy(&err, &own, &g->texts[0]) != 0) return tl__lua_raise(L, err.text);
        push_said(L, &g->texts[0]);
        if (one) return 1;
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static tl_ngram **to_ngram(lua_State *L, int index) { return luaL_checkudata(L, index, NGRAM); }

enum { MOST_WIDTH = 10000, MOST_BEST = 1000 };

/* The options of the search at argument 3. */
static tl_ctc_search search_of(lua_State *L, const tl_ctc_scores *s, int *best)
{
    tl_ctc_search o = {.width = 50, .least = -5, .behind = 10, .alpha = 0.5};
    *best = 1;
    if (!lua_istable(L, 3)) return o;
    if (lua_getfield(L, 3, "model") != LUA_TNIL) o.model = *to_ngram(L, -1);
    lua_pop(L, 1);
    if (o.model && tl__ngram_classes(o.model) != s->classes)
        tl__lua_raisef(L, "ctc.beam: the language model has %d classes, the scores %lld", tl__ngram_classes(o.model),
                       (long long)s->classes);
    o.width = (int)tl__lua_field_integer(L, 3, "width", o.width, 1, MOST_WIDTH);
    o.least = tl__lua_field_number(L, 3, "least", o.least);
    o.behind = tl__lua_field_number(L, 3, "behind", o.behind);
    o.alpha = tl__lua_field_number(L, 3, "alpha", o.alpha);
    o.beta = tl__lua_field_number(L, 3, "beta", o.model ? 1 : 0);
    *best = (int)tl__lua_field_integer(L, 3, "best", 1, 1, MOST_BEST);
    if (!(o.behind >= 0)) tl__lua_raisef(L, "ctc.beam: behind is %g, and must be 0 or more", o.behind);
    if (isnan(o.least) || !isfinite(o.alpha) || !isfinite(o.beta))
        tl__lua_raise(L, "ctc.beam: least, alpha and beta must be numbers");
    return o;
}

static int beam(lua_State *L)
{
    int64_t clips;
    int best;
    tl_error err = {0};
    int one = tl__lua_tensor(L, 1)->shape.rank == 2;
    tl_ctc_scores s = scores_of(L, "beam", 3, &clips);
    tl_ctc_search o = search_of(L, &s, &best);
    const int32_t *lengths = lengths_of(L, "beam", &s, clips);
    goods *g = new_goods(L, best);
    lua_createtable(L, (int)clips, 0);
    for (int64_t i = 0; i < clips; i++) {
        tl_ctc_scores own = clip_of(&s, i, lengths);
        for (int k = 0; k < best; k++) tl__ctc_text_free(&g->texts[k]);
        int told = tl__ctc_beam(&err, &own, &o, best, g->texts);
        if (told < 0) return tl__lua_raise(L, err.text);
        push_said(L, &g->texts[0]);
        if (best > 1) {
            lua_createtable(L, told, 0);
            for (int k = 0; k < told; k++) {
                push_said(L, &g->texts[k]);
                lua_rawseti(L, -2, k + 1);
            }
            lua_setfield(L, -2, "best");
        }
        if (one) return 1;
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int align(lua_State *L)
{
    int64_t clips, count;
    tl_error err = {0};
    if (tl__lua_tensor(L, 1)->shape.rank != 2) tl__lua_raise(L, "ctc.align: scores (T, K) of one clip are needed");
    tl_ctc_scores s = scores_of(L, "align", 3, &clips);
    const int32_t *labels = whole_numbers(L, 2, "ctc.align", "label", &count);
    for (int64_t i = 0; i < count; i++)
        if (labels[i] < 0 || labels[i] >= s.classes || labels[i] == s.blank)
            tl__lua_raisef(L, "ctc.align: label %lld is %d, and must be a class below %lld other than the blank",
                           (long long)i + 1, labels[i], (long long)s.classes);
    goods *g = new_goods(L, 1);
    if (tl__ctc_align(&err, &s, labels, count, &g->texts[0]) != 0) return tl__lua_raisef(L, "ctc.align: %s", err.text);
    push_said(L, &g->texts[0]);
    return 1;
}

/* The list at `index` as numbers, one for each different value, which the table at `known` keeps. Pushes what holds
 * them. */
static int32_t *numbered(lua_State *L, int index, int known, int32_t *next, int64_t *count)
{
    luaL_checktype(L, index, LUA_TTABLE);
    *count = (int64_t)lua_rawlen(L, index);
    int32_t *list = lua_newuserdatauv(L, (size_t)(*count + 1) * sizeof *list, 0);
    for (int64_t i = 0; i < *count; i++) {
        int kind = lua_rawgeti(L, index, i + 1);
        if (kind != LUA_TSTRING && kind != LUA_TNUMBER)
            tl__lua_raisef(L, "ctc.edit: element %lld is a %s; numbers and strings are compared", (long long)i + 1,
                           lua_typename(L, kind));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, known) == LUA_TNIL) {
            lua_pushvalue(L, -2);
            lua_pushinteger(L, ++*next);
            lua_rawset(L, known);
            list[i] = *next;
        } else list[i] = (int32_t)lua_tointeger(L, -1);
        lua_pop(L, 2);
    }
    return list;
}

static int edit(lua_State *L)
{
    int64_t n, m;
    int32_t next = 0;
    tl_error err = {0};
    lua_settop(L, 3);
    int want = lua_istable(L, 3) && tl__lua_field_bool(L, 3, "pairs", 0);
    lua_newtable(L);
    const int32_t *said = numbered(L, 1, 4, &next, &n), *heard = numbered(L, 2, 4, &next, &m);
    goods *g = new_goods(L, 1);
    if (tl__edit(&err, said, n, heard, m, want, &g->edit) != 0) return tl__lua_raisef(L, "ctc.edit: %s", err.text);
    lua_createtable(L, 0, 5);
    tl__lua_set_integer(L, "distance", g->edit.substitutions + g->edit.insertions + g->edit.deletions);
    tl__lua_set_integer(L, "substitutions", g->edit.substitutions);
    tl__lua_set_integer(L, "insertions", g->edit.insertions);
    tl__lua_set_integer(L, "deletions", g->edit.deletions);
    if (!want) return 1;
    lua_createtable(L, (int)g->edit.count, 0);
    for (int64_t k = 0; k < g->edit.count; k++) {
        lua_createtable(L, 2, 0);
        for (int side = 0; side < 2; side++) {
            int64_t place = g->edit.pairs[2 * k + side];
            if (place < 0) lua_pushboolean(L, 0);
            else lua_pushinteger(L, place + 1);
            lua_rawseti(L, -2, side + 1);
        }
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "pairs");
    return 1;
}

/* ---- language models ---- */

static tl_ngram **push_ngram(lua_State *L, int order, int32_t classes)
{
    tl_error err = {0};
    tl_ngram **m = lua_newuserdatauv(L, sizeof *m, 0);
    *m = NULL;
    luaL_setmetatable(L, NGRAM);
    *m = tl__ngram_new(&err, order, classes);
    if (!*m) tl__lua_raise(L, err.text);
    return m;
}

static int ngram_gc(lua_State *L)
{
    tl_ngram **m = to_ngram(L, 1);
    tl__ngram_free(*m);
    *m = NULL;
    return 0;
}

static int ngram(lua_State *L)
{
    tl_error err = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    int32_t classes = (int32_t)tl__lua_field_integer(L, 2, "classes", 0, 1, INT32_MAX / 2);
    if (classes == 0) tl__lua_raise(L, "ctc.ngram: classes says how many symbols there are");
    int64_t most = tl__lua_field_integer(L, 2, "most", 100000, 1, INT64_C(100000000)), count;
    tl_ngram **m = push_ngram(L, (int)tl__lua_field_integer(L, 2, "order", 5, 1, TL_NGRAM_LONGEST), classes);
    for (int64_t i = 1, n = (int64_t)lua_rawlen(L, 1); i <= n; i++) {
        lua_rawgeti(L, 1, i);
        const int32_t *labels = whole_numbers(L, lua_gettop(L), "ctc.ngram", "label", &count);
        for (int64_t k = 0; k < count; k++)
            if (labels[k] < 0 || labels[k] >= classes)
                tl__lua_raisef(L, "ctc.ngram: text %lld has label %d, and there are %d classes", (long long)i,
                               labels[k], classes);
        if (tl__ngram_add(&err, *m, labels, count) != 0) return tl__lua_raise(L, err.text);
        lua_pop(L, 2);
    }
    if (tl__ngram_bound(&err, *m, most) != 0) return tl__lua_raise(L, err.text);
    return 1;
}

/* {order=, classes=, counts={{a, count, b, count...}, {a, a, count...}...}}, by length */
static int ngram_table(lua_State *L)
{
    const tl_ngram *m = *to_ngram(L, 1);
    const int32_t *gram;
    int length;
    lua_createtable(L, 0, 3);
    tl__lua_set_integer(L, "order", tl__ngram_order(m));
    tl__lua_set_integer(L, "classes", tl__ngram_classes(m));
    lua_createtable(L, tl__ngram_order(m), 0);
    for (int n = 1; n <= tl__ngram_order(m); n++) {
        int64_t at = 0, place = 0, count;
        lua_newtable(L);
        while ((count = tl__ngram_next(m, &at, &gram, &length)) > 0) {
            for (int k = 0; k < length && length == n; k++) {
                lua_pushinteger(L, gram[k]);
                lua_rawseti(L, -2, ++place);
            }
            if (length != n) continue;
            lua_pushinteger(L, count);
            lua_rawseti(L, -2, ++place);
        }
        lua_rawseti(L, -2, n);
    }
    lua_setfield(L, -2, "counts");
    return 1;
}

static int ngram_from(lua_State *L)
{
    tl_error err = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    int order = (int)tl__lua_field_integer(L, 1, "order", 1, 1, TL_NGRAM_LONGEST);
    tl_ngram **m = push_ngram(L, order, (int32_t)tl__lua_field_integer(L, 1, "classes", 1, 1, INT32_MAX / 2));
    if (lua_getfield(L, 1, "counts") != LUA_TTABLE) tl__lua_raise(L, "a language model has no counts");
    for (int n = 1; n <= order; n++) {
        int64_t count;
        lua_rawgeti(L, -1, n);
        if (!lua_istable(L, -1))
            return tl__lua_raisef(L, "a language model of order %d has no counts of %d symbols", order, n);
        const int32_t *list = whole_numbers(L, lua_gettop(L), "a language model", "count", &count);
        if (count % (n + 1)) return tl__lua_raisef(L, "a language model's counts of %d symbols end amid one", n);
        for (int64_t k = 0; k < count; k += n + 1)
            if (tl__ngram_put(&err, *m, list + k, n, list[k + n]) != 0) return tl__lua_raise(L, err.text);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
    return 1;
}

static int ngram_log(lua_State *L)
{
    const tl_ngram *m = *to_ngram(L, 1);
    int64_t count;
    const int32_t *before = whole_numbers(L, 2, "log", "label", &count);
    lua_Integer label = luaL_checkinteger(L, 3);
    if (label < 0 || label > tl__ngram_classes(m))
        return tl__lua_raisef(L, "log: label %lld is none of %d, nor the end", (long long)label, tl__ngram_classes(m));
    lua_pushnumber(L, tl__ngram_log(m, before, count, (int32_t)label));
    return 1;
}

static int ngram_order(lua_State *L)
{
    lua_pushinteger(L, tl__ngram_order(*to_ngram(L, 1)));
    return 1;
}

static int ngram_classes(lua_State *L)
{
    lua_pushinteger(L, tl__ngram_classes(*to_ngram(L, 1)));
    return 1;
}

void tl__lua_open_ctc(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"greedy", greedy, 3, "blank"},
        {"beam", beam, 3, "blank width least behind model alpha beta best"},
        {"align", align, 3, "blank"},
        {"edit", edit, 3, "pairs"},
        {"ngram", ngram, 2, "classes order most"},
        {"ngram_from", ngram_from, 1, NULL},
        {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {{"table", ngram_table, 1, NULL}, {"log", ngram_log, 3, NULL},
                                            {"order", ngram_order, 1, NULL}, {"classes", ngram_classes, 1, NULL},
                                            {"__gc", ngram_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry goods_methods[] = {{"__gc", goods_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, TEXTS);
    tl__lua_functions(L, goods_methods, 1);
    lua_pop(L, 1);
    luaL_newmetatable(L, NGRAM);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    lua_setfield(L, -2, "ctc");
}
