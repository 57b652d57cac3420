/* dicom.c - pictures of scanners in Lua: core.dicom. Tensors are float32 values: Hounsfield units of CT, colours from 0
 * to 255 as (..., 3).
 *   core.dicom.info(path) -> about: {rows=, columns=, frames=, samples=, bits=, signed=, photometric=, syntax=,
 *     modality=, body_part=, laterality=, sex=, age=, manufacturer=, scanner=, burned_in=, description=,
 *     patient=, study=, series=, number=, instance=, spacing={row, column}, thickness=, position={x, y, z},
 *     orientation={6}, slope=, intercept=,
 *     windows={{centre=, width=}...}, window_function=}; mm in the patient's system LPS; what a file does
 *     not say is nil. `patient` is for splitting and `description` for choosing alone: they are never printed.
 *   core.dicom.read(path [, {frame=, invert=, stored=}]) -> x (H, W) or (frames, H, W), about
 *     invert: MONOCHROME1 turned about; stored: the numbers of the file, int32 (..., samples), colours as they are
 *     stored
 *   core.dicom.segments(path) -> {series=, kind=, segments={{number=, label=}...}} of a SEG object, series being the
 *     one that is marked
 *   core.dicom.mask(series, path [, {[number] = value}]) -> {packed mask...}, one for each slice of a series of
 *     core.dicom.series, as records have them (planes): of a SEG object or a NIfTI volume; without values all stay */
#include "data/plane.h"
#include "data/series.h"
#include "io/dicom.h"
#include "lua/binding.h"

#include <stdlib.h>
#include <string.h>

#define DICOM "tlua.dicom"

/* A file that the collector closes. */
static tl_dicom **new_dicom(lua_State *L)
{
    tl_dicom **d = lua_newuserdatauv(L, sizeof *d, 0);
    *d = NULL;
    luaL_setmetatable(L, DICOM);
    return d;
}

static int dicom_gc(lua_State *L)
{
    tl_dicom **d = luaL_checkudata(L, 1, DICOM);
    tl__dicom_close(*d);
    *d = NULL;
    return 0;
}

