/* tables.c - tables of texts (CSV), and NumPy's arrays. */
#include "data_files.h"
#include "io/csv.h"
#include "io/io.h"

static tl_csv *parse(const char *text)
{
    tl_error err = {0};
    tl_csv *t = tl__csv_parse(&err, "t.csv", text, strlen(text));
    cr_assert(t, "%s", err.text);
    return t;
}

/* All cells of a table, row by row: "a|b / 1|2". */
static void expect_cells(const char *text, const char *wanted)
{
    tl_csv *t = parse(text);
    char all[512] = "";
    for (int64_t i = 0; i <= t->rows; i++)
        for (int64_t k = 0; k < t->columns; k++) {
            strcat(all, k ? "|" : i ? " / " : "");
            strcat(all, t->cell[i * t->columns + k]);
        }
    cr_assert_str_eq(all, wanted);
    tl__csv_free(t);
}

Test(csv, cells)
{
    expect_cells("a,b\n1,2\n", "a|b / 1|2");
    expect_cells("a,b\n1,2", "a|b / 1|2");
    expect_cells("\xef\xbb\xbf" "a;b,c;d\r\n1;2;3\r\n", "a|b,c|d / 1|2|3");
    expect_cells("a\tb\r1\t2\r", "a|b / 1|2");
    expect_cells("a,b\n\n\"x, \"\"y\"\"\",\"1\r\n2\"\n\n\n,\n", "a|b / x, \"y\"|1\r\n2 / |");
    expect_cells("only\n1\n2\n", "only / 1 / 2");
    expect_cells("\"a;b\",c\n1 , 2 5\" x\n", "a;b|c / 1 | 2 5\" x");
    expect_cells("\"\",b\n\"\",\"\"", "|b / |");
}

Test(csv, lines)
{
    tl_csv *t = parse("a,b\r\n\r\n\"1\n2\r\n3\r4\",2\r\n5,6\n");
    cr_assert(t->rows == 2 && t->line[0] == 1 && t->line[1] == 3 && t->line[2] == 7, "%d %d", (int)t->line[1], (int)t->line[2]);
    tl__csv_free(t);
}

Test(csv, errors_name_line_and_column)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "t.csv: an empty table; its first line names the columns"}, {"\n\r\n", "t.csv: an empty table"},
        {"a,b\n1\n", "t.csv:2: this row has 1 cells, and the header 2"}, {"a,b\n\n1,2\n1,2,3\n", "t.csv:4: column 3: this row has more cells than the header"},
        {"a,b\n1,\"2\n3\n", "t.csv:2: column 2: the quote that begins here has no end"},
        {"a,b\n\"1\n\"x,2\n", "t.csv:3: column 1: text behind a closing quote"}, {"a,b\n1,\xb0\xa1\n", "t.csv:2: column 2: bytes that are no UTF-8; save the table as UTF-8"},
        {"\xff\xfe" "a", "t.csv: a table in UTF-16; save it as UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        cr_assert_null(tl__csv_parse(&err, "t.csv", cases[i].text, strlen(cases[i].text)));
        expect_error(err, cases[i].part);
    }
    tl_error err = {0};
    cr_assert_null(tl__csv_parse(&err, "t.csv", "a\nx\0y\n", 6));
    expect_error(err, "t.csv:2: column 1: a byte of value 0");
    cr_assert_null(tl__csv_read(&err, "/nowhere/t.csv"));
    expect_error(err, "/nowhere/t.csv");
}

Test(csv, survives_a_lack_of_memory)
{
    char text[4096] = "a,b\n";
    for (int i = 0; i < 200; i++) strcat(text, "1,2\n");
    for (long n = 1;; n++) {
        tl_error err = {0};
        tl__inject_failure(n);
        tl_csv *t = tl__csv_parse(&err, "t.csv", text, strlen(text));
        tl__inject_failure(0);
        tl__csv_free(t);
        if (t) {
            cr_assert_gt(n, 4);
            break;
        }
        cr_assert_eq(err.code, TL_EMEMORY);
    }
}

/* ---- NumPy ---- */

