/* sheet.c - `tlua show` and `tlua explain`: pages of pictures in Lua. */
#include "lua/binding.h"

#include "draw/boxes.h"
#include "draw/letters.h"
#include "draw/saliency.h"
#include "draw/sheet.h"
#include "data/source.h"
#include "data/transform.h"

#include <string.h>

#define SHEET "tlua.sheet"

/* A page, how many pictures stand on it, and one picture on its way. */
typedef struct page {
    tl_sheet sheet;
    tl_image picture;
    int used;
} page;

/* Says once what to install where letters could not be drawn. */
static void say_note(lua_State *L)
{
    const char *note = tl__letters_note();
    if (!note) return;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tlua.util");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "note");
    lua_pushstring(L, note);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

static page *to_page(lua_State *L) { return luaL_checkudata(L, 1, SHEET); }

static int sheet_gc(lua_State *L)
{
    page *p = to_page(L);
    tl__sheet_free(&p->sheet);
    tl__image_free(&p->picture);
    return 0;
}

/* data.sheet(count, height, width [, lines [, columns [, letters]]]); letters: some caption has others than ASCII's */
static int sheet(lua_State *L)
{
    int count = (int)luaL_checkinteger(L, 1), height = (int)luaL_checkinteger(L, 2), width = (int)luaL_checkinteger(L, 3);
    int lines = (int)luaL_optinteger(L, 4, 1), columns = (int)luaL_optinteger(L, 5, 0), letters = lua_toboolean(L, 6);
    page *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, SHEET);
    tl_error err = {0};
    int bad = tl__sheet_open(&err, &p->sheet, count, columns, height, width, lines, letters) != 0;
    return bad ? tl__lua_raise(L, err.text) : 1;
}

/* The box {left, top, right, bottom, number of the colour, text} on top; its parts are pushed. */
static void box_on_top(lua_State *L, tl_drawn_box *drawn)
{
    int at = lua_gettop(L);
    luaL_checktype(L, at, LUA_TTABLE);
    for (int k = 1; k <= 6; k++) lua_rawgeti(L, at, k);
    *drawn = (tl_drawn_box){.colour = (int)luaL_checkinteger(L, -2), .text = luaL_checkstring(L, -1)};
    for (int k = 0; k < 4; k++) drawn->at[k] = luaL_checknumber(L, at + 1 + k);
}

/* Draws the list of such boxes on top on picture `at`. */
static void add_boxes(lua_State *L, tl_sheet *s, int at)
{
    int list = lua_gettop(L);
    for (int i = 1; i <= (int)lua_rawlen(L, list); i++) {
        tl_drawn_box drawn;
        lua_rawgeti(L, list, i);
        box_on_top(L, &drawn);
        tl__sheet_boxes(s, at, &drawn, 1);
        lua_settop(L, list);
    }
}

/* sheet:add(pipeline, x, captions [, boxes]): the first #captions pictures of x (N, H, W, C), which came out of
 * `pipeline`; boxes: a list of each picture, as add_boxes takes it, in pixels of x */
static int sheet_add(lua_State *L)
{
    page *p = to_page(L);
    tl_pipeline *pipeline = tl__lua_pipeline(L, 2);
    tl_tensor *x = tl__lua_tensor(L, 3);
    luaL_checktype(L, 4, LUA_TTABLE);
    int n = (int)lua_rawlen(L, 4);
    if (x->dtype != TL_F32 || x->shape.rank != 4 || n > x->shape.dim[0] || (x->shape.dim[3] != 1 && x->shape.dim[3] != 3))
        return tl__lua_raise(L, "sheet:add: float32 pictures (N, height, width, 1 or 3) and a caption for each are needed");
    int hwc[3] = {(int)x->shape.dim[1], (int)x->shape.dim[2], (int)x->shape.dim[3]};
    float *host = lua_newuserdatauv(L, (size_t)tl_numel(x) * sizeof *host, 0);
    tl_scope s;
    tl__scope_root(&s, x->buffer->device, 0);
    tl_read(&s, x, host, (size_t)tl_numel(x) * sizeof *host);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    size_t each = (size_t)hwc[0] * (size_t)hwc[1] * (size_t)hwc[2];
    int top = lua_gettop(L);
    for (int i = 0; i < n; i++) {
        tl_error err = {0};
        lua_rawgeti(L, 4, i + 1);
        if (tl__pipeline_picture(&err, pipeline, host + (size_t)i * each, hwc, &p->picture) != 0 ||
            tl__sheet_put(&err, &p->sheet, p->used++, &p->picture, lua_tostring(L, -1)) != 0)
            return tl__lua_raise(L, err.text);
        if (lua_istable(L, 5) && lua_rawgeti(L, 5, i + 1) == LUA_TTABLE) add_boxes(L, &p->sheet, p->used - 1);
        lua_settop(L, top);
    }
    return 0;
}

