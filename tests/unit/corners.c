/* corners.c - black corners: which pixels, at any depth, and that pictures may still be decoded small. */
#include "data_files.h"

/* Is pixel (x, y) of a picture in a corner of `high` rows and `wide` columns? */
static int cornered(int x, int y, int width, int height, int wide, int high)
{
    return (x < wide || x >= width - wide) && (y < high || y >= height - high);
}

static void expect_corners(const char *text, int width, int height, int channels, tl_depth depth, int wide, int high)
{
    tl_error err = {0};
    tl_image image = {0};
    tl_scratch scratch = {0};
    int hwc[3] = {height, width, channels};
    size_t samples = (size_t)(width * height * channels);
    float *out = malloc(samples * sizeof *out), one = 1;
    uint16_t white = 65535;
    cr_assert_eq(tl__image_reserve_deep(&err, &image, width, height, channels, depth), 0);
    for (size_t i = 0; i < samples; i++) {
        if (depth == TL_DEPTH_8) image.data[i] = 255;
        if (depth == TL_DEPTH_16) memcpy(image.data + 2 * i, &white, 2);
        if (depth == TL_DEPTH_FLOAT) memcpy(image.data + 4 * i, &one, 4);
    }
    tl_pipeline *p = tl__pipeline_parse(&err, text);
    cr_assert(p, "%s", err.text);
    cr_assert_eq(tl__pipeline_run(&err, p, &scratch, &(tl_draw_key){0}, &image, hwc, out), 0, "%s", err.text);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                float want = cornered(x, y, width, height, wide, high) ? 0 : 1;
                cr_assert_eq(out[(y * width + x) * channels + c], want, "%s: (%d, %d)", text, x, y);
            }
    free(out);
    tl__pipeline_free(p);
    tl__image_free(&image);
    tl__scratch_free(&scratch);
}

Test(corners, are_black)
{
    for (tl_depth depth = TL_DEPTH_8; depth <= TL_DEPTH_FLOAT; depth++) {
        expect_corners("strip_corners(share=0.25)", 20, 12, 1, depth, 5, 3);
        expect_corners("strip_corners(share=0.1)", 21, 17, 3, depth, 2, 2);
        expect_corners("strip_corners(share=0)", 8, 8, 1, depth, 0, 0);
        expect_corners("strip_corners(share=0.5)", 7, 9, 3, depth, 4, 5); /* all of it */
        expect_corners("strip_corners(share=0.01)", 8, 8, 1, depth, 0, 0);
    }
}

Test(corners, share_is_checked)
{
    tl_error err = {0};
    cr_assert_null(tl__pipeline_parse(&err, "strip_corners(share=0.6)"));
    expect_error(err, "share");
    err = (tl_error){0};
    cr_assert_null(tl__pipeline_parse(&err, "strip_corners()"));
    expect_error(err, "share");
}

/* What is decoded at a half or a quarter is so with them too. */
Test(corners, decode_small)
{
    const char *const texts[] = {"decode(gap=2); to_channels(channels=3); resize(size=64)",
                                 "decode(gap=2); strip_corners(share=0.1); to_channels(channels=3); resize(size=64)"};
    for (int i = 0; i < 2; i++) {
        tl_error err = {0};
        tl_image_request request;
        tl_pipeline *p = tl__pipeline_parse(&err, texts[i]);
        cr_assert(p, "%s", err.text);
        tl__pipeline_request(p, &request);
        cr_assert_eq(request.smallest_side, 128);
        tl__pipeline_free(p);
    }
}
