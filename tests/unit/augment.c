/* augment.c - what random steps do is torchvision's to the byte; what they draw is spread as it should be, and depends on
 * seed, epoch and index alone. */
#include "draw/sheet.h"
#include "data_files.h"

#include <math.h>

static tl_draw_key who(uint64_t index) { return (tl_draw_key){3, 1, index}; }

Test(augment, as_torchvision)
{
    size_t bytes;
    char *list = golden_load("augment.txt", &bytes), *rest = list, *line, name[64], path[128];
    char *golden = golden_load("augment.bin", &bytes);
    int cases = 0, hwc[3], at;
    long offset = 0;
    tl_scratch scratch = {0};
    tl_image image = {0};
    tl_draw_key first = who(0);
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_error err = {0};
        cr_assert_eq(sscanf(line, "%63s %d %d %d %n", name, &hwc[0], &hwc[1], &hwc[2], &at), 4);
        tl_pipeline *p = pipeline(line + at);
        snprintf(path, sizeof path, GOLDEN "%s", name);
        cr_assert_eq(tl__image_read(&err, path, 0, &image), 0);
        cr_assert_eq(tl__pipeline_run_bytes(&err, p, &scratch, &first, &image), 0, "%s", err.text);
        cr_assert(image.height == hwc[0] && image.width == hwc[1] && image.channels == hwc[2], "%s", line);
        int worst = 0;
        for (int i = 0; i < hwc[0] * hwc[1] * hwc[2]; i++) {
            int d = abs(image.data[i] - (uint8_t)golden[offset + i]);
            worst = d > worst ? d : worst;
        }
        cr_expect_eq(worst, 0, "%s: %d of 255", line, worst); /* the same bits, as elsewhere with Pillow */
        tl__pipeline_free(p);
        cases++;
    }
    cr_assert_eq(cases, 252);
    tl__image_free(&image);
    tl__scratch_free(&scratch);
    free(list);
    free(golden);
}

/* ---- draws ---- */

#define SIDE 41

/* A picture that shows what happens to it: all values 100, but for a square of 5 x 5 pixels above the middle. */
static tl_image target(int channels)
{
    tl_error err = {0};
    tl_image m = {0};
    cr_assert_eq(tl__image_reserve(&err, &m, SIDE, SIDE, channels), 0);
    memset(m.data, 100, (size_t)(SIDE * SIDE * channels));
    for (int y = 3; y < 8; y++)
        for (int x = 18; x < 23; x++) memset(m.data + (y * SIDE + x) * channels, 250, (size_t)channels);
    return m;
}

static tl_image changed(const tl_pipeline *p, uint64_t index, tl_image m)
{
    tl_error err = {0};
    tl_scratch scratch = {0};
    tl_draw_key key = who(index);
    cr_assert_eq(tl__pipeline_run_bytes(&err, p, &scratch, &key, &m), 0, "%s", err.text);
    tl__scratch_free(&scratch);
    return m;
}

/* The middle of the square, from the middle of the picture. */
static void find_square(const tl_image *m, double *x, double *y)
{
    double n = 0;
    *x = *y = 0;
    for (int i = 0; i < m->height; i++) {
        for (int k = 0; k < m->width; k++) {
            if (m->data[(i * m->width + k) * m->channels] < 200) continue;
            *x += k - m->width / 2;
            *y += i - m->height / 2;
            n++;
        }
    }
    *x /= n;
    *y /= n;
}

