/* roc.c - how well scores tell the positive from the negative, in Lua: core.roc. scores are a list of numbers, or of
 * rows of which `column` is looked at; positive is a list of booleans, or of labels of which `class` is positive.
 * groups has a whole number from 1 for each: those of one group are drawn together.
 *   core.roc.measure(scores, positive [, {class=, column=}]) -> {auroc=, average_precision=, error=, positive=,
 *     negative=}     error: DeLong's; what is not defined, or of scores that are NaN, is NaN
 *   core.roc.curve(scores, positive [, {class=, column=}]) -> thresholds, true positives, false positives
 *     lists from the highest score down: so many have this score at least
 *   core.roc.bootstrap(scores, positive [, {class=, column=, groups=, draws=, seed=, share=, specificity=,
 *     sensitivity=, values=}]) -> {auroc={low, high}, average_precision=, sensitivity=, specificity=, draws=}
 *     sensitivity is that of the curve where specificity is as wanted at least, and the reverse; draws: in how many
 *     both kinds were; with values=true lists of the draws' values (NaN where one kind was not drawn)
 *   core.roc.shares(a, b [, {groups=, draws=, seed=, share=}]) -> low, high, draws      of sum(a) / sum(b) */
#include "lua/binding.h"

#include "task/roc.h"

#include <math.h>
#include <string.h>

#define ROC "tlua.roc"
enum { MOST_DRAWS = 1000000 };

static tl_roc *new_roc(lua_State *L)
{
    tl_roc *r = lua_newuserdatauv(L, sizeof *r, 0);
    *r = (tl_roc){0};
    luaL_setmetatable(L, ROC);
    return r;
}

static int roc_gc(lua_State *L)
{
    tl__roc_close(luaL_checkudata(L, 1, ROC));
    return 0;
}

/* Numbers of the list at `index`, or of column `column` of its rows (0: of none); in a userdata that is pushed. Truth
 * counts as 1 and 0. */
static double *numbers(lua_State *L, int index, int64_t column, const char *function, const char *what, int64_t *n)
{
    luaL_checktype(L, index, LUA_TTABLE);
    *n = (int64_t)lua_rawlen(L, index);
    double *list = lua_newuserdatauv(L, (size_t)(*n + 1) * sizeof *list, 0);
    for (int64_t i = 0; i < *n; i++) {
        int number = 1, kind = lua_rawgeti(L, index, i + 1), rows = column > 0;
        if (rows && kind == LUA_TTABLE) kind = lua_rawgeti(L, -1, column);
        else if (rows) kind = LUA_TNIL;
        list[i] = kind == LUA_TBOOLEAN ? lua_toboolean(L, -1) : lua_tonumberx(L, -1, &number);
        if (kind == LUA_TNIL || !number)
            tl__lua_raisef(L, "roc.%s: %s %lld is no number", function, what, (long long)i + 1);
        lua_pop(L, rows ? 2 : 1);
    }
    return list;
}

/* Groups of the options at `options` from 0, in a userdata that is pushed with NULL for none; sets how many. */
static const int32_t *groups_of(lua_State *L, int options, const char *function, int64_t n, int64_t *groups)
{
    int64_t count;
    *groups = n;
    if (!lua_istable(L, options) || lua_getfield(L, options, "groups") == LUA_TNIL) return NULL;
    const double *given = numbers(L, lua_gettop(L), 0, function, "group", &count);
    if (count != n)
        tl__lua_raisef(L, "roc.%s: there are %lld groups for %lld", function, (long long)count, (long long)n);
    int32_t *list = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *list, 0);
    *groups = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(given[i] >= 1 && given[i] <= (double)n) || given[i] != floor(given[i]))
            tl__lua_raisef(L, "roc.%s: group %lld is %g, and must be a whole number from 1 to %lld", function,
                           (long long)i + 1, given[i], (long long)n);
        list[i] = (int32_t)given[i] - 1;
        if (list[i] >= *groups) *groups = list[i] + 1;
    }
    return list;
}

