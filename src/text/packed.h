/* packed.h - texts that go with a network in its file, such as its tokenizer: the length in 8 bytes, lowest first, and
 * the text as zlib packs it. */
#ifndef TLUA_TEXT_PACKED_H
#define TLUA_TEXT_PACKED_H

#include "base/base.h"

#define TL_PACKED_HEAD 8
#define TL_PACKED_MOST ((uint64_t)1 << 30) /* of a text */

/* Bytes of memory for the caller to free, `*packed` of them; NULL on failure. */
uint8_t *tl__text_pack(tl_error *err, const char *text, size_t bytes, size_t *packed);
/* The text, with a zero behind it that is not counted; NULL, with an error that begins with `name`, where the bytes are
 * none of tl__text_pack's. No more memory is asked for than so many bytes can hold. */
char *tl__text_unpack(tl_error *err, const char *name, const uint8_t *packed, size_t count, size_t *bytes);

#endif
