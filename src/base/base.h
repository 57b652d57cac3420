/* base.h - what every part of tlua's C core stands on: errors, allocation that can be made to
 * fail, shapes, types, random numbers and hashes. Includes nothing else of ours but the public
 * header. Names with two underscores (tl__) are shared inside the library and not exported. */
#ifndef TLUA_BASE_H
#define TLUA_BASE_H

#include "tlua.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define TL__PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define TL__PRINTF(a, b)
#endif

/* ---- errors ---- */

/* Records code and text, unless an error is recorded already: the first failure is the cause and
 * later ones are its consequences. Returns -1, so that a function can `return tl__fail(...)`. */
int tl__fail(tl_error *err, int code, const char *format, ...) TL__PRINTF(3, 4);
int tl__vfail(tl_error *err, int code, const char *format, va_list ap);
/* Puts `prefix` before the recorded text ("recipes/x.lua: " before "..."), cutting at the end. */
void tl__error_prefix(tl_error *err, const char *format, ...) TL__PRINTF(2, 3);

/* ---- allocation ---- */

/* As malloc, calloc, realloc, strdup, but an allocation failure is recorded in `err` (may be NULL)
 * and can be injected (tl__inject_failure). Memory is freed with free(). tl__calloc checks the product. */
void *tl__malloc(tl_error *err, size_t bytes);
void *tl__calloc(tl_error *err, size_t count, size_t size);
void *tl__realloc(tl_error *err, void *old, size_t bytes);
char *tl__strdup(tl_error *err, const char *text);
char *tl__asprintf(tl_error *err, const char *format, ...) TL__PRINTF(2, 3);

/* Makes the n-th allocation from now on fail (host memory and device memory count alike); 0 turns
 * it off. For tests. Returns how many allocations were counted since the last call. */
long tl__inject_failure(long nth);
/* How often this thread has met TL_EMEMORY. Who decides by what succeeded compares it: for want of memory nothing is decided. */
long tl__memory_failures(void);
/* True when the injected failure is due now; device allocations ask it too. */
int tl__allocation_fails(void);

/* ---- shapes ---- */

typedef struct tl_shape {
    int rank;                  /* 0 (a scalar) to TL_MAX_RANK */
    int64_t dim[TL_MAX_RANK];  /* all >= 0 */
} tl_shape;

tl_shape tl__shape(int rank, const int64_t *dim);
int64_t tl__numel(const tl_shape *s);
int tl__shape_equal(const tl_shape *a, const tl_shape *b);
/* The shape that NumPy's broadcasting rules give, 0; or -1 where a and b do not go together. */
int tl__broadcast(const tl_shape *a, const tl_shape *b, tl_shape *out);
/* Row-major strides in elements. */
void tl__packed_strides(const tl_shape *s, int64_t *strides);
/* An axis counted from 0, from one that may be negative; -1 when out of range. */
int tl__axis(int axis, int rank);
/* What messages call an axis: as its user counts. C counts from 0; the program, whose users write Lua, sets the first to 1. */
long long tl__axis_name(int64_t axis);
void tl__count_axes_from(int first);
/* "(3, 4)" into `buf`, which is returned. */
const char *tl__shape_text(const tl_shape *s, char *buf, size_t size);
#define TL__SHAPE_TEXT 160
/* Product with overflow check: 0, or -1 when a * b does not fit (or an operand is negative). */
int tl__mul_size(int64_t a, int64_t b, int64_t *out);

/* ---- types ---- */

size_t tl__dtype_size(tl_dtype t);
const char *tl__dtype_name(tl_dtype t);
int tl__is_float(tl_dtype t);
float tl__half_to_float(uint16_t h);
uint16_t tl__float_to_half(float f);  /* round to nearest even */
float tl__bf16_to_float(uint16_t h);
uint16_t tl__float_to_bf16(float f);  /* round to nearest even, NaN kept */

/* ---- random numbers: Philox4x32-10 (Salmon et al. 2011) ---- */

/* What a stream of numbers is for; part of its key, so streams never overlap. */
enum { TL_RNG_INIT = 1, TL_RNG_RANDN, TL_RNG_DROPOUT, TL_RNG_SHUFFLE, TL_RNG_AUGMENT, TL_RNG_SPLIT, TL_RNG_UNIFORM,
       TL_RNG_MIX, TL_RNG_BOOTSTRAP, TL_RNG_MOSAIC, TL_RNG_SIZES };

