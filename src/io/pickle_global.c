/* pickle_global.c - the names of Python that a state dict may speak of, and what stands for them here.
 * A name that is not in the table is refused, so nothing can be called that was not meant to be. */
#include "io/pickle_machine.h"

#include <string.h>

struct tl_pglobal {
    const char *module, *name;
    tl_pvalue *(*call)(tl_pmachine *m, const tl_pvalue *args);  /* NULL: a name that is only mentioned */
    int is_storage;      /* a storage class; `dtype` is the type of its elements */
    tl_dtype dtype;
    const char *foreign; /* a type of element that tlua does not read */
};

static tl_pvalue *damaged(tl_pmachine *m, const char *why)
{
    tl__pickle_damaged(m, why);
    return NULL;
}

static const tl_pvalue *arg(const tl_pvalue *args, uint32_t i, tl_pkind kind)
{
    return i < args->as.items.n && args->as.items.at[i]->kind == kind ? args->as.items.at[i] : NULL;
}

/* ---- calls ---- */

static tl_pvalue *call_opaque(tl_pmachine *m, const tl_pvalue *args)
{
    (void)args;
    return tl__pickle_value(m, TL_P_OPAQUE);
}

/* torch.Size((2, 3)) and a Parameter made of a tensor are their first argument. */
static tl_pvalue *call_first(tl_pmachine *m, const tl_pvalue *args)
{
    if (!arg(args, 0, TL_P_TUPLE) && !arg(args, 0, TL_P_TENSOR)) return damaged(m, "a torch.Size or a Parameter of something else");
    return args->as.items.at[0];
}

/* OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it. */
static tl_pvalue *call_dict(tl_pmachine *m, const tl_pvalue *args)
{
    tl_pvalue *dict = tl__pickle_value(m, TL_P_DICT);
    if (!dict || args->as.items.n == 0) return dict;
    const tl_pvalue *list = arg(args, 0, TL_P_LIST);
    if (!list) return damaged(m, "an OrderedDict of something other than pairs");
    for (uint32_t i = 0; i < list->as.items.n; i++) {
        const tl_pvalue *pair = list->as.items.at[i];
        if ((pair->kind != TL_P_LIST && pair->kind != TL_P_TUPLE) || pair->as.items.n != 2) return damaged(m, "an OrderedDict of something other than pairs");
        if (tl__pickle_append(m, dict, pair->as.items.at[0]) != 0 || tl__pickle_append(m, dict, pair->as.items.at[1]) != 0) return NULL;
    }
    return dict;
}

/* (storage, offset, size, stride, ...). Whether the view lies inside its storage is checked where the
 * true size of the storage is known. */
static tl_pvalue *call_tensor(tl_pmachine *m, const tl_pvalue *args)
{
    const tl_pvalue *storage = arg(args, 0, TL_P_STORAGE), *offset = arg(args, 1, TL_P_INT);
    const tl_pvalue *size = arg(args, 2, TL_P_TUPLE), *stride = arg(args, 3, TL_P_TUPLE);
    if (!storage || !offset || !size || !stride || offset->as.i < 0 || size->as.items.n != stride->as.items.n)
        return damaged(m, "a tensor without storage, offset, size and stride");
    if (size->as.items.n > TL_MAX_RANK) {
        tl__fail(m->err, TL_EFORMAT, "a tensor has %u dimensions; tlua has at most %d", (unsigned)size->as.items.n, TL_MAX_RANK);
        return NULL;
    }
    const tl_pvalue *extra = arg(args, 6, TL_P_DICT);
    if (extra && extra->as.items.n) {
        tl__fail(m->err, TL_EFORMAT, "a tensor is a conjugate or negative view; save a copy of it (tensor.clone())");
        return NULL;
    }
    tl_ptensor *t = tl__pickle_alloc(m, sizeof *t);
    tl_pvalue *v = t ? tl__pickle_value(m, TL_P_TENSOR) : NULL;
    if (!v) return NULL;
    *t = (tl_ptensor){.storage = storage->as.storage, .offset = offset->as.i, .shape.rank = (int)size->as.items.n};
    for (int i = 0; i < t->shape.rank; i++) {
        const tl_pvalue *n = arg(size, (uint32_t)i, TL_P_INT), *step = arg(stride, (uint32_t)i, TL_P_INT);
        if (!n || !step || n->as.i < 0 || step->as.i < 0) return damaged(m, "a tensor with an impossible size or stride");
        t->shape.dim[i] = n->as.i;
        t->stride[i] = step->as.i;
    }
    v->as.tensor = t;
    return v;
}

