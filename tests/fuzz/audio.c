/* audio.c - sound files of all formats, and pipes. The first byte of the input says how the sound is wanted. What
 * libsndfile does with wrong data is tried along with it. */
#include "fuzz.h"
#include "io/audio_inside.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return setenv("TLUA_MAX_SAMPLES", "200000",
                  1); /* a FLAC of 20 bytes may truly have many samples; the fuzzer is to be quick */
}

static void check_wave(const tl_wave *w)
{
    never(w->count < 0 || w->count > w->capacity || w->rate < TL_AUDIO_LEAST_RATE || w->rate > TL_AUDIO_MOST_RATE);
    for (int64_t i = 0; i < w->count; i++) never(isnan(w->data[i]));
}

static void from_pipe(const uint8_t *data, size_t bytes, int raw_rate)
{
    tl_error err = {0};
    int fd = open(fuzz_put("pipe", data, bytes), O_RDONLY);
    never(fd < 0);
    tl_frames *f = tl__sound_pipe(&err, "f", fd, 1, raw_rate);
    float *to = f ? malloc(1000 * (size_t)f->channels * sizeof *to) : NULL;
    int64_t n = 1;
    while (f && n > 0) {
        n = f->ops->read(&err, f, to, 1000);
        never(n > 1000 || n < 0);
    }
    if (f) f->ops->close(f);
    else check_error(&err, "f: ");
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) return 0;
    int how = data[0];
    if (how & 128) {
        from_pipe(data + 1, bytes - 1, how & 1 ? 16000 : 0);
        return 0;
    }
    uint8_t *copy = fuzz_copy(data + 1, bytes - 1);
    tl_audio_request request = {
        .rate = how & 1 ? 16000 : 0, .from = how & 2 ? 100 : 0, .count = how & 4 ? 50 : 0, .channel = how & 8 ? 1 : 0};
    tl_error err = {0};
    tl_audio_info info = {0};
    tl_audio_heard heard = {0};
    tl_wave w = {0};
    if (tl__audio_decode(&err, "f", copy, bytes - 1, &request, &info, &heard, &w) == 0) {
        never(info.channels < 1 || info.channels > TL_AUDIO_MOST_CHANNELS || w.count < 1 || !(heard.peak >= 0) ||
              !(heard.clipped <= 1));
        check_wave(&w);
    } else {
        check_error(&err, "f: ");
    }
    tl__wave_free(&w);
    free(copy);
    return 0;
}
