/* letters.c - names that are drawn and lined up: any bytes, whatever script, marks and controls they are. Nothing
 * is drawn beside the place of a text, and what is cut for a terminal is cut between characters. Two bytes say the
 * size and the room, the rest is the text. */
#include "fuzz.h"
#include "base/columns.h"
#include "draw/boxes.h"
#include "draw/letters.h"

enum { SIDE = 96 };

static void check_columns(const char *text, size_t bytes, int64_t most)
{
    int64_t all = tl__columns(text, bytes), sum = 0, wide;
    size_t kept = tl__columns_fit(text, bytes, most, 0), tail = tl__columns_fit(text, bytes, most, 1), at = 0;
    never(kept > bytes || tl__columns(text, kept) > most);
    never(tail > bytes || tl__columns(text + bytes - tail, tail) > most);
    int whole = kept == 0;
    while (at < bytes) {
        size_t n = tl__cluster(text + at, bytes - at, &wide);
        never(n == 0 || n > bytes - at || wide < 0);
        at += n;
        sum += wide;
        whole |= at == kept;
    }
    never(sum != all || !whole);
}

/* Draws at (8, 8) in white on black; all ink lies in the place. */
static void check_drawing(tl_image *page, int size, int width, const char *text, const char *end)
{
    static const uint8_t white[3] = {255, 255, 255};
    int high = tl__text_height(size, text, end);
    never(high < TL_GLYPH_HEIGHT * size || high > 4 * TL_GLYPH_HEIGHT * size || tl__text_width(size, text, end) < 0);
    memset(page->data, 0, SIDE * SIDE * 3);
    tl__draw_text_in(page, white, 8, 8, size, width, text, end);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            if (x < 8 || x >= 8 + width || y < 8 || y >= 8 + high) never(page->data[(y * SIDE + x) * 3] != 0);
    tl__letters_note();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2) return 0;
    char *text = fuzz_text(data + 2, bytes - 2);
    uint8_t pixels[SIDE * SIDE * 3];
    tl_image page = {.width = SIDE, .height = SIDE, .channels = 3, .data = pixels};
    check_columns(text, bytes - 2, data[0] % 40);
    check_drawing(&page, 1 + data[0] % 3, data[1] % 120, text, text + bytes - 2);
    const int area[4] = {4, 4, 80, 80};
    tl__draw_box(&page, &(tl_drawn_box){.at = {data[0] % 90, data[1] % 90, 70, 70}, .text = text}, area, 1, 2, 1);
    free(text);
    return 0;
}
