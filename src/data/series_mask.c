/* series_mask.c - masks beside a series: DICOM SEG objects, whose frames are put where their positions say, and NIfTI
 * volumes, whose affine must put voxels onto those of the series. Nothing is resampled: what lies on another grid is
 * refused. */
#include "data/series.h"

#include "io/dicom.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR 0.1 /* of a pixel or of the distance of slices: the same place */

static int another_grid(tl_error *err, const char *path, const char *what)
{
    return tl__fail(err, TL_EFORMAT,
                    "%s: this mask lies on another grid than its series (%s); resample it to the series first", path,
                    what);
}

/* ---- DICOM SEG ---- */

static double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* Where a frame lies: the slice at its place; -1 with an error where there is none. */
static int64_t slice_of(tl_error *err, const tl_series *s, const tl_dicom *d, const tl_dicom_frame *f)
{
    const double *o = s->orientation;
    double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]};
    double along = dot(f->position, normal), thick = s->spacing[2] > 0 ? s->spacing[2] : 1, apart = INFINITY;
    int64_t best = 0;
    for (int i = 0; i < 6; i++)
        if (!f->placed || !f->oriented || fabs(f->orientation[i] - o[i]) > 1e-3)
            return another_grid(err, d->name, "its frames lie in other directions");
    for (int64_t k = 0; k < s->count; k++)
        if (fabs(s->slice[k].along - along) < apart) apart = fabs(s->slice[k].along - along), best = k;
    double between[3];
    for (int r = 0; r < 3; r++) between[r] = f->position[r] - s->slice[best].position[r];
    if (apart > NEAR * thick) return another_grid(err, d->name, "a frame lies between its slices, or outside");
    if (fabs(dot(between, o)) > NEAR * s->spacing[0] || fabs(dot(between, o + 3)) > NEAR * s->spacing[1])
        return another_grid(err, d->name, "its frames are moved against the slices");
    return best;
}

static int check_object(tl_error *err, const tl_series *s, const tl_dicom *d)
{
    if (strcmp(d->modality, "SEG") != 0)
        return tl__fail(err, TL_EFORMAT, "%s: a DICOM file of modality %s is no mask; SEG objects and NIfTI are read",
                        d->name, *d->modality ? d->modality : "unknown");
    if (!s->placed) return tl__fail(err, TL_EFORMAT, "%s: its series does not say where slices lie", d->name);
    if (d->rows != s->rows || d->columns != s->columns)
        return another_grid(err, d->name, "it has another number of pixels");
    return 0;
}

/* The numbers of frame `i` into its slice. */
static int put_frame(tl_error *err, const tl_series *s, const tl_dicom *d, int i, const uint8_t *value,
                     int32_t *stored, uint8_t *planes)
{
    const tl_dicom_frame *f = &d->frame[i];
    int64_t n = (int64_t)d->rows * d->columns, k = slice_of(err, s, d, f);
    int labels = strcmp(d->segmentation, "LABELMAP") == 0;
    int least = strcmp(d->segmentation, "FRACTIONAL") == 0 ? ((d->whole ? d->whole : 255) + 1) / 2 : 1;
    if (k < 0 || tl__dicom_stored(err, d, i, stored) != 0) return -1;
    if (!labels && (f->segment < 1 || f->segment > 255))
        return tl__fail(err, TL_EFORMAT, "%s: frame %d is of segment %d, and those from 1 to 255 are read", d->name,
                        i + 1, f->segment);
    for (int64_t p = 0; p < n; p++) {
        if (labels && (stored[p] < 0 || stored[p] > 255))
            return tl__fail(err, TL_EFORMAT, "%s: it marks segment %d, and those up to 255 are read", d->name,
                            stored[p]);
        int number = labels ? stored[p] : stored[p] >= least ? f->segment : 0;
        if (number && value[number]) planes[k * n + p] = value[number];
    }
    return 0;
}

static int from_object(tl_error *err, const tl_series *s, const tl_dicom *d, const uint8_t *value, uint8_t *planes)
{
    if (check_object(err, s, d) != 0) return -1;
    int32_t *stored = tl__malloc(err, (size_t)d->rows * (size_t)d->columns * sizeof *stored);
    int bad = !stored;
    for (int i = 0; !bad && i < d->frames; i++) bad = put_frame(err, s, d, i, value, stored, planes) != 0;
    free(stored);
    return bad ? -1 : 0;
}

/* ---- NIfTI ---- */

/* The inverse of an affine's matrix. -1: it has none. */
static int inverse(double a[3][4], double out[3][3])
{
    double det = 0;
    for (int c = 0; c < 3; c++)
        det += a[0][c] * (a[1][(c + 1) % 3] * a[2][(c + 2) % 3] - a[1][(c + 2) % 3] * a[2][(c + 1) % 3]);
    if (!(fabs(det) > 1e-12)) return -1;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++)
            out[r][c] = (a[(c + 1) % 3][(r + 1) % 3] * a[(c + 2) % 3][(r + 2) % 3] -
                         a[(c + 1) % 3][(r + 2) % 3] * a[(c + 2) % 3][(r + 1) % 3]) /
                        det;
    return 0;
}

