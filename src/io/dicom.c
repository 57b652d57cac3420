/* dicom.c - what a DICOM file says of its pictures, held together before any of it is believed: sizes against the
 * bytes of the pixels, depths against each other. The data set is gone through once for what stands at its top, and
 * once more for what functional groups say of single frames, since only then is it known that there are so many. */
#include "base/text.h"
#include "io/dicom_inside.h"
#include "io/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define IMPLICIT "1.2.840.10008.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"
#define DEFLATED "1.2.840.10008.1.2.1.99"
#define BIG "1.2.840.10008.1.2.2"

/* ---- values of elements ---- */

/* A text without the blanks around it; what does not print becomes a question mark. */
static void take_text(const tl_element *e, char *to, size_t room)
{
    const uint8_t *p = e->value;
    size_t n = e->bytes;
    while (n && (p[n - 1] == ' ' || p[n - 1] == 0)) n--;
    while (n && *p == ' ') p++, n--;
    if (n >= room) n = room - 1;
    for (size_t i = 0; i < n; i++) to[i] = p[i] < 32 || p[i] == 127 ? '?' : (char)p[i];
    to[n] = 0;
}

/* Up to `most` decimal numbers with backslashes between them; how many. One that is none, or is not finite, ends it.
 */
static int take_numbers(const tl_element *e, double *to, int most)
{
    size_t at = 0;
    for (int n = 0; n < most; n++) {
        char text[40];
        size_t k = 0;
        if (at >= e->bytes) return n;
        for (; at < e->bytes && e->value[at] != '\\'; at++)
            if (k < sizeof text - 1) text[k++] = (char)e->value[at];
        at++;
        text[k] = 0;
        char *end;
        double v = tl__read_number(text, &end);
        if (end == text || !isfinite(v)) return n;
        to[n] = v;
    }
    return most;
}

static void take_number(const tl_element *e, double *to)
{
    double v;
    if (take_numbers(e, &v, 1) == 1) *to = v;
}

static void take_whole(const tl_element *e, int64_t *to)
{
    double v;
    if (take_numbers(e, &v, 1) == 1 && v == floor(v) && fabs(v) < 1e15) *to = (int64_t)v;
}

static void take_short(const tl_dicom *d, const tl_element *e, int *to)
{
    if (e->bytes >= 2) *to = tl__dicom_u16(e->value, d->own->big);
}

/* ---- the top of the data set ---- */

/* A file as it is read: numbers that are checked when all are there. */
typedef struct reading {
    tl_dicom *d;
    int64_t frames;
    int groups;     /* there are functional groups */
    int table_type; /* 1: floats instead of pixels */
    double centres[TL_DICOM_MOST_WINDOWS], widths[TL_DICOM_MOST_WINDOWS];
    int centre_count, width_count;
    tl_dicom_frame all; /* what holds for all frames */
    int per_frame;      /* the second time through */
} reading;

static void take_table_size(const tl_dicom *d, const tl_element *e, tl_dicom_table *t)
{
    if (e->bytes < 6) return;
    int count = tl__dicom_u16(e->value, d->own->big), first = tl__dicom_u16(e->value + 2, d->own->big);
    t->count = count ? count : 65536;
    t->first = first; /* its sign is that of the pixels, which is known later */
    t->bits = tl__dicom_u16(e->value + 4, d->own->big);
    t->known |= 1;
}

static void take_table(const tl_element *e, tl_dicom_table *t)
{
    t->values = (tl_bytes){e->value, e->bytes};
    t->known |= 2;
}

