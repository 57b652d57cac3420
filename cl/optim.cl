#include "common.clh"
/* optim.cl - one step over a stretch of flat parameters. One work-item: `chunk` elements. */

/* SGD: g += wd w; v = momentum v + fresh g, fresh = 1 - dampening (first step: v = g); g = nesterov ? g + momentum v : v; w -= lr g */
__kernel void sgd(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, G float *restrict V, float lr, float wd, float momentum,
                  float fresh, int nesterov, int first)
{
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (i += at, end += at; i < end; i++) {
        float g = GR[i] + wd * W[i];
        if (momentum != 0.0f) {
            float v = first ? g : momentum * V[i] + fresh * g;
            V[i] = v;
            g = nesterov ? g + momentum * v : v;
        }
        W[i] -= lr * g;
    }
}

/* Adam (Kingma and Ba 2015), as torch.optim.Adam: step = lr / (1 - beta1^t), root = sqrt(1 - beta2^t), rest = 1 - beta;
 * w -= step m / (sqrt(v) / root + eps). Decoupled decay (AdamW): w *= 1 - lr wd first, given as `shrink`. */
__kernel void adam(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, G float *restrict M, G float *restrict V, float step,
                   float root, float rest1, float beta2, float rest2, float eps, float wd, float shrink)
{
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (i += at, end += at; i < end; i++) {
        float w = W[i] * shrink, g = GR[i] + wd * W[i];
        float m = M[i] + (g - M[i]) * rest1, v = beta2 * V[i] + rest2 * g * g;
        M[i] = m;
        V[i] = v;
        W[i] = w - step * (m / (sqrt(v) / root + eps));
    }
}

/* Gradients times a factor, in place. */
__kernel void scale_gradients(long at, long n, long chunk, G float *restrict GR, float factor)
{
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (i += at, end += at; i < end; i++) GR[i] *= factor;
}

/* out[k]: sum of the squares of gradients k chunk to (k + 1) chunk. */
__kernel void square_sums(long at, long n, long chunk, G const float *restrict GR, G float *restrict out)
{
    long k = get_global_id(0), i = k * chunk, end = min(i + chunk, n);
    float8 s = (float8)0.0f;
    for (i += at, end += at; i + 8 <= end; i += 8) {
        float8 g = vload8(0, GR + i);
        s = fma(g, g, s);
    }
    float4 h = s.lo + s.hi;
    float2 p = h.lo + h.hi;
    float sum = p.x + p.y;
    for (; i < end; i++) sum = fma(GR[i], GR[i], sum);
    out[k] = sum;
}
