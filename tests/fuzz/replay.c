/* replay.c - runs a target of tests/fuzz over the files and folders it is given, once each: what was found stays mended, and no fuzzer
 * is needed for that. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static int count;

static void replay(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char inner[1024];
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.') replay(inner);
    }
    if (d) {
        closedir(d);
        return;
    }
    FILE *f = fopen(path, "rb");
    uint8_t *data = f ? malloc(1 << 24) : NULL;
    if (!data) {
        perror(path);
        exit(1);
    }
    size_t bytes = fread(data, 1, 1 << 24, f);
    fclose(f);
    uint8_t *own = malloc(bytes ? bytes : 1);
    memcpy(own, data, bytes);
    free(data);
    LLVMFuzzerTestOneInput(own, bytes);
    free(own);
    count++;
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) replay(argv[i]);
    printf("%d inputs\n", count);
    return count == 0;
}
