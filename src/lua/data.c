/* data.c - sources and pipelines in Lua, and single pictures. */
#include "lua/binding.h"

#include "data/loader.h"
#include "data/shared.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE "tlua.source"
#define PIPELINE "tlua.pipeline"

tl_source *tl__lua_source(lua_State *L, int index)
{
    tl_source **s = luaL_checkudata(L, index, SOURCE);
    if (!*s) tl__lua_raise(L, "this source was closed");
    return *s;
}

static tl_source **new_source(lua_State *L)
{
    tl_source **s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = NULL;
    luaL_setmetatable(L, SOURCE);
    return s;
}

static int source_gc(lua_State *L)
{
    tl_source **s = luaL_checkudata(L, 1, SOURCE);
    if (*s) tl__source_free(*s);
    *s = NULL;
    return 0;
}

/* A list of texts at `index` as an array that the stack keeps; *n is its length. */
static const char **text_list(lua_State *L, int index, int *n)
{
    index = lua_absindex(L, index);
    *n = (int)lua_rawlen(L, index);
    const char **list = lua_newuserdatauv(L, (size_t)(*n + 1) * sizeof *list, 1);
    for (int i = 0; i < *n; i++) {
        if (lua_rawgeti(L, index, i + 1) != LUA_TSTRING) tl__lua_raise(L, "a list of texts is needed here");
        list[i] = lua_tostring(L, -1); /* the table keeps it alive */
        lua_pop(L, 1);
    }
    list[*n] = NULL;
    return list;
}

