/* volume_steps.c - the table of steps of volumes, each with what it does. To add one, write a row: the loader, the
 * parser, the Lua interface and the errors follow from it. Statistics (of gamma, contrast) are each channel's own,
 * draws are the same for all channels, which are views of one volume. */
#include "data/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double at(const tl_transform *t, int param, int k)
{
    return t->value[param].at[k];
}

static int happens(tl_record *s, double p)
{
    return tl__sample_uniform(s, 0, 1) < p;
}

/* A number from a range that is numbers 2k and 2k + 1 of the parameter. */
static double drawn(tl_record *s, const tl_transform *t, int param, int k)
{
    return tl__sample_uniform(s, at(t, param, 2 * k), at(t, param, 2 * k + 1));
}

/* Pairs of a parameter called a range go upwards. */
static int ranges_check(tl_error *err, const tl_transform *t)
{
    for (int i = 0; t->row->param[i].name; i++)
        for (int k = 0; t->row->param[i].pairs && k < t->value[i].count / 2; k++)
            if (at(t, i, 2 * k) > at(t, i, 2 * k + 1))
                return tl__fail(err, TL_EARG, "%s: %s goes from %g to %g, which is backwards", t->row->name,
                                t->row->param[i].name, at(t, i, 2 * k), at(t, i, 2 * k + 1));
    return 0;
}

/* ---- the whole volume ---- */

static int64_t voxels_of(const tl_block *b)
{
    return b->size[0] * b->size[1] * b->size[2];
}

static int windows_check(tl_error *err, const tl_transform *t)
{
    if (t->value[0].count == t->value[1].count) return 0;
    return tl__fail(err, TL_EARG, "volume_windows: %d centres and %d widths", t->value[0].count, t->value[1].count);
}

/* A channel for each window. */
static int windows_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_block *b = s->block;
    int64_t n = voxels_of(b), channels = t->value[0].count;
    if (b->channels != 1)
        return tl__fail(err, TL_EFORMAT, "windows are of volumes with one channel, and it has %d", b->channels);
    if (channels == 1) {
        tl__window(b->data, n, at(t, 0, 0), at(t, 1, 0));
        return 0;
    }
    float *out = tl__malloc(err, (size_t)(n * channels) * sizeof *out),
          *one = tl__malloc(err, (size_t)n * sizeof *one);
    for (int64_t c = 0; out && one && c < channels; c++) {
        memcpy(one, b->data, (size_t)n * sizeof *one);
        tl__window(one, n, at(t, 0, (int)c), at(t, 1, (int)c));
        for (int64_t i = 0; i < n; i++) out[i * channels + c] = one[i];
    }
    int bad = !one || !out;
    free(one);
    if (bad) {
        free(out);
        return -1;
    }
    free(b->data);
    b->data = out;
    b->channels = (int)channels;
    return 0;
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The quantile of sorted values between its two neighbours, as NumPy's percentile gives it. */
static double quantile(const float *sorted, int64_t n, double percent)
{
    double x = percent / 100 * (double)(n - 1), low = floor(x);
    int64_t i = (int64_t)low, j = i + 1 < n ? i + 1 : i;
    return (double)sorted[i] + ((double)sorted[j] - (double)sorted[i]) * (x - low);
}

/* Values of channel `c`, to which `low` and `high` become 0 and 1, what lies outside cut off. */
static void to_unit(float *x, int64_t n, int step, double low, double high)
{
    for (int64_t i = 0; i < n; i++) {
        double y = high > low ? (x[i * step] - low) / (high - low) : 0;
        x[i * step] = (float)(y < 0 ? 0 : y > 1 ? 1 : y);
    }
}

static void to_range(float *x, int64_t n, int step)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, (double)x[i * step]);
        high = fmax(high, (double)x[i * step]);
    }
    to_unit(x, n, step, low, high);
}

static int to_quantiles(tl_error *err, float *x, int64_t n, int step, double low, double high)
{
    float *sorted = tl__malloc(err, (size_t)n * sizeof *sorted + 1);
    if (!sorted) return -1;
    for (int64_t i = 0; i < n; i++) sorted[i] = x[i * step];
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    double from = quantile(sorted, n, low), to = quantile(sorted, n, high);
    free(sorted);
    to_unit(x, n, step, from, to);
    return 0;
}

