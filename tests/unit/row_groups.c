/* row_groups.c - kernels in which a group of work-items shares rows, those of GPUs, beside those of processors:
 * softmax, losses, norms, reductions, the largest of a row, rows of a table; rows of one number and of a
 * vocabulary's, one row and many. */
#include "device_tests.h"

#include <math.h>
#include <string.h>

/* One operator on x (rows, n) and what else it takes: results and gradients go one behind the other into `out`. */
typedef struct job {
    tl_scope *s;
    tl_tensor *in[TL_MAX_INPUTS];
    int n_in;
    tl_value attr[TL_MAX_ATTRS];
    const char *name;
    float *out;
    int64_t count;
} job;

static void keep(job *j, tl_tensor *t)
{
    cr_assert(t, "%s: %s", j->name, j->s->err.text);
    int64_t n = tl_numel(t);
    j->out = realloc(j->out, (size_t)(j->count + n + 1) * sizeof *j->out);
    cr_assert(j->out && tl_read(j->s, t, j->out + j->count, (size_t)n * 4) == 0, "%s: %s", j->name, j->s->err.text);
    for (int64_t i = j->count; t->dtype == TL_I32 && i < j->count + n; i++)
        j->out[i] = (float)((const int32_t *)(const void *)j->out)[i];
    j->count += n;
}

/* With the kernels of processors, and with those of GPUs. */
static tl_device *devices[2];
static void open_both(void)
{
    devices[0] = open_device("8");
    devices[1] = open_device("1");
}
static void close_both(void)
{
    for (int w = 0; w < 2; w++) close_device(devices[w]);
}

static void begin(job *j, const char *name, int way)
{
    compile_quickly(way ? "1" : "8");
    *j = (job){.name = name, .s = open_scope(devices[way])};
    tl__attr_defaults(tl__op_find(name), j->attr);
}

/* An input of numbers around 0.25; `trained`: its gradient is kept. */
static void give(job *j, int rank, const int64_t *dims, uint64_t stream, int trained)
{
    tl_shape shape = {rank, {0}};
    memcpy(shape.dim, dims, (size_t)rank * sizeof *dims);
    int64_t n = tl__numel(&shape);
    float *x = random_floats(n, stream);
    for (int64_t i = 0; i < n; i++) x[i] += 0.25f;
    tl_tensor *t = j->in[j->n_in++] = tl_from(j->s, TL_F32, rank, dims, x);
    if (trained) tl_require_grad(j->s, t, 1);
    free(x);
}
static void give_none(job *j) { j->n_in++; }
static void give_numbers(job *j, int64_t n, int64_t below)
{
    int32_t *x = malloc((size_t)(n + 1) * 4);
    cr_assert(x);
    for (int64_t i = 0; i < n; i++) x[i] = (int32_t)(i % 3 == 0 ? below - 1 : i * 7919 % below);
    j->in[j->n_in++] = tl_from(j->s, TL_I32, 1, &n, x);
    free(x);
}

static void end(job *j)
{
    tl_tensor *y = tl__apply(j->s, tl__op_find(j->name), j->in, j->n_in, j->attr, NULL);
    keep(j, y);
    if (y->node) {
        float *g = random_floats(tl_numel(y), 90);
        cr_assert(tl_backward(j->s, y, tl_from(j->s, TL_F32, y->shape.rank, tl_dims(y), g), 0) == 0, "%s: %s", j->name,
                  j->s->err.text);
        free(g);
        for (int i = 0; i < j->n_in; i++)
            if (j->in[i] && tl_grad(j->in[i])) keep(j, tl_grad(j->in[i]));
    }
    close_scope(j->s);
}

typedef void making(job *j, int64_t rows, int64_t n);
static void plain(job *j, int64_t rows, int64_t n) { give(j, 2, (int64_t[]){rows, n}, 1, 1); }
static void first_axis(job *j, int64_t rows, int64_t n)
{
    plain(j, rows, n);
    j->attr[0] = (tl_value){.n = 1, .list = {0}};
}
static void last_axis(job *j, int64_t rows, int64_t n)
{
    plain(j, rows, n);
    j->attr[0] = (tl_value){.n = 1, .list = {1}};
}
static void middle_axis(job *j, int64_t rows, int64_t n)
{
    give(j, 3, (int64_t[]){2, rows, n}, 1, 1);
    j->attr[0] = (tl_value){.n = 1, .list = {1}};
}
static void without_gradient(job *j, int64_t rows, int64_t n) { give(j, 2, (int64_t[]){rows, n}, 1, 0); }
static void affine(job *j, int64_t rows, int64_t n)
{
    plain(j, rows, n);
    give(j, 1, &n, 2, 1);
    give(j, 1, &n, 3, 1);
}
static void labelled(job *j, int64_t rows, int64_t n)
{
    plain(j, rows, n);
    give_numbers(j, rows, n);
    give_none(j);
    j->attr[1].f = 0.1; /* smoothing, or the focal loss' gamma */
}
static void shared_out(job *j, int64_t rows, int64_t n)
{
    plain(j, rows, n);
    give(j, 2, (int64_t[]){rows, n}, 4, 1);
    give(j, 1, &n, 5, 0);
}
static void batch(job *j, int64_t rows, int64_t n)
{
    affine(j, rows > 1 ? rows : 2, n);
    give(j, 1, &n, 6, 0);
    give(j, 1, &n, 7, 0);
    give_none(j);
    j->attr[0].i = 1;
    j->attr[3].i = 1;
}
static void of_samples(job *j, int64_t rows, int64_t n, int64_t groups)
{
    give(j, 3, (int64_t[]){2, rows, n}, 1, 1);
    give(j, 1, &n, 2, 1);
    give(j, 1, &n, 3, 1);
    j->attr[0].i = groups;
}
static void one_group(job *j, int64_t rows, int64_t n) { of_samples(j, rows, n, 1); }
static void instances(job *j, int64_t rows, int64_t n) { of_samples(j, rows, n, 0); }

