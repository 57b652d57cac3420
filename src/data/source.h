/* source.h - where samples come from: pictures, sound or volumes, and what is known of each. Access is random and
 * from any thread; what a picture is does not depend on how it was reached. Labels count from 0. A source says
 * which fields it has; what is more than a class (values, masks, boxes, points) is read by its `target`. */
#ifndef TLUA_SOURCE_H
#define TLUA_SOURCE_H

#include "data/clips.h"
#include "data/folders.h"
#include "data/pieces.h"
#include "data/plane.h"
#include "data/stacks.h"
#include "data/target.h"
#include "data/volumes.h"

typedef struct tl_source tl_source;

/* What one kind of source can do. */
typedef struct tl_source_ops {
    const char *kind;
    int from_files; /* each picture is a file of its own, and may be damaged on its own */
    void (*close)(tl_source *s);
    int (*read)(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out);
    /* The file that holds picture i, and its number in there, or -1 where the file is the picture. */
    const char *(*locate)(const tl_source *s, int64_t i, int64_t *number);
    /* What sample i has of `fields`, which are among the source's. NULL: picture and label are all. */
    int (*target)(tl_error *err, const tl_source *s, int64_t i, unsigned fields, tl_target *out);
    /* Puts into `h` what differs when the target may differ. With `root`, what stays when the data are moved or
     * written anew. NULL: nothing. */
    int (*target_hash)(tl_error *err, const tl_source *s, int64_t i, const char *root, tl_sha256 *h);
    /* A text that differs when picture i may differ, freed by the caller. NULL: it follows from the file that
     * `locate` names. */
    char *(*identity)(tl_error *err, const tl_source *s, int64_t i);
    /* Of sound (TL_FIELD_WAVE), in the place of `read`: what is asked of clip i, and how long it is without reading
     * samples. */
    int (*wave)(tl_error *err, const tl_source *s, int64_t i, const tl_audio_request *request, tl_audio_heard *heard,
                tl_wave *out);
    tl_clip (*clip)(const tl_source *s, int64_t i);
    /* The text of sample i (TL_FIELD_TEXT), in UTF-8, the source's own. */
    const char *(*text)(const tl_source *s, int64_t i);
    /* Of volumes (TL_FIELD_VOLUME), in the place of `read`: values, and classes where `mask` is not NULL; and where
     * volume i lies, without reading values. */
    int (*volume)(tl_error *err, const tl_source *s, int64_t i, tl_volume *image, tl_volume *mask);
    const tl_extent *(*extent)(const tl_source *s, int64_t i);
    /* Of texts (TL_FIELD_PIECES): window i. */
    tl_piece_row (*pieces)(const tl_source *s, int64_t i);
    /* Of a view: the source that it shows samples of; *i becomes the number there. */
    const tl_source *(*behind)(const tl_source *s, int64_t *i);
} tl_source_ops;

struct tl_source {
    const tl_source_ops *ops;
    int references;
    int64_t count;
    int32_t *label;                /* of each picture; -1: none */
    int class_count;
    char **class_name;             /* in the order of labels */
    int height, width, channels;   /* of every picture, or 0 where they differ */
    unsigned fields;               /* TL_FIELD_... of every sample; a view has its parent's, and its values' names too */
    int value_count;
    char **value_name;
    int alone;                     /* read by the thread that made it alone: loaders take no threads, and labels may come with pictures */
    int tiled;                     /* samples are parts of pictures; neighbours of one file stand or fall together */
    int unknown;                   /* nothing tells whether a picture has changed: there is no identity and no hash */
    char **alias;                  /* of each sample, or NULL: tl__source_alias knows those of a view */
    const tl_passed *passed;       /* class folders: files that are not read; a view has its parent's */
};

typedef struct tl_source_options {
    const char *part;              /* "train" (also when NULL) or "test" */
    int64_t limit;                 /* at most so many pictures; 0: all. Binary files: the first ones. Class
                                      folders: drawn by `seed` so that classes keep their shares */
    double split;                  /* the share held out as the test part where the data has none; 0: none */
    int split_if_none;             /* 0: data with a test part of its own is then an error. 1: that part is taken */
    const int64_t *group;          /* of each picture of the training part, in its order, a number from 0: those of one group (a patient, a
                                      field) fall on one side of the split. NULL: every picture for itself */
    int64_t group_count;           /* numbers in `group` */
    uint64_t seed;
    int lenient;                   /* class folders: an empty class, or a single one, is no error; so too with `class_name` */
    const char *const *class_name; /* the labels to use, by name (those of a model); NULL: the data's own */
    int class_count;
    const char *const *only;       /* class folders: these alone are read, and are the classes in this order where no
                                      `class_name` says otherwise; NULL: all */
    int only_count;
} tl_source_options;