/* `n` numbers, known to within `slack`, are spread evenly between low and high: mean, variance and ends. */
static void expect_even(const char *what, const double *v, int n, double low, double high, double slack)
{
    double sum = 0, squares = 0, least = v[0], most = v[0], width = high - low;
    for (int i = 0; i < n; i++) {
        sum += v[i];
        least = fmin(least, v[i]);
        most = fmax(most, v[i]);
    }
    for (int i = 0; i < n; i++) squares += (v[i] - sum / n) * (v[i] - sum / n);
    /* four standard deviations of the mean; the variance is known to about 2 / sqrt(n) */
    cr_expect_lt(fabs(sum / n - (low + high) / 2), 4 * width / sqrt(12.0 * n), "%s: mean %g", what, sum / n);
    cr_expect_lt(fabs(squares / n / (width * width / 12) - 1), 4 / sqrt(n), "%s: variance %g, not %g", what, squares / n, width * width / 12);
    cr_expect(least >= low - slack && least < low + 0.01 * width + slack && most <= high + slack && most > high - 0.01 * width - slack, "%s: %g to %g", what, least, most);
}

#define DRAWS 2000

Test(augment, maps_are_drawn_evenly)
{
    static double angle[DRAWS], dx[DRAWS], dy[DRAWS], turned[DRAWS], size[DRAWS];
    tl_pipeline *rotate = pipeline("random_rotation(degrees=[-30, 60])"), *move = pipeline("random_affine(translate=[0.25, 0.07])"),
                *turn = pipeline("random_affine(degrees=[10, 40])"), *scale = pipeline("random_affine(scale=[0.5, 1.1])");
    for (int i = 0; i < DRAWS; i++) {
        double x, y;
        tl_image m = changed(rotate, (uint64_t)i, target(1));
        find_square(&m, &x, &y);
        angle[i] = atan2(-x, -y) * 57.29577951308232; /* counter-clockwise from upwards */
        tl__image_free(&m);
        m = changed(turn, (uint64_t)i, target(1));
        find_square(&m, &x, &y);
        turned[i] = atan2(x, -y) * 57.29577951308232;
        tl__image_free(&m);
        m = changed(move, (uint64_t)i, target(3));
        find_square(&m, &dx[i], &dy[i]);
        dy[i] += 15;
        tl__image_free(&m);
        m = changed(scale, (uint64_t)i, target(1));
        find_square(&m, &x, &y);
        size[i] = -y / 15;
        tl__image_free(&m);
    }
    expect_even("rotation", angle, DRAWS, -30, 60, 1);
    expect_even("affine rotation", turned, DRAWS, 10, 40, 1);
    expect_even("moved in x", dx, DRAWS, -10.25, 10.25, 0.25);
    expect_even("moved in y", dy, DRAWS, -2.87, 2.87, 0.15);
    expect_even("scale", size, DRAWS, 0.5, 1.1, 0.02);
    tl__pipeline_free(rotate);
    tl__pipeline_free(turn);
    tl__pipeline_free(move);
    tl__pipeline_free(scale);
}

Test(augment, factors_are_drawn_evenly)
{
    static double factor[DRAWS];
    tl_pipeline *jitter = pipeline("color_jitter(brightness=[0.5, 2])"), *grey = pipeline("random_grayscale(p=0.3)");
    int greys = 0;
    for (int i = 0; i < DRAWS; i++) {
        tl_image m = changed(jitter, (uint64_t)i, target(1));
        factor[i] = (m.data[0] + 0.5) / 100;
        tl__image_free(&m);
        m = target(3);
        m.data[0] = 7;
        m = changed(grey, (uint64_t)i, m);
        greys += m.data[0] != 7;
        tl__image_free(&m);
    }
    expect_even("brightness", factor, DRAWS, 0.5, 2, 0.006);
    cr_expect(greys > 520 && greys < 680, "%d of 2000 grey, 600 expected", greys);
    tl__pipeline_free(jitter);
    tl__pipeline_free(grey);
}

static tl_image colours(void)
{
    tl_error err = {0};
    tl_image m = {0};
    cr_assert_eq(tl__image_read(&err, GOLDEN "colour.png", 3, &m), 0);
    for (int i = 0; i < m.width * m.height * 3; i++) m.data[i] = (uint8_t)(20 + m.data[i] * 3 / 4); /* so that autocontrast has something to do */
    return m;
}

