/* template.c - what stands around texts ([CLS] A [SEP] B [SEP]), how long ones are cut, and windows. */
#include "text/inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static tl_template_part *new_part(tl_error *err, tl_template *t)
{
    tl_template_part *more = tl__realloc(err, t->at, (size_t)(t->count + 1) * sizeof *more);
    if (!more) return NULL;
    t->at = more;
    more[t->count] = (tl_template_part){.sequence = -1};
    return &more[t->count++];
}

static int add_sequence(tl_error *err, tl_template *t, int sequence, int type)
{
    tl_template_part *p = new_part(err, t);
    if (!p) return -1;
    p->sequence = sequence;
    p->type = type;
    return 0;
}

static int add_special(tl_error *err, tl_template *t, int32_t id, int type)
{
    tl_template_part *p = new_part(err, t);
    if (!p || !(p->ids = tl__malloc(err, sizeof *p->ids))) return -1;
    p->ids[0] = id;
    p->count = 1;
    p->type = type;
    return 0;
}

/* The type of what a template's part becomes: an encoding keeps them in a byte. */
static int read_type(tl_error *err, const char *name, const cJSON *part, int *type)
{
    const cJSON *said = tl__json_field(part, "type_id");
    *type = tl__json_number(said, 0);
    if (*type <= INT8_MAX) return 0;
    return tl__fail(err, TL_EFORMAT, "%s: its template has the type %d, and types are at most %d", name, *type,
                    INT8_MAX);
}

static int read_special(tl_error *err, const char *name, const cJSON *special, const cJSON *tokens, tl_template *t)
{
    const char *id = tl__json_string(special, "id");
    const cJSON *ids = tl__json_field(tl__json_field(tokens, id ? id : ""), "ids"), *each;
    int n = cJSON_IsArray(ids) ? cJSON_GetArraySize(ids) : 0;
    tl_template_part *p = new_part(err, t);
    if (!n) return tl__fail(err, TL_EFORMAT, "%s: the template's %.60s has no numbers", name, id ? id : "piece");
    if (!p || !(p->ids = tl__malloc(err, (size_t)n * sizeof *p->ids))) return -1;
    if (read_type(err, name, special, &p->type) != 0) return -1;
    cJSON_ArrayForEach(each, ids) p->ids[p->count++] = tl__json_number(each, 0);
    return 0;
}

static int read_template(tl_error *err, const char *name, const cJSON *list, const cJSON *tokens, tl_template *t)
{
    const cJSON *each;
    cJSON_ArrayForEach(each, list)
    {
        const cJSON *sequence = tl__json_field(each, "Sequence"), *special = tl__json_field(each, "SpecialToken");
        if (special) {
            if (read_special(err, name, special, tokens, t) != 0) return -1;
            continue;
        }
        const char *id = tl__json_string(sequence, "id");
        int type;
        if (!id || (strcmp(id, "A") != 0 && strcmp(id, "B") != 0))
            return tl__fail(err, TL_EFORMAT, "%s: its template has a part that is no text and no special piece", name);
        if (read_type(err, name, sequence, &type) != 0 || add_sequence(err, t, *id - 'A', type) != 0) return -1;
    }
    return 0;
}

static int number_of(const cJSON *j, const char *key, int32_t *id)
{
    const cJSON *pair = tl__json_field(j, key), *number = cJSON_GetArrayItem(pair, 1);
    *id = tl__json_number(number, -1);
    return cJSON_IsArray(pair) && *id >= 0 ? 0 : -1;
}

/* BERT's and RoBERTa's own, which older files have instead of a template. */
static int read_fixed(tl_error *err, const char *name, const cJSON *j, tl_post *p, int roberta)
{
    int32_t cls, sep;
    tl_template *a = &p->single, *b = &p->pair;
    if (number_of(j, "cls", &cls) != 0 || number_of(j, "sep", &sep) != 0)
        return tl__fail(err, TL_EFORMAT, "%s: its post_processor does not say cls and sep", name);
    p->has = 1;
    p->zero_types = roberta;
    if (roberta) {
        p->trim = tl__json_flag(j, "trim_offsets", 1);
        p->prefix = tl__json_flag(j, "add_prefix_space", 1);
    }
    if (add_special(err, a, cls, 0) != 0 || add_sequence(err, a, 0, 0) != 0 || add_special(err, a, sep, 0) != 0 ||
        add_special(err, b, cls, 0) != 0 || add_sequence(err, b, 0, 0) != 0 || add_special(err, b, sep, 0) != 0)
        return -1;
    if (roberta && add_special(err, b, sep, 0) != 0) return -1;
    if (add_sequence(err, b, 1, !roberta) != 0 || add_special(err, b, sep, !roberta) != 0) return -1;
    return 0;
}

