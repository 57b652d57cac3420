/* attention.c - the kernels for GPUs and for processors against the formula in double precision, on heads of all
 * widths, with more rows and keys than a group and a tile have, on a device with little local memory, and where what
 * is padded is no number. */
#include "device_tests.h"

#include <math.h>
#include <string.h>

/* `bias`: four letters, of which 1 stands for a dimension that is shared ("1htk": a bias for all sequences), or NULL.
 */
typedef struct problem {
    int64_t n, tq, tk, head, heads;
    int lengths, causal; /* causal: 0, or 1 and the offset */
    double dropout;
    const char *bias;
} problem;
enum { RESULT, DQ, DK, DV, DBIAS, PARTS };
static const char *const part_names[] = {"result", "gradient of q", "gradient of k", "gradient of v",
                                         "gradient of the bias"};

static void bias_dims(const problem *p, int64_t *dims)
{
    const int64_t all[4] = {p->n, p->heads, p->tq, p->tk};
    for (int i = 0; i < 4; i++) dims[i] = !p->bias ? 0 : p->bias[i] == '1' ? 1 : all[i];
}

static int64_t count_of(const problem *p, int part)
{
    int64_t dims[4];
    bias_dims(p, dims);
    if (part == DBIAS) return dims[0] * dims[1] * dims[2] * dims[3];
    return p->n * (part == RESULT || part == DQ ? p->tq : p->tk) * p->heads * p->head;
}

static const char *text_of(const problem *p)
{
    static char text[160];
    snprintf(text, sizeof text,
             "%d sequences, %d queries, %d keys, %d heads of %d, lengths %d, causal %d, dropout %g, bias %s",
             (int)p->n, (int)p->tq, (int)p->tk, (int)p->heads, (int)p->head, p->lengths, p->causal, p->dropout,
             p->bias ? p->bias : "none");
    return text;
}

/* Every eleventh number of a bias hides its key, and so does all of a row of its own that is the third. */
static float *bias_of(const problem *p)
{
    float *x = random_floats(count_of(p, DBIAS) + 1, 50);
    for (int64_t i = 0; i < count_of(p, DBIAS); i++)
        if (i % 11 == 7 || (p->bias[2] == 't' && i / p->tk % p->tq == 2)) x[i] = -INFINITY;
    return x;
}

/* Sequence n has tk - 5 n keys that count, but at least one. With `poison` all that does not count is no number. */
static void compute(const problem *p, const char *vector, size_t local_bytes, int poison, float *out[PARTS])
{
    compile_quickly(vector);
    tl_device *d = open_device(vector);
    if (local_bytes) d->traits.local_bytes = local_bytes;
    d->seed = 7;
    tl_scope *s = open_scope(d);
    tl_tensor *in[4], *lengths = NULL, *bias = NULL;
    int32_t counts[8];
    for (int64_t i = 0; i < p->n; i++) counts[i] = (int32_t)(p->tk > 5 * i ? p->tk - 5 * i : 1);
    for (int k = 0; k < 3; k++) {
        int64_t t = k == 0 ? p->tq : p->tk, width = p->heads * p->head;
        float *x = random_floats(p->n * t * width, (uint64_t)(30 + k));
        for (int64_t i = 0; poison && i < p->n; i++)
            for (int64_t j = counts[i] * width; j < t * width && (k > 0 || p->tq == p->tk); j++)
                x[i * t * width + j] = NAN;
        in[k] = tl_from(s, TL_F32, 3, (int64_t[]){p->n, t, width}, x);
        tl_require_grad(s, in[k], 1);
        free(x);
    }
    if (p->lengths) lengths = tl_from(s, TL_I32, 1, (int64_t[]){p->n}, counts);
    if (p->bias) {
        int64_t dims[4];
        bias_dims(p, dims);
        float *x = bias_of(p);
        in[3] = bias = tl_from(s, TL_F32, 4, dims, x);
        tl_require_grad(s, bias, 1);
        free(x);
    }
    tl_attention_options o = {.heads = (int)p->heads,
                              .causal = p->causal > 0,
                              .offset = p->causal > 0 ? p->causal - 1 : 0,
                              .dropout = p->dropout,
                              .training = 1};
    tl_tensor *y = tl_attention(s, in[0], in[1], in[2], lengths, bias, &o);
    cr_assert(y, "%s: %s", text_of(p), s->err.text);
    float *gy = random_floats(count_of(p, RESULT), 40);
    cr_assert(tl_backward(s, y, tl_from(s, TL_F32, 3, tl_dims(y), gy), 0) == 0, "%s: %s", text_of(p), s->err.text);
    free(gy);
    for (int k = 0; k < PARTS; k++) {
        out[k] = malloc((size_t)count_of(p, k) * 4 + 4);
        cr_assert(out[k]);
        if (count_of(p, k) == 0) continue;
        cr_assert(tl_read(s, k == RESULT ? y : tl_grad(in[k - 1]), out[k], (size_t)count_of(p, k) * 4) == 0, "%s: %s",
                  text_of(p), s->err.text);
    }
    close_scope(s);
    close_device(d);
}

