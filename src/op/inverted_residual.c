/* inverted_residual.c - three convolutions as one call of a plan: expansion, depthwise, projection (Sandler et al. 2018), so
 * that the wide middle never leaves the cache. Launches of cl/cpu/inverted_residual.cl where its tiles suit the shape and the
 * batch, else the three one after the other. */
#include "op/activation.h"
#include "op/conv.h"

#include <string.h>

static const tl_program program = {"cpu/inverted_residual", NULL};
enum { EXPAND_STRIDE, EXPAND_PADDING, EXPAND_PADDING_END, EXPAND_ACT, STRIDE, PADDING, PADDING_END, MIDDLE_ACT, ACT };

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* ---- shapes ---- */

static int conv_shape(tl_error *err, const tl_value *attr, const tl_shape *x, const tl_shape *w, tl_conv_shape *g)
{
    tl_meta in[2] = {{*x, TL_F32}, {*w, TL_F32}};
    tl_call conv = {.op = &tl__op_conv, .n_in = 2, .in_meta = in};
    memcpy(conv.attr, attr, sizeof conv.attr);
    return tl__conv_shape(err, &conv, g);
}

static tl_shape shape_after(const tl_conv_shape *g) { return (tl_shape){4, {g->n, g->out[1], g->out[2], g->co}}; }

/* The three convolutions by their own attributes and the inputs' shapes. */
static int three_shapes(tl_error *err, const tl_value *expand, const tl_value *middle, const tl_value *project, const tl_meta *in, tl_conv_shape *g)
{
    const tl_value *attr[3] = {expand, middle, project};
    tl_shape x = in[TL_RESIDUAL_X].shape;
    for (int i = 0; i < 3; i++) {
        if (conv_shape(err, attr[i], &x, &in[TL_RESIDUAL_EXPAND + 2 * i].shape, &g[i]) != 0) return -1;
        x = shape_after(&g[i]);
    }
    return 0;
}

static int shapes(tl_error *err, const tl_call *c, tl_conv_shape *g)
{
    tl_value attr[3][TL_MAX_ATTRS];
    for (int i = 0; i < 3; i++) {
        tl__attr_defaults(&tl__op_conv, attr[i]);
        for (int k = 0; i < 2 && k < 3; k++) attr[i][TL_CONV_STRIDE + k] = c->attr[(i ? STRIDE : EXPAND_STRIDE) + k];
    }
    attr[1][TL_CONV_GROUPS].i = c->in_meta[TL_RESIDUAL_MIDDLE].shape.dim[0];
    return three_shapes(err, attr[0], attr[1], attr[2], c->in_meta, g);
}

static int infer(tl_error *err, tl_call *c)
{
    tl_conv_shape g[3];
    if (shapes(err, c, g) != 0) return -1;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){shape_after(&g[2]), TL_F32};
    return 0;
}

/* Of the three convolutions. */
static double flops(const tl_call *c)
{
    tl_conv_shape g[3];
    tl_error ignored = {0};
    double sum = 0;
    if (shapes(&ignored, c, g) != 0) return 0;
    for (int i = 0; i < 3; i++)
        sum += 2.0 * (double)(g[i].n * tl__conv_pixels_out(&g[i]) * g[i].co) *
               (double)(g[i].taps * g[i].ci / g[i].groups);
    return sum;
}

/* ---- tiles ---- */

/* cl/cpu/inverted_residual.cl has the same struct. */
typedef struct residual_args {
    int64_t out_h, out_w, pad_h, pad_w, band, bands, width, co, wide;
    int32_t expand_bias, middle_bias, bias, residual;
    int32_t expand_act, middle_act, act, unused;
} residual_args;

/* Bytes of a group's local memory. */
typedef struct scratch { size_t panels, lines, e, d, a, bias; } scratch;

static size_t most_needed(const scratch *m) { return m->panels + m->lines + m->e + m->d + m->a + m->bias; }

static scratch scratch_of(const tl_conv_tile *t, const tl_conv_shape *g, const residual_args *a)
{
    int64_t high = (a->band - 1) * g[1].stride[1] + g[1].kernel[1], rows = high < g[1].in[1] ? high : g[1].in[1];
    int64_t k = over(g[0].taps * g[0].ci, t->vector) * t->vector, before = over(rows * g[1].in[2], t->mr) * t->mr, after = over(a->band * a->out_w, t->mr) * t->mr;
    return (scratch){.panels = (size_t)(before * k * 4), .lines = (size_t)tl__conv_lines(t, g[0].ci, k), .e = (size_t)(high * a->width * t->nr * 4),
                     .d = (size_t)(after * t->nr * 4), .a = (size_t)(after * a->wide * 4), .bias = (size_t)(a->wide * 4)};
}

