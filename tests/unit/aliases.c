/* aliases.c - samples that are called otherwise than their files, the codes of such names, files for their owner. */
#include "data_files.h"

#include <sys/stat.h>

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
Test(aliases, hmac_sha256)
{
    char hex[65], key[131];
    memset(key, 0x0b, 20);
    tl__hmac_sha256(key, 20, "Hi There", 8, hex);
    cr_assert_str_eq(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    tl__hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, hex);
    cr_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    tl__hmac_sha256(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex);
    cr_assert_str_eq(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void expect_name(const tl_source *s, int64_t i, const char *name, const char *path)
{
    tl_error err = {0};
    char *is = tl__source_name(&err, s, i), *file = tl__source_path(&err, s, i);
    cr_assert_str_eq(is, name);
    cr_assert_str_eq(file, path);
    free(is);
    free(file);
}

Test(aliases, views_have_those_of_their_source)
{
    tl_error err = {0};
    const char *const path[] = {"KIM/a.png", "KIM/b.png", "LEE/c.png"};
    const char *const alias[] = {"p-1/f-a", "p-1/f-b", "p-2/f-c"};
    tl_source *s = tl__source_files(&err, path, 3);
    tl_source *before = tl__source_subset(&err, s, (int64_t[]){2, 0}, 2);
    expect_name(before, 0, "LEE/c.png", "LEE/c.png");
    cr_assert_null(tl__source_alias(before, 0));
    cr_assert_eq(tl__source_set_aliases(&err, s, alias), 0);
    tl_source *inner = tl__source_subset(&err, before, (int64_t[]){1}, 1);
    expect_name(s, 1, "p-1/f-b", "KIM/b.png");
    expect_name(before, 0, "p-2/f-c", "LEE/c.png");
    expect_name(inner, 0, "p-1/f-a", "KIM/a.png");
    const char *const other[] = {"x", "y"};
    cr_assert_eq(tl__source_set_aliases(&err, before, other), 0); /* its own come first */
    expect_name(inner, 0, "y", "KIM/a.png");
    tl_image image = {0};
    tl_image_request any = {0};
    cr_assert_neq(tl__source_read(&err, inner, 0, &any, &image), 0);
    expect_error(err, "KIM/a.png"); /* what is wrong with a file is said of the file */
    tl__source_free(inner);
    tl__source_free(before);
    tl__source_free(s);
}

Test(aliases, files_for_their_owner_alone)
{
    char *root = temporary_folder(), path[512];
    tl_error err = {0};
    struct stat st;
    snprintf(path, sizeof path, "%s/identifiers.csv", root);
    put(root, "identifiers.csv", "old", 3); /* for all to read */
    cr_assert_eq(tl__write_private_file(&err, path, "new", 3), 0, "%s", err.text);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    snprintf(path, sizeof path, "%s/none/identifiers.csv", root);
    cr_assert_neq(tl__write_private_file(&err, path, "new", 3), 0);
    expect_error(err, "none/identifiers.csv");
    remove_folder(root);
}