static void compare(const problem *p, float *const *got, float *const *want, const char *what)
{
    for (int k = 0; k < PARTS; k++) {
        double size = 0;
        for (int64_t i = 0; i < count_of(p, k); i++) size = fmax(size, fabs(want[k][i]));
        /* Rows of one key have no gradient but what rounding leaves of the difference of two sums that are equal. */
        if (size == 0 && (k == DQ || k == DK || k == DBIAS)) size = 0.05;
        for (int64_t i = 0; i < count_of(p, k); i++)
            cr_assert(fabs((double)got[k][i] - want[k][i]) <= 2e-5 * size, "%s, %s: %s, element %d is %.9g, not %.9g",
                      what, text_of(p), part_names[k], (int)i, got[k][i], want[k][i]);
    }
}

/* Where row `i` of a head of sequence `n` begins. */
static int64_t at(const problem *p, int64_t t, int64_t n, int64_t i, int64_t h)
{
    return (n * t + i) * p->heads * p->head + h * p->head;
}

/* One head of one sequence in double precision: y = softmax(q k' / sqrt(head)) v over the keys that count, and the
 * gradients of sum(gy y). */
static void reference_head(const problem *p, int64_t n, int64_t h, int64_t keys, const float *const *x,
                           const float *gy, float *const *out)
{
    int64_t bias[4];
    bias_dims(p, bias);
    double scale = 1 / sqrt((double)p->head), *a = calloc((size_t)p->tk, sizeof *a),
           *da = calloc((size_t)p->tk, sizeof *da);
    cr_assert(a && da);
    for (int64_t i = 0; i < p->tq && !(p->lengths && p->tq == p->tk && i >= keys); i++) {
        int64_t qi = at(p, p->tq, n, i, h), last = p->causal && i + p->causal < keys ? i + p->causal : keys;
        int64_t bi =
            (((bias[0] > 1 ? n : 0) * bias[1] + (bias[1] > 1 ? h : 0)) * bias[2] + (bias[2] > 1 ? i : 0)) * bias[3];
        double most = -INFINITY, sum = 0, dot = 0;
        for (int64_t j = 0; j < last; j++) {
            a[j] = p->bias ? (double)x[3][bi + j] : 0;
            for (int64_t e = 0; e < p->head; e++)
                a[j] += (double)x[0][qi + e] * (double)x[1][at(p, p->tk, n, j, h) + e] * scale;
            most = fmax(most, a[j]);
        }
        if (isinf(most)) continue; /* all are hidden */
        for (int64_t j = 0; j < last; j++) sum += a[j] = exp(a[j] - most);
        for (int64_t j = 0; j < last; j++) {
            int64_t kj = at(p, p->tk, n, j, h);
            a[j] /= sum;
            da[j] = 0;
            for (int64_t e = 0; e < p->head; e++) {
                out[RESULT][qi + e] += (float)(a[j] * (double)x[2][kj + e]);
                out[DV][kj + e] += (float)(a[j] * (double)gy[qi + e]);
                da[j] += (double)gy[qi + e] * (double)x[2][kj + e];
            }
            dot += a[j] * da[j];
        }
        for (int64_t j = 0; j < last && p->bias; j++) out[DBIAS][bi + j] += (float)(a[j] * (da[j] - dot));
        for (int64_t j = 0; j < last; j++)
            for (int64_t e = 0; e < p->head; e++) {
                int64_t kj = at(p, p->tk, n, j, h);
                out[DQ][qi + e] += (float)(a[j] * (da[j] - dot) * scale * (double)x[1][kj + e]);
                out[DK][kj + e] += (float)(a[j] * (da[j] - dot) * scale * (double)x[0][qi + e]);
            }
    }
    free(a);
    free(da);
}

