/* onnx.h - what reading and writing of .onnx files share in Lua. */
#ifndef TLUA_LUA_ONNX_H
#define TLUA_LUA_ONNX_H

#include "io/onnx.h"
#include "lua/binding.h"

#define CONSTANT "tlua.onnx.tensor"

/* A tensor of a file, which is the userdata's user value. */
typedef struct constant {
    const tl_onnx *o;
    const Onnx__TensorProto *t;
    const char *path; /* a text that the file's userdata keeps as its user value */
} constant;

/* Adds core.onnx_write to the table on top. */
void tl__lua_open_onnx_write(lua_State *L);

#endif
