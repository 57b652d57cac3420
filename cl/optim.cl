#include "common.clh"
/* optim.cl - one step over a stretch of flat parameters. One work-item: `chunk` elements. */

/* SGD: g += wd w; v = momentum v + (1 - dampening) g (first step: v = g); g = nesterov ? g + momentum v : v; w -= lr g */
__kernel void sgd(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, G float *restrict V, float lr, float wd, float momentum,
                  float dampening, int nesterov, int first)
{
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (i += at, end += at; i < end; i++) {
        float g = GR[i] + wd * W[i];
        if (momentum != 0.0f) {
            float v = first ? g : momentum * V[i] + (1.0f - dampening) * g;
            V[i] = v;
            g = nesterov ? g + momentum * v : v;
        }
        W[i] -= lr * g;
    }
}

/* Adam (Kingma and Ba 2015), as torch.optim.Adam: step = lr / (1 - beta1^t), root = sqrt(1 - beta2^t);
 * w -= step m / (sqrt(v) / root + eps). Decoupled decay (AdamW): w *= 1 - lr wd first, given as `shrink`. */
__kernel void adam(long at, long n, long chunk, G float *restrict W, G const float *restrict GR, G float *restrict M, G float *restrict V, float step,
                   float root, float beta1, float beta2, float eps, float wd, float shrink)
{
    long i = get_global_id(0) * chunk, end = min(i + chunk, n);
    for (i += at, end += at; i < end; i++) {
        float w = W[i] * shrink, g = GR[i] + wd * W[i];
        float m = M[i] + (g - M[i]) * (1.0f - beta1), v = beta2 * V[i] + (1.0f - beta2) * g * g;
        M[i] = m;
        V[i] = v;
        W[i] = w - step * (m / (sqrt(v) / root + eps));
    }
}
