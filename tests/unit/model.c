/* model.c - models of several inputs and outputs, of other tasks than labels, and of format 1, through the public
 * header. */
#include "plain_device.h"
#include "base/base.h"
#include "tlua.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_device(tl_device *d)
{
    cr_expect_eq(live(d), 0, "%zu bytes are still in use", live(d));
    tl_device_release(d);
}

/* A file with one tensor "w" (2, 3) = 1..6, this plan and this description. The caller frees it. */
static char *file_of(const char *plan, const char *description, const char *pipeline, size_t *bytes)
{
    const float w[6] = {1, 2, 3, 4, 5, 6};
    char *file = calloc(1, 8192), quoted[2][3000] = {{0}};
    const char *texts[] = {plan, description};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0, n = 0; texts[k] && texts[k][i]; i++) {
            if (texts[k][i] == '"') quoted[k][n++] = '\\';
            quoted[k][n++] = texts[k][i];
        }
    int n = snprintf(
        file + 8, 8000,
        "{\"__metadata__\":{\"tlua.plan\":\"%s\"%s%s%s%s%s%s},\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        quoted[0], description ? ",\"tlua\":\"" : "", quoted[1], description ? "\"" : "",
        pipeline ? ",\"tlua.pipeline\":\"" : "", pipeline ? pipeline : "", pipeline ? "\"" : "");
    uint64_t length = (uint64_t)n;
    memcpy(file, &length, 8);
    memcpy(file + 8 + n, w, sizeof w);
    *bytes = 8 + (size_t)n + sizeof w;
    return file;
}

static tl_model *load(tl_scope *s, const char *plan, const char *description)
{
    size_t bytes;
    char *file = file_of(plan, description, NULL, &bytes);
    tl_model *m = tl_model_load_memory(s, "made", file, bytes);
    free(file);
    return m;
}

/* Two rows of numbers and, for each, which row of a table: their sum through w, and the sum itself. */
static const char two[] = "{\"format\":2,\"symbols\":{\"N\":3},\"inputs\":[{\"name\":\"x\",\"dtype\":\"float32\",\"shape\":[\"N\",3]},{\"name\":\"which\",\"dtype\":\"int32\",\"shape\":[\"N\"]}],"
                          "\"outputs\":[{\"name\":\"scores\",\"value\":4,\"dtype\":\"float32\",\"shape\":[\"N\",2]},{\"name\":\"sum\",\"value\":3,\"dtype\":\"float32\",\"shape\":[\"N\",3]},"
                          "{\"name\":\"flat\",\"value\":5,\"dtype\":\"float32\",\"shape\":[\"N\",null]}],"
                          "\"calls\":[[\"embedding\",[\"w\",1]],[\"add\",[0,2]],[\"linear\",[3,\"w\",null,null]],[\"reshape\",[4],{\"shape\":[{\"N\":1},-1]}]]}";

Test(model, several_inputs_and_outputs_by_name)
{
    tl_device *d = open_device();
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = load(s, two, "{\"task\":{\"name\":\"regress\",\"names\":[\"a\",\"b\"]}}");
    cr_assert(m, "%s", tl_scope_error(s)->text);
    const tl_model_tensor *in, *out;
    cr_expect_eq(tl_model_inputs(m, &in), 2);
    cr_expect_eq(tl_model_outputs(m, &out), 3);
    cr_expect_str_eq(in[1].name, "which");
    cr_expect(in[1].dtype == TL_I32 && in[1].rank == 1 && in[1].dim[0] == -1);
    cr_expect(in[0].dtype == TL_F32 && in[0].rank == 2 && in[0].dim[0] == -1 && in[0].dim[1] == 3);
    cr_expect(strcmp(out[2].name, "flat") == 0 && out[2].dim[1] == -1);
    cr_expect_str_eq(tl_model_task(m), "regress");
    cr_expect(tl_model_classes(m) == 2 && strcmp(tl_model_class(m, 1), "b") == 0 && !tl_model_class(m, 2));
    for (int n = 1; n <= 2; n++) {
        const float x[6] = {1, 0, 0, 0, 1, 0};
        const int32_t which[2] = {1, 0};
        tl_named given[] = {{"which", tl_from(s, TL_I32, 1, (int64_t[]){n}, which)},
                            {"x", tl_from(s, TL_F32, 2, (int64_t[]){n, 3}, x)}};
        tl_named wanted[] = {{"sum", NULL}, {"scores", NULL}};
        float sum[6], scores[4];
        cr_assert_eq(tl_model_run(s, m, given, 2, wanted, 2), 0, "%s", tl_scope_error(s)->text);
        cr_assert_eq(tl_read(s, wanted[0].tensor, sum, (size_t)n * 12), 0, "%s", tl_scope_error(s)->text);
        cr_assert_eq(tl_read(s, wanted[1].tensor, scores, (size_t)n * 8), 0);
        cr_expect(sum[0] == 5 && sum[1] == 5 && sum[2] == 6);
        cr_expect(scores[0] == 5 + 10 + 18 && scores[1] == 20 + 25 + 36);
        if (n == 2) cr_expect(sum[3] == 1 && sum[4] == 3 && sum[5] == 3);
    }
    tl_scope_close(s);
    tl_model_free(m);
    close_device(d);
}