static void expect_numbers(const tl_archive *a, const char *name, float first)
{
    const tl_entry *e = tl__archive_find(a, name);
    float v[24];
    tl_error err = {0};
    cr_assert(e, "%s", name);
    cr_assert(e->shape.rank == 3 && e->shape.dim[0] == 2 && e->shape.dim[1] == 3 && e->shape.dim[2] == 4, "%s", name);
    cr_assert_eq(tl__entry_to_f32(&err, e, v), 0, "%s", err.text);
    for (int i = 0; i < 24; i++) cr_assert_eq(v[i], (float)i + first, "%s: %d: %g", name, i, (double)v[i]);
}

Test(npy, arrays_of_numpy)
{
    static const char *const files[] = {"tests/golden/io/numpy.npz", "tests/golden/io/numpy_packed.npz"};
    static const char *const same[] = {"f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "columns", "big", "big_columns"};
    static const struct {
        const char *name, *why;
    } odd[] = {{"objects", "is an array of Python objects, which tlua does not open"}, {"words", "is an array of texts"},
               {"complex", "has complex numbers"}, {"fields", "is a structured array"}};
    for (int k = 0; k < 2; k++) {
        tl_error err = {0};
        float v[24];
        int32_t whole[24];
        tl_archive *a = tl__archive_read(&err, files[k]);
        cr_assert(a, "%s", err.text);
        for (size_t i = 0; i < sizeof same / sizeof *same; i++) expect_numbers(a, same[i], 0);
        expect_numbers(a, "u2", 65512);
        const tl_entry *e = tl__archive_find(a, "bool");
        cr_assert(e && tl__entry_to_i32(&err, e, whole) == 0 && whole[0] == 0 && whole[1] == 1);
        e = tl__archive_find(a, "reversed");
        cr_assert(e && e->shape.dim[2] == 2 && tl__entry_to_f32(&err, e, v) == 0 && v[0] == 12 && v[1] == 14 && v[11] == 10);
        e = tl__archive_find(a, "scalar");
        cr_assert(e && e->shape.rank == 0 && tl__entry_to_f32(&err, e, v) == 0 && v[0] == 7);
        e = tl__archive_find(a, "none");
        cr_assert(e && e->bytes == 0 && e->shape.dim[1] == 3);
        cr_assert_neq(tl__entry_to_i32(&err, tl__archive_find(a, "huge"), whole), 0);
        expect_error(err, "which a 32-bit integer cannot hold");
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            cr_assert_null(tl__archive_find(a, odd[i].name));
            cr_assert(strstr(tl__archive_odd(a, odd[i].name), odd[i].why), "%s", odd[i].name);
        }
        tl__archive_free(a);
    }
    tl_error err = {0};
    tl_archive *a = tl__archive_read(&err, "tests/golden/io/numpy.npy");
    cr_assert(a, "%s", err.text);
    expect_numbers(a, "arr_0", 0);
    tl__archive_free(a);
}

Test(npy, refuses)
{
    static const struct {
        const char *header, *part;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (100,), }", "cut short: its shape takes 400 bytes, and there are 16"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", "the shape of the array is impossible"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "its shape is impossible"},
        {"{'descr': '<f4', 'fortran_order': False, }", "descr, fortran_order or shape is missing"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "neither True nor False"}, {"{'descr': 'f4', 'fortran_order': False, 'shape': ()}", "no byte order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}", "a key that is not known"}, {"[1, 2]", "it is no dict"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", "its shape is no tuple"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': ()}", "holds no tensor that can be read: arr_0 (|O) is an array of Python objects"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1)}", "has 10 dimensions, and a tensor at most"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[256] = "\x93NUMPY\1";
        size_t n = strlen(cases[i].header);
        tl_error err = {0};
        file[8] = (char)n;
        memcpy(file + 10, cases[i].header, n);
        cr_assert_null(tl__archive_read_memory(&err, "x.npy", NULL, file, 10 + n + 16), "%s", cases[i].header);
        expect_error(err, "x.npy: ");
        cr_assert_null(tl__archive_read_memory(&err, "x.npy", NULL, file, 10 + n + 16));
        expect_error(err, cases[i].part);
        cr_assert_null(tl__archive_read_memory(&err, "x.npy", NULL, file, 9));
        expect_error(err, "it does not begin as one");
    }
}
