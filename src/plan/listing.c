/* listing.c - the calls of a plan as JSON, for model files: written as they were traced, before anything is folded or joined,
 * so that the same text serves every device; read by making the calls again under a trace, so that the operators themselves
 * check all shapes and attributes that a stranger's file may name.
 *
 * {"format": 1, "batch": 37, "input": [H, W, C], "calls": [["conv", [0, "conv1.weight", null], {"stride": [2, 2]}], ...],
 *  "output": 53}. Inputs are numbers of values (0: the input; results follow in the order of the calls), names of tensors, or
 * null. Attributes that have their default are left out. `batch` is the number of pictures that the calls were traced with
 * (TL_PLAN_BATCH). */
#include "base/text.h"
#include "plan/plan.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, MOST_INPUTS = 256, MOST_CALLS = 100000 };

static int is_list(const tl_attr *a) { return a->kind == TL_A_INTS || a->kind == TL_A_AXES; }

/* ---- writing ---- */

static cJSON *attribute_json(const tl_attr *a, const tl_value *v)
{
    if (a->kind == TL_A_CHOICE) return cJSON_CreateString(a->choices[v->i]);
    if (a->kind == TL_A_FLOAT) return cJSON_CreateNumber(v->f);
    if (!is_list(a)) return cJSON_CreateNumber((double)v->i);
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < v->n; i++) cJSON_AddItemToArray(list, cJSON_CreateNumber((double)v->list[i]));
    return list;
}

static int is_default(const tl_attr *a, const tl_value *v)
{
    if (is_list(a)) return v->n == 0;
    return !a->required && (a->kind == TL_A_FLOAT ? v->f == a->fallback : v->i == (int64_t)a->fallback);
}

static int write_call(tl_error *err, const tl_plan *p, const tl_plan_call *c, const int *number, tl_name_of name, void *user, cJSON *calls)
{
    cJSON *call = cJSON_CreateArray(), *in = cJSON_CreateArray(), *attrs = cJSON_CreateObject();
    cJSON_AddItemToArray(calls, call);
    cJSON_AddItemToArray(call, cJSON_CreateString(c->op->name));
    cJSON_AddItemToArray(call, in);
    for (int k = 0; k < c->n_in; k++) {
        const tl_slot *slot = c->in[k] < 0 ? NULL : &p->slots[c->in[k]];
        const char *known = slot && slot->constant ? name(user, slot->constant) : NULL;
        if (slot && slot->constant && !known) {
            cJSON_Delete(attrs);
            return tl__fail(err, TL_ESTATE, "%s takes a tensor that is not part of the model's state", c->op->name);
        }
        cJSON_AddItemToArray(in, known ? cJSON_CreateString(known) : slot ? cJSON_CreateNumber(number[c->in[k]]) : cJSON_CreateNull());
    }
    for (int k = 0; c->op->attrs[k].kind != TL_A_END; k++)
        if (!is_default(&c->op->attrs[k], &c->attr[k])) cJSON_AddItemToObject(attrs, c->op->attrs[k].name, attribute_json(&c->op->attrs[k], &c->attr[k]));
    if (attrs->child) cJSON_AddItemToArray(call, attrs);
    else cJSON_Delete(attrs);
    return 0;
}

char *tl__plan_write(tl_error *err, const tl_plan *p, tl_name_of name, void *user)
{
    int *number = tl__calloc(err, (size_t)p->slot_count, sizeof *number), values = 1, bad = 0;
    if (!number) return NULL;
    cJSON *j = cJSON_CreateObject(), *calls = cJSON_CreateArray(), *input = cJSON_AddArrayToObject(j, "input");
    cJSON_AddNumberToObject(j, "format", FORMAT);
    cJSON_AddNumberToObject(j, "batch", TL_PLAN_BATCH);
    const tl_shape *x = &p->slots[p->input].meta.shape;
    for (int i = 1; i < x->rank; i++) cJSON_AddItemToArray(input, cJSON_CreateNumber((double)x->dim[i]));
    cJSON_AddItemToObject(j, "calls", calls);
    for (int i = 0; i < p->call_count && !bad; i++) {
        const tl_plan_call *c = &p->calls[i];
        bad = write_call(err, p, c, number, name, user, calls);
        for (int k = 0; k < c->n_out - c->op->hidden; k++) number[c->out[k]] = values++;
    }
    cJSON_AddNumberToObject(j, "output", number[p->output]);
    char *text = bad ? NULL : tl__json_text(err, j, 0);
    cJSON_Delete(j);
    free(number);
    return text;
}

