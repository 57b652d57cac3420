/* onnx_write.c - core.onnx_write: the tables that core.onnx_read gives, or that lua/tlua/onnx writes, as a file. The
 * structures that protobuf-c packs lie in one userdata; texts are borrowed from the tables, numbers of tensors from
 * userdata that a list keeps. */
#include "lua/onnx.h"

#include <stdlib.h>
#include <string.h>

#define WRITING "tlua.onnx.writing"

/* `keep` is the stack place of a list of what must live until the file is written. */
typedef struct writing {
    tl_unpacking memory;
    int keep;
    const char *path;
    int depth;
} writing;

static int writing_gc(lua_State *L)
{
    writing *w = luaL_checkudata(L, 1, WRITING);
    tl__unpacking_free(&w->memory);
    return 0;
}

static void *take(lua_State *L, writing *w, size_t count, size_t size)
{
    tl_error err = {0};
    void *p = count > SIZE_MAX / 2 / size ? NULL : tl__unpacking_take(&err, &w->memory, count * size + 1);
    if (!p) tl__lua_raise(L, err.code ? err.text : "onnx_write: too many elements");
    return p;
}

/* A list of `count` new messages. */
#define MESSAGES(list, n, number, type, initialise) \
    do { \
        (n) = (size_t)(number); \
        (list) = take(L, w, (n), sizeof *(list)); \
        for (size_t i_ = 0; i_ < (n); i_++) initialise((list)[i_] = take(L, w, 1, sizeof(type))); \
    } while (0)

/* ---- fields of tables ---- */

static int wrong(lua_State *L, const char *what, const char *wanted)
{
    return tl__lua_raisef(L, "onnx_write: %s must be %s, not a %s", what, wanted, luaL_typename(L, -1));
}

/* protobuf-c's structures have no const; packing writes nothing there. */
static char *borrowed(const char *text)
{
    union {
        const char *from;
        char *to;
    } p = {.from = text};
    return p.to;
}

/* The text in a field of the table on top, which keeps it; NULL where there is none. Raises for anything else. */
static char *text_field(lua_State *L, const char *key)
{
    const char *text = NULL;
    int type = lua_getfield(L, -1, key);
    if (type != LUA_TNIL && type != LUA_TSTRING) wrong(L, key, "a text");
    if (type == LUA_TSTRING) {
        text = lua_tostring(L, -1);
        if (strlen(text) != lua_rawlen(L, -1)) tl__lua_raisef(L, "onnx_write: %s has a byte of value 0 in it", key);
    }
    lua_pop(L, 1);
    return borrowed(text);
}

/* Pushes the table in a field of the table on top, or nothing; its length, 0 where there is none. */
static size_t push_list(lua_State *L, const char *key)
{
    int type = lua_getfield(L, -1, key);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
    } else if (type != LUA_TTABLE) {
        wrong(L, key, "a list");
    }
    return (size_t)lua_rawlen(L, -1);
}

static char **texts_field(lua_State *L, writing *w, const char *key, size_t *count)
{
    *count = push_list(L, key);
    char **list = take(L, w, *count, sizeof *list);
    for (size_t i = 0; i < *count; i++) {
        if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING) wrong(L, key, "a list of texts");
        list[i] = borrowed(lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return list;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The keys of the table on top, sorted, so that the same model is the same bytes. */
static char **sorted_keys(lua_State *L, writing *w, size_t *count)
{
    *count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), ++*count)
        if (lua_type(L, -2) != LUA_TSTRING) tl__lua_raise(L, "onnx_write: names must be texts");
    char **keys = take(L, w, *count, sizeof *keys);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) keys[i++] = borrowed(lua_tostring(L, -2));
    qsort(keys, *count, sizeof *keys, by_text);
    return keys;
}

/* ---- tensors ---- */

/* Keeps the value on top until the file is written. */
static void keep_it(lua_State *L, const writing *w)
{
    lua_rawseti(L, w->keep, (lua_Integer)lua_rawlen(L, w->keep) + 1);
}

static void set_raw(Onnx__TensorProto *t, void *data, size_t bytes)
{
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){bytes, data};
}

