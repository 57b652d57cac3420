/* target.c - memory of what samples have beside their pictures. */
#include "data/target.h"

#include <stdlib.h>
#include <string.h>

const char *tl__field_name(unsigned field)
{
    static const struct {
        unsigned field;
        const char *name;
    } names[] = {{TL_FIELD_IMAGE, "image"}, {TL_FIELD_LABEL, "label"}, {TL_FIELD_VALUES, "values"},
                 {TL_FIELD_MASK, "mask"},   {TL_FIELD_BOXES, "boxes"}, {TL_FIELD_POINTS, "points"},
                 {TL_FIELD_WAVE, "wave"},   {TL_FIELD_TEXT, "text"},
                 {TL_FIELD_VOLUME, "volume"}, {TL_FIELD_PIECES, "pieces"},
                 {TL_FIELD_MARKS, "marks"}, {TL_FIELD_SPANS, "spans"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].field == field) return names[i].name;
    return "?";
}

static int64_t grown(int64_t room, int64_t need) { return 2 * room > need ? 2 * room : need; }

int tl__marks_reserve(tl_error *err, tl_marks *m, int64_t boxes, int64_t points)
{
    if (boxes > m->box_room) {
        int64_t room = grown(m->box_room, boxes);
        float *box = tl__realloc(err, m->box, (size_t)room * 4 * sizeof *box);
        if (!box) return -1;
        m->box = box;
        int32_t *label = tl__realloc(err, m->box_label, (size_t)room * sizeof *label);
        if (!label) return -1;
        m->box_label = label;
        m->box_room = room;
    }
    if (points > m->point_room) {
        int64_t room = grown(m->point_room, points);
        float *point = tl__realloc(err, m->point, (size_t)room * 2 * sizeof *point);
        if (!point) return -1;
        m->point = point;
        m->point_room = room;
    }
    return 0;
}

int tl__marks_reserve_seen(tl_error *err, tl_marks *m, int64_t boxes)
{
    if (m->seen && boxes <= m->seen_room) return 0;
    int64_t room = grown(m->seen_room, boxes < 16 ? 16 : boxes);
    float *seen = tl__realloc(err, m->seen, (size_t)room * sizeof *seen);
    if (!seen) return -1;
    m->seen = seen;
    m->seen_room = room;
    return 0;
}

void tl__marks_free(tl_marks *m)
{
    free(m->seen);
    free(m->box);
    free(m->box_label);
    free(m->point);
    *m = (tl_marks){0};
}

int tl__target_values(tl_error *err, tl_target *t, const float *values, int count)
{
    if (count > t->value_room) {
        float *room = tl__realloc(err, t->values, (size_t)count * sizeof *room);
        if (!room) return -1;
        t->values = room;
        t->value_room = count;
    }
    if (count) memcpy(t->values, values, (size_t)count * sizeof *values);
    t->value_count = count;
    return 0;
}

int tl__target_fits(tl_error *err, const tl_target *t, int width, int height)
{
    if (t->mask.width == width && t->mask.height == height) return 0;
    return tl__fail(err, TL_EFORMAT, "%s: the mask has %d x %d pixels (height x width), and its picture %d x %d", t->mask_name, t->mask.height,
                    t->mask.width, height, width);
}

void tl__target_free(tl_target *t)
{
    free(t->values);
    tl__image_free(&t->mask);
    tl__marks_free(&t->marks);
    *t = (tl_target){0};
}
