/* modules.c - files that hold pickled modules instead of state dicts: what module.state_dict() has, by the same names,
 * without the modules' classes. What lies, turns in a circle or never ends is one line, or a name without a tensor. */
#include "io/io.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN "tests/golden/io/module"

static tl_archive *open_part(const char *path, const char *key)
{
    tl_error err = {0};
    tl_archive *a = tl__archive_read_part(&err, path, key);
    cr_assert(a, "%s", err.text);
    return a;
}

static void check_refused(const char *path, const char *key, const char *part)
{
    tl_error err = {0};
    cr_assert_null(tl__archive_read_part(&err, path, key), "%s was read", path);
    cr_assert(strncmp(err.text, path, strlen(path)) == 0 && !strchr(err.text, '\n'), "%s", err.text);
    cr_assert(strstr(err.text, part), "no \"%s\" in: %s", part, err.text);
}

/* The entries of `a` are those of module.state_dict(): names, types, shapes and bits, and nothing is odd. */
static void check_same(const tl_archive *a, const char *path)
{
    tl_archive *expected = open_part(path, NULL);
    cr_assert_eq(a->count, expected->count, "%d tensors, not %d", a->count, expected->count);
    cr_assert_eq(a->odd_count, 0);
    for (int i = 0; i < expected->count; i++) {
        const tl_entry *e = &expected->entries[i], *own = tl__archive_find(a, e->name);
        cr_assert(own, "no %s", e->name);
        cr_assert(own->dtype == e->dtype && tl__shape_equal(&own->shape, &e->shape), "%s", e->name);
        cr_assert_eq(own->bytes, e->bytes, "%s", e->name);
        cr_assert(e->bytes == 0 || memcmp(own->data, e->data, e->bytes) == 0, "%s", e->name);
    }
    tl__archive_free(expected);
}

static const char *const pairs[] = {GOLDEN "_pair.pt", GOLDEN "_pair_legacy.pt"};

Test(modules, names_and_values_of_the_state_dict)
{
    static const char model[] = GOLDEN ".safetensors", ema[] = GOLDEN "_ema.safetensors";
    static const struct { const char *path, *key, *expected; } files[] = {
        {GOLDEN "_2.pt", NULL, model}, {GOLDEN "_3.pt", NULL, model}, {GOLDEN "_4.pt", NULL, model},
        {GOLDEN "_legacy_4.pt", NULL, model}, {GOLDEN "_alone.pt", "model", model}, {GOLDEN "_of_ema.pt", "ema", ema},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *key = files[i].key;
        tl_archive *a = open_part(files[i].path, NULL);
        check_same(a, files[i].expected);
        cr_assert(key ? a->key && strcmp(a->key, key) == 0 : !a->key, "%s: %s", files[i].path, a->key);
        cr_assert_eq(a->other_count, 0);
        tl__archive_free(a);
    }
}

Test(modules, parts_of_a_checkpoint)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tl_archive *a = open_part(pairs[i], NULL);
        check_same(a, GOLDEN ".safetensors");
        cr_assert_str_eq(a->key, "model");
        cr_assert(a->other_count == 1 && strcmp(a->other_keys[0], "ema") == 0);
        tl__archive_free(a);
        a = open_part(pairs[i], "ema");
        check_same(a, GOLDEN "_ema.safetensors");
        cr_assert(a->other_count == 1 && strcmp(a->other_keys[0], "model") == 0);
        tl__archive_free(a);
        a = open_part(pairs[i], "ema.model.0.bn"); /* in a module it is a beginning of names */
        cr_assert(a->count == 5 && tl__archive_find(a, "running_mean"));
        tl__archive_free(a);
        check_refused(pairs[i], "emma", "no part \"emma\" in it; there is model, ema");
        check_refused(pairs[i], "settings", "no part \"settings\" in it");
    }
    tl_archive *a = open_part(GOLDEN "_4.pt", "model.0.conv");
    cr_assert(a->count == 1 && tl__archive_find(a, "weight"));
    tl__archive_free(a);
    a = open_part(GOLDEN "_in_dict.pt", NULL);
    cr_assert(a->count == 2 && !a->key && tl__archive_find(a, "encoder.first.module.weight"));
    tl__archive_free(a);
    a = open_part(GOLDEN "_in_dict.pt", "encoder.first.module");
    cr_assert(a->count == 2 && tl__archive_find(a, "weight"));
    tl__archive_free(a);
}

