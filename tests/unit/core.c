/* core.c - ownership, errors and the tape, before any operator matters: nothing leaks, nothing
 * crashes, whatever allocation fails. */
#include "plain_device.h"
#include "device/device.h"
#include "op/op.h"
#include "tensor/tensor.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tl_tensor *vector(tl_scope *s, int n, const float *x) { return tl_from(s, TL_F32, 1, (int64_t[]){n}, x); }

Test(core, expression_and_gradient)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *x = vector(s, 3, (float[]){1, 2, 3}), *w = vector(s, 3, (float[]){4, 5, 6});
    cr_assert_eq(tl_require_grad(s, w, 1), 0);
    tl_tensor *loss = tl_sum(s, tl_mul(s, tl_mul(s, x, w), w), NULL, 0, 0);
    cr_assert_eq(tl_item(s, loss), 16 + 50 + 108, "%s", tl_scope_error(s)->text);
    cr_assert_eq(tl_backward(s, loss, NULL, 0), 0, "%s", tl_scope_error(s)->text);
    float g[3];
    cr_assert_eq(tl_read(s, tl_grad(w), g, sizeof g), 0);
    cr_assert(g[0] == 8 && g[1] == 20 && g[2] == 36);
    cr_assert_null(tl_grad(x));
    /* A second use adds up. */
    tl_backward(s, tl_sum(s, w, NULL, 0, 0), NULL, 0);
    tl_read(s, tl_grad(w), g, sizeof g);
    cr_assert(g[0] == 9 && g[1] == 21 && g[2] == 37);
    tl_zero_grad(w);
    cr_assert_null(tl_grad(w));
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(core, errors_are_sticky_and_first)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *a = vector(s, 3, (float[]){1, 2, 3}), *b = vector(s, 2, (float[]){1, 2});
    tl_tensor *y = tl_exp(s, tl_mul(s, tl_add(s, a, b), tl_sub(s, a, a)));
    cr_assert_null(y);
    cr_assert_eq(tl_scope_error(s)->code, TL_ESHAPE);
    cr_assert_str_eq(tl_scope_error(s)->text, "add: (3) and (2) do not broadcast");
    cr_assert_null(tl_neg(s, a));
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(core, graph_rules)
{
    tl_device *d = open_device();
    float x[3] = {1, 2, 3};
    for (int what = 0; what < 5; what++) {
        tl_scope *s = tl_scope_open(d, NULL);
        tl_tensor *w = vector(s, 3, x);
        tl_require_grad(s, w, what != 3);
        tl_tensor *y = tl_mul(s, w, w), *loss = tl_sum(s, y, NULL, 0, 0);
        const char *want = NULL;
        if (what == 0) {
            tl_write(s, w, x, sizeof x);
            want = "changed in place";
        } else if (what == 1) {
            cr_assert_eq(tl_backward(s, loss, NULL, 0), 0);
            want = "earlier backward";
        } else if (what == 2) {
            cr_assert_eq(tl_backward(s, loss, NULL, 1), 0);
        } else if (what == 3) {
            want = "nothing that led";
        } else {
            loss = y;
            want = "must be one number";
        }
        int r = tl_backward(s, loss, NULL, 0);
        if (want) cr_assert(r != 0 && strstr(tl_scope_error(s)->text, want), "%d: %s", what, tl_scope_error(s)->text);
        else cr_assert_eq(r, 0);
        tl_scope_close(s);
        cr_assert_eq(live(d), 0);
    }
    tl_device_release(d);
}

