/* packed.c - texts that were packed into a model file. */
#include "fuzz.h"
#include "text/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_error err = {0};
    size_t length = 0, again = 0, count = 0;
    char *text = tl__text_unpack(&err, "f", copy, bytes, &length);
    free(copy);
    if (!text) {
        check_error(&err, "f is damaged");
        return 0;
    }
    never(length / 1100 > bytes || text[length] != 0);
    uint8_t *packed = tl__text_pack(&err, text, length, &count);
    never(!packed);
    char *same = tl__text_unpack(&err, "f", packed, count, &again);
    never(!same || again != length || memcmp(same, text, length) != 0);
    free(same);
    free(packed);
    free(text);
    return 0;
}
