/* inverted_residual.c - three convolutions in one give the bits of the three apart: strides, uneven padding, ragged channels,
 * bands of rows, batches too small for it. */
#include "device_tests.h"
#include "op/conv.h"

#include <string.h>

typedef struct block {
    int n, h, w, ci, middle, co;
    int expand_kernel, expand_stride, kernel, stride, padding, more_at_end;
    int residual;
    tl_act act[3];
    int apart; /* a batch or a picture for which three launches are better */
} block;

static const block blocks[] = {
    {8, 9, 9, 24, 48, 24, 1, 1, 3, 1, 1, 0, 1, {TL_ACT_RELU6, TL_ACT_RELU6, TL_ACT_NONE}, 0},
    {9, 14, 13, 16, 96, 40, 1, 1, 5, 1, 2, 0, 0, {TL_ACT_RELU, TL_ACT_RELU6, TL_ACT_NONE}, 0},
    {8, 12, 12, 16, 32, 5, 1, 1, 3, 2, 0, 1, 0, {TL_ACT_RELU6, TL_ACT_NONE, TL_ACT_RELU}, 0},
    {8, 13, 11, 7, 80, 16, 1, 1, 5, 2, 2, 0, 0, {TL_ACT_NONE, TL_ACT_RELU6, TL_ACT_RELU6}, 0},
    {8, 21, 18, 3, 32, 16, 3, 2, 3, 1, 1, 0, 0, {TL_ACT_RELU6, TL_ACT_RELU6, TL_ACT_NONE}, 0},
    {1, 96, 40, 8, 48, 17, 1, 1, 3, 1, 1, 0, 0, {TL_ACT_RELU6, TL_ACT_RELU6, TL_ACT_NONE}, 0},
    {2, 120, 112, 20, 32, 24, 1, 1, 3, 2, 0, 1, 0, {TL_ACT_RELU6, TL_ACT_RELU6, TL_ACT_NONE}, 0},
    {1, 7, 7, 16, 32, 16, 1, 1, 5, 1, 2, 0, 1, {TL_ACT_RELU6, TL_ACT_RELU6, TL_ACT_NONE}, 1},
};

/* Of a block: inputs as the operator wants them, attributes of the three convolutions. */
typedef struct work { tl_tensor *in[TL_MAX_INPUTS]; tl_conv_options conv[3]; } work;

static tl_tensor *tensor(tl_scope *s, int rank, const int64_t *dims, uint64_t stream)
{
    tl_shape shape = tl__shape(rank, dims);
    float *x = random_floats(tl__numel(&shape), stream);
    tl_tensor *t = tl_from(s, TL_F32, rank, dims, x);
    free(x);
    return t;
}

static work make(tl_scope *s, const block *b)
{
    static const char *const names[] = {"none", "relu", "relu6"};
    int e = b->expand_kernel, k = b->kernel, pad = e / 2;
    int64_t h = (b->h + 2 * pad - e) / b->expand_stride + 1, w = (b->w + 2 * pad - e) / b->expand_stride + 1;
    int64_t oh = (h + 2 * b->padding + b->more_at_end - k) / b->stride + 1, ow = (w + 2 * b->padding + b->more_at_end - k) / b->stride + 1;
    work v = {.in = {tensor(s, 4, (int64_t[]){b->n, b->h, b->w, b->ci}, 1), tensor(s, 4, (int64_t[]){b->middle, b->ci, e, e}, 2), tensor(s, 1, (int64_t[]){b->middle}, 3),
                     tensor(s, 4, (int64_t[]){b->middle, 1, k, k}, 4), tensor(s, 1, (int64_t[]){b->middle}, 5),
                     tensor(s, 4, (int64_t[]){b->co, b->middle, 1, 1}, 6), tensor(s, 1, (int64_t[]){b->co}, 7),
                     b->residual ? tensor(s, 4, (int64_t[]){b->n, oh, ow, b->co}, 8) : NULL}};
    for (int i = 0; i < 2; i++) {
        v.conv[0].stride[i] = b->expand_stride;
        v.conv[0].padding[i] = pad;
        v.conv[1].stride[i] = b->stride;
        v.conv[1].padding[i] = b->padding;
        v.conv[1].more_at_end[i] = b->more_at_end;
    }
    v.conv[1].groups = b->middle;
    for (int i = 0; i < 3; i++) v.conv[i].activation = names[b->act[i]];
    return v;
}

static void conv_attributes(const work *v, int i, const block *b, tl_value *a)
{
    tl__attr_defaults(&tl__op_conv, a);
    for (int k = 0; k < 2; k++) {
        a[TL_CONV_STRIDE].list[k] = v->conv[i].stride[k] ? v->conv[i].stride[k] : 1;
        a[TL_CONV_PADDING].list[k] = v->conv[i].padding[k];
        a[TL_CONV_PADDING_END].list[k] = v->conv[i].padding[k] + v->conv[i].more_at_end[k];
    }
    a[TL_CONV_STRIDE].n = a[TL_CONV_PADDING].n = a[TL_CONV_PADDING_END].n = 2;
    a[TL_CONV_GROUPS].i = i == 1 ? b->middle : 1;
    a[TL_CONV_ACTIVATION].i = (int64_t)b->act[i];
}

static void check(tl_device *d, const block *b, int number)
{
    tl_scope *s = open_scope(d);
    work v = make(s, b);
    tl_tensor *x = v.in[0], **in = v.in;
    for (int i = 0; i < 3; i++) x = tl_conv(s, x, in[1 + 2 * i], in[2 + 2 * i], i == 2 ? in[7] : NULL, &v.conv[i]);
    tl_value three[3][TL_MAX_ATTRS], attr[TL_MAX_ATTRS];
    tl_meta meta[TL_MAX_INPUTS] = {0};
    for (int i = 0; i < 3; i++) conv_attributes(&v, i, b, three[i]);
    for (int i = 0; i < TL_MAX_INPUTS; i++)
        if (in[i]) meta[i] = (tl_meta){in[i]->shape, TL_F32};
    cr_assert(x, "block %d: %s", number, tl_scope_error(s)->text);
    cr_assert_eq(tl__inverted_residual_joins(d, three[0], three[1], three[2], meta, attr), !b->apart, "block %d", number);
    size_t bytes = (size_t)tl_numel(x) * 4;
    char *apart = malloc(bytes), *together = malloc(bytes);
    tl_read(s, x, apart, bytes);
    for (int round = 0; round < 2; round++) {
        long before = d->launches;
        tl_tensor *y = tl__apply(s, &tl__op_inverted_residual, in, TL_MAX_INPUTS, attr, NULL);
        cr_assert(y, "block %d: %s", number, tl_scope_error(s)->text);
        /* Once the weights are packed there is one launch, or three. */
        if (round) cr_expect_eq(d->launches - before, b->apart ? 3 : 1, "block %d: %ld launches", number, d->launches - before);
        memset(together, 255, bytes);
        tl_read(s, y, together, bytes);
        cr_expect(memcmp(apart, together, bytes) == 0, "block %d, vectors of %d: not the same bits", number, d->traits.vector_width);
    }
    free(apart);
    free(together);
    close_scope(s);
}

static void check_all(const char *vector)
{
    tl_device *d = open_device(vector);
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) check(d, &blocks[i], (int)i);
    close_device(d);
}

Test(inverted_residual, vectors_16) { check_all("16"); }
Test(inverted_residual, vectors_8) { check_all("8"); }
Test(inverted_residual, vectors_4) { check_all("4"); }
