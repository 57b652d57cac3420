/* apply.c - calling an operator: check, bring the inputs into the layout and type it wants, infer,
 * allocate, run, and record the call where an input needs a gradient. */
#include "device/profile.h"
#include "op/op.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

#define OP(name) extern const tl_op tl__op_##name;
#include "op/ops.def"
#undef OP

static const tl_op *const table[] = {
#define OP(name) &tl__op_##name,
#include "op/ops.def"
#undef OP
    NULL};

const tl_op *const *tl__ops(void) { return table; }

const tl_op *tl__op_find(const char *name)
{
    for (int i = 0; table[i]; i++)
        if (strcmp(table[i]->name, name) == 0) return table[i];
    return NULL;
}

void tl__attr_defaults(const tl_op *op, tl_value *attr)
{
    for (int i = 0; op->attrs[i].kind != TL_A_END; i++) {
        attr[i] = (tl_value){0};
        attr[i].i = (int64_t)op->attrs[i].fallback;
        attr[i].f = op->attrs[i].fallback;
    }
}

unsigned tl__op_mutates(const tl_op *op, const tl_value *attr) { return op->mutates ? op->mutates(attr) : 0; }

int tl__op_fail(tl_error *err, const tl_call *c, int code, const char *format, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return tl__fail(err, code, "%s: %s", c->op->name, text);
}

int tl__infer_like_first(tl_error *err, tl_call *c)
{
    (void)err;
    c->n_out = 1;
    c->out_meta[0] = c->in_meta[0];
    return 0;
}

tl_launch tl__launch_of_channels(const tl_scope *s, const tl_program *program, const char *kernel, int64_t channels,
                                 int64_t rows, int64_t *part)
{
    const tl_traits *t = &s->device->traits;
    *part = t->is_cpu && rows > 64 * t->compute_units ? channels : t->vector_width;
    if (*part < 1) *part = 1;
    return (tl_launch){.program = program,
                       .kernel = kernel,
                       .dims = 2,
                       .global = {(size_t)((channels + *part - 1) / *part), (size_t)rows}};
}

int tl__launch_rows(tl_scope *s, const tl_program *program, const char *kernel, int64_t rows, const tl_karg *args, int count)
{
    tl_launch l = {.program = program, .kernel = kernel, .dims = 1, .global = {(size_t)rows}};
    return tl__launch(&s->err, s->device, &l, args, count, kernel);
}

int tl__infer_broadcast(tl_error *err, tl_call *c)
{
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    c->n_out = 1;
    c->out_meta[0] = c->in_meta[0];
    for (int i = 1; i < c->n_in; i++)
        if (tl__broadcast(&c->out_meta[0].shape, &c->in_meta[i].shape, &c->out_meta[0].shape) != 0)
            return tl__op_fail(err, c, TL_ESHAPE, "%s and %s do not broadcast", tl__shape_text(&c->in_meta[0].shape, a, sizeof a),
                               tl__shape_text(&c->in_meta[i].shape, b, sizeof b));
    return 0;
}

int tl__lines(tl_error *err, const tl_call *c, int attr, tl_lines *lines)
{
    const tl_shape *x = &c->in_meta[0].shape;
    *lines = (tl_lines){.axis = tl__axis((int)c->attr[attr].i, x->rank), .outer = 1, .inner = 1};
    if (lines->axis < 0)
        return tl__op_fail(err, c, TL_EARG, "there is no dimension %lld in a tensor of %d",
                           tl__axis_name(c->attr[attr].i), x->rank);
    lines->n = x->dim[lines->axis];
    for (int i = 0; i < x->rank; i++)
        if (i != lines->axis) *(i < lines->axis ? &lines->outer : &lines->inner) *= x->dim[i];
    return 0;
}

/* ---- calls ---- */

