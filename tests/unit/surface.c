/* surface.c - distances between surfaces against all pairs of elements, every allocation made to fail, and the time of
 * a large volume. What MONAI gives is in tests/lua/surface.lua. */
#include "task/surface.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { A = 7, B = 9, C = 8, N = A * B * C };

static int is_surface(const int32_t *m, int z, int y, int x)
{
    int at = (z * B + y) * C + x;
    if (!m[at]) return 0;
    return z == 0 || y == 0 || x == 0 || z == A - 1 || y == B - 1 || x == C - 1 || !m[at - B * C] || !m[at + B * C] ||
           !m[at - C] || !m[at + C] || !m[at - 1] || !m[at + 1];
}

static double longest(const int32_t *from, const int32_t *to, const double *sp)
{
    double most = 0;
    for (int i = 0; i < N; i++) {
        double least = INFINITY;
        int z = i / (B * C), y = i / C % B, x = i % C;
        if (!is_surface(from, z, y, x)) continue;
        for (int j = 0; j < N; j++) {
            int w = j / (B * C), v = j / C % B, u = j % C;
            if (!is_surface(to, w, v, u)) continue;
            double d = hypot(hypot((z - w) * sp[0], (y - v) * sp[1]), (x - u) * sp[2]);
            if (d < least) least = d;
        }
        if (least > most) most = least;
    }
    return most;
}

static void fill(int32_t *m, uint64_t of, float share)
{
    for (int i = 0; i < N; i++) m[i] = tl__rng_uniform(tl__rng_key(3, TL_RNG_UNIFORM, of), (uint64_t)i) < share;
}

Test(surface, all_pairs)
{
    static const double spacings[][3] = {{1, 1, 1}, {5, 0.5, 0.7}, {1e-6, 1, 1e6}};
    const int64_t dim[] = {A, B, C};
    tl_shape shape = tl__shape(3, dim);
    int32_t a[N], b[N];
    for (uint64_t k = 0; k < 30; k++) {
        const double *sp = spacings[k % 3];
        tl_error err = {0};
        tl_surface s;
        fill(a, 2 * k, k % 2 ? 0.02f : 0.7f);
        fill(b, 2 * k + 1, k % 5 ? 0.02f : 0.9f);
        a[k] = b[N - 1 - k] = 1;
        cr_assert_eq(tl__surface(&err, a, b, NULL, 1, &shape, sp, &s), 0, "%s", err.text);
        double want = fmax(longest(a, b, sp), longest(b, a, sp));
        cr_assert_float_eq(s.hausdorff, want, 2e-7 * want, "%llu: %.9g, not %.9g", (unsigned long long)k, s.hausdorff,
                           want);
        cr_assert(s.hausdorff_95 <= s.hausdorff && s.mean <= s.hausdorff);
    }
}

Test(surface, allocation_failures)
{
    const int64_t dim[] = {A, B, C};
    tl_shape shape = tl__shape(3, dim);
    const double spacing[] = {1, 1, 1};
    int32_t a[N], b[N];
    long failed = 0;
    fill(a, 1, 0.3f);
    fill(b, 2, 0.3f);
    for (long nth = 1, done = 0; !done; nth++) {
        tl_error err = {0};
        tl_surface s;
        tl__inject_failure(nth);
        int bad = tl__surface(&err, a, b, NULL, 1, &shape, spacing, &s) != 0;
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(!bad, done, "allocation %ld: %s", nth, err.text);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "%s", err.text);
        failed += !done;
    }
    cr_assert(failed >= 10, "%ld allocations were made to fail", failed);
}

/* Two balls that fill 256 x 256 x 256: the distance of their surfaces is known. */
Test(surface, large)
{
    enum { SIDE = 256 };
    const int64_t dim[] = {SIDE, SIDE, SIDE};
    tl_shape shape = tl__shape(3, dim);
    const double spacing[] = {1, 1, 1};
    int32_t *a = calloc((size_t)SIDE * SIDE * SIDE, sizeof *a), *b = calloc((size_t)SIDE * SIDE * SIDE, sizeof *b);
    tl_error err = {0};
    tl_surface s;
    cr_assert(a && b);
    for (int i = 0; i < SIDE * SIDE * SIDE; i++) {
        double z = i / (SIDE * SIDE) - 127.5, y = i / SIDE % SIDE - 127.5, x = i % SIDE - 127.5;
        a[i] = z * z + y * y + x * x <= 128 * 128;
        b[i] = z * z + y * y + x * x <= 100 * 100;
    }
    clock_t begin = clock();
    cr_assert_eq(tl__surface(&err, a, b, NULL, 1, &shape, spacing, &s), 0, "%s", err.text);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    fprintf(stderr, "surface: 256^3 in %.2f s of one core\n", seconds);
    cr_assert(s.hausdorff > 27 && s.hausdorff < 29.5, "%g", s.hausdorff);
    cr_assert(s.mean > 27 && s.mean < 29, "%g", s.mean);
    free(a);
    free(b);
}