/* All parts of a problem without dropout. */
static void reference(const problem *p, float *out[PARTS])
{
    float *x[4] = {NULL, NULL, NULL, p->bias ? bias_of(p) : NULL}, *gy = random_floats(count_of(p, RESULT), 40);
    for (int k = 0; k < 3; k++)
        x[k] = random_floats(p->n * (k == 0 ? p->tq : p->tk) * p->heads * p->head, (uint64_t)(30 + k));
    for (int k = 0; k < PARTS; k++) cr_assert(out[k] = calloc((size_t)count_of(p, k) + 1, sizeof *out[k]));
    for (int64_t n = 0; n < p->n; n++) {
        int64_t keys = !p->lengths ? p->tk : p->tk > 5 * n ? p->tk - 5 * n : 1;
        for (int64_t h = 0; h < p->heads; h++) reference_head(p, n, h, keys, (const float *const *)x, gy, out);
    }
    for (int k = 0; k < 4; k++) free(x[k]);
    free(gy);
}

static void free_parts(float *const *x)
{
    for (int k = 0; k < PARTS; k++) free(x[k]);
}

static void hold(const problem *p, const char *vector, size_t local_bytes, const char *what)
{
    float *want[PARTS], *got[PARTS];
    compute(p, vector, local_bytes, 0, got);
    if (p->dropout > 0) compute(p, "16", 0, 0, want); /* whose mask is the same */
    else reference(p, want);
    compare(p, got, want, what);
    free_parts(got);
    free_parts(want);
}

/* Small enough for Oclgrind: a row shared by two work-items, three rows, more keys than a tile. */
Test(attention, small)
{
    static const problem p = {1, 3, 18, 17, 1, 0, 0, 0, "1htk"}, causal = {2, 5, 5, 17, 1, 1, 1, 0, NULL};
    hold(&p, "1", 0, "GPU");
    hold(&causal, "1", 0, "GPU");
}

Test(attention, gpus_and_processors_give_what_the_formula_gives)
{
    /* One work-item to a row and several, widths that they share evenly and not, groups and tiles that are not full.
     */
    static const problem problems[] = {
        {1, 70, 33, 3, 2, 0, 0, 0, NULL},      {1, 66, 66, 16, 1, 0, 1, 0, NULL},
        {2, 35, 35, 64, 2, 1, 1, 0, NULL},     {2, 35, 35, 64, 2, 1, 1, 0.2, NULL},
        {1, 9, 64, 130, 1, 0, 0, 0.3, NULL},   {2, 20, 20, 36, 2, 1, 1, 0, "nhtk"},
        {3, 20, 37, 16, 2, 1, 0, 0, "1htk"},   {2, 19, 19, 8, 3, 1, 0, 0, "n11k"},
        {2, 18, 21, 40, 2, 0, 0, 0.2, "1h1k"}, {2, 5, 5, 256, 1, 0, 0, 0, "11tk"},
        {1, 40, 103, 16, 1, 0, 64, 0, NULL},   {2, 40, 75, 16, 1, 1, 8, 0, NULL},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        hold(&problems[i], "16", 0, "processor");
        if (!is_whole() && i % 2 == 0 && i > 1) continue; /* most of the time goes into compiling */
        hold(&problems[i], "1", 0, "GPU");
        if (problems[i].head == 64)
            hold(&problems[i], "1", 12 << 10, "GPU of 12 KB"); /* groups have fewer rows there */
    }
}

