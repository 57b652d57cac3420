/* pipeline.c - a list of steps: put together, asked what it makes of a size, and run on a picture. */
#include "data/transform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tl_pipeline *tl__pipeline_new(tl_error *err) { return tl__calloc(err, 1, sizeof(tl_pipeline)); }

void tl__pipeline_free(tl_pipeline *p)
{
    if (!p) return;
    free(p->step);
    free(p);
}

const char *tl__stage_kind(int stage)
{
    static const char *const kinds[] = {"pictures", "sound", "volumes"};
    return kinds[stage < TL_STAGE_RATE ? 0 : stage < TL_STAGE_GRID ? 1 : 2];
}

/* Steps stand in the order of their stages, and one at most reads or makes floats. */
static int check_place(tl_error *err, const tl_pipeline *p, const tl_transform *t)
{
    if (p->count == 0) return 0;
    const tl_transform_row *before = p->step[p->count - 1].row, *row = t->row;
    const char *kind = tl__stage_kind(row->stage), *other = tl__stage_kind(before->stage);
    if (kind != other)
        return tl__fail(err, TL_EARG, "%s is a step of %s, and %s one of %s", row->name, kind, before->name, other);
    if (row->stage == TL_STAGE_RATE || row->stage == TL_STAGE_GRID)
        return tl__fail(err, TL_EARG, "%s stands in front of all other steps", row->name);
    int once = row->stage == TL_STAGE_DECODE || row->stage == TL_STAGE_TO_FLOAT || row->stage == TL_STAGE_PATCH;
    if (row->stage < before->stage || (row->stage == before->stage && once))
        return tl__fail(err, TL_EARG, "%s cannot stand behind %s", row->name, before->name);
    return 0;
}

int tl__pipeline_add(tl_error *err, tl_pipeline *p, tl_transform *t)
{
    int bad = tl__transform_check(err, t) != 0 || check_place(err, p, t) != 0;
    if (!bad && p->count == p->capacity) {
        int capacity = p->capacity ? 2 * p->capacity : 8;
        tl_transform *step = tl__realloc(err, p->step, (size_t)capacity * sizeof *step);
        bad = !step;
        if (step) {
            p->step = step;
            p->capacity = capacity;
        }
    }
    if (!bad) p->step[p->count++] = *t;
    tl__transform_free(t);
    return bad ? -1 : 0;
}

int tl__pipeline_is_random(const tl_pipeline *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->step[i].row->is_random) return 1;
    return 0;
}

void tl__pipeline_shape(const tl_pipeline *p, int hwc[3])
{
    for (int i = 0; i < p->count; i++)
        if (p->step[i].row->shape) p->step[i].row->shape(&p->step[i], hwc);
}

/* Steps that make the same of a smaller picture. */
static int any_size(const char *name)
{
    return strcmp(name, "to_channels") == 0 || strcmp(name, "strip_corners") == 0;
}

void tl__pipeline_request(const tl_pipeline *p, tl_image_request *request)
{
    *request = (tl_image_request){.deep = TL_DEEP_ALL};
    for (int i = 0; i < p->count; i++) {
        const tl_transform *t = &p->step[i];
        if (t->row->bytes_only)
            request->deep = TL_DEEP_FLOATS; /* 16 bits become what such a step can work on */
        if (strcmp(t->row->name, "window") != 0) continue;
        request->window_count = t->value[0].count;
        for (int k = 0; k < t->value[0].count; k++)
            request->window[k] = (tl_image_window){t->value[0].at[k], t->value[1].at[k]};
    }
    if (p->count < 2 || p->step[0].row->stage != TL_STAGE_DECODE) return;
    int k = 1;
    while (k + 1 < p->count && any_size(p->step[k].row->name)) k++;
    const tl_transform *next = &p->step[k];
    if (next->row->need) request->smallest_side = (int)ceil(next->row->need(next) * p->step[0].value[0].at[0]);
}

void tl__scratch_free(tl_scratch *s)
{
    tl__image_free(&s->spare);
    tl__resizer_free(&s->resizer);
    tl__wave_free(&s->wave);
    tl__wave_free(&s->other);
}