/* Sizes, depths and colours. */
static void take_pixels_about(reading *r, const tl_element *e)
{
    tl_dicom *d = r->d;
    switch (e->tag) {
    case 0x00280002: take_short(d, e, &d->samples); break;
    case 0x00280004: take_text(e, d->photometric, sizeof d->photometric); break;
    case 0x00280006: take_short(d, e, &d->planar); break;
    case 0x00280008: take_whole(e, &r->frames); break;
    case 0x00280010: take_short(d, e, &d->rows); break;
    case 0x00280011: take_short(d, e, &d->columns); break;
    case 0x00280100: take_short(d, e, &d->bits_allocated); break;
    case 0x00280101: take_short(d, e, &d->bits_stored); break;
    case 0x00280102: take_short(d, e, &d->high_bit); break;
    case 0x00280103: take_short(d, e, &d->is_signed); break;
    case 0x00281101:
    case 0x00281102:
    case 0x00281103: take_table_size(d, e, &d->own->palette[e->tag - 0x00281101]); break;
    case 0x00281201:
    case 0x00281202:
    case 0x00281203: take_table(e, &d->own->palette[e->tag - 0x00281201]); break;
    case 0x00281221:
    case 0x00281222:
    case 0x00281223: d->own->palette[e->tag - 0x00281221].known |= 4; break;
    case 0x7fe00001: d->own->wide_offsets = (tl_bytes){e->value, e->bytes}; break;
    case 0x7fe00008:
    case 0x7fe00009: r->table_type = 1; break;
    default: break;
    }
}

static void take_identity(reading *r, const tl_element *e)
{
    tl_dicom *d = r->d;
    switch (e->tag) {
    case 0x00080018: take_text(e, d->uid, sizeof d->uid); break;
    case 0x00080060: take_text(e, d->modality, sizeof d->modality); break;
    case 0x00080070: take_text(e, d->manufacturer, sizeof d->manufacturer); break;
    case 0x0008103e: take_text(e, d->description, sizeof d->description); break;
    case 0x00081090: take_text(e, d->scanner, sizeof d->scanner); break;
    case 0x00100020: take_text(e, d->patient, sizeof d->patient); break;
    case 0x00100040: take_text(e, d->sex, sizeof d->sex); break;
    case 0x00101010: take_text(e, d->age, sizeof d->age); break;
    case 0x00180015: take_text(e, d->body_part, sizeof d->body_part); break;
    case 0x0020000d: take_text(e, d->study, sizeof d->study); break;
    case 0x00280301: take_text(e, d->burned_in, sizeof d->burned_in); break;
    case 0x0020000e: take_text(e, d->series, sizeof d->series); break;
    case 0x00200011: take_whole(e, &d->series_number); break;
    case 0x00200013: take_whole(e, &d->instance); break;
    case 0x00620001: take_text(e, d->segmentation, sizeof d->segmentation); break;
    case 0x0062000e: take_short(d, e, &d->whole); break;
    case 0x00200060:
    case 0x00200062: /* of the series; of the image, which comes later and is nearer */
        take_text(e, d->laterality, sizeof d->laterality);
        break;
    default: break;
    }
}

/* What may stand at the top, or in a functional group for all frames or for one. */
static void take_geometry(reading *r, const tl_element *e, tl_dicom_frame *f)
{
    tl_dicom *d = r->d;
    double v[6];
    switch (e->tag) {
    case 0x00180050: take_number(e, &d->thickness); break;
    case 0x00180088: take_number(e, &d->slice_spacing); break;
    case 0x00280030:
        if (take_numbers(e, v, 2) == 2 && v[0] > 0 && v[1] > 0) memcpy(d->spacing, v, sizeof d->spacing);
        break;
    case 0x00200032:
        if (take_numbers(e, v, 3) == 3) memcpy(f->position, v, sizeof f->position), f->placed = 1;
        break;
    case 0x00200037:
        if (take_numbers(e, v, 6) == 6) memcpy(f->orientation, v, sizeof f->orientation), f->oriented = 1;
        break;
    case 0x0062000b: take_short(d, e, &f->segment); break;
    case 0x00281052: take_number(e, &f->intercept); break;
    case 0x00281053: take_number(e, &f->slope); break;
    case 0x00281056: take_text(e, d->window_function, sizeof d->window_function); break;
    case 0x00281050: r->centre_count = take_numbers(e, r->centres, TL_DICOM_MOST_WINDOWS); break;
    case 0x00281051: r->width_count = take_numbers(e, r->widths, TL_DICOM_MOST_WINDOWS); break;
    default: break;
    }
}

