/* onnx.c - .onnx files in C: every allocation while one is opened may fail. What is in them is
 * tested in Lua (tests/lua/onnx_file.lua). */
#include "io/onnx.h"

#include <criterion/criterion.h>
#include <string.h>

static void fail_each(const char *path)
{
    tl_error err = {0};
    tl_onnx *o = tl__onnx_open(&err, path);
    cr_assert(o, "%s", err.text);
    tl__onnx_free(o);
    long n = 0;
    for (o = NULL; !o && n < 1000;) {
        err = (tl_error){0};
        tl__inject_failure(++n);
        o = tl__onnx_open(&err, path);
        tl__inject_failure(0);
        if (!o)
            cr_assert(err.code == TL_EMEMORY && strncmp(err.text, path, strlen(path)) == 0, "%ld: %s", n, err.text);
    }
    tl__onnx_free(o);
    cr_assert(n > 4 && n < 1000);
}

Test(onnx, no_memory)
{
    fail_each("tests/fuzz/inputs/onnx/conv");
    fail_each("tests/fuzz/inputs/onnx/function");
}