/* The scores and which are positive of arguments 1 to 3, sorted; NULL where a score is NaN. Pushes what holds it. */
static tl_roc *sorted(lua_State *L, const char *function, int with_groups)
{
    int64_t n, m, groups = 0, column = 0, class = 0;
    tl_error err = {0};
    lua_settop(L, 3);
    int options = lua_istable(L, 3), by_class = options && lua_getfield(L, 3, "class") != LUA_TNIL;
    if (options) column = tl__lua_field_integer(L, 3, "column", 0, 1, INT32_MAX);
    if (by_class) class = tl__lua_field_integer(L, 3, "class", 0, INT32_MIN, INT32_MAX);
    const double *score = numbers(L, 1, column, function, "score", &n);
    const double *given = numbers(L, 2, 0, function, "element", &m);
    if (n != m)
        tl__lua_raisef(L, "roc.%s: there are %lld scores and %lld that say what is so", function, (long long)n,
                       (long long)m);
    if (n > INT32_MAX) tl__lua_raisef(L, "roc.%s: %lld scores are too many", function, (long long)n);
    uint8_t *positive = lua_newuserdatauv(L, (size_t)n + 1, 0);
    for (int64_t i = 0; i < n; i++) positive[i] = by_class ? given[i] == (double)class : given[i] != 0;
    const int32_t *group = with_groups ? groups_of(L, 3, function, n, &groups) : NULL;
    tl_roc *r = new_roc(L);
    for (int64_t i = 0; i < n; i++)
        if (isnan(score[i])) return NULL;
    if (tl__roc_open(&err, r, score, positive, group, groups, n) != 0) tl__lua_raise(L, err.text);
    return r;
}

static int measure(lua_State *L)
{
    tl_roc *r = sorted(L, "measure", 0);
    tl_roc_areas a = {(double)NAN, (double)NAN, (double)NAN};
    if (r) tl__roc_areas(r, &a);
    lua_createtable(L, 0, 5);
    tl__lua_set_number(L, "auroc", a.auroc);
    tl__lua_set_number(L, "average_precision", a.precision);
    tl__lua_set_number(L, "error", a.error);
    lua_pushinteger(L, r ? r->positive : 0);
    lua_setfield(L, -2, "positive");
    lua_pushinteger(L, r ? r->negative : 0);
    lua_setfield(L, -2, "negative");
    return 1;
}

static int curve(lua_State *L)
{
    tl_roc *r = sorted(L, "curve", 0);
    lua_Integer tp = 0, fp = 0, at = 0;
    if (!r) tl__lua_raise(L, "roc.curve: a score is NaN, and has no place among the others");
    luaL_checkstack(L, 8, "too deep");
    int first = lua_gettop(L) + 1;
    for (int k = 0; k < 3; k++) lua_newtable(L);
    for (int64_t i = 0; i < r->n; i++) {
        if (r->is_positive[i]) tp++;
        else fp++;
        if (!r->last[i]) continue;
        at++;
        lua_pushnumber(L, r->score[i]);
        lua_rawseti(L, first, at);
        lua_pushinteger(L, tp);
        lua_rawseti(L, first + 1, at);
        lua_pushinteger(L, fp);
        lua_rawseti(L, first + 2, at);
    }
    return 3;
}

/* ---- drawing anew ---- */

typedef struct drawing { int64_t draws; uint64_t seed; double share; } drawing;

static drawing drawing_of(lua_State *L, const char *function)
{
    drawing d = {2000, 0, 0.95};
    if (!lua_istable(L, 3)) return d;
    d.draws = tl__lua_field_integer(L, 3, "draws", d.draws, 1, MOST_DRAWS);
    d.seed = tl__lua_field_seed(L, 3, "seed");
    d.share = tl__lua_field_number(L, 3, "share", d.share);
    if (!(d.share > 0 && d.share < 1))
        tl__lua_raisef(L, "roc.%s: share must be between 0 and 1, not %g", function, d.share);
    return d;
}

static void push_pair(lua_State *L, double low, double high)
{
    lua_createtable(L, 2, 0);
    lua_pushnumber(L, low);
    lua_rawseti(L, -2, 1);
    lua_pushnumber(L, high);
    lua_rawseti(L, -2, 2);
}

