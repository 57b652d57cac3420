/* image_gif.c - the first picture of a GIF through giflib, on its canvas as Pillow shows it: what it does not cover has the transparent
 * colour, or the first. */
#include "io/image.h"

#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    const uint8_t *data;
    size_t bytes, at;
} reader;

static int read_some(GifFileType *file, GifByteType *to, int n)
{
    reader *r = file->UserData;
    size_t left = r->bytes - r->at, some = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    memcpy(to, r->data + r->at, some);
    r->at += some;
    return (int)some;
}

static int damaged(tl_error *err, const GifFileType *file, const char *what)
{
    const char *why = file && file->Error ? GifErrorString(file->Error) : NULL;
    return tl__fail(err, file && file->Error == D_GIF_ERR_NOT_ENOUGH_MEM ? TL_EMEMORY : TL_EFORMAT, "damaged GIF: %s", why ? why : what);
}

/* Up to the first picture's header. *clear: the index that is transparent, or -1. */
static int find_picture(tl_error *err, GifFileType *file, int *clear)
{
    GifRecordType type;
    *clear = -1;
    for (;;) {
        if (DGifGetRecordType(file, &type) != GIF_OK) return damaged(err, file, "no picture");
        if (type == IMAGE_DESC_RECORD_TYPE) return DGifGetImageDesc(file) == GIF_OK ? 0 : damaged(err, file, "no header of its picture");
        if (type == TERMINATE_RECORD_TYPE) return damaged(err, NULL, "it holds no picture");
        if (type != EXTENSION_RECORD_TYPE) continue;
        int code;
        GifByteType *part;
        if (DGifGetExtension(file, &code, &part) != GIF_OK) return damaged(err, file, "an extension");
        GraphicsControlBlock control;
        if (code == GRAPHICS_EXT_FUNC_CODE && part && DGifExtensionToGCB(part[0], part + 1, &control) == GIF_OK) *clear = control.TransparentColor;
        while (part)
            if (DGifGetExtensionNext(file, &part) != GIF_OK) return damaged(err, file, "an extension");
    }
}

/* The rows of the picture into the canvas of indices. */
static int read_rows(tl_error *err, GifFileType *file, tl_image *canvas)
{
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const GifImageDesc *m = &file->Image;
    for (int pass = 0; pass < (m->Interlace ? 4 : 1); pass++)
        for (int y = m->Interlace ? first[pass] : 0; y < m->Height; y += m->Interlace ? step[pass] : 1)
            if (DGifGetLine(file, canvas->data + (size_t)(m->Top + y) * (size_t)canvas->width + (size_t)m->Left, m->Width) != GIF_OK)
                return damaged(err, file, "it is cut short");
    return 0;
}

/* Indices to colours; what the palette has not is a grey, as in Pillow. */
static int colour(tl_error *err, const ColorMapObject *map, tl_image *m)
{
    tl_image out = {0};
    uint8_t table[256][3];
    for (int i = 0; i < 256; i++) {
        int known = map && i < map->ColorCount;
        table[i][0] = known ? map->Colors[i].Red : (uint8_t)i;
        table[i][1] = known ? map->Colors[i].Green : (uint8_t)i;
        table[i][2] = known ? map->Colors[i].Blue : (uint8_t)i;
    }
    if (tl__image_reserve(err, &out, m->width, m->height, 3) != 0) return -1;
    size_t n = (size_t)m->width * (size_t)m->height;
    for (size_t i = 0; i < n; i++) memcpy(out.data + 3 * i, table[m->data[i]], 3);
    tl__image_free(m);
    *m = out;
    return 0;
}

static int decode(tl_error *err, GifFileType *file, int indices, tl_image *out)
{
    int clear;
    if (find_picture(err, file, &clear) != 0) return -1;
    const GifImageDesc *m = &file->Image;
    int64_t width = m->Left + m->Width > file->SWidth ? m->Left + m->Width : file->SWidth;
    int64_t height = m->Top + m->Height > file->SHeight ? m->Top + m->Height : file->SHeight;
    if (m->Left < 0 || m->Top < 0 || m->Width < 1 || m->Height < 1) return damaged(err, NULL, "an empty picture");
    if (tl__image_check_size(err, width, height) != 0 || tl__image_reserve(err, out, (int)width, (int)height, 1) != 0) return -1;
    memset(out->data, clear >= 0 ? clear : 0, (size_t)width * (size_t)height);
    if (read_rows(err, file, out) != 0) return -1;
    return indices ? 0 : colour(err, m->ColorMap ? m->ColorMap : file->SColorMap, out);
}

int tl__gif_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    reader r = {data, bytes, 0};
    int code = 0, status;
    GifFileType *file = DGifOpen(&r, read_some, &code);
    if (!file) {
        const char *why = GifErrorString(code);
        return tl__fail(err, code == D_GIF_ERR_NOT_ENOUGH_MEM ? TL_EMEMORY : TL_EFORMAT, "%s: damaged GIF: %s", name, why ? why : "no header");
    }
    status = decode(err, file, request->indices, out);
    DGifCloseFile(file, &code);
    if (status != 0) tl__error_prefix(err, "%s: ", name);
    return status;
}
