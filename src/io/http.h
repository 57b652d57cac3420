/* http.h - the head of a request in HTTP/1.1 (RFC 9112), as far as a server needs it that answers GET and HEAD,
 * reads no bodies and closes the connection after each answer: `tlua watch`. Whatever else is sent is refused by a
 * status, never repaired. */
#ifndef TLUA_HTTP_H
#define TLUA_HTTP_H

#include "base/base.h"

enum { TL_HTTP_HEAD = 8192, TL_HTTP_FIELDS = 64, TL_HTTP_TEXT = 256 };

typedef struct tl_http_request {
    char method[8];
    char path[TL_HTTP_TEXT]; /* without the query; as it was sent: nothing is decoded */
    char host[TL_HTTP_TEXT]; /* the name of the Host field in small letters, without port and brackets */
} tl_http_request;

/* Reads what has come so far. 0: the head is not whole yet; 1: it is, and `out` is filled; else the status to
 * refuse it with (400, 405, 413, 414, 431, 505). A head of more than TL_HTTP_HEAD bytes or TL_HTTP_FIELDS fields
 * is refused. */
int tl__http_read(const char *data, size_t bytes, tl_http_request *out);

/* "Not Found" for 404; "Error" for a status that is not known here. */
const char *tl__http_reason(int status);

#endif
