/* pickle.c - the machine behind pickle.h. It knows the opcodes of all protocols but those that speak of
 * memory outside of the pickle, takes its memory from one arena with a limit, and never recurses, so that
 * no pickle can do more than fail. The opcodes are described in Python's pickletools.py. */
#include "io/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 4096, LAST_CHUNK = 1 << 20, MAX_MEMORY = 512 << 20 };

struct tl_pchunk { struct tl_pchunk *next; size_t used, size; max_align_t data[]; };

/* ---- memory ---- */

static int account(tl_pmachine *m, size_t bytes)
{
    if (bytes > MAX_MEMORY - m->memory)
        return tl__fail(m->err, TL_EFORMAT, "the pickle needs more than %d MB to read, which no state dict does", MAX_MEMORY >> 20);
    m->memory += bytes;
    return 0;
}

void *tl__pickle_alloc(tl_pmachine *m, size_t bytes)
{
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!m->chunks || m->chunks->size - m->chunks->used < bytes) {
        size_t size = m->chunks ? 2 * m->chunks->size : FIRST_CHUNK;
        if (size > LAST_CHUNK) size = LAST_CHUNK;
        if (size < bytes) size = bytes;
        struct tl_pchunk *c = account(m, size) == 0 ? tl__malloc(m->err, sizeof *c + size) : NULL;
        if (!c) return NULL;
        *c = (struct tl_pchunk){.next = m->chunks, .size = size};
        m->chunks = c;
    }
    void *p = (char *)m->chunks->data + m->chunks->used;
    m->chunks->used += bytes;
    return p;
}

tl_pvalue *tl__pickle_value(tl_pmachine *m, tl_pkind kind)
{
    tl_pvalue *v = tl__pickle_alloc(m, sizeof *v);
    if (v) *v = (tl_pvalue){.kind = kind};
    return v;
}

int tl__pickle_append(tl_pmachine *m, tl_pvalue *list, tl_pvalue *item)
{
    if (list->as.items.n == list->as.items.room) {
        uint32_t room = list->as.items.room ? 2 * list->as.items.room : 8;
        tl_pvalue **at = tl__pickle_alloc(m, room * sizeof *at);
        if (!at) return -1;
        if (list->as.items.n) memcpy(at, list->as.items.at, list->as.items.n * sizeof *at);
        list->as.items.at = at;
        list->as.items.room = room;
    }
    list->as.items.at[list->as.items.n++] = item;
    return 0;
}

/* ---- stack and input ---- */

int tl__pickle_damaged(tl_pmachine *m, const char *why)
{
    return tl__fail(m->err, TL_EFORMAT, "the pickle is damaged at byte %zu: %s", m->op_at, why);
}

static int push(tl_pmachine *m, tl_pvalue *v)
{
    if (!v) return -1;
    if (m->depth == m->room) {
        size_t room = m->room ? 2 * m->room : 64;
        tl_pvalue **larger = account(m, (room - m->room) * sizeof *larger) == 0 ? tl__realloc(m->err, m->stack, room * sizeof *larger) : NULL;
        if (!larger) return -1;
        m->stack = larger;
        m->room = room;
    }
    m->stack[m->depth++] = v;
    return 0;
}

/* The topmost value, which stays; never a mark. */
static tl_pvalue *top(tl_pmachine *m)
{
    if (m->depth && m->stack[m->depth - 1]->kind != TL_P_MARK) return m->stack[m->depth - 1];
    tl__pickle_damaged(m, "a value is missing on the stack");
    return NULL;
}

static tl_pvalue *pop(tl_pmachine *m)
{
    tl_pvalue *v = top(m);
    if (v) m->depth--;
    return v;
}

/* The place of the topmost mark in *at. */
static int find_mark(tl_pmachine *m, size_t *at)
{
    for (size_t i = m->depth; i > 0; i--) {
        if (m->stack[i - 1]->kind == TL_P_MARK) {
            *at = i - 1;
            return 0;
        }
    }
    return tl__pickle_damaged(m, "a mark is missing on the stack");
}

