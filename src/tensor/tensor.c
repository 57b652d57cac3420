/* tensor.c - making, holding, reading and writing tensors. */
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

static int check_shape(tl_error *err, const tl_shape *shape)
{
    char text[TL__SHAPE_TEXT];
    int64_t n = 1;
    if (shape->rank < 0 || shape->rank > TL_MAX_RANK) return tl__fail(err, TL_ESHAPE, "a tensor has 0 to %d dimensions, not %d", TL_MAX_RANK, shape->rank);
    for (int i = 0; i < shape->rank; i++)
        if (tl__mul_size(n, shape->dim[i], &n) != 0 || n > (int64_t)1 << 46)
            return tl__fail(err, TL_ESHAPE, "impossible shape %s", tl__shape_text(shape, text, sizeof text));
    return 0;
}

tl_tensor *tl__tensor_new(tl_error *err, tl_device *d, tl_dtype dtype, const tl_shape *shape)
{
    if (check_shape(err, shape) != 0) return NULL;
    if (dtype > TL_U8) {
        tl__fail(err, TL_EDTYPE, "%s lives in files only; on the device use float32 or int32", tl__dtype_name(dtype));
        return NULL;
    }
    tl_tensor *t = tl__calloc(err, 1, sizeof *t);
    if (!t) return NULL;
    t->buffer = tl__buffer_new(err, d, (size_t)tl__numel(shape) * tl__dtype_size(dtype));
    if (!t->buffer) {
        free(t);
        return NULL;
    }
    t->refs = 1;
    t->dtype = dtype;
    t->shape = *shape;
    tl__packed_strides(shape, t->stride);
    return t;
}

tl_tensor *tl__tensor_view(tl_error *err, const tl_tensor *t, const tl_shape *shape, const int64_t *stride, int64_t offset)
{
    tl_tensor *v = tl__calloc(err, 1, sizeof *v);
    if (!v) return NULL;
    v->refs = 1;
    v->buffer = t->buffer;
    v->dtype = t->dtype;
    v->shape = *shape;
    v->offset = offset;
    memcpy(v->stride, stride, sizeof v->stride);
    tl__buffer_retain(v->buffer);
    return v;
}

tl_tensor *tl__tensor_alias(tl_error *err, const tl_tensor *t)
{
    return tl__tensor_view(err, t, &t->shape, t->stride, t->offset);
}

void tl_tensor_retain(tl_tensor *t) { t->refs++; }

void tl_tensor_release(tl_tensor *t)
{
    if (!t || --t->refs > 0) return;
    tl_node *n = t->node;
    tl__buffer_release(t->buffer);
    if (t->rows) tl_tensor_release(t->rows->whole);
    free(t->rows);
    free(t);
    if (n) tl__node_release(n);
}

int tl_rank(const tl_tensor *t) { return t->shape.rank; }
const int64_t *tl_dims(const tl_tensor *t) { return t->shape.dim; }
int64_t tl_numel(const tl_tensor *t) { return tl__numel(&t->shape); }
tl_dtype tl_dtype_of(const tl_tensor *t) { return t->dtype; }

int64_t tl_dim(const tl_tensor *t, int axis)
{
    int a = tl__axis(axis, t->shape.rank);
    return a < 0 ? -1 : t->shape.dim[a];
}

int tl__is_packed(const tl_tensor *t)
{
    int64_t n = 1;
    for (int i = t->shape.rank - 1; i >= 0; i--) {
        if (t->shape.dim[i] != 1 && t->stride[i] != n) return 0;
        n *= t->shape.dim[i];
    }
    return 1;
}

