/* hash.c - SHA-256 (nettle's) for what must be trusted: downloads, cache entries; FNV-1a for tables. */
#include "base/base.h"

#include <nettle/hmac.h>
#include <nettle/sha2.h>
#include <nettle/version.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(tl_sha256), "tl_sha256 holds nettle's context");

typedef union view { tl_sha256 *ours; struct sha256_ctx *theirs; } view;

void tl__sha256_init(tl_sha256 *h) { sha256_init(((view){.ours = h}).theirs); }

void tl__sha256_update(tl_sha256 *h, const void *data, size_t bytes)
{
    sha256_update(((view){.ours = h}).theirs, bytes, data);
}

static void in_hex(const unsigned char digest[SHA256_DIGEST_SIZE], char hex[65])
{
    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void tl__sha256_final(tl_sha256 *h, char hex[65])
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_digest(((view){.ours = h}).theirs, sizeof digest, digest);
    in_hex(digest, hex);
}

void tl__hmac_sha256(const void *key, size_t key_bytes, const void *data, size_t bytes, char hex[65])
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct hmac_sha256_ctx h;
    hmac_sha256_set_key(&h, key_bytes, key);
    hmac_sha256_update(&h, bytes, data);
    hmac_sha256_digest(&h, sizeof digest, digest);
    in_hex(digest, hex);
}

uint64_t tl__hash64(const void *data, size_t bytes, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < bytes; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}
