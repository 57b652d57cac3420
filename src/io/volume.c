/* volume.c - grids in space: orientation, other spacings, windows. */
#include "io/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const tl_window tl__windows[] = {
    {"lung", -600, 1500}, {"bone", 400, 1800}, {"brain", 40, 80}, {"soft", 40, 400}, {NULL, 0, 0}};

int tl__volume_reserve(tl_error *err, tl_volume *v, const int64_t size[4])
{
    int64_t n = 1;
    for (int i = 0; i < 4; i++)
        if (tl__mul_size(n, size[i], &n) != 0 || n > (int64_t)1 << 40)
            return tl__fail(err, TL_EFORMAT, "a volume of %lld x %lld x %lld x %lld voxels is more than is read",
                            (long long)size[3], (long long)size[2], (long long)size[1], (long long)size[0]);
    float *data = tl__malloc(err, (size_t)n * sizeof *data + 1);
    if (!data) return -1;
    free(v->data);
    v->data = data;
    memcpy(v->size, size, sizeof v->size);
    return 0;
}

void tl__volume_free(tl_volume *v)
{
    free(v->data);
    *v = (tl_volume){0};
}

int64_t tl__volume_numel(const tl_volume *v) { return v->size[0] * v->size[1] * v->size[2] * v->size[3]; }

static double dot_of_axes(const tl_volume *v, int a, int b)
{
    double sum = 0;
    for (int r = 0; r < 3; r++) sum += v->affine[r][a] * v->affine[r][b];
    return sum;
}

void tl__volume_spacing(const tl_volume *v, double spacing[3])
{
    for (int c = 0; c < 3; c++) spacing[c] = sqrt(dot_of_axes(v, c, c));
}

double tl__volume_shear(const tl_volume *v)
{
    double worst = 0, s[3];
    tl__volume_spacing(v, s);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < a; b++)
            if (s[a] > 0 && s[b] > 0) worst = fmax(worst, fabs(dot_of_axes(v, a, b)) / (s[a] * s[b]));
    return worst;
}

/* ---- orientation ---- */

/* Which of the patient's axes each index runs along, each once: the largest cosine of those left decides first. sign:
 * 1 to the right, to the front, up. */
static void directions(const tl_volume *v, int along[3], int sign[3])
{
    double s[3];
    int taken[3] = {0}, done[3] = {0};
    tl__volume_spacing(v, s);
    for (int turn = 0; turn < 3; turn++) {
        int column = -1, row = -1;
        double best = -1;
        for (int c = 0; c < 3; c++)
            for (int r = 0; r < 3; r++) {
                double cosine = s[c] > 0 ? fabs(v->affine[r][c]) / s[c] : 0;
                if (!done[c] && !taken[r] && cosine > best) best = cosine, column = c, row = r;
            }
        done[column] = taken[row] = 1;
        along[column] = row;
        sign[column] = v->affine[row][column] < 0 ? -1 : 1;
    }
}

static const char UP[] = "RAS", DOWN[] = "LPI";

void tl__volume_axes(const tl_volume *v, char axes[4])
{
    int along[3], sign[3];
    directions(v, along, sign);
    for (int c = 0; c < 3; c++) axes[c] = (sign[c] > 0 ? UP : DOWN)[along[c]];
    axes[3] = 0;
}

/* The patient's axis that a letter names, and which way; -1 where it names none. */
static int axis_of(char letter, int *sign)
{
    const char *up = letter ? strchr(UP, letter) : NULL, *down = letter ? strchr(DOWN, letter) : NULL;
    *sign = up ? 1 : -1;
    return up ? (int)(up - UP) : down ? (int)(down - DOWN) : -1;
}

int tl__volume_check_axes(tl_error *err, const char *axes)
{
    int seen[3] = {0}, sign, n = 0;
    for (; axes[n]; n++) {
        int axis = axis_of(axes[n], &sign);
        if (n >= 3 || axis < 0 || seen[axis]++) break;
    }
    if (n == 3 && !axes[3]) return 0;
    return tl__fail(err, TL_EARG,
                    "orientation \"%s\" has not one letter each of L or R, P or A, S or I: \"RAS\", \"LPS\"", axes);
}