/* How pictures are cut into bands of rows: as few as fit the cache and give every unit work. 0 where rows of the middle would
 * be made twice too often. */
static int divide(const tl_device *d, const tl_conv_shape *g, residual_args *a)
{
    const tl_conv_tile *t = tl__conv_tile(d);
    enum { CACHE = 512 << 10, GROUPS = 4 };
    *a = (residual_args){.out_h = g[1].out[1], .out_w = g[1].out[2], .pad_h = g[1].padding[1], .pad_w = g[1].padding[2], .co = g[2].co,
                         .wide = over(g[2].co, t->vector) * t->vector};
    int64_t right = (a->out_w - 1) * g[1].stride[2] + g[1].kernel[2];
    a->width = a->pad_w + g[1].in[2] > right ? a->pad_w + g[1].in[2] : right;
    for (int64_t cuts = 1; cuts <= a->out_h; cuts++) {
        a->band = over(a->out_h, cuts);
        a->bands = over(a->out_h, a->band);
        if (a->bands != cuts) continue;
        scratch m = scratch_of(t, g, a);
        if (most_needed(&m) > CACHE || most_needed(&m) > d->traits.local_bytes) continue;
        if (g[0].n * a->bands < GROUPS * d->traits.compute_units) continue;
        int64_t twice = (a->bands - 1) * (g[1].kernel[1] - g[1].stride[1]);
        return 4 * twice <= g[1].in[1];
    }
    return 0;
}

/* ---- forward ---- */

typedef struct jobs { tl_conv_job of[3]; } jobs;

static jobs jobs_of(const tl_call *c, const tl_conv_shape *g)
{
    static const int act[3] = {EXPAND_ACT, MIDDLE_ACT, ACT};
    jobs j = {0};
    for (int i = 0; i < 3; i++) {
        j.of[i] = (tl_conv_job){.g = g[i], .bias = c->in[TL_RESIDUAL_EXPAND_BIAS + 2 * i], .act = (tl_act)c->attr[act[i]].i, .keep = 1, .inference = 1};
        tl__conv_plain_weight(&j.of[i], c->in[TL_RESIDUAL_EXPAND + 2 * i]);
    }
    j.of[0].x = c->in[TL_RESIDUAL_X];
    j.of[2].residual = c->n_in > TL_RESIDUAL_RESIDUAL ? c->in[TL_RESIDUAL_RESIDUAL] : NULL;
    j.of[2].y = c->out[0];
    return j;
}

static int apart(tl_scope *s, jobs *j)
{
    for (int i = 0; i < 2; i++) {
        tl_shape y = shape_after(&j->of[i].g);
        j->of[i].y = j->of[i + 1].x = tl_empty(s, TL_F32, y.rank, y.dim);
        if (!j->of[i].y) return -1;
    }
    for (int i = 0; i < 3; i++)
        if (tl__conv_run(s, &j->of[i]) != 0) return -1;
    return 0;
}

static int together(tl_scope *s, const jobs *j, residual_args *a)
{
    const tl_conv_tile *t = tl__conv_tile(s->device);
    const tl_conv_job *expand = &j->of[0], *middle = &j->of[1], *project = &j->of[2];
    tl_conv_shape g[3] = {expand->g, middle->g, project->g};
    scratch m = scratch_of(t, g, a);
    tl_conv_args first = tl__conv_args(s->device, expand);
    char options[96];
    a->expand_bias = expand->bias != NULL;
    a->middle_bias = middle->bias != NULL;
    a->bias = project->bias != NULL;
    a->residual = project->residual != NULL;
    a->expand_act = (int32_t)expand->act;
    a->middle_act = (int32_t)middle->act;
    a->act = (int32_t)project->act;
    snprintf(options, sizeof options, "-DMR=%d -DNR=%d -DKH=%d -DKW=%d -DSTRIDE=%d", t->mr, t->nr, (int)g[1].kernel[1], (int)g[1].kernel[2], (int)g[1].stride[1]);
    tl_launch l = {.program = &program, .options = options, .kernel = "inverted_residual", .dims = 1, .global = {(size_t)(g[0].n * a->bands)}, .local = {1}};
    tl_buffer *p1 = tl__conv_panels(s, expand), *p3 = p1 ? tl__conv_panels(s, project) : NULL;
    tl_tensor *w2 = p3 ? tl__depthwise_by_tap(s, middle) : NULL;
    int status = !w2 ? -1 : TL__LAUNCH(&s->err, s->device, &l, "inverted_residual", TL_KDATA(&first), TL_KDATA(a), TL_KT(expand->x), TL_KBUF(p1), TL_KT(expand->bias), TL_KT(w2),
                                       TL_KT(middle->bias), TL_KBUF(p3), TL_KT(project->bias), TL_KT(project->residual), TL_KT(project->y), TL_KLOCAL(m.panels),
                                       TL_KLOCAL(m.lines), TL_KLOCAL(m.e), TL_KLOCAL(m.d), TL_KLOCAL(m.a), TL_KLOCAL(m.bias));
    if (p1) tl__buffer_release(p1);
    if (p3) tl__buffer_release(p3);
    return status;
}

