/* custom.c - samples that a function of the user's gives. It runs in a coroutine of the source's own, on the thread that asks: loaders take
 * no threads for such a source. A sample is fetched once and kept until the next, so that its picture and its mask are of one call. */
#include "lua/binding.h"

#include "data/source.h"

#include <stdlib.h>
#include <string.h>

typedef struct custom {
    tl_source base;
    lua_State *thread;        /* with the function at its first stack place */
    int anchor;               /* keeps it in the registry */
    char *key;                /* NULL: nothing tells whether samples have changed */
    int64_t current;          /* the sample that is kept, or -1 */
    unsigned has;             /* its fields */
    char *path;               /* its picture's, or NULL */
    tl_image image;           /* its picture where that is in memory */
    tl_target target;
    int32_t label;
} custom;

/* ---- one sample out of Lua; these raise ---- */

static int has_field(lua_State *L, custom *c, const char *key, unsigned field)
{
    if (lua_getfield(L, 2, key) == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    c->has |= field;
    return 1;
}

static void take_image(lua_State *L, custom *c, long long i)
{
    tl_error err = {0};
    free(c->path);
    c->path = NULL;
    lua_getfield(L, 2, "image");
    if (lua_type(L, -1) == LUA_TSTRING) {
        if ((c->path = tl__strdup(&err, lua_tostring(L, -1))) == NULL) tl__lua_raise(L, err.text);
    } else if (lua_isuserdata(L, -1)) {
        tl__lua_image(L, -1, "get", i, &c->image);
    } else {
        tl__lua_raisef(L, "get(%lld): image is a %s, and must be the path of a picture or a tensor", i, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
}

static int32_t take_label(lua_State *L, const custom *c, const char *key, long long i)
{
    int whole;
    lua_Integer v = lua_tointegerx(L, -1, &whole);
    if (!whole || v < -1 || v >= c->base.class_count)
        tl__lua_raisef(L, "get(%lld): %s is no number of one of the %d classes, which count from 0", i, key, c->base.class_count);
    lua_pop(L, 1);
    return (int32_t)v;
}

static void take_values(lua_State *L, custom *c, long long i)
{
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    tl_error err = {0};
    if (c->base.value_count && n != c->base.value_count) tl__lua_raisef(L, "get(%lld): %d values, and others have %d", i, n, c->base.value_count);
    float *room = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *room, 0);
    lua_insert(L, -2);
    tl__lua_numbers(L, "get", "values", i, n, 1, room);
    if (tl__target_values(&err, &c->target, room, n) != 0) tl__lua_raise(L, err.text);
    lua_pop(L, 1);
}

static void take_mask(lua_State *L, custom *c, long long i)
{
    tl_tensor *t = tl__lua_tensor(L, -1);
    tl_error err = {0};
    if ((t->dtype != TL_U8 && t->dtype != TL_I32) || t->shape.rank != 2)
        tl__lua_raisef(L, "get(%lld): mask is no uint8 or int32 tensor (height, width)", i);
    int height = (int)t->shape.dim[0], width = (int)t->shape.dim[1];
    const void *host = tl__lua_values(L, t);
    if (tl__image_reserve(&err, &c->target.mask, width, height, 1) != 0) tl__lua_raise(L, err.text);
    for (int64_t k = 0; k < (int64_t)width * height; k++) {
        int v = t->dtype == TL_U8 ? ((const uint8_t *)host)[k] : ((const int32_t *)host)[k];
        int known = v == TL_MASK_IGNORED || (v >= 0 && (c->base.class_count ? v < c->base.class_count : v < 256));
        if (!known) tl__lua_raisef(L, "get(%lld): the mask has the value %d in row %d, column %d (counted from 1), and no class has it", i, v, (int)(k / width) + 1, (int)(k % width) + 1);
        c->target.mask.data[k] = (uint8_t)v;
    }
    lua_pop(L, 2);
}

static void take_boxes(lua_State *L, custom *c, long long i)
{
    tl_marks *m = &c->target.marks;
    tl_error err = {0};
    int64_t n = lua_istable(L, -1) ? (int64_t)lua_rawlen(L, -1) : -1;
    lua_getfield(L, 2, "box_labels");
    if (n < 0 || !lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != n) tl__lua_raisef(L, "get(%lld): boxes and box_labels are lists of the same length", i);
    if (tl__marks_reserve(&err, m, n, 0) != 0) tl__lua_raise(L, err.text);
    for (int64_t k = 0; k < n; k++) {
        lua_rawgeti(L, -2, k + 1);
        tl__lua_numbers(L, "get", "boxes", i, 4, 0, m->box + 4 * k);
        if (!(m->box[4 * k] < m->box[4 * k + 2] && m->box[4 * k + 1] < m->box[4 * k + 3]))
            tl__lua_raisef(L, "get(%lld): box %lld must be left, top, right, bottom with room between", i, (long long)k + 1);
        lua_rawgeti(L, -1, k + 1);
        m->box_label[k] = take_label(L, c, "a box's label", i);
        if (m->box_label[k] < 0) tl__lua_raisef(L, "get(%lld): box %lld has no class", i, (long long)k + 1);
    }
    m->boxes = n;
    lua_pop(L, 2);
}

static void take_points(lua_State *L, custom *c, long long i)
{
    tl_marks *m = &c->target.marks;
    tl_error err = {0};
    if (!lua_istable(L, -1)) tl__lua_raisef(L, "get(%lld): points are a list of {x, y}", i);
    int64_t n = (int64_t)lua_rawlen(L, -1);
    if (tl__marks_reserve(&err, m, 0, n) != 0) tl__lua_raise(L, err.text);
    for (int64_t k = 0; k < n; k++) {
        lua_rawgeti(L, -1, k + 1);
        tl__lua_numbers(L, "get", "points", i, 2, 0, m->point + 2 * k);
    }
    m->points = n;
    lua_pop(L, 1);
}

/* (number, what get gave, the source) in a protected call. */
static int take_sample(lua_State *L)
{
    long long i = (long long)lua_tointeger(L, 1);
    custom *c = lua_touserdata(L, 3);
    if (!lua_istable(L, 2)) return tl__lua_raisef(L, "get(%lld) returned a %s, and must return a table with image", i, luaL_typename(L, 2));
    tl__lua_options(L, 2, "what get returns", "image label values mask boxes box_labels points");
    c->has = TL_FIELD_IMAGE;
    c->label = -1;
    c->target.value_count = 0;
    c->target.marks.boxes = c->target.marks.points = 0;
    c->target.mask_name = "get";
    take_image(L, c, i);
    if (has_field(L, c, "label", TL_FIELD_LABEL)) c->label = take_label(L, c, "label", i);
    if (has_field(L, c, "values", TL_FIELD_VALUES)) take_values(L, c, i);
    if (has_field(L, c, "mask", TL_FIELD_MASK)) take_mask(L, c, i);
    if (has_field(L, c, "boxes", TL_FIELD_BOXES)) take_boxes(L, c, i);
    if (has_field(L, c, "points", TL_FIELD_POINTS)) take_points(L, c, i);
    return 0;
}

/* (function, number, source): calls the one and takes what it gives. */
static int call_get(lua_State *L)
{
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    lua_pushcfunction(L, take_sample);
    lua_pushvalue(L, 2);
    lua_rotate(L, -3, -1); /* take_sample, number, what it gave */
    lua_pushvalue(L, 3);
    lua_call(L, 3, 0);
    return 0;
}

/* ---- the source ---- */

/* All samples have the fields of the first. */
static int check_fields(tl_error *err, const custom *c, int64_t i)
{
    unsigned lost = c->base.fields & ~c->has & ~(unsigned)TL_FIELD_LABEL, more = c->has & ~c->base.fields;
    if (c->base.fields == 0 || !(lost | more)) return 0;
    unsigned one = lost ? lost : more;
    return tl__fail(err, TL_EARG, "get(%lld) gives %s %s, and get(1) gives %s", (long long)i + 1, lost ? "no" : "a field", tl__field_name(one & (~one + 1)), lost ? "it" : "none");
}

static int fetch(tl_error *err, custom *c, int64_t i)
{
    lua_State *T = c->thread;
    c->current = -1;
    lua_settop(T, 1);
    lua_pushcfunction(T, call_get);
    lua_pushvalue(T, 1);
    lua_pushinteger(T, i + 1);
    lua_pushlightuserdata(T, c);
    if (lua_pcall(T, 3, 0, 0) != LUA_OK) {
        const char *text = luaL_tolstring(T, -1, NULL);
        tl__fail(err, TL_EARG, "%.*s", (int)strcspn(text, "\n"), text);
        lua_settop(T, 1);
        return -1;
    }
    if (check_fields(err, c, i) != 0) return -1;
    c->current = i;
    c->base.label[i] = c->label;
    return 0;
}

static void custom_close(tl_source *s)
{
    custom *c = (custom *)s;
    if (c->thread) luaL_unref(c->thread, LUA_REGISTRYINDEX, c->anchor);
    tl__image_free(&c->image);
    tl__target_free(&c->target);
    free(c->path);
    free(c->key);
    free(c);
}

/* The thread's own state, which callers reach through a source that they may not change. */
static custom *state_of(const tl_source *s)
{
    union { const tl_source *from; custom *to; } u = {.from = s};
    return u.to;
}

static int custom_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    custom *c = state_of(s);
    if (fetch(err, c, i) != 0) return -1;
    if (c->path) return tl__image_read_as(err, c->path, request, out);
    if (tl__image_copy(err, &c->image, request, out) == 0) return 0;
    tl__error_prefix(err, "get(%lld): ", (long long)i + 1);
    return -1;
}

static int custom_target(tl_error *err, const tl_source *s, int64_t i, unsigned fields, tl_target *out)
{
    custom *c = state_of(s);
    if (c->current != i && fetch(err, c, i) != 0) return -1;
    const tl_target *t = &c->target;
    tl_image_request as_it_is = {.deep = TL_DEEP_ALL};
    if (fields & TL_FIELD_VALUES && tl__target_values(err, out, t->values, t->value_count) != 0) return -1;
    out->mask_name = t->mask_name;
    if (fields & TL_FIELD_MASK && tl__image_copy(err, &t->mask, &as_it_is, &out->mask) != 0) return -1;
    int64_t boxes = fields & TL_FIELD_BOXES ? t->marks.boxes : 0, points = fields & TL_FIELD_POINTS ? t->marks.points : 0;
    if (tl__marks_reserve(err, &out->marks, boxes, points) != 0) return -1;
    if (boxes) memcpy(out->marks.box, t->marks.box, (size_t)boxes * 4 * sizeof(float));
    if (boxes) memcpy(out->marks.box_label, t->marks.box_label, (size_t)boxes * sizeof(int32_t));
    if (points) memcpy(out->marks.point, t->marks.point, (size_t)points * 2 * sizeof(float));
    out->marks.boxes = boxes;
    out->marks.points = points;
    return 0;
}

static const char *custom_locate(const tl_source *s, int64_t i, int64_t *number)
{
    const custom *c = (const custom *)s;
    *number = i + 1;
    return c->key ? c->key : "get";
}

static char *custom_identity(tl_error *err, const tl_source *s, int64_t i)
{
    return tl__asprintf(err, "%s#%lld", ((const custom *)s)->key ? ((const custom *)s)->key : "get", (long long)i + 1);
}

static const tl_source_ops custom_ops = {.kind = "custom", .close = custom_close, .read = custom_read, .locate = custom_locate, .target = custom_target,
                                         .identity = custom_identity};

/* A list of texts in field `key` of the table at `t`; the stack keeps it. */
static const char *const *texts(lua_State *L, int t, const char *key, int *n)
{
    *n = 0;
    if (lua_getfield(L, t, key) != LUA_TTABLE) return NULL;
    int list = lua_gettop(L);
    *n = (int)lua_rawlen(L, list);
    const char **to = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *to, 0);
    for (int k = 0; k < *n; k++) {
        if (lua_rawgeti(L, list, k + 1) != LUA_TSTRING) tl__lua_raisef(L, "custom: %s[%d] is no text", key, k + 1);
        to[k] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return to;
}

/* What the first sample says of all: fields, how many values, channels. */
static int learn(tl_error *err, custom *c, const char *const *value_name, int names)
{
    tl_source *s = &c->base;
    s->fields = 0;
    if (fetch(err, c, 0) != 0) return -1;
    s->fields = c->has;
    s->value_count = c->target.value_count;
    if (!c->path) s->channels = c->image.channels;
    if (!names) return 0;
    if (names != s->value_count) return tl__fail(err, TL_EARG, "custom: get gives %d values, and there are %d value_names", s->value_count, names);
    return (s->value_name = tl__names_copy(err, value_name, names)) ? 0 : -1;
}

tl_source *tl__lua_custom(lua_State *L, int t, tl_error *err)
{
    int classes, names;
    tl__lua_options(L, t, "custom", "count get classes value_names key");
    int64_t count = tl__lua_field_integer(L, t, "count", 0, 0, INT64_MAX);
    if (count < 1) tl__lua_raise(L, "custom: count is missing, the number of samples (1 at least)");
    const char *const *class_name = texts(L, t, "classes", &classes), *const *value_name = texts(L, t, "value_names", &names);
    const char *key = tl__lua_field_text(L, t, "key", NULL);
    if (lua_getfield(L, t, "get") != LUA_TFUNCTION) tl__lua_raise(L, "custom: get is missing, a function of a number from 1 to count that returns a sample");
    tl__lua_device(L); /* opened here, where an error can be raised */
    lua_State *T = lua_newthread(L);
    lua_pushvalue(L, -2);
    lua_xmove(L, T, 1);
    int anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    custom *c = tl__calloc(err, 1, sizeof *c);
    if (!c) {
        luaL_unref(L, LUA_REGISTRYINDEX, anchor);
        return NULL;
    }
    c->base.ops = &custom_ops;
    c->base.references = 1;
    c->base.alone = 1;
    c->base.unknown = !key;
    c->thread = T;
    c->anchor = anchor;
    c->current = -1;
    int bad = tl__source_prepare(err, &c->base, count, class_name, classes) != 0 || (key && !(c->key = tl__strdup(err, key)));
    for (int64_t i = 0; !bad && i < count; i++) c->base.label[i] = -1;
    if (!bad && learn(err, c, value_name, names) == 0) return &c->base;
    tl__source_free(&c->base);
    return NULL;
}
