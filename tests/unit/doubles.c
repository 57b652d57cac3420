/* doubles.c - difference hashes, pairs and groups of near ones against plain loops over all pairs, and the file that
 * keeps hashes. */
#include "data_files.h"
#include "data/doubles.h"

#include <unistd.h>

/* Rises to the right in the upper half, falls in the lower; `even`: all the same. */
Test(doubles, print_of_a_picture)
{
    uint8_t grey[72], even[72];
    for (int i = 0; i < 72; i++) {
        grey[i] = (uint8_t)(i < 36 ? 10 * (i % 9) : 200 - 10 * (i % 9));
        even[i] = (uint8_t)(90 + (i & 1));
    }
    tl_print p = tl__print_of(grey);
    cr_assert(p.kind == TL_PRINT_SEEN && p.bits == 0xffffffff00000000u, "%llx", (unsigned long long)p.bits);
    cr_assert_eq(tl__print_of(even).kind, TL_PRINT_EVEN);
    memset(even, 90, sizeof even);
    for (int i = 0; i < 7; i++) even[9 * i + 4] = 93; /* 14 steps of three */
    cr_assert_eq(tl__print_of(even).kind, TL_PRINT_SEEN);
    for (int i = 0; i < 7; i++) even[9 * i + 4] = 92;
    cr_assert_eq(tl__print_of(even).kind, TL_PRINT_EVEN);
}

static int bits_apart(uint64_t a, uint64_t b)
{
    int n = 0;
    for (uint64_t v = a ^ b; v; v &= v - 1) n++;
    return n;
}

/* Hashes of which many are near to an earlier one, some equal, some unknown. */
static void fill(tl_print *list, int64_t n, uint64_t stream)
{
    tl_rng_key key = tl__rng_key(11, TL_RNG_SPLIT, stream);
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)i * 24;
        list[i] = (tl_print){0, tl__rng_below(key, at, 12) == 0 ? (int)tl__rng_below(key, at + 1, 2) : TL_PRINT_SEEN};
        if (i > 0 && tl__rng_below(key, at + 2, 3) == 0)
            list[i].bits = list[tl__rng_below(key, at + 3, (uint64_t)i)].bits;
        else
            for (uint64_t k = 4; k < 8; k++) list[i].bits = list[i].bits << 16 | tl__rng_below(key, at + k, 65536);
        for (uint64_t k = tl__rng_below(key, at + 9, 6); k-- > 0;)
            list[i].bits ^= (uint64_t)1 << tl__rng_below(key, at + 10 + k, 64);
    }
}

/* The pairs of plain loops, in the order that is promised. */
static int64_t plain(const tl_print *a, int64_t n, const tl_print *b, int64_t m, int most, tl_near *out)
{
    int64_t count = 0;
    for (int64_t j = 0; j < m; j++)
        for (int d = 0; d <= most; d++)
            for (int64_t i = 0; i < (a == b ? j : n); i++)
                if (a[i].kind == TL_PRINT_SEEN && b[j].kind == TL_PRINT_SEEN && bits_apart(a[i].bits, b[j].bits) == d)
                    out[count++] = (tl_near){i, j, d};
    return count;
}

static void expect_pairs(const tl_print *a, int64_t n, const tl_print *b, int64_t m, int most)
{
    tl_error err = {0};
    tl_near *want = malloc((size_t)(n * m) * sizeof *want);
    int64_t wanted = plain(a, n, b, m, most, want), count, found;
    tl_near *got = tl__near_pairs(&err, a, n, b, m, most, n * m, &count, &found);
    cr_assert(got, "%s", err.text);
    cr_assert(count == wanted && found == wanted, "%d bits: %lld, not %lld", most, (long long)count, (long long)wanted);
    for (int64_t i = 0; i < count; i++)
        cr_assert(got[i].a == want[i].a && got[i].b == want[i].b && got[i].distance == want[i].distance);
    free(got);
    got = tl__near_pairs(&err, a, n, b, m, most, 3, &count, &found);
    cr_assert(got && found == wanted && count == (wanted < 3 ? wanted : 3));
    free(got);
    free(want);
}

Test(doubles, pairs_are_those_of_plain_loops)
{
    enum { N = 300, M = 170 };
    static tl_print a[N], b[M];
    fill(a, N, 1);
    fill(b, M, 2);
    for (int i = 0; i < M; i += 2) b[i].bits = a[i].bits ^ (uint64_t)i << 20;
    for (int most = 0; most <= 15; most++) {
        expect_pairs(a, N, b, M, most);
        expect_pairs(a, N, a, N, most);
    }
    tl_error err = {0};
    int64_t count, found;
    cr_assert_null(tl__near_pairs(&err, a, N, b, M, 16, 9, &count, &found));
    expect_error(err, "from 0 to 15");
}

