/* sentencepiece.c - reading .model files of SentencePiece. */
#include "io/sentencepiece.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PIECES = 1 << 24 };

static int check_piece(tl_error *err, const Sentencepiece__Piece *p, size_t i)
{
    if (!p->piece || !*p->piece) return tl__fail(err, TL_EFORMAT, "piece %zu has no text", i);
    if (!isfinite(p->score)) return tl__fail(err, TL_EFORMAT, "piece %zu, '%.60s', has no finite score", i, p->piece);
    return 0;
}

/* A part that the file leaves out has the values that the format gives it. */
static void *or_usual(tl_error *err, tl_unpacking *u, void *part, const ProtobufCMessageDescriptor *kind)
{
    ProtobufCMessage *m = part ? part : tl__unpacking_take(err, u, kind->sizeof_message);
    if (m && !part) kind->message_init(m);
    return m;
}

static int check(tl_error *err, tl_unpacking *u, Sentencepiece__Model *m)
{
    m->trainer_spec = or_usual(err, u, m->trainer_spec, &sentencepiece__trainer__descriptor);
    m->normalizer_spec = or_usual(err, u, m->normalizer_spec, &sentencepiece__normalizer__descriptor);
    if (!m->trainer_spec || !m->normalizer_spec) return -1;
    if (!m->n_pieces) return tl__fail(err, TL_EFORMAT, "it has no pieces: this is no model of SentencePiece");
    for (size_t i = 0; i < m->n_pieces; i++)
        if (check_piece(err, m->pieces[i], i) != 0) return -1;
    int32_t unknown = m->trainer_spec->unk_id;
    if (unknown < 0 || (size_t)unknown >= m->n_pieces)
        return tl__fail(err, TL_EFORMAT, "its unk_id is %d, and there are %zu pieces", unknown, m->n_pieces);
    return 0;
}

int tl__sentencepiece_read(tl_error *err, const char *name, const uint8_t *data, size_t bytes, tl_sentencepiece *out)
{
    tl_error inner = {0};
    /* A piece takes about 30 times its shortest form on the wire. */
    out->memory = (tl_unpacking){
        .bytes = bytes > SIZE_MAX / 64 ? SIZE_MAX : 64 * bytes + 65536, .messages = MOST_PIECES, .deepest = 2};
    const ProtobufCMessageDescriptor *kind = &sentencepiece__model__descriptor;
    Sentencepiece__Model *m = (Sentencepiece__Model *)tl__unpack_message(&inner, &out->memory, kind, data, bytes);
    if (!m || check(&inner, &out->memory, m) != 0) return tl__fail(err, inner.code, "%s: %s", name, inner.text);
    out->model = m;
    return 0;
}

int tl__sentencepiece_open(tl_error *err, const char *path, tl_sentencepiece *out)
{
    size_t bytes;
    out->data = tl__read_file(err, path, &bytes);
    return out->data ? tl__sentencepiece_read(err, path, out->data, bytes, out) : -1;
}

void tl__sentencepiece_free(tl_sentencepiece *m)
{
    tl__unpacking_free(&m->memory);
    free(m->data);
    *m = (tl_sentencepiece){0};
}
