/* stacks.c - slices and their neighbours as channels of a picture. */
#include "data/stacks.h"

#include "data/folders.h"
#include "data/source.h"
#include "io/dicom.h"

#include <stdlib.h>
#include <string.h>

struct tl_stacks {
    int64_t slices, samples;
    char **path;
    int64_t *frame, *slice;
    int width, window_count;
    tl_image_window window[TL_IMAGE_MOST_WINDOWS];
    uint8_t *several; /* of each slice: its file has more than one */
};

/* ---- opening ---- */

typedef struct named {
    const char *path;
    size_t slice;
} named;

static int by_path(const void *a, const void *b)
{
    return strcmp(((const named *)a)->path, ((const named *)b)->path);
}

/* Marks slices whose file has more of them, which may stand anywhere: frames of two files can lie at the same places.
 * 0 or -1. */
static int mark_several(tl_error *err, tl_stacks *s)
{
    size_t n = (size_t)s->slices;
    named *list = tl__malloc(err, (n + 1) * sizeof *list);
    if (!list) return -1;
    for (size_t i = 0; i < n; i++) list[i] = (named){s->path[i], i};
    qsort(list, n, sizeof *list, by_path);
    for (size_t i = 0; i < n; i++) {
        s->several[list[i].slice] |= s->frame[list[i].slice] > 1;
        if (i && strcmp(list[i].path, list[i - 1].path) == 0)
            s->several[list[i].slice] = s->several[list[i - 1].slice] = 1;
    }
    free(list);
    return 0;
}

static int check(tl_error *err, int64_t samples, const tl_stacks_given *g)
{
    if (g->width < 1 || g->width % 2 == 0)
        return tl__fail(err, TL_EARG, "stacks of %d slices; their number is odd", g->width);
    for (int64_t i = 0; g->frame && i < g->count; i++)
        if (g->frame[i] < 1 || g->frame[i] > INT32_MAX)
            return tl__fail(err, TL_EARG, "%s: there is no frame %lld", g->path[i], (long long)g->frame[i]);
    for (int64_t i = 0; i < samples * g->width; i++)
        if (g->slice[i] < 1 || g->slice[i] > g->count)
            return tl__fail(err, TL_EARG, "stack %lld: there is no slice %lld of %lld", (long long)(i / g->width + 1),
                            (long long)g->slice[i], (long long)g->count);
    return 0;
}

tl_stacks *tl__stacks_open(tl_error *err, int64_t samples, const tl_stacks_given *g)
{
    if (check(err, samples, g) != 0) return NULL;
    tl_stacks *s = tl__calloc(err, 1, sizeof *s);
    if (!s) return NULL;
    size_t n = (size_t)g->count, all = (size_t)samples * (size_t)g->width;
    s->slices = g->count;
    s->samples = samples;
    s->width = g->width;
    s->window_count = g->window_count;
    memcpy(s->window, g->window, sizeof s->window);
    s->path = tl__names_copy(err, g->path, g->count);
    s->frame = s->path ? tl__malloc(err, (n + 1) * sizeof *s->frame) : NULL;
    s->slice = s->frame ? tl__malloc(err, (all + 1) * sizeof *s->slice) : NULL;
    s->several = s->slice ? tl__calloc(err, n + 1, 1) : NULL;
    for (size_t i = 0; s->several && i < n; i++) s->frame[i] = g->frame ? g->frame[i] : 1;
    for (size_t i = 0; s->several && i < all; i++) s->slice[i] = g->slice[i] - 1;
    if (s->several && mark_several(err, s) == 0) return s;
    tl__stacks_free(s);
    return NULL;
}

void tl__stacks_free(tl_stacks *s)
{
    if (!s) return;
    tl__names_free(s->path, s->slices);
    free(s->frame);
    free(s->slice);
    free(s->several);
    free(s);
}

/* ---- reading ---- */

static const int64_t *slices_of(const tl_stacks *s, int64_t i) { return s->slice + i * s->width; }
static int64_t own_slice(const tl_stacks *s, int64_t i) { return slices_of(s, i)[s->width / 2]; }

static int read_slice(tl_error *err, const tl_stacks *s, int64_t slice, const tl_image_request *r, tl_image *out)
{
    return tl__dicom_picture(err, s->path[slice], (int)s->frame[slice] - 1, r, out);
}

