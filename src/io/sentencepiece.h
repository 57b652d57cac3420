/* sentencepiece.h - a .model file of SentencePiece as it stands: pieces with their scores and how texts are made ready.
 * What is done with them is said by a tokenizer.json that Lua makes of it (lua/tlua/data/texts/forms). The structures
 * are protobuf-c's of sentencepiece.proto, unpacked by io/protobuf.c: the file comes from a stranger. */
#ifndef TLUA_SENTENCEPIECE_H
#define TLUA_SENTENCEPIECE_H

#include "base/base.h"
#include "io/protobuf.h"

#include <sentencepiece.pb-c.h>

enum { TL_PIECE_NORMAL = 1, TL_PIECE_UNKNOWN, TL_PIECE_CONTROL, TL_PIECE_USER, TL_PIECE_UNUSED, TL_PIECE_BYTE };

typedef struct tl_sentencepiece {
    const Sentencepiece__Model *model; /* with pieces, a trainer_spec and a normalizer_spec */
    tl_unpacking memory;
    void *data;
} tl_sentencepiece;

/* Each piece has a text and a finite score; the number of the unknown one is a piece's. 0; -1 with an error that begins
 * with `name`. Zero it before; freed with tl__sentencepiece_free in any case. */
int tl__sentencepiece_open(tl_error *err, const char *path, tl_sentencepiece *out);
int tl__sentencepiece_read(tl_error *err, const char *name, const uint8_t *data, size_t bytes, tl_sentencepiece *out);
void tl__sentencepiece_free(tl_sentencepiece *m);

#endif
