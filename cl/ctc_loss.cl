#include "softmax.clh"
/* ctc_loss.cl - connectionist temporal classification (Graves et al. 2006): minus the logarithm of the chance of all paths
 * that spell a target. X (N, T, K) logits. Of a target of U labels the states are b[0..U], the blank in front of label l
 * (behind the last one for l = U), and a[0..U-1], the labels. Both lie in rows of R = V + 2 W floats, a from V on, b from
 * V + W on, V being the floats of a vector and W a multiple of it of at least L + 1; what is no state is NONE. All chances
 * are logarithms, and each frame is scaled by the largest of one before, so that values stay small however long the clip is,
 * and their last bits fine. With e the logarithm of softmax(x) forwards is
 *   b'[l] = u[l] + e[blank],  u[l] = log(exp b[l] + exp a[l - 1]),
 *   a'[l] = log(exp a[l] + exp(label l = label l - 1 ? b[l] : u[l])) + e[label l],
 * and backwards, where a frame's own e is not in its states: with a" = a + e[label], b" = b + e[blank] of the frame behind
 *   b[l] = w[l] = log(exp b"[l] + exp a"[l]),
 *   a[l] = log(exp a"[l] + exp(label l = label l + 1 ? b"[l + 1] : w[l + 1])).
 * The sum of both directions, scaled to one in each frame, says how likely the path is in which state there: so nothing of
 * the gradient is a difference of large numbers.
 * Processors take a clip to a work-item, with vectors over l; GPUs a clip to a group of ITEMS, one of them to each l. */
#define NONE (-1e30f)          /* no chance: far below all others, and no infinity, of which differences are NaN */
#define IMPOSSIBLE (-1e29f)

/* src/op/ctc_loss.c has the same struct. */
typedef struct ctc_args {
    long frames, classes, labels, width, row;   /* T, K, L, W, R */
    int blank, some_frames, some_labels, unused;
} ctc_args;

/* What is wrong goes to the device error word: {kind, value, limit}. */
static inline int in_order(int ok, int kind, int value, long limit, G int *error)
{
    if (!ok && atomic_cmpxchg(error, 0, kind) == 0) {
        error[1] = value;
        error[2] = (int)limit;
    }
    return ok;
}

/* USE[n] = (frames, labels) of a clip, the frames -1 where something is wrong. LAB (N, W + 2): its labels from the second
 * element on, -1 around them. Y (N, L) targets; FRAMES and LABELS (N), where there are some. Work-item n. */
__kernel void ctc_prepare(const ctc_args o, G const int *restrict Y, long y0, G const int *restrict FRAMES, long f0,
                          G const int *restrict LABELS, long c0, G int *restrict USE, long u0, G int *restrict LAB,
                          long b0, G int *error BOUND)
{
    INSIDE;
    long n = get_global_id(0);
    int t = o.some_frames ? FRAMES[f0 + n] : (int)o.frames, u = o.some_labels ? LABELS[c0 + n] : (int)o.labels;
    G int *own = LAB + b0 + n * (o.width + 2) + 1;
    G const int *y = Y + y0 + n * o.labels;
    for (long l = -1; l <= o.width; l++) own[l] = -1;
    int ok = in_order(t >= 0 && t <= o.frames, 3, t, o.frames, error);
    ok = ok && in_order(u >= 0 && u <= o.labels, 4, u, o.labels, error);
    for (int l = 0; ok && l < u; l++) {
        int k = y[l];
        ok = in_order(k >= 0 && k < o.classes, 1, k, o.classes, error) && in_order(k != o.blank, 5, k, o.classes, error);
        if (ok) own[l] = k;
    }
    USE[u0 + 2 * n] = ok ? t : -1;
    USE[u0 + 2 * n + 1] = u;
}

/* LSE (N, T): log sum_k exp x of each frame that counts; work-item (frame, clip). */
__kernel void ctc_frames(const ctc_args o, G const float *restrict X, long x0, G const int *restrict USE, long u0,
                         G float *restrict LSE, long s0 BOUND)
{
    INSIDE;
    long t = get_global_id(0), n = get_global_id(1), r = n * o.frames + t;
    if (t >= USE[u0 + 2 * n]) return;
    G const float *x = X + x0 + r * o.classes;
    float m = row_max(x, o.classes);
    LSE[s0 + r] = m + log(row_exp_sum(x, o.classes, m));
}

