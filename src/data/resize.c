/* resize.c - two separable passes, 8-bit between them, weights in fixed point with 22
 * fractional bits: the arithmetic of Pillow's Resample.c, so that the results are equal to the bit.
 * Each inner loop is written twice: plainly, and for AVX2, chosen at run time (neither gcc nor clang makes
 * anything good of the plain one at -O2). Both give the same bits, since everything is integer. The
 * vectors read and write up to 15 bytes past a row: that is the following row, written later, or the
 * slack behind the picture.
 * Deeper pictures are summed in double precision, as Pillow does with its modes I;16 and F. */
#include "data/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* a fused multiply-add would round the weights differently from Pillow's */
#endif

#define PRECISION_BITS 22
#define HALF (1 << (PRECISION_BITS - 1))

const char *const tl__filter_names[TL_FILTER_COUNT + 1] = {"nearest", "box", "bilinear", "bicubic", "lanczos", NULL};

/* ---- weights ---- */

static double box_filter(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

static double bilinear_filter(double x)
{
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double bicubic_filter(double x) /* Keys 1981 with a = -0.5 */
{
    const double a = -0.5;
    if (x < 0.0) x = -x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double sinc(double x)
{
    if (x == 0.0) return 1.0;
    x *= 3.14159265358979323846;
    return sin(x) / x;
}

static double lanczos_filter(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }

static const struct {
    double (*at)(double x);
    double support;
} filters[TL_FILTER_COUNT] = {{NULL, 0}, {box_filter, 0.5}, {bilinear_filter, 1.0}, {bicubic_filter, 2.0}, {lanczos_filter, 3.0}};

static void table_free(tl_resize_table *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
    free(t->exact);
    *t = (tl_resize_table){0};
}

void tl__resizer_free(tl_resizer *r)
{
    for (int i = 0; i < TL_RESIZE_TABLES; i++) table_free(&r->table[i]);
    tl__image_free(&r->between);
    *r = (tl_resizer){0};
}

static int32_t fixed(double w)
{
    return (int32_t)((w < 0 ? -0.5 : 0.5) + w * (1 << PRECISION_BITS));
}

/* One output's weights; `row` has room for t->taps values. */
static void table_row(tl_resize_table *t, int i, double scale, double support, double *row)
{
    double center = t->from + (i + 0.5) * scale, sum = 0.0, inverse = 1.0 / (scale < 1.0 ? 1.0 : scale);
    int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
    if (first < 0) first = 0;
    if (end > t->in) end = t->in;
    int n = end - first;
    for (int k = 0; k < n; k++) {
        row[k] = filters[t->filter].at((k + first - center + 0.5) * inverse);
        sum += row[k];
    }
    for (int k = 0; k < n; k++) {
        size_t at = (size_t)i * (size_t)t->stride + (size_t)k;
        double w = sum != 0.0 ? row[k] / sum : row[k];
        if (t->deep) t->exact[at] = w;
        else t->weight[at] = fixed(w);
    }
    t->first[i] = first;
    t->count[i] = n;
}

static int table_fill(tl_error *err, tl_resize_table *t)
{
    double scale = (double)(t->to - t->from) / t->out, support = filters[t->filter].support * (scale < 1.0 ? 1.0 : scale);
    t->taps = (int)ceil(support) * 2 + 1;
    t->stride = (t->taps + 7) / 8 * 8; /* a multiple of a vector, the rest zero */
    t->first = tl__malloc(err, (size_t)t->out * sizeof *t->first);
    t->count = t->first ? tl__malloc(err, (size_t)t->out * sizeof *t->count) : NULL;
    size_t weights = (size_t)t->out * (size_t)t->stride;
    if (t->count && t->deep) t->exact = tl__calloc(err, weights, sizeof *t->exact);
    if (t->count && !t->deep) t->weight = tl__calloc(err, weights, sizeof *t->weight);
    double *row = t->weight || t->exact ? tl__malloc(err, (size_t)t->taps * sizeof *row) : NULL;
    if (!row) {
        table_free(t);
        return -1;
    }
    for (int i = 0; i < t->out; i++) table_row(t, i, scale, support, row);
    free(row);
    return 0;
}

/* The table for this axis, from the cache or made in place of the one unused for longest. It stays valid
 * during the next TL_RESIZE_TABLES - 1 calls. */
static const tl_resize_table *table_get(tl_error *err, tl_resizer *r, int deep, int in, int out, int filter, float from, float to)
{
    tl_resize_table *oldest = &r->table[0];
    for (int i = 0; i < TL_RESIZE_TABLES; i++) {
        tl_resize_table *t = &r->table[i];
        if ((deep ? t->exact != NULL : t->weight != NULL) && t->in == in && t->out == out && t->filter == filter && t->from == from && t->to == to) {
            t->used = ++r->clock;
            return t;
        }
        if (t->used < oldest->used) oldest = t;
    }
    table_free(oldest);
    *oldest = (tl_resize_table){.deep = deep, .in = in, .out = out, .filter = filter, .from = from, .to = to, .used = ++r->clock};
    return table_fill(err, oldest) == 0 ? oldest : NULL;
}

/* ---- passes ---- */

static uint8_t clip(int32_t sum)
{
    int32_t x = sum >> PRECISION_BITS;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

static void horizontal_plain(const tl_resize_table *t, const uint8_t *in, int channels, uint8_t *out)
{
    for (int i = 0; i < t->out; i++) {
        const int32_t *w = t->weight + (size_t)i * (size_t)t->stride;
        const uint8_t *p = in + channels * t->first[i];
        for (int c = 0; c < channels; c++) {
            int32_t sum = HALF;
            for (int k = 0; k < t->count[i]; k++) sum += p[k * channels + c] * w[k];
            *out++ = clip(sum);
        }
    }
}

static void vertical_plain(const uint8_t *in, size_t stride, const int32_t *w, int n, size_t bytes, uint8_t *out)
{
    for (size_t j = 0; j < bytes; j++) {
        int32_t sum = HALF;
        for (int k = 0; k < n; k++) sum += in[(size_t)k * stride + j] * w[k];
        out[j] = clip(sum);
    }
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2"))) static

/* 8 sums, clipped, as 8 bytes in the low half. */
AVX2 inline __m128i clip8(__m256i sum)
{
    __m256i x = _mm256_srai_epi32(sum, PRECISION_BITS);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return _mm_packus_epi16(words, words);
}

/* Two pixels at a time: lanes 0-2 and 4-6 hold their channels, and the halves are added in the end. The
 * table is padded with zero weights, so an odd count needs no care. */
AVX2 void horizontal_colour_avx2(const tl_resize_table *t, const uint8_t *in, uint8_t *out)
{
    const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    const __m256i pairs = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    for (int i = 0; i < t->out; i++, out += 3) {
        const int32_t *w = t->weight + (size_t)i * (size_t)t->stride;
        const uint8_t *p = in + 3 * t->first[i];
        __m256i sum = _mm256_setr_epi32(HALF, HALF, HALF, HALF, 0, 0, 0, 0);
        for (int k = 0; k < t->count[i]; k += 2, p += 6) {
            __m256i pixels = _mm256_cvtepu8_epi32(_mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)(const void *)p), spread));
            __m128i two = _mm_loadl_epi64((const __m128i *)(const void *)(w + k));
            sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(pixels, _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(two), pairs)));
        }
        __m256i both = _mm256_add_epi32(sum, _mm256_permute2x128_si256(sum, sum, 1));
        int32_t pixel = _mm_cvtsi128_si32(clip8(both));
        memcpy(out, &pixel, 4);
    }
}