/* sheet:write(path): a PNG */
static int sheet_write(lua_State *L)
{
    tl_error err = {0};
    if (tl__image_write_png(&err, luaL_checkstring(L, 2), &to_page(L)->sheet.page) != 0) return tl__lua_raise(L, err.text);
    say_note(L);
    return 0;
}

/* The picture of a page: picture `index` of `source`, where that is given, else that of a file. 0 or -1. */
static int read_shown(lua_State *L, tl_error *err, const char *from, tl_image *out)
{
    if (lua_getfield(L, 1, "source") == LUA_TNIL) return tl__image_read(err, from, 3, out);
    const tl_source *s = tl__lua_source(L, lua_gettop(L));
    int64_t i = tl__lua_field_integer(L, 1, "index", 1, 1, s->count);
    return tl__source_read(err, s, i - 1, &(tl_image_request){.channels = 3}, out);
}

/* data.saliency{from = picture, source =, index =, to = PNG, map = float32 (height, width), caption =, origin =,
 * resize =, size =}: src/draw/saliency.h */
static int saliency(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *from = tl__lua_field_text(L, 1, "from", ""), *to = tl__lua_field_text(L, 1, "to", "");
    tl_saliency heat = {.resize = (int)tl__lua_field_number(L, 1, "resize", 0), .size = (int)tl__lua_field_number(L, 1, "size", 0),
                        .caption = tl__lua_field_text(L, 1, "caption", ""), .origin = tl__lua_field_text(L, 1, "origin", "")};
    lua_getfield(L, 1, "map");
    tl_tensor *map = tl__lua_tensor(L, -1);
    if (map->dtype != TL_F32 || map->shape.rank != 2) return tl__lua_raise(L, "saliency: a float32 map (height, width) is needed");
    float *host = lua_newuserdatauv(L, (size_t)tl_numel(map) * sizeof *host + 1, 0);
    tl_scope s;
    tl__scope_root(&s, map->buffer->device, 0);
    tl_read(&s, map, host, (size_t)tl_numel(map) * sizeof *host);
    if (s.err.code) return tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    heat.map = host;
    heat.height = (int)map->shape.dim[0];
    heat.width = (int)map->shape.dim[1];
    page *p = lua_newuserdatauv(L, sizeof *p, 0); /* for its two pictures */
    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, SHEET);
    tl_error err = {0};
    if (read_shown(L, &err, from, &p->picture) != 0 ||
        tl__saliency_page(&err, &heat, &p->picture, &p->sheet.page) != 0 ||
        tl__image_write_png(&err, to, &p->sheet.page) != 0)
        return tl__lua_raise(L, err.text);
    say_note(L);
    return 0;
}

/* data.heat(v) -> red, green, blue of a heat of 0 to 1, each 0 to 255 */
static int heat_colour(lua_State *L)
{
    double rgb[3];
    tl__saliency_colour(luaL_checknumber(L, 1), rgb);
    for (int c = 0; c < 3; c++) lua_pushnumber(L, rgb[c]);
    return 3;
}

