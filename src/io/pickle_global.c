/* pickle_global.c - the names of Python that a state dict may speak of, and what stands for them here.
 * A name that is not in the table, and whatever is called under it, is an opaque value: nothing is run. */
#include "io/pickle_machine.h"

#include <string.h>

struct tl_pglobal {
    const char *module, *name;
    tl_pvalue *(*call)(tl_pmachine *m, const tl_pvalue *args);  /* NULL: a storage class, which nobody calls */
    int is_storage;      /* a storage class; `dtype` is the type of its elements */
    tl_dtype dtype;
    const char *foreign; /* a type of element that tlua does not read, and the bytes of one */
    size_t size;
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

tl_pvalue *tl__pickle_opaque(tl_pmachine *m, const char *module, size_t module_bytes, const char *name, size_t name_bytes)
{
    char a[TL__PRINTABLE_SIZE], b[TL__PRINTABLE_SIZE];
    tl_pvalue *v = tl__pickle_value(m, TL_P_OPAQUE);
    if (!v) return NULL;
    tl__printable(a, module, module_bytes);
    tl__printable(b, name, name_bytes);
    size_t n = strlen(a) + 1 + strlen(b);
    char *text = tl__pickle_alloc(m, n + 1);
    if (!text) return NULL;
    snprintf(text, n + 1, "%s.%s", a, b);
    v->as.object.maker = text;
    return v;
}

tl_pvalue *tl__pickle_object(tl_pmachine *m, const tl_pvalue *maker)
{
    tl_pvalue *v = tl__pickle_value(m, TL_P_OPAQUE);
    if (v) v->as.object.maker = maker->as.object.maker;
    return v;
}

static tl_pvalue *opaque(tl_pmachine *m, const char *module, const char *name) { return tl__pickle_opaque(m, module, strlen(module), name, strlen(name)); }

/* ---- calls ---- */

/* A tensor that is there but cannot be read: `what` ("has the type torch.") and `more` ("complex64") say why. */
static tl_pvalue *odd_tensor(tl_pmachine *m, const char *what, const char *more, const char *way_out)
{
    size_t n = strlen(what) + strlen(more) + strlen(way_out) + 1;
    tl_ptensor *t = tl__pickle_alloc(m, sizeof *t);
    char *why = t ? tl__pickle_alloc(m, n) : NULL;
    tl_pvalue *v = why ? tl__pickle_value(m, TL_P_TENSOR) : NULL;
    if (!v) return NULL;
    snprintf(why, n, "%s%s%s", what, more, way_out);
    *t = (tl_ptensor){.odd = why};
    v->as.tensor = t;
    return v;
}

static tl_pvalue *foreign_type(tl_pmachine *m, const char *type)
{
    return odd_tensor(m, "has the type torch.", type, ", which tlua does not read; save it as float32 or int64");
}

/* torch.Size((2, 3)) and a Parameter made of a tensor are their first argument. */
static tl_pvalue *call_first(tl_pmachine *m, const tl_pvalue *args)
{
    if (!arg(args, 0, TL_P_TUPLE) && !arg(args, 0, TL_P_TENSOR)) return opaque(m, "torch", "Size or Parameter of something else");
    return args->as.items.at[0];
}

/* OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 wrote it, or of another dict. */
static tl_pvalue *call_dict(tl_pmachine *m, const tl_pvalue *args)
{
    tl_pvalue *dict = tl__pickle_value(m, TL_P_DICT);
    if (!dict || args->as.items.n == 0) return dict;
    const tl_pvalue *list = args->as.items.at[0];
    if (list->kind != TL_P_LIST && list->kind != TL_P_TUPLE && list->kind != TL_P_DICT) return opaque(m, "collections", "OrderedDict");
    for (uint32_t i = 0; i < list->as.items.n; i++) {
        tl_pvalue *each = list->as.items.at[i];
        if (list->kind == TL_P_DICT) {
            if (tl__pickle_append(m, dict, each) != 0) return NULL;
            continue;
        }
        if ((each->kind != TL_P_LIST && each->kind != TL_P_TUPLE) || each->as.items.n != 2) return damaged(m, "an OrderedDict of something other than pairs");
        if (tl__pickle_append(m, dict, each->as.items.at[0]) != 0 || tl__pickle_append(m, dict, each->as.items.at[1]) != 0) return NULL;
    }
    return dict;
}

/* defaultdict(what makes a missing value), or nothing more: its items follow. */
static tl_pvalue *call_defaultdict(tl_pmachine *m, const tl_pvalue *args)
{
    (void)args;
    return tl__pickle_value(m, TL_P_DICT);
}

/* set([...]) as protocols below 4 write it. Sets are kept as lists, as pickle.c does. */
static tl_pvalue *call_set(tl_pmachine *m, const tl_pvalue *args)
{
    if (args->as.items.n == 0) return tl__pickle_value(m, TL_P_LIST);
    return arg(args, 0, TL_P_LIST) ? args->as.items.at[0] : opaque(m, "builtins", "set");
}

/* copyreg._reconstructor(class, base, value of the base) is what protocols below 2 have for NEWOBJ. */
static tl_pvalue *call_reconstructor(tl_pmachine *m, const tl_pvalue *args)
{
    const tl_pvalue *class = arg(args, 0, TL_P_OPAQUE);
    return class ? tl__pickle_object(m, class) : opaque(m, "copyreg", "_reconstructor");
}

/* (storage, offset, size, stride, ...). Whether the view lies inside its storage is checked where the
 * true size of the storage is known. */
static tl_pvalue *call_tensor(tl_pmachine *m, const tl_pvalue *args)
{
    const tl_pvalue *storage = arg(args, 0, TL_P_STORAGE), *offset = arg(args, 1, TL_P_INT);
    const tl_pvalue *size = arg(args, 2, TL_P_TUPLE), *stride = arg(args, 3, TL_P_TUPLE);
    if (!storage || !offset || !size || !stride || offset->as.i < 0 || size->as.items.n != stride->as.items.n)
        return damaged(m, "a tensor without storage, offset, size and stride");
    if (storage->as.storage->foreign) return foreign_type(m, storage->as.storage->foreign);
    if (size->as.items.n > TL_MAX_RANK) {
        char many[80];
        snprintf(many, sizeof many, "%u dimensions, and tlua has at most %d", (unsigned)size->as.items.n, TL_MAX_RANK);
        return odd_tensor(m, "has ", many, "");
    }
    const tl_pvalue *extra = arg(args, 6, TL_P_DICT);
    if (extra && extra->as.items.n) return odd_tensor(m, "is a conjugate or negative view; save a copy of it (tensor.clone())", "", "");
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
    const tl_pvalue *dtype = arg(args, 6, TL_P_OPAQUE);
    const char *dot = dtype ? strrchr(dtype->as.object.maker, '.') : NULL;
    return foreign_type(m, dot ? dot + 1 : "?");
}

static tl_pvalue *call_quantised(tl_pmachine *m, const tl_pvalue *args)
{
    (void)args;
    return odd_tensor(m, "is quantised, which tlua does not read; save it as float32 (tensor.dequantize())", "", "");
}

static tl_pvalue *call_sparse(tl_pmachine *m, const tl_pvalue *args)
{
    (void)args;
    return odd_tensor(m, "is sparse, which tlua does not read; save it as dense (tensor.to_dense())", "", "");
}

/* (rebuild function, class, its arguments, attributes): a tensor that carries attributes of Python. */
static tl_pvalue *call_with_attributes(tl_pmachine *m, const tl_pvalue *args)
{
    const tl_pvalue *inner = arg(args, 2, TL_P_TUPLE);
    if (args->as.items.n == 0 || !inner) return damaged(m, "a tensor without a way to make it");
    const tl_pvalue *function = args->as.items.at[0];
    /* Never this function again: arguments may hold themselves, and nothing here recurses. */
    if (function->kind == TL_P_GLOBAL && function->as.global->call && function->as.global->call != call_with_attributes) return function->as.global->call(m, inner);
    return opaque(m, "torch._tensor", "_rebuild_from_type_v2 of something else");
}

/* ---- names ---- */

#define CALL(module, name, call) {module, name, call, 0, TL_F32, NULL, 0}
#define TENSOR_CALL(name, call) CALL("torch._utils", name, call)
#define STORAGE(name, dtype) {"torch", name, NULL, 1, dtype, NULL, 0}, {"torch.cuda", name, NULL, 1, dtype, NULL, 0}
#define FOREIGN(name, type, size) {"torch", name, NULL, 1, TL_U8, type, size}, {"torch.cuda", name, NULL, 1, TL_U8, type, size}

static const tl_pglobal globals[] = {
    CALL("collections", "OrderedDict", call_dict), CALL("collections", "defaultdict", call_defaultdict),
    CALL("builtins", "dict", call_dict), CALL("__builtin__", "dict", call_dict),
    CALL("builtins", "set", call_set), CALL("__builtin__", "set", call_set),
    CALL("copyreg", "_reconstructor", call_reconstructor), CALL("copy_reg", "_reconstructor", call_reconstructor),
    TENSOR_CALL("_rebuild_tensor_v2", call_tensor), TENSOR_CALL("_rebuild_tensor", call_tensor),
    TENSOR_CALL("_rebuild_tensor_v3", call_foreign_tensor),
    TENSOR_CALL("_rebuild_qtensor", call_quantised), TENSOR_CALL("_rebuild_sparse_tensor", call_sparse),
    TENSOR_CALL("_rebuild_sparse_csr_tensor", call_sparse),
    TENSOR_CALL("_rebuild_parameter", call_first), TENSOR_CALL("_rebuild_parameter_with_state", call_first),
    CALL("torch._tensor", "_rebuild_from_type_v2", call_with_attributes),
    CALL("torch", "Size", call_first),
    STORAGE("FloatStorage", TL_F32), STORAGE("DoubleStorage", TL_F64), STORAGE("HalfStorage", TL_F16),
    STORAGE("BFloat16Storage", TL_BF16), STORAGE("LongStorage", TL_I64), STORAGE("IntStorage", TL_I32),
    STORAGE("ShortStorage", TL_I16), STORAGE("CharStorage", TL_I8), STORAGE("ByteStorage", TL_U8), STORAGE("BoolStorage", TL_BOOL),
    {"torch.storage", "UntypedStorage", NULL, 1, TL_U8, NULL, 0},
    FOREIGN("ComplexFloatStorage", "complex64", 8), FOREIGN("ComplexDoubleStorage", "complex128", 16), FOREIGN("QInt8Storage", "qint8", 1),
    FOREIGN("QUInt8Storage", "quint8", 1), FOREIGN("QInt32Storage", "qint32", 4), FOREIGN("QUInt4x2Storage", "quint4x2", 1),
    FOREIGN("QUInt2x4Storage", "quint2x4", 1),
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
    return tl__pickle_opaque(m, module, module_bytes, name, name_bytes);
}

tl_pvalue *tl__pickle_call(tl_pmachine *m, const tl_pvalue *function, const tl_pvalue *args)
{
    if (function->kind == TL_P_GLOBAL) {
        const tl_pglobal *g = function->as.global;
        return g->call ? g->call(m, args) : opaque(m, g->module, g->name);
    }
    return tl__pickle_object(m, function); /* a new one, although the same name: each has its attributes */
}

/* ("storage", class, key, device, elements[, view]). A class that is not known may be one of a newer PyTorch. */
static tl_pvalue *torch_storage(tl_pmachine *m, const tl_pvalue *id)
{
    const tl_pvalue *class = id->as.items.at[1], *key = arg(id, 2, TL_P_TEXT), *numel = arg(id, 4, TL_P_INT);
    const tl_pglobal *known = class->kind == TL_P_GLOBAL ? class->as.global : NULL;
    if ((known && !known->is_storage) || (!known && class->kind != TL_P_OPAQUE) || !key || !numel || numel->as.i < 0)
        return damaged(m, "it refers to something that is no storage");
    tl_pstorage *s = tl__pickle_alloc(m, sizeof *s);
    tl_pvalue *v = s ? tl__pickle_value(m, TL_P_STORAGE) : NULL;
    if (!v) return NULL;
    *s = (tl_pstorage){.key = key->as.text.at, .key_bytes = key->as.text.n, .numel = numel->as.i, .view_numel = numel->as.i};
    if (known) {
        s->dtype = known->dtype;
        s->foreign = known->foreign;
        s->size = known->foreign ? known->size : tl__dtype_size(known->dtype);
    } else {
        const char *dot = strrchr(class->as.object.maker, '.');
        s->foreign = dot ? dot + 1 : class->as.object.maker;
    }
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

/* Other ids are of other programs' own making, like the modules that old files name with their source code. */
tl_pvalue *tl__pickle_storage(tl_pmachine *m, const tl_pvalue *id)
{
    const tl_pvalue *tag = id->kind == TL_P_TUPLE ? arg(id, 0, TL_P_TEXT) : NULL;
    if (tag && id->as.items.n > 1 && same("storage", tag->as.text.at, tag->as.text.n)) return torch_storage(m, id);
    if (tag && id->as.items.n > 1 && same("module", tag->as.text.at, tag->as.text.n)) return id->as.items.at[1];
    return opaque(m, "pickle", "persistent_id");
}

const char *tl__pickle_kind(const tl_pvalue *v)
{
    static const char *const names[] = {
        "None", "a bool", "an int", "an int", "a float", "a text", "bytes", "a tuple", "a list", "a dict",
        "a name", "a storage", "a tensor", "an object", "nothing",
    };
    return names[v->kind];
}
