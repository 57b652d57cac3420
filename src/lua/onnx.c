/* onnx.c - .onnx files in Lua: what they hold as tables, their tensors as userdata that ask the file when they are
 * asked. */
#include "lua/onnx.h"

#include <stdlib.h>
#include <string.h>

#define FILE_OF "tlua.onnx"

/* What the functions below hand on: the file's userdata lies at stack place `keep`, and is the user value of each
 * constant. */
typedef struct reading {
    tl_onnx *o;
    int keep;
    const char *path;
} reading;

static int file_gc(lua_State *L)
{
    tl_onnx **o = luaL_checkudata(L, 1, FILE_OF);
    tl__onnx_free(*o);
    *o = NULL;
    return 0;
}

static void push_texts(lua_State *L, char *const *list, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* ---- constants ---- */

static void push_constant(lua_State *L, const reading *r, const Onnx__TensorProto *t)
{
    constant *c = lua_newuserdatauv(L, sizeof *c, 1);
    *c = (constant){r->o, t, r->path};
    lua_pushvalue(L, r->keep);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, CONSTANT);
}

static int raise_about(lua_State *L, const constant *c, const char *text)
{
    return tl__lua_raisef(L, "%s: tensor '%s': %s", c->path, c->t->name ? c->t->name : "", text);
}

static const constant *values_of(lua_State *L, tl_onnx_values *v)
{
    const constant *c = luaL_checkudata(L, 1, CONSTANT);
    tl_error err = {0};
    if (tl__onnx_values(&err, c->o, c->t, v) != 0) raise_about(L, c, err.text);
    return c;
}

static void push_number(lua_State *L, const constant *c, const tl_onnx_values *v, int64_t i)
{
    if (v->type->kind == 'f') {
        lua_pushnumber(L, tl__onnx_float(v, i));
        return;
    }
    int64_t x = tl__onnx_integer(v, i);
    if (x < 0 && v->type->kind == 'u')
        raise_about(L, c, "holds a number of 2^63 or more, which Lua's integers have not");
    lua_pushinteger(L, x);
}

