/* arena.c - large buffers cut from slabs: they never overlap, neighbours become one again, nothing is lost. */
#include "device/device.h"
#include "tlua.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 40, ROUNDS = 400 };

Test(arena, buffers_never_overlap)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    tl_buffer *b[BUFFERS] = {0};
    size_t size[BUFFERS] = {0};
    uint32_t mark[BUFFERS] = {0};
    static uint32_t host[1 << 20];
    srand(5);
    for (int round = 0; round < ROUNDS; round++) {
        int i = rand() % BUFFERS;
        if (b[i]) {
            cr_assert_eq(tl__buffer_read(&err, b[i], 0, size[i], host), 0);
            for (size_t k = 0; k < size[i] / 4; k += 997) cr_assert_eq(host[k], mark[i], "buffer %d, word %zu", i, k);
            cr_assert_eq(host[size[i] / 4 - 1], mark[i]);
            tl__buffer_release(b[i]);
            b[i] = NULL;
        } else {
            size[i] = (size_t)(rand() % 1000000 + 100) * 4;
            mark[i] = (uint32_t)rand();
            b[i] = tl__buffer_new(&err, d, size[i]);
            cr_assert(b[i] && b[i]->bytes >= size[i]);
            cr_assert_eq(tl__buffer_fill(&err, b[i], 0, size[i], mark[i]), 0);
        }
        if (round % 97 == 0) tl_device_flush(d);
    }
    for (int i = 0; i < BUFFERS; i++)
        if (b[i]) tl__buffer_release(b[i]);
    size_t live, pooled;
    tl_device_memory(d, &live, &pooled, NULL);
    cr_assert_eq(live, 0);
    tl_device_flush(d);
    tl_device_memory(d, NULL, &pooled, NULL);
    cr_assert_lt(pooled, (size_t)1 << 16);
    tl_device_release(d);
}

/* Halves of what was one buffer find their place in it again, and it in theirs. */
Test(arena, free_neighbours_are_joined)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    size_t pooled, large = (size_t)64 << 20;
    if (!d->traits.commits_late) cr_skip_test("no arena on this driver");
    for (int i = 0; i < 20; i++) {
        tl_buffer *parts[4];
        for (int k = 0; k < 4; k++) cr_assert(parts[k] = tl__buffer_new(&err, d, large / 4));
        for (int k = 0; k < 4; k++) tl__buffer_release(parts[(k * 3 + i) % 4]);
        tl_buffer *whole = tl__buffer_new(&err, d, large);
        cr_assert(whole);
        tl__buffer_release(whole);
    }
    tl_device_memory(d, NULL, &pooled, NULL);
    cr_assert_leq(pooled, large + (1 << 16), "%zu bytes are held for 64 MB", pooled);
    tl_device_release(d);
}
