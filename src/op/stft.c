/* stft.c - short-time Fourier transforms of waves, and mel spectrograms in one
 * launch: launches of cl/stft.cl. */
#include "op/op.h"

#include <math.h>
#include <string.h>

static const tl_program program = {"stft", NULL};
enum { WAVE, WINDOW, BANK };
enum { N_FFT, HOP, PAD, PAD_MODE, REMOVE_MEAN, PREEMPHASIS, POWER, LOG, FLOOR, OFFSET };
enum { NO_LOG, NATURAL, DECADIC, DECIBEL };
static const char *const pad_modes[] = {"constant", "reflect", "replicate", "symmetric", NULL};
static const char *const logs[] = {"none", "log", "log10", "db", NULL};
extern const tl_op tl__op_stft, tl__op_mel_spectrogram;

/* Frames longer than this would be no speech, and more padding no sound. */
enum { MOST = 1 << 20 };

/* cl/stft.cl has the same struct. */
typedef struct stft_args {
    int64_t samples, frames, hop, before, after, length, n, points, bins, bands, blocks, per_group, room;
    float preemphasis, floor, offset, scale;
    int32_t mode, power, log, remove_mean, counted, unused;
} stft_args;

static int has_bank(const tl_call *c) { return c->op == &tl__op_mel_spectrogram; }
static int lengths_at(const tl_call *c) { return has_bank(c) ? BANK + 1 : WINDOW + 1; }

static int check_shapes(tl_error *err, const tl_call *c)
{
    const tl_shape *wave = &c->in_meta[WAVE].shape, *window = &c->in_meta[WINDOW].shape;
    int at = lengths_at(c);
    char a[TL__SHAPE_TEXT], b[TL__SHAPE_TEXT];
    if (wave->rank != 2 || window->rank != 1 || window->dim[0] < 1)
        return tl__op_fail(err, c, TL_ESHAPE, "waves (N, samples) and a window are needed, not %s and %s",
                           tl__shape_text(wave, a, sizeof a), tl__shape_text(window, b, sizeof b));
    if (c->n_in > at && c->present[at] &&
        (c->in_meta[at].shape.rank != 1 || c->in_meta[at].shape.dim[0] != wave->dim[0]))
        return tl__op_fail(err, c, TL_ESHAPE, "lengths %s are not one for each of %lld clips",
                           tl__shape_text(&c->in_meta[at].shape, a, sizeof a), (long long)wave->dim[0]);
    return 0;
}

/* What attributes and shapes say; not yet how the work is divided. */
static int geometry(tl_error *err, const tl_call *c, stft_args *a)
{
    if (check_shapes(err, c) != 0) return -1;
    const tl_value *v = c->attr;
    int64_t length = c->in_meta[WINDOW].shape.dim[0], n = v[N_FFT].i ? v[N_FFT].i : length, hop = v[HOP].i;
    int db = has_bank(c) && v[LOG].i == DECIBEL;
    *a = (stft_args){.samples = c->in_meta[WAVE].shape.dim[1],
                     .hop = hop ? hop : n / 4 ? n / 4 : 1,
                     .length = length,
                     .n = n,
                     .points = n % 2 ? n : n / 2,
                     .bins = n / 2 + 1,
                     .preemphasis = (float)v[PREEMPHASIS].f,
                     .mode = (int32_t)v[PAD_MODE].i,
                     .power = (int32_t)v[POWER].i,
                     .remove_mean = v[REMOVE_MEAN].i != 0,
                     .counted = c->n_in > lengths_at(c) && c->present[lengths_at(c)]};
    if (v[PAD].n > 0) a->before = v[PAD].list[0], a->after = v[PAD].list[v[PAD].n - 1];
    if (has_bank(c)) {
        a->log = v[LOG].i != NO_LOG;
        a->floor = (float)v[FLOOR].f;
        a->offset = (float)v[OFFSET].f;
        a->scale = v[LOG].i == NATURAL ? 1 : (float)((db ? a->power == 1 ? 20 : 10 : 1) / log(10));
    }
    if (n < length || n > MOST)
        return tl__op_fail(err, c, TL_EARG, "n_fft is %lld, but must be from %lld, the window's length, to %d",
                           (long long)n, (long long)length, MOST);
    if (a->hop < 1) return tl__op_fail(err, c, TL_EARG, "hop must be from 1 on, not %lld", (long long)hop);
    if (v[PAD].n > 2 || a->before < 0 || a->after < 0 || a->before > MOST || a->after > MOST)
        return tl__op_fail(err, c, TL_EARG, "pad must be one number or two, from 0 to %d", MOST);
    if (a->power < (has_bank(c) ? 1 : 0) || a->power > 2)
        return tl__op_fail(err, c, TL_EARG, "power must be %s, not %d",
                           has_bank(c) ? "1 (magnitudes) or 2" : "0 (complex numbers), 1 (magnitudes) or 2", a->power);
    if (a->samples + a->before + a->after < length)
        return tl__op_fail(err, c, TL_ESHAPE, "waves of %lld samples are shorter than a frame of %lld: pad them",
                           (long long)a->samples, (long long)length);
    a->frames = (a->samples + a->before + a->after - length) / a->hop + 1;
    return 0;
}

