/* loader_inside.h - what the files of the loader share: the batches of an epoch (loader_plan.c), the window of
 * batches that threads fill (loader.c), and what makes samples of one kind into a batch (loader_pictures.c,
 * loader_waves.c, loader_volumes.c, loader_pieces.c). */
#ifndef TLUA_LOADER_INSIDE_H
#define TLUA_LOADER_INSIDE_H

#include "data/loader.h"

#include <pthread.h>

#define TL_LOADER_THREADS 64
#define TL_LOADER_SLOTS 8
#define TL_LOADER_PREFETCH ((int64_t)256 << 20)

/* ---- the batches of an epoch ---- */

/* Batch b of the epoch is order[offset[b]] to order[offset[b + 1]], samples of the source. How many batches there are
 * does not change from epoch to epoch. */
typedef struct tl_batches {
    int64_t count, batches;
    int64_t *order, *offset;
    uint64_t seed;
    int shuffle;
    int64_t batch; /* samples in a batch; 0: as many as fit */
    int64_t drop;  /* samples that an epoch leaves out */
    int64_t repeats; /* samples of one volume; their numbers are neighbours, and they are near in the order too */
    /* By length: samples from the shortest to the longest, in buckets of about one length, each cut into batches.
     * NULL: not so. */
    int64_t *rank, *bucket, *parts; /* bucket k is rank[bucket[k]] to rank[bucket[k + 1]], and makes parts[k] batches */
    int64_t buckets;
    int64_t *spare;
} tl_batches;

/* `longest` of each sample (NULL: all are alike), `most` samples together with padding in a batch (0:
 * config->batch of them). */
int tl__batches_open(tl_error *err, tl_batches *p, const tl_loader_config *config, int64_t count,
                     const int64_t *longest, int64_t most);
void tl__batches_epoch(tl_batches *p, int64_t epoch);
void tl__batches_free(tl_batches *p);

/* ---- the window ---- */

enum { TL_SLOT_FREE, TL_SLOT_FILLING, TL_SLOT_LENT };

/* Memory of one batch. */
typedef struct tl_slot {
    int state;
    int64_t batch; /* its number in the epoch */
    int64_t bytes; /* of its inputs */
    int n, left;   /* samples in it, and how many are not yet in place */
    float *x;
    int32_t *labels;
    int64_t *indices;
    float *values;   /* (n, value_count) */
    int32_t *mask;   /* (n, height, width) */
    tl_marks *marks; /* of each picture */
    tl_marks joined; /* those of all, in a row */
    int64_t *box_offsets, *point_offsets;
    int32_t *ids, *piece_marks; /* of texts; the second lies behind the first */
    int32_t *spans;   /* (n, 2) */
    int32_t *lengths; /* of sound: samples of each clip, which begin every `row` of x until the batch is finished */
    const char **texts;
    int64_t row;
    int64_t size[3]; /* of volumes: slices, rows, columns of each */
    int channels;
    uint8_t *bad;  /* 1: left out */
    int failed_at; /* place of the first sample that failed, or n */
    int skipped;   /* samples left out */
    tl_mix mix;
    tl_error error;
} tl_slot;

/* What a thread keeps from sample to sample. */
typedef struct tl_loader_worker {
    tl_loader *loader;
    pthread_t thread;
    tl_scratch scratch;
    tl_image image;
    tl_wave wave;
    tl_target target;
    tl_mosaic mosaic;
} tl_worker;

/* What differs between pictures, sound and volumes. But for the first three, each is called for one slot by one
 * thread. */
typedef struct tl_cargo {
    /* Sizes, the plan, and whether source, steps and options go together. */
    int (*open)(tl_error *err, tl_loader *l);
    /* NULL: there is nothing to do. An epoch begins at this place of its order, and no sample is under way. */
    void (*close)(tl_loader *l);
    void (*start)(tl_loader *l, int64_t place);
    /* Memory for `x` of any batch, once. NULL: `begin` makes it. */
    int (*room)(tl_error *err, const tl_loader *l, tl_slot *s);
    /* Bytes of the inputs of a batch of the epoch. */
    int64_t (*bytes)(const tl_loader *l, int64_t batch);
    /* Gets the slot ready for its batch; NULL: it is. */
    int (*begin)(tl_error *err, const tl_loader *l, tl_slot *s);
    /* Reads and transforms sample `item` into its place: number item / repeats of the source. */
    int (*make)(const tl_loader *l, tl_worker *w, int64_t epoch, int64_t item, tl_slot *s, int at, tl_error *err);
    /* Moves the input of a sample to the place `to` before it. */
    void (*move)(const tl_loader *l, tl_slot *s, int from, int to);
    /* What is left to do when all are in place. 0 or -1 with an error in the slot. */
    int (*finish)(const tl_loader *l, tl_slot *s, int64_t epoch);
    void (*lend)(const tl_loader *l, const tl_slot *s, tl_batch *b);
} tl_cargo;
extern const tl_cargo tl__cargo_pictures, tl__cargo_waves, tl__cargo_volumes, tl__cargo_pieces;

/* The volumes that are in memory (loader_volumes.c). */
typedef struct tl_blocks tl_blocks;

struct tl_loader {
    tl_source *source;
    const tl_pipeline *pipeline;
    tl_loader_config config;
    const tl_cargo *cargo;
    tl_image_request request;
    int hwc[3];         /* of pictures whose sizes change: of the largest */
    int letterbox;      /* the number of that step, where mosaics or changing sizes want it */
    size_t picture_floats;
    size_t values, mask_pixels; /* of a picture; 0: none */
    int marked;                 /* there are boxes or points */
    int64_t *longest;           /* of each clip: the most samples that it may come to have */
    int64_t repeats;            /* samples of each of the source's in an epoch; 1 but of volumes */
    tl_blocks *blocks;
    tl_batches plan;
    int64_t most_bytes; /* of batches under way, but for the first two */
    int batch_room;     /* samples of the largest batch */

    pthread_mutex_t lock;
    pthread_cond_t work, ready; /* there is something to do; a batch is complete, or a worker has come to rest */
    int64_t epoch;
    int64_t next_place; /* first place in the order not yet handed out, and its batch */
    int64_t next_fill;
    int64_t next_batch; /* to be delivered */
    int started, stopping, busy;
    int slots;
    tl_slot slot[TL_LOADER_SLOTS];

    int threads;
    tl_worker worker[TL_LOADER_THREADS]; /* [0] also serves the caller where there are no threads */
    double waited;
    int64_t skipped;
};

/* Puts the sample's name before an error about it. Returns -1. */
int tl__loader_about(const tl_loader *l, int64_t index, tl_error *err);

#endif
