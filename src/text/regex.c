/* regex.c - regular expressions of tokenizers by PCRE2, loaded with the first one: most files need none. They were
 * written for Oniguruma; what both understand otherwise is rewritten: \s is the standard's White_Space, and letters and
 * numbers are those of Unicode 16. */
#include "text/inside.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <dlfcn.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(X) \
    X(pcre2_compile_8) X(pcre2_code_free_8) X(pcre2_jit_compile_8) X(pcre2_match_8) \
    X(pcre2_match_data_create_8) X(pcre2_match_data_free_8) X(pcre2_get_ovector_pointer_8) \
    X(pcre2_get_error_message_8)
static struct {
#define DECLARE(name) __typeof__(name) *name;
    FUNCTIONS(DECLARE)
} pcre;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *lacks = "libpcre2-8";

static void load(void)
{
    void *handle = dlopen("libpcre2-8.so.0", RTLD_NOW | RTLD_LOCAL), *f;
    lacks = handle ? NULL : "libpcre2-8";
#define LOOK_UP(name) \
    f = handle ? dlsym(handle, #name) : NULL; \
    memcpy(&pcre.name, &f, sizeof f); /* ISO C has no cast between the two kinds of pointer */ \
    if (!f && !lacks) lacks = #name " of PCRE2";
    FUNCTIONS(LOOK_UP)
}

/* A pattern must not cut characters in two. */
#define OPTIONS (PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C)

struct tl_regex {
    pcre2_code *code;
};

/* What Unicode 15 to 16 added to PCRE2 10.42's classes. */
#define LETTERS \
    "\\x{1c89}\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}\\x{10d4a}-\\x{10d65}" \
    "\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}\\x{11390}-\\x{113b5}" \
    "\\x{113b7}\\x{113d1}\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}" \
    "\\x{16d40}-\\x{16d6c}\\x{18cff}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2ebf0}-\\x{2ee5d}"
#define NUMBERS \
    "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}" \
    "\\x{1ccf0}-\\x{1ccf9}\\x{1e5f1}-\\x{1e5fa}"
#define SPACES "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"

static const struct {
    const char *from, *inside, *outside; /* of [...] */
} rewrites[] = {{"\\p{L}", "\\p{L}" LETTERS, "[\\p{L}" LETTERS "]"},
                {"\\p{N}", "\\p{N}" NUMBERS, "[\\p{N}" NUMBERS "]"},
                {"\\s", SPACES, "[" SPACES "]"},
                {"\\S", NULL, "[^" SPACES "]"}};

/* The pattern in PCRE2's words; freed by the caller. */
static char *rewrite(tl_error *err, const char *pattern)
{
    char *out = tl__malloc(err, strlen(pattern) * (sizeof LETTERS / 4 + 16) + 1);
    size_t used = 0;
    int inside = 0;
    while (out && *pattern) {
        size_t taken = 0;
        for (size_t i = 0; i < sizeof rewrites / sizeof *rewrites && !taken; i++) {
            size_t n = strlen(rewrites[i].from);
            const char *to = inside ? rewrites[i].inside : rewrites[i].outside;
            if (!to || strncmp(pattern, rewrites[i].from, n) != 0) continue;
            memcpy(out + used, to, strlen(to));
            used += strlen(to);
            taken = n;
        }
        if (!taken) {
            taken = *pattern == '\\' && pattern[1] ? 2 : 1;
            if (taken == 1 && *pattern == '[') inside++;
            if (taken == 1 && *pattern == ']' && inside) inside--;
            memcpy(out + used, pattern, taken);
            used += taken;
        }
        pattern += taken;
    }
    if (out) out[used] = 0;
    return out;
}

tl_regex *tl__regex_new(tl_error *err, const char *name, const char *pattern)
{
    pthread_once(&once, load);
    if (lacks) {
        tl__fail(err, TL_EARG, "%s: its regular expressions need %s: install it (Debian package libpcre2-8-0)", name,
                 lacks);
        return NULL;
    }
    tl_regex *r = tl__calloc(err, 1, sizeof *r);
    char *text = r ? rewrite(err, pattern) : NULL;
    int code;
    PCRE2_SIZE at;
    if (text) r->code = pcre.pcre2_compile_8((PCRE2_SPTR)text, strlen(text), OPTIONS, &code, &at, NULL);
    if (text && !r->code) {
        PCRE2_UCHAR why[160] = "";
        pcre.pcre2_get_error_message_8(code, why, sizeof why);
        tl__fail(err, TL_EFORMAT, "%s: the regular expression %.120s is not understood: %s", name, pattern,
                 (const char *)why);
    }
    free(text);
    if (!r || !r->code) {
        free(r);
        return NULL;
    }
    pcre.pcre2_jit_compile_8(r->code, PCRE2_JIT_COMPLETE); /* where it cannot be, it is interpreted */
    return r;
}

void tl__regex_free(tl_regex *r)
{
    if (r) pcre.pcre2_code_free_8(r->code);
    free(r);
}

int tl__regex_next(tl_error *err, const tl_regex *r, tl_text_work *w, const char *text, size_t bytes, size_t at,
                   size_t *from, size_t *to)
{
    if (!w->match_data && !(w->match_data = pcre.pcre2_match_data_create_8(1, NULL)))
        return tl__fail(err, TL_EMEMORY, "no memory to search");
    while (at < bytes && ((unsigned char)text[at] & 0xc0) == 0x80) at++;
    int found = pcre.pcre2_match_8(r->code, (PCRE2_SPTR)text, bytes, at, PCRE2_NO_UTF_CHECK, w->match_data, NULL);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) /* its small stack is full, the interpreter's is not */
        found = pcre.pcre2_match_8(r->code, (PCRE2_SPTR)text, bytes, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                                   w->match_data, NULL);
    if (found == PCRE2_ERROR_NOMATCH) return 0;
    if (found < 0) {
        PCRE2_UCHAR why[160] = "";
        pcre.pcre2_get_error_message_8(found, why, sizeof why);
        return tl__fail(err, TL_EARG, "the tokenizer's regular expression gives up on this text: %s",
                        (const char *)why);
    }
    const PCRE2_SIZE *place = pcre.pcre2_get_ovector_pointer_8(w->match_data);
    *from = place[0];
    *to = place[1];
    return *from >= at && *to >= *from; /* \K can say otherwise */
}

void tl__regex_work_free(tl_text_work *w)
{
    if (w->match_data) pcre.pcre2_match_data_free_8(w->match_data);
}
