/* onnx.h - .onnx files as they stand: nodes, attributes, tensors; what they mean is the reader's in Lua. The file is
 * mapped, and numbers stay where they lie in it. Everything in it comes from a stranger: it is checked as a whole when
 * it is opened, each failure is one line that begins with the path. The structures are protobuf-c's of onnx.proto
 * (Debian's libonnx-dev), unpacked by io/protobuf.c. */
#ifndef TLUA_ONNX_H
#define TLUA_ONNX_H

#include "base/base.h"
#include "io/protobuf.h"

#include <onnx.pb-c.h>

enum { TL__ONNX_GRAPHS = 32 }; /* as deep may graphs lie within graphs */

typedef struct tl_onnx {
    const Onnx__ModelProto *model; /* with a graph */
    struct tl_onnx_private *own;
} tl_onnx;

/* The type of a tensor's elements. Kinds: 'f' floats, 'i' integers, 'u' without a sign, 'b' bool, 's' strings, 'c'
 * complex, 0 unknown. */
typedef struct tl_onnx_type {
    const char *name;
    int bits; /* of an element where it is packed */
    char kind;
} tl_onnx_type;
/* NULL for a number that is none of them. */
const tl_onnx_type *tl__onnx_type(int32_t data_type);

/* A tensor's numbers. */
typedef struct tl_onnx_values {
    const Onnx__TensorProto *t;
    const tl_onnx_type *type;
    int64_t count;
    const uint8_t *raw; /* the first, little-endian, at any address; NULL for strings, which are `t->string_data` */
    size_t stride; /* bytes from one to the next; of those smaller than a byte, from one byte to the next */
    size_t bytes; /* all of them when packed */
} tl_onnx_values;

/* NULL on failure. Files beside it that hold its numbers are mapped too: they must lie in its folder. */
tl_onnx *tl__onnx_open(tl_error *err, const char *path);
/* The same from memory, which must outlive it; `path` is for messages, and says where numbers outside it lie. */
tl_onnx *tl__onnx_open_memory(tl_error *err, const char *path, const void *data, size_t bytes);
void tl__onnx_free(tl_onnx *o); /* NULL is allowed */

/* Where the numbers of one of its tensors are. That there are as many as its shape says was checked. 0 or -1. */
int tl__onnx_values(tl_error *err, const tl_onnx *o, const Onnx__TensorProto *t, tl_onnx_values *v);
/* Number i of floats, and of all else that counts. */
double tl__onnx_float(const tl_onnx_values *v, int64_t i);
int64_t tl__onnx_integer(const tl_onnx_values *v, int64_t i);
/* All of them as float32 (from any number), or int32 (integers and bools; fails where one does not fit). 0 or -1. */
int tl__onnx_to_f32(tl_error *err, const tl_onnx_values *v, float *out);
int tl__onnx_to_i32(tl_error *err, const tl_onnx_values *v, int32_t *out);
/* The number of the type of that name; 0 where there is none. */
int32_t tl__onnx_type_number(const char *name);
/* Writes a model, whole or not at all: what protobuf-c packs goes to the file as it comes. 0 or -1. */
int tl__onnx_write(tl_error *err, const char *path, const Onnx__ModelProto *m);
/* What newer files say that onnx.proto does not know: the fields of number `tag` that are messages of `kind`, unpacked.
 * NULL behind the last, as for i = 0, 1, ..., or with an error. */
const ProtobufCMessage *tl__onnx_newer(tl_error *err, tl_onnx *o, const ProtobufCMessage *m, uint32_t tag, int i,
                                       const ProtobufCMessageDescriptor *kind);

#endif
