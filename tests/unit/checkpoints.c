/* checkpoints.c - files of weights as people write them: parts under many keys, objects of Python beside the weights, single
 * tensors that tlua does not read. What is wanted is read, what is not wanted does not matter, and nothing is ever run. */
#include "io/io.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/io/"

static void check_error(const tl_error *err, const char *path, const char *part)
{
    cr_assert_neq(err->code, TL_OK, "no error, where \"%s\" was due", part);
    cr_assert(strncmp(err->text, path, strlen(path)) == 0, "no path in: %s", err->text);
    cr_assert(!strchr(err->text, '\n'), "two lines: %s", err->text);
    cr_assert(strstr(err->text, part), "no \"%s\" in: %s", part, err->text);
}

static tl_archive *open_part(const char *path, const char *key)
{
    tl_error err = {0};
    tl_archive *a = tl__archive_read_part(&err, path, key);
    cr_assert(a, "%s", err.text);
    return a;
}

/* Element `i` of the tensor. */
static float value(const tl_archive *a, const char *name, int i)
{
    float x[16];
    const tl_entry *e = tl__archive_find(a, name);
    cr_assert(e, "no %s", name);
    cr_assert(tl__numel(&e->shape) <= 16 && i < tl__numel(&e->shape));
    cr_assert_eq(tl__entry_to_f32(NULL, e, x), 0);
    return x[i];
}

/* ---- parts, and objects beside them ---- */

Test(checkpoints, objects_beside_the_weights)
{
    static const char *const files[] = {GOLDEN "people.pth", GOLDEN "people_legacy.pth"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tl_archive *a = open_part(files[i], NULL);
        cr_assert_eq(a->count, 1);
        cr_assert_eq(value(a, "w", 2), 2);
        cr_assert_str_eq(a->key, "model_state");
        cr_assert(a->other_count == 1 && strcmp(a->other_keys[0], "ema") == 0, "%d others", a->other_count);
        tl__archive_free(a);
        a = open_part(files[i], "ema");
        cr_assert_eq(a->count, 1);
        cr_assert_eq(value(a, "w", 2), 2.5f);
        cr_assert_str_eq(a->key, "ema");
        cr_assert(a->other_count == 1 && strcmp(a->other_keys[0], "model_state") == 0);
        tl__archive_free(a);
        a = open_part(files[i], "optimizer.state");
        cr_assert_eq(value(a, "0.exp_avg", 1), 0);
        tl__archive_free(a);
        a = open_part(files[i], "optimizer.state.0"); /* below the dicts with texts as keys it is a beginning of names */
        cr_assert_eq(value(a, "exp_avg", 1), 0);
        tl__archive_free(a);
        tl_error err = {0};
        cr_assert_null(tl__archive_read_part(&err, files[i], "emma"));
        check_error(&err, files[i], "no part \"emma\" in it; there is model_state, ema");
    }
    tl_archive *a = open_part(GOLDEN "defaultdict.pth", NULL);
    cr_assert_eq(value(a, "w", 1), 1);
    tl__archive_free(a);
}

/* In safetensors, and in state dicts, a part is what has the beginning of a name in common. */
Test(checkpoints, part_by_names)
{
    tl_archive *a = open_part(GOLDEN "checkpoint.safetensors", "0");
    cr_assert_eq(a->count, 2);
    cr_assert(tl__archive_find(a, "weight") && tl__archive_find(a, "bias"));
    cr_assert_str_eq(a->key, "0");
    tl__archive_free(a);
    a = open_part(GOLDEN "checkpoint.pth", "state_dict.1");
    cr_assert_eq(a->count, 5);
    cr_assert(tl__archive_find(a, "running_mean"));
    tl__archive_free(a);
    a = open_part(GOLDEN "checkpoint.pth", "1"); /* of the usual part */
    cr_assert_eq(a->count, 5);
    tl__archive_free(a);
    a = open_part(GOLDEN "nested.pth", "encoder.layers");
    cr_assert_eq(a->count, 1);
    cr_assert(tl__archive_find(a, "0"));
    tl__archive_free(a);
    tl_error err = {0};
    cr_assert_null(tl__archive_read_part(&err, GOLDEN "checkpoint.safetensors", "2"));
    check_error(&err, GOLDEN "checkpoint.safetensors", "no part \"2\" in it; there is 1, 0");
}

/* ---- pickles made here ---- */

typedef struct text { char at[4096]; size_t n; } text;

static void add(text *t, const char *bytes, size_t n)
{
    cr_assert(t->n + n <= sizeof t->at);
    memcpy(t->at + t->n, bytes, n);
    t->n += n;
}
#define ADD(t, literal) add(t, literal, sizeof(literal) - 1)

static void add_key(text *t, const char *key)
{
    char head[2] = {(char)0x8c, (char)strlen(key)};
    add(t, head, 2);
    add(t, key, strlen(key));
}

