/* dicom_walk.c - through the elements of a DICOM data set. Lengths are held against the bytes that are left, and
 * nothing is allocated. Private elements, and sequences that nobody asks for, are stepped over by their length; what
 * has none (an undefined length) has to be gone through to find its end. */
#include "io/dicom_inside.h"

#include <string.h>

#define ITEM 0xfffee000u
#define ITEM_END 0xfffee00du
#define SEQUENCE_END 0xfffee0ddu
#define PIXELS 0x7fe00010u
#define UNDEFINED 0xffffffffu
#define MOST_DEPTH 24

uint16_t tl__dicom_u16(const uint8_t *p, int big) { return (uint16_t)(big ? p[0] << 8 | p[1] : p[1] << 8 | p[0]); }

uint32_t tl__dicom_u32(const uint8_t *p, int big)
{
    return big ? (uint32_t)tl__dicom_u16(p, 1) << 16 | tl__dicom_u16(p + 2, 1)
               : (uint32_t)tl__dicom_u16(p + 2, 0) << 16 | tl__dicom_u16(p, 0);
}

/* What stands before a value. */
typedef struct head {
    uint32_t tag, length;
    char type[3]; /* empty where the file does not say it */
} head;

static int cut_short(tl_error *err, const tl_walk *w, size_t at)
{
    return tl__fail(err, TL_EFORMAT,
                    "%s: the DICOM file ends within an element (byte %zu of its data set); get it anew", w->name, at);
}