/* The next `n` bytes of the pickle. */
static const uint8_t *take(tl_pmachine *m, uint64_t n)
{
    if (n > m->bytes - m->at) {
        tl__fail(m->err, TL_EFORMAT, "the pickle ends too early; the file is cut short, fetch it again");
        return NULL;
    }
    const uint8_t *p = m->data + m->at;
    m->at += (size_t)n;
    return p;
}

/* An unsigned length or number of `width` bytes. */
static int take_number(tl_pmachine *m, int width, uint64_t *out)
{
    const uint8_t *p = take(m, (uint64_t)width);
    if (!p) return -1;
    *out = 0;
    for (int i = 0; i < width; i++) *out |= (uint64_t)p[i] << 8 * i;
    return 0;
}

/* ---- opcodes ---- */

static int op_proto(tl_pmachine *m, int op)
{
    (void)op;
    uint64_t version;
    if (take_number(m, 1, &version) != 0) return -1;
    if (version > 5) return tl__fail(m->err, TL_EFORMAT, "the pickle has protocol %d; tlua reads up to 5", (int)version);
    return 0;
}

/* A frame only tells a reader how much to buffer. */
static int op_frame(tl_pmachine *m, int op)
{
    (void)op;
    return take(m, 8) ? 0 : -1;
}

static int op_constant(tl_pmachine *m, int op)
{
    return push(m, op == 'N' ? &m->none : op == 0x88 ? &m->yes : op == 0x89 ? &m->no : op == ')' ? &m->unit : &m->mark);
}

static int op_pop(tl_pmachine *m, int op)
{
    (void)op;
    if (!m->depth) return tl__pickle_damaged(m, "the stack is empty");
    m->depth--;
    return 0;
}

static int op_pop_mark(tl_pmachine *m, int op)
{
    (void)op;
    return find_mark(m, &m->depth);
}

static int op_dup(tl_pmachine *m, int op)
{
    (void)op;
    return push(m, top(m));
}

static int op_int(tl_pmachine *m, int op)
{
    uint64_t x;
    if (take_number(m, op == 'J' ? 4 : op == 'M' ? 2 : 1, &x) != 0) return -1;
    tl_pvalue *v = tl__pickle_value(m, TL_P_INT);
    if (v) v->as.i = op == 'J' && x >> 31 ? (int64_t)x - ((int64_t)1 << 32) : (int64_t)x;
    return push(m, v);
}

/* Two's complement of any length; what is wider than 64 bits stays as bytes. */
static int op_long(tl_pmachine *m, int op)
{
    uint64_t n, x = 0;
    if (take_number(m, op == 0x8a ? 1 : 4, &n) != 0) return -1;
    const uint8_t *p = take(m, n);
    tl_pvalue *v = p ? tl__pickle_value(m, n > 8 ? TL_P_BIG : TL_P_INT) : NULL;
    if (!v) return -1;
    if (n > 8) {
        v->as.text.at = (const char *)p;
        v->as.text.n = (size_t)n;
        return push(m, v);
    }
    for (uint64_t i = 0; i < n; i++) x |= (uint64_t)p[i] << 8 * i;
    if (n && n < 8 && p[n - 1] & 0x80) x |= UINT64_MAX << 8 * n;
    memcpy(&v->as.i, &x, sizeof x);
    return push(m, v);
}

static int op_float(tl_pmachine *m, int op)
{
    (void)op;
    return take(m, 8) ? push(m, tl__pickle_value(m, TL_P_FLOAT)) : -1;
}

/* Text and bytes with a length in front, of 1, 4 or 8 bytes. */
static int op_text(tl_pmachine *m, int op)
{
    int width = op == 'X' || op == 'T' || op == 'B' ? 4 : op == 0x8d || op == 0x8e || op == 0x96 ? 8 : 1;
    int binary = op == 'B' || op == 'C' || op == 0x8e || op == 0x96;
    uint64_t n;
    if (take_number(m, width, &n) != 0) return -1;
    const uint8_t *p = take(m, n);
    tl_pvalue *v = p ? tl__pickle_value(m, binary ? TL_P_BYTES : TL_P_TEXT) : NULL;
    if (!v) return -1;
    v->as.text.at = (const char *)p;
    v->as.text.n = (size_t)n;
    return push(m, v);
}