typedef struct tl_rng_key { uint32_t k0, k1; } tl_rng_key;
/* The key of a stream: seed and purpose and an index (sample index, call ordinal, hash of a name). */
tl_rng_key tl__rng_key(uint64_t seed, uint32_t purpose, uint64_t index);
/* Four 32-bit numbers of the stream at counter position `at`; cl/random.cl gives the same. */
void tl__philox(tl_rng_key key, uint64_t at, uint32_t out[4]);
float tl__uniform(uint32_t bits);  /* [0, 1), 24 bits */
/* Number `i` of the stream, uniform in [0, 1). */
float tl__rng_uniform(tl_rng_key key, uint64_t i);
/* Number `i` of the stream, standard normal (Box-Muller). */
float tl__rng_normal(tl_rng_key key, uint64_t i);
/* Numbers 0..n-1 of the stream: of the one function, and of the other. */
void tl__rng_uniforms(tl_rng_key key, int64_t n, float *out);
void tl__rng_normals(tl_rng_key key, int64_t n, float *out);
/* Uniform integer in [0, n), n >= 1, without modulo bias worth naming (64-bit multiply). */
uint64_t tl__rng_below(tl_rng_key key, uint64_t i, uint64_t n);
/* A permutation of 0..n-1 into `out` (Fisher-Yates, draws 0..n-2 of the stream). */
void tl__rng_permutation(tl_rng_key key, int64_t n, int64_t *out);

/* ---- hashes ---- */

typedef struct tl_sha256 { uint64_t opaque[16]; } tl_sha256;
void tl__sha256_init(tl_sha256 *h);
void tl__sha256_update(tl_sha256 *h, const void *data, size_t bytes);
void tl__sha256_final(tl_sha256 *h, char hex[65]);
/* HMAC-SHA-256 (RFC 2104): what is known of a text from it without the key is nothing. */
void tl__hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t bytes, char hex[65]);
uint64_t tl__hash64(const void *data, size_t bytes, uint64_t seed);  /* FNV-1a; for tables, not for trust */

/* ---- files ---- */

/* The whole file in memory (NUL added behind it, not counted); NULL and an error that names the path. */
char *tl__read_file(tl_error *err, const char *path, size_t *bytes);
/* Opens a file to be read, and says what it is. Never waits: a FIFO that nobody writes would hold the program for
 * ever, so who calls this refuses what is not regular. NULL: errno says why. */
struct stat;
FILE *tl__open_to_read(const char *path, struct stat *st);
/* Maps a regular file for reading; an empty one gives NULL and no bytes. Anything else is an error that says to give
 * `what`. 0 or -1. */
int tl__map_file(tl_error *err, const char *path, const char *what, void **map, size_t *bytes);
void tl__unmap_file(void *map, size_t bytes); /* NULL is allowed */
/* Writes to a temporary name beside `path`, syncs, renames and syncs the folder; on failure nothing
 * is left under either name that was not there before. Returns 0 or -1. */
int tl__write_file(tl_error *err, const char *path, const void *data, size_t bytes);
/* The same, and from its first moment on none but its owner may read the file. */
int tl__write_private_file(tl_error *err, const char *path, const void *data, size_t bytes);
/* The same in parts: `tl__atomic_open` ... `tl__atomic_write` ... `tl__atomic_commit` or `tl__atomic_abort`. */
typedef struct tl_atomic_file { FILE *f; char *path, *temporary; } tl_atomic_file;
int tl__atomic_open(tl_error *err, tl_atomic_file *a, const char *path);
int tl__atomic_write(tl_error *err, tl_atomic_file *a, const void *data, size_t bytes);
int tl__atomic_commit(tl_error *err, tl_atomic_file *a);
void tl__atomic_abort(tl_atomic_file *a);
int tl__make_folders(tl_error *err, const char *path);  /* mkdir -p */
/* The folder for caches: $TLUA_CACHE, else $XDG_CACHE_HOME/tlua, else ~/.cache/tlua, with `sub`
 * appended ("kernels"); made if absent. The caller frees it. */
char *tl__cache_folder(tl_error *err, const char *sub);

#endif
