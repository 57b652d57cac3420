/* zip.h - the directory of a zip file in memory, with every offset and length checked. Knows stored and
 * deflated records and the 64-bit extension, which is what PyTorch and ordinary zip programs write. */
#ifndef TLUA_IO_ZIP_H
#define TLUA_IO_ZIP_H

#include "io/format.h"

typedef struct tl_zip_record {
    const char *name;        /* inside the file, not ended by a zero */
    size_t name_bytes;
    const uint8_t *packed;   /* as it stands in the file */
    size_t packed_bytes, bytes;
    uint32_t crc;
    int deflated;
    const uint8_t *data;     /* NULL until tl__zip_data was asked */
} tl_zip_record;

typedef struct tl_zip {
    tl_zip_record *records;  /* sorted by name */
    int count;
    int without_crc;         /* torch.serialization.set_crc32_options(False) leaves them all zero */
} tl_zip;

int tl__zip_open(tl_error *err, tl_zip *z, const uint8_t *data, size_t bytes);
void tl__zip_close(tl_zip *z);
tl_zip_record *tl__zip_find(const tl_zip *z, const char *name, size_t name_bytes);
/* The content of a record, its checksum verified, into record->data: inside the file where it is stored,
 * else in a buffer of the archive. 0 or -1. */
int tl__zip_data(tl_error *err, const tl_zip *z, tl_archive *a, tl_zip_record *record);

#endif