/* Size and affine of `v` oriented anew into `out`; where its voxels begin in `v`, and the steps between them. */
static int turned(tl_error *err, const tl_volume *v, const char *axes, tl_volume *out, int64_t *start, int64_t step[3])
{
    int along[3], sign[3];
    int64_t stride[3] = {1, v->size[0], v->size[0] * v->size[1]};
    if (tl__volume_check_axes(err, axes) != 0) return -1;
    directions(v, along, sign);
    *start = 0;
    out->size[3] = v->size[3];
    for (int r = 0; r < 3; r++) out->affine[r][3] = v->affine[r][3];
    for (int to = 0; to < 3; to++) {
        int wanted, from = 0, axis = axis_of(axes[to], &wanted);
        while (along[from] != axis) from++;
        int flip = sign[from] != wanted;
        out->size[to] = v->size[from];
        step[to] = flip ? -stride[from] : stride[from];
        if (flip) *start += stride[from] * (v->size[from] - 1);
        for (int r = 0; r < 3; r++) {
            out->affine[r][to] = flip ? -v->affine[r][from] : v->affine[r][from];
            if (flip) out->affine[r][3] += v->affine[r][from] * (double)(v->size[from] - 1);
        }
    }
    return 0;
}

int tl__volume_orient_grid(tl_error *err, tl_volume *v, const char *axes)
{
    tl_volume out = {.data = NULL};
    int64_t start, step[3];
    if (turned(err, v, axes, &out, &start, step) != 0) return -1;
    memcpy(v->size, out.size, sizeof v->size);
    memcpy(v->affine, out.affine, sizeof v->affine);
    return 0;
}

int tl__volume_orient(tl_error *err, tl_volume *v, const char *axes)
{
    tl_volume out = {.data = NULL};
    int64_t start, step[3], each = v->size[0] * v->size[1] * v->size[2], size[4];
    if (turned(err, v, axes, &out, &start, step) != 0) return -1;
    memcpy(size, out.size, sizeof size);
    if (tl__volume_reserve(err, &out, size) != 0) return -1;
    float *to = out.data;
    for (int64_t t = 0; t < size[3]; t++)
        for (int64_t k = 0; k < size[2]; k++)
            for (int64_t j = 0; j < size[1]; j++) {
                const float *from = v->data + t * each + start + k * step[2] + j * step[1];
                for (int64_t i = 0; i < size[0]; i++) *to++ = from[i * step[0]];
            }
    tl__volume_free(v);
    *v = out;
    return 0;
}

/* ---- other grids ---- */

void tl__volume_spaced(const tl_volume *v, const double spacing[3], tl_grid *grid)
{
    double s[3];
    tl__volume_spacing(v, s);
    memcpy(grid->affine, v->affine, sizeof grid->affine);
    for (int c = 0; c < 3; c++) {
        grid->size[c] = v->size[c];
        if (!(spacing[c] > 0) || !(s[c] > 0) || spacing[c] == s[c]) continue;
        double ratio = spacing[c] / s[c], n = floor((double)v->size[c] / ratio + 0.5);
        grid->size[c] = n < 1 ? 1 : n > 1e9 ? (int64_t)1e9 : (int64_t)n;
        /* The middle stays: index 0 lies where half of what is left over begins. */
        double first = ((double)(v->size[c] - 1) - ratio * (double)(grid->size[c] - 1)) / 2;
        for (int r = 0; r < 3; r++) {
            grid->affine[r][3] += first * v->affine[r][c];
            grid->affine[r][c] = v->affine[r][c] * ratio;
        }
    }
}

/* The inverse of an affine; -1 where it has none. */
static int invert(const double a[3][4], double out[3][4])
{
    double m[3][3], det = 0;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) {
            int r1 = (r + 1) % 3, r2 = (r + 2) % 3, c1 = (c + 1) % 3, c2 = (c + 2) % 3;
            m[c][r] = a[r1][c1] * a[r2][c2] - a[r1][c2] * a[r2][c1];
        }
    for (int c = 0; c < 3; c++) det += a[0][c] * m[c][0];
    if (!(fabs(det) > 0) || !isfinite(det)) return -1;
    for (int r = 0; r < 3; r++) {
        out[r][3] = 0;
        for (int c = 0; c < 3; c++) {
            out[r][c] = m[r][c] / det;
            out[r][3] -= out[r][c] * a[c][3];
        }
    }
    return 0;
}

