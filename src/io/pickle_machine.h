/* pickle_machine.h - the state of the pickle machine, between its opcodes (pickle.c) and the names that
 * it knows (pickle_global.c). */
#ifndef TLUA_IO_PICKLE_MACHINE_H
#define TLUA_IO_PICKLE_MACHINE_H

#include "io/pickle.h"

typedef struct tl_pickle_machine {
    tl_error *err;
    const uint8_t *data;
    size_t bytes, at, op_at;           /* op_at: where the running opcode stands */
    struct tl_pchunk *chunks;
    size_t memory;
    tl_pvalue **stack, **memo;
    size_t depth, room, memo_room, memo_count;
    tl_pvalue none, yes, no, unit, mark;
    tl_pvalue storages;
    tl_pvalue *root;
} tl_pmachine;

/* Memory that lives as long as the machine; NULL on failure, which is recorded. */
void *tl__pickle_alloc(tl_pmachine *m, size_t bytes);
tl_pvalue *tl__pickle_value(tl_pmachine *m, tl_pkind kind);
int tl__pickle_append(tl_pmachine *m, tl_pvalue *list, tl_pvalue *item);
int tl__pickle_damaged(tl_pmachine *m, const char *why);

/* Something that was not made, and the name of what would make it, "module.name"; `name` may be empty. */
tl_pvalue *tl__pickle_opaque(tl_pmachine *m, const char *module, size_t module_bytes, const char *name, size_t name_bytes);
/* A new object of what an opaque value names, without attributes. */
tl_pvalue *tl__pickle_object(tl_pmachine *m, const tl_pvalue *maker);
/* The value for a name of Python, known or not. NULL and an error where memory is short. */
tl_pvalue *tl__pickle_global(tl_pmachine *m, const char *module, size_t module_bytes, const char *name, size_t name_bytes);
/* What REDUCE makes of a name, known or opaque, and a tuple of arguments. */
tl_pvalue *tl__pickle_call(tl_pmachine *m, const tl_pvalue *function, const tl_pvalue *args);
/* What BINPERSID makes of an id, in torch.save's form ("storage", class, key, device, elements[, view]). */
tl_pvalue *tl__pickle_storage(tl_pmachine *m, const tl_pvalue *id);

#endif
