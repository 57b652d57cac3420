/* mosaic.h - pictures with boxes put together for training, as YOLOX does it (Ge et al. 2021; mosaicdetection.py of
 * Megvii's YOLOX 0.3.0): four letterboxes around a point of a grey canvas of twice the size, an affine map of it, and
 * another picture mixed in by half. What follows (flips, colours) are the steps behind the pipeline's letterbox. */
#ifndef TLUA_MOSAIC_H
#define TLUA_MOSAIC_H

#include "data/source.h"
#include "data/transform.h"

/* What is drawn. Ranges are from and to. */
typedef struct tl_mosaic_options {
    double chance;         /* that a sample is a mosaic; 0: none is */
    double mixup;          /* that a mosaic is mixed with another picture */
    int64_t until;         /* the first epoch without any, counted from 1; 0: all have some */
    double degrees[2];     /* counter-clockwise about the upper left corner, as OpenCV turns */
    double scale[2];       /* of the canvas */
    double shear[4];       /* degrees: along x, then y */
    double translate[2];   /* shares of width and height, either way */
    double mixup_scale[2]; /* of the picture that is mixed in, beside what its letterbox does */
} tl_mosaic_options;

/* Where pictures come from. All is borrowed. */
typedef struct tl_mosaic_from {
    const tl_mosaic_options *options;
    const tl_source *source;
    const tl_pipeline *pipeline;
    const tl_image_request *request;
    int step; /* the number of the letterbox in the pipeline */
    uint64_t seed, epoch;
} tl_mosaic_from;

/* Memory of one thread: zero it, free it with tl__mosaic_free. The boxes of what was made last are in `marks`, with
 * the share that is seen of each. */
typedef struct tl_mosaic {
    tl_image canvas, tile, picture, other;
    tl_marks marks, part;
    tl_target target;
} tl_mosaic;
void tl__mosaic_free(tl_mosaic *m);

/* Are ranges such, and does the pipeline have a letterbox, with nothing behind it that would be another size? 0 with
 * its number in *step, or -1. */
int tl__mosaic_check(tl_error *err, const tl_mosaic_options *o, const tl_pipeline *p, int *step);
/* Is the sample a mosaic? It and all that it shows are drawn by (seed, epoch, index) alone. */
int tl__mosaic_drawn(const tl_mosaic_from *from, int64_t index);
/* The mosaic of sample `index` as a picture of height x width in m->picture, before the steps that follow. 0, or -1
 * with an error that names the picture which cannot be read. */
int tl__mosaic_make(tl_error *err, const tl_mosaic_from *from, tl_scratch *scratch, int64_t index, int height,
                    int width, tl_mosaic *m);

#endif
