/* records.c - sources by list in Lua, and what a source has beside pictures and labels. */
#include "lua/binding.h"

#include "data/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists of the user's into arrays, which the stack keeps ---- */

/* Pushes the list in field `key` of the table `t`; its length, or -1 and nothing pushed where there is none. */
static int64_t list_of(lua_State *L, int t, const char *key)
{
    int type = lua_getfield(L, t, key);
    if (type == LUA_TTABLE) return (int64_t)lua_rawlen(L, -1);
    if (type != LUA_TNIL) tl__lua_raisef(L, "records: %s is a list, one of each sample", key);
    lua_pop(L, 1);
    return -1;
}

/* Pushes the list that is element `i` of the list at `list`. */
static int64_t inner_list(lua_State *L, int list, int64_t i, const char *key)
{
    if (lua_rawgeti(L, list, i) != LUA_TTABLE) tl__lua_raisef(L, "records: %s of sample %lld is no list", key, (long long)i);
    return (int64_t)lua_rawlen(L, -1);
}

static void check_length(lua_State *L, const char *key, int64_t n, int64_t count)
{
    if (n != count)
        tl__lua_raisef(L, "records: there are %lld samples, and %s has %lld", (long long)count, key, (long long)n);
}

static const char *const *texts(lua_State *L, int t, const char *key, int64_t *n)
{
    if ((*n = list_of(L, t, key)) < 0) return NULL;
    int list = lua_gettop(L);
    const char **to = lua_newuserdatauv(L, ((size_t)*n + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < *n; i++) {
        if (lua_rawgeti(L, list, i + 1) != LUA_TSTRING) tl__lua_raisef(L, "records: %s[%lld] is no text", key, (long long)i + 1);
        to[i] = lua_tostring(L, -1); /* the table keeps it alive */
        lua_pop(L, 1);
    }
    return to;
}

/* The whole number on top, which is taken off. */
static int32_t label_on_top(lua_State *L, const char *key, int64_t i)
{
    int whole;
    lua_Integer v = lua_tointegerx(L, -1, &whole);
    if (!whole || v < -1 || v > INT32_MAX) tl__lua_raisef(L, "records: %s of sample %lld is no class number (they count from 0; -1: none)", key, (long long)i);
    lua_pop(L, 1);
    return (int32_t)v;
}

static const int32_t *labels(lua_State *L, int t, int64_t count)
{
    int64_t n = list_of(L, t, "labels");
    if (n < 0) return NULL;
    int list = lua_gettop(L);
    check_length(L, "labels", n, count);
    int32_t *to = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        to[i] = label_on_top(L, "labels", i + 1);
    }
    return to;
}