static tl_call *call_new(tl_error *err, const tl_op *op, int n_in)
{
    size_t n = (size_t)n_in;
    size_t bytes = sizeof(tl_call) + n * (sizeof(tl_tensor *) + sizeof(tl_node *) + sizeof(tl_meta) + sizeof(unsigned) + 2);
    tl_call *c = tl__calloc(err, 1, bytes);
    if (!c) return NULL;
    char *p = (char *)(c + 1);
    c->op = op;
    c->n_in = n_in;
    c->refs = 1;
    c->in = (tl_tensor **)(void *)p;
    p += n * sizeof(tl_tensor *);
    c->in_node = (tl_node **)(void *)p;
    p += n * sizeof(tl_node *);
    c->in_meta = (tl_meta *)(void *)p;
    p += n * sizeof(tl_meta);
    c->in_version = (unsigned *)(void *)p;
    p += n * sizeof(unsigned);
    c->present = (uint8_t *)p;
    c->needs = (uint8_t *)p + n;
    return c;
}

void tl__call_retain(tl_call *c) { c->refs++; }

/* A node that goes takes itself out of the call that made it. */
static void leave(tl_call *c, int index)
{
    c->out_node[index] = NULL;
    tl__call_release(c);
}

/* Frees calls with a list instead of recursion: a graph can be as long as a training run. */
void tl__call_release(tl_call *c)
{
    if (!c || --c->refs > 0) return;
    c->next = NULL;
    for (tl_call *dead = c; dead;) {
        tl_call *d = dead;
        dead = d->next;
        for (int i = 0; i < d->n_in; i++) {
            tl_tensor_release(d->in[i]);
            tl_node *n = d->in_node[i];
            if (!n) continue;
            if (n->refs == 1 && n->call && n->call->refs == 1) {
                tl_call *maker = n->call;
                maker->out_node[n->index] = NULL;
                n->call = NULL;
                maker->refs = 0;
                maker->next = dead;
                dead = maker;
            }
            tl__node_release(n);
        }
        for (int i = 0; i < TL_MAX_OUTPUTS; i++) tl_tensor_release(d->out[i]);
        if (d->op->release) d->op->release(d);
        free(d);
    }
}

/* ---- apply ---- */

static const char *input_name(const tl_op *op, int i)
{
    static const char many[] = "x";
    for (int k = 0; k <= i && k < TL_MAX_INPUTS; k++) {
        if (!op->inputs[k]) return many;
        if (strstr(op->inputs[k], "...")) return op->inputs[k];
    }
    return i < TL_MAX_INPUTS ? op->inputs[i] : many;
}

/* The bit of input i; the last stands for all that follow. */
static int has_bit(unsigned bits, int i) { return (int)(bits >> (i < 31 ? i : 31) & 1); }

static int check_input(tl_error *err, const tl_call *c, int i, const tl_tensor *t)
{
    const char *name = input_name(c->op, i);
    if (!t) {
        if (strchr(name, '?')) return 0;
        /* Absent because an earlier operator failed elsewhere, or a mistake of the caller. */
        return tl__op_fail(err, c, TL_EARG, "the input %s is missing", name);
    }
    int want_int = i < 16 && (c->op->int_inputs >> i & 1), may_int = has_bit(c->op->ints, i) && t->dtype == TL_I32;
    if (want_int && t->dtype != TL_I32) return tl__op_fail(err, c, TL_EDTYPE, "%s must be int32, not %s", name, tl__dtype_name(t->dtype));
    if (!want_int && !may_int && !c->op->any_dtype && !tl__is_float(t->dtype))
        return tl__op_fail(err, c, TL_EDTYPE, "%s must be a float tensor, not %s", name, tl__dtype_name(t->dtype));
    return 0;
}

/* Whether some of the inputs that must have one type are float. */
static int any_float(const tl_call *c, tl_tensor *const *in)
{
    for (int i = 0; i < c->n_in && c->op->alike; i++)
        if (in[i] && has_bit(c->op->alike, i) && in[i]->dtype != TL_I32) return 1;
    return 0;
}

