/* path.h - paths as people write them: "~" for a home, and names in either of Unicode's two forms. macOS writes names
 * decomposed (a letter and its marks apart, Hangul as single jamo), Linux and Windows composed; both look the same, so they
 * are one name here. */
#ifndef TLUA_PATH_H
#define TLUA_PATH_H

#include "base/base.h"

/* The text in the composed form (NFC), or with `composed` 0 in the decomposed one (NFD); unchanged where it is not UTF-8. The
 * caller frees it; NULL without memory. */
char *tl__text_form(tl_error *err, const char *text, int composed);
/* Are two texts one name? -1 without memory. */
int tl__same_name(tl_error *err, const char *a, const char *b);
/* "~", "~/x" and "~user/x" with the home in their place; any other path, and that of an unknown user, as it is. The caller
 * frees it. */
char *tl__path_home(tl_error *err, const char *path);
/* The same, and where nothing is there under the path as it is written, the path with names in the form that they have on the
 * disk. What is nowhere stays as it is written, behind what was found. */
char *tl__path_resolve(tl_error *err, const char *path);

#endif