Test(core, a_graph_outlives_its_scope_and_dies_with_its_last_tensor)
{
    tl_device *d = open_device();
    tl_scope *keep = tl_scope_open(d, NULL), *s = tl_scope_open(d, NULL);
    tl_tensor *w = vector(keep, 3, (float[]){1, 2, 3});
    tl_require_grad(keep, w, 1);
    tl_tensor *y = w;
    for (int i = 0; i < 20000; i++) y = tl_mul_scalar(s, y, 1.0);
    tl_tensor *loss = tl_sum(s, tl_exp(s, y), NULL, 0, 0);
    tl_tensor_retain(loss);
    tl_scope_close(s);
    cr_assert_eq(tl_backward(keep, loss, NULL, 0), 0);
    cr_assert_not_null(tl_grad(w));
    tl_tensor_release(loss);
    tl_scope_close(keep);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

/* Every kind of step: views, broadcasting, reductions, reading back, gradients that accumulate. */
static int whole_step(tl_device *d)
{
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    if (!s) return err.code;
    float host[24];
    for (int i = 0; i < 24; i++) host[i] = (float)i / 24;
    tl_tensor *x = tl_from(s, TL_F32, 3, (int64_t[]){2, 3, 4}, host), *w = tl_from(s, TL_F32, 2, (int64_t[]){3, 1}, host);
    tl_require_grad(s, w, 1);
    tl_tensor *y = tl_permute(s, tl_relu(s, tl_mul(s, x, w)), 3, (int[]){2, 0, 1});
    y = tl_add(s, tl_slice(s, y, 0, 1, 2), tl_exp(s, tl_slice(s, y, 0, 0, 2)));
    y = tl_mean(s, tl_square(s, tl_reshape(s, y, 2, (int64_t[]){-1, 3})), (int[]){1}, 1, 1);
    tl_tensor *loss = tl_sum(s, y, NULL, 0, 0);
    tl_backward(s, loss, NULL, 0);
    tl_tensor *g = loss && !tl_scope_failed(s) ? tl_grad(w) : NULL;
    if (g) tl_read(s, g, host, 12);
    int code = tl_scope_error(s)->code;
    tl_scope_close(s);
    return code;
}

Test(core, every_allocation_may_fail)
{
    tl_device *d = open_device();
    cr_assert_eq(whole_step(d), TL_OK);
    long n = 0, failures = 0;
    for (long nth = 1; nth < 5000; nth++) {
        tl_device_flush(d); /* so that device memory is asked for anew, and may fail too */
        tl__inject_failure(nth);
        int code = whole_step(d);
        n = tl__inject_failure(0);
        cr_assert_eq(live(d), 0, "allocation %ld left bytes on the device", nth);
        if (n < nth) break;
        cr_assert_eq(code, TL_EMEMORY, "allocation %ld failed, code %d", nth, code);
        failures++;
    }
    cr_assert_gt(failures, 100);
    cr_assert_eq(whole_step(d), TL_OK);
    tl_device_release(d);
}

Test(core, half_storage)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    uint16_t h[4], out[4];
    for (int i = 0; i < 4; i++) h[i] = tl__float_to_half(0.5f * (float)i - 0.7f);
    tl_tensor *x = tl_from(s, TL_F16, 1, (int64_t[]){4}, h), *y = tl_mul_scalar(s, x, 2);
    cr_assert_eq(tl_dtype_of(y), TL_F16);
    cr_assert_eq(tl_read(s, y, out, sizeof out), 0, "%s", tl_scope_error(s)->text);
    for (int i = 0; i < 4; i++) cr_assert_float_eq(tl__half_to_float(out[i]), 2 * tl__half_to_float(h[i]), 1e-6);
    tl_tensor *b = tl__cast(s, x, TL_BF16), *mixed = tl_add(s, b, tl_full(s, TL_F32, 0, NULL, 1));
    cr_assert_eq(tl_dtype_of(mixed), TL_F32);
    float f[4];
    tl_read(s, mixed, f, sizeof f);
    cr_assert_float_eq(f[3], tl__bf16_to_float(tl__float_to_bf16(tl__half_to_float(h[3]))) + 1, 1e-6);
    tl_scope_close(s);
    cr_assert_eq(live(d), 0);
    tl_device_release(d);
}

Test(core, half_conversions_match_every_value)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = tl__half_to_float((uint16_t)h);
        if (isnan(f)) cr_assert(isnan(tl__half_to_float(tl__float_to_half(f))));
        else cr_assert_eq(tl__float_to_half(f), h);
        f = tl__bf16_to_float((uint16_t)h);
        if (!isnan(f)) cr_assert_eq(tl__float_to_bf16(f), h);
    }
    cr_assert_eq(tl__float_to_half(65519.9f), 0x7bff);
    cr_assert_eq(tl__float_to_half(65520.0f), 0x7c00);
    cr_assert_eq(tl__float_to_half(2.9802322e-8f), 0); /* a tie goes to even: zero */
    cr_assert_eq(tl__float_to_half(2.9802326e-8f), 1);
}