/* ---- reading ---- */

typedef struct reader {
    tl_error *err;
    tl_scope *s;
    tl_tensor_named find;
    void *user;
    tl_tensor **values;
    int count, room;
} reader;

/* A whole number that fits an int; products of a few such are checked by whoever allocates. */
static int whole(tl_error *err, const cJSON *j, const char *what, int64_t *to)
{
    if (!cJSON_IsNumber(j) || j->valuedouble != floor(j->valuedouble) || fabs(j->valuedouble) > INT_MAX)
        return tl__fail(err, TL_EFORMAT, "its plan: %s is not a whole number of a sensible size", what);
    *to = (int64_t)j->valuedouble;
    return 0;
}

static int read_attribute(tl_error *err, const tl_attr *a, const cJSON *j, tl_value *v)
{
    if (a->kind == TL_A_FLOAT) {
        if (!cJSON_IsNumber(j)) return tl__fail(err, TL_EFORMAT, "its plan: %s is not a number", a->name);
        v->f = j->valuedouble;
        return 0;
    }
    if (a->kind == TL_A_CHOICE) {
        for (int i = 0; a->choices[i]; i++)
            if (cJSON_IsString(j) && strcmp(a->choices[i], j->valuestring) == 0) {
                v->i = i;
                return 0;
            }
        return tl__fail(err, TL_EFORMAT, "its plan: %s has a value that this version does not know", a->name);
    }
    if (!is_list(a)) return whole(err, j, a->name, &v->i);
    v->n = 0;
    if (!cJSON_IsArray(j) || cJSON_GetArraySize(j) > TL_ATTR_LIST) return tl__fail(err, TL_EFORMAT, "its plan: %s is not a short list", a->name);
    for (const cJSON *each = j->child; each; each = each->next)
        if (whole(err, each, a->name, &v->list[v->n++]) != 0) return -1;
    return 0;
}

static int read_attributes(tl_error *err, const tl_op *op, const cJSON *j, tl_value *attr)
{
    memset(attr, 0, TL_MAX_ATTRS * sizeof *attr);
    tl__attr_defaults(op, attr);
    for (const cJSON *each = j ? j->child : NULL; each; each = each->next) {
        int k = 0;
        while (op->attrs[k].kind != TL_A_END && each->string && strcmp(op->attrs[k].name, each->string) != 0) k++;
        if (!each->string || op->attrs[k].kind == TL_A_END) return tl__fail(err, TL_EFORMAT, "its plan: %s has no such attribute here", op->name);
        if (read_attribute(err, &op->attrs[k], each, &attr[k]) != 0) return -1;
    }
    return 0;
}

static int read_input(reader *r, const cJSON *j, tl_tensor **t)
{
    int64_t i;
    *t = NULL;
    if (cJSON_IsNull(j)) return 0;
    if (cJSON_IsString(j)) {
        *t = r->find(r->user, j->valuestring);
        return *t ? 0 : tl__fail(r->err, TL_EFORMAT, "its plan: the tensor '%.80s' is not in the file", j->valuestring);
    }
    if (whole(r->err, j, "an input", &i) != 0) return -1;
    if (i < 0 || i >= r->count) return tl__fail(r->err, TL_EFORMAT, "its plan: there is no value %lld yet", (long long)i);
    *t = r->values[i];
    return 0;
}

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

/* How many inputs the operator names; 0 where it takes any number. */
static int named_inputs(const tl_op *op)
{
    int n = 0;
    while (n < TL_MAX_INPUTS && op->inputs[n]) n++;
    return n > 0 && strstr(op->inputs[n - 1], "...") ? 0 : n;
}

