/* boxes.c - tl_model_boxes through the public header: rows of a network that says the same of every picture, so that
 * what must come out is worked out by hand; files that lie; every failing allocation. */
#include "plain_device.h"
#include "base/base.h"
#include "tlua.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_device(tl_device *d)
{
    cr_expect_eq(live(d), 0, "%zu bytes are still in use", live(d));
    tl_device_release(d);
}

/* Pictures of 8 x 8 pixels, one level of stride 4: four cells, rows of 5 + 2 numbers, which are those of the tensor
 * "rows" (the picture counts 0 times). */
enum { CELLS = 4, WIDTH = 7, FLOATS = CELLS * WIDTH };
static const char plan[] =
    "{\"format\":2,\"symbols\":{\"N\":3},\"inputs\":[{\"name\":\"image\",\"dtype\":\"float32\",\"shape\":[\"N\",8,8,3]}"
    "],"
    "\"outputs\":[{\"name\":\"output\",\"value\":5,\"dtype\":\"float32\",\"shape\":[\"N\",4,7]}],"
    "\"calls\":[[\"mean\",[0],{\"axes\":[1,2,3]}],[\"reshape\",[1],{\"shape\":[{\"N\":1},1,1]}],"
    "[\"mul_scalar\",[2],{\"value\":0}],[\"expand\",[3],{\"shape\":[{\"N\":1},4,7]}],[\"add\",[4,\"rows\"]]]}";
static const char good[] =
    "{\"task\":{\"name\":\"detect\",\"names\":[\"a\",\"b\"],\"options\":{\"confidence\":0.3,\"iou\":0.5,\"per_class\":"
    "true,"
    "\"most\":10},\"kept\":{\"levels\":{\"strides\":[4],\"form\":\"offsets\",\"objectness\":true}}}}";
static const char letterbox[] = "to_channels(channels=3); letterbox(size=8); normalize(mean=0, std=1)";

static double logit(double p) { return log(p / (1 - p)); }

/* A row: the centre in strides from its cell's corner, sides in pixels, the scores of both classes where there is an
 * object for certain. */
static void put(float *row, double x, double y, double w, double h, double a, double b)
{
    const double v[WIDTH] = {x, y, log(w / 4), log(h / 4), 40, logit(a), logit(b)};
    for (int k = 0; k < WIDTH; k++) row[k] = (float)v[k];
}

/* Cells in order: boxes (1, 1, 5, 5) a .9, (1, 1, 5, 4.5) a .8, the same b .7, (4, 4, 8, 8) a .4. */
static void usual_rows(float *rows)
{
    put(rows, 0.75, 0.75, 4, 4, 0.9, 0.1);
    put(rows + WIDTH, -0.25, 0.6875, 4, 3.5, 0.8, 0.2);
    put(rows + 2 * WIDTH, 0.75, -0.3125, 4, 3.5, 0.2, 0.7);
    put(rows + 3 * WIDTH, 0.5, 0.5, 4, 4, 0.4, 0.1);
}

static void quote(char *to, const char *text)
{
    for (; *text; *to++ = *text++)
        if (*text == '"') *to++ = '\\';
    *to = 0;
}

/* A model file of that description, pipeline (NULL: none) and rows. */
static tl_model *load(tl_scope *s, const char *description, const char *pipeline, const float *rows)
{
    static char file[16384], quoted[2][4096];
    quote(quoted[0], plan);
    quote(quoted[1], description);
    int n = snprintf(file + 8, sizeof file - 8,
                     "{\"__metadata__\":{\"tlua.plan\":\"%s\",\"tlua\":\"%s\"%s%s%s},\"rows\":{\"dtype\":\"F32\","
                     "\"shape\":[4,7],\"data_offsets\":[0,%d]}}",
                     quoted[0], quoted[1], pipeline ? ",\"tlua.pipeline\":\"" : "", pipeline ? pipeline : "",
                     pipeline ? "\"" : "", FLOATS * 4);
    uint64_t length = (uint64_t)n;
    memcpy(file, &length, 8);
    memcpy(file + 8 + n, rows, FLOATS * sizeof *rows);
    return tl_model_load_memory(s, "made", file, 8 + (size_t)n + FLOATS * sizeof *rows);
}

static const unsigned char pixels[64 * 64 * 3] = {0};
static tl_picture picture_of(int width, int height)
{
    return (tl_picture){.data = pixels, .width = width, .height = height, .channels = 3};
}

static void expect_box(tl_box b, int picture, int label, double score, double left, double top, double right,
                       double bottom)
{
    cr_expect(b.picture == picture && b.label == label && fabs(b.score - score) < 1e-6, "%d %d %.9g", b.picture,
              b.label, b.score);
    const double got[4] = {b.left, b.top, b.right, b.bottom}, wanted[4] = {left, top, right, bottom};
    for (int k = 0; k < 4; k++)
        cr_expect(fabs(got[k] - wanted[k]) < 1e-4, "side %d: %.9g, not %.9g", k, got[k], wanted[k]);
}