int tl__post_read(tl_error *err, const char *name, const cJSON *j, tl_post *p)
{
    const char *type = tl__json_string(j, "type");
    const cJSON *each;
    if (!type) return 0;
    if (strcmp(type, "Sequence") == 0) {
        cJSON_ArrayForEach(each, tl__json_field(j, "processors"))
        {
            if (tl__post_read(err, name, each, p) != 0) return -1;
        }
        return 0;
    }
    if (strcmp(type, "BertProcessing") == 0) return read_fixed(err, name, j, p, 0);
    if (strcmp(type, "RobertaProcessing") == 0) return read_fixed(err, name, j, p, 1);
    if (strcmp(type, "ByteLevel") == 0) {
        p->trim = tl__json_flag(j, "trim_offsets", 1);
        p->prefix = tl__json_flag(j, "add_prefix_space", 1);
        return 0;
    }
    if (strcmp(type, "TemplateProcessing") != 0)
        return tl__fail(err, TL_EFORMAT, "%s: its post_processor is of the type %.60s, which is not read", name, type);
    const cJSON *tokens = tl__json_field(j, "special_tokens");
    p->has = 1;
    if (read_template(err, name, tl__json_field(j, "single"), tokens, &p->single) != 0) return -1;
    return read_template(err, name, tl__json_field(j, "pair"), tokens, &p->pair);
}

static void template_free(tl_template *t)
{
    for (int i = 0; i < t->count; i++) free(t->at[i].ids);
    free(t->at);
}

void tl__post_free(tl_post *p)
{
    template_free(&p->single);
    template_free(&p->pair);
}

int64_t tl__post_added(const tl_post *p, int pair)
{
    const tl_template *t = pair ? &p->pair : &p->single;
    int64_t n = 0;
    for (int i = 0; i < t->count; i++) n += t->at[i].count;
    return n;
}

/* ---- numbers ---- */

void tl__encoding_free(tl_encoding *e)
{
    free(e->ids), free(e->from), free(e->to), free(e->types), free(e->sequence), free(e->word);
    free(e->lead), free(e->trail);
    *e = (tl_encoding){0};
}

int tl__encoding_reserve(tl_error *err, tl_encoding *e, int64_t room)
{
    if (room <= e->room) return 0;
    size_t n = (size_t)(room + room / 2 + 16);
#define GROW(field) \
    do { \
        void *more = tl__realloc(err, e->field, n * sizeof *e->field); \
        if (!more) return -1; \
        e->field = more; \
    } while (0)
    GROW(ids);
    GROW(from);
    GROW(to);
    GROW(types);
    GROW(sequence);
    GROW(word);
    GROW(lead);
    GROW(trail);
    e->room = (int64_t)n;
    return 0;
}

/* The place so many characters behind `at`, or before it, not beyond `end`. */
static int32_t moved(const char *text, int32_t at, int32_t count, int32_t end)
{
    int step = end < at ? -1 : 1;
    for (; count > 0 && at != end; count--) {
        do at += step;
        while (at != end && (text[at] & 0xc0) == 0x80);
    }
    return at;
}

/* Spaces are no part of a piece's place in the text; one that was put before the text never was there. */
static void trim(const tl_post *p, const char *text, tl_encoding *e, int64_t i, int first)
{
    int32_t lead = e->lead[i], trail = e->trail[i];
    if (!p->trim) return;
    if (lead == 1 && p->prefix && (first || e->from[i] == 0)) lead = 0;
    e->from[i] = moved(text, e->from[i], lead, e->to[i]);
    e->to[i] = moved(text, e->to[i], trail, e->from[i]);
}

static int copy(tl_error *err, const tl_post *p, tl_encoding *to, tl_text_work *w, int64_t begin, int64_t end,
                int sequence, int type)
{
    const tl_encoding *of = &w->one[sequence];
    int64_t n = end - begin, at = to->count;
    if (tl__encoding_reserve(err, to, at + n) != 0) return -1;
    for (int64_t i = 0; i < n; i++) {
        to->ids[at + i] = of->ids[begin + i];
        to->from[at + i] = of->from[begin + i];
        to->to[at + i] = of->to[begin + i];
        to->word[at + i] = of->word[begin + i];
        to->types[at + i] = (int8_t)type;
        to->sequence[at + i] = (int8_t)sequence;
        to->lead[at + i] = of->lead[begin + i];
        to->trail[at + i] = of->trail[begin + i];
        trim(p, w->text[sequence], to, at + i, i == 0);
    }
    to->count += n;
    return 0;
}