void tl__lua_numbers(lua_State *L, const char *kind, const char *key, int64_t i, int width, int unknown, float *to)
{
    if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != width)
        tl__lua_raisef(L, "%s: %s of sample %lld is no list of %d number%s", kind, key, (long long)i, width, width == 1 ? "" : "s");
    for (int k = 0; k < width; k++) {
        int type = lua_rawgeti(L, -1, k + 1);
        if (type != LUA_TNUMBER && !(unknown && type == LUA_TBOOLEAN)) tl__lua_raisef(L, "%s: %s of sample %lld: number %d is none", kind, key, (long long)i, k + 1);
        to[k] = type == LUA_TNUMBER ? (float)lua_tonumber(L, -1) : NAN;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static void take_values(lua_State *L, int t, tl_records *r)
{
    int64_t n = list_of(L, t, "values"), names;
    if (n < 0) return;
    int list = lua_gettop(L);
    check_length(L, "values", n, r->count);
    r->value_count = n > 0 ? (int)inner_list(L, list, 1, "values") : 0;
    float *to = lua_newuserdatauv(L, ((size_t)n * (size_t)r->value_count + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, i + 1);
        tl__lua_numbers(L, "records", "values", i + 1, r->value_count, 1, to + (size_t)i * (size_t)r->value_count);
    }
    r->values = to;
    r->value_name = texts(L, t, "value_names", &names);
    if (r->value_name && names != r->value_count) tl__lua_raisef(L, "records: %d values, and %lld value_names", r->value_count, (long long)names);
}

/* A list of lists of `width` numbers for each picture: all in a row, and where each picture's begin. */
static const float *places(lua_State *L, int t, const char *key, int width, int64_t count, const int64_t **offsets)
{
    int64_t n = list_of(L, t, key), all = 0;
    if (n < 0) return NULL;
    int list = lua_gettop(L);
    check_length(L, key, n, count);
    int64_t *offset = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *offset, 0);
    for (int64_t i = 0; i < n; i++) {
        offset[i] = all;
        all += inner_list(L, list, i + 1, key);
        lua_pop(L, 1);
    }
    offset[n] = all;
    float *to = lua_newuserdatauv(L, ((size_t)all * (size_t)width + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        inner_list(L, list, i + 1, key);
        for (int64_t k = offset[i]; k < offset[i + 1]; k++) {
            lua_rawgeti(L, -1, k - offset[i] + 1);
            tl__lua_numbers(L, "records", key, i + 1, width, 0, to + (size_t)k * (size_t)width);
        }
        lua_pop(L, 1);
    }
    *offsets = offset;
    return to;
}

static const int32_t *box_labels(lua_State *L, int t, const tl_records *r)
{
    int64_t n = list_of(L, t, "box_labels");
    if (n < 0) tl__lua_raise(L, "records: boxes need box_labels, a list of class numbers of each picture");
    int list = lua_gettop(L);
    check_length(L, "box_labels", n, r->count);
    int32_t *to = lua_newuserdatauv(L, ((size_t)r->box_offset[n] + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t from = r->box_offset[i], boxes = r->box_offset[i + 1] - from, given = inner_list(L, list, i + 1, "box_labels");
        if (given != boxes) tl__lua_raisef(L, "records: picture %lld has %lld boxes and %lld box_labels", (long long)i + 1, (long long)boxes, (long long)given);
        for (int64_t k = 0; k < boxes; k++) {
            lua_rawgeti(L, -1, k + 1);
            to[from + k] = label_on_top(L, "box_labels", i + 1);
        }
        lua_pop(L, 1);
    }
    return to;
}

/* {[value in the file] = class} */
static const int16_t *mask_values(lua_State *L, int t)
{
    int type = lua_getfield(L, t, "mask_values");
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    if (type != LUA_TTABLE) tl__lua_raise(L, "records: mask_values is a table, { [value in the file] = class }");
    int table = lua_gettop(L);
    int16_t *to = lua_newuserdatauv(L, 256 * sizeof *to, 0);
    for (int v = 0; v < 256; v++) to[v] = -1;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        int whole[2];
        lua_Integer v = lua_tointegerx(L, -2, &whole[0]), class = lua_tointegerx(L, -1, &whole[1]);
        if (!whole[0] || !whole[1] || v < 0 || v > 255 || class < 0 || class > 255)
            tl__lua_raise(L, "records: mask_values takes values from 0 to 255 to classes from 0 on");
        to[v] = (int16_t)class;
    }
    return to;
}

/* ---- pictures in memory ---- */

#define IMAGES "tlua.images"

/* Pictures whose memory the collector frees, but for those that a source took over. */
typedef struct images {
    int64_t count;
    tl_image image[];
} images;

static int images_gc(lua_State *L)
{
    images *m = luaL_checkudata(L, 1, IMAGES);
    for (int64_t i = 0; i < m->count; i++) tl__image_free(&m->image[i]);
    return 0;
}

static images *new_images(lua_State *L, int64_t n)
{
    images *m = lua_newuserdatauv(L, sizeof *m + (size_t)n * sizeof *m->image, 0);
    memset(m, 0, sizeof *m + (size_t)n * sizeof *m->image);
    m->count = n;
    luaL_setmetatable(L, IMAGES);
    return m;
}

/* One picture out of host memory. */
static void fill_image(lua_State *L, const void *host, int64_t height, int64_t width, int64_t channels, tl_dtype dtype, tl_image *out)
{
    tl_error err = {0};
    if (channels < 1 || channels > TL_IMAGE_MOST_CHANNELS) tl__lua_raisef(L, "pictures of %lld channels; they have 1 to %d", (long long)channels, TL_IMAGE_MOST_CHANNELS);
    if (height > INT32_MAX || width > INT32_MAX) tl__lua_raise(L, "pictures are too large");
    if (tl__image_reserve_deep(&err, out, (int)width, (int)height, (int)channels, dtype == TL_U8 ? TL_DEPTH_8 : TL_DEPTH_FLOAT) != 0) tl__lua_raise(L, err.text);
    memcpy(out->data, host, (size_t)(height * width) * tl__image_pixel(out));
}

void tl__lua_image(lua_State *L, int index, const char *kind, int64_t i, tl_image *out)
{
    tl_tensor *t = tl__lua_tensor(L, index);
    int rank = t->shape.rank;
    if ((t->dtype != TL_U8 && t->dtype != TL_F32) || (rank != 2 && rank != 3))
        tl__lua_raisef(L, "%s: picture %lld is no uint8 or float32 tensor (height, width, channels)", kind, (long long)i);
    const void *host = tl__lua_values(L, t);
    fill_image(L, host, t->shape.dim[0], t->shape.dim[1], rank == 3 ? t->shape.dim[2] : 1, t->dtype, out);
    lua_pop(L, 1);
}

/* A tensor (N, H, W, C) or (N, H, W), or a list of tensors (H, W, C) or (H, W). */
static tl_image *images_of(lua_State *L, int t, int64_t *count)
{
    int type = lua_getfield(L, t, "images"), at = lua_gettop(L);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    if (type == LUA_TTABLE) {
        images *m = new_images(L, *count = (int64_t)lua_rawlen(L, at));
        for (int64_t i = 0; i < *count; i++) {
            if (lua_rawgeti(L, at, i + 1) != LUA_TUSERDATA) tl__lua_raisef(L, "records: images[%lld] is no tensor", (long long)i + 1);
            tl__lua_image(L, -1, "records", i + 1, &m->image[i]);
            lua_pop(L, 1);
        }
        return m->image;
    }
    if (type != LUA_TUSERDATA) tl__lua_raise(L, "records: images are a tensor (N, height, width, channels) or a list of tensors");
    tl_tensor *x = tl__lua_tensor(L, at);
    const int64_t *dim = x->shape.dim;
    if ((x->dtype != TL_U8 && x->dtype != TL_F32) || (x->shape.rank != 3 && x->shape.rank != 4))
        tl__lua_raise(L, "records: images are a uint8 or float32 tensor (N, height, width, channels), or a list of tensors (height, width, channels)");
    int64_t channels = x->shape.rank == 4 ? dim[3] : 1;
    images *m = new_images(L, *count = dim[0]);
    const uint8_t *host = tl__lua_values(L, x);
    for (int64_t i = 0; i < *count; i++) {
        fill_image(L, host, dim[1], dim[2], channels, x->dtype, &m->image[i]);
        host += (size_t)(dim[1] * dim[2]) * tl__image_pixel(&m->image[i]);
    }
    return m->image;
}

/* The whole numbers in field `key`, one of each sample, or the same for all; NULL where there are none. */
static const int64_t *whole_numbers(lua_State *L, int t, const char *key, int64_t count)
{
    int type = lua_getfield(L, t, key), list = lua_gettop(L);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    if (type != LUA_TNUMBER && type != LUA_TTABLE)
        tl__lua_raisef(L, "records: %s is a whole number, or a list of them", key);
    if (type == LUA_TTABLE) check_length(L, key, (int64_t)lua_rawlen(L, list), count);
    int64_t *to = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < count; i++) {
        int whole;
        if (type == LUA_TTABLE) lua_rawgeti(L, list, i + 1);
        else lua_pushvalue(L, list);
        to[i] = lua_tointegerx(L, -1, &whole);
        if (!whole || to[i] < 0)
            tl__lua_raisef(L, "records: %s[%lld] is no whole number from 0 on", key, (long long)i + 1);
        lua_pop(L, 1);
    }
    return to;
}

