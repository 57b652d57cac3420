/* launch.c - groups of work-items: counts that fill no whole group, more groups than a device takes at once, kernels that do not fit, sums
 * over many rows. Kernels for GPUs, on whatever device is there. */
#include "device_tests.h"

#include <math.h>
#include <string.h>

static tl_device *open_with(const char *group, const char *most)
{
    setenv("TLUA_GEMM", "own", 1); /* CLBlast would compile for half a minute */
    setenv("TLUA_GROUP", group, 1);
    setenv("TLUA_MAX_GROUPS", most, 1);
    tl_device *d = open_device("1");
    unsetenv("TLUA_GROUP");
    unsetenv("TLUA_MAX_GROUPS");
    return d;
}

/* What a few operators of each kind of kernel make of `n` rows of `c`: flat, by rows, over a walk, along the middle, with groups of
 * their own. The numbers of all of them in a row, *count of them. */
static float *some_operators(tl_device *d, int64_t n, int64_t c, int64_t *count)
{
    tl_scope *s = open_scope(d);
    float *host = random_floats(n * c, 3), *all = NULL;
    tl_tensor *x = tl_from(s, TL_F32, 2, (int64_t[]){n, c}, host), *turned = tl_permute(s, x, 2, (int[]){1, 0});
    tl_tensor *pixels = tl_from(s, TL_F32, 4, (int64_t[]){1, n, 1, c}, host), *heads = tl_from(s, TL_F32, 3, (int64_t[]){1, n, c}, host);
    tl_tensor *batch = tl_add(s, tl_expand(s, heads, 3, (int64_t[]){3, n, c}), heads); /* three matrices of a batch */
    tl_attention_options o = {.heads = 1};
    tl_tensor *y[] = {tl_exp(s, x), tl_softmax(s, x, -1), tl_add(s, turned, turned), tl__packed(s, turned), tl_sum(s, x, (int[]){0}, 1, 0), tl_sum(s, x, (int[]){1}, 1, 0),
                      tl_max_pool(s, pixels, 1, 1, 0), tl_matmul(s, x, x, 0, 1), tl_matmul(s, batch, batch, 0, 1), tl_attention(s, heads, heads, heads, NULL, NULL, &o), tl_layer_norm(s, x, NULL, NULL, 1e-5)};
    free(host);
    *count = 0;
    for (size_t i = 0; i < sizeof y / sizeof *y; i++) {
        cr_assert(y[i], "%s", s->err.text);
        int64_t m = tl_numel(y[i]);
        all = realloc(all, (size_t)(*count + m) * sizeof *all);
        cr_assert(all && tl_read(s, y[i], all + *count, (size_t)m * sizeof *all) == 0, "%s", s->err.text);
        *count += m;
    }
    close_scope(s);
    return all;
}

/* Whole groups, one work-item less and one more, in one piece and in pieces: always the same bits. */
Test(launch, ragged_groups_and_pieces_give_the_same_bits)
{
    static const int64_t sizes[][2] = {{1, 16}, {15, 33}, {16, 17}, {17, 16}, {33, 15}, {150, 16}};
    enum { PAIRS = sizeof sizes / sizeof *sizes };
    int64_t counts[3][PAIRS];
    float *got[3][PAIRS];
    for (int k = 0; k < 3; k++) {
        tl_device *d = k == 0 ? open_with("1", "1000000") : k == 1 ? open_with("16", "1000000") : open_with("16", "2");
        for (int i = 0; i < PAIRS; i++) {
            long before = d->launches;
            got[k][i] = some_operators(d, sizes[i][0], sizes[i][1], &counts[k][i]);
            if (k == 2 && i > 0) cr_assert_gt(d->launches - before, 30, "launches of more than two groups come in pieces: %ld", d->launches - before);
        }
        close_device(d);
    }
    for (int i = 0; i < PAIRS; i++) {
        for (int k = 1; k < 3; k++) {
            cr_assert_eq(counts[k][i], counts[0][i]);
            for (int64_t e = 0; e < counts[0][i]; e++)
                cr_assert(memcmp(&got[k][i][e], &got[0][i][e], 4) == 0, "pair %d, way %d, element %d: %g and %g", i, k, (int)e, (double)got[k][i][e], (double)got[0][i][e]);
        }
        for (int k = 0; k < 3; k++) free(got[k][i]);
    }
}

