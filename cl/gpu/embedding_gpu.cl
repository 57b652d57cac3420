#include "common.clh"
#include "index.clh"
/* embedding_gpu.cl - cpu/embedding.cl's work for GPUs: rows of a table by number, T their type, work-items side by
 * side along a row; and the table's gradient by sorted segments. Numbers and the places that hold them are sorted as
 * one key, (number << 32 | place), so that equal numbers lie together with their places in order; what is no number
 * of a row has the largest key. Bitonic (Batcher 1968): BLOCK keys at once in local memory, larger distances by
 * launches of their own. Sums over the sorted places are taken in chunks; what a segment has in several of them is
 * added in their order. */
#ifndef T
#define T float
#endif
#define BLOCK 1024
#define NO_KEY ULONG_MAX

/* y[i, :] = table[ids[i], :]; work-item (column, i) */
__kernel void embedding_gpu(G const T *restrict table, long t0, G const int *restrict ids, long i0, G T *restrict Y,
                            long y0, long rows, long width, G int *error BOUND)
{
    INSIDE;
    long c = get_global_id(0), i = get_global_id(1);
    int id = ids[i0 + i], ok = id >= 0 && id < rows;
    if (c == 0) index_ok(id, rows, error);
    Y[y0 + i * width + c] = ok ? table[t0 + id * width + c] : 0;
}

/* The same of a table whose rows owe factors (tl_debt in src/device/device.h), which what is read has. */
__kernel void embedding_owing_gpu(G const float *restrict table, long t0, G const int *restrict ids, long i0,
                                  G float *restrict Y, long y0, long rows, long width, G int *error,
                                  G const int *restrict paid, G const float *restrict factors, long count BOUND)
{
    INSIDE;
    long c = get_global_id(0), i = get_global_id(1);
    int id = ids[i0 + i], ok = id >= 0 && id < rows, owes = ok && paid[id] == 0;
    float v = ok ? table[t0 + id * width + c] : 0.0f;
    if (c == 0) index_ok(id, rows, error);
    LOOP for (long k = 0; owes && k < count; k++) v *= factors[k];
    Y[y0 + i * width + c] = v;
}

/* One step of a bitonic sort: keys `apart` apart are put in order, in stretches of `length` that ascend and descend by
 * turns. Pair p of the whole. */
INLINE void in_order(__local ulong *keys, int p, int apart, long pair, long length)
{
    int i = 2 * apart * (p / apart) + p % apart;
    long whole = 2 * apart * (pair / apart) + pair % apart;
    ulong a = keys[i], b = keys[i + apart];
    if ((a > b) == ((whole & length) == 0)) {
        keys[i] = b;
        keys[i + apart] = a;
    }
}

/* The keys of a block, sorted up to stretches of BLOCK; `n` of `room` places have a number. */
__kernel void embedding_sort_gpu(G const int *restrict ids, long i0, G ulong *restrict K, long n, long rows)
{
    __local ulong keys[BLOCK];
    int id = get_local_id(0), items = get_local_size(0);
    long block = GROUP_OF(0);
    for (int x = id; x < BLOCK; x += items) {
        long i = block * BLOCK + x;
        int number = i < n ? ids[i0 + i] : -1;
        keys[x] = number >= 0 && number < rows ? (ulong)number << 32 | (ulong)i : NO_KEY;
    }
    for (int length = 2; length <= BLOCK; length *= 2)
        for (int apart = length / 2; apart > 0; apart /= 2) {
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int p = id; p < BLOCK / 2; p += items) in_order(keys, p, apart, block * (BLOCK / 2) + p, length);
        }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int x = id; x < BLOCK; x += items) K[block * BLOCK + x] = keys[x];
}

/* Keys BLOCK and more apart; a pair a work-item. */
__kernel void embedding_merge_gpu(G ulong *restrict K, long apart, long length BOUND)
{
    INSIDE;
    long p = get_global_id(0), i = 2 * apart * (p / apart) + p % apart;
    ulong a = K[i], b = K[i + apart];
    if ((a > b) == ((i & length) == 0)) {
        K[i] = b;
        K[i + apart] = a;
    }
}

/* What is left of a merge of `length`: keys of a block. */
__kernel void embedding_merge_block_gpu(G ulong *restrict K, long length)
{
    __local ulong keys[BLOCK];
    int id = get_local_id(0), items = get_local_size(0);
    long block = GROUP_OF(0);
    for (int x = id; x < BLOCK; x += items) keys[x] = K[block * BLOCK + x];
    for (int apart = BLOCK / 2; apart > 0; apart /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int p = id; p < BLOCK / 2; p += items) in_order(keys, p, apart, block * (BLOCK / 2) + p, length);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int x = id; x < BLOCK; x += items) K[block * BLOCK + x] = keys[x];
}

static inline int number_of(ulong key) { return key == NO_KEY ? -1 : (int)(key >> 32); }

/* The sums of gy over the places of `chunk` sorted keys, work-item (column, chunk of keys): a segment that lies
 * within goes to D, of others the part goes to P (chunks, 2, width): in 0 what began before this chunk, in 1 what
 * begins here. */
__kernel void embedding_sums_gpu(G const float *restrict GY, long g0, G const ulong *restrict K, G float *restrict D,
                                 long d0, G float *restrict P, long n, long chunk, long width BOUND)
{
    INSIDE;
    long c = get_global_id(0), part = get_global_id(1), first = part * chunk, end = min(first + chunk, n);
    int before = first > 0 ? number_of(K[first - 1]) : -1, after = end < n ? number_of(K[end]) : -1;
    int number = number_of(K[first]);
    float sum = 0.0f;
    LOOP for (long k = first; k < end && number >= 0; k++) {
        sum += GY[g0 + (long)(uint)K[k] * width + c];
        int next = k + 1 < end ? number_of(K[k + 1]) : -1;
        if (next == number) continue;
        if (number == before) P[2 * part * width + c] = sum; /* only the chunk's first can be */
        else if (k + 1 == end && number == after) P[(2 * part + 1) * width + c] = sum;
        else D[d0 + number * width + c] = sum;
        number = next;
        sum = 0.0f;
    }
}

/* Segments that begin in a chunk and go on behind it, work-item (column, chunk). */
__kernel void embedding_join_gpu(G const ulong *restrict K, G float *restrict D, long d0, G const float *restrict P,
                                 long n, long chunk, long width BOUND)
{
    INSIDE;
    long c = get_global_id(0), part = get_global_id(1), end = (part + 1) * chunk;
    if (end >= n) return;
    int number = number_of(K[end - 1]);
    if (number < 0 || number_of(K[end]) != number) return;
    if (part > 0 && number_of(K[part * chunk]) == number && number_of(K[part * chunk - 1]) == number) return;
    float sum = P[(2 * part + 1) * width + c];
    LOOP for (long q = part + 1; q * chunk < n && number_of(K[q * chunk]) == number; q++) sum += P[2 * q * width + c];
    D[d0 + number * width + c] = sum;
}
