/* fonts.c - the libraries behind letters, and the fonts that fontconfig finds. Bitmaps and colour fonts are passed
 * over. */
#include "draw/fonts.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct tl__font_library tl__font;
static const char *lacks_library = ""; /* NULL: nothing; "": not looked for yet */
static FT_Library freetype;
static tl_fonts known[] = {{.language = ""}, {.language = "ko"}, {.language = "ja"}};

/* ISO C has no cast between the two kinds of pointer. */
#define LOOK_UP(name) \
    f = handle ? dlsym(handle, #name) : NULL; \
    memcpy(&tl__font.name, &f, sizeof f); \
    if (!f) return 0;
static int freetype_there(void)
{
    void *handle = dlopen("libfreetype.so.6", RTLD_NOW | RTLD_LOCAL), *f;
    TL__FREETYPE(LOOK_UP)
    return tl__font.FT_Init_FreeType(&freetype) == 0;
}

static int harfbuzz_there(void)
{
    void *handle = dlopen("libharfbuzz.so.0", RTLD_NOW | RTLD_LOCAL), *f;
    TL__HARFBUZZ(LOOK_UP)
    return 1;
}

static int fontconfig_there(void)
{
    void *handle = dlopen("libfontconfig.so.1", RTLD_NOW | RTLD_LOCAL), *f;
    TL__FONTCONFIG(LOOK_UP)
    return 1;
}

static int fribidi_there(void)
{
    void *handle = dlopen("libfribidi.so.0", RTLD_NOW | RTLD_LOCAL), *f;
    TL__FRIBIDI(LOOK_UP)
    return 1;
}

static const char *missing_library(void)
{
    if (!freetype_there()) return "FreeType is missing: install it (Debian package libfreetype6)";
    if (!harfbuzz_there()) return "HarfBuzz is missing: install it (Debian package libharfbuzz0b)";
    if (!fontconfig_there()) return "fontconfig is missing: install it (Debian package libfontconfig1)";
    return fribidi_there() ? NULL : "FriBidi is missing: install it (Debian package libfribidi0)";
}

/* Says `wanted` where the pattern says nothing. */
static int says(FcPattern *p, const char *what, int wanted)
{
    FcBool said;
    return tl__font.FcPatternGetBool(p, what, 0, &said) == FcResultMatch ? said == wanted : 1;
}

/* Takes what can be drawn with; the set and its patterns live as long as the program. */
static void take(tl_fonts *fonts, FcFontSet *set)
{
    fonts->found = set;
    fonts->at = set ? calloc((size_t)set->nfont + 1, sizeof *fonts->at) : NULL;
    for (int i = 0; fonts->at && i < set->nfont; i++) {
        FcPattern *p = set->fonts[i];
        FcChar8 *file;
        FcCharSet *covers;
        int index = 0;
        if (!says(p, FC_SCALABLE, 1) || !says(p, FC_COLOR, 0) ||
            tl__font.FcPatternGetString(p, FC_FILE, 0, &file) != FcResultMatch ||
            tl__font.FcPatternGetCharSet(p, FC_CHARSET, 0, &covers) != FcResultMatch)
            continue;
        tl__font.FcPatternGetInteger(p, FC_INDEX, 0, &index);
        if (index >> 16 == 0x8000) index &= 0xffff; /* a variable font itself: as it is by default */
        fonts->at[fonts->count++] = (tl_font){.file = (const char *)file, .index = index, .covers = covers};
    }
}

static void find(tl_fonts *fonts)
{
    FcResult result;
    FcPattern *p = tl__font.FcInit() ? tl__font.FcPatternCreate() : NULL;
    if (!p) return;
    tl__font.FcPatternAddString(p, FC_FAMILY, (const FcChar8 *)"sans-serif");
    if (*fonts->language) tl__font.FcPatternAddString(p, FC_LANG, (const FcChar8 *)fonts->language);
    tl__font.FcConfigSubstitute(NULL, p, FcMatchPattern);
    tl__font.FcDefaultSubstitute(p);
    take(fonts, tl__font.FcFontSort(NULL, p, FcFalse, NULL, &result));
    tl__font.FcPatternDestroy(p);
}

tl_fonts *tl__fonts(const char *language, const char **lacks)
{
    if (lacks_library && !*lacks_library) lacks_library = missing_library();
    *lacks = lacks_library;
    if (lacks_library) return NULL;
    tl_fonts *fonts = known;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].language, language) == 0) fonts = &known[i];
    if (!fonts->at) find(fonts);
    *lacks = "there is no font: install some (Debian packages fonts-noto-core and, for Chinese, Japanese and Korean, "
             "fonts-noto-cjk)";
    return fonts->count > 0 ? fonts : NULL;
}

int tl__font_set(tl_font *f, int em)
{
    if (!f->shaper && !f->closed) {
        f->closed = tl__font.FT_New_Face(freetype, f->file, f->index, &f->face) != 0;
        f->shaper = f->closed ? NULL : tl__font.hb_ft_font_create_referenced(f->face);
        /* Places are not rounded to pixels: hinting is in the height alone. */
        if (f->shaper) tl__font.hb_ft_font_set_load_flags(f->shaper, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP);
    }
    if (!f->shaper) return -1;
    if (f->em == em) return 0;
    if (tl__font.FT_Set_Pixel_Sizes(f->face, 0, (FT_UInt)em) != 0) return -1;
    tl__font.hb_ft_font_changed(f->shaper);
    f->em = em;
    return 0;
}