static int put_special(tl_error *err, tl_encoding *to, const tl_template_part *p, int type)
{
    if (tl__encoding_reserve(err, to, to->count + p->count) != 0) return -1;
    for (int i = 0; i < p->count; i++) {
        int64_t at = to->count++;
        to->ids[at] = p->ids[i];
        to->from[at] = to->to[at] = 0;
        to->word[at] = -1;
        to->types[at] = (int8_t)type;
        to->sequence[at] = -1;
    }
    return 0;
}

/* ---- windows ---- */

typedef struct range {
    int64_t begin, end;
} range;

static tl_encoding *new_window(tl_error *err, tl_text_work *w)
{
    if (w->windows == w->window_room) {
        int64_t room = w->window_room ? 2 * w->window_room : 4;
        tl_encoding *more = tl__realloc(err, w->window, (size_t)room * sizeof *more);
        if (!more) return NULL;
        memset(more + w->window_room, 0, (size_t)(room - w->window_room) * sizeof *more);
        w->window = more;
        w->window_room = room;
    }
    w->window[w->windows].count = 0;
    return &w->window[w->windows++];
}

static int add_window(tl_error *err, const tl_post *p, tl_text_work *w, int pair, int plain, const range part[2])
{
    static const tl_template_part bare_parts[] = {{.sequence = 0, .type = 0}, {.sequence = 1, .type = 1}};
    tl_template bare = {(tl_template_part *)bare_parts, pair ? 2 : 1};
    const tl_template *t = plain || !p->has ? &bare : pair ? &p->pair : &p->single;
    tl_encoding *to = new_window(err, w);
    if (!to) return -1;
    for (int i = 0; i < t->count; i++) {
        const tl_template_part *each = &t->at[i];
        int type = p->zero_types ? 0 : each->type, s = each->sequence;
        if (s >= 0 ? copy(err, p, to, w, part[s].begin, part[s].end, s, type) != 0
                   : put_special(err, to, each, type) != 0)
            return -1;
    }
    return 0;
}

/* How many numbers of each text fit in `most`: the longer one is cut, then both to a half. */
static void share(int64_t most, const int64_t had[2], int64_t kept[2])
{
    int swap = had[0] > had[1];
    int64_t small = swap ? had[1] : had[0], large;
    if (small > most) large = small;
    else large = small > most - small ? small : most - small;
    if (small + large > most) {
        small = most / 2;
        large = small + most % 2;
    }
    kept[swap] = small;
    kept[!swap] = large;
    for (int i = 0; i < 2; i++)
        if (kept[i] > had[i]) kept[i] = had[i];
}

int tl__post_run(tl_error *err, const tl_post *p, tl_text_work *w, int pair, const tl_encode_options *o)
{
    int64_t had[2] = {w->one[0].count, pair ? w->one[1].count : 0};
    int64_t added = o->plain || !p->has ? 0 : tl__post_added(p, pair);
    int64_t most = o->longest ? o->longest - added : INT64_MAX;
    range part[2] = {{0, had[0]}, {0, had[1]}};
    w->windows = 0;
    if (o->longest && most < 1)
        return tl__fail(err, TL_EARG, "%lld numbers are too few: the template alone has %lld", (long long)o->longest,
                        (long long)added);
    if (had[0] + had[1] <= most) return add_window(err, p, w, pair, o->plain, part);
    int cut = !pair ? 0 : o->cut == TL_CUT_FIRST ? 0 : o->cut == TL_CUT_SECOND ? 1 : -1;
    if (cut < 0) {
        int64_t kept[2];
        share(most, had, kept);
        part[0].end = kept[0];
        part[1].end = kept[1];
        return add_window(err, p, w, pair, o->plain, part);
    }
    int64_t room = most - had[!cut];
    if (room < 1)
        return tl__fail(err, TL_EARG, "the other text of the pair has %lld numbers, which leaves none of %lld",
                        (long long)had[!cut], (long long)o->longest);
    if (o->stride >= room)
        return tl__fail(err, TL_EARG, "windows share %lld numbers, and one holds %lld", (long long)o->stride,
                        (long long)room);
    for (int64_t begin = 0;; begin += room - o->stride) {
        part[cut] = (range){begin, begin + room < had[cut] ? begin + room : had[cut]};
        if (add_window(err, p, w, pair, o->plain, part) != 0) return -1;
        if (o->stride < 0 || part[cut].end == had[cut]) return 0;
    }
}