int tl__is_rows(const tl_tensor *t, int64_t *row_stride)
{
    int r = t->shape.rank;
    *row_stride = r ? t->shape.dim[r - 1] : 1;
    if (r == 0) return 1;
    if (t->shape.dim[r - 1] != 1 && t->stride[r - 1] != 1) return 0;
    int seen = 0;
    int64_t expected = 0;
    for (int i = r - 2; i >= 0; i--) {
        if (t->shape.dim[i] == 1) continue;
        if (!seen) *row_stride = t->stride[i];
        else if (t->stride[i] != expected) return 0;
        expected = t->stride[i] * t->shape.dim[i];
        seen = 1;
    }
    return *row_stride >= (t->shape.dim[r - 1] > 0);
}

/* ---- public constructors ---- */

static int ready(tl_scope *s) { return s && s->err.code == TL_OK; }

tl_tensor *tl_empty(tl_scope *s, tl_dtype dtype, int rank, const int64_t *dims)
{
    if (!ready(s)) return NULL;
    if (rank < 0 || rank > TL_MAX_RANK) {
        tl__fail(&s->err, TL_ESHAPE, "a tensor has 0 to %d dimensions, not %d", TL_MAX_RANK, rank);
        return NULL;
    }
    tl_shape shape = tl__shape(rank, dims);
    return tl__scope_own(s, tl__tensor_new(&s->err, s->device, dtype, &shape));
}

/* Bits of `value` in `dtype`, repeated to four bytes. */
static uint32_t pattern_of(tl_dtype dtype, double value)
{
    float f = (float)value;
    uint32_t p = 0;
    switch (dtype) {
    case TL_F16: p = tl__float_to_half(f); return p | p << 16;
    case TL_BF16: p = tl__float_to_bf16(f); return p | p << 16;
    case TL_I32: return (uint32_t)(int32_t)value;
    case TL_U8: return 0x01010101u * (uint8_t)value;
    default: memcpy(&p, &f, 4); return p;
    }
}

tl_tensor *tl_full(tl_scope *s, tl_dtype dtype, int rank, const int64_t *dims, double value)
{
    tl_tensor *t = tl_empty(s, dtype, rank, dims);
    if (!t) return NULL;
    size_t bytes = (size_t)tl_numel(t) * tl__dtype_size(dtype);
    return tl__buffer_fill(&s->err, t->buffer, 0, bytes, pattern_of(dtype, value)) == 0 ? t : NULL;
}

tl_tensor *tl_from(tl_scope *s, tl_dtype dtype, int rank, const int64_t *dims, const void *host)
{
    tl_tensor *t = tl_empty(s, dtype, rank, dims);
    if (!t) return NULL;
    return tl__buffer_write(&s->err, t->buffer, 0, (size_t)tl_numel(t) * tl__dtype_size(dtype), host) == 0 ? t : NULL;
}

static tl_tensor *random_numbers(tl_scope *s, int rank, const int64_t *dims, tl_rng_key key,
                                 void (*numbers)(tl_rng_key, int64_t, float *))
{
    tl_tensor *t = tl_empty(s, TL_F32, rank, dims);
    if (!t) return NULL;
    int64_t n = tl_numel(t);
    float *host = tl__malloc(&s->err, (size_t)n * sizeof *host);
    if (!host) return NULL;
    numbers(key, n, host);
    int bad = tl__buffer_write(&s->err, t->buffer, 0, (size_t)n * sizeof *host, host);
    free(host);
    return bad ? NULL : t;
}

tl_tensor *tl_randn(tl_scope *s, int rank, const int64_t *dims, uint64_t seed, uint64_t ordinal)
{
    return random_numbers(s, rank, dims, tl__rng_key(seed, TL_RNG_RANDN, ordinal), tl__rng_normals);
}

tl_tensor *tl_rand(tl_scope *s, int rank, const int64_t *dims, uint64_t seed, uint64_t ordinal)
{
    return random_numbers(s, rank, dims, tl__rng_key(seed, TL_RNG_UNIFORM, ordinal), tl__rng_uniforms);
}

/* ---- reading and writing ---- */