static int has_long_length(const char *type)
{
    static const char *const all[] = {"OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UR", "UT", "UN", "SV", "UV"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (memcmp(type, all[i], 2) == 0) return 1;
    return 0;
}

/* Reads a head at *at, and puts *at behind it. */
static int read_head(tl_error *err, const tl_walk *w, int explicit_types, size_t *at, size_t end, head *h)
{
    if (end - *at < 8) return cut_short(err, w, *at);
    const uint8_t *p = w->data + *at;
    *h = (head){.tag = (uint32_t)tl__dicom_u16(p, w->big) << 16 | tl__dicom_u16(p + 2, w->big)};
    if (h->tag >> 16 == 0xfffe || !explicit_types) {
        h->length = tl__dicom_u32(p + 4, w->big);
        *at += 8;
        return 0;
    }
    memcpy(h->type, p + 4, 2);
    if (h->type[0] < 'A' || h->type[0] > 'Z' || h->type[1] < 'A' || h->type[1] > 'Z')
        return tl__fail(err, TL_EFORMAT,
                        "%s: the DICOM file is damaged: element (%04x,%04x) has no type; get it anew", w->name,
                        h->tag >> 16, h->tag & 0xffff);
    if (!has_long_length(h->type)) {
        h->length = tl__dicom_u16(p + 6, w->big);
        *at += 8;
        return 0;
    }
    if (end - *at < 12) return cut_short(err, w, *at);
    h->length = tl__dicom_u32(p + 8, w->big);
    *at += 12;
    return 0;
}

static int check_length(tl_error *err, const tl_walk *w, const head *h, size_t at, size_t end)
{
    if (h->length <= end - at) return 0;
    return tl__fail(
        err, TL_EFORMAT,
        "%s: element (%04x,%04x) of the DICOM file says that it has %u bytes, and %zu are left; get it anew", w->name,
        h->tag >> 16, h->tag & 0xffff, h->length, end - at);
}

/* What the items of a sequence tell of; TL_DICOM_ELSEWHERE: nothing. */
static tl_place place_within(uint32_t tag, tl_place outer)
{
    switch (tag) {
    case 0x52009229:
        return outer.kind == TL_DICOM_TOP ? (tl_place){TL_DICOM_SHARED, 0} : (tl_place){TL_DICOM_ELSEWHERE, 0};
    case 0x52009230:
        return outer.kind == TL_DICOM_TOP ? (tl_place){TL_DICOM_ONE_FRAME, 0} : (tl_place){TL_DICOM_ELSEWHERE, 0};
    case 0x00283000:
        return outer.kind == TL_DICOM_TOP ? (tl_place){TL_DICOM_MODALITY, 0} : (tl_place){TL_DICOM_ELSEWHERE, 0};
    case 0x00283010:
        return outer.kind == TL_DICOM_TOP ? (tl_place){TL_DICOM_SEEN, 0} : (tl_place){TL_DICOM_ELSEWHERE, 0};
    case 0x00620002:
        return outer.kind == TL_DICOM_TOP ? (tl_place){TL_DICOM_SEGMENT, 0} : (tl_place){TL_DICOM_ELSEWHERE, 0};
    case 0x00081115:
        return outer.kind == TL_DICOM_TOP ? (tl_place){TL_DICOM_MARKED, 0} : (tl_place){TL_DICOM_ELSEWHERE, 0};
    case 0x0062000a: /* which segment */
    case 0x00289110: /* pixel measures */
    case 0x00209113: /* plane position */
    case 0x00209116: /* plane orientation */
    case 0x00289145: /* rescaling */
    case 0x00289132: /* window */
        if (outer.kind == TL_DICOM_SHARED || outer.kind == TL_DICOM_ONE_FRAME) return outer;
        return (tl_place){TL_DICOM_ELSEWHERE, 0};
    default: return (tl_place){TL_DICOM_ELSEWHERE, 0};
    }
}

static int walk_set(tl_error *err, tl_walk *w, int explicit_types, size_t *at, size_t end, int open_end,
                    tl_place place, int depth);

/* The items of a sequence from *at on; *at is behind it then. */
static int walk_items(tl_error *err, tl_walk *w, int explicit_types, uint32_t tag, size_t *at, size_t end,
                      int open_end, tl_place outer, int depth)
{
    tl_place place = place_within(tag, outer);
    if (depth > MOST_DEPTH)
        return tl__fail(err, TL_EFORMAT,
                        "%s: the DICOM file is damaged: sequences lie in each other more than %d deep", w->name,
                        MOST_DEPTH);
    for (int64_t i = 0; open_end || *at < end; i++) {
        head h;
        if (read_head(err, w, explicit_types, at, end, &h) != 0) return -1;
        if (h.tag == SEQUENCE_END && open_end) return 0;
        if (h.tag != ITEM)
            return tl__fail(err, TL_EFORMAT,
                            "%s: the DICOM file is damaged: (%04x,%04x) stands between the items of sequence "
                            "(%04x,%04x); get it anew",
                            w->name, h.tag >> 16, h.tag & 0xffff, tag >> 16, tag & 0xffff);
        int counted = place.kind == TL_DICOM_SEGMENT || place.kind == TL_DICOM_SEEN;
        if (counted || (tag == 0x52009230 && place.kind == TL_DICOM_ONE_FRAME)) place.frame = i;
        int open_item = h.length == UNDEFINED;
        if (!open_item && check_length(err, w, &h, *at, end) != 0) return -1;
        if (walk_set(err, w, explicit_types, at, open_item ? end : *at + h.length, open_item, place, depth + 1) != 0)
            return -1;
    }
    return 0;
}

static int is_sequence(const head *h)
{
    if (h->length == UNDEFINED) return 1;
    if (h->type[0]) return memcmp(h->type, "SQ", 2) == 0;
    return place_within(h->tag, (tl_place){TL_DICOM_TOP, 0}).kind != TL_DICOM_ELSEWHERE ||
           place_within(h->tag, (tl_place){TL_DICOM_SHARED, 0}).kind != TL_DICOM_ELSEWHERE;
}

static void found_pixels(tl_walk *w, const head *h, size_t at)
{
    w->has_pixels = 1;
    w->undefined = h->length == UNDEFINED;
    w->words = memcmp(h->type, "OW", 2) == 0;
    w->pixels = (tl_bytes){w->data + at, w->undefined ? w->bytes - at : h->length};
}

/* The elements up to `end`, or up to the end of an item without a length. */
static int walk_set(tl_error *err, tl_walk *w, int explicit_types, size_t *at, size_t end, int open_end,
                    tl_place place, int depth)
{
    while (open_end || *at < end) {
        head h;
        if (read_head(err, w, explicit_types, at, end, &h) != 0) return -1;
        if (h.tag == ITEM_END && open_end) return 0;
        if (*at > TL_DICOM_MOST_HEADER)
            return tl__fail(err, TL_EFORMAT,
                            "%s: more than %zu MB stand before the pixels of the DICOM file, which no "
                            "scanner writes; it is damaged, or no picture",
                            w->name, TL_DICOM_MOST_HEADER >> 20);
        int undefined = h.length == UNDEFINED;
        if (!undefined && check_length(err, w, &h, *at, end) != 0) return -1;
        if (depth == 0 && h.tag == PIXELS) {
            found_pixels(w, &h, *at);
            return 0;
        }
        if (!is_sequence(&h)) {
            tl_element e = {h.tag, w->data + *at, h.length};
            if (place.kind != TL_DICOM_ELSEWHERE && !(h.tag >> 16 & 1) && w->take(err, w->with, &e, place) != 0)
                return -1;
            *at += h.length;
        } else if (!undefined && place_within(h.tag, place).kind == TL_DICOM_ELSEWHERE) {
            *at += h.length;
        } else { /* of unknown type and length: it is written without types (the standard, part 5, 6.2.2) */
            int types = explicit_types && memcmp(h.type, "UN", 2) != 0;
            if (walk_items(err, w, types, h.tag, at, undefined ? end : *at + h.length, undefined, place, depth) != 0)
                return -1;
        }
    }
    return 0;
}

int tl__dicom_walk(tl_error *err, tl_walk *w)
{
    size_t at = 0;
    return walk_set(err, w, w->explicit_types, &at, w->bytes, 0, (tl_place){TL_DICOM_TOP, 0}, 0);
}

int tl__dicom_meta(tl_error *err, tl_walk *w, char *syntax, size_t room, size_t *behind)
{
    size_t at = *behind;
    while (w->bytes - at >= 8 && w->data[at] == 2 && w->data[at + 1] == 0) {
        head h;
        if (read_head(err, w, 1, &at, w->bytes, &h) != 0 || check_length(err, w, &h, at, w->bytes) != 0) return -1;
        if (h.tag == 0x00020010) {
            size_t n = h.length < room ? h.length : room - 1, m = 0;
            while (m < n && (w->data[at + m] == '.' || (w->data[at + m] >= '0' && w->data[at + m] <= '9'))) m++;
            memcpy(syntax, w->data + at, m);
            syntax[m] = 0;
        }
        at += h.length;
    }
    *behind = at;
    return 0;
}
