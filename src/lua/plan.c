/* plan.c - plans and dry runs in Lua. */
#include "lua/binding.h"

#include "base/text.h"
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#define PLAN "tlua.plan"
#define LISTING "tlua.listing"

static tl_plan *to_plan(lua_State *L)
{
    tl_plan **p = luaL_checkudata(L, 1, PLAN);
    if (!*p) tl__lua_raise(L, "this plan was closed");
    return *p;
}

static int plan_gc(lua_State *L)
{
    tl_plan **p = luaL_checkudata(L, 1, PLAN);
    tl__plan_free(*p);
    *p = NULL;
    return 0;
}

/* ---- what goes in ---- */

/* The dimensions in the list at `t`: numbers, or names of symbols, whose size in the trace the table at `symbols`
 * says (or 3: of pictures). */
static void read_dims(lua_State *L, int t, int symbols, tl_signature *g, tl_port *in)
{
    tl_error err = {0};
    lua_Integer n = luaL_len(L, t);
    if (n > TL_MAX_RANK) tl__lua_raisef(L, "plan: an input has at most %d dimensions", TL_MAX_RANK);
    for (in->rank = 0; in->rank < n; in->rank++, lua_pop(L, 1)) {
        tl_size *d = &in->dim[in->rank];
        *d = (tl_size){TL_SIZE_FIXED, 0};
        if (lua_geti(L, t, in->rank + 1) == LUA_TSTRING) {
            const char *name = lua_tostring(L, -1);
            double size = symbols ? tl__lua_field_number(L, symbols, name, 3) : 3;
            *d = (tl_size){tl__signature_symbol(&err, g, name, (int64_t)size), 1};
            if (d->symbol < 0) tl__lua_raise(L, err.text);
        } else d->times = luaL_checkinteger(L, -1);
        if (d->symbol < 0 && d->times < 1) tl__lua_raisef(L, "plan: an input has a dimension of %d", (int)d->times);
    }
}

/* What goes in, from the list at index 2 (and the symbols at index 3, a table or nothing), as a userdata that is
 * pushed: {dims...; name =, dtype =} an input; or the dims of a single one, whose first is the number of pictures
 * whatever it says. */
static tl_signature *to_signature(lua_State *L)
{
    tl_signature *g = lua_newuserdatauv(L, sizeof *g, 0);
    int symbols = lua_istable(L, 3) ? 3 : 0, n = (int)luaL_len(L, 2);
    g->symbols = g->inputs = 0;
    int single = n > 0 && lua_geti(L, 2, 1) != LUA_TTABLE;
    lua_settop(L, lua_gettop(L) - (n > 0));
    if (n < 1 || n > TL_PLAN_PORTS) tl__lua_raise(L, "plan: an input (N, ...) is needed");
    for (int i = 0; i < (single ? 1 : n); i++, lua_pop(L, 1)) {
        tl_port *in = &g->in[g->inputs++];
        *in = (tl_port){.dtype = TL_F32};
        if (single) {
            lua_newtable(L);
            for (int k = 1; k <= n; k++) {
                if (k == 1) lua_pushliteral(L, "N");
                else lua_geti(L, 2, k);
                lua_seti(L, -2, k);
            }
        } else lua_geti(L, 2, i + 1);
        int t = lua_gettop(L);
        luaL_checktype(L, t, LUA_TTABLE);
        char number[24];
        snprintf(number, sizeof number, n > 1 && !single ? "input%d" : "input", i + 1);
        const char *name = tl__lua_field_text(L, t, "name", number);
        if (strlen(name) >= sizeof in->name) tl__lua_raisef(L, "plan: the name '%s' is too long", name);
        strcpy(in->name, name);
        in->dtype = tl__lua_dtype(L, tl__lua_field_text(L, t, "dtype", "float32"));
        if (in->dtype != TL_F32 && in->dtype != TL_I32)
            tl__lua_raisef(L, "plan: the input '%s' is float32 or int32", in->name);
        read_dims(L, t, symbols, g, in);
    }
    return g;
}

