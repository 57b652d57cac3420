/* xml.c - a strict reader of small XML. Nothing is allocated: names on the way down are pointers into the text, and
 * entities are decoded in place, where they only become shorter. */
#include "io/xml.h"

#include "base/text.h"

#include <string.h>
#include <strings.h>

typedef struct reader {
    tl_error *err;
    const char *name; /* of the file */
    char *start, *at, *end;
    const tl_xml_handler *h;
    int depth;
    struct { const char *name; size_t n; } open[TL_XML_DEEP];
} reader;

static int line_of(const reader *r)
{
    int line = 1;
    for (const char *p = r->start; p < r->at; p++) line += *p == '\n';
    return line;
}

static int bad(const reader *r, const char *what)
{
    return tl__fail(r->err, TL_EFORMAT, "%s:%d: %s", r->name, line_of(r), what);
}

static int starts(const reader *r, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, word, n) == 0;
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void skip_blanks(reader *r)
{
    while (r->at < r->end && is_blank(*r->at)) r->at++;
}

/* Behind the next `word`, or -1. */
static int skip_behind(reader *r, const char *word, const char *what)
{
    char *from = r->at;
    size_t n = strlen(word);
    while (r->at < r->end && !starts(r, word)) r->at++;
    if (r->at < r->end) {
        r->at += n;
        return 0;
    }
    r->at = from; /* the line where it began */
    return bad(r, what);
}

