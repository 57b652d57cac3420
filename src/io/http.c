/* http.c - reading the head of a request: lines that end in CR LF, one request line, fields, an empty line.
 * Strict, since there is no old client to be kind to: fields that go on in a second line, bare line feeds, control
 * characters and a second Host are refused. */
#include "io/http.h"

#include <string.h>

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* What names of fields and methods are made of (tchar). */
static int is_token(char c) { return is_letter(c) || is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~", c) != NULL); }

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

/* Is the name of n bytes this one, which is in small letters? */
static int is_name(const char *name, size_t n, const char *this)
{
    size_t i = 0;
    while (i < n && this[i] && small(name[i]) == this[i]) i++;
    return i == n && !this[i];
}

/* Where the head ends, behind its empty line; 0 where it does not yet. */
static size_t end_of_head(const char *data, size_t bytes)
{
    for (size_t i = 0; i + 4 <= bytes; i++)
        if (memcmp(data + i, "\r\n\r\n", 4) == 0) return i + 4;
    return 0;
}

/* "GET /path?query HTTP/1.1" of n bytes. 0, or a status. */
static int read_request_line(const char *line, size_t n, tl_http_request *out)
{
    size_t i = 0, at, length;
    while (i < n && is_token(line[i])) i++;
    if (i == 0 || i == n || line[i] != ' ') return 400;
    if (i >= sizeof out->method) return 405;
    memcpy(out->method, line, i);
    at = ++i;
    while (i < n && line[i] > 0x20 && line[i] < 0x7f) i++;
    if (i == at || line[at] != '/' || i == n || line[i] != ' ') return 400;
    length = i - at;
    for (size_t k = 0; k < i - at; k++) {
        if (line[at + k] == '#') return 400;
        if (line[at + k] == '?' && length == i - at) length = k;
    }
    if (length >= sizeof out->path) return 414;
    memcpy(out->path, line + at, length);
    i++;
    const char *version = line + i;
    if (n - i != 8 || memcmp(version, "HTTP/", 5) != 0) return 400;
    if (!is_digit(version[5]) || version[6] != '.' || !is_digit(version[7])) return 400;
    return version[5] == '1' ? 0 : 505;
}

/* "name:port", "[::1]:port" or either without a port. 0, or 400. */
static int read_host(const char *value, size_t n, char *host)
{
    size_t from = 0, to = 0, i;
    if (n && value[0] == '[') {
        from = to = 1;
        while (to < n && value[to] != ']') to++;
        if (to == n) return 400;
        i = to + 1;
    } else {
        while (to < n && value[to] != ':') to++;
        i = to;
    }
    if (to == from || to - from >= TL_HTTP_TEXT) return 400;
    for (size_t k = from; k < to; k++) {
        if (!is_letter(value[k]) && !is_digit(value[k]) && !strchr(from ? ":.%" : "-._", value[k])) return 400;
        host[k - from] = small(value[k]);
    }
    if (i < n && value[i] != ':') return 400;
    if (i < n && (i + 1 == n || n - i > 6)) return 400;
    for (i++; i < n; i++)
        if (!is_digit(value[i])) return 400;
    return 0;
}

/* "Name: value" of n bytes. 0, or a status. */
static int read_field(const char *line, size_t n, tl_http_request *out)
{
    size_t colon = 0, to = n;
    while (colon < n && is_token(line[colon])) colon++;
    if (colon == 0 || colon == n || line[colon] != ':') return 400;
    size_t from = colon + 1;
    while (from < to && (line[from] == ' ' || line[from] == '\t')) from++;
    while (to > from && (line[to - 1] == ' ' || line[to - 1] == '\t')) to--;
    for (size_t i = from; i < to; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return 400;
    }
    if (is_name(line, colon, "transfer-encoding")) return 413;
    if (is_name(line, colon, "content-length") && !(to - from == 1 && line[from] == '0')) return 413;
    if (!is_name(line, colon, "host")) return 0;
    return out->host[0] ? 400 : read_host(line + from, to - from, out->host);
}

int tl__http_read(const char *data, size_t bytes, tl_http_request *out)
{
    memset(out, 0, sizeof *out);
    size_t all = bytes > TL_HTTP_HEAD ? TL_HTTP_HEAD : bytes, end = end_of_head(data, all), at = 0;
    if (!end) return all == TL_HTTP_HEAD ? 431 : 0;
    for (int line = 0; at < end - 2; line++) {
        size_t n = 0;
        while (data[at + n] != '\r' && data[at + n] != '\n') n++; /* the head ends in CR LF */
        if (data[at + n] != '\r' || data[at + n + 1] != '\n') return 400;
        if (line > TL_HTTP_FIELDS) return 431;
        int bad = line ? read_field(data + at, n, out) : read_request_line(data + at, n, out);
        if (bad) return bad;
        at += n + 2;
    }
    if (!out->host[0]) return 400;
    return strcmp(out->method, "GET") == 0 || strcmp(out->method, "HEAD") == 0 ? 1 : 405;
}

const char *tl__http_reason(int status)
{
    static const struct { int status; const char *reason; } known[] = {
        {200, "OK"}, {400, "Bad Request"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
        {413, "Content Too Large"}, {414, "URI Too Long"}, {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"}, {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status) return known[i].reason;
    return "Error";
}
