/* reading.c - a list of calls from the text of a model file (docs/format.md), which may come from a stranger: whole
 * numbers, names and counts are checked here, shapes and attributes by the operators themselves when the calls are
 * made again under a trace.
 *
 * Format 1, of older files, had one input (N, ...) of floats and one output, and its number of pictures was
 * recognised in attributes by being a multiple of 37. */
#include "plan/plan.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 2, MOST_CALLS = 100000 };

/* ---- numbers ---- */

/* A whole number that fits an int; products of a few such are checked by whoever allocates. */
static int whole(tl_error *err, const cJSON *j, const char *what, int64_t *to)
{
    if (!cJSON_IsNumber(j) || j->valuedouble != floor(j->valuedouble) || fabs(j->valuedouble) > INT_MAX)
        return tl__fail(err, TL_EFORMAT, "its plan: %s is not a whole number of a sensible size", what);
    *to = (int64_t)j->valuedouble;
    return 0;
}

static int symbol_of(const tl_listing *l, const char *name)
{
    for (int i = 0; i < l->g.symbols; i++)
        if (strcmp(l->g.symbol[i].name, name) == 0) return i;
    return -1;
}

/* {"N": 4}: so many times a symbol. */
static int read_times(tl_error *err, const tl_listing *l, const cJSON *j, const char *what, tl_size *size)
{
    int64_t product;
    size->symbol = j->child && !j->child->next && j->child->string ? symbol_of(l, j->child->string) : -1;
    if (size->symbol < 0) return tl__fail(err, TL_EFORMAT, "its plan: %s names no symbol", what);
    if (whole(err, j->child, what, &size->times) != 0) return -1;
    if (size->times < 1 || tl__mul_size(size->times, l->g.symbol[size->symbol].size, &product) != 0 ||
        product > INT_MAX)
        return tl__fail(err, TL_EFORMAT, "its plan: %s is impossible", what);
    return 0;
}

/* A number of an attribute, plain or a symbol's. */
static int read_number(tl_error *err, const tl_listing *l, const cJSON *j, const char *what, tl_listed *c, int attr,
                       int at, int64_t *to)
{
    tl_size size;
    if (!cJSON_IsObject(j)) return whole(err, j, what, to);
    if (read_times(err, l, j, what, &size) != 0) return -1;
    if (c->sizes == TL_ATTR_LIST) return tl__fail(err, TL_EFORMAT, "its plan: %s has too many symbols", c->op->name);
    c->sized[c->sizes++] = (tl_sized){attr, at, size};
    *to = tl__size_of(l->g.symbol, size);
    return 0;
}

/* ---- attributes ---- */

static int read_choice(tl_error *err, const tl_attr *a, const cJSON *j, tl_value *v)
{
    for (int i = 0; a->choices[i]; i++)
        if (cJSON_IsString(j) && strcmp(a->choices[i], j->valuestring) == 0) {
            v->i = i;
            return 0;
        }
    return tl__fail(err, TL_EFORMAT, "its plan: %s has a value that this version does not know", a->name);
}

static int read_attribute(tl_error *err, const tl_listing *l, const cJSON *j, tl_listed *c, int k)
{
    const tl_attr *a = &c->op->attrs[k];
    tl_value *v = &c->attr[k];
    if (a->kind == TL_A_CHOICE) return read_choice(err, a, j, v);
    if (a->kind == TL_A_FLOAT) {
        if (!cJSON_IsNumber(j)) return tl__fail(err, TL_EFORMAT, "its plan: %s is not a number", a->name);
        v->f = j->valuedouble;
        return 0;
    }
    if (a->kind != TL_A_INTS && a->kind != TL_A_AXES && a->kind != TL_A_FLOATS)
        return read_number(err, l, j, a->name, c, k, -1, &v->i);
    v->n = 0;
    if (!cJSON_IsArray(j) || cJSON_GetArraySize(j) > TL_ATTR_LIST)
        return tl__fail(err, TL_EFORMAT, "its plan: %s is not a short list", a->name);
    for (const cJSON *each = j->child; each; each = each->next, v->n++)
        if (a->kind == TL_A_FLOATS) {
            if (!cJSON_IsNumber(each)) return tl__fail(err, TL_EFORMAT, "its plan: %s is no list of numbers", a->name);
            v->numbers[v->n] = each->valuedouble;
        } else if (read_number(err, l, each, a->name, c, k, v->n, &v->list[v->n]) != 0) return -1;
    return 0;
}

