/* picture.c - picture files of all formats. The first byte of the input says how the picture is wanted. What the formats' libraries do with
 * wrong data is tried along with it, as far as they were built with sanitizers. */
#include "fuzz.h"
#include "io/image.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return setenv("TLUA_MAX_PIXELS", "250000", 1); /* a picture of 20 bytes may truly have many pixels; the fuzzer is to be quick */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) return 0;
    static const int channels[] = {0, 1, 3, 0};
    tl_image_request request = {.channels = channels[data[0] & 3], .deep = (data[0] & 3) == 3 ? TL_DEEP_ALL : TL_DEEP_NONE, .smallest_side = data[0] >> 2,
                                .indices = data[0] >> 2 == 63};
    if (request.deep && request.smallest_side & 1) { /* of DICOM files, which are the only ones that have windows */
        request.window_count = 2;
        request.window[0] = (tl_image_window){40, 400};
        request.window[1] = (tl_image_window){0, TL_WINDOW_RANGE};
    }
    uint8_t *copy = fuzz_copy(data + 1, bytes - 1);
    tl_error err = {0};
    tl_image image = {0};
    if (tl__image_decode(&err, "f", copy, bytes - 1, &request, &image) == 0) {
        never(image.width < 1 || image.height < 1 || image.channels < 1 || image.channels > TL_IMAGE_MOST_CHANNELS);
        never((request.channels && image.channels != request.channels) || (!request.deep && image.depth != TL_DEPTH_8) || (request.indices && !request.channels && image.channels != 1));
        size_t n = (size_t)image.width * (size_t)image.height * tl__image_pixel(&image), sum = 0;
        never(n > image.capacity);
        for (size_t i = 0; i < n; i++) sum += image.data[i];
        never(sum > 255 * n);
    } else {
        check_error(&err, "f: ");
    }
    tl__image_free(&image);
    free(copy);
    return 0;
}
