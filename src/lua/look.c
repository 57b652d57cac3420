/* look.c - looking at tensors without taking them whole: an excerpt reads its own elements from the device and nothing else, a
 * picture is made as small as it will be shown. */
#include "lua/binding.h"

#include <math.h>
#include <string.h>

/* Elements at..at+n-1 of the buffer as numbers; raises on failure. n is at most CHUNK. */
enum { CHUNK = 64 };
static void read_run(lua_State *L, tl_tensor *t, int64_t at, int n, double *out)
{
    unsigned char raw[CHUNK * 4];
    size_t size = tl__dtype_size(t->dtype);
    tl_scope s;
    tl__scope_root(&s, t->buffer->device, 0);
    if (!s.device->error_word_armed || tl__device_finish(&s.err, s.device) == 0) tl__buffer_read(&s.err, t->buffer, (size_t)at * size, (size_t)n * size, raw);
    if (s.err.code) tl__lua_scope_error(L, &s);
    tl__scope_drop(&s);
    for (int i = 0; i < n; i++) out[i] = tl__lua_value_at(raw, t->dtype, i);
}

/* How many of the indices from `first` on lie one after another in memory. */
static int run_length(const int64_t *index, int64_t stride, int left)
{
    int n = 1;
    while (n < left && n < CHUNK && stride == 1 && index[n] == index[0] + n) n++;
    return n;
}

static void push_number(lua_State *L, double v, tl_dtype dtype)
{
    if (tl__is_float(dtype)) lua_pushnumber(L, v);
    else lua_pushinteger(L, (lua_Integer)v);
}

enum { MOST = 256 }; /* indices of one dimension */

static void add_excerpt(lua_State *L, tl_tensor *t, int level, int64_t at, int result, lua_Integer *count)
{
    if (level == t->shape.rank) {
        double v;
        read_run(L, t, at, 1, &v);
        push_number(L, v, t->dtype);
        lua_rawseti(L, result, ++*count);
        return;
    }
    int64_t index[MOST];
    luaL_checkstack(L, 4, "excerpt");
    lua_rawgeti(L, 2, level + 1);
    int n = lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0;
    if (n > MOST) tl__lua_raisef(L, "excerpt: at most %d indices of a dimension", MOST);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, -1, i + 1);
        index[i] = lua_tointeger(L, -1) - 1;
        lua_pop(L, 1);
        if (index[i] < 0 || index[i] >= t->shape.dim[level]) tl__lua_raisef(L, "excerpt: there is no element %lld of %lld", (long long)index[i] + 1, (long long)t->shape.dim[level]);
    }
    lua_pop(L, 1);
    int64_t stride = t->stride[level];
    if (level + 1 < t->shape.rank) {
        for (int i = 0; i < n; i++) add_excerpt(L, t, level + 1, at + index[i] * stride, result, count);
        return;
    }
    double v[CHUNK];
    for (int i = 0, run; i < n; i += run) {
        run = run_length(index + i, stride, n - i);
        read_run(L, t, at + index[i] * stride, run, v);
        for (int k = 0; k < run; k++) {
            push_number(L, v[k], t->dtype);
            lua_rawseti(L, result, ++*count);
        }
    }
}

/* core.excerpt(x, { {1, 2, 9}, {1, 5} }) -> the numbers at all combinations of these indices, the last dimension fastest. */
static int excerpt(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    lua_Integer count = 0;
    add_excerpt(L, t, 0, t->offset, 3, &count);
    return 1;
}

