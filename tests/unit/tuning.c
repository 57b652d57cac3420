/* tuning.c - tables of choices: classes and their texts, the file there and back, damaged and foreign files, which choice
 * holds, what forbids the table. Measuring is run, but nothing is asserted about times. */
#include "device/gemm/maker.h"
#include "device/gemm/tuning.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

/* A device of 16-float vectors with a cache folder of its own, so with no table. */
static tl_device *open_device(void)
{
    tl_error err = {0};
    snprintf(folder, sizeof folder, "/tmp/tlua-tuning-XXXXXX");
    cr_assert(mkdtemp(folder));
    setenv("TLUA_CACHE", folder, 1);
    setenv("TLUA_VECTOR", "16", 1);
    unsetenv("TLUA_GEMM");
    unsetenv("TLUA_TUNING");
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    cr_assert_null(d->tuning);
    return d;
}

static void close_device(tl_device *d)
{
    char command[128];
    size_t live;
    tl_device_memory(d, &live, NULL, NULL);
    cr_expect_eq(live, 0, "%zu bytes are still in use", live);
    tl_device_release(d);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

static const tl_tuning *load_again(tl_device *d)
{
    tl_error err = {0};
    free(d->tuning);
    d->tuning = NULL;
    cr_assert_eq(tl__tuning_load(&err, d), 0, "%s", err.text);
    return d->tuning;
}

static tl_choice choice(const char *class, const char *maker, int percent)
{
    tl_choice c = {.percent = percent, .maker = tl__gemm_maker_named(maker)};
    cr_assert(c.maker, "%s", maker);
    cr_assert_eq(tl__gemm_class_parse(class, &c.what), 0, "%s", class);
    return c;
}

static void save(tl_device *d, const tl_choice *list, int n)
{
    tl_error err = {0};
    cr_assert_eq(tl__tuning_save(&err, d, list, n), 0, "%s", err.text);
}

/* A product of plain layout without memory behind it: enough to be asked about. */
static tl_gemm product(int64_t m, int64_t n, int64_t k) { return (tl_gemm){.m = m, .n = n, .k = k, .batch = 1, .alpha = 1, .a = {.row = k, .col = 1}, .b = {.row = n, .col = 1}, .c = {.row = n, .col = 1}}; }

static const char *class_of(const tl_gemm *g)
{
    static char text[TL_CLASS_TEXT];
    return tl__gemm_class_text(tl__gemm_class(g), text);
}

Test(tuning, classes_and_their_texts)
{
    tl_gemm g = product(50176, 64, 257);
    cr_assert_str_eq(class_of(&g), "65536 64 512 nn fresh one");
    g.a.row = 1;
    g.a.col = 50176;
    g.constant_b = 1;
    cr_assert_str_eq(class_of(&g), "65536 64 512 tn kept one");
    g.b.row = 1;
    g.b.col = 257;
    g.batch = 3;
    cr_assert_str_eq(class_of(&g), "65536 64 512 tt kept many");
    g.patches = (const tl_patches *)&g; /* patches have no layout of their own */
    cr_assert_str_eq(class_of(&g), "65536 64 512 nt kept many");
    g = product(1, 1, 1);
    cr_assert_str_eq(class_of(&g), "1 1 1 nn fresh one");
    g = product(INT64_MAX, 3, 2);
    cr_assert_str_eq(class_of(&g), "1073741824 4 2 nn fresh one");
    for (tl_gemm_class c = 0; c < 1u << 24; c += 77) {
        char text[TL_CLASS_TEXT];
        tl_gemm_class back;
        if ((c >> 19 & 31) > 30 || (c >> 14 & 31) > 30 || (c >> 9 & 31) > 30 || (c & 0x1f0)) continue;
        cr_assert_eq(tl__gemm_class_parse(tl__gemm_class_text(c, text), &back), 0, "%s", text);
        cr_assert_eq(back, c, "%s", text);
    }
    const char *wrong[] = {"", "64", "3 4 5 nn fresh one", "64 64 64 xx fresh one", "64 64 64 nn fresh one ", "64 64 64 nn stale one", "64 64 64 nn fresh two", "-64 64 64 nn fresh one",
                           "064 64 64 nn fresh one", "0 64 64 nn fresh one", "2147483648 64 64 nn fresh one", "99999999999999999999 1 1 nn fresh one", "64  64 64 nn fresh one"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tl_gemm_class c = 7;
        cr_assert_eq(tl__gemm_class_parse(wrong[i], &c), -1, "%s", wrong[i]);
        cr_assert_eq(c, 7u);
    }
}

Test(tuning, there_and_back)
{
    tl_device *d = open_device();
    tl_error err = {0};
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139), choice("4096 512 512 nt kept one", "cpu-14x32", 104), choice("1 1024 1024 nt kept one", "dots", 110)};
    tl_choice turned[] = {list[2], list[0], list[1]};
    char hash[17], *path = tl__tuning_path(&err, d);
    save(d, list, 3);
    snprintf(hash, sizeof hash, "%s", d->tuning->hash);
    cr_assert_eq(strlen(hash), 16);
    const tl_tuning *t = load_again(d);
    cr_assert(t);
    cr_assert_str_eq(t->note, "");
    cr_assert_str_eq(t->hash, hash);
    cr_assert_eq(t->count, 3);
    for (int i = 0; i < 3; i++) {
        const tl_choice *found = NULL;
        for (int k = 0; k < 3; k++)
            if (t->choices[k].what == list[i].what) found = &t->choices[k];
        cr_assert(found && found->maker == list[i].maker && found->percent == list[i].percent);
    }
    /* The hash is that of the choices: not of their order or gains, but of every maker. */
    turned[0].percent = 200;
    save(d, turned, 3);
    cr_assert_str_eq(d->tuning->hash, hash);
    turned[0].maker = tl__gemm_maker_named("strips");
    save(d, turned, 3);
    cr_assert_str_neq(d->tuning->hash, hash);
    /* A new device finds the file too. */
    tl_device *other = tl_device_open(NULL, &err);
    cr_assert(other && other->tuning, "%s", err.text);
    cr_assert_str_eq(other->tuning->hash, d->tuning->hash);
    tl_device_release(other);
    save(d, NULL, 0);
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_str_eq(d->tuning->hash, "shipped");
    cr_assert_null(load_again(d));
    free(path);
    close_device(d);
}