/* A tensor of the device. `type`: that of the file, 0 for its own; int32 may become int64. */
static void from_tensor(lua_State *L, writing *w, Onnx__TensorProto *to, int32_t type)
{
    static const int32_t own[] = {[TL_F32] = 1, [TL_F16] = 10, [TL_BF16] = 16, [TL_I32] = 6, [TL_U8] = 2};
    tl_tensor *t = tl__lua_tensor(L, -1);
    size_t n = (size_t)tl_numel(t), bytes = n * tl__dtype_size(t->dtype);
    void *host = tl__lua_values(L, t);
    to->data_type = type ? type : own[t->dtype];
    if (type == 7 && t->dtype == TL_I32) {
        int64_t *wide = lua_newuserdatauv(L, n * 8 + 1, 0);
        for (size_t i = 0; i < n; i++) wide[i] = ((const int32_t *)host)[i];
        lua_replace(L, -2);
        host = wide;
        bytes = 8 * n;
    } else if (to->data_type != own[t->dtype]) {
        tl__lua_raisef(L, "onnx_write: a tensor of %s does not become %s", tl__dtype_name(t->dtype),
                       tl__onnx_type(type)->name);
    }
    set_raw(to, host, bytes);
    keep_it(L, w);
    if (to->dims) return;
    to->n_dims = (size_t)t->shape.rank;
    to->dims = take(L, w, to->n_dims, sizeof *to->dims);
    for (int i = 0; i < t->shape.rank; i++) to->dims[i] = t->shape.dim[i];
}

static void put_number(lua_State *L, int32_t type, uint8_t *to)
{
    double d = lua_tonumber(L, -1);
    float f = (float)d;
    uint16_t half = type == 10 ? tl__float_to_half(f) : tl__float_to_bf16(f);
    int64_t i = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : (int64_t)lua_tointeger(L, -1);
    switch (type) {
    case 1: memcpy(to, &f, 4); break;
    case 11: memcpy(to, &d, 8); break;
    case 10:
    case 16: memcpy(to, &half, 2); break;
    default: memcpy(to, &i, (size_t)tl__onnx_type(type)->bits / 8); /* the host is little-endian (io/archive.c) */
    }
}

/* The list of numbers on top, as the type that the file is to have. */
static void from_numbers(lua_State *L, writing *w, Onnx__TensorProto *to, int32_t type)
{
    const tl_onnx_type *about = tl__onnx_type(type);
    if (!about || !strchr("fiub", about->kind) || about->bits < 8 || (about->kind == 'f' && about->bits == 8))
        tl__lua_raise(L, "onnx_write: numbers want a dtype of whole bytes, like \"int64\"");
    size_t n = (size_t)lua_rawlen(L, -1), width = (size_t)about->bits / 8;
    uint8_t *host = take(L, w, n, width);
    for (size_t i = 0; i < n; i++) {
        int is = lua_rawgeti(L, -1, (lua_Integer)i + 1), whole;
        lua_tointegerx(L, -1, &whole);
        if (is != LUA_TBOOLEAN && (is != LUA_TNUMBER || (about->kind != 'f' && !whole)))
            wrong(L, "an element", about->kind == 'f' ? "a number" : "a whole number");
        put_number(L, type, host + i * width);
        lua_pop(L, 1);
    }
    to->data_type = type;
    set_raw(to, host, n * width);
    if (!to->dims) {
        to->n_dims = 1;
        to->dims = take(L, w, 1, sizeof *to->dims);
        to->dims[0] = (int64_t)n;
    }
    lua_pop(L, 1);
}

/* A constant that was read, whose file stays open as long as it. Numbers that lie in other files come into this one. */
static void from_constant(lua_State *L, writing *w, Onnx__TensorProto *to)
{
    const constant *c = luaL_checkudata(L, -1, CONSTANT);
    tl_onnx_values v;
    tl_error err = {0};
    if (tl__onnx_values(&err, c->o, c->t, &v) != 0) tl__lua_raisef(L, "onnx_write: %s: %s", c->path, err.text);
    *to = *c->t;
    to->base.n_unknown_fields = 0;
    if (to->n_external_data) {
        union {
            const uint8_t *from;
            uint8_t *to;
        } raw = {.from = v.raw};
        to->n_external_data = 0;
        to->has_data_location = 0;
        set_raw(to, raw.to, v.bytes);
    }
    lua_pushvalue(L, -1);
    keep_it(L, w);
}

/* As many numbers as its dimensions say? */
static void check_dims(lua_State *L, const Onnx__TensorProto *t)
{
    int64_t n = tl__onnx_type(t->data_type)->bits / 8;
    for (size_t i = 0; i < t->n_dims; i++)
        if (tl__mul_size(n, t->dims[i], &n) != 0) n = -1;
    if (n != (int64_t)t->raw_data.len)
        tl__lua_raisef(L, "onnx_write: tensor '%s' has other dimensions than numbers", t->name ? t->name : "");
}