AVX2 void horizontal_grey_avx2(const tl_resize_table *t, const uint8_t *in, uint8_t *out)
{
    for (int i = 0; i < t->out; i++) {
        const int32_t *w = t->weight + (size_t)i * (size_t)t->stride;
        const uint8_t *p = in + t->first[i];
        int32_t sum = HALF;
        int n = t->count[i];
        if (n < 6) {
            for (int k = 0; k < n; k++) sum += p[k] * w[k];
        } else {
            __m256i sums = _mm256_setzero_si256();
            for (int k = 0; k < n; k += 8) {
                __m256i pixels = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + k)));
                sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(pixels, _mm256_loadu_si256((const __m256i *)(const void *)(w + k))));
            }
            __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
            four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
            sum += _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
        }
        out[i] = clip(sum);
    }
}

AVX2 void horizontal_avx2(const tl_resize_table *t, const uint8_t *in, int channels, uint8_t *out)
{
    if (channels == 3)
        horizontal_colour_avx2(t, in, out);
    else
        horizontal_grey_avx2(t, in, out);
}

AVX2 void vertical_avx2(const uint8_t *in, size_t stride, const int32_t *w, int n, size_t bytes, uint8_t *out)
{
    for (size_t j = 0; j < bytes; j += 16) {
        __m256i left = _mm256_set1_epi32(HALF), right = left;
        const uint8_t *p = in + j;
        for (int k = 0; k < n; k++, p += stride) {
            __m128i sixteen = _mm_loadu_si128((const __m128i *)(const void *)p);
            __m256i weight = _mm256_set1_epi32(w[k]);
            left = _mm256_add_epi32(left, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(sixteen), weight));
            right = _mm256_add_epi32(right, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(sixteen, 8)), weight));
        }
        _mm_storeu_si128((__m128i *)(void *)(out + j), _mm_unpacklo_epi64(clip8(left), clip8(right)));
    }
}
#define HAS_AVX2 (!tl__resize_plain && __builtin_cpu_supports("avx2"))
#else
#define horizontal_avx2 horizontal_plain
#define vertical_avx2 vertical_plain
#define HAS_AVX2 0
#endif