static int sources_asked;
static char *bad_source(tl_error *err)
{
    sources_asked++;
    return tl__strdup(err, "__kernel void bad(__global float *x) { x[0] = of_nothing; }\n");
}
static const tl_program bad_program = {"test_bad", bad_source};

/* A driver that refuses a program is asked once, and its words stay. */
Test(launch, a_refused_program_is_compiled_once)
{
    if (getenv("FAKE_GPU")) return; /* a card of paper refuses nothing, and writes down what is meant to be compiled */
    tl_device *d = open_with("8", "");
    for (int i = 0; i < 3; i++) {
        tl_error err = {0};
        cr_assert(!tl__kernel_get(&err, d, &bad_program, NULL, "bad"));
        cr_assert(err.code == TL_EDEVICE && strstr(err.text, "cannot compile test_bad"), "%s", err.text);
    }
    cr_assert_eq(sources_asked, 1);
    close_device(d);
}

/* More rows than a GPU takes groups along its second dimension. */
Test(launch, more_than_65535_rows)
{
    const int64_t n = 66000, c = 257;
    setenv("TLUA_GEMM", "own", 1);
    tl_device *d = open_device("1");
    cr_assert_eq(d->traits.max_groups[1], 65535);
    tl_scope *s = open_scope(d);
    float *x = malloc((size_t)(n * c) * 4), *y = malloc((size_t)(n * c) * 4);
    cr_assert(x && y);
    for (int64_t i = 0; i < n * c; i++) x[i] = (float)(i % 1009);
    tl_tensor *t = tl_from(s, TL_F32, 3, (int64_t[]){n, 1, c}, x);
    long before = d->launches;
    tl_tensor *doubled = tl_add(s, tl_slice(s, t, 2, 0, c), tl_slice(s, t, 2, 0, c)); /* a walk: rows along the second dimension */
    enum { DOWN = 65, ACROSS = 3 }; /* rows to a group of columns, which are groups along the third dimension */
    tl_tensor *most = tl_amax(s, tl_from(s, TL_F32, 3, (int64_t[]){n, DOWN, ACROSS}, x), (int[]){1}, 1, 0);
    cr_assert(doubled && most, "%s", s->err.text);
    cr_expect_geq(d->launches - before, 3);
    tl_read(s, doubled, y, (size_t)(n * c) * 4);
    for (int64_t i = 0; i < n * c; i++)
        if (y[i] != 2 * x[i]) cr_assert_fail("row %d", (int)(i / c));
    tl_read(s, most, y, (size_t)(n * ACROSS) * 4);
    for (int64_t i = 0; i < n * ACROSS; i++) {
        float largest = 0;
        const float *column = x + i / ACROSS * DOWN * ACROSS + i % ACROSS;
        for (int64_t k = 0; k < DOWN; k++) largest = fmaxf(largest, column[k * ACROSS]);
        if (y[i] != largest) cr_assert_fail("largest, row %d", (int)(i / ACROSS));
    }
    close_scope(s);
    free(x);
    free(y);
    close_device(d);
}

