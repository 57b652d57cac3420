/* ops.c - every operator of the table as a Lua function and method. Tensors come first, attributes after
 * them one by one or as one trailing table; dimensions count from 1. */
#include "lua/binding.h"

#include <string.h>

static int is_many(const tl_op *op) { return op->inputs[0] && strstr(op->inputs[0], "...") != NULL; }

static int fixed_inputs(const tl_op *op)
{
    int n = 0;
    while (n < TL_MAX_INPUTS && op->inputs[n]) n++;
    return n;
}

/* From Lua's counting to C's; 0 is nobody's dimension. */
static int64_t axis_of(lua_State *L, const tl_op *op, int64_t a)
{
    if (a == 0) tl__lua_raisef(L, "%s: dimensions count from 1 (or from -1 at the end), there is no 0", op->name);
    return a > 0 ? a - 1 : a;
}

static int is_list(const tl_attr *a) { return a->kind == TL_A_AXES || a->kind == TL_A_INTS || a->kind == TL_A_FLOATS; }

static void read_list(lua_State *L, const tl_op *op, const tl_attr *a, int index, tl_value *v)
{
    int t = lua_istable(L, index);
    int64_t n = t ? (int64_t)lua_rawlen(L, index) : 1;
    if (n > TL_ATTR_LIST) tl__lua_raisef(L, "%s: %s has at most %d numbers", op->name, a->name, TL_ATTR_LIST);
    v->n = (int)n;
    for (int i = 0; i < v->n; i++) {
        if (t) lua_rawgeti(L, index, i + 1);
        else lua_pushvalue(L, index);
        int ok;
        if (a->kind == TL_A_FLOATS) v->numbers[i] = lua_tonumberx(L, -1, &ok);
        else v->list[i] = lua_tointegerx(L, -1, &ok);
        lua_pop(L, 1);
        if (!ok)
            tl__lua_raisef(L, "%s: %s must be %snumbers", op->name, a->name, a->kind == TL_A_FLOATS ? "" : "whole ");
        if (a->kind == TL_A_AXES) v->list[i] = axis_of(L, op, v->list[i]);
    }
}

static void read_choice(lua_State *L, const tl_op *op, const tl_attr *a, int index, tl_value *v)
{
    const char *word = lua_isstring(L, index) ? lua_tostring(L, index) : NULL;
    if (!word) tl__lua_raisef(L, "%s: %s must be a name, not %s", op->name, a->name, luaL_typename(L, index));
    for (int i = 0; a->choices[i]; i++)
        if (strcmp(a->choices[i], word) == 0) {
            v->i = i;
            return;
        }
    char what[96];
    snprintf(what, sizeof what, "%s of %s:", a->name, op->name);
    tl__lua_unknown(L, what, word, a->choices);
}

static void read_attr(lua_State *L, const tl_op *op, const tl_attr *a, int index, tl_value *v)
{
    int ok = 1;
    switch (a->kind) {
    case TL_A_AXES:
    case TL_A_FLOATS:
    case TL_A_INTS: read_list(L, op, a, index, v); return;
    case TL_A_CHOICE: read_choice(L, op, a, index, v); return;
    case TL_A_BOOL:
        if (!lua_isboolean(L, index)) tl__lua_raisef(L, "%s: %s must be true or false, not %s", op->name, a->name, luaL_typename(L, index));
        v->i = lua_toboolean(L, index);
        return;
    case TL_A_FLOAT: v->f = lua_tonumberx(L, index, &ok); break;
    default:
        v->i = lua_tointegerx(L, index, &ok);
        if (ok && a->kind == TL_A_AXIS) v->i = axis_of(L, op, v->i);
    }
    if (!ok) tl__lua_raisef(L, "%s: %s must be a%s number, not %s", op->name, a->name, a->kind == TL_A_FLOAT ? "" : " whole", luaL_typename(L, index));
}

static int find_attr(const tl_op *op, const char *name)
{
    for (int i = 0; op->attrs[i].kind != TL_A_END; i++)
        if (strcmp(op->attrs[i].name, name) == 0) return i;
    return -1;
}

static void read_options(lua_State *L, const tl_op *op, int table, tl_value *attr, unsigned *given)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        int i = key ? find_attr(op, key) : -1;
        if (i < 0) {
            const char *known[TL_MAX_ATTRS + 1] = {NULL};
            char what[64];
            for (int k = 0; op->attrs[k].kind != TL_A_END; k++) known[k] = op->attrs[k].name;
            snprintf(what, sizeof what, "option of %s:", op->name);
            tl__lua_unknown(L, what, key ? key : "(a number)", known);
        }
        read_attr(L, op, &op->attrs[i], lua_gettop(L), &attr[i]);
        *given |= 1u << i;
        lua_pop(L, 1);
    }
}

