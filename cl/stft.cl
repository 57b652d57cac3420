#include "common.clh"
/* stft.cl - short-time Fourier transforms of waves (clips, samples), and mel spectrograms in the same launch: a frame
 * is loaded, windowed, transformed, squared, gathered into bands and its logarithm written, and no spectrum is kept.
 *
 * The transform is Stockham's (each pass reads one buffer and writes the other, so nothing is reordered at the end)
 * with passes of 4, 2, 3, 5 and of any prime: lengths of speech are 400 = 16 * 25 as often as 512, and a pass for a
 * prime costs no more than that part of a matrix product would. So there is no other way for odd sizes. A frame of even
 * length is half as many complex numbers, its even samples the real parts.
 *
 * On processors a group is one work-item, and the lanes of its vectors are neighbouring frames of a clip: no shuffles
 * whatever the radix. On GPUs a vector is one float, a group works on one frame, and its work-items share each pass.
 * Both run the same text: loops begin at FIRST, step by STEP and end in SYNC. Buffers lie in local memory with LOCAL,
 * else in global memory, a part for each group. */

typedef struct stft_args {
    long samples, frames, hop, before, after, length, n, points, bins, bands, blocks, per_group, room;
    float preemphasis, floor, offset, scale;
    int mode, power, log, remove_mean, counted, unused;
} stft_args;
enum { CONSTANT, REFLECT, REPLICATE, SYMMETRIC };

#ifdef LOCAL
#define B __local
#define SYNC barrier(CLK_LOCAL_MEM_FENCE)
#else
#define B __global
#define SYNC barrier(CLK_GLOBAL_MEM_FENCE)
#endif
#if TL_CPU
#undef SYNC
#define SYNC
#define FIRST 0
#define STEP 1
#else
#define FIRST ((int)get_local_id(0))
#define STEP ((int)get_local_size(0))
#endif
#define V TL_VECTOR
#define GET(p, i) VLOAD(0, (p) + (i) * V)
#define PUT(v, p, i) VSTORE((v), 0, (p) + (i) * V)

/* ---- frames ---- */

/* Which sample of a clip of `n` stands at place i of the padded one; -1: none, a zero. Mirrors reflect each other where
 * the padding is longer than the clip. */
INLINE long place(long i, long n, int mode)
{
    if (i >= 0 && i < n) return i;
    if (mode == CONSTANT || n < 1) return -1;
    if (mode == REPLICATE) return i < 0 ? 0 : n - 1;
    const long period = mode == REFLECT ? 2 * (n - 1) : 2 * n;
    if (period < 1) return 0;
    i = i % period;
    if (i < 0) i += period;
    return i < n ? i : period - i - (mode == SYMMETRIC);
}

INLINE long frames_of(const stft_args *a, long samples)
{
    long room = samples + a->before + a->after - a->length;
    return room < 0 ? 0 : room / a->hop + 1;
}

/* Lane l has x[i + l step]. */
INLINE vf lanes(G const float *x, long step)
{
#if V == 1
    return *x;
#else
    float t[V];
    UNROLL for (int l = 0; l < V; l++) t[l] = x[l * step];
    return VLOAD(0, t);
#endif
}

/* Lane l goes to y[l step], of the first m. */
INLINE void spread(vf v, G float *y, long step, int m)
{
#if V == 1
    if (m > 0) *y = v;
#else
    float t[V];
    VSTORE(v, 0, t);
    if (m == V) {
        UNROLL for (int l = 0; l < V; l++) y[l * step] = t[l];
    } else
        for (int l = 0; l < m; l++) y[l * step] = t[l];
#endif
}

/* Sample i of frames f, f + 1, ... of a clip of `n` samples, of which `own` there are; zeros in others. */
INLINE vf edge(const stft_args *a, G const float *x, long n, long own, long f, long i)
{
    float t[V];
    for (int l = 0; l < V; l++) {
        long at = f + l < own ? place((f + l) * a->hop - a->before + i, n, a->mode) : -1;
        t[l] = at < 0 ? 0.0f : x[at];
    }
#if V == 1
    return t[0];
#else
    return VLOAD(0, t);
#endif
}

