/* sample.c - building the samples that operators bring for their tests. */
#include "op/op.h"

tl_sample tl__sample(const tl_op *op)
{
    tl_sample s = {.op = op};
    tl__attr_defaults(op, s.attr);
    return s;
}

void tl__sample_input(tl_sample *s, int rank, const int64_t *dims, double low, double high)
{
    if (s->n_in == TL_MAX_INPUTS) return;
    s->in[s->n_in].shape = tl__shape(rank, dims);
    s->in[s->n_in].low = low;
    s->in[s->n_in].high = high;
    s->n_in++;
}

void tl__sample_absent(tl_sample *s)
{
    if (s->n_in < TL_MAX_INPUTS) s->in[s->n_in++].absent = 1;
}