static int is_options(lua_State *L, int index)
{
    if (!lua_istable(L, index)) return 0;
    lua_pushnil(L);
    if (!lua_next(L, index)) return 1;
    int text = lua_type(L, -2) == LUA_TSTRING;
    lua_pop(L, 2);
    return text;
}

/* Attributes from arguments `at`..`top`. */
static void read_attrs(lua_State *L, const tl_op *op, int at, int top, tl_value *attr)
{
    unsigned given = 0;
    tl__attr_defaults(op, attr);
    for (int i = 0; at <= top; i++, at++) {
        if (at == top && is_options(L, at)) {
            read_options(L, op, at, attr, &given);
            break;
        }
        const tl_attr *a = &op->attrs[i];
        if (lua_istable(L, at) && lua_rawlen(L, at) == 0 && is_options(L, at)) tl__lua_raisef(L, "%s: arguments stand behind the options, which come last", op->name);
        if (i >= TL_MAX_ATTRS || a->kind == TL_A_END) tl__lua_raisef(L, "%s: too many arguments", op->name);
        if (lua_isnil(L, at)) continue;
        given |= 1u << i;
        int list = is_list(a);
        if (list && !lua_istable(L, at)) { /* reshape(2, 3): the rest are its numbers */
            lua_createtable(L, top - at + 1, 0);
            int n = 0;
            while (at <= top && lua_isnumber(L, at)) {
                lua_pushvalue(L, at++);
                lua_rawseti(L, -2, ++n);
            }
            if (!n) tl__lua_raisef(L, "%s: %s must be numbers, not %s", op->name, a->name, luaL_typename(L, at));
            read_attr(L, op, a, lua_gettop(L), &attr[i]);
            lua_pop(L, 1);
            at--;
        } else read_attr(L, op, a, at, &attr[i]);
    }
    for (int i = 0; op->attrs[i].kind != TL_A_END; i++)
        if (op->attrs[i].required && !(given >> i & 1)) tl__lua_raisef(L, "%s: %s is missing", op->name, op->attrs[i].name);
}

/* A number where a tensor is expected becomes a tensor of rank 0: of whole numbers beside such a tensor, where it is
 * one itself. */
static tl_tensor *number_as_tensor(tl_scope *s, double v, tl_dtype dtype) { return tl_full(s, dtype, 0, NULL, v); }

int tl__lua_call_op(lua_State *L, const tl_op *op, int first)
{
    enum { MOST = 256 };
    tl_tensor *in[MOST] = {0}, *out[TL_MAX_OUTPUTS] = {0};
    double numbers[MOST];
    unsigned char is_number[MOST] = {0};
    box *boxes[TL_MAX_OUTPUTS];
    tl_value attr[TL_MAX_ATTRS];
    int top = lua_gettop(L), n = 0, at = first, fixed = fixed_inputs(op), many = is_many(op), tried = 0;
    memset(attr, 0, sizeof attr);
    tl_device *d = tl__lua_device(L);
    for (; at <= top && (many ? n < MOST : n < fixed); at++, n++) {
        if (luaL_testudata(L, at, TENSOR)) in[n] = tl__lua_tensor(L, at);
        else if (lua_type(L, at) == LUA_TNUMBER && fixed == 2 && !many) {
            is_number[n] = 1 + (lua_isinteger(L, at) && op->alike == 3);
            numbers[n] = lua_tonumber(L, at);
        } else if (!many && lua_isnil(L, at)) continue;
        else if (many || (n > 0 && strchr(op->inputs[n], '?'))) break;
        else tl__lua_raisef(L, "%s: %s must be a tensor, not %s", op->name, op->inputs[n], luaL_typename(L, at));
    }
    if (!many) n = fixed;
    read_attrs(L, op, at, top, attr);
    for (int i = 0; i < TL_MAX_OUTPUTS; i++) boxes[i] = i == 0 ? tl__lua_box(L) : NULL;
    tl_scope s;
    do {
        tl__scope_root(&s, d, tl__lua_thread(L)->recording);
        for (int i = 0; i < n; i++)
            if (is_number[i]) {
                const tl_tensor *other = is_number[1 - i] ? NULL : in[1 - i];
                int whole = is_number[i] == 2 && other && other->dtype == TL_I32;
                in[i] = number_as_tensor(&s, numbers[i], whole ? TL_I32 : TL_F32);
            }
        tl__apply(&s, op, in, n, attr, out);
    } while (s.err.code && tl__lua_relieve(L, &s, &tried));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl_tensor_retain(out[0]);
    tl_tensor *extra[TL_MAX_OUTPUTS] = {0};
    int results = 1;
    for (int i = 1; i < TL_MAX_OUTPUTS && out[i]; i++) {
        tl_tensor_retain(out[i]);
        extra[i] = out[i];
    }
    tl__scope_drop(&s);
    tl__lua_fill(L, boxes[0], out[0]);
    for (int i = 1; i < TL_MAX_OUTPUTS && extra[i]; i++, results++) tl__lua_fill(L, tl__lua_box(L), extra[i]);
    return results;
}