static inline float log_add(float x, float y) { return (x > y ? x : y) + log(1.0f + exp(-fabs(x - y))); }

/* A logarithm of a chance, never below NONE; a NaN stays one. */
static inline float above_none(float e) { return e < NONE ? NONE : e; }

/* log softmax of a label less what is taken out. */
static inline float emitted(G const float *x, int label, float shift)
{
    return label < 0 ? NONE : above_none(x[label] - shift);
}

/* What the largest chance takes out of the next frame: nothing where no state has one. */
static inline float taken_out(float most) { return most < IMPOSSIBLE ? 0.0f : most; }

/* A sum of numbers that loses no digits (Kahan 1965): (sum, what it is too much). */
static inline float2 add_exactly(float2 sum, float more)
{
    float own = more - sum.y, all = sum.x + own;
    return (float2)(all, (all - sum.x) - own);
}

/* The loss of a clip from its last two states and what scaling has taken out. */
static inline float loss_of(float blank, float label, float taken)
{
    float chance = log_add(blank, label);
    return chance < IMPOSSIBLE ? INFINITY : -(chance + taken);
}

/* A clip without frames, or one that is wrong. */
static inline float loss_of_nothing(long frames, long labels) { return frames == 0 && labels > 0 ? INFINITY : 0.0f; }

#if TL_CPU
static inline vf log_add_v(vf x, vf y) { return (x > y ? x : y) + log((vf)1.0f + fast_exp(-fabs(x - y))); }

static inline float largest(vf v)
{
    float t[TL_VECTOR], m = NONE;
    VSTORE(v, 0, t);
    for (int i = 0; i < TL_VECTOR; i++) m = fmax(m, t[i]);
    return m;
}

INLINE vf emitted_v(G const float *x, G const int *lab, float shift)
{
    float t[TL_VECTOR];
    UNROLL for (int i = 0; i < TL_VECTOR; i++) t[i] = emitted(x, lab[i], shift);
    return VLOAD(0, t);
}

/* `same` where the labels are the same, else `other`. */
INLINE vf by_labels(G const int *one, G const int *two, vf same, vf other)
{
    return VLOAD(0, one) == VLOAD(0, two) ? same : other;
}

INLINE void fill(G float *x, long n)
{
    for (long i = 0; i < n; i += TL_VECTOR) VSTORE((vf)NONE, 0, x + i);
}

/* A (N, T, R): the states of every frame that counts, forwards; LOSS (N). Work-item n. */
__kernel void ctc_alpha(const ctc_args o, G const float *restrict X, long x0, G const int *restrict USE, long u0,
                        G const int *restrict LAB, long b0, G const float *restrict LSE, long s0, G float *restrict A,
                        long a0, G float *restrict LOSS, long o0)
{
    long n = get_global_id(0), frames = USE[u0 + 2 * n], labels = USE[u0 + 2 * n + 1];
    if (frames <= 0) {
        LOSS[o0 + n] = loss_of_nothing(frames, labels);
        return;
    }
    G const int *lab = LAB + b0 + n * (o.width + 2) + 1;
    G const float *x = X + x0 + n * o.frames * o.classes, *lse = LSE + s0 + n * o.frames;
    G float *a = A + a0 + n * o.frames * o.row + TL_VECTOR, *b = a + o.width;
    float2 taken = (float2)0.0f;
    fill(a - TL_VECTOR, o.row);
    a[0] = emitted(x, lab[0], lse[0]);
    b[0] = emitted(x, o.blank, lse[0]);
    float shift = taken_out(fmax(a[0], b[0]));
    for (long t = 1; t < frames; t++) {
        x += o.classes;
        a += o.row;
        b += o.row;
        taken = add_exactly(taken, shift);
        shift += lse[t];
        vf eb = (vf)emitted(x, o.blank, shift), most = (vf)NONE;
        fill(a - TL_VECTOR, TL_VECTOR);
        for (long l = 0; l < o.width; l += TL_VECTOR) {
            vf was = VLOAD(0, b - o.row + l), on = log_add_v(was, VLOAD(0, a - o.row + l - 1)), z = on + eb;
            vf y = log_add_v(VLOAD(0, a - o.row + l), by_labels(lab + l, lab + l - 1, was, on));
            y += emitted_v(x, lab + l, shift);
            VSTORE(y, 0, a + l);
            VSTORE(z, 0, b + l);
            most = fmax(most, fmax(y, z));
        }
        shift = taken_out(largest(most));
    }
    LOSS[o0 + n] = loss_of(b[labels], labels ? a[labels - 1] : NONE, taken.x);
}