/* Of many names, and not packed in the file: it is copied out of it once. */
Test(modules, a_shared_part_has_the_same_memory)
{
    static const char *const names[] = {"0.conv.weight", "0.bn.running_var", "1.bias"};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tl_archive *a = open_part(pairs[i], NULL);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            char one[80], two[80];
            snprintf(one, sizeof one, "model.1.cv2.1.%s", names[k]);
            snprintf(two, sizeof two, "model.1.again.%s", names[k]);
            const tl_entry *x = tl__archive_find(a, one), *y = tl__archive_find(a, two);
            cr_assert(x && y && x->data == y->data, "%s", one);
        }
        tl__archive_free(a);
    }
}

Test(modules, names_of_classes)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        tl_archive *a = open_part(pairs[i], NULL);
        cr_assert_eq(a->label_count, 3);
        cr_assert_str_eq(a->labels[0], "cat");
        cr_assert_str_eq(a->labels[1], "d\xc3\xa9j\xc3\xa0 vu");
        cr_assert_str_eq(a->labels[2], "stop sign");
        tl__archive_free(a);
    }
    tl_archive *a = open_part(GOLDEN ".pth", NULL);
    cr_assert(a->count == 2 && a->label_count == 0);
    tl__archive_free(a);
}

Test(modules, odd_ones_do_not_matter_to_others)
{
    static const struct { const char *name, *why; } odd[] = {
        {"lies", "is a damaged module: its _modules is a list"}, {"turns.back", "is a module that it stands in itself"},
        {"thing", "is what somewhere.nn.tasks.Namespace makes"}, {"number", "stands for a module and is an int"},
        {"text", "is a text, not a tensor"},
    };
    tl_archive *a = open_part(GOLDEN "_odd.pt", NULL);
    cr_assert_eq(a->count, 3);
    float x[2];
    cr_assert_eq(tl__entry_to_f32(NULL, tl__archive_find(a, "good.weight"), x), 0);
    cr_assert(x[0] == 1 && x[1] == 2 && tl__archive_find(a, "good.bias") && tl__archive_find(a, "turns.weight"));
    cr_assert_eq(a->odd_count, (int)(sizeof odd / sizeof *odd));
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        const char *why = tl__archive_odd(a, odd[k].name);
        cr_assert(why && strstr(why, odd[k].why), "%s: %s", odd[k].name, why ? why : "nothing");
    }
    tl__archive_free(a);
    check_refused(GOLDEN "_lies.pt", NULL,
                  "it is a damaged module: its _modules is a list; save with torch.save(model.state_dict(), ...)");
    check_refused(GOLDEN "_cut.pt", NULL, "the storage data/1 is missing; fetch the file again");
}

/* ---- pickles made here ---- */

typedef struct text { char *at; size_t n, room; } text;

static void add(text *t, const char *bytes, size_t n)
{
    if (t->n + n > t->room) {
        t->room = 2 * (t->n + n);
        t->at = realloc(t->at, t->room);
        cr_assert(t->at);
    }
    memcpy(t->at + t->n, bytes, n);
    t->n += n;
}
#define ADD(t, literal) add(t, literal, sizeof(literal) - 1)

#define KEY(n, key) "X" n "\0\0\0" key
#define PARAMETERS KEY("\x0b", "_parameters")
#define BUFFERS KEY("\x08", "_buffers")
#define MODULES KEY("\x08", "_modules")
#define STORAGE "(" KEY("\x07", "storage") "ctorch\nFloatStorage\n" KEY("\x01", "0") KEY("\x03", "cpu") "K\x02tQ"
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE "K\0K\x02\x85K\x01\x85\x89}tR"
/* The attributes of a module with the parameter w and, at the place of the two parts, children. */
#define BEFORE "}(" PARAMETERS "}" KEY("\x01", "w") TENSOR "s" BUFFERS "}" MODULES "}"
#define MODULE(children) BEFORE children "u"

