/* loader.h - threads that read and transform pictures, sound or volumes beside the device. The batches of an epoch
 * depend on the seed and the epoch alone: not on the number of threads, nor on which thread was quicker. Loader
 * threads never touch a device; one thread at a time calls these functions. */
#ifndef TLUA_LOADER_H
#define TLUA_LOADER_H

#include "data/mix.h"
#include "data/mosaic.h"
#include "data/source.h"
#include "data/transform.h"

enum { TL_BAD_ERROR = 0, TL_BAD_SKIP };

/* No threads: tl__loader_next does the work itself. */
#define TL_THREADS_NONE (-1)

/* Of sizes that change from batch to batch: the largest stride of the networks that find boxes. */
#define TL_SIZES_STEP 32

typedef struct tl_loader_config {
    int batch;      /* samples in a batch, >= 1 */
    double seconds; /* of sound, if > 0: instead, as many clips as stay below so many seconds, with what is added to the
                       shorter ones */
    int64_t pieces; /* of texts, if > 0: instead, as many as have together so many pieces, with padding */
    int32_t pad;    /* of texts: the number behind the ends */
    int types;      /* of texts: 1: each piece has its type behind its number */
    double mask_share; /* of texts, if > 0: so many of their pieces are hidden, and marks say what was there */
    int32_t mask_id, mask_size;   /* the number that hides, and how many numbers there are */
    int buckets;    /* of sound and texts: those of about one length go together, whatever their order; a must if
                       with `seconds` or `pieces` they are
                       shuffled */
    tl_source *noise;      /* of sound: what the step "noise" adds, borrowed */
    int threads;           /* 0: as many as processors, 8 at most */
    int shuffle, drop_last;
    uint64_t seed;
    int64_t max_prefetch;  /* bytes of batches under way, but for the first two; 0: 256 MiB */
    int on_bad;            /* a picture that cannot be read is an error, or is left out of its batch */
    double mixup, cutmix;  /* if > 0, batches are mixed with shares from Beta(mixup, mixup), or cut (data/mix.h) */
    int64_t unmixed_from;  /* the first epoch whose batches are not mixed; 0: all are */
    tl_mosaic_options mosaic; /* of pictures with boxes */
    int sizes[2];          /* of pictures with boxes, if the first is > 0: their letterboxes have any side from the
                              first to the second in steps of TL_SIZES_STEP, another in each batch */
    int repeats;           /* of volumes: samples of each in an epoch; 0: one */
    int64_t keep;          /* of volumes: bytes that may stay in memory from epoch to epoch */
} tl_loader_config;

/* A batch lent to the caller, who gives it back with tl__loader_recycle. What the source has none of is NULL. */
typedef struct tl_batch {
    float *x; /* (n, height, width, channels), packed; sound: (n, length), zeros behind the end of each clip */
    int32_t *labels;              /* (n) */
    int64_t *indices;             /* (n) numbers of the pictures in the source */
    int n, height, width, channels;
    int depth; /* of volumes: x is (n, depth, height, width, channels), mask (n, depth, height, width); else 0 */
    int64_t length; /* of sound, in samples at `rate`; 0: pictures */
    int rate;
    int32_t *ids;                 /* of texts, in the place of x: (n, length, numbers) */
    int numbers;                  /* 1, or 2 with types */
    int32_t *piece_marks;         /* (n, length), TL_MARK_IGNORED where nobody asks */
    int32_t *spans;               /* (n, 2) */
    int32_t *lengths;             /* (n): of each clip or text */
    const char **texts;           /* (n), the source's */
    double share;                 /* of a picture's own label; the rest is that of the picture before it (the first: the last) */
    float *values;                /* (n, value_count) */
    int value_count;
    int32_t *mask;                /* (n, height, width): classes, TL_MASK_IGNORED where nobody asks */
    float *boxes;                 /* (boxes, 4) of all pictures in a row: left, top, right, bottom in pixels of x */
    int32_t *box_labels;          /* (boxes) */
    int64_t *box_offsets;         /* (n + 1): picture i has boxes box_offsets[i] to box_offsets[i + 1] */
    float *points;                /* (points, 2): x, y */
    int64_t *point_offsets;       /* (n + 1) */
    int slot;                     /* the loader's own */
} tl_batch;

typedef struct tl_loader tl_loader;

/* Source, noises and pipeline are borrowed and must outlive the loader; a first picture may be read to find the size.
 * Steps that cannot keep a field of the source are an error, and so is mixing of what cannot be mixed. */
tl_loader *tl__loader_open(tl_error *err, tl_source *source, const tl_pipeline *pipeline, const tl_loader_config *config);
void tl__loader_close(tl_loader *l);

/* Starts an epoch, from its first batch or from batch `batch`. What was under way is dropped; batches that
 * the caller still holds stay valid. */
int tl__loader_start(tl_loader *l, tl_error *err, int64_t epoch);
int tl__loader_start_at(tl_loader *l, tl_error *err, int64_t epoch, int64_t batch);
/* The next batch: 1; the end of the epoch: 0; an error: -1. The first error in the order of the epoch is the
 * one reported, and the epoch ends with it. */
int tl__loader_next(tl_loader *l, tl_error *err, tl_batch *b);
void tl__loader_recycle(tl_loader *l, tl_batch *b);

int64_t tl__loader_batches(const tl_loader *l);  /* in an epoch */
int64_t tl__loader_samples(const tl_loader *l); /* likewise: the source's, of volumes so many times as many */
int tl__loader_threads(const tl_loader *l);
void tl__loader_shape(const tl_loader *l, int hwc[3]);
double tl__loader_waited(const tl_loader *l);    /* seconds that the caller has waited for batches since the opening */
int64_t tl__loader_skipped(const tl_loader *l);  /* pictures left out of the batches delivered since the opening */

/* ---- the check before training ---- */

typedef struct tl_bad_picture {
    int64_t index;
    char *reason; /* one line that starts with the path */
} tl_bad_picture;

/* Zero it, or set `progress` before. */
typedef struct tl_check_report {
    int64_t checked, bad_count;
    tl_bad_picture *bad; /* in the order of the source */
    int64_t note_count;
    tl_bad_picture
        *note; /* likewise of clips that are used, but may not be as their owner thinks: clipped, with a silent side */
    /* Called now and then by the calling thread; a result that is not 0 stops the check (TL_EINTERRUPT). */
    int (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} tl_check_report;

/* Decodes every clip, or every picture of a source of files (JPEGs at 1/8, which reads all their data), and
 * returns the source to use: the same one retained, or with TL_BAD_SKIP a view without the damaged ones. With
 * TL_BAD_ERROR a damaged picture makes it return NULL, with an error that names the first few. Sources of few
 * large files have been checked on opening and are returned at once. */
tl_source *tl__loader_check(tl_error *err, tl_source *source, int threads, int on_bad, tl_check_report *report);
void tl__check_report_free(tl_check_report *report);
/* How many threads 0 stands for. */
int tl__thread_count(int threads);

#endif
