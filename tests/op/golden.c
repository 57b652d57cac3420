/* golden.c - every operator and its gradients against PyTorch (tests/golden/ops.safetensors, made by
 * tests/golden/make_ops.py). With TLUA_OP_DUMP=FILE this program writes the samples for that script instead. */
#include "io/io.h"
#include "op/samples.h"

#include <cJSON.h>
#include <criterion/criterion.h>

static const char *const golden_file = "tests/golden/ops.safetensors", *const special_file = "tests/golden/special.safetensors";

/* Random masks cannot be compared; the rest can. */
static int compared(const tl_op *op)
{
    return strcmp(op->name, "dropout") != 0 && strcmp(op->name, "spec_augment") != 0;
}

static int small_enough(const tl_sample *s)
{
    int64_t n = 0;
    for (int i = 0; i < s->n_in; i++) n += s->in[i].absent ? 0 : tl__numel(&s->in[i].shape);
    return n < 1500;
}

static float loss_weight(int64_t i) { return tl__rng_uniform(tl__rng_key(3, TL_RNG_UNIFORM, 5), (uint64_t)i) * 2 - 0.8f; }

/* ---- writing the samples ---- */

static cJSON *attributes(const tl_sample *s)
{
    cJSON *j = cJSON_CreateObject();
    for (int i = 0; s->op->attrs[i].kind != TL_A_END; i++) {
        const tl_attr *a = &s->op->attrs[i];
        const tl_value *v = &s->attr[i];
        if (a->kind == TL_A_FLOATS) cJSON_AddItemToObject(j, a->name, cJSON_CreateDoubleArray(v->numbers, v->n));
        else if (a->kind == TL_A_AXES || a->kind == TL_A_INTS) {
            cJSON *list = cJSON_AddArrayToObject(j, a->name);
            for (int k = 0; k < v->n; k++) cJSON_AddItemToArray(list, cJSON_CreateNumber((double)v->list[k]));
        } else if (a->kind == TL_A_CHOICE) cJSON_AddStringToObject(j, a->name, a->choices[v->i]);
        else if (a->kind == TL_A_BOOL) cJSON_AddBoolToObject(j, a->name, v->i != 0);
        else cJSON_AddNumberToObject(j, a->name, a->kind == TL_A_FLOAT ? v->f : (double)v->i);
    }
    return j;
}

typedef struct dump { tl_entry *entries; int count; cJSON *list; } dump;

static void dump_entry(dump *d, const char *name, tl_dtype dtype, const tl_shape *shape, void *data)
{
    d->entries = realloc(d->entries, (size_t)(d->count + 1) * sizeof *d->entries);
    d->entries[d->count++] = (tl_entry){.name = strdup(name), .dtype = dtype, .shape = *shape, .data = data, .bytes = (size_t)tl__numel(shape) * 4};
}

static void dump_sample(dump *d, const tl_sample *s, int at)
{
    char name[96];
    cJSON *j = cJSON_CreateObject(), *inputs = cJSON_AddArrayToObject(j, "inputs");
    snprintf(name, sizeof name, "%s.%d", s->op->name, at);
    cJSON_AddStringToObject(j, "name", name);
    cJSON_AddStringToObject(j, "torch", s->op->torch);
    cJSON_AddItemToObject(j, "attrs", attributes(s));
    for (int i = 0; i < s->n_in; i++) {
        cJSON *in = cJSON_CreateObject();
        const char *label = i < TL_MAX_INPUTS && s->op->inputs[i] ? s->op->inputs[i] : "x";
        char plain[32];
        snprintf(plain, sizeof plain, "%.*s", (int)strcspn(label, "?."), label);
        cJSON_AddStringToObject(in, "as", plain);
        cJSON_AddBoolToObject(in, "absent", s->in[i].absent);
        int integer = tl__sample_is_int(s, i);
        cJSON_AddBoolToObject(in, "grad", s->op->vjp && !integer && !s->no_gradient && !(s->op->constants >> i & 1));
        cJSON_AddItemToArray(inputs, in);
        if (s->in[i].absent) continue;
        snprintf(name, sizeof name, "%s.%d.%d", s->op->name, at, i);
        dump_entry(d, name, integer ? TL_I32 : TL_F32, &s->in[i].shape, sample_values(s, at, i));
    }
    cJSON_AddItemToArray(d->list, j);
}

static void write_dump(const char *path)
{
    dump d = {.list = cJSON_CreateArray()};
    float *weights = malloc(4096 * 4);
    tl_shape shape = {1, {4096}};
    for (int i = 0; i < 4096; i++) weights[i] = loss_weight(i);
    dump_entry(&d, "loss_weights", TL_F32, &shape, weights);
    for (int k = 0; tl__ops()[k]; k++) {
        sample_list l = samples_of(tl__ops()[k], NULL);
        for (int i = 0; i < l.count; i++)
            if (compared(tl__ops()[k]) && small_enough(&l.items[i])) dump_sample(&d, &l.items[i], i);
        free(l.items);
        tl_sample special;
        if (special_sample(tl__ops()[k], &special)) dump_sample(&d, &special, SPECIAL);
    }
    char *text = cJSON_PrintUnformatted(d.list);
    tl_error err = {0};
    cr_assert_eq(tl__safetensors_write(&err, path, d.entries, d.count, (const char *[]){"samples"}, (const char *[]){text}, 1), 0, "%s", err.text);
}

/* ---- comparing ---- */

