/* saliency.c - drawing heat maps over pictures. */
#include "draw/saliency.h"

#include "draw/letters.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GAP 8
#define LEAST_SIDE 224   /* smaller pictures are enlarged to this */
#define TEXT_PER 320     /* pixels of width for which the font grows by one */
#define OPAQUE 0.75      /* of the hottest place */
#define UNSEEN 0.35      /* brightness of what the network was not shown */

/* Ten even steps of plasma (Smith and van der Walt 2015, in the public domain). */
static const uint8_t plasma[10][3] = {{13, 8, 135},   {70, 3, 159},    {114, 1, 168},  {156, 23, 158}, {189, 55, 134},
                                      {216, 87, 107}, {237, 121, 83}, {251, 159, 58}, {253, 202, 38}, {240, 249, 33}};

void tl__saliency_colour(double heat, double rgb[3])
{
    double at = heat <= 0 ? 0 : heat >= 1 ? 9 : 9 * heat;
    int i = at >= 9 ? 8 : (int)at;
    for (int c = 0; c < 3; c++) rgb[c] = plasma[i][c] + (at - i) * (plasma[i + 1][c] - plasma[i][c]);
}

/* As torchvision's Resize(resize) and CenterCrop(size) round. */
void tl__saliency_box(const tl_saliency *s, int height, int width, double box[4])
{
    box[0] = box[1] = 0;
    box[2] = width;
    box[3] = height;
    if (s->resize <= 0) return;
    int shorter = width < height ? width : height;
    double w = floor((double)s->resize * width / shorter), h = floor((double)s->resize * height / shorter);
    box[0] = nearbyint((w - s->size) / 2) * width / w;
    box[1] = nearbyint((h - s->size) / 2) * height / h;
    box[2] = s->size * width / w;
    box[3] = s->size * height / h;
}

/* The map at (y, x) in 0..1 of its height and width, as bilinear resizing without aligned corners has it. */
static double sample(const tl_saliency *s, double y, double x)
{
    y = fmin(fmax(y * s->height - 0.5, 0), s->height - 1);
    x = fmin(fmax(x * s->width - 0.5, 0), s->width - 1);
    int y0 = (int)y, x0 = (int)x, y1 = y0 + 1 < s->height ? y0 + 1 : y0, x1 = x0 + 1 < s->width ? x0 + 1 : x0;
    const float *a = s->map + (size_t)y0 * (size_t)s->width, *b = s->map + (size_t)y1 * (size_t)s->width;
    double above = a[x0] + (x - x0) * ((double)a[x1] - a[x0]), below = b[x0] + (x - x0) * ((double)b[x1] - b[x0]);
    return above + (y - y0) * (below - above);
}

typedef struct layout {
    int zoom, text, side, high; /* pixels a pixel, and of the font; width and height of a panel */
    int letters, line;          /* is a text of other letters than ASCII's? Pixels of a line */
} layout;

static uint8_t *pixel(tl_image *page, int y, int x) { return page->data + ((size_t)y * (size_t)page->width + (size_t)x) * 3; }

/* Both panels. The heat lies over the picture in grey, so that its own colours are not taken for heat. */
static void draw_panels(const tl_saliency *s, const layout *l, double hottest, const tl_image *picture, tl_image *page)
{
    double box[4], rgb[3];
    tl__saliency_box(s, picture->height, picture->width, box);
    for (int y = 0; y < l->high; y++) {
        for (int x = 0; x < l->side; x++) {
            const uint8_t *from = picture->data + ((size_t)(y / l->zoom) * (size_t)picture->width + (size_t)(x / l->zoom)) * 3;
            memcpy(pixel(page, GAP + y, GAP + x), from, 3);
            double v = ((y + 0.5) / l->zoom - box[1]) / box[3], u = ((x + 0.5) / l->zoom - box[0]) / box[2];
            double grey = 0.299 * from[0] + 0.587 * from[1] + 0.114 * from[2], heat = 0;
            int seen = u >= 0 && u <= 1 && v >= 0 && v <= 1;
            if (!seen) grey *= UNSEEN;
            else if (hottest > 0) heat = sample(s, v, u) / hottest;
            tl__saliency_colour(heat, rgb);
            uint8_t *to = pixel(page, GAP + y, 2 * GAP + l->side + x);
            for (int c = 0; c < 3; c++) to[c] = (uint8_t)(grey + OPAQUE * heat * (rgb[c] - grey) + 0.5);
        }
    }
}

static void write_line(tl_image *page, const layout *l, int x, int y, const char *text)
{
    static const uint8_t black[3] = {0, 0, 0};
    if (l->letters) tl__draw_letters(page, black, x, y, l->text, l->side, text, text + strlen(text));
    else tl__draw_text(page, x, y, l->text, l->side, text, text + strlen(text));
}

/* Height of the lines: of any letters where one of them has some. */
static void measure_lines(const tl_saliency *s, layout *l)
{
    int caption = tl__text_height(l->text, s->caption, s->caption + strlen(s->caption));
    int origin = tl__text_height(l->text, s->origin, s->origin + strlen(s->origin));
    l->line = caption > origin ? caption : origin;
    l->letters = l->line > TL_GLYPH_HEIGHT * l->text;
}

/* Below the heat map: its colours over a middle grey from none to most, and what it shows. */
static void draw_legend(const tl_saliency *s, const layout *l, tl_image *page)
{
    int left = 2 * GAP + l->side, top = 2 * GAP + l->high, high = l->line, line = high + 3 * l->text;
    double rgb[3];
    for (int x = 0; x < l->side; x++) {
        double heat = l->side > 1 ? (double)x / (l->side - 1) : 0;
        tl__saliency_colour(heat, rgb);
        for (int y = 0; y < high; y++)
            for (int c = 0; c < 3; c++) pixel(page, top + y, left + x)[c] = (uint8_t)(160 + OPAQUE * heat * (rgb[c] - 160) + 0.5);
    }
    write_line(page, l, left, top + line, s->origin);
    write_line(page, l, GAP, top, s->caption);
}

int tl__saliency_page(tl_error *err, const tl_saliency *s, const tl_image *picture, tl_image *page)
{
    if (picture->channels != 3 || picture->width < 1 || picture->height < 1 || s->height < 1 || s->width < 1)
        return tl__fail(err, TL_EARG, "a heat map of %d x %d over a picture of %d x %d x %d", s->height, s->width, picture->height, picture->width, picture->channels);
    int shorter = picture->width < picture->height ? picture->width : picture->height;
    layout l = {.zoom = shorter < LEAST_SIDE ? (LEAST_SIDE + shorter - 1) / shorter : 1};
    if (picture->width > 16384 || picture->height > 16384) return tl__fail(err, TL_EARG, "a picture of %d x %d is too large to draw on", picture->height, picture->width);
    l.side = picture->width * l.zoom;
    l.high = picture->height * l.zoom;
    l.text = 1 + l.side / TEXT_PER;
    measure_lines(s, &l);
    double hottest = 0;
    for (int i = 0; i < s->height * s->width; i++) {
        if (!isfinite(s->map[i])) return tl__fail(err, TL_EARG, "the heat map holds a number that is not finite");
        if (s->map[i] > hottest) hottest = s->map[i];
    }
    int lines = 2 * (l.line + 3 * l.text);
    if (tl__image_reserve(err, page, 2 * l.side + 3 * GAP, l.high + lines + 3 * GAP, 3) != 0) return -1;
    memset(page->data, 255, (size_t)page->width * (size_t)page->height * 3);
    draw_panels(s, &l, hottest, picture, page);
    draw_legend(s, &l, page);
    return 0;
}
