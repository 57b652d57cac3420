#include "common.clh"
#include "random.clh"
/* frames.cl - slopes along time, and masks by chance, of X (clips, frames, bands), of which N says how many frames
 * count. */

INLINE long own_frames(G const int *N, int counted, long clip, long frames)
{
    return counted ? clamp((long)N[clip], 0L, frames) : frames;
}

/* y[t] = sum over k of k (x[t + k] - x[t - k]) scale, where frames outside are the nearest that count; 0 behind the
 * last. Work-item (band, frame, clip). */
__kernel void deltas(G const float *restrict X, long x0, G const int *restrict N, long n0, int counted,
                     G float *restrict Y, long y0, long frames, long bands, int reach, float scale BOUND)
{
    INSIDE;
    const long b = get_global_id(0), t = get_global_id(1), clip = get_global_id(2);
    const long n = own_frames(N + n0, counted, clip, frames);
    G const float *x = X + x0 + clip * frames * bands + b;
    float sum = 0.0f;
    if (t < n) {
        LOOP for (int k = 1; k <= reach; k++)
            sum += (float)k * (x[min(t + k, n - 1) * bands] - x[max(t - k, 0L) * bands]);
    }
    Y[y0 + (clip * frames + t) * bands + b] = sum * scale;
}

/* dx[i] = scale times the sum over t and k, up to `reach` apart, of k gy[t] where t + k stands for i, and of -k gy[t]
 * where t - k does. Work-item (band, frame, clip). */
__kernel void deltas_dx(G const float *restrict GY, long g0, G const int *restrict N, long n0, int counted,
                        G float *restrict DX, long x0, long frames, long bands, int reach, float scale BOUND)
{
    INSIDE;
    const long b = get_global_id(0), i = get_global_id(1), clip = get_global_id(2);
    const long n = own_frames(N + n0, counted, clip, frames);
    G const float *g = GY + g0 + clip * frames * bands + b;
    float sum = 0.0f;
    if (i < n) {
        LOOP for (long t = max(i - reach, 0L); t <= min(i + reach, n - 1); t++)
            for (int k = 1; k <= reach; k++) {
                int times = (min(t + k, n - 1) == i) - (max(t - k, 0L) == i);
                sum += (float)(times * k) * g[t * bands];
            }
    }
    DX[x0 + (clip * frames + i) * bands + b] = sum * scale;
}

/* Stretch number `at` of a clip: up to `most` long, anywhere in 0..n-1. */
INLINE long2 stretch(uint k0, uint k1, ulong at, long most, long n)
{
    uint4 r = philox(k0, k1, at);
    long width = min((long)(unit(r.x) * (float)(most + 1)), min(most, n));
    long start = min((long)(unit(r.y) * (float)(n - width + 1)), n - width);
    return (long2)(start, start + width);
}

/* Y is X, and `value` within the stretches of the clip: first those of bands, then those of frames. The gradient is
 * the same map with the value 0. Work-item (frame, clip). */
__kernel void spec_augment(G const float *restrict X, long x0, G const int *restrict N, long n0, int counted,
                           G float *restrict Y, long y0, long frames, long bands, int band_masks, long band_width,
                           int time_masks, long time_width, float time_share, float value, uint k0, uint k1 BOUND)
{
    INSIDE;
    const long t = get_global_id(0), clip = get_global_id(1), n = own_frames(N + n0, counted, clip, frames);
    const ulong first = (ulong)clip * (ulong)(band_masks + time_masks);
    const long width = min(time_width, (long)((float)n * time_share));
    G const float *x = X + x0 + (clip * frames + t) * bands;
    G float *y = Y + y0 + (clip * frames + t) * bands;
    int hidden = 0;
    LOOP for (int i = 0; i < time_masks && t < n; i++) {
        long2 s = stretch(k0, k1, first + (ulong)(band_masks + i), width, n);
        hidden |= t >= s.x && t < s.y;
    }
    LOOP for (long b = 0; b < bands; b++) y[b] = hidden ? value : x[b];
    if (t >= n) return;
    LOOP for (int i = 0; i < band_masks; i++) {
        long2 s = stretch(k0, k1, first + (ulong)i, band_width, bands);
        LOOP for (long b = s.x; b < s.y; b++) y[b] = value;
    }
}
