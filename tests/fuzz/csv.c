/* csv.c - tables of texts. */
#include "fuzz.h"
#include "io/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_error err = {0};
    tl_csv *t = tl__csv_parse(&err, "f", (const char *)copy, bytes);
    free(copy);
    if (!t) {
        check_error(&err, "f:");
        return 0;
    }
    size_t all = 0;
    never(t->columns < 1 || t->rows < 0);
    for (int64_t i = 0; i < t->columns * (t->rows + 1); i++) all += strlen(t->cell[i]) + 1;
    never(all > bytes + 1);
    for (int64_t i = 1; i <= t->rows; i++) never(t->line[i] <= t->line[i - 1]);
    tl__csv_free(t);
    return 0;
}
