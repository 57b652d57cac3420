/* tokenizer.c - texts as numbers of pieces in Lua: core.tokenizer. Numbers count from 0, as in files; places are bytes
 * of the text, from 0, the end behind the last.
 *   core.tokenizer.open(path) -> t        a tokenizer.json; core.tokenizer.read(json, name) of one in memory
 *   t:encode(a [, b or nil [, {longest=, cut="longest", "first", "second", stride=, plain=}]]) -> {window...}, one but
 *     with stride: {ids={}, from={}, to={}, types={}, sequence={}, word={}}
 *   t:encode_all({text...} [, {text...} or nil [, {as above, threads=}]]) -> set
 *   set:count(); set:length(i); set:text(i) -> number of the text from 1; set:window(i) -> as above
 *   set:batch({i...}, pad) -> ids, types (N, T) int32, lengths (N) int32
 *   t:size(); t:id(piece) -> id or nil; t:piece(id) -> text or nil; t:is_special(id)
 *   core.tokenizer.sentencepiece(path) -> what a .model file of SentencePiece holds: {pieces={}, scores={}, types={},
 *     charsmap=bytes or nil, and its settings by their names there} */
#include "io/sentencepiece.h"
#include "lua/binding.h"

#include "data/source.h"
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define TOKENIZER "tlua.tokenizer"
#define ENCODINGS "tlua.encodings"
#define TEXTS "tlua.texts"
#define MODEL "tlua.sentencepiece"

/* ---- tokenizers ---- */

typedef struct holder {
    tl_tokenizer *t;
    tl_text_work *w;
} holder;

static holder *new_holder(lua_State *L)
{
    holder *h = lua_newuserdatauv(L, sizeof *h, 0);
    *h = (holder){0};
    luaL_setmetatable(L, TOKENIZER);
    return h;
}

static int holder_gc(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    tl__tokenizer_free(h->t);
    tl__text_work_free(h->w);
    *h = (holder){0};
    return 0;
}

static int finish(lua_State *L, holder *h, tl_error *err)
{
    if (h->t) h->w = tl__text_work_new(err);
    return h->w ? 1 : tl__lua_raise(L, err->text);
}

static int tokenizer_open(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    tl_error err = {0};
    holder *h = new_holder(L);
    h->t = tl__tokenizer_open(&err, path);
    return finish(L, h, &err);
}

static int tokenizer_read(lua_State *L)
{
    size_t bytes;
    const char *json = luaL_checklstring(L, 1, &bytes), *name = luaL_checkstring(L, 2);
    tl_error err = {0};
    holder *h = new_holder(L);
    h->t = tl__tokenizer_read(&err, name, json, bytes);
    return finish(L, h, &err);
}

static int tokenizer_size(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    lua_pushinteger(L, tl__tokenizer_size(h->t));
    return 1;
}

static int tokenizer_id(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    int32_t id = tl__tokenizer_id(h->t, luaL_checkstring(L, 2));
    if (id < 0) lua_pushnil(L);
    else lua_pushinteger(L, id);
    return 1;
}

static int32_t id_at(lua_State *L, int index)
{
    lua_Integer id = luaL_checkinteger(L, index);
    return id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
}

static int tokenizer_piece(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    lua_pushstring(L, tl__tokenizer_piece(h->t, id_at(L, 2))); /* NULL: nil */
    return 1;
}

static int tokenizer_is_special(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    lua_pushboolean(L, tl__tokenizer_is_special(h->t, id_at(L, 2)));
    return 1;
}

/* ---- windows ---- */

static void push_numbers(lua_State *L, const char *key, const int32_t *wide, const int8_t *narrow, int64_t n)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(L, wide ? wide[i] : narrow[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, key);
}

static void push_window(lua_State *L, const tl_encoding *e, int64_t at, int64_t n)
{
    lua_createtable(L, 0, 6);
    push_numbers(L, "ids", e->ids + at, NULL, n);
    push_numbers(L, "from", e->from + at, NULL, n);
    push_numbers(L, "to", e->to + at, NULL, n);
    push_numbers(L, "word", e->word + at, NULL, n);
    push_numbers(L, "types", NULL, e->types + at, n);
    push_numbers(L, "sequence", NULL, e->sequence + at, n);
}