/* The form for types that came after the storage classes: unsigned, 8-bit floats. */
static tl_pvalue *call_foreign_tensor(tl_pmachine *m, const tl_pvalue *args)
{
    const tl_pvalue *dtype = arg(args, 6, TL_P_GLOBAL);
    tl__fail(m->err, TL_EFORMAT, "a tensor has the type torch.%s, which tlua does not read; save it as float32 or int64", dtype ? dtype->as.global->name : "?");
    return NULL;
}

/* (rebuild function, class, its arguments, attributes): a tensor that carries attributes of Python. */
static tl_pvalue *call_with_attributes(tl_pmachine *m, const tl_pvalue *args)
{
    const tl_pvalue *function = arg(args, 0, TL_P_GLOBAL), *inner = arg(args, 2, TL_P_TUPLE);
    if (!function || !inner) return damaged(m, "a tensor without a way to make it");
    if (function->as.global->call == call_tensor) return call_tensor(m, inner);
    if (function->as.global->call == call_first) return call_first(m, inner);
    if (function->as.global->call == call_foreign_tensor) return call_foreign_tensor(m, inner);
    return damaged(m, "a tensor made in a way that is not known");
}

/* ---- names ---- */

#define TENSOR_CALL(name, call) {"torch._utils", name, call, 0, TL_F32, NULL}
#define PLAIN(module, name) {module, name, NULL, 0, TL_F32, NULL}
#define STORAGE(name, dtype) {"torch", name, NULL, 1, dtype, NULL}, {"torch.cuda", name, NULL, 1, dtype, NULL}
#define FOREIGN(name, type) {"torch", name, NULL, 1, TL_U8, type}
#define DTYPE(name) PLAIN("torch", name)

static const tl_pglobal globals[] = {
    {"collections", "OrderedDict", call_dict, 0, TL_F32, NULL},
    TENSOR_CALL("_rebuild_tensor_v2", call_tensor), TENSOR_CALL("_rebuild_tensor", call_tensor),
    TENSOR_CALL("_rebuild_tensor_v3", call_foreign_tensor),
    TENSOR_CALL("_rebuild_parameter", call_first), TENSOR_CALL("_rebuild_parameter_with_state", call_first),
    {"torch._tensor", "_rebuild_from_type_v2", call_with_attributes, 0, TL_F32, NULL},
    {"torch", "Size", call_first, 0, TL_F32, NULL},
    {"torch", "device", call_opaque, 0, TL_F32, NULL},
    {"torch.serialization", "_get_layout", call_opaque, 0, TL_F32, NULL},
    {"_codecs", "encode", call_opaque, 0, TL_F32, NULL},
    {"__builtin__", "set", call_opaque, 0, TL_F32, NULL}, {"builtins", "set", call_opaque, 0, TL_F32, NULL},
    PLAIN("torch", "Tensor"), PLAIN("torch.nn.parameter", "Parameter"), PLAIN("torch.nn.parameter", "Buffer"),
    STORAGE("FloatStorage", TL_F32), STORAGE("DoubleStorage", TL_F64), STORAGE("HalfStorage", TL_F16),
    STORAGE("BFloat16Storage", TL_BF16), STORAGE("LongStorage", TL_I64), STORAGE("IntStorage", TL_I32),
    STORAGE("ShortStorage", TL_I16), STORAGE("CharStorage", TL_I8), STORAGE("ByteStorage", TL_U8), STORAGE("BoolStorage", TL_BOOL),
    {"torch.storage", "UntypedStorage", NULL, 1, TL_U8, NULL},
    FOREIGN("ComplexFloatStorage", "complex64"), FOREIGN("ComplexDoubleStorage", "complex128"), FOREIGN("QInt8Storage", "qint8"),
    FOREIGN("QUInt8Storage", "quint8"), FOREIGN("QInt32Storage", "qint32"),
    DTYPE("float32"), DTYPE("float64"), DTYPE("float16"), DTYPE("bfloat16"), DTYPE("int64"), DTYPE("int32"), DTYPE("int16"),
    DTYPE("int8"), DTYPE("uint8"), DTYPE("bool"), DTYPE("uint16"), DTYPE("uint32"), DTYPE("uint64"), DTYPE("complex64"),
    DTYPE("complex128"), DTYPE("float8_e4m3fn"), DTYPE("float8_e5m2"), DTYPE("float8_e4m3fnuz"), DTYPE("float8_e5m2fnuz"),
};

