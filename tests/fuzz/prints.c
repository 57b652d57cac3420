/* prints.c - the file that keeps hashes of pictures. Inputs may get right checksums (1), and records of the picture
 * that is asked for (2): whatever the file holds, that picture has a hash, and the file is whole afterwards. */
#include "fuzz.h"
#include "data/doubles.h"

#include <sys/stat.h>

enum { RECORD = 32, CHECKED = 28 };

static char picture[300], cache[300];
static uint8_t own[RECORD]; /* the record of the picture as it is */

static tl_print print_of(tl_source *s)
{
    tl_error err = {0};
    tl_print *list = tl__source_prints(&err, s, 1, cache), one;
    never(!list);
    one = list[0];
    free(list);
    return one;
}

static void make_picture(void)
{
    tl_error err = {0};
    tl_image image = {0};
    never(tl__image_reserve(&err, &image, 18, 16, 1) != 0);
    for (int i = 0; i < 18 * 16; i++) image.data[i] = (uint8_t)(i * 37);
    snprintf(picture, sizeof picture, "%s/p.png", fuzz_folder());
    snprintf(cache, sizeof cache, "%s/prints.bin", fuzz_folder());
    never(tl__image_write_png(&err, picture, &image) != 0);
    tl__image_free(&image);
    tl_source *s = tl__source_files(&err, (const char *const[]){picture}, 1);
    never(!s || print_of(s).kind != TL_PRINT_SEEN);
    FILE *f = fopen(cache, "rb");
    never(!f || fread(own, 1, RECORD, f) != RECORD || fclose(f) != 0);
    tl__source_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (!*picture) make_picture();
    if (bytes < 1) return 0;
    size_t n = bytes - 1;
    uint8_t *file = fuzz_copy(data + 1, n);
    for (size_t at = 0; at + RECORD <= n; at += RECORD) {
        if (data[0] & 2) memcpy(file + at, own, 16);
        uint32_t check = (uint32_t)tl__hash64(file + at, CHECKED, 7);
        if (data[0] & 1) memcpy(file + at + CHECKED, &check, 4);
    }
    fuzz_put("prints.bin", file, n);
    free(file);
    tl_error err = {0};
    tl_source *s = tl__source_files(&err, (const char *const[]){picture}, 1);
    never(!s);
    tl_print first = print_of(s), second = print_of(s);
    never(first.kind != TL_PRINT_SEEN && first.kind != TL_PRINT_EVEN);
    never(!(data[0] & 2) && memcmp(&first.bits, own + 16, 8) != 0);
    never(first.bits != second.bits || first.kind != second.kind);
    struct stat st; /* what was cut short stays only where nothing had to be written behind it */
    never(stat(cache, &st) != 0 || ((size_t)st.st_size != n && st.st_size % RECORD != 0));
    tl__source_free(s);
    return 0;
}
