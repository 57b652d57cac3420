/* tuning.c - the table of `tlua tune`. The input is the lines of choices; the frame around them is right in most inputs, as the first byte says. */
#include "fuzz.h"
#include "device/device.h"
#include "device/gemm/tuning.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1) return 0;
    static tl_device d; /* of a device the reader wants its description only */
    snprintf(d.traits.name, sizeof d.traits.name, "fuzzed");
    setenv("TLUA_CACHE", fuzz_folder(), 1);
    tl_error err = {0};
    char *path = tl__tuning_path(&err, &d), *text = malloc(bytes + 512), hex[65];
    never(!path || !text);
    size_t n = (size_t)sprintf(text, "tlua-tuning 1\ndevice %s | %s | %s | vector %d | %d units\n", d.traits.name, d.traits.platform, d.traits.driver,
                               d.traits.vector_width, d.traits.compute_units);
    if (data[0] == 'f') n = 0;
    memcpy(text + n, data + 1, bytes - 1);
    n += bytes - 1;
    tl_sha256 h;
    tl__sha256_init(&h);
    tl__sha256_update(&h, text, n);
    tl__sha256_final(&h, hex);
    if (data[0] != 'c') n += (size_t)sprintf(text + n, "check %s\n", hex);
    FILE *f = fopen(path, "wb");
    never(!f || fwrite(text, 1, n, f) != n || fclose(f) != 0);
    never(tl__tuning_load(&err, &d) != 0);
    const tl_tuning *t = d.tuning;
    never(!t || t->count < 0 || t->count > TL_MOST_CHOICES || strchr(t->note, '\n') || strlen(t->hash) > 16);
    for (int i = 0; i < t->count; i++) {
        char class[TL_CLASS_TEXT];
        tl_gemm_class again;
        never(!t->choices[i].maker || tl__gemm_class_parse(tl__gemm_class_text(t->choices[i].what, class), &again) != 0 || again != t->choices[i].what);
    }
    free(d.tuning);
    d.tuning = NULL;
    free(text);
    free(path);
    return 0;
}