/* "cifar10", "cifar100", "mnist", "fashion_mnist", "folder", then NULL. */
extern const char *const tl__source_kinds[];

/* Opens the data under `root`. Free with tl__source_free. Errors start with the path. */
tl_source *tl__source_open(tl_error *err, const char *kind, const char *root, const tl_source_options *options);
/* Single files without labels, for prediction. The paths are copied; they are opened when read. */
tl_source *tl__source_files(tl_error *err, const char *const *path, int64_t count);
/* The same of pictures in memory, which are borrowed until the source is freed. */
tl_source *tl__source_memory(tl_error *err, const tl_picture *pictures, int64_t count);

/* Samples by list; all of it is copied. Arrays that are NULL mean that the samples have no such field. */
typedef struct tl_records {
    int64_t count;
    const char *const *path;        /* of pictures; they are opened when read */
    const int32_t *tile;            /* (count, 5), of paths: the part of each picture that is the sample (left, top,
                                       width, height in pixels) and its number in it, from 1; NULL: all of it */
    const tl_stacks_given *stacks;  /* instead of paths: slices of DICOM files */
    const char *const *wave;        /* instead of pictures: paths of sound files, of which clip i is ... */
    const int64_t *first, *frames;  /* ... so many frames from there on; NULL, or frames 0: all of it */
    tl_wave *waves;                 /* or sound in memory, which is taken over (and zeroed) where that succeeds */
    const tl_volume_list *volumes;  /* instead of pictures: volumes with their masks */
    const tl_pieces_given *pieces;  /* or windows of texts; `count` is theirs */
    const char *const *text;        /* UTF-8 */
    tl_image *image;                /* instead of paths: pictures in memory, which are taken over (and zeroed) where that succeeds */
    const int32_t *label;           /* -1: none */
    const char *const *class_name;  /* of labels, of a mask's values or of boxes */
    int class_count;
    const float *values;            /* (count, value_count) */
    const char *const *value_name;  /* value_count of them, or NULL */
    int value_count;
    const char *const *mask;        /* paths of pictures of classes, 8 bits a pixel */
    const tl_plane *plane;          /* what they hold, where it has been read already: paths are for messages then */
    const int16_t *mask_value;      /* the class of each of 256 values, -1: unknown; NULL: values are classes */
    const int64_t *box_offset;      /* (count + 1): sample i has boxes box_offset[i] to box_offset[i + 1] */
    const float *box;               /* (boxes, 4): left, top, right, bottom in pixels */
    const int32_t *box_label;       /* (boxes) */
    const int64_t *point_offset;
    const float *point;             /* (points, 2) */
} tl_records;
tl_source *tl__source_records(tl_error *err, const tl_records *records);

/* The pictures `index[0..count)` of another source, which is retained. */
tl_source *tl__source_subset(tl_error *err, tl_source *parent, const int64_t *index, int64_t count);

/* Which number picture i of a view, or of a view of one, has in the source that is none. */
int64_t tl__source_origin(const tl_source *s, int64_t i);

tl_source *tl__source_retain(tl_source *s);
void tl__source_free(tl_source *s);

/* What samples are called: "picture", "clip", "volume" or "text" behind its article, or several of them. */
const char *tl__source_word(const tl_source *s, int one);
/* Picture i into `out` (whose memory is used again); 0 or -1. Any thread. */
int tl__source_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out);
/* What is asked of clip i, counted from its first frame, into `out`; 0 or -1. `heard` may be NULL. Any thread. */
int tl__source_wave(tl_error *err, const tl_source *s, int64_t i, const tl_audio_request *request,
                    tl_audio_heard *heard, tl_wave *out);
/* How long clip i of a source of sound is, by its header; frames 0: it cannot be read. */
tl_clip tl__source_clip(const tl_source *s, int64_t i);
/* Volume i of a source of volumes as its files have it, and where `mask` is not NULL the classes of its mask on
 * the same grid; 0 or -1. Any thread. */
