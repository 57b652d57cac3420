/* image.h - pictures in and out: files to pixels and back. What a picture of 8 bits looks like
 * after reading is what Pillow's ImageOps.exif_transpose(Image.open(path)).convert("RGB") (or "L") gives, because
 * the published weights were trained on that, and people look at that. Of several pictures in a file the first is read. */
#ifndef TLUA_IMAGE_H
#define TLUA_IMAGE_H

#include "base/base.h"

/* What a sample of a pixel is: 8 bits, 16 bits in this machine's order, or a float32 (whose white is 1). */
typedef enum tl_depth { TL_DEPTH_8 = 0, TL_DEPTH_16, TL_DEPTH_FLOAT } tl_depth;

/* Pixels, rows from the top, (height, width, channels) packed. `data` has TL_IMAGE_SLACK bytes
 * behind the last pixel, so that vectors may read over the end; make one with tl__image_reserve. Zeroed,
 * it is an empty picture. Reading into a picture that holds memory uses that again if it is enough. */
typedef struct tl_image {
    int width, height, channels; /* channels: 1 (grey), 3 (red, green, blue), or any number up to TL_IMAGE_MOST_CHANNELS */
    uint8_t *data;               /* aligned for floats */
    size_t capacity;
    tl_depth depth;
} tl_image;

#define TL_IMAGE_MOST_CHANNELS 64

#define TL_IMAGE_SLACK 32
/* A file that claims more pixels than this is refused before anything is allocated: where Pillow refuses too. The
 * environment's TLUA_MAX_PIXELS raises or lowers it, up to what an int counts in bytes. */
#define TL_IMAGE_MAX_PIXELS 178956970
#define TL_IMAGE_MOST_PIXELS 715827882

/* What becomes of samples that are deeper than 8 bits: 16 bits lose their lower half, floats are cut to 0 to 1. */
enum { TL_DEEP_NONE = 0, TL_DEEP_FLOATS, TL_DEEP_ALL };

/* Values of scanners to what is seen, 0 to 1: a window of DICOM, or by its width one of these. */
enum {
    TL_WINDOW_FILE = 0,  /* the file's own; one without is an error, but for pictures of 8 bits */
    TL_WINDOW_RANGE = -1 /* from a picture's least value to its greatest */
};
typedef struct tl_image_window {
    double centre, width;
} tl_image_window;
#define TL_IMAGE_MOST_WINDOWS 8

/* How a picture is wanted. Zeroed: native channels at full size. */
typedef struct tl_image_request {
    int channels;       /* 3, 1, or 0: 1 for a grey file and 3 for any other (more where the file has more and no name for them) */
    int deep;           /* which samples stay as they are: none (all become 8 bits), floats, or those of 16 bits too */
    int indices;        /* a mask is wanted: one channel with the numbers of the file, a palette's index and not its colour */
    int smallest_side;  /* if > 0, a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as both sides stay this large */
    /* Of DICOM files, a channel each. None: the file's own window, or where it has none the range of the picture. */
    int window_count;
    tl_image_window window[TL_IMAGE_MOST_WINDOWS];
} tl_image_request;

/* Is a picture of this size to be read? 0, or -1 with an error (TL_EFORMAT; TL_EARG where TLUA_MAX_PIXELS is no number). */
int tl__image_check_size(tl_error *err, int64_t width, int64_t height);
/* Gives `image` room for these dimensions; the pixels, of 8 bits, are undefined. 0 or -1 (TL_EFORMAT where there are
 * too many pixels or none, TL_EMEMORY). */
int tl__image_reserve(tl_error *err, tl_image *image, int width, int height, int channels);
int tl__image_reserve_deep(tl_error *err, tl_image *image, int width, int height, int channels, tl_depth depth);
/* Bytes of a sample, and of a pixel. */
static inline size_t tl__depth_bytes(tl_depth depth) { return depth == TL_DEPTH_8 ? 1 : depth == TL_DEPTH_16 ? 2 : 4; }
static inline size_t tl__image_pixel(const tl_image *image) { return (size_t)image->channels * tl__depth_bytes(image->depth); }
/* In place: 16 bits to their upper 8, floats from 0 to 1 to the nearest. */
void tl__image_to_bytes(tl_image *image);
/* The same where the request does not keep such samples. */
void tl__image_settle(tl_image *image, const tl_image_request *request);
void tl__image_free(tl_image *image);

/* The picture in a file; 0, or -1 with one line that starts with the path. A picture that is cut short or
 * damaged is an error, never a grey area. */
int tl__image_read(tl_error *err, const char *path, int channels, tl_image *out);
int tl__image_read_as(tl_error *err, const char *path, const tl_image_request *request, tl_image *out);
/* The same from memory; `name` stands for the path in messages. */
int tl__image_decode(tl_error *err, const char *name, const void *data, size_t bytes, const tl_image_request *request, tl_image *out);
/* How large the picture in a file is once it stands upright; most formats tell it in their head. 0, or -1 with one
 * line that starts with the path. */
int tl__image_size(tl_error *err, const char *path, int *width, int *height);
/* The same of the contents of a file; `name` stands for the path in messages. */
int tl__image_size_memory(tl_error *err, const char *name, const void *data, size_t bytes, int *width, int *height);
/* A copy of pixels in memory as they are requested; 0 or -1. */
int tl__image_copy(tl_error *err, const tl_image *image, const tl_image_request *request, tl_image *out);
/* Writes an 8-bit PNG, whole or not at all. */
int tl__image_write_png(tl_error *err, const char *path, const tl_image *image);
/* In place: grey to three equal channels, or three to grey by Pillow's weights (ITU-R 601, 16-bit fixed point). Any depth. */
int tl__image_to_channels(tl_error *err, tl_image *image, int channels);
/* True for names that end as one of the formats does, in any letter case. */
int tl__image_is_name(const char *path);
/* What is read, for messages. */
#define TL_IMAGE_FORMATS "JPEG, PNG, WebP, TIFF, BMP, GIF and DICOM"

/* "libjpeg-turbo 2.1.5, libspng 0.7.3, libwebp ...": what decodes here. Another version may round otherwise. */
const char *tl__image_decoders(char *text, size_t size);

/* For the formats: records that a picture of so many channels is no mask. Returns -1. */
int tl__image_no_mask(tl_error *err, const char *name, int channels, int bits);

/* The orientation, 1 to 8, that Exif (with or without "Exif\0\0" before it) or else XMP tells; either may be NULL. 1: as it is. */
int tl__orientation(const uint8_t *exif, size_t exif_bytes, const uint8_t *xmp, size_t xmp_bytes);
/* Turns the picture so that it stands upright. 0 or -1. */
int tl__image_orient(tl_error *err, tl_image *image, int orientation);

/* The same of a JPEG in memory, for image_size.c. */
int tl__jpeg_size(tl_error *err, const char *name, const uint8_t *data, size_t bytes, int *width, int *height);
/* The formats, for image.c. */
int tl__jpeg_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out);
int tl__webp_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out);
int tl__gif_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out);
int tl__bmp_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out);
int tl__tiff_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out);
int tl__png_decode(tl_error *err, const char *name, const uint8_t *data, size_t bytes, const tl_image_request *request, tl_image *out);
int tl__dicom_decode_picture(tl_error *err, const char *name, const uint8_t *data, size_t bytes,
                             const tl_image_request *request, tl_image *out);
/* Frame `frame` (from 0) of a DICOM file, of which no more is read than that takes. 0 or -1. */
int tl__dicom_picture(tl_error *err, const char *path, int frame, const tl_image_request *request, tl_image *out);

#endif