/* What becomes of a legacy file of the object in `t`, which is freed, with the storage 1, 2 where there is a tensor.
 * The error, or the archive without values. */
static tl_archive *read_object(tl_error *err, text *t, const char *key)
{
    static const float numbers[] = {1, 2};
    text file = {.n = 0};
    int with = 0;
    for (size_t i = 0; i + 7 < t->n && !with; i++) with = memcmp(t->at + i, "storage", 7) == 0;
    ADD(&file, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.");
    add(&file, t->at, t->n);
    if (with) ADD(&file, "\x80\x02]" KEY("\x01", "0") "a.\x02\0\0\0\0\0\0\0");
    else ADD(&file, "\x80\x02].");
    add(&file, (const char *)numbers, with ? sizeof numbers : 0);
    tl_archive *a = tl__archive_read_memory(err, "f", key, file.at, file.n);
    for (int i = 0; a && i < a->count; i++) {
        float x[2] = {0};
        cr_assert(a->entries[i].bytes == sizeof x && tl__entry_to_f32(NULL, &a->entries[i], x) == 0 && x[1] == 2);
        a->entries[i].data = NULL;
    }
    free(file.at);
    free(t->at);
    *t = (text){0};
    if (!a) cr_assert(strncmp(err->text, "f: ", 3) == 0 && !strchr(err->text, '\n'), "%s", err->text);
    return a;
}

/* All opcodes that make an object, and both forms of its state. */
Test(modules, ways_to_make_one)
{
#define WAY(bytes) {bytes, sizeof(bytes) - 1}
    static const struct { const char *bytes; size_t n; } ways[] = {
        WAY("cm\nC\n)\x81" MODULE("") "b."), WAY("cm\nC\n)}\x92" MODULE("") "b."), /* NEWOBJ, NEWOBJ_EX */
        WAY("cm\nC\n)R" MODULE("") "b."), WAY("(im\nC\n" MODULE("") "b."), /* REDUCE, INST */
        WAY("(cm\nC\no" MODULE("") "b."), /* OBJ */
        WAY(KEY("\1", "m") KEY("\1", "C") "\x93)\x81" MODULE("") "b."), /* STACK_GLOBAL */
        WAY("ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR" MODULE("") "b."),
        WAY("ccopyreg\n_reconstructor\n(cm\nC\ncbuiltins\nobject\nNtR" MODULE("") "b."),
        /* a class with its source, of the legacy form */
        WAY("(" KEY("\6", "module") "cm\nC\n" KEY("\1", "f") KEY("\1", "s") "tQ)\x81" MODULE("") "b."),
        WAY("cm\nC\n)\x81" MODULE("") "}\x86" "b."), /* with __slots__ */
    };
#undef WAY
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        text t = {.n = 0};
        tl_error err = {0};
        add(&t, ways[i].bytes, ways[i].n);
        tl_archive *a = read_object(&err, &t, NULL);
        cr_assert(a && a->count == 1 && a->odd_count == 0 && tl__archive_find(a, "w"), "%zu: %s", i, err.text);
        tl__archive_free(a);
    }
}