/* The tensor on top: a constant, {name=, tensor=} or {name=, dtype=, dims=, numbers=}. */
static void build_tensor(lua_State *L, writing *w, Onnx__TensorProto *to)
{
    if (luaL_testudata(L, -1, CONSTANT)) {
        from_constant(L, w, to);
        return;
    }
    if (!lua_istable(L, -1)) wrong(L, "a tensor", "a table");
    to->name = text_field(L, "name");
    to->has_data_type = 1;
    const char *dtype = text_field(L, "dtype");
    int32_t type = dtype ? tl__onnx_type_number(dtype) : 0;
    if (dtype && !type) tl__lua_raisef(L, "onnx_write: there is no dtype '%s'", dtype);
    if (lua_getfield(L, -1, "dims") == LUA_TTABLE) {
        to->n_dims = (size_t)lua_rawlen(L, -1);
        to->dims = take(L, w, to->n_dims, sizeof *to->dims);
        for (size_t i = 0; i < to->n_dims; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            to->dims[i] = lua_tointeger(L, -1);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    if (lua_getfield(L, -1, "tensor") != LUA_TNIL) {
        from_tensor(L, w, to, type);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 1);
        push_list(L, "numbers");
        from_numbers(L, w, to, type);
    }
    check_dims(L, to);
}

/* ---- attributes ---- */

static void build_graph(lua_State *L, writing *w, Onnx__GraphProto *g);

/* What the elements of the list on top are, by the first; a whole number beside fractions is one of them. */
static int list_kind(lua_State *L)
{
    static const struct {
        const char *key;
        int kind;
    } said[] = {{"ints", 7}, {"floats", 6}, {"strings", 8}, {"tensors", 9}, {"graphs", 10}};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        int there = lua_getfield(L, -1, said[i].key) == LUA_TTABLE;
        if (there) {
            lua_replace(L, -2);
            return said[i].kind;
        }
        lua_pop(L, 1);
    }
    int kind = 0;
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
        int type = lua_rawgeti(L, -1, i), is_float = type == LUA_TNUMBER && !lua_isinteger(L, -1), graph = 0;
        if (type == LUA_TTABLE) {
            graph = lua_getfield(L, -1, "nodes") == LUA_TTABLE;
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
        if (i == 1) kind = type == LUA_TNUMBER ? 7 : type == LUA_TSTRING ? 8 : graph ? 10 : 9;
        if (kind == 7 && is_float) kind = 6;
    }
    return kind;
}

static ProtobufCBinaryData bytes_at_top(lua_State *L)
{
    size_t n;
    if (lua_type(L, -1) != LUA_TSTRING) wrong(L, "an attribute's element", "a text");
    const char *text = lua_tolstring(L, -1, &n);
    return (ProtobufCBinaryData){n, (uint8_t *)borrowed(text)};
}

static void build_list(lua_State *L, writing *w, Onnx__AttributeProto *a, int kind)
{
    size_t n = (size_t)lua_rawlen(L, -1);
    a->type = (Onnx__AttributeProto__AttributeType)kind;
    if (kind == 7) a->n_ints = n, a->ints = take(L, w, n, sizeof *a->ints);
    else if (kind == 6) a->n_floats = n, a->floats = take(L, w, n, sizeof *a->floats);
    else if (kind == 8) a->n_strings = n, a->strings = take(L, w, n, sizeof *a->strings);
    else if (kind == 9) MESSAGES(a->tensors, a->n_tensors, n, Onnx__TensorProto, onnx__tensor_proto__init);
    else if (kind == 10) MESSAGES(a->graphs, a->n_graphs, n, Onnx__GraphProto, onnx__graph_proto__init);
    else tl__lua_raisef(L, "onnx_write: the attribute '%s' is empty; say {ints = {}} or the like", a->name);
    for (size_t i = 0; i < n; i++) {
        int type = lua_rawgeti(L, -1, (lua_Integer)i + 1);
        if ((kind == 6 || kind == 7) && type != LUA_TNUMBER) wrong(L, a->name, "a list of numbers");
        if (kind == 7) a->ints[i] = lua_tointeger(L, -1);
        else if (kind == 6) a->floats[i] = (float)lua_tonumber(L, -1);
        else if (kind == 8) a->strings[i] = bytes_at_top(L);
        else if (kind == 9) build_tensor(L, w, a->tensors[i]);
        else build_graph(L, w, a->graphs[i]);
        lua_pop(L, 1);
    }
}

