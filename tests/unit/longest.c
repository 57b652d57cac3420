/* longest.c - TLUA_LONGEST=FILE: a line for each kernel, over all devices that were opened, also while a profile is open. */
#include "device/profile.h"
#include "op/op.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void work(int times)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    cr_assert(d, "%s", err.text);
    tl_scope *s = tl_scope_open(d, &err);
    tl_tensor *x = tl_randn(s, 2, (int64_t[]){300, 7}, 1, 1), *y = x;
    for (int i = 0; i < times; i++) y = tl_softmax(s, y, -1);
    /* A profile changes the queue; launches are timed on. */
    cr_assert_eq(tl__profile_begin(&err, d, 100), 0, "%s", err.text);
    y = tl_exp(s, y);
    tl_profile *p = tl__profile_end(&err, d);
    const tl_profiled *list;
    cr_assert(p && tl__profile_launches(p, &list) == 1 && list[0].end > list[0].start);
    tl__profile_free(p);
    y = tl_softmax(s, y, -1);
    cr_assert(y && !tl_scope_failed(s));
    tl_scope_close(s);
    tl_device_release(d);
}

Test(longest, a_line_for_each_kernel)
{
    char path[] = "/tmp/tlua-longest-XXXXXX", kernel[64], label[64];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    setenv("TLUA_LONGEST", path, 1);
    work(3);
    work(1);
    FILE *f = fopen(path, "r");
    double seconds;
    long untimed, launches, softmax = 0, lines = 0, exp_lines = 0;
    while (fscanf(f, "%lf\t%ld\t%ld\t%63[^\t]\t%63[^\n]\n", &seconds, &untimed, &launches, kernel, label) == 5) {
        lines++;
        cr_expect_eq(untimed, 0, "%ld launches of %s have no times", untimed, kernel);
        cr_expect(seconds > 0 && seconds < 10, "%s took %g s", kernel, seconds);
        if (strcmp(label, "softmax") == 0) softmax += launches;
        else exp_lines += launches == 1;
    }
    cr_expect(feof(f), "a line is not as it should be");
    fclose(f);
    cr_expect_eq(softmax, 4 + 2, "%ld launches of softmax", softmax);
    cr_expect(lines == 4 && exp_lines == 2, "%ld lines", lines);
    remove(path);
}

Test(longest, a_file_that_cannot_be_written)
{
    tl_error err = {0};
    setenv("TLUA_LONGEST", "/no/such/folder/x", 1);
    cr_assert_null(tl_device_open(NULL, &err));
    cr_expect(strstr(err.text, "TLUA_LONGEST: cannot write /no/such/folder/x: No such file"), "%s", err.text);
}