static int stft_infer(tl_error *err, tl_call *c)
{
    stft_args a;
    if (geometry(err, c, &a) != 0) return -1;
    c->n_out = 1;
    int64_t dims[] = {c->in_meta[WAVE].shape.dim[0], a.frames, a.bins, 2};
    c->out_meta[0] = (tl_meta){tl__shape(a.power ? 3 : 4, dims), TL_F32};
    return 0;
}

static int mel_infer(tl_error *err, tl_call *c)
{
    stft_args a;
    const tl_shape *bank = &c->in_meta[BANK].shape;
    char text[TL__SHAPE_TEXT];
    if (geometry(err, c, &a) != 0) return -1;
    if (bank->rank != 2 || bank->dim[1] != a.bins)
        return tl__op_fail(err, c, TL_ESHAPE, "a bank (bands, %lld bins) is needed, not %s", (long long)a.bins,
                           tl__shape_text(bank, text, sizeof text));
    if (a.floor < 0 || a.offset < 0 || (a.log && !(a.floor + a.offset > 0)))
        return tl__op_fail(err, c, TL_EARG, "a logarithm needs a floor or an offset above 0");
    c->n_out = 1;
    int64_t dims[] = {c->in_meta[WAVE].shape.dim[0], a.frames, bank->dim[0]};
    c->out_meta[0] = (tl_meta){tl__shape(3, dims), TL_F32};
    return 0;
}

/* ---- launches ---- */

/* The frames divided among groups: on processors vectors of frames, a few
 * stretches for each unit, so that all end at about the same time; on GPUs a
 * frame each, or as many groups as there is room for in global memory, where
 * local memory is short. */
typedef struct work {
    stft_args a;
    int64_t blocks;
    char options[32];
    tl_launch launch;
    tl_karg room;
} work;

enum { LOCAL_BYTES = 32 << 10, ITEMS = 64 };

static int divide(tl_scope *s, const tl_call *c, const char *kernel, int what, int64_t points, work *w)
{
    const tl_traits *t = &s->device->traits;
    stft_args *a = &w->a;
    int64_t v = t->vector_width, groups, items = 1, clips = c->in_meta[WAVE].shape.dim[0];
    size_t most = t->local_bytes && t->local_bytes < LOCAL_BYTES ? t->local_bytes : LOCAL_BYTES;
    a->room = 2 * points > a->n ? 2 * points : a->n;
    if (a->room < a->bins) a->room = a->bins;
    a->room *= v;
    a->blocks = (a->frames + v - 1) / v;
    w->blocks = a->blocks * clips;
    int local = !t->is_cpu && 2 * (size_t)a->room * sizeof(float) <= most;
    groups = local ? w->blocks : 8 * t->compute_units;
    if (groups > w->blocks) groups = w->blocks;
    a->per_group = groups ? (w->blocks + groups - 1) / groups : 1;
    groups = (w->blocks + a->per_group - 1) / a->per_group;
    snprintf(w->options, sizeof w->options, "-DWHAT=%d%s", what, local ? " -DLOCAL" : "");
    items = t->is_cpu ? 1 : (int64_t)tl__items_that_fit(&s->err, s->device, &program, w->options, kernel, ITEMS);
    if (items == 0) return -1;
    w->launch = (tl_launch){.program = &program,
                            .options = w->options,
                            .kernel = kernel,
                            .dims = 1,
                            .global = {(size_t)(groups * items)},
                            .local = {(size_t)items}};
    tl_tensor *room = local || !groups ? NULL : tl_empty(s, TL_F32, 2, (int64_t[]){groups, 2 * a->room});
    w->room = local ? TL_KLOCAL(2 * (size_t)a->room * sizeof(float)) : TL_KBUF(room ? room->buffer : NULL);
    return s->err.code ? -1 : 0;
}