/* Which of `count` pipelines gives the same picture; -1: none. */
static int which(const tl_image *m, const tl_image *all, int count)
{
    size_t n = (size_t)m->width * (size_t)m->height * 3;
    for (int k = 0; k < count; k++)
        if (memcmp(m->data, all[k].data, n) == 0) return k;
    return -1;
}

Test(augment, colours_change_in_every_order)
{
    static const char *const part[] = {"color_jitter(brightness=[1.3, 1.3]);", "color_jitter(contrast=[0.6, 0.6]);", "color_jitter(saturation=[1.5, 1.5]);", "color_jitter(hue=[0.2, 0.2]);"};
    tl_image all[24];
    int count = 0, seen[24] = {0};
    for (int a = 0; a < 256; a++) {
        int order[4] = {a & 3, a >> 2 & 3, a >> 4 & 3, a >> 6}, used = 0;
        char text[256] = "";
        for (int i = 0; i < 4; i++) {
            used |= 1 << order[i];
            strcat(text, part[order[i]]);
        }
        if (used != 15) continue;
        tl_pipeline *p = pipeline(text);
        all[count] = changed(p, 0, colours());
        for (int k = 0; k < count; k++) cr_assert(which(&all[count], &all[k], 1) < 0, "two orders give one picture");
        count++;
        tl__pipeline_free(p);
    }
    cr_assert_eq(count, 24);
    tl_pipeline *p = pipeline("color_jitter(brightness=[1.3, 1.3], contrast=[0.6, 0.6], saturation=[1.5, 1.5], hue=[0.2, 0.2])");
    for (uint64_t i = 0; i < 2400; i++) {
        tl_image m = changed(p, i, colours());
        int k = which(&m, all, 24);
        cr_assert(k >= 0);
        seen[k]++;
        tl__image_free(&m);
    }
    for (int k = 0; k < 24; k++) {
        cr_expect(seen[k] > 60 && seen[k] < 140, "order %d: %d of 2400", k, seen[k]);
        tl__image_free(&all[k]);
    }
    tl__pipeline_free(p);
}

Test(augment, rand_augment_draws_every_operation)
{
    static const char *const names[] = {"identity", "posterize", "solarize", "autocontrast", "equalize", "shear_x", "shear_y", "translate_x", "translate_y",
                                        "rotate", "brightness", "color", "contrast", "sharpness"};
    tl_image all[23];
    int count = 0, seen[23] = {0};
    for (int i = 0; i < 14; i++) {
        for (int negative = 0; negative < (i < 5 ? 1 : 2); negative++) {
            char text[128];
            snprintf(text, sizeof text, "augment_operation(name=%s, magnitude=9, negative=%d)", names[i], negative);
            tl_pipeline *p = pipeline(text);
            all[count++] = changed(p, 0, colours());
            tl__pipeline_free(p);
        }
    }
    tl_pipeline *p = pipeline("rand_augment(operations=1)");
    for (uint64_t i = 0; i < 2800; i++) {
        tl_image m = changed(p, i, colours());
        int k = which(&m, all, 23);
        cr_assert(k >= 0);
        seen[k]++;
        tl__image_free(&m);
    }
    for (int k = 0; k < 23; k++) {
        int expected = k < 5 ? 200 : 100;
        cr_expect(abs(seen[k] - expected) < 4.5 * sqrt(expected), "operation %d: %d of 2800, %d expected", k, seen[k], expected);
        tl__image_free(&all[k]);
    }
    tl__pipeline_free(p);
    /* The second operation is drawn for itself, and works on what the first one left. */
    p = pipeline("rand_augment(operations=2)");
    tl_pipeline *one = pipeline("rand_augment(operations=1)");
    int same = 0;
    for (uint64_t i = 0; i < 140; i++) {
        tl_image a = changed(p, i, colours()), b = changed(one, i, colours());
        same += which(&a, &b, 1) == 0;
        tl__image_free(&a);
        tl__image_free(&b);
    }
    cr_expect(same > 2 && same < 35, "%d of 140: the second operation is the identity", same);
    tl__pipeline_free(p);
    tl__pipeline_free(one);
}

