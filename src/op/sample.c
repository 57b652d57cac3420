/* sample.c - the samples of operators: those that descriptors bring, made-up shapes for operators that work element by
 * element, and their values, which come from Philox by (operator, sample, input), so that the Python side of the goldens
 * need not be told them. The tests and `tlua check` use them. */
#include "device/gemm/gemm.h"
#include "op/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tl_sample tl__sample(const tl_op *op)
{
    tl_sample s = {.op = op};
    tl__attr_defaults(op, s.attr);
    return s;
}

void tl__sample_input(tl_sample *s, int rank, const int64_t *dims, double low, double high)
{
    if (s->n_in == TL_MAX_INPUTS) return;
    s->in[s->n_in].shape = tl__shape(rank, dims);
    s->in[s->n_in].low = low;
    s->in[s->n_in].high = high;
    s->n_in++;
}

void tl__sample_absent(tl_sample *s)
{
    if (s->n_in < TL_MAX_INPUTS) s->in[s->n_in++].absent = 1;
}

void tl__sample_whole(tl_sample *s, int rank, const int64_t *dims, double low, double high)
{
    if (s->n_in < TL_MAX_INPUTS) s->in[s->n_in].integer = 1;
    tl__sample_input(s, rank, dims, low, high);
}

int tl__sample_is_int(const tl_sample *s, int i) { return (int)(s->op->int_inputs >> i & 1) || s->in[i].integer; }

/* ---- all samples of an operator ---- */

static int is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(name, *list) == 0) return 1;
    return 0;
}

static void made_up_pairs(tl_sampler *to, const tl_op *op, double low)
{
    static const struct { int ra, rb; int64_t a[3], b[3]; } pairs[] = {
        {2, 2, {3, 4}, {3, 4}}, {2, 2, {3, 1}, {1, 4}}, {3, 1, {2, 3, 4}, {4}}, {0, 1, {0}, {5}}, {3, 3, {2, 1, 17}, {1, 3, 17}}, {1, 3, {33}, {2, 2, 33}}};
    int is_pow = strcmp(op->name, "pow") == 0;
    static const char *const divisors[] = {"mod", "fmod", NULL};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tl_sample s = tl__sample(op);
        tl__sample_input(&s, pairs[i].ra, pairs[i].a, low, 2);
        tl__sample_input(&s, pairs[i].rb, pairs[i].b, is_one_of(op->name, divisors) ? 0.5 : is_pow ? -2 : low, 2);
        to->take(to, &s);
    }
}

/* Whole numbers, and a pair of both types. A divisor is not 0. */
static void made_up_whole(tl_sampler *to, const tl_op *op)
{
    static const int64_t a[] = {2, 3, 17}, b[] = {17};
    int product = strcmp(op->name, "prod") == 0;
    for (int i = 0; i < (op->inputs[1] ? 3 : 1); i++) {
        tl_sample s = tl__sample(op);
        tl__sample_whole(&s, 3, a, i == 2 || product ? 1 : -9, product ? 2 : 9);
        if (op->inputs[1] && i < 2) tl__sample_whole(&s, 1, b, i ? -4 : 1, i ? -1 : 4);
        else if (op->inputs[1]) tl__sample_input(&s, 1, b, 0.5, 2);
        if (op->attrs[0].kind == TL_A_AXES) s.attr[0] = (tl_value){.n = 1, .list = {-1}};
        to->take(to, &s);
        if (op->attrs[0].kind != TL_A_AXES) continue;
        s.attr[0].list[0] = 1;
        to->take(to, &s);
    }
}

