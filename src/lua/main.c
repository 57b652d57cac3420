/* main.c - the program `tlua`: a Lua with the library embedded. What to do with the arguments is decided in
 * Lua (lua/tlua/command/cli.lua); this file makes the state, the loader of embedded files and the exit status. */
#include "lua/binding.h"

#include "base/embed.h"

#include <string.h>

/* Chunks are named =tlua/..., by which errors tell the library's lines from the user's. Text only: no
 * precompiled code is ever loaded. */
static int load_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    char path[128], init[160], chunk[160];
    size_t n = 0;
    for (; name[n] && n < 100; n++) path[n] = name[n] == '.' ? '/' : name[n];
    path[n] = 0;
    snprintf(init, sizeof init, "%s/init.lua", path);
    strcat(path, ".lua");
    for (const tl_embedded *e = tl__lua_files; e->name; e++)
        if (strcmp(e->name, path) == 0 || strcmp(e->name, init) == 0) {
            snprintf(chunk, sizeof chunk, "=%s", e->name);
            if (luaL_loadbufferx(L, e->text, e->size, chunk, "t") != LUA_OK) return lua_error(L);
            lua_pushstring(L, e->name);
            return 2;
        }
    lua_pushfstring(L, "no embedded file %s", path);
    return 1;
}

/* core.library_files() -> the paths of the embedded files, like "tlua/nn/init.lua" */
static int library_files(lua_State *L)
{
    int n = 0;
    lua_newtable(L);
    for (const tl_embedded *e = tl__lua_files; e->name; e++) {
        lua_pushstring(L, e->name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static int open_core(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, library_files);
    lua_setfield(L, -2, "library_files");
    tl__lua_open_system(L);
    tl__lua_open_json(L);
    tl__lua_open_process(L);
    tl__lua_open_interrupt(L);
    tl__lua_open_lock(L);
    tl__lua_open_serve(L);
    tl__lua_open_line(L);
    tl__lua_open_columns(L);
    tl__lua_open_tensor(L);
    tl__lua_open_look(L);
    tl__lua_open_ops(L);
    tl__lua_open_io(L);
    tl__lua_open_onnx(L);
    tl__lua_open_data(L);
    tl__lua_open_path(L);
    tl__lua_open_sheet(L);
    tl__lua_open_audio(L);
    tl__lua_open_dicom(L);
    tl__lua_open_volume(L);
    tl__lua_open_ctc(L);
    tl__lua_open_tokenizer(L);
    tl__lua_open_packed(L);
    tl__lua_open_surface(L);
    tl__lua_open_roc(L);
    tl__lua_open_detect(L);
    tl__lua_open_xml(L);
    tl__lua_open_features(L);
    tl__lua_open_plan(L);
    tl__lua_open_profile(L);
    tl__lua_open_tune(L);
    tl__lua_open_check(L);
    tl__lua_open_optim(L);
    tl__lua_open_checkpoint(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "tlua.scopes");
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_settable(L, -5);
    }
    lua_pop(L, 1);
    return 1;
}

static int run(lua_State *L)
{
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    luaL_openlibs(L);
    lua_newtable(L); /* metatables and context come first: everything else leans on them */
    tl__lua_open_scope(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "tlua.scopes");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open_core);
    lua_setfield(L, -2, "tlua.core");
    lua_getfield(L, -2, "searchers"); /* ours before the folders': a file named tlua.lua nearby must not stand in for it */
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 2; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushcfunction(L, load_embedded);
    lua_rawseti(L, -2, 2);
    lua_settop(L, 2);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tlua.command.cli");
    lua_call(L, 1, 1);
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_call(L, 1, 1);
    return 1;
}

int main(int argc, char **argv)
{
    tl__lua_begin_process();
    tl__count_axes_from(1);
    lua_State *L = luaL_newstate();
    if (!L) {
        fputs("tlua: no memory\n", stderr);
        return 1;
    }
    lua_gc(L, LUA_GCGEN, 0, 0);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = 1;
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) fprintf(stderr, "tlua: %s\n", lua_tostring(L, -1) ? lua_tostring(L, -1) : "error");
    else status = (int)lua_tointeger(L, -1);
    lua_close(L);
    return status;
}