/* Mean 0 and deviation 1, of all values or of those that are not 0, which alone change then. Values that are all the
 * same become 0. */
static void to_zscore(float *x, int64_t n, int step, int nonzero)
{
    double sum = 0, square = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (!nonzero || x[i * step] != 0) sum += (double)x[i * step], count++;
    double mean = count ? sum / (double)count : 0;
    for (int64_t i = 0; i < n; i++)
        if (!nonzero || x[i * step] != 0) square += ((double)x[i * step] - mean) * ((double)x[i * step] - mean);
    double deviation = count ? sqrt(square / (double)count) : 0;
    if (!(deviation > 0)) deviation = 1;
    for (int64_t i = 0; i < n; i++)
        if (!nonzero || x[i * step] != 0) x[i * step] = (float)(((double)x[i * step] - mean) / deviation);
}

enum { ZSCORE, NONZERO, RANGE, QUANTILES };
static const char *const normalisations[] = {"zscore", "nonzero", "range", "quantiles", NULL};

static int normalise_check(tl_error *err, const tl_transform *t)
{
    if (at(t, 1, 0) < at(t, 2, 0)) return 0;
    return tl__fail(err, TL_EARG, "volume_normalise: quantiles from %g to %g %%, which is backwards", at(t, 1, 0),
                    at(t, 2, 0));
}

static int normalise_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_block *b = s->block;
    int64_t n = voxels_of(b);
    int how = (int)at(t, 0, 0);
    for (int c = 0; c < b->channels; c++) {
        float *x = b->data + c;
        if (how == RANGE) to_range(x, n, b->channels);
        else if (how != QUANTILES) to_zscore(x, n, b->channels, how == NONZERO);
        else if (to_quantiles(err, x, n, b->channels, at(t, 1, 0), at(t, 2, 0)) != 0) return -1;
    }
    return 0;
}

/* The middle, with zeros around it where the volume is smaller. */
static int fit_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_block *b = s->block, out = *b;
    tl_placing p;
    int64_t first[3], n = 1;
    for (int d = 0; d < 3; d++) {
        out.size[d] = (int64_t)at(t, 0, d);
        n *= out.size[d];
        int64_t room = b->size[d] - out.size[d];
        /* The middles of both lie together. */
        first[d] = room >= 0 ? b->size[d] / 2 - out.size[d] / 2 : -(-room / 2);
        for (int r = 0; r < 3; r++) out.affine[r][3] += (double)first[d] * b->affine[r][2 - d];
    }
    if (memcmp(out.size, b->size, sizeof out.size) == 0) return 0;
    out.data = tl__malloc(err, (size_t)(n * b->channels) * sizeof *out.data + 1);
    int32_t *mask = b->mask && out.data ? tl__malloc(err, (size_t)n * sizeof *mask + 1) : NULL;
    out.mask = b->mask && mask ? tl__malloc(err, (size_t)n + 1) : NULL;
    if (!out.data || (b->mask && !out.mask)) {
        free(out.data);
        free(mask);
        return -1;
    }
    tl__placing_start(&p, b);
    tl__placing_part(&p, first, out.size);
    tl__placing_take(&p, out.data, mask);
    for (int64_t i = 0; mask && i < n; i++) out.mask[i] = (uint8_t)mask[i];
    free(mask);
    tl__block_free(b);
    *b = out;
    return 0;
}

/* ---- which part ---- */

/* A voxel of a class that is not the background: of one of those that are there, drawn first, so that small ones
 * are met as often as large ones (as nnU-Net does). 0 where there is none. */
static int foreground(tl_record *s, int64_t middle[3])
{
    const tl_block *b = s->placing->block;
    int there[256], n = 0;
    for (int c = 1; c < TL_MASK_IGNORED; c++)
        if (b->of_class[c]) there[n++] = c;
    if (n == 0) return 0;
    int c = there[tl__sample_below(s, n)];
    tl__block_find(b, c, tl__sample_below(s, b->of_class[c]), middle);
    return 1;
}

