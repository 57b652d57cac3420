/* hash.c - SHA-256 (nettle's) for what must be trusted: downloads, cache entries; FNV-1a for tables. */
#include "base/base.h"

#include <nettle/sha2.h>
#include <nettle/version.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(tl_sha256), "tl_sha256 holds nettle's context");

typedef union view { tl_sha256 *ours; struct sha256_ctx *theirs; } view;

void tl__sha256_init(tl_sha256 *h) { sha256_init(((view){.ours = h}).theirs); }

void tl__sha256_update(tl_sha256 *h, const void *data, size_t bytes)
{
    sha256_update(((view){.ours = h}).theirs, bytes, data);
}

void tl__sha256_final(tl_sha256 *h, char hex[65])
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_digest(((view){.ours = h}).theirs, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

uint64_t tl__hash64(const void *data, size_t bytes, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
