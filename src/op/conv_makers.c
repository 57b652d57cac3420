/* conv_makers.c - the ways to compute a convolution and the choice among them; and the one that is always possible, the
 * matrix product over patches. */
#include "op/conv.h"

#include <stdlib.h>
#include <string.h>

/* ---- weights ---- */

void tl__conv_plain_weight(tl_conv_job *j, tl_tensor *w)
{
    int64_t ig = j->g.ci / j->g.groups;
    j->w = w;
    j->stride.at = 0;
    j->stride.out = ig * j->g.taps;
    j->stride.tap = 1;
    j->stride.in = j->g.taps;
}

/* All 64-bit, so that no padding is compared. */
typedef struct derived_key { int64_t kind, at, out, tap, in, ci, co, groups, taps, detail; } derived_key;

tl_buffer *tl__conv_derived(tl_scope *s, const tl_conv_job *j, uint32_t kind, int64_t detail, int64_t floats, tl_conv_fill *fill)
{
    const tl_conv_shape *g = &j->g;
    const derived_key key = {kind, j->w->offset + j->stride.at, j->stride.out, j->stride.tap, j->stride.in, g->ci, g->co, g->groups, g->taps, detail};
    tl_buffer *b = j->keep ? tl__buffer_find_derived(j->w->buffer, &key, sizeof key) : NULL;
    if (b) {
        tl__buffer_retain(b);
        return b;
    }
    b = tl__buffer_new(&s->err, s->device, (size_t)floats * sizeof(float));
    /* Kept only when it is filled: whoever tries again after a failure must not find what is not there. */
    if (b && (fill(s, j, b) != 0 || (j->keep && tl__buffer_keep_derived(&s->err, j->w->buffer, &key, sizeof key, b) != 0))) {
        tl__buffer_release(b);
        return NULL;
    }
    return b;
}

tl_tensor *tl__conv_on(tl_scope *s, tl_buffer *b, const tl_shape *shape)
{
    int64_t packed[TL_MAX_RANK];
    tl_tensor bare = {.buffer = b, .dtype = TL_F32};
    tl__packed_strides(shape, packed);
    return tl__scope_own(s, tl__tensor_view(&s->err, &bare, shape, packed, 0));
}

/* The weights through their strides as (O, taps, I). */
static tl_tensor *rows_seen(tl_scope *s, const tl_conv_job *j)
{
    int64_t strides[TL_MAX_RANK] = {j->stride.out, j->stride.tap, j->stride.in};
    tl_shape shape = {3, {j->g.co, j->g.taps, j->g.ci / j->g.groups}};
    return tl__scope_own(s, tl__tensor_view(&s->err, j->w, &shape, strides, j->w->offset + j->stride.at));
}

static int fill_rows(tl_scope *s, const tl_conv_job *j, tl_buffer *b)
{
    tl_tensor *seen = rows_seen(s, j), *rows = seen ? tl__conv_on(s, b, &seen->shape) : NULL;
    return rows ? tl__copy_into(s, seen, rows) : -1;
}

tl_tensor *tl__conv_weight_rows(tl_scope *s, const tl_conv_job *j)
{
    tl_tensor *seen = rows_seen(s, j);
    if (!seen || tl__is_packed(seen)) return seen;
    tl_buffer *b = tl__conv_derived(s, j, 0x776f7773, 0, tl_numel(seen), fill_rows);
    tl_tensor *rows = b ? tl__conv_on(s, b, &seen->shape) : NULL;
    if (b) tl__buffer_release(b);
    return rows;
}

/* ---- patches laid out in memory ---- */

static const tl_program program = {"conv_patches", NULL};

/* The geometry as kernels take it. */
typedef struct patches_args {
    int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    int64_t channels, pixel, first, rows;
} patches_args;

static patches_args args_of(const tl_conv_shape *g, int64_t first, int64_t count)
{
    patches_args a = {.channels = g->ci / g->groups, .pixel = g->ci, .first = first, .rows = count * tl__conv_pixels_out(g)};
    memcpy(a.in, g->in, sizeof a.in);
    memcpy(a.out, g->out, sizeof a.out);
    memcpy(a.kernel, g->kernel, sizeof a.kernel);
    memcpy(a.stride, g->stride, sizeof a.stride);
    memcpy(a.padding, g->padding, sizeof a.padding);
    memcpy(a.dilation, g->dilation, sizeof a.dilation);
    return a;
}

int tl__conv_patches(tl_scope *s, const tl_conv_shape *g, tl_tensor *x, int64_t first, int64_t count, int64_t group, tl_tensor *patches)
{
    patches_args a = args_of(g, first, count);
    tl_launch l = {.program = &program, .kernel = "lay_out", .dims = 2, .global = {(size_t)g->taps, (size_t)a.rows}};
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KBUF(x->buffer), TL_KL(x->offset + group * a.channels), TL_KT(patches));
}

int tl__conv_unpatch(tl_scope *s, const tl_conv_shape *g, tl_tensor *patches, int64_t first, int64_t count, int64_t group, tl_tensor *x)
{
    patches_args a = args_of(g, first, count);
    tl_launch l = {.program = &program, .kernel = "gather", .dims = 1, .global = {(size_t)(count * tl__conv_pixels_in(g))}};
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(patches), TL_KBUF(x->buffer), TL_KL(x->offset + group * a.channels));
}

int64_t tl__conv_chunk(const tl_conv_shape *g)
{
    /* 64 MB of patches: enough to fill a device, little beside the activations of a batch. */
    int64_t one = tl__conv_pixels_out(g) * g->taps * (g->ci / g->groups) * 4, n = one > 0 ? ((int64_t)64 << 20) / one : 1;
    return n < 1 ? 1 : n > g->n ? g->n : n;
}

