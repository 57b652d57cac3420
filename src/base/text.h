/* text.h - texts that are the same everywhere: UTF-8, JSON, and numbers that have a point whatever the locale of the program. */
#ifndef TLUA_TEXT_H
#define TLUA_TEXT_H

#include "base/base.h"

#include <cJSON.h>
#include <locale.h>

/* Bytes of the well-formed UTF-8 sequence that `text` begins with (RFC 3629: no surrogates, nothing longer than needed); 0 where
 * there is none. */
size_t tl__utf8_length(const char *text, size_t bytes);
int tl__utf8_valid(const char *text, size_t bytes);

/* Between these two calls strtod, printf and their kin use a decimal point in this thread, whatever setlocale() was told by the
 * program that this library is part of. */
locale_t tl__point_begin(void);
void tl__point_end(locale_t before);
/* strtod and snprintf with a point. */
double tl__read_number(const char *text, char **end);
int tl__print(char *out, size_t size, const char *format, ...) TL__PRINTF(3, 4);

/* JSON. A byte that is no UTF-8 (names from old archives, comments in CP949) becomes the lone surrogate \udc80 to \udcff, as PEP 383
 * has it, so that the text is UTF-8 and the byte comes back when it is read. NULL where `text` is not JSON, or without memory; the
 * result is freed with cJSON_Delete. */
cJSON *tl__json_parse(const char *text, size_t bytes);
/* The same, and where the text stops to be JSON, for messages: "line 3, byte 17: 'NaN, 1]'"; empty where it is, or without
 * memory. place may be NULL. */
enum { TL_JSON_PLACE = 96 };
cJSON *tl__json_parse_at(const char *text, size_t bytes, char *place);
/* Whole numbers keep all their 64 bits (a seed), though cJSON's own have the 53 of a double: a number to be written, and one that
 * tl__json_parse has read. */
cJSON *tl__json_whole(int64_t v);
int tl__json_is_whole(const cJSON *j, int64_t *v);
/* The text, freed with free(); NULL without memory. `indented`: over several lines. */
char *tl__json_text(tl_error *err, const cJSON *j, int indented);

#endif