/* Where real number i of a frame goes: into half as many complex numbers, or beside a zero. */
INLINE void put_real(const stft_args *a, B float *to, long i, vf v)
{
    if (a->points < a->n) PUT(v, to, i);
    else {
        PUT(v, to, 2 * i);
        PUT((vf)0.0f, to, 2 * i + 1);
    }
}

INLINE vf sum_of(B const float *x, long n)
{
    vf sum = (vf)0.0f;
    LOOP for (long i = 0; i < n; i++) sum += GET(x, i);
    return sum;
}

/* The frames f, ... into x as the transform wants them; y is for the way. */
INLINE void load(const stft_args *a, G const float *wave, long n, long own, long f, G const float *w,
                 B float *restrict x, B float *restrict y)
{
    long start = f * a->hop - a->before;
    int inside = start >= 0 && start + (V - 1) * a->hop + a->length <= n,
        plain = !a->remove_mean && a->preemphasis == 0.0f;
    if (inside && plain) {
        LOOP for (int i = FIRST; i < a->length; i += STEP)
            put_real(a, x, i, lanes(wave + start + i, a->hop) * (vf)w[i]);
    } else LOOP
    for (int i = FIRST; i < a->length; i += STEP) {
        vf v = inside ? lanes(wave + start + i, a->hop) : edge(a, wave, n, own, f, i);
        if (plain) put_real(a, x, i, v * (vf)w[i]);
        else PUT(v, y, i);
    }
    LOOP for (int i = (int)a->length + FIRST; i < a->n; i += STEP) put_real(a, x, i, (vf)0.0f);
    SYNC;
    if (plain) return;
    vf mean = a->remove_mean ? sum_of(y, a->length) / (vf)(float)a->length : (vf)0.0f;
    LOOP for (int i = FIRST; i < a->length; i += STEP) {
        vf v = GET(y, i) - mean, before = GET(y, i > 0 ? i - 1 : 0) - mean;
        put_real(a, x, i, (v - (vf)a->preemphasis * before) * (vf)w[i]);
    }
    SYNC;
}

/* ---- the transform ---- */

/* Number i of table T is (cos, sin)(2 pi i / n); it is used as cos - i sin. */
#define TURNED(re, im, at, y, to)                                                                                      \
    do {                                                                                                               \
        float c_ = T[2 * (at)], s_ = T[2 * (at) + 1];                                                                  \
        vf re_ = (re), im_ = (im);                                                                                     \
        PUT(fma((vf)c_, re_, (vf)s_ * im_), y, 2 * (to));                                                             \
        PUT(fma((vf)c_, im_, -(vf)s_ * re_), y, 2 * (to) + 1);                                                        \
    } while (0)

/* Numbers p + k m of x, k = 0..r-1, m = n / r, become numbers r p + t of y, each number being s of the transform's: a
 * sum over k with w_r^(k t), turned by w_n^(p t). Work goes by j = p s + q; `step` is how far the table is apart. */
typedef struct pass_args {
    int n, s, step;
} pass_args;
#if TL_CPU
#define EACH(r)                                                                                                        \
    for (int p = 0; p < a.n / (r); p++)                                                                                \
        for (int q = 0; q < a.s; q++)
#else
#define EACH(r)                                                                                                        \
    LOOP                                                                                                               \
    for (int j = FIRST, p = j / a.s, q = j % a.s; j < a.n / (r) * a.s; j += STEP, p = j / a.s, q = j % a.s)
#endif
#define RE(k) GET(x, 2 * (q + a.s * (p + (k) * m)))
#define IM(k) GET(x, 2 * (q + a.s * (p + (k) * m)) + 1)
#define AT(r, t) (q + a.s * ((r) * p + (t)))
#define TURN(t) (p * (t) * a.s * a.step)