/* c:numbers([most]) -> list */
static int constant_numbers(lua_State *L)
{
    tl_onnx_values v;
    char text[120];
    const constant *c = values_of(L, &v);
    int64_t most = luaL_optinteger(L, 2, INT32_MAX - 1);
    if (v.type->kind == 's' || v.type->kind == 'c') {
        snprintf(text, sizeof text, "its elements are %s, no numbers", v.type->name);
        return raise_about(L, c, text);
    }
    if (v.count > most) {
        snprintf(text, sizeof text, "has %lld numbers, %lld are the most here", (long long)v.count, (long long)most);
        return raise_about(L, c, text);
    }
    lua_createtable(L, (int)v.count, 0);
    for (int64_t i = 0; i < v.count; i++) {
        push_number(L, c, &v, i);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int constant_strings(lua_State *L)
{
    tl_onnx_values v;
    const constant *c = values_of(L, &v);
    if (v.type->kind != 's') return raise_about(L, c, "its elements are no strings");
    lua_createtable(L, (int)v.count, 0);
    for (int64_t i = 0; i < v.count; i++) {
        lua_pushlstring(L, (const char *)c->t->string_data[i].data, c->t->string_data[i].len);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int constant_bytes(lua_State *L)
{
    tl_onnx_values v;
    values_of(L, &v);
    lua_pushinteger(L, (lua_Integer)v.bytes);
    return 1;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* c:tensor() -> tensor: floats as float32, integers and bools as int32 */
static int constant_tensor(lua_State *L)
{
    tl_onnx_values v;
    const constant *c = values_of(L, &v);
    if (c->t->n_dims > TL_MAX_RANK) return raise_about(L, c, "has more dimensions than tensors have here");
    tl_shape shape = {(int)c->t->n_dims, {0}};
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = c->t->dims[i];
    if (v.count > INT64_MAX / 8) return raise_about(L, c, "is too large");
    int is_float = v.type->kind == 'f';
    tl_error err = {0};
    if (v.t->data_type == 1 && v.stride == 4)
        return tl__lua_make(L, upload, &shape, TL_F32, v.count ? (const void *)v.raw : "");
    void *host = lua_newuserdatauv(L, (size_t)v.count * 4 + 4, 0);
    if ((is_float ? tl__onnx_to_f32(&err, &v, host) : tl__onnx_to_i32(&err, &v, host)) != 0)
        return raise_about(L, c, err.text);
    return tl__lua_make(L, upload, &shape, is_float ? TL_F32 : TL_I32, host);
}

/* c.name, c.dtype, c.dims, c.count, and the methods */
static int constant_index(lua_State *L)
{
    const constant *c = luaL_checkudata(L, 1, CONSTANT);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "name") == 0) {
        lua_pushstring(L, c->t->name ? c->t->name : "");
    } else if (strcmp(key, "dtype") == 0) {
        const tl_onnx_type *type = tl__onnx_type(c->t->data_type);
        if (type) lua_pushstring(L, type->name);
        else lua_pushfstring(L, "type %d", (int)c->t->data_type);
    } else if (strcmp(key, "dims") == 0) {
        lua_createtable(L, (int)c->t->n_dims, 0);
        for (size_t i = 0; i < c->t->n_dims; i++) {
            lua_pushinteger(L, c->t->dims[i]);
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
    } else if (strcmp(key, "count") == 0) {
        tl_onnx_values v;
        values_of(L, &v);
        lua_pushinteger(L, v.count);
    } else {
        lua_pushvalue(L, 2);
        lua_rawget(L, lua_upvalueindex(1));
    }
    return 1;
}

/* ---- types of values ---- */

static void push_shape(lua_State *L, const Onnx__TensorShapeProto *s)
{
    lua_createtable(L, (int)s->n_dim, 0);
    for (size_t i = 0; i < s->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = s->dim[i];
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0)
            lua_pushinteger(L, d->dim_value);
        else if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && d->dim_param && *d->dim_param)
            lua_pushstring(L, d->dim_param);
        else lua_pushboolean(L, 0);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_value(lua_State *L, const Onnx__ValueInfoProto *v)
{
    static const struct {
        int which;
        const char *kind;
    } kinds[] = {{ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE, "sequence"},
                 {ONNX__TYPE_PROTO__VALUE_MAP_TYPE, "map"},
                 {ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE, "optional"},
                 {ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE, "sparse"}};
    lua_createtable(L, 0, 3);
    tl__lua_set_text(L, "name", v->name ? v->name : "");
    if (!v->type) return;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((int)v->type->value_case == kinds[i].which) tl__lua_set_text(L, "kind", kinds[i].kind);
    if (v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type) return;
    const Onnx__TypeProto__Tensor *t = v->type->tensor_type;
    const tl_onnx_type *type = tl__onnx_type(t->elem_type);
    if (type) tl__lua_set_text(L, "dtype", type->name);
    if (!t->shape) return;
    push_shape(L, t->shape);
    lua_setfield(L, -2, "shape");
}

static void push_values(lua_State *L, Onnx__ValueInfoProto *const *list, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        push_value(L, list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* ---- nodes ---- */

static void push_graph(lua_State *L, const reading *r, const Onnx__GraphProto *g);

static void push_marked(lua_State *L, const char *key, const char *text)
{
    lua_createtable(L, 0, 1);
    tl__lua_set_text(L, key, text);
}

/* What kind of attribute it is; files older than version 2 of the format do not say. */
static int kind_of(const Onnx__AttributeProto *a)
{
    if (a->has_type && a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) return (int)a->type;
    const int there[] = {0,
                         a->has_f,
                         a->has_i,
                         a->has_s,
                         a->t != NULL,
                         a->g != NULL,
                         a->n_floats > 0,
                         a->n_ints > 0,
                         a->n_strings > 0,
                         a->n_tensors > 0,
                         a->n_graphs > 0,
                         a->sparse_tensor != NULL};
    for (int k = 1; k < (int)(sizeof there / sizeof *there); k++)
        if (there[k]) return k;
    return 0;
}

/* A list of `count` elements, each pushed by `EACH` for i. */
#define LIST(count, EACH) \
    do { \
        lua_createtable(L, (int)(count), 0); \
        for (size_t i = 0; i < (count); i++) { \
            EACH; \
            lua_rawseti(L, -2, (lua_Integer)i + 1); \
        } \
    } while (0)

static void push_attribute(lua_State *L, const reading *r, const Onnx__AttributeProto *a)
{
    static const char *const unread[] = {[11] = "sparse_tensor", [12] = "sparse_tensor", [13] = "type", [14] = "type"};
    if (a->ref_attr_name && *a->ref_attr_name) {
        push_marked(L, "reference", a->ref_attr_name);
        return;
    }
    int kind = kind_of(a);
    switch (kind) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: lua_pushnumber(L, (double)a->f); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: lua_pushinteger(L, a->i); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        lua_pushlstring(L, a->s.len ? (const char *)a->s.data : "", a->s.len);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        if (a->t) push_constant(L, r, a->t);
        else push_marked(L, "unsupported", "tensor that is missing");
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
        if (a->g) push_graph(L, r, a->g);
        else push_marked(L, "unsupported", "graph that is missing");
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        LIST(a->n_floats, lua_pushnumber(L, (double)a->floats[i]));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS: LIST(a->n_ints, lua_pushinteger(L, a->ints[i])); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        LIST(a->n_strings, lua_pushlstring(L, (const char *)a->strings[i].data, a->strings[i].len));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS: LIST(a->n_tensors, push_constant(L, r, a->tensors[i])); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS: LIST(a->n_graphs, push_graph(L, r, a->graphs[i])); break;
    default: push_marked(L, "unsupported", kind > 10 && kind < 15 ? unread[kind] : "attribute without a type");
    }
}

static void push_attributes(lua_State *L, const reading *r, Onnx__AttributeProto *const *list, size_t count)
{
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, list[i]->name ? list[i]->name : "");
        push_attribute(L, r, list[i]);
        lua_rawset(L, -3);
    }
}

/* "ai.onnx" is the plain one. */
static const char *domain_of(const char *domain) { return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain; }

/* Pairs of texts that newer files have in a field which Debian's onnx.proto does not know; nothing is set where there
 * are none. */
static void set_newer_metadata(lua_State *L, const reading *r, const ProtobufCMessage *m, uint32_t tag)
{
    const ProtobufCMessage *found;
    tl_error err = {0};
    int n = 0;
    while ((found = tl__onnx_newer(&err, r->o, m, tag, n, &onnx__string_string_entry_proto__descriptor)) != NULL) {
        const Onnx__StringStringEntryProto *pair = (const Onnx__StringStringEntryProto *)found;
        if (n++ == 0) lua_newtable(L);
        tl__lua_set_text(L, pair->key ? pair->key : "", pair->value ? pair->value : "");
    }
    if (err.code) tl__lua_raisef(L, "%s: %s", r->path, err.text);
    if (n) lua_setfield(L, -2, "metadata");
}

static void push_node(lua_State *L, const reading *r, const Onnx__NodeProto *n)
{
    lua_createtable(L, 0, 7);
    tl__lua_set_text(L, "op", n->op_type ? n->op_type : "");
    tl__lua_set_text(L, "domain", domain_of(n->domain));
    tl__lua_set_text(L, "name", n->name ? n->name : "");
    push_texts(L, n->input, n->n_input);
    lua_setfield(L, -2, "inputs");
    push_texts(L, n->output, n->n_output);
    lua_setfield(L, -2, "outputs");
    push_attributes(L, r, n->attribute, n->n_attribute);
    lua_setfield(L, -2, "attrs");
    set_newer_metadata(L, r, &n->base, 9);
}

static void push_nodes(lua_State *L, const reading *r, Onnx__NodeProto *const *list, size_t count)
{
    LIST(count, push_node(L, r, list[i]));
}

static void push_graph(lua_State *L, const reading *r, const Onnx__GraphProto *g)
{
    luaL_checkstack(L, 24, "graphs nested too deep");
    lua_createtable(L, 0, 6);
    tl__lua_set_text(L, "name", g->name ? g->name : "");
    push_nodes(L, r, g->node, g->n_node);
    lua_setfield(L, -2, "nodes");
    lua_createtable(L, (int)(g->n_initializer + g->n_sparse_initializer), 0);
    for (size_t i = 0; i < g->n_initializer; i++) {
        push_constant(L, r, g->initializer[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = g->sparse_initializer[i]->values;
        push_marked(L, "name", values && values->name ? values->name : "");
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "sparse");
        lua_rawseti(L, -2, (lua_Integer)(g->n_initializer + i) + 1);
    }
    lua_setfield(L, -2, "tensors");
    push_values(L, g->input, g->n_input);
    lua_setfield(L, -2, "inputs");
    push_values(L, g->output, g->n_output);
    lua_setfield(L, -2, "outputs");
    push_values(L, g->value_info, g->n_value_info);
    lua_setfield(L, -2, "values");
}

/* ---- the file ---- */

static void push_opsets(lua_State *L, Onnx__OperatorSetIdProto *const *list, size_t count)
{
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, list[i]->version);
        lua_setfield(L, -2, domain_of(list[i]->domain));
    }
}

static void push_function(lua_State *L, const reading *r, const Onnx__FunctionProto *f)
{
    const ProtobufCMessage *found;
    tl_error err = {0};
    lua_createtable(L, 0, 8);
    tl__lua_set_text(L, "domain", domain_of(f->domain));
    tl__lua_set_text(L, "name", f->name ? f->name : "");
    push_texts(L, f->input, f->n_input);
    lua_setfield(L, -2, "inputs");
    push_texts(L, f->output, f->n_output);
    lua_setfield(L, -2, "outputs");
    push_nodes(L, r, f->node, f->n_node);
    lua_setfield(L, -2, "nodes");
    push_opsets(L, f->opset_import, f->n_opset_import);
    lua_setfield(L, -2, "opsets");
    push_texts(L, f->attribute, f->n_attribute);
    lua_setfield(L, -2, "attributes");
    lua_newtable(L);
    for (int n = 0; (found = tl__onnx_newer(&err, r->o, &f->base, 11, n, &onnx__attribute_proto__descriptor)) != NULL;
         n++) {
        const Onnx__AttributeProto *a = (const Onnx__AttributeProto *)found;
        lua_pushstring(L, a->name ? a->name : "");
        push_attribute(L, r, a);
        lua_rawset(L, -3);
    }
    if (err.code) tl__lua_raisef(L, "%s: %s", r->path, err.text);
    lua_setfield(L, -2, "attribute_defaults");
}

static void push_model(lua_State *L, const reading *r)
{
    const Onnx__ModelProto *m = r->o->model;
    const char *version = m->producer_version ? m->producer_version : "";
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, m->ir_version);
    lua_setfield(L, -2, "ir_version");
    lua_pushfstring(L, "%s%s%s", m->producer_name ? m->producer_name : "", *version ? " " : "", version);
    lua_setfield(L, -2, "producer");
    push_opsets(L, m->opset_import, m->n_opset_import);
    if (!m->n_opset_import) { /* before version 3 of the format there was one set alone */
        lua_pushinteger(L, 1);
        lua_setfield(L, -2, "");
    }
    lua_setfield(L, -2, "opsets");
    lua_createtable(L, 0, (int)m->n_metadata_props);
    for (size_t i = 0; i < m->n_metadata_props; i++)
        tl__lua_set_text(L, m->metadata_props[i]->key ? m->metadata_props[i]->key : "",
                         m->metadata_props[i]->value ? m->metadata_props[i]->value : "");
    lua_setfield(L, -2, "metadata");
    LIST(m->n_functions, push_function(L, r, m->functions[i]));
    lua_setfield(L, -2, "functions");
    push_graph(L, r, m->graph);
    lua_setfield(L, -2, "graph");
}

/* core.onnx_read(path) -> {ir_version=, producer=, opsets=, metadata=, functions=, graph=}; docs/onnx.md */
static int onnx_read(lua_State *L)
{
    reading r = {.path = tl__lua_path(L, 1), .keep = 2};
    lua_settop(L, 1);
    tl_onnx **o = lua_newuserdatauv(L, sizeof *o, 1);
    *o = NULL;
    luaL_setmetatable(L, FILE_OF);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    tl_error err = {0};
    *o = r.o = tl__onnx_open(&err, r.path);
    if (!r.o) return tl__lua_raise(L, err.text);
    push_model(L, &r);
    return 1;
}

void tl__lua_open_onnx(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"onnx_read", onnx_read, 1, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {{"numbers", constant_numbers, 2, NULL},
                                            {"strings", constant_strings, 1, NULL},
                                            {"tensor", constant_tensor, 1, NULL},
                                            {"bytes", constant_bytes, 1, NULL},
                                            {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, FILE_OF);
    lua_pushcfunction(L, file_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, CONSTANT);
    lua_newtable(L);
    tl__lua_functions(L, methods, 1);
    lua_pushcclosure(L, constant_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    tl__lua_functions(L, functions, 0);
    tl__lua_open_onnx_write(L);
}
