/* json.c - JSON as tlua reads it, with bytes that are no UTF-8 in its strings; what is read is written and read again. */
#include "fuzz.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = fuzz_text(data, bytes);
    cJSON *j = tl__json_parse(text, bytes);
    for (int indented = 0; j && indented < 2; indented++) {
        tl_error err = {0};
        char *written = tl__json_text(&err, j, indented);
        never(!written || !tl__utf8_valid(written, strlen(written)));
        cJSON *again = tl__json_parse(written, strlen(written));
        never(!again);
        char *twice = tl__json_text(&err, again, indented);
        never(!twice || strcmp(written, twice) != 0);
        cJSON_Delete(again);
        free(twice);
        free(written);
    }
    cJSON_Delete(j);
    free(text);
    return 0;
}
