/* sizes.c - what in a list of calls depends on a size that is left open. The forward was traced twice, with that
 * size alone another: the calls must be the same, and each whole number among their attributes either too, or a
 * multiple of the size. So nothing is guessed from a number that happens to look like the size, and what cannot be
 * written down is an error when the plan is made and no wrong answer later. */
#include "plan/plan.h"

#include <string.h>

int64_t tl__plan_other_size(const tl_symbol *symbol)
{
    /* Twice as much suits whatever halves a height; of pictures there may be any number. */
    return 2 * symbol->size;
}

static int same_constant(const tl_tensor *a, const tl_tensor *b)
{
    return a == b ||
           (a && b && a->buffer == b->buffer && a->offset == b->offset && tl__shape_equal(&a->shape, &b->shape));
}

/* a at the size of p's symbol, b at the other's: 0 where `size` can say so, else -1. */
static int as_size(const tl_plan *p, const tl_plan *other, int symbol, int64_t a, int64_t b, tl_size *size)
{
    int64_t from = p->g->symbol[symbol].size, to = other->g->symbol[symbol].size, times = a / from;
    if (a < 1 || times * from != a || times * to != b) return -1;
    *size = (tl_size){symbol, times};
    return 0;
}

static int unclear(tl_error *err, const tl_plan *p, const tl_plan_call *c, int symbol, const char *what)
{
    return tl__fail(err, TL_ESTATE, "%s of %s follows from %s in a way that a plan cannot say", what, c->op->name,
                    p->g->symbol[symbol].name);
}

/* One number of an attribute. In a reshape one number may stay open, and is worked out. */
static int compare_number(tl_error *err, const tl_plan *p, const tl_plan *other, tl_plan_call *c, int attr, int at,
                          int64_t *a, int64_t b, int symbol)
{
    tl_size size;
    if (*a == b) return 0;
    int taken = 0;
    for (int i = 0; i < c->sizes; i++) taken |= c->sized[i].attr == attr && c->sized[i].at == at;
    if (!taken && c->sizes < TL_ATTR_LIST && as_size(p, other, symbol, *a, b, &size) == 0) {
        c->sized[c->sizes++] = (tl_sized){attr, at, size};
        return 0;
    }
    int open = 0;
    for (int i = 0; at >= 0 && i < c->attr[attr].n; i++) open |= c->attr[attr].list[i] == -1;
    if (strcmp(c->op->name, "reshape") != 0 || open) return unclear(err, p, c, symbol, c->op->attrs[attr].name);
    for (int i = 0; i < c->sizes; i++)
        if (c->sized[i].attr == attr && c->sized[i].at == at) c->sized[i--] = c->sized[--c->sizes];
    *a = -1;
    return 0;
}

static int compare_attributes(tl_error *err, const tl_plan *p, const tl_plan *other, tl_plan_call *c,
                              const tl_plan_call *o, int symbol)
{
    for (int k = 0; c->op->attrs[k].kind != TL_A_END; k++) {
        tl_value *a = &c->attr[k];
        const tl_value *b = &o->attr[k];
        tl_attr_kind kind = c->op->attrs[k].kind;
        int list = kind == TL_A_INTS || kind == TL_A_AXES, number = kind == TL_A_INT, bad = 0;
        int other_kind = !list && !number && (kind == TL_A_FLOAT ? a->f != b->f : a->i != b->i);
        if (kind == TL_A_FLOATS)
            other_kind = a->n != b->n || memcmp(a->numbers, b->numbers, (size_t)a->n * sizeof(double)) != 0;
        if (other_kind || (list && a->n != b->n)) return unclear(err, p, c, symbol, c->op->attrs[k].name);
        if (number) bad = compare_number(err, p, other, c, k, -1, &a->i, b->i, symbol) != 0;
        for (int i = 0; list && i < a->n && !bad; i++)
            bad = a->list[i] != -1 && compare_number(err, p, other, c, k, i, &a->list[i], b->list[i], symbol) != 0;
        if (bad) return -1;
    }
    return 0;
}

static int compare_call(tl_error *err, const tl_plan *p, const tl_plan *other, tl_plan_call *c, const tl_plan_call *o,
                        int symbol)
{
    int same = c->op == o->op && c->n_in == o->n_in && c->n_out == o->n_out;
    for (int k = 0; same && k < c->n_in; k++) {
        same = c->in[k] == o->in[k];
        if (same && c->in[k] >= 0) same = same_constant(p->slots[c->in[k]].constant, other->slots[o->in[k]].constant);
    }
    for (int k = 0; same && k < c->n_out; k++) same = c->out[k] == o->out[k];
    if (!same) return tl__fail(err, TL_ESTATE, "the calls depend on %s", p->g->symbol[symbol].name);
    return compare_attributes(err, p, other, c, o, symbol);
}

static int compare_output(tl_error *err, tl_plan *p, const tl_plan *other, tl_port *out, const tl_port *o, int symbol)
{
    if (out->rank != o->rank || out->slot != o->slot)
        return tl__fail(err, TL_ESTATE, "the results depend on %s", p->g->symbol[symbol].name);
    for (int k = 0; k < out->rank; k++) {
        int64_t a = p->slots[out->slot].meta.shape.dim[k], b = other->slots[o->slot].meta.shape.dim[k];
        if (a == b) continue;
        if (out->dim[k].symbol != TL_SIZE_FIXED || as_size(p, other, symbol, a, b, &out->dim[k]) != 0)
            out->dim[k] = (tl_size){TL_SIZE_FOLLOWS, 0};
    }
    /* A batch is cut into smaller ones by whoever is short of memory. */
    int first = out->rank > 0 && out->dim[0].symbol == symbol && out->dim[0].times == 1;
    if (symbol != tl__plan_batch(p) || first) return 0;
    return tl__fail(err, TL_ESTATE, "plan: the result does not have as many rows as the input");
}

int tl__plan_compare(tl_error *err, tl_plan *p, const tl_plan *other, int symbol)
{
    if (p->call_count != other->call_count || p->outputs != other->outputs)
        return tl__fail(err, TL_ESTATE, "the calls depend on %s", p->g->symbol[symbol].name);
    for (int i = 0; i < p->call_count; i++)
        if (compare_call(err, p, other, &p->calls[i], &other->calls[i], symbol) != 0) return -1;
    for (int i = 0; i < p->outputs; i++)
        if (compare_output(err, p, other, &p->out[i], &other->out[i], symbol) != 0) return -1;
    return 0;
}
