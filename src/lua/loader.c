/* loader.c - loaders in Lua. A batch is uploaded and its host memory given back at once. */
#include "lua/binding.h"

#include "data/loader.h"

#include <limits.h>
#include <string.h>

#define LOADER "tlua.loader"

typedef struct loader_box { tl_loader *loader; } loader_box;

static tl_loader *to_loader(lua_State *L, int index)
{
    loader_box *l = luaL_checkudata(L, index, LOADER);
    if (!l->loader) tl__lua_raise(L, "this loader was closed");
    return l->loader;
}

static int loader_close(lua_State *L)
{
    loader_box *l = luaL_checkudata(L, 1, LOADER);
    if (l->loader) tl__loader_close(l->loader);
    l->loader = NULL;
    return 0;
}

/* What is of texts alone: batch_pieces, pad, types, mask_share, mask_id, mask_size. */
static void take_text_options(lua_State *L, tl_loader_config *c)
{
    c->pieces = tl__lua_field_integer(L, 3, "batch_pieces", 0, 1, INT32_MAX);
    c->pad = (int32_t)tl__lua_field_integer(L, 3, "pad", 0, 0, INT32_MAX);
    c->types = tl__lua_field_bool(L, 3, "types", 0);
    c->mask_share = tl__lua_field_number(L, 3, "mask_share", 0);
    c->mask_id = (int32_t)tl__lua_field_integer(L, 3, "mask_id", 0, 0, INT32_MAX);
    c->mask_size = (int32_t)tl__lua_field_integer(L, 3, "mask_size", 0, 0, INT32_MAX);
}