/* The boxes that a model of this description says of a picture of that size. */
static int64_t ask(tl_device *d, const char *description, const char *pipeline, int width, int height,
                   double confidence, tl_box *out, int64_t room)
{
    tl_error err = {0};
    float rows[FLOATS];
    usual_rows(rows);
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = load(s, description, pipeline, rows);
    cr_assert(m, "%s", tl_scope_error(s)->text);
    tl_picture p = picture_of(width, height);
    int64_t n = tl_model_boxes_memory(s, m, &p, 1, confidence, out, room);
    cr_expect_geq(n, 0, "%s", tl_scope_error(s)->text);
    tl_model_free(m);
    tl_scope_close(s);
    return n;
}

Test(boxes, scores_overlaps_and_room)
{
    tl_device *d = open_device();
    tl_box b[10];
    cr_assert_eq(ask(d, good, letterbox, 8, 8, -1, b, 10), 3);
    expect_box(b[0], 0, 0, 0.9, 1, 1, 5, 5);
    expect_box(b[1], 0, 1, 0.7, 1, 1, 5, 4.5);
    expect_box(b[2], 0, 0, 0.4, 4, 4, 8, 8);
    cr_expect_eq(ask(d, good, letterbox, 8, 8, 0.5, b, 10), 2);
    cr_expect_eq(ask(d, good, letterbox, 8, 8, 1, b, 10), 0);
    cr_expect_eq(ask(d, good, letterbox, 8, 8, -1, NULL, 0), 3);
    b[1].label = 77;
    cr_expect_eq(ask(d, good, letterbox, 8, 8, -1, b, 1), 3);
    cr_expect_eq(b[1].label, 77, "more was written than there is room for");
    close_device(d);
}

/* The description with `from` replaced. */
static const char *with(const char *from, const char *to)
{
    static char text[2048];
    const char *at = strstr(good, from);
    cr_assert(at, "%s", from);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
    return text;
}

Test(boxes, options_of_the_task)
{
    tl_device *d = open_device();
    tl_box b[10];
    cr_assert_eq(ask(d, with("true,\"most", "false,\"most"), letterbox, 8, 8, -1, b, 10), 2);
    expect_box(b[1], 0, 0, 0.4, 4, 4, 8, 8);
    cr_assert_eq(ask(d, with("\"most\":10", "\"most\":1"), letterbox, 8, 8, -1, b, 10), 1);
    cr_assert_eq(ask(d, with("\"iou\":0.5", "\"iou\":0.9"), letterbox, 8, 8, -1, b, 10), 4);
    expect_box(b[1], 0, 0, 0.8, 1, 1, 5, 4.5);
    cr_assert_eq(ask(d, with("\"most\"", "\"several\":true,\"most\""), letterbox, 8, 8, 0.05, b, 10), 4);
    expect_box(b[3], 0, 1, 0.1, 4, 4, 8, 8); /* what the other rows say of b overlaps with one of b that is surer */
    cr_assert_eq(ask(d, good, letterbox, 8, 8, 0.05, b, 10), 3);
    const char *chosen = with("\"kept\":{", "\"kept\":{\"confidences\":[0.5,0.75],");
    cr_assert_eq(ask(d, chosen, letterbox, 8, 8, -1, b, 10), 1);
    cr_expect_eq(ask(d, chosen, letterbox, 8, 8, 0.3, b, 10), 3);
    /* Nothing said: 0.25, 0.65, 100, classes apart; names are numbers. */
    cr_expect_eq(ask(d, "{\"task\":{\"name\":\"detect\",\"options\":[],\"kept\":{\"levels\":{\"strides\":[4]}}}}",
                     letterbox, 8, 8, -1, b, 10),
                 3);
    close_device(d);
}

Test(boxes, in_pixels_of_the_picture)
{
    tl_device *d = open_device();
    tl_box b[10];
    cr_assert_eq(ask(d, good, letterbox, 16, 8, -1, b, 10), 3); /* half as large, in the upper left corner */
    expect_box(b[0], 0, 0, 0.9, 2, 2, 10, 8);
    expect_box(b[2], 0, 0, 0.4, 8, 8, 16, 8);
    cr_assert_eq(
        ask(d, good, "to_channels(channels=3); resize(size=[8, 8]); normalize(mean=0, std=1)", 32, 4, -1, b, 10), 3);
    expect_box(b[0], 0, 0, 0.9, 4, 0.5, 20, 2.5);
    /* 30 x 20 becomes 15 x 10, of which the middle begins at 4 (3.5 goes to the even number) and 1. */
    cr_assert_eq(ask(d, good, "to_channels(channels=3); resize(size=10); center_crop(size=8); normalize(mean=0, std=1)",
                     30, 20, -1, b, 10),
                 3);
    expect_box(b[0], 0, 0, 0.9, (1 + 4) * 2, (1 + 1) * 2, (5 + 4) * 2, (5 + 1) * 2);
    /* The crop is larger than the picture, with a border. */
    cr_assert_eq(
        ask(d, good, "to_channels(channels=3); center_crop(size=8); normalize(mean=0, std=1)", 4, 8, -1, b, 10), 3);
    expect_box(b[0], 0, 0, 0.9, 0, 1, 3, 5);
    expect_box(b[2], 0, 0, 0.4, 2, 4, 4, 8);
    close_device(d);
}

