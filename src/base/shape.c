/* shape.c - shapes and storage types: sizes, broadcasting, names, half-precision conversion. */
#include "base/base.h"

#include <stdatomic.h>
#include <string.h>

tl_shape tl__shape(int rank, const int64_t *dim)
{
    tl_shape s = {rank, {0}};
    for (int i = 0; i < rank && i < TL_MAX_RANK; i++) s.dim[i] = dim[i];
    return s;
}

int64_t tl__numel(const tl_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

int tl__shape_equal(const tl_shape *a, const tl_shape *b)
{
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return 0;
    return 1;
}

int tl__broadcast(const tl_shape *a, const tl_shape *b, tl_shape *out)
{
    tl_shape o = {a->rank > b->rank ? a->rank : b->rank, {0}};
    for (int i = 0; i < o.rank; i++) {
        int ia = i - (o.rank - a->rank), ib = i - (o.rank - b->rank);
        int64_t da = ia >= 0 ? a->dim[ia] : 1, db = ib >= 0 ? b->dim[ib] : 1;
        if (da != db && da != 1 && db != 1) return -1;
        o.dim[i] = da == 1 ? db : da;
    }
    *out = o;
    return 0;
}

void tl__packed_strides(const tl_shape *s, int64_t *strides)
{
    int64_t n = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        strides[i] = n;
        n *= s->dim[i];
    }
}

static atomic_int first_axis; /* set once, when a program begins */

void tl__count_axes_from(int first) { first_axis = first; }
long long tl__axis_name(int64_t axis) { return axis < 0 ? axis : axis + first_axis; }

int tl__axis(int axis, int rank)
{
    if (axis < 0) axis += rank;
    return axis >= 0 && axis < rank ? axis : -1;
}

const char *tl__shape_text(const tl_shape *s, char *buf, size_t size)
{
    size_t n = (size_t)snprintf(buf, size, "(");
    for (int i = 0; i < s->rank && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, i ? ", %lld" : "%lld", (long long)s->dim[i]);
    if (n < size) snprintf(buf + n, size - n, ")");
    return buf;
}

int tl__mul_size(int64_t a, int64_t b, int64_t *out)
{
    if (a < 0 || b < 0 || (b != 0 && a > INT64_MAX / b)) return -1;
    *out = a * b;
    return 0;
}

static const struct { const char *name; size_t size; } types[] = {
    [TL_F32] = {"float32", 4}, [TL_F16] = {"float16", 2}, [TL_BF16] = {"bfloat16", 2}, [TL_I32] = {"int32", 4},
    [TL_U8] = {"uint8", 1}, [TL_I64] = {"int64", 8}, [TL_F64] = {"float64", 8}, [TL_I16] = {"int16", 2},
    [TL_I8] = {"int8", 1}, [TL_BOOL] = {"bool", 1},
};

size_t tl__dtype_size(tl_dtype t) { return types[t].size; }
const char *tl__dtype_name(tl_dtype t) { return types[t].name; }
int tl__is_float(tl_dtype t) { return t == TL_F32 || t == TL_F16 || t == TL_BF16; }

float tl__half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u, bits;
    if (exponent == 31) bits = sign | 0x7f800000u | mantissa << 13;
    else if (exponent) bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else {
        float f = (float)mantissa * (1.0f / 16777216.0f);
        return sign ? -f : f;
    }
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t tl__float_to_half(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t a = bits & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);  /* rounds to 65536 or more: infinity */
    if (a < 0x33000001u) return sign;                         /* rounds to zero */
    if (a < 0x38800000u) {                                    /* subnormal: shift with the hidden bit */
        uint32_t m = (a & 0x7fffffu) | 0x800000u, shift = 126 - (a >> 23);
        uint32_t q = m >> shift, rest = m & ((1u << shift) - 1), halfway = 1u << (shift - 1);
        if (rest > halfway || (rest == halfway && (q & 1))) q++;
        return (uint16_t)(sign | q);
    }
    uint32_t r = a + 0xfffu + (a >> 13 & 1);
    return (uint16_t)(sign | ((r - 0x38000000u) >> 13));
}

float tl__bf16_to_float(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t tl__float_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