static void set_numbers(lua_State *L, const char *key, const double *v, int n)
{
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushnumber(L, v[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, key);
}

static void push_about(lua_State *L, const tl_dicom *d)
{
    const tl_dicom_frame *f = &d->frame[0];
    lua_createtable(L, 0, 28);
    tl__lua_set_integer(L, "rows", d->rows);
    tl__lua_set_integer(L, "columns", d->columns);
    tl__lua_set_integer(L, "frames", d->frames);
    tl__lua_set_integer(L, "samples", d->samples);
    tl__lua_set_integer(L, "bits", d->bits_stored);
    lua_pushboolean(L, d->is_signed);
    lua_setfield(L, -2, "signed");
    tl__lua_set_filled(L, "photometric", d->photometric);
    tl__lua_set_filled(L, "syntax", d->syntax);
    tl__lua_set_filled(L, "modality", d->modality);
    tl__lua_set_filled(L, "body_part", d->body_part);
    tl__lua_set_filled(L, "laterality", d->laterality);
    tl__lua_set_filled(L, "sex", d->sex);
    tl__lua_set_filled(L, "age", d->age);
    tl__lua_set_filled(L, "manufacturer", d->manufacturer);
    tl__lua_set_filled(L, "scanner", d->scanner);
    tl__lua_set_filled(L, "burned_in", d->burned_in);
    tl__lua_set_filled(L, "description", d->description);
    tl__lua_set_filled(L, "patient", d->patient);
    tl__lua_set_filled(L, "study", d->study);
    tl__lua_set_filled(L, "series", d->series);
    if (d->series_number >= 0) tl__lua_set_integer(L, "number", d->series_number);
    if (d->instance >= 0) tl__lua_set_integer(L, "instance", d->instance);
    if (d->spacing[0] > 0) set_numbers(L, "spacing", d->spacing, 2);
    if (d->thickness > 0) tl__lua_set_number(L, "thickness", d->thickness);
    if (f->placed) set_numbers(L, "position", f->position, 3);
    if (f->oriented) set_numbers(L, "orientation", f->orientation, 6);
    tl__lua_set_number(L, "slope", f->slope);
    tl__lua_set_number(L, "intercept", f->intercept);
    lua_createtable(L, d->window_count, 0);
    for (int i = 0; i < d->window_count; i++) {
        lua_createtable(L, 0, 2);
        tl__lua_set_number(L, "centre", d->windows[i].centre);
        tl__lua_set_number(L, "width", d->windows[i].width);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "windows");
    tl__lua_set_filled(L, "window_function", d->window_function);
}

static tl_dicom *open_file(lua_State *L, int index)
{
    const char *path = tl__lua_path(L, index);
    tl_error err = {0};
    tl_dicom **d = new_dicom(L);
    *d = tl__dicom_open(&err, path);
    if (!*d) tl__lua_raise(L, err.text);
    return *d;
}

static int dicom_info(lua_State *L)
{
    push_about(L, open_file(L, 1));
    return 1;
}

/* What of a file is wanted. */
typedef struct wanted {
    const tl_dicom *d;
    int from, count, flags, stored;
} wanted;

static tl_tensor *make_values(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    const wanted *w = with;
    int64_t n = tl__numel(shape), each = n / w->count;
    char *host = tl__malloc(&s->err, (size_t)n * 4);
    int bad = !host;
    for (int i = 0; !bad && i < w->count; i++) {
        void *to = host + 4 * each * i;
        bad = w->stored ? tl__dicom_stored(&s->err, w->d, w->from + i, to)
                        : tl__dicom_values(&s->err, w->d, w->from + i, w->flags, to);
    }
    tl_tensor *t = bad ? NULL : tl_from(s, dtype, shape->rank, shape->dim, host);
    free(host);
    return t;
}

static int dicom_read(lua_State *L)
{
    tl_dicom *d = open_file(L, 1);
    int frame = (int)tl__lua_field_integer(L, 2, "frame", 0, 1, INT32_MAX);
    if (frame > d->frames) tl__lua_raisef(L, "%s: frame %d, and there are %d", d->name, frame, d->frames);
    wanted w = {.d = d,
                .from = frame ? frame - 1 : 0,
                .count = frame ? 1 : d->frames,
                .flags = tl__lua_field_bool(L, 2, "invert", 0) ? TL_DICOM_INVERT : 0,
                .stored = tl__lua_field_bool(L, 2, "stored", 0)};
    int channels = w.stored ? d->samples : tl__dicom_channels(d);
    tl_shape shape = {0};
    int64_t n;
    if (w.count > 1) shape.dim[shape.rank++] = w.count;
    shape.dim[shape.rank++] = d->rows;
    shape.dim[shape.rank++] = d->columns;
    if (channels > 1) shape.dim[shape.rank++] = channels;
    if (tl__mul_size((int64_t)d->rows * d->columns * channels, 4 * (int64_t)w.count, &n) != 0 || n > (int64_t)1 << 36)
        tl__lua_raisef(L, "%s: its %d frames are more than 64 GB; read them one by one with frame =", d->name,
                       d->frames);
    tl__lua_device(L);
    tl__lua_make(L, make_values, &shape, w.stored ? TL_I32 : TL_F32, &w);
    push_about(L, d);
    return 2;
}

static int dicom_segments(lua_State *L)
{
    const tl_dicom *d = open_file(L, 1);
    lua_createtable(L, 0, 3);
    tl__lua_set_filled(L, "series", d->marked_series);
    tl__lua_set_filled(L, "kind", d->segmentation);
    lua_createtable(L, d->segments, 0);
    for (int i = 0; i < d->segments; i++) {
        lua_createtable(L, 0, 2);
        tl__lua_set_integer(L, "number", d->segment[i].number);
        tl__lua_set_filled(L, "label", d->segment[i].label);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "segments");
    return 1;
}

/* Memory that the collector frees. */
static uint8_t *new_planes(lua_State *L, int64_t n)
{
    return memset(lua_newuserdatauv(L, (size_t)n + 1, 0), 0, (size_t)n);
}

static int dicom_mask(lua_State *L)
{
    const tl_series *s = lua_istable(L, 1) ? tl__lua_series(L, 1) : NULL;
    if (!s) return tl__lua_raise(L, "dicom.mask: a series of core.dicom.series");
    const char *path = tl__lua_path(L, 2);
    int64_t each = (int64_t)s->rows * s->columns, n;
    uint8_t value[256];
    tl_error err = {0};
    lua_settop(L, 3);
    for (int i = 0; i < 256; i++) {
        value[i] = (uint8_t)i;
        if (lua_isnil(L, 3)) continue;
        lua_rawgeti(L, 3, i);
        value[i] = (uint8_t)lua_tointeger(L, -1); /* 0 where there is none */
        lua_pop(L, 1);
    }
    if (tl__mul_size(each, s->count, &n) != 0 || n > (int64_t)1 << 36)
        tl__lua_raisef(L, "%s: its series has more than 64 GB", path);
    uint8_t *planes = new_planes(L, n);
    if (tl__series_mask(&err, s, path, value, planes) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, (int)s->count, 0);
    for (int64_t k = 0; k < s->count; k++) {
        tl_plane packed;
        if (tl__plane_pack(&err, planes + k * each, s->rows, s->columns, &packed) != 0)
            return tl__lua_raise(L, err.text);
        lua_pushlstring(L, packed.data, packed.bytes);
        free((char *)packed.data);
        lua_rawseti(L, -2, k + 1);
    }
    return 1;
}

void tl__lua_open_dicom(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"info", dicom_info, 1, NULL}, {"read", dicom_read, 2, "frame invert stored"},
        {"segments", dicom_segments, 1, NULL}, {"mask", dicom_mask, 3, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {{"__gc", dicom_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, DICOM);
    tl__lua_functions(L, methods, 1);
    lua_pop(L, 1);
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    lua_setfield(L, -2, "dicom");
}