static int read_call(reader *r, const cJSON *j)
{
    const cJSON *name = cJSON_GetArrayItem(j, 0), *inputs = cJSON_GetArrayItem(j, 1);
    const tl_op *op = cJSON_IsString(name) ? tl__op_find(name->valuestring) : NULL;
    if (!op || op->release) return tl__fail(r->err, TL_EFORMAT, "its plan has an operator that this version does not know");
    tl_tensor *in[MOST_INPUTS] = {0}, *out[TL_MAX_OUTPUTS] = {0};
    tl_value attr[TL_MAX_ATTRS];
    int n = 0, named = named_inputs(op);
    for (const cJSON *each = cJSON_IsArray(inputs) ? inputs->child : NULL; each; each = each->next) {
        if (n == (named ? named : MOST_INPUTS)) return tl__fail(r->err, TL_EFORMAT, "its plan: %s has too many inputs", op->name);
        if (read_input(r, each, &in[n++]) != 0) return -1;
    }
    if (n == 0 || read_attributes(r->err, op, cJSON_GetArrayItem(j, 2), attr) != 0)
        return tl__fail(r->err, TL_EFORMAT, "its plan: %s has no inputs", op->name);
    if (tl__op_mutates(op, attr)) return tl__fail(r->err, TL_EFORMAT, "its plan: %s changes its input", op->name);
    if (!tl__apply(r->s, op, in, named ? named : n, attr, out)) return tl__fail(r->err, r->s->err.code ? r->s->err.code : TL_EFORMAT, "its plan: %s", r->s->err.text);
    for (int k = 0; k < TL_MAX_OUTPUTS && out[k]; k++)
        if (add_value(r, out[k]) != 0) return -1;
    return 0;
}

static int read_shape(tl_error *err, const cJSON *j, tl_shape *shape)
{
    int64_t format, batch, n = TL_PLAN_BATCH;
    if (whole(err, cJSON_GetObjectItem(j, "format"), "format", &format) != 0 || whole(err, cJSON_GetObjectItem(j, "batch"), "batch", &batch) != 0) return -1;
    if (format != FORMAT || batch != TL_PLAN_BATCH) return tl__fail(err, TL_EFORMAT, "its plan has a form that this version does not know");
    const cJSON *input = cJSON_GetObjectItem(j, "input");
    if (!cJSON_IsArray(input) || cJSON_GetArraySize(input) >= TL_MAX_RANK) return tl__fail(err, TL_EFORMAT, "its plan: input is not a list of sizes");
    *shape = (tl_shape){1, {TL_PLAN_BATCH}};
    for (const cJSON *each = input->child; each; each = each->next) {
        int64_t *d = &shape->dim[shape->rank++];
        if (whole(err, each, "a size of input", d) != 0) return -1;
        if (*d < 1 || tl__mul_size(n, *d, &n) != 0 || n > (int64_t)1 << 40) return tl__fail(err, TL_EFORMAT, "its plan: a size of input is impossible");
    }
    return 0;
}

/* All calls; the result is borrowed from the scope, NULL on failure. */
static tl_tensor *read_calls(reader *r, const cJSON *j)
{
    const cJSON *calls = cJSON_GetObjectItem(j, "calls"), *output = cJSON_GetObjectItem(j, "output");
    tl_tensor *y = NULL;
    int n = 0;
    for (const cJSON *each = cJSON_IsArray(calls) ? calls->child : NULL; each; each = each->next)
        if (++n > MOST_CALLS || read_call(r, each) != 0) return NULL;
    if (!cJSON_IsNumber(output) || read_input(r, output, &y) != 0) tl__fail(r->err, TL_EFORMAT, "its plan has no output");
    return y;
}

tl_plan *tl__plan_read(tl_error *err, tl_device *d, const char *text, tl_tensor_named find, void *user)
{
    tl_shape shape;
    tl_tensor *x = NULL;
    tl_plan *p = NULL;
    cJSON *j = tl__json_parse(text, strlen(text));
    if (!cJSON_IsObject(j)) tl__fail(err, TL_EFORMAT, "its plan is damaged");
    else if (read_shape(err, j, &shape) == 0) p = tl__plan_begin(err, d, &shape, &x);
    if (p) {
        tl_scope s;
        tl__scope_root(&s, d, 0);
        reader r = {.err = err, .s = &s, .find = find, .user = user};
        tl_tensor *y = add_value(&r, x) == 0 ? read_calls(&r, j) : NULL;
        tl_error ignored = {0};
        int bad = tl__plan_end(y ? err : &ignored, p, y) != 0;
        tl__scope_drop(&s);
        tl_tensor_release(x);
        free(r.values);
        if (bad) {
            tl__plan_free(p);
            p = NULL;
        }
    }
    cJSON_Delete(j);
    return p;
}