/* SUM (N, T, R): the states of every frame that counts, forwards and backwards together. S (N, 3 W + 2 V) has a", b" and w,
 * the last two with NONE behind them. Work-item n. */
__kernel void ctc_beta(const ctc_args o, G const float *restrict X, long x0, G const int *restrict USE, long u0,
                       G const int *restrict LAB, long b0, G const float *restrict LSE, long s0,
                       G const float *restrict A, long a0, G float *restrict SUM, long m0, G float *restrict S, long r0)
{
    long n = get_global_id(0), frames = USE[u0 + 2 * n], labels = USE[u0 + 2 * n + 1], w = o.width;
    if (frames <= 0) return;
    G const int *lab = LAB + b0 + n * (w + 2) + 1;
    G const float *x = X + x0 + n * o.frames * o.classes, *lse = LSE + s0 + n * o.frames;
    G const float *alpha = A + a0 + n * o.frames * o.row + TL_VECTOR;
    G float *sum = SUM + m0 + n * o.frames * o.row + TL_VECTOR, *as = S + r0 + n * (3 * w + 2 * TL_VECTOR);
    G float *bs = as + w, *ws = bs + w + TL_VECTOR;
    float shift = 0.0f;
    fill(as, 3 * w + 2 * TL_VECTOR);
    for (long t = frames - 1; t >= 0; t--) {
        vf most = (vf)NONE;
        if (t == frames - 1) {
            ws[labels] = 0.0f;
            if (labels > 0) as[labels - 1] = 0.0f;
        } else {
            G const float *next = x + (t + 1) * o.classes;
            vf eb = (vf)emitted(next, o.blank, shift + lse[t + 1]);
            for (long l = 0; l < w; l += TL_VECTOR) {
                vf y = VLOAD(0, as + l) + emitted_v(next, lab + l, shift + lse[t + 1]), z = VLOAD(0, ws + l) + eb;
                VSTORE(y, 0, as + l);
                VSTORE(z, 0, bs + l);
                VSTORE(log_add_v(y, z), 0, ws + l);
            }
            for (long l = 0; l < w; l += TL_VECTOR) {
                vf then = by_labels(lab + l, lab + l + 1, VLOAD(0, bs + l + 1), VLOAD(0, ws + l + 1));
                vf y = log_add_v(VLOAD(0, as + l), then);
                VSTORE(y, 0, as + l);
                most = fmax(most, fmax(y, VLOAD(0, ws + l)));
            }
            shift = taken_out(largest(most));
        }
        for (long l = 0; l < w; l += TL_VECTOR) {
            VSTORE(VLOAD(0, as + l) + VLOAD(0, alpha + t * o.row + l), 0, sum + t * o.row + l);
            VSTORE(VLOAD(0, ws + l) + VLOAD(0, alpha + t * o.row + w + l), 0, sum + t * o.row + w + l);
        }
    }
}
#else
/* The largest of all that the work-items of a group have. */
static inline float largest(float own, __local float *all)
{
    all[get_local_id(0)] = own;
    barrier(CLK_LOCAL_MEM_FENCE);
    float m = NONE;
    LOOP for (int i = 0; i < ITEMS; i++) m = fmax(m, all[i]);
    return m;
}

#define SCALED_EVERY 8  /* frames between two searches for the largest state, which all of a group have to wait for */
/* States are in global memory; `all` of largest() is read before the next frames and written after them. */
#define FRAME_FENCE (CLK_GLOBAL_MEM_FENCE | CLK_LOCAL_MEM_FENCE)

/* One frame forwards, of the states of one work-item: a and b (W), in them R floats before those of the frame before where
 * this is not the first. Gives the largest. */