int tl_read(tl_scope *s, tl_tensor *t, void *host, size_t bytes)
{
    if (!ready(s) || !t) return -1;
    size_t size = tl__dtype_size(t->dtype), n = (size_t)tl_numel(t) * size;
    if (bytes != n) return tl__fail(&s->err, TL_EARG, "read: the tensor has %zu bytes, the destination %zu", n, bytes);
    if (s->device->error_word_armed && tl__device_finish(&s->err, s->device) != 0) return -1;
    tl_scope inner;
    tl__scope_begin(&inner, s);
    tl_tensor *p = tl__packed(&inner, t);
    int bad = p ? tl__buffer_read(&inner.err, p->buffer, (size_t)p->offset * size, n, host) : -1;
    tl__scope_end(&inner);
    return bad;
}

int tl_write(tl_scope *s, tl_tensor *t, const void *host, size_t bytes)
{
    if (!ready(s) || !t) return -1;
    size_t size = tl__dtype_size(t->dtype), n = (size_t)tl_numel(t) * size;
    if (bytes != n) return tl__fail(&s->err, TL_EARG, "write: the tensor has %zu bytes, the source %zu", n, bytes);
    if (!tl__is_packed(t)) return tl__fail(&s->err, TL_EARG, "write: the tensor is a view with gaps; write to a packed one");
    t->buffer->version++;
    return tl__buffer_write(&s->err, t->buffer, (size_t)t->offset * size, n, host);
}

double tl_item(tl_scope *s, tl_tensor *t)
{
    char text[TL__SHAPE_TEXT];
    unsigned char raw[8] = {0};
    if (!ready(s) || !t) return 0;
    if (tl_numel(t) != 1) {
        tl__fail(&s->err, TL_ESHAPE, "item: one element is needed, this tensor is %s", tl__shape_text(&t->shape, text, sizeof text));
        return 0;
    }
    if (tl_read(s, t, raw, tl__dtype_size(t->dtype)) != 0) return 0;
    uint16_t h;
    int32_t i;
    float f;
    switch (t->dtype) {
    case TL_F16: memcpy(&h, raw, 2); return tl__half_to_float(h);
    case TL_BF16: memcpy(&h, raw, 2); return tl__bf16_to_float(h);
    case TL_I32: memcpy(&i, raw, 4); return i;
    case TL_U8: return raw[0];
    default: memcpy(&f, raw, 4); return f;
    }
}

/* ---- gradients of leaves ---- */

int tl_require_grad(tl_scope *s, tl_tensor *t, int on)
{
    if (!ready(s) || !t) return -1;
    if (t->node && t->node->call)
        return tl__fail(&s->err, TL_ESTATE, "require_grad: only a leaf can be told; this tensor was computed (detach it first)");
    if (on && !tl__is_float(t->dtype)) return tl__fail(&s->err, TL_EDTYPE, "require_grad: gradients are of floats, not of %s", tl__dtype_name(t->dtype));
    if (on && !t->node) t->node = tl__node_new(&s->err, t);
    else if (!on && t->node) {
        tl__node_release(t->node);
        t->node = NULL;
    }
    return s->err.code ? -1 : 0;
}

int tl_requires_grad(const tl_tensor *t) { return t->node != NULL; }

tl_tensor *tl_grad(const tl_tensor *t)
{
    tl_tensor *g = t->node ? t->node->grad : NULL;
    if (!g || !g->rows || g->rows->whole) return g && g->rows ? g->rows->whole : g;
    tl_scope s;
    tl__scope_root(&s, t->buffer->device, 0);
    if ((g->rows->whole = tl__rows_whole(&s, g, &t->shape))) tl_tensor_retain(g->rows->whole);
    tl__scope_drop(&s);
    return g->rows->whole;
}

void tl_zero_grad(tl_tensor *t)
{
    if (t->node) tl__node_zero_grad(t->node);
}

tl_tensor *tl_detach(tl_scope *s, tl_tensor *x)
{
    if (!ready(s) || !x) return NULL;
    return tl__scope_own(s, tl__tensor_alias(&s->err, x));
}
