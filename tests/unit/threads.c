/* threads.c - two devices in two threads that train at the same time: each gets, to the bit, what it gets alone. Under -fsanitize=thread this
 * is the test of what the library shares between devices (docs/internals.md says how to run it so). */
#include "data/features.h"
#include "op/op.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 6, SIDE = 12, WIDTH = 16, CLASSES = 5, STEPS = 4, THREADS = 2, ROUNDS = 3 };
enum { STEM, STEM_BIAS, SCALE, SHIFT, DEEP, HEAD, HEAD_BIAS, TRAINED, MEAN = TRAINED, VAR, ALL };

/* What one thread does and finds. Nothing is asserted in a thread: a failure is a text. */
typedef struct job {
    uint64_t seed, result;
    const char *rule, *kept;       /* of the optimiser; the file that every thread writes at its end */
    pthread_barrier_t *together;   /* NULL: alone */
    int met;
    tl_error err;
} job;

static void meet(job *j)
{
    j->met++;
    if (j->together) pthread_barrier_wait(j->together);
}

static tl_tensor *loss_of(tl_scope *s, tl_tensor *const *p, tl_tensor *x, tl_tensor *labels)
{
    tl_conv_options pad = {.padding = {1, 1}}, apart = {.padding = {1, 1}, .groups = WIDTH};
    tl_tensor *y = tl_conv(s, x, p[STEM], p[STEM_BIAS], NULL, &pad);
    y = tl_relu(s, tl_batch_norm(s, y, p[SCALE], p[SHIFT], p[MEAN], p[VAR], 1, 0.1, 1e-5));
    y = tl_gelu(s, tl_conv(s, y, p[DEEP], NULL, NULL, &apart));
    y = tl_dropout(s, tl_mean(s, tl_max_pool(s, y, 2, 2, 0), (int[]){1, 2}, 2, 0), 0.3, 1);
    return tl_cross_entropy(s, tl_linear(s, y, p[HEAD], p[HEAD_BIAS], NULL, NULL), labels, NULL, 0.1);
}

/* A network, STEPS steps of it, and the hash of all that came of it. */
static void train(job *j, tl_device *d)
{
    static const int64_t dims[ALL][4] = {[STEM] = {WIDTH, 3, 3, 3}, [STEM_BIAS] = {WIDTH}, [SCALE] = {WIDTH}, [SHIFT] = {WIDTH}, [DEEP] = {WIDTH, 1, 3, 3},
                                         [HEAD] = {CLASSES, WIDTH}, [HEAD_BIAS] = {CLASSES}, [MEAN] = {WIDTH}, [VAR] = {WIDTH}};
    tl_scope *s = tl_scope_open(d, &j->err);
    if (!s) return;
    tl_tensor *p[ALL];
    for (int i = 0; i < ALL; i++) {
        int rank = 0;
        while (rank < 4 && dims[i][rank]) rank++;
        p[i] = i == VAR || i == SCALE ? tl_full(s, TL_F32, rank, dims[i], 1) : tl_randn(s, rank, dims[i], j->seed, (uint64_t)i);
        if (i < TRAINED && p[i]) tl_require_grad(s, p[i], 1);
    }
    tl_tensor *x = tl_randn(s, 4, (int64_t[]){BATCH, SIDE, SIDE, 3}, j->seed, 50);
    tl_tensor *labels = tl_from(s, TL_I32, 1, (int64_t[]){BATCH}, (int32_t[]){0, 3, 4, 1, 2, 2});
    tl_optim *o = tl_optim_new(s, j->rule, p, TRAINED, NULL);
    double norm;
    tl_manual_seed(d, j->seed);
    for (int i = 0; i < STEPS && o; i++) {
        tl_scope *inner = tl_scope_open(d, &j->err);
        tl_optim_zero_grad(o);
        tl_backward(inner, loss_of(inner, p, x, labels), NULL, 0);
        tl_optim_clip_grad_norm(inner, o, -1, 0.5, &norm);
        tl_optim_step(inner, o);
        if (inner && tl_scope_failed(inner)) j->err = *tl_scope_error(inner);
        tl_scope_close(inner);
        meet(j); /* step by step side by side, however the threads are scheduled */
    }
    j->result = 1;
    for (int i = 0; i < ALL && !tl_scope_failed(s); i++) {
        float host[WIDTH * 27];
        size_t bytes = (size_t)tl_numel(p[i]) * sizeof *host;
        tl_read(s, p[i], host, bytes);
        j->result = tl__hash64(host, bytes, j->result);
    }
    if (tl_scope_failed(s) && !j->err.code) j->err = *tl_scope_error(s);
    tl_optim_free(o);
    tl_scope_close(s);
}