double tl__sample_uniform(tl_record *s, double low, double high)
{
    uint32_t bits[4];
    tl__philox(s->key, s->draw++, bits);
    return low + (high - low) * (double)tl__uniform(bits[0]);
}

int64_t tl__sample_below(tl_record *s, int64_t n) { return (int64_t)tl__rng_below(s->key, s->draw++, (uint64_t)n); }

void tl__sample_swap(tl_record *s)
{
    tl_image image = *s->image;
    *s->image = s->scratch->spare;
    s->scratch->spare = image;
}

void tl__sample_moved(tl_record *s, const tl_affine *from)
{
    tl__geometry_move(&s->scratch->geometry, from, s->image->width, s->image->height);
}

int tl__pipeline_geometry(tl_error *err, const tl_pipeline *p, int width, int height, tl_geometry *out)
{
    tl__geometry_start(out, width, height);
    for (int i = 0; i < p->count; i++) {
        const tl_transform *t = &p->step[i];
        tl_affine from;
        if (!t->row->moves) continue;
        if (!t->row->from)
            return tl__fail(err, TL_EARG, "%s moves pixels each time in another way, so boxes cannot go back",
                            t->row->name);
        t->row->from(t, &width, &height, &from);
        tl__geometry_move(out, &from, width, height);
    }
    return 0;
}

int tl__pipeline_keeps(tl_error *err, const tl_pipeline *p, unsigned fields)
{
    const char *own = tl__stage_kind(fields & TL_FIELD_WAVE     ? TL_STAGE_WAVE
                                     : fields & TL_FIELD_VOLUME ? TL_STAGE_BLOCK
                                                                : TL_STAGE_BYTES);
    if (fields & TL_FIELD_PIECES && p->count)
        return tl__fail(err, TL_EARG, "texts have no steps; leave %s out", p->step[0].row->name);
    for (int i = 0; i < p->count; i++) {
        const tl_transform_row *row = p->step[i].row;
        const char *kind = tl__stage_kind(row->stage);
        if (kind != own)
            return tl__fail(err, TL_EARG, "%s is a step of %s, and the samples are %s; leave that step out", row->name,
                            kind, own);
        unsigned lost = row->moves ? fields & TL_FIELDS_PLACED & ~row->touches : 0;
        if (lost) return tl__fail(err, TL_EARG, "%s cannot keep %s; leave that step out", row->name, tl__field_name(lost & (~lost + 1)));
        if (row->keeps && row->keeps(err, &p->step[i], fields) != 0) return -1;
    }
    return 0;
}

static tl_record start(tl_scratch *scratch, const tl_draw_key *who, tl_image *image)
{
    tl__geometry_start(&scratch->geometry, image->width, image->height);
    /* 2^24 epochs of 2^40 pictures have keys of their own. */
    return (tl_record){.image = image, .scratch = scratch, .key = tl__rng_key(who->seed, TL_RNG_AUGMENT, who->epoch << 40 ^ who->index)};
}

static int only_bytes(tl_error *err, const char *name, const tl_image *image)
{
    static const char *const what[] = {"8 bits", "16 bits", "floats"};
    return tl__fail(err, TL_EARG, "%s is for pictures of 8 bits with 1 or 3 channels, and this has %d of %s; leave that step out", name, image->channels,
                    what[image->depth]);
}

/* Runs the steps number `from` to `to` of stages `first` to `last`. A step's draws are counted from a number of its
 * own, so that a step added behind others leaves their draws as they were. */
static int run_steps(tl_error *err, const tl_pipeline *p, tl_record *s, int from, int to, int first, int last)
{
    for (int i = from; i < to; i++) {
        const tl_transform_row *row = p->step[i].row;
        s->draw = (uint64_t)i << 32;
        if (row->bytes_only && (s->image->depth != TL_DEPTH_8 || (s->image->channels != 1 && s->image->channels != 3)))
            return only_bytes(err, row->name, s->image);
        if (row->apply && row->stage >= first && row->stage <= last && row->apply(err, &p->step[i], s) != 0) return -1;
    }
    return 0;
}

