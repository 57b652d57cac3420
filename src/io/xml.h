/* xml.h - the little of XML that annotations are written in: elements, texts, comments. Attributes are passed over, the
 * five entities that XML itself has and characters by number are read. A document type, which is where entities of
 * one's own come from, is refused. */
#ifndef TLUA_XML_H
#define TLUA_XML_H

#include "base/base.h"

enum { TL_XML_DEEP = 32, TL_XML_MOST = 16 << 20 };

typedef struct tl_xml_handler {
    void *with;
    void (*open)(void *with, const char *name, size_t n);
    /* A piece of an element's text, blanks and all. */
    void (*text)(void *with, const char *text, size_t n);
    void (*close)(void *with);
} tl_xml_handler;

/* Reads the document of `bytes` bytes at `text`, which it changes. Elements are TL_XML_DEEP deep at most. 0, or -1 with
 * "NAME:LINE: ...". */
int tl__xml_read(tl_error *err, const char *name, char *text, size_t bytes, const tl_xml_handler *handler);

#endif