/* {"w": two floats of storage 0, the first of them `first`} */
static void add_dict(text *t, int first)
{
    char offset[2] = {'K', (char)first};
    ADD(t, "}");
    add_key(t, "w");
    ADD(t, "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0000X\x03\0\0\0cpuK\x04tQ");
    add(t, offset, 2);
    ADD(t, "K\x02\x85K\x01\x85\x89}tRs");
}

/* A legacy file of the object, with the storage 0, 1, 2, 3. */
static tl_archive *read_object(tl_error *err, const text *object, const char *key)
{
    static const float numbers[] = {0, 1, 2, 3};
    text *t = calloc(1, sizeof *t);
    ADD(t, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.");
    add(t, object->at, object->n);
    ADD(t, "\x80\x02]X\x01\0\0\0000a.\x04\0\0\0\0\0\0\0");
    add(t, (const char *)numbers, sizeof numbers);
    tl_archive *a = tl__archive_read_memory(err, "f", key, t->at, t->n);
    /* Packed float32 may point into the text, which goes away: the numbers are asked for before. */
    for (int i = 0; a && i < a->count; i++) cr_assert_eq(tl__entry_to_f32(NULL, &a->entries[i], (float[2]){0}), 0);
    if (a && a->count == 1) {
        static float first[2];
        tl__entry_to_f32(NULL, &a->entries[0], first);
        a->entries[0].data = first;
    }
    free(t);
    return a;
}

Test(checkpoints, usual_keys)
{
    /* The usual key is taken although a running average stands before it. */
    static const char *const keys[] = {"state_dict", "model_state_dict", "model", "model_state", "net", "network", "weights", "params", "module",
                                       "net_state_dict", "state_dict_ema", "model_ema", "ema_state_dict"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        text t = {.n = 0};
        tl_error err = {0};
        ADD(&t, "\x80\x02}");
        add_key(&t, "ema");
        add_dict(&t, 0);
        ADD(&t, "s");
        add_key(&t, keys[i]);
        add_dict(&t, 2);
        ADD(&t, "s");
        add_key(&t, "optimizer");
        add_dict(&t, 1);
        ADD(&t, "s.");
        tl_archive *a = read_object(&err, &t, NULL);
        cr_assert(a && a->count == 1, "%s: %s", keys[i], err.text);
        cr_assert_str_eq(a->key, keys[i]);
        cr_assert_eq(value(a, "w", 0), 2);
        cr_assert(a->other_count == 1 && strcmp(a->other_keys[0], "ema") == 0);
        tl__archive_free(a);
        a = read_object(&err, &t, "ema");
        cr_assert(a && value(a, "w", 0) == 0, "%s", err.text);
        tl__archive_free(a);
    }
}

/* "net" is also what people call a module: beside another dict of tensors both are parts of one state dict. */
Test(checkpoints, a_module_called_net)
{
    text t = {.n = 0};
    tl_error err = {0};
    ADD(&t, "\x80\x02}");
    add_key(&t, "net");
    add_dict(&t, 2);
    ADD(&t, "s");
    add_key(&t, "head");
    add_dict(&t, 1);
    ADD(&t, "s.");
    tl_archive *a = read_object(&err, &t, NULL);
    cr_assert(a && a->count == 2 && !a->key, "%s", err.text);
    cr_assert(tl__archive_find(a, "net.w") && tl__archive_find(a, "head.w"));
    tl__archive_free(a);
}

/* Every way to call something gives an opaque value, and what is put into that is lost in it. */
Test(checkpoints, opaque_values)
{
#define OBJECT(bytes) {bytes, sizeof(bytes) - 1}
    static const struct { const char *bytes; size_t n; } objects[] = {
        OBJECT("cposix\nsystem\n\x8c\4true\x85R"), /* REDUCE */
        OBJECT("cposix\nsystem\n"), OBJECT("cargparse\nNamespace\n)\x81}\x8c\1aK\1sb"), /* NEWOBJ, BUILD */
        OBJECT("cm\nC\n)}\x92"), OBJECT("(\x8c\4trueiposix\nsystem\n"), OBJECT("(cposix\nsystem\n\x8c\4trueo"), /* NEWOBJ_EX, INST, OBJ */
        OBJECT("cm\nC\n)R(K\1K\2e"), OBJECT("cm\nC\n)R(K\1K\2u"), OBJECT("cm\nC\n)RK\1a"), OBJECT("cm\nC\n)RK\1K\2s"), /* items */
        OBJECT("\x8c\5numpy\x8c\6scalar\x93)R)R"), OBJECT("\x82\1"), OBJECT("\x83\1\2"), OBJECT("\x84\1\2\3\4"), /* STACK_GLOBAL, EXT */
        OBJECT("I7\n"), OBJECT("I01\n"), OBJECT("I-12\n"), OBJECT("L99999999999999999999999L\n"), OBJECT("F1.5\n"), /* protocol 0 */
        OBJECT("S'text'\np7\n0g7\n"), OBJECT("Vtext\n"), OBJECT("S'a\\'b'\n"), OBJECT("K\1Q"), OBJECT("(lp1\n"),
        OBJECT("ccollections\nOrderedDict\nK\1\x85R"), OBJECT("ctorch\nSize\nK\1\x85R"), OBJECT("ctorch\nFloatStorage\n)R"),
        OBJECT("ctorch._tensor\n_rebuild_from_type_v2\n(cm\nf\ncm\nC\n)}tR"),
    };
#undef OBJECT
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        text t = {.n = 0};
        tl_error err = {0};
        ADD(&t, "\x80\x02}");
        add_key(&t, "args");
        add(&t, objects[i].bytes, objects[i].n);
        ADD(&t, "s");
        add_key(&t, "model");
        add_dict(&t, 2);
        ADD(&t, "s.");
        tl_archive *a = read_object(&err, &t, NULL);
        cr_assert(a && a->count == 1 && a->odd_count == 0, "object %zu: %s", i, err.text);
        cr_assert_eq(value(a, "w", 1), 3);
        tl__archive_free(a);
    }
}