Test(tuning, choices_hold_for_their_class_and_where_the_maker_can)
{
    tl_device *d = open_device();
    tl_gemm in = product(60, 64, 33), out = product(65, 64, 64), cannot = product(64, 64, 128);
    const char *shipped_in = tl__gemm_choose(d, &in)->name, *shipped_out = tl__gemm_choose(d, &out)->name, *shipped_cannot = tl__gemm_choose(d, &cannot)->name;
    cr_assert_str_neq(shipped_in, "plain");
    cr_assert_str_neq(shipped_cannot, "dots");
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139), choice("64 64 128 nn fresh one", "dots", 139)};
    save(d, list, 2);
    cr_assert_str_eq(tl__gemm_choose(d, &in)->name, "plain");
    cr_assert_str_eq(tl__gemm_shipped(d, &in)->name, shipped_in);
    cr_assert_str_eq(tl__gemm_choose(d, &out)->name, shipped_out);
    cr_assert_str_eq(tl__gemm_choose(d, &cannot)->name, shipped_cannot); /* its b does not lie along k */
    close_device(d);
}

/* The whole way: tl__gemm gives the bits of the maker that the table names. */
Test(tuning, choices_are_what_computes)
{
    tl_device *d = open_device();
    tl_error err = {0};
    enum { M = 60, N = 64, K = 61 };
    static float x[M * K], w[K * N], got[3][M * N];
    for (int i = 0; i < M * K; i++) x[i] = (float)(i % 101) / 101 - 0.5f;
    for (int i = 0; i < K * N; i++) w[i] = (float)(i % 97) / 97 - 0.3f;
    tl_gemm g = product(M, N, K);
    g.alpha = 0.7f;
    g.a.buffer = tl__buffer_new(&err, d, sizeof x);
    g.b.buffer = tl__buffer_new(&err, d, sizeof w);
    g.c.buffer = tl__buffer_new(&err, d, sizeof *got);
    tl__buffer_write(&err, g.a.buffer, 0, sizeof x, x);
    tl__buffer_write(&err, g.b.buffer, 0, sizeof w, w);
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139)};
    tl__gemm(&err, d, &g, "test");
    tl__buffer_read(&err, g.c.buffer, 0, sizeof *got, got[0]);
    save(d, list, 1);
    tl__gemm(&err, d, &g, "test");
    tl__buffer_read(&err, g.c.buffer, 0, sizeof *got, got[1]);
    tl__gemm_run(&err, d, tl__gemm_maker_named("plain"), &g, "test");
    tl__buffer_read(&err, g.c.buffer, 0, sizeof *got, got[2]);
    cr_assert_eq(err.code, 0, "%s", err.text);
    cr_assert_eq(memcmp(got[1], got[2], sizeof *got), 0, "the choice does not compute");
    cr_assert_neq(memcmp(got[0], got[1], sizeof *got), 0, "this problem does not tell makers apart");
    tl__buffer_release(g.a.buffer);
    tl__buffer_release(g.b.buffer);
    tl__buffer_release(g.c.buffer);
    close_device(d);
}

