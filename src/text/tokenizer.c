/* tokenizer.c - a tokenizer.json, and a text's way through it: what was added to the vocabulary is cut out first, the
 * rest is normalized, cut into words, and words become pieces. */
#include "text/inside.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* GPT-2's table: bytes that print are themselves, the others follow from 256 on. */
const uint16_t tl__byte_letters[256] = {
#define SELF4(b) b, b + 1, b + 2, b + 3
#define SELF16(b) SELF4(b), SELF4(b + 4), SELF4(b + 8), SELF4(b + 12)
    SELF16(256), SELF16(272), 288, '!', '"', '#', SELF4('$'), SELF4('('), SELF4(','), SELF16('0'), SELF16('@'),
    SELF16('P'), SELF16('`'), SELF4('p'), SELF4('t'), SELF4('x'), '|', '}', '~', 289, SELF16(290), SELF16(306), 322,
    0xa1, 0xa2, 0xa3, SELF4(0xa4), SELF4(0xa8), 0xac, 323, 0xae, 0xaf, SELF16(0xb0), SELF16(0xc0), SELF16(0xd0),
    SELF16(0xe0), SELF16(0xf0)};

/* ---- JSON ---- */

const cJSON *tl__json_field(const cJSON *j, const char *key)
{
    const cJSON *found = cJSON_IsObject(j) ? cJSON_GetObjectItemCaseSensitive(j, key) : NULL;
    return cJSON_IsNull(found) ? NULL : found;
}

int tl__json_flag(const cJSON *j, const char *key, int otherwise)
{
    const cJSON *found = tl__json_field(j, key);
    return cJSON_IsBool(found) ? cJSON_IsTrue(found) : otherwise;
}

const char *tl__json_string(const cJSON *j, const char *key)
{
    return cJSON_GetStringValue(tl__json_field(j, key));
}

int32_t tl__json_number(const cJSON *j, int32_t otherwise)
{
    if (!cJSON_IsNumber(j) || !(j->valuedouble >= 0) || j->valuedouble > INT32_MAX) return otherwise;
    return (int32_t)j->valuedouble;
}

/* ---- reading ---- */

static void steps_free(tl_text_step *s)
{
    while (s) {
        tl_text_step *next = s->next;
        free(s->text), free(s->content);
        tl__regex_free(s->regex);
        tl__charsmap_free(s->map);
        free(s);
        s = next;
    }
}

/* Adds the step, or the steps of a Sequence, to the end of a list. */
static int read_steps(tl_error *err, const char *name, const char *what, const cJSON *j, const tl_text_step_row *rows,
                      tl_text_step **list)
{
    const char *type = tl__json_string(j, "type");
    const cJSON *inner = tl__json_field(j, "normalizers"), *each;
    if (!j) return 0;
    if (!inner) inner = tl__json_field(j, "pretokenizers");
    if (type && strcmp(type, "Sequence") == 0) {
        cJSON_ArrayForEach(each, inner)
        {
            if (read_steps(err, name, what, each, rows, list) != 0) return -1;
        }
        return 0;
    }
    const tl_text_step_row *row = rows;
    while (row->name && (!type || strcmp(type, row->name) != 0)) row++;
    if (!row->name)
        return tl__fail(err, TL_EFORMAT, "%s: its %s is of the type %.60s, which is not read", name, what,
                        type ? type : "(none)");
    tl_text_step *s = tl__calloc(err, 1, sizeof *s);
    if (!s) return -1;
    s->row = row;
    while (*list) list = &(*list)->next;
    *list = s;
    return row->read ? row->read(err, name, j, s) : 0;
}

/* The content as the normalizers leave it, for tokens that are looked for in normalized text. */
static char *normalized(tl_error *err, const tl_tokenizer *t, tl_text_work *w, const char *text);

