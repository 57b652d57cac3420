/* packed.c - texts that go with a network in its file, as tensors of bytes: core.pack(text) -> uint8 (N);
 * core.unpack(tensor, name) -> text. */
#include "lua/binding.h"

#include "text/packed.h"

#include <stdlib.h>
#include <string.h>

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

/* Memory of the core's as a userdata's, which the collector frees; pushed. */
static void *kept(lua_State *L, const tl_error *err, void *memory, size_t bytes)
{
    if (!memory) tl__lua_raise(L, err->text);
    void *own = lua_newuserdatauv(L, bytes + 1, 0); /* an error here leaks what ends with it: memory is short */
    memcpy(own, memory, bytes);
    free(memory);
    return own;
}

static int pack(lua_State *L)
{
    size_t bytes, packed = 0;
    const char *text = luaL_checklstring(L, 1, &bytes);
    tl_error err = {0};
    uint8_t *memory = tl__text_pack(&err, text, bytes, &packed);
    const void *own = kept(L, &err, memory, packed);
    tl_shape shape = {1, {(int64_t)packed}};
    return tl__lua_make(L, upload, &shape, TL_U8, own);
}

static int unpack(lua_State *L)
{
    tl_tensor *t = tl__lua_tensor(L, 1);
    const char *name = luaL_checkstring(L, 2);
    if (t->dtype != TL_U8 || t->shape.rank != 1)
        return tl__lua_raisef(L, "%s is damaged: packed text is a row of bytes", name);
    size_t bytes = 0;
    tl_error err = {0};
    const uint8_t *packed = tl__lua_values(L, t);
    char *text = tl__text_unpack(&err, name, packed, (size_t)t->shape.dim[0], &bytes);
    const void *own = kept(L, &err, text, bytes);
    lua_pushlstring(L, own, bytes);
    return 1;
}

void tl__lua_open_packed(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"pack", pack, 1, NULL}, {"unpack", unpack, 2, NULL}, {NULL, NULL, 0, NULL}};
    tl__lua_functions(L, functions, 0);
}
