/* audio.c - sound in Lua: core.audio. Paths are as people write them; tensors are float32 (T), one channel.
 *   core.audio.info(path) -> {rate=, channels=, frames=, seconds=, format=, coding=}
 *   core.audio.read(path [, {rate=, from=, seconds=, channel=}]) -> x (T), rate,
 *     {peak=, clipped=, silent={channel...}, channels=}
 *   core.audio.write(path, x, rate)              .wav or .flac, 16 bits
 *   core.audio.resample(x, from, to) -> y
 *   core.audio.open(path or "-" [, {rate=, raw_rate=}]) -> stream
 *     stream:read(seconds) -> x (T), or nil at the end; stream:rate(); stream:close()
 * from and seconds are in seconds; channel counts from 1, and without it those that are not silent are mixed.
 *
 * Sources of sound: core.data.source("records", {waves = {path...}, first = {frame...}, count = {frames...}}), frames
 * at the rate of the file, from 0, count 0 to the end; or {waves = {x (T)...}, rate = rate or {rate...}}; with texts,
 * labels, classes, values as any. They have
 *   source:seconds(i) -> by the header, without reading samples; nil where it cannot be read
 *   source:text(i) -> string or nil
 *   source:wave(i [, rate]) -> x (T), rate, {peak=, clipped=, silent=, channels=} */
#include "lua/binding.h"

#include "data/source.h"

#include <math.h>
#include <string.h>

#define WAVE "tlua.wave"
#define STREAM "tlua.audio_stream"

/* A wave whose memory the collector frees. */
static tl_wave *new_wave(lua_State *L)
{
    tl_wave *w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = (tl_wave){0};
    luaL_setmetatable(L, WAVE);
    return w;
}