/* Of values that may be none: 0 where both are NaN or the same infinity. */
static double apart(float a, float b)
{
    if (isnan(a) || isnan(b) || isinf(a) || isinf(b)) return (isnan(a) && isnan(b)) || a == b ? 0 : INFINITY;
    return fabs((double)a - (double)b) / fmax(1, fabs((double)b));
}

static double distance(tl_scope *s, tl_tensor *t, const tl_entry *want, int special)
{
    int64_t n = tl_numel(t);
    if (n != tl__numel(&want->shape)) return INFINITY;
    float *a = malloc((size_t)(n + 1) * 4), *b = malloc((size_t)(n + 1) * 4);
    tl_tensor *f = tl__cast(s, t, TL_F32);
    tl_error err = {0};
    double worst = 0, scale = 1e-3;
    if (!f || tl_read(s, f, a, (size_t)n * 4) != 0 || tl__entry_to_f32(&err, want, b) != 0) worst = INFINITY;
    for (int64_t i = 0; i < n && !special; i++) scale = fmax(scale, fabs((double)b[i]));
    for (int64_t i = 0; i < n; i++) {
        double d = special ? apart(a[i], b[i]) : fabs((double)a[i] - (double)b[i]) / scale;
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d; /* a NaN would be passed by what comes after it */
    }
    free(a);
    free(b);
    return worst;
}

static int compare(tl_device *d, const tl_archive *golden, const tl_sample *s, int at, double *worst)
{
    char name[96];
    tl_scope *scope = tl_scope_open(d, NULL);
    tl_tensor *in[TL_MAX_INPUTS] = {0};
    int bad = 0, compared_values = 0;
    for (int i = 0; i < s->n_in; i++) {
        if (s->in[i].absent) continue;
        int integer = tl__sample_is_int(s, i);
        void *values = sample_values(s, at, i);
        in[i] = tl_from(scope, integer ? TL_I32 : TL_F32, s->in[i].shape.rank, s->in[i].shape.dim, values);
        free(values);
        /* Samples without a gradient worth the name (rows of one number) are compared on their result alone. */
        if (!integer && s->op->vjp && !s->no_gradient && !(s->op->constants >> i & 1)) tl_require_grad(scope, in[i], 1);
    }
    tl_tensor *y = tl__apply(scope, s->op, in, s->n_in, s->attr, NULL);
    float weights[4096];
    for (int i = 0; i < 4096; i++) weights[i] = loss_weight(i);
    if (y && y->node) tl_backward(scope, y, tl_from(scope, TL_F32, y->shape.rank, y->shape.dim, weights), 0);
    for (int i = -1; i < s->n_in && y; i++) {
        tl_tensor *t = i < 0 ? y : in[i] && in[i]->node ? tl_grad(in[i]) : NULL;
        snprintf(name, sizeof name, i < 0 ? "%s.%d.y" : "%s.%d.g%d", s->op->name, at, i);
        const tl_entry *want = tl__archive_find(golden, name);
        if (!t && !want) continue;
        /* Sums of products of a hundred terms differ in order between the two: some units in the last place of the largest. */
        double error = t && want ? distance(scope, t, want, at == SPECIAL) : INFINITY;
        if (!(error <= 2e-5)) {
            fprintf(stderr, "%s: differs from PyTorch by %.3g\n", name, error);
            bad = 1;
        }
        *worst = fmax(*worst, error);
        compared_values++;
    }
    if (!y || tl_scope_failed(scope)) fprintf(stderr, "%s.%d: %s\n", s->op->name, at, tl_scope_error(scope)->text);
    bad |= !y || !compared_values;
    tl_scope_close(scope);
    return bad;
}

/* What is NaN or infinite in PyTorch, and where, is so here: in results and in gradients. */
Test(golden, numbers_that_are_none_go_where_pytorch_lets_them)
{
    if (getenv("TLUA_OP_DUMP")) return;
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    tl_archive *golden = tl__archive_read(&err, special_file);
    cr_assert(golden, "%s", err.text);
    int failures = 0, samples = 0;
    double worst = 0;
    for (int k = 0; tl__ops()[k]; k++) {
        tl_sample s;
        if (!special_sample(tl__ops()[k], &s)) continue;
        failures += compare(d, golden, &s, SPECIAL, &worst);
        samples++;
    }
    tl__archive_free(golden);
    tl_device_release(d);
    cr_assert_eq(failures, 0, "%d of %d operators differ", failures, samples);
    cr_assert(samples > 30, "%d operators were looked at", samples);
}

Test(golden, every_operator_agrees_with_pytorch)
{
    const char *path = getenv("TLUA_OP_DUMP");
    if (path) {
        write_dump(path);
        return;
    }
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    tl_archive *golden = tl__archive_read(&err, golden_file);
    cr_assert(golden, "%s", err.text);
    int failures = 0, samples = 0;
    double worst = 0;
    for (int k = 0; tl__ops()[k]; k++) {
        sample_list l = samples_of(tl__ops()[k], NULL);
        for (int i = 0; i < l.count; i++) {
            if (!compared(tl__ops()[k]) || !small_enough(&l.items[i])) continue;
            failures += compare(d, golden, &l.items[i], i, &worst);
            samples++;
        }
        free(l.items);
    }
    tl__archive_free(golden);
    tl_device_release(d);
    cr_assert_eq(failures, 0, "%d of %d samples differ", failures, samples);
    fprintf(stderr, "%d samples agree, largest difference %.1e\n", samples, worst);
}
