/* image.c - what all picture formats share: memory, the choice of decoder by the first bytes (not by the
 * name, since many files carry the wrong one) and conversion between grey and colour. */
#define _POSIX_C_SOURCE 200809L
#include "io/image.h"

#include "io/dicom.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* A picture file beyond this is not one; it keeps a wrong path (a disk image) from filling the memory. */
#define MAX_FILE_BYTES ((int64_t)1 << 30)

/* The most pixels of a picture, or -1. */
static int64_t most_pixels(tl_error *err)
{
    const char *text = getenv("TLUA_MAX_PIXELS");
    if (!text || !*text) return TL_IMAGE_MAX_PIXELS;
    char *end;
    errno = 0;
    long long most = strtoll(text, &end, 10);
    if (*end || errno || most < 1 || most > TL_IMAGE_MOST_PIXELS)
        return tl__fail(err, TL_EARG, "TLUA_MAX_PIXELS is %.40s, and must be a whole number from 1 to %d", text, TL_IMAGE_MOST_PIXELS);
    return most;
}

int tl__image_check_size(tl_error *err, int64_t width, int64_t height)
{
    if (width < 1 || height < 1) return tl__fail(err, TL_EFORMAT, "%lld x %lld pixels; a picture has one at least", (long long)width, (long long)height);
    int64_t most = most_pixels(err), pixels;
    if (most < 0) return -1;
    if (tl__mul_size(width, height, &pixels) != 0 || pixels > most)
        return tl__fail(err, TL_EFORMAT, "%lld x %lld pixels are more than the %lld that are read; TLUA_MAX_PIXELS=%d in the environment reads more",
                        (long long)width, (long long)height, (long long)most, TL_IMAGE_MOST_PIXELS);
    return 0;
}

int tl__image_reserve(tl_error *err, tl_image *image, int width, int height, int channels)
{
    return tl__image_reserve_deep(err, image, width, height, channels, TL_DEPTH_8);
}

int tl__image_reserve_deep(tl_error *err, tl_image *image, int width, int height, int channels, tl_depth depth)
{
    if (tl__image_check_size(err, width, height) != 0) return -1;
    size_t need = (size_t)width * (size_t)height * (size_t)channels * tl__depth_bytes(depth) + TL_IMAGE_SLACK;
    if (need > INT_MAX) return tl__fail(err, TL_EFORMAT, "%d x %d pixels of %d channels take more than 2 GiB", width, height, channels);
    if (need > image->capacity) {
        uint8_t *data = tl__malloc(err, need);
        if (!data) return -1;
        free(image->data);
        image->data = data;
        image->capacity = need;
    }
    image->width = width;
    image->height = height;
    image->channels = channels;
    image->depth = depth;
    /* The slack is read by vectors whose surplus lanes are thrown away; it is set so that tools which
     * track undefined bytes stay silent. */
    memset(image->data + need - TL_IMAGE_SLACK, 0, TL_IMAGE_SLACK);
    return 0;
}

void tl__image_free(tl_image *image)
{
    free(image->data);
    *image = (tl_image){0};
}

static void grey_from_colour(uint8_t *data, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        uint32_t r = data[3 * i], g = data[3 * i + 1], b = data[3 * i + 2];
        data[i] = (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
    }
}

