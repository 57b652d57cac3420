/* roi_align.c - means over regions of pictures, for the second stage of detectors. */
#include "op/op.h"

static const tl_program program = {"roi_align", NULL};
enum { X, BOXES, PICTURE };
enum { SIZE, SCALE, POINTS, ALIGNED };
extern const tl_op tl__op_roi_align;

/* cl/roi_align.cl has the same struct. */
typedef struct roi_args {
    int64_t in[2], out[2];
    int64_t channels, part, pictures, regions;
    float scale, offset;
    int32_t points, aligned;
} roi_args;

static int geometry(tl_error *err, const tl_call *c, roi_args *a)
{
    const tl_shape *x = &c->in_meta[X].shape, *boxes = &c->in_meta[BOXES].shape, *of = &c->in_meta[PICTURE].shape;
    const tl_value *size = &c->attr[SIZE];
    char one[TL__SHAPE_TEXT], two[TL__SHAPE_TEXT];
    if (x->rank != 4 || boxes->rank != 2 || boxes->dim[1] != 4 || of->rank != 1 || of->dim[0] != boxes->dim[0])
        return tl__op_fail(err, c, TL_ESHAPE,
                           "pictures (N, H, W, C), boxes (R, 4) and a picture for each are needed, not %s and %s",
                           tl__shape_text(x, one, sizeof one), tl__shape_text(boxes, two, sizeof two));
    if (size->n < 1 || size->n > 2) return tl__op_fail(err, c, TL_EARG, "size must be one number or two");
    *a = (roi_args){.in = {x->dim[1], x->dim[2]},
                    .out = {size->list[0], size->list[size->n - 1]},
                    .channels = x->dim[3],
                    .pictures = x->dim[0],
                    .regions = boxes->dim[0],
                    .scale = (float)c->attr[SCALE].f,
                    .offset = c->attr[ALIGNED].i ? 0.5f : 0,
                    .points = (int32_t)c->attr[POINTS].i,
                    .aligned = c->attr[ALIGNED].i != 0};
    for (int i = 0; i < 2; i++)
        if (a->out[i] < 1 || a->out[i] > 4096 || a->in[i] < 1)
            return tl__op_fail(err, c, TL_EARG, "regions of %s do not become %lld bins",
                               tl__shape_text(x, one, sizeof one), (long long)a->out[i]);
    if (c->attr[POINTS].i < 0 || c->attr[POINTS].i > 4096)
        return tl__op_fail(err, c, TL_EARG, "%lld points", (long long)c->attr[POINTS].i);
    return 0;
}

static int roi_infer(tl_error *err, tl_call *c)
{
    roi_args a;
    if (geometry(err, c, &a) != 0) return -1;
    c->n_out = 1;
    c->out_meta[0] = (tl_meta){tl__shape(4, (int64_t[]){a.regions, a.out[0], a.out[1], a.channels}), TL_F32};
    return 0;
}

static int roi_forward(tl_scope *s, const tl_call *c)
{
    roi_args a;
    if (geometry(&s->err, c, &a) != 0) return -1;
    tl_launch l = tl__launch_of_channels(s, &program, "roi_align", a.channels,
                                         a.regions * a.out[0] * a.out[1], &a.part);
    return TL__LAUNCH(&s->err, s->device, &l, "roi_align", TL_KDATA(&a), TL_KT(c->in[X]), TL_KT(c->in[BOXES]),
                      TL_KT(c->in[PICTURE]), TL_KT(c->out[0]));
}

/* dx = gy times the share that a pixel has in each point, summed over the regions of its picture in order */
static void roi_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    roi_args a;
    const tl_shape *x = &c->in_meta[X].shape;
    tl_tensor *g = tl__packed(s, gy[0]), *dx = tl_full(s, TL_F32, x->rank, x->dim, 0);
    if (!g || !dx || geometry(&s->err, c, &a) != 0) return;
    tl_launch l = tl__launch_of_channels(s, &program, "roi_align_dx", a.channels, a.pictures, &a.part);
    if (TL__LAUNCH(&s->err, s->device, &l, "roi_align", TL_KDATA(&a), TL_KT(c->in[BOXES]), TL_KT(c->in[PICTURE]),
                   TL_KT(g), TL_KT(dx)) == 0)
        gx[X] = dx;
}

static void roi_samples(tl_sampler *to)
{
    static const struct { int64_t x[4], size[2]; double scale; int points, aligned; } cases[] = {
        {{2, 7, 6, 3}, {2, 3}, 1, 2, 1}, {{1, 9, 8, 17}, {3, 2}, 0.5, 0, 0}, {{2, 5, 5, 4}, {2, 2}, 1.25, 3, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_sample v = tl__sample(&tl__op_roi_align);
        int64_t regions = 3;
        tl__sample_input(&v, 4, cases[i].x, -1, 1);
        tl__sample_input(&v, 2, (const int64_t[]){regions, 4}, -1, 9);
        tl__sample_input(&v, 1, &regions, 0, (double)cases[i].x[0] - 1);
        v.attr[SIZE] = (tl_value){.n = 2, .list = {cases[i].size[0], cases[i].size[1]}};
        v.attr[SCALE].f = cases[i].scale;
        v.attr[POINTS].i = cases[i].points;
        v.attr[ALIGNED].i = cases[i].aligned;
        to->take(to, &v);
    }
}

const tl_op tl__op_roi_align = {
    .name = "roi_align",
    .brief = "Means over regions of `x` (N, H, W, C): each of `boxes` (R, 4), as x1, y1, x2, y2 in the picture "
             "`picture`[r] (int32, "
             "from 0), is cut into `size` bins, and in each points are read between pixels: (R, size, C).",
    .inputs = {"x", "boxes", "picture"},
    .attrs = {TL_INTS("size", "bins over height and width, one number or two"),
              TL_FLOAT("scale", 1, "what boxes are multiplied with"),
              TL_INT("points", 0, "in a bin, along each side; 0: one a pixel"),
              TL_BOOL_("aligned", 0, "pixels' centres, instead of their edges, are at whole numbers and a half")},
    .constants = 1u << BOXES,
    .int_inputs = 1u << PICTURE,
    .infer = roi_infer,
    .forward = roi_forward,
    .vjp = roi_vjp,
    .saves = TL_SAVE_IN(BOXES) | TL_SAVE_IN(PICTURE),
    .torch = "roi_align(x, boxes, picture, size, scale, points, aligned)",
    .samples = roi_samples,
};

tl_tensor *tl_roi_align(tl_scope *s, tl_tensor *x, tl_tensor *boxes, tl_tensor *picture, int64_t height, int64_t width,
                        double scale, int points, int aligned)
{
    tl_value a[TL_MAX_ATTRS] = {{.n = 2, .list = {height, width}}, {.f = scale}, {.i = points}, {.i = aligned != 0}};
    return tl__apply(s, &tl__op_roi_align, (tl_tensor *[]){x, boxes, picture}, 3, a, NULL);
}