static int add_token(tl_error *err, tl_tokenizer *t, tl_text_work *w, const cJSON *j, int i)
{
    tl_added *a = &t->added[i];
    const char *content = tl__json_string(j, "content");
    const cJSON *id = tl__json_field(j, "id");
    if (!content || !*content || tl__json_number(id, 1 << 24) >= 1 << 24)
        return tl__fail(err, TL_EFORMAT, "%s: added token %d has no content or no number", t->name, i + 1);
    if (!(a->content = tl__strdup(err, content))) return -1;
    a->id = tl__json_number(id, 0);
    a->single_word = tl__json_flag(j, "single_word", 0);
    a->left = tl__json_flag(j, "lstrip", 0);
    a->right = tl__json_flag(j, "rstrip", 0);
    a->special = tl__json_flag(j, "special", 0);
    a->normalized = tl__json_flag(j, "normalized", !a->special);
    if (a->id >= t->size) t->size = a->id + 1;
    char *wanted = a->normalized ? normalized(err, t, w, content) : tl__strdup(err, content);
    int ok = wanted ? 0 : -1;
    if (ok == 0 && *wanted) {
        ok = tl__trie_add(err, a->normalized ? &t->normal : &t->plain, wanted, strlen(wanted), i);
        (a->normalized ? t->first_normal : t->first_plain)[(uint8_t)*wanted] = 1;
    }
    free(wanted);
    return ok;
}

static int read_added(tl_error *err, tl_tokenizer *t, const cJSON *list)
{
    const cJSON *each;
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0, i = 0, ok = 0;
    if (!count) return 0;
    tl_text_work *w = tl__text_work_new(err);
    if (!w) return -1;
    if (!(t->added = tl__calloc(err, (size_t)count, sizeof *t->added))) ok = -1;
    cJSON_ArrayForEach(each, list)
    {
        if (ok == 0 && (ok = add_token(err, t, w, each, i)) == 0) t->added_count = ++i;
        else if (ok != 0 && t->added) t->added_count = i + 1;
        if (ok != 0) break;
    }
    tl__text_work_free(w);
    return ok;
}

static int read_all(tl_error *err, tl_tokenizer *t, const cJSON *j)
{
    const cJSON *model = tl__json_field(j, "model");
    if (!model) return tl__fail(err, TL_EFORMAT, "%s: this is no tokenizer.json: it has no model", t->name);
    if (read_steps(err, t->name, "normalizer", tl__json_field(j, "normalizer"), tl__normalizer_rows,
                   &t->normalizers) != 0 ||
        read_steps(err, t->name, "pre_tokenizer", tl__json_field(j, "pre_tokenizer"), tl__splitter_rows,
                   &t->splitters) != 0 ||
        tl__model_read(err, t->name, model, &t->model) != 0)
        return -1;
    t->size = t->model.size;
    if (read_added(err, t, tl__json_field(j, "added_tokens")) != 0) return -1;
    return tl__post_read(err, t->name, tl__json_field(j, "post_processor"), &t->post);
}

tl_tokenizer *tl__tokenizer_read(tl_error *err, const char *name, const char *json, size_t bytes)
{
    tl_tokenizer *t = tl__calloc(err, 1, sizeof *t);
    /* Texts in it are read as UTF-8 without another look. */
    cJSON *j = t && tl__utf8_valid(json, bytes) ? cJSON_ParseWithLength(json, bytes) : NULL;
    if (t && !j) tl__fail(err, TL_EFORMAT, "%s: this is no JSON, or damaged", name);
    if (!t || !j || !(t->name = tl__strdup(err, name)) || read_all(err, t, j) != 0) {
        tl__tokenizer_free(t);
        t = NULL;
    }
    cJSON_Delete(j);
    return t;
}

tl_tokenizer *tl__tokenizer_open(tl_error *err, const char *path)
{
    size_t bytes;
    char *json = tl__read_file(err, path, &bytes);
    if (!json) return NULL;
    tl_tokenizer *t = tl__tokenizer_read(err, path, json, bytes);
    free(json);
    return t;
}

void tl__tokenizer_free(tl_tokenizer *t)
{
    if (!t) return;
    steps_free(t->normalizers);
    steps_free(t->splitters);
    tl__text_model_free(&t->model);
    tl__post_free(&t->post);
    for (int i = 0; i < t->added_count; i++) free(t->added[i].content);
    free(t->added);
    tl__trie_free(&t->plain);
    tl__trie_free(&t->normal);
    free(t->name);
    free(t);
}

/* ---- what is known of pieces ---- */

int32_t tl__tokenizer_size(const tl_tokenizer *t) { return t->size; }

