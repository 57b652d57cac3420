/* listing.c - the calls of a plan as JSON, for model files (docs/format.md): written as they were traced, before
 * anything is folded or joined, so that the same text serves every device. reading.c is the way back. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { FORMAT = 2 };

/* A size as it stands in a list: a number, {"N": 4}, or null where it follows from the calls. */
static cJSON *size_json(const tl_plan *p, tl_size size)
{
    if (size.symbol == TL_SIZE_FIXED) return cJSON_CreateNumber((double)size.times);
    if (size.symbol == TL_SIZE_FOLLOWS) return cJSON_CreateNull();
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, p->g->symbol[size.symbol].name, (double)size.times);
    return j;
}

static cJSON *number_json(const tl_plan *p, const tl_plan_call *c, int attr, int at, int64_t v)
{
    for (int i = 0; i < c->sizes; i++)
        if (c->sized[i].attr == attr && c->sized[i].at == at) return size_json(p, c->sized[i].size);
    return cJSON_CreateNumber((double)v);
}

static cJSON *attribute_json(const tl_plan *p, const tl_plan_call *c, int k)
{
    const tl_attr *a = &c->op->attrs[k];
    const tl_value *v = &c->attr[k];
    if (a->kind == TL_A_CHOICE) return cJSON_CreateString(a->choices[v->i]);
    if (a->kind == TL_A_FLOAT) return cJSON_CreateNumber(v->f);
    if (a->kind == TL_A_FLOATS) return cJSON_CreateDoubleArray(v->numbers, v->n);
    if (a->kind != TL_A_INTS && a->kind != TL_A_AXES) return number_json(p, c, k, -1, v->i);
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < v->n; i++) cJSON_AddItemToArray(list, number_json(p, c, k, i, v->list[i]));
    return list;
}

static int is_default(const tl_plan_call *c, int k)
{
    const tl_attr *a = &c->op->attrs[k];
    const tl_value *v = &c->attr[k];
    for (int i = 0; i < c->sizes; i++)
        if (c->sized[i].attr == k) return 0;
    if (a->kind == TL_A_INTS || a->kind == TL_A_AXES || a->kind == TL_A_FLOATS) return v->n == 0;
    return !a->required && (a->kind == TL_A_FLOAT ? v->f == a->fallback : v->i == (int64_t)a->fallback);
}

/* A tensor that the operator could train and the network does not. Statistics and the like say so by themselves. */
static void note_buffer(const tl_plan_call *c, int k, const char *name, const tl_names *names, cJSON *buffers)
{
    if ((k < TL_MAX_INPUTS && c->op->constants >> k & 1) || !names->is_buffer || !names->is_buffer(names->user, name))
        return;
    for (const cJSON *each = buffers->child; each; each = each->next)
        if (strcmp(each->valuestring, name) == 0) return;
    cJSON_AddItemToArray(buffers, cJSON_CreateString(name));
}

static int write_call(tl_error *err, const tl_plan *p, const tl_plan_call *c, const int *number, const tl_names *names,
                      cJSON *calls, cJSON *buffers)
{
    cJSON *call = cJSON_CreateArray(), *in = cJSON_CreateArray(), *attrs = cJSON_CreateObject();
    cJSON_AddItemToArray(calls, call);
    cJSON_AddItemToArray(call, cJSON_CreateString(c->op->name));
    cJSON_AddItemToArray(call, in);
    for (int k = 0; c->op->attrs[k].kind != TL_A_END; k++)
        if (!is_default(c, k)) cJSON_AddItemToObject(attrs, c->op->attrs[k].name, attribute_json(p, c, k));
    if (attrs->child) cJSON_AddItemToArray(call, attrs);
    else cJSON_Delete(attrs);
    for (int k = 0; k < c->n_in; k++) {
        const tl_slot *slot = c->in[k] < 0 ? NULL : &p->slots[c->in[k]];
        const char *known = slot && slot->constant ? names->name(names->user, slot->constant) : NULL;
        if (slot && slot->constant && !known)
            return tl__fail(err, TL_ESTATE, "%s takes a tensor that is not part of the model's state", c->op->name);
        if (known) note_buffer(c, k, known, names, buffers);
        cJSON_AddItemToArray(in, known  ? cJSON_CreateString(known)
                                 : slot ? cJSON_CreateNumber(number[c->in[k]])
                                        : cJSON_CreateNull());
    }
    return 0;
}

/* {"name", "dtype", "shape", and of an output "value"}; a dimension that is a symbol alone is its name. */
static cJSON *port_json(const tl_plan *p, const tl_port *port, const int *number)
{
    cJSON *j = cJSON_CreateObject(), *shape = cJSON_CreateArray();
    cJSON_AddStringToObject(j, "name", port->name);
    if (number) cJSON_AddNumberToObject(j, "value", number[port->slot]);
    cJSON_AddStringToObject(j, "dtype", port->dtype == TL_I32 ? "int32" : "float32");
    for (int k = 0; k < port->rank; k++) {
        tl_size d = port->dim[k];
        cJSON_AddItemToArray(shape, d.symbol >= 0 && d.times == 1 ? cJSON_CreateString(p->g->symbol[d.symbol].name)
                                                                  : size_json(p, d));
    }
    cJSON_AddItemToObject(j, "shape", shape);
    return j;
}

char *tl__plan_write(tl_error *err, const tl_plan *p, const tl_names *names)
{
    int *number = tl__calloc(err, (size_t)p->slot_count, sizeof *number), values = 0, bad = 0;
    if (!number) return NULL;
    cJSON *j = cJSON_CreateObject();
    cJSON_AddNumberToObject(j, "format", FORMAT);
    cJSON *symbols = cJSON_AddObjectToObject(j, "symbols"), *inputs = cJSON_AddArrayToObject(j, "inputs"),
          *outputs = cJSON_AddArrayToObject(j, "outputs");
    cJSON *calls = cJSON_AddArrayToObject(j, "calls"), *buffers = cJSON_CreateArray();
    for (int i = 0; i < p->g->symbols; i++)
        cJSON_AddNumberToObject(symbols, p->g->symbol[i].name, (double)p->g->symbol[i].size);
    for (int i = 0; i < p->g->inputs; i++) {
        cJSON_AddItemToArray(inputs, port_json(p, &p->g->in[i], NULL));
        number[p->g->in[i].slot] = values++;
    }
    for (int i = 0; i < p->call_count && !bad; i++) {
        const tl_plan_call *c = &p->calls[i];
        bad = write_call(err, p, c, number, names, calls, buffers);
        for (int k = 0; k < c->n_out - c->op->hidden; k++) number[c->out[k]] = values++;
    }
    for (int i = 0; i < p->outputs; i++) cJSON_AddItemToArray(outputs, port_json(p, &p->out[i], number));
    if (buffers->child) cJSON_AddItemToObject(j, "buffers", buffers);
    else cJSON_Delete(buffers);
    char *text = bad ? NULL : tl__json_text(err, j, 0);
    cJSON_Delete(j);
    free(number);
    return text;
}
