/* protobuf.h - messages of Protocol Buffers from a stranger. protobuf-c's own unpacking copies every byte, goes as deep
 * as the file says and asks malloc for each field; this one reads by the same descriptors (what protoc-c makes of a
 * .proto) into the same structures, but leaves fields of bytes where they are, takes all else from a few blocks with a
 * limit, and counts messages and how deep they lie. */
#ifndef TLUA_PROTOBUF_H
#define TLUA_PROTOBUF_H

#include "base/base.h"

#include <protobuf-c/protobuf-c.h>

/* What unpacked messages lie in. Zero all of it but the limits; `messages` is how many more there may be, `bytes` how
 * much more memory. */
typedef struct tl_unpacking {
    struct tl_block *block; /* the newest; each knows the one before */
    size_t bytes;
    long messages;
    int deepest; /* messages within messages */
} tl_unpacking;

/* The message of that kind in `data`, which must outlive it: bytes point into it. Texts are UTF-8 and end with a zero;
 * "doc_string" is passed over. Fields that the descriptor does not know are listed in `unknown_fields` where they have
 * a length, and passed over else. NULL with an error that says what is wrong, without a name of the file. */
ProtobufCMessage *tl__unpack_message(tl_error *err, tl_unpacking *u, const ProtobufCMessageDescriptor *kind,
                                     const uint8_t *data, size_t bytes);
/* Memory of zeros beside the messages, for who makes some; NULL with an error. */
void *tl__unpacking_take(tl_error *err, tl_unpacking *u, size_t bytes);
/* Frees all messages unpacked into it. */
void tl__unpacking_free(tl_unpacking *u);

#endif
