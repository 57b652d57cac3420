/* sentencepiece.c - .model files of SentencePiece: what is read has texts and scores throughout. */
#include "fuzz.h"
#include "base/text.h"
#include "io/sentencepiece.h"

#include <math.h>

static volatile size_t sum;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_error err = {0};
    tl_sentencepiece m = {0};
    if (tl__sentencepiece_read(&err, "f", copy, bytes, &m) == 0) {
        const Sentencepiece__Trainer *t = m.model->trainer_spec;
        const Sentencepiece__Normalizer *n = m.model->normalizer_spec;
        for (size_t i = 0; i < m.model->n_pieces; i++) {
            const Sentencepiece__Piece *p = m.model->pieces[i];
            never(!isfinite(p->score) || !*p->piece || !tl__utf8_valid(p->piece, strlen(p->piece)));
        }
        never((size_t)t->unk_id >= m.model->n_pieces);
        sum += strlen(t->unk_piece) + strlen(t->bos_piece) + strlen(t->eos_piece) + (size_t)n->add_dummy_prefix;
        for (size_t i = 0; i < n->precompiled_charsmap.len; i++) sum += n->precompiled_charsmap.data[i];
    } else {
        check_error(&err, "f: ");
    }
    tl__sentencepiece_free(&m);
    free(copy);
    return 0;
}