/* Sound: files and which frames of them, or tensors (T) with their rate. */
static void take_sound(lua_State *L, int t, tl_records *r)
{
    int64_t n = list_of(L, t, "waves"), list = lua_gettop(L);
    r->count = n;
    if (n > 0 && lua_rawgeti(L, (int)list, 1) == LUA_TSTRING) {
        r->wave = texts(L, t, "waves", &r->count);
        r->first = whole_numbers(L, t, "first", n);
        r->frames = whole_numbers(L, t, "count", n);
        return;
    }
    const int64_t *rate = whole_numbers(L, t, "rate", n);
    if (n > 0 && !rate) tl__lua_raise(L, "records: waves in memory need their rate, in samples a second");
    r->waves = tl__lua_waves(L, (int)list, n);
    for (int64_t i = 0; i < n; i++) r->waves[i].rate = rate[i] > TL_AUDIO_MOST_RATE ? 0 : (int)rate[i];
}

/* Slices of DICOM files: slices = {path...}, frames = {number in its file, from 1...}, stacks = {{slice...}...}, an
 * odd number of slices a sample, and windows = {{centre, width}...}, how one is seen where nobody says. */
static void take_stacks(lua_State *L, int t, tl_records *r)
{
    tl_stacks_given *g = lua_newuserdatauv(L, sizeof *g, 0);
    *g = (tl_stacks_given){0};
    g->path = texts(L, t, "slices", &g->count);
    if (!g->path) tl__lua_raise(L, "records: stacks are of slices, a list of paths");
    g->frame = whole_numbers(L, t, "frames", g->count);
    r->count = list_of(L, t, "stacks");
    int list = lua_gettop(L);
    g->width = r->count > 0 ? (int)inner_list(L, list, 1, "stacks") : 1;
    int64_t *slice = lua_newuserdatauv(L, ((size_t)r->count * (size_t)g->width + 1) * sizeof *slice, 0);
    for (int64_t i = 0; i < r->count; i++) {
        if (inner_list(L, list, i + 1, "stacks") != g->width)
            tl__lua_raisef(L, "records: stack %lld has not %d slices, as the first has", (long long)i + 1, g->width);
        for (int k = 0; k < g->width; k++) {
            lua_rawgeti(L, -1, k + 1);
            slice[i * g->width + k] = lua_tointeger(L, -1); /* 0, for what is no number, is no slice */
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    g->slice = slice;
    int64_t windows = list_of(L, t, "windows");
    if (windows > TL_IMAGE_MOST_WINDOWS)
        tl__lua_raisef(L, "records: %lld windows; %d are the most", (long long)windows, TL_IMAGE_MOST_WINDOWS);
    for (int64_t i = 0; i < windows; i++) {
        float pair[2];
        lua_rawgeti(L, -1, i + 1);
        tl__lua_numbers(L, "records", "windows", i + 1, 2, 0, pair);
        g->window[g->window_count++] = (tl_image_window){(double)pair[0], (double)pair[1]};
    }
    r->stacks = g;
}

/* What masks hold, a text of core.dicom.mask for each. */
static const tl_plane *planes(lua_State *L, int t, int64_t count)
{
    int64_t n = list_of(L, t, "planes");
    if (n < 0) return NULL;
    int list = lua_gettop(L);
    check_length(L, "planes", n, count);
    tl_plane *to = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, list, i + 1) != LUA_TSTRING)
            tl__lua_raisef(L, "records: planes[%lld] is no packed mask", (long long)i + 1);
        to[i].data = lua_tolstring(L, -1, &to[i].bytes); /* the table keeps it alive */
        lua_pop(L, 1);
    }
    return to;
}

