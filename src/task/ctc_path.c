/* ctc_path.c - single paths through frames: the best one, and the best that spells a known text. */
#include "task/ctc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void tl__ctc_text_free(tl_ctc_text *t)
{
    free(t->symbols);
    *t = (tl_ctc_text){0};
}

int tl__ctc_frame(const tl_ctc_scores *s, int64_t frame, float *out)
{
    const float *x = s->x + frame * s->classes;
    float most = -INFINITY;
    double sum = 0;
    for (int64_t k = 0; k < s->classes; k++)
        if (x[k] > most) most = x[k];
    int some = most > -INFINITY;
    for (int64_t k = 0; k < s->classes; k++) {
        /* Of classes at infinity each has the same chance, and no other any. */
        int none = isnan(x[k]) || !some || (isinf(most) && x[k] < most);
        out[k] = none ? -INFINITY : isinf(most) ? 0 : x[k] - most;
        sum += exp((double)out[k]);
    }
    for (int64_t k = 0; k < s->classes && some; k++) out[k] -= (float)log(sum);
    if (!some) out[s->blank] = 0;
    return some;
}

int tl__ctc_greedy(tl_error *err, const tl_ctc_scores *s, tl_ctc_text *out)
{
    float *row = tl__calloc(err, (size_t)s->classes, sizeof *row);
    tl_ctc_symbol *list = tl__calloc(err, (size_t)s->frames + 1, sizeof *list);
    *out = (tl_ctc_text){.symbols = list};
    int32_t last = s->blank;
    for (int64_t t = 0; row && list && t < s->frames; t++) {
        int32_t best = 0;
        out->unknown += !tl__ctc_frame(s, t, row);
        for (int32_t k = 1; k < s->classes; k++)
            if (row[k] > row[best]) best = k;
        out->score += (double)row[best];
        out->blanks += best == s->blank;
        if (best != s->blank && best != last)
            list[out->count++] = (tl_ctc_symbol){best, t, t, t, 0};
        if (best != s->blank) {
            tl_ctc_symbol *own = &list[out->count - 1];
            float chance = expf(row[best]);
            own->end = t + 1;
            if (chance > own->chance) own->chance = chance, own->peak = t;
        }
        last = best;
    }
    free(row);
    if (row && list) return 0;
    tl__ctc_text_free(out);
    return -1;
}

int64_t tl__ctc_frames_wanted(const int32_t *labels, int64_t count)
{
    int64_t n = count;
    for (int64_t l = 1; l < count; l++) n += labels[l] == labels[l - 1];
    return n;
}

/* Viterbi over the states blank, label, blank, ..., blank. `from` (T, states): how many states back each came from. */
static void walk(const tl_ctc_scores *s, const int32_t *labels, int64_t states, float *row, double *best,
                 uint8_t *from)
{
    for (int64_t i = 0; i < states; i++) best[i] = -INFINITY;
    for (int64_t t = 0; t < s->frames; t++) {
        uint8_t *back = from + t * states;
        tl__ctc_frame(s, t, row);
        for (int64_t i = states - 1; i >= 0; i--) { /* from the end, so that those before are still of the last frame */
            int32_t label = i % 2 ? labels[i / 2] : s->blank;
            double v = t == 0 ? (i < 2 ? 0 : -INFINITY) : best[i];
            back[i] = 0;
            if (t > 0 && i > 0 && best[i - 1] > v) v = best[i - 1], back[i] = 1;
            if (t > 0 && i > 2 && i % 2 && label != labels[i / 2 - 1] && best[i - 2] > v) v = best[i - 2], back[i] = 2;
            best[i] = v + (double)row[label];
        }
    }
}

/* From the last frame to the first: which frames each label has. */
static void back_along(const tl_ctc_scores *s, const int32_t *labels, int64_t states, int64_t state,
                       const uint8_t *from, float *row, tl_ctc_text *out)
{
    float surest = 0;
    for (int64_t t = s->frames - 1; t >= 0; t--) {
        out->unknown += !tl__ctc_frame(s, t, row);
        if (state % 2) {
            tl_ctc_symbol *own = &out->symbols[state / 2];
            float v = row[labels[state / 2]];
            if (own->end == 0) *own = (tl_ctc_symbol){labels[state / 2], t, t + 1, t, 0};
            if (own->end == t + 1 || v >= surest) surest = v, own->peak = t;
            own->first = t;
            own->chance += v;
        } else out->blanks++;
        state -= from[t * states + state];
    }
    for (int64_t l = 0; l < out->count; l++) {
        tl_ctc_symbol *own = &out->symbols[l];
        own->chance = expf(own->chance / (float)(own->end - own->first));
    }
}

int tl__ctc_align(tl_error *err, const tl_ctc_scores *s, const int32_t *labels, int64_t count, tl_ctc_text *out)
{
    int64_t states = 2 * count + 1, wanted = tl__ctc_frames_wanted(labels, count);
    *out = (tl_ctc_text){0};
    if (wanted > s->frames)
        return tl__fail(err, TL_EARG, "%lld symbols want at least %lld frames, there are %lld", (long long)count,
                        (long long)wanted, (long long)s->frames);
    float *row = tl__calloc(err, (size_t)s->classes, sizeof *row);
    double *best = tl__calloc(err, (size_t)states, sizeof *best);
    uint8_t *from = tl__calloc(err, (size_t)(s->frames * states) + 1, 1);
    out->symbols = tl__calloc(err, (size_t)count + 1, sizeof *out->symbols);
    int bad = !row || !best || !from || !out->symbols;
    if (!bad && s->frames > 0) {
        walk(s, labels, states, row, best, from);
        int64_t end = count > 0 && best[states - 2] > best[states - 1] ? states - 2 : states - 1;
        out->count = count;
        out->score = best[end];
        if (isinf(best[end]))
            bad = tl__fail(err, TL_EARG, "no path through the frames spells the text: some symbol has no chance there");
        else back_along(s, labels, states, end, from, row, out);
    }
    free(row);
    free(best);
    free(from);
    if (bad) tl__ctc_text_free(out);
    return bad ? -1 : 0;
}
