/* convert.c - the numbers of an entry as float32 or int32, whatever type the file keeps. The data may
 * stand at any address, so elements are fetched with memcpy, which compilers make a plain load. */
#include "io/io.h"

#include <string.h>

typedef void convert_f32(const unsigned char *from, float *to, size_t n);

#define FLOATS(name, type, expression) \
    static void name(const unsigned char *from, float *to, size_t n) \
    { \
        for (size_t i = 0; i < n; i++) { \
            type x; \
            memcpy(&x, from + i * sizeof x, sizeof x); \
            to[i] = (expression); \
        } \
    }
FLOATS(from_f32, float, x)
FLOATS(from_f64, double, (float)x)
FLOATS(from_f16, uint16_t, tl__half_to_float(x))
FLOATS(from_bf16, uint16_t, tl__bf16_to_float(x))
FLOATS(from_i64, int64_t, (float)x)
FLOATS(from_i32, int32_t, (float)x)
FLOATS(from_i16, int16_t, (float)x)
FLOATS(from_i8, int8_t, (float)x)
FLOATS(from_u8, uint8_t, (float)x)
FLOATS(from_bool, uint8_t, x ? 1.0f : 0.0f)

static convert_f32 *const to_f32[] = {
    [TL_F32] = from_f32, [TL_F16] = from_f16, [TL_BF16] = from_bf16, [TL_I32] = from_i32, [TL_U8] = from_u8,
    [TL_I64] = from_i64, [TL_F64] = from_f64, [TL_I16] = from_i16, [TL_I8] = from_i8, [TL_BOOL] = from_bool,
};

typedef int64_t fetch_int(const unsigned char *from, size_t i);

#define INTEGER(name, type, expression) \
    static int64_t name(const unsigned char *from, size_t i) \
    { \
        type x; \
        memcpy(&x, from + i * sizeof x, sizeof x); \
        return (expression); \
    }
INTEGER(get_i64, int64_t, x)
INTEGER(get_i32, int32_t, x)
INTEGER(get_i16, int16_t, x)
INTEGER(get_i8, int8_t, x)
INTEGER(get_u8, uint8_t, x)
INTEGER(get_bool, uint8_t, x != 0)

static fetch_int *const get_int[] = {
    [TL_I32] = get_i32, [TL_U8] = get_u8, [TL_I64] = get_i64, [TL_I16] = get_i16, [TL_I8] = get_i8, [TL_BOOL] = get_bool,
};

/* "PATH: NAME" or "NAME": how a message about an entry begins. */
#define WHERE_FORMAT "%s%s%s"
#define WHERE(e) (e)->path ? (e)->path : "", (e)->path ? ": " : "", (e)->name

int tl__entry_to_f32(tl_error *err, const tl_entry *e, float *out)
{
    size_t n = (size_t)tl__numel(&e->shape);
    if (e->bytes != n * tl__dtype_size(e->dtype)) return tl__fail(err, TL_ESHAPE, WHERE_FORMAT ": %zu bytes do not make its shape", WHERE(e), e->bytes);
    to_f32[e->dtype](e->data, out, n);
    return 0;
}

int tl__entry_to_i32(tl_error *err, const tl_entry *e, int32_t *out)
{
    size_t n = (size_t)tl__numel(&e->shape);
    fetch_int *get = e->dtype < sizeof get_int / sizeof *get_int ? get_int[e->dtype] : NULL;
    if (!get) return tl__fail(err, TL_EDTYPE, WHERE_FORMAT ": holds %s, where integers are wanted", WHERE(e), tl__dtype_name(e->dtype));
    if (e->bytes != n * tl__dtype_size(e->dtype)) return tl__fail(err, TL_ESHAPE, WHERE_FORMAT ": %zu bytes do not make its shape", WHERE(e), e->bytes);
    for (size_t i = 0; i < n; i++) {
        int64_t x = get(e->data, i);
        if (x < INT32_MIN || x > INT32_MAX)
            return tl__fail(err, TL_EINDEX, WHERE_FORMAT ": element %zu is %lld, which a 32-bit integer cannot hold", WHERE(e), i, (long long)x);
        out[i] = (int32_t)x;
    }
    return 0;
}