/* The rectangle of values that are not 0 in the first channel of (h, w, 3); 0 where there is none. */
static int find_hole(const float *x, int h, int w, int box[4])
{
    box[0] = h, box[1] = w, box[2] = box[3] = -1;
    for (int i = 0; i < h * w; i++) {
        if (x[3 * i] == 0) continue;
        int r = i / w, c = i % w;
        box[0] = r < box[0] ? r : box[0];
        box[1] = c < box[1] ? c : box[1];
        box[2] = r > box[2] ? r : box[2];
        box[3] = c > box[3] ? c : box[3];
    }
    return box[2] >= 0;
}

Test(augment, holes_have_their_share)
{
    static double share[DRAWS], top[DRAWS], left[DRAWS];
    tl_pipeline *p = pipeline("normalize(mean=0, std=1); random_erasing(p=0.25, scale=[0.1, 0.3], ratio=[0.5, 2], value=[1, 2, 3])");
    tl_error err = {0};
    tl_scratch scratch = {0};
    tl_image m = {0};
    int hwc[3] = {80, 60, 3}, n = 0, tried = 0;
    float *x = malloc(sizeof *x * 80 * 60 * 3);
    for (; n < DRAWS; tried++) {
        int b[4];
        tl_draw_key key = who((uint64_t)tried);
        cr_assert_eq(tl__image_reserve(&err, &m, 60, 80, 3), 0);
        memset(m.data, 0, 80 * 60 * 3);
        cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &key, &m, hwc, x), 0, "%s", err.text);
        if (!find_hole(x, 80, 60, b)) continue;
        int h = b[2] - b[0] + 1, w = b[3] - b[1] + 1;
        for (int r = 0; r < 80; r++)
            for (int c = 0; c < 60; c++)
                for (int k = 0; k < 3; k++)
                    cr_assert_eq(x[(r * 60 + c) * 3 + k], r >= b[0] && r <= b[2] && c >= b[1] && c <= b[3] ? (float)(k + 1) : 0);
        cr_assert((double)h / w > 0.46 && (double)h / w < 2.17, "%d x %d", h, w);
        share[n] = (double)h * w / 4800;
        top[n] = (double)b[0] / (80 - h);
        left[n++] = (double)b[1] / (60 - w);
    }
    expect_even("share of the area", share, n, 0.1, 0.3, 0.006);
    expect_even("top", top, n, 0, 1, 0);
    expect_even("left", left, n, 0, 1, 0);
    cr_expect(fabs(tried * 0.25 / n - 1) < 0.08, "%d of %d pictures, a quarter expected", n, tried);
    free(x);
    tl__image_free(&m);
    tl__scratch_free(&scratch);
    tl__pipeline_free(p);
}

Test(augment, noise_is_normal)
{
    tl_pipeline *p = pipeline("normalize(mean=0, std=1); random_erasing(p=1, scale=[0.5, 0.5], ratio=[1, 1], noise=1)");
    tl_error err = {0};
    tl_scratch scratch = {0};
    tl_image m = {0};
    tl_draw_key key = who(5);
    int hwc[3] = {100, 100, 3}, n = 0;
    float *x = malloc(sizeof *x * 30000);
    cr_assert_eq(tl__image_reserve(&err, &m, 100, 100, 3), 0);
    memset(m.data, 0, 30000);
    cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &key, &m, hwc, x), 0, "%s", err.text);
    double sum = 0, squares = 0;
    for (int i = 0; i < 30000; i++) {
        n += x[i] != 0;
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    cr_expect_eq(n, 71 * 71 * 3, "%d", n);
    cr_expect_lt(fabs(sum / n), 0.04);
    cr_expect_lt(fabs(squares / n - 1), 0.05);
    free(x);
    tl__image_free(&m);
    tl__scratch_free(&scratch);
    tl__pipeline_free(p);
}