typedef struct tables {
    tl_tensor *turns, *ranges;
} tables;

static int make_tables(tl_scope *s, const stft_args *a, tl_tensor *bank, tables *t)
{
    int64_t n = a->n > a->bands ? a->n : a->bands;
    t->turns = tl_empty(s, TL_F32, 2, (int64_t[]){a->n, 2});
    t->ranges = tl_empty(s, TL_I32, 2, (int64_t[]){a->bands + 1, 2});
    tl_launch l = {
        .program = &program, .options = "-DWHAT=0", .kernel = "stft_tables", .dims = 1, .global = {(size_t)n}};
    if (!t->turns || !t->ranges) return -1;
    return TL__LAUNCH(&s->err, s->device, &l, "stft", TL_KL(a->n), TL_KL(a->bins), TL_KL(a->bands), TL_KT(bank),
                      TL_KBUF(t->turns->buffer), TL_KBUF(t->ranges->buffer));
}

/* Into y: what `a` says, in power 0 to 2 or (what 2) in bands. */
static int transform(tl_scope *s, const tl_call *c, const stft_args *a, int what, tl_tensor *y)
{
    work w = {.a = *a};
    tables t;
    tl_tensor *bank = what == 2 ? c->in[BANK] : NULL, *lengths = a->counted ? c->in[lengths_at(c)] : NULL;
    if (what == 2) w.a.bands = bank->shape.dim[0];
    if (tl_numel(y) == 0) return 0;
    if (make_tables(s, &w.a, bank, &t) != 0 || divide(s, c, "stft", what, w.a.points, &w) != 0) return -1;
    return TL__LAUNCH(&s->err, s->device, &w.launch, c->op->name, TL_KDATA(&w.a), TL_KL(w.blocks), TL_KT(c->in[WAVE]),
                      TL_KT(c->in[WINDOW]), TL_KT(lengths), TL_KBUF(t.turns->buffer), TL_KT(bank),
                      TL_KBUF(t.ranges->buffer), w.room, TL_KT(y));
}

static int stft_forward(tl_scope *s, const tl_call *c)
{
    stft_args a;
    if (geometry(&s->err, c, &a) != 0) return -1;
    return transform(s, c, &a, a.power ? 1 : 0, c->out[0]);
}

static int mel_forward(tl_scope *s, const tl_call *c)
{
    stft_args a;
    return geometry(&s->err, c, &a) != 0 ? -1 : transform(s, c, &a, 2, c->out[0]);
}

/* ---- gradients ---- */

/* From that of complex bins, packed, to that of the wave: of each frame first,
 * then of the samples that they share. */
static tl_tensor *towards_wave(tl_scope *s, const tl_call *c, const stft_args *a, tl_tensor *g)
{
    work w = {.a = *a};
    tables t;
    const tl_shape *wave = &c->in_meta[WAVE].shape;
    tl_tensor *lengths = a->counted ? c->in[lengths_at(c)] : NULL;
    tl_tensor *frames = tl_empty(s, TL_F32, 3, (int64_t[]){wave->dim[0], a->frames, a->length});
    tl_tensor *dx = tl_empty(s, TL_F32, 2, wave->dim);
    if (!g || !frames || !dx || make_tables(s, a, NULL, &t) != 0) return NULL;
    if (tl_numel(dx) == 0) return dx;
    if (divide(s, c, "stft_frames_dx", 0, a->n, &w) != 0 ||
        TL__LAUNCH(&s->err, s->device, &w.launch, c->op->name, TL_KDATA(&w.a), TL_KL(w.blocks), TL_KT(g),
                   TL_KT(c->in[WINDOW]), TL_KT(lengths), TL_KBUF(t.turns->buffer), w.room, TL_KT(frames)) != 0)
        return NULL;
    tl_launch l = {.program = &program,
                   .options = "-DWHAT=0",
                   .kernel = "stft_wave_dx",
                   .dims = 2,
                   .global = {(size_t)wave->dim[1], (size_t)wave->dim[0]}};
    int bad = TL__LAUNCH(&s->err, s->device, &l, c->op->name, TL_KDATA(a), TL_KT(frames), TL_KT(lengths), TL_KT(dx));
    return bad ? NULL : dx;
}