Test(doubles, groups_are_those_of_plain_loops)
{
    enum { N = 400 };
    static tl_print a[N];
    static int64_t group[N], want[N];
    tl_error err = {0};
    fill(a, N, 3);
    for (int most = 0; most <= 6; most += 3) {
        int64_t next = 0;
        for (int i = 0; i < N; i++) want[i] = i;
        for (int again = 1; again;) { /* the least number goes round until nothing changes */
            again = 0;
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++)
                    if (a[i].kind == TL_PRINT_SEEN && a[j].kind == TL_PRINT_SEEN && want[j] < want[i] &&
                        bits_apart(a[i].bits, a[j].bits) <= most)
                        want[i] = want[j], again = 1;
        }
        for (int i = 0; i < N; i++) want[i] = want[i] == i ? next++ : want[want[i]];
        cr_assert_eq(tl__near_groups(&err, a, N, most, group), 0);
        cr_assert_eq(memcmp(group, want, sizeof group), 0, "%d bits", most);
    }
}

/* Many pictures of one hash take no time. */
Test(doubles, equal_ones_in_large_numbers, .timeout = 20)
{
    enum { N = 200000 };
    tl_error err = {0};
    tl_print *a = malloc(N * sizeof *a);
    int64_t *group = malloc(N * sizeof *group);
    for (int i = 0; i < N; i++) a[i] = (tl_print){i % 3 ? 0x1234 : 0xffff0000ffff0000u, TL_PRINT_SEEN};
    cr_assert_eq(tl__near_groups(&err, a, N, 3, group), 0);
    for (int i = 0; i < N; i++) cr_assert_eq(group[i], i % 3 ? 1 : 0);
    free(a);
    free(group);
}

/* ---- of a source ---- */

static void put_picture(const char *root, const char *name, int side, int phase)
{
    char path[512];
    tl_error err = {0};
    tl_image image = {0};
    cr_assert_eq(tl__image_reserve(&err, &image, side, side, 1), 0);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int step = phase ? 20 * ((x * 16 / side + phase) % 7 - 3) * ((y * 8 / side) % 2) : 0;
            image.data[y * side + x] = (uint8_t)(128 + step);
        }
    snprintf(path, sizeof path, "%s/%s", root, name);
    cr_assert_eq(tl__image_write_png(&err, path, &image), 0, "%s", err.text);
    tl__image_free(&image);
}

static tl_print *prints_of(tl_source *s, const char *cache)
{
    tl_error err = {0};
    tl_print *p = tl__source_prints(&err, s, 2, cache);
    cr_assert(p, "%s", err.text);
    return p;
}

Test(doubles, prints_are_kept)
{
    char *root = temporary_folder(), path[4][300], cache[300];
    const char *list[4];
    tl_error err = {0};
    struct stat st;
    put_picture(root, "a.png", 64, 3);
    put_picture(root, "b.png", 128, 3);
    put_picture(root, "c.png", 64, 0);
    put(root, "d.png", "none", 4);
    for (int i = 0; i < 4; i++) {
        snprintf(path[i], sizeof path[i], "%s/%c.png", root, 'a' + i);
        list[i] = path[i];
    }
    snprintf(cache, sizeof cache, "%s/prints.bin", root);
    tl_source *s = tl__source_files(&err, list, 4);
    tl_print *p = prints_of(s, NULL), *q = prints_of(s, cache);
    cr_assert(p[0].kind == TL_PRINT_SEEN && p[0].bits == p[1].bits);
    cr_assert(p[2].kind == TL_PRINT_EVEN && p[3].kind == TL_PRINT_NONE);
    cr_assert_eq(memcmp(p, q, 4 * sizeof *p), 0);
    cr_assert_eq(stat(cache, &st), 0);
    cr_assert_eq(st.st_size, 3 * 32);
    free(q);
    /* What is kept is believed: another hash in the place of the first picture's, with its checksum. */
    FILE *f = fopen(cache, "r+b");
    uint8_t record[32];
    cr_assert(fread(record, 1, 32, f) == 32);
    record[16] ^= 1;
    uint32_t check = (uint32_t)tl__hash64(record, 28, 7);
    memcpy(record + 28, &check, 4);
    cr_assert(fseek(f, 0, SEEK_SET) == 0 && fwrite(record, 1, 32, f) == 32 && fclose(f) == 0);
    q = prints_of(s, cache);
    cr_assert_eq((p[0].bits ^ q[0].bits) | (p[1].bits ^ q[1].bits) | (p[2].bits ^ q[2].bits), 1);
    free(q);
    /* A damaged record is made anew, one that was cut short goes. */
    f = fopen(cache, "r+b");
    record[20] ^= 4;
    cr_assert(fwrite(record, 1, 32, f) == 32 && fseek(f, 0, SEEK_END) == 0);
    cr_assert(fwrite("cut", 1, 3, f) == 3 && fclose(f) == 0);
    q = prints_of(s, cache);
    cr_assert_eq(memcmp(p, q, 4 * sizeof *p), 0);
    free(q);
    cr_assert(stat(cache, &st) == 0 && st.st_size == 4 * 32);
    /* A file that has changed is seen anew. */
    put_picture(root, "a.png", 96, 5);
    q = prints_of(s, cache);
    cr_assert(q[0].kind == TL_PRINT_SEEN && q[0].bits != p[0].bits && q[1].bits == p[1].bits);
    free(q);
    free(p);
    p = prints_of(s, "/none/prints.bin"); /* no place to keep them is no error */
    free(p);
    tl__source_free(s);
    remove_folder(root);
}