static int wave_gc(lua_State *L)
{
    tl__wave_free(luaL_checkudata(L, 1, WAVE));
    return 0;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* Pushes the samples as a tensor, and frees them here. */
static void push_wave(lua_State *L, tl_wave *w)
{
    tl_shape shape = {1, {w->count}};
    tl__lua_make(L, upload, &shape, TL_F32, w->data);
    tl__wave_free(w);
}

static int64_t rate_field(lua_State *L, int table, const char *key)
{
    return tl__lua_field_integer(L, table, key, 0, TL_AUDIO_LEAST_RATE, TL_AUDIO_MOST_RATE);
}

static int audio_info(lua_State *L)
{
    tl_error err = {0};
    tl_audio_info info;
    if (tl__audio_info(&err, tl__lua_path(L, 1), &info) != 0) return tl__lua_raise(L, err.text);
    lua_createtable(L, 0, 6);
    tl__lua_set_integer(L, "rate", info.rate);
    tl__lua_set_integer(L, "channels", info.channels);
    tl__lua_set_integer(L, "frames", info.frames);
    tl__lua_set_number(L, "seconds", (double)info.frames / info.rate);
    lua_pushstring(L, info.format);
    lua_setfield(L, -2, "format");
    lua_pushstring(L, info.coding);
    lua_setfield(L, -2, "coding");
    return 1;
}

/* Seconds of a file as frames; what would lie behind its end is left off. */
static void request_window(lua_State *L, const char *path, tl_audio_request *q)
{
    double from = tl__lua_field_number(L, 2, "from", 0), seconds = tl__lua_field_number(L, 2, "seconds", INFINITY);
    tl_error err = {0};
    tl_audio_info info;
    if (!(from >= 0)) tl__lua_raisef(L, "audio.read: from is %g, and counts seconds from 0", from);
    if (!(seconds > 0)) tl__lua_raisef(L, "audio.read: seconds is %g, and must be above 0", seconds);
    if (from == 0 && isinf(seconds)) return;
    if (tl__audio_info(&err, path, &info) != 0) tl__lua_raise(L, err.text);
    double first = floor(from * info.rate + 0.5), count = floor(seconds * info.rate + 0.5);
    if (first >= (double)info.frames)
        tl__lua_raisef(L, "%s: from second %g is behind its end; it has %.2f s", path, from,
                       (double)info.frames / info.rate);
    q->from = (int64_t)first;
    int64_t left = info.frames - q->from;
    q->count = count < 1 ? 1 : count < (double)left ? (int64_t)count : left;
}

static void push_heard(lua_State *L, const tl_audio_heard *h)
{
    lua_createtable(L, 0, 4);
    tl__lua_set_number(L, "peak", h->peak);
    tl__lua_set_number(L, "clipped", h->clipped);
    tl__lua_set_integer(L, "channels", h->channels);
    lua_newtable(L);
    for (int c = 0, n = 0; c < h->channels; c++) {
        if (!(h->silent >> c & 1)) continue;
        lua_pushinteger(L, c + 1);
        lua_rawseti(L, -2, ++n);
    }
    lua_setfield(L, -2, "silent");
}

static int audio_read(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    tl_audio_request q = {.rate = (int)rate_field(L, 2, "rate"),
                          .channel = (int)tl__lua_field_integer(L, 2, "channel", 0, 1, TL_AUDIO_MOST_CHANNELS)};
    tl_audio_heard heard = {0};
    tl_error err = {0};
    tl__lua_device(L);
    request_window(L, path, &q);
    tl_wave *w = new_wave(L);
    if (tl__audio_read(&err, path, &q, &heard, w) != 0) return tl__lua_raise(L, err.text);
    int rate = w->rate;
    push_wave(L, w);
    lua_pushinteger(L, rate);
    push_heard(L, &heard);
    return 3;
}

/* The samples of the tensor at `index`, as a userdata that is pushed. */
static const float *samples(lua_State *L, int index, const char *function, int64_t *count)
{
    tl_tensor *t = tl__lua_tensor(L, index);
    if (t->dtype != TL_F32 || t->shape.rank != 1)
        tl__lua_raisef(L, "%s: a float32 tensor (T) is needed, one channel", function);
    *count = t->shape.dim[0];
    return tl__lua_values(L, t);
}

static int rate_argument(lua_State *L, int index, const char *function)
{
    int64_t rate = luaL_checkinteger(L, index);
    if (rate < TL_AUDIO_LEAST_RATE || rate > TL_AUDIO_MOST_RATE)
        tl__lua_raisef(L, "%s: a rate of %lld Hz, and sound has %d to %d", function, (long long)rate,
                       TL_AUDIO_LEAST_RATE, TL_AUDIO_MOST_RATE);
    return (int)rate;
}

static int audio_write(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    int rate = rate_argument(L, 3, "audio.write");
    int64_t count;
    tl_error err = {0};
    const float *data = samples(L, 2, "audio.write", &count);
    return tl__audio_write(&err, path, data, count, rate) == 0 ? 0 : tl__lua_raise(L, err.text);
}

static int audio_resample(lua_State *L)
{
    int from = rate_argument(L, 2, "audio.resample"), to = rate_argument(L, 3, "audio.resample");
    int64_t count;
    tl_error err = {0};
    tl__lua_device(L);
    const float *data = samples(L, 1, "audio.resample", &count);
    tl_wave *w = new_wave(L);
    if (tl__audio_resample(&err, data, count, from, to, w) != 0) return tl__lua_raise(L, err.text);
    push_wave(L, w);
    return 1;
}

/* ---- streams ---- */

static tl_audio_stream **stream_box(lua_State *L) { return luaL_checkudata(L, 1, STREAM); }

static tl_audio_stream *to_stream(lua_State *L)
{
    tl_audio_stream **s = stream_box(L);
    if (!*s) tl__lua_raise(L, "this sound was closed");
    return *s;
}

static int stream_close(lua_State *L)
{
    tl_audio_stream **s = stream_box(L);
    tl__audio_close(*s);
    *s = NULL;
    return 0;
}

static int audio_open(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    int rate = (int)rate_field(L, 2, "rate"), raw_rate = (int)rate_field(L, 2, "raw_rate");
    tl_error err = {0};
    tl_audio_stream **s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = NULL;
    luaL_setmetatable(L, STREAM);
    *s = tl__audio_open(&err, path, rate, raw_rate);
    return *s ? 1 : tl__lua_raise(L, err.text);
}

static int stream_read(lua_State *L)
{
    tl_audio_stream *s = to_stream(L);
    double seconds = luaL_checknumber(L, 2), count = floor(seconds * tl__audio_stream_rate(s) + 0.5);
    tl_error err = {0};
    if (!(count >= 1 && count <= (double)TL_AUDIO_MOST_SAMPLES))
        return tl__lua_raisef(L, "read: %g seconds, and a piece has one sample at least", seconds);
    tl__lua_device(L);
    tl_wave *w = new_wave(L);
    int status = tl__audio_next(&err, s, (int64_t)count, w);
    if (status < 0) return tl__lua_raise(L, err.text);
    if (status == 0) lua_pushnil(L);
    else push_wave(L, w);
    return 1;
}

static int stream_rate(lua_State *L)
{
    lua_pushinteger(L, tl__audio_stream_rate(to_stream(L)));
    return 1;
}

/* ---- sources of sound ---- */

#define WAVES "tlua.waves"

typedef struct waves {
    int64_t count;
    tl_wave wave[];
} waves;

static int waves_gc(lua_State *L)
{
    waves *w = luaL_checkudata(L, 1, WAVES);
    for (int64_t i = 0; i < w->count; i++) tl__wave_free(&w->wave[i]);
    return 0;
}

tl_wave *tl__lua_waves(lua_State *L, int list, int64_t n)
{
    waves *w = lua_newuserdatauv(L, sizeof *w + (size_t)n * sizeof *w->wave, 0);
    memset(w, 0, sizeof *w + (size_t)n * sizeof *w->wave);
    w->count = n;
    luaL_setmetatable(L, WAVES);
    for (int64_t i = 0; i < n; i++) {
        tl_error err = {0};
        int64_t count;
        if (lua_rawgeti(L, list, i + 1) != LUA_TUSERDATA)
            tl__lua_raisef(L, "records: waves[%lld] is no tensor (T), nor are all of them paths", (long long)i + 1);
        const float *x = samples(L, -1, "records", &count);
        if (tl__wave_reserve(&err, &w->wave[i], count) != 0) tl__lua_raise(L, err.text);
        memcpy(w->wave[i].data, x, (size_t)count * sizeof *x);
        w->wave[i].count = count;
        lua_pop(L, 2);
    }
    return w->wave;
}

static int64_t sample_number(lua_State *L, const tl_source *s)
{
    int64_t i = luaL_checkinteger(L, 2);
    if (i < 1 || i > s->count) tl__lua_raisef(L, "there is no sample %lld of %lld", (long long)i, (long long)s->count);
    return i - 1;
}

static int source_seconds(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    tl_clip clip = tl__source_clip(s, sample_number(L, s));
    if (clip.frames) lua_pushnumber(L, (double)clip.frames / clip.rate);
    else lua_pushnil(L);
    return 1;
}

static int source_text(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    lua_pushstring(L, tl__source_text(s, sample_number(L, s)));
    return 1;
}

static int source_wave(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    int64_t i = sample_number(L, s);
    tl_audio_request q = {.rate = lua_isnoneornil(L, 3) ? 0 : rate_argument(L, 3, "wave")};
    tl_audio_heard heard = {0};
    tl_error err = {0};
    tl__lua_device(L);
    tl_wave *w = new_wave(L);
    if (tl__source_wave(&err, s, i, &q, &heard, w) != 0) return tl__lua_raise(L, err.text);
    int rate = w->rate;
    push_wave(L, w);
    lua_pushinteger(L, rate);
    push_heard(L, &heard);
    return 3;
}

void tl__lua_add_sound(lua_State *L)
{
    static const tl__lua_entry waves_methods[] = {{"__gc", waves_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {{"seconds", source_seconds, 2, NULL},
                                            {"text", source_text, 2, NULL},
                                            {"wave", source_wave, 3, NULL},
                                            {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, WAVES);
    tl__lua_functions(L, waves_methods, 1);
    lua_pop(L, 1);
    tl__lua_functions(L, methods, 1);
}

void tl__lua_open_audio(lua_State *L)
{
    static const tl__lua_entry functions[] = {{"info", audio_info, 1, NULL},
                                              {"read", audio_read, 2, "rate from seconds channel"},
                                              {"write", audio_write, 3, NULL},
                                              {"resample", audio_resample, 3, NULL},
                                              {"open", audio_open, 2, "rate raw_rate"},
                                              {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {
        {"__gc", stream_close, TL__ANY, NULL}, {"__close", stream_close, TL__ANY, NULL},
        {"close", stream_close, 1, NULL},      {"read", stream_read, 2, NULL},
        {"rate", stream_rate, 1, NULL},        {NULL, NULL, 0, NULL}};
    static const tl__lua_entry wave_methods[] = {{"__gc", wave_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, WAVE);
    tl__lua_functions(L, wave_methods, 1);
    lua_pop(L, 1);
    luaL_newmetatable(L, STREAM);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    lua_setfield(L, -2, "audio");
}