/* Which attributes make a module, and what stands in the place of one of them. */
Test(modules, states_that_are_none)
{
#define STATE(bytes, why) {bytes, sizeof(bytes) - 1, why}
    static const struct { const char *bytes; size_t n; const char *why; } states[] = {
        STATE("cm\nC\n)\x81.", "it holds what m.C makes, not a state dict"),
        STATE("cm\nC\n)\x81}b.", "it holds what m.C makes"), STATE("cm\nC\n)\x81Nb.", "it holds what m.C makes"),
        STATE("cm\nC\n)\x81N}\x86" "b.", "it holds what m.C makes"),
        STATE("ccopy_reg\n_reconstructor\n(cm\nC\nNNtR.", "it holds what m.C makes"),
        STATE("ccopyreg\n_reconstructor\n(cm\nC\nNNtR.", "it holds what m.C makes"),
        STATE("ccopyreg\n_reconstructor\n)R.", "it holds what copyreg._reconstructor makes"),
        STATE("cm\nC\n)\x81}(" PARAMETERS "}" MODULES "}ub.", "it holds what m.C makes"), /* no _buffers */
        STATE("cm\nC\n" MODULE("") "b)\x81.", "it holds what m.C makes"), /* attributes of the class */
        STATE("cm\nC\n)\x81}(" PARAMETERS "N" BUFFERS "}" MODULES "}ub.", "damaged module: its _parameters is None"),
        STATE("cm\nC\n)\x81}(" PARAMETERS "}" BUFFERS "K\1" MODULES "}ub.", "damaged module: its _buffers is an int"),
        STATE("cm\nC\n)\x81" BEFORE KEY("\x1b", "_non_persistent_buffers_set") "}ub.", "_buffers_set is a dict"),
        STATE("cm\nC\n)\x81" MODULE("") "b\x85.", "it holds a tuple, not a state dict"),
    };
#undef STATE
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        text t = {.n = 0};
        tl_error err = {0};
        add(&t, states[i].bytes, states[i].n);
        cr_assert_null(read_object(&err, &t, NULL), "state %zu was read", i);
        cr_assert(strstr(err.text, states[i].why), "%zu: %s", i, err.text);
    }
}

/* What may stand under `names` without being names of the classes. */
Test(modules, names_that_are_none)
{
#define NAMES(bytes, count) {bytes, sizeof(bytes) - 1, count}
    static const struct { const char *bytes; size_t n; int count; } names[] = {
        NAMES("}(K\0" KEY("\1", "a") "K\1" KEY("\1", "b") "u", 2),
        NAMES("](" KEY("\1", "a") KEY("\1", "b") KEY("\1", "c") "e", 3),
        NAMES("}(K\1" KEY("\1", "a") "K\0" KEY("\1", "b") "u", 0), NAMES("}K\1" KEY("\1", "a") "s", 0),
        NAMES("}" KEY("\1", "0") KEY("\1", "a") "s", 0),
        NAMES("}K\0K\1s", 0), NAMES("](" KEY("\1", "a") "Ne", 0), NAMES("N", 0), NAMES(KEY("\1", "a"), 0), NAMES("]", 0),
        NAMES("]" KEY("\1", "\xff") "a", 0), NAMES("]" KEY("\2", "a\0") "a", 0),
    };
#undef NAMES
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        text t = {.n = 0};
        tl_error err = {0};
        ADD(&t, "cm\nC\n)\x81" BEFORE KEY("\x05", "names"));
        add(&t, names[i].bytes, names[i].n);
        ADD(&t, "ub.");
        tl_archive *a = read_object(&err, &t, NULL);
        cr_assert(a && a->count == 1, "%zu: %s", i, err.text);
        cr_assert_eq(a->label_count, names[i].count, "%zu: %d", i, a->label_count);
        if (a->label_count) cr_assert_str_eq(a->labels[1], "b");
        tl__archive_free(a);
    }
}

/* Adds modules that stand in one another, `depth` deep, the innermost one with w; they are called a. */
static void add_nested(text *t, int depth)
{
    ADD(t, "cm\nC\nq\x01" "0" PARAMETERS "q\x02" "0" BUFFERS "q\x03" "0");
    ADD(t, MODULES "q\x04" "0" KEY("\x01", "a") "q\x05" "0");
    for (int i = 1; i < depth; i++) ADD(t, "h\x01)\x81}(h\x02}h\x03}h\x04}h\x05");
    ADD(t, "cm\nC\n)\x81" MODULE("") "b");
    for (int i = 1; i < depth; i++) ADD(t, "sub");
}

Test(modules, depth)
{
    static const int depths[] = {1, 2, 64, 65, 1000000};
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        for (int under = 0; under < 2; under++) {
            text t = {.n = 0};
            tl_error err = {0};
            if (under) ADD(&t, "}" KEY("\x05", "model"));
            add_nested(&t, depths[i]);
            if (under) ADD(&t, "s");
            ADD(&t, ".");
            tl_archive *a = read_object(&err, &t, NULL);
            if (depths[i] <= 64) {
                cr_assert(a && a->count == 1, "%s", err.text);
                cr_assert_eq(strlen(a->entries[0].name), (size_t)(2 * depths[i] - 1));
                cr_assert(!under == !a->key);
            } else {
                cr_assert(!a && strstr(err.text, "stand in modules more than 64 deep"), "%d: %s", depths[i], err.text);
            }
            tl__archive_free(a);
        }
    }
}