/* Anywhere, or with the chance `foreground` around a voxel of a class, moved into the volume where it would reach
 * beyond. A volume that is smaller lies in the middle of the part. */
static int patch_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    const tl_block *b = s->placing->block;
    int64_t first[3], size[3], middle[3];
    int around = at(t, 1, 0) > 0 && happens(s, at(t, 1, 0)) && b->mask && foreground(s, middle);
    s->draw = (s->draw >> 32 << 32) + 8; /* where it lies does not hang on how much was drawn before */
    for (int d = 0; d < 3; d++) {
        size[d] = (int64_t)at(t, 0, d);
        int64_t room = b->size[d] - size[d];
        if (room < 0) first[d] = -(-room / 2);
        else if (!around) first[d] = tl__sample_below(s, room + 1);
        else {
            first[d] = middle[d] - size[d] / 2;
            first[d] = first[d] < 0 ? 0 : first[d] > room ? room : first[d];
        }
    }
    tl__placing_part(s->placing, first, size);
    return 0;
}

/* ---- where voxels come from ---- */

static const double nowhere[3] = {0, 0, 0};

static int flip_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    double m[3][3] = {{0}};
    for (int d = 0; d < 3; d++) m[d][d] = happens(s, at(t, 0, d)) ? -1 : 1;
    tl__placing_turn(s->placing, m, nowhere);
    return 0;
}

static void product(double a[3][3], double b[3][3])
{
    double out[3][3] = {{0}};
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < 3; k++) out[r][c] += a[r][k] * b[k][c];
    memcpy(b, out, sizeof out);
}

/* b becomes the turn about dimension `d` by so many degrees, times b. */
static void turn(int d, double degrees, double b[3][3])
{
    double r = degrees * 3.14159265358979323846 / 180, m[3][3] = {{0}};
    int i = (d + 1) % 3, j = (d + 2) % 3;
    m[d][d] = 1;
    m[i][i] = m[j][j] = cos(r);
    m[i][j] = -sin(r);
    m[j][i] = sin(r);
    product(m, b);
}

/* In millimetres: what lies at x from the middle comes from turn * shear * x / scale, turned about slices' direction
 * last, so that patients and not grids are turned; then moved by shares of the sides. */
static int affine_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    double m[3][3] = {{0}}, shear[3][3], mm[3], by[3];
    if (!happens(s, at(t, 4, 0))) return 0;
    tl__block_spacing(s->placing->block, mm);
    double degrees[3], scale = drawn(s, t, 1, 0);
    for (int d = 0; d < 3; d++) degrees[d] = drawn(s, t, 0, d);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) shear[r][c] = r == c ? 1 : tan(drawn(s, t, 2, 0) * 3.14159265358979323846 / 180);
    for (int d = 0; d < 3; d++) {
        m[d][d] = 1 / scale;
        by[d] = drawn(s, t, 3, 0) * (double)s->placing->size[d];
    }
    product(shear, m);
    for (int d = 2; d >= 0; d--) turn(d, degrees[d], m);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) m[r][c] *= mm[c] > 0 && mm[r] > 0 ? mm[c] / mm[r] : 1;
    tl__placing_turn(s->placing, m, by);
    return 0;
}

/* Knots moved by up to so many millimetres along each dimension, but for those at the rim, so that the sample's
 * edges stay about where they are. */
static int elastic_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    tl_placing *p = s->placing;
    double mm[3];
    if (!happens(s, at(t, 2, 0))) return 0;
    tl__block_spacing(p->block, mm);
    for (int d = 0; d < 3; d++) p->knots[d] = (int64_t)at(t, 0, t->value[0].count == 1 ? 0 : d);
    int64_t n = p->knots[0] * p->knots[1] * p->knots[2];
    free(p->knot);
    p->knot = tl__calloc(err, (size_t)n * 3, sizeof *p->knot);
    for (int64_t i = 0; p->knot && i < n; i++) {
        int64_t k[3] = {i / p->knots[2] / p->knots[1], i / p->knots[2] % p->knots[1], i % p->knots[2]};
        int rim = 0;
        for (int d = 0; d < 3; d++) rim |= k[d] < 2 || k[d] > p->knots[d] - 3;
        for (int d = 0; d < 3; d++) {
            double by = tl__sample_uniform(s, -1, 1) * at(t, 1, t->value[1].count == 1 ? 0 : d);
            if (!rim) p->knot[3 * i + d] = (float)(by / (mm[d] > 0 ? mm[d] : 1));
        }
    }
    return p->knot ? 0 : -1;
}