static tl_encode_options options_at(lua_State *L, int index)
{
    static const char *const cuts[] = {"longest", "first", "second", NULL};
    tl_encode_options o = {.stride = -1};
    if (lua_isnoneornil(L, index)) return o;
    o.longest = tl__lua_field_integer(L, index, "longest", 0, 1, INT32_MAX);
    o.stride = tl__lua_field_integer(L, index, "stride", -1, 0, INT32_MAX);
    o.plain = tl__lua_field_bool(L, index, "plain", 0);
    const char *cut = tl__lua_field_text(L, index, "cut", "longest");
    while (cuts[o.cut] && strcmp(cuts[o.cut], cut) != 0) o.cut++;
    if (!cuts[o.cut]) tl__lua_unknown(L, "cut", cut, cuts);
    return o;
}

static int tokenizer_encode(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    size_t a_bytes, b_bytes = 0;
    const char *a = luaL_checklstring(L, 2, &a_bytes), *b = luaL_optlstring(L, 3, NULL, &b_bytes);
    tl_encode_options o = options_at(L, 4);
    tl_error err = {0};
    tl_encoding *windows;
    int64_t count;
    if (tl__tokenizer_encode(&err, h->t, h->w, a, a_bytes, b, b_bytes, &o, &windows, &count) != 0)
        tl__lua_raise(L, err.text);
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 0; i < count; i++) {
        push_window(L, &windows[i], 0, windows[i].count);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- many texts ---- */

static int texts_gc(lua_State *L)
{
    tl_text_pair **p = luaL_checkudata(L, 1, TEXTS);
    free(*p);
    *p = NULL;
    return 0;
}

static const char *text_of(lua_State *L, int list, int64_t i, size_t *bytes)
{
    if (lua_rawgeti(L, list, i) != LUA_TSTRING)
        tl__lua_raisef(L, "encode_all: element %lld is a %s, and texts are wanted", (long long)i, luaL_typename(L, -1));
    const char *text = lua_tolstring(L, -1, bytes);
    lua_pop(L, 1); /* the list keeps it */
    return text;
}

/* The texts of one list or two, borrowed from them; pushes what holds the array. */
static const tl_text_pair *pairs_of(lua_State *L, int64_t *count)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    *count = luaL_len(L, 2);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        if (luaL_len(L, 3) != *count)
            tl__lua_raisef(L, "encode_all: %lld texts and %lld others", (long long)*count, (long long)luaL_len(L, 3));
    }
    tl_text_pair **p = lua_newuserdatauv(L, sizeof *p, 0);
    tl_error err = {0};
    *p = NULL;
    luaL_setmetatable(L, TEXTS);
    *p = tl__calloc(&err, (size_t)*count + 1, sizeof **p);
    if (!*p) tl__lua_raise(L, err.text);
    for (int64_t i = 0; i < *count; i++) {
        (*p)[i].a = text_of(L, 2, i + 1, &(*p)[i].a_bytes);
        if (!lua_isnoneornil(L, 3)) (*p)[i].b = text_of(L, 3, i + 1, &(*p)[i].b_bytes);
    }
    return *p;
}

static int tokenizer_encode_all(lua_State *L)
{
    holder *h = luaL_checkudata(L, 1, TOKENIZER);
    int64_t count;
    lua_settop(L, 4);
    tl_encode_options o = options_at(L, 4);
    int threads = lua_isnil(L, 4) ? 0 : (int)tl__lua_field_integer(L, 4, "threads", 0, 0, 64);
    const tl_text_pair *texts = pairs_of(L, &count);
    tl_error err = {0};
    tl_encodings *e = lua_newuserdatauv(L, sizeof *e, 0);
    *e = (tl_encodings){0};
    luaL_setmetatable(L, ENCODINGS);
    if (tl__tokenizer_encode_all(&err, h->t, texts, count, &o, threads, e) != 0) tl__lua_raise(L, err.text);
    return 1;
}

static int encodings_gc(lua_State *L)
{
    tl__encodings_free(luaL_checkudata(L, 1, ENCODINGS));
    return 0;
}

static int encodings_count(lua_State *L)
{
    lua_pushinteger(L, ((tl_encodings *)luaL_checkudata(L, 1, ENCODINGS))->windows);
    return 1;
}

/* The window that the number at `index` names, from 0. */
static int64_t window_at(lua_State *L, const tl_encodings *e, int index)
{
    lua_Integer i = luaL_checkinteger(L, index);
    if (i < 1 || i > e->windows) tl__lua_raisef(L, "window %lld of %lld", (long long)i, (long long)e->windows);
    return i - 1;
}

