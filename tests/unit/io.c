/* io.c - files of weights: what PyTorch and safetensors wrote reads as the same bits, and what is cut,
 * damaged, lying or evil is refused with one line. */
#include "io_files.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

static void check_refused(const char *path, const char *part)
{
    tl_error err = {0};
    cr_assert_null(tl__archive_read(&err, path), "%s was read", path);
    check_error(&err, path, part);
}

static void check_same(const tl_archive *a, const tl_archive *b, const char *what)
{
    cr_assert_eq(a->count, b->count, "%s: %d and %d entries", what, a->count, b->count);
    for (int i = 0; i < a->count; i++) {
        const tl_entry *x = &a->entries[i], *y = tl__archive_find(b, x->name);
        cr_assert(y, "%s: no %s", what, x->name);
        cr_assert(x->dtype == y->dtype && tl__shape_equal(&x->shape, &y->shape), "%s: %s has another type or shape", what, x->name);
        cr_assert(x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0, "%s: %s has other bits", what, x->name);
    }
}

/* ---- what is right ---- */

Test(io, every_form_reads_as_the_same_tensors)
{
    static const char *const files[] = {"zip.pth", "protocol3.pth", "protocol4.pth", "protocol5.pth", "legacy.pth", "legacy4.pth",
                                        "deflated.pth", "zip64.pth", "without_crc.pth", "big_endian.pth"};
    tl_archive *expected = open_golden("expect.safetensors");
    cr_assert_eq(expected->count, 18);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tl_archive *a = open_golden(files[i]);
        check_same(expected, a, files[i]);
        cr_assert_str_eq(a->entries[0].name, "plain");
        tl__archive_free(a);
    }
    cr_assert_null(tl__archive_find(expected, "nothing"));
    tl__archive_free(expected);
}

Test(io, views_are_packed)
{
    tl_archive *a = open_golden("zip.pth");
    float plain[24], transposed[24], part[6], expanded[12];
    const tl_entry *t = tl__archive_find(a, "transposed");
    cr_assert(t && t->shape.rank == 2 && t->shape.dim[0] == 6 && t->shape.dim[1] == 4);
    cr_assert_eq(tl__entry_to_f32(NULL, tl__archive_find(a, "plain"), plain), 0);
    cr_assert_eq(tl__entry_to_f32(NULL, t, transposed), 0);
    cr_assert_eq(tl__entry_to_f32(NULL, tl__archive_find(a, "slice"), part), 0);
    cr_assert_eq(tl__entry_to_f32(NULL, tl__archive_find(a, "expanded"), expanded), 0);
    for (int i = 0; i < 24; i++) cr_assert_eq(transposed[i], plain[i % 4 * 6 + i / 4]);
    for (int i = 0; i < 6; i++) cr_assert_eq(part[i], plain[(1 + i / 3) * 6 + i % 3 * 2]);
    for (int i = 0; i < 12; i++) cr_assert_eq(expanded[i], (float)(i / 4));
    tl__archive_free(a);
}

Test(io, metadata)
{
    tl_archive *a = open_golden("expect.safetensors");
    cr_assert_eq(a->meta_count, 2);
    cr_assert_str_eq(tl__archive_meta(a, "format"), "pt");
    cr_assert_str_eq(tl__archive_meta(a, "tlua"), "{\"a\": [1, \"\xc3\xa9\\n\"]}");
    cr_assert_null(tl__archive_meta(a, "other"));
    tl__archive_free(a);
    a = open_golden("zip.pth");
    cr_assert_null(tl__archive_meta(a, "format"));
    tl__archive_free(a);
}