#define RECORD_OPTIONS \
    "paths images slices frames stacks windows waves first count rate texts labels classes values value_names masks " \
    "planes mask_values boxes box_labels points volumes parts nan gaps doubles asked mask_rest pieces marks spans "    \
    "places tiles"

/* {{left, top, width, height, number in its picture}...}, one of each sample. */
static const int32_t *tiles(lua_State *L, int t, int64_t count)
{
    int64_t n = list_of(L, t, "tiles");
    if (n < 0) return NULL;
    int list = lua_gettop(L);
    check_length(L, "tiles", n, count);
    int32_t *to = lua_newuserdatauv(L, (size_t)(5 * n + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        float v[5];
        lua_rawgeti(L, list, i + 1);
        tl__lua_numbers(L, "records", "tiles", i + 1, 5, 0, v);
        for (int k = 0; k < 5; k++) to[5 * i + k] = v[k] >= 0 && v[k] < 1 << 24 ? (int32_t)v[k] : -1;
    }
    return to;
}

/* Volumes, with their masks. */
static tl_source *volumes_of(lua_State *L, int t, tl_records *r, tl_error *err)
{
    int64_t n;
    r->class_name = texts(L, t, "classes", &n);
    r->class_count = r->class_name ? (int)n : 0;
    tl_volume_list list = *tl__lua_volumes(L, t, r->class_count, &r->count);
    list.mask = texts(L, t, "masks", &n);
    if (list.mask) check_length(L, "masks", n, r->count);
    r->volumes = &list;
    r->label = labels(L, t, r->count);
    take_values(L, t, r);
    return tl__source_records(err, r);
}

/* The flat list of whole numbers in field `key`; NULL where there is none. */
static const int32_t *flat_numbers(lua_State *L, int t, const char *key, int64_t count)
{
    int64_t n = list_of(L, t, key);
    if (n < 0) return NULL;
    int list = lua_gettop(L);
    if (n != count)
        tl__lua_raisef(L, "records: %s are %lld numbers, and the windows want %lld", key, (long long)n,
                       (long long)count);
    int32_t *to = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *to, 0);
    for (int64_t i = 0; i < n; i++) {
        int whole;
        lua_rawgeti(L, list, i + 1);
        lua_Integer v = lua_tointegerx(L, -1, &whole);
        if (!whole || v < INT32_MIN || v > INT32_MAX)
            tl__lua_raisef(L, "records: %s[%lld] is no whole number", key, (long long)i + 1);
        to[i] = (int32_t)v;
        lua_pop(L, 1);
    }
    return to;
}

