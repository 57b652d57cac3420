/* image_dicom.c - a frame of a DICOM file as a picture: values through windows, each a channel from 0 to 1, as
 * pydicom's apply_windowing has them, and turned where MONOCHROME1 says that much is dark. Colours stay as they are. */
#include "io/dicom.h"
#include "io/image.h"
#include "io/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What of a frame is needed here. */
typedef struct frame {
    const tl_dicom *d;
    int number;
    int64_t pixels;
    const float *values;
} frame;

static int is_function(const tl_dicom *d, const char *name)
{
    return strcmp(d->window_function, name) == 0 || (!*d->window_function && strcmp(name, "LINEAR") == 0);
}

/* The first window of the file by the function that it names (the standard, part 3, C.11.2.1). 0 or -1. */
static int through_own(tl_error *err, const tl_dicom *d, float *x, int64_t n)
{
    double centre = d->windows[0].centre, width = d->windows[0].width;
    int sigmoid = is_function(d, "SIGMOID");
    if (!sigmoid && !is_function(d, "LINEAR") && !is_function(d, "LINEAR_EXACT"))
        return tl__fail(err, TL_EFORMAT, "%s: its window is of a kind (%s) that is not known; name another window",
                        d->name, d->window_function);
    if (!(width > 0) || (is_function(d, "LINEAR") && width < 1))
        return tl__fail(err, TL_EFORMAT, "%s: its window is %g wide; name another window", d->name, width);
    if (is_function(d, "LINEAR")) {
        tl__window(x, n, centre, width);
        return 0;
    }
    for (int64_t i = 0; i < n; i++) {
        double at = (x[i] - centre) / width, y = sigmoid ? 1 / (1 + exp(-4 * at)) : at + 0.5;
        x[i] = (float)(y < 0 ? 0 : y > 1 ? 1 : y);
    }
    return 0;
}

static void through_range(float *x, int64_t n, double low, double high)
{
    double scale = high > low ? 1 / (high - low) : 0;
    for (int64_t i = 0; i < n; i++) {
        double y = (x[i] - low) * scale;
        x[i] = (float)(y < 0 ? 0 : y > 1 ? 1 : y);
    }
}