/* ---- the maker that always can: tl__gemm ---- */

static tl_matrix matrix(const tl_tensor *t, int64_t at, int64_t row, int64_t col)
{
    return (tl_matrix){t->buffer, t->offset + at, row, col, 0};
}

static tl_patches patches_of(const tl_conv_shape *g)
{
    tl_patches p = {.channels = g->ci / g->groups, .pixel = g->ci};
    memcpy(p.in, g->in, sizeof p.in);
    memcpy(p.out, g->out, sizeof p.out);
    memcpy(p.kernel, g->kernel, sizeof p.kernel);
    memcpy(p.stride, g->stride, sizeof p.stride);
    memcpy(p.padding, g->padding, sizeof p.padding);
    memcpy(p.dilation, g->dilation, sizeof p.dilation);
    return p;
}

/* Patches in memory, some pictures at a time. */
static int product_in_pieces(tl_scope *s, const tl_conv_job *j, tl_gemm p, int64_t group)
{
    const tl_conv_shape *g = &j->g;
    int64_t pixels = tl__conv_pixels_out(g), step = tl__conv_chunk(g), c_at = p.c.offset, r_at = p.residual.offset;
    tl_tensor *laid = tl_empty(s, TL_F32, 2, (int64_t[]){step * pixels, p.k});
    for (int64_t first = 0; laid && first < g->n; first += step) {
        int64_t count = first + step < g->n ? step : g->n - first;
        if (tl__conv_patches(s, g, j->x, first, count, group, laid) != 0) return -1;
        p.m = count * pixels;
        p.a = matrix(laid, 0, p.k, 1);
        p.c.offset = c_at + first * pixels * g->co;
        p.residual.offset = r_at + first * pixels * g->co;
        if (tl__gemm(&s->err, s->device, &p, "conv") != 0) return -1;
    }
    return laid ? 0 : -1;
}

static int product(tl_scope *s, const tl_conv_job *j)
{
    const tl_conv_shape *g = &j->g;
    int64_t ig = g->ci / g->groups, og = g->co / g->groups, k = g->taps * ig;
    tl_patches patches = patches_of(g);
    /* A single kernel position can be read through its strides, whatever they are. */
    tl_tensor *w = g->taps == 1 ? j->w : tl__conv_weight_rows(s, j);
    int64_t at = g->taps == 1 ? j->stride.at : 0, in = g->taps == 1 ? j->stride.in : 1, out = g->taps == 1 ? j->stride.out : k;
    if (!w) return -1;
    for (int64_t group = 0; group < g->groups; group++) {
        tl_gemm p = {.m = g->n * tl__conv_pixels_out(g), .n = og, .k = k, .batch = 1, .alpha = 1, .a = matrix(j->x, group * ig, g->ci, 1),
                     .b = matrix(w, at + group * og * out, in, out), .c = matrix(j->y, group * og, g->co, 1),
                     .bias = j->bias ? j->bias->buffer : NULL, .bias_offset = j->bias ? j->bias->offset + group * og : 0,
                     .activation = j->act, .constant_b = j->keep};
        if (j->residual) p.residual = matrix(j->residual, group * og, g->co, 1);
        int pointwise = tl__conv_is_pointwise(g), gathers = tl__gemm_takes_patches(s->device);
        if (!pointwise && gathers) p.patches = &patches;
        if ((pointwise || gathers ? tl__gemm(&s->err, s->device, &p, "conv") : product_in_pieces(s, j, p, group)) != 0) return -1;
    }
    return 0;
}

/* ---- the choice ---- */

static int always(const tl_device *d, const tl_conv_job *j)
{
    (void)d;
    (void)j;
    return 1;
}

static const tl_conv_maker makers[] = {
    {"depthwise", tl__conv_depthwise_needs, always, tl__conv_depthwise},
    {"winograd", tl__conv_winograd_needs, tl__conv_winograd_suits, tl__conv_winograd},
    {"narrow", tl__conv_narrow_needs, tl__conv_narrow_suits, tl__conv_narrow},
    {"direct", tl__conv_direct_needs, tl__conv_direct_suits, tl__conv_direct},
    {"winograd_gpu", tl__conv_winograd_gpu_needs, tl__conv_winograd_gpu_suits, tl__conv_winograd_gpu},
    {"gather", tl__conv_gather_needs, tl__conv_gather_suits, tl__conv_gather},
    {"gemm", always, always, product},
    {NULL, NULL, NULL, NULL},
};

const tl_conv_maker *tl__conv_makers(void) { return makers; }

const tl_conv_maker *tl__conv_choose(const tl_device *d, const tl_conv_job *j)
{
    const char *forced = getenv("TLUA_CONV");
    const tl_conv_maker *m = makers;
    if (forced)
        for (const tl_conv_maker *f = makers; f->name; f++)
            if (strcmp(f->name, forced) == 0 && f->needs(d, j)) return f;
    while (!m->needs(d, j) || !m->suits(d, j)) m++;
    return m;
}

int tl__conv_run(tl_scope *s, const tl_conv_job *j)
{
    const char *forced = getenv("TLUA_CONV");
    int known = !forced || !*forced;
    for (const tl_conv_maker *m = makers; m->name && !known; m++) known = strcmp(m->name, forced) == 0;
    if (!known)
        return tl__fail(&s->err, TL_EARG,
                        "TLUA_CONV: no convolution is computed by '%s': depthwise, winograd, narrow, direct, "
                        "winograd_gpu, gather or gemm",
                        forced);
    if (tl__numel(&j->y->shape) == 0) return 0;
    return tl__conv_choose(s->device, j)->run(s, j);
}
