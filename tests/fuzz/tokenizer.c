/* tokenizer.c - a tokenizer.json and, behind a byte of zeros, a text. Without that byte the text is one that is hard on
 * normalizers. What comes out lies within the text. */
#include "fuzz.h"
#include "text/tokenizer.h"

#define HARD \
    "  Caf\xc3\xa9 \xed\x95\x9c\xea\xb8\x80 e\xcc\x81\xcc\xa3 1\xef\xbc\x92\xef\xac\x81 <s> [CLS]\r\n" \
    "\xf0\x9f\x8f\xb3 I'll a_b, \xe2\x96\x81x  "

static void check(const tl_tokenizer *t, const tl_encoding *e, size_t bytes[2])
{
    for (int64_t i = 0; i < e->count; i++) {
        size_t most = e->sequence[i] < 0 ? 0 : bytes[e->sequence[i]];
        never(e->from[i] < 0 || e->to[i] < e->from[i] || (size_t)e->to[i] > most);
        if (e->sequence[i] >= 0) never(!tl__tokenizer_piece(t, e->ids[i]) && e->ids[i] < 0);
    }
}

static void encode(const tl_tokenizer *t, const char *text, size_t length)
{
    static const tl_encode_options options[] = {{.stride = -1}, {.longest = 24, .stride = 2, .cut = TL_CUT_SECOND}};
    size_t bytes[2] = {length, sizeof HARD - 1};
    tl_error err = {0};
    tl_text_work *w = tl__text_work_new(&err);
    never(!w);
    for (int i = 0; i < 2; i++) {
        tl_encoding *windows;
        int64_t count;
        err = (tl_error){0};
        if (tl__tokenizer_encode(&err, t, w, text, length, i ? HARD : NULL, sizeof HARD - 1, &options[i], &windows,
                                 &count) != 0) {
            check_error(&err, "");
            continue;
        }
        for (int64_t k = 0; k < count; k++) check(t, &windows[k], bytes);
    }
    tl__text_work_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *zero = bytes ? memchr(data, 0, bytes) : NULL;
    size_t json = zero ? (size_t)(zero - data) : bytes, text = zero ? bytes - json - 1 : sizeof HARD - 1;
    char *copy = (char *)fuzz_copy(data, json);
    char *own = (char *)fuzz_copy(zero ? zero + 1 : (const uint8_t *)HARD, text);
    tl_error err = {0};
    tl_tokenizer *t = tl__tokenizer_read(&err, "f", copy, json);
    if (t) encode(t, own, text);
    else check_error(&err, "");
    tl__tokenizer_free(t);
    free(copy);
    free(own);
    return 0;
}