int32_t tl__tokenizer_id(const tl_tokenizer *t, const char *piece)
{
    for (int i = 0; i < t->added_count; i++)
        if (strcmp(t->added[i].content, piece) == 0) return t->added[i].id;
    return tl__trie_find(&t->model.trie, piece, strlen(piece));
}

const char *tl__tokenizer_piece(const tl_tokenizer *t, int32_t id)
{
    for (int i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return t->added[i].content;
    return id >= 0 && id < t->model.size ? t->model.piece[id] : NULL;
}

int tl__tokenizer_is_special(const tl_tokenizer *t, int32_t id)
{
    for (int i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) return t->added[i].special;
    return 0;
}

/* ---- added tokens in a text ---- */

static int is_word(const tl_text_work *w, const char *text, size_t at)
{
    size_t n;
    return w->classes[tl__utf8_read(text + at, &n)] & TL_CHAR_WORD;
}

static size_t char_before(const char *text, size_t begin, size_t at)
{
    do at--;
    while (at > begin && (text[at] & 0xc0) == 0x80);
    return at;
}

/* What lies around a match and belongs to it; 0 where it is no match for want of a word's ends. */
static int settle(const tl_text_work *w, const tl_added *a, tl_piece p, size_t done,
                  size_t *from, size_t *to)
{
    const char *text = w->now.text;
    size_t n;
    if (a->single_word && ((*from > p.begin && is_word(w, text, char_before(text, p.begin, *from))) ||
                           (*to < p.end && is_word(w, text, *to))))
        return 0;
    if (a->left && *from < done) *from = done; /* the one before took spaces that this one begins with */
    while (a->left && *from > done) {
        size_t before = char_before(text, done, *from);
        if (!tl__unicode_is_space(tl__utf8_read(text + before, &n))) break;
        *from = before;
    }
    while (a->right && *to < p.end && tl__unicode_is_space(tl__utf8_read(text + *to, &n))) *to += n;
    return 1;
}

static int cut_piece(tl_error *err, const tl_tokenizer *t, tl_text_work *w, tl_piece p, const tl_trie *trie,
                     const uint8_t first[256])
{
    const char *text = w->now.text;
    size_t done = p.begin, n = 0;
    for (size_t at = p.begin; at < p.end;) {
        int32_t which = first[(uint8_t)text[at]] ? tl__trie_longest(trie, 0, text + at, p.end - at, &n) : -1;
        if (which < 0) {
            at++;
            continue;
        }
        size_t from = at, to = at + n;
        at = to;
        if (!settle(w, &t->added[which], p, done, &from, &to)) continue;
        if (tl__pieces_add(err, &w->other, done, from, -1) != 0 ||
            tl__pieces_add(err, &w->other, from, to, t->added[which].id) != 0)
            return -1;
        done = to;
    }
    return tl__pieces_add(err, &w->other, done, p.end, -1);
}

static int cut_added(tl_error *err, const tl_tokenizer *t, tl_text_work *w, const tl_trie *trie,
                     const uint8_t first[256])
{
    if (!trie->nodes) return 0;
    w->other.count = 0;
    for (size_t i = 0; i < w->pieces.count; i++) {
        tl_piece p = w->pieces.at[i];
        if ((p.id >= 0 ? tl__pieces_add(err, &w->other, p.begin, p.end, p.id)
                       : cut_piece(err, t, w, p, trie, first)) != 0)
            return -1;
    }
    tl_pieces before = w->pieces;
    w->pieces = w->other;
    w->other = before;
    return 0;
}

/* ---- encoding ---- */

static int begin(tl_error *err, tl_text_work *w, const char *text, size_t bytes)
{
    if (bytes > INT32_MAX / 8) return tl__fail(err, TL_EARG, "a text of %zu bytes is too long for one", bytes);
    for (size_t at = 0, n; at < bytes; at += n)
        if (!(n = tl__utf8_length(text + at, bytes - at)))
            return tl__fail(err, TL_EFORMAT, "byte %zu of a text is no UTF-8", at + 1);
    w->most = 64 * bytes + 65536;
    if (w->most > INT32_MAX) w->most = INT32_MAX;
    if (tl__buffer_reserve(err, &w->now, bytes, w->most) != 0) return -1;
    memcpy(w->now.text, text, bytes);
    for (size_t at = 0, n; at < bytes; at += n) {
        tl__utf8_read(text + at, &n);
        for (size_t i = 0; i < n; i++) w->now.span[at + i] = (tl_span){(uint32_t)at, (uint32_t)(at + n)};
    }
    w->now.bytes = bytes;
    w->pieces.count = 0;
    return tl__pieces_add(err, &w->pieces, 0, bytes, -1);
}

static char *normalized(tl_error *err, const tl_tokenizer *t, tl_text_work *w, const char *text)
{
    if (begin(err, w, text, strlen(text)) != 0 || tl__steps_run(err, t->normalizers, w) != 0) return NULL;
    size_t n = w->pieces.count ? w->pieces.at[0].end : 0;
    char *out = tl__malloc(err, n + 1);
    if (!out) return NULL;
    memcpy(out, w->now.text, n);
    out[n] = 0;
    return out;
}

/* How many spaces a token's text begins with, or ends with. */
static int32_t spaces(const char *text, size_t first, size_t end, int back)
{
    int32_t count = 0;
    for (size_t n; first < end; count++) {
        size_t at = back ? char_before(text, first, end) : first;
        int32_t c = tl__utf8_read(text + at, &n);
        if (c != tl__byte_letters[' '] && !tl__unicode_is_space(c)) break;
        if (back) end = at;
        else first += n;
    }
    return count;
}

static int take_tokens(tl_error *err, const tl_tokenizer *t, const tl_text_work *w, tl_encoding *e)
{
    e->count = 0;
    if (tl__encoding_reserve(err, e, (int64_t)w->tokens.count) != 0) return -1;
    for (size_t i = 0; i < w->tokens.count; i++) {
        const tl_token *k = &w->tokens.at[i];
        int unknown = k->id == t->model.unknown;
        e->ids[i] = k->id;
        e->from[i] = (int32_t)w->now.span[k->begin].from;
        e->to[i] = (int32_t)w->now.span[k->end - 1].to;
        e->word[i] = k->word;
        e->lead[i] = t->post.trim && !unknown ? spaces(w->now.text, k->begin, k->end, 0) : 0;
        e->trail[i] = t->post.trim && !unknown ? spaces(w->now.text, k->begin, k->end, 1) : 0;
    }
    e->count = (int64_t)w->tokens.count;
    return 0;
}

static int encode_one(tl_error *err, const tl_tokenizer *t, tl_text_work *w, const char *text, size_t bytes,
                      tl_encoding *e)
{
    if (begin(err, w, text, bytes) != 0 || cut_added(err, t, w, &t->plain, t->first_plain) != 0 ||
        tl__steps_run(err, t->normalizers, w) != 0 || cut_added(err, t, w, &t->normal, t->first_normal) != 0 ||
        tl__steps_run(err, t->splitters, w) != 0)
        return -1;
    w->tokens.count = 0;
    for (size_t i = 0; i < w->pieces.count; i++) {
        tl_piece p = w->pieces.at[i];
        if ((p.id >= 0 ? tl__tokens_add(err, &w->tokens, p.id, p.begin, p.end, (int32_t)i)
                       : tl__model_tokens(err, &t->model, w, p.begin, p.end, (int32_t)i)) != 0)
            return -1;
    }
    return take_tokens(err, t, w, e);
}

int tl__tokenizer_encode(tl_error *err, const tl_tokenizer *t, tl_text_work *w, const char *a, size_t a_bytes,
                         const char *b, size_t b_bytes, const tl_encode_options *options, tl_encoding **windows,
                         int64_t *count)
{
    static const tl_encode_options none = {.stride = -1};
    w->text[0] = a;
    w->text[1] = b;
    if (encode_one(err, t, w, a, a_bytes, &w->one[0]) != 0) return -1;
    if (b && encode_one(err, t, w, b, b_bytes, &w->one[1]) != 0) return -1;
    if (tl__post_run(err, &t->post, w, b != NULL, options ? options : &none) != 0) return -1;
    *windows = w->window;
    *count = w->windows;
    return 0;
}
