/* transform.c - steps as data: made by name, set by key, checked, written as text and read back. The table
 * of what there is stands in transforms.c. */
#define _POSIX_C_SOURCE 200809L
#include "data/transform.h"

#include "base/near.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES 64

void tl__transform_free(tl_transform *t) { free(t); }

static int set_initial(tl_error *err, tl_transform *t);

tl_transform *tl__transform_new(tl_error *err, const char *name)
{
    const char *names[MAX_NAMES] = {NULL};
    char hint[96];
    static const tl_transform_row *const tables[] = {tl__transform_rows, tl__wave_rows, tl__volume_rows};
    int n = 0;
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        for (const tl_transform_row *row = tables[k]; row->name; row++) {
            if (n < MAX_NAMES - 1) names[n++] = row->name;
            if (strcmp(row->name, name) != 0) continue;
            tl_transform *t = tl__calloc(err, 1, sizeof *t);
            if (!t) return NULL;
            t->row = row;
            if (set_initial(err, t) == 0) return t;
            tl__transform_free(t);
            return NULL;
        }
    tl__fail(err, TL_EARG, "unknown transform \"%s\"%s", name, tl__did_you_mean(name, names, hint, sizeof hint));
    return NULL;
}

/* ---- setting ---- */

/* The parameter's place in the row, or -1 with an error that names the near miss or what there is. */
static int find_param(tl_error *err, const tl_transform *t, const char *key)
{
    const char *names[TL_TRANSFORM_PARAMS + 1] = {NULL};
    char known[160] = "", hint[96];
    int i = 0;
    for (; t->row->param[i].name; i++) {
        names[i] = t->row->param[i].name;
        if (strcmp(names[i], key) == 0) return i;
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", names[i]);
    }
    if (i == 0) return tl__fail(err, TL_EARG, "%s takes no \"%s\" (it has no parameters)", t->row->name, key);
    tl__did_you_mean(key, names, hint, sizeof hint);
    if (hint[0]) return tl__fail(err, TL_EARG, "%s takes no \"%s\"%s", t->row->name, key, hint);
    return tl__fail(err, TL_EARG, "%s takes no \"%s\" (it takes %s)", t->row->name, key, known);
}

int tl__transform_set_numbers(tl_error *err, tl_transform *t, const char *key, const double *values, int count)
{
    int i = find_param(err, t, key);
    if (i < 0) return -1;
    const tl_param *p = &t->row->param[i];
    if (p->choices) return tl__fail(err, TL_EARG, "%s: %s is a name, not a number", t->row->name, key);
    if (count < p->least || count > p->most) {
        if (p->least == p->most)
            return tl__fail(err, TL_EARG, "%s: %s takes %d number%s, not %d", t->row->name, key, p->least, p->least > 1 ? "s" : "", count);
        return tl__fail(err, TL_EARG, "%s: %s takes %d to %d numbers, not %d", t->row->name, key, p->least, p->most, count);
    }
    for (int k = 0; k < count; k++) {
        if (!(values[k] >= p->low && values[k] <= p->high))
            return tl__fail(err, TL_EARG, "%s: %s is %.9g, and must lie between %.9g and %.9g", t->row->name, key, values[k], p->low, p->high);
        if (p->integer && values[k] != floor(values[k]))
            return tl__fail(err, TL_EARG, "%s: %s is %.9g, and must be a whole number", t->row->name, key, values[k]);
    }
    t->value[i].count = count;
    memcpy(t->value[i].at, values, (size_t)count * sizeof *values);
    return 0;
}

int tl__transform_set_number(tl_error *err, tl_transform *t, const char *key, double value)
{
    return tl__transform_set_numbers(err, t, key, &value, 1);
}

