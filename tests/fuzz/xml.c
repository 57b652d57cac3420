/* xml.c - annotations in XML: what is opened is closed, and no more deeply than is said. */
#include "fuzz.h"
#include "base/text.h"
#include "io/xml.h"

static int depth;

static void opened(void *with, const char *name, size_t n)
{
    (void)with;
    never(n == 0 || !tl__utf8_valid(name, n) || ++depth > TL_XML_DEEP);
}
static void text(void *with, const char *t, size_t n)
{
    (void)with;
    never(depth == 0 || n == 0 || !tl__utf8_valid(t, n));
}
static void closed(void *with)
{
    (void)with;
    never(depth-- == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    tl_error err = {0};
    char *copy = (char *)fuzz_copy(data, bytes);
    depth = 0;
    int status = tl__xml_read(&err, "x.xml", copy, bytes, &(tl_xml_handler){NULL, opened, text, closed});
    if (status != 0) check_error(&err, "x.xml:");
    else never(depth != 0);
    free(copy);
    return 0;
}
