/* near.h - the name that somebody most likely meant. Every error about an unknown name uses it. */
#ifndef TLUA_NEAR_H
#define TLUA_NEAR_H

/* The candidate nearest to `word` by Damerau-Levenshtein distance (insert, delete, replace, swap of
 * neighbours, each counting one; letter case counts nothing), or NULL if none is near enough to be
 * worth naming: at most a third of the longer word's length, and at least one edit is allowed.
 * `candidates` ends with NULL. The first of several equally near ones is returned. */
const char *tl__near_miss(const char *word, const char *const *candidates);
/* The distance itself; words longer than 63 bytes count as infinitely far (a large number). */
int tl__edit_distance(const char *a, const char *b);
/* "; did you mean "NAME"?" into `buf`, or an empty text where nothing is near. Returns `buf`. */
const char *tl__did_you_mean(const char *word, const char *const *candidates, char *buf, unsigned size);

#endif