static int encodings_length(lua_State *L)
{
    const tl_encodings *e = luaL_checkudata(L, 1, ENCODINGS);
    int64_t i = window_at(L, e, 2);
    lua_pushinteger(L, e->offset[i + 1] - e->offset[i]);
    return 1;
}

static int encodings_text(lua_State *L)
{
    const tl_encodings *e = luaL_checkudata(L, 1, ENCODINGS);
    lua_pushinteger(L, e->text[window_at(L, e, 2)] + 1);
    return 1;
}

static int encodings_window(lua_State *L)
{
    const tl_encodings *e = luaL_checkudata(L, 1, ENCODINGS);
    int64_t i = window_at(L, e, 2);
    push_window(L, &e->all, e->offset[i], e->offset[i + 1] - e->offset[i]);
    return 1;
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* Rows as long as the longest; behind the others `pad` stands. */
static int encodings_batch(lua_State *L)
{
    const tl_encodings *e = luaL_checkudata(L, 1, ENCODINGS);
    int32_t pad = id_at(L, 3);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t n = luaL_len(L, 2), most = 1;
    if (n < 1) tl__lua_raise(L, "batch: no windows are named");
    int64_t *which = lua_newuserdatauv(L, (size_t)n * sizeof *which, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, i + 1);
        which[i] = window_at(L, e, -1);
        lua_pop(L, 1);
        int64_t length = e->offset[which[i] + 1] - e->offset[which[i]];
        if (length > most) most = length;
    }
    int32_t *ids = lua_newuserdatauv(L, (size_t)(n * (2 * most + 1)) * sizeof *ids, 0);
    int32_t *types = ids + n * most, *lengths = types + n * most;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = e->offset[which[i]], length = e->offset[which[i] + 1] - at;
        for (int64_t k = 0; k < most; k++) {
            ids[i * most + k] = k < length ? e->all.ids[at + k] : pad;
            types[i * most + k] = k < length ? e->all.types[at + k] : 0;
        }
        lengths[i] = (int32_t)length;
    }
    tl_shape rows = tl__shape(2, (int64_t[]){n, most}), one = tl__shape(1, &n);
    tl__lua_make(L, upload, &rows, TL_I32, ids);
    tl__lua_make(L, upload, &rows, TL_I32, types);
    tl__lua_make(L, upload, &one, TL_I32, lengths);
    return 3;
}

/* ---- models of SentencePiece ---- */

static int model_gc(lua_State *L)
{
    tl__sentencepiece_free(luaL_checkudata(L, 1, MODEL));
    return 0;
}

static void push_pieces(lua_State *L, const Sentencepiece__Model *m)
{
    int n = (int)m->n_pieces;
    lua_createtable(L, n, 0);
    lua_createtable(L, n, 0);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, m->pieces[i]->piece);
        lua_rawseti(L, -4, i + 1);
        lua_pushnumber(L, (double)m->pieces[i]->score);
        lua_rawseti(L, -3, i + 1);
        lua_pushinteger(L, m->pieces[i]->type);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -4, "types");
    lua_setfield(L, -3, "scores");
    lua_setfield(L, -2, "pieces");
}

static int tokenizer_sentencepiece(lua_State *L)
{
    const char *path = tl__lua_path(L, 1);
    tl_error err = {0};
    tl_sentencepiece *s = lua_newuserdatauv(L, sizeof *s, 0);
    *s = (tl_sentencepiece){0};
    luaL_setmetatable(L, MODEL);
    if (tl__sentencepiece_open(&err, path, s) != 0) return tl__lua_raise(L, err.text);
    const Sentencepiece__Trainer *t = s->model->trainer_spec;
    const Sentencepiece__Normalizer *n = s->model->normalizer_spec;
    lua_createtable(L, 0, 16);
    push_pieces(L, s->model);
    tl__lua_set_integer(L, "model_type", t->model_type);
    tl__lua_set_integer(L, "unk_id", t->unk_id);
    tl__lua_set_integer(L, "bos_id", t->bos_id);
    tl__lua_set_integer(L, "eos_id", t->eos_id);
    tl__lua_set_text(L, "unk_piece", t->unk_piece);
    tl__lua_set_text(L, "bos_piece", t->bos_piece);
    tl__lua_set_text(L, "eos_piece", t->eos_piece);
    tl__lua_set_bool(L, "byte_fallback", t->byte_fallback);
    tl__lua_set_bool(L, "treat_whitespace_as_suffix", t->treat_whitespace_as_suffix);
    tl__lua_set_bool(L, "add_dummy_prefix", n->add_dummy_prefix);
    tl__lua_set_bool(L, "remove_extra_whitespaces", n->remove_extra_whitespaces);
    tl__lua_set_bool(L, "escape_whitespaces", n->escape_whitespaces);
    if (n->precompiled_charsmap.len) {
        lua_pushlstring(L, (const char *)n->precompiled_charsmap.data, n->precompiled_charsmap.len);
        lua_setfield(L, -2, "charsmap");
    }
    return 1;
}