static void grey_from_deep_colour(tl_image *image, size_t pixels)
{
    union { uint8_t *bytes; uint16_t *words; float *floats; } p = {image->data};
    for (size_t i = 0; image->depth == TL_DEPTH_16 && i < pixels; i++) {
        uint64_t r = p.words[3 * i], g = p.words[3 * i + 1], b = p.words[3 * i + 2];
        p.words[i] = (uint16_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
    }
    for (size_t i = 0; image->depth == TL_DEPTH_FLOAT && i < pixels; i++)
        p.floats[i] = 0.299f * p.floats[3 * i] + 0.587f * p.floats[3 * i + 1] + 0.114f * p.floats[3 * i + 2];
}

void tl__image_to_bytes(tl_image *image)
{
    union { uint8_t *bytes; uint16_t *words; float *floats; } p = {image->data};
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    for (size_t i = 0; image->depth == TL_DEPTH_16 && i < n; i++) p.bytes[i] = (uint8_t)(p.words[i] >> 8);
    for (size_t i = 0; image->depth == TL_DEPTH_FLOAT && i < n; i++) {
        float v = p.floats[i] * 255.0f + 0.5f;
        p.bytes[i] = (uint8_t)(v >= 255 ? 255 : v > 0 ? v : 0); /* no number is black */
    }
    image->depth = TL_DEPTH_8;
}

int tl__image_to_channels(tl_error *err, tl_image *image, int channels)
{
    size_t pixels = (size_t)image->width * (size_t)image->height;
    if (channels == image->channels) return 0;
    if (image->channels == 3 && channels == 1) {
        if (image->depth == TL_DEPTH_8) grey_from_colour(image->data, pixels);
        else grey_from_deep_colour(image, pixels);
        image->channels = 1;
        return 0;
    }
    if (image->channels != 1 || channels != 3)
        return tl__fail(err, TL_EARG, "a picture of %d channels cannot become one of %d", image->channels, channels);
    tl_image colour = {0};
    size_t bytes = tl__depth_bytes(image->depth);
    if (tl__image_reserve_deep(err, &colour, image->width, image->height, 3, image->depth) != 0) return -1;
    if (bytes == 1)
        for (size_t i = 0; i < pixels; i++) memset(colour.data + 3 * i, image->data[i], 3);
    else
        for (size_t i = 0; i < 3 * pixels; i++) memcpy(colour.data + i * bytes, image->data + i / 3 * bytes, bytes);
    tl__image_free(image);
    *image = colour;
    return 0;
}

void tl__image_settle(tl_image *image, const tl_image_request *request)
{
    if (image->depth == TL_DEPTH_16 ? request->deep < TL_DEEP_ALL : image->depth == TL_DEPTH_FLOAT && request->deep < TL_DEEP_FLOATS) tl__image_to_bytes(image);
}

int tl__image_copy(tl_error *err, const tl_image *image, const tl_image_request *request, tl_image *out)
{
    if (tl__image_reserve_deep(err, out, image->width, image->height, image->channels, image->depth) != 0) return -1;
    memcpy(out->data, image->data, (size_t)image->width * (size_t)image->height * tl__image_pixel(image));
    tl__image_settle(out, request);
    return request->channels ? tl__image_to_channels(err, out, request->channels) : 0;
}

int tl__image_is_name(const char *path)
{
    static const char *const endings[] = {".jpg",  ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif",
                                          ".dcm", ".dicom", ".ima"};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && strcasecmp(path + n - m, endings[i]) == 0) return 1;
    }
    return 0;
}

int tl__image_no_mask(tl_error *err, const char *name, int channels, int bits)
{
    return tl__fail(err, TL_EFORMAT, "%s: a mask has one number of 8 bits a pixel (grey, or a palette), and this has %d of %d", name, channels, bits);
}

/* Files that people take for pictures, by how they begin; those of one container by its brand. */
static int fail_unknown(tl_error *err, const char *name, const uint8_t *data, size_t bytes)
{
    static const char save[] = "save it as JPEG or PNG";
    static const char extract[] = "take pictures out of it: ffmpeg -i FILE -r 1 %04d.jpg";
    static const struct {
        size_t at;
        const char *bytes, *what, *way_out;
    } others[] = {{4, "ftypavif", "an AVIF picture", save},
                  {4, "ftyphei", "a HEIC picture, as phones take them", save},
                  {4, "ftypmif1", "a HEIC picture, as phones take them", save},
                  {4, "ftyp", "a video (MP4)", extract},
                  {4, "moov", "a video (QuickTime)", extract},
                  {8, "AVI ", "a video (AVI)", extract},
                  {0, "\x1a\x45\xdf\xa3", "a video (Matroska)", extract},
                  {0, "FLV\x01", "a video (FLV)", extract},
                  {0, "\x30\x26\xb2\x75", "a video (WMV)", extract}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t n = strlen(others[i].bytes);
        if (bytes < others[i].at + n || memcmp(data + others[i].at, others[i].bytes, n) != 0) continue;
        return tl__fail(err, TL_EFORMAT, "%s: %s, which is not read; %s", name, others[i].what, others[i].way_out);
    }
    return tl__fail(err, TL_EFORMAT, "%s: no picture of a known format (" TL_IMAGE_FORMATS ")", name);
}

