/* folders.h - what lies in folders of pictures: which folders are parts, which files are pictures, and what is passed over, which
 * is counted so that it can be said. Training and prediction look into folders by the same functions. Names that start with a
 * dot, and macOS's __MACOSX, are some program's and not the user's. Links are followed; one that leads back to a folder above it is
 * an error. */
#ifndef TLUA_FOLDERS_H
#define TLUA_FOLDERS_H

#include "io/image.h"

typedef struct tl_texts {
    char **at;
    int64_t count, capacity;
} tl_texts;

/* Takes `text` over (NULL: memory was short already). 0 or -1. */
int tl__texts_add(tl_error *err, tl_texts *l, char *text);
void tl__texts_sort(tl_texts *l); /* by bytes */
void tl__texts_free(tl_texts *l);

/* Files that are not read: how many of each ending (in small letters, with its dot; empty where there is none). */
typedef struct tl_passed {
    struct { char ending[16]; int64_t count; } *at;
    int count, capacity;
    int64_t stray; /* pictures that lie beside the class folders and so have no class */
} tl_passed;

void tl__passed_free(tl_passed *p);

/* The names of the folders in `path`, unsorted; pictures beside them count as stray (`passed` may be NULL). 0 or -1. */
int tl__folder_names(tl_error *err, const char *path, tl_texts *names, tl_passed *passed);
/* The pictures below `path`, in torchvision's order: folder by folder as Python sorts their paths, in each the files by name. What is
 * called a picture and cannot be opened is among them; other files are counted in `passed`. 0 or -1. */
int tl__pictures_below(tl_error *err, const char *path, tl_texts *pictures, tl_passed *passed);

/* Which folders hold which part. */
typedef struct tl_parts {
    char *train; /* `root` itself where it has no parts; NULL where it has a test part only */
    char *test;  /* NULL where there is none */
    int apart;   /* there are folders for parts */
    tl_texts unused; /* folders beside them that are not looked into */
} tl_parts;

/* Finds the parts of `root` by their names, whatever their case: train or training, test or testing, val, valid or validation, with
 * "set", "data" or "images" behind them or not. Validation is the test part where there is none called so. Names that could mean two things
 * are an error. 0 or -1. */
int tl__folder_parts(tl_error *err, const char *root, tl_parts *parts);
void tl__parts_free(tl_parts *parts);

#endif