Test(augment, errors_name_the_cause)
{
    tl_pipeline *p = pipeline("normalize(mean=0, std=1); random_erasing(value=[1, 2, 3])");
    tl_error err = {0};
    tl_scratch scratch = {0};
    tl_image m = {0};
    tl_draw_key key = who(0);
    float x[4];
    cr_assert_eq(tl__image_reserve(&err, &m, 2, 2, 1), 0);
    memset(m.data, 0, 4);
    cr_assert_neq(tl__pipeline_run(&err, p, &scratch, &key, &m, (int[]){2, 2, 1}, x), 0);
    cr_assert(strstr(err.text, "random_erasing: 3 values for a picture of 1 channel"), "%s", err.text);
    tl__image_free(&m);
    tl__scratch_free(&scratch);
    tl__pipeline_free(p);
}

/* ---- mixup and cutmix ---- */

Test(mix, as_torchvision)
{
    size_t bytes;
    char *list = golden_load("mix.txt", &bytes), *rest = list, *line;
    char *golden = golden_load("mix.bin", &bytes);
    int n, hwc[3], cases = 0;
    long offset = 0;
    while ((line = golden_line(&rest, &offset)) != NULL) {
        tl_mix m;
        cr_assert_eq(sscanf(line, "%d %d %d %d %d %lf %d %d %d %d", &m.kind, &n, &hwc[0], &hwc[1], &hwc[2], &m.share, &m.left, &m.top, &m.right, &m.bottom), 10);
        int count = n * hwc[0] * hwc[1] * hwc[2];
        float *x = malloc((size_t)count * sizeof *x);
        for (int i = 0; i < count; i++) x[i] = (float)(i * 37 % 101 - 50) / 16;
        tl__mix_pictures(&m, x, n, hwc);
        for (int i = 0; i < count; i++) {
            float g;
            memcpy(&g, golden + offset + (size_t)i * sizeof g, sizeof g);
            cr_assert_eq(x[i], g, "%s: number %d is %g, not %g", line, i, (double)x[i], (double)g);
        }
        free(x);
        cases++;
    }
    cr_assert_eq(cases, 24);
    free(list);
    free(golden);
}

/* Shares come from Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)), and both tails are alike. */
Test(mix, shares_are_beta)
{
    static const double alpha[] = {0.01, 0.2, 1, 4};
    for (size_t k = 0; k < 4; k++) {
        double sum = 0, squares = 0, a = alpha[k];
        int n = 20000, low = 0, high = 0;
        for (int i = 0; i < n; i++) {
            tl_mix m = tl__mix_draw(tl__rng_key(5, TL_RNG_MIX, (uint64_t)i), a, 0, 8, 8);
            cr_assert(m.kind == TL_MIX_UP && m.share >= 0 && m.share <= 1);
            sum += m.share;
            squares += (m.share - 0.5) * (m.share - 0.5);
            low += m.share < 0.1;
            high += m.share > 0.9;
        }
        double variance = 1 / (4 * (2 * a + 1));
        cr_expect_lt(fabs(sum / n - 0.5), 4 * sqrt(variance / n), "a = %g: mean %g", a, sum / n);
        cr_expect_lt(fabs(squares / n / variance - 1), 0.05, "a = %g: variance %g, not %g", a, squares / n, variance);
        cr_expect_lt(abs(low - high), 4 * sqrt(low + high + 1), "a = %g: %d and %d", a, low, high);
        if (a == 1) cr_expect(low > 1830 && low < 2170, "%d of 20000 below 0.1 for the even distribution", low);
    }
}