/* The complex bins of the call, and from them powers or magnitudes. */
static tl_tensor *bins_again(tl_scope *s, const tl_call *c, const stft_args *a)
{
    tl_tensor *x = tl_empty(s, TL_F32, 4, (int64_t[]){c->in_meta[WAVE].shape.dim[0], a->frames, a->bins, 2});
    return x && transform(s, c, a, 0, x) == 0 ? x : NULL;
}

static tl_tensor *powers_of(tl_scope *s, tl_tensor *x, int power)
{
    tl_tensor *p = tl_sum(s, tl_square(s, x), (int[]){-1}, 1, 0);
    return power == 1 ? tl_sqrt(s, p) : p;
}

/* dX = 2 g X of powers, g X / |X| of magnitudes, where 0 stays 0. */
static tl_tensor *towards_bins(tl_scope *s, tl_tensor *g, tl_tensor *x, tl_tensor *p, int power)
{
    if (!g || !x || !p) return NULL;
    int64_t dims[] = {p->shape.dim[0], p->shape.dim[1], p->shape.dim[2], 1};
    g = power == 1 ? tl_div(s, g, tl_clamp(s, p, FLT_MIN, FLT_MAX)) : tl_mul_scalar(s, g, 2);
    return tl_mul(s, x, tl_reshape(s, g, 4, dims));
}

/* The formulas stand at towards_bins and at the kernels. */
static void stft_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    stft_args a;
    if (geometry(&s->err, c, &a) != 0) return;
    tl_tensor *g = tl__packed(s, gy[0]);
    if (a.power) {
        tl_tensor *x = bins_again(s, c, &a);
        g = towards_bins(s, g, x, powers_of(s, x, a.power), a.power);
    }
    gx[WAVE] = towards_wave(s, c, &a, g);
}

/* v = bank p, y = scale log(max(v, floor) + offset): dv = gy scale / (v +
 * offset) where v is not below the floor, dp = dv bank. What was on the way is
 * computed again, so that the forward need not keep it. */
static void mel_vjp(tl_scope *s, const tl_call *c, tl_tensor *const *gy, tl_tensor **gx)
{
    stft_args a;
    if (geometry(&s->err, c, &a) != 0) return;
    tl_tensor *x = bins_again(s, c, &a), *p = powers_of(s, x, a.power), *g = tl__packed(s, gy[0]);
    if (a.log) {
        tl_tensor *v = tl_linear(s, p, c->in[BANK], NULL, NULL, NULL), *floor = tl_full(s, TL_F32, 0, NULL, a.floor);
        tl_tensor *limited = tl_add_scalar(s, tl_maximum(s, v, floor), a.offset);
        g = tl_mul(s, tl_div(s, tl_mul_scalar(s, g, a.scale), limited), tl_ge(s, v, floor));
    }
    g = towards_bins(s, tl_matmul(s, g, c->in[BANK], 0, 0), x, p, a.power);
    gx[WAVE] = towards_wave(s, c, &a, g);
}

/* ---- descriptors ---- */

/* Five passes or so over each frame's numbers; bands are narrow, two weights a
 * bin. */
static double stft_flops(const tl_call *c)
{
    const tl_shape *y = &c->out_meta[0].shape;
    double n = (double)(c->attr[N_FFT].i ? c->attr[N_FFT].i : c->in_meta[WINDOW].shape.dim[0]);
    return (double)(y->dim[0] * y->dim[1]) * n * (2.5 * log2(n > 1 ? n : 2) + 4);
}

typedef struct stft_case {
    int64_t wave[2], window, n_fft, hop, pad[2];
    int mode, power, remove_mean, lengths;
    double preemphasis;
} stft_case;