static void *work(void *user)
{
    job *j = user;
    meet(j);
    tl_device *d = tl_device_open(NULL, &j->err); /* at once with the others */
    size_t live = 0;
    if (d) train(j, d);
    while (j->met < 1 + STEPS) meet(j); /* whatever went wrong here, the others do not wait for ever */
    if (d) tl_device_memory(d, &live, NULL, NULL);
    if (live && !j->err.code) tl__fail(&j->err, TL_ESTATE, "%zu bytes are still in use", live);
    tl_device_release(d);
    /* The same file, by all: whole, and of one of them. */
    if (j->kept && !j->err.code) tl__write_file(&j->err, j->kept, &j->seed, sizeof j->seed);
    return NULL;
}

static void side_by_side(const char *vector, const char *rule)
{
    char folder[64], kept[80];
    setenv("TLUA_VECTOR", vector, 1);
    snprintf(folder, sizeof folder, "/tmp/tlua-threads-%ld", (long)getpid());
    snprintf(kept, sizeof kept, "%s/kept", folder);
    setenv("TLUA_CACHE", folder, 1);
    cr_assert_eq(mkdir(folder, 0777), 0);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t together;
        pthread_t thread[THREADS];
        job many[THREADS], alone[THREADS];
        pthread_barrier_init(&together, NULL, THREADS);
        for (int i = 0; i < THREADS; i++) {
            many[i] = (job){.seed = (uint64_t)(10 * round + i), .rule = rule, .kept = kept, .together = &together};
            cr_assert_eq(pthread_create(&thread[i], NULL, work, &many[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
        pthread_barrier_destroy(&together);
        for (int i = 0; i < THREADS; i++) {
            alone[i] = (job){.seed = many[i].seed, .rule = rule};
            work(&alone[i]);
            cr_assert_eq(alone[i].err.code, TL_OK, "%s", alone[i].err.text);
            cr_assert_eq(many[i].err.code, TL_OK, "%s", many[i].err.text);
            cr_expect_eq(many[i].result, alone[i].result, "round %d, device %d: other numbers than alone", round, i);
        }
        cr_expect_neq(alone[0].result, alone[1].result);
        tl_error err = {0};
        size_t bytes = 0;
        uint64_t *seed = (uint64_t *)(void *)tl__read_file(&err, kept, &bytes);
        cr_assert(seed && bytes == sizeof *seed, "%s", err.text);
        cr_expect(*seed == many[0].seed || *seed == many[1].seed);
        free(seed);
    }
    char command[200];
    snprintf(command, sizeof command, "ls %s/*.tmp* 2>/dev/null && exit 1; rm -rf %s", folder, folder);
    cr_expect_eq(system(command), 0);
}

Test(threads, processors) { side_by_side("", "adam"); }
Test(threads, kernels_of_gpus) { side_by_side("1", "sgd"); }

/* ---- where no device is needed ---- */

static const char *key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
enum { ROWS = 40, ELEMENTS = 9 };

/* Waits for the file as a run does, then fills or reads it. */
static void *share_features(void *user)
{
    job *j = user;
    meet(j);
    tl_features *f = NULL;
    while (!f && (!j->err.code || j->err.code == TL_ESTATE)) {
        j->err = (tl_error){0};
        f = tl__features_open(&j->err, j->kept, key, ROWS, ELEMENTS, TL_F16, NULL);
    }
    float row[ELEMENTS];
    if (!f) return NULL;
    for (int64_t r = tl__features_done(f); r < ROWS && !j->err.code; r++, j->result++) {
        for (int i = 0; i < ELEMENTS; i++) row[i] = (float)(r + i);
        tl__features_append(&j->err, f, row, 1);
    }
    if (!j->err.code) tl__features_sync(&j->err, f);
    for (int64_t r = 0; r < ROWS && !j->err.code; r++)
        if (tl__features_read(&j->err, f, &r, 1, row) == 0 && row[ELEMENTS - 1] != (float)(r + ELEMENTS - 1)) tl__fail(&j->err, TL_ESTATE, "row %lld", (long long)r);
    tl__features_close(f);
    return NULL;
}

Test(threads, one_feature_cache)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/tlua-threads-features-%ld", (long)getpid());
    for (int round = 0; round < 20; round++) {
        pthread_barrier_t together;
        pthread_t thread[4];
        job j[4];
        uint64_t made = 0;
        unlink(path);
        pthread_barrier_init(&together, NULL, 4);
        for (int i = 0; i < 4; i++) {
            j[i] = (job){.kept = path, .together = &together};
            cr_assert_eq(pthread_create(&thread[i], NULL, share_features, &j[i]), 0);
        }
        for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(j[i].err.code, TL_OK, "%s", j[i].err.text);
            made += j[i].result;
        }
        cr_expect_eq(made, ROWS, "each row was made once, not %d for %d", (int)made, ROWS);
        pthread_barrier_destroy(&together);
    }
    unlink(path);
}
