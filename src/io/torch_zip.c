/* torch_zip.c - the form of torch.save since PyTorch 1.6: a zip file with the pickle in NAME/data.pkl
 * and each storage in NAME/data/KEY. */
#include "io/pickle.h"
#include "io/zip.h"

#include <string.h>

enum { MAX_KEY = 512 };

typedef struct reader {
    tl_zip zip;
    tl_archive *archive;
    const char *folder;  /* NAME, with its slash */
    size_t folder_bytes;
} reader;

/* The record NAME/`file``key`; NULL where there is none. */
static tl_zip_record *find(const reader *r, const char *file, const char *key, size_t key_bytes)
{
    char name[MAX_KEY];
    size_t file_bytes = strlen(file);
    if (r->folder_bytes + file_bytes + key_bytes > sizeof name) return NULL;
    memcpy(name, r->folder, r->folder_bytes);
    memcpy(name + r->folder_bytes, file, file_bytes);
    memcpy(name + r->folder_bytes + file_bytes, key, key_bytes);
    return tl__zip_find(&r->zip, name, r->folder_bytes + file_bytes + key_bytes);
}

/* PyTorch names the folder after the file it first wrote; whoever renames the file leaves it. */
static tl_zip_record *find_pickle(reader *r)
{
    for (int i = 0; i < r->zip.count; i++) {
        tl_zip_record *record = &r->zip.records[i];
        const char *slash = memchr(record->name, '/', record->name_bytes);
        if (!slash || record->name_bytes - (size_t)(slash - record->name) != 9 || memcmp(slash, "/data.pkl", 9) != 0) continue;
        r->folder = record->name;
        r->folder_bytes = (size_t)(slash - record->name) + 1;
        return record;
    }
    return NULL;
}

static int find_storage(tl_error *err, void *user, const tl_pstorage *s, const uint8_t **data, size_t *bytes)
{
    reader *r = user;
    char quoted[TL__PRINTABLE_SIZE];
    tl_zip_record *record = find(r, "data/", s->key, s->key_bytes);
    if (!record) return tl__fail(err, TL_EFORMAT, "the storage data/%s is missing; fetch the file again", tl__printable(quoted, s->key, s->key_bytes));
    if (tl__zip_data(err, &r->zip, r->archive, record) != 0) return -1;
    *data = record->data;
    *bytes = record->bytes;
    return 0;
}

/* 1 when the storages are big-endian, as an IBM Z writes them. */
static int is_big_endian(tl_error *err, reader *r, int *big)
{
    tl_zip_record *record = find(r, "byteorder", "", 0);
    *big = 0;
    if (!record) return 0;
    if (tl__zip_data(err, &r->zip, r->archive, record) != 0) return -1;
    *big = record->bytes == 3 && memcmp(record->data, "big", 3) == 0;
    if (!*big && (record->bytes != 6 || memcmp(record->data, "little", 6) != 0)) return tl__fail(err, TL_EFORMAT, "its byte order is neither little nor big");
    return 0;
}

static int read_records(tl_error *err, reader *r)
{
    tl_zip_record *record = find_pickle(r);
    if (!record) return tl__fail(err, TL_EFORMAT, "a zip file, but not one of torch.save (it has no data.pkl)");
    tl_pstore store = {.find = find_storage, .user = r};
    if (is_big_endian(err, r, &store.swap) != 0 || tl__zip_data(err, &r->zip, r->archive, record) != 0) return -1;
    tl_pickle pickle;
    int bad = tl__pickle_read(err, &pickle, record->data, record->bytes) || tl__state_dict(err, r->archive, pickle.root, &store);
    tl__pickle_free(&pickle);
    return bad ? -1 : 0;
}

int tl__read_torch_zip(tl_error *err, tl_archive *a, const uint8_t *data, size_t bytes)
{
    reader r = {.archive = a};
    int bad = tl__zip_open(err, &r.zip, data, bytes) || read_records(err, &r);
    tl__zip_close(&r.zip);
    return bad ? -1 : 0;
}