/* ---- tracing ---- */

/* A plan's userdata, empty, on top of the stack. */
static tl_plan **push_plan(lua_State *L)
{
    tl_plan **p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = NULL;
    luaL_setmetatable(L, PLAN);
    return p;
}

/* Calls the function at index 1 with stand-ins for what goes in, under a dry run. 1; or 2 with nil and the reason
 * pushed. */
static int trace_once(lua_State *L, tl_plan **p, const tl_signature *g)
{
    tl_error err = {0};
    tl_tensor *x[TL_PLAN_PORTS], *y[TL_PLAN_PORTS + 1];
    box *boxes[TL_PLAN_PORTS];
    int base = lua_gettop(L), n = 0;
    tl_device *d = tl__lua_device(L);
    luaL_checkstack(L, TL_PLAN_PORTS + 20, "plan: too many inputs");
    lua_pushvalue(L, 1);
    for (int i = 0; i < g->inputs; i++) boxes[i] = tl__lua_box(L);
    *p = tl__plan_begin(&err, d, g, x);
    if (!*p) return tl__lua_raise(L, err.text);
    for (int i = 0; i < g->inputs; i++) tl__lua_fill(L, boxes[i], x[i]);
    int ok = lua_pcall(L, g->inputs, LUA_MULTRET, 0) == LUA_OK;
    for (int i = base + 1; ok && i <= lua_gettop(L) && n <= TL_PLAN_PORTS; i++) {
        box *b = luaL_testudata(L, i, TENSOR);
        y[n++] = b ? b->tensor : NULL;
    }
    if (tl__plan_stop(&err, *p, y, n) == 0) {
        lua_settop(L, base);
        return 1;
    }
    tl__plan_free(*p);
    *p = NULL;
    lua_pushnil(L);
    if (ok || !lua_isstring(L, -2)) lua_pushstring(L, err.text);
    else lua_pushvalue(L, -2);
    return 2;
}

/* The same, and once more for each symbol with another size of it. */
static int traced(lua_State *L, tl_plan **p, tl_signature *g)
{
    tl_error err = {0};
    int results = trace_once(L, p, g);
    for (int i = 0; i < g->symbols && results == 1; i++) {
        tl_plan **other = push_plan(L);
        int64_t size = g->symbol[i].size;
        g->symbol[i].size = tl__plan_other_size(&g->symbol[i]);
        results = trace_once(L, other, g);
        g->symbol[i].size = size;
        if (results != 1 || tl__plan_compare(&err, *p, *other, i) == 0) continue;
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        results = 2;
    }
    return results;
}

/* core.plan(f, inputs [, symbols]) -> plan: what f makes of tensors with these dims and any batch; or nil and why
 * there can be none. f runs a few times, on stand-ins without contents. inputs: { {"N", 64, 64, 3, name = "image",
 * dtype = "float32"}, ... }, or dims alone of one input. symbols: sizes of symbols other than "N" in the trace. */
static int new_plan(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    tl_signature *g = to_signature(L);
    tl_plan **p = push_plan(L);
    int at = lua_gettop(L), results = traced(L, p, g);
    tl_error err = {0};
    if (results != 1) return results;
    if (tl__plan_improve(&err, *p) != 0) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_pushvalue(L, at);
    return 1;
}

/* Tables of the state that names are looked up in: name -> tensor, and name -> true for buffers (0: none). */
typedef struct tables { lua_State *L; int tensors, buffers; } tables;

static const char *name_in_table(void *user, const tl_tensor *t)
{
    const tables *in = user;
    lua_State *L = in->L;
    const char *name = NULL;
    for (lua_pushnil(L); !name && lua_next(L, in->tensors); lua_pop(L, 1)) {
        box *b = luaL_testudata(L, -1, TENSOR);
        const tl_tensor *each = b ? b->tensor : NULL;
        if (each == t || (each && each->buffer == t->buffer && each->offset == t->offset &&
                          tl__shape_equal(&each->shape, &t->shape)))
            name = lua_tostring(L, -2); /* the table keeps it alive */
    }
    if (name) lua_pop(L, 1); /* the key, which lua_next has not used up */
    return name;
}

