/* fuzz.h - what the targets share. A target is one file with LLVMFuzzerTestOneInput, which hands any bytes to one reader of files:
 * it may refuse them with one line, and must not crash, hang, leak or take memory out of proportion. `make fuzz` builds each with
 * libFuzzer and sanitizers and runs it on its inputs (tests/fuzz/inputs/NAME) and what grows out of them; `make test` runs each once over its
 * inputs (replay.c). An input that found a fault is kept there, as small as it can be made. */
#ifndef TLUA_FUZZ_H
#define TLUA_FUZZ_H

#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What must never be so. */
static inline void never(int bad)
{
    if (bad) abort();
}

/* An error is one line that begins with `start`. FUZZ_SAY=1 shows it: whether an input reaches what it was made for. */
static inline void check_error(const tl_error *err, const char *start)
{
    if (getenv("FUZZ_SAY")) fprintf(stderr, "%s\n", err->text);
    never(err->code == TL_OK || strncmp(err->text, start, strlen(start)) != 0 || strchr(err->text, '\n') || strlen(err->text) >= sizeof err->text);
}

/* A folder in memory for readers that want files, the same for the whole process, removed at its end. */
static char fuzz_root[64];
static inline void fuzz_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fuzz_root);
    if (system(command) != 0) perror(command);
}
static inline const char *fuzz_folder(void)
{
    if (!*fuzz_root) {
        snprintf(fuzz_root, sizeof fuzz_root, "%s/tlua-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        never(mkdtemp(fuzz_root) == NULL);
        atexit(fuzz_remove);
    }
    return fuzz_root;
}

/* Writes a file of that name into the folder; its path, good until the next call. */
static inline const char *fuzz_put(const char *name, const void *data, size_t bytes)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    FILE *f = fopen(path, "wb");
    never(!f || fwrite(data, 1, bytes, f) != bytes || fclose(f) != 0);
    return path;
}

/* A copy of exactly the size, so that reading past its end is seen. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);
    never(!copy);
    if (bytes) memcpy(copy, data, bytes);
    return copy;
}

/* The same as a text with a zero at its end. */
static inline char *fuzz_text(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    never(!text);
    if (bytes) memcpy(text, data, bytes);
    text[bytes] = 0;
    return text;
}

#endif
