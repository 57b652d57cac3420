/* ctc.h - from frames of scores to texts, on the host: the best path, search among many, where the symbols of a known
 * text lie, and how far two texts are apart. Scores are logits (T, K), or logarithms of chances, packed; a NaN among
 * them is no chance, and a frame without any is a blank. */
#ifndef TLUA_TASK_CTC_H
#define TLUA_TASK_CTC_H

#include "base/base.h"

typedef struct tl_ctc_symbol {
    int32_t label;
    int64_t first, end;    /* frames first..end-1 */
    int64_t peak;          /* the frame of these that is surest */
    float chance;          /* there; of an alignment the mean (geometric) over its frames */
} tl_ctc_symbol;

typedef struct tl_ctc_text {
    tl_ctc_symbol *symbols;    /* freed by tl__ctc_text_free */
    int64_t count;
    double score;              /* logarithm of the chance: of the path, or of all that were found to spell the text */
    double model;              /* what a language model and the bonus for each symbol add to it */
    int64_t blanks, unknown;   /* frames that are blank, and of these without a chance of any class */
} tl_ctc_text;

typedef struct tl_ctc_scores { const float *x; int64_t frames, classes; int32_t blank; } tl_ctc_scores;

void tl__ctc_text_free(tl_ctc_text *t);
/* Logarithms of the chances of one frame; 0 where no class has one. */
int tl__ctc_frame(const tl_ctc_scores *s, int64_t frame, float *out);
/* The likeliest class of each frame, repeats and blanks taken out. 0 or -1. */
int tl__ctc_greedy(tl_error *err, const tl_ctc_scores *s, tl_ctc_text *out);
/* The likeliest path that spells `labels`. -1 too where there are not frames enough for it. */
int tl__ctc_align(tl_error *err, const tl_ctc_scores *s, const int32_t *labels, int64_t count, tl_ctc_text *out);
/* Frames that a text wants: one a label, and a blank between two that are the same. */
int64_t tl__ctc_frames_wanted(const int32_t *labels, int64_t count);

/* ---- language model ---- */

enum { TL_NGRAM_LONGEST = 8 };
typedef struct tl_ngram tl_ngram;
/* A model of symbols 0..classes-1 without any text yet; freed by tl__ngram_free. */
tl_ngram *tl__ngram_new(tl_error *err, int order, int32_t classes);
void tl__ngram_free(tl_ngram *m);
int tl__ngram_order(const tl_ngram *m);
int32_t tl__ngram_classes(const tl_ngram *m);
/* Counts a text. 0 or -1. */
int tl__ngram_add(tl_error *err, tl_ngram *m, const int32_t *labels, int64_t count);
/* Adds to one count; `classes` is the begin and the end of a text. For models that are read. */
int tl__ngram_put(tl_error *err, tl_ngram *m, const int32_t *gram, int length, int64_t count);
/* Drops what was seen rarest, longest first, until `most` counts are left. */
int tl__ngram_bound(tl_error *err, tl_ngram *m, int64_t most);
/* How many counts there are, and one after the other from *at = 0 on, in the order in which the texts brought them;
 * 0 at the end. */
int64_t tl__ngram_count(const tl_ngram *m);
int64_t tl__ngram_next(const tl_ngram *m, int64_t *at, const int32_t **gram, int *length);
/* Logarithm of the chance of `label` (`classes`: the end) after the `length` symbols of `before`, the newest last. */
double tl__ngram_log(const tl_ngram *m, const int32_t *before, int64_t length, int32_t label);

/* ---- search ---- */

typedef struct tl_ctc_search {
    int width;              /* prefixes that are kept */
    double least;           /* logarithm of the chance below which a class is not tried, but the likeliest of a frame */
    double behind;          /* how far a prefix may be behind the best */
    const tl_ngram *model;  /* may be NULL */
    double alpha, beta;     /* weight of the model, bonus for each symbol */
} tl_ctc_search;

/* The `most` likeliest texts that were found, best first, into out[0..most-1]; gives how many, or -1. */
int tl__ctc_beam(tl_error *err, const tl_ctc_scores *s, const tl_ctc_search *o, int most, tl_ctc_text *out);

/* ---- distance ---- */

typedef struct tl_edit {
    int64_t substitutions, insertions, deletions;
    int64_t *pairs;   /* (said, heard) places from 0, -1 for none; freed by the caller; NULL where not asked for */
    int64_t count;
} tl_edit;

/* From `said` to `heard` (Levenshtein 1966): a deletion is what was not heard. 0 or -1. */
int tl__edit(tl_error *err, const int32_t *said, int64_t n, const int32_t *heard, int64_t m, int want_pairs,
             tl_edit *out);

#endif