INLINE void pass2(B const float *restrict x, B float *restrict y, G const float *restrict T, const pass_args a)
{
    const int m = a.n / 2;
    EACH (2) {
        vf ar = RE(0), ai = IM(0), br = RE(1), bi = IM(1);
        PUT(ar + br, y, 2 * AT(2, 0));
        PUT(ai + bi, y, 2 * AT(2, 0) + 1);
        TURNED(ar - br, ai - bi, TURN(1), y, AT(2, 1));
    }
}

INLINE void pass3(B const float *restrict x, B float *restrict y, G const float *restrict T, const pass_args a)
{
    const int m = a.n / 3;
    const vf h = (vf)0.86602540378443865f, half_ = (vf)0.5f;
    EACH (3) {
        vf ar = RE(0), ai = IM(0), br = RE(1), bi = IM(1), cr = RE(2), ci = IM(2);
        vf tr = br + cr, ti = bi + ci, ur = ar - half_ * tr, ui = ai - half_ * ti, vr = h * (bi - ci),
           vi_ = h * (cr - br);
        PUT(ar + tr, y, 2 * AT(3, 0));
        PUT(ai + ti, y, 2 * AT(3, 0) + 1);
        TURNED(ur + vr, ui + vi_, TURN(1), y, AT(3, 1));
        TURNED(ur - vr, ui - vi_, TURN(2), y, AT(3, 2));
    }
}

INLINE void pass4(B const float *restrict x, B float *restrict y, G const float *restrict T, const pass_args a)
{
    const int m = a.n / 4;
    EACH (4) {
        vf ar = RE(0), ai = IM(0), br = RE(1), bi = IM(1), cr = RE(2), ci = IM(2), dr = RE(3), di = IM(3);
        vf sr = ar + cr, si = ai + ci, ur = ar - cr, ui = ai - ci;
        vf tr = br + dr, ti = bi + di, wr = bi - di, wi = dr - br;
        PUT(sr + tr, y, 2 * AT(4, 0));
        PUT(si + ti, y, 2 * AT(4, 0) + 1);
        TURNED(ur + wr, ui + wi, TURN(1), y, AT(4, 1));
        TURNED(sr - tr, si - ti, TURN(2), y, AT(4, 2));
        TURNED(ur - wr, ui - wi, TURN(3), y, AT(4, 3));
    }
}

INLINE void pass5(B const float *restrict x, B float *restrict y, G const float *restrict T, const pass_args a)
{
    const int m = a.n / 5;
    const vf c1 = (vf)0.30901699437494742f, c2 = (vf)-0.80901699437494742f;
    const vf s1 = (vf)0.95105651629515357f, s2 = (vf)0.58778525229247313f;
    EACH (5) {
        vf ar = RE(0), ai = IM(0), br = RE(1), bi = IM(1), cr = RE(2), ci = IM(2), er = RE(4), ei = IM(4);
        vf tr = br + er, ti = bi + ei, ur = br - er, ui = bi - ei;
        br = RE(3);
        bi = IM(3);
        vf vr = cr + br, vi_ = ci + bi, wr = cr - br, wi = ci - bi;
        PUT(ar + tr + vr, y, 2 * AT(5, 0));
        PUT(ai + ti + vi_, y, 2 * AT(5, 0) + 1);
        vf pr = fma(c1, tr, fma(c2, vr, ar)), pi = fma(c1, ti, fma(c2, vi_, ai));
        vf gr = fma(s1, ui, s2 * wi), gi = -fma(s1, ur, s2 * wr);
        TURNED(pr + gr, pi + gi, TURN(1), y, AT(5, 1));
        TURNED(pr - gr, pi - gi, TURN(4), y, AT(5, 4));
        pr = fma(c2, tr, fma(c1, vr, ar));
        pi = fma(c2, ti, fma(c1, vi_, ai));
        gr = fma(s2, ui, -s1 * wi);
        gi = -fma(s2, ur, -s1 * wr);
        TURNED(pr + gr, pi + gi, TURN(2), y, AT(5, 2));
        TURNED(pr - gr, pi - gi, TURN(3), y, AT(5, 3));
    }
}