static void take_case(tl_sampler *to, const tl_op *op, const stft_case *k, int64_t bands, int log)
{
    tl_sample v = tl__sample(op);
    int64_t bins = (k->n_fft ? k->n_fft : k->window) / 2 + 1;
    tl__sample_input(&v, 2, k->wave, -1, 1);
    tl__sample_input(&v, 1, &k->window, 0.1, 1);
    if (bands) tl__sample_input(&v, 2, (int64_t[]){bands, bins}, 0.1, 1);
    if (k->lengths) tl__sample_whole(&v, 1, k->wave, 2, (double)k->wave[1]);
    else tl__sample_absent(&v);
    v.attr[N_FFT].i = k->n_fft;
    v.attr[HOP].i = k->hop;
    v.attr[PAD] = (tl_value){.n = 2, .list = {k->pad[0], k->pad[1]}};
    v.attr[PAD_MODE].i = k->mode;
    v.attr[REMOVE_MEAN].i = k->remove_mean;
    v.attr[PREEMPHASIS].f = k->preemphasis;
    v.attr[POWER].i = k->power;
    if (bands) {
        v.attr[LOG].i = log;
        v.attr[FLOOR].f = log == DECADIC ? 0 : 0.05;
        v.attr[OFFSET].f = log == DECADIC ? 0.1 : 0;
    }
    v.tolerance = 0.01;
    to->take(to, &v);
}

static void stft_samples(tl_sampler *to)
{
    static const stft_case cases[] = {
        {{2, 33}, 8, 0, 3, {0, 0}, 0, 0, 0, 0, 0},   {{1, 50}, 12, 0, 5, {6, 6}, 1, 0, 0, 0, 0},
        {{3, 21}, 9, 0, 2, {4, 3}, 2, 0, 0, 1, 0},   {{2, 40}, 10, 16, 7, {0, 0}, 0, 2, 1, 0, 0.9},
        {{2, 17}, 7, 0, 4, {3, 5}, 3, 1, 1, 1, 0.5}, {{1, 90}, 30, 0, 0, {15, 15}, 1, 2, 0, 0, 0},
        {{1, 5}, 14, 14, 3, {12, 9}, 1, 2, 0, 0, 0}, {{2, 60}, 22, 26, 11, {13, 13}, 1, 1, 0, 1, 0},
        {{1, 1}, 1, 1, 1, {0, 0}, 0, 2, 0, 0, 0},    {{1, 130}, 50, 100, 9, {0, 2}, 2, 2, 0, 0, 0},
        {{1, 40}, 3, 5, 1, {2, 2}, 3, 0, 0, 0, 0.3}, {{1, 120}, 49, 0, 30, {24, 24}, 1, 0, 0, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) take_case(to, &tl__op_stft, &cases[i], 0, 0);
    if (to->small) return;
    static const stft_case whole = {{1, 1000}, 400, 0, 160, {200, 200}, 1, 2, 0, 0, 0};
    take_case(to, &tl__op_stft, &whole, 0, 0);
}

static void mel_samples(tl_sampler *to)
{
    static const stft_case cases[] = {{{2, 33}, 8, 0, 3, {0, 0}, 0, 2, 0, 0, 0},
                                      {{1, 50}, 12, 0, 5, {6, 6}, 1, 1, 0, 0, 0},
                                      {{3, 21}, 9, 0, 2, {4, 3}, 2, 2, 0, 1, 0},
                                      {{2, 40}, 10, 16, 7, {0, 0}, 0, 2, 1, 0, 0.9},
                                      {{2, 100}, 20, 0, 5, {10, 10}, 1, 2, 0, 1, 0}};
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++)
        take_case(to, &tl__op_mel_spectrogram, &cases[i], 3 + i, i % 4);
}

#define FRAME_ATTRS                                                                                                    \
    TL_INT("n_fft", 0,                                                                                                 \
           "points of the transform; behind a shorter window zeros; 0: the "                                           \
           "window's length"),                                                                                         \
        TL_INT("hop", 0, "samples from frame to frame; 0: a quarter of n_fft"),                                        \
        TL_INTS("pad", "samples added before and after each clip, one number "                                         \
                       "or two; none where not given"),                                                                \
        TL_CHOICE("pad_mode", pad_modes,                                                                               \
                  "zeros, or the clip itself: mirrored at its last sample, "                                           \
                  "that one again, or mirrored behind it"),                                                            \
        TL_BOOL_("remove_mean", 0, "each frame's mean is subtracted first"),                                           \
        TL_FLOAT("preemphasis", 0,                                                                                     \
                 "then, within the frame, so much of the sample before (of the "                                       \
                 "first: of itself)")

