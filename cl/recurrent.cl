#include "common.clh"
/* recurrent.cl - one step of a recurrent layer. KIND: 0 tanh, 1 relu, 2 GRU, 3 LSTM; `width` features. From x come
 * XG (N, T, gates width), from the state so far HG (N, gates width); gates in PyTorch's order: r, z, n or i, f, g, o.
 * What the gradient wants is kept in S (N, T, kept width): r, z, n, h's part of n; or i, f, g, o, the cell. Work-item
 * (feature, sequence); with WIDE a vector of features, of which the width is a whole number. */
#define GATES (KIND < 2 ? 1 : KIND + 1)
#define KEPT (KIND < 2 ? 0 : KIND + 2)

typedef struct step_args {
    long steps, step, width;
    int reverse, lengths;       /* lengths: some sequences are shorter */
} step_args;

INLINE long length_of(const step_args *a, G const int *lengths, long l0, long n)
{
    return a->lengths ? clamp((long)lengths[l0 + n], 0L, a->steps) : a->steps;
}
/* Which element of its sequence a step is about; what lies behind the length comes last. */
INLINE long time_of(const step_args *a, long step, long length)
{
    return a->reverse && step < length ? length - 1 - step : step;
}

/* R is what a work-item has of a feature: a number, or a vector of them. */
#ifdef WIDE
typedef vf R;
#define FEATURE (get_global_id(0) * TL_VECTOR)
#define AT(p) VLOAD(0, (p))
#define PUT(v, p) VSTORE((v), 0, (p))
INLINE R logistic(R x) { return (R)1.0f / ((R)1.0f + fast_exp(-x)); }
/* Near 0 the polynomial of Cephes' tanhf (Moshier), else by way of exp. */
INLINE R hyperbolic(R x)
{
    R size = fabs(x), e = fast_exp((R)-2.0f * size), z = x * x, p = (R)-5.70498872745e-3f;
    p = fma(p, z, (R)2.06390887954e-2f);
    p = fma(p, z, (R)-5.37397155531e-2f);
    p = fma(p, z, (R)1.33314422036e-1f);
    p = fma(p, z, (R)-3.33332819422e-1f);
    return size < (R)0.625f ? fma(p * z, x, x) : copysign(((R)1.0f - e) / ((R)1.0f + e), x);
}
#else
typedef float R;
#define FEATURE get_global_id(0)
#define AT(p) (*(p))
#define PUT(v, p) (*(p) = (v))
static inline R logistic(R x) { return 1.0f / (1.0f + exp(-x)); }
#define hyperbolic tanh
#endif

/* H (and C, of the LSTM), the state (N, width), is moved in place; Y (N, T, width) has it too, 0 behind the length. */
__kernel void step_on(const step_args a, G const float *restrict XG, long x0, G const float *restrict HG, long h0,
                   G const int *restrict L, long l0, G float *restrict H, long s0, G float *restrict C, long c0,
                   G float *restrict Y, long y0, G float *restrict S, long k0 BOUND)
{
    INSIDE;
    long j = FEATURE, n = get_global_id(1), w = a.width, length = length_of(&a, L, l0, n);
    long t = time_of(&a, a.step, length), at = n * a.steps + t;
    G float *y = Y + y0 + at * w + j, *h = H + s0 + n * w + j, *kept = S + k0 + at * KEPT * w + j;
    if (a.step >= length) {
        PUT((R)0.0f, y);
        for (int k = 0; k < KEPT; k++) PUT((R)0.0f, kept + k * w);
        return;
    }
    G const float *xg = XG + x0 + at * GATES * w + j, *hg = HG + h0 + n * GATES * w + j;
#if KIND < 2
    R v = AT(xg) + AT(hg);
    v = KIND == 0 ? hyperbolic(v) : v < (R)0.0f ? (R)0.0f : v;
    PUT(v, y);
    PUT(v, h);
#elif KIND == 2
    R r = logistic(AT(xg) + AT(hg)), z = logistic(AT(xg + w) + AT(hg + w)), m = AT(hg + 2 * w);
    R v = hyperbolic(AT(xg + 2 * w) + r * m), to = ((R)1.0f - z) * v + z * AT(h);
    PUT(r, kept);
    PUT(z, kept + w);
    PUT(v, kept + 2 * w);
    PUT(m, kept + 3 * w);
    PUT(to, y);
    PUT(to, h);
#else
    G float *c = C + c0 + n * w + j;
    R i = logistic(AT(xg) + AT(hg)), f = logistic(AT(xg + w) + AT(hg + w)),
      g = hyperbolic(AT(xg + 2 * w) + AT(hg + 2 * w));
    R o = logistic(AT(xg + 3 * w) + AT(hg + 3 * w)), cell = f * AT(c) + i * g, to = o * hyperbolic(cell);
    PUT(i, kept);
    PUT(f, kept + w);
    PUT(g, kept + 2 * w);
    PUT(o, kept + 3 * w);
    PUT(cell, kept + 4 * w);
    PUT(cell, c);
    PUT(to, y);
    PUT(to, h);
#endif
}