int tl__pipeline_run_bytes(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who, tl_image *image)
{
    tl_record s = start(scratch, who, image);
    return run_steps(err, p, &s, 0, p->count, TL_STAGE_BYTES, TL_STAGE_BYTES);
}

int tl__pipeline_run_before(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                            tl_image *image, int step)
{
    tl_record s = start(scratch, who, image);
    return run_steps(err, p, &s, 0, step, TL_STAGE_BYTES, TL_STAGE_BYTES);
}

int tl__pipeline_find(const tl_pipeline *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->step[i].row->name, name) == 0) return i;
    return -1;
}

static int wrong_size(tl_error *err, const tl_image *image, const int hwc[3])
{
    if (image->channels != hwc[2])
        return tl__fail(err, TL_ESHAPE, "%d channel%s after the transforms, others have %d: add to_channels { channels = 3 }", image->channels,
                        image->channels > 1 ? "s" : "", hwc[2]);
    return tl__fail(err, TL_ESHAPE, "%d x %d pixels (height x width) after the transforms, others have %d x %d: add a center_crop or resize { size = {%d, %d} }",
                    image->height, image->width, hwc[0], hwc[1], hwc[0], hwc[1]);
}

void tl__image_floats(const tl_image *image, float *out)
{
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    union { const uint8_t *bytes; const uint16_t *words; } p = {image->data};
    if (image->depth == TL_DEPTH_FLOAT) memcpy(out, image->data, n * sizeof *out);
    if (image->depth == TL_DEPTH_16)
        for (size_t i = 0; i < n; i++) out[i] = (float)p.words[i] / 65535.0f;
    if (image->depth == TL_DEPTH_8)
        for (size_t i = 0; i < n; i++) out[i] = (float)p.bytes[i] / 255.0f;
}

static int has_stage(const tl_pipeline *p, int stage)
{
    for (int i = 0; i < p->count; i++)
        if (p->step[i].row->stage == stage) return 1;
    return 0;
}

int tl__pipeline_run(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who, tl_image *image, const int hwc[3], float *out)
{
    return tl__pipeline_run_from(err, p, scratch, who, image, 0, hwc, out);
}

int tl__pipeline_run_from(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                          tl_image *image, int step, const int hwc[3], float *out)
{
    tl_record s = start(scratch, who, image);
    if (run_steps(err, p, &s, step, p->count, TL_STAGE_BYTES, TL_STAGE_BYTES) != 0) return -1;
    if (image->height != hwc[0] || image->width != hwc[1] || image->channels != hwc[2]) return wrong_size(err, image, hwc);
    s.values = out;
    s.height = hwc[0];
    s.width = hwc[1];
    s.channels = hwc[2];
    if (!has_stage(p, TL_STAGE_TO_FLOAT)) tl__image_floats(image, out);
    return run_steps(err, p, &s, step, p->count, TL_STAGE_TO_FLOAT, TL_STAGE_FLOATS);
}

int tl__pipeline_picture(tl_error *err, const tl_pipeline *p, const float *values, const int hwc[3], tl_image *out)
{
    const tl_transform *normal = NULL;
    for (int i = 0; i < p->count; i++)
        if (p->step[i].row->stage == TL_STAGE_TO_FLOAT) normal = &p->step[i];
    /* Of two channels the first is seen, of four and more the first three. */
    size_t shown = hwc[2] < 3 ? 1 : 3, n = (size_t)hwc[0] * (size_t)hwc[1] * shown;
    if (tl__image_reserve(err, out, hwc[1], hwc[0], (int)shown) != 0) return -1;
    for (size_t i = 0; i < n; i++) {
        size_t k = i % shown;
        double v = values[i / shown * (size_t)hwc[2] + k];
        if (normal) {
            size_t j = normal->value[0].count == 1 ? 0 : k;
            v = v * normal->value[1].at[j] + normal->value[0].at[j];
        }
        v = floor(v * 255 + 0.5);
        out->data[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    return 0;
}
