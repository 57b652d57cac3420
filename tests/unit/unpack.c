/* unpack.c - archives: what they hold arrives, what would lead outside is refused, damage leaves nothing. */
#include "io/unpack.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static void sh(const char *format, ...)
{
    char command[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    cr_assert_eq(system(command), 0, "%s", command);
}

static int entries(const char *folder)
{
    char command[200], out[32] = "";
    snprintf(command, sizeof command, "ls -A %s | wc -l", folder);
    FILE *p = popen(command, "r");
    if (!fgets(out, sizeof out, p)) out[0] = 0;
    pclose(p);
    return atoi(out);
}

Test(unpack, whole_outside_and_damaged)
{
    char archive[128], folder[128], file[160];
    tl_error err = {0};
    snprintf(root, sizeof root, "/tmp/tlua-unpack-XXXXXX");
    cr_assert(mkdtemp(root));
    snprintf(archive, sizeof archive, "%s/a.tar.gz", root);
    snprintf(folder, sizeof folder, "%s/into", root);
    sh("cd %s && mkdir -p src/d/e && echo one > src/d/1 && head -c 300000 /dev/urandom > src/d/e/2 && tar -C src -czf a.tar.gz d", root);
    cr_assert_eq(tl__unpack(&err, archive, folder, 0), 0, "%s", err.text);
    sh("diff -r %s/src/d %s/d", root, folder);
    cr_assert_eq(entries(folder), 1);
    /* Damage, a limit, a link, a name that leads outside, a list that takes its contents from other files: an error, and nothing in the folder. */
    for (int what = 0; what < 6; what++) {
        sh("rm -rf %s", folder);
        if (what == 0) sh("cd %s && head -c 100000 a.tar.gz > b.tar.gz", root);
        if (what == 2) sh("cd %s && ln -sf /etc src/d/link && tar -C src -czf b.tar.gz d && rm src/d/link", root);
        if (what == 3) sh("cd %s && echo x > x && tar -P --transform 's,^x,../out,' -czf b.tar.gz x", root);
        if (what == 4) sh("cd %s && tar -P --transform 's,^x,/tmp/tlua-outside,' -czf b.tar.gz x", root);
        if (what == 5) sh("cd %s && printf '#mtree\\n./x type=file contents=%s/src/d/1\\n' > b.tar.gz", root, root);
        snprintf(archive, sizeof archive, "%s/%c.tar.gz", root, what == 1 ? 'a' : 'b');
        err = (tl_error){0};
        cr_assert_neq(tl__unpack(&err, archive, folder, what == 1 ? 1000 : 0), 0, "case %d", what);
        cr_assert_eq(err.code, TL_EFORMAT, "%s", err.text);
        cr_assert(strncmp(err.text, archive, strlen(archive)) == 0, "%s", err.text);
        cr_assert_eq(entries(folder), 0, "case %d left something", what);
    }
    snprintf(file, sizeof file, "%s/out", root);
    cr_assert_neq(access(file, F_OK), 0);
    cr_assert_neq(access("/tmp/tlua-outside", F_OK), 0);
    sh("rm -rf %s", root);
}