Test(core, philox_is_the_published_one)
{
    /* Known answers of the Random123 distribution for philox4x32-10. */
    uint32_t out[4];
    tl__philox((tl_rng_key){0, 0}, 0, out);
    cr_assert(out[0] == 0x6627e8d5u && out[1] == 0xe169c58du && out[2] == 0xbc57ac4cu && out[3] == 0x9b00dbd8u);
    int64_t p[100], seen[100] = {0};
    tl__rng_permutation(tl__rng_key(7, TL_RNG_SHUFFLE, 1), 100, p);
    for (int i = 0; i < 100; i++) seen[p[i]]++;
    for (int i = 0; i < 100; i++) cr_assert_eq(seen[i], 1);
    double mean = 0, var = 0;
    for (int i = 0; i < 20000; i++) {
        double z = tl__rng_normal(tl__rng_key(1, TL_RNG_INIT, 3), (uint64_t)i);
        mean += z / 20000;
        var += z * z / 20000;
    }
    cr_assert(fabs(mean) < 0.03 && fabs(var - 1) < 0.05);
}

Test(core, a_folder_without_a_name_is_not_made)
{
    tl_error err = {0};
    cr_assert_neq(tl__make_folders(&err, ""), 0);
    cr_assert_eq(err.code, TL_EARG);
    cr_assert_eq(tl__make_folders(&err, "/"), 0);
}

static int cached_entries(const char *folder, char *last, size_t room)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
        if (strstr(e->d_name, ".bin")) {
            snprintf(last, room, "%s/%s", folder, e->d_name);
            n++;
        }
    if (dir) closedir(dir);
    return n;
}

Test(core, kernel_cache_is_used_and_a_damaged_entry_is_rebuilt)
{
    char folder[] = "/tmp/tlua-test-XXXXXX", sub[64], entry[400];
    cr_assert(mkdtemp(folder));
    setenv("TLUA_CACHE", folder, 1);
    setenv("TLUA_KERNEL_CACHE", "1", 1);
    snprintf(sub, sizeof sub, "%s/kernels", folder);
    for (int round = 0; round < 4; round++) {
        tl_device *d = open_device();
        cr_assert_eq(whole_step(d), TL_OK);
        int n = cached_entries(sub, entry, sizeof entry);
        cr_assert_gt(n, 0);
        if (round == 0) cr_assert(d->programs_built == n && d->programs_cached == 0);
        if (round == 1) cr_assert(d->programs_built == 0 && d->programs_cached == n);
        if (round == 2) cr_assert(d->programs_built == 1, "damage was not noticed");
        if (round == 3) cr_assert(d->programs_built == 1, "truncation was not noticed");
        tl_device_release(d);
        FILE *f = fopen(entry, "r+b");
        if (round == 1) {
            fseek(f, 500, SEEK_SET);
            int c = fgetc(f);
            fseek(f, 500, SEEK_SET);
            fputc(c ^ 1, f);
        } else if (round == 2) cr_assert_eq(ftruncate(fileno(f), 1000), 0);
        fclose(f);
    }
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

/* Dimensions of messages count from 0, as those of C do. */
Test(core, dimensions_count_from_zero)
{
    tl_device *d = open_device();
    tl_scope *s = tl_scope_open(d, NULL);
    tl_tensor *x = tl_from(s, TL_F32, 2, (int64_t[]){1, 3}, (float[]){1, 2, 3});
    cr_expect_null(tl_softmax(s, x, 2));
    cr_expect(strstr(tl_scope_error(s)->text, "there is no dimension 2 in a tensor of 2"), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    tl_device_release(d);
}

/* A folder that may not be made says so: a later stat, which finds nothing, must not take the place of the reason. */
Test(core, folders_keep_their_reason)
{
    if (geteuid() == 0) cr_assert_eq(seteuid(65534), 0);
    tl_error err = {0};
    cr_assert_neq(tl__make_folders(&err, "/tlua-may-not/x"), 0);
    cr_expect_str_eq(err.text, "cannot make folder /tlua-may-not: Permission denied");
}
