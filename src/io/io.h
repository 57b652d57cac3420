/* io.h - files of tensors: reading safetensors, both of PyTorch's forms and NumPy's, writing safetensors.
 * A file is data from a stranger: every size in it is checked before it is used, nothing in it is
 * ever executed, and each failure is one line of text that begins with the path. */
#ifndef TLUA_IO_H
#define TLUA_IO_H

#include "base/base.h"

/* One tensor of a file. `data` is packed row-major in the host's byte order; it need not be aligned
 * to the size of its type (it often points into the file itself), so read it with memcpy or through
 * the conversions below. */
typedef struct tl_entry {
    char *name;
    tl_dtype dtype;
    tl_shape shape;
    const void *data;
    size_t bytes;
    const char *path;  /* the file it was read from, for messages; NULL in entries that you make */
} tl_entry;

/* Something of a file that is no tensor tlua can read: a quantised tensor, one of nine dimensions, an object of Python.
 * It matters only to who needs it. `why` goes behind the name: "is sparse, which tlua does not read; ...". */
typedef struct tl_odd { char *name, *why; } tl_odd;

typedef struct tl_archive {
    tl_entry *entries;  /* in the order of the file */
    int count;
    tl_odd *odd;
    int odd_count;
    char *key;          /* the part of a checkpoint that the entries are; NULL: all of it */
    char **other_keys;  /* parts that hold tensors too and were left aside */
    int other_count;
    char **labels;      /* names of the classes, by number, where a pickled module has them */
    int label_count;
    char **meta_keys, **meta_values;  /* the metadata of a safetensors file, in the order of the file */
    int meta_count;
    struct tl_archive_private *own;
} tl_archive;

/* Opens a safetensors file, a PyTorch file in the zip or the legacy form, or NumPy's .npy (its array is "arr_0")
 * or .npz; the content decides, not the name. The file stays mapped while the archive lives. NULL on failure. */
tl_archive *tl__archive_read(tl_error *err, const char *path);
/* The same of one part of a checkpoint: "ema" is the dict under that key ("ema.shadow": a dict in it), else the tensors whose
 * names begin with "ema.", without that. NULL: the usual one of the parts, which is then `key`. */
tl_archive *tl__archive_read_part(tl_error *err, const char *path, const char *key);
/* The same from memory, which must outlive the archive; `path` is for messages. */
tl_archive *tl__archive_read_memory(tl_error *err, const char *path, const char *key, const void *data, size_t bytes);
void tl__archive_free(tl_archive *a);  /* NULL is allowed */
/* The entry of this name, owned by the archive; NULL where there is none. */
const tl_entry *tl__archive_find(const tl_archive *a, const char *name);
/* Why the file's tensor of this name cannot be had, owned by the archive; NULL where nothing odd has the name. */
const char *tl__archive_odd(const tl_archive *a, const char *name);
/* The value of a metadata key, owned by the archive; NULL where there is none. */
const char *tl__archive_meta(const tl_archive *a, const char *key);

/* Every element as float32 into `out`, from any type; a bool becomes 0 or 1. 0 or -1. */
int tl__entry_to_f32(tl_error *err, const tl_entry *e, float *out);
/* Every element as int32 into `out`, from integers and bools; fails for floats and for values out of range. */
int tl__entry_to_i32(tl_error *err, const tl_entry *e, int32_t *out);

/* Writes a safetensors file, whole or not at all. The order in the file is the usual one: wide types
 * first, then by name, so that every tensor is aligned to its type. 0 or -1. */
int tl__safetensors_write(tl_error *err, const char *path, const tl_entry *entries, int count,
                          const char *const *meta_keys, const char *const *meta_values, int meta_count);

#endif