Test(io, checkpoints)
{
    tl_archive *expected = open_golden("checkpoint.safetensors"), *a = open_golden("checkpoint.pth");
    cr_assert_eq(a->count, 7);
    check_same(expected, a, "checkpoint");
    int32_t batches = 0;
    const tl_entry *tracked = tl__archive_find(a, "1.num_batches_tracked");
    cr_assert(tracked && tracked->shape.rank == 0 && tl__entry_to_i32(NULL, tracked, &batches) == 0 && batches == 1);
    tl__archive_free(a);
    tl__archive_free(expected);
    a = open_golden("nested.pth");
    cr_assert_eq(a->count, 2);
    cr_assert(tl__archive_find(a, "encoder.weight") && tl__archive_find(a, "encoder.layers.0"));
    tl__archive_free(a);
    a = open_golden("attributes.pth");
    float x[3] = {0};
    cr_assert_eq(tl__entry_to_f32(NULL, tl__archive_find(a, "weight"), x), 0);
    cr_assert(x[0] == 0 && x[1] == 1 && x[2] == 2);
    tl__archive_free(a);
}

Test(io, every_half_and_bfloat16)
{
    static uint16_t bits[65536];
    static float out[65536];
    for (int i = 0; i < 65536; i++) bits[i] = (uint16_t)i;
    tl_entry e = {.name = "x", .dtype = TL_F16, .shape = {1, {65536}}, .data = bits, .bytes = sizeof bits};
    cr_assert_eq(tl__entry_to_f32(NULL, &e, out), 0);
    for (int i = 0; i < 65536; i++) {
        int exponent = i >> 10 & 31, mantissa = i & 1023;
        double x = exponent == 31 ? (mantissa ? NAN : INFINITY) : exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
        if (i & 0x8000) x = -x;
        cr_assert(isnan(x) ? isnan(out[i]) : (double)out[i] == x && !signbit(out[i]) == !signbit(x), "half %04x: %g, not %g", (unsigned)i, out[i], x);
    }
    e.dtype = TL_BF16;
    cr_assert_eq(tl__entry_to_f32(NULL, &e, out), 0);
    for (int i = 0; i < 65536; i++) {
        uint32_t wide = (uint32_t)i << 16;
        cr_assert_eq(memcmp(&wide, &out[i], 4), 0);
    }
}

Test(io, conversions)
{
    tl_archive *a = open_golden("zip.pth");
    tl_error err = {0};
    float f[8];
    int32_t n[8];
    tl__entry_to_f32(&err, tl__archive_find(a, "double"), f);
    cr_assert(f[0] == 0 && f[1] == -2.5f && isinf(f[2]) && f[3] == 0);
    tl__entry_to_f32(&err, tl__archive_find(a, "int64"), f);
    cr_assert(f[0] == -2147483648.0f && f[1] == 0 && f[3] == 5);
    tl__entry_to_f32(&err, tl__archive_find(a, "bool"), f);
    cr_assert(f[0] == 1 && f[1] == 0 && f[2] == 1);
    tl__entry_to_i32(&err, tl__archive_find(a, "int64"), n);
    cr_assert(n[0] == INT32_MIN && n[1] == 0 && n[2] == INT32_MAX && n[3] == 5);
    tl__entry_to_i32(&err, tl__archive_find(a, "int16"), n);
    cr_assert(n[0] == -32768 && n[1] == 32767);
    tl__entry_to_i32(&err, tl__archive_find(a, "int8"), n);
    cr_assert(n[0] == -128 && n[1] == 127 && n[2] == 0);
    tl__entry_to_i32(&err, tl__archive_find(a, "uint8"), n);
    cr_assert(n[0] == 0 && n[1] == 200 && n[2] == 255);
    cr_assert_eq(err.code, TL_OK, "%s", err.text);
    cr_assert_eq(tl__entry_to_i32(&err, tl__archive_find(a, "half"), n), -1);
    check_error(&err, GOLDEN "zip.pth: half", "float16");
    err = (tl_error){0};
    int64_t wide[2] = {3, 1LL << 31};
    tl_entry e = {.name = "wide", .dtype = TL_I64, .shape = {1, {2}}, .data = wide, .bytes = sizeof wide};
    cr_assert_eq(tl__entry_to_i32(&err, &e, n), -1);
    check_error(&err, "wide: element 1 is 2147483648", "32-bit");
    tl__archive_free(a);
}

