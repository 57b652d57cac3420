/* audio_mp3.c - a look at an MP3 file before it is decoded: frame after frame by their headers (ISO/IEC 11172-3,
 * 13818-3), no samples. Where a frame is missing libmpg123, which libsndfile decodes with, looks for the next one and
 * says so on standard error, not to us. */
#include "io/audio_inside.h"

#include <string.h>

/* The length of a Layer III frame with this header; 0: it is none, -1: its length does not stand there (free format,
 * other layers). */
static int64_t frame_length(const uint8_t *b)
{
    static const int kbits[2][16] = {{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0},
                                     {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0}};
    static const int rates[4][3] = {{11025, 12000, 8000}, {0}, {22050, 24000, 16000}, {44100, 48000, 32000}};
    int version = b[1] >> 3 & 3, layer = b[1] >> 1 & 3, bits = b[2] >> 4, rate = b[2] >> 2 & 3;
    if (b[0] != 0xff || (b[1] & 0xe0) != 0xe0 || version == 1 || layer == 0 || bits == 15 || rate == 3) return 0;
    if (layer != 1 || bits == 0) return -1;
    return (version == 3 ? 144 : 72) * 1000 * kbits[version == 3][bits] / rates[version][rate] + (b[2] >> 1 & 1);
}

/* The length of a tag that begins so, 0 where none does; -1: the rest of the file is one. */
static int64_t tag_length(const uint8_t *b)
{
    static const char *const last[] = {"APETAGEX", "LYRICSBE", "LYRICS20"};
    if (memcmp(b, "TAG", 3) == 0) return 128;
    if (memcmp(b, "ID3", 3) == 0) /* seven bits a byte */
        return 10 + ((int64_t)(b[6] & 127) << 21 | (b[7] & 127) << 14 | (b[8] & 127) << 7 | (b[9] & 127)) +
               (b[5] & 16 ? 10 : 0);
    for (int i = 0; i < 3; i++)
        if (memcmp(b, last[i], 8) == 0) return -1;
    return 0;
}

static uint32_t high_first(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* How many frames the first one announces for the file (Xing's and LAME's header), or 0. */
static int64_t announced(const uint8_t *frame)
{
    for (int at = 4 + 9; at <= 4 + 32; at++)
        if ((memcmp(frame + at, "Xing", 4) == 0 || memcmp(frame + at, "Info", 4) == 0) && frame[at + 7] & 1)
            return high_first(frame + at + 8);
    return 0;
}

int tl__mp3_check(tl_error *err, const char *name, const void *from, tl__bytes_at *bytes, int64_t size,
                  int64_t *samples)
{
    uint8_t b[48];
    int64_t frames = 0, wanted = 0, length, at = 0;
    for (*samples = 0; at + 4 <= size; at += length) {
        memset(b, 0, sizeof b);
        bytes(from, at, b, sizeof b);
        if ((length = tag_length(b)) > 0) continue;
        if (length < 0) break;
        if (b[0] == 0 && frames) { /* padding */
            length = 1;
            continue;
        }
        length = frame_length(b);
        if (length < 0 || (length == 0 && frames == 0)) { /* nothing that can be looked at so */
            *samples = 0;
            return 0;
        }
        if (length == 0)
            return tl__fail(err, TL_EFORMAT,
                            "%s: the MP3 file is damaged: there is no frame at byte %lld; get it anew, or leave it out",
                            name, (long long)at);
        if (frames == 0) wanted = announced(b);
        if (at + length > size) break; /* streams that were recorded end so */
        frames++;
        *samples += (b[1] >> 3 & 3) == 3 ? 1152 : 576;
    }
    if (wanted) *samples = 0;
    if (wanted && frames < wanted) /* the frame that announces does not count itself */
        return tl__fail(err, TL_EFORMAT,
                        "%s: the MP3 file was cut short: %lld of %lld frames are there; get it anew, or leave it out",
                        name, (long long)frames, (long long)wanted);
    return 0;
}
