/* attention.c - the kernels for GPUs against those for processors (which tests/op/ops.c holds against differences), on heads of all widths, with
 * more rows and keys than a group and a tile have, on a device with little local memory, and where what is padded is no number. */
#include "device_tests.h"

#include <math.h>
#include <string.h>

typedef struct problem { int64_t n, tq, tk, head, heads; int lengths, causal; double dropout; } problem;
enum { RESULT, DQ, DK, DV, PARTS };
static const char *const part_names[] = {"result", "gradient of q", "gradient of k", "gradient of v"};

static int64_t count_of(const problem *p, int part) { return p->n * (part == RESULT || part == DQ ? p->tq : p->tk) * p->heads * p->head; }

static const char *text_of(const problem *p)
{
    static char text[160];
    snprintf(text, sizeof text, "%d sequences, %d queries, %d keys, %d heads of %d, lengths %d, causal %d, dropout %g", (int)p->n, (int)p->tq, (int)p->tk, (int)p->heads,
             (int)p->head, p->lengths, p->causal, p->dropout);
    return text;
}

/* Sequence n has tk - 5 n keys that count, but at least one. With `poison` all that does not count is no number. */
static void compute(const problem *p, const char *vector, size_t local_bytes, int poison, float *out[PARTS])
{
    tl_device *d = open_device(vector);
    if (local_bytes) d->traits.local_bytes = local_bytes;
    d->seed = 7;
    tl_scope *s = open_scope(d);
    tl_tensor *in[3], *lengths = NULL;
    int32_t counts[8];
    for (int64_t i = 0; i < p->n; i++) counts[i] = (int32_t)(p->tk > 5 * i ? p->tk - 5 * i : 1);
    for (int k = 0; k < 3; k++) {
        int64_t t = k == 0 ? p->tq : p->tk, width = p->heads * p->head;
        float *x = random_floats(p->n * t * width, (uint64_t)(30 + k));
        for (int64_t i = 0; poison && i < p->n; i++)
            for (int64_t j = counts[i] * width; j < t * width && (k > 0 || p->tq == p->tk); j++) x[i * t * width + j] = NAN;
        in[k] = tl_from(s, TL_F32, 3, (int64_t[]){p->n, t, width}, x);
        tl_require_grad(s, in[k], 1);
        free(x);
    }
    if (p->lengths) lengths = tl_from(s, TL_I32, 1, (int64_t[]){p->n}, counts);
    tl_attention_options o = {.heads = (int)p->heads, .causal = p->causal, .dropout = p->dropout, .training = 1};
    tl_tensor *y = tl_attention(s, in[0], in[1], in[2], lengths, &o);
    cr_assert(y, "%s: %s", text_of(p), s->err.text);
    float *gy = random_floats(count_of(p, RESULT), 40);
    tl_backward(s, y, tl_from(s, TL_F32, 3, tl_dims(y), gy), 0);
    free(gy);
    for (int k = 0; k < PARTS; k++) {
        out[k] = malloc((size_t)count_of(p, k) * 4);
        cr_assert(out[k]);
        tl_read(s, k == RESULT ? y : tl_grad(in[k - 1]), out[k], (size_t)count_of(p, k) * 4);
    }
    close_scope(s);
    close_device(d);
}

static void compare(const problem *p, float *const *got, float *const *want, const char *what)
{
    for (int k = 0; k < PARTS; k++) {
        double size = 0;
        for (int64_t i = 0; i < count_of(p, k); i++) size = fmax(size, fabs(want[k][i]));
        for (int64_t i = 0; i < count_of(p, k); i++)
            cr_assert(fabs((double)got[k][i] - want[k][i]) <= 2e-5 * size, "%s, %s: %s, element %d is %.9g, not %.9g", what, text_of(p), part_names[k], (int)i, got[k][i],
                      want[k][i]);
    }
}

static void free_parts(float *const *x)
{
    for (int k = 0; k < PARTS; k++) free(x[k]);
}

Test(attention, gpus_give_what_processors_give)
{
    /* One work-item to a row and several, widths that they share evenly and not, groups and tiles that are not full. */
    static const problem problems[] = {
        {1, 70, 33, 3, 2, 0, 0, 0}, {1, 66, 66, 16, 1, 0, 1, 0}, {2, 35, 35, 64, 2, 1, 1, 0.2}, {1, 9, 20, 130, 1, 0, 0, 0.3},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        float *want[PARTS], *got[PARTS];
        compute(&problems[i], "16", 0, 0, want);
        compute(&problems[i], "1", 0, 0, got);
        compare(&problems[i], got, want, "GPU");
        free_parts(got);
        if (problems[i].head == 64) { /* groups have fewer rows there */
            compute(&problems[i], "1", 12 << 10, 0, got);
            compare(&problems[i], got, want, "GPU of 12 KB");
            free_parts(got);
        }
        free_parts(want);
    }
}

/* Rows of padding have a result of zero, and no say in anything else. */
Test(attention, padding_has_no_say)
{
    static const problem problems[] = {{3, 20, 20, 64, 1, 1, 1, 0}, {3, 7, 20, 16, 2, 1, 0, 0}};
    static const char *const vectors[] = {"16", "1"};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        for (int v = 0; v < 2; v++) {
            float *want[PARTS], *got[PARTS];
            compute(&problems[i], vectors[v], 0, 0, want);
            compute(&problems[i], vectors[v], 0, 1, got);
            for (int k = 0; k < PARTS; k++)
                cr_assert(memcmp(want[k], got[k], (size_t)count_of(&problems[i], k) * 4) == 0, "vector %s, %s: %s", vectors[v], text_of(&problems[i]), part_names[k]);
            free_parts(want);
            free_parts(got);
        }
}
