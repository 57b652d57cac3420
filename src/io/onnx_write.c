/* onnx_write.c - an .onnx file from the structures of onnx.proto, in one go through a buffer that is the file. */
#include "io/onnx.h"

#include <stdlib.h>

/* What protobuf-c appends to; the first failure is kept, and what comes behind it is dropped. */
typedef struct sink {
    ProtobufCBuffer base;
    tl_atomic_file file;
    tl_error *err;
    int bad;
} sink;

static void append(ProtobufCBuffer *buffer, size_t bytes, const uint8_t *data)
{
    sink *s = (sink *)buffer;
    if (!s->bad) s->bad = tl__atomic_write(s->err, &s->file, data, bytes);
}

int tl__onnx_write(tl_error *err, const char *path, const Onnx__ModelProto *m)
{
    sink s = {.base = {append}, .err = err};
    size_t bytes = onnx__model_proto__get_packed_size(m);
    if (bytes > INT32_MAX)
        return tl__fail(err, TL_EARG, "%s: the model takes %zu bytes, and an .onnx file has 2 GB at most", path, bytes);
    if (tl__atomic_open(err, &s.file, path) != 0) return -1;
    onnx__model_proto__pack_to_buffer(m, &s.base);
    if (!s.bad) return tl__atomic_commit(err, &s.file);
    tl__atomic_abort(&s.file);
    return -1;
}