int tl__transform_set_text(tl_error *err, tl_transform *t, const char *key, const char *value)
{
    int i = find_param(err, t, key);
    if (i < 0) return -1;
    const tl_param *p = &t->row->param[i];
    char hint[96], known[160] = "";
    if (!p->choices) return tl__fail(err, TL_EARG, "%s: %s is a number, not \"%s\"", t->row->name, key, value);
    for (int k = 0; p->choices[k]; k++) {
        if (strcmp(p->choices[k], value) == 0) {
            t->value[i] = (tl_setting){.count = 1, .at = {k}};
            return 0;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", k ? ", " : "", p->choices[k]);
    }
    tl__did_you_mean(value, p->choices, hint, sizeof hint);
    return tl__fail(err, TL_EARG, "%s: %s cannot be \"%s\" (%s)%s", t->row->name, key, value, known, hint);
}

int tl__transform_check(tl_error *err, const tl_transform *t)
{
    for (int i = 0; t->row->param[i].name; i++)
        if (t->value[i].count == 0) return tl__fail(err, TL_EARG, "%s: %s must be given", t->row->name, t->row->param[i].name);
    return t->row->check ? t->row->check(err, t) : 0;
}

/* ---- text ---- */

static void skip_blanks(const char **at)
{
    while (**at == ' ' || **at == '\n' || **at == '\t') (*at)++;
}

/* Copies a name of letters, digits and underscores. Returns its length. */
static size_t word(const char **at, char *buf, size_t size)
{
    size_t n = strspn(*at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    size_t kept = n < size ? n : size - 1;
    memcpy(buf, *at, kept);
    buf[kept] = 0;
    *at += n;
    return n;
}

static int expect(tl_error *err, const char **at, char c)
{
    skip_blanks(at);
    if (**at != c) return tl__fail(err, TL_EFORMAT, "'%c' expected at \"%.20s\"", c, *at);
    (*at)++;
    return 0;
}

/* A number, a list of numbers in brackets, or a word, for `key`. */
static int parse_value(tl_error *err, tl_transform *t, const char *key, const char **at)
{
    double values[TL_PARAM_VALUES];
    int count = 0, list;
    char name[64];
    skip_blanks(at);
    list = **at == '[';
    if (!list && strchr("+-.0123456789", **at) == NULL) {
        word(at, name, sizeof name);
        return tl__transform_set_text(err, t, key, name);
    }
    if (list) (*at)++;
    for (;;) {
        char *end;
        double v = tl__read_number(*at, &end);
        if (end == *at || count == TL_PARAM_VALUES) return tl__fail(err, TL_EFORMAT, "%s: %s: a number expected at \"%.20s\"", t->row->name, key, *at);
        values[count++] = v;
        *at = end;
        skip_blanks(at);
        if (!list || **at != ',') break;
        (*at)++;
    }
    if (list && expect(err, at, ']') != 0) return -1;
    return tl__transform_set_numbers(err, t, key, values, count);
}

static int set_initial(tl_error *err, tl_transform *t)
{
    for (const tl_param *p = t->row->param; p->name; p++) {
        const char *text = p->initial;
        if (text && parse_value(err, t, p->name, &text) != 0) return -1;
    }
    return 0;
}

static int parse_step(tl_error *err, tl_pipeline *p, const char **at)
{
    char name[64];
    word(at, name, sizeof name);
    tl_transform *t = tl__transform_new(err, name);
    int bad = !t || expect(err, at, '(') != 0;
    skip_blanks(at);
    while (!bad && **at != ')') {
        word(at, name, sizeof name);
        bad = expect(err, at, '=') != 0 || parse_value(err, t, name, at) != 0;
        skip_blanks(at);
        if (!bad && **at == ',') {
            (*at)++;
            skip_blanks(at);
        } else if (!bad && **at != ')') {
            bad = expect(err, at, ')');
        }
    }
    if (bad) {
        tl__transform_free(t);
        return -1;
    }
    (*at)++;
    return tl__pipeline_add(err, p, t);
}

tl_pipeline *tl__pipeline_parse(tl_error *err, const char *text)
{
    tl_pipeline *p = tl__pipeline_new(err);
    int bad = !p;
    const char *at = text;
    skip_blanks(&at);
    while (!bad && *at) {
        bad = parse_step(err, p, &at);
        skip_blanks(&at);
        if (!bad && *at) bad = expect(err, &at, ';');
        skip_blanks(&at);
    }
    if (!bad) return p;
    tl__pipeline_free(p);
    return NULL;
}

/* The shortest of two forms that reads back as the same number. */
static void print_number(FILE *out, double v)
{
    char text[40];
    tl__print(text, sizeof text, "%.15g", v);
    if (tl__read_number(text, NULL) != v) tl__print(text, sizeof text, "%.17g", v);
    fputs(text, out);
}

static void print_step(FILE *out, const tl_transform *t)
{
    fprintf(out, "%s(", t->row->name);
    for (int i = 0; t->row->param[i].name; i++) {
        const tl_param *p = &t->row->param[i];
        const tl_setting *v = &t->value[i];
        fprintf(out, "%s%s=", i ? ", " : "", p->name);
        if (p->choices) {
            fputs(p->choices[(int)v->at[0]], out);
            continue;
        }
        if (v->count > 1) fputc('[', out);
        for (int k = 0; k < v->count; k++) {
            if (k) fputs(", ", out);
            print_number(out, v->at[k]);
        }
        if (v->count > 1) fputc(']', out);
    }
    fputc(')', out);
}

char *tl__pipeline_text(tl_error *err, const tl_pipeline *p)
{
    /* A step has at most 6 parameters, a few names, and two lists of 64 numbers of 25 characters. */
    size_t size = 64 + (size_t)p->count * 4608;
    char *text = tl__calloc(err, 1, size);
    FILE *out = text ? fmemopen(text, size, "w") : NULL;
    if (text && !out) tl__fail(err, TL_EMEMORY, "no memory for a text");
    for (int i = 0; out && i < p->count; i++) {
        if (i) fputs("; ", out);
        print_step(out, &p->step[i]);
    }
    if (out) fclose(out);
    if (out) return text;
    free(text);
    return NULL;
}