Test(mix, cuts_have_their_share)
{
    int ups = 0, n = 4000;
    double x = 0, y = 0, cut = 0;
    for (int i = 0; i < n; i++) {
        tl_mix m = tl__mix_draw(tl__rng_key(6, TL_RNG_MIX, (uint64_t)i), 0, 1, 600, 400);
        cr_assert(m.kind == TL_MIX_CUT && m.left >= 0 && m.right <= 400 && m.left <= m.right && m.top >= 0 && m.bottom <= 600 && m.top <= m.bottom);
        cr_assert_float_eq(m.share, 1 - (m.right - m.left) * (m.bottom - m.top) / 240000.0, 1e-12);
        cut += 1 - m.share;
        x += (m.left + m.right) / 2.0;
        y += (m.top + m.bottom) / 2.0;
        ups += tl__mix_draw(tl__rng_key(7, TL_RNG_MIX, (uint64_t)i), 0.2, 1, 60, 40).kind == TL_MIX_UP;
    }
    /* An interval of length r about any point of 0..1 has r - r^2 / 4 inside on the average; the mean of its square, over
     * r^2 even in 0..1, is 1/2 - 1/5 + 1/48. */
    cr_expect(fabs(cut / n - 0.3208) < 0.02, "mean part %g", cut / n);
    cr_expect(fabs(x / n - 200) < 8 && fabs(y / n - 300) < 12, "about %g, %g", x / n, y / n);
    cr_expect(ups > 1870 && ups < 2130, "%d of 4000 by mixup", ups);
    cr_expect_eq(tl__mix_draw(tl__rng_key(7, TL_RNG_MIX, 0), 0, 0, 60, 40).share, 1.0);
}

/* ---- pages ---- */

/* Counts black pixels of a page in a rectangle. */
static int black(const tl_sheet *s, int left, int top, int right, int bottom)
{
    int n = 0;
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) n += s->page.data[(y * s->page.width + x) * 3] == 0;
    return n;
}

Test(sheet, pictures_and_captions)
{
    tl_error err = {0};
    tl_sheet s = {0};
    tl_image m = {0};
    cr_assert_eq(tl__sheet_open(&err, &s, 5, 0, 40, 50, 2, 0), 0);
    cr_assert(s.columns == 3 && s.zoom == 3 && s.text == 1);
    cr_assert(s.page.width == 3 * 158 + 8 && s.page.height == 2 * (120 + 18 + 10) + 8);
    cr_assert_eq(tl__image_reserve(&err, &m, 50, 40, 3), 0);
    for (int i = 0; i < 2000; i++) memcpy(m.data + 3 * i, (uint8_t[]){1, (uint8_t)(i / 50), (uint8_t)(i % 50)}, 3);
    cr_assert_eq(tl__sheet_put(&err, &s, 4, &m, "l.\n-"), 0);
    for (int y = 0; y < 120; y++) {
        for (int x = 0; x < 150; x++) {
            const uint8_t *p = s.page.data + ((148 + 8 + y) * s.page.width + 158 + 8 + x) * 3;
            cr_assert(p[0] == 1 && p[1] == y / 3 && p[2] == x / 3);
        }
    }
    /* l has ten points and a dot four, a minus five; nothing else is written */
    int top = 148 + 8 + 120 + 2;
    cr_expect_eq(black(&s, 166, top, 171, top + 8), 2 + 5 + 3);
    cr_expect_eq(black(&s, 172, top, 177, top + 8), 4);
    cr_expect_eq(black(&s, 166, top + 9, 171, top + 17), 5);
    cr_expect_eq(black(&s, 0, 0, s.page.width, s.page.height), 19);
    /* 25 letters fit; of more the last two become dots. Other letters: tests/lua/letters.lua. */
    cr_assert_eq(tl__sheet_put(&err, &s, 0, &m, "-------------------------"), 0);
    cr_expect_eq(black(&s, 8, 130, 158, 138), 125);
    cr_assert_eq(tl__sheet_put(&err, &s, 1, &m, "--------------------------"), 0);
    cr_expect_eq(black(&s, 166, 130, 316, 138), 115 + 8);
    m.height = 41;
    cr_assert_neq(tl__sheet_put(&err, &s, 2, &m, ""), 0);
    m.height = 39; /* a smaller one leaves the rest of its place as it is */
    cr_assert_eq(tl__sheet_put(&err, &s, 3, &m, ""), 0);
    cr_expect(s.page.data[((148 + 8 + 116) * s.page.width + 8) * 3] == 1);
    cr_expect(s.page.data[((148 + 8 + 117) * s.page.width + 8) * 3] == 255);
    tl__image_free(&m);
    tl__sheet_free(&s);
    err = (tl_error){0};
    cr_assert_neq(tl__sheet_open(&err, &s, 0, 0, 4, 4, 1, 0), 0);
}