/* What stands above stack place `from` becomes one value. */
static int gather(tl_pmachine *m, tl_pkind kind, size_t from)
{
    tl_pvalue *v = tl__pickle_value(m, kind);
    for (size_t i = from; v && i < m->depth; i++)
        if (m->stack[i]->kind == TL_P_MARK ? tl__pickle_damaged(m, "a mark in a tuple") : tl__pickle_append(m, v, m->stack[i])) v = NULL;
    m->depth = from;
    return push(m, v);
}

static int op_tuple_n(tl_pmachine *m, int op)
{
    size_t n = (size_t)(op - 0x84);
    if (m->depth < n) return tl__pickle_damaged(m, "a value is missing on the stack");
    return gather(m, TL_P_TUPLE, m->depth - n);
}

static int op_gather(tl_pmachine *m, int op)
{
    size_t mark = 0;
    if (find_mark(m, &mark) != 0) return -1;
    if (op == 'd' && (m->depth - mark - 1) % 2) return tl__pickle_damaged(m, "a key without a value");
    if (gather(m, op == 't' ? TL_P_TUPLE : op == 'd' ? TL_P_DICT : TL_P_LIST, mark + 1) != 0) return -1;
    m->stack[mark] = m->stack[mark + 1];
    m->depth--;
    return 0;
}

/* Sets are kept as lists: nothing asks what is in them. */
static int op_empty(tl_pmachine *m, int op)
{
    return push(m, tl__pickle_value(m, op == '}' ? TL_P_DICT : TL_P_LIST));
}

/* Everything from stack place `from` goes into the list or dict below `below`; what an opaque value gets is lost in it. */
static int put_into(tl_pmachine *m, tl_pkind kind, size_t below, size_t from)
{
    tl_pvalue *target = below ? m->stack[below - 1] : NULL;
    if (target && target->kind == TL_P_OPAQUE) {
        m->depth = below;
        return 0;
    }
    if (!target || target->kind != kind) return tl__pickle_damaged(m, kind == TL_P_DICT ? "no dict to put into" : "no list to put into");
    if (kind == TL_P_DICT && (m->depth - from) % 2) return tl__pickle_damaged(m, "a key without a value");
    for (size_t i = from; i < m->depth; i++) {
        if (m->stack[i]->kind == TL_P_MARK) return tl__pickle_damaged(m, "a mark in a list");
        if (tl__pickle_append(m, target, m->stack[i]) != 0) return -1;
    }
    m->depth = below;
    return 0;
}

static int op_put_many(tl_pmachine *m, int op)
{
    size_t mark = 0;
    if (find_mark(m, &mark) != 0) return -1;
    return put_into(m, op == 'u' ? TL_P_DICT : TL_P_LIST, mark, mark + 1);
}

static int op_put_one(tl_pmachine *m, int op)
{
    size_t n = op == 's' ? 2 : 1;
    if (m->depth < n) return tl__pickle_damaged(m, "a value is missing on the stack");
    return put_into(m, op == 's' ? TL_P_DICT : TL_P_LIST, m->depth - n, m->depth - n);
}

/* Each remembered value costs at least one opcode, so an honest number is below the pickle's length. */
static int remember(tl_pmachine *m, uint64_t i)
{
    tl_pvalue *v = top(m);
    if (!v) return -1;
    if (i >= m->bytes) return tl__pickle_damaged(m, "a memo number out of range");
    if (i >= m->memo_room) {
        size_t room = m->memo_room ? 2 * m->memo_room : 64;
        while (room <= i) room *= 2;
        tl_pvalue **larger = account(m, (room - m->memo_room) * sizeof *larger) == 0 ? tl__realloc(m->err, m->memo, room * sizeof *larger) : NULL;
        if (!larger) return -1;
        memset(larger + m->memo_room, 0, (room - m->memo_room) * sizeof *larger);
        m->memo = larger;
        m->memo_room = room;
    }
    m->memo_count += m->memo[i] == NULL;
    m->memo[i] = v;
    return 0;
}

static int op_memo_put(tl_pmachine *m, int op)
{
    uint64_t i = m->memo_count;
    if (op != 0x94 && take_number(m, op == 'r' ? 4 : 1, &i) != 0) return -1;
    return remember(m, i);
}

static int recall(tl_pmachine *m, uint64_t i)
{
    if (i >= m->memo_room || !m->memo[i]) return tl__pickle_damaged(m, "a memo number that was never set");
    return push(m, m->memo[i]);
}