_Atomic int tl__resize_plain;

/* ---- passes over deeper pictures ---- */

static double sample_at(tl_depth depth, const uint8_t *p, size_t i)
{
    union { const uint8_t *bytes; const uint16_t *words; const float *floats; } u = {p};
    return depth == TL_DEPTH_16 ? (double)u.words[i] : (double)u.floats[i];
}

static void put_sample(tl_depth depth, uint8_t *p, size_t i, double v)
{
    union { uint8_t *bytes; uint16_t *words; float *floats; } u = {p};
    double whole = floor(v + 0.5);
    if (depth == TL_DEPTH_FLOAT) u.floats[i] = (float)v;
    else u.words[i] = (uint16_t)(whole < 0 ? 0 : whole > 65535 ? 65535 : whole);
}

static void horizontal_deep(const tl_resize_table *t, const tl_view *in, const uint8_t *row, uint8_t *out)
{
    size_t channels = (size_t)in->channels;
    for (int i = 0; i < t->out; i++) {
        const double *w = t->exact + (size_t)i * (size_t)t->stride;
        size_t from = channels * (size_t)t->first[i];
        for (size_t c = 0; c < channels; c++) {
            double sum = 0;
            for (int k = 0; k < t->count[i]; k++) sum += sample_at(in->depth, row, from + (size_t)k * channels + c) * w[k];
            put_sample(in->depth, out, (size_t)i * channels + c, sum);
        }
    }
}

static void vertical_deep(const tl_view *in, const uint8_t *rows, const double *w, int n, size_t samples, uint8_t *out)
{
    for (size_t j = 0; j < samples; j++) {
        double sum = 0;
        for (int k = 0; k < n; k++) sum += sample_at(in->depth, rows + (size_t)k * in->stride, j) * w[k];
        put_sample(in->depth, out, j, sum);
    }
}

static void horizontal_pass_deep(const tl_resize_table *t, const tl_view *in, int first_row, tl_image *out)
{
    size_t row = (size_t)out->width * tl__image_pixel(out);
    for (int y = 0; y < out->height; y++) horizontal_deep(t, in, in->data + (size_t)(y + first_row) * in->stride, out->data + (size_t)y * row);
}

static void vertical_pass_deep(const tl_resize_table *t, const tl_view *in, int first_row, tl_image *out)
{
    size_t row = (size_t)out->width * tl__image_pixel(out), samples = (size_t)out->width * (size_t)out->channels;
    for (int y = 0; y < out->height; y++)
        vertical_deep(in, in->data + (size_t)(t->first[y] - first_row) * in->stride, t->exact + (size_t)y * (size_t)t->stride, t->count[y], samples,
                      out->data + (size_t)y * row);
}

static void horizontal_pass(const tl_resize_table *t, const tl_view *in, int first_row, tl_image *out)
{
    size_t row = (size_t)out->width * (size_t)out->channels;
    int wide = HAS_AVX2 && (in->channels == 1 || in->channels == 3);
    if (t->deep) {
        horizontal_pass_deep(t, in, first_row, out);
        return;
    }
    for (int y = 0; y < out->height; y++)
        (wide ? horizontal_avx2 : horizontal_plain)(t, in->data + (size_t)(y + first_row) * in->stride, in->channels, out->data + (size_t)y * row);
}

static void vertical_pass(const tl_resize_table *t, const tl_view *in, int first_row, tl_image *out)
{
    size_t row = (size_t)out->width * (size_t)out->channels;
    int wide = HAS_AVX2;
    if (t->deep) {
        vertical_pass_deep(t, in, first_row, out);
        return;
    }
    for (int y = 0; y < out->height; y++)
        (wide ? vertical_avx2 : vertical_plain)(in->data + (size_t)(t->first[y] - first_row) * in->stride, in->stride,
                                                t->weight + (size_t)y * (size_t)t->stride, t->count[y], row, out->data + (size_t)y * row);
}

/* ---- the whole ---- */

tl_view tl__image_view(const tl_image *image) { return tl__image_crop(image, 0, 0, image->width, image->height); }

