/* pickle.c - the pickle machine and the state dict, without the frames around them: the input is the object of a legacy file with one
 * storage, "0", of 64 floats. */
#include "fuzz.h"
#include "io/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char head[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    static const char with[] = "\x80\x02]X\x01\0\0\0000a.\x40\0\0\0\0\0\0", without[] = "\x80\x02].";
    enum { STORAGE = 64 * sizeof(float) };
    static const char *const keys[] = {NULL, "ema.a", NULL};
    for (int round = 0; round < 3; round++) {
        int empty = round == 2;
        const char *tail = empty ? without : with;
        size_t tail_bytes = empty ? sizeof without - 1 : sizeof with;
        size_t n = sizeof head - 1 + bytes + tail_bytes + (empty ? 0 : STORAGE);
        uint8_t *file = calloc(1, n);
        memcpy(file, head, sizeof head - 1);
        if (bytes) memcpy(file + sizeof head - 1, data, bytes);
        memcpy(file + sizeof head - 1 + bytes, tail, tail_bytes);
        tl_error err = {0};
        tl_archive *a = tl__archive_read_memory(&err, "f", keys[round], file, n);
        for (int i = 0; a && i < a->count; i++) {
            const tl_entry *e = &a->entries[i];
            size_t count = (size_t)tl__numel(&e->shape);
            never(count * tl__dtype_size(e->dtype) != e->bytes);
            float *f = malloc(count < 1 << 20 ? (count + 1) * sizeof *f : 1);
            if (count < 1 << 20) never(tl__entry_to_f32(NULL, e, f) != 0);
            free(f);
        }
        if (!a) check_error(&err, "f: ");
        tl__archive_free(a);
        free(file);
    }
    return 0;
}