/* Windows of texts: pieces, a set of tokenizer:encode_all, which is empty afterwards; marks, a number for each piece of
 * all windows; spans, two for each window; places, where each text stands in its file. */
static tl_source *pieces_of(lua_State *L, int t, tl_records *r, tl_error *err)
{
    int64_t n;
    tl_pieces_given g = {.windows = tl__lua_encodings(L, -1)};
    r->count = g.windows->windows;
    g.mark = flat_numbers(L, t, "marks", g.windows->all.count);
    g.span = flat_numbers(L, t, "spans", 2 * r->count);
    g.place = texts(L, t, "places", &g.place_count);
    r->pieces = &g;
    r->class_name = texts(L, t, "classes", &n);
    r->class_count = r->class_name ? (int)n : 0;
    r->label = labels(L, t, r->count);
    take_values(L, t, r);
    return tl__source_records(err, r);
}

tl_source *tl__lua_records(lua_State *L, int t, tl_error *err)
{
    tl_records r = {0};
    int64_t n;
    luaL_checkstack(L, 80, NULL); /* every list stays until the source is made */
    tl__lua_options(L, t, "records", RECORD_OPTIONS);
    if (lua_getfield(L, t, "volumes") != LUA_TNIL) return volumes_of(L, t, &r, err);
    if (lua_getfield(L, t, "pieces") != LUA_TNIL) return pieces_of(L, t, &r, err);
    if (lua_getfield(L, t, "waves") != LUA_TNIL) {
        take_sound(L, t, &r);
    } else if (lua_getfield(L, t, "stacks") != LUA_TNIL) {
        take_stacks(L, t, &r);
    } else if ((r.path = texts(L, t, "paths", &r.count)) != NULL) {
        lua_getfield(L, t, "images");
        if (!lua_isnil(L, -1)) tl__lua_raise(L, "records: paths and images are given; it is one of them");
    } else if ((r.image = images_of(L, t, &r.count)) == NULL) {
        tl__lua_raise(
            L,
            "records: paths is missing, the list of pictures (or images, in memory, waves, the sound files, or "
            "volumes)");
    }
    r.tile = tiles(L, t, r.count);
    r.text = texts(L, t, "texts", &n);
    if (r.text) check_length(L, "texts", n, r.count);
    r.class_name = texts(L, t, "classes", &n);
    r.class_count = r.class_name ? (int)n : 0;
    r.label = labels(L, t, r.count);
    take_values(L, t, &r);
    r.mask = texts(L, t, "masks", &n);
    if (r.mask) check_length(L, "masks", n, r.count);
    r.plane = r.mask ? planes(L, t, r.count) : NULL;
    r.mask_value = mask_values(L, t);
    r.box = places(L, t, "boxes", 4, r.count, &r.box_offset);
    if (r.box) r.box_label = box_labels(L, t, &r);
    r.point = places(L, t, "points", 2, r.count, &r.point_offset);
    return tl__source_records(err, &r);
}