static int forward(tl_scope *s, const tl_call *c)
{
    tl_conv_shape g[3];
    residual_args a;
    if (shapes(&s->err, c, g) != 0) return -1;
    jobs j = jobs_of(c, g);
    if (tl__numel(&c->out_meta[0].shape) == 0) return 0;
    return divide(s->device, g, &a) ? together(s, &j, &a) : apart(s, &j);
}

/* ---- descriptor ---- */

static int is_plain(tl_act act) { return act == TL_ACT_NONE || act == TL_ACT_RELU || act == TL_ACT_RELU6; }

int tl__inverted_residual_joins(const tl_device *d, const tl_value *expand, const tl_value *middle, const tl_value *project, const tl_meta *in, tl_value *attr)
{
    tl_conv_shape g[3];
    tl_error ignored = {0};
    residual_args a;
    const tl_conv_tile *t = tl__conv_tile(d);
    if (!t || in[TL_RESIDUAL_X].shape.rank != 4 || three_shapes(&ignored, expand, middle, project, in, g) != 0) return 0;
    for (int i = 0; i < 3; i++)
        if (g[i].dilation[1] != 1 || g[i].dilation[2] != 1 || g[i].kernel[0] != 1) return 0;
    if (g[0].groups != 1 || !tl__conv_is_depthwise(&g[1]) || !tl__conv_is_pointwise(&g[2]) || g[1].ci % t->vector) return 0;
    if (g[1].kernel[1] > 5 || g[1].kernel[2] > 5 || g[1].stride[1] != g[1].stride[2]) return 0;
    if (!is_plain((tl_act)expand[TL_CONV_ACTIVATION].i) || !is_plain((tl_act)middle[TL_CONV_ACTIVATION].i) || !is_plain((tl_act)project[TL_CONV_ACTIVATION].i)) return 0;
    tl__attr_defaults(&tl__op_inverted_residual, attr);
    for (int k = 0; k < 3; k++) {
        attr[EXPAND_STRIDE + k] = expand[TL_CONV_STRIDE + k];
        attr[STRIDE + k] = middle[TL_CONV_STRIDE + k];
    }
    attr[EXPAND_ACT] = expand[TL_CONV_ACTIVATION];
    attr[MIDDLE_ACT] = middle[TL_CONV_ACTIVATION];
    attr[ACT] = project[TL_CONV_ACTIVATION];
    return divide(d, g, &a);
}

const tl_op tl__op_inverted_residual = {
    .name = "inverted_residual",
    .brief = "project(depthwise(expand(x))) + residual: three convolutions, each with its bias and activation.",
    .inputs = {"x", "expand", "expand_bias?", "middle", "middle_bias?", "project", "bias?", "residual?"},
    .attrs = {TL_INTS("expand_stride", "of the expansion"), TL_INTS("expand_padding", "of the expansion"), TL_INTS("expand_padding_end", "of the expansion"),
              TL_CHOICE("expand_activation", tl__activations, "behind the expansion"),
              TL_INTS("stride", "of the depthwise convolution"),
              TL_INTS("padding", "of the depthwise convolution"), TL_INTS("padding_end", "of the depthwise convolution"),
              TL_CHOICE("middle_activation", tl__activations, "behind the depthwise convolution"),
              TL_CHOICE("activation", tl__activations, "applied to the sum")},
    .infer = infer, .forward = forward, .flops = flops,
};