Test(tuning, the_environment_wins)
{
    tl_device *d = open_device();
    tl_gemm g = product(64, 64, 64);
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139)};
    const char *shipped = tl__gemm_choose(d, &g)->name;
    save(d, list, 1);
    setenv("TLUA_GEMM", "own", 1);
    cr_assert_str_eq(tl__gemm_choose(d, &g)->name, shipped);
    cr_assert_null(tl__tuning_used(d));
    setenv("TLUA_GEMM", "clblast", 1);
    int there = tl__gemm_can(d, tl__gemm_maker_named("clblast"), &g);
    cr_assert_str_eq(tl__gemm_choose(d, &g)->name, there ? "clblast" : shipped);
    cr_assert_null(tl__tuning_used(d));
    unsetenv("TLUA_GEMM");
    cr_assert_eq(tl__tuning_used(d), d->tuning);
    setenv("TLUA_TUNING", "0", 1);
    cr_assert_str_eq(tl__gemm_choose(d, &g)->name, shipped);
    cr_assert_null(tl__tuning_used(d));
    setenv("TLUA_TUNING", "1", 1);
    cr_assert_str_eq(tl__gemm_choose(d, &g)->name, "plain");
    /* A table may name CLBlast, and `own` must not take it. */
    tl_choice blast[] = {choice("64 64 64 nn fresh one", "clblast", 139)};
    save(d, blast, 1);
    setenv("TLUA_GEMM", "own", 1);
    cr_assert_str_eq(tl__gemm_choose(d, &g)->name, shipped);
    close_device(d);
}

/* ---- files that are not as they should be ---- */

static void write_raw(tl_device *d, const void *data, size_t bytes)
{
    tl_error err = {0};
    char *path = tl__tuning_path(&err, d);
    FILE *f = fopen(path, "wb");
    cr_assert(f);
    cr_assert_eq(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
    free(path);
}

/* The same with the right checksum behind it. */
static void write_checked(tl_device *d, const char *text)
{
    char all[4096], hex[65];
    tl_sha256 h;
    tl__sha256_init(&h);
    tl__sha256_update(&h, text, strlen(text));
    tl__sha256_final(&h, hex);
    snprintf(all, sizeof all, "%scheck %s\n", text, hex);
    write_raw(d, all, strlen(all));
}

static void expect_note(tl_device *d, int count, const char *part)
{
    const tl_tuning *t = load_again(d);
    cr_assert(t);
    cr_assert_eq(t->count, count, "%d choices: %s", t->count, t->note);
    cr_assert(strstr(t->note, part), "\"%s\" is not in: %s", part, t->note);
    cr_assert_null(strchr(t->note, '\n'));
    if (count == 0) cr_assert_null(tl__tuning_used(d));
}

Test(tuning, damaged_files_leave_the_shipped_choices)
{
    tl_device *d = open_device();
    tl_error err = {0};
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139), choice("4096 512 512 nt kept one", "cpu-14x32", 104)};
    save(d, list, 2);
    char *path = tl__tuning_path(&err, d);
    size_t n = 0;
    char *whole = tl__read_file(&err, path, &n);
    cr_assert(whole && n > 150);
    for (size_t k = 0; k < n; k++) {
        write_raw(d, whole, k);
        expect_note(d, 0, "is not used");
        whole[k] ^= 1;
        write_raw(d, whole, n);
        expect_note(d, 0, "is not used");
        whole[k] ^= 1;
    }
    write_raw(d, whole, n);
    cr_assert_eq(load_again(d)->count, 2);
    /* Too large, a folder, and one that cannot be read. */
    cr_assert_eq(truncate(path, 1 << 20), 0);
    expect_note(d, 0, "too large");
    unlink(path);
    mkdir(path, 0777);
    expect_note(d, 0, "is not used");
    rmdir(path);
    free(whole);
    free(path);
    close_device(d);
}

