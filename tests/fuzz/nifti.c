/* nifti.c - NIfTI files, packed or not, and what is done to volumes of any affine. */
#include "fuzz.h"
#include "io/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_error err = {0};
    tl_volume v = {0}, out = {0};
    tl_nifti about;
    if (tl__nifti_decode(&err, "f", copy, bytes, &v, &about) == 0) {
        static const double spacing[3] = {1, 0, 2};
        tl_grid grid;
        for (int i = 0; i < 4; i++) never(v.size[i] < 1);
        never(about.version < 1 || about.version > 2);
        never(tl__volume_orient(&err, &v, "SAL") != 0);
        tl__volume_spaced(&v, spacing, &grid);
        for (int i = 0; i < 3; i++) grid.size[i] = grid.size[i] < 8 ? grid.size[i] : 8;
        if (tl__volume_numel(&v) < 4096 && tl__volume_resample(&err, &v, &grid, (int)(bytes & 1), 0, &out) != 0)
            never(err.code != TL_EFORMAT);
        tl__window(v.data, tl__volume_numel(&v), 40, 80);
    } else {
        check_error(&err, "f: ");
    }
    tl__volume_free(&v);
    tl__volume_free(&out);
    free(copy);
    return 0;
}
