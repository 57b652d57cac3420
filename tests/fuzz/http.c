/* http.c - the head of a request to `tlua watch`, as it comes: in any pieces it says the same, and what it takes
 * is what a server may trust. */
#include "fuzz.h"
#include "io/http.h"

static void check_request(const tl_http_request *r)
{
    never(strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0);
    never(r->path[0] != '/' || memchr(r->path, 0, sizeof r->path) == NULL);
    never(!r->host[0] || memchr(r->host, 0, sizeof r->host) == NULL);
    for (const char *p = r->path; *p; p++) never(*p <= 0x20 || *p >= 0x7f || *p == '?' || *p == '#');
    for (const char *p = r->host; *p; p++)
        never(*p <= 0x20 || *p >= 0x7f || (*p >= 'A' && *p <= 'Z') || strchr("/@[]\"<>", *p) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *copy = (char *)fuzz_copy(data, bytes);
    tl_http_request whole, part;
    int status = tl__http_read(copy, bytes, &whole), first = 0;
    never(status < 0 || (status > 1 && strcmp(tl__http_reason(status), "Error") == 0));
    if (getenv("FUZZ_SAY")) fprintf(stderr, "%d %s %s %s\n", status, whole.method, whole.path, whole.host);
    if (status == 1) check_request(&whole);
    /* In pieces the first answer that is one is the answer to all of it. */
    for (size_t n = 0; !first; n += n < 300 ? 1 : 97) {
        if (n > bytes) n = bytes;
        char *begin = (char *)fuzz_copy(data, n);
        first = tl__http_read(begin, n, &part);
        free(begin);
        if (n == bytes) break;
    }
    never(first != status);
    never(status == 1 && memcmp(&whole, &part, sizeof part) != 0);
    free(copy);
    return 0;
}