/* ---- writing ---- */

Test(io, round_trip)
{
    char path[256];
    tl_error err = {0};
    char *folder = temporary_folder();
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    tl_archive *a = open_golden("legacy.pth");
    const char *keys[] = {"tlua", "quo\"te"}, *values[] = {"{\"text\": \"a\\\\b\\n\x01\xc3\xa9\"}", "line\nbreak\t\\"};
    cr_assert_eq(tl__safetensors_write(&err, path, a->entries, a->count, keys, values, 2), 0, "%s", err.text);
    tl_archive *b = tl__archive_read(&err, path);
    cr_assert(b, "%s", err.text);
    check_same(a, b, "round trip");
    for (int i = 0; i < 2; i++) cr_assert_str_eq(tl__archive_meta(b, keys[i]), values[i]);
    for (int i = 0; i < b->count; i++) /* each tensor is aligned to its type */
        cr_assert_eq((uintptr_t)b->entries[i].data % tl__dtype_size(b->entries[i].dtype), 0, "%s", b->entries[i].name);
    /* The same content gives the same bytes, over the file that is open. */
    size_t n1, n2;
    char *first = tl__read_file(&err, path, &n1);
    cr_assert_eq(tl__safetensors_write(&err, path, b->entries, b->count, keys, values, 2), 0);
    char *second = tl__read_file(&err, path, &n2);
    cr_assert(n1 == n2 && memcmp(first, second, n1) == 0);
    uint64_t header;
    memcpy(&header, first, 8);
    cr_assert_eq(header % 8, 0);
    free(first);
    free(second);
    /* Nothing at all is a file too. */
    cr_assert_eq(tl__safetensors_write(&err, path, NULL, 0, NULL, NULL, 0), 0);
    tl_archive *none = tl__archive_read(&err, path);
    cr_assert(none && none->count == 0 && none->meta_count == 0);
    tl__archive_free(none);
    tl__archive_free(a);
    tl__archive_free(b);
    unlink(path);
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
}

Test(io, write_refuses)
{
    char path[256];
    char *folder = temporary_folder();
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    float x[2] = {1, 2};
    tl_entry good = {.name = "x", .shape = {1, {2}}, .data = x, .bytes = sizeof x};
    tl_entry twice[] = {good, good}, one;
    const char *keys[] = {"k", "k"}, *values[] = {"v", "w"};
    tl_error err = {0};
    cr_assert_eq(tl__safetensors_write(&err, path, twice, 2, NULL, NULL, 0), -1);
    check_error(&err, path, "twice");
    err = (tl_error){0};
    cr_assert_eq(tl__safetensors_write(&err, path, &good, 1, keys, values, 2), -1);
    check_error(&err, path, "twice");
    err = (tl_error){0};
    one = good;
    one.bytes = 4;
    cr_assert_eq(tl__safetensors_write(&err, path, &one, 1, NULL, NULL, 0), -1);
    check_error(&err, path, "4 bytes");
    err = (tl_error){0};
    one = good;
    one.name = "\xff";
    cr_assert_eq(tl__safetensors_write(&err, path, &one, 1, NULL, NULL, 0), -1);
    check_error(&err, path, "UTF-8");
    err = (tl_error){0};
    one.name = "__metadata__";
    cr_assert_eq(tl__safetensors_write(&err, path, &one, 1, NULL, NULL, 0), -1);
    check_error(&err, path, "__metadata__");
    err = (tl_error){0};
    cr_assert_eq(tl__safetensors_write(&err, "/nonexistent/x.safetensors", &good, 1, NULL, NULL, 0), -1);
    cr_assert(strstr(err.text, "/nonexistent/x.safetensors"));
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
}

