/* source_memory.c - pictures that a program has in memory: the contents of files, or pixels. */
#include "data/source.h"

#include <limits.h>
#include <stdlib.h>

typedef struct memory {
    tl_source base;
    const tl_picture *picture; /* borrowed, with the memory that they point to */
    char **name;
} memory;

static void memory_close(tl_source *s)
{
    memory *m = (memory *)s;
    for (int64_t i = 0; m->name && i < s->count; i++) free(m->name[i]);
    free(m->name);
    free(m);
}

/* Gathers pixels from wherever they stand; alpha, the last of 2 or 4 channels, is left out. */
static int copy_pixels(tl_error *err, const tl_picture *p, tl_image *out)
{
    int channels = p->channels < 3 ? 1 : 3;
    if (tl__image_reserve(err, out, p->width, p->height, channels) != 0) return -1;
    ptrdiff_t channel = p->channel_stride ? p->channel_stride : 1, pixel = p->pixel_stride ? p->pixel_stride : p->channels * channel;
    ptrdiff_t row = p->row_stride ? p->row_stride : p->width * pixel;
    uint8_t *to = out->data;
    for (int y = 0; y < p->height; y++) {
        const uint8_t *from = (const uint8_t *)p->data + y * row;
        for (int x = 0; x < p->width; x++, from += pixel)
            for (int c = 0; c < channels; c++) *to++ = from[c * channel];
    }
    return 0;
}

static int memory_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    const memory *m = (const memory *)s;
    const tl_picture *p = &m->picture[i];
    if (!p->channels) return tl__image_decode(err, m->name[i], p->data, p->bytes, request, out);
    if (copy_pixels(err, p, out) == 0 && (!request->channels || tl__image_to_channels(err, out, request->channels) == 0)) return 0;
    tl__error_prefix(err, "%s: ", m->name[i]);
    return -1;
}

static const char *memory_locate(const tl_source *s, int64_t i, int64_t *number)
{
    *number = -1;
    return ((const memory *)s)->name[i];
}

static const tl_source_ops memory_ops = {.kind = "memory", .from_files = 1, .close = memory_close, .read = memory_read, .locate = memory_locate};

/* What can be wrong with a picture before anything is read of it. */
static int check_picture(tl_error *err, const tl_picture *p)
{
    if (!p->data) return tl__fail(err, TL_EARG, "data is NULL");
    if (p->channels < 0 || p->channels > 4) return tl__fail(err, TL_EARG, "%d channels; pixels have 1 to 4, and 0 stands for the contents of a file", p->channels);
    if (p->channels && p->bytes) return tl__fail(err, TL_EARG, "bytes and channels are given; it is the contents of a file or pixels");
    if (!p->channels && !p->bytes) return tl__fail(err, TL_EARG, "neither bytes (the contents of a file) nor channels (pixels) are given");
    if (!p->channels && (p->width || p->height || p->row_stride || p->pixel_stride || p->channel_stride))
        return tl__fail(err, TL_EARG, "width, height and strides are of pixels, and channels is 0");
    if (!p->channels) return 0;
    /* With all strides below this, what is added up in copy_pixels fits for the most pixels there may be. */
    ptrdiff_t most = PTRDIFF_MAX / 4 / TL_IMAGE_MOST_PIXELS, own[] = {p->row_stride, p->pixel_stride, p->channel_stride};
    for (int i = 0; i < 3; i++)
        if (own[i] > most || own[i] < -most) return tl__fail(err, TL_EARG, "a stride of %td bytes is impossible", own[i]);
    return tl__image_check_size(err, p->width, p->height);
}

tl_source *tl__source_memory(tl_error *err, const tl_picture *pictures, int64_t count)
{
    memory *m = tl__calloc(err, 1, sizeof *m);
    if (!m) return NULL;
    m->base.ops = &memory_ops;
    m->picture = pictures;
    int bad = tl__source_prepare(err, &m->base, count, NULL, 0) != 0 || (m->name = tl__calloc(err, (size_t)count, sizeof *m->name)) == NULL;
    for (int64_t i = 0; !bad && i < count; i++) {
        m->base.label[i] = -1;
        m->name[i] = pictures[i].name ? tl__strdup(err, pictures[i].name) : tl__asprintf(err, "pictures[%lld]", (long long)i);
        bad = !m->name[i] || check_picture(err, &pictures[i]) != 0;
        if (bad && m->name[i]) tl__error_prefix(err, "%s: ", m->name[i]);
    }
    if (!bad) return &m->base;
    tl__source_free(&m->base);
    return NULL;
}
