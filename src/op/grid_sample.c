/* grid_sample.c - pictures read at the places of a grid (spatial transformers, deformable attention). */
#include "op/op.h"

static const tl_program program = {"grid_sample", NULL};
enum { X, GRID };
enum { MODE, PADDING, ALIGN };
static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
extern const tl_op tl__op_grid_sample;

/* cl/grid_sample.cl has the same struct. */
typedef struct grid_args {
    int64_t in[3], places;
    int64_t channels, part;
    int32_t axes, mode, padding, corners;
} grid_args;

static int geometry(tl_error *err, const tl_call *c, grid_args *a)
{
    const tl_shape *x = &c->in_meta[X].shape, *grid = &c->in_meta[GRID].shape;
    char one[TL__SHAPE_TEXT], two[TL__SHAPE_TEXT];
    int axes = x->rank - 2;
    if ((axes != 2 && axes != 3) || grid->rank != x->rank || grid->dim[grid->rank - 1] != axes ||
        grid->dim[0] != x->dim[0])
        return tl__op_fail(
            err, c, TL_ESHAPE, "pictures (N, H, W, C) or volumes and a grid (N, ..., %d) are needed, not %s and %s",
            axes == 3 ? 3 : 2, tl__shape_text(x, one, sizeof one), tl__shape_text(grid, two, sizeof two));
    *a = (grid_args){.in = {1, 1, 1},
                     .places = 1,
                     .channels = x->dim[x->rank - 1],
                     .axes = axes,
                     .mode = (int32_t)c->attr[MODE].i,
                     .padding = (int32_t)c->attr[PADDING].i,
                     .corners = c->attr[ALIGN].i != 0};
    for (int i = 0; i < axes; i++) {
        a->in[3 - axes + i] = x->dim[1 + i];
        a->places *= grid->dim[1 + i];
        if (x->dim[1 + i] < 1)
            return tl__op_fail(err, c, TL_ESHAPE, "%s has no pixels", tl__shape_text(x, one, sizeof one));
    }
    return 0;
}

static int grid_infer(tl_error *err, tl_call *c)
{
    grid_args a;
    if (geometry(err, c, &a) != 0) return -1;
    tl_shape y = c->in_meta[GRID].shape;
    y.dim[y.rank - 1] = a.channels;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){y, TL_F32};
    return 0;
}

static int grid_forward(tl_scope *s, const tl_call *c)
{
    grid_args a;
    if (geometry(&s->err, c, &a) != 0) return -1;
    tl_launch l = tl__launch_of_channels(s, &program, "grid_sample", a.channels,
                                         c->in_meta[X].shape.dim[0] * a.places, &a.part);
    return TL__LAUNCH(&s->err, s->device, &l, "grid_sample", TL_KDATA(&a), TL_KT(c->in[X]), TL_KT(c->in[GRID]),
                      TL_KT(c->out[0]));
}

static void grid_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    grid_args a;
    const tl_shape *x = &c->in_meta[X].shape, *grid = &c->in_meta[GRID].shape;
    tl_tensor *g = tl__packed(s, gy[0]);
    if (!g || geometry(&s->err, c, &a) != 0) return;
    if (c->needs[X]) {
        tl_tensor *dx = tl_full(s, TL_F32, x->rank, x->dim, 0);
        tl_launch l = tl__launch_of_channels(s, &program, "grid_sample_dx", a.channels, x->dim[0], &a.part);
        if (!dx || TL__LAUNCH(&s->err, s->device, &l, "grid_sample", TL_KDATA(&a), TL_KT(c->in[GRID]), TL_KT(g),
                              TL_KT(dx)) != 0)
            return;
        gx[X] = dx;
    }
    if (!c->needs[GRID]) return;
    tl_tensor *dgrid = tl_empty(s, TL_F32, grid->rank, grid->dim);
    tl_launch l = tl__launch_of_channels(s, &program, "grid_sample_dgrid", a.channels, x->dim[0] * a.places, &a.part);
    l.global[0] = 1;
    if (dgrid && TL__LAUNCH(&s->err, s->device, &l, "grid_sample", TL_KDATA(&a), TL_KT(c->in[X]), TL_KT(c->in[GRID]),
                            TL_KT(g), TL_KT(dgrid)) == 0)
        gx[GRID] = dgrid;
}

static unsigned grid_saves(const tl_call *c) { return TL_SAVE_IN(GRID) | (c->needs[GRID] ? TL_SAVE_IN(X) : 0); }

static void grid_samples(tl_sampler *to)
{
    static const struct { int64_t x[5], grid[5]; int rank; } shapes[] = {
        {{2, 4, 5, 3}, {2, 3, 2, 2}, 4}, {{1, 5, 3, 17}, {1, 2, 4, 2}, 4}, {{1, 3, 4, 3, 2}, {1, 2, 2, 3, 3}, 5}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int mode = 0; mode < (i == 2 ? 2 : 3); mode++)
            for (int padding = 0; padding < 3; padding++) {
                tl_sample v = tl__sample(&tl__op_grid_sample);
                tl__sample_input(&v, shapes[i].rank, shapes[i].x, -1, 1);
                tl__sample_input(&v, shapes[i].rank, shapes[i].grid, mode == 1 ? -1.36 : -1.4, 1.4);
                v.attr[MODE].i = mode;
                v.attr[PADDING].i = padding;
                v.attr[ALIGN].i = (mode + padding + (int)i) % 2;
                to->take(to, &v);
            }
}

const tl_op tl__op_grid_sample = {
    .name = "grid_sample",
    .brief = "`x` (N, ..., C), pictures or volumes, at the places of `grid` (N, ..., 2 or 3): numbers from -1 to 1 "
             "over each "
             "dimension, the last one (the width) first.",
    .inputs = {"x", "grid"},
    .attrs = {TL_CHOICE("mode", modes, "between pixels"), TL_CHOICE("padding", paddings, "what lies outside"),
              TL_BOOL_("align_corners", 0, "-1 and 1 are the centres of the corner pixels, instead of their edges")},
    .infer = grid_infer,
    .forward = grid_forward,
    .vjp = grid_vjp,
    .saves_for = grid_saves,
    .torch = "grid_sample(x, grid, mode, padding, align_corners)",
    .samples = grid_samples,
};

tl_tensor *tl_grid_sample(tl_scope *s, tl_tensor *x, tl_tensor *grid, int nearest, int align_corners)
{
    tl_value a[TL_MAX_ATTRS] = {{.i = nearest != 0}, {.i = 0}, {.i = align_corners != 0}};
    return tl__apply(s, &tl__op_grid_sample, (tl_tensor *[]){x, grid}, 2, a, NULL);
}
