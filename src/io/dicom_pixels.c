/* dicom_pixels.c - the numbers of a frame, and what they mean: rescaled values, tables, colours. */
#include "io/dicom_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *syntax;
    tl_dicom_codec codec;
    const char *why;
} syntaxes[] = {{"1.2.840.10008.1.2", TL_DICOM_NATIVE, NULL},
                {"1.2.840.10008.1.2.1", TL_DICOM_NATIVE, NULL},
                {"1.2.840.10008.1.2.1.99", TL_DICOM_NATIVE, NULL},
                {"1.2.840.10008.1.2.2", TL_DICOM_NATIVE, NULL},
                {"1.2.840.10008.1.2.5", TL_DICOM_RLE, NULL},
                {"1.2.840.10008.1.2.4.50", TL_DICOM_JPEG, NULL}, /* baseline */
                {"1.2.840.10008.1.2.4.51", TL_DICOM_JPEG, NULL}, /* extended, 12 bits */
                {"1.2.840.10008.1.2.4.53", TL_DICOM_JPEG, NULL}, /* spectral selection; retired, as are */
                {"1.2.840.10008.1.2.4.55", TL_DICOM_JPEG, NULL}, /* progressive */
                {"1.2.840.10008.1.2.4.57", TL_DICOM_JPEG, NULL}, /* lossless */
                {"1.2.840.10008.1.2.4.70", TL_DICOM_JPEG, NULL}, /* lossless, first predictor */
                {"1.2.840.10008.1.2.4.80", TL_DICOM_JPEG_LS, NULL},
                {"1.2.840.10008.1.2.4.81", TL_DICOM_JPEG_LS, NULL},   /* near lossless */
                {"1.2.840.10008.1.2.4.90", TL_DICOM_JPEG_2000, NULL}, /* lossless */
                {"1.2.840.10008.1.2.4.91", TL_DICOM_JPEG_2000, NULL},
                {"1.2.840.10008.1.2.4.100", TL_DICOM_UNREAD, "a film (MPEG-2)"},
                {"1.2.840.10008.1.2.4.101", TL_DICOM_UNREAD, "a film (MPEG-2)"},
                {"1.2.840.10008.1.2.4.102", TL_DICOM_UNREAD, "a film (MPEG-4)"},
                {"1.2.840.10008.1.2.4.103", TL_DICOM_UNREAD, "a film (MPEG-4)"},
                {"1.2.840.10008.1.2.4.201", TL_DICOM_UNREAD, "High-Throughput JPEG 2000"},
                {"1.2.840.10008.1.2.4.202", TL_DICOM_UNREAD, "High-Throughput JPEG 2000"},
                {"1.2.840.10008.1.2.4.203", TL_DICOM_UNREAD, "High-Throughput JPEG 2000"},
                {"1.2.840.10008.1.2.4.110", TL_DICOM_UNREAD, "JPEG XL"},
                {"1.2.840.10008.1.2.4.111", TL_DICOM_UNREAD, "JPEG XL"},
                {"1.2.840.10008.1.2.4.112", TL_DICOM_UNREAD, "JPEG XL"}};

tl_dicom_codec tl__dicom_codec(const char *syntax, const char **why)
{
    *why = "compressed in a way that is not known here";
    for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++)
        if (strcmp(syntax, syntaxes[i].syntax) == 0) {
            *why = syntaxes[i].why;
            return syntaxes[i].codec;
        }
    return TL_DICOM_UNREAD;
}

/* ---- stored numbers ---- */

/* The bits that count of a number that was read, from bit `low` on, with its sign. */
static int32_t bits_from(const tl_dicom *d, uint32_t raw, int low)
{
    int bits = d->bits_stored;
    raw >>= low;
    if (bits == 32) return (int32_t)raw;
    uint32_t mask = ((uint32_t)1 << bits) - 1, sign = (uint32_t)1 << (bits - 1);
    raw &= mask;
    return d->is_signed && raw & sign ? (int32_t)(raw | ~mask) : (int32_t)raw;
}