static int read_attributes(tl_error *err, const tl_listing *l, const cJSON *j, tl_listed *c)
{
    memset(c->attr, 0, sizeof c->attr);
    tl__attr_defaults(c->op, c->attr);
    c->sizes = 0;
    unsigned given = 0;
    for (const cJSON *each = j ? j->child : NULL; each; each = each->next) {
        int k = 0;
        while (c->op->attrs[k].kind != TL_A_END && each->string && strcmp(c->op->attrs[k].name, each->string) != 0) k++;
        if (!each->string || c->op->attrs[k].kind == TL_A_END || given >> k & 1)
            return tl__fail(err, TL_EFORMAT, "its plan: %s has no such attribute here", c->op->name);
        given |= 1u << k;
        if (read_attribute(err, l, each, c, k) != 0) return -1;
    }
    return 0;
}

/* ---- calls ---- */

/* How many inputs the operator names; -1 where it takes any number. */
static int named_inputs(const tl_op *op)
{
    int n = 0;
    while (n < TL_MAX_INPUTS && op->inputs[n]) n++;
    return n > 0 && strstr(op->inputs[n - 1], "...") ? -1 : n;
}

static int read_input(tl_error *err, const cJSON *j, tl_listed *c, int k)
{
    int64_t i = -1;
    c->in[k].name = cJSON_IsString(j) ? j->valuestring : NULL;
    if (!c->in[k].name && !cJSON_IsNull(j) && (whole(err, j, "an input", &i) != 0 || i < 0))
        return tl__fail(err, TL_EFORMAT, "its plan: there is no value %lld", (long long)i);
    c->in[k].value = (int)i;
    return 0;
}

int tl__listing_next(tl_error *err, tl_listing *l, tl_listed *c)
{
    const cJSON *j = l->next;
    if (!j) return 0;
    l->next = j->next;
    const cJSON *name = cJSON_GetArrayItem(j, 0), *inputs = cJSON_GetArrayItem(j, 1);
    c->op = cJSON_IsString(name) ? tl__op_find(name->valuestring) : NULL;
    if (!c->op || c->op->release || ++l->calls > MOST_CALLS)
        return tl__fail(err, TL_EFORMAT, "its plan has an operator that this version does not know");
    int n = 0, named = named_inputs(c->op), most = named < 0 ? (int)(sizeof c->in / sizeof *c->in) : named;
    for (const cJSON *each = cJSON_IsArray(inputs) ? inputs->child : NULL; each; each = each->next) {
        if (n == most) return tl__fail(err, TL_EFORMAT, "its plan: %s has too many inputs", c->op->name);
        if (read_input(err, each, c, n++) != 0) return -1;
    }
    if (n == 0 && named != 0) return tl__fail(err, TL_EFORMAT, "its plan: %s has no inputs", c->op->name);
    for (; n < named; n++) c->in[n].value = -1, c->in[n].name = NULL;
    c->n_in = n;
    if (read_attributes(err, l, cJSON_GetArrayItem(j, 2), c) != 0) return -1;
    if (tl__op_mutates(c->op, c->attr)) return tl__fail(err, TL_EFORMAT, "its plan: %s changes its input", c->op->name);
    return 1;
}

/* ---- what goes in and comes out ---- */

static int is_name(const cJSON *j)
{
    return cJSON_IsString(j) && j->valuestring[0] && strlen(j->valuestring) < TL_PLAN_NAME;
}

static int read_symbols(tl_error *err, tl_listing *l)
{
    const cJSON *symbols = cJSON_GetObjectItemCaseSensitive(l->json, "symbols");
    for (const cJSON *each = cJSON_IsObject(symbols) ? symbols->child : NULL; each; each = each->next) {
        int64_t size;
        if (whole(err, each, "a symbol", &size) != 0) return -1;
        if (size < 1 || symbol_of(l, each->string) >= 0 || tl__signature_symbol(err, &l->g, each->string, size) < 0)
            return tl__fail(err, TL_EFORMAT, "its plan: its symbols are damaged");
    }
    return 0;
}

/* A dimension: a number, a symbol's name, {"N": 4}, or, of an output, null. */
static int read_dimension(tl_error *err, const tl_listing *l, const cJSON *j, int output, tl_size *d)
{
    *d = (tl_size){TL_SIZE_FIXED, 0};
    if (cJSON_IsNull(j) && output) {
        d->symbol = TL_SIZE_FOLLOWS;
        return 0;
    }
    if (cJSON_IsString(j)) {
        *d = (tl_size){symbol_of(l, j->valuestring), 1};
        return d->symbol >= 0 ? 0 : tl__fail(err, TL_EFORMAT, "its plan: '%.60s' is no symbol of it", j->valuestring);
    }
    if (cJSON_IsObject(j) && output) return read_times(err, l, j, "a size of an output", d);
    if (whole(err, j, "a size", &d->times) != 0) return -1;
    return d->times >= 1 ? 0 : tl__fail(err, TL_EFORMAT, "its plan: a size is impossible");
}