#define MOST_SEGMENTS 65535 /* their numbers have 16 bits */

/* Number and name of a segment, item `i` of their sequence. */
static int take_segment(tl_error *err, tl_dicom *d, const tl_element *e, int64_t i)
{
    if ((e->tag != 0x00620004 && e->tag != 0x00620005) || i >= MOST_SEGMENTS) return 0;
    if (i >= d->segments) {
        tl_dicom_segment *more = tl__realloc(err, d->segment, (size_t)(i + 1) * sizeof *more);
        if (!more) return -1;
        memset(more + d->segments, 0, (size_t)(i + 1 - d->segments) * sizeof *more);
        d->segment = more;
        d->segments = (int)i + 1;
    }
    if (e->tag == 0x00620004) take_short(d, e, &d->segment[i].number);
    else take_text(e, d->segment[i].label, sizeof d->segment[i].label);
    return 0;
}

/* Slope and intercept are nothing, or a number: values by a guess would be Hounsfield units that are none. */
static int check_rescale(tl_error *err, const tl_dicom *d, const tl_element *e)
{
    double v;
    size_t blank = 0;
    while (blank < e->bytes && (e->value[blank] == ' ' || e->value[blank] == 0)) blank++;
    if (blank == e->bytes || take_numbers(e, &v, 1) == 1) return 0;
    return tl__fail(err, TL_EFORMAT, "%s: the DICOM file is damaged: its rescale %s is no number; get it anew", d->name,
                    e->tag == 0x00281053 ? "slope" : "intercept");
}

static int take(tl_error *err, void *with, const tl_element *e, tl_place place)
{
    reading *r = with;
    int geometry = place.kind == TL_DICOM_TOP || place.kind == TL_DICOM_SHARED || place.kind == TL_DICOM_ONE_FRAME;
    if (geometry && (e->tag == 0x00281052 || e->tag == 0x00281053) && check_rescale(err, r->d, e) != 0) return -1;
    if (place.kind == TL_DICOM_SHARED || place.kind == TL_DICOM_ONE_FRAME) r->groups = 1;
    if (r->per_frame) {
        if (place.kind == TL_DICOM_ONE_FRAME && place.frame < r->d->frames)
            take_geometry(r, e, &r->d->frame[place.frame]);
    } else if (place.kind == TL_DICOM_MODALITY) {
        if (e->tag == 0x00283002) take_table_size(r->d, e, &r->d->own->modality);
        if (e->tag == 0x00283006) take_table(e, &r->d->own->modality);
    } else if (place.kind == TL_DICOM_SEEN && place.frame == 0) { /* the first of several */
        if (e->tag == 0x00283002) take_table_size(r->d, e, &r->d->own->seen);
        if (e->tag == 0x00283006) take_table(e, &r->d->own->seen);
    } else if (place.kind == TL_DICOM_SEGMENT) {
        return take_segment(err, r->d, e, place.frame);
    } else if (place.kind == TL_DICOM_MARKED) {
        if (e->tag == 0x0020000e) take_text(e, r->d->marked_series, sizeof r->d->marked_series);
    } else if (place.kind == TL_DICOM_TOP || place.kind == TL_DICOM_SHARED) {
        if (place.kind == TL_DICOM_TOP) take_pixels_about(r, e), take_identity(r, e);
        take_geometry(r, e, &r->all);
    }
    return 0;
}

/* ---- what does not go together ---- */

