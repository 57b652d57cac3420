/* binding.h - what the Lua bindings share. A Lua handle (box) holds one reference to a tensor; a Lua scope
 * lists the boxes made while it was open and empties them when it closes. Everything about the running
 * program (device, seed) lives in one context, everything about a coroutine (its scopes, whether it
 * records) in a thread state that dies with the coroutine.
 *
 * Order in every binding: make the userdata first, then the tensors in a C scope; raise only after the C
 * scope is dropped, since lua_error does not return. */
#ifndef TLUA_BINDING_H
#define TLUA_BINDING_H

#include "op/op.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

typedef struct box {
    tl_tensor *tensor;           /* NULL once freed */
    struct box *previous, *next; /* in the scope's list */
    struct lua_scope *scope;     /* NULL outside any */
    size_t bytes;                /* counted towards the collector's debt */
} box;

typedef struct lua_scope {
    box first;                   /* head of a ring */
    struct lua_scope *outer;     /* kept alive by the user value */
    struct thread_state *thread;
    int closed;
    char where[120];             /* FILE:LINE where it was opened */
} lua_scope;

typedef struct thread_state {
    lua_scope *top;
    int recording;
    struct context *context;
} thread_state;

typedef struct context {
    tl_device *device;
    uint64_t seed, ordinal;
    lua_State *cached_thread;
    thread_state *cached_state;
    size_t debt;                 /* bytes in boxes that only the collector can free */
    lua_State *in_backward;      /* who called backward, while it runs */
} context;

#define TENSOR "tlua.tensor"

context *tl__lua_context(lua_State *L);
thread_state *tl__lua_thread(lua_State *L);
/* Opens the program's device, once; says what is wrong with its table of choices. Raises. */
tl_device *tl__lua_open_device(lua_State *L, const char *spec);
/* The device, opened when first needed; raises. */
tl_device *tl__lua_device(lua_State *L);

/* Pushes an empty box; fill it with tl__lua_fill. */
box *tl__lua_box(lua_State *L);
/* Takes over one reference. */
void tl__lua_fill(lua_State *L, box *b, tl_tensor *t);
/* Empties it before its scope closes: nobody may use the handle afterwards. */
void tl__lua_empty(lua_State *L, box *b);
/* The tensor at `index`; raises when it is none or freed. */
tl_tensor *tl__lua_tensor(lua_State *L, int index);
tl_tensor *tl__lua_opt_tensor(lua_State *L, int index);
/* All values in host memory, as a userdata that is pushed; and one of them as a number. */
void *tl__lua_values(lua_State *L, tl_tensor *t);
double tl__lua_value_at(const void *host, tl_dtype dtype, int64_t i);
/* Lets the collector work in proportion to the device bytes that it alone can free. */
void tl__lua_pressure(lua_State *L);
/* After a lack of memory: collects, flushes the pool; 1 the first time, so that the caller tries again. */
int tl__lua_relieve(lua_State *L, tl_scope *s, int *tried);

/* Raises `text` at the user's line (the first frame outside the library), followed by the modules passed
 * through. Never returns. */
int tl__lua_raise(lua_State *L, const char *text);
int tl__lua_raisef(lua_State *L, const char *format, ...) TL__PRINTF(2, 3);
/* Drops the scope and raises its error. */
int tl__lua_scope_error(lua_State *L, tl_scope *s);
/* Raises "unknown X 'word'; did you mean 'y'?" with the keys that the caller names (NULL-ended). */
int tl__lua_unknown(lua_State *L, const char *what, const char *word, const char *const *known);

/* Makes a tensor through `how`, run in a scope of its own, and pushes its box; raises on failure. */
typedef tl_tensor *tl__lua_maker(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with);
int tl__lua_make(lua_State *L, tl__lua_maker *how, const tl_shape *shape, tl_dtype dtype, const void *with);