static int decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (bytes == 0) return tl__fail(err, TL_EFORMAT, "%s: the file is empty", name);
    /* Its head may hide behind that of a TIFF. */
    if (tl__looks_like_dicom(data, bytes)) return tl__dicom_decode_picture(err, name, data, bytes, request, out);
    for (int i = 0; i < request->window_count; i++)
        if (request->window[i].width != TL_WINDOW_FILE)
            return tl__fail(err, TL_EFORMAT,
                            "%s: no DICOM file, and windows are of a scanner's values, which no other picture has",
                            name);
    if (request->window_count > 1)
        return tl__fail(err, TL_EFORMAT, "%s: no DICOM file, so it has no windows of its own", name);
    if (bytes >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff)
        return request->indices ? tl__fail(err, TL_EFORMAT, "%s: a JPEG, which does not keep a mask's values; save masks as PNG", name)
                                : tl__jpeg_decode(err, name, data, bytes, request, out);
    if (bytes >= 8 && memcmp(data, png, 8) == 0) return tl__png_decode(err, name, data, bytes, request, out);
    if (bytes >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0) return tl__webp_decode(err, name, data, bytes, request, out);
    if (bytes >= 6 && (memcmp(data, "GIF87a", 6) == 0 || memcmp(data, "GIF89a", 6) == 0)) return tl__gif_decode(err, name, data, bytes, request, out);
    if (bytes >= 4 && (memcmp(data, "II*\0", 4) == 0 || memcmp(data, "MM\0*", 4) == 0 || memcmp(data, "II+\0", 4) == 0 || memcmp(data, "MM\0+", 4) == 0))
        return tl__tiff_decode(err, name, data, bytes, request, out);
    if (bytes >= 2 && data[0] == 'B' && data[1] == 'M') return tl__bmp_decode(err, name, data, bytes, request, out);
    return fail_unknown(err, name, data, bytes);
}

int tl__image_decode(tl_error *err, const char *name, const void *data, size_t bytes, const tl_image_request *request, tl_image *out)
{
    if (decode(err, name, data, bytes, request, out) != 0) return -1;
    if (request->channels && tl__image_to_channels(err, out, request->channels) != 0) {
        tl__error_prefix(err, "%s: ", name);
        return -1;
    }
    return 0;
}

/* The bytes of a file. tl__read_file does the same, but its messages do not start with the path. */
static uint8_t *file_bytes(tl_error *err, const char *path, size_t *bytes)
{
    struct stat st;
    FILE *f = tl__open_to_read(path, &st);
    uint8_t *data = NULL;
    if (!f) {
        /* What the process or the machine is short of now says nothing of the picture, which on_bad = "skip" would leave out. */
        int short_of = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
        tl__fail(err, short_of ? TL_EMEMORY : TL_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        tl__fail(err, TL_EIO, "%s: a folder, not a picture", path);
    } else if (!S_ISREG(st.st_mode)) {
        tl__fail(err, TL_EIO, "%s: a pipe or a device, not a picture", path);
    } else if (st.st_size > MAX_FILE_BYTES) {
        tl__fail(err, TL_EFORMAT, "%s: %lld bytes are too many for a picture", path, (long long)st.st_size);
    } else if ((data = tl__malloc(err, (size_t)st.st_size)) == NULL) {
        tl__error_prefix(err, "%s: ", path);
    } else {
        *bytes = fread(data, 1, (size_t)st.st_size, f);
        if (*bytes != (size_t)st.st_size) {
            tl__fail(err, TL_EIO, "%s: cannot be read: %s", path, ferror(f) ? strerror(errno) : "it became shorter");
            free(data);
            data = NULL;
        }
    }
    if (f) fclose(f);
    return data;
}

int tl__image_read_as(tl_error *err, const char *path, const tl_image_request *request, tl_image *out)
{
    size_t bytes = 0;
    uint8_t *data = file_bytes(err, path, &bytes);
    if (!data) return -1;
    int status = tl__image_decode(err, path, data, bytes, request, out);
    free(data);
    return status;
}

int tl__image_read(tl_error *err, const char *path, int channels, tl_image *out)
{
    tl_image_request request = {.channels = channels};
    return tl__image_read_as(err, path, &request, out);
}