tl_encodings *tl__lua_encodings(lua_State *L, int index) { return luaL_checkudata(L, index, ENCODINGS); }

static tl_piece_row row_at(lua_State *L)
{
    const tl_source *s = tl__lua_source(L, 1);
    int64_t i = luaL_checkinteger(L, 2);
    if (i < 1 || i > s->count) tl__lua_raisef(L, "there is no text %lld of %lld", (long long)i, (long long)s->count);
    return tl__source_pieces(s, i - 1);
}

/* source:window(i) -> as a set's, with `text`, the number of its text from 1, and marks and span where there are any;
 * nil of a source that has no texts */
static int source_window(lua_State *L)
{
    tl_piece_row r = row_at(L);
    if (!r.all) return 0;
    push_window(L, r.all, r.at, r.count);
    lua_pushinteger(L, r.text + 1);
    lua_setfield(L, -2, "text");
    if (r.mark) push_numbers(L, "marks", r.mark, NULL, r.count);
    if (r.span) push_numbers(L, "span", r.span, NULL, 2);
    return 1;
}

/* source:length(i) -> how many pieces window i has; source:text_of(i) -> the number of its text, from 1 */
static int source_length(lua_State *L)
{
    lua_pushinteger(L, row_at(L).count);
    return 1;
}

static int source_text_of(lua_State *L)
{
    lua_pushinteger(L, row_at(L).text + 1);
    return 1;
}

void tl__lua_add_pieces(lua_State *L)
{
    static const tl__lua_entry methods[] = {{"window", source_window, 2, NULL}, {"length", source_length, 2, NULL},
                                            {"text_of", source_text_of, 2, NULL}, {NULL, NULL, 0, NULL}};
    tl__lua_functions(L, methods, 1);
}

/* ---- opening ---- */

static void metatable(lua_State *L, const char *name, const tl__lua_entry *methods)
{
    luaL_newmetatable(L, name);
    tl__lua_functions(L, methods, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

void tl__lua_open_tokenizer(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"open", tokenizer_open, 1, NULL},
        {"read", tokenizer_read, 2, NULL},
        {"sentencepiece", tokenizer_sentencepiece, 1, NULL},
        {NULL, NULL, 0, NULL}};
    static const tl__lua_entry methods[] = {
        {"encode", tokenizer_encode, 4, "longest cut stride plain"},
        {"encode_all", tokenizer_encode_all, 4, "longest cut stride plain threads"},
        {"size", tokenizer_size, 1, NULL},
        {"id", tokenizer_id, 2, NULL},
        {"piece", tokenizer_piece, 2, NULL},
        {"is_special", tokenizer_is_special, 2, NULL},
        {"__gc", holder_gc, TL__ANY, NULL},
        {NULL, NULL, 0, NULL}};
    static const tl__lua_entry sets[] = {
        {"count", encodings_count, 1, NULL},   {"length", encodings_length, 2, NULL},
        {"text", encodings_text, 2, NULL},     {"window", encodings_window, 2, NULL},
        {"batch", encodings_batch, 3, NULL},   {"__gc", encodings_gc, TL__ANY, NULL},
        {NULL, NULL, 0, NULL}};
    static const tl__lua_entry lists[] = {{"__gc", texts_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    metatable(L, TOKENIZER, methods);
    metatable(L, ENCODINGS, sets);
    static const tl__lua_entry models[] = {{"__gc", model_gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    metatable(L, TEXTS, lists);
    metatable(L, MODEL, models);
    lua_newtable(L);
    tl__lua_functions(L, functions, 0);
    lua_setfield(L, -2, "tokenizer");
}
