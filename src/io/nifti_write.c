/* nifti_write.c - volumes and masks to .nii and .nii.gz: NIfTI-1, or -2 where a dimension is too long for it. */
#include "io/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- the header ---- */

static void put(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static void put_real(uint8_t *p, double v, int n)
{
    float f = (float)v;
    uint32_t small;
    uint64_t large;
    memcpy(&small, &f, 4);
    memcpy(&large, &v, 8);
    put(p, n == 4 ? small : large, n);
}

/* The quaternion of a rotation (the standard's nifti_mat44_to_quatern, after Shepperd 1978); -1 where the axes do not
 * stand on each other, and no rotation has them. *sign is that of the third axis. */
static int quaternion_of(const tl_volume *v, double q[3], double *sign)
{
    double s[3], m[3][3], t[4];
    tl__volume_spacing(v, s);
    if (!(s[0] > 0) || !(s[1] > 0) || !(s[2] > 0) || tl__volume_shear(v) > 1e-5) return -1;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 3; c++) m[r][c] = v->affine[r][c] / s[c];
    double det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
                 m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                 m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    *sign = det < 0 ? -1 : 1;
    for (int r = 0; r < 3; r++) m[r][2] *= *sign;
    t[0] = 1 + m[0][0] + m[1][1] + m[2][2]; /* four times the square of each part */
    t[1] = 1 + m[0][0] - m[1][1] - m[2][2];
    t[2] = 1 - m[0][0] + m[1][1] - m[2][2];
    t[3] = 1 - m[0][0] - m[1][1] + m[2][2];
    int big = 0;
    for (int i = 1; i < 4; i++)
        if (t[i] > t[big]) big = i;
    double whole[4], four = 2 * sqrt(t[big]);
    double x = m[2][1] - m[1][2], y = m[0][2] - m[2][0], z = m[1][0] - m[0][1];
    double xy = m[0][1] + m[1][0], xz = m[0][2] + m[2][0], yz = m[1][2] + m[2][1];
    const double rows[4][4] = {{t[0], x, y, z}, {x, t[1], xy, xz}, {y, xy, t[2], yz}, {z, xz, yz, t[3]}};
    for (int i = 0; i < 4; i++) whole[i] = rows[big][i] / four;
    for (int i = 0; i < 3; i++) q[i] = whole[0] < 0 ? -whole[1 + i] : whole[1 + i];
    return 0;
}

/* Where fields stand in either version; nifti.c reads them from the same places. */
static size_t make_header(const tl_volume *v, int datatype, int bytes, uint8_t p[544])
{
    int two = 0;
    for (int i = 0; i < 4; i++) two |= v->size[i] > 32767;
    int f = two ? 8 : 4, dims = v->size[3] > 1 ? 4 : 3;
    double spacing[3], q[3] = {0}, sign = 1;
    int turned = quaternion_of(v, q, &sign) == 0;
    memset(p, 0, 544);
    put(p, two ? 540 : 348, 4);
    memcpy(p + (two ? 4 : 344), two ? "n+2\0\r\n\032\n" : "n+1", two ? 8 : 4);
    put(p + (two ? 12 : 70), (uint64_t)datatype, 2);
    put(p + (two ? 14 : 72), (uint64_t)bytes * 8, 2);
    tl__volume_spacing(v, spacing);
    for (int i = 0; i < 8; i++) {
        uint64_t dim = i == 0 ? (uint64_t)dims : i <= 4 ? (uint64_t)v->size[i - 1] : 1;
        put(p + (two ? 16 + 8 * i : 40 + 2 * i), dim, two ? 8 : 2);
        put_real(p + (two ? 104 : 76) + f * i, i == 0 ? sign : i <= 3 ? spacing[i - 1] : 1, f);
    }
    if (two) put(p + 168, 544, 8);
    else put_real(p + 108, 352, 4);
    put_real(p + (two ? 176 : 112), 1, f); /* slope */
    if (two) put(p + 500, 2, 4);           /* millimetres */
    else p[123] = 2;
    put(p + (two ? 344 : 252), (uint64_t)turned, two ? 4 : 2);
    put(p + (two ? 348 : 254), 1, two ? 4 : 2);
    for (int r = 0; r < 3; r++) {
        put_real(p + (two ? 352 : 256) + f * r, q[r], f);
        put_real(p + (two ? 376 : 268) + f * r, v->affine[r][3], f);
        for (int c = 0; c < 4; c++) put_real(p + (two ? 400 : 280) + f * (4 * r + c), v->affine[r][c], f);
    }
    return two ? 544 : 352;
}