static int is_colour(const tl_sheet *s, int x, int y, const uint8_t colour[3])
{
    return memcmp(s->page.data + (y * s->page.width + x) * 3, colour, 3) == 0;
}

/* Frames lie within the edges of their boxes, and nothing is drawn beside the picture. */
Test(sheet, boxes)
{
    tl_error err = {0};
    tl_sheet s = {0};
    tl_image m = {0};
    uint8_t a[3], b[3];
    cr_assert_eq(tl__sheet_open(&err, &s, 2, 0, 200, 200, 1, 0), 0);
    cr_assert_eq(tl__image_reserve(&err, &m, 200, 200, 3), 0);
    memset(m.data, 255, 120000);
    cr_assert(tl__sheet_put(&err, &s, 0, &m, "") == 0 && tl__sheet_put(&err, &s, 1, &m, "") == 0);
    tl__box_colour(0, a);
    tl__box_colour(1, b);
    cr_assert_neq(memcmp(a, b, 3), 0);
    const tl_drawn_box box[] = {{{50, 60, 90, 80}, 0, "ab"}, {{-30, 150, 1e9, 300}, 1, NULL}};
    tl__sheet_boxes(&s, 1, box, 2);
    int left = 8 + 208, top = 8; /* of the second picture */
    for (int x = 50; x < 90; x++)
        cr_expect(is_colour(&s, left + x, top + 60, a) && is_colour(&s, left + x, top + 79, a), "column %d", x);
    for (int y = 60; y < 80; y++)
        cr_expect(is_colour(&s, left + 50, top + y, a) && is_colour(&s, left + 89, top + y, a), "row %d", y);
    const uint8_t white[3] = {255, 255, 255};
    cr_expect(is_colour(&s, left + 52, top + 62, white) && is_colour(&s, left + 87, top + 77, white));
    cr_expect(is_colour(&s, left + 90, top + 70, white) && is_colour(&s, left + 70, top + 80, white));
    /* the tag: ten rows above the box, thirteen columns, of which letters leave some */
    cr_expect(is_colour(&s, left + 50, top + 50, a) && is_colour(&s, left + 62, top + 59, a));
    cr_expect(is_colour(&s, left + 63, top + 59, white) && is_colour(&s, left + 50, top + 49, white));
    for (int x = 0; x < 200; x++) cr_expect(is_colour(&s, left + x, top + 150, b), "column %d", x);
    cr_expect(is_colour(&s, left - 1, top + 150, white) && is_colour(&s, left + 200, top + 150, white));
    cr_expect(is_colour(&s, left + 100, top + 199, white) && is_colour(&s, left + 100, top + 200, white));
    /* a tag that has no room above stands inside */
    tl__sheet_boxes(&s, 0, &(tl_drawn_box){{150, 3, 195, 90}, 0, "long name"}, 1);
    cr_expect(is_colour(&s, 8 + 150, 8 + 3, a) && is_colour(&s, 8 + 199, 8 + 12, a));
    cr_expect(is_colour(&s, 8 + 200, 8 + 12, white));
    tl__image_free(&m);
    tl__sheet_free(&s);
}