static int buffer_in_table(void *user, const char *name)
{
    const tables *in = user;
    int is = in->buffers && lua_getfield(in->L, in->buffers, name) != LUA_TNIL;
    if (in->buffers) lua_pop(in->L, 1);
    return is;
}

static tl_tensor *tensor_in_table(void *user, const char *name)
{
    const tables *in = user;
    lua_getfield(in->L, in->tensors, name);
    box *b = luaL_testudata(in->L, -1, TENSOR);
    lua_pop(in->L, 1);
    return b ? b->tensor : NULL; /* the table keeps it alive */
}

/* Pushes a text that the caller made, and frees it; nil and the reason where there is none. */
static int push_text(lua_State *L, char *text, const tl_error *err)
{
    if (!text) {
        lua_pushnil(L);
        lua_pushstring(L, err->text);
        return 2;
    }
    lua_pushstring(L, text);
    free(text);
    return 1;
}

/* Names for what comes out, from the list at `index`, where there is one. */
static void name_outputs(lua_State *L, int index, tl_plan *p)
{
    for (int i = 0; lua_istable(L, index) && i < p->outputs; i++, lua_pop(L, 1)) {
        const char *name = lua_geti(L, index, i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (name && strlen(name) < sizeof p->out[i].name) strcpy(p->out[i].name, name);
    }
}

/* core.plan_text(f, inputs, symbols, tensors [, names, buffers]) -> the calls as text for a model file, constants by
 * their names in `tensors`, what comes out by `names`; or nil and why there can be none. `buffers` has the names of
 * those that are never trained as its keys. */
static int plan_text_of(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_settop(L, 6);
    tl_signature *g = to_signature(L);
    tl_plan **p = push_plan(L);
    tl_error err = {0};
    int results = traced(L, p, g);
    if (results != 1) return results;
    name_outputs(L, 5, *p);
    tables in = {L, 4, lua_istable(L, 6) ? 6 : 0};
    return push_text(L, tl__plan_write(&err, *p, &(tl_names){name_in_table, buffer_in_table, &in}), &err);
}

/* core.plan_upgrade(text, tensors) -> the calls of an older format as text of today's; or nil and why not. `tensors`
 * are those of its file. */
static int plan_upgrade(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    tables in = {L, 2, 0};
    tl_error err = {0};
    tl_plan **p = push_plan(L);
    *p = tl__plan_retrace(&err, tl__lua_device(L), text, tensor_in_table, &in);
    return push_text(L, *p ? tl__plan_write(&err, *p, &(tl_names){name_in_table, NULL, &in}) : NULL, &err);
}

/* ---- the calls, for who makes them one by one (tlua/nn/graph) ---- */

/* A number of an attribute as Lua counts. */
static void push_whole(lua_State *L, const tl_attr *a, int64_t v)
{
    if (a->kind == TL_A_BOOL) lua_pushboolean(L, v != 0);
    else if ((a->kind == TL_A_AXIS || a->kind == TL_A_AXES) && v >= 0) lua_pushinteger(L, v + 1);
    else lua_pushinteger(L, v);
}

/* Pushes all attributes as the operator's table of options. */
static void push_options(lua_State *L, const tl_listed *c)
{
    lua_newtable(L);
    for (int k = 0; c->op->attrs[k].kind != TL_A_END; k++) {
        const tl_attr *a = &c->op->attrs[k];
        const tl_value *v = &c->attr[k];
        if (a->kind == TL_A_INTS || a->kind == TL_A_AXES || a->kind == TL_A_FLOATS) {
            if (v->n == 0) continue;
            lua_createtable(L, v->n, 0);
            for (int i = 0; i < v->n; i++) {
                if (a->kind == TL_A_FLOATS) lua_pushnumber(L, v->numbers[i]);
                else push_whole(L, a, v->list[i]);
                lua_rawseti(L, -2, i + 1);
            }
        } else if (a->kind == TL_A_FLOAT) lua_pushnumber(L, v->f);
        else if (a->kind == TL_A_CHOICE) lua_pushstring(L, a->choices[v->i]);
        else push_whole(L, a, v->i);
        lua_setfield(L, -2, a->name);
    }
}

static void push_dims(lua_State *L, const tl_listing *l, const tl_port *port)
{
    lua_createtable(L, port->rank, 0);
    for (int k = 0; k < port->rank; k++) {
        tl_size d = port->dim[k];
        if (d.symbol == TL_SIZE_FIXED) lua_pushinteger(L, d.times);
        else if (d.symbol >= 0 && d.times == 1) lua_pushstring(L, l->g.symbol[d.symbol].name);
        else lua_pushboolean(L, 0);
        lua_rawseti(L, -2, k + 1);
    }
}

/* {name=, dtype=, dims= {numbers, names of symbols or false}, value= from 1} */
static void push_port(lua_State *L, const tl_listing *l, const tl_port *port, int value)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, port->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, tl__dtype_name(port->dtype));
    lua_setfield(L, -2, "dtype");
    push_dims(L, l, port);
    lua_setfield(L, -2, "dims");
    lua_pushinteger(L, value + 1);
    lua_setfield(L, -2, "value");
}

