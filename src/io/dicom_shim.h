/* dicom_shim.h - the one function of libtlua_dicom.so, which is C++ around GDCM's decoders: a compressed frame to
 * bytes. The core loads it when it meets a frame that needs it. Both sides include this, C and C++. */
#ifndef TLUA_DICOM_SHIM_H
#define TLUA_DICOM_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counts up when the struct or what the function does changes. */
#define TLUA_DICOM_SHIM_VERSION 1

/* The codecs, as tl_dicom_codec has them. */
enum { TLUA_DICOM_SHIM_JPEG = 1, TLUA_DICOM_SHIM_JPEG_LS, TLUA_DICOM_SHIM_JPEG_2000 };

typedef struct tlua_dicom_stream {
    int version; /* TLUA_DICOM_SHIM_VERSION */
    int codec;
    const void *data; /* one frame, all of its pieces behind one another */
    size_t bytes;
    unsigned int rows, columns, samples;
    int bits;      /* of a number in the stream: 2 to 16 */
    int is_signed; /* as the stream has it */
    const char *photometric;
} tlua_dicom_stream;

/* Numbers of `wide` bytes each, in the machine's order, samples of a pixel together, into exactly `out_bytes`. 0, or
 * -1 with a line in `said`. Never throws, prints nothing. */
int tlua_dicom_decode(const tlua_dicom_stream *stream, void *out, size_t out_bytes, char *said, size_t said_bytes);
/* GDCM's version. */
const char *tlua_dicom_version(void);

#ifdef __cplusplus
}
#endif
#endif