/* The input as the operator wants it: float32 unless it takes any type, packed unless it takes strides. */
static tl_tensor *prepared(tl_scope *s, const tl_call *c, int i, tl_tensor *t, int to_float)
{
    int64_t row;
    tl_layout layout = i < TL_MAX_INPUTS ? c->op->layout[i] : TL_PACKED;
    int as_it_is = c->op->any_dtype || (i < 16 && (c->op->halves >> i & 1));
    if (!as_it_is && (t->dtype == TL_F16 || t->dtype == TL_BF16)) {
        s->device->casts++;
        return tl__cast(s, t, TL_F32);
    }
    if (to_float && t->dtype == TL_I32 && has_bit(c->op->alike, i)) return tl__cast(s, t, TL_F32);
    if (layout == TL_ANY || (layout == TL_ROWS && tl__is_rows(t, &row))) return t;
    return tl__packed(s, t);
}

static int take_inputs(tl_scope *s, tl_call *c, tl_tensor *const *in)
{
    unsigned mutates = tl__op_mutates(c->op, c->attr);
    int to_float = any_float(c, in);
    for (int i = 0; i < c->n_in; i++) {
        if (check_input(&s->err, c, i, in[i]) != 0) return -1;
        if (!in[i]) continue;
        c->present[i] = 1;
        tl_tensor *t = prepared(s, c, i, in[i], to_float);
        if (!t) return -1;
        if (i < 16 && (mutates >> i & 1)) {
            if (t != in[i]) return tl__op_fail(&s->err, c, TL_EARG, "%s is written in place and must be packed float32", input_name(c->op, i));
            t->buffer->version++;
        }
        c->in[i] = t;
        tl_tensor_retain(t);
        c->in_meta[i] = (tl_meta){t->shape, t->dtype};
    }
    return 0;
}

double tl__call_flops(const tl_call *c)
{
    return c->op->view ? 0 : c->op->flops ? c->op->flops(c) : (double)tl__numel(&c->out_meta[0].shape);
}

double tl__call_bytes(const tl_call *c)
{
    double n = 0;
    if (c->op->view) return 0;
    for (int i = 0; i < c->n_in; i++)
        if (c->present[i]) n += 4.0 * (double)tl__numel(&c->in_meta[i].shape);
    for (int i = 0; i < c->n_out; i++) n += 4.0 * (double)tl__numel(&c->out_meta[i].shape);
    return n;
}

/* The forward, as a span of its own while a profile is open. */
static int forward(tl_scope *s, tl_call *c)
{
    tl_device *d = s->device;
    if (!d->profile) return c->op->forward(s, c);
    c->where = tl__profile_now(d);
    tl_span span = {.op = c->op->name, .where = c->where, .flops = tl__call_flops(c), .bytes = tl__call_bytes(c)};
    int entered = tl__profile_enter(d, &span), status = c->op->forward(s, c);
    tl__profile_leave(d, entered);
    return status;
}

/* Are all numbers what their attribute may be? Not a number is outside of every range. */
static int check_ranges(tl_error *err, const tl_call *c)
{
    for (int i = 0; i < TL_MAX_ATTRS && c->op->attrs[i].kind != TL_A_END; i++) {
        const tl_attr *a = &c->op->attrs[i];
        double v = c->attr[i].f;
        if (a->kind != TL_A_FLOAT || (a->least == 0 && a->most == 0) || (v >= a->least && v <= a->most)) continue;
        if (a->most == DBL_MAX) return tl__op_fail(err, c, TL_EARG, "%s must be from %g on, not %g", a->name, a->least, v);
        if (a->least == -DBL_MAX) return tl__op_fail(err, c, TL_EARG, "%s must be at most %g, not %g", a->name, a->most, v);
        return tl__op_fail(err, c, TL_EARG, "%s must be from %g to %g, not %g", a->name, a->least, a->most, v);
    }
    return 0;
}

static int run(tl_scope *s, tl_call *c)
{
    if (check_ranges(&s->err, c) != 0 || c->op->infer(&s->err, c) != 0) return -1;
    if (c->op->view) {
        tl_tensor *v = c->op->view(s, c);
        if (!v) return -1;
        c->out[0] = v;
        tl_tensor_retain(v);
        c->n_out = 1;
        c->out_meta[0] = (tl_meta){v->shape, v->dtype};
        return 0;
    }
    for (int i = 0; i < c->n_out; i++)
        if (!c->out[i] && !(c->out[i] = tl__tensor_new(&s->err, s->device, c->out_meta[i].dtype, &c->out_meta[i].shape))) {
            tl__error_prefix(&s->err, "%s: ", c->op->name);
            return -1;
        }
    if (forward(s, c) != 0 || s->err.code) {
        if (!s->err.code) tl__op_fail(&s->err, c, TL_EDEVICE, "failed");
        return -1;
    }
    return 0;
}

