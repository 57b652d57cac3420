/* trie.h - a set of texts with a number each, walked byte by byte: the vocabularies of tokenizers. */
#ifndef TLUA_TEXT_TRIE_H
#define TLUA_TEXT_TRIE_H

#include "base/base.h"

#define TL_TRIE_NONE UINT32_MAX

typedef struct tl_trie {
    struct tl_trie_edge {
        uint32_t key, to; /* node << 8 | byte; to 0: free */
    } * edge;
    size_t edges, mask;
    uint32_t root[256]; /* the first step, by its byte; 0: none */
    int32_t *value;     /* of each node; -1: no text ends here */
    uint32_t nodes, room;
} tl_trie;

/* Adds a text, or gives one that is there another number. 0 or -1. */
int tl__trie_add(tl_error *err, tl_trie *t, const char *text, size_t bytes, int32_t value);
void tl__trie_free(tl_trie *t);

/* The node one byte behind `node` (0: the root); TL_TRIE_NONE. */
static inline uint32_t tl__trie_step(const tl_trie *t, uint32_t node, uint8_t byte)
{
    if (!node) return t->root[byte] ? t->root[byte] : TL_TRIE_NONE;
    uint32_t key = node << 8 | byte;
    for (size_t i = (key * 0x9E3779B97F4A7C15ull >> 32) & t->mask;; i = (i + 1) & t->mask) {
        if (!t->edge[i].to) return TL_TRIE_NONE;
        if (t->edge[i].key == key) return t->edge[i].to;
    }
}

/* The number of exactly this text; -1. */
int32_t tl__trie_find(const tl_trie *t, const char *text, size_t bytes);
/* The longest text that `text` begins with, from `node` on: its number, and its bytes; -1. */
int32_t tl__trie_longest(const tl_trie *t, uint32_t node, const char *text, size_t bytes, size_t *length);

#endif
