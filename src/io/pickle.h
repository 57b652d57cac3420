/* pickle.h - what a state dict says about its tensors, read from a pickle without running anything.
 * Pickle is a small stack machine whose GLOBAL and REDUCE opcodes call any function of Python. Here
 * they "call" a handful of known names, each of which only builds one of the values below. Whatever else
 * a pickle wants to call gives an opaque value: people keep arguments, numpy numbers and the like beside
 * their weights, and these can be passed over. It is an error only where a tensor is needed instead. An
 * opaque value keeps the attributes that the pickle gives it, as a dict of values like any other: they say
 * what a pickled torch.nn.Module holds, without its class. */
#ifndef TLUA_IO_PICKLE_H
#define TLUA_IO_PICKLE_H

#include "io/format.h"

typedef struct tl_pglobal tl_pglobal;  /* a known name such as torch._utils._rebuild_tensor_v2 */

/* A storage that tensors are views of. The key says where its bytes are in the file. `foreign` names a type of
 * element that tlua does not read; dtype then says nothing. `size` is the bytes of an element, 0 where it is not known. */
typedef struct tl_pstorage {
    const char *key;
    size_t key_bytes;
    tl_dtype dtype;
    const char *foreign;
    size_t size;
    int64_t numel;               /* elements that stand under the key */
    int64_t view_at, view_numel; /* the part of them that is this storage (old files have storages in storages) */
} tl_pstorage;

/* `odd` says why tlua cannot read it ("it has 9 dimensions, ..."); NULL: it can. The rest then says nothing.
 * `packed` is for who reads its elements: a copy of them without strides, owned by the archive, so that a tensor of
 * many names is copied once. */
typedef struct tl_ptensor {
    const char *odd;
    const tl_pstorage *storage;
    int64_t offset;
    tl_shape shape;
    int64_t stride[TL_MAX_RANK]; /* in elements, >= 0 */
    const uint8_t *packed;
} tl_ptensor;

typedef enum tl_pkind {
    TL_P_NONE, TL_P_BOOL, TL_P_INT, TL_P_BIG, TL_P_FLOAT, TL_P_TEXT, TL_P_BYTES, TL_P_TUPLE, TL_P_LIST, TL_P_DICT,
    TL_P_GLOBAL, TL_P_STORAGE, TL_P_TENSOR, TL_P_OPAQUE, TL_P_MARK
} tl_pkind;

typedef struct tl_pvalue {
    tl_pkind kind;
    union {
        int64_t i;                                                   /* BOOL, INT */
        struct { const char *at; size_t n; } text;  /* TEXT, BYTES, BIG (little-endian): in the pickle */
        /* OPAQUE: what makes it, and the DICT of its attributes; NULL: none are known */
        struct { const char *maker; const struct tl_pvalue *state; } object;
        struct { struct tl_pvalue **at; uint32_t n, room; } items;   /* TUPLE, LIST; DICT: key, value, key, value */
        const tl_pglobal *global;
        const tl_pstorage *storage;
        tl_ptensor *tensor;
    } as;
} tl_pvalue;

typedef struct tl_pickle {
    const tl_pvalue *root;
    const tl_pvalue *storages;  /* a list of every storage named, repetitions included */
    size_t used;                /* bytes up to and with the final STOP */
    struct tl_pickle_machine *machine;
} tl_pickle;

/* Reads one pickle from the front of `data`, which must outlive it. 0, or -1 with an error; free it in
 * either case. */
int tl__pickle_read(tl_error *err, tl_pickle *p, const uint8_t *data, size_t bytes);
void tl__pickle_free(tl_pickle *p);
/* "a dict", "a tensor": for messages. */
const char *tl__pickle_kind(const tl_pvalue *v);

/* Where a state dict finds the bytes of a storage; `bytes` is what the file truly has. 0 or -1. */
typedef struct tl_pstore {
    int (*find)(tl_error *err, void *user, const tl_pstorage *storage, const uint8_t **data, size_t *bytes);
    void *user;
    int swap;  /* the bytes of each element stand in big-endian order */
} tl_pstore;

/* Adds every tensor of a state dict or pickled module, or of the one in a checkpoint, to the archive: of the one under
 * the archive's wanted key where there is one, else of the usual one. What is no tensor is noted as odd. */
int tl__state_dict(tl_error *err, tl_archive *a, const tl_pvalue *root, const tl_pstore *store);

#endif