/* ---- values ---- */

/* Least, most and mean of a channel. */
static void extremes(const tl_record *s, int channel, double *least, double *most, double *mean)
{
    double sum = 0;
    *least = INFINITY, *most = -INFINITY;
    for (int64_t i = 0; i < s->voxels; i++) {
        double x = s->values[i * s->channels + channel];
        *least = fmin(*least, x);
        *most = fmax(*most, x);
        sum += x;
    }
    *mean = sum / (double)s->voxels;
}

/* ((x - least) / (most - least)) ^ gamma over the same range. */
static int gamma_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (!happens(s, at(t, 1, 0))) return 0;
    double gamma = drawn(s, t, 0, 0), least, most, mean;
    for (int c = 0; c < s->channels; c++) {
        extremes(s, c, &least, &most, &mean);
        for (int64_t i = 0; most > least && i < s->voxels; i++) {
            float *x = &s->values[i * s->channels + c];
            *x = (float)(pow(((double)*x - least) / (most - least), gamma) * (most - least) + least);
        }
    }
    return 0;
}

/* Away from the mean by a factor, within what there was. */
static int contrast_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (!happens(s, at(t, 1, 0))) return 0;
    double factor = drawn(s, t, 0, 0), least, most, mean;
    for (int c = 0; c < s->channels; c++) {
        extremes(s, c, &least, &most, &mean);
        for (int64_t i = 0; i < s->voxels; i++) {
            float *x = &s->values[i * s->channels + c];
            *x = (float)fmin(most, fmax(least, ((double)*x - mean) * factor + mean));
        }
    }
    return 0;
}

static int brightness_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (!happens(s, at(t, 1, 0))) return 0;
    float factor = (float)drawn(s, t, 0, 0);
    for (int64_t i = 0; i < s->voxels * s->channels; i++) s->values[i] *= factor;
    return 0;
}

static int noise_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    (void)err;
    if (!happens(s, at(t, 1, 0))) return 0;
    float deviation = (float)drawn(s, t, 0, 0);
    for (int64_t i = 0; i < s->voxels * s->channels; i++)
        s->values[i] += deviation * tl__rng_normal(s->key, s->draw + (uint64_t)i);
    return 0;
}

#define MOST_REACH 64

/* One dimension of a Gaussian filter, along `n` values `step` apart, mirrored at its ends (d c b a | a b c d | d c
 * b a). */
static void smooth_line(float *x, int64_t n, int64_t step, const double *weight, int reach, float *line)
{
    for (int64_t i = 0; i < n; i++) line[i] = x[i * step];
    for (int64_t i = 0; i < n; i++) {
        double sum = weight[0] * (double)line[i];
        for (int k = 1; k <= reach; k++) {
            int64_t a = i - k, b = i + k;
            while (a < 0 || a >= n) a = a < 0 ? -a - 1 : 2 * n - 1 - a;
            while (b < 0 || b >= n) b = b < 0 ? -b - 1 : 2 * n - 1 - b;
            sum += weight[k] * ((double)line[a] + (double)line[b]);
        }
        x[i * step] = (float)sum;
    }
}