/* The error of a slice that is not as large as its neighbour, of width, height and channels `size`. */
static int refuse_size(tl_error *err, const tl_stacks *s, int64_t slice, int width, int height, int channels,
                       const int size[3])
{
    return tl__fail(err, TL_EFORMAT,
                    "%s: %d x %d pixels (width x height) of %d channel%s, and its neighbour has %d x %d of %d; "
                    "neighbours = 0 takes slices alone",
                    s->path[slice], width, height, channels, channels == 1 ? "" : "s", size[0], size[1], size[2]);
}

/* The channels of a slice into their place among those of the stack. 0 or -1. */
static int put(tl_error *err, const tl_stacks *s, int64_t slice, const tl_image *from, int place, tl_image *stack)
{
    int channels = from->channels * s->width;
    if (channels > TL_IMAGE_MOST_CHANNELS)
        return tl__fail(err, TL_EARG, "%s: %d slices of %d channels are more than %d channels", s->path[slice],
                        s->width, from->channels, TL_IMAGE_MOST_CHANNELS);
    if (place == 0 && tl__image_reserve_deep(err, stack, from->width, from->height, channels, from->depth) != 0)
        return -1;
    const int size[3] = {stack->width, stack->height, stack->channels / s->width};
    if (from->width != stack->width || from->height != stack->height || channels != stack->channels ||
        from->depth != stack->depth)
        return refuse_size(err, s, slice, from->width, from->height, from->channels, size);
    size_t each = tl__image_pixel(from), all = each * (size_t)s->width;
    size_t pixels = (size_t)from->width * (size_t)from->height;
    for (size_t i = 0; i < pixels; i++)
        memcpy(stack->data + i * all + (size_t)place * each, from->data + i * each, each);
    return 0;
}

static int read_stack(tl_error *err, const tl_stacks *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    const int64_t *slice = slices_of(s, i);
    tl_image one = {0};
    int bad = 0;
    for (int k = 0; !bad && k < s->width; k++) {
        /* Those at the ends of a series stand there more than once. */
        if (k == 0 || slice[k] != slice[k - 1]) bad = read_slice(err, s, slice[k], request, &one);
        if (!bad) bad = put(err, s, slice[k], &one, k, out);
    }
    tl__image_free(&one);
    return bad ? -1 : 0;
}

/* Are the slices of a stack as large as their own one, by what their heads say? */
static int check_sizes(tl_error *err, const tl_stacks *s, int64_t i)
{
    const int64_t *slice = slices_of(s, i);
    int size[3] = {0, 0, 0};
    for (int k = 0; k < s->width; k++) {
        if (k && slice[k] == slice[k - 1]) continue;
        tl_dicom *d = tl__dicom_open(err, s->path[slice[k]]);
        if (!d) return -1;
        int own[3] = {d->columns, d->rows, tl__dicom_channels(d)};
        tl__dicom_close(d);
        if (k == 0) memcpy(size, own, sizeof size);
        if (memcmp(size, own, sizeof size) != 0)
            return refuse_size(err, s, slice[k], own[0], own[1], own[2], size);
    }
    return 0;
}

/* Who reads without windows looks at one slice, or checks before a training that slices go together. */
int tl__stacks_read(tl_error *err, const tl_stacks *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    tl_image_request seen = *request;
    int64_t own = own_slice(s, i);
    if (!request->window_count && s->width > 1 && check_sizes(err, s, i) != 0) return -1;
    if (request->window_count && s->width > 1) return read_stack(err, s, i, request, out);
    if (!request->window_count && s->window_count) {
        seen.window_count = 1;
        seen.window[0] = s->window[0];
    }
    if (read_slice(err, s, own, &seen, out) != 0) return -1;
    if (!request->channels || tl__image_to_channels(err, out, request->channels) == 0) return 0;
    tl__error_prefix(err, "%s: ", s->path[own]);
    return -1;
}

const char *tl__stacks_locate(const tl_stacks *s, int64_t i, int64_t *number)
{
    int64_t own = own_slice(s, i);
    *number = s->several[own] ? s->frame[own] : -1;
    return s->path[own];
}

void tl__stacks_hash(const tl_stacks *s, int64_t i, const char *root, tl_sha256 *h)
{
    const int64_t *slice = slices_of(s, i);
    for (int k = 0; k < s->width; k++) {
        const char *name = root ? tl__path_below(root, s->path[slice[k]]) : s->path[slice[k]];
        tl__sha256_update(h, name, strlen(name) + 1);
        tl__sha256_update(h, &s->frame[slice[k]], sizeof s->frame[slice[k]]);
    }
}