static const struct { const char *name; making *make; int exact; } jobs[] = {
    {"softmax", plain, 0},         {"log_softmax", plain, 0},
    {"layer_norm", affine, 0},     {"cross_entropy", labelled, 0},
    {"focal_loss", labelled, 0},   {"soft_cross_entropy", shared_out, 0},
    {"sum", last_axis, 0},         {"mean", last_axis, 0},
    {"amax", last_axis, 1},        {"amin", last_axis, 1},
    {"prod", last_axis, 0},        {"sum", first_axis, 0},
    {"mean", middle_axis, 0},      {"amax", middle_axis, 1},
    {"argmax", without_gradient, 1}, {"argmin", without_gradient, 1},
    {"batch_norm", batch, 0},      {"group_norm", one_group, 0},
    {"group_norm", instances, 0},
};

/* Both ways of job k; results of few numbers are held against the largest of all. Oclgrind is asked for what it sees of
 * memory and races in the kernels for GPUs alone. */
static void hold(size_t k, int64_t rows, int64_t n)
{
    job j[2] = {{0}};
    double size = 1e-6;
    int simulated = devices[0]->traits.simulated;
    for (int w = simulated; w < 2; w++) {
        begin(&j[w], jobs[k].name, w);
        jobs[k].make(&j[w], rows, n);
        end(&j[w]);
    }
    if (!simulated) cr_assert_eq(j[0].count, j[1].count);
    for (int64_t i = 0; i < j[0].count; i++) size = fmax(size, fabs((double)j[0].out[i]));
    for (int64_t i = 0; i < j[0].count; i++)
        cr_assert(fabs((double)j[0].out[i] - (double)j[1].out[i]) <= (jobs[k].exact ? 1e-6 : 2e-5) * size,
                  "%s (%zu) of %d rows of %d, number %d of %d: %.8g, not %.8g", jobs[k].name, k, (int)rows, (int)n,
                  (int)i, (int)j[0].count, (double)j[1].out[i], (double)j[0].out[i]);
    for (int w = 0; w < 2; w++) free(j[w].out);
}

static void hold_all(int64_t rows, int64_t n)
{
    for (size_t k = 0; k < sizeof jobs / sizeof *jobs; k++) hold(k, rows, n);
}

/* Small enough for Oclgrind: several rows to a group, a row to a group, lanes down columns. */
Test(row_groups, small)
{
    open_both();
    hold_all(3, 5);
    hold_all(70, 2);
    hold_all(1, 70);
    close_both();
}

Test(row_groups, rows_of_any_length)
{
    static const int64_t shapes[][2] = {{1, 1}, {70, 31}, {5, 257}, {2, 4097}, {1, 70000}, {70000, 1}, {4097, 3}};
    open_both();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) hold_all(shapes[i][0], shapes[i][1]);
    close_both();
}

/* Numbers of rows: one block of keys and several, segments within a chunk and over many. */
Test(row_groups, rows_of_a_table)
{
    static const int64_t sizes[][3] = {{1, 3, 1},    {63, 5, 7},      {64, 300, 33}, {65, 2, 3},
                                       {1024, 50, 5}, {1025, 2000, 2}, {5000, 37, 40}};
    open_both();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        job j[2];
        for (int w = 0; w < 2; w++) {
            begin(&j[w], "embedding", w);
            give(&j[w], 2, sizes[i] + 1, 1, 1);
            give_numbers(&j[w], sizes[i][0], sizes[i][1]);
            end(&j[w]);
        }
        cr_assert_eq(j[0].count, j[1].count);
        for (int64_t k = 0; k < j[0].count; k++)
            cr_assert(fabs((double)j[0].out[k] - (double)j[1].out[k]) <= 2e-5 * (double)sizes[i][0] / 10 + 1e-5,
                      "%d numbers, %d: %.8g, not %.8g", (int)sizes[i][0], (int)k, (double)j[1].out[k],
                      (double)j[0].out[k]);
        for (int w = 0; w < 2; w++) free(j[w].out);
    }    close_both();
}
