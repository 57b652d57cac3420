/* characters.h - what Unicode says of the characters of a text. */
#ifndef TLUA_CHARACTERS_H
#define TLUA_CHARACTERS_H

#include "base/base.h"

typedef struct tl_character {
    size_t bytes;
    int32_t point;
    const char *category;   /* two letters: "Lu", "Mn", "Nd", "Po", "Zs" (Unicode Standard Annex 44, section 5.7.1) */
} tl_character;

/* The first character of a text; -1 where that is no UTF-8, or nothing. */
int tl__character(const char *text, size_t bytes, tl_character *out);
/* The text with the small letter in the place of each capital that has one. Freed by the caller; NULL with an error
 * where it is no UTF-8. */
char *tl__text_lower(tl_error *err, const char *text);

#endif
