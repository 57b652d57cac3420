/* kernels.c - a file of the kernel cache. What is let through is handed to the driver as it is, so it must be whole to the bit: the hash is made
 * right where the first byte says so. */
#include "fuzz.h"
#include "device/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2) return 0;
    size_t n = bytes - 1, length = 0;
    char *file = malloc(n), hex[65];
    never(!file);
    memcpy(file, data + 1, n);
    int whole = data[0] == 'w' && n > 72;
    if (whole) {
        tl_sha256 h;
        tl__sha256_init(&h);
        tl__sha256_update(&h, file + 72, n - 72);
        tl__sha256_final(&h, hex);
        memcpy(file, "tluaCL1\n", 8);
        memcpy(file + 8, hex, 64);
    }
    const unsigned char *binary = tl__program_in_file(file, n, &length);
    never(whole && (!binary || length != n - 72));
    never(binary && (length != n - 72 || memcmp(binary, file + 72, length) != 0));
    if (whole) { /* one bit of the contents or of the hash changed */
        file[8 + data[n] % (n - 8)] ^= 1;
        never(tl__program_in_file(file, n, &length) != NULL);
    }
    free(file);
    return 0;
}
