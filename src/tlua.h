/* tlua.h - the public C interface of tlua: transfer learning on any OpenCL device.
 *
 * Three rules hold everywhere.
 * 1. An operator takes a scope, writes its result into that scope and returns a tensor that the
 *    scope owns. Closing the scope drops its references; tl_tensor_retain keeps one longer.
 * 2. The first failure in a scope is recorded there and is sticky: every operator called in a failed
 *    scope returns NULL at once, and every operator given NULL for a tensor that is not optional does
 *    too. So write the whole expression, then test tl_scope_failed(scope) once.
 * 3. One thread uses a device. Nothing here prints, exits or aborts.
 *
 * Shapes are written as letters: N pictures, H rows, W columns, C channels. Dimensions in C count
 * from 0 (from the end where negative); the Lua interface counts from 1. */
#ifndef TLUA_H
#define TLUA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TLUA_VERSION "0.1.0"
#define TL_MAX_RANK 8

#if defined(__GNUC__)
#define TL_API __attribute__((visibility("default")))
#else
#define TL_API
#endif

/* ---- errors ---- */

typedef enum tl_code {
    TL_OK = 0,
    TL_ESHAPE,      /* shapes that do not go together */
    TL_EDTYPE,      /* a type that the operator does not take */
    TL_EARG,        /* an argument out of its range, an unknown name */
    TL_EMEMORY,     /* host or device memory */
    TL_EDEVICE,     /* the OpenCL driver refused or failed */
    TL_EIO,         /* the operating system refused a file or the network */
    TL_EFORMAT,     /* a file that is not what it claims to be */
    TL_ESTATE,      /* the call is not allowed now (freed, changed in place, no gradient) */
    TL_EINDEX,      /* an index or a label out of range, found on the device */
    TL_EINTERRUPT   /* the user asked to stop */
} tl_code;

/* One failure: a code and one line of text. Zero it before use. */
typedef struct tl_error {
    int code;
    char text[1024];
} tl_error;

TL_API const char *tl_version(void);

/* ---- types ---- */

/* Storage types. Kernels compute in float32 whatever the storage. TL_I64 and TL_F64 and the other
 * wide types exist in files only and become TL_I32 and TL_F32 on the device. */
typedef enum tl_dtype { TL_F32 = 0, TL_F16, TL_BF16, TL_I32, TL_U8, TL_I64, TL_F64, TL_I16, TL_I8, TL_BOOL } tl_dtype;

typedef struct tl_device tl_device;
typedef struct tl_scope tl_scope;
typedef struct tl_tensor tl_tensor;

#ifdef __cplusplus
}
#endif
#endif
