/* boxes.c - frames and tags. A tag stands above its box where there is room, else inside of it, so that it is read in
 * any case; it is moved to the left where it would reach out of the picture. */
#include "draw/boxes.h"

#include "draw/letters.h"

#include <math.h>
#include <string.h>

/* The hue goes on by the golden ratio; every second colour is darker. */
void tl__box_colour(int k, uint8_t colour[3])
{
    double turn = 0.6180339887498949 * (double)(unsigned)k, hue = 6 * (turn - floor(turn)), value = k % 2 ? 170 : 235;
    for (int c = 0; c < 3; c++) {
        double at = fmod(hue + 6 - 2 * c, 6); /* distance from the channel's own hue */
        double far = at > 3 ? 6 - at : at, share = far <= 1 ? 1 : far >= 2 ? 0 : 2 - far;
        colour[c] = (uint8_t)(value * (0.1 + 0.9 * share));
    }
}

/* Fills [left, right) x [top, bottom) as far as it lies in the area {left, top, width, height}. */
static void fill(tl_image *page, const int area[4], int left, int top, int right, int bottom, const uint8_t colour[3])
{
    int most_x = area[0] + area[2] < page->width ? area[0] + area[2] : page->width;
    int most_y = area[1] + area[3] < page->height ? area[1] + area[3] : page->height;
    if (left < area[0]) left = area[0];
    if (top < area[1]) top = area[1];
    for (int y = top; y < bottom && y < most_y; y++)
        for (int x = left; x < right && x < most_x; x++)
            memcpy(page->data + ((size_t)y * (size_t)page->width + (size_t)x) * 3, colour, 3);
}

/* Whole pixels of the page, no further out than any picture reaches; what is no number lies out of the page. */
static int on_page(double v, int zoom, int from)
{
    double at = floor(v * zoom + 0.5);
    return from + (int)(!(at > -65536) ? -65536 : at > 1 << 20 ? 1 << 20 : at);
}

static void draw_tag(tl_image *page, const int area[4], const int box[4], const uint8_t colour[3], int size,
                     const char *text)
{
    static const uint8_t black[3] = {0, 0, 0}, white[3] = {255, 255, 255};
    const char *end = text + strlen(text);
    int height = tl__text_height(size, text, end) + 2 * size, width = tl__text_width(size, text, end);
    width = width > area[2] - size ? area[2] : width + size;
    int left = box[0], top = box[1] - height >= area[1] ? box[1] - height : box[1];
    if (left + width > area[0] + area[2]) left = area[0] + area[2] - width;
    if (left < area[0]) left = area[0];
    if (top < area[1]) top = area[1];
    if (top + height > area[1] + area[3] || top + height > page->height) return;
    fill(page, area, left, top, left + width, top + height, colour);
    int light = 299 * colour[0] + 587 * colour[1] + 114 * colour[2] > 128 * 1000;
    tl__draw_text_in(page, light ? black : white, left + size, top + size, size, width - size, text, end);
}

void tl__draw_box(tl_image *page, const tl_drawn_box *box, const int area[4], int zoom, int line, int size)
{
    uint8_t colour[3];
    int at[4];
    for (int k = 0; k < 4; k++) at[k] = on_page(box->at[k], zoom, area[k % 2]);
    tl__box_colour(box->colour, colour);
    fill(page, area, at[0], at[1], at[2], at[1] + line, colour);
    fill(page, area, at[0], at[3] - line, at[2], at[3], colour);
    fill(page, area, at[0], at[1], at[0] + line, at[3], colour);
    fill(page, area, at[2] - line, at[1], at[2], at[3], colour);
    if (box->text && *box->text) draw_tag(page, area, at, colour, size, box->text);
}