/* ---- what a source has ---- */

/* source:fields() -> {{name = "image", kind = "image"}, ...}; values have names, or their number */
static int source_fields(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    static const struct {
        unsigned field;
        const char *kind;
    } all[] = {{TL_FIELD_IMAGE, "image"}, {TL_FIELD_LABEL, "label"}, {TL_FIELD_VALUES, "value"},
               {TL_FIELD_MASK, "mask"},   {TL_FIELD_BOXES, "boxes"}, {TL_FIELD_POINTS, "points"},
               {TL_FIELD_WAVE, "wave"},   {TL_FIELD_TEXT, "text"},
               {TL_FIELD_VOLUME, "volume"}, {TL_FIELD_PIECES, "pieces"}, {TL_FIELD_MARKS, "marks"},
               {TL_FIELD_SPANS, "spans"}};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!(s->fields & all[i].field)) continue;
        lua_createtable(L, 0, 4);
        lua_pushstring(L, tl__field_name(all[i].field));
        lua_setfield(L, -2, "name");
        lua_pushstring(L, all[i].kind);
        lua_setfield(L, -2, "kind");
        if (all[i].field == TL_FIELD_VALUES) {
            lua_pushinteger(L, s->value_count);
            lua_setfield(L, -2, "count");
            lua_createtable(L, s->value_count, 0);
            for (int k = 0; s->value_name && k < s->value_count; k++) {
                lua_pushstring(L, s->value_name[k]);
                lua_rawseti(L, -2, k + 1);
            }
            if (!s->value_name) lua_pop(L, 1), lua_pushnil(L);
            lua_setfield(L, -2, "names");
        }
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    return 1;
}

/* A target whose memory the collector frees. */
#define TARGET "tlua.target"

static int target_gc(lua_State *L)
{
    tl__target_free(luaL_checkudata(L, 1, TARGET));
    return 0;
}