/* Is the table on top one with that field? */
static int has_field(lua_State *L, const char *key)
{
    int there = lua_getfield(L, -1, key) != LUA_TNIL;
    lua_pop(L, 1);
    return there;
}

/* The value on top; a table may be replaced by one within. */
static void build_attribute(lua_State *L, writing *w, Onnx__AttributeProto *a)
{
    a->has_type = 1;
    if (lua_isinteger(L, -1) || lua_isboolean(L, -1)) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        a->has_i = 1;
        a->i = lua_isboolean(L, -1) ? lua_toboolean(L, -1) : lua_tointeger(L, -1);
    } else if (lua_type(L, -1) == LUA_TNUMBER) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->has_f = 1;
        a->f = (float)lua_tonumber(L, -1);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
        a->has_s = 1;
        a->s = bytes_at_top(L);
    } else if (luaL_testudata(L, -1, CONSTANT) ||
               (lua_istable(L, -1) && (has_field(L, "tensor") || has_field(L, "numbers")))) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
        onnx__tensor_proto__init(a->t = take(L, w, 1, sizeof *a->t));
        build_tensor(L, w, a->t);
    } else if (lua_istable(L, -1) && has_field(L, "nodes")) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
        onnx__graph_proto__init(a->g = take(L, w, 1, sizeof *a->g));
        build_graph(L, w, a->g);
    } else if (lua_istable(L, -1) && (has_field(L, "unsupported") || has_field(L, "reference"))) {
        tl__lua_raisef(L, "onnx_write: the attribute '%s' is of a kind that is not written", a->name);
    } else if (lua_istable(L, -1)) {
        build_list(L, w, a, list_kind(L));
    } else {
        wrong(L, a->name, "an attribute");
    }
}

/* ---- nodes, values, graphs ---- */