/* What is wrong is said in one line, and nothing is run. */
Test(model, wrong_names_and_shapes)
{
    tl_device *d = open_device();
    tl_error err = {0};
    tl_scope *keep = tl_scope_open(d, &err);
    tl_model *m = load(keep, two, NULL);
    cr_assert(m, "%s", tl_scope_error(keep)->text);
    cr_expect_str_eq(tl_model_task(m), "classify");
    static const struct { const char *a, *b, *out, *text; int columns, ids; } cases[] = {
        {"x", "wich", "sum", "the network has no input 'wich'; there is 'x' and others", 3, 1},
        {"x", "x", "sum", "the input 'which' is missing", 3, 1},
        {"x", NULL, "sum", "the network has 2 inputs, and one without a name was given", 3, 1},
        {"x", "which", "some", "the network has no output 'some'", 3, 1},
        {"x", "which", NULL, "the network has 3 outputs, and one without a name was given", 3, 1},
        {"x", "which", "sum", "it was made for an input 'x' (N, 3), not (2, 4)", 4, 1},
        {"x", "which", "sum", "the input 'which' is of another type", 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_scope *s = tl_scope_open(d, &err);
        tl_named in[] = {{cases[i].a, tl_full(s, TL_F32, 2, (int64_t[]){2, cases[i].columns}, 1)},
                         {cases[i].b, tl_full(s, cases[i].ids ? TL_I32 : TL_F32, 1, (int64_t[]){2}, 0)}};
        tl_named out = {cases[i].out, NULL};
        cr_expect_eq(tl_model_run(s, m, in, 2, &out, 1), -1);
        cr_expect(strstr(tl_scope_error(s)->text, cases[i].text) && !out.tensor, "%s", tl_scope_error(s)->text);
        tl_scope_close(s);
    }
    tl_scope *s = tl_scope_open(d, &err);
    cr_expect_null(tl_model_logits(s, m, tl_full(s, TL_F32, 2, (int64_t[]){2, 3}, 1)));
    cr_expect(strstr(tl_scope_error(s)->text, "tl_model_run takes them by name"), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    s = tl_scope_open(d, &err);
    cr_expect_null(tl_model_pictures(s, m, (const char *[]){"x.png"}, 1));
    cr_expect(strstr(tl_scope_error(s)->text, "does not say how pictures are prepared"), "%s", tl_scope_error(s)->text);
    tl_scope_close(s);
    tl_model_free(m);
    tl_scope_close(keep);
    close_device(d);
}

/* Sizes that are left open, of which only the calls know what becomes of them; and a size that some number in the
 * calls was not told of. */
Test(model, heights_and_widths_may_be_open)
{
    static const char *const plans[] = {
        "{\"format\":2,\"symbols\":{\"N\":2,\"H\":6,\"W\":4},\"inputs\":[{\"name\":\"image\",\"dtype\":\"float32\",\"shape\":[\"N\",\"H\",\"W\",3]}],\"outputs\":[{\"name\":\"map\",\"value\":2,"
        "\"dtype\":\"float32\",\"shape\":[\"N\",null,null,2]}],\"calls\":[[\"linear\",[0,\"w\",null,null]],[\"max_pool\",[1],{\"kernel\":[2,2]}]]}",
        "{\"format\":2,\"symbols\":{\"N\":2,\"H\":6,\"W\":4},\"inputs\":[{\"name\":\"image\",\"dtype\":\"float32\",\"shape\":[\"N\",\"H\",\"W\",3]}],\"outputs\":[{\"name\":\"map\",\"value\":2,"
        "\"dtype\":\"float32\",\"shape\":[\"N\",24,2]}],\"calls\":[[\"linear\",[0,\"w\",null,null]],[\"reshape\",[1],{\"shape\":[-1,24,2]}]]}",
    };
    tl_device *d = open_device();
    for (int k = 0; k < 2; k++) {
        tl_error err = {0};
        tl_scope *s = tl_scope_open(d, &err);
        tl_model *m = load(s, plans[k], NULL);
        cr_assert(m, "%s", tl_scope_error(s)->text);
        for (int64_t h = 2; h <= 9; h++) {
            tl_tensor *y = tl_model_logits(s, m, tl_full(s, TL_F32, 4, (int64_t[]){3, h, 8, 3}, 1));
            int fits = k == 0 || h * 8 == 24;
            cr_assert_eq(y != NULL, fits, "height %d: %s", (int)h, tl_scope_error(s)->text);
            if (!y) break;
            if (k == 0) cr_expect(tl_dim(y, 1) == h / 2 && tl_dim(y, 2) == 4);
        }
        tl_scope_close(s);
        tl_model_free(m);
    }
    close_device(d);
}

Test(model, a_file_of_format_1)
{
    tl_device *d = open_device();
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = tl_model_load(s, "tests/golden/data/format1.safetensors");
    const char *path = "tests/golden/data/colour.png";
    const tl_model_tensor *in, *out;
    float p[3];
    cr_assert(m, "%s", tl_scope_error(s)->text);
    cr_assert(tl_model_inputs(m, &in) == 1 && tl_model_outputs(m, &out) == 1);
    cr_expect(strcmp(in->name, "image") == 0 && in->rank == 4 && in->dim[0] == -1 && in->dim[1] == 8 &&
              out->rank == 2 && out->dim[1] == 3);
    cr_assert_eq(tl_read(s, tl_model_predict(s, m, &path, 1), p, sizeof p), 0, "%s", tl_scope_error(s)->text);
    cr_expect(p[0] > 0.554698f && p[0] < 0.5547f && p[2] > 0.227309f && p[2] < 0.227312f, "%g %g %g", p[0], p[1], p[2]);
    tl_scope_close(s);
    tl_model_free(m);
    close_device(d);
}

/* Each allocation of loading and running may fail; nothing is left behind. */
/* A network that hears is run by name, with waves of any length; it has no pictures. */
Test(model, sound)
{
    static const char mean[] =
        "{\"format\":2,\"symbols\":{\"N\":3,\"T\":5},\"inputs\":[{\"name\":\"input\",\"dtype\":\"float32\",\"shape\":[\"N\","
        "\"T\"]},{\"name\":\"lengths\",\"dtype\":\"int32\",\"shape\":[\"N\"]}],\"outputs\":[{\"name\":\"output\",\"value\":2,"
        "\"dtype\":\"float32\",\"shape\":[\"N\"]}],\"calls\":[[\"mean\",[0],{\"axes\":[1]}]]}";
    tl_device *d = open_device();
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    size_t bytes;
    char *file = file_of(mean, NULL, "rate(rate=16000); trim(db=40)", &bytes);
    tl_model *m = tl_model_load_memory(s, "made", file, bytes);
    cr_assert(m, "%s", tl_scope_error(s)->text);
    free(file);
    float v[2];
    tl_tensor *x = tl_from(s, TL_F32, 2, (int64_t[]){2, 4}, (float[]){1, 2, 3, 2, 5, 5, 5, 5});
    tl_tensor *n = tl_from(s, TL_I32, 1, (int64_t[]){2}, (int32_t[]){4, 4});
    tl_named in[] = {{"input", x}, {"lengths", n}}, out[] = {{"output", NULL}};
    cr_assert(tl_model_run(s, m, in, 2, out, 1) == 0 && tl_read(s, out[0].tensor, v, sizeof v) == 0);
    cr_expect(v[0] == 2 && v[1] == 5);
    cr_expect_null(tl_model_pictures(s, m, (const char *[]){"a.wav"}, 1));
    cr_expect(strstr(tl_scope_error(s)->text, "the network hears; tl_model_run takes waves of 16000 Hz"));
    tl_model_free(m);
    tl_scope_close(s);
    s = tl_scope_open(d, &err);
    file = file_of(two, NULL, "rate(rate=16000)", &bytes);
    m = tl_model_load_memory(s, "made", file, bytes);
    cr_expect(m, "rows (N, 3) are waves of three samples");
    free(file);
    tl_model_free(m);
    tl_scope_close(s);
    close_device(d);
}

Test(model, every_allocation_may_fail)
{
    tl_device *d = open_device();
    long n = 0;
    for (int done = 0; !done;) {
        tl_error err = {0};
        size_t before, after;
        tl_device_memory(d, &before, NULL, NULL);
        tl_scope *s = tl_scope_open(d, &err);
        cr_assert(s);
        size_t bytes;
        char *file = file_of(two, "{\"task\":{\"name\":\"regress\",\"names\":[\"a\",\"b\"]}}", NULL, &bytes);
        tl_named in[] = {{"x", tl_full(s, TL_F32, 2, (int64_t[]){2, 3}, 1)},
                         {"which", tl_full(s, TL_I32, 1, (int64_t[]){2}, 1)}},
                 out = {"sum", NULL};
        tl__inject_failure(++n);
        tl_model *m = tl_model_load_memory(s, "made", file, bytes);
        int ran = m && tl_model_run(s, m, in, 2, &out, 1) == 0;
        done = tl__inject_failure(0) < n;
        cr_assert(ran || (!done && tl_scope_error(s)->code == TL_EMEMORY), "allocation %ld: %s", n,
                  tl_scope_error(s)->text);
        free(file);
        tl_model_free(m);
        tl_scope_close(s);
        tl_device_memory(d, &after, NULL, NULL);
        cr_assert_eq(after, before, "allocation %ld", n);
    }
    cr_assert_gt(n, 60, "%ld", n);
    close_device(d);
}