/* Shapes for an operator that brings none. */
static void made_up(tl_sampler *to, const tl_op *op)
{
    static const int64_t shapes[][3] = {{3}, {2, 3, 5}, {15}, {16}, {17}, {33}, {1}, {2, 1, 70}};
    static const int ranks[] = {1, 3, 1, 1, 1, 1, 0, 3};
    static const char *const positive[] = {"log", "sqrt",       "rsqrt", "rdiv_scalar", "pow_scalar",
                                           "div", "reciprocal", "pow",   NULL};
    static const char *const below_one[] = {"asin", "acos", "atanh", "log1p", "tan", NULL};
    double low = is_one_of(op->name, positive) ? 0.5 : -2, high = 2;
    if (is_one_of(op->name, below_one)) low = -0.9, high = 0.8;
    if (strcmp(op->name, "acosh") == 0) low = 1.1;
    if (op->inputs[1]) {
        made_up_pairs(to, op, low);
        return;
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        tl_sample s = tl__sample(op);
        tl__sample_input(&s, ranks[i], shapes[i], low, high);
        int r = ranks[i];
        if (op->attrs[0].required) s.attr[0].f = i % 2 ? 1.7 : -0.6;
        if (op->attrs[0].required && op->attrs[1].required) s.attr[0].f = -1, s.attr[1].f = 1;
        if (op->attrs[0].kind == TL_A_AXES && r > 1) {
            static const tl_value some[] = {{.n = 0}, {.n = 1, .list = {1}}, {.n = 2, .list = {0, -1}}, {.n = 2, .list = {-1, 1}}, {.n = 1, .list = {0}}};
            for (int k = 0; k < 5; k++)
                for (int keep = 0; keep < 2; keep++) {
                    s.attr[0] = some[k];
                    s.attr[1].i = keep;
                    to->take(to, &s);
                }
            continue;
        }
        to->take(to, &s);
    }
}

/* Views: shapes and orders that are real ones. */
static void views(tl_sampler *to, const tl_op *op)
{
    tl_sample s = tl__sample(op);
    tl__sample_input(&s, 3, (const int64_t[]){2, 1, 6}, -2, 2);
    if (strcmp(op->name, "reshape") == 0) s.attr[0] = (tl_value){.n = 2, .list = {4, -1}};
    if (strcmp(op->name, "permute") == 0) s.attr[0] = (tl_value){.n = 3, .list = {2, 0, 1}};
    if (strcmp(op->name, "slice") == 0) s.attr[0].i = -1, s.attr[1].i = 2, s.attr[2].i = 3;
    if (strcmp(op->name, "expand") == 0) s.attr[0] = (tl_value){.n = 4, .list = {3, 2, 5, 6}};
    to->take(to, &s);
}

void tl__samples(const tl_op *op, const tl_device *d, tl_sampler *to)
{
    static const char *const view_ops[] = {"reshape", "permute", "slice", "expand", NULL};
    to->tile_m = 14;
    to->tile_n = 32;
    if (d) tl__gemm_tile(d, &to->tile_m, &to->tile_n);
    if (op->samples) op->samples(to);
    else if (is_one_of(op->name, view_ops)) views(to, op);
    else {
        made_up(to, op);
        if (op->ints) made_up_whole(to, op);
    }
}

/* ---- their values ---- */

/* Operators with kinks get values that keep their distance from them and from each other. */
int tl__sample_has_kinks(const tl_op *op)
{
    static const char *const kinked[] = {"max_pool", "amax", "maximum",         "minimum", "argmax",         "amin",
                                         "argmin",   "topk", "max_pool_places", "scatter", "smooth_l1_loss", NULL};
    return is_one_of(op->name, kinked);
}

void *tl__sample_values(tl_error *err, const tl_sample *s, int at, int i)
{
    char name[96];
    int64_t n = tl__numel(&s->in[i].shape);
    double low = s->in[i].low, high = s->in[i].high;
    float *f = tl__calloc(err, (size_t)n + 1, sizeof *f);
    int64_t *order = tl__calloc(err, (size_t)n + 1, sizeof *order);
    if (!f || !order) {
        free(f);
        free(order);
        return NULL;
    }
    int32_t *ids = (int32_t *)(void *)f;
    snprintf(name, sizeof name, "%s.%d.%d", s->op->name, at, i);
    tl_rng_key key = tl__rng_key(0, TL_RNG_UNIFORM, tl__hash64(name, strlen(name), 0));
    tl__rng_permutation(key, n, order);
    for (int64_t k = 0; k < n; k++) {
        double u = tl__rng_uniform(key, (uint64_t)k);
        if (tl__sample_is_int(s, i)) ids[k] = (int32_t)(low + floor(u * (high - low + 1)));
        else if (s->in[i].whole) f[k] = (float)(low + floor(u * (high - low + 1)));
        else if (tl__sample_has_kinks(s->op)) f[k] = (float)(low + (high - low) * ((double)order[k] + 0.3 + 0.4 * i) / (double)n);
        else if (!s->op->samples) f[k] = (float)(low + floor(u * 4 * (high - low)) / 4 + 0.12 + 0.1 * i);
        else f[k] = (float)(low + (high - low) * u);
    }
    free(order);
    return f;
}
