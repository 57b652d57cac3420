/* letters.c - drawing words. Glyphs of the system's fonts are hinted in their height alone (FreeType's light mode),
 * placed to a 64th of a pixel along the line, and laid over the page by their coverage. */
#include "draw/letters.h"

#include "draw/line.h"
#include "draw/points.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Pixels of an em: what Hangul can be read at, how small letters that tower are made, and what nobody needs. */
enum { LEAST_EM = 12, LEAST_SHRUNK = 6, MOST_EM = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* FreeType's faces, the line, and what was noted */
static tl_line line;
static char note[400];
static int noted; /* 1: there is something to say, 2: it was said */

/* As high as capitals of our own font. */
static int em_of(int size) { return size > MOST_EM / 9 ? MOST_EM : 9 * size > LEAST_EM ? 9 * size : LEAST_EM; }
static int height_of(int size) { return (4 * em_of(size) + 2) / 3; }

static int is_ascii(const char *text, const char *end)
{
    for (; text < end; text++)
        if ((unsigned char)*text >= 0x80) return 0;
    return 1;
}

/* ---- what is to be said ---- */

static void note_lack(const char *lacks)
{
    if (noted) return;
    noted = 1;
    snprintf(note, sizeof note, "letters that are not ASCII are drawn as '?' in pictures: %s", lacks);
}

static void note_missing(int32_t point)
{
    if (noted || !point) return;
    noted = 1;
    int cjk = (point >= 0x1100 && point <= 0x11FF) || (point >= 0x2E80 && point <= 0xD7FF) ||
              (point >= 0xF900 && point <= 0xFAFF) || (point >= 0xFF00 && point <= 0xFFEF) || point >= 0x20000;
    snprintf(note, sizeof note,
             "no font has the letter U+%04X, which is drawn as '?' in pictures: install one that does "
             "(Debian package %s)",
             (unsigned)point, cjk ? "fonts-noto-cjk" : "fonts-noto-core");
}

const char *tl__letters_note(void)
{
    pthread_mutex_lock(&lock);
    int say = noted == 1;
    if (say) noted = 2;
    pthread_mutex_unlock(&lock);
    return say ? note : NULL;
}

/* ---- a line in its place ---- */

/* Fonts for the text, which becomes the line; NULL, with a note, where it cannot be drawn. */
static tl_fonts *fonts_for(const char *text, const char *end)
{
    const char *lacks;
    tl__line_read(&line, text, end);
    tl_fonts *fonts = tl__fonts(tl__line_language(&line), &lacks);
    if (!fonts) note_lack(lacks);
    return fonts;
}

/* Sets the line so that it fits into `height` pixels, and `width` where that is not 0. */
static void fit(tl_fonts *fonts, int size, int width)
{
    int height = height_of(size), em = em_of(size);
    tl__line_set(&line, fonts, em, width);
    note_missing(line.missing);
    int ink = line.top - line.bottom;
    if (ink <= height) return;
    em = em * height / ink;
    tl__line_set(&line, fonts, em > LEAST_SHRUNK ? em : LEAST_SHRUNK, width);
}

typedef struct box {
    int left, top, right, bottom;
} box;

/* Lays a glyph's coverage over the page, as far as it lies in the box. */
static void blend(tl_image *page, const box *b, const uint8_t colour[3], int x, int y, const FT_Bitmap *from)
{
    for (int j = 0; j < (int)from->rows; j++) {
        if (y + j < b->top || y + j >= b->bottom) continue;
        const uint8_t *row = from->buffer + (ptrdiff_t)j * from->pitch;
        for (int i = 0; i < (int)from->width; i++) {
            if (x + i < b->left || x + i >= b->right) continue;
            uint8_t *to = page->data + ((size_t)(y + j) * (size_t)page->width + (size_t)(x + i)) * 3;
            for (int c = 0; c < 3; c++) to[c] = (uint8_t)((to[c] * (255 - row[i]) + colour[c] * row[i] + 127) / 255);
        }
    }
}

static void draw_glyph(tl_image *page, const box *b, const uint8_t colour[3], int x, int base, const tl_placed_glyph *g)
{
    FT_Face face = g->font->face;
    if (tl__font_set(g->font, line.em) != 0) return;
    if (tl__font.FT_Load_Glyph(face, g->number, FT_LOAD_TARGET_LIGHT | FT_LOAD_NO_BITMAP) != 0) return;
    FT_GlyphSlot slot = face->glyph;
    if (slot->format != FT_GLYPH_FORMAT_OUTLINE) return;
    int at = 64 * x + g->x, whole = at >= 0 ? at / 64 : -((63 - at) / 64);
    tl__font.FT_Outline_Translate(&slot->outline, at - 64 * whole, 0);
    if (tl__font.FT_Render_Glyph(slot, FT_RENDER_MODE_NORMAL) != 0) return;
    int up = (g->y + (g->y >= 0 ? 32 : -32)) / 64;
    blend(page, b, colour, whole + slot->bitmap_left, base - up - slot->bitmap_top, &slot->bitmap);
}

/* Draws the line with its upper left corner at (x, y). The base line lies where Latin letters have it, or so that
 * all ink is within. */
static void draw_line(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width)
{
    int height = height_of(size), base = (height * 3 + 2) / 4;
    if (base < line.top) base = line.top;
    if (base - line.bottom > height) base = height + line.bottom;
    box b = {x, y, x + width, y + height};
    if (b.right > page->width) b.right = page->width;
    if (b.bottom > page->height) b.bottom = page->height;
    for (int i = 0; i < line.glyphs; i++) draw_glyph(page, &b, colour, x - line.left, y + base, &line.glyph[i]);
}

/* ---- for others ---- */

void tl__draw_letters(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width, const char *text,
                      const char *end)
{
    if (width < 1 || text >= end) return;
    pthread_mutex_lock(&lock);
    tl_fonts *fonts = fonts_for(text, end);
    if (fonts) {
        fit(fonts, size, width);
        draw_line(page, colour, x, y, size, width);
    }
    pthread_mutex_unlock(&lock);
    if (!fonts) tl__draw_points(page, colour, x, y, size, width, text, end);
}

void tl__draw_text_in(tl_image *page, const uint8_t colour[3], int x, int y, int size, int width, const char *text,
                      const char *end)
{
    if (is_ascii(text, end)) tl__draw_points(page, colour, x, y, size, width, text, end);
    else tl__draw_letters(page, colour, x, y, size, width, text, end);
}

void tl__draw_text(tl_image *page, int x, int y, int size, int width, const char *text, const char *end)
{
    static const uint8_t black[3] = {0, 0, 0};
    tl__draw_text_in(page, black, x, y, size, width, text, end);
}

int tl__letters_height(int size)
{
    static const char some[] = "\xc3\xa9";
    pthread_mutex_lock(&lock);
    int there = fonts_for(some, some + 2) != NULL;
    pthread_mutex_unlock(&lock);
    return there ? height_of(size) : 0;
}

int tl__text_height(int size, const char *text, const char *end)
{
    int height = is_ascii(text, end) ? 0 : tl__letters_height(size);
    return height ? height : TL_GLYPH_HEIGHT * size;
}

int tl__text_width(int size, const char *text, const char *end)
{
    int width = -1;
    if (!is_ascii(text, end)) {
        pthread_mutex_lock(&lock);
        tl_fonts *fonts = fonts_for(text, end);
        if (fonts) {
            fit(fonts, size, 0);
            width = line.width;
        }
        pthread_mutex_unlock(&lock);
    }
    if (width >= 0) return width;
    int length = tl__points_length(text, end), most = INT32_MAX / (TL_GLYPH_ADVANCE * size);
    return (length < most ? length : most) * TL_GLYPH_ADVANCE * size;
}
