// OPTIONS -cl-std=CL1.2
/* Of this the compilers said what stands beside it: one kernel of each sort that must be told apart, and a function that is none. As
 * tools/test_compilers.sh compiles it, with clang 15, ptxas 13.0, gfx1030, ocloc 22.43. */
__attribute__((noinline)) float helper(float x, int n)
{
    for (int i = 0; i < n; i++) x = x * x + 1.0f;
    return x;
}

__kernel void plain(__global float *x, int n)
{
    int i = get_global_id(0);
    if (i < n) x[i] = helper(x[i], n);
}

__kernel void with_local(__global float *x)
{
    __local float t[1024];
    int i = get_local_id(0);
    t[i] = x[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    x[i] = t[1023 - i];
}

__kernel void with_array(__global float *x, __global const int *at)
{
    float t[40];
    for (int i = 0; i < 40; i++) t[i] = x[i];
    for (int i = 0; i < 40; i++) t[at[i]] += x[40 + i];
    for (int i = 0; i < 40; i++) x[i] = t[at[i + 40]];
}

__kernel void with_spills(__global float *x, __global float *y)
{
    float t[280], s = 0.0f;
#pragma unroll
    for (int i = 0; i < 280; i++) t[i] = x[i * 64 + get_local_id(0)];
    barrier(CLK_GLOBAL_MEM_FENCE);
#pragma unroll
    for (int i = 0; i < 280; i++) s = s * t[i] + y[i];
#pragma unroll
    for (int i = 0; i < 280; i++) s = s * t[279 - i] + y[i * i];
    x[get_local_id(0)] = s;
}
