/* batch.c - many texts at once: threads take them a few hundred at a time, each with memory of its own, and what they
 * made is joined in the order of the texts. */
#include "text/inside.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 256
#define MOST_THREADS 64

typedef struct chunk {
    tl_encodings made;
    int64_t room; /* of its windows */
    tl_error err;
} chunk;

typedef struct job {
    const tl_tokenizer *t;
    const tl_text_pair *texts;
    const tl_encode_options *options;
    int64_t count, chunks, next;
    chunk *chunk;
    int failed;
    pthread_mutex_t lock;
} job;

void tl__encodings_free(tl_encodings *e)
{
    tl__encoding_free(&e->all);
    free(e->offset);
    free(e->text);
    *e = (tl_encodings){0};
}

static int append(tl_error *err, tl_encoding *to, const tl_encoding *of)
{
    size_t n = (size_t)of->count, at = (size_t)to->count;
    if (tl__encoding_reserve(err, to, to->count + of->count) != 0) return -1;
    if (!n) return 0;
    memcpy(to->ids + at, of->ids, n * sizeof *of->ids);
    memcpy(to->from + at, of->from, n * sizeof *of->from);
    memcpy(to->to + at, of->to, n * sizeof *of->to);
    memcpy(to->word + at, of->word, n * sizeof *of->word);
    memcpy(to->types + at, of->types, n);
    memcpy(to->sequence + at, of->sequence, n);
    to->count += of->count;
    return 0;
}

static int add_window(tl_error *err, chunk *c, const tl_encoding *of, int64_t text)
{
    tl_encodings *m = &c->made;
    if (m->windows + 1 >= c->room) {
        int64_t room = 2 * c->room + CHUNK;
        int64_t *offset = tl__realloc(err, m->offset, (size_t)room * sizeof *offset);
        if (offset) m->offset = offset;
        int64_t *texts = offset ? tl__realloc(err, m->text, (size_t)room * sizeof *texts) : NULL;
        if (!texts) return -1;
        m->text = texts;
        c->room = room;
    }
    if (append(err, &m->all, of) != 0) return -1;
    m->text[m->windows++] = text;
    m->offset[m->windows] = m->all.count;
    return 0;
}

static int encode_chunk(const job *j, chunk *c, tl_text_work *w, int64_t first, int64_t end)
{
    for (int64_t i = first; i < end; i++) {
        const tl_text_pair *p = &j->texts[i];
        tl_encoding *windows;
        int64_t count;
        if (tl__tokenizer_encode(&c->err, j->t, w, p->a, p->a_bytes, p->b, p->b_bytes, j->options, &windows, &count) !=
            0) {
            tl__error_prefix(&c->err, "text %lld: ", (long long)i + 1);
            return -1;
        }
        for (int64_t k = 0; k < count; k++)
            if (add_window(&c->err, c, &windows[k], i) != 0) return -1;
    }
    return 0;
}

static void *work(void *with)
{
    job *j = with;
    tl_error err = {0};
    tl_text_work *w = tl__text_work_new(&err);
    for (;;) {
        pthread_mutex_lock(&j->lock);
        int64_t own = j->next < j->chunks && !j->failed ? j->next++ : -1;
        pthread_mutex_unlock(&j->lock);
        if (own < 0) break;
        chunk *c = &j->chunk[own];
        int64_t end = (own + 1) * CHUNK < j->count ? (own + 1) * CHUNK : j->count;
        if (!w) c->err = err;
        if (w && encode_chunk(j, c, w, own * CHUNK, end) == 0) continue;
        pthread_mutex_lock(&j->lock);
        j->failed = 1; /* chunks before this one are under way, and their errors come first */
        pthread_mutex_unlock(&j->lock);
        break;
    }
    tl__text_work_free(w);
    return NULL;
}

static int join(tl_error *err, const job *j, tl_encodings *out)
{
    int64_t windows = 0, numbers = 0, k = 0;
    for (int64_t i = 0; i < j->chunks; i++) {
        windows += j->chunk[i].made.windows;
        numbers += j->chunk[i].made.all.count;
    }
    out->offset = tl__malloc(err, (size_t)(windows + 1) * sizeof *out->offset);
    out->text = tl__malloc(err, (size_t)(windows + 1) * sizeof *out->text);
    if (!out->offset || !out->text || tl__encoding_reserve(err, &out->all, numbers) != 0) return -1;
    for (int64_t i = 0; i < j->chunks; i++) {
        tl_encodings *m = &j->chunk[i].made;
        for (int64_t n = 0; n < m->windows; n++, k++) {
            out->offset[k] = out->all.count + (n ? m->offset[n] : 0);
            out->text[k] = m->text[n];
        }
        if (append(err, &out->all, &m->all) != 0) return -1;
        tl__encodings_free(m);
    }
    out->offset[k] = out->all.count;
    out->windows = windows;
    return 0;
}

static int threads_of(int threads, int64_t chunks)
{
    long most = threads > 0 ? threads : sysconf(_SC_NPROCESSORS_ONLN);
    if (most > MOST_THREADS) most = MOST_THREADS;
    if (most > chunks) most = (long)chunks;
    return most > 1 ? (int)most : 1;
}

int tl__tokenizer_encode_all(tl_error *err, const tl_tokenizer *t, const tl_text_pair *texts, int64_t count,
                             const tl_encode_options *options, int threads, tl_encodings *out)
{
    job j = {t, texts, options, count, (count + CHUNK - 1) / CHUNK, 0, NULL, 0, PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread[MOST_THREADS];
    int started = 0, ok = -1;
    j.chunk = tl__calloc(err, (size_t)j.chunks + 1, sizeof *j.chunk);
    if (!j.chunk) return -1;
    for (int n = threads_of(threads, j.chunks) - 1; started < n; started++)
        if (pthread_create(&thread[started], NULL, work, &j) != 0) break;
    work(&j);
    while (started) pthread_join(thread[--started], NULL);
    for (int64_t i = 0; i < j.chunks; i++)
        if (j.chunk[i].err.code) tl__fail(err, j.chunk[i].err.code, "%s", j.chunk[i].err.text);
    if (!j.failed) ok = join(err, &j, out);
    if (ok != 0) tl__encodings_free(out);
    for (int64_t i = 0; i < j.chunks; i++) tl__encodings_free(&j.chunk[i].made);
    free(j.chunk);
    return ok;
}