Test(boxes, several_pictures)
{
    tl_device *d = open_device();
    tl_error err = {0};
    float rows[FLOATS];
    usual_rows(rows);
    tl_scope *s = tl_scope_open(d, &err);
    tl_model *m = load(s, good, letterbox, rows);
    cr_assert(m);
    const tl_picture p[] = {picture_of(8, 8), picture_of(16, 16)};
    tl_box b[6];
    cr_assert_eq(tl_model_boxes_memory(s, m, p, 2, 0.5, b, 6), 4, "%s", tl_scope_error(s)->text);
    expect_box(b[1], 0, 1, 0.7, 1, 1, 5, 4.5);
    expect_box(b[2], 1, 0, 0.9, 2, 2, 10, 10);
    cr_expect_eq(tl_model_boxes(s, m, (const char *[]){"/none.png"}, 1, -1, b, 6), -1);
    cr_expect(strncmp(tl_scope_error(s)->text, "/none.png: ", 11) == 0, "%s", tl_scope_error(s)->text);
    cr_expect_eq(tl_model_boxes_memory(s, m, p, 2, 0.5, b, 6), -1, "a failed scope stays so");
    tl_model_free(m);
    tl_scope_close(s);
    close_device(d);
}

/* What a file says is checked when it is loaded, in one line that says where it is wrong. */
Test(boxes, descriptions_that_lie)
{
    static const char levels[] = "its description is damaged: task.kept.levels.", options[] = "damaged: task.options.";
    static const struct {
        const char *from, *to, *text, *more;
    } cases[] = {
        {"[4]", "[]", levels, "strides"},
        {"[4]", "4", levels, "strides"},
        {"[4]", "[0]", levels, "strides"},
        {"[4]", "[-4]", levels, "strides"},
        {"[4]", "[4.5]", levels, "strides"},
        {"[4]", "[1e300]", levels, "strides"},
        {"[4]", "[4294967300]", levels, "strides"},
        {"[4]", "[4,4,4,4,4,4,4,4,4]", levels, "strides"},
        {"[4]", "[\"4\"]", levels, "strides"},
        {"{\"strides\":[4],", "{", levels, "strides"},
        {"[4],", "[4],\"bins\":1,", levels, "bins"},
        {"[4],", "[4],\"bins\":65,", levels, "bins"},
        {"[4],", "[4],\"bins\":-3,", levels, "bins"},
        {"[4],", "[4],\"bins\":true,", levels, "bins"},
        {"[4],", "[4],\"bins\":16,", levels, "form"},
        {"offsets", "ofsets", levels, "form"},
        {"\"objectness\":true", "\"objectness\":false", levels, "objectness"},
        {"0.3", "1.5", options, "confidence"},
        {"0.3", "\"x\"", options, "confidence"},
        {"0.5", "-1", options, "iou"},
        {"0.5", "1e999", options, "iou"},
        {"\"per_class\":true", "\"per_class\":1", options, "per_class"},
        {"\"most\":10", "\"several\":0", options, "several"},
        {"\"most\":10", "\"most\":0", options, "most"},
        {"\"most\":10", "\"most\":1e18", options, "most"},
        {"\"most\":10", "\"most\":2.5", options, "most"},
        {"\"kept\":{", "\"kept\":{\"confidences\":[0.5],", "damaged: task.kept.", "confidences"},
        {"\"kept\":{", "\"kept\":{\"confidences\":[0.5,2],", "damaged: task.kept.", "confidences"},
        {"\"kept\":{", "\"kept\":{\"confidences\":[0.5,\"a\"],", "damaged: task.kept.", "confidences"},
        {"\"kept\":{", "\"kept\":{\"confidences\":7,", "damaged: task.kept.", "confidences"},
        {"\"a\",\"b\"", "\"a\"", "it finds boxes of 1 classes in rows of 6 numbers", ", and its plan gives others"},
        {"\"a\",\"b\"", "", "it finds boxes of 0 classes", " in rows of 5 numbers"},
        {"offsets\",\"objectness\":true", "distribution\",\"bins\":2", "it finds boxes of 2 classes in rows of 10",
         " numbers"},
    };
    tl_device *d = open_device();
    float rows[FLOATS];
    usual_rows(rows);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s%s", cases[i].text, cases[i].more);
        tl_scope *s = tl_scope_open(d, &err);
        tl_model *m = load(s, with(cases[i].from, cases[i].to), letterbox, rows);
        cr_expect(!m && strstr(tl_scope_error(s)->text, wanted) && strncmp(tl_scope_error(s)->text, "made: ", 6) == 0,
                  "%s for %s: %s", cases[i].to, cases[i].from, tl_scope_error(s)->text);
        tl_model_free(m);
        tl_scope_close(s);
    }
    close_device(d);
}