/* The values of all draws, or the middle of them, in the table on top. Gives how many draws count. */
static int64_t set_figure(lua_State *L, const char *key, const double (*all)[TL_ROC_FIGURES], int k, const drawing *d,
                          int values, double *room)
{
    double low, high;
    for (int64_t i = 0; i < d->draws; i++) room[i] = all[i][k];
    if (values) {
        lua_createtable(L, (int)d->draws, 0);
        for (int64_t i = 0; i < d->draws; i++) {
            lua_pushnumber(L, room[i]);
            lua_rawseti(L, -2, i + 1);
        }
    }
    int64_t kept = tl__middle_of(room, d->draws, d->share, &low, &high);
    if (!values) push_pair(L, low, high);
    lua_setfield(L, -2, key);
    return kept;
}

static int bootstrap(lua_State *L)
{
    static const char *const keys[TL_ROC_FIGURES] = {"auroc", "average_precision", "sensitivity", "specificity"};
    tl_roc *r = sorted(L, "bootstrap", 1);
    drawing d = drawing_of(L, "bootstrap");
    tl_roc_wanted wanted = {0.9, 0.9};
    tl_error err = {0};
    int values = lua_istable(L, 3) && tl__lua_field_bool(L, 3, "values", 0);
    if (!r) tl__lua_raise(L, "roc.bootstrap: a score is NaN, and has no place among the others");
    if (lua_istable(L, 3)) {
        wanted.specificity = tl__lua_field_number(L, 3, "specificity", wanted.specificity);
        wanted.sensitivity = tl__lua_field_number(L, 3, "sensitivity", wanted.sensitivity);
    }
    double (*all)[TL_ROC_FIGURES] = lua_newuserdatauv(L, (size_t)d.draws * sizeof *all, 0);
    double *room = lua_newuserdatauv(L, (size_t)d.draws * sizeof *room, 0);
    if (tl__roc_bootstrap(&err, r, &wanted, d.draws, d.seed, all) != 0) return tl__lua_raise(L, err.text);
    int64_t kept = 0;
    lua_createtable(L, 0, TL_ROC_FIGURES + 1);
    for (int k = 0; k < TL_ROC_FIGURES; k++)
        kept = set_figure(L, keys[k], (const double (*)[TL_ROC_FIGURES])all, k, &d, values, room);
    lua_pushinteger(L, kept);
    lua_setfield(L, -2, "draws");
    return 1;
}

static int shares(lua_State *L)
{
    int64_t n, m, groups;
    double low, high;
    tl_error err = {0};
    lua_settop(L, 3);
    drawing d = drawing_of(L, "shares");
    const double *a = numbers(L, 1, 0, "shares", "element", &n), *b = numbers(L, 2, 0, "shares", "element", &m);
    if (n != m) tl__lua_raisef(L, "roc.shares: the lists have %lld and %lld numbers", (long long)n, (long long)m);
    if (n > INT32_MAX) tl__lua_raisef(L, "roc.shares: %lld numbers are too many", (long long)n);
    const int32_t *group = groups_of(L, 3, "shares", n, &groups);
    double *values = lua_newuserdatauv(L, (size_t)d.draws * sizeof *values, 0);
    if (tl__share_bootstrap(&err, a, b, group, groups, n, d.draws, d.seed, values) != 0)
        return tl__lua_raise(L, err.text);
    int64_t kept = tl__middle_of(values, d.draws, d.share, &low, &high);
    lua_pushnumber(L, low);
    lua_pushnumber(L, high);
    lua_pushinteger(L, kept);
    return 3;
}

void tl__lua_open_roc(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"measure", measure, 3, "class column"},
        {"curve", curve, 3, "class column"},
        {"bootstrap", bootstrap, 3, "class column groups draws seed share specificity sensitivity values"},
        {"shares", shares, 3, "groups draws seed share"},
        {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {{"__gc", roc_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, ROC);
    tl__lua_functions(L, methods, 1);
    lua_pop(L, 1);
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    lua_setfield(L, -2, "roc");
}
