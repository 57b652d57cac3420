/* surface.c - how far the surfaces of masks are apart, in Lua: core.surface. Maps are tensors of one shape with one to
 * so many dimensions, whole numbers: `said` of a network, `is` by a person.
 *   core.surface.distances(said, is [, {class=, ignore=, spacing=}]) -> {hausdorff=, hausdorff_95=, mean=, mean_said=,
 *     mean_is=, surface_said=, surface_is=, elements_said=, elements_is=, volume_said=, volume_is=, volume_error=,
 *     empty=}
 * class: the label of the mask, or a list of labels for a list of such tables; without it all that is not 0. Where `is`
 * has the label `ignore` an element is in no mask. spacing: a number for each dimension, or one for all, 1.
 * Distances are in its unit, volumes in its power; volume_error is (said - is) / is, NaN where `is` is empty. mean is
 * over the elements of both surfaces, mean_said from the surface said to the other one, mean_is back. Where a mask is
 * empty, `empty` says which ("said", "is", "both"); distances are then infinite, and NaN where both are. */
#include "lua/binding.h"

#include "task/surface.h"

#include <math.h>

static void push_result(lua_State *L, const tl_surface *s, double unit)
{
    double said = (double)s->elements[0], is = (double)s->elements[1];
    lua_createtable(L, 0, 13);
    tl__lua_set_number(L, "hausdorff", s->hausdorff);
    tl__lua_set_number(L, "hausdorff_95", s->hausdorff_95);
    tl__lua_set_number(L, "mean", s->mean);
    tl__lua_set_number(L, "mean_said", s->directed[0]);
    tl__lua_set_number(L, "mean_is", s->directed[1]);
    tl__lua_set_integer(L, "surface_said", s->surface[0]);
    tl__lua_set_integer(L, "surface_is", s->surface[1]);
    tl__lua_set_integer(L, "elements_said", s->elements[0]);
    tl__lua_set_integer(L, "elements_is", s->elements[1]);
    tl__lua_set_number(L, "volume_said", said * unit);
    tl__lua_set_number(L, "volume_is", is * unit);
    tl__lua_set_number(L, "volume_error", is > 0 ? (said - is) / is : (double)NAN);
    if (said > 0 && is > 0) return;
    lua_pushstring(L, said > 0 ? "is" : is > 0 ? "said" : "both");
    lua_setfield(L, -2, "empty");
}

/* The tensor at argument `index` as whole numbers, which a userdata that is pushed holds; of one class without a
 * label (`whole` is 0): 1 where it is not 0. */
static int32_t *labels_of(lua_State *L, int index, tl_tensor *t, int whole)
{
    int64_t n = tl_numel(t);
    const void *host = tl__lua_values(L, t);
    int32_t *list = lua_newuserdatauv(L, (size_t)n * sizeof *list + 1, 0);
    for (int64_t i = 0; i < n; i++) {
        double v = tl__lua_value_at(host, t->dtype, i);
        if (!(v >= INT32_MIN && v <= INT32_MAX) || (whole && v != floor(v)))
            tl__lua_raisef(L, "surface.distances: element %lld of the %s map is %g, and labels are whole numbers",
                           (long long)i + 1, index == 1 ? "first" : "second", v);
        list[i] = whole ? (int32_t)v : v != 0;
    }
    lua_remove(L, -2);
    return list;
}

/* Bytes that are 1 where the map of argument 2 does not have the label `ignore`; NULL where none is ignored. Pushes
 * what holds them. */
static const uint8_t *known_of(lua_State *L, tl_tensor *t)
{
    int64_t n = tl_numel(t);
    if (!lua_istable(L, 3) || lua_getfield(L, 3, "ignore") == LUA_TNIL) return NULL;
    double ignored = (double)tl__lua_field_integer(L, 3, "ignore", 0, INT32_MIN, INT32_MAX);
    const void *host = tl__lua_values(L, t);
    uint8_t *known = lua_newuserdatauv(L, (size_t)n + 1, 0);
    for (int64_t i = 0; i < n; i++) known[i] = tl__lua_value_at(host, t->dtype, i) != ignored;
    return known;
}

