/* mix.h - mixup and cutmix: pictures of a batch mixed with their neighbours, as torchvision.transforms.v2 does it. */
#ifndef TLUA_MIX_H
#define TLUA_MIX_H

#include "base/base.h"

enum { TL_MIX_NONE, TL_MIX_UP, TL_MIX_CUT };

typedef struct tl_mix {
    int kind;
    double share; /* of a picture's own label; 1 where nothing is mixed */
    int left, top, right, bottom; /* TL_MIX_CUT: the part that comes from the neighbour */
} tl_mix;

/* What is done to a batch: its share is drawn from Beta(mixup, mixup) or Beta(cutmix, cutmix), one of the two by a fair
 * coin where both are above 0. A cut is a rectangle about any pixel, cut off at the borders, and the share its rest. */
tl_mix tl__mix_draw(tl_rng_key key, double mixup, double cutmix, int height, int width);
/* Mixes each of `n` pictures (height, width, channels) in `x` with the one before it, the first with the last. */
void tl__mix_pictures(const tl_mix *m, float *x, int n, const int hwc[3]);

#endif