static int op_memo_get(tl_pmachine *m, int op)
{
    uint64_t i;
    return take_number(m, op == 'j' ? 4 : 1, &i) == 0 ? recall(m, i) : -1;
}

/* One line of an opcode whose argument is text. */
static int take_line(tl_pmachine *m, const char **text, size_t *n)
{
    size_t left = m->bytes - m->at;
    const uint8_t *from = m->data + m->at, *end = left ? memchr(from, '\n', left) : NULL;
    if (!end) return take(m, (uint64_t)left + 1) ? 0 : -1; /* says that it is cut short */
    *text = (const char *)from;
    *n = (size_t)(end - from);
    m->at += *n + 1;
    return 0;
}

/* A decimal number of protocol 0. As a float, or wider than 64 bits, nobody asks what it is. */
static int op_decimal(tl_pmachine *m, int op)
{
    const char *text;
    size_t n, i = 0;
    if (take_line(m, &text, &n) != 0) return -1;
    if (op == 'F') return push(m, tl__pickle_value(m, TL_P_FLOAT));
    if (op == 'I' && n == 2 && text[0] == '0' && (text[1] == '0' || text[1] == '1')) return push(m, text[1] == '1' ? &m->yes : &m->no);
    if (op == 'L' && n && text[n - 1] == 'L') n--;
    int negative = n && text[0] == '-', wide = 0;
    int64_t x = 0;
    for (i = (size_t)negative; i < n && !wide; i++) {
        if (text[i] < '0' || text[i] > '9') return tl__pickle_damaged(m, "a number that is none");
        wide = x > (INT64_MAX - 9) / 10;
        if (!wide) x = 10 * x + (text[i] - '0');
    }
    tl_pvalue *v = tl__pickle_value(m, wide ? TL_P_FLOAT : TL_P_INT);
    if (v && !wide) v->as.i = negative ? -x : x;
    return push(m, v);
}

/* Text of protocol 0, of Python 2 between quotes. With escapes it stands for something else, so it names nothing. */
static int op_line(tl_pmachine *m, int op)
{
    const char *text;
    size_t n;
    if (take_line(m, &text, &n) != 0) return -1;
    if (op == 'S') {
        if (n < 2 || (text[0] != '\'' && text[0] != '"') || text[n - 1] != text[0]) return tl__pickle_damaged(m, "a text without its quotes");
        text++;
        n -= 2;
    }
    if (memchr(text, '\\', n)) return push(m, tl__pickle_value(m, TL_P_BYTES));
    tl_pvalue *v = tl__pickle_value(m, TL_P_TEXT);
    if (!v) return -1;
    v->as.text.at = text;
    v->as.text.n = n;
    return push(m, v);
}

/* PUT and GET say in decimal where BINPUT and BINGET have a byte. */
static int op_memo_line(tl_pmachine *m, int op)
{
    const char *text;
    size_t n;
    uint64_t i = 0;
    if (take_line(m, &text, &n) != 0) return -1;
    for (size_t k = 0; k < n; k++) {
        if (text[k] < '0' || text[k] > '9' || i > UINT32_MAX) return tl__pickle_damaged(m, "a memo number that is none");
        i = 10 * i + (uint64_t)(text[k] - '0');
    }
    return op == 'p' ? remember(m, i) : recall(m, i);
}

static int op_global(tl_pmachine *m, int op)
{
    (void)op;
    const char *module, *name;
    size_t module_bytes, name_bytes;
    if (take_line(m, &module, &module_bytes) != 0 || take_line(m, &name, &name_bytes) != 0) return -1;
    return push(m, tl__pickle_global(m, module, module_bytes, name, name_bytes));
}

static int op_stack_global(tl_pmachine *m, int op)
{
    (void)op;
    tl_pvalue *name = pop(m), *module = name ? pop(m) : NULL;
    if (!module) return -1;
    if (name->kind != TL_P_TEXT || module->kind != TL_P_TEXT) return tl__pickle_damaged(m, "a global without a name");
    return push(m, tl__pickle_global(m, module->as.text.at, module->as.text.n, name->as.text.at, name->as.text.n));
}