/* ---- bytes, packed or not ---- */

typedef struct sink {
    tl_atomic_file file;
    int packed;
    z_stream z;
} sink;

static int write_bytes(tl_error *err, sink *s, const void *data, size_t n, int last)
{
    uint8_t piece[16384];
    if (!s->packed) return tl__atomic_write(err, &s->file, data, n);
    s->z.next_in = (Bytef *)data;
    s->z.avail_in = (uInt)n;
    do {
        s->z.next_out = piece;
        s->z.avail_out = sizeof piece;
        deflate(&s->z, last ? Z_FINISH : Z_NO_FLUSH);
        if (tl__atomic_write(err, &s->file, piece, sizeof piece - s->z.avail_out) != 0) return -1;
    } while (s->z.avail_out == 0);
    return 0;
}

/* The smallest type that holds all values as whole numbers; float32 where there is none. */
static int smallest_type(const tl_volume *v, int *bytes)
{
    int64_t n = tl__volume_numel(v);
    float low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        float x = v->data[i];
        if (!(x == floorf(x)) || fabsf(x) > 16777216) {
            *bytes = 4;
            return 16;
        }
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    *bytes = low >= 0 && high <= 255 ? 1 : low >= -32768 && high <= 32767 ? 2 : 4;
    return *bytes == 1 ? 2 : *bytes == 2 ? 4 : 8;
}

static int write_values(tl_error *err, sink *s, const tl_volume *v, int datatype, int bytes)
{
    uint8_t piece[8192];
    int64_t n = tl__volume_numel(v), done = 0;
    while (done < n) {
        int64_t room = (int64_t)sizeof piece / bytes, some = n - done < room ? n - done : room;
        for (int64_t i = 0; i < some; i++) {
            float x = v->data[done + i];
            if (datatype == 16) put_real(piece + 4 * i, x, 4);
            else put(piece + i * bytes, (uint64_t)(int64_t)x, bytes);
        }
        if (write_bytes(err, s, piece, (size_t)(some * bytes), 0) != 0) return -1;
        done += some;
    }
    return write_bytes(err, s, NULL, 0, 1);
}

int tl__nifti_write(tl_error *err, const char *path, const tl_volume *v, int whole)
{
    size_t n = strlen(path);
    sink s = {.packed = n > 7 && strcmp(path + n - 7, ".nii.gz") == 0};
    uint8_t header[544];
    int bytes = 4, datatype = whole ? smallest_type(v, &bytes) : 16;
    if (!s.packed && (n <= 4 || strcmp(path + n - 4, ".nii") != 0))
        return tl__fail(err, TL_EARG, "%s: a volume is written as .nii or .nii.gz", path);
    size_t head = make_header(v, datatype, bytes, header);
    if (tl__atomic_open(err, &s.file, path) != 0) return -1;
    if (s.packed && deflateInit2(&s.z, 5, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        tl__atomic_abort(&s.file);
        return tl__fail(err, TL_EMEMORY, "%s: no memory to deflate", path);
    }
    int bad = write_bytes(err, &s, header, head, 0) != 0 || write_values(err, &s, v, datatype, bytes) != 0;
    if (s.packed) deflateEnd(&s.z);
    if (bad) {
        tl__atomic_abort(&s.file);
        return -1;
    }
    return tl__atomic_commit(err, &s.file);
}