static int32_t stored_bits(const tl_dicom *d, uint32_t raw)
{
    return bits_from(d, raw, d->high_bit + 1 - d->bits_stored);
}

/* Number `i` of all pixels. */
static uint32_t raw_number(const tl_dicom *d, int64_t i)
{
    const uint8_t *p = d->own->pixels.at;
    int big = d->own->big;
    switch (d->bits_allocated) {
    case 1: return p[i >> 3] >> (i & 7) & 1;
    case 8: return p[d->own->swapped_pairs && ((uint64_t)i ^ 1) < d->own->pixels.bytes ? i ^ 1 : i];
    case 16: return tl__dicom_u16(p + 2 * i, big);
    default: return tl__dicom_u32(p + 4 * i, big);
    }
}

/* Two pixels share a colour: Y Y Cb Cr. */
static int native_422(tl_error *err, const tl_dicom *d, int frame, int32_t *out)
{
    int64_t pixels = (int64_t)d->rows * d->columns;
    if (d->columns % 2 || d->planar)
        return tl__fail(err, TL_EFORMAT, "%s: YBR_FULL_422 has pairs of pixels in a row, and this picture has not",
                        d->name);
    for (int64_t i = 0; i < pixels; i++) {
        int64_t pair = 2 * (pixels * frame + i - i % 2);
        out[3 * i] = stored_bits(d, raw_number(d, pair + i % 2));
        out[3 * i + 1] = stored_bits(d, raw_number(d, pair + 2));
        out[3 * i + 2] = stored_bits(d, raw_number(d, pair + 3));
    }
    return 0;
}

static void native(const tl_dicom *d, int frame, int32_t *out)
{
    int64_t n = tl__dicom_numel(d), pixels = n / d->samples, from = n * frame;
    if (d->samples == 3 && d->planar) {
        for (int64_t i = 0; i < n; i++) out[i % pixels * 3 + i / pixels] = stored_bits(d, raw_number(d, from + i));
    } else if (d->bits_allocated == 16 && !d->own->big) { /* most files: a loop of its own, since a series has many */
        const uint8_t *p = d->own->pixels.at + 2 * from;
        int down = d->high_bit + 1 - d->bits_stored, up = 32 - d->bits_stored;
        for (int64_t i = 0; i < n; i++) {
            uint32_t v = (uint32_t)(p[2 * i] | p[2 * i + 1] << 8) >> down << up;
            out[i] = d->is_signed ? (int32_t)v >> up : (int32_t)(v >> up);
        }
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = stored_bits(d, raw_number(d, from + i));
    }
}

int tl__dicom_stored(tl_error *err, const tl_dicom *d, int frame, int32_t *out)
{
    if (frame < 0 || frame >= d->frames)
        return tl__fail(err, TL_EARG, "%s: there is no frame %d of %d", d->name, frame + 1, d->frames);
    if (!d->own->pixels.at) {
        if (tl__dicom_decode(err, d, frame, out) != 0) return -1;
        int64_t n = tl__dicom_numel(d);
        for (int64_t i = 0; i < n; i++) out[i] = bits_from(d, (uint32_t)out[i], 0);
        return 0;
    }
    if (strcmp(d->photometric, "YBR_FULL_422") == 0) return native_422(err, d, frame, out);
    native(d, frame, out);
    return 0;
}

/* ---- what they mean ---- */

int tl__dicom_channels(const tl_dicom *d)
{
    return d->samples == 3 || strcmp(d->photometric, "PALETTE COLOR") == 0 ? 3 : 1;
}

static double table_value(const tl_dicom *d, const tl_dicom_table *t, int64_t v)
{
    int64_t i = v - t->first;
    i = i < 0 ? 0 : i >= t->count ? t->count - 1 : i;
    if (t->values.bytes >= 2 * (size_t)t->count) return tl__dicom_u16(t->values.at + 2 * i, d->own->big);
    return t->values.at[i];
}

static void through_palette(const tl_dicom *d, const int32_t *stored, int64_t pixels, float *out)
{
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) {
            const tl_dicom_table *t = &d->own->palette[c];
            double v = table_value(d, t, stored[i]);
            out[3 * i + c] = (float)(t->bits > 8 ? v / 257 : v);
        }
}

