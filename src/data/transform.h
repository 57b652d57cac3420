/* transform.h - what happens to a picture, to sound (waves.h) or to a volume (blocks.h) between the file and the
 * network, as data: a list of steps, each a row of a table with parameters, so that it can be checked before
 * anything runs, written into a model file, hashed for the feature cache and run by any thread. Semantics are
 * torchvision's on Pillow pictures. A step touches the fields that its row declares: one that moves pixels says
 * where they went (tl__sample_moved), and masks, boxes and points follow. */
#ifndef TLUA_TRANSFORM_H
#define TLUA_TRANSFORM_H

#include "data/geometry.h"
#include "data/resize.h"
#include "io/audio.h"

/* ---- one step ---- */

#define TL_PARAM_VALUES 64 /* one for each channel of the most */
#define TL_TRANSFORM_PARAMS 6

/* One parameter: `least` to `most` numbers between `low` and `high`, or one text out of `choices`. */
typedef struct tl_param {
    const char *name, *brief;
    int least, most;
    double low, high;
    int integer;
    int pairs; /* of volumes: two by two from and to */
    const char *const *choices; /* ends with NULL */
    const char *initial;        /* its value as text, as in a pipeline's text; NULL: must be given */
} tl_param;

typedef struct tl_setting {
    int count; /* 0: not given */
    double at[TL_PARAM_VALUES]; /* a choice is its number */
} tl_setting;

typedef struct tl_record tl_record;
typedef struct tl_transform tl_transform;

/* What a step works on. */
enum {
    TL_STAGE_DECODE,
    TL_STAGE_BYTES,
    TL_STAGE_TO_FLOAT,
    TL_STAGE_FLOATS,
    TL_STAGE_RATE,
    TL_STAGE_WAVE,
    TL_STAGE_GRID,  /* of volumes: what a file is brought to */
    TL_STAGE_BLOCK, /* the whole volume, the same each time */
    TL_STAGE_PATCH, /* which part is taken */
    TL_STAGE_PLACE, /* where its voxels come from */
    TL_STAGE_VOXELS /* their values */
};
/* "pictures", "sound" or "volumes": steps of two kinds do not stand together. */
const char *tl__stage_kind(int stage);

/* A kind of step. A new one is one row in transforms.c, of sound in wave_steps.c, of volumes in volume_steps.c. */
typedef struct tl_transform_row {
    const char *name, *brief;
    int stage;
    unsigned touches; /* fields, TL_FIELD_... */
    int bytes_only;   /* pictures of 8 bits with 1 or 3 channels alone */
    int moves;        /* pixels go elsewhere; then what `touches` lacks of masks, boxes and points cannot be kept */
    int is_random;
    tl_param param[TL_TRANSFORM_PARAMS + 1]; /* ends with a NULL name */
    /* Refuses parameters that do not go together; NULL: each alone suffices. */
    int (*check)(tl_error *err, const tl_transform *t);
    /* Turns the size before (height, width, channels; 0: not known) into the size after; NULL: no change. */
    void (*shape)(const tl_transform *t, int hwc[3]);
    /* The smallest side that a picture needs to lose nothing in this step; NULL: any reduction loses. */
    double (*need)(const tl_transform *t);
    /* Refuses parameters with which these fields cannot be kept; NULL: `touches` says all. */
    int (*keeps)(tl_error *err, const tl_transform *t, unsigned fields);
    /* Where a point of the result comes from, of a picture of *width x *height, which become those of the result. NULL
     * where `moves`: that is drawn. */
    void (*from)(const tl_transform *t, int *width, int *height, tl_affine *from);
    /* Changes the sample; NULL: nothing to do here. 0 or -1. */
    int (*apply)(tl_error *err, const tl_transform *t, tl_record *s);
    /* Of sound: the most samples that come out for `count` at `rate`; NULL: no more than came in. */
    int64_t (*longest)(const tl_transform *t, int64_t count, int rate);
} tl_transform_row;

struct tl_transform {
    const tl_transform_row *row;
    tl_setting value[TL_TRANSFORM_PARAMS];
};

/* All rows of pictures, of sound and of volumes, each ending with a NULL name. */
extern const tl_transform_row tl__transform_rows[], tl__wave_rows[], tl__volume_rows[];

/* A step with its parameters at their initial values; an unknown name is an error with the near miss.
 * The caller frees it, or gives it to tl__pipeline_add. */
tl_transform *tl__transform_new(tl_error *err, const char *name);
void tl__transform_free(tl_transform *t);
int tl__transform_set_number(tl_error *err, tl_transform *t, const char *key, double value);
int tl__transform_set_numbers(tl_error *err, tl_transform *t, const char *key, const double *values, int count);
int tl__transform_set_text(tl_error *err, tl_transform *t, const char *key, const char *value);
/* Everything that must be given is given, and goes together. */
int tl__transform_check(tl_error *err, const tl_transform *t);