static int read_port(tl_error *err, const tl_listing *l, const cJSON *j, int output, tl_port *port)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(j, "name"),
                *dtype = cJSON_GetObjectItemCaseSensitive(j, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(j, "shape");
    int64_t n = 1, value = 0;
    memset(port, 0, sizeof *port);
    if (!is_name(name) || !cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > TL_MAX_RANK)
        return tl__fail(err, TL_EFORMAT, "its plan: %s without a name or a shape", output ? "an output" : "an input");
    strcpy(port->name, name->valuestring);
    int whole_numbers = cJSON_IsString(dtype) && strcmp(dtype->valuestring, "int32") == 0;
    if (!whole_numbers && !(cJSON_IsString(dtype) && strcmp(dtype->valuestring, "float32") == 0))
        return tl__fail(err, TL_EFORMAT, "its plan: '%s' has a dtype that this version does not know", port->name);
    port->dtype = whole_numbers ? TL_I32 : TL_F32;
    for (const cJSON *each = shape->child; each; each = each->next) {
        tl_size *d = &port->dim[port->rank++];
        if (read_dimension(err, l, each, output, d) != 0) return -1;
        if (!output && (tl__mul_size(n, tl__size_of(l->g.symbol, *d), &n) != 0 || n > (int64_t)1 << 40))
            return tl__fail(err, TL_EFORMAT, "its plan: a size of '%s' is impossible", port->name);
    }
    if (output && (whole(err, cJSON_GetObjectItemCaseSensitive(j, "value"), "an output", &value) != 0 || value < 0))
        return tl__fail(err, TL_EFORMAT, "its plan: '%s' is no value of it", port->name);
    port->slot = (int)value;
    return 0;
}

static int read_ports(tl_error *err, tl_listing *l, const char *key, int output, tl_port *ports, int *count)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(l->json, key);
    *count = 0;
    for (const cJSON *each = cJSON_IsArray(list) ? list->child : NULL; each; each = each->next) {
        if (*count == TL_PLAN_PORTS) return tl__fail(err, TL_EFORMAT, "its plan has too many %s", key);
        tl_port *port = &ports[(*count)++];
        if (read_port(err, l, each, output, port) != 0) return -1;
        for (int i = 0; i < *count - 1; i++)
            if (strcmp(ports[i].name, port->name) == 0)
                return tl__fail(err, TL_EFORMAT, "its plan has two %s '%s'", key, port->name);
    }
    return *count ? 0 : tl__fail(err, TL_EFORMAT, "its plan has no %s", key);
}

/* Every symbol is some input's size, or nobody could say what it is. */
static int check_symbols(tl_error *err, const tl_listing *l)
{
    unsigned used = 0;
    for (int i = 0; i < l->g.inputs; i++)
        for (int k = 0; k < l->g.in[i].rank; k++)
            if (l->g.in[i].dim[k].symbol >= 0) used |= 1u << l->g.in[i].dim[k].symbol;
    return used == (1u << l->g.symbols) - 1 ? 0
                                            : tl__fail(err, TL_EFORMAT, "its plan: a symbol is the size of no input");
}

/* "batch", "input" and "output" of format 1. The number of the output is looked at when the calls are there. */
static int read_old(tl_error *err, tl_listing *l)
{
    const cJSON *input = cJSON_GetObjectItemCaseSensitive(l->json, "input"),
                *output = cJSON_GetObjectItemCaseSensitive(l->json, "output");
    int64_t batch, n = TL_PLAN_BATCH, value;
    if (whole(err, cJSON_GetObjectItemCaseSensitive(l->json, "batch"), "batch", &batch) != 0) return -1;
    if (batch != TL_PLAN_BATCH) return tl__fail(err, TL_EFORMAT, "its plan has a form that this version does not know");
    if (!cJSON_IsArray(input) || cJSON_GetArraySize(input) >= TL_MAX_RANK)
        return tl__fail(err, TL_EFORMAT, "its plan: input is not a list of sizes");
    if (whole(err, output, "output", &value) != 0 || value < 0)
        return tl__fail(err, TL_EFORMAT, "its plan has no output");
    if (tl__signature_symbol(err, &l->g, "N", TL_PLAN_BATCH) < 0) return -1;
    l->g.in[0] = (tl_port){.name = "image", .dtype = TL_F32, .rank = 1, .dim = {{0, 1}}};
    l->out[0] = (tl_port){.name = "output", .dtype = TL_F32, .slot = (int)value};
    l->g.inputs = l->outputs = 1;
    for (const cJSON *each = input->child; each; each = each->next) {
        tl_size *d = &l->g.in[0].dim[l->g.in[0].rank++];
        *d = (tl_size){TL_SIZE_FIXED, 0};
        if (whole(err, each, "a size of input", &d->times) != 0) return -1;
        if (d->times < 1 || tl__mul_size(n, d->times, &n) != 0 || n > (int64_t)1 << 40)
            return tl__fail(err, TL_EFORMAT, "its plan: a size of input is impossible");
    }
    return 0;
}

