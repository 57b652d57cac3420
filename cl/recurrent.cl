#include "common.clh"
/* recurrent.cl - one step of a recurrent layer. KIND: 0 tanh, 1 relu, 2 GRU, 3 LSTM; `width` features. From x come
 * XG (N, T, gates width), from the state so far HG (N, gates width); gates in PyTorch's order: r, z, n or i, f, g, o.
 * What the gradient wants is kept in S (N, T, kept width): r, z, n, h's part of n; or i, f, g, o, the cell. Work-item
 * (feature, sequence). */
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

static inline float logistic(float x) { return 1.0f / (1.0f + exp(-x)); }

/* H (and C, of the LSTM), the state (N, width), is moved in place; Y (N, T, width) has it too, 0 behind the length. */
__kernel void step_on(const step_args a, G const float *restrict XG, long x0, G const float *restrict HG, long h0,
                   G const int *restrict L, long l0, G float *restrict H, long s0, G float *restrict C, long c0,
                   G float *restrict Y, long y0, G float *restrict S, long k0 BOUND)
{
    INSIDE;
    long j = get_global_id(0), n = get_global_id(1), w = a.width, length = length_of(&a, L, l0, n);
    long t = time_of(&a, a.step, length), at = n * a.steps + t;
    G float *y = Y + y0 + at * w + j, *h = H + s0 + n * w + j, *kept = S + k0 + at * KEPT * w + j;
    if (a.step >= length) {
        *y = 0.0f;
        for (int k = 0; k < KEPT; k++) kept[k * w] = 0.0f;
        return;
    }
    G const float *xg = XG + x0 + at * GATES * w + j, *hg = HG + h0 + n * GATES * w + j;
#if KIND < 2
    float v = xg[0] + hg[0];
    *h = *y = KIND == 0 ? tanh(v) : v < 0.0f ? 0.0f : v;
#elif KIND == 2
    float r = logistic(xg[0] + hg[0]), z = logistic(xg[w] + hg[w]), m = hg[2 * w], v = tanh(xg[2 * w] + r * m);
    kept[0] = r;
    kept[w] = z;
    kept[2 * w] = v;
    kept[3 * w] = m;
    *h = *y = (1.0f - z) * v + z * *h;
#else
    G float *c = C + c0 + n * w + j;
    float i = logistic(xg[0] + hg[0]), f = logistic(xg[w] + hg[w]), g = tanh(xg[2 * w] + hg[2 * w]);
    float o = logistic(xg[3 * w] + hg[3 * w]), cell = f * *c + i * g;
    kept[0] = i;
    kept[w] = f;
    kept[2 * w] = g;
    kept[3 * w] = o;
    kept[4 * w] = *c = cell;
    *h = *y = o * tanh(cell);
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
__kernel void step_back(const step_args a, G const int *restrict L, long l0, G const float *restrict GY, long g0,
                        G const float *restrict Y, long y0, G const float *restrict P, long p0,
                        G const float *restrict S, long k0, G const float *restrict FIRST, long f0,
                        G const float *restrict DH, long dh0, G float *restrict CARRY, long ca0, G float *restrict DC,
                        long dc0, G float *restrict DX, long dx0, G float *restrict DG, long dg0,
                        G float *restrict DS, long ds0, int first BOUND)
{
    INSIDE;
    long j = get_global_id(0), n = get_global_id(1), w = a.width, length = length_of(&a, L, l0, n);
    long t = time_of(&a, a.step, length), at = n * a.steps + t, row = n * w + j;
    G float *dx = DX + dx0 + at * GATES * w + j, *dg = DG + dg0 + at * GATES * w + j,
            *ds = DS + ds0 + n * GATES * w + j;
    if (a.step >= length) {
        for (int k = 0; k < GATES; k++) dx[k * w] = dg[k * w] = ds[k * w] = 0.0f;
        return;
    }
    float d = GY[g0 + at * w + j] + DH[dh0 + row] + CARRY[ca0 + row];
#if KIND < 2
    float y = Y[y0 + at * w + j];
    float v = KIND == 0 ? d * (1.0f - y * y) : y <= 0.0f ? 0.0f : d;
    dx[0] = dg[0] = ds[0] = v;
    CARRY[ca0 + row] = 0.0f;
#elif KIND == 2
    G const float *kept = S + k0 + at * KEPT * w + j;
    float r = kept[0], z = kept[w], v = kept[2 * w], m = kept[3 * w];
    float dv = d * (1.0f - z) * (1.0f - v * v), dr = dv * m * r * (1.0f - r);
    float dz = d * (P[p0 + at * w + j] - v) * z * (1.0f - z);
    dx[0] = dg[0] = ds[0] = dr;
    dx[w] = dg[w] = ds[w] = dz;
    dx[2 * w] = dv;
    dg[2 * w] = ds[2 * w] = dv * r;
    CARRY[ca0 + row] = d * z;
#else
    G const float *kept = S + k0 + at * KEPT * w + j;
    float i = kept[0], f = kept[w], g = kept[2 * w], o = kept[3 * w], tc = tanh(kept[4 * w]);
    float before = first ? FIRST[f0 + row] : 0.0f;
    if (a.step > 0) before = S[k0 + ((n * a.steps + time_of(&a, a.step - 1, length)) * KEPT + 4) * w + j];
    float dc = DC[dc0 + row] + d * o * (1.0f - tc * tc);
    dx[0] = dg[0] = ds[0] = dc * g * i * (1.0f - i);
    dx[w] = dg[w] = ds[w] = dc * before * f * (1.0f - f);
    dx[2 * w] = dg[2 * w] = ds[2 * w] = dc * i * (1.0f - g * g);
    dx[3 * w] = dg[3 * w] = ds[3 * w] = d * tc * o * (1.0f - o);
    DC[dc0 + row] = dc * f;
    CARRY[ca0 + row] = 0.0f;
#endif
}