/* Whether a gradient flows back through input i. */
static int flows(const tl_call *c, tl_tensor *const *in, int i)
{
    return in[i] && in[i]->node && !(i < 16 && (c->op->constants >> i & 1));
}

static int wants_tape(const tl_scope *s, const tl_call *c, tl_tensor *const *in)
{
    if (!s->recording || !c->op->vjp) return 0;
    for (int i = 0; i < c->n_in; i++)
        if (flows(c, in, i)) return 1;
    return 0;
}

/* Whether input i is as its maker left it and the maker can compute it again when the gradient asks for it. */
static int to_be_had_again(const tl_call *c, const tl_tensor *given, int i)
{
    const tl_node *n = c->in_node[i];
    const tl_call *maker = n ? n->call : NULL;
    return maker && maker->op->again && n->index == 0 && tl__shape_equal(&maker->out_meta[0].shape, &c->in_meta[i].shape) &&
           given->buffer->version == maker->out_version[0] && (!maker->op->can_again || maker->op->can_again(maker));
}

/* What is saved must not hold the node that holds this call: the tape keeps nodeless aliases. */
static int keep_saved(tl_scope *s, tl_call *c, tl_tensor *const *in, tl_tensor *const *made, tl_dtype low)
{
    tl_error *err = &s->err;
    unsigned saves = c->op->saves_for ? c->op->saves_for(c) : c->op->saves;
    for (int i = 0; i < c->n_in; i++) {
        tl_tensor *t = c->in[i], *kept = NULL;
        if (!t) continue;
        if (i < 16 && (saves & TL_SAVE_IN(i)) && to_be_had_again(c, in[i], i)) c->again |= 1u << i;
        else if (i < 16 && (saves & TL_SAVE_IN(i)) && (kept = tl__mixed_kept(s, c, in, i, low)) != NULL)
            c->in_version[i] = kept->buffer->version;
        c->in[i] = kept;
        tl_tensor_release(t);
    }
    for (int i = 0; i < c->n_out; i++) {
        tl_tensor *t = c->out[i];
        tl_tensor *given = i < c->n_out - c->op->hidden ? made[i] : t; /* in the type that the caller gets */
        c->out[i] = NULL;
        c->out_version[i] = given->buffer->version;
        if (saves & TL_SAVE_OUT(i)) c->out[i] = tl__tensor_alias(err, given);
        tl_tensor_release(t);
    }
    return err && err->code ? -1 : 0;
}

/* The first n results have no place in the graph after all: a node holds the call, which still holds its results. */
static int forget_nodes(tl_tensor *const *out, int n)
{
    for (int i = 0; i < n; i++) {
        tl_node *node = out[i]->node;
        out[i]->node = NULL;
        tl__node_release(node);
    }
    return -1;
}

static int record(tl_scope *s, tl_call *c, tl_tensor *const *in, tl_tensor *const *out, tl_dtype low)
{
    c->serial = ++s->device->calls;
    for (int i = 0; i < c->n_in; i++) {
        if (!flows(c, in, i)) continue;
        c->in_node[i] = in[i]->node;
        tl__node_retain(in[i]->node);
        c->needs[i] = 1;
    }
    for (int i = 0; i < c->n_out - c->op->hidden; i++) {
        if (!tl__is_float(out[i]->dtype)) continue;
        tl_node *n = tl__node_new(&s->err, out[i]);
        if (!n) return forget_nodes(out, i);
        n->index = i;
        n->call = c;
        n->leave = leave;
        tl__call_retain(c);
        c->out_node[i] = n;
        out[i]->node = n;
    }
    return keep_saved(s, c, in, out, low);
}