int tl__listing_open(tl_error *err, tl_listing *l, const char *text)
{
    int64_t format;
    memset(l, 0, sizeof *l);
    l->json = tl__json_parse(text, strlen(text));
    int bad = 0;
    if (!cJSON_IsObject(l->json)) bad = tl__fail(err, TL_EFORMAT, "its plan is damaged");
    bad = bad || whole(err, cJSON_GetObjectItemCaseSensitive(l->json, "format"), "format", &format) != 0;
    if (!bad && (format < 1 || format > FORMAT))
        bad = tl__fail(err, TL_EFORMAT, "its plan has a form that this version does not know");
    l->format = bad ? 0 : (int)format;
    if (l->format == 1) bad = read_old(err, l);
    else if (!bad)
        bad = read_symbols(err, l) != 0 || read_ports(err, l, "inputs", 0, l->g.in, &l->g.inputs) != 0 ||
              read_ports(err, l, "outputs", 1, l->out, &l->outputs) != 0 || check_symbols(err, l) != 0;
    const cJSON *calls = bad ? NULL : cJSON_GetObjectItemCaseSensitive(l->json, "calls");
    l->next = cJSON_IsArray(calls) ? calls->child : NULL;
    if (!bad) return 0;
    tl__listing_close(l);
    return -1;
}

void tl__listing_close(tl_listing *l)
{
    cJSON_Delete(l->json);
    l->json = NULL;
}

/* ---- the calls, made again ---- */

typedef struct reader {
    tl_error *err;
    tl_scope *s;
    tl_plan *p;
    tl_tensor_named find;
    void *user;
    tl_tensor **values;
    int count, room;
} reader;

static int add_value(reader *r, tl_tensor *t)
{
    if (r->count == r->room) {
        int room = r->room ? 2 * r->room : 64;
        tl_tensor **values = tl__realloc(r->err, r->values, (size_t)room * sizeof(tl_tensor *));
        if (!values) return -1;
        r->values = values;
        r->room = room;
    }
    r->values[r->count++] = t;
    return 0;
}

static int make_call(reader *r, const tl_listed *c)
{
    tl_tensor *in[sizeof c->in / sizeof *c->in] = {0}, *out[TL_MAX_OUTPUTS] = {0};
    for (int k = 0; k < c->n_in; k++) {
        if (c->in[k].value >= r->count)
            return tl__fail(r->err, TL_EFORMAT, "its plan: there is no value %d yet", c->in[k].value);
        in[k] = c->in[k].value >= 0 ? r->values[c->in[k].value]
                : c->in[k].name     ? r->find(r->user, c->in[k].name)
                                    : NULL;
        if (c->in[k].name && !in[k])
            return tl__fail(r->err, TL_EFORMAT, "its plan: the tensor '%.80s' is not in the file", c->in[k].name);
    }
    int before = r->p->call_count;
    if (!tl__apply(r->s, c->op, in, c->n_in, c->attr, out))
        return tl__fail(r->err, r->s->err.code ? r->s->err.code : TL_EFORMAT, "its plan: %s", r->s->err.text);
    for (int k = 0; k < TL_MAX_OUTPUTS && out[k]; k++)
        if (add_value(r, out[k]) != 0) return -1;
    if (r->p->call_count == before) return 0; /* why not is in p->failed */
    tl_plan_call *made = &r->p->calls[before];
    made->sizes = c->sizes;
    memcpy(made->sized, c->sized, sizeof made->sized);
    return 0;
}

/* All calls and the results. 0 or -1. */
static int make_calls(reader *r, tl_listing *l, tl_tensor **y)
{
    tl_listed *c = tl__malloc(r->err, sizeof *c);
    int more = c ? 1 : -1;
    while (more > 0 && (more = tl__listing_next(r->err, l, c)) > 0)
        if (make_call(r, c) != 0) more = -1;
    free(c);
    for (int i = 0; i < l->outputs && more == 0; i++) {
        if (l->out[i].slot >= r->count)
            return tl__fail(r->err, TL_EFORMAT, "its plan: there is no value %d", l->out[i].slot);
        y[i] = r->values[l->out[i].slot];
    }
    return more;
}