/* A plain sum of a million losses of about ln 2 is off in the fourth digit. */
Test(launch, losses_of_a_million_rows)
{
    const int64_t n = 1 << 20;
    setenv("TLUA_GEMM", "own", 1);
    tl_device *d = open_device("1");
    tl_scope *s = open_scope(d);
    float *x = malloc((size_t)n * 8);
    int32_t *labels = malloc((size_t)n * 4);
    cr_assert(x && labels);
    double sum = 0, share = 0;
    for (int64_t i = 0; i < n; i++) {
        x[2 * i] = 0.1f * (float)(i % 7);
        x[2 * i + 1] = 0.0f;
        labels[i] = i % 3 == 0;
        double z = log(exp((double)x[2 * i]) + 1);
        sum += z - (double)x[2 * i + labels[i]];
    }
    tl_tensor *logits = tl_from(s, TL_F32, 2, (int64_t[]){n, 2}, x), *y = tl_from(s, TL_I32, 1, &n, labels);
    tl_require_grad(s, logits, 1);
    tl_tensor *loss = tl_cross_entropy(s, logits, y, NULL, 0);
    float got;
    cr_assert(loss && tl_read(s, loss, &got, 4) == 0, "%s", s->err.text);
    cr_expect_float_eq(got, sum / (double)n, 1e-6, "%.8f, not %.8f", (double)got, sum / (double)n);
    cr_assert_eq(tl_backward(s, loss, NULL, 0), 0, "%s", s->err.text);
    tl_read(s, tl_grad(logits), x, (size_t)n * 8);
    for (int64_t i = 0; i < n; i++) share += fabs((double)x[2 * i] + (double)x[2 * i + 1]);
    cr_expect_lt(share, 1e-6);
    close_scope(s);
    free(x);
    free(labels);
    close_device(d);
}

/* ---- what does not fit is said ---- */

static char *own_source(tl_error *err)
{
    return tl__strdup(err, "#include \"common.clh\"\n"
                           "__kernel void loose(G int *Y BOUND)\n{\n    INSIDE;\n    Y[get_global_id(0)] = get_global_id(0);\n}\n"
                           "__kernel void grouped(G int *Y, __local int *t)\n{\n    t[get_local_id(0)] = 1;\n    Y[get_global_id(0)] = t[get_local_id(0)];\n}\n");
}
static const tl_program own_program = {"test_launch", own_source};

static void refused(tl_device *d, const tl_launch *l, const tl_karg *args, int count, const char *word)
{
    tl_error err = {0};
    cr_assert_eq(tl__launch(&err, d, l, args, count, "test"), -1, "%s", word);
    cr_assert(strstr(err.text, word), "%s", err.text);
}

Test(launch, what_does_not_fit_is_said)
{
    tl_error err = {0};
    tl_device *d = open_with("8", "");
    tl_buffer *y = tl__buffer_new(&err, d, 4096);
    cr_assert(y && tl__buffer_fill(&err, y, 0, 4096, 7) == 0, "%s", err.text);
    tl_launch l = {.program = &own_program, .kernel = "loose", .dims = 1, .global = {13}};
    int32_t got[32];
    cr_assert_eq(TL__LAUNCH(&err, d, &l, "test", TL_KBUF(y)), 0, "%s", err.text);
    cr_assert_eq(tl__buffer_read(&err, y, 0, sizeof got, got), 0);
    for (int i = 0; i < 32; i++) cr_assert_eq(got[i], i < 13 ? i : 7, "%d", i); /* three of the sixteen work-items do nothing */
    tl_karg args[] = {TL_KBUF(y), TL_KLOCAL(64), TL_KI(1), TL_KI(2)};
    refused(d, &l, args, 3, "takes 2 arguments and was given 3");
    l.kernel = "grouped";
    refused(d, &l, args, 2, "groups of its own");
    l.local[0] = 4;
    refused(d, &l, args, 2, "13 work-items in groups of 4");
    l.global[0] = l.local[0] = (size_t)1 << 20;
    refused(d, &l, args, 2, "work-items in a group");
    l.global[0] = l.local[0] = 8;
    args[1] = TL_KLOCAL(d->traits.local_bytes + 64);
    refused(d, &l, args, 2, "bytes of local memory");
    cr_assert_eq(tl__kernel_fits(&err, d, &own_program, NULL, "grouped", 8), 1);
    cr_assert_eq(tl__kernel_fits(&err, d, &own_program, NULL, "grouped", (size_t)1 << 20), 0);
    cr_assert_eq(tl__kernel_fits(&err, d, &own_program, NULL, "not_there", 8), 0);
    cr_assert(strstr(d->note, "not_there") && strstr(d->note, "another kernel"), "%s", d->note);
    tl__buffer_release(y);
    close_device(d);
}
