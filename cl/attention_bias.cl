#include "common.clh"
#include "random.clh"
/* attention_bias.cl - the gradient of attention's bias where cl/attention.cl is not used. A group has a square of SIDE
 * queries by SIDE keys of one head of the bias, a pair to a work-item, and adds up dS over the sequences and heads
 * that share the bias, in their order, so that nothing as large as all scores is kept. Plain code: no vectors, no
 * sub-groups. */
#include "attention.clh"

#define GROUP (SIDE * SIDE)
#define PART 32                /* features in local memory at a time */
#define LINE (PART | 1)

/* Features from `at` on of rows first.., zeros from row `count` on. */
static inline void fetch(__local float *to, G const float *from, long stride, int first, int count, int at)
{
    LOOP for (int x = get_local_id(0); x < SIDE * PART; x += GROUP) {
        int j = x / PART, d = x - j * PART;
        to[j * LINE + d] = first + j < count && at + d < HEAD ? from[(first + j) * stride + at + d] : 0.0f;
    }
}

/* DB (N or 1, heads or 1, tq or 1, tk) gets the sum of P (m dP - D), D being what the kernels of dq left; the formulas
 * stand at attention_gradient. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void
attention_bias(const attention_args a, G const float *restrict Q, G const float *restrict K, G const float *restrict V,
               G const int *restrict L, G const float *restrict B, G const float *restrict O,
               G const float *restrict S, G const float *restrict GO, G const float *restrict D, G float *restrict DB)
{
    __local float q[SIDE * LINE], k[SIDE * LINE], v[SIDE * LINE], go[SIDE * LINE], parts[GROUP];
    int id = get_local_id(0), y = id / SIDE, t = id % SIDE, squares = (a.tk + SIDE - 1) / SIDE;
    int j0 = (int)(GROUP_OF(0) % squares) * SIDE, j = j0 + t, hs = a.bias_h ? 1 : a.heads, bs = a.bias_n ? 1 : a.batch;
    /* One square of queries, or all of them where they share the bias. */
    int first = a.bias_q ? (int)(GROUP_OF(0) / squares) * SIDE : 0, end = a.bias_q ? min(first + SIDE, a.tq) : a.tq;
    float sum = 0.0f;
    O += a.o_at;
    S += a.s_at;
    GO += a.go_at;
    LOOP for (int x = 0; x < hs * bs; x++) {
        long h = get_global_id(1) + x % hs, b = get_global_id(2) + x / hs, lines = (b * a.heads + h) * a.tq;
        long q_at = a.q_at + b * a.tq * a.q_row + h * HEAD, o_at = b * a.tq * a.o_row + h * HEAD;
        long k_at = a.k_at + b * a.tk * a.k_row + h * HEAD, v_at = a.v_at + b * a.tk * a.v_row + h * HEAD;
        int keys = lengths_of(&a, L, b), queries = j0 < keys ? min(queries_of(&a, keys), end) : 0;
        LOOP for (int i0 = first; i0 < queries; i0 += SIDE) {
            int i = i0 + y;
            float score = 0.0f, dp = 0.0f;
            LOOP for (int at = 0; at < HEAD; at += PART) {
                barrier(CLK_LOCAL_MEM_FENCE);
                fetch(q, Q + q_at, a.q_row, i0, queries, at);
                fetch(go, GO + o_at, a.o_row, i0, queries, at);
                fetch(k, K + k_at, a.k_row, j0, keys, at);
                fetch(v, V + v_at, a.v_row, j0, keys, at);
                barrier(CLK_LOCAL_MEM_FENCE);
                LOOP for (int d = 0; d < PART; d++) {
                    score = fma(q[y * LINE + d], k[t * LINE + d], score);
                    dp = fma(go[y * LINE + d], v[t * LINE + d], dp);
                }
            }
            if (i >= queries || j >= keys || j >= i + a.reach) continue;
            score = score * a.scale + B[a.bias_at + b * a.bias_n + h * a.bias_h + i * a.bias_q + j * a.bias_k];
            dp *= factor(&a, lines + i, j);
            sum += exp(score - S[lines + i]) * (dp - D[lines + i]);
        }
    }
    G float *to = DB + get_global_id(1) * a.bias_h + get_global_id(2) * a.bias_n + j;
    if (a.bias_q) {
        if (first + y < end && j < a.tk) to[(first + y) * a.bias_q] = sum;
        return;
    }
    parts[id] = sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    sum = 0.0f;
    for (int row = 0; row < SIDE; row++) sum += parts[row * SIDE + t];
    if (y == 0 && j < a.tk) *to = sum;
}