/* Reads one field of sample 2 of source 1; NULL where the source has none of it. */
static tl_target *read_field(lua_State *L, unsigned field)
{
    const tl_source *s = tl__lua_source(L, 1);
    int64_t i = luaL_checkinteger(L, 2);
    if (i < 1 || i > s->count) tl__lua_raisef(L, "there is no sample %lld of %lld", (long long)i, (long long)s->count);
    if (!(s->fields & field)) return NULL;
    tl_target *t = lua_newuserdatauv(L, sizeof *t, 0);
    memset(t, 0, sizeof *t);
    luaL_setmetatable(L, TARGET);
    tl_error err = {0};
    if (tl__source_target(&err, s, i - 1, field, t) != 0) tl__lua_raise(L, err.text);
    return t;
}

static void push_numbers(lua_State *L, const float *v, int n)
{
    lua_createtable(L, n, 0);
    for (int k = 0; k < n; k++) {
        lua_pushnumber(L, (lua_Number)v[k]);
        lua_rawseti(L, -2, k + 1);
    }
}

/* source:values(i) -> list of numbers, or nil */
static int source_values(lua_State *L)
{
    tl_target *t = read_field(L, TL_FIELD_VALUES);
    if (!t) return 0;
    push_numbers(L, t->values, t->value_count);
    return 1;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with) { return tl_from(s, dtype, shape->rank, shape->dim, with); }

/* source:mask(i) -> uint8 (H, W), or of volumes (D, H, W), at the size of its file, classes and 255 for what is
 * ignored; or nil */
static int source_mask(lua_State *L)
{
    if (tl__lua_source(L, 1)->fields & TL_FIELD_VOLUME) return tl__lua_push_mask(L);
    tl__lua_device(L);
    tl_target *t = read_field(L, TL_FIELD_MASK);
    if (!t) return 0;
    tl_shape shape = {2, {t->mask.height, t->mask.width}};
    return tl__lua_make(L, upload, &shape, TL_U8, t->mask.data);
}

/* source:boxes(i) -> {{left, top, right, bottom}...}, {label...}; or nil */
static int source_boxes(lua_State *L)
{
    tl_target *t = read_field(L, TL_FIELD_BOXES);
    if (!t) return 0;
    lua_createtable(L, (int)t->marks.boxes, 0);
    lua_createtable(L, (int)t->marks.boxes, 0);
    for (int64_t i = 0; i < t->marks.boxes; i++) {
        push_numbers(L, t->marks.box + 4 * i, 4);
        lua_rawseti(L, -3, i + 1);
        lua_pushinteger(L, t->marks.box_label[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 2;
}

/* source:points(i) -> {{x, y}...}, or nil */
static int source_points(lua_State *L)
{
    tl_target *t = read_field(L, TL_FIELD_POINTS);
    if (!t) return 0;
    lua_createtable(L, (int)t->marks.points, 0);
    for (int64_t i = 0; i < t->marks.points; i++) {
        push_numbers(L, t->marks.point + 2 * i, 2);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

void tl__lua_add_fields(lua_State *L)
{
    static const tl__lua_entry target_methods[] = {{"__gc", target_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {{"fields", source_fields, 1, NULL}, {"values", source_values, 2, NULL}, {"mask", source_mask, 2, NULL},
                                            {"boxes", source_boxes, 2, NULL},   {"points", source_points, 2, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry images_methods[] = {{"__gc", images_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, IMAGES);
    tl__lua_functions(L, images_methods, 1);
    lua_pop(L, 1);
    luaL_newmetatable(L, TARGET);
    tl__lua_functions(L, target_methods, 1);
    lua_pop(L, 1);
    tl__lua_functions(L, methods, 1);
    tl__lua_add_sound(L);
    tl__lua_add_volumes(L);
    tl__lua_add_pieces(L);
}