/* The pipeline at `index`; raises where it is none. */
struct tl_pipeline *tl__lua_pipeline(lua_State *L, int index);

/* The source at `index`; raises where it is none or closed. */
struct tl_source *tl__lua_source(lua_State *L, int index);
/* The source of kind "records" that the table at `index` describes; NULL with an error. Raises what is wrong with the table. */
struct tl_source *tl__lua_records(lua_State *L, int index, tl_error *err);
/* The source of kind "custom" likewise, whose samples a function of the user's gives (src/lua/custom.c). */
struct tl_source *tl__lua_custom(lua_State *L, int index, tl_error *err);
/* `width` numbers of the list on top, which is taken off; with `unknown`, `false` stands for a value that is not known. Raises for picture i. */
void tl__lua_numbers(lua_State *L, const char *kind, const char *key, int64_t i, int width, int unknown, float *to);
/* The tensor at `index` as picture i: uint8 or float32, (height, width, channels) or (height, width). Raises. */
struct tl_image;
void tl__lua_image(lua_State *L, int index, const char *kind, int64_t i, struct tl_image *out);
/* The `n` tensors (T) of the list at `list` as waves of no rate, which the collector frees but for those that were
 * taken over; pushed. Raises. */
struct tl_wave;
struct tl_wave *tl__lua_waves(lua_State *L, int list, int64_t n);
/* Adds to the methods of sources on top what tells of their fields, and of their sound. */
void tl__lua_add_fields(lua_State *L);
void tl__lua_add_sound(lua_State *L);
void tl__lua_add_volumes(lua_State *L);
/* Adds assign, decode and row_boxes to core.detect on top. */
void tl__lua_add_levels(lua_State *L);
/* Adds window, length and text_of. */
void tl__lua_add_pieces(lua_State *L);
/* A set of tokenizer:encode_all; raises what is none. */
struct tl_encodings *tl__lua_encodings(lua_State *L, int index);
/* The volumes of the table at `t` (its fields `volumes` and those that say how they are read), whose masks have so many
 * classes; the stack keeps it, but for `mask`. */
struct tl_volume_list;
const struct tl_volume_list *tl__lua_volumes(lua_State *L, int t, int classes, int64_t *count);
/* What source:mask(i) gives of a source of volumes. */
int tl__lua_push_mask(lua_State *L);
/* The series of core.dicom.series at `index`; NULL where it is none. */
struct tl_series;
const struct tl_series *tl__lua_series(lua_State *L, int index);
/* Sets affine, spacing and axes of the table on top. */
struct tl_volume;
void tl__lua_push_place(lua_State *L, const struct tl_volume *v);

/* Pushes what was passed over in a folder of pictures (NULL: nothing) as {{ending=, count=}..., stray=}. */
struct tl_passed;
void tl__lua_push_passed(lua_State *L, const struct tl_passed *p);

/* The path at `index`, with a home in the place of "~" and names in the form that they have on the disk (base/path.h); it takes the
 * argument's place on the stack. */
const char *tl__lua_path(lua_State *L, int index);

/* A shape from the arguments first..last: numbers, or one table. */
tl_shape tl__lua_shape(lua_State *L, int first, int last);
tl_dtype tl__lua_dtype(lua_State *L, const char *name);
const char *tl__lua_field_text(lua_State *L, int table, const char *key, const char *fallback);
double tl__lua_field_number(lua_State *L, int table, const char *key, double fallback);
/* A whole number from `least` to `most`, all 64 bits of it; anything else is an error. */
int64_t tl__lua_field_integer(lua_State *L, int table, const char *key, int64_t fallback, int64_t least, int64_t most);
/* The seed at an index, or in a field (0 where there is none): any whole number of 64 bits. */
uint64_t tl__lua_seed(lua_State *L, int index);
uint64_t tl__lua_field_seed(lua_State *L, int table, const char *key);
int tl__lua_field_bool(lua_State *L, int table, const char *key, int fallback);