static int check_depths(tl_error *err, const tl_dicom *d)
{
    int a = d->bits_allocated;
    if (a != 1 && a != 8 && a != 16 && a != 32)
        return tl__fail(err, TL_EFORMAT, "%s: %d bits a pixel, and 1, 8, 16 and 32 are read", d->name, a);
    if (d->bits_stored < 1 || d->bits_stored > a || d->high_bit < d->bits_stored - 1 || d->high_bit >= a)
        return tl__fail(err, TL_EFORMAT,
                        "%s: the DICOM file is damaged: %d bits up to bit %d are said to stand in %d bits", d->name,
                        d->bits_stored, d->high_bit, a);
    if (d->samples != 1 && d->samples != 3)
        return tl__fail(err, TL_EFORMAT, "%s: %d numbers a pixel, and 1 (grey) and 3 (colour) are read", d->name,
                        d->samples);
    if (d->samples == 3 && a != 8 && a != 16)
        return tl__fail(err, TL_EFORMAT, "%s: colours of %d bits, and those of 8 and 16 are read", d->name, a);
    return 0;
}

static int check_colours(tl_error *err, const tl_dicom *d)
{
    static const char *const grey[] = {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"};
    static const char *const colour[] = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"};
    const char *const *all = d->samples == 1 ? grey : colour;
    size_t n = d->samples == 1 ? sizeof grey / sizeof *grey : sizeof colour / sizeof *colour, i = 0;
    while (i < n && strcmp(d->photometric, all[i]) != 0) i++;
    if (i == n)
        return tl__fail(err, TL_EFORMAT,
                        "%s: %d numbers a pixel are called \"%s\" (PhotometricInterpretation), which is "
                        "not read",
                        d->name, d->samples, d->photometric);
    if (strcmp(d->photometric, "PALETTE COLOR") != 0) return 0;
    for (int k = 0; k < 3; k++) {
        const tl_dicom_table *t = &d->own->palette[k];
        if (t->known & 4 && !(t->known & 2))
            return tl__fail(err, TL_EFORMAT, "%s: its palette is kept in segments, which are not read", d->name);
        if (t->known != 3 || t->values.bytes < (size_t)t->count)
            return tl__fail(err, TL_EFORMAT, "%s: its palette is missing or too short", d->name);
    }
    return 0;
}

/* Bytes of one frame as it stands in an uncompressed file, in bits, since one of 1 bit need not end with a byte. */
static int64_t frame_bits(const tl_dicom *d)
{
    int64_t n = tl__dicom_numel(d);
    if (strcmp(d->photometric, "YBR_FULL_422") == 0) n = n / 3 * 2;
    return n * d->bits_allocated;
}

static int check_native(tl_error *err, const tl_dicom *d, size_t bytes)
{
    int64_t bits, need;
    if (tl__mul_size(frame_bits(d), d->frames, &bits) != 0 || bits > INT64_MAX - 7) bits = INT64_MAX - 7;
    need = (bits + 7) / 8;
    uint64_t over = bytes - (uint64_t)need; /* filling up to an even length, or to a block of some program's */
    if ((uint64_t)need <= bytes && (over <= 1 || over < (uint64_t)frame_bits(d) / 8)) return 0;
    return tl__fail(
        err, TL_EFORMAT,
        "%s: its pixels have %zu bytes, and %d x %d x %d of %d bits with %d numbers each have %lld; get it "
        "anew",
        d->name, bytes, d->frames, d->rows, d->columns, d->bits_allocated, d->samples, (long long)need);
}

static int check(tl_error *err, const reading *r, const tl_walk *w)
{
    tl_dicom *d = r->d;
    const char *why = NULL;
    if (!w->has_pixels && r->table_type)
        return tl__fail(err, TL_EARG, "%s: its pixels are floats (a parametric map), which are not read", d->name);
    if (!w->has_pixels)
        return tl__fail(err, TL_EARG, "%s: a DICOM file without pixels%s%s; leave it out", d->name,
                        *d->modality ? " of modality " : "", d->modality);
    if (r->frames < 1 || r->frames > 1000000)
        return tl__fail(err, TL_EFORMAT, "%s: %lld frames, and a picture has one at least", d->name,
                        (long long)r->frames);
    d->frames = (int)r->frames;
    if (d->rows < 1 || d->columns < 1)
        return tl__fail(err, TL_EFORMAT, "%s: the DICOM file is damaged: its picture has %d x %d pixels", d->name,
                        d->rows, d->columns);
    if (tl__image_check_size(err, d->columns, d->rows) != 0) {
        tl__error_prefix(err, "%s: ", d->name);
        return -1;
    }
    if (check_depths(err, d) != 0 || check_colours(err, d) != 0) return -1;
    if (tl__dicom_codec(d->syntax, &why) == TL_DICOM_UNREAD)
        return tl__fail(err, TL_EFORMAT, "%s: its pixels are %s (transfer syntax %s), which is not read", d->name,
                        why, d->syntax);
    return 0;
}

/* ---- opening ---- */

/* The data set of a deflated file. A bomb of zeros is let go at 2 GB. */
static int inflate_set(tl_error *err, tl_dicom *d, const uint8_t *data, size_t bytes, size_t *out_bytes)
{
    z_stream s = {.next_in = (Bytef *)data, .avail_in = (uInt)(bytes > 0x7fffffff ? 0x7fffffff : bytes)};
    size_t room = 1 << 16, n = 0;
    int status = inflateInit2(&s, -MAX_WBITS);
    if (status != Z_OK) return tl__fail(err, TL_EMEMORY, "%s: no memory to inflate", d->name);
    while (status == Z_OK && n < 0x7fffffff) {
        uint8_t *more = tl__realloc(err, d->own->inflated, room *= 2);
        if (!more) break;
        d->own->inflated = more;
        s.next_out = more + n;
        s.avail_out = (uInt)(room - n);
        status = inflate(&s, Z_NO_FLUSH);
        n = room - s.avail_out;
    }
    inflateEnd(&s);
    *out_bytes = n;
    if (err->code) return -1;
    return status == Z_STREAM_END ? 0
                                  : tl__fail(err, TL_EFORMAT,
                                             "%s: the deflated DICOM file is damaged or cut short; "
                                             "get it anew",
                                             d->name);
}

/* Has the first element a type: two capital letters? Without one the length stands there, which is less. */
static int is_typed(const tl_walk *w)
{
    return w->bytes >= 6 && w->data[4] >= 'A' && w->data[4] <= 'Z' && w->data[5] >= 'A' && w->data[5] <= 'Z';
}

/* Where the data set begins, and how it is written. */
static int find_set(tl_error *err, tl_dicom *d, const uint8_t *data, size_t bytes, tl_walk *w)
{
    size_t at = bytes >= 132 && memcmp(data + 128, "DICM", 4) == 0 ? 132 : 0;
    if (bytes == 0) return tl__fail(err, TL_EFORMAT, "%s: the file is empty", d->name);
    if (!tl__looks_like_dicom(data, bytes))
        return tl__fail(err, TL_EFORMAT, "%s: no DICOM file (its head says nothing of DICM)", d->name);
    *w = (tl_walk){.name = d->name, .data = data, .bytes = bytes};
    if (tl__dicom_meta(err, w, d->syntax, sizeof d->syntax, &at) != 0) return -1;
    w->data += at;
    w->bytes -= at;
    if (!*d->syntax) strcpy(d->syntax, is_typed(w) ? EXPLICIT : IMPLICIT); /* without a head */
    w->explicit_types = strcmp(d->syntax, IMPLICIT) != 0;
    w->big = d->own->big = strcmp(d->syntax, BIG) == 0;
    if (strcmp(d->syntax, DEFLATED) == 0) {
        if (inflate_set(err, d, w->data, w->bytes, &w->bytes) != 0) return -1;
        w->data = d->own->inflated;
    }
    /* Some programs that compress a file say so in its head and leave the rest as it was, without types. */
    if (w->bytes >= 8 && !is_typed(w) && !w->big) w->explicit_types = 0;
    return 0;
}

static int read_frames(tl_error *err, reading *r, tl_walk *w)
{
    tl_dicom *d = r->d;
    d->frame = tl__calloc(err, (size_t)d->frames, sizeof *d->frame);
    if (!d->frame) return -1;
    for (int i = 0; i < d->frames; i++) d->frame[i] = r->all;
    r->per_frame = 1;
    if (r->groups && tl__dicom_walk(err, w) != 0) return -1;
    d->window_count = r->centre_count < r->width_count ? r->centre_count : r->width_count;
    for (int i = 0; i < d->window_count; i++) d->windows[i] = (tl_dicom_window){r->centres[i], r->widths[i]};
    for (int k = 0; k < 3; k++)
        if (d->is_signed) d->own->palette[k].first = (int16_t)d->own->palette[k].first;
    if (d->is_signed) {
        d->own->modality.first = (int16_t)d->own->modality.first;
        d->own->seen.first = (int16_t)d->own->seen.first;
    }
    d->seen_by_table = d->own->seen.known == 3;
    return 0;
}

static int read_set(tl_error *err, tl_dicom *d, const uint8_t *data, size_t bytes)
{
    reading r = {.d = d, .frames = 1, .all = {.slope = 1}};
    const char *why;
    tl_walk w;
    if (find_set(err, d, data, bytes, &w) != 0) return -1;
    w.take = take;
    w.with = &r;
    if (tl__dicom_walk(err, &w) != 0) return -1;
    d->is_signed = d->is_signed == 1;
    if (check(err, &r, &w) != 0) return -1;
    if (w.undefined ? tl__dicom_fragments(err, d, w.pixels) != 0 : check_native(err, d, w.pixels.bytes) != 0)
        return -1;
    if (!w.undefined && tl__dicom_codec(d->syntax, &why) != TL_DICOM_NATIVE)
        return tl__fail(err, TL_EFORMAT, "%s: its pixels should be compressed and are not; get it anew", d->name);
    if (w.undefined && tl__dicom_codec(d->syntax, &why) == TL_DICOM_NATIVE)
        return tl__fail(err, TL_EFORMAT, "%s: its pixels are in pieces, though they are not compressed; get it anew",
                        d->name);
    if (!w.undefined) d->own->pixels = w.pixels;
    d->own->swapped_pairs = w.big && w.words && d->bits_allocated == 8;
    return read_frames(err, &r, &w);
}

int tl__looks_like_dicom(const uint8_t *data, size_t bytes)
{
    if (bytes >= 132 && memcmp(data + 128, "DICM", 4) == 0) return 1;
    /* Without a head: group 2 or 8, a small element, and a type or a short length. */
    if (bytes < 16 || (data[0] != 8 && data[0] != 2) || data[1] || data[3]) return 0;
    int typed = data[4] >= 'A' && data[4] <= 'Z' && data[5] >= 'A' && data[5] <= 'Z';
    return typed || (data[6] == 0 && data[7] == 0);
}

tl_dicom *tl__dicom_open_memory(tl_error *err, const char *name, const void *data, size_t bytes)
{
    tl_dicom *d = tl__calloc(err, 1, sizeof *d);
    if (!d) return NULL;
    d->instance = d->series_number = -1;
    d->samples = 1;
    d->own = tl__calloc(err, 1, sizeof *d->own);
    d->name = tl__strdup(err, name);
    if (d->own && d->name && read_set(err, d, data, bytes) == 0) return d;
    tl__dicom_close(d);
    return NULL;
}

tl_dicom *tl__dicom_open(tl_error *err, const char *path)
{
    void *map;
    size_t bytes;
    if (tl__map_file(err, path, "a DICOM file", &map, &bytes) != 0) return NULL;
    tl_dicom *d = tl__dicom_open_memory(err, path, map, bytes);
    if (d) d->own->map = map, d->own->map_bytes = bytes;
    else tl__unmap_file(map, bytes);
    return d;
}

void tl__dicom_close(tl_dicom *d)
{
    if (!d) return;
    if (d->own) {
        tl__unmap_file(d->own->map, d->own->map_bytes);
        free(d->own->inflated);
        free(d->own->fragment);
    }
    free(d->own);
    free(d->frame);
    free(d->segment);
    free(d->name);
    free(d);
}

int64_t tl__dicom_numel(const tl_dicom *d) { return (int64_t)d->rows * d->columns * d->samples; }
