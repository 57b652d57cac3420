/* samples.h - the samples of all operators (src/op/sample.c) as lists, for the programs in this folder. */
#ifndef TLUA_TEST_SAMPLES_H
#define TLUA_TEST_SAMPLES_H

#include "base/base.h"
#include "op/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sample_list { tl_sample *items; int count; } sample_list;

static void keep_sample(tl_sampler *to, const tl_sample *s)
{
    sample_list *l = to->user;
    l->items = realloc(l->items, (size_t)(l->count + 1) * sizeof *l->items);
    l->items[l->count++] = *s;
}

static sample_list samples_of(const tl_op *op, const tl_device *d)
{
    sample_list l = {0};
    tl_sampler to = {.take = keep_sample, .user = &l, .small = getenv("TLUA_TEST_SMALL") != NULL};
    tl__samples(op, d, &to);
    return l;
}

/* ---- values that are no numbers ---- */

/* What a sample with SPECIAL for its number holds: every pair of these, and a ragged end. */
enum { SPECIAL = -1, SPECIALS = 9, SPECIAL_ROWS = 5 };
static const float specials[SPECIALS] = {NAN, INFINITY, -INFINITY, 0, 1, -1, 0.5f, 4, -3.5f};

static inline int is_named(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0) return 1;
    return 0;
}

/* Operators whose answer to a NaN or an infinity is held against PyTorch's: all that work element by element, and what picks or weighs
 * the largest. Reductions have rows with a NaN in front, amid whole vectors and behind them, without one, and of nothing else. */
static inline int special_sample(const tl_op *op, tl_sample *s)
{
    static const char *const rows[] = {"amax", "sum", "mean", "argmax", "softmax", "log_softmax", "amin", "argmin", NULL};
    /* PyTorch itself gives these another gradient at a NaN in vectors than behind them, or hangs on the last bit of tanh at infinity,
     * or on a quotient of infinities. */
    static const char *const of_two_minds[] = {"relu6", "hardswish", "gelu_tanh", "mod",  "fmod", "elu",
                                               "selu",  "celu",      "softsign",  "mish", NULL};
    int by_rows = is_named(op->name, rows);
    if (is_named(op->name, of_two_minds)) return 0;
    if (!by_rows && (op->samples || op->infer != (op->inputs[1] ? tl__infer_broadcast : tl__infer_like_first))) return 0;
    *s = tl__sample(op);
    if (op->attrs[0].required) s->attr[0].f = op->attrs[1].required ? -2 : 1.7;
    if (op->attrs[0].kind == TL_A_AXES) s->attr[0] = (tl_value){.n = 1, .list = {1}};
    for (int i = 0; i < 1 + (op->inputs[1] != NULL); i++)
        tl__sample_input(s, by_rows ? 2 : 1, by_rows ? (const int64_t[]){SPECIAL_ROWS, 37} : (const int64_t[]){SPECIALS * SPECIALS + 7}, -2, 2);
    if (op->attrs[0].required && op->attrs[1].required) s->attr[1].f = 2;
    return 1;
}

static float special_value(const tl_sample *s, int i, int64_t k)
{
    if (s->in[0].shape.rank == 1) return specials[(i ? k / SPECIALS : k) % SPECIALS];
    int64_t r = k / 37, c = k % 37;
    return r == 4 || (r == 0 && c == 0) || (r == 1 && c == 19) || (r == 2 && c == 36) ? NAN : (float)(c * 7 % 37) / 8 - 2;
}

static void *sample_values(const tl_sample *s, int at, int i)
{
    if (at != SPECIAL) return tl__sample_values(NULL, s, at, i);
    int64_t n = tl__numel(&s->in[i].shape);
    float *f = malloc((size_t)(n + 1) * 4);
    for (int64_t k = 0; k < n; k++) f[k] = special_value(s, i, k);
    return f;
}

#endif
