/* csv.c - one pass over the text, in a copy in which cells are unquoted where they stand: they only get shorter. */
#include "io/csv.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

typedef struct parser {
    const char *name;
    char *at, *end, *to;      /* what is read next, its end, and where cells are written, which is never ahead */
    char separator;
    int quotes;
    int64_t line, cells, room, row_room;
    tl_csv *table;
} parser;

void tl__csv_free(tl_csv *t)
{
    if (!t) return;
    free(t->cell);
    free(t->line);
    free(t->text);
    free(t);
}

static int fail(tl_error *err, const parser *p, int64_t line, int64_t column, const char *what)
{
    return tl__fail(err, TL_EFORMAT, "%s:%lld: column %lld: %s", p->name, (long long)line, (long long)column, what);
}

/* What the first line has most of outside of quotes; a comma where it has none. */
static char find_separator(const char *at, const char *end)
{
    static const char kinds[] = {',', ';', '\t'};
    int count[3] = {0}, quoted = 0, best = 0;
    for (; at < end && (quoted || (*at != '\n' && *at != '\r')); at++) {
        quoted ^= *at == '"';
        for (int k = 0; k < 3; k++) count[k] += !quoted && *at == kinds[k];
    }
    for (int k = 1; k < 3; k++)
        if (count[k] > count[best]) best = k;
    return kinds[best];
}

static int is_end_of_line(const parser *p) { return p->at == p->end || *p->at == '\n' || *p->at == '\r'; }

static void pass_end_of_line(parser *p)
{
    if (p->at < p->end && *p->at == '\r') p->at++;
    else if (p->at < p->end) {
        p->at++;
        p->line++;
        return;
    } else return;
    if (p->at < p->end && *p->at == '\n') p->at++;
    p->line++;
}

/* The text between quotes, written to p->to. */
static int take_quoted(tl_error *err, parser *p, int64_t column)
{
    int64_t from = p->line;
    for (p->at++;; p->at++) {
        if (p->at == p->end) return fail(err, p, from, column, "the quote that begins here has no end");
        if (*p->at == '"') {
            if (p->at + 1 == p->end || p->at[1] != '"') break;
            p->at++;
        }
        p->line += *p->at == '\n' || (*p->at == '\r' && (p->at + 1 == p->end || p->at[1] != '\n'));
        *p->to++ = *p->at;
    }
    p->at++;
    if (is_end_of_line(p) || *p->at == p->separator) return 0;
    return fail(err, p, p->line, column, "text behind a closing quote; a quote within a cell is doubled (\"\")");
}

static int add_cell(tl_error *err, parser *p, const char *cell)
{
    if (p->cells == p->room) {
        int64_t room = p->room ? 2 * p->room : 64;
        const char **list = tl__realloc(err, p->table->cell, (size_t)room * sizeof *list);
        if (!list) return -1;
        p->table->cell = list;
        p->room = room;
    }
    p->table->cell[p->cells++] = cell;
    return 0;
}

/* One cell and the separator behind it, if there is one: then *more is 1. */
static int take_cell(tl_error *err, parser *p, int64_t column, int *more)
{
    char *from = p->to;
    int plain = p->quotes == TL_CSV_LETTERS || (p->quotes == TL_CSV_LETTERS_OF_TSV && p->separator == '\t');
    if (p->at < p->end && *p->at == '"' && !plain) {
        if (take_quoted(err, p, column) != 0) return -1;
    } else {
        while (!is_end_of_line(p) && *p->at != p->separator) *p->to++ = *p->at++;
    }
    if (!tl__utf8_valid(from, (size_t)(p->to - from))) return fail(err, p, p->line, column, "bytes that are no UTF-8; save the table as UTF-8");
    if (memchr(from, 0, (size_t)(p->to - from))) return fail(err, p, p->line, column, "a byte of value 0");
    *more = p->at < p->end && *p->at == p->separator;
    /* The zero may fall on the separator or line end, which is known by then. */
    int at_end = p->at == p->end;
    char *zero = p->to++;
    if (*more) p->at++;
    else if (!at_end) pass_end_of_line(p);
    *zero = 0;
    return add_cell(err, p, from);
}

static int add_line(tl_error *err, parser *p, int64_t row)
{
    if (row == p->row_room) {
        int64_t room = p->row_room ? 2 * p->row_room : 64, *list = tl__realloc(err, p->table->line, (size_t)room * sizeof *list);
        if (!list) return -1;
        p->table->line = list;
        p->row_room = room;
    }
    p->table->line[row] = p->line;
    return 0;
}

static int take_row(tl_error *err, parser *p, int64_t row)
{
    tl_csv *t = p->table;
    int64_t line = p->line, column = 0;
    if (add_line(err, p, row) != 0) return -1;
    for (int more = 1; more;) {
        if (row && column == t->columns) return fail(err, p, line, column + 1, "this row has more cells than the header");
        if (take_cell(err, p, ++column, &more) != 0) return -1;
    }
    if (row == 0) t->columns = column;
    if (column == t->columns) return 0;
    return tl__fail(err, TL_EFORMAT, "%s:%lld: this row has %lld cells, and the header %lld", p->name, (long long)line, (long long)column, (long long)t->columns);
}

static int take_rows(tl_error *err, parser *p)
{
    int64_t rows = 0;
    for (;;) {
        while (p->at < p->end && is_end_of_line(p)) pass_end_of_line(p);
        if (p->at == p->end) break;
        if (rows == 0) p->separator = find_separator(p->at, p->end);
        if (take_row(err, p, rows++) != 0) return -1;
    }
    if (rows == 0) return tl__fail(err, TL_EFORMAT, "%s: an empty table; its first line names the columns", p->name);
    p->table->rows = rows - 1;
    return 0;
}

static tl_csv *parse(tl_error *err, const char *name, const char *data, size_t bytes, int quotes)
{
    tl_csv *t = tl__calloc(err, 1, sizeof *t);
    if (!t) return NULL;
    if (bytes >= 2 && (memcmp(data, "\xff\xfe", 2) == 0 || memcmp(data, "\xfe\xff", 2) == 0)) {
        tl__fail(err, TL_EFORMAT, "%s: a table in UTF-16; save it as UTF-8", name);
    } else if ((t->text = tl__malloc(err, bytes + 1)) != NULL) {
        size_t mark = bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        if (bytes > mark) memcpy(t->text, data + mark, bytes - mark);
        parser p = {.name = name, .at = t->text, .end = t->text + bytes - mark, .to = t->text, .line = 1, .table = t,
                    .quotes = quotes};
        if (take_rows(err, &p) == 0) return t;
    }
    tl__csv_free(t);
    return NULL;
}

tl_csv *tl__csv_parse(tl_error *err, const char *name, const char *data, size_t bytes)
{
    return parse(err, name, data, bytes, TL_CSV_QUOTES);
}

tl_csv *tl__csv_read(tl_error *err, const char *path) { return tl__csv_read_as(err, path, TL_CSV_QUOTES); }

tl_csv *tl__csv_read_as(tl_error *err, const char *path, int quotes)
{
    size_t bytes;
    char *data = tl__read_file(err, path, &bytes);
    tl_csv *t = data ? parse(err, path, data, bytes, quotes) : NULL;
    free(data);
    return t;
}