INLINE void pass_prime(B const float *restrict x, B float *restrict y, G const float *restrict T, const pass_args a,
                       int r)
{
    const int m = a.n / r;
    EACH (r) {
        LOOP for (int t = 0; t < r; t++) {
            vf re = (vf)0.0f, im = (vf)0.0f;
            int kt = 0;
            LOOP for (int k = 0; k < r; k++) {
                const int at = kt * m * a.s * a.step;
                const vf c = (vf)T[2 * at], s = (vf)T[2 * at + 1], xr = RE(k), xi = IM(k);
                re = fma(c, xr, fma(s, xi, re));
                im = fma(c, xi, fma(-s, xr, im));
                kt = kt + t < r ? kt + t : kt + t - r;
            }
            TURNED(re, im, TURN(t), y, AT(r, t));
        }
    }
}

INLINE int radix(int n)
{
    if (n % 4 == 0) return 4;
    if (n % 2 == 0) return 2;
    if (n % 3 == 0) return 3;
    if (n % 5 == 0) return 5;
    int r = 7;
    LOOP
    while (r * r <= n && n % r != 0) r += 2;
    return r * r <= n ? r : n;
}

/* `points` complex numbers of x; returns which of the two buffers has the result. */
INLINE B float *transform(B float *x, B float *y, G const float *restrict T, int points, int step)
{
    pass_args a = {points, 1, step};
    LOOP
    while (a.n > 1) {
        int r = radix(a.n);
        if (r == 4) pass4(x, y, T, a);
        else if (r == 2) pass2(x, y, T, a);
        else if (r == 3) pass3(x, y, T, a);
        else if (r == 5) pass5(x, y, T, a);
        else pass_prime(x, y, T, a, r);
        SYNC;
        B float *other = x;
        x = y;
        y = other;
        a.n /= r;
        a.s *= r;
    }
    return x;
}

/* Bin k of the transform z: of half as many numbers, E + w O with the transforms of even and odd samples. */
INLINE void bin(const stft_args *a, B const float *z, G const float *restrict T, int k, vf *re, vf *im)
{
    if (a->points == a->n) {
        *re = GET(z, 2 * k);
        *im = GET(z, 2 * k + 1);
        return;
    }
    const int m = (int)a->points, i = k == m ? 0 : k, j = k == 0 ? 0 : m - k;
    const vf c = (vf)(0.5f * T[2 * k]), s = (vf)(0.5f * T[2 * k + 1]), h = (vf)0.5f;
    vf zr = GET(z, 2 * i), zi = GET(z, 2 * i + 1), yr = GET(z, 2 * j), yi = GET(z, 2 * j + 1);
    vf odd_re = zi + yi, odd_im = yr - zr;
    *re = fma(c, odd_re, fma(s, odd_im, h * (zr + yr)));
    *im = fma(c, odd_im, fma(-s, odd_re, h * (zi - yi)));
}

/* ---- kernels ---- */

/* The group's two buffers, of a.room floats each; and its blocks. One with local memory has a single block, and AMD's
 * compiler keeps what does not change in a loop in more scalar registers than there are. */
#ifdef LOCAL
#define BUFFERS B float *one = S, *two = one + a.room
#define EACH_BLOCK for (long block = GROUP_OF(0); block < blocks; block = blocks)
#else
#define BUFFERS B float *one = S + GROUP_OF(0) * 2 * a.room, *two = one + a.room
#define EACH_BLOCK                                              \
    long end = min((GROUP_OF(0) + 1) * a.per_group, blocks);    \
    LOOP for (long block = GROUP_OF(0) * a.per_group; block < end; block++)