tl_view tl__image_crop(const tl_image *image, int x, int y, int width, int height)
{
    size_t pixel = tl__image_pixel(image), stride = (size_t)image->width * pixel;
    return (tl_view){width, height, image->channels, stride, image->data + (size_t)y * stride + (size_t)x * pixel, image->depth};
}

static void copy_rows(const tl_view *in, tl_image *out)
{
    size_t row = (size_t)in->width * tl__image_pixel(out);
    for (int y = 0; y < in->height; y++) memcpy(out->data + (size_t)y * row, in->data + (size_t)y * in->stride, row);
}

/* Pillow steps through the source by repeated addition, and so does this, to land on the same pixels. */
static void nearest(const tl_view *in, const float box[4], tl_image *out)
{
    double step_x = (double)(box[2] - box[0]) / out->width, step_y = (double)(box[3] - box[1]) / out->height;
    double at_y = box[1] + step_y * 0.5;
    size_t c = tl__image_pixel(out);
    uint8_t *to = out->data;
    for (int y = 0; y < out->height; y++, at_y += step_y) {
        double at_x = box[0] + step_x * 0.5;
        const uint8_t *row = in->data + (size_t)(at_y < in->height ? (int)at_y : in->height - 1) * in->stride;
        for (int x = 0; x < out->width; x++, at_x += step_x, to += c)
            memcpy(to, row + (size_t)(at_x < in->width ? (int)at_x : in->width - 1) * c, c);
    }
}

/* Which pass comes first changes the rounding between them, and clipping with filters that overshoot.
 * Pillow 13 begins with the vertical one where the height loses more than twice what the width does
 * (earlier releases never did); the sizes are those of the picture, not of the box. */
static int vertical_first(const tl_resize_table *columns, const tl_resize_table *rows)
{
    return rows->in > rows->out && rows->in - rows->out > 2 * (columns->in - columns->out);
}

static int both_passes(tl_error *err, tl_resizer *r, const tl_view *in, const tl_resize_table *columns, const tl_resize_table *rows, tl_image *out)
{
    if (vertical_first(columns, rows)) {
        if (tl__image_reserve_deep(err, &r->between, in->width, out->height, in->channels, in->depth) != 0) return -1;
        vertical_pass(rows, in, 0, &r->between);
        tl_view middle = tl__image_view(&r->between);
        horizontal_pass(columns, &middle, 0, out);
        return 0;
    }
    /* Only the rows that the second pass reads. */
    int first = rows->first[0], end = rows->first[out->height - 1] + rows->count[out->height - 1];
    if (tl__image_reserve_deep(err, &r->between, out->width, end - first, in->channels, in->depth) != 0) return -1;
    horizontal_pass(columns, in, first, &r->between);
    tl_view middle = tl__image_view(&r->between);
    vertical_pass(rows, &middle, first, out);
    return 0;
}

static int filtered(tl_error *err, tl_resizer *r, const tl_view *in, const float box[4], tl_filter filter, tl_image *out)
{
    int horizontal = out->width != in->width || box[0] != 0 || box[2] != (float)out->width;
    int vertical = out->height != in->height || box[1] != 0 || box[3] != (float)out->height;
    const tl_resize_table *columns = NULL, *rows = NULL;
    int deep = in->depth != TL_DEPTH_8;
    if (horizontal && (columns = table_get(err, r, deep, in->width, out->width, filter, box[0], box[2])) == NULL) return -1;
    if (vertical && (rows = table_get(err, r, deep, in->height, out->height, filter, box[1], box[3])) == NULL) return -1;
    if (horizontal && vertical) return both_passes(err, r, in, columns, rows, out);
    if (horizontal)
        horizontal_pass(columns, in, 0, out);
    else if (vertical)
        vertical_pass(rows, in, 0, out);
    else
        copy_rows(in, out);
    return 0;
}

int tl__resize(tl_error *err, tl_resizer *r, const tl_view *in, const float box[4], tl_filter filter, int width, int height, tl_image *out)
{
    const float all[4] = {0, 0, (float)in->width, (float)in->height};
    if (!box) box = all;
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] > box[0] && box[3] > box[1] && box[2] <= (float)in->width && box[3] <= (float)in->height))
        return tl__fail(err, TL_EARG, "resize: the box (%g, %g, %g, %g) does not lie in a picture of %d x %d", (double)box[0], (double)box[1],
                        (double)box[2], (double)box[3], in->width, in->height);
    if (tl__image_reserve_deep(err, out, width, height, in->channels, in->depth) != 0) return -1;
    if (filter == TL_FILTER_NEAREST) {
        nearest(in, box, out);
        return 0;
    }
    return filtered(err, r, in, box, filter, out);
}