/* Voxel coordinates in the mask of pixel (x, y) of slice k. */
static void voxel(const tl_series *s, const tl_volume *v, double inv[3][3], int64_t k, double x, double y,
                  double at[3])
{
    double mm[3];
    for (int r = 0; r < 3; r++) {
        double lps = s->slice[k].position[r] + x * s->spacing[0] * s->orientation[r] +
                     y * s->spacing[1] * s->orientation[3 + r];
        mm[r] = (r < 2 ? -lps : lps) - v->affine[r][3];
    }
    for (int r = 0; r < 3; r++) at[r] = inv[r][0] * mm[0] + inv[r][1] * mm[1] + inv[r][2] * mm[2];
}

/* A slice of the mask, by the voxels that its corners lie on. */
static int put_slice(tl_error *err, const tl_series *s, const tl_volume *v, const char *path,
                     double inv[3][3], int64_t k, uint8_t *plane)
{
    double corner[3][3];
    int64_t first[3], right[3], down[3];
    voxel(s, v, inv, k, 0, 0, corner[0]);
    voxel(s, v, inv, k, s->columns - 1, 0, corner[1]);
    voxel(s, v, inv, k, 0, s->rows - 1, corner[2]);
    for (int c = 0; c < 3; c++)
        for (int r = 0; r < 3; r++) {
            double at = floor(corner[c][r] + 0.5);
            if (!(fabs(corner[c][r] - at) <= NEAR)) return another_grid(err, path, "its voxels lie between pixels");
            if (at < 0 || at >= (double)v->size[r]) return another_grid(err, path, "the series reaches beyond it");
        }
    for (int r = 0; r < 3; r++) {
        first[r] = (int64_t)floor(corner[0][r] + 0.5);
        right[r] = (int64_t)floor(corner[1][r] + 0.5) - first[r];
        down[r] = (int64_t)floor(corner[2][r] + 0.5) - first[r];
        if ((s->columns > 1 && right[r] % (s->columns - 1)) || (s->rows > 1 && down[r] % (s->rows - 1)))
            return another_grid(err, path, "its voxels are of another size");
        right[r] /= s->columns > 1 ? s->columns - 1 : 1;
        down[r] /= s->rows > 1 ? s->rows - 1 : 1;
    }
    for (int64_t y = 0; y < s->rows; y++)
        for (int64_t x = 0; x < s->columns; x++) {
            const int64_t *n = v->size;
            int64_t place[3];
            for (int r = 0; r < 3; r++) place[r] = first[r] + x * right[r] + y * down[r];
            float value = v->data[place[0] + n[0] * (place[1] + n[1] * place[2])];
            if (!(value >= 0 && value <= 255 && value == floorf(value)))
                return tl__fail(err, TL_EFORMAT, "%s: a mask has whole numbers from 0 to 255, and this has %g", path,
                                (double)value);
            plane[y * s->columns + x] = (uint8_t)value;
        }
    return 0;
}

static int from_nifti(tl_error *err, const tl_series *s, const char *path, const uint8_t *value, uint8_t *planes)
{
    tl_volume v = {0};
    tl_nifti about;
    double inv[3][3];
    int64_t each = (int64_t)s->rows * s->columns;
    if (!s->placed) return tl__fail(err, TL_EFORMAT, "%s: its series does not say where slices lie", path);
    if (tl__nifti_read(err, path, &v, &about) != 0) return -1;
    int bad = v.size[3] != 1 ? another_grid(err, path, "it has several volumes")
              : inverse(v.affine, inv) != 0 ? another_grid(err, path, "its affine is flat")
                                            : 0;
    for (int64_t k = 0; !bad && k < s->count; k++)
        bad = put_slice(err, s, &v, path, inv, k, planes + k * each) != 0;
    for (int64_t i = 0; !bad && i < each * s->count; i++) planes[i] = value[planes[i]];
    tl__volume_free(&v);
    return bad ? -1 : 0;
}

/* ---- both ---- */

int tl__series_mask(tl_error *err, const tl_series *s, const char *path, const uint8_t value[256], uint8_t *planes)
{
    void *map;
    size_t bytes;
    if (s->mixed) return tl__fail(err, TL_EFORMAT, "%s: the pictures of its series differ in size or direction", path);
    if (tl__map_file(err, path, "a mask", &map, &bytes) != 0) return -1;
    int dicom = tl__looks_like_dicom(map, bytes), status = -1;
    if (dicom) {
        tl_dicom *d = tl__dicom_open_memory(err, path, map, bytes);
        if (d) status = from_object(err, s, d, value, planes);
        tl__dicom_close(d);
    }
    tl__unmap_file(map, bytes);
    return dicom ? status : from_nifti(err, s, path, value, planes);
}