INLINE float forwards(const ctc_args *o, G const float *x, G const int *lab, float shift, long labels, int first,
                      G float *a, G float *b)
{
    float most = NONE;
    LOOP for (long l = get_local_id(0); l < o->width; l += ITEMS) {
        float y = l == 0 ? 0.0f : NONE, z = y;
        if (!first && l <= labels) {
            float was = b[l - o->row];
            z = log_add(was, l > 0 ? a[l - o->row - 1] : NONE);
            y = log_add(a[l - o->row], lab[l] == lab[l - 1] ? was : z);
        } else if (!first) y = z = NONE;
        a[l] = y += emitted(x, lab[l], shift);
        b[l] = z += emitted(x, o->blank, shift);
        most = fmax(most, fmax(y, z));
    }
    return most;
}

/* As above; group n. Its work-items tell each other the states of a frame by global memory. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void ctc_alpha(const ctc_args o, G const float *X, long x0, G const int *USE, long u0, G const int *LAB, long b0,
               G const float *LSE, long s0, G float *A, long a0, G float *LOSS, long o0)
{
    __local float all[ITEMS];
    long n = GROUP_OF(0), frames = USE[u0 + 2 * n], labels = USE[u0 + 2 * n + 1];
    G const int *lab = LAB + b0 + n * (o.width + 2) + 1;
    G const float *x = X + x0 + n * o.frames * o.classes, *lse = LSE + s0 + n * o.frames;
    G float *a = A + a0 + n * o.frames * o.row + TL_VECTOR, *b = a + o.width;
    float2 taken = (float2)0.0f;
    float shift = 0.0f;
    LOOP for (long begin = 0; begin < frames; begin += SCALED_EVERY) {
        float most = NONE;
        taken = add_exactly(taken, shift);
        LOOP for (long t = begin; t < min(begin + SCALED_EVERY, frames); t++) {
            most = forwards(&o, x + t * o.classes, lab, lse[t] + shift, labels, t == 0, a + t * o.row, b + t * o.row);
            shift = 0.0f;
            barrier(FRAME_FENCE);
        }
        shift = taken_out(largest(most, all));
    }
    if (get_local_id(0) == 0) {
        G const float *last = a + (frames - 1) * o.row;
        LOSS[o0 + n] = frames <= 0 ? loss_of_nothing(frames, labels)
                                   : loss_of(last[o.width + labels], labels ? last[labels - 1] : NONE, taken.x);
    }
}

/* One frame backwards, of the states of one work-item, from those of the frame `then` (a and b), of which x are the scores,
 * into `now`. Gives the largest. */
INLINE float backwards(const ctc_args *o, G const float *x, G const int *lab, float shift, long labels, int last,
                       G const float *then, G float *now, G const float *alpha, G float *sum)
{
    float most = NONE, eb = last ? 0.0f : emitted(x, o->blank, shift);
    LOOP for (long l = get_local_id(0); l < o->width; l += ITEMS) {
        float y = last && l == labels - 1 ? 0.0f : NONE, z = last && l == labels ? 0.0f : NONE;
        if (!last && l <= labels) {
            float label = then[l] + emitted(x, lab[l], shift);
            z = log_add(label, then[o->width + l] + eb);
            if (l < labels) {
                float after = then[o->width + l + 1] + eb;
                if (lab[l + 1] != lab[l]) after = log_add(after, then[l + 1] + emitted(x, lab[l + 1], shift));
                y = log_add(label, after);
            }
        }
        now[l] = y;
        now[o->width + l] = z;
        most = fmax(most, fmax(y, z));
        sum[l] = y + alpha[l];
        sum[o->width + l] = z + alpha[o->width + l];
    }
    return most;
}

/* As above; group n. S (N, 2, 2 W) has a and b of two frames, in turns. */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void ctc_beta(const ctc_args o, G const float *X, long x0, G const int *USE, long u0, G const int *LAB, long b0,
              G const float *LSE, long s0, G const float *A, long a0, G float *SUM, long m0, G float *S, long r0)
{
    __local float all[ITEMS];
    long n = GROUP_OF(0), frames = USE[u0 + 2 * n], labels = USE[u0 + 2 * n + 1], w = 2 * o.width;
    long at = n * o.frames * o.row + TL_VECTOR;
    G const int *lab = LAB + b0 + n * (o.width + 2) + 1;
    G const float *x = X + x0 + n * o.frames * o.classes, *lse = LSE + s0 + n * o.frames;
    G float *turns = S + r0 + 2 * n * w;
    float shift = 0.0f;
    LOOP for (long end = frames; end > 0; end -= SCALED_EVERY) {
        float most = NONE;
        LOOP for (long t = end - 1; t >= max(end - SCALED_EVERY, 0L); t--) {
            int last = t == frames - 1;
            most = backwards(&o, x + (t + 1) * o.classes, lab, last ? 0.0f : lse[t + 1] + shift, labels, last,
                             turns + (~t & 1) * w, turns + (t & 1) * w, A + a0 + at + t * o.row, SUM + m0 + at + t * o.row);
            shift = 0.0f;
            barrier(FRAME_FENCE);
        }
        shift = taken_out(largest(most, all));
    }
}
#endif

