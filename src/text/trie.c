/* trie.c - edges lie in one table by node and byte, so that a step is one look and a vocabulary of 250,000 pieces is
 * made in a fraction of a second. */
#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#define MOST_NODES ((uint32_t)1 << 24) /* node << 8 fits 32 bits */

static void put(tl_trie *t, uint32_t key, uint32_t to)
{
    size_t i = (key * 0x9E3779B97F4A7C15ull >> 32) & t->mask;
    while (t->edge[i].to) i = (i + 1) & t->mask;
    t->edge[i].key = key;
    t->edge[i].to = to;
}

static int grow_edges(tl_error *err, tl_trie *t)
{
    tl_trie old = *t;
    size_t slots = t->edge ? 2 * (t->mask + 1) : 1024;
    t->edge = tl__calloc(err, slots, sizeof *t->edge);
    if (!t->edge) {
        *t = old;
        return -1;
    }
    t->mask = slots - 1;
    for (size_t i = 0; old.edge && i <= old.mask; i++)
        if (old.edge[i].to) put(t, old.edge[i].key, old.edge[i].to);
    free(old.edge);
    return 0;
}

static uint32_t new_node(tl_error *err, tl_trie *t)
{
    if (t->nodes >= t->room) {
        uint32_t room = t->room ? 2 * t->room : 1024;
        int32_t *more = tl__realloc(err, t->value, room * sizeof *more);
        if (!more) return TL_TRIE_NONE;
        t->value = more;
        t->room = room;
    }
    if (t->nodes >= MOST_NODES) return tl__fail(err, TL_EARG, "a vocabulary this large is not read"), TL_TRIE_NONE;
    t->value[t->nodes] = -1;
    return t->nodes++;
}

int tl__trie_add(tl_error *err, tl_trie *t, const char *text, size_t bytes, int32_t value)
{
    uint32_t node = 0;
    if (!t->edge && grow_edges(err, t) != 0) return -1;
    if (!t->nodes && new_node(err, t) == TL_TRIE_NONE) return -1;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)text[i];
        uint32_t next = tl__trie_step(t, node, byte);
        if (next == TL_TRIE_NONE) {
            if (4 * t->edges > 3 * t->mask && grow_edges(err, t) != 0) return -1;
            if ((next = new_node(err, t)) == TL_TRIE_NONE) return -1;
            if (node) put(t, node << 8 | byte, next), t->edges++;
            else t->root[byte] = next;
        }
        node = next;
    }
    t->value[node] = value;
    return 0;
}

void tl__trie_free(tl_trie *t)
{
    free(t->edge);
    free(t->value);
    *t = (tl_trie){0};
}

int32_t tl__trie_find(const tl_trie *t, const char *text, size_t bytes)
{
    uint32_t node = 0;
    if (!t->nodes) return -1;
    for (size_t i = 0; i < bytes; i++)
        if ((node = tl__trie_step(t, node, (uint8_t)text[i])) == TL_TRIE_NONE) return -1;
    return t->value[node];
}

int32_t tl__trie_longest(const tl_trie *t, uint32_t node, const char *text, size_t bytes, size_t *length)
{
    int32_t best = -1;
    if (!t->nodes) return -1;
    for (size_t i = 0; i < bytes; i++) {
        if ((node = tl__trie_step(t, node, (uint8_t)text[i])) == TL_TRIE_NONE) break;
        if (t->value[node] >= 0) best = t->value[node], *length = i + 1;
    }
    return best;
}