static int is_first(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || c >= 0x80;
}
static int is_name(unsigned char c) { return is_first(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

static int take_name(reader *r, const char **name, size_t *n)
{
    const char *from = r->at;
    if (r->at == r->end || !is_first((unsigned char)*r->at)) return bad(r, "a name is expected behind <");
    while (r->at < r->end && is_name((unsigned char)*r->at)) r->at++;
    *name = from;
    *n = (size_t)(r->at - from);
    return 0;
}

/* name="value" ... up to > or />. */
static int skip_attributes(reader *r, int *empty)
{
    const char *name;
    size_t n;
    *empty = 0;
    for (;;) {
        const char *before = r->at;
        skip_blanks(r);
        if (r->at == r->end) return bad(r, "the file ends within a tag");
        if (*r->at == '>') break;
        if (starts(r, "/>")) {
            *empty = 1;
            r->at++;
            break;
        }
        if (before == r->at || take_name(r, &name, &n) != 0) return bad(r, "a tag is damaged");
        skip_blanks(r);
        if (r->at == r->end || *r->at++ != '=') return bad(r, "an attribute has no value");
        skip_blanks(r);
        if (r->at == r->end || (*r->at != '"' && *r->at != '\'')) return bad(r, "an attribute's value has no quotes");
        const char quote[2] = {*r->at++, 0};
        if (skip_behind(r, quote, "an attribute's value has no end") != 0) return -1;
    }
    r->at++;
    return 0;
}

static size_t put_utf8(char *to, unsigned long c)
{
    if (c < 0x80) return to[0] = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The number of &#65; or &#x41; at `p`, below 2^21; 0 where it is none. */
static unsigned long number_at(const char *p, const char *end)
{
    int hexadecimal = p < end && *p == 'x';
    unsigned long v = 0, base = hexadecimal ? 16 : 10;
    for (p += hexadecimal; p < end && *p != ';'; p++) {
        unsigned long digit = *p >= '0' && *p <= '9'                  ? (unsigned long)(*p - '0')
                              : hexadecimal && *p >= 'a' && *p <= 'f' ? (unsigned long)(*p - 'a' + 10)
                              : hexadecimal && *p >= 'A' && *p <= 'F' ? (unsigned long)(*p - 'A' + 10)
                                                                      : 99;
        if (digit == 99 || v > 0x10ffff) return 0;
        v = v * base + digit;
    }
    int allowed = v >= 0x20 || v == '\t' || v == '\n' || v == '\r';
    return allowed && v <= 0x10ffff && !(v >= 0xd800 && v <= 0xdfff) ? v : 0;
}

/* One entity at r->at to `to`, which is not behind it. Gives the bytes, or 0 with an error. */
static size_t take_entity(reader *r, char *to)
{
    static const struct { const char *name; char is; } known[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (starts(r, known[k].name)) {
            r->at += strlen(known[k].name);
            *to = known[k].is;
            return 1;
        }
    unsigned long c = starts(r, "&#") ? number_at(r->at + 2, r->end) : 0;
    const char *semicolon = c ? memchr(r->at, ';', (size_t)(r->end - r->at)) : NULL;
    if (!semicolon) {
        bad(r, "an & that begins no character known here; a plain one is written &amp;");
        return 0;
    }
    r->at += (size_t)(semicolon - r->at) + 1;
    return put_utf8(to, c);
}

/* Text up to the next <. */
static int take_text(reader *r)
{
    char *from = r->at, *to = r->at;
    while (r->at < r->end && *r->at != '<') {
        if (*r->at == '&') {
            size_t n = take_entity(r, to);
            if (n == 0) return -1;
            to += n;
        } else {
            *to++ = *r->at++;
        }
    }
    if (to > from) r->h->text(r->h->with, from, (size_t)(to - from));
    return 0;
}

static int take_close(reader *r)
{
    const char *name;
    size_t n;
    r->at += 2;
    if (take_name(r, &name, &n) != 0) return -1;
    skip_blanks(r);
    if (r->at == r->end || *r->at != '>') return bad(r, "a closing tag is damaged");
    if (r->depth == 0 || r->open[r->depth - 1].n != n || memcmp(r->open[r->depth - 1].name, name, n) != 0)
        return bad(r, "a tag is closed that is not the last one opened");
    r->at++;
    r->depth--;
    r->h->close(r->h->with);
    return 0;
}

static int take_open(reader *r)
{
    const char *name;
    size_t n;
    int empty;
    r->at++;
    if (take_name(r, &name, &n) != 0) return -1;
    if (r->depth == TL_XML_DEEP) return bad(r, "elements stand too deep in one another");
    r->open[r->depth].name = name;
    r->open[r->depth++].n = n;
    if (skip_attributes(r, &empty) != 0) return -1;
    r->h->open(r->h->with, name, n);
    if (!empty) return 0;
    r->depth--;
    r->h->close(r->h->with);
    return 0;
}

static int skip_head(reader *r)
{
    if (starts(r, "\xef\xbb\xbf")) r->at += 3;
    if (!starts(r, "<?xml")) return 0;
    const char *from = r->at;
    if (skip_behind(r, "?>", "the XML declaration has no end") != 0) return -1;
    for (const char *p = from; p + 9 < r->at; p++) {
        if (strncmp(p, "encoding=", 9) != 0) continue;
        if (strncasecmp(p + 10, "utf-8", 5) != 0 && strncasecmp(p + 10, "us-ascii", 8) != 0)
            return bad(r, "the file is not in UTF-8; save it so");
    }
    return 0;
}

static int take_cdata(reader *r)
{
    r->at += 9;
    const char *from = r->at;
    if (skip_behind(r, "]]>", "CDATA has no end") != 0) return -1;
    if (r->at - 3 > from) r->h->text(r->h->with, from, (size_t)(r->at - 3 - from));
    return 0;
}

/* Whatever begins with <. */
static int take_tag(reader *r, int *roots)
{
    if (starts(r, "<!--")) return skip_behind(r, "-->", "a comment has no end");
    if (starts(r, "<![CDATA[") && r->depth > 0) return take_cdata(r);
    if (starts(r, "<!")) return bad(r, "a document type, which is not read here");
    if (starts(r, "<?")) return bad(r, "an instruction to a program, which is not read here");
    if (starts(r, "</")) return take_close(r);
    if (r->depth == 0 && (*roots)++ > 0) return bad(r, "a second element behind the first");
    return take_open(r);
}

int tl__xml_read(tl_error *err, const char *name, char *text, size_t bytes, const tl_xml_handler *handler)
{
    reader r = {.err = err, .name = name, .start = text, .at = text, .end = text + bytes, .h = handler};
    int roots = 0;
    if (bytes > TL_XML_MOST) return tl__fail(err, TL_EFORMAT, "%s: %zu bytes of XML are too many", name, bytes);
    if (memchr(text, 0, bytes) || !tl__utf8_valid(text, bytes)) return bad(&r, "no XML in UTF-8");
    if (skip_head(&r) != 0) return -1;
    for (;;) {
        if (r.depth == 0) skip_blanks(&r);
        if (r.at == r.end) break;
        if (*r.at != '<' && r.depth == 0) return bad(&r, "no XML: text outside of an element");
        if ((*r.at == '<' ? take_tag(&r, &roots) : take_text(&r)) != 0) return -1;
    }
    if (r.depth > 0) return bad(&r, "the file ends before its elements do");
    return roots ? 0 : bad(&r, "no XML: the file has no element");
}