/* "tensor (2, 3) float32 {1 2 3 4 5 6}" */
static int tostring(lua_State *L)
{
    box *b = luaL_checkudata(L, 1, TENSOR);
    if (!b->tensor) {
        lua_pushliteral(L, "tensor (freed)");
        return 1;
    }
    tl_tensor *t = b->tensor;
    char text[TL__SHAPE_TEXT], number[40];
    int64_t n = tl_numel(t);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    lua_pushfstring(L, "tensor %s %s {", tl__shape_text(&t->shape, text, sizeof text), tl__dtype_name(t->dtype));
    luaL_addvalue(&out);
    for (int64_t i = 0; i < n; i++) {
        if (n > 10 && i == 6) {
            luaL_addstring(&out, " ...");
            i = n - 2;
        }
        int64_t at = t->offset, rest = i;
        for (int a = t->shape.rank - 1; a >= 0; a--) {
            at += rest % t->shape.dim[a] * t->stride[a];
            rest /= t->shape.dim[a];
        }
        double v;
        read_run(L, t, at, 1, &v);
        if (isnan(v)) snprintf(number, sizeof number, i ? " nan" : "nan");
        else snprintf(number, sizeof number, i ? " %.5g" : "%.5g", v);
        luaL_addstring(&out, number);
    }
    luaL_addstring(&out, t->node ? "} with gradient" : "}");
    luaL_pushresult(&out);
    return 1;
}

/* ---- pictures ---- */

/* Finite values' range. */
static void range_of(const void *host, tl_dtype dtype, int64_t n, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double v = tl__lua_value_at(host, dtype, i);
        if (!isfinite(v)) continue;
        if (v < *low) *low = v;
        if (v > *high) *high = v;
    }
}

/* The mean of channel k over the rectangle [y0, y1) x [x0, x1); what is not finite counts as the darkest. */
static double mean_of(const void *host, tl_dtype dtype, int64_t width, int64_t channels, int64_t k, const int64_t r[4], double low)
{
    double sum = 0;
    for (int64_t y = r[0]; y < r[1]; y++)
        for (int64_t x = r[2]; x < r[3]; x++) {
            double v = tl__lua_value_at(host, dtype, (y * width + x) * channels + k);
            sum += isfinite(v) ? v : low;
        }
    return sum / (double)((r[1] - r[0]) * (r[3] - r[2]));
}

/* core.picture(x, width, height) -> width * height * 3 bytes (rgb, rows from the top) of a picture (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), each the
 * mean of what it stands for; lowest and highest value. Bytes are shown as they are, and numbers from 0 to 1; others from their
 * lowest to their highest. */
static int picture(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    int64_t w = luaL_checkinteger(L, 2), h = luaL_checkinteger(L, 3), rank = t->shape.rank;
    int64_t channels = rank == 3 ? t->shape.dim[2] : 1;
    char text[TL__SHAPE_TEXT];
    if ((rank != 2 && rank != 3) || (channels != 1 && channels != 3 && channels != 4) || tl_numel(t) == 0)
        return tl__lua_raisef(L, "a picture is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not %s", tl__shape_text(&t->shape, text, sizeof text));
    if (w < 1 || h < 1 || w > 4096 || h > 4096) return tl__lua_raise(L, "picture: from 1 to 4096 pixels a side");
    int64_t H = t->shape.dim[0], W = t->shape.dim[1];
    const void *host = tl__lua_values(L, t);
    double low, high, from = 0, to = t->dtype == TL_U8 ? 255 : 1;
    range_of(host, t->dtype, tl_numel(t), &low, &high);
    if (t->dtype != TL_U8 && high >= low && (low < 0 || high > 1)) {
        from = low;
        to = high > low ? high : low + 1;
    }
    luaL_Buffer out;
    unsigned char *p = (unsigned char *)luaL_buffinitsize(L, &out, (size_t)(w * h * 3));
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            int64_t r[4] = {y * H / h, (y + 1) * H / h, x * W / w, (x + 1) * W / w};
            if (r[1] == r[0]) r[1]++;
            if (r[3] == r[2]) r[3]++;
            for (int k = 0; k < 3; k++) {
                double v = (mean_of(host, t->dtype, W, channels, channels == 1 ? 0 : k, r, from) - from) / (to - from);
                *p++ = (unsigned char)(v < 0 ? 0 : v > 1 ? 255 : v * 255 + 0.5);
            }
        }
    luaL_pushresultsize(&out, (size_t)(w * h * 3));
    lua_pushnumber(L, low);
    lua_pushnumber(L, high);
    return 3;
}

void tl__lua_open_look(lua_State *L)
{
    static const luaL_Reg functions[] = {{"excerpt", excerpt}, {"picture", picture}, {NULL, NULL}};
    luaL_getmetatable(L, TENSOR);
    lua_pushcfunction(L, tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
