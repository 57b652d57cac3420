/* archive.c - libFuzzer's way into the readers of weights: any bytes may be refused, none may crash,
 * hang or take memory out of proportion. From the root of the repository:
 *
 *   clang -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined \
 *     -fno-sanitize-recover=undefined -Isrc -o build/fuzz_archive tests/fuzz/archive.c src/base/*.c \
 *     src/io/archive.c src/io/convert.c src/io/pickle*.c src/io/safetensors.c src/io/state_dict.c \
 *     src/io/torch_*.c src/io/zip.c -lcjson -lnettle -lz -lm
 *   mkdir -p build/corpus && build/fuzz_archive -max_total_time=120 -max_len=16384 -rss_limit_mb=1024 \
 *     build/corpus tests/golden/io
 *
 * The checksums of zip files would keep the fuzzer out, so half of the inputs are read with those in
 * the directory set to zero, which stands for "not recorded". */
#include "io/io.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

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
        if (n * tl__dtype_size(e->dtype) != e->bytes || tl__archive_find(a, e->name) != e) abort();
        if (n > (1 << 20)) continue;
        float *f = malloc((n + 1) * sizeof *f);
        if (tl__entry_to_f32(NULL, e, f) != 0) abort();
        for (size_t k = 0; k < n; k++) sum += f[k];
        tl__entry_to_i32(NULL, e, (int32_t *)f);
        free(f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    for (int cleared = 0; cleared < 2; cleared++) {
        uint8_t *copy = malloc(bytes ? bytes : 1);
        if (bytes) memcpy(copy, data, bytes);
        if (cleared) clear_checksums(copy, bytes);
        tl_error err = {0};
        tl_archive *a = tl__archive_read_memory(&err, "f", NULL, copy, bytes);
        if (a) use(a);
        if (!a && (err.code == TL_OK || strncmp(err.text, "f: ", 3) != 0 || strchr(err.text, '\n'))) abort();
        tl__archive_free(a);
        free(copy);
    }
    return 0;
}
