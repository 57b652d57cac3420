/* archive.c - files of weights in all their forms: safetensors, both of torch.save. The checksums of zip files would keep the fuzzer out, so
 * half of the inputs are read with those in the directory set to zero, which stands for "not recorded". */
#include "fuzz.h"
#include "io/io.h"

static void clear_checksums(uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 46 <= n; i++)
        if (memcmp(p + i, "PK\1\2", 4) == 0) memset(p + i + 16, 0, 4);
}

/* Every byte that the archive offers is read; the sum keeps the compiler from leaving it out. */
static void use(const tl_archive *a)
{
    volatile float sum = 0;
    for (int i = 0; i < a->count; i++) {
        const tl_entry *e = &a->entries[i];
        size_t n = (size_t)tl__numel(&e->shape);
        never(n * tl__dtype_size(e->dtype) != e->bytes || tl__archive_find(a, e->name) != e);
        if (n > (1 << 20)) continue;
        float *f = malloc((n + 1) * sizeof *f);
        never(tl__entry_to_f32(NULL, e, f) != 0);
        for (size_t k = 0; k < n; k++) sum += f[k];
        tl__entry_to_i32(NULL, e, (int32_t *)f);
        free(f);
    }
    for (int i = 0; i < a->odd_count && i < 1000; i++) never(!*tl__archive_odd(a, a->odd[i].name));
    for (int i = 0; i < a->other_count; i++) never(!a->other_keys[i]);
    for (int i = 0; i < a->meta_count; i++) never(!tl__archive_meta(a, a->meta_keys[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const keys[] = {NULL, "ema", "model.a"};
    for (int round = 0; round < 4; round++) {
        uint8_t *copy = fuzz_copy(data, bytes);
        if (round != 1) clear_checksums(copy, bytes);
        tl_error err = {0};
        tl_archive *a = tl__archive_read_memory(&err, "f", keys[round > 1 ? round - 1 : 0], copy, bytes);
        if (a) use(a);
        else check_error(&err, "f: ");
        tl__archive_free(a);
        free(copy);
    }
    return 0;
}