#endif

/* Y: WHAT 0 complex numbers (clips, frames, bins, 2), 1 magnitudes or powers (clips, frames, bins), 2 bands (clips,
 * frames, bands). Group g has blocks of V frames from g per_group on. W window, T table, K bank (bands, bins) and R the
 * bins from which on and up to which each band has weights, S room for buffers. */
__kernel void stft(const stft_args a, long blocks, G const float *restrict X, long x0, G const float *restrict W,
                   long w0, G const int *restrict N, long n0, G const float *restrict T, G const float *restrict K,
                   long k0, G const int *restrict R, B float *S, G float *restrict Y, long y0)
{
    BUFFERS;
    EACH_BLOCK {
        const long clip = block / a.blocks, f = (block - clip * a.blocks) * V;
        const long n = a.counted ? clamp((long)N[n0 + clip], 0L, a.samples) : a.samples;
        const int m = (int)min((long)V, a.frames - f);
        load(&a, X + x0 + clip * a.samples, n, frames_of(&a, n), f, W + w0, one, two);
        B float *z = transform(one, two, T, (int)a.points, (int)(a.n / a.points)), *free_ = z == one ? two : one;
        const long row = clip * a.frames + f;
        LOOP for (int k = FIRST; k < a.bins; k += STEP) {
            vf re, im;
            bin(&a, z, T, k, &re, &im);
#if WHAT == 0
            spread(re, Y + y0 + 2 * (row * a.bins + k), 2 * a.bins, m);
            spread(im, Y + y0 + 2 * (row * a.bins + k) + 1, 2 * a.bins, m);
#else
            vf p = fma(re, re, im * im);
            if (a.power == 1) p = sqrt(p);
#if WHAT == 1
            spread(p, Y + y0 + row * a.bins + k, a.bins, m);
#else
            PUT(p, free_, k);
#endif
#endif
        }
        SYNC;
#if WHAT == 2
        LOOP for (int b = FIRST; b < a.bands; b += STEP) {
            vf sum = (vf)0.0f;
            G const float *weights = K + k0 + b * a.bins;
            LOOP for (int k = R[2 * b]; k < R[2 * b + 1]; k++) sum = fma((vf)weights[k], GET(free_, k), sum);
            if (a.log) sum = (vf)a.scale * log((sum < (vf)a.floor ? (vf)a.floor : sum) + (vf)a.offset);
            spread(sum, Y + y0 + row * a.bands + b, a.bands, m);
        }
        SYNC;
#endif
    }
}

/* The gradient of complex bins GY (clips, frames, bins, 2) towards each frame, D (clips, frames, length): sums over the
 * bins of gy_re cos - gy_im sin, which are the real parts of the transform of their conjugates; then back through
 * window, pre-emphasis and mean. Whole numbers of `n` here. */
__kernel void stft_frames_dx(const stft_args a, long blocks, G const float *restrict GY, long g0,
                             G const float *restrict W, long w0, G const int *restrict N, long n0,
                             G const float *restrict T, B float *S, G float *restrict D, long d0)
{
    BUFFERS;
    EACH_BLOCK {
        const long clip = block / a.blocks, f = (block - clip * a.blocks) * V, row = clip * a.frames + f;
        const long n = a.counted ? clamp((long)N[n0 + clip], 0L, a.samples) : a.samples, own = frames_of(&a, n);
        const int m = (int)min((long)V, a.frames - f);
        LOOP for (int k = FIRST; k < a.n; k += STEP) {
            float re[V], im[V];
            for (int l = 0; l < V; l++) {
                G const float *g = GY + g0 + 2 * ((row + l) * a.bins + k);
                int there = k < a.bins && l < m && f + l < own;
                re[l] = there ? g[0] : 0.0f;
                im[l] = there ? -g[1] : 0.0f;
            }
            PUT(VLOAD(0, re), one, 2 * k);
            PUT(VLOAD(0, im), one, 2 * k + 1);
        }
        SYNC;
        B float *z = transform(one, two, T, (int)a.n, 1), *g = z == one ? two : one;
        LOOP for (int i = FIRST; i < a.length; i += STEP) PUT(GET(z, 2 * i) * (vf)W[w0 + i], g, i);
        SYNC;
        const vf c = (vf)a.preemphasis;
        vf mean = a.remove_mean ? ((vf)1.0f - c) * sum_of(g, a.length) / (vf)(float)a.length : (vf)0.0f;
        LOOP for (int i = FIRST; i < a.length; i += STEP) {
            vf v = GET(g, i);
            if (a.preemphasis != 0.0f) {
                if (i == 0) v -= c * v;
                if (i + 1 < a.length) v -= c * GET(g, i + 1);
            }
            spread(v - mean, D + d0 + row * a.length + i, a.length, m);
        }
        SYNC;
    }
}