/* ---- a sample on its way ---- */

/* Memory of one thread: zero it, free it with tl__scratch_free. */
typedef struct tl_scratch {
    tl_image spare;
    tl_resizer resizer;
    tl_geometry geometry; /* of the picture that was run last */
    tl_wave wave, other;  /* of sound */
    int letterbox;        /* if > 0, the side of letterboxes in the place of their own */
} tl_scratch;
void tl__scratch_free(tl_scratch *s);

struct tl_record {
    tl_image *image;     /* bytes, until the step to floats */
    tl_scratch *scratch;
    float *values;       /* float32 (height, width, channels) from there on, in the caller's memory */
    int height, width, channels; /* of `values`, as the caller expects them */
    tl_wave *wave;               /* in the place of a picture */
    const struct tl_source *noise; /* sound that a step may add; NULL: none */
    struct tl_block *block;        /* a volume (blocks.h), while it is made ready */
    struct tl_placing *placing;    /* of a sample of one: where it comes from */
    int64_t voxels;                /* of `values` then, each of `channels` */
    tl_rng_key key;      /* of this picture in this epoch */
    uint64_t draw;       /* number of the next draw */
};

/* Draws for random steps, each from a counter block of its own. */
double tl__sample_uniform(tl_record *s, double low, double high);
int64_t tl__sample_below(tl_record *s, int64_t n);
/* Makes the spare picture, which a step has written, the sample's. */
void tl__sample_swap(tl_record *s);
/* The sample's picture, which is the new one already, shows at (x, y) what was at `from` of them. */
void tl__sample_moved(tl_record *s, const tl_affine *from);

/* ---- a list of steps ---- */

typedef struct tl_pipeline {
    int count, capacity;
    tl_transform *step;
} tl_pipeline;

tl_pipeline *tl__pipeline_new(tl_error *err);
void tl__pipeline_free(tl_pipeline *p);
/* Checks `t` and its place (bytes before floats) and takes it over; it is freed on failure too. */
int tl__pipeline_add(tl_error *err, tl_pipeline *p, tl_transform *t);
/* The canonical text, every parameter in the table's order:
 * "resize(size=256, interpolation=bilinear); center_crop(size=224)". The caller frees it. */
char *tl__pipeline_text(tl_error *err, const tl_pipeline *p);
/* The pipeline of a text in that form (parameters in any order, or left out where they have initial values). */
tl_pipeline *tl__pipeline_parse(tl_error *err, const char *text);
int tl__pipeline_is_random(const tl_pipeline *p);
/* The size that comes out for a picture of the size `hwc`, in place; 0 stands for "not known" both ways. */
void tl__pipeline_shape(const tl_pipeline *p, int hwc[3]);
/* Do all steps keep these fields of a sample? 0, or -1 with an error that names the step. */
int tl__pipeline_keeps(tl_error *err, const tl_pipeline *p, unsigned fields);
/* How the source should read pictures for this pipeline. */
void tl__pipeline_request(const tl_pipeline *p, tl_image_request *request);

/* Who a picture is, for its draws: they depend on these three alone. */
typedef struct tl_draw_key {
    uint64_t seed, epoch, index;
} tl_draw_key;

/* Runs the steps on `image`, which is used up (its memory stays good for the next), and writes float32
 * (height, width, channels) into `out`. Where no step normalises, values are bytes / 255. What comes out
 * must have the size `hwc`; another is a TL_ESHAPE error that names both and what to add. Where its pixels
 * went stands in scratch->geometry. */
int tl__pipeline_run(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who, tl_image *image, const int hwc[3], float *out);
/* The same in two parts, for who puts several pictures together between them: the steps before number `step`, all of
 * bytes, and those from there on, to which the picture is one that has not moved yet. */
int tl__pipeline_run_before(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                            tl_image *image, int step);
int tl__pipeline_run_from(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                          tl_image *image, int step, const int hwc[3], float *out);
/* Where the pixels of a picture of width x height go, without any. 0, or -1 with an error where a step draws that. */
int tl__pipeline_geometry(tl_error *err, const tl_pipeline *p, int width, int height, tl_geometry *out);
/* The number of the first step of that name, from 0; -1: there is none. */
int tl__pipeline_find(const tl_pipeline *p, const char *name);
/* The same up to the step to floats: the picture as bytes, in `image`. */
int tl__pipeline_run_bytes(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who, tl_image *image);
/* All samples as float32: bytes / 255, 16 bits / 65535, floats as they are. */
void tl__image_floats(const tl_image *image, float *out);
/* The picture that the network is fed, for people to look at: `values` with the normalisation undone. */
int tl__pipeline_picture(tl_error *err, const tl_pipeline *p, const float *values, const int hwc[3], tl_image *out);

#endif
