/* packed.c - texts that go with a network in its file, as tensors of bytes: core.pack(text) -> uint8 (N), the text's
 * length in 8 bytes, lowest first, and the text as zlib packs it; core.unpack(tensor, name) -> text. */
#include "lua/binding.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define MOST ((uint64_t)1 << 30) /* of a text that a file claims to hold */

enum { HEAD = 8 };

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

static int pack(lua_State *L)
{
    size_t bytes;
    const char *text = luaL_checklstring(L, 1, &bytes);
    if (bytes > MOST) return tl__lua_raise(L, "pack: a text of more than 1 GiB");
    uLongf room = compressBound((uLong)bytes);
    uint8_t *data = lua_newuserdatauv(L, HEAD + room, 0);
    for (int i = 0; i < HEAD; i++) data[i] = (uint8_t)((uint64_t)bytes >> (8 * i));
    if (compress2(data + HEAD, &room, (const Bytef *)text, (uLong)bytes, 6) != Z_OK)
        return tl__lua_raise(L, "pack: no memory");
    tl_shape shape = {1, {(int64_t)(HEAD + room)}};
    return tl__lua_make(L, upload, &shape, TL_U8, data);
}

static int unpack(lua_State *L)
{
    const tl_tensor *t = tl__lua_tensor(L, 1);
    const char *name = luaL_checkstring(L, 2);
    if (t->dtype != TL_U8 || t->shape.rank != 1 || t->shape.dim[0] < HEAD)
        return tl__lua_raisef(L, "%s is damaged: packed text is a row of bytes", name);
    const uint8_t *data = tl__lua_values(L, tl__lua_tensor(L, 1));
    uint64_t bytes = 0;
    for (int i = 0; i < HEAD; i++) bytes |= (uint64_t)data[i] << (8 * i);
    /* Deflate makes nothing smaller than a thousandth: a length beyond that is a lie, and no memory is asked for it. */
    if (bytes > MOST || bytes / 1100 > (uint64_t)t->shape.dim[0])
        return tl__lua_raisef(L, "%s is damaged: it announces a text of %llu bytes", name, (unsigned long long)bytes);
    luaL_Buffer b;
    char *to = luaL_buffinitsize(L, &b, (size_t)bytes + 1);
    uLongf room = (uLongf)bytes;
    if (uncompress((Bytef *)to, &room, data + HEAD, (uLong)t->shape.dim[0] - HEAD) != Z_OK || room != bytes)
        return tl__lua_raisef(L, "%s is damaged: what is packed there cannot be unpacked", name);
    luaL_pushresultsize(&b, (size_t)bytes);
    return 1;
}

void tl__lua_open_packed(lua_State *L)
{
    static const tl__lua_entry functions[] = {
        {"pack", pack, 1, NULL}, {"unpack", unpack, 2, NULL}, {NULL, NULL, 0, NULL}};
    tl__lua_functions(L, functions, 0);
}