static void through_own_range(float *x, int64_t n)
{
    float low = x[0], high = x[0];
    for (int64_t i = 1; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    through_range(x, n, low, high);
}

/* Numbers of 8 bits and less are seen as they are where no window says otherwise. */
static int is_shallow(const tl_dicom *d) { return d->bits_stored <= 8 && !d->is_signed; }

/* Values to 0..1 in place. `given`: NULL where nobody says a window. 0 or -1. */
static int through_window(tl_error *err, const frame *f, const tl_image_window *given, float *x)
{
    const tl_dicom *d = f->d;
    if (given && given->width > 0) {
        tl__window(x, f->pixels, given->centre, given->width);
    } else if (given && given->width < 0) {
        through_own_range(x, f->pixels);
    } else if (d->window_count) {
        return through_own(err, d, x, f->pixels);
    } else if (d->seen_by_table) {
        return tl__dicom_seen(err, d, x, f->pixels);
    } else if (is_shallow(d)) {
        double a = d->frame[f->number].intercept, b = a + d->frame[f->number].slope * (ldexp(1, d->bits_stored) - 1);
        through_range(x, f->pixels, fmin(a, b), fmax(a, b));
    } else if (!given) {
        through_own_range(x, f->pixels);
    } else {
        return tl__fail(err, TL_EFORMAT,
                        "%s: the file has no window of its own; %s", d->name,
                        strcmp(d->modality, "CT") == 0
                            ? "--data.windows names one, like soft or 40/400, or range"
                            : "--data.windows range takes each picture's own range of values");
    }
    return 0;
}

/* Each window into a channel of its own. */
static int grey(tl_error *err, const frame *f, const tl_image_request *request, tl_image *out)
{
    int channels = request->window_count ? request->window_count : 1;
    int dark = strcmp(f->d->photometric, "MONOCHROME1") == 0;
    if (tl__image_reserve_deep(err, out, f->d->columns, f->d->rows, channels, TL_DEPTH_FLOAT) != 0) return -1;
    float *x = tl__malloc(err, (size_t)f->pixels * sizeof *x), *to = (float *)(void *)out->data;
    int bad = !x;
    for (int c = 0; !bad && c < channels; c++) {
        memcpy(x, f->values, (size_t)f->pixels * sizeof *x);
        bad = through_window(err, f, request->window_count ? &request->window[c] : NULL, x) != 0;
        for (int64_t i = 0; !bad && i < f->pixels; i++) to[i * channels + c] = dark ? 1 - x[i] : x[i];
    }
    free(x);
    return bad ? -1 : 0;
}

static int colours(tl_error *err, const frame *f, const tl_image_request *request, tl_image *out)
{
    for (int i = 0; i < request->window_count; i++)
        if (request->window_count > 1 || request->window[i].width != TL_WINDOW_FILE)
            return tl__fail(err, TL_EFORMAT, "%s: colours have no window; the window to name is file, alone",
                            f->d->name);
    int deep = f->d->bits_stored > 8;
    if (tl__image_reserve_deep(err, out, f->d->columns, f->d->rows, 3, deep ? TL_DEPTH_FLOAT : TL_DEPTH_8) != 0)
        return -1;
    float *to = (float *)(void *)out->data;
    for (int64_t i = 0; i < 3 * f->pixels; i++)
        if (deep) to[i] = f->values[i] / 255;
        else out->data[i] = (uint8_t)(f->values[i] + 0.5f);
    return 0;
}

/* The numbers of the file as classes. */
static int indices(tl_error *err, const frame *f, tl_image *out)
{
    const tl_dicom *d = f->d;
    if (d->samples != 1 || d->bits_stored > 8 || d->is_signed)
        return tl__image_no_mask(err, d->name, d->samples, d->bits_stored);
    int32_t *stored = tl__malloc(err, (size_t)f->pixels * sizeof *stored);
    int bad = !stored || tl__dicom_stored(err, d, f->number, stored) != 0 ||
              tl__image_reserve(err, out, d->columns, d->rows, 1) != 0;
    for (int64_t i = 0; !bad && i < f->pixels; i++) out->data[i] = (uint8_t)stored[i];
    free(stored);
    return bad ? -1 : 0;
}

static int picture(tl_error *err, const tl_dicom *d, int number, const tl_image_request *request, tl_image *out)
{
    frame f = {.d = d, .number = number, .pixels = (int64_t)d->rows * d->columns};
    int channels = tl__dicom_channels(d);
    if (number < 0 || number >= d->frames)
        return tl__fail(err, TL_EARG, "%s: there is no frame %d of %d", d->name, number + 1, d->frames);
    if (tl__image_check_size(err, d->columns, d->rows) != 0) {
        tl__error_prefix(err, "%s: ", d->name);
        return -1;
    }
    if (request->indices) return indices(err, &f, out);
    float *values = tl__malloc(err, (size_t)f.pixels * (size_t)channels * sizeof *values);
    f.values = values;
    int bad = !values || tl__dicom_values(err, d, number, 0, values) != 0 ||
              (channels == 3 ? colours : grey)(err, &f, request, out) != 0;
    free(values);
    /* These floats are numbers of few bits, and become 8 where pictures of 16 would. */
    if (!bad && out->depth == TL_DEPTH_FLOAT && request->deep < TL_DEEP_ALL) tl__image_to_bytes(out);
    return bad ? -1 : 0;
}

int tl__dicom_decode_picture(tl_error *err, const char *name, const uint8_t *data, size_t bytes,
                             const tl_image_request *request, tl_image *out)
{
    tl_dicom *d = tl__dicom_open_memory(err, name, data, bytes);
    int status = d ? picture(err, d, 0, request, out) : -1;
    tl__dicom_close(d);
    return status;
}

int tl__dicom_picture(tl_error *err, const char *path, int number, const tl_image_request *request, tl_image *out)
{
    tl_dicom *d = tl__dicom_open(err, path);
    int status = d ? picture(err, d, number, request, out) : -1;
    tl__dicom_close(d);
    return status;
}