/* A limit on the size of files acts like a full disk, without needing one. */
Test(io, no_room)
{
    char path[256];
    char *folder = temporary_folder();
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
    static float x[50000];
    tl_entry e = {.name = "x", .shape = {1, {50000}}, .data = x, .bytes = sizeof x};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000}), 0);
    tl_error err = {0};
    cr_assert_eq(tl__safetensors_write(&err, path, &e, 1, NULL, NULL, 0), -1);
    cr_assert(err.code == TL_EIO && strstr(err.text, path) && strstr(err.text, "too large"), "%s", err.text);
    cr_assert_eq(rmdir(folder), 0, "something was left behind");
}

/* ---- lies ---- */

/* A safetensors file of this header and `bytes` bytes of data, with the header's true length plus `more`. */
static tl_archive *parse(tl_error *err, const char *header, size_t header_bytes, int64_t more, size_t bytes)
{
    size_t n = 8 + header_bytes + bytes;
    uint8_t *file = calloc(1, n);
    uint64_t length = header_bytes + (uint64_t)more;
    memcpy(file, &length, 8);
    memcpy(file + 8, header, header_bytes);
    tl_archive *a = tl__archive_read_memory(err, "f", NULL, file, n);
    if (a) tl__archive_free(a);
    free(file);
    return a;
}

#define X(shape, begin, end) "\"x\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"
#define Y(shape, begin, end) "\"y\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