/* {op=, inputs= {number of a value from 1, name of a tensor, or false}, attrs= {...}, sized= {{attr=, at= from 1,
 * symbol=, times=}...}, constants= bits} */
static void push_call(lua_State *L, const tl_listing *l, const tl_listed *c)
{
    lua_createtable(L, 0, 5);
    lua_pushstring(L, c->op->name);
    lua_setfield(L, -2, "op");
    lua_createtable(L, c->n_in, 0);
    for (int k = 0; k < c->n_in; k++) {
        if (c->in[k].name) lua_pushstring(L, c->in[k].name);
        else if (c->in[k].value >= 0) lua_pushinteger(L, c->in[k].value + 1);
        else lua_pushboolean(L, 0);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "inputs");
    push_options(L, c);
    lua_setfield(L, -2, "attrs");
    lua_createtable(L, c->sizes, 0);
    for (int i = 0; i < c->sizes; i++) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, c->op->attrs[c->sized[i].attr].name);
        lua_setfield(L, -2, "attr");
        lua_pushinteger(L, c->sized[i].at + 1);
        lua_setfield(L, -2, "at");
        lua_pushstring(L, l->g.symbol[c->sized[i].size.symbol].name);
        lua_setfield(L, -2, "symbol");
        lua_pushinteger(L, c->sized[i].size.times);
        lua_setfield(L, -2, "times");
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "sized");
    lua_pushinteger(L, c->op->constants | c->op->int_inputs);
    lua_setfield(L, -2, "constants");
}

static int listing_gc(lua_State *L)
{
    tl__listing_close(lua_touserdata(L, 1));
    return 0;
}

/* core.plan_calls(text) -> {format=, symbols= {N= size in the trace}, inputs= {...}, outputs= {...}, calls= {...},
 * buffers= {name = true}}, each checked as far as that can be without the tensors; raises. */
static int plan_calls(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    tl_error err = {0};
    tl_listing *l = lua_newuserdatauv(L, sizeof *l, 0);
    memset(l, 0, sizeof *l);
    luaL_setmetatable(L, LISTING);
    tl_listed *c = lua_newuserdatauv(L, sizeof *c, 0);
    if (tl__listing_open(&err, l, text) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, l->format);
    lua_setfield(L, -2, "format");
    lua_newtable(L);
    for (int i = 0; i < l->g.symbols; i++) {
        lua_pushinteger(L, l->g.symbol[i].size);
        lua_setfield(L, -2, l->g.symbol[i].name);
    }
    lua_setfield(L, -2, "symbols");
    lua_newtable(L);
    for (int i = 0; i < l->g.inputs; i++) {
        push_port(L, l, &l->g.in[i], i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "inputs");
    lua_newtable(L);
    for (int i = 0; i < l->outputs; i++) {
        push_port(L, l, &l->out[i], l->out[i].slot);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "outputs");
    lua_newtable(L);
    int more;
    for (int n = 1; (more = tl__listing_next(&err, l, c)) > 0; n++) {
        push_call(L, l, c);
        lua_rawseti(L, -2, n);
    }
    if (more < 0) return tl__lua_raise(L, err.text);
    lua_setfield(L, -2, "calls");
    lua_newtable(L);
    const cJSON *buffers = cJSON_GetObjectItemCaseSensitive(l->json, "buffers");
    for (const cJSON *each = cJSON_IsArray(buffers) ? buffers->child : NULL; each; each = each->next) {
        if (!cJSON_IsString(each)) return tl__lua_raise(L, "its plan: buffers are no names");
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, each->valuestring);
    }
    lua_setfield(L, -2, "buffers");
    return 1;
}