static int op_function(lua_State *L)
{
    const tl_op *op = lua_touserdata(L, lua_upvalueindex(1));
    return tl__lua_call_op(L, op, 1);
}

void tl__lua_add_ops(lua_State *L)
{
    for (const tl_op *const *op = tl__ops(); *op; op++) {
        union { const tl_op *from; void *to; } u = {.from = *op};
        lua_pushlightuserdata(L, u.to);
        lua_pushcclosure(L, op_function, 1);
        lua_setfield(L, -2, (*op)->name);
    }
}

/* The default as Lua writes it: dimensions count from 1 there. */
static void push_default(lua_State *L, const tl_attr *a)
{
    if (a->required) lua_pushnil(L);
    else if (is_list(a)) lua_pushliteral(L, "{}");
    else if (a->kind == TL_A_BOOL) lua_pushstring(L, a->fallback != 0 ? "true" : "false");
    else if (a->kind == TL_A_CHOICE) lua_pushfstring(L, "\"%s\"", a->choices[(int)a->fallback]);
    else {
        char text[40];
        snprintf(text, sizeof text, "%g", a->kind == TL_A_AXIS && a->fallback >= 0 ? a->fallback + 1 : a->fallback);
        lua_pushstring(L, text);
    }
}

static void push_attr(lua_State *L, const tl_attr *a)
{
    static const char *const kinds[] = {"",     "integer",  "number",  "boolean", "axis",
                                        "axes", "integers", "numbers", "choice"};
    lua_createtable(L, 0, 6);
    lua_pushstring(L, a->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, a->brief);
    lua_setfield(L, -2, "brief");
    lua_pushstring(L, kinds[a->kind]);
    lua_setfield(L, -2, "kind");
    push_default(L, a);
    lua_setfield(L, -2, "default");
    lua_pushboolean(L, a->required);
    lua_setfield(L, -2, "required");
    lua_newtable(L);
    for (int k = 0; a->kind == TL_A_CHOICE && a->choices[k]; k++) {
        lua_pushstring(L, a->choices[k]);
        lua_rawseti(L, -2, k + 1);
    }
    lua_setfield(L, -2, "choices");
}

/* The inputs that get a gradient. */
static void push_gradients(lua_State *L, const tl_op *op)
{
    lua_newtable(L);
    for (int i = 0, n = 0; op->vjp && i < TL_MAX_INPUTS && op->inputs[i]; i++) {
        if (op->int_inputs >> i & 1 || op->constants >> i & 1) continue;
        lua_pushlstring(L, op->inputs[i], strcspn(op->inputs[i], "?."));
        lua_rawseti(L, -2, ++n);
    }
}

/* core.op_list() -> { {name=, brief=, torch=, inputs={...}, gradients={...}, attrs={{name=, kind=, brief=, default= a text, required=, choices=}}}, ... } */
static int op_list(lua_State *L)
{
    lua_newtable(L);
    int n = 0;
    for (const tl_op *const *each = tl__ops(); *each; each++) {
        const tl_op *op = *each;
        lua_createtable(L, 0, 4);
        lua_pushstring(L, op->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, op->brief);
        lua_setfield(L, -2, "brief");
        lua_pushstring(L, op->torch);
        lua_setfield(L, -2, "torch");
        lua_newtable(L);
        for (int i = 0; i < TL_MAX_INPUTS && op->inputs[i]; i++) {
            lua_pushstring(L, op->inputs[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "inputs");
        lua_newtable(L);
        for (int i = 0; op->attrs[i].kind != TL_A_END; i++) {
            push_attr(L, &op->attrs[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "attrs");
        push_gradients(L, op);
        lua_setfield(L, -2, "gradients");
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

void tl__lua_open_ops(lua_State *L)
{
    lua_newtable(L);
    tl__lua_add_ops(L);
    lua_setfield(L, -2, "ops");
    lua_pushcfunction(L, op_list);
    lua_setfield(L, -2, "op_list");
}