static tl_tensor *from_pixels(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* A copy of the picture (height, width, 3) at argument 1, uint8, to draw on; what holds it is pushed. */
static tl_image picture_to_draw_on(lua_State *L, const char *function)
{
    tl_tensor *x = tl__lua_tensor(L, 1);
    if (x->dtype != TL_U8 || x->shape.rank != 3 || x->shape.dim[2] != 3 || tl_numel(x) > INT32_MAX)
        tl__lua_raisef(L, "%s: uint8 (height, width, 3) is needed", function);
    uint8_t *pixels = lua_newuserdatauv(L, (size_t)tl_numel(x) + 1, 0);
    tl_scope s;
    tl__scope_root(&s, x->buffer->device, 0);
    tl_read(&s, x, pixels, (size_t)tl_numel(x));
    if (s.err.code) tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    return (tl_image){.width = (int)x->shape.dim[1], .height = (int)x->shape.dim[0], .channels = 3, .data = pixels};
}

/* data.lettered(x uint8 (height, width, 3), {{text, x, y, size}, ...}) -> the same with these texts in white, their
 * upper left corners at (x, y), points of `size` pixels. */
static int lettered(lua_State *L)
{
    static const uint8_t white[3] = {255, 255, 255};
    tl_tensor *x = tl__lua_tensor(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    tl_image picture = picture_to_draw_on(L, "lettered");
    tl_shape shape = x->shape;
    for (int i = 1; i <= (int)lua_rawlen(L, 2); i++) {
        size_t length;
        lua_rawgeti(L, 2, i);
        for (int k = 1; k <= 4; k++) lua_rawgeti(L, -k, k);
        const char *text = luaL_checklstring(L, -4, &length);
        int left = (int)luaL_checkinteger(L, -3), top = (int)luaL_checkinteger(L, -2);
        int size = (int)luaL_checkinteger(L, -1);
        if (left < 0 || top < 0 || size < 1) return tl__lua_raise(L, "lettered: a text stands outside of the picture");
        if (left < picture.width)
            tl__draw_text_in(&picture, white, left, top, size, picture.width - left, text, text + length);
        lua_pop(L, 5);
    }
    say_note(L);
    return tl__lua_make(L, from_pixels, &shape, TL_U8, picture.data);
}

/* data.boxed(x uint8 (height, width, 3), {{left, top, right, bottom, number of the colour, text}, ...}
 * [, {line =, size =}]) -> the same with these boxes, their frames `line` pixels wide and points of their texts `size`
 * pixels (both 2) */
static int boxed(lua_State *L)
{
    lua_settop(L, 3);
    tl_tensor *x = tl__lua_tensor(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    int line = lua_istable(L, 3) ? (int)tl__lua_field_integer(L, 3, "line", 2, 1, 100) : 2;
    int size = lua_istable(L, 3) ? (int)tl__lua_field_integer(L, 3, "size", 2, 1, 100) : 2;
    tl_shape shape = x->shape;
    tl_image picture = picture_to_draw_on(L, "boxed");
    int area[4] = {0, 0, picture.width, picture.height}, top = lua_gettop(L);
    for (int i = 1; i <= (int)lua_rawlen(L, 2); i++) {
        tl_drawn_box drawn;
        lua_rawgeti(L, 2, i);
        box_on_top(L, &drawn);
        tl__draw_box(&picture, &drawn, area, 1, line, size);
        lua_settop(L, top);
    }
    say_note(L);
    return tl__lua_make(L, from_pixels, &shape, TL_U8, picture.data);
}

/* data.text_size(text, size) -> width and height in pixels of a text as `lettered` draws it */
static int text_size(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    int size = (int)luaL_checkinteger(L, 2);
    if (size < 1 || size > 1000) return tl__lua_raise(L, "text_size: points have 1 to 1000 pixels");
    lua_pushinteger(L, tl__text_width(size, text, text + length));
    lua_pushinteger(L, tl__text_height(size, text, text + length));
    return 2;
}

void tl__lua_open_sheet(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", sheet_gc}, {"add", sheet_add}, {"write", sheet_write}, {NULL, NULL}};
    luaL_newmetatable(L, SHEET);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_getfield(L, -1, "data");
    lua_pushcfunction(L, sheet);
    lua_setfield(L, -2, "sheet");
    lua_pushcfunction(L, saliency);
    lua_setfield(L, -2, "saliency");
    lua_pushcfunction(L, heat_colour);
    lua_setfield(L, -2, "heat");
    lua_pushcfunction(L, lettered);
    lua_setfield(L, -2, "lettered");
    lua_pushcfunction(L, boxed);
    lua_setfield(L, -2, "boxed");
    lua_pushcfunction(L, text_size);
    lua_setfield(L, -2, "text_size");
    lua_pop(L, 1);
}