/* A class of copyreg's list of short numbers, which only the program that wrote it has. */
static int op_extension(tl_pmachine *m, int op)
{
    uint64_t number;
    if (take_number(m, op == 0x84 ? 4 : op - 0x81, &number) != 0) return -1;
    return push(m, tl__pickle_opaque(m, "copyreg", 7, "extension", 9));
}

static int call(tl_pmachine *m, tl_pvalue *function, tl_pvalue *args)
{
    if (!function || !args) return -1;
    if ((function->kind != TL_P_GLOBAL && function->kind != TL_P_OPAQUE) || args->kind != TL_P_TUPLE)
        return tl__pickle_damaged(m, "a call of something that is no function");
    return push(m, tl__pickle_call(m, function, args));
}

static int op_reduce(tl_pmachine *m, int op)
{
    if (op == 0x92 && !pop(m)) return -1; /* NEWOBJ_EX has named arguments above the others */
    tl_pvalue *args = pop(m), *function = args ? pop(m) : NULL;
    return call(m, function, args);
}

/* The calls of protocol 0 and 1: the arguments stand above a mark, the class behind the opcode or in front of them. */
static int op_instance(tl_pmachine *m, int op)
{
    size_t mark = 0;
    if (find_mark(m, &mark) != 0) return -1;
    size_t first = mark + 1 + (op == 'o');
    if (first > m->depth) return tl__pickle_damaged(m, "a class is missing on the stack");
    tl_pvalue *function = op == 'o' ? m->stack[mark + 1] : NULL;
    if (gather(m, TL_P_TUPLE, first) != 0) return -1;
    tl_pvalue *args = pop(m);
    m->depth = mark;
    if (op == 'i') function = op_global(m, op) == 0 ? pop(m) : NULL;
    return call(m, function, args);
}

/* The attributes of an object are kept as they stand, a dict or one beside those of __slots__: they may hold the object
 * itself, and what its class would do with them is not known. Those of an OrderedDict (the `_metadata` of a state dict,
 * version numbers of modules) and of a tensor tell nothing about its values. */
static int op_build(tl_pmachine *m, int op)
{
    (void)op;
    tl_pvalue *state = pop(m), *object = state ? top(m) : NULL;
    if (!object) return -1;
    if (state->kind == TL_P_TUPLE && state->as.items.n == 2) state = state->as.items.at[0];
    if (object->kind == TL_P_OPAQUE && state->kind == TL_P_DICT) object->as.object.state = state;
    return 0;
}

static int op_persistent_id(tl_pmachine *m, int op)
{
    (void)op;
    tl_pvalue *id = pop(m);
    return id ? push(m, tl__pickle_storage(m, id)) : -1;
}

static int op_stop(tl_pmachine *m, int op)
{
    (void)op;
    m->root = pop(m);
    return m->root ? 1 : -1;
}