static tl_tensor *finish(tl_scope *outer, tl_scope *inner, tl_call *c, tl_tensor *const *in, tl_dtype low, tl_tensor **out)
{
    tl_tensor *made[TL_MAX_OUTPUTS] = {0};
    tl_dtype keep = tl__mixed_result(c, in, low);
    int bad = 0, n = c->n_out - c->op->hidden;
    for (int i = 0; i < n; i++) {
        made[i] = c->out[i];
        /* Kernels write float32; the caller gets the type it gave, or the lowered one, and that is what the tape has. */
        if (keep != TL_F32 && made[i]->dtype == TL_F32) made[i] = tl__cast(inner, made[i], keep);
        if (!made[i]) bad = 1;
        /* A view may return its input unchanged; a tensor has one node, so each result is its own. */
        else if (c->n_in > 0 && made[i] == c->in[0]) made[i] = tl__tensor_alias(&inner->err, made[i]);
        else tl_tensor_retain(made[i]);
        if (!made[i]) bad = 1;
    }
    if (!bad && wants_tape(outer, c, in)) bad = record(inner, c, in, made, low) != 0;
    for (int i = 0; i < n; i++) {
        if (bad) tl_tensor_release(made[i]);
        else if (!tl__scope_own(outer, made[i])) bad = 1;
        if (!bad) out[i] = made[i];
    }
    if (!bad && tl__op_mutates(c->op, c->attr)) bad = c->op->move(inner, c, in) != 0; /* nothing can fail after it */
    return bad ? NULL : made[0];
}

tl_tensor *tl__apply(tl_scope *s, const tl_op *op, tl_tensor *const *in, int n_in, const tl_value *attr, tl_tensor **out)
{
    if (!s || s->err.code) return NULL;
    tl_call *c = call_new(&s->err, op, n_in);
    if (!c) return NULL;
    if (attr) memcpy(c->attr, attr, sizeof c->attr);
    else tl__attr_defaults(op, c->attr);
    if (op->random) c->key = tl__rng_key(s->device->seed, TL_RNG_DROPOUT, s->device->ordinal);
    tl_tensor *y = NULL;
    tl_scope inner;
    tl_dtype low = s->device->lowered;
    s->device->lowered = TL_F32; /* operators are made of others, whose results are theirs */
    tl__scope_begin(&inner, s);
    inner.recording = 0;
    inner.trace = NULL;
    if (take_inputs(&inner, c, in) == 0 && run(&inner, c) == 0) {
        tl_tensor *made[TL_MAX_OUTPUTS] = {0};
        y = finish(s, &inner, c, in, low, made);
        if (out) memcpy(out, made, (size_t)(c->n_out - op->hidden) * sizeof *out);
        if (y && op->random) s->device->ordinal++; /* only now: a call that failed draws the same numbers when it is tried again */
        if (y && s->trace) s->trace->call(s->trace, c, in, made);
    }
    tl__call_release(c);
    tl__scope_end(&inner);
    s->device->lowered = low;
    return y;
}

int tl__apply_into(tl_scope *s, const tl_op *op, tl_tensor *const *in, int n_in, const tl_value *attr, tl_tensor **out)
{
    if (!s || s->err.code) return -1;
    if (tl__op_mutates(op, attr)) return tl__fail(&s->err, TL_ESTATE, "%s changes its input, which a plan cannot repeat", op->name);
    tl_call *c = call_new(&s->err, op, n_in);
    if (!c) return -1;
    memcpy(c->attr, attr, sizeof c->attr);
    for (int i = 0; i < TL_MAX_OUTPUTS; i++)
        if ((c->out[i] = out[i])) {
            tl_tensor_retain(out[i]);
            out[i]->buffer->version++; /* what was derived from the values that lay there before is stale */
        }
    tl_scope inner;
    tl__scope_begin(&inner, s);
    inner.recording = 0;
    inner.trace = NULL;
    int bad = take_inputs(&inner, c, in) != 0 || run(&inner, c) != 0;
    for (int i = 0; i < c->n_out && !bad; i++) {
        if (!out[i]) tl_tensor_retain(c->out[i]);
        out[i] = c->out[i];
    }
    tl__call_release(c);
    tl__scope_end(&inner);
    return bad ? -1 : 0;
}
