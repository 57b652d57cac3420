/* path.c - homes in paths, and names in Unicode's two forms. */
#include "base/path.h"

#include "data_files.h"

#include <pwd.h>

/* "고양이" and "é", composed and decomposed. */
#define CAT "\352\263\240\354\226\221\354\235\264"
#define CAT_APART "\341\204\200\341\205\251\341\204\213\341\205\243\341\206\274\341\204\213\341\205\265"
#define E "\303\251"
#define E_APART "e\314\201"

static void expect_home(const char *path, const char *wanted)
{
    tl_error err = {0};
    char *got = tl__path_home(&err, path);
    cr_assert(got, "%s", err.text);
    cr_expect_str_eq(got, wanted, "%s: %s", path, got);
    free(got);
}

Test(path, home)
{
    setenv("HOME", "/home/of me", 1);
    expect_home("~", "/home/of me");
    expect_home("~/", "/home/of me/");
    expect_home("~/data/x y", "/home/of me/data/x y");
    expect_home("a/~", "a/~");
    expect_home("", "");
    expect_home("~nobody-of-this-name/x", "~nobody-of-this-name/x");
    struct passwd *root = getpwnam("root");
    char *wanted = root ? tl__asprintf(NULL, "%s/x", root->pw_dir) : NULL;
    if (wanted) expect_home("~root/x", wanted);
    free(wanted);
    setenv("HOME", "/", 1);
    expect_home("~/x", "/x");
    expect_home("~", "/");
    unsetenv("HOME");
    struct passwd *own = getpwuid(getuid());
    if (own) expect_home("~", own->pw_dir);
}

Test(path, unicode_forms)
{
    static const struct { const char *a, *composed, *apart; } cases[] = {
        {"plain", "plain", "plain"}, {CAT, CAT, CAT_APART}, {CAT_APART, CAT, CAT_APART}, {"x" E_APART, "x" E, "x" E_APART}, {"cp949 \260\355", "cp949 \260\355", "cp949 \260\355"}};
    tl_error err = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *c = tl__text_form(&err, cases[i].a, 1), *d = tl__text_form(&err, cases[i].a, 0);
        cr_expect_str_eq(c, cases[i].composed);
        cr_expect_str_eq(d, cases[i].apart);
        free(c);
        free(d);
    }
    cr_assert(tl__same_name(&err, CAT, CAT_APART) && tl__same_name(&err, CAT_APART, CAT) && tl__same_name(&err, "a", "a"));
    cr_assert(!tl__same_name(&err, CAT, E) && !tl__same_name(&err, "e", E) && !tl__same_name(&err, "\260", "\261"));
    cr_assert_eq(err.code, TL_OK);
    for (long nth = 1, done = 0; !done; nth++) { /* want of memory is no other name */
        err = (tl_error){0};
        tl__inject_failure(nth);
        int same = tl__same_name(&err, CAT, CAT_APART);
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(same, done ? 1 : -1, "allocation %ld", nth);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "allocation %ld", nth);
        cr_assert(nth < 20);
    }
}

Test(path, what_is_on_the_disk)
{
    char *root = temporary_folder();
    tl_error err = {0};
    put(root, CAT_APART "/" E "/x.txt", "x", 1);
    static const char *const tried[] = {CAT "/" E "/x.txt", CAT_APART "/" E_APART "/x.txt", CAT_APART "/" E "/x.txt"};
    char *wanted = tl__asprintf(NULL, "%s/" CAT_APART "/" E "/x.txt", root);
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        char *path = tl__asprintf(NULL, "%s/%s", root, tried[i]), *got = tl__path_resolve(&err, path);
        cr_expect_str_eq(got, wanted);
        free(path);
        free(got);
    }
    char *gone = tl__asprintf(NULL, "%s/" CAT "/" E_APART "/y.txt", root), *got = tl__path_resolve(&err, gone);
    char *behind = tl__asprintf(NULL, "%s/" CAT_APART "/" E "/y.txt", root);
    cr_assert_str_eq(got, behind); /* to be written beside what is there */
    free(gone);
    free(got);
    free(behind);
    got = tl__path_resolve(&err, "no/such/" E_APART);
    cr_assert_str_eq(got, "no/such/" E_APART);
    free(got);
    for (long nth = 1, done = 0; !done; nth++) {
        err = (tl_error){0};
        tl__inject_failure(nth);
        got = tl__path_resolve(&err, wanted);
        char *home = tl__path_home(&err, "~/x");
        done = tl__inject_failure(0) < nth;
        cr_assert_eq(got && home, done, "allocation %ld: %s", nth, err.text);
        cr_assert_eq(err.code, done ? TL_OK : TL_EMEMORY, "allocation %ld: %s", nth, err.text);
        free(got);
        free(home);
    }
    free(wanted);
    remove_folder(root);
}
