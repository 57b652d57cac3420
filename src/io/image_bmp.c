/* image_bmp.c - Windows bitmaps: palettes of 1, 4 and 8 bits, plain or run-length coded, and 16, 24 and 32 bits with or without masks, as
 * Microsoft's documents of BITMAPCOREHEADER to BITMAPV5HEADER have them. Alpha is left out. */
#include "io/image.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { RAW = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHABITFIELDS = 6, FILE_HEADER = 14 };

typedef struct header {
    int width, height, upside_down; /* rows from the bottom, as usual */
    int bits, coding, colours;
    uint32_t mask[3];               /* of red, green, blue */
    const uint8_t *palette, *pixels, *end;
    int entry;                      /* bytes of a colour of the palette */
} header;

static uint32_t le16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t le32(const uint8_t *p) { return le16(p) | le16(p + 2) << 16; }

static int damaged(tl_error *err, const char *what) { return tl__fail(err, TL_EFORMAT, "damaged BMP: %s", what); }

/* Masks as they are told, or as they are where nothing is told. */
static void find_masks(header *h, const uint8_t *told)
{
    static const uint32_t usual[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    memcpy(h->mask, usual[h->bits != 16], sizeof h->mask);
    uint32_t given = 0;
    for (int i = 0; told && i < 3; i++) given |= le32(told + 4 * i);
    for (int i = 0; given && i < 3; i++) h->mask[i] = le32(told + 4 * i);
}

static int read_header(tl_error *err, const uint8_t *d, size_t n, header *h)
{
    if (n < FILE_HEADER + 12) return damaged(err, "it is cut short");
    size_t offset = le32(d + 10), size = le32(d + FILE_HEADER);
    const uint8_t *p = d + FILE_HEADER;
    if (size != 12 && (size < 40 || size > 1024)) return tl__fail(err, TL_EFORMAT, "a BMP with a header of %zu bytes, which is not known", size);
    if (size > n - FILE_HEADER || offset > n) return damaged(err, "it is cut short");
    int64_t width = size == 12 ? (int64_t)le16(p + 4) : (int64_t)(int32_t)le32(p + 4);
    int64_t height = size == 12 ? (int64_t)le16(p + 6) : (int64_t)(int32_t)le32(p + 8);
    h->upside_down = height >= 0;
    h->bits = (int)le16(p + (size == 12 ? 10 : 14));
    h->coding = size == 12 ? RAW : (int)(le32(p + 16) & INT_MAX);
    if (tl__image_check_size(err, width, height < 0 ? -height : height) != 0) return -1;
    h->width = (int)width;
    h->height = (int)(height < 0 ? -height : height);
    h->entry = size == 12 ? 3 : 4;
    uint32_t colours = size == 12 ? 0 : le32(p + 32);
    h->colours = h->bits > 8 || h->bits < 1 ? 0 : colours && colours < 256 ? (int)colours : 1 << h->bits;
    int masked = h->coding == BITFIELDS || h->coding == ALPHABITFIELDS;
    size_t behind = FILE_HEADER + size + (masked && size == 40 ? (h->coding == BITFIELDS ? 12 : 16) : 0);
    if (masked && n < FILE_HEADER + 40 + 12) return damaged(err, "it is cut short");
    find_masks(h, masked ? p + 40 : NULL);
    h->palette = d + behind;
    h->pixels = d + offset;
    h->end = d + n;
    if (behind > n || (size_t)h->colours * (size_t)h->entry > n - behind) return damaged(err, "its palette is cut short");
    return 0;
}

static int check_kind(tl_error *err, const header *h)
{
    int b = h->bits, c = h->coding, raw = c == RAW && (b == 1 || b == 4 || b == 8 || b == 16 || b == 24 || b == 32);
    int masked = (c == BITFIELDS || c == ALPHABITFIELDS) && (b == 16 || b == 24 || b == 32);
    if (raw || masked || (c == RLE8 && b == 8) || (c == RLE4 && b == 4)) return 0;
    return tl__fail(err, TL_EFORMAT, "a BMP of %d bits a pixel in coding %d, which is not known", b, c);
}

/* ---- palettes ---- */

static int unpack_rows(tl_error *err, const header *h, uint8_t *to)
{
    size_t row = ((size_t)h->width * (size_t)h->bits + 31) / 32 * 4;
    int each = 8 / h->bits, most = (1 << h->bits) - 1;
    if (row * ((size_t)h->height - 1) + ((size_t)h->width * (size_t)h->bits + 7) / 8 > (size_t)(h->end - h->pixels)) return damaged(err, "it is cut short");
    for (int y = 0; y < h->height; y++) {
        const uint8_t *from = h->pixels + (size_t)y * row;
        for (int x = 0; x < h->width; x++) *to++ = (uint8_t)(from[x / each] >> (8 - h->bits - x % each * h->bits) & most);
    }
    return 0;
}

/* Runs of one or two indices, pieces as they are, and jumps; what is jumped over is index 0. */
static int unpack_runs(tl_error *err, const header *h, uint8_t *to)
{
    const uint8_t *p = h->pixels, *end = h->end;
    int64_t x = 0, y = 0, w = h->width;
    int four = h->coding == RLE4;
    memset(to, 0, (size_t)h->width * (size_t)h->height);
    while (y < h->height) {
        if (end - p < 2) return damaged(err, "it is cut short");
        int n = p[0], v = p[1];
        p += 2;
        if (n == 0 && v == 1) break;
        if (n == 0 && v == 0) {
            x = 0;
            y++;
        } else if (n == 0 && v == 2) {
            if (end - p < 2) return damaged(err, "it is cut short");
            x += p[0];
            y += p[1];
            p += 2;
        } else {
            int count = n ? n : v;
            ptrdiff_t bytes = n ? 0 : four ? (v + 1) / 2 : v;
            if (end - p < bytes) return damaged(err, "it is cut short");
            for (int i = 0; i < count; i++) {
                int pair = n ? v : p[four ? i / 2 : i], index = !four ? pair : i % 2 ? pair & 15 : pair >> 4;
                if (x < w) to[y * w + x++] = (uint8_t)index;
            }
            p += bytes + (bytes & 1 && p + bytes < end);
        }
    }
    return 0;
}

static int decode_palette(tl_error *err, const header *h, int indices, tl_image *out)
{
    if (tl__image_reserve(err, out, h->width, h->height, indices ? 1 : 3) != 0) return -1;
    size_t n = (size_t)h->width * (size_t)h->height;
    uint8_t *list = tl__malloc(err, n), table[256][3] = {{0}};
    int status = list ? (h->coding == RAW ? unpack_rows : unpack_runs)(err, h, list) : -1;
    for (int i = 0; i < h->colours; i++)
        for (int c = 0; c < 3; c++) table[i][c] = h->palette[i * h->entry + 2 - c];
    uint8_t *to = out->data;
    for (int y = 0; status == 0 && y < h->height; y++) {
        const uint8_t *from = list + (size_t)(h->upside_down ? h->height - 1 - y : y) * (size_t)h->width;
        if (indices) memcpy(to, from, (size_t)h->width);
        for (int x = 0; !indices && x < h->width; x++) memcpy(to + 3 * x, table[from[x]], 3);
        to += (size_t)h->width * (indices ? 1 : 3);
    }
    free(list);
    return status;
}

/* ---- colours ---- */

/* The part of a pixel under a mask, from 0 to 255. */
static uint8_t part(uint32_t pixel, uint32_t mask)
{
    if (!mask) return 0;
    int shift = 0;
    while (!(mask >> shift & 1)) shift++;
    return (uint8_t)((uint64_t)((pixel & mask) >> shift) * 255 / (mask >> shift));
}

static int decode_colours(tl_error *err, const header *h, tl_image *out)
{
    size_t pixel = (size_t)h->bits / 8, row = ((size_t)h->width * pixel + 3) / 4 * 4;
    if (row * ((size_t)h->height - 1) + (size_t)h->width * pixel > (size_t)(h->end - h->pixels)) return damaged(err, "it is cut short");
    if (tl__image_reserve(err, out, h->width, h->height, 3) != 0) return -1;
    uint8_t *to = out->data;
    int plain = h->bits != 16 && h->mask[0] == 0xff0000 && h->mask[1] == 0xff00 && h->mask[2] == 0xff;
    for (int y = 0; y < h->height; y++) {
        const uint8_t *from = h->pixels + (size_t)(h->upside_down ? h->height - 1 - y : y) * row;
        for (int x = 0; x < h->width; x++, from += pixel, to += 3) {
            uint32_t v = pixel == 2 ? le16(from) : (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (pixel == 4 ? (uint32_t)from[3] << 24 : 0);
            for (int c = 0; c < 3; c++) to[c] = plain ? from[2 - c] : part(v, h->mask[c]);
        }
    }
    return 0;
}

int tl__bmp_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    header h = {0};
    int status = read_header(err, data, bytes, &h);
    if (status == 0) status = check_kind(err, &h);
    if (status == 0 && request->indices && h.bits > 8) return tl__image_no_mask(err, name, 3, 8);
    if (status == 0) status = h.bits <= 8 ? decode_palette(err, &h, request->indices, out) : decode_colours(err, &h, out);
    if (status != 0) tl__error_prefix(err, "%s: ", name);
    return status;
}
