/* embedding.c - the library as somebody else's C program sees it: the public header alone. Fits a line by
 * gradient descent. */
#include "tlua.h"

#include <math.h>
#include <stdio.h>

int main(void)
{
    tl_error err = {0};
    tl_device *d = tl_device_open(NULL, &err);
    if (!d) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    float xs[64], ys[64], w = 0;
    for (int i = 0; i < 64; i++) {
        xs[i] = (float)i / 32 - 1;
        ys[i] = 3 * xs[i];
    }
    for (int step = 0; step < 100; step++) {
        tl_scope *s = tl_scope_open(d, &err);
        tl_tensor *x = tl_from(s, TL_F32, 1, (int64_t[]){64}, xs), *y = tl_from(s, TL_F32, 1, (int64_t[]){64}, ys);
        tl_tensor *weight = tl_full(s, TL_F32, 0, NULL, w);
        tl_require_grad(s, weight, 1);
        tl_backward(s, tl_mean(s, tl_square(s, tl_sub(s, tl_mul(s, x, weight), y)), NULL, 0, 0), NULL, 0);
        if (tl_scope_failed(s)) {
            fprintf(stderr, "%s\n", tl_scope_error(s)->text);
            return 1;
        }
        w -= 0.5f * (float)tl_item(s, tl_grad(weight));
        tl_scope_close(s);
    }
    size_t live;
    tl_device_memory(d, &live, NULL, NULL);
    tl_device_release(d);
    printf("embedding: slope %.4f, %zu bytes left\n", (double)w, live);
    return fabsf(w - 3) < 1e-3f && live == 0 ? 0 : 1;
}
