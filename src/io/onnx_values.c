/* onnx_values.c - the numbers of a tensor of an .onnx file, of whichever of ONNX's types. */
#include "io/onnx.h"

#include <math.h>
#include <string.h>

/* By the number that onnx.proto has for it; those behind BFLOAT16 came after Debian's. */
static const tl_onnx_type types[] = {
    [1] = {"float32", 32, 'f'},    [2] = {"uint8", 8, 'u'},           [3] = {"int8", 8, 'i'},
    [4] = {"uint16", 16, 'u'},     [5] = {"int16", 16, 'i'},          [6] = {"int32", 32, 'i'},
    [7] = {"int64", 64, 'i'},      [8] = {"string", 0, 's'},          [9] = {"bool", 8, 'b'},
    [10] = {"float16", 16, 'f'},   [11] = {"float64", 64, 'f'},       [12] = {"uint32", 32, 'u'},
    [13] = {"uint64", 64, 'u'},    [14] = {"complex64", 64, 'c'},     [15] = {"complex128", 128, 'c'},
    [16] = {"bfloat16", 16, 'f'},  [17] = {"float8e4m3fn", 8, 'f'},   [18] = {"float8e4m3fnuz", 8, 'f'},
    [19] = {"float8e5m2", 8, 'f'}, [20] = {"float8e5m2fnuz", 8, 'f'}, [21] = {"uint4", 4, 'u'},
    [22] = {"int4", 4, 'i'},       [23] = {"float4e2m1", 4, 'f'},     [24] = {"float8e8m0", 8, 'f'},
    [25] = {"uint2", 2, 'u'},      [26] = {"int2", 2, 'i'},
};

const tl_onnx_type *tl__onnx_type(int32_t n)
{
    return n < 1 || n >= (int32_t)(sizeof types / sizeof *types) ? NULL : &types[n];
}

int32_t tl__onnx_type_number(const char *name)
{
    for (int32_t i = 1; tl__onnx_type(i); i++)
        if (strcmp(types[i].name, name) == 0) return i;
    return 0;
}

static uint64_t bits_at(const tl_onnx_values *v, int64_t i)
{
    int bits = v->type->bits;
    uint64_t x = 0;
    if (bits >= 8) {
        memcpy(&x, v->raw + (size_t)i * v->stride, bits > 64 ? 8 : (size_t)bits / 8);
        return x;
    }
    int in_byte = 8 / bits;
    return v->raw[(size_t)(i / in_byte) * v->stride] >> (i % in_byte * bits) & ((1u << bits) - 1);
}

/* A float of a sign, `exponent` bits and `mantissa` bits. */
static double small_float(unsigned x, int exponent, int mantissa, int bias)
{
    int e = (int)(x >> mantissa) & ((1 << exponent) - 1), m = (int)x & ((1 << mantissa) - 1);
    double v = e ? ldexp(1 + ldexp(m, -mantissa), e - bias) : ldexp(m, 1 - bias - mantissa);
    return x >> (exponent + mantissa) & 1 ? -v : v;
}

static double narrow_float(int32_t type, unsigned x)
{
    switch (type) {
    case 17: return (x & 0x7f) == 0x7f ? (double)NAN : small_float(x, 4, 3, 7);
    case 18: return x == 0x80 ? (double)NAN : small_float(x, 4, 3, 8);
    case 19: return (double)tl__half_to_float((uint16_t)(x << 8)); /* half of a half */
    case 20: return x == 0x80 ? (double)NAN : small_float(x, 5, 2, 16);
    case 23: return small_float(x, 2, 1, 1);
    case 24: return x == 0xff ? (double)NAN : ldexp(1, (int)x - 127);
    default: return (double)NAN;
    }
}

double tl__onnx_float(const tl_onnx_values *v, int64_t i)
{
    uint64_t x = bits_at(v, i);
    uint32_t low = (uint32_t)x;
    float f;
    double d;
    switch (v->t->data_type) {
    case 1: memcpy(&f, &low, 4); return (double)f;
    case 10: return (double)tl__half_to_float((uint16_t)x);
    case 16: return (double)tl__bf16_to_float((uint16_t)x);
    case 11: memcpy(&d, &x, 8); return d;
    case 13: return (double)x;
    }
    return v->type->kind == 'f' ? narrow_float(v->t->data_type, (unsigned)x) : (double)tl__onnx_integer(v, i);
}

int64_t tl__onnx_integer(const tl_onnx_values *v, int64_t i)
{
    uint64_t x = bits_at(v, i);
    if (v->type->kind == 'b') return x != 0;
    if (v->type->kind == 'i' && v->type->bits < 64 && x >> (v->type->bits - 1)) x |= ~(uint64_t)0 << v->type->bits;
    return (int64_t)x;
}

static int no_number(tl_error *err, const tl_onnx_values *v, const char *as)
{
    return tl__fail(err, TL_EARG, "its elements are %s, which does not become %s", v->type->name, as);
}

int tl__onnx_to_f32(tl_error *err, const tl_onnx_values *v, float *out)
{
    if (v->type->kind == 's' || v->type->kind == 'c') return no_number(err, v, "float32");
    if (v->t->data_type == 1 && v->stride == 4 && v->count) memcpy(out, v->raw, v->bytes);
    else
        for (int64_t i = 0; i < v->count; i++) out[i] = (float)tl__onnx_float(v, i);
    return 0;
}

int tl__onnx_to_i32(tl_error *err, const tl_onnx_values *v, int32_t *out)
{
    if (!strchr("iub", v->type->kind)) return no_number(err, v, "int32");
    for (int64_t i = 0; i < v->count; i++) {
        int64_t x = tl__onnx_integer(v, i);
        if (x != (int32_t)x || (x < 0 && v->type->kind == 'u'))
            return tl__fail(err, TL_EINDEX,
                            "element %lld is %lld, which does not fit into 32 bits, all that devices have here",
                            (long long)i, (long long)x);
        out[i] = (int32_t)x;
    }
    return 0;
}