int tl__source_volume(tl_error *err, const tl_source *s, int64_t i, tl_volume *image, tl_volume *mask);
/* Where volume i lies, by its headers; channels 0: it cannot be read. */
tl_extent tl__source_extent(const tl_source *s, int64_t i);
/* Window i of a source of texts; of any other one without pieces. */
tl_piece_row tl__source_pieces(const tl_source *s, int64_t i);
/* The text of sample i, the source's own; NULL where the source has none. */
const char *tl__source_text(const tl_source *s, int64_t i);
/* What sample i has of `fields`, of which only those that the source has are read; 0 or -1. Any thread. */
int tl__source_target(tl_error *err, const tl_source *s, int64_t i, unsigned fields, tl_target *out);
/* "path" or "path#number", as errors of reading name it; the caller frees it. What is written takes the name. */
char *tl__source_path(tl_error *err, const tl_source *s, int64_t i);
/* What sample i is called in all that is written: its alias, or else its path. The caller frees it. */
char *tl__source_name(tl_error *err, const tl_source *s, int64_t i);
/* Gives each sample a name (copied) in the place of its path; views of the source have them too. 0 or -1. */
int tl__source_set_aliases(tl_error *err, tl_source *s, const char *const *alias);
/* The alias of sample i, the source's own; NULL where it has none. */
const char *tl__source_alias(const tl_source *s, int64_t i);
/* The same with the file's size and time of change: differs when the picture may differ. The caller frees it. */
char *tl__source_identity(tl_error *err, const tl_source *s, int64_t i);

/* One hash over the list of pictures: each one's path below `root` (names in the composed form), number, size of
 * its file and class. The same data elsewhere, or written anew, have the same; one picture more, less or of
 * another size changes it. 0 or -1. */
int tl__source_list_hash(tl_error *err, const tl_source *s, const char *root, char hex[65]);

/* ---- for the files that implement sources ---- */

/* Puts a file's name, size and time of change into `h`, or with `root` what stays when it is moved. 0 or -1. */
int tl__hash_file(tl_error *err, const char *path, const char *root, tl_sha256 *h);
/* Copies a list of texts into memory of the source's own, or NULL. */
char **tl__names_copy(tl_error *err, const char *const *name, int64_t count);
/* The part of `path` below `root`. */
const char *tl__path_below(const char *root, const char *path);
/* Joins a folder and a name; the caller frees it. */
char *tl__path_join(tl_error *err, const char *folder, const char *name);
int tl__is_folder(const char *path);
int tl__is_file(const char *path);
/* Room for `count` labels, and copies of the class names. 0 or -1; what was made is freed with the source. */
int tl__source_prepare(tl_error *err, tl_source *s, int64_t count, const char *const *class_name, int class_count);
void tl__names_free(char **names, int64_t count);
/* Reads lines of a text file as class names into `*names`; returns how many, 0 where there is no such file, -1 on
 * error. */
int tl__names_read(tl_error *err, const char *path, int most, char ***names);

/* Holds out `o->split` of every class (at least one picture of two or more, never all); takes `s` over. */
tl_source *tl__source_split(tl_error *err, tl_source *s, const tl_source_options *o, int test);
/* At most `limit` pictures, drawn so that classes keep their shares, or the first ones; takes `s` over. */
tl_source *tl__source_limit_classes(tl_error *err, tl_source *s, int64_t limit, uint64_t seed);
tl_source *tl__source_limit_first(tl_error *err, tl_source *s, int64_t limit);

/* Records that `folder` has no such part for want of `what`, and how to do without. Returns -1. */
int tl__fail_missing_part(tl_error *err, const char *folder, const char *part, const char *what, int may_split);

/* One opener per kind: the part "train" or "test" under `root`, of which the first `limit` are enough
 * (0: all). NULL with `*missing` set to 1 means that the data has no such part; `err` then tells so too. */
tl_source *tl__open_cifar10(tl_error *err, const char *root, const char *part, int64_t limit, int *missing);
tl_source *tl__open_cifar100(tl_error *err, const char *root, const char *part, int64_t limit, int *missing);
tl_source *tl__open_mnist(tl_error *err, const char *root, const char *part, int64_t limit, int *missing);
tl_source *tl__open_fashion_mnist(tl_error *err, const char *root, const char *part, int64_t limit, int *missing);
/* Class folders ignore `limit`. With `lenient` an empty class folder, or a single one, is no error. Of `options` it
 * takes `only`. */
tl_source *tl__open_folder(tl_error *err, const char *root, const char *part, const tl_source_options *options,
                           int lenient, int *missing);
/* The sorted class names of the training part (or of a root without parts); their number, or -1. */
int tl__folder_classes(tl_error *err, const char *root, char ***names);

#endif
