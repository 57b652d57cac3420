/* fonts.h - what draws letters of any script: FreeType, HarfBuzz, fontconfig and FriBidi, loaded with the first
 * text that needs them, and the fonts of the system. One thread at a time (letters.c). */
#ifndef TLUA_FONTS_H
#define TLUA_FONTS_H

#include "base/base.h"

#include <fontconfig/fontconfig.h>
#include <fribidi.h>
#include <ft2build.h>
#include <hb-ft.h>
#include <hb.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H

#define TL__FREETYPE(X) \
    X(FT_Init_FreeType) X(FT_New_Face) X(FT_Set_Pixel_Sizes) X(FT_Load_Glyph) X(FT_Render_Glyph) X(FT_Outline_Translate)
#define TL__HARFBUZZ(X) \
    X(hb_ft_font_create_referenced) X(hb_ft_font_changed) X(hb_ft_font_set_load_flags) X(hb_buffer_create) \
    X(hb_buffer_reset) X(hb_buffer_add_utf32) X(hb_buffer_set_direction) X(hb_buffer_set_script) \
    X(hb_buffer_set_language) X(hb_buffer_get_glyph_infos) X(hb_buffer_get_glyph_positions) X(hb_shape) \
    X(hb_unicode_funcs_get_default) X(hb_unicode_script) X(hb_font_get_glyph_extents) X(hb_language_from_string)
#define TL__FONTCONFIG(X) \
    X(FcInit) X(FcPatternCreate) X(FcPatternAddString) X(FcConfigSubstitute) X(FcDefaultSubstitute) X(FcFontSort) \
    X(FcPatternDestroy) X(FcPatternGetString) X(FcPatternGetInteger) X(FcPatternGetBool) X(FcPatternGetCharSet) \
    X(FcCharSetHasChar)
#define TL__FRIBIDI(X) \
    X(fribidi_get_bidi_types) X(fribidi_get_bracket_types) X(fribidi_get_par_embedding_levels_ex)
#define TL__FONT_FUNCTIONS(X) TL__FREETYPE(X) TL__HARFBUZZ(X) TL__FONTCONFIG(X) TL__FRIBIDI(X)
#define TL__FONT_MEMBER(f) __typeof__(&f) f;
/* Filled by tl__fonts, and never unloaded. */
extern struct tl__font_library {
    TL__FONT_FUNCTIONS(TL__FONT_MEMBER)
} tl__font;

/* A font of the system, opened when it is first drawn with. */
typedef struct tl_font {
    const char *file;
    int index, em;          /* of the face in its file; pixels of an em that it is set to */
    int closed;             /* it could not be opened */
    const FcCharSet *covers;
    FT_Face face;
    hb_font_t *shaper;
} tl_font;
/* Fonts in the order in which they are preferred. */
typedef struct tl_fonts {
    const char *language;   /* whose forms of letters they prefer; "": the user's */
    tl_font *at;
    int count;
    FcFontSet *found;       /* what the fonts' texts lie in */
} tl_fonts;

/* The fonts for texts of a language ("", "ko", "ja"); NULL where a library or every font is missing: `lacks` says
 * then what to install. */
tl_fonts *tl__fonts(const char *language, const char **lacks);
/* The font opened and set to so many pixels; 0 or -1. */
int tl__font_set(tl_font *f, int em);

#endif