/* scipy.ndimage's gaussian_filter of four deviations' reach. */
static int blur_apply(tl_error *err, const tl_transform *t, tl_record *s)
{
    if (!happens(s, at(t, 1, 0))) return 0;
    double sigma = drawn(s, t, 0, 0), weight[MOST_REACH + 1], all = 1;
    int reach = (int)(4 * sigma + 0.5);
    const int64_t *size = s->placing->size;
    if (reach < 1) return 0;
    int64_t longest = size[0] > size[1] ? size[0] : size[1];
    float *line = tl__malloc(err, (size_t)(longest > size[2] ? longest : size[2]) * sizeof *line);
    if (!line) return -1;
    for (int k = 0; k <= reach; k++) weight[k] = exp(-0.5 * k * k / (sigma * sigma));
    for (int k = 1; k <= reach; k++) all += 2 * weight[k];
    for (int k = 0; k <= reach; k++) weight[k] /= all;
    int64_t c = s->channels, step[3] = {size[1] * size[2] * c, size[2] * c, c};
    for (int d = 0; d < 3; d++) {
        int a = d == 0 ? 1 : 0, b = d == 2 ? 1 : 2;
        for (int64_t i = 0; i < size[a]; i++)
            for (int64_t j = 0; j < size[b]; j++)
                for (int64_t k = 0; k < c; k++)
                    smooth_line(s->values + i * step[a] + j * step[b] + k, size[d], step[d], weight, reach, line);
    }
    free(line);
    return 0;
}

/* ---- the table ---- */

/* As the file has it, or the patient's directions in which columns, rows and slices grow. */
static const char *const orientations[] = {"file", "RAS", "LPS", "AIL", "AIR", "ALI", "ALS", "ARI", "ARS", "ASL",
                                           "ASR",  "IAL", "IAR", "ILA", "ILP", "IPL", "IPR", "IRA", "IRP", "LAI",
                                           "LAS",  "LIA", "LIP", "LPI", "LSA", "LSP", "PIL", "PIR", "PLI", "PLS",
                                           "PRI",  "PRS", "PSL", "PSR", "RAI", "RIA", "RIP", "RPI", "RPS", "RSA",
                                           "RSP",  "SAL", "SAR", "SLA", "SLP", "SPL", "SPR", "SRA", "SRP", NULL};

#define SIZE(about)                                                                                                  \
    {                                                                                                                \
        .name = "size", .brief = about ": slices, rows, columns", .least = 3, .most = 3, .low = 1, .high = 4096,     \
        .integer = 1                                                                                                 \
    }
#define RANGE(what, about, from, to, usual)                                                                          \
    {                                                                                                                \
        .name = what, .brief = about ", from and to", .least = 2, .most = 2, .pairs = 1, .low = from, .high = to,    \
        .initial = usual                                                                                             \
    }
#define CHANCE(usual)                                                                                                \
    {                                                                                                                \
        .name = "p", .brief = "probability", .least = 1, .most = 1, .low = 0, .high = 1, .initial = usual            \
    }
#define BLOCK .stage = TL_STAGE_BLOCK, .touches = TL_FIELD_VOLUME
#define PLACE                                                                                                        \
    .stage = TL_STAGE_PLACE, .touches = TL_FIELD_VOLUME | TL_FIELD_MASK, .is_random = 1, .check = ranges_check
#define VOXELS .stage = TL_STAGE_VOXELS, .touches = TL_FIELD_VOLUME, .is_random = 1, .check = ranges_check