/* Y: the losses, or with `together` their sum times `share`; in a mean each over its labels. What is infinite is 0 where
 * `finite`. Work-item n, or one. */
__kernel void ctc_total(G const float *restrict LOSS, long o0, G const int *restrict USE, long u0, G float *restrict Y,
                        long y0, long clips, int together, int mean, float share, int finite BOUND)
{
    INSIDE;
    float2 sum = (float2)0.0f;
    for (long n = together ? 0 : get_global_id(0); n < clips; n++) {
        float v = LOSS[o0 + n];
        if (finite && isinf(v)) v = 0.0f;
        if (mean) v /= max(USE[u0 + 2 * n + 1], 1);
        if (!together) {
            Y[y0 + n] = v;
            return;
        }
        /* infinity and NaN would be lost in what is kept of rounding */
        sum = isfinite(v) && isfinite(sum.x) ? add_exactly(sum, v) : (float2)(sum.x + v, 0.0f);
    }
    Y[y0] = sum.x * share;
}

/* dx[k] = s (softmax(x)[k] - chance of the states of label k), s = gy (in a mean over the labels, times `share`). SUM
 * (N, T, R) is changed in place. Work-item (frame, clip). */
__kernel void ctc_grad(const ctc_args o, G const float *restrict X, long x0, G const int *restrict USE, long u0,
                       G const int *restrict LAB, long b0, G const float *restrict LSE, long s0, G float *restrict SUM,
                       long m0, G const float *restrict LOSS, long o0, G const float *restrict GY, long g0,
                       G float *restrict DX, long d0, int together, int mean, float share, int finite BOUND)
{
    INSIDE;
    long t = get_global_id(0), n = get_global_id(1), r = n * o.frames + t, labels = USE[u0 + 2 * n + 1];
    G const float *x = X + x0 + r * o.classes;
    G const int *lab = LAB + b0 + n * (o.width + 2) + 1;
    G float *d = DX + d0 + r * o.classes, *sum = SUM + m0 + r * o.row + TL_VECTOR;
    if (t >= USE[u0 + 2 * n] || (finite && isinf(LOSS[o0 + n]))) {
        for (long k = 0; k < o.classes; k++) d[k] = 0.0f;
        return;
    }
    float s = GY[g0 + (together ? 0 : n)] * share, lse = LSE[s0 + r], most = row_max(sum, 2 * o.width);
    if (mean) s /= max((int)labels, 1);
    if (most < IMPOSSIBLE) s = NAN;
    long k = 0;
    for (; k + TL_VECTOR <= o.classes; k += TL_VECTOR) VSTORE((vf)s * fast_exp(VLOAD(0, x + k) - (vf)lse), 0, d + k);
    for (; k < o.classes; k++) d[k] = s * exp(x[k] - lse);
    vf all = (vf)0.0f, blank = (vf)0.0f;
    for (long l = 0; l < o.width; l += TL_VECTOR) {
        vf y = exp(VLOAD(0, sum + l) - (vf)most), z = exp(VLOAD(0, sum + o.width + l) - (vf)most);
        VSTORE(y, 0, sum + l);
        all += y + z;
        blank += z;
    }
    float own[TL_VECTOR], whole = 0.0f, blanks = 0.0f;
    VSTORE(all, 0, own);
    for (int i = 0; i < TL_VECTOR; i++) whole += own[i];
    VSTORE(blank, 0, own);
    for (int i = 0; i < TL_VECTOR; i++) blanks += own[i];
    s /= whole;
    d[o.blank] -= s * blanks;
    for (long l = 0; l < labels; l++) d[lab[l]] -= s * sum[l];
}
