/* blocks.c - volumes made ready, and samples taken out of them. */
#include "data/blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void tl__block_free(tl_block *b)
{
    free(b->data);
    free(b->mask);
    *b = (tl_block){.data = NULL};
}

const tl_transform *tl__pipeline_step(const tl_pipeline *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->step[i].row->name, name) == 0) return &p->step[i];
    return NULL;
}

void tl__block_spacing(const tl_block *b, double spacing[3])
{
    for (int d = 0; d < 3; d++) {
        double square = 0;
        for (int r = 0; r < 3; r++) square += b->affine[r][2 - d] * b->affine[r][2 - d];
        spacing[d] = sqrt(square);
    }
}

void tl__block_find(const tl_block *b, int c, int64_t k, int64_t at[3])
{
    int64_t n = b->size[0] * b->size[1] * b->size[2], i = 0;
    for (; i < n; i++)
        if (b->mask[i] == c && k-- == 0) break;
    at[2] = i % b->size[2];
    at[1] = i / b->size[2] % b->size[1];
    at[0] = i / b->size[2] / b->size[1];
}

/* ---- the grid ---- */

/* The orientation that the first step wants, NULL: as it is; and the grid of the volume, oriented so, at the step's
 * spacing. */
static const char *wanted_axes(const tl_pipeline *p)
{
    const tl_transform *t = tl__pipeline_step(p, "volume_grid");
    const char *axes = t ? t->row->param[0].choices[(int)t->value[0].at[0]] : "file";
    return strcmp(axes, "file") == 0 ? NULL : axes;
}

static int wanted_spacing(const tl_pipeline *p, double spacing[3])
{
    const tl_transform *t = tl__pipeline_step(p, "volume_grid");
    for (int c = 0; c < 3; c++) spacing[c] = t ? t->value[1].at[t->value[1].count == 1 ? 0 : c] : 0;
    return spacing[0] > 0 || spacing[1] > 0 || spacing[2] > 0;
}

/* The same of a grid alone, as tl__volume_orient and tl__volume_spaced do it. */
static void extent_on_grid(const tl_pipeline *p, const tl_extent *e, tl_extent *out)
{
    tl_error none = {0};
    double spacing[3];
    tl_volume v = {.size = {e->grid.size[0], e->grid.size[1], e->grid.size[2], 1}};
    memcpy(v.affine, e->grid.affine, sizeof v.affine);
    *out = *e;
    if (wanted_axes(p)) tl__volume_orient_grid(&none, &v, wanted_axes(p));
    memcpy(out->grid.size, v.size, sizeof out->grid.size);
    memcpy(out->grid.affine, v.affine, sizeof v.affine);
    if (wanted_spacing(p, spacing)) tl__volume_spaced(&v, spacing, &out->grid);
}

static int bring_to_grid(tl_error *err, const tl_pipeline *p, int nearest, tl_volume *v)
{
    double spacing[3];
    tl_grid grid;
    tl_volume out = {.data = NULL};
    if (wanted_axes(p) && tl__volume_orient(err, v, wanted_axes(p)) != 0) return -1;
    if (!wanted_spacing(p, spacing)) return 0;
    tl__volume_spaced(v, spacing, &grid);
    if (memcmp(grid.size, v->size, sizeof grid.size) == 0 && memcmp(grid.affine, v->affine, sizeof grid.affine) == 0)
        return 0;
    if (tl__volume_resample(err, v, &grid, nearest, nearest ? TL_MASK_IGNORED : 0, &out) != 0) return -1;
    tl__volume_free(v);
    *v = out;
    return 0;
}

/* ---- making a block ---- */

/* Parts become channels, the last dimension; takes the memory of one part over. */
static int take_image(tl_error *err, tl_volume *v, tl_block *out)
{
    int64_t n = v->size[0] * v->size[1] * v->size[2], channels = v->size[3];
    for (int d = 0; d < 3; d++) out->size[d] = v->size[2 - d];
    memcpy(out->affine, v->affine, sizeof out->affine);
    out->channels = (int)channels;
    if (channels == 1) {
        out->data = v->data;
        v->data = NULL;
        return 0;
    }
    out->data = tl__malloc(err, (size_t)(n * channels) * sizeof *out->data + 1);
    if (!out->data) return -1;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < n; i++) out->data[i * channels + c] = v->data[c * n + i];
    return 0;
}

static int take_mask(tl_error *err, const tl_volume *v, tl_block *out)
{
    int64_t n = v->size[0] * v->size[1] * v->size[2];
    out->mask = tl__malloc(err, (size_t)n + 1);
    for (int64_t i = 0; out->mask && i < n; i++) out->mask[i] = (uint8_t)v->data[i];
    return out->mask ? 0 : -1;
}

static void count_classes(tl_block *b)
{
    int64_t n = b->size[0] * b->size[1] * b->size[2];
    memset(b->of_class, 0, sizeof b->of_class);
    for (int64_t i = 0; b->mask && i < n; i++) b->of_class[b->mask[i]]++;
}