/* Format 1: reshape and expand with the batch written out, where exactly one size of the result is a multiple of it. */
static void find_batch(tl_plan *p)
{
    for (int i = 0; i < p->call_count; i++) {
        tl_plan_call *c = &p->calls[i];
        const tl_shape *y = &p->slots[c->out[0]].meta.shape;
        int at = -1, many = 0, reshape = strcmp(c->op->name, "reshape") == 0;
        if (!reshape && strcmp(c->op->name, "expand") != 0) continue;
        for (int k = 0; k < y->rank; k++)
            if (y->dim[k] > 0 && y->dim[k] % TL_PLAN_BATCH == 0) {
                at = k;
                many++;
            }
        if (many != 1) continue;
        for (int k = 0; k < y->rank && reshape; k++) c->attr[0].list[k] = y->dim[k];
        c->sized[0] = (tl_sized){0, at, {0, y->dim[at] / TL_PLAN_BATCH}};
        c->sizes = 1;
    }
}

/* The sizes of the outputs: as the file says, or, of format 1, (N, ...). */
static int take_ports(tl_error *err, tl_plan *p, const tl_listing *l)
{
    for (int i = 0; i < p->outputs; i++) {
        tl_port *out = &p->out[i];
        if (l->format == 1) {
            if (out->rank < 1 || out->dim[0].times != TL_PLAN_BATCH)
                return tl__fail(err, TL_EFORMAT, "its plan: the result does not have as many rows as the input");
            out->dim[0] = (tl_size){0, 1};
            continue;
        }
        const tl_port *said = &l->out[i];
        int same = said->rank == out->rank && said->dtype == out->dtype;
        for (int k = 0; k < out->rank && same; k++)
            same =
                said->dim[k].symbol == TL_SIZE_FOLLOWS || tl__size_of(l->g.symbol, said->dim[k]) == out->dim[k].times;
        if (!same)
            return tl__fail(err, TL_EFORMAT, "its plan: the output '%s' has another shape or type than it says",
                            said->name);
        memcpy(out->name, said->name, sizeof out->name);
        memcpy(out->dim, said->dim, sizeof out->dim);
        if (tl__plan_batch(p) >= 0 &&
            (out->rank < 1 || out->dim[0].symbol != tl__plan_batch(p) || out->dim[0].times != 1))
            return tl__fail(err, TL_EFORMAT, "its plan: the output '%s' does not have as many rows as the first input",
                            said->name);
    }
    if (l->format == 1) find_batch(p);
    return 0;
}

static int replay(reader *r, tl_listing *l, tl_tensor *const *x)
{
    tl_tensor *y[TL_PLAN_PORTS] = {0};
    int bad = 0;
    for (int i = 0; i < l->g.inputs && !bad; i++) bad = add_value(r, x[i]);
    bad = bad || make_calls(r, l, y) != 0;
    tl_error ignored = {0};
    if (tl__plan_stop(bad ? &ignored : r->err, r->p, y, bad ? 0 : l->outputs) != 0 || bad) return -1;
    return take_ports(r->err, r->p, l);
}

tl_plan *tl__plan_retrace(tl_error *err, tl_device *d, const char *text, tl_tensor_named find, void *user)
{
    tl_tensor *x[TL_PLAN_PORTS] = {0};
    tl_plan *p = NULL;
    tl_listing *l = tl__malloc(err, sizeof *l);
    if (l && tl__listing_open(err, l, text) == 0) {
        p = tl__plan_begin(err, d, &l->g, x);
        if (p) {
            tl_scope s;
            tl__scope_root(&s, d, 0);
            reader r = {.err = err, .s = &s, .p = p, .find = find, .user = user};
            int bad = replay(&r, l, x) != 0;
            tl__scope_drop(&s);
            for (int i = 0; i < l->g.inputs; i++) tl_tensor_release(x[i]);
            free(r.values);
            if (bad) {
                tl__plan_free(p);
                p = NULL;
            }
        }
        tl__listing_close(l);
    }
    free(l);
    return p;
}

tl_plan *tl__plan_read(tl_error *err, tl_device *d, const char *text, tl_tensor_named find, void *user)
{
    tl_plan *p = tl__plan_retrace(err, d, text, find, user);
    if (!p || tl__plan_improve(err, p) == 0) return p;
    tl__plan_free(p);
    return NULL;
}
