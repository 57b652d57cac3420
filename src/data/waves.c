/* waves.c - a pipeline of sound: asked what it makes of a length, and run on a clip. */
#include "data/waves.h"

#include <math.h>
#include <string.h>

int tl__wave_rate(const tl_pipeline *p)
{
    return p->count && p->step[0].row->stage == TL_STAGE_RATE ? (int)p->step[0].value[0].at[0] : 0;
}

int tl__wave_needs_noise(const tl_pipeline *p)
{
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->step[i].row->name, "noise") == 0) return 1;
    return 0;
}

int64_t tl__wave_longest(const tl_pipeline *p, tl_clip clip)
{
    int rate = tl__wave_rate(p) ? tl__wave_rate(p) : clip.rate;
    int64_t n = clip.frames ? tl__audio_length(clip.frames, clip.rate, rate) : 0;
    for (int i = 0; i < p->count; i++)
        if (p->step[i].row->longest) n = p->step[i].row->longest(&p->step[i], n, rate);
    return n;
}

static tl_record start(tl_scratch *scratch, const tl_draw_key *who, const tl_source *noise, tl_wave *wave)
{
    /* 2^24 epochs of 2^40 clips have keys of their own. */
    return (tl_record){.wave = wave,
                       .noise = noise,
                       .scratch = scratch,
                       .key = tl__rng_key(who->seed, TL_RNG_AUGMENT, who->epoch << 40 ^ who->index)};
}

int tl__wave_run(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                 const tl_source *noise, tl_wave *wave)
{
    tl_record s = start(scratch, who, noise, wave);
    for (int i = 0; i < p->count; i++) {
        s.draw = (uint64_t)i << 32; /* a step that is added behind others leaves their draws as they were */
        if (p->step[i].row->apply && p->step[i].row->apply(err, &p->step[i], &s) != 0) return -1;
    }
    return 0;
}

/* Where a clip is cropped before anything else is done to it, only that part of it has to be decoded; the step itself
 * then finds nothing more to do but to round off. */
static void ask(const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who, tl_clip clip, tl_audio_request *q)
{
    int first = tl__wave_rate(p) ? 1 : 0, rate = first ? tl__wave_rate(p) : clip.rate;
    q->rate = rate;
    const char *name = p->count > first ? p->step[first].row->name : "";
    int anywhere = strcmp(name, "random_crop_seconds") == 0;
    if ((!anywhere && strcmp(name, "center_crop_seconds") != 0) || !clip.frames) return;
    tl_record s = start(scratch, who, NULL, NULL);
    s.draw = (uint64_t)first << 32;
    int64_t wanted = (int64_t)ceil(p->step[first].value[0].at[0] * clip.rate);
    if (wanted < 1 || wanted >= clip.frames) return;
    int64_t room = clip.frames - wanted;
    q->count = wanted;
    q->from = anywhere ? tl__sample_below(&s, room + 1) : room / 2;
}

int tl__wave_make(tl_error *err, const tl_pipeline *p, tl_scratch *scratch, const tl_draw_key *who,
                  const tl_source *source, const tl_source *noise, int64_t i, tl_wave *out)
{
    tl_audio_request q = {0};
    ask(p, scratch, who, tl__source_clip(source, i), &q);
    if (tl__source_wave(err, source, i, &q, NULL, out) != 0) return -1;
    return tl__wave_run(err, p, scratch, who, noise, out);
}
