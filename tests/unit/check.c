/* check.c - `tlua check` finds what is wrong: a gradient, a layout, a result, bits that change, a driver that fails;
 * and it knows a reference of each operator that there was when it was written. */
#include "check/check.h"
#include "check/reference.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(check, operators_have_references)
{
    int without = 0, all = 0;
    for (; tl__ops()[all]; all++)
        if (!tl__reference_of(tl__ops()[all])) {
            without++;
            fprintf(stderr, "%s is held against itself alone: src/check has no reference of it\n",
                    tl__ops()[all]->name);
        }
    cr_assert_geq(all - without, 67);
}

/* ---- operators with a fault ---- */

static int square(tl_scope *s, const tl_call *c) { return tl__copy_into(s, tl_square(s, c->in[0]), c->out[0]); }
static int softmax(tl_scope *s, const tl_call *c)
{
    return tl__copy_into(s, tl_mul_scalar(s, tl_softmax(s, c->in[0], -1), 1.0001), c->out[0]);
}
static int not_a_number(tl_scope *s, const tl_call *c)
{
    return tl__copy_into(s, tl_log(s, tl_neg(s, tl_square(s, c->in[0]))), c->out[0]);
}
static int changing(tl_scope *s, const tl_call *c)
{
    static int calls;
    return tl__copy_into(s, tl_add_scalar(s, c->in[0], 1e-6 * calls++), c->out[0]);
}
static int of_memory(tl_scope *s, const tl_call *c)
{
    return tl__buffer_copy(&s->err, c->in[0]->buffer, 0, c->out[0]->buffer, 0, (size_t)tl_numel(c->out[0]) * 4);
}
static int fails(tl_scope *s, const tl_call *c) { return tl__op_fail(&s->err, c, TL_EDEVICE, "the driver gave up"); }
static void wrong_slope(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    gx[0] = tl_mul_scalar(s, tl_mul(s, gy[0], c->in[0]), 2.05);
}
static void right_slope(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    gx[0] = tl_mul_scalar(s, tl_mul(s, gy[0], c->in[0]), 2);
}

static tl__check_family checked(tl_device *d, const tl_op *op, int *lost)
{
    tl__check_family f = {.name = "test"};
    tl__checker k = {.d = d, .until = INFINITY, .family = &f};
    tl__check_op(&k, op);
    if (lost) *lost = k.lost;
    return f;
}

Test(check, faults_are_found)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    const struct { tl_op op; const char *said;
    } cases[] = {
        {{.name = "own",
          .inputs = {"x"},
          .infer = tl__infer_like_first,
          .forward = square,
          .vjp = wrong_slope,
          .saves = 1},
         "own, sample 1: the gradient of input 1 goes "},
        {{.name = "softmax", .inputs = {"x"}, .infer = tl__infer_like_first, .forward = softmax},
         "softmax, sample 1: differs from the reference by "},
        {{.name = "exp", .inputs = {"x"}, .infer = tl__infer_like_first, .forward = not_a_number},
         "exp, sample 1: differs from the reference by inf"},
        {{.name = "own", .inputs = {"x"}, .infer = tl__infer_like_first, .forward = changing}, "gives other bits"},
        {{.name = "own", .inputs = {"x"}, .layout = {TL_ANY}, .infer = tl__infer_like_first, .forward = of_memory},
         "laid out the other way round give another result"},
        {{.name = "own", .inputs = {"x"}, .infer = tl__infer_like_first, .forward = fails},
         "own: own: the driver gave up"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int lost;
        tl__check_family f = checked(d, &cases[i].op, &lost);
        cr_expect_gt(f.failures, 0, "fault %zu is not found", i);
        cr_expect(strstr(f.first, cases[i].said), "fault %zu: \"%s\" does not say \"%s\"", i, f.first, cases[i].said);
        cr_expect_eq(lost, cases[i].op.forward == fails);
        if (lost) cr_expect_eq(f.checks, 1, "it went on with a driver that had failed");
    }
    const tl_op good = {.name = "square",
                        .inputs = {"x"},
                        .infer = tl__infer_like_first,
                        .forward = square,
                        .vjp = right_slope,
                        .saves = 1};
    tl__check_family f = checked(d, &good, NULL);
    cr_expect_eq(f.failures, 0, "%s", f.first);
    cr_expect_gt(f.checks, 10);
    tl_device_release(d);
}

/* A sample with a new attribute wants it in the reference too: else every device fails `tlua check`. */
Test(check, networks_agree_with_their_references)
{
    static const char *const names[] = {"attention", "batch_norm", "group_norm", "embedding", "linear", "cross_entropy"};
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int at = 0;
        while (tl__ops()[at] && strcmp(tl__ops()[at]->name, names[i]) != 0) at++;
        cr_assert(tl__ops()[at], "there is no operator %s", names[i]);
        tl__check_family f = checked(d, tl__ops()[at], NULL);
        cr_expect_eq(f.failures, 0, "%s", f.first);
        cr_expect_gt(f.compared, 0, "%s has no reference", names[i]);
    }
    tl_device_release(d);
}

/* ---- which devices are known ---- */

Test(check, kinds_of_device)
{
    static const struct { tl_traits t; const char *kind;
    } cases[] = {
        {{.is_cpu = 1, .platform = "Portable Computing Language", .name = "cpu-haswell"}, "PoCL on a processor"},
        {{.is_cpu = 0, .platform = "Portable Computing Language", .name = "NVIDIA A100"}, NULL},
        {{.is_cpu = 1, .platform = "Intel(R) OpenCL", .name = "Intel(R) Xeon(R)"}, "Intel's runtime for processors"},
        {{.is_cpu = 0, .platform = "Intel(R) OpenCL Graphics", .name = "Intel(R) Arc(TM) A770"}, NULL},
        {{.is_cpu = 0, .platform = "rusticl", .name = "llvmpipe (LLVM 15.0.6, 256 bits)"},
         "Mesa's rusticl with llvmpipe"},
        {{.is_cpu = 0, .platform = "rusticl", .name = "AMD Radeon RX 6800 (radeonsi)"}, NULL},
        {{.is_cpu = 0, .platform = "NVIDIA CUDA", .name = "NVIDIA H200"}, NULL},
        {{.is_cpu = 0, .platform = "AMD Accelerated Parallel Processing", .name = "gfx1030"}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *kind = tl__device_tested(&cases[i].t);
        cr_expect((kind == NULL) == (cases[i].kind == NULL) && (!kind || strcmp(kind, cases[i].kind) == 0), "%s: %s",
                  cases[i].t.name, kind ? kind : "never tested");
    }
}