/* PREVIOUS (N, T, width): the state that each step began with. FIRST (N, width), where `first`, else 0. */
__kernel void previous(const step_args a, G const int *restrict L, long l0, G const float *restrict FIRST, long f0,
                       G const float *restrict Y, long y0, G float *restrict P, long p0, int first BOUND)
{
    INSIDE;
    long j = get_global_id(0), n = get_global_id(1), w = a.width, length = length_of(&a, L, l0, n);
    float h = first ? FIRST[f0 + n * w + j] : 0.0f;
    for (long step = 0; step < a.steps; step++) {
        long at = (n * a.steps + time_of(&a, step, length)) * w + j;
        P[p0 + at] = step < length ? h : 0.0f;
        h = Y[y0 + at];
    }
}

/* One step back. What flows into h: GY (N, T, width), DH (N, width) by way of the gates of the step after, and CARRY
 * (N, width) past them; into c: DC. DX and DG (N, T, gates width): the gradients of the gates towards x and towards h
 * (the same where they are not a GRU's), the latter of this step again in DS (N, gates width). P: the states before;
 * FIRST (N, width): the cell in the beginning, where `first`. */
#define GATE(v, k)                        \
    do {                                  \
        R gate = (v);                     \
        PUT(gate, dx + (k) * w);          \
        PUT(gate, dg + (k) * w);          \
        PUT(gate, ds + (k) * w);          \
    } while (0)
__kernel void step_back(const step_args a, G const int *restrict L, long l0, G const float *restrict GY, long g0,
                        G const float *restrict Y, long y0, G const float *restrict P, long p0,
                        G const float *restrict S, long k0, G const float *restrict FIRST, long f0,
                        G const float *restrict DH, long dh0, G float *restrict CARRY, long ca0, G float *restrict DC,
                        long dc0, G float *restrict DX, long dx0, G float *restrict DG, long dg0,
                        G float *restrict DS, long ds0, int first BOUND)
{
    INSIDE;
    long j = FEATURE, n = get_global_id(1), w = a.width, length = length_of(&a, L, l0, n);
    long t = time_of(&a, a.step, length), at = n * a.steps + t, row = n * w + j;
    G float *dx = DX + dx0 + at * GATES * w + j, *dg = DG + dg0 + at * GATES * w + j,
            *ds = DS + ds0 + n * GATES * w + j;
    if (a.step >= length) {
        for (int k = 0; k < GATES; k++) GATE((R)0.0f, k);
        return;
    }
    R d = AT(GY + g0 + at * w + j) + AT(DH + dh0 + row) + AT(CARRY + ca0 + row);
#if KIND < 2
    R y = AT(Y + y0 + at * w + j);
    R v = KIND == 0 ? d * ((R)1.0f - y * y) : y <= (R)0.0f ? (R)0.0f : d;
    GATE(v, 0);
    PUT((R)0.0f, CARRY + ca0 + row);
#elif KIND == 2
    G const float *kept = S + k0 + at * KEPT * w + j;
    R r = AT(kept), z = AT(kept + w), v = AT(kept + 2 * w), m = AT(kept + 3 * w);
    R dv = d * ((R)1.0f - z) * ((R)1.0f - v * v), dr = dv * m * r * ((R)1.0f - r);
    R dz = d * (AT(P + p0 + at * w + j) - v) * z * ((R)1.0f - z);
    GATE(dr, 0);
    GATE(dz, 1);
    PUT(dv, dx + 2 * w);
    PUT(dv * r, dg + 2 * w);
    PUT(dv * r, ds + 2 * w);
    PUT(d * z, CARRY + ca0 + row);
#else
    G const float *kept = S + k0 + at * KEPT * w + j;
    R i = AT(kept), f = AT(kept + w), g = AT(kept + 2 * w), o = AT(kept + 3 * w), tc = hyperbolic(AT(kept + 4 * w));
    R before = (R)0.0f;
    if (first) before = AT(FIRST + f0 + row);
    if (a.step > 0) before = AT(S + k0 + ((n * a.steps + time_of(&a, a.step - 1, length)) * KEPT + 4) * w + j);
    R dc = AT(DC + dc0 + row) + d * o * ((R)1.0f - tc * tc);
    GATE(dc * g * i * ((R)1.0f - i), 0);
    GATE(dc * before * f * ((R)1.0f - f), 1);
    GATE(dc * i * ((R)1.0f - g * g), 2);
    GATE(d * tc * o * ((R)1.0f - o), 3);
    PUT(dc * f, DC + dc0 + row);
    PUT((R)0.0f, CARRY + ca0 + row);
#endif
}