/* ---- odd tensors ---- */

Test(checkpoints, odd_tensors_do_not_matter_to_others)
{
    static const char *const files[] = {GOLDEN "odd.pth", GOLDEN "odd_legacy.pth"};
    static const struct { const char *name, *why; } odd[] = {
        {"rank9", "has 9 dimensions, and tlua has at most 8"}, {"sparse", "is sparse"}, {"quantised", "is quantised"}, {"quantised_wide", "is quantised"},
        {"complex", "has the type torch.complex64"}, {"conjugate", "torch.complex128"}, {"uint16", "has the type torch.uint16"},
        {"array", "is what numpy"}, {"_extra_state", "is what __main__.Note makes"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        tl_archive *a = open_part(files[i], NULL);
        cr_assert_eq(a->count, 2);
        cr_assert_eq(value(a, "first", 1), 1);
        cr_assert_eq(value(a, "last", 2), 2);
        cr_assert_eq(a->odd_count, (int)(sizeof odd / sizeof *odd));
        for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
            const char *why = tl__archive_odd(a, odd[k].name);
            cr_assert(why && strstr(why, odd[k].why), "%s: %s", odd[k].name, why ? why : "nothing");
            cr_assert_null(tl__archive_find(a, odd[k].name));
        }
        cr_assert_null(tl__archive_odd(a, "last"));
        tl__archive_free(a);
        tl_error err = {0}; /* a part of nothing else is refused, with the reason */
        cr_assert_null(tl__archive_read_part(&err, files[i], "nothing"));
        check_error(&err, files[i], "no part \"nothing\"");
    }
}

/* A safetensors file of this header, padded in front by `skip` bytes of data behind it. */
static tl_archive *parse(tl_error *err, const char *header, size_t bytes)
{
    size_t n = strlen(header);
    uint8_t *file = calloc(1, 8 + n + bytes);
    uint64_t length = n;
    memcpy(file, &length, 8);
    memcpy(file + 8, header, n);
    tl_archive *a = tl__archive_read_memory(err, "f", NULL, file, 8 + n + bytes);
    for (int i = 0; a && i < a->count; i++) a->entries[i].data = NULL;
    free(file);
    return a;
}

Test(checkpoints, odd_safetensors)
{
    tl_error err = {0};
    tl_archive *a = parse(&err, "{\"__metadata__\":null,\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,3]},"
                                "\"b\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[3,7]},"
                                "\"c\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[7,11]},\"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[11,12]}}", 12);
    cr_assert(a, "%s", err.text);
    cr_assert(a->count == 1 && strcmp(a->entries[0].name, "d") == 0 && a->meta_count == 0);
    cr_assert(strstr(tl__archive_odd(a, "a"), "has the type F8_E4M3"));
    cr_assert(strstr(tl__archive_odd(a, "b"), "has 9 dimensions, and tlua has at most 8"));
    cr_assert(strstr(tl__archive_odd(a, "c"), "has the type U16"));
    tl__archive_free(a);
    /* They take part in the cover, and their ranges must be true. */
    cr_assert_null(parse(&err, "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,3]},\"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}", 3));
    check_error(&err, "f: ", "overlaps");
    err = (tl_error){0};
    cr_assert_null(parse(&err, "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[0,4]},\"d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 3));
    check_error(&err, "f: ", "cut short");
}

/* The length of the header is the first byte of the file, and may be any: '<' of a page, 0x80 of a pickle, PK of a zip file. */
Test(checkpoints, header_of_any_length)
{
    static char header[70000];
    static const char start[] = "{\"d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}";
    static const size_t lengths[] = {0x3c, 0x80, 0x13c, 0x280, 0x380, 0x480, 0x580, 0x4b50, 0x10280, 0x10480};
    size_t n = strlen(start);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(header, start, n);
        memset(header + n, ' ', lengths[i] - n - 1);
        header[lengths[i] - 1] = '}';
        header[lengths[i]] = 0;
        tl_error err = {0};
        tl_archive *a = parse(&err, header, 1);
        cr_assert(a && a->count == 1, "%zx: %s", lengths[i], err.text);
        tl__archive_free(a);
        cr_assert_null(parse(&err, header, 0)); /* cut, it is still told what it is */
        check_error(&err, "f: ", "cut short");
    }
}