const tl_transform_row tl__volume_rows[] = {
    {.name = "volume_grid",
     .brief = "All volumes with axes in this order, at this spacing, before any other step.",
     .stage = TL_STAGE_GRID,
     .touches = TL_FIELD_VOLUME | TL_FIELD_MASK,
     .param = {{.name = "orientation",
                .brief = "the directions in which columns, rows and slices grow",
                .choices = orientations,
                .initial = "file"},
               {.name = "spacing",
                .brief = "mm between columns, rows, slices; 0: the file's",
                .least = 1,
                .most = 3,
                .low = 0,
                .high = 1000,
                .initial = "0"}}},
    {.name = "volume_windows",
     .brief = "Grey values between two bounds to 0 and 1: a channel for each window.",
     BLOCK,
     .check = windows_check,
     .param = {{.name = "centre", .brief = "of each", .least = 1, .most = 64, .low = -1e6, .high = 1e6},
               {.name = "width", .brief = "of each", .least = 1, .most = 64, .low = 1, .high = 1e6}},
     .apply = windows_apply},
    {.name = "volume_normalise",
     .brief = "Values of each volume and channel by its own statistics.",
     BLOCK,
     .check = normalise_check,
     .param = {{.name = "how",
                .brief =
                    "mean 0 and deviation 1 (of all, or of what is not 0), or 0 to 1 (all, or between quantiles)",
                .choices = normalisations,
                .initial = "zscore"},
               {.name = "low",
                .brief = "quantile that becomes 0, in per cent",
                .least = 1,
                .most = 1,
                .low = 0,
                .high = 100,
                .initial = "0.5"},
               {.name = "high",
                .brief = "quantile that becomes 1",
                .least = 1,
                .most = 1,
                .low = 0,
                .high = 100,
                .initial = "99.5"}},
     .apply = normalise_apply},
    {.name = "volume_fit",
     .brief = "The middle of this size, with zeros around what is smaller.",
     BLOCK,
     .param = {SIZE("of what comes out")},
     .apply = fit_apply},
    {.name = "volume_patch",
     .brief = "A part anywhere in the volume.",
     .stage = TL_STAGE_PATCH,
     .touches = TL_FIELD_VOLUME | TL_FIELD_MASK,
     .is_random = 1,
     .param = {SIZE("of the part"),
               {.name = "foreground",
                .brief = "share of parts around a voxel of a class that is not the background",
                .least = 1,
                .most = 1,
                .low = 0,
                .high = 1,
                .initial = "0"}},
     .apply = patch_apply},
    {.name = "volume_flip",
     .brief = "Turned about along slices, rows, columns.",
     PLACE,
     .param = {{.name = "p", .brief = "probability of each", .least = 3, .most = 3, .low = 0, .high = 1}},
     .apply = flip_apply},
    {.name = "volume_affine",
     .brief = "Turned, enlarged, sheared and moved, in one.",
     PLACE,
     .param = {{.name = "degrees",
                .brief = "turned about the direction of slices, of rows, of columns: from and to for each",
                .least = 6,
                .most = 6,
                .pairs = 1,
                .low = -360,
                .high = 360,
                .initial = "[0, 0, 0, 0, 0, 0]"},
               RANGE("scale", "times as large", 1e-2, 1e2, "[1, 1]"),
               RANGE("shear", "degrees", -60, 60, "[0, 0]"),
               RANGE("translate", "shares of the sides", -1, 1, "[0, 0]"),
               CHANCE("1")},
     .apply = affine_apply},
    {.name = "volume_elastic",
     .brief = "Bent smoothly, by a cubic B-spline with knots at even distances.",
     PLACE,
     .param = {{.name = "knots",
                .brief = "along each dimension",
                .least = 1,
                .most = 3,
                .low = 5,
                .high = TL_PLACING_MOST_KNOTS,
                .integer = 1,
                .initial = "8"},
               {.name = "mm",
                .brief = "that a knot is moved at most, along each dimension",
                .least = 1,
                .most = 3,
                .low = 0,
                .high = 1000,
                .initial = "6"},
               CHANCE("1")},
     .apply = elastic_apply},
    {.name = "volume_gamma",
     .brief = "Values to a power within their range.",
     VOXELS,
     .param = {RANGE("gamma", "the power", 0.01, 100, "[0.7, 1.5]"), CHANCE("1")},
     .apply = gamma_apply},
    {.name = "volume_contrast",
     .brief = "Values away from their mean by a factor, within their range.",
     VOXELS,
     .param = {RANGE("factor", "by so many times", 0, 100, "[0.75, 1.25]"), CHANCE("1")},
     .apply = contrast_apply},
    {.name = "volume_brightness",
     .brief = "Values times a factor.",
     VOXELS,
     .param = {RANGE("factor", "the factor", 0, 100, "[0.75, 1.25]"), CHANCE("1")},
     .apply = brightness_apply},
    {.name = "volume_noise",
     .brief = "Normal noise is added.",
     VOXELS,
     .param = {RANGE("deviation", "its standard deviation", 0, 1e6, "[0, 0.1]"), CHANCE("1")},
     .apply = noise_apply},
    {.name = "volume_blur",
     .brief = "Smoothed by a Gaussian filter.",
     VOXELS,
     .param = {RANGE("sigma", "its deviation in voxels", 0.01, 16, "[0.5, 1]"), CHANCE("1")},
     .apply = blur_apply},
    {.name = NULL},
};