/* What maps voxels of the grid to voxels of `in`. */
static int between(tl_error *err, const tl_volume *in, const tl_grid *grid, double m[3][4])
{
    double back[3][4];
    if (invert(in->affine, back) != 0)
        return tl__fail(err, TL_EFORMAT, "the volume's affine is flat, so that nothing can be placed in it");
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++) {
            m[r][c] = c == 3 ? back[r][3] : 0;
            for (int k = 0; k < 3; k++) m[r][c] += back[r][k] * grid->affine[k][c];
        }
    return 0;
}

/* A place along one dimension as the lower of two neighbours and the upper one's share; -1 outside. */
static int neighbours(double x, int64_t n, int64_t at[2], double *share)
{
    const double slack = 1e-6; /* of rounding, where a place lies on the edge */
    if (!(x >= -0.5 - slack && x <= (double)n - 0.5 + slack)) return -1;
    double low = floor(x);
    *share = x - low;
    at[0] = low < 0 ? 0 : low > (double)(n - 1) ? n - 1 : (int64_t)low;
    at[1] = low + 1 < 0 ? 0 : low + 1 > (double)(n - 1) ? n - 1 : (int64_t)low + 1;
    return 0;
}

static float value_at(const tl_volume *v, const float *part, const double x[3], int nearest, float fill)
{
    int64_t at[3][2], row = v->size[0], slice = v->size[0] * v->size[1];
    double share[3];
    for (int c = 0; c < 3; c++)
        if (neighbours(x[c], v->size[c], at[c], &share[c]) != 0) return fill;
    if (nearest) {
        int up[3];
        for (int c = 0; c < 3; c++) up[c] = share[c] >= 0.5;
        return part[at[2][up[2]] * slice + at[1][up[1]] * row + at[0][up[0]]];
    }
    double sum = 0;
    for (int corner = 0; corner < 8; corner++) {
        int i = corner & 1, j = corner >> 1 & 1, k = corner >> 2;
        double w = (i ? share[0] : 1 - share[0]) * (j ? share[1] : 1 - share[1]) * (k ? share[2] : 1 - share[2]);
        if (w != 0) sum += w * part[at[2][k] * slice + at[1][j] * row + at[0][i]];
    }
    return (float)sum;
}

int tl__volume_resample(tl_error *err, const tl_volume *in, const tl_grid *grid, int nearest, float fill,
                        tl_volume *out)
{
    double m[3][4];
    int64_t size[4] = {grid->size[0], grid->size[1], grid->size[2], in->size[3]};
    int64_t each = in->size[0] * in->size[1] * in->size[2];
    if (between(err, in, grid, m) != 0 || tl__volume_reserve(err, out, size) != 0) return -1;
    memcpy(out->affine, grid->affine, sizeof out->affine);
    float *to = out->data;
    for (int64_t t = 0; t < size[3]; t++)
        for (int64_t k = 0; k < size[2]; k++)
            for (int64_t j = 0; j < size[1]; j++)
                for (int64_t i = 0; i < size[0]; i++) {
                    double x[3];
                    for (int r = 0; r < 3; r++)
                        x[r] = m[r][0] * (double)i + m[r][1] * (double)j + m[r][2] * (double)k + m[r][3];
                    *to++ = value_at(in, in->data + t * each, x, nearest, fill);
                }
    return 0;
}

void tl__window(float *data, int64_t n, double centre, double width)
{
    for (int64_t i = 0; i < n; i++) {
        double x = data[i] - (centre - 0.5), y = width > 1 ? x / (width - 1) + 0.5 : x > 0 ? 1 : x <= 0 ? 0 : x;
        data[i] = (float)(y < 0 ? 0 : y > 1 ? 1 : y); /* what is not a number stays so */
    }
}