/* What the frames of D have at place i of a padded clip, in the order of the frames. */
INLINE float overlaid(const stft_args *a, G const float *restrict D, long own, long i)
{
    long at = i + a->before, first = at < a->length ? 0 : (at - a->length) / a->hop + 1,
         last = min(at / a->hop, own - 1);
    float sum = 0.0f;
    LOOP for (long f = first; f <= last; f++) sum += D[f * a->length + at - f * a->hop];
    return sum;
}

/* DX (clips, samples): each sample gets what stands at its place, and at those places of the padding that repeat it.
 * Work-item (sample, clip). */
__kernel void stft_wave_dx(const stft_args a, G const float *restrict D, long d0, G const int *restrict N, long n0,
                           G float *restrict DX, long x0 BOUND)
{
    INSIDE;
    const long i = get_global_id(0), clip = get_global_id(1);
    const long n = a.counted ? clamp((long)N[n0 + clip], 0L, a.samples) : a.samples, own = frames_of(&a, n);
    G const float *d = D + d0 + clip * a.frames * a.length;
    float sum = 0.0f;
    if (i < n) {
        sum = overlaid(&a, d, own, i);
        if (a.mode != CONSTANT && (i <= a.before || i >= n - 1 - a.after)) {
            LOOP for (long k = 1; k <= a.before; k++)
                if (place(-k, n, a.mode) == i) sum += overlaid(&a, d, own, -k);
            LOOP for (long k = 0; k < a.after; k++)
                if (place(n + k, n, a.mode) == i) sum += overlaid(&a, d, own, n + k);
        }
    }
    DX[x0 + clip * a.samples + i] = sum;
}

/* T: (cos, sin)(2 pi i / n), worked out within an eighth of a turn, where float32 is exact enough. R: the first bin of
 * each band that has a weight, and the one behind the last. Work-item i. */
__kernel void stft_tables(long n, long bins, long bands, G const float *restrict K, long k0, G float *restrict T,
                          G int *restrict R BOUND)
{
    INSIDE;
    const long i = get_global_id(0);
    if (i < n) {
        const int part = (int)(8 * i / n), odd = part & 1;
        const long rest = 8 * i - part * n;
        const float angle = (float)(odd ? n - rest : rest) * (0.78539816339744831f / (float)n);
        float c = cos(angle), s = sin(angle);
        const int turned = (part + 1) / 2 % 4; /* quarters of a turn, after or before which the angle lies */
        if (odd) s = -s;
        T[2 * i] = turned == 0 ? c : turned == 1 ? -s : turned == 2 ? -c : s;
        T[2 * i + 1] = turned == 0 ? s : turned == 1 ? c : turned == 2 ? -s : -c;
    }
    if (i < bands) {
        G const float *weights = K + k0 + i * bins;
        int from = 0, to = (int)bins;
        while (from < to && weights[from] == 0.0f) from++;
        while (to > from && weights[to - 1] == 0.0f) to--;
        R[2 * i] = from;
        R[2 * i + 1] = to;
    }
}