/* The `count` numbers of field `key` of the table at `t`; what is not given stays. */
static void take_range(lua_State *L, int t, const char *key, int count, double *to)
{
    if (lua_getfield(L, t, key) != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        if (lua_rawlen(L, -1) != (lua_Unsigned)count) tl__lua_raisef(L, "loader: %s takes %d numbers", key, count);
        for (int k = 0; k < count; k++) {
            lua_rawgeti(L, -1, k + 1);
            to[k] = luaL_checknumber(L, -1);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* Of pictures with boxes: mosaic = {chance=, mixup=, until= (the first epoch without any), rotate={from, to}, scale={},
 * shear={along x from, to, along y from, to}, translate={x, y}, mixup_scale={}} (data/mosaic.h), and sizes = {least,
 * most}, which change from batch to batch. */
static void take_box_options(lua_State *L, tl_loader_config *c)
{
    double sizes[2] = {0, 0};
    tl_mosaic_options *o = &c->mosaic;
    *o = (tl_mosaic_options){.scale = {1, 1}, .mixup_scale = {1, 1}};
    if (!lua_istable(L, 3)) return;
    if (lua_getfield(L, 3, "mosaic") == LUA_TTABLE) {
        int t = lua_gettop(L);
        o->chance = tl__lua_field_number(L, t, "chance", 1);
        o->mixup = tl__lua_field_number(L, t, "mixup", 0);
        o->until = tl__lua_field_integer(L, t, "until", 0, 0, INT64_MAX);
        take_range(L, t, "rotate", 2, o->degrees);
        take_range(L, t, "scale", 2, o->scale);
        take_range(L, t, "shear", 4, o->shear);
        take_range(L, t, "translate", 2, o->translate);
        take_range(L, t, "mixup_scale", 2, o->mixup_scale);
    }
    lua_pop(L, 1);
    take_range(L, 3, "sizes", 2, sizes);
    if (lua_getfield(L, 3, "sizes") != LUA_TNIL) /* those that are none are told when the loader opens */
        for (int k = 0; k < 2; k++) c->sizes[k] = sizes[k] >= 1 && sizes[k] < 1 << 20 ? (int)sizes[k] : 1;
    lua_pop(L, 1);
}

/* data.loader(source, pipeline, {batch=, threads=, shuffle=, drop_last=, seed=, on_bad=, mixup=, cutmix=,
 * unmixed_from=}); of sound also batch_seconds= (in the place of batch), buckets= (as shuffle), noise= (a source of
 * sound, for the step "noise"), prefetch= (bytes); of volumes repeats= (samples of each in an epoch), keep= (bytes of
 * them that may stay in memory); of texts batch_pieces= (in the place of batch), buckets=, pad=, types= (numbers are
 * (N, T, 2) with them), mask_share=, mask_id=, mask_size= (hidden words, which marks tell); of boxes what
 * take_box_options says */
static int loader(lua_State *L)
{
    tl_source *s = tl__lua_source(L, 1);
    tl_pipeline *p = tl__lua_pipeline(L, 2);
    const char *on_bad = tl__lua_field_text(L, 3, "on_bad", "error");
    tl_loader_config c = {.batch = (int)tl__lua_field_integer(L, 3, "batch", 64, 1, INT_MAX),
                          .threads = (int)tl__lua_field_integer(L, 3, "threads", 0, 0, INT_MAX),
                          .shuffle = tl__lua_field_bool(L, 3, "shuffle", 0),
                          .drop_last = tl__lua_field_bool(L, 3, "drop_last", 0),
                          .seed = tl__lua_field_seed(L, 3, "seed"),
                          .on_bad = strcmp(on_bad, "skip") == 0 ? TL_BAD_SKIP : TL_BAD_ERROR,
                          .mixup = tl__lua_field_number(L, 3, "mixup", 0),
                          .cutmix = tl__lua_field_number(L, 3, "cutmix", 0),
                          .unmixed_from = tl__lua_field_integer(L, 3, "unmixed_from", 0, 0, INT64_MAX)};
    c.seconds = tl__lua_field_number(L, 3, "batch_seconds", 0);
    c.buckets = tl__lua_field_bool(L, 3, "buckets", c.shuffle);
    take_text_options(L, &c);
    take_box_options(L, &c);
    c.repeats = (int)tl__lua_field_integer(L, 3, "repeats", 0, 0, INT_MAX);
    c.keep = tl__lua_field_integer(L, 3, "keep", 0, 0, INT64_MAX);
    c.max_prefetch = tl__lua_field_integer(L, 3, "prefetch", 0, 0, INT64_MAX);
    if (lua_istable(L, 3) && lua_getfield(L, 3, "noise") != LUA_TNIL) c.noise = tl__lua_source(L, -1);
    else lua_pushnil(L);
    loader_box *l = lua_newuserdatauv(L, sizeof *l, 3);
    l->loader = NULL;
    luaL_setmetatable(L, LOADER);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 3);
    lua_pushvalue(L, 1); /* source, noises and pipeline live as long as the loader */
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 2);
    tl_error err = {0};
    l->loader = tl__loader_open(&err, s, p, &c);
    return l->loader ? 1 : tl__lua_raise(L, err.text);
}

/* loader:start(epoch [, first batch, from 1]) */
static int loader_start(lua_State *L)
{
    tl_error err = {0};
    if (tl__loader_start_at(to_loader(L, 1), &err, luaL_checkinteger(L, 2), luaL_optinteger(L, 3, 1) - 1) != 0) return tl__lua_raise(L, err.text);
    lua_settop(L, 1);
    return 1;
}

/* What a batch has, each a tensor of its own; those of which it has none are NULL. */
enum {
    BATCH_X,
    BATCH_LABELS,
    BATCH_VALUES,
    BATCH_MASK,
    BATCH_BOXES,
    BATCH_BOX_LABELS,
    BATCH_POINTS,
    BATCH_LENGTHS,
    BATCH_MARKS,
    BATCH_SPANS,
    BATCH_PARTS
};
static const char *const batch_names[BATCH_PARTS] = {NULL,    NULL,         "values", "mask",
                                                     "boxes", "box_labels", "points", "lengths",
                                                     "marks", "spans"};

static const void *part_of(const tl_batch *b, int part)
{
    const void *const parts[BATCH_PARTS] = {b->x,           b->labels,      b->values,        b->mask,
                                            b->box_offsets, b->box_offsets, b->point_offsets, b->lengths,
                                            b->piece_marks, b->spans};
    return parts[part];
}

static void upload_pieces(tl_scope *s, const tl_batch *b, tl_tensor **t)
{
    t[BATCH_X] = tl_from(s, TL_I32, b->numbers > 1 ? 3 : 2, (int64_t[]){b->n, b->length, b->numbers}, b->ids);
    if (b->piece_marks) t[BATCH_MARKS] = tl_from(s, TL_I32, 2, (int64_t[]){b->n, b->length}, b->piece_marks);
    if (b->spans) t[BATCH_SPANS] = tl_from(s, TL_I32, 2, (int64_t[]){b->n, 2}, b->spans);
}

static void upload(tl_scope *s, const tl_batch *b, tl_tensor **t)
{
    int64_t n = b->n, boxes = b->box_offsets ? b->box_offsets[n] : 0, points = b->point_offsets ? b->point_offsets[n] : 0;
    if (b->ids) upload_pieces(s, b, t);
    else if (b->lengths) t[BATCH_X] = tl_from(s, TL_F32, 2, (int64_t[]){n, b->length}, b->x);
    else if (b->depth)
        t[BATCH_X] = tl_from(s, TL_F32, 5, (int64_t[]){n, b->depth, b->height, b->width, b->channels}, b->x);
    else t[BATCH_X] = tl_from(s, TL_F32, 4, (int64_t[]){n, b->height, b->width, b->channels}, b->x);
    if (b->lengths) t[BATCH_LENGTHS] = tl_from(s, TL_I32, 1, &n, b->lengths);
    t[BATCH_LABELS] = tl_from(s, TL_I32, 1, &n, b->labels);
    if (b->values) t[BATCH_VALUES] = tl_from(s, TL_F32, 2, (int64_t[]){n, b->value_count}, b->values);
    if (b->mask && b->depth)
        t[BATCH_MASK] = tl_from(s, TL_I32, 4, (int64_t[]){n, b->depth, b->height, b->width}, b->mask);
    else if (b->mask) t[BATCH_MASK] = tl_from(s, TL_I32, 3, (int64_t[]){n, b->height, b->width}, b->mask);
    if (b->box_offsets) t[BATCH_BOXES] = tl_from(s, TL_F32, 2, (int64_t[]){boxes, 4}, b->boxes);
    if (b->box_offsets) t[BATCH_BOX_LABELS] = tl_from(s, TL_I32, 1, &boxes, b->box_labels);
    if (b->point_offsets) t[BATCH_POINTS] = tl_from(s, TL_F32, 2, (int64_t[]){points, 2}, b->points);
}

/* Sets field `key` of the table on top to a list of numbers. */
static void set_numbers(lua_State *L, const char *key, const int64_t *list, int64_t n, int64_t more)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(L, list[i] + more);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, key);
}