const tl_op tl__op_stft = {
    .name = "stft",
    .brief = "Fourier transforms of the frames of `wave` (N, samples), each "
             "times `window`: complex bins "
             "(N, frames, n_fft / 2 + 1, 2), or with `power` their magnitudes "
             "or squares (N, frames, n_fft / 2 + 1). "
             "`lengths` (N, int32) says how many samples each clip has: its "
             "padding begins there, and frames behind are "
             "0.",
    .inputs = {"wave", "window", "lengths?"},
    .attrs = {FRAME_ATTRS, TL_INT("power", 0, "0: complex numbers, 1: magnitudes, 2: their squares")},
    .constants = 1u << WINDOW,
    .int_inputs = 1u << (WINDOW + 1),
    .infer = stft_infer,
    .forward = stft_forward,
    .vjp = stft_vjp,
    .saves = TL_SAVE_IN(WAVE) | TL_SAVE_IN(WINDOW) | TL_SAVE_IN(WINDOW + 1),
    .flops = stft_flops,
    .torch = "stft(wave, window, lengths, n_fft, hop, pad, pad_mode, "
             "remove_mean, preemphasis, power)",
    .samples = stft_samples,
};

const tl_op tl__op_mel_spectrogram = {
    .name = "mel_spectrogram",
    .brief = "Bands of the spectra of `wave` (N, samples): the bins that "
             "`stft` gives with `power` times `bank` (bands, "
             "n_fft / 2 + 1), and their logarithms, in one launch that keeps "
             "no spectrum: (N, frames, bands). Frames "
             "behind `lengths` are those of silence.",
    .inputs = {"wave", "window", "bank", "lengths?"},
    .attrs = {FRAME_ATTRS, TL_INT("power", 2, "1: of magnitudes, 2: of their squares"),
              TL_CHOICE("log", logs, "the logarithm; db: 10 log10 of squares, 20 log10 of magnitudes"),
              TL_FLOAT("floor", 1e-10, "what is less becomes that before the logarithm"),
              TL_FLOAT("offset", 0, "what is added before the logarithm")},
    .constants = 1u << WINDOW | 1u << BANK,
    .int_inputs = 1u << (BANK + 1),
    .infer = mel_infer,
    .forward = mel_forward,
    .vjp = mel_vjp,
    .saves = TL_SAVE_IN(WAVE) | TL_SAVE_IN(WINDOW) | TL_SAVE_IN(BANK) | TL_SAVE_IN(BANK + 1),
    .flops = stft_flops,
    .torch = "mel_spectrogram(wave, window, bank, lengths, n_fft, hop, pad, "
             "pad_mode, remove_mean, preemphasis, power, "
             "log, floor, offset)",
    .samples = mel_samples,
};

static int choice(tl_scope *s, const char *op, const char *what, const char *const *list, const char *word, int64_t *at)
{
    for (*at = 0; word && list[*at]; ++*at)
        if (strcmp(word, list[*at]) == 0) return 0;
    return word ? tl__fail(&s->err, TL_EARG, "%s: %s is not %s", op, what, word) : 0;
}

static int fill(tl_scope *s, const char *op, const tl_stft_options *o, tl_value *a)
{
    if (!s || s->err.code) return -1;
    a[N_FFT].i = o->n_fft;
    a[HOP].i = o->hop;
    a[PAD] = (tl_value){.n = 2, .list = {o->before, o->after}};
    a[REMOVE_MEAN].i = o->remove_mean != 0;
    a[PREEMPHASIS].f = o->preemphasis;
    a[POWER].i = o->power;
    if (choice(s, op, "pad_mode", pad_modes, o->pad_mode, &a[PAD_MODE].i) != 0) return -1;
    a[FLOOR].f = o->floor;
    a[OFFSET].f = o->offset;
    return choice(s, op, "log", logs, o->log, &a[LOG].i);
}

tl_tensor *tl_stft(tl_scope *s, tl_tensor *wave, tl_tensor *window, tl_tensor *lengths, const tl_stft_options *o)
{
    tl_value a[TL_MAX_ATTRS] = {{0}};
    if (fill(s, "stft", o, a) != 0) return NULL;
    return tl__apply(s, &tl__op_stft, (tl_tensor *[]){wave, window, lengths}, 3, a, NULL);
}

tl_tensor *tl_mel_spectrogram(tl_scope *s, tl_tensor *wave, tl_tensor *window, tl_tensor *bank, tl_tensor *lengths,
                              const tl_stft_options *o)
{
    tl_value a[TL_MAX_ATTRS] = {{0}};
    if (fill(s, "mel_spectrogram", o, a) != 0) return NULL;
    return tl__apply(s, &tl__op_mel_spectrogram, (tl_tensor *[]){wave, window, bank, lengths}, 4, a, NULL);
}
