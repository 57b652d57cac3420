/* profile.c - profiles in Lua: core.profile_begin, profile_end, profile_place, peaks, roofline. */
#include "lua/binding.h"

#include "device/profile.h"

static int profile_begin(lua_State *L)
{
    tl_error err = {0};
    if (tl__profile_begin(&err, tl__lua_device(L), (int)luaL_optinteger(L, 1, 200000)) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

static void push_launch(lua_State *L, const tl_profile *p, const tl_profiled *t, const tl_span *spans)
{
    lua_createtable(L, 0, 9);
    lua_pushstring(L, t->kernel);
    lua_setfield(L, -2, "kernel");
    tl__lua_set_number(L, "start", t->start);
    tl__lua_set_number(L, "seconds", t->end - t->start);
    if (t->span < 0) return;
    const tl_span *s = &spans[t->span];
    lua_pushinteger(L, t->span + 1);
    lua_setfield(L, -2, "span");
    lua_pushstring(L, s->op);
    lua_setfield(L, -2, "op");
    lua_pushstring(L, tl__profile_where(p, s->where));
    lua_setfield(L, -2, "where");
    lua_pushboolean(L, s->backward);
    lua_setfield(L, -2, "backward");
    tl__lua_set_number(L, "flops", s->flops);
    tl__lua_set_number(L, "bytes", s->bytes);
}

/* core.profile_end() -> {wall = seconds, lost = launches that had no room, [1..] = {kernel =, start =, seconds =, and of the operator
 * call span =, op =, where =, backward =, flops =, bytes =}} in the order of launching */
static int profile_end(lua_State *L)
{
    tl_error err = {0};
    tl_profile *p = tl__profile_end(&err, tl__lua_device(L));
    if (!p) return tl__lua_raise(L, err.text);
    const tl_profiled *times;
    const tl_span *spans;
    int n = tl__profile_launches(p, &times);
    tl__profile_spans(p, &spans);
    lua_createtable(L, n, 2);
    tl__lua_set_number(L, "wall", tl__profile_wall(p));
    lua_pushinteger(L, tl__profile_lost(p));
    lua_setfield(L, -2, "lost");
    for (int i = 0; i < n; i++) {
        push_launch(L, p, &times[i], spans);
        lua_rawseti(L, -2, i + 1);
    }
    tl__profile_free(p);
    return 1;
}

/* core.profile_place(path or nil) -> number of the former place; core.profile_at(number) puts it back */
static int profile_place(lua_State *L)
{
    lua_pushinteger(L, tl__profile_place(tl__lua_device(L), luaL_optstring(L, 1, NULL)));
    return 1;
}

static int profile_at(lua_State *L)
{
    tl__profile_at(tl__lua_device(L), (int)luaL_checkinteger(L, 1));
    return 0;
}

/* core.peaks() -> GFLOP/s, GB/s */
static int peaks(lua_State *L)
{
    tl_error err = {0};
    double gflops, gbytes;
    if (tl__device_peaks(&err, tl__lua_device(L), &gflops, &gbytes) != 0) return tl__lua_raise(L, err.text);
    lua_pushnumber(L, gflops);
    lua_pushnumber(L, gbytes);
    return 2;
}

/* core.roofline() -> {gflops =, half_gflops = or nil, gbytes =, launch = seconds, round_trip = seconds} */
static int roofline(lua_State *L)
{
    tl_error err = {0};
    tl_roofline r;
    if (tl__device_roofline(&err, tl__lua_device(L), &r) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, 0, 5);
    tl__lua_set_number(L, "gflops", r.gflops);
    if (r.half_gflops > 0) tl__lua_set_number(L, "half_gflops", r.half_gflops);
    tl__lua_set_number(L, "gbytes", r.gbytes);
    tl__lua_set_number(L, "launch", r.launch);
    tl__lua_set_number(L, "round_trip", r.round_trip);
    return 1;
}

void tl__lua_open_profile(lua_State *L)
{
    static const luaL_Reg functions[] = {{"profile_begin", profile_begin}, {"profile_end", profile_end}, {"profile_place", profile_place},
                                         {"profile_at", profile_at}, {"peaks", peaks}, {"roofline", roofline}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