/* The list of whole numbers at `index` as an array that the stack keeps; *n is its length. */
static const int64_t *number_list(lua_State *L, int index, int64_t *n)
{
    index = lua_absindex(L, index);
    *n = (int64_t)lua_rawlen(L, index);
    int64_t *list = lua_newuserdatauv(L, (size_t)(*n + 1) * sizeof *list, 0);
    for (int64_t i = 0; i < *n; i++) {
        lua_rawgeti(L, index, i + 1);
        list[i] = luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    return list;
}

/* data.source("files", {paths=}), data.source("records", {paths=, labels=, ...}: src/lua/records.c), data.source("custom", {count=, get=, ...}: src/lua/custom.c), or
 * data.source(kind, {root=, split=, limit=, seed=, holdout=, holdout_if_none=, groups=, classes=, only=, lenient=}) */
static int source(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    tl_error err = {0};
    tl_source **s = new_source(L);
    if (strcmp(kind, "files") == 0) {
        int n;
        lua_getfield(L, 2, "paths");
        luaL_checktype(L, -1, LUA_TTABLE);
        const char **paths = text_list(L, -1, &n);
        *s = tl__source_files(&err, paths, n);
    } else if (strcmp(kind, "records") == 0) {
        *s = tl__lua_records(L, 2, &err);
    } else if (strcmp(kind, "custom") == 0) {
        *s = tl__lua_custom(L, 2, &err);
    } else {
        const char *root = tl__lua_field_text(L, 2, "root", NULL);
        if (!root) return tl__lua_raise(L, "data: root is missing, the folder where the data lie");
        tl_source_options o = {.part = tl__lua_field_text(L, 2, "split", "train"),
                               .limit = tl__lua_field_integer(L, 2, "limit", 0, 0, INT64_MAX),
                               .split = tl__lua_field_number(L, 2, "holdout", 0),
                               .split_if_none = tl__lua_field_number(L, 2, "holdout_if_none", 0) != 0,
                               .lenient = tl__lua_field_bool(L, 2, "lenient", 0),
                               .seed = tl__lua_field_seed(L, 2, "seed")};
        if (lua_getfield(L, 2, "groups") == LUA_TTABLE) o.group = number_list(L, -1, &o.group_count);
        if (lua_getfield(L, 2, "classes") == LUA_TTABLE) o.class_name = text_list(L, -1, &o.class_count);
        if (lua_getfield(L, 2, "only") == LUA_TTABLE) o.only = text_list(L, -1, &o.only_count);
        *s = tl__source_open(&err, kind, root, &o);
    }
    if (!*s) return tl__lua_raise(L, err.text);
    lua_pushvalue(L, 3);
    return 1;
}

static int source_count(lua_State *L)
{
    lua_pushinteger(L, tl__lua_source(L, 1)->count);
    return 1;
}

static int source_classes(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    lua_createtable(L, s->class_count, 0);
    for (int i = 0; i < s->class_count; i++) {
        lua_pushstring(L, s->class_name[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* How many pictures each class has: a list. */
static int source_counts(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    int64_t *count = lua_newuserdatauv(L, (size_t)(s->class_count + 1) * sizeof *count, 0);
    memset(count, 0, (size_t)(s->class_count + 1) * sizeof *count);
    for (int64_t i = 0; i < s->count; i++)
        if (s->label[i] >= 0) count[s->label[i]]++;
    lua_createtable(L, s->class_count, 0);
    for (int k = 0; k < s->class_count; k++) {
        lua_pushinteger(L, count[k]);
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

static int source_passed(lua_State *L)
{
    tl__lua_push_passed(L, tl__lua_source(L, 1)->passed);
    return 1;
}

static int64_t picture_number(lua_State *L, const tl_source *s)
{
    int64_t i = luaL_checkinteger(L, 2);
    if (i < 1 || i > s->count) tl__lua_raisef(L, "there is no picture %lld of %lld", (long long)i, (long long)s->count);
    return i - 1;
}

static int source_label(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    lua_pushinteger(L, s->label[picture_number(L, s)]);
    return 1;
}

static int push_text(lua_State *L, const tl_error *err, char *text)
{
    if (!text) return tl__lua_raise(L, err->text);
    lua_pushstring(L, text);
    free(text);
    return 1;
}

static int source_name(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    tl_error err = {0};
    return push_text(L, &err, tl__source_name(&err, s, picture_number(L, s)));
}

/* source:origin(i): its number in the source that this one is a view of */
static int source_origin(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    lua_pushinteger(L, tl__source_origin(s, picture_number(L, s)) + 1);
    return 1;
}

/* source:path(i): the file of a sample, for errors and for what reads it; source:name(i) is for all that is written. */
static int source_path(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    tl_error err = {0};
    return push_text(L, &err, tl__source_path(&err, s, picture_number(L, s)));
}

/* source:set_aliases(list): a name for each sample in the place of its path, in views of the source too */
static int source_set_aliases(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    int n;
    luaL_checktype(L, 2, LUA_TTABLE);
    const char **alias = text_list(L, 2, &n);
    tl_error err = {0};
    if (n != s->count) return tl__lua_raisef(L, "set_aliases: %d names for %lld samples", n, (long long)s->count);
    return tl__source_set_aliases(&err, s, alias) == 0 ? 0 : tl__lua_raise(L, err.text);
}

/* source:title(i): a short name for people, which is the last part of the path, or the whole alias. */
static int source_title(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    tl_error err = {0};
    int64_t i = picture_number(L, s);
    char *name = tl__source_name(&err, s, i), *slash = name && !tl__source_alias(s, i) ? strrchr(name, '/') : NULL;
    if (!name) return tl__lua_raise(L, err.text);
    lua_pushstring(L, slash ? slash + 1 : name);
    free(name);
    return 1;
}

static int source_identity(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    tl_error err = {0};
    if (s->unknown) return 0;
    return push_text(L, &err, tl__source_identity(&err, s, picture_number(L, s)));
}

/* One hash over the identities of all pictures and their labels: what a cache of features is keyed by. Nothing where nobody can tell whether
 * a picture has changed. */
static int source_hash(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    tl_error err = {0};
    tl_sha256 h;
    char hex[65];
    if (s->unknown) return 0;
    tl__sha256_init(&h);
    for (int64_t i = 0; i < s->count; i++) {
        char *text = tl__source_identity(&err, s, i);
        if (!text) return tl__lua_raise(L, err.text);
        tl__sha256_update(&h, text, strlen(text) + 1);
        tl__sha256_update(&h, &s->label[i], sizeof s->label[i]);
        free(text);
        if (s->ops->target_hash && s->ops->target_hash(&err, s, i, NULL, &h) != 0) return tl__lua_raise(L, err.text);
    }
    tl__sha256_final(&h, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* source:list_hash(root) -> the hash of the list of pictures, which stays when the data are moved */
static int source_list_hash(lua_State *L)
{
    tl_error err = {0};
    char hex[65];
    if (tl__source_list_hash(&err, tl__lua_source(L, 1), luaL_checkstring(L, 2), hex) != 0) return tl__lua_raise(L, err.text);
    lua_pushstring(L, hex);
    return 1;
}

static void push_image(lua_State *L, const tl_image *image)
{
    tl_shape shape = {3, {image->height, image->width, image->channels}};
    box *b = tl__lua_box(L);
    tl_scope s;
    tl__scope_root(&s, tl__lua_device(L), 0);
    tl_tensor *t = tl_from(&s, TL_U8, 3, shape.dim, image->data);
    if (s.err.code) tl__lua_scope_error(L, &s);
    tl_tensor_retain(t);
    tl__scope_drop(&s);
    tl__lua_fill(L, b, t);
}

/* An image whose memory the collector frees. */
static tl_image *new_image(lua_State *L)
{
    tl_image *image = lua_newuserdatauv(L, sizeof *image, 0);
    memset(image, 0, sizeof *image);
    luaL_setmetatable(L, "tlua.image");
    return image;
}

static int image_gc(lua_State *L)
{
    tl__image_free(luaL_checkudata(L, 1, "tlua.image"));
    return 0;
}

static int source_read(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    int64_t i = picture_number(L, s);
    tl_image *image = new_image(L);
    tl_image_request request = {.channels = s->channels == 2 || s->channels > 3 ? 0 : 3};
    tl_error err = {0};
    tl__lua_device(L);
    if (tl__source_read(&err, s, i, &request, image) != 0) return tl__lua_raise(L, err.text);
    push_image(L, image);
    return 1;
}

/* data.subset(source, indices counted from 1) */
static int subset(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t n = (int64_t)lua_rawlen(L, 2);
    int64_t *index = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *index, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        index[i] = lua_tointeger(L, -1) - 1;
        lua_pop(L, 1);
        if (index[i] < 0 || index[i] >= s->count) return tl__lua_raisef(L, "subset: there is no picture %lld of %lld", (long long)index[i] + 1, (long long)s->count);
    }
    tl_error err = {0};
    tl_source **part = new_source(L);
    *part = tl__source_subset(&err, s, index, n);
    return *part ? 1 : tl__lua_raise(L, err.text);
}

/* data.shared(a, b) -> {{picture of a, picture of b that is the same file}...} */
static int shared(lua_State *L)
{
    tl_error err = {0};
    int64_t count;
    tl_shared *list = tl__source_shared(&err, tl__lua_source(L, 1), tl__lua_source(L, 2), &count);
    if (!list) return tl__lua_raise(L, err.text);
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 0; i < count; i++) {
        lua_createtable(L, 2, 0);
        lua_pushinteger(L, list[i].a + 1);
        lua_rawseti(L, -2, 1);
        lua_pushinteger(L, list[i].b + 1);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, i + 1);
    }
    free(list);
    return 1;
}

/* Pushes a list of {index=, reason=}. */
static void push_findings(lua_State *L, const tl_bad_picture *list, int64_t n)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, list[i].index + 1);
        lua_setfield(L, -2, "index");
        lua_pushstring(L, list[i].reason);
        lua_setfield(L, -2, "reason");
        lua_rawseti(L, -2, i + 1);
    }
}

/* data.check(source, on_bad [, threads]) -> source to use, list of {index=, reason=} of what cannot be used, and of
 * clips that are used but clipped, or silent on one side */
static int check(lua_State *L)
{
    static const char *const choices[] = {"error", "skip", NULL};
    tl_source *s = tl__lua_source(L, 1);
    int on_bad = luaL_checkoption(L, 2, "error", choices), threads = (int)luaL_optinteger(L, 3, 0);
    tl_error err = {0};
    tl_check_report report = {0};
    tl_source **use = new_source(L);
    *use = tl__loader_check(&err, s, threads, on_bad == 1 ? TL_BAD_SKIP : TL_BAD_ERROR, &report);
    push_findings(L, report.bad, *use ? report.bad_count : 0);
    push_findings(L, report.note, *use ? report.note_count : 0);
    tl__check_report_free(&report);
    return *use ? 3 : tl__lua_raise(L, err.text);
}

/* ---- pipelines ---- */

tl_pipeline *tl__lua_pipeline(lua_State *L, int index)
{
    tl_pipeline **p = luaL_checkudata(L, index, PIPELINE);
    return *p;
}

static int pipeline_gc(lua_State *L)
{
    tl_pipeline **p = luaL_checkudata(L, 1, PIPELINE);
    if (*p) tl__pipeline_free(*p);
    *p = NULL;
    return 0;
}

/* One step {name, key = value, ...} at the top of the stack. */
static int add_step(lua_State *L, tl_error *err, tl_pipeline *p)
{
    int step = lua_gettop(L), bad = 0;
    if (!lua_istable(L, step) || lua_rawgeti(L, step, 1) != LUA_TSTRING) return tl__fail(err, TL_EARG, "a step of a pipeline is a table that begins with its name");
    tl_transform *t = tl__transform_new(err, lua_tostring(L, -1));
    lua_pop(L, 1);
    if (!t) return -1;
    for (lua_pushnil(L); !bad && lua_next(L, step); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) continue;
        const char *key = lua_tostring(L, -2);
        double values[TL_PARAM_VALUES] = {0};
        int n = 0;
        if (lua_type(L, -1) == LUA_TSTRING) bad = tl__transform_set_text(err, t, key, lua_tostring(L, -1));
        else if (lua_istable(L, -1)) {
            for (; n < TL_PARAM_VALUES && lua_rawgeti(L, -1, n + 1) == LUA_TNUMBER; n++) {
                values[n] = lua_tonumber(L, -1);
                lua_pop(L, 1);
            }
            if (n < TL_PARAM_VALUES) lua_pop(L, 1);
            bad = tl__transform_set_numbers(err, t, key, values, n);
        } else bad = tl__transform_set_number(err, t, key, lua_tonumber(L, -1));
    }
    if (bad) {
        lua_settop(L, step);
        tl__transform_free(t);
        return -1;
    }
    return tl__pipeline_add(err, p, t);
}

/* data.pipeline{ {"resize", size=224}, ... }, or the text that pipeline:text() gave */
static int pipeline(lua_State *L)
{
    tl_error err = {0};
    tl_pipeline **p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = NULL;
    luaL_setmetatable(L, PIPELINE);
    if (lua_type(L, 1) == LUA_TSTRING) {
        *p = tl__pipeline_parse(&err, lua_tostring(L, 1));
    } else {
        luaL_checktype(L, 1, LUA_TTABLE);
        *p = tl__pipeline_new(&err);
        int bad = *p == NULL, n = (int)lua_rawlen(L, 1);
        for (int i = 1; i <= n && !bad; i++) {
            lua_rawgeti(L, 1, i);
            bad = add_step(L, &err, *p);
            lua_pop(L, 1);
        }
    }
    if (err.code) return tl__lua_raise(L, err.text);
    return 1;
}

static int pipeline_text(lua_State *L)
{
    tl_error err = {0};
    return push_text(L, &err, tl__pipeline_text(&err, tl__lua_pipeline(L, 1)));
}

static int pipeline_is_random(lua_State *L)
{
    lua_pushboolean(L, tl__pipeline_is_random(tl__lua_pipeline(L, 1)));
    return 1;
}

/* ---- single pictures ---- */

/* core.image_read(path [, channels]) -> uint8 (H, W, C) */
static int image_read(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    int channels = (int)luaL_optinteger(L, 2, 3);
    tl_image *image = new_image(L);
    tl_error err = {0};
    tl__lua_device(L);
    if (tl__image_read(&err, path, channels, image) != 0) return tl__lua_raise(L, err.text);
    push_image(L, image);
    return 1;
}

/* core.image_size(path) -> width, height of the picture as it is read, mostly from the file's head alone */
static int image_size(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    tl_error err = {0};
    int width, height;
    if (tl__image_size(&err, path, &width, &height) != 0) return tl__lua_raise(L, err.text);
    lua_pushinteger(L, width);
    lua_pushinteger(L, height);
    return 2;
}

/* core.image_write(path, x): a PNG from uint8 (H, W, 1 or 3) */
static int image_write(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    tl_tensor *t = tl__lua_tensor(L, 2);
    tl_error err = {0};
    if (t->dtype != TL_U8 || t->shape.rank != 3 || (t->shape.dim[2] != 1 && t->shape.dim[2] != 3))
        return tl__lua_raise(L, "image_write: a uint8 tensor (height, width, 1 or 3) is needed");
    tl_image *image = new_image(L);
    if (tl__image_reserve(&err, image, (int)t->shape.dim[1], (int)t->shape.dim[0], (int)t->shape.dim[2]) != 0) return tl__lua_raise(L, err.text);
    tl_scope s;
    tl__scope_root(&s, t->buffer->device, 0);
    tl_read(&s, t, image->data, (size_t)tl_numel(t));
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    if (tl__image_write_png(&err, path, image) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

static void class_of(lua_State *L, const char *name, const tl__lua_entry *methods)
{
    luaL_newmetatable(L, name);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void tl__lua_open_data(lua_State *L)
{
    static const tl__lua_entry source_methods[] = {
        {"__gc", source_gc, TL__ANY, NULL}, {"count", source_count, 1, NULL}, {"classes", source_classes, 1, NULL}, {"label", source_label, 2, NULL},
        {"name", source_name, 2, NULL}, {"path", source_path, 2, NULL}, {"origin", source_origin, 2, NULL},
        {"title", source_title, 2, NULL},
        {"set_aliases", source_set_aliases, 2, NULL},
        {"counts", source_counts, 1, NULL}, {"passed", source_passed, 1, NULL}, {"identity", source_identity, 2, NULL},
        {"hash", source_hash, 1, NULL}, {"list_hash", source_list_hash, 2, NULL}, {"read", source_read, 2, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry pipeline_methods[] = {
        {"__gc", pipeline_gc, TL__ANY, NULL}, {"text", pipeline_text, 1, NULL}, {"is_random", pipeline_is_random, 1, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry image_methods[] = {{"__gc", image_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry of_core[] = {{"image_read", image_read, 2, NULL}, {"image_write", image_write, 2, NULL},
                                           {"image_size", image_size, 1, NULL}, {NULL, NULL, 0, NULL}};
    static const luaL_Reg functions[] = {{"source", source}, {"subset", subset}, {"shared", shared}, {"check", check}, {"pipeline", pipeline}, {NULL, NULL}};
    class_of(L, SOURCE, source_methods);
    luaL_getmetatable(L, SOURCE);
    tl__lua_add_fields(L);
    lua_pop(L, 1);
    class_of(L, PIPELINE, pipeline_methods);
    class_of(L, "tlua.image", image_methods);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    tl__lua_open_loader(L);
    tl__lua_open_doubles(L);
    lua_setfield(L, -2, "data");
    tl__lua_functions(L, of_core, 0);
}
