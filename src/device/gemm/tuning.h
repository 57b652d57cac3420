/* tuning.h - choices of makers for classes of matrix products, measured on this device by `tlua tune` and kept in the user's
 * cache folder. Nothing is measured but when that is called for: where there is no table, what is shipped decides
 * (gemm/gemm.c: the order of makers and what suits them; gemm/cpu.c: tiles by device class). Another maker adds in another
 * order, so a table changes bits; its hash stands in checkpoints and in the keys of feature caches. */
#ifndef TLUA_TUNING_H
#define TLUA_TUNING_H

#include "device/gemm/gemm.h"

struct tl_gemm_maker;

/* What products have in common that take one maker: m, n and k, each rounded up to a power of two; the operands' layouts;
 * whether b is weights that stay packed; one product or a batch of them. As text: "4096 512 512 nt kept one". */
typedef uint32_t tl_gemm_class;
enum { TL_CLASS_TEXT = 64 };

tl_gemm_class tl__gemm_class(const tl_gemm *g);
const char *tl__gemm_class_text(tl_gemm_class c, char out[TL_CLASS_TEXT]);
/* 0, or -1 where the text is no class. */
int tl__gemm_class_parse(const char *text, tl_gemm_class *out);

typedef struct tl_choice {
    tl_gemm_class what;
    int percent;                       /* of the shipped choice's rate, when it was measured */
    const struct tl_gemm_maker *maker;
} tl_choice;

typedef struct tl_tuning {
    int count;
    char hash[17];                     /* of the choices; "shipped" where there are none */
    char note[320];                    /* what was wrong with the file, one line; empty: nothing */
    tl_choice choices[];               /* by class */
} tl_tuning;

/* Reads the device's table, if there is one. What is wrong with the file is in the note and never an error: the shipped
 * choices remain. -1: no memory. */
int tl__tuning_load(tl_error *err, tl_device *d);
/* The table that is asked, or NULL: none, or TLUA_GEMM or TLUA_TUNING=0 forbid it. */
const tl_tuning *tl__tuning_used(const tl_device *d);
/* The maker that the table names for this product, or NULL. */
const struct tl_gemm_maker *tl__tuning_find(const tl_device *d, const tl_gemm *g);
/* Writes the table (at most TL_MOST_CHOICES) and uses it from now on; a count of 0 removes the file. 0 or -1. */
int tl__tuning_save(tl_error *err, tl_device *d, const tl_choice *choices, int count);
/* Where the device's table is; the caller frees it. */
char *tl__tuning_path(tl_error *err, const tl_device *d);

enum { TL_MOST_CHOICES = 1024 };

/* ---- measuring ---- */

enum { TL_TUNE_MAKERS = 16 };

/* Of one class: two products of it, the largest and one of three quarters of each side. */
typedef struct tl_tuned {
    int count, shipped, choice;        /* makers that can; which of them is shipped for the larger product, and which to take */
    double gain;                       /* of the choice over what is shipped; 1 where that stays */
    struct {
        const struct tl_gemm_maker *maker;
        double gflops;                 /* geometric mean over both products; 0: the driver refused it */
        int wrong;                     /* its result is not that of the shipped maker: a driver's defect */
    } each[TL_TUNE_MAKERS];
} tl_tuned;

/* Measures the makers in turns, `rounds` times, with the medians of the rounds' ratios; takes another one than the shipped
 * only where it is better by TL_TUNE_MARGIN, and faster in eight of nine rounds of either product. 0 or -1. */
int tl__tune(tl_error *err, tl_device *d, tl_gemm_class what, int rounds, tl_tuned *out);
#define TL_TUNE_MARGIN 1.03

#endif
