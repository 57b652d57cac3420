/* colour.h - changes of a picture's colours in place, on 8 bits bit for bit as Pillow does them for torchvision.
 * Pictures are grey or red, green, blue; the first five, but for sharpness, and the grey picture know any depth, and any number of
 * channels, where saturation, hue and grey do nothing unless there are three. */
#ifndef TLUA_COLOUR_H
#define TLUA_COLOUR_H

#include "io/image.h"

/* Factor 1 leaves the picture as it is; 0 gives black, the mean grey, the grey picture, the smoothed one. */
void tl__adjust_brightness(tl_image *image, double factor);
void tl__adjust_contrast(tl_image *image, double factor);
void tl__adjust_saturation(tl_image *image, double factor);
/* `spare` holds the smoothed picture meanwhile. */
int tl__adjust_sharpness(tl_error *err, tl_image *image, double factor, tl_image *spare);
/* Moves the hue by `shift` turns, -0.5 to 0.5. */
void tl__adjust_hue(tl_image *image, double shift);

/* All channels become the grey picture. */
void tl__greyscale(tl_image *image);
/* Keeps the upper `bits` (1 to 8) of each value. */
void tl__posterize(tl_image *image, int bits);
/* Turns round the values from `threshold` on. */
void tl__solarize(tl_image *image, double threshold);
/* On deeper samples (colour_deep.c): `from` + factor * (x - from), the mean grey, and the rest of those of three channels. */
void tl__deep_blend(tl_image *image, double from, double factor);
double tl__deep_mean(const tl_image *image);
void tl__deep_saturation(tl_image *image, double factor);
void tl__deep_hue(tl_image *image, double shift);
void tl__deep_greyscale(tl_image *image);

/* Stretches each channel to 0..255. */
void tl__autocontrast(tl_image *image);
/* Spreads each channel's values evenly. */
void tl__equalize(tl_image *image);

#endif
