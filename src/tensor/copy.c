/* copy.c - copying between layouts and types, and the walk over strided operands that kernels share. */
#include "tensor/tensor.h"

#include <string.h>

/* Merges dimension i into i + 1 where every operand advances evenly over both. */
static int mergeable(const int64_t *const *strides, int operands, int outer, int inner, int64_t inner_dim)
{
    for (int o = 0; o < operands; o++)
        if (strides[o][outer] != strides[o][inner] * inner_dim) return 0;
    return 1;
}

void tl__walk(tl_walk *w, const tl_device *d, const tl_shape *shape, int operands, const int64_t *const *strides)
{
    int64_t dim[TL_MAX_RANK], st[3][TL_MAX_RANK];
    const int64_t *rows[3] = {st[0], st[1], st[2]};
    int n = 0;
    memset(w, 0, sizeof *w);
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] == 1) continue;
        dim[n] = shape->dim[i];
        for (int o = 0; o < operands; o++) st[o][n] = strides[o][i];
        if (n > 0 && mergeable(rows, operands, n - 1, n, dim[n])) {
            dim[n - 1] *= dim[n];
            for (int o = 0; o < operands; o++) st[o][n - 1] = st[o][n];
        } else n++;
    }
    w->inner = n ? dim[n - 1] : 1;
    for (int o = 0; o < operands; o++) w->inner_stride[o] = n ? st[o][n - 1] : 1;
    w->rows = 1;
    w->rank = n > 0 ? n - 1 : 0;
    for (int i = 0; i < w->rank; i++) {
        w->dim[i] = dim[i];
        w->rows *= dim[i];
        for (int o = 0; o < operands; o++) w->stride[o][i] = st[o][i];
    }
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] == 0) w->inner = 0;
    /* A CPU wants some thousand elements a work-item, a GPU one vector. */
    const int64_t piece = 8192;
    if (d->traits.is_cpu) {
        w->chunk = w->inner < piece ? w->inner : piece;
        w->row_block = w->chunk > 0 ? piece / w->chunk : 1;
        if (w->row_block > w->rows) w->row_block = w->rows;
        /* Few rows still feed all compute units. */
        int64_t units = 2 * (int64_t)d->traits.compute_units;
        if (w->row_block > 1 && w->rows / w->row_block < units) w->row_block = w->rows > units ? w->rows / units : 1;
    } else {
        w->chunk = 1;
        w->row_block = 1;
    }
    if (w->chunk < 1) w->chunk = 1;
    if (w->row_block < 1) w->row_block = 1;
}

void tl__walk_grid(const tl_walk *w, tl_launch *l)
{
    l->dims = 2;
    l->global[0] = (size_t)((w->inner + w->chunk - 1) / w->chunk);
    l->global[1] = (size_t)((w->rows + w->row_block - 1) / w->row_block);
    l->global[2] = 1;
    l->local[0] = w->chunk > 1 || w->row_block > 1 ? 1 : 0;
    l->local[1] = l->local[2] = 1;
}

static const tl_program copy_program = {"copy", NULL};

static const char *cl_type(tl_dtype t)
{
    static const char *const letters[] = {[TL_F32] = "0", [TL_F16] = "1", [TL_BF16] = "2", [TL_I32] = "3", [TL_U8] = "4"};
    return letters[t];
}

int tl__copy_into(tl_scope *s, const tl_tensor *from, const tl_tensor *to)
{
    if (s->err.code) return -1;
    size_t size = tl__dtype_size(to->dtype);
    int alike = from->dtype == to->dtype && tl__is_packed(from) && tl__is_packed(to);
    /* The same memory, which OpenCL refuses to copy. */
    if (alike && from->buffer == to->buffer && from->offset == to->offset) return 0;
    if (alike)
        return tl__buffer_copy(&s->err, from->buffer, (size_t)from->offset * size, to->buffer, (size_t)to->offset * size,
                               (size_t)tl__numel(&to->shape) * size);
    tl_walk w;
    const int64_t *strides[] = {from->stride, to->stride};
    char options[64];
    tl__walk(&w, s->device, &to->shape, 2, strides);
    snprintf(options, sizeof options, "-DFROM=%s -DTO=%s", cl_type(from->dtype), cl_type(to->dtype));
    tl_launch l = {.program = &copy_program, .options = options, .kernel = "copy"};
    tl__walk_grid(&w, &l);
    return TL__LAUNCH(&s->err, s->device, &l, "copy", TL_KDATA(&w), TL_KT(from), TL_KT(to));
}

tl_tensor *tl__cast(tl_scope *s, tl_tensor *t, tl_dtype dtype)
{
    if (s->err.code || !t) return NULL;
    tl_tensor *y = tl__scope_own(s, tl__tensor_new(&s->err, s->device, dtype, &t->shape));
    return y && tl__copy_into(s, t, y) == 0 ? y : NULL;
}

tl_tensor *tl__packed(tl_scope *s, tl_tensor *t)
{
    if (s->err.code || !t) return NULL;
    if (tl__is_packed(t)) return t;
    s->device->copies++;
    return tl__cast(s, t, t->dtype);
}

int tl__add_into(tl_scope *s, tl_tensor *y, const tl_tensor *x)
{
    if (s->err.code) return -1;
    tl_walk w;
    const int64_t *strides[] = {x->stride, y->stride};
    tl__walk(&w, s->device, &y->shape, 2, strides);
    tl_launch l = {.program = &copy_program, .options = "-DFROM=0 -DTO=0", .kernel = "add_into"};
    tl__walk_grid(&w, &l);
    y->buffer->version++;
    return TL__LAUNCH(&s->err, s->device, &l, "add", TL_KDATA(&w), TL_KT(x), TL_KT(y));
}