static float clip(double v, double most) { return (float)(v < 0 ? 0 : v > most ? most : v); }

/* YCbCr of the full range (the standard, part 3, C.7.6.3.1.2) to RGB, rounded as numbers of its depth are. */
static void to_rgb(int32_t *p, int64_t pixels, int bits)
{
    double half = ldexp(1, bits - 1), most = ldexp(1, bits) - 1;
    for (int64_t i = 0; i < pixels; i++, p += 3) {
        double y = p[0], b = p[1] - half, r = p[2] - half;
        p[0] = (int32_t)clip(floor(y + 1.402 * r + 0.5), most);
        p[1] = (int32_t)clip(floor(y - 0.114 * 1.772 / 0.587 * b - 0.299 * 1.402 / 0.587 * r + 0.5), most);
        p[2] = (int32_t)clip(floor(y + 1.772 * b + 0.5), most);
    }
}

static int colours(const tl_dicom *d, int32_t *stored, int64_t pixels, float *out)
{
    if (strncmp(d->photometric, "YBR_FULL", 8) == 0) to_rgb(stored, pixels, d->bits_stored);
    double scale = d->bits_stored == 8 ? 1 : 255 / (ldexp(1, d->bits_stored) - 1);
    for (int64_t i = 0; i < 3 * pixels; i++) out[i] = (float)(stored[i] * scale);
    return 0;
}

static int grey(tl_error *err, const tl_dicom *d, int frame, int flags, const int32_t *stored, float *out)
{
    const tl_dicom_table *t = &d->own->modality;
    const tl_dicom_frame *f = &d->frame[frame];
    int64_t n = tl__dicom_numel(d);
    int invert = flags & TL_DICOM_INVERT && strcmp(d->photometric, "MONOCHROME1") == 0;
    int unsigned_32 = d->bits_stored == 32 && !d->is_signed;
    double sum = d->is_signed ? -1 : ldexp(1, d->bits_stored) - 1; /* of the lowest and the highest number */
    if (t->known && (t->known != 3 || t->values.bytes < (size_t)t->count))
        return tl__fail(err, TL_EFORMAT, "%s: its table of values (Modality LUT) is too short", d->name);
    for (int64_t i = 0; i < n; i++) {
        double v = unsigned_32 ? (double)(uint32_t)stored[i] : stored[i];
        if (invert) v = sum - v;
        out[i] = (float)(t->known ? table_value(d, t, (int64_t)v) : v * f->slope + f->intercept);
    }
    return 0;
}

int tl__dicom_seen(tl_error *err, const tl_dicom *d, float *values, int64_t n)
{
    const tl_dicom_table *t = &d->own->seen;
    if (t->known != 3 || t->values.bytes < (size_t)t->count || t->bits < 1 || t->bits > 16)
        return tl__fail(err, TL_EFORMAT, "%s: its table of what is seen (VOI LUT) is damaged; name a window", d->name);
    double most = ldexp(1, t->bits) - 1;
    for (int64_t i = 0; i < n; i++) {
        double v = floor(values[i]), y = table_value(d, t, v > -1e9 && v < 1e9 ? (int64_t)v : t->first) / most;
        values[i] = (float)(y > 1 ? 1 : y);
    }
    return 0;
}

int tl__dicom_values(tl_error *err, const tl_dicom *d, int frame, int flags, float *out)
{
    int64_t n = tl__dicom_numel(d), pixels = n / d->samples;
    int32_t *stored = tl__malloc(err, (size_t)n * sizeof *stored);
    int bad = !stored || tl__dicom_stored(err, d, frame, stored) != 0;
    if (bad) {
    } else if (d->samples == 3) {
        bad = colours(d, stored, pixels, out);
    } else if (tl__dicom_channels(d) == 3) {
        through_palette(d, stored, pixels, out);
    } else {
        bad = grey(err, d, frame, flags, stored, out);
    }
    free(stored);
    return bad ? -1 : 0;
}