/* Puts the lengths of clips and their rate into the table on top. */
static void push_lengths(lua_State *L, const tl_batch *b)
{
    lua_createtable(L, b->n, 0);
    for (int i = 0; i < b->n; i++) {
        lua_pushinteger(L, b->lengths[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "length_list");
    if (!b->rate) return;
    lua_pushinteger(L, b->rate);
    lua_setfield(L, -2, "rate");
}

/* Pushes the list of picture numbers, x, labels, and a table of the rest or nil; boxes to be filled are in `to`. */
static void push_batch(lua_State *L, const tl_batch *b, box **to)
{
    lua_createtable(L, b->n, 0);
    for (int i = 0; i < b->n; i++) {
        lua_pushinteger(L, b->indices[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    to[BATCH_X] = tl__lua_box(L);
    to[BATCH_LABELS] = tl__lua_box(L);
    if (!b->values && !b->mask && !b->box_offsets && !b->point_offsets && !b->lengths && !b->texts) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, BATCH_PARTS);
    for (int k = BATCH_VALUES; k < BATCH_PARTS; k++) {
        if (!part_of(b, k)) continue;
        to[k] = tl__lua_box(L);
        lua_setfield(L, -2, batch_names[k]);
    }
    if (b->box_offsets) set_numbers(L, "boxes_offsets", b->box_offsets, b->n + 1, 0);
    if (b->point_offsets) set_numbers(L, "points_offsets", b->point_offsets, b->n + 1, 0);
    if (b->lengths) push_lengths(L, b);
    if (!b->texts) return;
    lua_createtable(L, b->n, 0);
    for (int i = 0; i < b->n; i++) {
        lua_pushstring(L, b->texts[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "text");
}

/* loader:next() -> x (N, H, W, C), labels (N), n, picture numbers from 1, share of each picture's own label (1 where
 * the batch was not mixed; the rest belongs to the picture before it, the first one's to the last), and a table of what
 * the source has beside pictures and labels, or nil: values (N, K), mask (N, H, W) of int32, boxes (M, 4), box_labels
 * (M), boxes_offsets {0, ..., M}, points (P, 2), points_offsets, text {...}; of sound x is (N, T), and there are
 * lengths (N) of int32, in samples, the same as the list length_list, and rate; of volumes x is (N, D, H, W, C) and
 * mask (N, D, H, W); of texts x is (N, T) or (N, T, 2) of int32, and there are lengths, length_list, marks (N, T) and
 * spans (N, 2) of int32; nothing at the end */
static int loader_next(lua_State *L)
{
    tl_loader *l = to_loader(L, 1);
    tl_device *d = tl__lua_device(L);
    tl_error err = {0};
    tl_batch b;
    int r = tl__loader_next(l, &err, &b);
    if (r < 0) return tl__lua_raise(L, err.text);
    if (r == 0) return 0;
    box *to[BATCH_PARTS] = {NULL};
    tl_tensor *t[BATCH_PARTS] = {NULL};
    tl_scope s;
    int tried = 0;
    push_batch(L, &b, to);
    do {
        tl__scope_root(&s, d, 0);
        upload(&s, &b, t);
    } while (s.err.code && tl__lua_relieve(L, &s, &tried));
    int n = b.n;
    double share = b.share;
    tl__loader_recycle(l, &b); /* the batch is empty from here on */
    if (s.err.code) return tl__lua_scope_error(L, &s);
    for (int k = 0; k < BATCH_PARTS; k++)
        if (to[k]) tl_tensor_retain(t[k]);
    tl__scope_drop(&s);
    for (int k = 0; k < BATCH_PARTS; k++)
        if (to[k]) tl__lua_fill(L, to[k], t[k]);
    lua_pushinteger(L, n);
    lua_pushnumber(L, share);
    lua_rotate(L, -6, -1); /* x, labels, more, n, share, indices */
    lua_rotate(L, -4, -1); /* x, labels, n, share, indices, more */
    lua_rotate(L, -3, 2);  /* x, labels, n, indices, more, share */
    lua_rotate(L, -2, 1);  /* x, labels, n, indices, share, more */
    return 6;
}

static int loader_waited(lua_State *L)
{
    lua_pushnumber(L, tl__loader_waited(to_loader(L, 1)));
    return 1;
}

static int loader_batches(lua_State *L)
{
    lua_pushinteger(L, tl__loader_batches(to_loader(L, 1)));
    return 1;
}

static int loader_samples(lua_State *L)
{
    lua_pushinteger(L, tl__loader_samples(to_loader(L, 1)));
    return 1;
}

static int loader_skipped(lua_State *L)
{
    lua_pushinteger(L, tl__loader_skipped(to_loader(L, 1)));
    return 1;
}

static int loader_threads(lua_State *L)
{
    lua_pushinteger(L, tl__loader_threads(to_loader(L, 1)));
    return 1;
}

void tl__lua_open_loader(lua_State *L)
{
    static const tl__lua_entry loader_methods[] = {
        {"__gc", loader_close, TL__ANY, NULL}, {"__close", loader_close, TL__ANY, NULL}, {"close", loader_close, 1, NULL}, {"start", loader_start, 3, NULL},
        {"next", loader_next, 1, NULL}, {"waited", loader_waited, 1, NULL}, {"batches", loader_batches, 1, NULL},
        {"samples", loader_samples, 1, NULL}, {"skipped", loader_skipped, 1, NULL},
        {"threads", loader_threads, 1, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, LOADER);
    tl__lua_functions(L, loader_methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, loader);
    lua_setfield(L, -2, "loader");
}
