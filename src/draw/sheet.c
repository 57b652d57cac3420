/* sheet.c - a page of pictures with words below them. */
#include "draw/sheet.h"

#include "draw/letters.h"
#include "draw/points.h"

#include <string.h>

#define GAP 8
#define LEAST_SIDE 96  /* smaller pictures are enlarged to this */
#define LARGE_SIDE 160 /* below pictures from here on the font is doubled */
#define LARGE_TAGS 600 /* likewise that of boxes, which stand on the picture */

void tl__sheet_free(tl_sheet *s) { tl__image_free(&s->page); }

static int cell_width(const tl_sheet *s) { return s->width * s->zoom + GAP; }
static int line_height(const tl_sheet *s) { return s->letters ? s->letters : (TL_GLYPH_HEIGHT + 1) * s->text; }
static int cell_height(const tl_sheet *s) { return s->height * s->zoom + s->lines * line_height(s) + GAP + 2 * s->text; }

int tl__sheet_open(tl_error *err, tl_sheet *s, int count, int columns, int height, int width, int lines, int letters)
{
    int shorter = height < width ? height : width;
    if (count < 1 || height < 1 || width < 1) return tl__fail(err, TL_EARG, "a sheet of %d pictures of %d x %d", count, height, width);
    *s = (tl_sheet){.count = count, .columns = columns, .width = width, .height = height, .lines = lines};
    s->zoom = shorter < LEAST_SIDE ? (LEAST_SIDE + shorter - 1) / shorter : 1;
    s->text = width * s->zoom >= LARGE_SIDE ? 2 : 1;
    if (letters) s->letters = tl__letters_height(s->text);
    while (s->columns < 1 || (columns < 1 && s->columns * s->columns < count)) s->columns++;
    if (s->columns > count) s->columns = count;
    int rows = (count + s->columns - 1) / s->columns;
    if (tl__image_reserve(err, &s->page, s->columns * cell_width(s) + GAP, rows * cell_height(s) + GAP, 3) != 0) return -1;
    memset(s->page.data, 255, (size_t)s->page.width * (size_t)s->page.height * 3);
    return 0;
}

static int left_of(const tl_sheet *s, int at) { return GAP + at % s->columns * cell_width(s); }
static int top_of(const tl_sheet *s, int at) { return GAP + at / s->columns * cell_height(s); }

static void write_line(tl_sheet *s, int left, int top, const char *text, const char *end)
{
    static const uint8_t black[3] = {0, 0, 0};
    if (s->letters) tl__draw_letters(&s->page, black, left, top, s->text, s->width * s->zoom, text, end);
    else tl__draw_text(&s->page, left, top, s->text, s->width * s->zoom, text, end);
}

int tl__sheet_put(tl_error *err, tl_sheet *s, int at, const tl_image *picture, const char *caption)
{
    if (at < 0 || at >= s->count || picture->width > s->width || picture->height > s->height)
        return tl__fail(err, TL_EARG, "a picture of %d x %d at place %d does not fit the sheet", picture->height, picture->width, at);
    int left = left_of(s, at), top = top_of(s, at);
    for (int y = 0; y < picture->height; y++) {
        for (int x = 0; x < picture->width; x++) {
            size_t pixel = (size_t)y * (size_t)picture->width + (size_t)x;
            const uint8_t *p = picture->data + pixel * (size_t)picture->channels;
            const uint8_t grey[3] = {p[0], p[0], p[0]};
            tl__draw_point(&s->page, left + x * s->zoom, top + y * s->zoom, s->zoom, picture->channels == 3 ? p : grey);
        }
    }
    top += s->height * s->zoom + 2 * s->text;
    for (int line = 0; line < s->lines && caption; line++) {
        const char *end = strchr(caption, '\n');
        write_line(s, left, top + line * line_height(s), caption, end ? end : caption + strlen(caption));
        caption = end ? end + 1 : NULL;
    }
    return 0;
}

void tl__sheet_boxes(tl_sheet *s, int at, const tl_drawn_box *box, int64_t count)
{
    const int area[4] = {left_of(s, at), top_of(s, at), s->width * s->zoom, s->height * s->zoom};
    int size = area[2] >= LARGE_TAGS ? 2 : 1;
    for (int64_t i = 0; i < count; i++) tl__draw_box(&s->page, &box[i], area, s->zoom, 2, size);
}
