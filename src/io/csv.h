/* csv.h - tables as text: RFC 4180, with what spreadsheets make of it. Cells stay texts; what they mean is for who asked. */
#ifndef TLUA_IO_CSV_H
#define TLUA_IO_CSV_H

#include "base/base.h"

typedef struct tl_csv {
    int64_t columns, rows;    /* rows behind the header */
    const char **cell;        /* (1 + rows, columns), the header first; cells are UTF-8 and end in a zero */
    int64_t *line;            /* (1 + rows): in which line of the file each begins, from 1 */
    char *text;               /* what cells point into */
} tl_csv;

/* The table in a file. Cells are separated by what the header has most of: comma, semicolon or tab. A cell in double quotes may hold
 * separators, line ends and doubled quotes; lines end in LF, CRLF or CR; a byte order mark and empty lines are passed over. Each row has
 * as many cells as the header. NULL with one line that starts with the path and names line and column. */
tl_csv *tl__csv_read(tl_error *err, const char *path);
/* The same where quotes may be letters like others, as reviews have them: never, always, or where tabs separate the
 * cells (TSV as IANA has it knows no quoting). */
enum { TL_CSV_QUOTES = 0, TL_CSV_LETTERS, TL_CSV_LETTERS_OF_TSV };
tl_csv *tl__csv_read_as(tl_error *err, const char *path, int quotes);
/* The same of `bytes` at `data`, which are not changed; `name` is for messages. */
tl_csv *tl__csv_parse(tl_error *err, const char *name, const char *data, size_t bytes);
void tl__csv_free(tl_csv *t);

#endif