/* What shows when pictures are asked about. */
Test(boxes, what_cannot_be_asked)
{
    static const struct {
        const char *from, *to, *pipeline;
        double confidence;
        int64_t room;
        const char *text;
    } cases[] = {
        {"detect", "segment", letterbox, -1, 4,
         "for networks that find boxes, and this network was made for another task: segment"},
        {"\"levels\"", "\"level\"", letterbox, -1, 4, "does not say what the rows of its outputs mean"},
        {"[4]", "[8]", letterbox, -1, 4, "its levels have 1 cells in pictures of 8 x 8 pixels, and it gives 4 rows"},
        {"[4]", "[3]", letterbox, -1, 4, "pictures of 8 x 8 pixels have no whole cells of 3"},
        {"[4]", "[65536]", letterbox, -1, 4, "pictures of 8 x 8 pixels have no whole cells of 65536"},
        {"[4]", "[4]", NULL, -1, 4, "the file does not say how pictures are prepared"},
        {"[4]", "[4]", "to_channels(channels=3); random_crop(size=8); normalize(mean=0, std=1)", -1, 4,
         "pictures[0]: random_crop moves pixels each time in another way"},
        {"[4]", "[4]", letterbox, 1.5, 4, "a confidence is at most 1, not 1.5"},
        {"[4]", "[4]", letterbox, NAN, 4, "a confidence is at most 1"},
        {"[4]", "[4]", letterbox, -1, -1, "there is no room for -1 boxes"},
    };
    tl_device *d = open_device();
    float rows[FLOATS];
    usual_rows(rows);
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        tl_error err = {0};
        tl_box b[4];
        int last = i == sizeof cases / sizeof *cases;
        if (last) rows[9] = NAN;
        tl_scope *s = tl_scope_open(d, &err);
        tl_model *m =
            load(s, last ? good : with(cases[i].from, cases[i].to), last ? letterbox : cases[i].pipeline, rows);
        cr_assert(m, "%zu: %s", i, tl_scope_error(s)->text);
        tl_picture p = picture_of(9, 8);
        cr_expect_eq(tl_model_boxes_memory(s, m, &p, 1, last ? -1 : cases[i].confidence, b, last ? 4 : cases[i].room),
                     -1);
        cr_expect(
            strstr(tl_scope_error(s)->text, last ? "pictures[0]: the network's outputs are no numbers" : cases[i].text),
            "%zu: %s", i, tl_scope_error(s)->text);
        tl_model_free(m);
        tl_scope_close(s);
    }
    tl_error err = {0};
    tl_scope *s = tl_scope_open(d, &err);
    cr_expect_eq(tl_model_boxes(s, NULL, (const char *[]){"a"}, 1, -1, NULL, 0), -1);
    cr_expect(strstr(tl_scope_error(s)->text, "the model is NULL"));
    tl_scope_close(s);
    close_device(d);
}

Test(boxes, every_allocation_may_fail)
{
    tl_device *d = open_device();
    float rows[FLOATS];
    usual_rows(rows);
    long n = 0;
    for (int done = 0; !done;) {
        tl_error err = {0};
        tl_box b[4];
        size_t before, after;
        tl_device_memory(d, &before, NULL, NULL);
        tl_scope *s = tl_scope_open(d, &err);
        cr_assert(s);
        tl_picture p = picture_of(9, 8);
        tl__inject_failure(++n);
        tl_model *m = load(s, with("\"kept\":{", "\"kept\":{\"confidences\":[0.5,0.6],"), letterbox, rows);
        int64_t found = m ? tl_model_boxes_memory(s, m, &p, 1, -1, b, 4) : -1;
        done = tl__inject_failure(0) < n;
        cr_assert(found == 2 || (found == -1 && !done && tl_scope_error(s)->code == TL_EMEMORY), "allocation %ld: %s",
                  n, tl_scope_error(s)->text);
        tl_model_free(m);
        tl_scope_close(s);
        tl_device_memory(d, &after, NULL, NULL);
        cr_assert_eq(after, before, "allocation %ld", n);
    }
    cr_assert_gt(n, 60, "%ld", n);
    close_device(d);
}
