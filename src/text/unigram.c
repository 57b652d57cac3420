/* unigram.c - the most likely way to write a text in pieces that have a score each (Kudo, arXiv:1804.10959): one pass
 * from left to right that keeps the best way to each place. */
#include "text/inside.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_PENALTY 10.0 /* an unknown character is so much worse than the worst piece, as in SentencePiece */

struct tl_best {
    double score;
    int32_t id;
    uint32_t from; /* UINT32_MAX: no way leads here yet */
    uint32_t to;   /* on the best way: where the piece that begins here ends */
};

/* The number that Hugging Face's reader makes of the text that it wrote for this one: digits as a whole number, divided
 * by a power of ten, which may be off by the last bit. Ways that are equally likely are told apart by it. */
static double as_they_read(double v)
{
    char text[40], *end;
    int digits = 15, point = -1, used = 0;
    do tl__print(text, sizeof text, "%.*g", digits, v);
    while (digits++ < 17 && tl__read_number(text, &end) != v);
    if (strchr(text, 'e')) return v;
    uint64_t whole = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '.') point = 0;
        if (*c < '0' || *c > '9') continue;
        whole = 10 * whole + (uint64_t)(*c - '0');
        used += point >= 0;
    }
    double made = (double)whole / pow(10, used);
    return *text == '-' ? -made : made;
}

int tl__unigram_read(tl_error *err, const char *name, const cJSON *j, tl_text_model *m)
{
    const cJSON *vocabulary = tl__json_field(j, "vocab"), *each, *unknown = tl__json_field(j, "unk_id");
    int count = cJSON_IsArray(vocabulary) ? cJSON_GetArraySize(vocabulary) : 0, i = 0;
    if (count < 1) return tl__fail(err, TL_EFORMAT, "%s: its vocabulary is empty", name);
    if (!(m->score = tl__malloc(err, (size_t)count * sizeof *m->score))) return -1;
    m->least = INFINITY;
    m->most = count;
    cJSON_ArrayForEach(each, vocabulary)
    {
        const cJSON *piece = cJSON_GetArrayItem(each, 0), *score = cJSON_GetArrayItem(each, 1);
        if (!cJSON_IsArray(each) || !cJSON_IsString(piece) || !cJSON_IsNumber(score) || !isfinite(score->valuedouble))
            return tl__fail(err, TL_EFORMAT, "%s: piece %d of its vocabulary is not [text, score]", name, i);
        m->score[i] = as_they_read(score->valuedouble);
        if (m->score[i] < m->least) m->least = m->score[i];
        if (tl__model_piece(err, m, piece->valuestring, i++) != 0) return -1;
    }
    m->unknown = tl__json_number(unknown, -1);
    if (m->unknown >= count)
        return tl__fail(err, TL_EFORMAT, "%s: unk_id is %d, and there are %d pieces", name, m->unknown, count);
    return 0;
}

static int reserve(tl_error *err, tl_text_work *w, size_t places)
{
    if (places <= w->best_room) return 0;
    size_t room = places + places / 2;
    struct tl_best *more = tl__realloc(err, w->best, room * sizeof *more);
    if (!more) return -1;
    w->best = more;
    w->best_room = room;
    return 0;
}

static void offer(struct tl_best *to, double score, int32_t id, size_t from)
{
    if (to->from != UINT32_MAX && !(score > to->score)) return;
    *to = (struct tl_best){score, id, (uint32_t)from, 0};
}

/* Best ways to every place of the text, from which they lead back. 0, or -1 where a character has no piece. */
static int find_best(tl_error *err, const tl_text_model *m, struct tl_best *best, const char *text, size_t bytes)
{
    for (size_t i = 0; i <= bytes; i++) best[i] = (struct tl_best){0, 0, UINT32_MAX, 0};
    for (size_t at = 0, width; at < bytes; at += width) {
        double here = best[at].score;
        uint32_t node = 0;
        int single = 0;
        tl__utf8_read(text + at, &width);
        for (size_t i = at; i < bytes && (node = tl__trie_step(&m->trie, node, (uint8_t)text[i])) != TL_TRIE_NONE;
             i++) {
            int32_t id = m->trie.value[node];
            if (id < 0) continue;
            offer(&best[i + 1], m->score[id] + here, id, at);
            single |= i + 1 - at == width;
        }
        if (single) continue;
        if (m->unknown < 0)
            return tl__fail(err, TL_EARG, "a character is not in the vocabulary, which has no piece for unknown ones");
        offer(&best[at + width], m->least - UNKNOWN_PENALTY + here, m->unknown, at);
    }
    return 0;
}

/* What is not in the vocabulary: as bytes where it has them, else as unknown. */
static int unknown_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end,
                          int32_t word)
{
    const char *text = w->now.text;
    int32_t id = tl__trie_find(&m->trie, text + begin, end - begin);
    int bytes = m->byte_fallback;
    for (size_t i = begin; i < end; i++) bytes = bytes && m->byte_piece[(uint8_t)text[i]] >= 0;
    if (id >= 0 || !bytes) return tl__tokens_add(err, &w->tokens, id >= 0 ? id : m->unknown, begin, end, word);
    for (size_t i = begin; i < end; i++)
        if (tl__tokens_add(err, &w->tokens, m->byte_piece[(uint8_t)text[i]], begin, end, word) != 0) return -1;
    return 0;
}

int tl__unigram_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word)
{
    size_t bytes = end - begin;
    if (reserve(err, w, bytes + 1) != 0) return -1;
    struct tl_best *best = w->best;
    if (find_best(err, m, best, w->now.text + begin, bytes) != 0) return -1;
    for (size_t at = bytes; at > 0; at = best[at].from) best[best[at].from].to = (uint32_t)at;
    for (size_t at = 0, to; at < bytes; at = to) {
        to = best[at].to;
        int32_t id = best[to].id;
        while (id == m->unknown && to < bytes && best[best[to].to].id == id) to = best[to].to;
        if ((id == m->unknown ? unknown_tokens(err, m, w, begin + at, begin + to, word)
                              : tl__tokens_add(err, &w->tokens, id, begin + at, begin + to, word)) != 0)
            return -1;
    }
    return 0;
}