/* ---- running ---- */

/* plan:run(x, ...) -> y, ... */
static int plan_run(lua_State *L)
{
    tl_plan *p = to_plan(L);
    tl_tensor *x[TL_PLAN_PORTS], *y[TL_PLAN_PORTS];
    box *boxes[TL_PLAN_PORTS];
    if (lua_gettop(L) != p->g->inputs + 1)
        return tl__lua_raisef(L, "plan: it was made for %d inputs, not %d", p->g->inputs, lua_gettop(L) - 1);
    for (int i = 0; i < p->g->inputs; i++) x[i] = tl__lua_tensor(L, i + 2);
    luaL_checkstack(L, p->outputs + 10, "plan: too many outputs");
    for (int i = 0; i < p->outputs; i++) boxes[i] = tl__lua_box(L);
    tl_scope s;
    int tried = 0;
    do {
        tl__scope_root(&s, p->device, 0);
        tl__plan_run(&s, p, x, y);
    } while (s.err.code && tl__lua_relieve(L, &s, &tried));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    for (int i = 0; i < p->outputs; i++) tl_tensor_retain(y[i]);
    tl__scope_drop(&s);
    for (int i = 0; i < p->outputs; i++) tl__lua_fill(L, boxes[i], y[i]);
    return p->outputs;
}

/* plan:bytes(n) -> what a run of n pictures needs beside weights, input and result */
static int plan_bytes(lua_State *L)
{
    tl_plan *p = to_plan(L);
    tl_scope s;
    tl__scope_root(&s, p->device, 0);
    size_t bytes = tl__plan_bytes(&s, p, luaL_checkinteger(L, 2));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

static int plan_text(lua_State *L)
{
    tl_error err = {0};
    char *text = tl__plan_text(&err, to_plan(L));
    if (!text) return tl__lua_raise(L, err.text);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

/* core.dry(f) -> the highest number of device bytes that f() would need, with what is alive now. Nothing is computed:
 * what f reads is zero, and what it makes must not be used afterwards. Errors of f pass. */
static int dry(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    tl_device *d = tl__lua_device(L);
    context *c = tl__lua_context(L);
    uint64_t ordinal = c->ordinal;
    tl_error err = {0};
    if (tl__dry_begin(&err, d) != 0) return tl__lua_raise(L, err.text);
    lua_settop(L, 1);
    int status = lua_pcall(L, 0, 0, 0);
    size_t peak = tl__dry_end(d);
    c->ordinal = ordinal;
    if (status != LUA_OK) return lua_error(L);
    lua_pushinteger(L, (lua_Integer)peak);
    return 1;
}

void tl__lua_open_plan(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", plan_gc},     {"close", plan_gc},  {"run", plan_run},
                                       {"bytes", plan_bytes}, {"text", plan_text}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"plan", new_plan},
                                         {"plan_text", plan_text_of},
                                         {"plan_upgrade", plan_upgrade},
                                         {"plan_calls", plan_calls},
                                         {"dry", dry},
                                         {NULL, NULL}};
    luaL_newmetatable(L, PLAN);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newmetatable(L, LISTING);
    lua_pushcfunction(L, listing_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