static void build_node(lua_State *L, writing *w, Onnx__NodeProto *n)
{
    n->op_type = text_field(L, "op");
    n->domain = text_field(L, "domain");
    n->name = text_field(L, "name");
    n->input = texts_field(L, w, "inputs", &n->n_input);
    n->output = texts_field(L, w, "outputs", &n->n_output);
    if (!n->op_type) tl__lua_raise(L, "onnx_write: a node without an operator");
    push_list(L, "attrs");
    size_t count;
    char **keys = sorted_keys(L, w, &count);
    MESSAGES(n->attribute, n->n_attribute, count, Onnx__AttributeProto, onnx__attribute_proto__init);
    for (size_t i = 0; i < count; i++) {
        n->attribute[i]->name = keys[i];
        lua_getfield(L, -1, keys[i]);
        build_attribute(L, w, n->attribute[i]);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void build_shape(lua_State *L, writing *w, Onnx__TensorShapeProto *s)
{
    MESSAGES(s->dim, s->n_dim, lua_rawlen(L, -1), Onnx__TensorShapeProto__Dimension,
             onnx__tensor_shape_proto__dimension__init);
    for (size_t i = 0; i < s->n_dim; i++) {
        int type = lua_rawgeti(L, -1, (lua_Integer)i + 1);
        if (type == LUA_TSTRING) {
            s->dim[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            s->dim[i]->dim_param = borrowed(lua_tostring(L, -1));
        } else if (lua_isinteger(L, -1)) {
            s->dim[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            s->dim[i]->dim_value = lua_tointeger(L, -1);
        }
        lua_pop(L, 1);
    }
}

static void build_value(lua_State *L, writing *w, Onnx__ValueInfoProto *v)
{
    v->name = text_field(L, "name");
    if (!v->name) tl__lua_raise(L, "onnx_write: a value without a name");
    const char *dtype = text_field(L, "dtype");
    if (!dtype) return;
    onnx__type_proto__init(v->type = take(L, w, 1, sizeof *v->type));
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    onnx__type_proto__tensor__init(v->type->tensor_type = take(L, w, 1, sizeof *v->type->tensor_type));
    v->type->tensor_type->has_elem_type = 1;
    v->type->tensor_type->elem_type = tl__onnx_type_number(dtype);
    if (!v->type->tensor_type->elem_type) tl__lua_raisef(L, "onnx_write: there is no dtype '%s'", dtype);
    if (lua_getfield(L, -1, "shape") == LUA_TTABLE) {
        onnx__tensor_shape_proto__init(v->type->tensor_type->shape = take(L, w, 1, sizeof(Onnx__TensorShapeProto)));
        build_shape(L, w, v->type->tensor_type->shape);
    }
    lua_pop(L, 1);
}

/* Builds each element of the list in a field of the table on top. */
#define EACH(key, list, n, type, initialise, build) \
    do { \
        MESSAGES(list, n, push_list(L, key), type, initialise); \
        for (size_t k_ = 0; k_ < (n); k_++) { \
            lua_rawgeti(L, -1, (lua_Integer)k_ + 1); \
            build(L, w, (list)[k_]); \
            lua_pop(L, 1); \
        } \
        lua_pop(L, 1); \
    } while (0)

static void build_graph(lua_State *L, writing *w, Onnx__GraphProto *g)
{
    if (++w->depth > TL__ONNX_GRAPHS) tl__lua_raise(L, "onnx_write: graphs within graphs, too deep");
    luaL_checkstack(L, 24, "graphs nested too deep");
    g->name = text_field(L, "name");
    EACH("nodes", g->node, g->n_node, Onnx__NodeProto, onnx__node_proto__init, build_node);
    EACH("tensors", g->initializer, g->n_initializer, Onnx__TensorProto, onnx__tensor_proto__init, build_tensor);
    EACH("inputs", g->input, g->n_input, Onnx__ValueInfoProto, onnx__value_info_proto__init, build_value);
    EACH("outputs", g->output, g->n_output, Onnx__ValueInfoProto, onnx__value_info_proto__init, build_value);
    EACH("values", g->value_info, g->n_value_info, Onnx__ValueInfoProto, onnx__value_info_proto__init, build_value);
    w->depth--;
}

/* ---- the file ---- */

static void build_opsets(lua_State *L, writing *w, Onnx__ModelProto *m)
{
    size_t count;
    push_list(L, "opsets");
    char **keys = sorted_keys(L, w, &count);
    MESSAGES(m->opset_import, m->n_opset_import, count, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
    for (size_t i = 0; i < count; i++) {
        lua_getfield(L, -1, keys[i]);
        m->opset_import[i]->domain = keys[i];
        m->opset_import[i]->has_version = 1;
        m->opset_import[i]->version = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void build_metadata(lua_State *L, writing *w, Onnx__ModelProto *m)
{
    size_t count;
    push_list(L, "metadata");
    char **keys = sorted_keys(L, w, &count);
    MESSAGES(m->metadata_props, m->n_metadata_props, count, Onnx__StringStringEntryProto,
             onnx__string_string_entry_proto__init);
    for (size_t i = 0; i < count; i++) {
        m->metadata_props[i]->key = keys[i];
        m->metadata_props[i]->value = text_field(L, keys[i]);
    }
    lua_pop(L, 1);
}

/* core.onnx_write(path, model): the structure that core.onnx_read gives, without functions; tensors may also be {name=,
 * tensor=TENSOR, dtype=} or {name=, dtype=, dims=, numbers=}, an attribute that is an empty list says {ints = {}}. */
static int onnx_write(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    writing *w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = (writing){.memory = {.bytes = SIZE_MAX / 4}, .keep = 4, .path = path};
    luaL_setmetatable(L, WRITING);
    lua_newtable(L);
    lua_pushvalue(L, 2);
    Onnx__ModelProto *m = take(L, w, 1, sizeof *m);
    onnx__model_proto__init(m);
    lua_getfield(L, -1, "ir_version");
    m->has_ir_version = 1;
    m->ir_version = luaL_optinteger(L, -1, 8);
    lua_pop(L, 1);
    m->producer_name = text_field(L, "producer");
    m->producer_version = text_field(L, "producer_version");
    build_opsets(L, w, m);
    build_metadata(L, w, m);
    if (push_list(L, "functions")) tl__lua_raise(L, "onnx_write: functions are not written");
    lua_pop(L, 1);
    if (lua_getfield(L, -1, "graph") != LUA_TTABLE) wrong(L, "graph", "a table");
    onnx__graph_proto__init(m->graph = take(L, w, 1, sizeof *m->graph));
    build_graph(L, w, m->graph);
    tl_error err = {0};
    if (tl__onnx_write(&err, path, m) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

void tl__lua_open_onnx_write(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"onnx_write", onnx_write, 2, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, WRITING);
    lua_pushcfunction(L, writing_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    tl__lua_functions(L, functions, 0);
}
