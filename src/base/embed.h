/* embed.h - files built into the library (tools/embed.c makes the tables). */
#ifndef TLUA_EMBED_H
#define TLUA_EMBED_H
#include <stddef.h>
typedef struct tl_embedded { const char *name, *text; size_t size; } tl_embedded;
extern const tl_embedded tl__kernel_files[];  /* cl/, by file name */
extern const tl_embedded tl__lua_files[];     /* lua/, by path: "tlua/nn/init.lua" */
#endif
