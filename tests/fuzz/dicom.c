/* dicom.c - DICOM files up to their values. GDCM's decoders are left out, since they are not built with sanitizers
 * and end the program where they are loaded without the precautions of src/io/dicom_gdcm.cpp; tests/lua/dicom.lua
 * damages compressed frames. */
#include "fuzz.h"
#include "io/dicom.h"

#include <math.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setenv("TLUA_DICOM_LIBRARY", "/nowhere", 1);
    return setenv("TLUA_MAX_PIXELS", "250000", 1); /* the fuzzer is to be quick */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_error err = {0};
    tl_dicom *d = tl__dicom_open_memory(&err, "f", copy, bytes);
    if (d) {
        never(d->rows < 1 || d->columns < 1 || d->frames < 1 || (d->samples != 1 && d->samples != 3));
        never(d->bits_stored < 1 || d->bits_stored > 32 || d->window_count > TL_DICOM_MOST_WINDOWS);
        int64_t n = tl__dicom_numel(d);
        int32_t *stored = malloc((size_t)n * sizeof *stored);
        float *values = malloc((size_t)n * 3 * sizeof *values);
        never(!stored || !values);
        for (int i = 0; i < d->frames && i < 3; i++) {
            tl_error bad = {0};
            if (tl__dicom_stored(&bad, d, i, stored) != 0) check_error(&bad, "f: ");
            bad = (tl_error){0};
            if (tl__dicom_values(&bad, d, d->frames - 1 - i, i & 1, values) != 0) check_error(&bad, "f: ");
        }
        free(stored);
        free(values);
    } else {
        check_error(&err, "f: ");
    }
    tl__dicom_close(d);
    free(copy);
    return 0;
}