/* Names are those of pickletools.py. A name without a function is refused with that name. */
static const struct { const char *name; int (*run)(tl_pmachine *m, int op); } ops[256] = {
    [0x80] = {"PROTO", op_proto}, [0x95] = {"FRAME", op_frame}, ['.'] = {"STOP", op_stop},
    ['('] = {"MARK", op_constant}, ['N'] = {"NONE", op_constant}, [0x88] = {"NEWTRUE", op_constant},
    [0x89] = {"NEWFALSE", op_constant}, [')'] = {"EMPTY_TUPLE", op_constant},
    ['0'] = {"POP", op_pop}, ['1'] = {"POP_MARK", op_pop_mark}, ['2'] = {"DUP", op_dup},
    ['J'] = {"BININT", op_int}, ['K'] = {"BININT1", op_int}, ['M'] = {"BININT2", op_int},
    [0x8a] = {"LONG1", op_long}, [0x8b] = {"LONG4", op_long}, ['G'] = {"BINFLOAT", op_float},
    ['X'] = {"BINUNICODE", op_text}, [0x8c] = {"SHORT_BINUNICODE", op_text}, [0x8d] = {"BINUNICODE8", op_text},
    ['T'] = {"BINSTRING", op_text}, ['U'] = {"SHORT_BINSTRING", op_text}, ['B'] = {"BINBYTES", op_text},
    ['C'] = {"SHORT_BINBYTES", op_text}, [0x8e] = {"BINBYTES8", op_text}, [0x96] = {"BYTEARRAY8", op_text},
    [0x85] = {"TUPLE1", op_tuple_n}, [0x86] = {"TUPLE2", op_tuple_n}, [0x87] = {"TUPLE3", op_tuple_n},
    ['t'] = {"TUPLE", op_gather}, ['l'] = {"LIST", op_gather}, ['d'] = {"DICT", op_gather}, [0x91] = {"FROZENSET", op_gather},
    [']'] = {"EMPTY_LIST", op_empty}, ['}'] = {"EMPTY_DICT", op_empty}, [0x8f] = {"EMPTY_SET", op_empty},
    ['e'] = {"APPENDS", op_put_many}, ['u'] = {"SETITEMS", op_put_many}, [0x90] = {"ADDITEMS", op_put_many},
    ['a'] = {"APPEND", op_put_one}, ['s'] = {"SETITEM", op_put_one},
    ['q'] = {"BINPUT", op_memo_put}, ['r'] = {"LONG_BINPUT", op_memo_put}, [0x94] = {"MEMOIZE", op_memo_put},
    ['h'] = {"BINGET", op_memo_get}, ['j'] = {"LONG_BINGET", op_memo_get},
    ['c'] = {"GLOBAL", op_global}, [0x93] = {"STACK_GLOBAL", op_stack_global}, ['R'] = {"REDUCE", op_reduce},
    [0x81] = {"NEWOBJ", op_reduce}, ['b'] = {"BUILD", op_build}, ['Q'] = {"BINPERSID", op_persistent_id},
    [0x92] = {"NEWOBJ_EX", op_reduce}, ['i'] = {"INST", op_instance}, ['o'] = {"OBJ", op_instance},
    ['I'] = {"INT", op_decimal}, ['L'] = {"LONG", op_decimal}, ['F'] = {"FLOAT", op_decimal}, ['S'] = {"STRING", op_line}, ['V'] = {"UNICODE", op_line},
    ['p'] = {"PUT", op_memo_line}, ['g'] = {"GET", op_memo_line},
    [0x82] = {"EXT1", op_extension}, [0x83] = {"EXT2", op_extension}, [0x84] = {"EXT4", op_extension},
    ['P'] = {"PERSID", NULL}, [0x97] = {"NEXT_BUFFER", NULL}, [0x98] = {"READONLY_BUFFER", NULL},
};

static int run(tl_pmachine *m)
{
    for (int state = 0; !state;) {
        const uint8_t *p = take(m, 1);
        if (!p) return -1;
        m->op_at = m->at - 1;
        if (!ops[*p].name) return tl__fail(m->err, TL_EFORMAT, "the pickle is damaged at byte %zu: 0x%02x is no opcode", m->op_at, *p);
        if (!ops[*p].run)
            return tl__fail(m->err, TL_EFORMAT, "the pickle uses the opcode %s, which a state dict does not need; it was not run", ops[*p].name);
        state = ops[*p].run(m, *p);
        if (state < 0) return -1;
    }
    return 0;
}

int tl__pickle_read(tl_error *err, tl_pickle *p, const uint8_t *data, size_t bytes)
{
    *p = (tl_pickle){0};
    tl_pmachine *m = p->machine = tl__calloc(err, 1, sizeof *m);
    if (!m) return -1;
    m->err = err;
    m->data = data;
    m->bytes = bytes;
    m->none.kind = TL_P_NONE;
    m->yes = (tl_pvalue){.kind = TL_P_BOOL, .as.i = 1};
    m->no = (tl_pvalue){.kind = TL_P_BOOL, .as.i = 0};
    m->unit.kind = TL_P_TUPLE;
    m->mark.kind = TL_P_MARK;
    m->storages.kind = TL_P_LIST;
    int bad = run(m);
    p->root = m->root;
    p->storages = &m->storages;
    p->used = m->at;
    return bad;
}

void tl__pickle_free(tl_pickle *p)
{
    tl_pmachine *m = p->machine;
    for (struct tl_pchunk *c = m ? m->chunks : NULL, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    if (m) {
        free(m->stack);
        free(m->memo);
    }
    free(m);
    *p = (tl_pickle){0};
}
