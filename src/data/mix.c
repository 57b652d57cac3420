/* mix.c - mixup (Zhang et al., arXiv 1710.09412) and cutmix (Yun et al., arXiv 1905.04899). */
#include "data/mix.h"

#include <math.h>
#include <string.h>

/* In (0, 1], so that its logarithm is finite. */
static double uniform(tl_rng_key key, uint64_t *draw)
{
    uint32_t r[4];
    tl__philox(key, (*draw)++, r);
    return 1.0 - (double)tl__uniform(r[0]);
}

/* The logarithm of a number from Gamma(a, 1): for small `a` the number itself may be zero. Marsaglia and Tsang, "A
 * simple method for generating gamma variables", 2000. */
static double log_gamma_draw(tl_rng_key key, uint64_t *draw, double a)
{
    double boost = a < 1 ? log(uniform(key, draw)) / a : 0, d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = (double)tl__rng_normal(key, 4 * (*draw)++), v = (1 + c * x) * (1 + c * x) * (1 + c * x);
        double u = uniform(key, draw);
        if (v > 0 && log(u) < 0.5 * x * x + d - d * v + d * log(v)) return log(d * v) + boost;
    }
}

static double beta_draw(tl_rng_key key, uint64_t *draw, double a)
{
    double x = log_gamma_draw(key, draw, a), y = log_gamma_draw(key, draw, a);
    return 1 / (1 + exp(y - x));
}

static int clamp(int v, int most) { return v < 0 ? 0 : v > most ? most : v; }

tl_mix tl__mix_draw(tl_rng_key key, double mixup, double cutmix, int height, int width)
{
    uint64_t draw = 2;
    tl_mix m = {.kind = TL_MIX_NONE, .share = 1};
    if (mixup <= 0 && cutmix <= 0) return m;
    m.kind = cutmix <= 0 || (mixup > 0 && tl__rng_below(key, 0, 2) == 0) ? TL_MIX_UP : TL_MIX_CUT;
    m.share = beta_draw(key, &draw, m.kind == TL_MIX_UP ? mixup : cutmix);
    if (m.kind == TL_MIX_UP) return m;
    int x = (int)tl__rng_below(key, draw, (uint64_t)width), y = (int)tl__rng_below(key, draw + 1, (uint64_t)height);
    double r = 0.5 * sqrt(1 - m.share);
    int half_width = (int)(r * width), half_height = (int)(r * height);
    m.left = clamp(x - half_width, width);
    m.right = clamp(x + half_width, width);
    m.top = clamp(y - half_height, height);
    m.bottom = clamp(y + half_height, height);
    m.share = 1 - (double)(m.right - m.left) * (m.bottom - m.top) / ((double)width * height);
    return m;
}

#define PART 1024

/* Mixes `count` (up to PART) numbers that stand at `x` in the first picture and `stride` further in each next. */
static void mix_part(const tl_mix *m, float *x, int n, size_t stride, size_t count)
{
    float last[PART], own = (float)m->share, other = (float)(1 - m->share);
    memcpy(last, x + (size_t)(n - 1) * stride, count * sizeof *x);
    for (int i = n - 1; i >= 0; i--) {
        float *to = x + (size_t)i * stride;
        const float *from = i ? to - stride : last;
        if (m->kind == TL_MIX_CUT)
            memcpy(to, from, count * sizeof *x);
        else
            for (size_t k = 0; k < count; k++) to[k] = from[k] * other + to[k] * own;
    }
}

void tl__mix_pictures(const tl_mix *m, float *x, int n, const int hwc[3])
{
    size_t c = (size_t)hwc[2], row = (size_t)hwc[1] * c, stride = (size_t)hwc[0] * row;
    int cut = m->kind == TL_MIX_CUT;
    if (m->kind == TL_MIX_NONE || n < 1) return;
    size_t from = cut ? (size_t)m->left * c : 0, to = cut ? (size_t)m->right * c : row;
    for (int y = cut ? m->top : 0; y < (cut ? m->bottom : hwc[0]); y++)
        for (size_t k = from; k < to; k += PART) mix_part(m, x + (size_t)y * row + k, n, stride, to - k < PART ? to - k : PART);
}
