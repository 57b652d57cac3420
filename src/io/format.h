/* format.h - what the readers of the formats share: they fill an archive and report failures without
 * the path, which archive.c puts in front once. */
#ifndef TLUA_IO_FORMAT_H
#define TLUA_IO_FORMAT_H

#include "base/text.h"
#include "io/io.h"

#define TL__PRINTABLE_SIZE 96

/* Each reads `bytes` bytes at `data`, which outlive the archive, and adds the entries. 0 or -1. */
int tl__read_safetensors(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes);
int tl__read_torch_zip(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes);
int tl__read_npy(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes);
int tl__read_npz(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes);
/* Do the first bytes say so? */
int tl__looks_like_npy(const uint8_t *d, size_t n);
int tl__looks_like_npz(const uint8_t *d, size_t n);
int tl__read_torch_legacy(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes);

/* Adds an entry; `data` must live as long as the archive. The name is checked and copied. */
int tl__archive_add(tl_error *err, tl_archive *a, const char *name, size_t name_bytes, tl_dtype dtype,
                    const tl_shape *shape, const void *data, size_t bytes);
/* Notes something of that name that is no readable tensor, and why; all is copied. A name that is no text is passed over. */
int tl__archive_add_odd(tl_error *err, tl_archive *a, const char *name, size_t name_bytes, const char *format, ...) TL__PRINTF(5, 6);
/* Adds the name of the next class, UTF-8 without zeros; it is copied. */
int tl__archive_add_label(tl_error *err, tl_archive *a, const char *label, size_t bytes);
/* The part of the file that is wanted, NULL for the usual one. The reader of a format with parts says which it took, and what of the
 * wanted key is left for the beginnings of names (a part of the key's own text; NULL: nothing); and which parts it left aside. */
const char *tl__archive_wanted(const tl_archive *a);
int tl__archive_took(tl_error *err, tl_archive *a, const char *key, const char *rest);
int tl__archive_left(tl_error *err, tl_archive *a, const char *other, size_t bytes);
/* Memory that is freed with the archive, for tensors that cannot be used where they stand. Fails
 * when a small file unfolds into far more memory than it has bytes. */
void *tl__archive_buffer(tl_error *err, tl_archive *a, size_t bytes);
/* Adds a pair of metadata; both are copied. The arrays grow as needed. */
int tl__archive_add_meta(tl_error *err, tl_archive *a, const char *key, const char *value);

/* Elements and bytes of a shape; -1 and an error naming `name` when they do not fit. */
int tl__shape_bytes(tl_error *err, const char *name, const tl_shape *shape, tl_dtype dtype, size_t *bytes);
/* Text of a file made fit for a message: cut at about 80 characters, control characters replaced. */
const char *tl__printable(char buf[TL__PRINTABLE_SIZE], const char *text, size_t bytes);

static inline uint16_t tl__le16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t tl__le32(const uint8_t *p) { return tl__le16(p) | (uint32_t)tl__le16(p + 2) << 16; }
static inline uint64_t tl__le64(const uint8_t *p) { return tl__le32(p) | (uint64_t)tl__le32(p + 4) << 32; }

#endif