/* Each sets a field of the table on top. A text that is NULL is left out; of `set_filled` one that is empty too. */
void tl__lua_set_integer(lua_State *L, const char *key, int64_t v);
void tl__lua_set_number(lua_State *L, const char *key, double v);
void tl__lua_set_bool(lua_State *L, const char *key, int v);
void tl__lua_set_text(lua_State *L, const char *key, const char *v);
void tl__lua_set_filled(lua_State *L, const char *key, const char *v);

/* Ctrl-C from now on raises an error in L (NULL: nowhere), or with `poll` only sets what the other tells. */
void tl__lua_catch_interrupt(lua_State *L, int poll);
int tl__lua_interrupted(void);

/* What a program does before anything else: standard streams, signals, and a look at standard output when it ends. */
void tl__lua_begin_process(void);

/* A function of the API: it takes so many arguments at most, with the object of a method and with the table of options, which stands last where
 * `options` names them ("half key"). TL__ANY: as many as one likes, or Lua itself calls it; then it looks at them itself. */
#define TL__ANY (-1)
typedef struct tl__lua_entry {
    const char *name;
    lua_CFunction function;
    int most;
    const char *options;
} tl__lua_entry;

/* Adds the functions to the table on top; more arguments than `most` and options that are not named become errors. self: 1 for methods. */
void tl__lua_functions(lua_State *L, const tl__lua_entry *list, int self);
/* What is at `table` is nothing, or a table that has only these options; raises. */
void tl__lua_options(lua_State *L, int table, const char *function, const char *options);
int tl__lua_too_many(lua_State *L, const char *function, int given, int most);

/* Each adds its functions to the table on top of the stack. */
void tl__lua_open_tensor(lua_State *L);
void tl__lua_open_make(lua_State *L);
void tl__lua_open_scope(lua_State *L);
void tl__lua_open_ops(lua_State *L);
void tl__lua_open_io(lua_State *L);
void tl__lua_open_onnx(lua_State *L);
void tl__lua_open_system(lua_State *L);
void tl__lua_open_json(lua_State *L);
void tl__lua_open_process(lua_State *L);
void tl__lua_open_interrupt(lua_State *L);
void tl__lua_open_lock(lua_State *L);
void tl__lua_open_serve(lua_State *L);
void tl__lua_open_line(lua_State *L);
void tl__lua_open_columns(lua_State *L);
void tl__lua_open_look(lua_State *L); /* after tensor */
void tl__lua_open_data(lua_State *L);
void tl__lua_open_loader(lua_State *L); /* by data */
void tl__lua_open_doubles(lua_State *L); /* by data */
void tl__lua_open_path(lua_State *L);  /* after data */
void tl__lua_open_sheet(lua_State *L); /* after data */
void tl__lua_open_audio(lua_State *L);
void tl__lua_open_dicom(lua_State *L);
void tl__lua_open_volume(lua_State *L); /* after dicom */
void tl__lua_open_ctc(lua_State *L);
void tl__lua_open_tokenizer(lua_State *L);
void tl__lua_open_packed(lua_State *L);
void tl__lua_open_surface(lua_State *L);
void tl__lua_open_roc(lua_State *L);
void tl__lua_open_detect(lua_State *L);
void tl__lua_open_xml(lua_State *L);
void tl__lua_open_features(lua_State *L);
void tl__lua_open_plan(lua_State *L);
void tl__lua_open_profile(lua_State *L);
void tl__lua_open_tune(lua_State *L);
void tl__lua_open_check(lua_State *L);
void tl__lua_open_optim(lua_State *L);
void tl__lua_open_checkpoint(lua_State *L);
/* Runs `op` with the Lua arguments first..top; results are pushed. */
int tl__lua_call_op(lua_State *L, const tl_op *op, int first);
/* Adds every operator as a method to the table on top. */
void tl__lua_add_ops(lua_State *L);

#endif