Test(io, lying_safetensors)
{
    static const struct { const char *header; int64_t more; size_t bytes; const char *part; } cases[] = {
        {"{" X("2", 0, 8) "}", 1, 8, "UTF-8"},
        {"{" X("2", 0, 8) "}", 9, 8, "claims"},
        {"{" X("2", 0, 8) "}", 200000000, 8, "100 MB"},
        {"{" X("2", 0, 8) "}", -1, 8, "JSON"},
        {"{" X("2", 0, 8) "}", INT64_MIN, 8, "100 MB"},
        {"{" X("2", 0, 8) "}", 0, 7, "cut short"},
        {"{" X("2", 0, 8) "}", 0, 9, "behind the last"},
        {"{" X("3", 0, 8) "}", 0, 8, "needs 12"},
        {"{" X("2", 8, 0) "}", 0, 8, "not a range"},
        {"{" X("2", -8, 0) "}", 0, 8, "not a range"},
        {"{" X("2", 0.5, 8.5) "}", 0, 8, "not a range"},
        {"{" X("2", 0, 1e300) "}", 0, 8, "not a range"},
        {"{" X("2", 0, 8) "," Y("2", 4, 12) "}", 0, 12, "overlaps"},
        {"{" X("2", 0, 8) "," Y("2", 0, 8) "}", 0, 8, "overlaps"},
        {"{" X("2", 0, 8) "," Y("2", 12, 20) "}", 0, 20, "hole"},
        {"{" X("2", 4, 12) "}", 0, 12, "hole"},
        {"{" X("2", 0, 8) "," X("2", 8, 16) "}", 0, 16, "twice"},
        {"{" X("4294967296,4294967296", 0, 0) "}", 0, 0, "impossible"},
        {"{" X("4294967296,0,4294967296", 0, 0) "}", 0, 0, "impossible"},
        {"{" X("-1", 0, 0) "}", 0, 0, "whole numbers"},
        {"{" X("1.5", 0, 0) "}", 0, 0, "whole numbers"},
        {"{" X("\"2\"", 0, 8) "}", 0, 8, "whole numbers"},
        {"{" X("1,1,1,1,1,1,1,1,1", 0, 4) "}", 0, 4, "dimensions"},
        {"{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 0, 1, "F8_E4M3"},
        {"{\"x\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 0, 1, "type"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1]}}", 0, 1, "must have"},
        {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":1}}", 0, 1, "must have"},
        {"{\"x\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1]}}", 0, 1, "must have"},
        {"{\"x\":7}", 0, 0, "must have"},
        {"{\"\\u0000x\":7}", 0, 0, "zero character"},
        {"{\"\xff\":7}", 0, 0, "UTF-8"},
        {"{\"__metadata__\":7}", 0, 0, "not an object"},
        {"{\"__metadata__\":{\"a\":7}}", 0, 0, "not text"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, 0, "twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, 0, "twice"},
        {"{} x", 0, 0, "JSON"},
        {"{", 0, 0, "JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        cr_assert_null(parse(&err, cases[i].header, strlen(cases[i].header), cases[i].more, cases[i].bytes), "%s was read", cases[i].header);
        check_error(&err, "f: ", cases[i].part);
    }
    tl_error err = {0};
    const char good[] = "{" X("2", 8, 16) "," Y("1,2", 0, 8) ",\"z\":{\"dtype\":\"U8\",\"shape\":[0,7],\"data_offsets\":[8,8]}}  ";
    cr_assert(parse(&err, good, sizeof good - 1, 0, 16), "%s", err.text);
    cr_assert(parse(&err, "{}", 2, 0, 0), "%s", err.text);
}

Test(io, foreign_files)
{
    static const struct { const char *bytes; const char *part; } cases[] = {
        {"", "empty"}, {"x", "cut short"}, {"PK\3\4", "cut short"}, {"<!DOCTYPE html><html>", "web page"},
        {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"}, {"just some text here", "neither"},
        {"\x80\x02", "cut short"}, {"\x80\x02.", "damaged"}, {"\x80\x02N.", "not one of torch.save"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        cr_assert_null(tl__archive_read_memory(&err, "f", NULL, cases[i].bytes, strlen(cases[i].bytes)));
        check_error(&err, "f: ", cases[i].part);
    }
    check_refused("no/such/file.pth", "No such file");
    check_refused("tests", "folder");
    check_refused("/dev/null", "regular");
    check_refused(GOLDEN "other.zip", "data.pkl");
}

Test(io, evil_pickles)
{
    check_refused(GOLDEN "evil.pth", "no tensor that can be read: weight is what posix.system makes, not a tensor, and nothing is run for it");
    check_refused(GOLDEN "evil_legacy.pth", "weight is what posix.system makes");
    check_refused(GOLDEN "evil.pkl", "not one of torch.save");
    check_refused(GOLDEN "evil_os.pth", "it holds what os.system makes, not a state dict, and nothing is run for it");
    check_refused(GOLDEN "evil_inst.pth", "it holds what os.system makes");
    check_refused(GOLDEN "tensor.pth", "it holds a tensor, not a state dict");
    check_refused(GOLDEN "complex.pth", "torch.complex64");
    check_refused(GOLDEN "uint16.pth", "torch.uint16");
    cr_assert_neq(access(GOLDEN "WAS_RUN", F_OK), 0, "a pickle was run");
}

/* A legacy file whose object is `object`, ready for storages ["0"] of `numel` elements with `bytes` bytes. */
static tl_archive *legacy(tl_error *err, const char *object, size_t object_bytes, int64_t numel, size_t bytes)
{
    static const char head[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    static const char keys[] = "\x80\x02]X\x01\0\0\0000a.";
    size_t n = sizeof head - 1 + object_bytes + sizeof keys - 1 + 8 + bytes, at = 0;
    uint8_t *file = calloc(1, n);
    memcpy(file, head, sizeof head - 1);
    memcpy(file + (at += sizeof head - 1), object, object_bytes);
    memcpy(file + (at += object_bytes), keys, sizeof keys - 1);
    memcpy(file + (at += sizeof keys - 1), &numel, 8);
    tl_archive *a = tl__archive_read_memory(err, "f", NULL, file, n);
    if (a) tl__archive_free(a);
    free(file);
    return a;
}

/* {"w": a float tensor of `claimed` stored elements at `offset` with this size and stride tuple}. */
#define TENSOR(claimed, offset, size, stride) \
    "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0000X\x03\0\0\0cpu" \
    claimed "tQ" offset size stride "\x89}tRs."
#define BIG "\x8a\x08\0\0\0\0\0\0\0\x40"  /* 2^62 */

Test(io, lying_tensors)
{
    tl_error err = {0};
#define CASE(object, numel, bytes, part) do { \
        const char text[] = object; \
        err = (tl_error){0}; \
        cr_assert_null(legacy(&err, text, sizeof text - 1, numel, bytes), "%s: was read", part); \
        check_error(&err, "f: ", part); \
    } while (0)
    const char good[] = TENSOR("K\x06", "K\0", "K\x02K\x03\x86", "K\x03K\x01\x86");
    cr_assert(legacy(&err, good, sizeof good - 1, 6, 24), "%s", err.text);
    CASE(TENSOR("K\x06", "K\x01", "K\x02K\x03\x86", "K\x03K\x01\x86"), 6, 24, "reaches out");
    CASE(TENSOR("K\x06", "K\0", "K\x02K\x03\x86", "K\x04K\x01\x86"), 6, 24, "reaches out");
    CASE(TENSOR("K\x06", BIG, "K\x02K\x03\x86", "K\x03K\x01\x86"), 6, 24, "reaches out");
    CASE(TENSOR("K\x06", "K\0", "K\x02K\x03\x86", BIG "K\x01\x86"), 6, 24, "reaches out");
    CASE(TENSOR("K\x06", "K\0", BIG "K\x03\x86", "K\x03K\x01\x86"), 6, 24, "impossible");
    CASE(TENSOR("K\x06", "K\0", "J\0\0\0\x40K\x03\x86", "K\0K\x01\x86"), 6, 24, "unfold");
    CASE(TENSOR("K\x06", "K\0", "J\xff\xff\xff\xff\x85", "K\x01\x85"), 6, 24, "impossible size");
    CASE(TENSOR("K\x06", "K\0", "K\x02\x85", "J\xff\xff\xff\xff\x85"), 6, 24, "impossible size");
    CASE(TENSOR("K\x06", "K\0", "K\x02\x85", "K\x01K\x01\x86"), 6, 24, "without storage");
    CASE(TENSOR("K\x06", "K\0", "(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t", "(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t"), 6, 24, "dimensions");
    CASE(TENSOR("K\x07", "K\0", "K\x02\x85", "K\x01\x85"), 6, 24, "7 elements");
    CASE(TENSOR(BIG, "K\0", "K\x02\x85", "K\x01\x85"), 6, 24, "elements");
    CASE(TENSOR("K\x06", "K\0", "K\x02\x85", "K\x01\x85"), 6, 23, "cut short");
    CASE(TENSOR("K\x06", "K\0", "K\x02\x85", "K\x01\x85"), INT64_MAX, 24, "cut short");
    CASE(TENSOR("K\x06", "K\0", "K\x02\x85", "K\x01\x85"), -1, 24, "cut short");
    CASE("\x80\x02}.", 6, 24, "unknown");
#undef CASE
}

/* The same for an object without tensors. */
static tl_archive *legacy_without_storages(tl_error *err, const char *object, size_t object_bytes)
{
    static const char head[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    char *file = malloc(sizeof head + object_bytes + 4);
    memcpy(file, head, sizeof head - 1);
    memcpy(file + sizeof head - 1, object, object_bytes);
    memcpy(file + sizeof head - 1 + object_bytes, "\x80\x02].", 4);
    tl_archive *a = tl__archive_read_memory(err, "f", NULL, file, sizeof head - 1 + object_bytes + 4);
    if (a) tl__archive_free(a);
    free(file);
    return a;
}

Test(io, bombs)
{
    tl_error err = {0};
    const char itself[] = "\x80\x02}q\0X\x01\0\0\0ah\0s.";
    cr_assert_null(legacy_without_storages(&err, itself, sizeof itself - 1));
    check_error(&err, "f: ", "deep");
    /* Fifteen dicts, each holding the one before it sixteen times: 2^60 visits if nobody counts. */
    char object[8192] = "\x80\x02}q\1";
    size_t n = 5;
    for (int level = 1; level < 15; level++) {
        object[n++] = '}';
        for (int i = 0; i < 16; i++) n += (size_t)sprintf(object + n, "U\1%ch%cs", 'a' + i, level);
        object[n++] = 'q';
        object[n++] = (char)(level + 1);
    }
    object[n++] = '.';
    err = (tl_error){0};
    cr_assert_null(legacy_without_storages(&err, object, n));
    check_error(&err, "f: ", "values");
    /* Opcodes that lack what they need, or name a huge length, memo number or mark. */
    static const char *const bad[] = {".", "t", "\x85", "R", "NNR.", ")R", "}(Ku", "]Na.x", "Na", "h\5", "r\xff\xff\xff\xff", "Nr\xff\xff\xff\x7f",
                                      "X\xff\xff\xff\x7f", "\x8b\xff\xff\xff\xff", "cos", "\x93", "KK\x93", "Q", "NQ", "b", "K\1Nb", "(.", "((t", "\x80\x09",
                                      "}(N.", "(q\0", "\x84", "\xff", "]N]Q", "0", "1", "2", "(2\x85", "}K\1s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (tl_error){0};
        cr_assert_null(legacy_without_storages(&err, bad[i], strlen(bad[i])), "%s", bad[i]);
        check_error(&err, "f: ", "");
    }
}

/* ---- damage ---- */

Test(io, cut_at_every_byte)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n;
        char *whole = load(forms[i], &n);
        for (size_t cut = 0; cut < n; cut++) {
            tl_error err = {0};
            char *part = malloc(cut + 1); /* of its own, so that reading past its end is seen */
            char *at = part + 1;
            memcpy(at, whole, cut);
            tl_archive *a = tl__archive_read_memory(&err, "f", NULL, at, cut);
            cr_assert_null(a, "%s cut to %zu bytes was read", forms[i], cut);
            check_error(&err, "f: ", "");
            free(part);
        }
        free(whole);
    }
}

/* Reads all that an archive offers; a wrong pointer shows under a sanitizer or valgrind. */
static void use(const tl_archive *a)
{
    for (int i = 0; i < a->count; i++) {
        const tl_entry *e = &a->entries[i];
        size_t n = (size_t)tl__numel(&e->shape);
        cr_assert_eq(n * tl__dtype_size(e->dtype), e->bytes);
        float *f = malloc((n + 1) * sizeof *f);
        cr_assert_eq(tl__entry_to_f32(NULL, e, f), 0);
        tl__entry_to_i32(NULL, e, (int32_t *)f);
        free(f);
        cr_assert_eq(tl__archive_find(a, e->name), e);
    }
}

Test(io, random_damage)
{
    tl_rng_key key = tl__rng_key(7, TL_RNG_UNIFORM, 0);
    uint64_t draw = 0;
    int read = 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n;
        char *whole = load(forms[i], &n), *copy = malloc(n);
        for (int round = 0; round < 4000; round++) {
            memcpy(copy, whole, n);
            for (uint64_t flips = 1 + tl__rng_below(key, draw++, 4); flips; flips--) {
                uint64_t at = tl__rng_below(key, draw++, n);
                copy[at] = round % 2 ? (char)(copy[at] ^ 1 << tl__rng_below(key, draw++, 8)) : (char)tl__rng_below(key, draw++, 256);
            }
            tl_error err = {0};
            tl_archive *a = tl__archive_read_memory(&err, "f", NULL, copy, n);
            if (a) use(a), read++;
            else check_error(&err, "f: ", "");
            tl__archive_free(a);
        }
        free(copy);
        free(whole);
    }
    cr_assert(read > 0);
}

/* A byte of a tensor in a zip file cannot change unseen: the checksum tells. */
Test(io, zip_checksum)
{
    size_t n;
    char *data = load("zip.pth", &n);
    float three_and_a_half = 3.5f;
    size_t at = 0;
    while (memcmp(data + at, &three_and_a_half, 4) != 0) at++;
    data[at] ^= 1;
    tl_error err = {0};
    cr_assert_null(tl__archive_read_memory(&err, "f", NULL, data, n));
    check_error(&err, "f: ", "checksum");
    free(data);
}