Test(tuning, foreign_files_are_refused_and_strangers_passed_over)
{
    tl_device *d = open_device();
    tl_error err = {0};
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139)};
    save(d, list, 1);
    char *path = tl__tuning_path(&err, d), *whole = tl__read_file(&err, path, NULL), text[2048], head[1024];
    snprintf(head, sizeof head, "%.*s", (int)(strstr(whole, "64 64 64") - whole), whole); /* the first two lines */
    snprintf(text, sizeof text, "tlua-tuning 1\ndevice another | one\n64 64 64 nn fresh one plain 139\n");
    write_checked(d, text);
    expect_note(d, 0, "another device");
    snprintf(text, sizeof text, "tlua-tuning 2\n%s64 64 64 nn fresh one plain 139\n", strchr(head, '\n') + 1);
    write_checked(d, text);
    expect_note(d, 0, "no table of this version");
    snprintf(text, sizeof text, "%s64 64 64 nn fresh one plain 139\n32 32 32 nn fresh one quantum-7 140\n16 16 16 nn fresh one other 140\n", head);
    write_checked(d, text);
    expect_note(d, 1, "2 choices name makers that are not known here, as \"quantum-7\"");
    tl_gemm g = product(64, 64, 64);
    cr_assert_str_eq(tl__gemm_choose(d, &g)->name, "plain");
    const char *lines[] = {"64 64 64 nn fresh one plain", "64 64 64 nn fresh one plain x", "63 64 64 nn fresh one plain 139", "64 64 64 nn fresh one plain 139 more", "plain", "",
                           "64 64 64 nn fresh one plain -5", "64 64 64 nn fresh one aVeryLongNameOfAMakerThatNobodyWouldEverGiveToOne 100"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(text, sizeof text, "%s%s\n16 16 16 nn fresh one plain 120\n", head, lines[i]);
        write_checked(d, text);
        expect_note(d, 0, "a line of it is damaged");
    }
    free(whole);
    free(path);
    close_device(d);
}

Test(tuning, a_table_that_cannot_be_written_changes_nothing)
{
    tl_device *d = open_device();
    tl_choice list[] = {choice("64 64 64 nn fresh one", "plain", 139)}, other[] = {choice("64 64 64 nn fresh one", "strips", 139)};
    save(d, list, 1);
    const tl_tuning *before = d->tuning;
    long nth = 1, counted;
    do {
        tl_error err = {0};
        tl__inject_failure(nth);
        int status = tl__tuning_save(&err, d, other, 1);
        counted = tl__inject_failure(0);
        if (counted < nth) cr_assert_eq(status, 0);
        else if (status != 0) { /* the last allocations belong to syncing the folder, which may fail */
            cr_assert_eq(err.code, TL_EMEMORY);
            cr_assert_eq(d->tuning, before);
            const char *name = load_again(d)->choices[0].maker->name;
            cr_assert_str_eq(name, "plain", "allocation %ld", nth);
            before = d->tuning;
        }
        nth++;
    } while (counted >= nth - 1 && nth < 100);
    cr_assert_gt(nth, 4);
    cr_assert_str_eq(load_again(d)->choices[0].maker->name, "strips");
    close_device(d);
}

/* ---- measuring ---- */

Test(tuning, measuring_finds_the_shipped_maker_among_those_that_can)
{
    tl_device *d = open_device();
    const char *classes[] = {"32 32 32 nn fresh one", "16 32 64 nt kept one", "32 16 32 tn fresh many", "1 1 1 nn fresh one"};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        tl_error err = {0};
        tl_tuned x;
        cr_assert_eq(tl__tune(&err, d, choice(classes[i], "plain", 100).what, 2, &x), 0, "%s", err.text);
        cr_assert_geq(x.count, 2, "%s", classes[i]);
        cr_assert(x.shipped >= 0 && x.shipped < x.count && x.choice >= 0 && x.choice < x.count);
        cr_assert(x.choice == x.shipped ? x.gain == 1 : x.gain >= TL_TUNE_MARGIN);
        for (int k = 0; k < x.count; k++) {
            cr_assert(!x.each[k].wrong, "%s: %s differs", classes[i], x.each[k].maker->name);
            cr_assert_gt(x.each[k].gflops, 0, "%s: %s", classes[i], x.each[k].maker->name);
        }
    }
    cr_assert_null(d->tuning, "measuring alone keeps nothing");
    close_device(d);
}