static int run_block(tl_error *err, const tl_pipeline *p, tl_block *b)
{
    tl_record s = {.block = b};
    for (int i = 0; i < p->count; i++)
        if (p->step[i].row->stage == TL_STAGE_BLOCK && p->step[i].row->apply(err, &p->step[i], &s) != 0) return -1;
    count_classes(b);
    return 0;
}

int tl__block_make(tl_error *err, const tl_pipeline *p, const tl_source *source, int64_t i, tl_block *out)
{
    tl_volume image = {.data = NULL}, mask = {.data = NULL};
    int masked = (source->fields & TL_FIELD_MASK) != 0;
    *out = (tl_block){.data = NULL};
    int bad = tl__source_volume(err, source, i, &image, masked ? &mask : NULL);
    int read = !bad;
    if (!bad) bad = bring_to_grid(err, p, 0, &image) != 0 || (masked && bring_to_grid(err, p, 1, &mask) != 0);
    if (!bad) bad = take_image(err, &image, out) != 0 || (masked && take_mask(err, &mask, out) != 0);
    tl__volume_free(&image);
    tl__volume_free(&mask);
    if (!bad) bad = run_block(err, p, out);
    if (!bad) return 0;
    tl__block_free(out);
    char *name = read ? tl__source_name(NULL, source, i) : NULL;
    if (read) tl__error_prefix(err, "%s: ", name ? name : "a volume");
    free(name);
    return -1;
}

void tl__block_extent(const tl_pipeline *p, const tl_extent *e, tl_extent *out)
{
    const tl_transform *windows = tl__pipeline_step(p, "volume_windows"), *fit = tl__pipeline_step(p, "volume_fit");
    extent_on_grid(p, e, out);
    if (e->channels && windows) out->channels = windows->value[0].count;
    for (int d = 0; fit && d < 3; d++) out->grid.size[2 - d] = (int64_t)fit->value[0].at[d];
}

/* ---- samples ---- */

void tl__block_sample_size(const tl_pipeline *p, const int64_t block[3], int64_t size[3])
{
    const tl_transform *patch = tl__pipeline_step(p, "volume_patch");
    for (int d = 0; d < 3; d++) size[d] = patch ? (int64_t)patch->value[0].at[d] : block[d];
}

void tl__placing_start(tl_placing *p, const tl_block *b)
{
    *p = (tl_placing){.block = b, .turn = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    tl__placing_part(p, (int64_t[3]){0, 0, 0}, b->size);
}

void tl__placing_part(tl_placing *p, const int64_t first[3], const int64_t size[3])
{
    for (int d = 0; d < 3; d++) {
        p->size[d] = size[d];
        p->centre[d] = (double)first[d] + (double)(size[d] - 1) / 2;
    }
}

void tl__placing_turn(tl_placing *p, double m[3][3], const double t[3])
{
    double before[3][3];
    memcpy(before, p->turn, sizeof before);
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            p->turn[r][c] = 0;
            for (int k = 0; k < 3; k++) p->turn[r][c] += before[r][k] * m[k][c];
            p->centre[r] += before[r][c] * t[c];
        }
}

/* Are samples voxels of the block as they are, flipped at most? Then sign and first are where each dimension
 * begins. */
static int only_flips(const tl_placing *p, int64_t first[3], int sign[3])
{
    if (p->knots[0]) return 0;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++)
            if (r == c ? fabs(p->turn[r][c]) != 1 : p->turn[r][c] != 0) return 0;
        double at = p->centre[r] - p->turn[r][r] * (double)(p->size[r] - 1) / 2;
        if (at != floor(at)) return 0;
        sign[r] = p->turn[r][r] < 0 ? -1 : 1;
        first[r] = (int64_t)at;
    }
    return 1;
}

static void copy_voxels(const tl_placing *p, const int64_t first[3], const int sign[3], float *out, int32_t *mask)
{
    const tl_block *b = p->block;
    size_t c = (size_t)b->channels;
    for (int64_t z = 0; z < p->size[0]; z++)
        for (int64_t y = 0; y < p->size[1]; y++) {
            int64_t iz = first[0] + sign[0] * z, iy = first[1] + sign[1] * y;
            int within = iz >= 0 && iz < b->size[0] && iy >= 0 && iy < b->size[1];
            int64_t row = (iz * b->size[1] + iy) * b->size[2];
            for (int64_t x = 0; x < p->size[2]; x++, out += c) {
                int64_t ix = first[2] + sign[2] * x;
                int in = within && ix >= 0 && ix < b->size[2];
                if (in) memcpy(out, b->data + (size_t)(row + ix) * c, c * sizeof *out);
                else memset(out, 0, c * sizeof *out);
                if (mask) *mask++ = in ? b->mask[row + ix] : TL_MASK_IGNORED;
            }
        }
}

/* The four weights of a cubic B-spline at `t` of the way between the second and the third of its knots. */
static void spline(double t, double w[4])
{
    double u = 1 - t;
    w[0] = u * u * u / 6;
    w[1] = (3 * t * t * t - 6 * t * t + 4) / 6;
    w[2] = (3 * u * u * u - 6 * u * u + 4) / 6;
    w[3] = t * t * t / 6;
}