/* Lengths around the blocks of the kernels for processors, with narrow vectors and wide ones; with little memory the
 * blocks are small. */
Test(attention, any_length_on_processors)
{
    static const int64_t lengths[] = {1, 7, 47, 49, 97, 127, 128, 129, 193, 257, 1024, 1100};
    static const int64_t heads[] = {64, 36};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t t = lengths[i], head = heads[i % 2];
        problem p = {t > 200 ? 1 : 2, t, t, head, 1, i % 2 == 1, i % 3 == 1, 0, i % 2 ? NULL : "11tk"},
                across = {1, t, 1 + t * 7 % 300, head, 1, 0, i % 3 == 2 ? 1 + (int)(t % 50) : 0, 0, i % 2 ? NULL : "nhtk"};
        hold(&p, "8", 0, "processor, 8 floats");
        hold(&across, "8", 0, "processor");
        if (t < 200) hold(&p, "8", 40 << 10, "processor of 40 KB");
    }
    problem large = {1, 700, 700, 64, 2, 1, 0, 0.1, "11tk"}, narrow = {2, 70, 150, 17, 2, 1, 0, 0, "1htk"};
    hold(&large, "8", 0, "processor, with dropout");
    hold(&narrow, "4", 0, "processor, 4 floats");
}

/* Rows of padding have a result of zero, and no say in anything else. */
Test(attention, padding_has_no_say)
{
    static const problem problems[] = {
        {3, 20, 20, 64, 1, 1, 1, 0, NULL}, {3, 7, 20, 16, 2, 1, 0, 0, NULL}, {3, 20, 20, 36, 1, 1, 0, 0, NULL}};
    static const char *const vectors[] = {"16", "1"};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        for (int v = 0; v < 2; v++) {
            float *want[PARTS], *got[PARTS];
            compute(&problems[i], vectors[v], 0, 0, want);
            compute(&problems[i], vectors[v], 0, 1, got);
            for (int k = 0; k < PARTS; k++)
                cr_assert(memcmp(want[k], got[k], (size_t)count_of(&problems[i], k) * 4) == 0, "vector %s, %s: %s",
                          vectors[v], text_of(&problems[i]), part_names[k]);
            free_parts(want);
            free_parts(got);
        }
}

/* Fewer rows to a group are taken where the kernel has no room, not where there was no memory to find out. Every
 * allocation up to the first launch that fails ends the call. */
Test(attention, no_memory_is_no_reason_for_another_kernel)
{
    setenv("TLUA_KERNEL_CACHE", "0", 1);
    long last = 1000000, failed = 0;
    for (long nth = 1; nth <= last; nth += nth < 4 ? 1 : 53) {
        compile_quickly("1");
        tl_device *d = open_device("1");
        tl_scope *s = open_scope(d);
        tl_tensor *x = tl_full(s, TL_F32, 3, (int64_t[]){1, 40, 64}, 0.5);
        tl_attention_options o = {.heads = 2};
        tl__inject_failure(nth);
        tl_tensor *y = tl_attention(s, x, x, x, NULL, NULL, &o);
        long n = tl__inject_failure(0);
        if (n < nth) last = 0;
        else {
            failed++;
            cr_expect(!y && s->err.code == TL_EMEMORY, "allocation %ld of %ld failed, and the call did not: %s", nth,
                      n, s->err.text);
        }
        tl_scope_close(s);
        close_device(d);
    }
    cr_expect_gt(failed, 10);
}
