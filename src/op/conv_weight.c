/* conv_weight.c - the gradient towards the weights on CPU devices: launches of cl/cpu/conv_weight.cl. Decided here: how the
 * pixels are split, by the shape and the device's units alone, so that the bits are the same every time. */
#include "op/conv.h"

static const tl_program program = {"cpu/conv_weight", NULL};

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* How a gradient is divided: rows mb by columns nb to a group, `length` pixels to a part, kc of them packed at a time. */
typedef struct division { int64_t mb, nb, parts, length, kc, line; } division;

static division divide(const tl_device *d, const tl_conv_args *a, const tl_conv_tile *t, int64_t groups)
{
    enum { ROWS = 516, COLUMNS = 256, PIXELS = 128 };
    int64_t height = over(a->co, t->mr) * t->mr, width = over(a->k, t->nr) * t->nr, pixels = a->n * a->out[0] * a->out[1] * a->out[2];
    int64_t tiles = height / t->mr, row_blocks = over(tiles, ROWS / t->mr);
    division x = {.mb = over(tiles, row_blocks) * t->mr, .nb = smaller(width, COLUMNS)};
    /* Ragged channels are gathered with all their kernel positions, so all columns go to one group. */
    if (a->ci % t->vector) {
        x.nb = width;
        x.line = width;
    }
    int64_t blocks = over(height, x.mb) * over(width, x.nb) * groups, most = over(pixels, 2 * PIXELS);
    x.parts = smaller(over(8 * d->traits.compute_units, blocks), most);
    x.length = over(pixels, x.parts);
    x.parts = over(pixels, x.length);
    int64_t room = (int64_t)d->traits.local_bytes / 4 - x.line - (x.mb / t->mr + 1) * t->vector;
    x.kc = smaller(smaller(room / (x.mb + x.nb), PIXELS), x.length);
    return x;
}

static tl_conv_args args_of(const tl_device *d, const tl_conv_shape *g)
{
    tl_conv_job j = {.g = *g};
    return tl__conv_args(d, &j);
}

int tl__conv_weight_gradient_needs(const tl_device *d, const tl_conv_shape *g)
{
    const tl_conv_tile *t = tl__conv_tile(d);
    if (!t) return 0;
    tl_conv_args a = args_of(d, g);
    return g->co > 0 && a.k > 0 && a.n * a.out[0] * a.out[1] * a.out[2] > 0 && divide(d, &a, t, g->groups).kc >= 16;
}

tl_tensor *tl__conv_weight_gradient(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w)
{
    const tl_device *d = s->device;
    const tl_conv_tile *t = tl__conv_tile(d);
    tl_conv_args a = args_of(d, g);
    division v = divide(d, &a, t, g->groups);
    char options[64];
    a.mb = v.mb;
    a.nb = v.nb;
    snprintf(options, sizeof options, "-DMR=%d -DNR=%d", t->mr, t->nr);
    int64_t height = over(a.co, t->mr) * t->mr, width = over(a.k, t->nr) * t->nr;
    tl_tensor *p = tl_empty(s, TL_F32, 3, (int64_t[]){g->groups * v.parts, height, width}), *dw = tl_empty(s, TL_F32, w->rank, w->dim);
    if (!p || !dw) return NULL;
    tl_launch l = {.program = &program, .options = options, .kernel = "conv_weight", .dims = 3,
                   .global = {(size_t)over(width, a.nb), (size_t)over(height, a.mb), (size_t)(g->groups * v.parts)}, .local = {1, 1, 1}};
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KBUF(p->buffer), TL_KLOCAL((size_t)(v.mb / t->mr * (v.kc * t->mr + t->vector)) * 4),
                   TL_KLOCAL((size_t)(v.kc * v.nb) * 4), TL_KLOCAL((size_t)(v.line + t->vector) * 4), TL_KL(v.parts), TL_KL(v.length), TL_KL(v.kc)) != 0)
        return NULL;
    tl_launch sum = {.program = &program, .options = options, .kernel = "conv_weight_sum", .dims = 1, .global = {(size_t)g->co}};
    return TL__LAUNCH(&s->err, s->device, &sum, "conv", TL_KDATA(&a), TL_KBUF(p->buffer), TL_KBUF(dw->buffer), TL_KL(v.parts)) == 0 ? dw : NULL;
}