/* By how many voxels the sample's voxel `o` is bent. The first and the last knot of a dimension lie one knot's
 * distance outside of the sample. */
static void bend(const tl_placing *p, const int64_t o[3], double by[3])
{
    double w[3][4];
    int64_t at[3];
    for (int d = 0; d < 3; d++) {
        double n = (double)(p->size[d] > 1 ? p->size[d] - 1 : 1), x = (double)o[d] / n * (double)(p->knots[d] - 3);
        at[d] = (int64_t)floor(x);
        if (at[d] > p->knots[d] - 4) at[d] = p->knots[d] - 4;
        spline(x - (double)at[d], w[d]);
        by[d] = 0;
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const float *k = p->knot + 3 * (((at[0] + i) * p->knots[1] + at[1] + j) * p->knots[2] + at[2]);
            for (int m = 0; m < 4; m++, k += 3)
                for (int d = 0; d < 3; d++) by[d] += w[0][i] * w[1][j] * w[2][m] * (double)k[d];
        }
}

/* The block at `at` between its voxels; what lies outside counts as 0. */
static void between(const tl_block *b, const double at[3], float *out)
{
    int64_t low[3];
    double share[3];
    int c = b->channels;
    for (int k = 0; k < c; k++) out[k] = 0;
    for (int d = 0; d < 3; d++) {
        if (!(at[d] > -1 && at[d] < (double)b->size[d])) return;
        low[d] = (int64_t)floor(at[d]);
        share[d] = at[d] - (double)low[d];
    }
    for (int corner = 0; corner < 8; corner++) {
        int64_t i = low[0] + (corner >> 2), j = low[1] + (corner >> 1 & 1), k = low[2] + (corner & 1);
        if (i < 0 || j < 0 || k < 0 || i >= b->size[0] || j >= b->size[1] || k >= b->size[2]) continue;
        double w = (corner >> 2 ? share[0] : 1 - share[0]) * (corner >> 1 & 1 ? share[1] : 1 - share[1]) *
                   (corner & 1 ? share[2] : 1 - share[2]);
        const float *from = b->data + (size_t)((i * b->size[1] + j) * b->size[2] + k) * (size_t)c;
        for (int m = 0; m < c; m++) out[m] += (float)w * from[m];
    }
}

static int32_t nearest(const tl_block *b, const double at[3])
{
    int64_t i[3];
    for (int d = 0; d < 3; d++) {
        double x = floor(at[d] + 0.5);
        if (!(x >= 0 && x < (double)b->size[d])) return TL_MASK_IGNORED;
        i[d] = (int64_t)x;
    }
    return b->mask[(i[0] * b->size[1] + i[1]) * b->size[2] + i[2]];
}

void tl__placing_take(const tl_placing *p, float *out, int32_t *mask)
{
    int64_t first[3], o[3];
    int sign[3];
    if (only_flips(p, first, sign)) {
        copy_voxels(p, first, sign, out, mask);
        return;
    }
    for (o[0] = 0; o[0] < p->size[0]; o[0]++)
        for (o[1] = 0; o[1] < p->size[1]; o[1]++)
            for (o[2] = 0; o[2] < p->size[2]; o[2]++) {
                double by[3] = {0, 0, 0}, at[3];
                if (p->knots[0]) bend(p, o, by);
                for (int d = 0; d < 3; d++) by[d] += (double)o[d] - (double)(p->size[d] - 1) / 2;
                for (int d = 0; d < 3; d++)
                    at[d] = p->centre[d] + p->turn[d][0] * by[0] + p->turn[d][1] * by[1] + p->turn[d][2] * by[2];
                between(p->block, at, out);
                out += p->block->channels;
                if (mask) *mask++ = nearest(p->block, at);
            }
}

int tl__block_sample(tl_error *err, const tl_pipeline *p, const tl_draw_key *who, const tl_block *b, float *out,
                     int32_t *mask)
{
    tl_placing placing;
    /* 2^24 epochs of 2^40 samples have keys of their own. */
    tl_record s = {.placing = &placing,
                   .values = out,
                   .channels = b->channels,
                   .key = tl__rng_key(who->seed, TL_RNG_AUGMENT, who->epoch << 40 ^ who->index)};
    int bad = 0, taken = 0;
    tl__placing_start(&placing, b);
    for (int i = 0; !bad && i < p->count; i++) {
        const tl_transform_row *row = p->step[i].row;
        if (row->stage < TL_STAGE_PATCH) continue;
        if (row->stage == TL_STAGE_VOXELS && !taken) {
            tl__placing_take(&placing, out, mask);
            taken = 1;
        }
        s.draw = (uint64_t)i << 32; /* a step that is added behind others leaves their draws as they were */
        s.voxels = placing.size[0] * placing.size[1] * placing.size[2];
        bad = row->apply(err, &p->step[i], &s) != 0;
    }
    if (!bad && !taken) tl__placing_take(&placing, out, mask);
    free(placing.knot);
    return bad ? -1 : 0;
}
