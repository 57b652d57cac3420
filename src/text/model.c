/* model.c - vocabularies: reading what all kinds have, WordPiece and whole words. */
#include "text/inside.h"

#include <stdlib.h>
#include <string.h>

#define MOST_PIECES (1 << 24)

int tl__model_piece(tl_error *err, tl_text_model *m, const char *text, int64_t id)
{
    if (id < 0 || id >= MOST_PIECES || id >= m->most)
        return tl__fail(err, TL_EFORMAT, "the piece '%.60s' has the number %lld, and there are far fewer", text,
                        (long long)id);
    if (id >= m->size) {
        int32_t size = m->size ? m->size : 1024;
        while (size <= id) size *= 2;
        char **more = tl__realloc(err, m->piece, (size_t)size * sizeof *more);
        if (!more) return -1;
        memset(more + m->size, 0, (size_t)(size - m->size) * sizeof *more);
        m->piece = more;
        m->size = size;
    }
    free(m->piece[id]);
    if (!(m->piece[id] = tl__strdup(err, text))) return -1;
    return tl__trie_add(err, &m->trie, text, strlen(text), (int32_t)id);
}

void tl__text_model_free(tl_text_model *m)
{
    for (int32_t i = 0; i < m->size; i++) free(m->piece[i]);
    free(m->piece);
    free(m->prefix), free(m->suffix);
    free(m->merges.at);
    free(m->score);
    tl__trie_free(&m->trie);
    *m = (tl_text_model){0};
}

/* Lets the numbers end with the last piece. */
static void trim(tl_text_model *m)
{
    while (m->size && !m->piece[m->size - 1]) m->size--;
}

static int read_vocabulary(tl_error *err, const char *name, const cJSON *j, tl_text_model *m)
{
    const cJSON *vocabulary = tl__json_field(j, "vocab"), *each;
    if (!cJSON_IsObject(vocabulary)) return tl__fail(err, TL_EFORMAT, "%s: its model has no vocab", name);
    m->most = 4 * (int64_t)cJSON_GetArraySize(vocabulary) + 65536; /* numbers may have gaps, in proportion */
    cJSON_ArrayForEach(each, vocabulary)
    {
        if (!cJSON_IsNumber(each))
            return tl__fail(err, TL_EFORMAT, "%s: the piece '%.60s' has no number", name, each->string);
        if (tl__model_piece(err, m, each->string, tl__json_number(each, -1)) != 0) {
            tl__error_prefix(err, "%s: ", name);
            return -1;
        }
    }
    if (!m->size) return tl__fail(err, TL_EFORMAT, "%s: its vocabulary is empty", name);
    trim(m);
    return 0;
}

static int read_unknown(tl_error *err, const char *name, const cJSON *j, tl_text_model *m, int needed)
{
    const char *text = tl__json_string(j, "unk_token");
    m->unknown = text ? tl__trie_find(&m->trie, text, strlen(text)) : -1;
    if (m->unknown < 0 && needed)
        return tl__fail(err, TL_EFORMAT, "%s: the piece for what is unknown, '%.60s', is not in the vocabulary", name,
                        text ? text : "");
    return 0;
}

static int read_words(tl_error *err, const char *name, const cJSON *j, tl_text_model *m)
{
    const char *prefix = tl__json_string(j, "continuing_subword_prefix");
    const cJSON *longest = tl__json_field(j, "max_input_chars_per_word");
    if (read_vocabulary(err, name, j, m) != 0 || read_unknown(err, name, j, m, 1) != 0) return -1;
    m->longest_word = tl__json_number(longest, 100);
    prefix = prefix ? prefix : "##";
    if (!(m->prefix = tl__strdup(err, prefix))) return -1;
    for (; *prefix && m->prefix_node != TL_TRIE_NONE; prefix++)
        m->prefix_node = tl__trie_step(&m->trie, m->prefix_node, (uint8_t)*prefix);
    return 0;
}

static void find_bytes(tl_text_model *m)
{
    for (int i = 0; i < 256; i++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", i);
        m->byte_piece[i] = tl__trie_find(&m->trie, text, 6);
    }
}

int tl__model_read(tl_error *err, const char *name, const cJSON *j, tl_text_model *m)
{
    const char *type = tl__json_string(j, "type");
    if (!type) { /* files of old versions do not say it */
        type = cJSON_IsArray(tl__json_field(j, "vocab"))            ? "Unigram"
               : tl__json_field(j, "merges")                        ? "BPE"
               : tl__json_field(j, "max_input_chars_per_word")      ? "WordPiece"
                                                                    : "WordLevel";
    }
    m->fuse_unknown = tl__json_flag(j, "fuse_unk", 0);
    m->byte_fallback = tl__json_flag(j, "byte_fallback", 0);
    m->whole_words = tl__json_flag(j, "ignore_merges", 0);
    int ok = -1;
    if (strcmp(type, "WordPiece") == 0) {
        m->kind = TL_MODEL_WORDPIECE;
        ok = read_words(err, name, j, m);
    } else if (strcmp(type, "WordLevel") == 0) {
        m->kind = TL_MODEL_WORDLEVEL;
        ok = read_vocabulary(err, name, j, m) != 0 ? -1 : read_unknown(err, name, j, m, 1);
    } else if (strcmp(type, "BPE") == 0) {
        m->kind = TL_MODEL_BPE;
        if (read_vocabulary(err, name, j, m) == 0 && read_unknown(err, name, j, m, 0) == 0)
            ok = tl__bpe_read(err, name, j, m);
    } else if (strcmp(type, "Unigram") == 0) {
        m->kind = TL_MODEL_UNIGRAM;
        ok = tl__unigram_read(err, name, j, m);
        trim(m);
    } else {
        tl__fail(err, TL_EFORMAT, "%s: its model is of the type %.60s; WordPiece, BPE, Unigram and WordLevel are read",
                 name, type);
    }
    find_bytes(m);
    return ok;
}

/* ---- tokens ---- */

/* The longest piece first, then again behind it; where that leads nowhere, the word is unknown as a whole. */
static int wordpiece(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word)
{
    const char *text = w->now.text;
    size_t kept = w->tokens.count;
    int bad = (int64_t)(end - begin) > m->longest_word && tl__utf8_count(text + begin, end - begin) > m->longest_word;
    for (size_t at = begin, n = 0; !bad && at < end; at += n) {
        uint32_t node = at > begin ? m->prefix_node : 0;
        int32_t id = node == TL_TRIE_NONE ? -1 : tl__trie_longest(&m->trie, node, text + at, end - at, &n);
        if (id < 0) bad = 1;
        else if (tl__tokens_add(err, &w->tokens, id, at, at + n, word) != 0) return -1;
    }
    if (!bad) return 0;
    w->tokens.count = kept;
    return tl__tokens_add(err, &w->tokens, m->unknown, begin, end, word);
}

int tl__model_tokens(tl_error *err, const tl_text_model *m, tl_text_work *w, size_t begin, size_t end, int32_t word)
{
    switch (m->kind) {
    case TL_MODEL_WORDPIECE: return wordpiece(err, m, w, begin, end, word);
    case TL_MODEL_BPE: return tl__bpe_tokens(err, m, w, begin, end, word);
    case TL_MODEL_UNIGRAM: return tl__unigram_tokens(err, m, w, begin, end, word);
    }
    int32_t id = tl__trie_find(&m->trie, w->now.text + begin, end - begin);
    return tl__tokens_add(err, &w->tokens, id < 0 ? m->unknown : id, begin, end, word);
}
