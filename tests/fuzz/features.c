/* features.c - the file of the feature cache. Half of the inputs get a right checksum in their header, and are opened as what they say
 * they are. */
#include "fuzz.h"
#include "data/features.h"

#include <zlib.h>

enum { PAGE = 4096, CHECKED = 104 };

static void open_as(const char *path, const tl_features_about *about)
{
    tl_error err = {0};
    int64_t elements = about->elements < 4096 ? about->elements : 4096, rows = about->rows < 4096 ? about->rows : 4096;
    tl_features *f = tl__features_open(&err, path, about->key, rows, elements, about->dtype, "text");
    if (!f) return;
    float *out = malloc((size_t)elements * sizeof *out);
    for (int64_t i = -1; i <= tl__features_done(f) && i < 8; i++) {
        tl_error e = {0};
        tl__features_missing(&e, f, i);
        e = (tl_error){0};
        tl__features_read(&e, f, &i, 1, out);
    }
    memset(out, 0, (size_t)elements * sizeof *out);
    tl_error e = {0};
    if (tl__features_done(f) < rows) never(tl__features_append(&e, f, out, 1) != 0);
    free(out);
    tl__features_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1) return 0;
    size_t n = bytes - 1;
    uint8_t *file = calloc(1, n + PAGE); /* the input's header is short; its rows begin at a page */
    size_t head = n < 128 ? n : 128;
    memcpy(file, data + 1, head);
    if (n > head) memcpy(file + PAGE, data + 1 + head, n - head);
    if (data[0] & 1) {
        uint32_t sum = (uint32_t)crc32_z(0, file, CHECKED);
        memcpy(file, "tlua features 2", 16);
        sum = (uint32_t)crc32_z(0, file, CHECKED);
        memcpy(file + CHECKED, &sum, 4);
    }
    const char *path = fuzz_put("f", file, data[0] & 2 ? n : PAGE + n - head);
    tl_error err = {0};
    tl_features_about about;
    if (tl__features_about(&err, path, &about) == 0) {
        never(about.rows < 0 || about.elements < 1 || about.done < 0 || about.done > about.rows || strlen(about.key) > 64 || strlen(about.text) >= sizeof about.text);
        if (strlen(about.key) == 64) open_as(path, &about);
    } else {
        check_error(&err, path);
    }
    free(file);
    return 0;
}