static void spacing_of(lua_State *L, int rank, double *spacing)
{
    int kind = lua_istable(L, 3) ? lua_getfield(L, 3, "spacing") : LUA_TNIL;
    if (kind == LUA_TTABLE && (int64_t)lua_rawlen(L, -1) != rank)
        tl__lua_raisef(L, "surface.distances: spacing has %lld numbers, and the maps have %d dimensions",
                       (long long)lua_rawlen(L, -1), rank);
    for (int d = 0; d < rank; d++) {
        int number = 1;
        if (kind == LUA_TTABLE) lua_rawgeti(L, -1, d + 1);
        else lua_pushvalue(L, -1);
        spacing[d] = kind == LUA_TNIL ? 1 : lua_tonumberx(L, -1, &number);
        if (!number || !(spacing[d] >= TL_SURFACE_LEAST && spacing[d] <= TL_SURFACE_MOST))
            tl__lua_raisef(L, "surface.distances: spacing %d must be a number from %g to %g", d + 1, TL_SURFACE_LEAST,
                           TL_SURFACE_MOST);
        lua_pop(L, 1);
    }
}

/* The label at the top of the stack, which is taken off. */
static int32_t label_here(lua_State *L)
{
    int whole;
    lua_Integer v = lua_tointegerx(L, -1, &whole);
    if (!whole || v < INT32_MIN || v > INT32_MAX)
        tl__lua_raise(L, "surface.distances: class is a label or a list of such");
    lua_pop(L, 1);
    return (int32_t)v;
}

static void check_maps(lua_State *L, const tl_tensor *said, const tl_tensor *is)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (!tl__shape_equal(&said->shape, &is->shape))
        tl__lua_raisef(L, "surface.distances: the maps are %s and %s; they must be of one grid",
                       tl__shape_text(&said->shape, a, sizeof a), tl__shape_text(&is->shape, b, sizeof b));
    if (said->shape.rank < 1) tl__lua_raise(L, "surface.distances: a number is no map");
}

static int distances(lua_State *L)
{
    tl_tensor *said = tl__lua_tensor(L, 1), *is = tl__lua_tensor(L, 2);
    tl_shape shape = said->shape;
    double spacing[TL_MAX_RANK], unit = 1;
    tl_error err = {0};
    tl_surface s;
    check_maps(L, said, is);
    lua_settop(L, 3);
    spacing_of(L, shape.rank, spacing);
    for (int d = 0; d < shape.rank; d++) unit *= spacing[d];
    int kind = lua_istable(L, 3) ? lua_getfield(L, 3, "class") : LUA_TNIL, class = lua_gettop(L);
    const uint8_t *known = known_of(L, is);
    const int32_t *first = labels_of(L, 1, said, kind != LUA_TNIL), *second = labels_of(L, 2, is, kind != LUA_TNIL);
    int64_t many = kind == LUA_TTABLE ? (int64_t)lua_rawlen(L, class) : 1;
    if (kind == LUA_TTABLE) lua_createtable(L, (int)many, 0);
    for (int64_t k = 0; k < many; k++) {
        int32_t label = 1;
        if (kind == LUA_TTABLE) lua_rawgeti(L, class, k + 1);
        else if (kind != LUA_TNIL) lua_pushvalue(L, class);
        if (kind != LUA_TNIL) label = label_here(L);
        if (tl__surface(&err, first, second, known, label, &shape, spacing, &s) != 0) return tl__lua_raise(L, err.text);
        push_result(L, &s, unit);
        if (kind == LUA_TTABLE) lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

void tl__lua_open_surface(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"distances", distances, 3, "class ignore spacing"},
                                              {NULL, NULL, 0, NULL}};
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    lua_setfield(L, -2, "surface");
}
