/* conv_narrow.c - the maker for volumes with few channels on CPU devices, and its gradient towards the weights:
 * cl/cpu/conv_narrow.cl. Decided here: the register tile and the rows of a group, by the shape and the device alone, so
 * that the bits are the same every time. */
#include "op/conv.h"

static const tl_program program = {"cpu/conv_narrow", NULL};

/* cl/cpu/conv_narrow.cl has the same struct. */
typedef struct narrow_args {
    tl_conv_args g;
    int64_t rows[2], apart[2], slots[2], groups[2];
    int64_t tw, sub, line, parts;
} narrow_args;

static int64_t over(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Channels and vectors of pixels of a register tile: 32 registers of 16 floats leave room for 24 sums, 16 for 10. */
typedef struct tile { int64_t channels, vectors; } tile;

static tile tile_of(const tl_device *d, const tl_conv_shape *g)
{
    enum { WIDEST = 6 };
    int many = d->traits.vector_width == 16;
    tile t = {.channels = over(g->co, over(g->co, many ? 8 : 5))};
    int64_t all = over(g->out[2], d->traits.vector_width), most = (many ? 24 : 10) / t.channels;
    t.vectors = over(all, over(all, smaller(most, WIDEST)));
    return t;
}

/* ---- the rows of a group ---- */

static int64_t planes_bytes(const narrow_args *a)
{
    return a->slots[0] * a->slots[1] * a->g.ci * a->line * 4;
}

/* Of the planes of one output row; or, of a gradient, of all. */
static int64_t results_bytes(const narrow_args *a, const tile *t, int gradient)
{
    return (gradient ? a->rows[0] * a->rows[1] * a->g.co : a->parts * t->channels) * a->tw * 4;
}

static void set_rows(narrow_args *a, const tl_conv_shape *g, int axis, int64_t most)
{
    a->apart[axis] = g->stride[axis] == 1 ? smaller(g->dilation[axis], g->out[axis]) : 1;
    a->rows[axis] = smaller(most, over(g->out[axis], a->apart[axis]));
    a->slots[axis] = (a->rows[axis] - 1) * g->stride[axis] + g->kernel[axis];
    a->groups[axis] = a->apart[axis] * over(over(g->out[axis], a->apart[axis]), a->rows[axis]);
}

/* As many rows as the cache of a core has room for beside what else is read, if that leaves groups enough. */
static narrow_args args_of(const tl_device *d, const tl_conv_shape *g, const tl_conv_job *j, const tile *t)
{
    static const int64_t sizes[][2] = {{8, 8}, {4, 8}, {4, 4}, {2, 4}, {2, 2}, {1, 2}, {1, 1}};
    enum { LONGEST = 128, ROOM = 512 << 10 };
    const tl_conv_job bare = {.g = *g};
    narrow_args a = {.g = tl__conv_args(d, j ? j : &bare), .parts = over(g->co, t->channels)};
    int64_t v = d->traits.vector_width, step = t->vectors * v, room = smaller((int64_t)d->traits.local_bytes, ROOM);
    /* A row is one piece or several equal ones. */
    int64_t tiles = over(g->out[2], step), pieces = over(tiles * step, LONGEST);
    a.tw = over(tiles, pieces) * step;
    a.sub = over(a.tw + (g->kernel[2] - 1) * g->dilation[2] / g->stride[2] + 1, v) * v;
    a.line = a.sub * g->stride[2] + v; /* not a power of two, so that channels fall into different sets of the cache */
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int i = 0; i < 2; i++) set_rows(&a, g, i, sizes[k][i]);
        int64_t groups = g->n * over(g->out[2], a.tw) * a.groups[0] * a.groups[1];
        if (planes_bytes(&a) + results_bytes(&a, t, !j) <= room && groups >= 4 * d->traits.compute_units) break;
    }
    return a;
}

static int fits(const tl_device *d, const tl_conv_shape *g, const tl_conv_job *j)
{
    enum { WIDEST = 7 };
    if (!tl__conv_tile(d) || g->groups != 1 || g->co < 1 || g->ci < 1 || g->kernel[2] > WIDEST) return 0;
    /* Rows that share inputs have no simple order where there are both. */
    for (int i = 0; i < 3; i++)
        if (g->stride[i] != 1 && g->dilation[i] != 1) return 0;
    tile t = tile_of(d, g);
    narrow_args a = args_of(d, g, j, &t);
    return planes_bytes(&a) + results_bytes(&a, &t, !j) <= (int64_t)d->traits.local_bytes;
}