/* Sixty modules, each of which has the one before twice: 2^60 names. */
Test(modules, more_names_than_there_is_room_for)
{
    for (int with = 0; with < 2; with++) {
        text t = {.n = 0};
        tl_error err = {0};
        ADD(&t, "}" KEY("\x05", "model"));
        if (with) ADD(&t, "cm\nC\n)\x81" MODULE("") "bq\x09");
        else ADD(&t, "cm\nC\n)\x81}(" PARAMETERS "}" BUFFERS "}" MODULES "}ubq\x09");
        for (int i = 0; i < 59; i++)
            ADD(&t, "0cm\nC\n)\x81}(" PARAMETERS "}" BUFFERS "}" MODULES "}(" KEY("\x01", "a") "h\x09"
                KEY("\x01", "b") "h\x09uubq\x09");
        ADD(&t, "s.");
        cr_assert_null(read_object(&err, &t, NULL));
        cr_assert(strstr(err.text, "which no state dict"), "%s", err.text);
    }
}

/* A module that is its own child in every way: itself, its attributes, its dict of children, and an attribute that is
 * not looked at. */
Test(modules, circles)
{
    text t = {.n = 0};
    tl_error err = {0};
    ADD(&t, "cm\nC\n)\x81q\x01}q\x02(" KEY("\x02", "me") "h\x01" PARAMETERS "}" KEY("\x01", "w") TENSOR "s");
    ADD(&t, BUFFERS "}" MODULES "}q\x03(" KEY("\x01", "a") "h\x01" KEY("\x01", "b") "h\x02");
    ADD(&t, KEY("\x01", "c") "h\x03uub.");
    tl_archive *a = read_object(&err, &t, NULL);
    cr_assert(a && a->count == 1 && a->odd_count == 3, "%s", err.text);
    cr_assert(strstr(tl__archive_odd(a, "a"), "stands in itself"));
    cr_assert(strstr(tl__archive_odd(a, "b"), "stands for a module and is a dict"));
    cr_assert(strstr(tl__archive_odd(a, "c"), "stands for a module and is a dict"));
    tl__archive_free(a);
    /* Its parameters are its state, in which they stand. */
    ADD(&t, "cm\nC\n)\x81q\x01}q\x02(" PARAMETERS "h\x02" BUFFERS "h\x02" MODULES "h\x02ub.");
    cr_assert_null(read_object(&err, &t, NULL));
    cr_assert(strstr(err.text, "no tensor that can be read: _parameters is a dict, not a tensor"), "%s", err.text);
}

/* A name twice, a name that is no text, and a part that no key reaches. */
Test(modules, names_that_clash)
{
    text t = {.n = 0};
    tl_error err = {0};
    ADD(&t, "cm\nC\n)\x81}(" PARAMETERS "}(" KEY("\x01", "w") TENSOR KEY("\x01", "w") TENSOR "NNu");
    ADD(&t, BUFFERS "}" MODULES "}ub.");
    cr_assert_null(read_object(&err, &t, NULL));
    cr_assert(strstr(err.text, "the tensor w is there twice"), "%s", err.text);
    err = (tl_error){0};
    ADD(&t, "cm\nC\n)\x81" MODULE("") "b.");
    cr_assert_null(read_object(&err, &t, "w"));
    cr_assert(strstr(err.text, "there is no part \"w\" in it; there is w"), "%s", err.text);
}

/* No memory, at each place where some is asked for, is an error of its own and no crash. */
Test(modules, without_memory)
{
    long asked = 0;
    for (int done = 0; !done;) {
        tl_error err = {0};
        tl__inject_failure(++asked);
        tl_archive *a = tl__archive_read_part(&err, pairs[1], "ema");
        done = tl__inject_failure(0) < asked;
        cr_assert(done ? a != NULL : !a && err.code == TL_EMEMORY, "%ld: %s", asked, err.text);
        tl__archive_free(a);
    }
    cr_assert_gt(asked, 50);
}