static int same(const char *text, const char *given, size_t n) { return strlen(text) == n && memcmp(text, given, n) == 0; }

tl_pvalue *tl__pickle_global(tl_pmachine *m, const char *module, size_t module_bytes, const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (!same(globals[i].module, module, module_bytes) || !same(globals[i].name, name, name_bytes)) continue;
        tl_pvalue *v = tl__pickle_value(m, TL_P_GLOBAL);
        if (v) v->as.global = &globals[i];
        return v;
    }
    char a[TL__PRINTABLE_SIZE], b[TL__PRINTABLE_SIZE];
    tl__fail(m->err, TL_EFORMAT, "the pickle wants %s.%s, which a state dict does not need; it was not run (torch.save(model.state_dict(), ...) makes a file without it)",
             tl__printable(a, module, module_bytes), tl__printable(b, name, name_bytes));
    return NULL;
}

tl_pvalue *tl__pickle_call(tl_pmachine *m, const tl_pglobal *global, const tl_pvalue *args)
{
    if (global->call) return global->call(m, args);
    tl__fail(m->err, TL_EFORMAT, "the pickle calls %s.%s, which a state dict does not need; it was not run", global->module, global->name);
    return NULL;
}

tl_pvalue *tl__pickle_storage(tl_pmachine *m, const tl_pvalue *id)
{
    const tl_pvalue *tag = id->kind == TL_P_TUPLE ? arg(id, 0, TL_P_TEXT) : NULL;
    const tl_pvalue *class = tag ? arg(id, 1, TL_P_GLOBAL) : NULL, *key = tag ? arg(id, 2, TL_P_TEXT) : NULL, *numel = tag ? arg(id, 4, TL_P_INT) : NULL;
    if (!tag || !same("storage", tag->as.text.at, tag->as.text.n) || !class || !class->as.global->is_storage || !key || !numel || numel->as.i < 0)
        return damaged(m, "it refers to something that is no storage");
    if (class->as.global->foreign) {
        tl__fail(m->err, TL_EFORMAT, "a tensor has the type torch.%s, which tlua does not read; save it as float32 or int64", class->as.global->foreign);
        return NULL;
    }
    tl_pstorage *s = tl__pickle_alloc(m, sizeof *s);
    tl_pvalue *v = s ? tl__pickle_value(m, TL_P_STORAGE) : NULL;
    if (!v) return NULL;
    *s = (tl_pstorage){key->as.text.at, key->as.text.n, class->as.global->dtype, numel->as.i, 0, numel->as.i};
    const tl_pvalue *view = arg(id, 5, TL_P_TUPLE);
    if (view) {
        const tl_pvalue *at = arg(view, 1, TL_P_INT), *n = arg(view, 2, TL_P_INT);
        if (!at || !n || at->as.i < 0 || n->as.i < 0 || at->as.i > s->numel || n->as.i > s->numel - at->as.i)
            return damaged(m, "a storage that is not inside its own");
        s->view_at = at->as.i;
        s->view_numel = n->as.i;
    }
    v->as.storage = s;
    return tl__pickle_append(m, &m->storages, v) == 0 ? v : NULL;
}

const char *tl__pickle_kind(const tl_pvalue *v)
{
    static const char *const names[] = {
        "None", "a bool", "an int", "an int", "a float", "a text", "bytes", "a tuple", "a list", "a dict",
        "a name", "a storage", "a tensor", "an object", "nothing",
    };
    return names[v->kind];
}