/* Where vectors of channels would be partly empty. */
static int is_narrow(const tl_device *d, const tl_conv_shape *g)
{
    enum { MOST = 64 };
    int64_t v = d->traits.vector_width;
    int volume = g->spatial == 3 && (g->in[0] > 1 || g->kernel[0] > 1);
    return volume && g->taps > 1 && (g->ci % v || g->co % v) && g->ci <= MOST && g->co <= MOST;
}

int tl__conv_narrow_needs(const tl_device *d, const tl_conv_job *j) { return fits(d, &j->g, j); }
int tl__conv_narrow_suits(const tl_device *d, const tl_conv_job *j) { return is_narrow(d, &j->g); }

/* ---- launches ---- */

static void options_of(const tl_conv_shape *g, const tile *t, char *options, size_t size)
{
    snprintf(options, size, "-DOT=%d -DWT=%d -DKW=%d", (int)t->channels, (int)t->vectors, (int)g->kernel[2]);
}

static tl_launch launch_of(const narrow_args *a, const char *kernel, const char *options)
{
    size_t wide = (size_t)over(a->g.out[2], a->tw), deep = (size_t)(a->g.n * a->groups[0]);
    return (tl_launch){.program = &program, .options = options, .kernel = kernel, .dims = 3,
                       .global = {wide, (size_t)a->groups[1], deep}, .local = {1, 1, 1}};
}

static int64_t weights_of(const narrow_args *a, const tile *t, const tl_conv_shape *g)
{
    return a->parts * t->channels * g->taps * g->ci;
}

static int fill_weights(tl_scope *s, const tl_conv_job *j, tl_buffer *p)
{
    tile t = tile_of(s->device, &j->g);
    narrow_args a = args_of(s->device, &j->g, j, &t);
    char options[64];
    options_of(&j->g, &t, options, sizeof options);
    tl_launch l = {.program = &program, .options = options, .kernel = "narrow_weights", .dims = 1,
                   .global = {(size_t)weights_of(&a, &t, &j->g)}};
    return TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KBUF(j->w->buffer),
                      TL_KL(j->w->offset + j->stride.at), TL_KBUF(p));
}

int tl__conv_narrow(tl_scope *s, const tl_conv_job *j)
{
    tile t = tile_of(s->device, &j->g);
    narrow_args a = args_of(s->device, &j->g, j, &t);
    char options[64];
    options_of(&j->g, &t, options, sizeof options);
    tl_buffer *p = tl__conv_derived(s, j, 0x6e617277, t.channels, weights_of(&a, &t, &j->g), fill_weights);
    if (!p) return -1;
    tl_launch l = launch_of(&a, "conv_narrow", options);
    int status = TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(j->x), TL_KL(tl__numel(&j->x->shape)),
                            TL_KBUF(p), TL_KT(j->bias), TL_KT(j->residual), TL_KT(j->y),
                            TL_KLOCAL((size_t)planes_bytes(&a)), TL_KLOCAL((size_t)results_bytes(&a, &t, 0)));
    tl__buffer_release(p);
    return status;
}

int tl__conv_narrow_weight_needs(const tl_device *d, const tl_conv_shape *g)
{
    return is_narrow(d, g) && fits(d, g, NULL);
}

tl_tensor *tl__conv_narrow_weight(tl_scope *s, const tl_conv_shape *g, tl_tensor *gy, tl_tensor *x, const tl_shape *w)
{
    tile t = tile_of(s->device, g);
    narrow_args a = args_of(s->device, g, NULL, &t);
    char options[64];
    options_of(g, &t, options, sizeof options);
    tl_launch l = launch_of(&a, "narrow_weight", options);
    int64_t groups = (int64_t)(l.global[0] * l.global[1] * l.global[2]);
    tl_tensor *p = tl_empty(s, TL_F32, 2, (int64_t[]){groups, weights_of(&a, &t, g)});
    tl_tensor *dw = tl_empty(s, TL_F32, w->rank, w->dim);
    if (!p || !dw) return NULL;
    if (TL__LAUNCH(&s->err, s->device, &l, "conv", TL_KDATA(&a), TL_KT(gy), TL_KT(x), TL_KL(tl__numel(&x->shape)),
                   TL_KBUF(p->buffer), TL_KLOCAL((size_t)planes_bytes(&a)),
                   TL_KLOCAL((size_t)results_bytes(&a, &t, 1))) != 0)
        return NULL;
    tl_launch sum = {.program = &program, .options = options, .kernel = "narrow_weight_sum", .dims = 1,
                     .global = {(size_t)tl__numel(w)}};
    int status = TL__LAUNCH(&s->err, s->device, &sum, "conv", TL_KDATA(&a), TL_KBUF(p->buffer), TL_KBUF(dw->buffer),
                            TL_KL(groups));
    return status == 0 ? dw : NULL;
}
