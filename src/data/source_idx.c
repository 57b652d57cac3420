/* source_idx.c - MNIST and Fashion-MNIST in the IDX form, plain or compressed. A compressed file has no
 * random access, so the pictures asked for are held in memory (784 bytes each).
 * Source: http://yann.lecun.com/exdb/mnist/ (four big-endian words: magic, count, rows, columns). */
#include "data/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define CLASSES 10
#define MAX_SIDE 4096
/* deflate cannot shrink more than about this, so a header that claims more data than that lies. */
#define MAX_RATIO 1040

typedef struct idx {
    tl_source base;
    char *path;
    uint8_t *pixels;
} idx;

static const char *const digits[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const clothes[CLASSES] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};

static void idx_close(tl_source *s)
{
    idx *x = (idx *)s;
    free(x->path);
    free(x->pixels);
    free(x);
}

static int idx_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    const idx *x = (const idx *)s;
    size_t n = (size_t)s->height * (size_t)s->width;
    if (tl__image_reserve(err, out, s->width, s->height, 1) != 0) return -1;
    memcpy(out->data, x->pixels + (size_t)i * n, n);
    return request->channels ? tl__image_to_channels(err, out, request->channels) : 0;
}

static const char *idx_locate(const tl_source *s, int64_t i, int64_t *number)
{
    *number = i;
    return ((const idx *)s)->path;
}

static const tl_source_ops idx_ops = {.kind = "idx", .from_files = 0, .close = idx_close, .read = idx_read, .locate = idx_locate};

/* Reads exactly `n` bytes of what the file holds, compressed or not. */
static int read_exactly(tl_error *err, const char *path, gzFile f, void *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        unsigned chunk = n - done > 1u << 30 ? 1u << 30 : (unsigned)(n - done);
        int got = gzread(f, (char *)to + done, chunk), code;
        if (got < 0) return tl__fail(err, TL_EFORMAT, "%s: damaged: %s", path, gzerror(f, &code));
        if (got == 0) return tl__fail(err, TL_EFORMAT, "%s: it is cut short", path);
        done += (size_t)got;
    }
    return 0;
}

typedef struct idx_file {
    gzFile file;
    int plain;            /* not compressed */
    int64_t bytes;        /* of the file as it lies on the disk */
    int64_t dim[3];
} idx_file;

/* Opens `path` and reads a header of unsigned bytes with `rank` dimensions, which must fit the file's size. */
static int open_header(tl_error *err, const char *path, int rank, idx_file *f)
{
    uint8_t head[16];
    struct stat st;
    size_t n = 4 + 4 * (size_t)rank;
    errno = 0;
    f->file = gzopen(path, "rb");
    if (!f->file || stat(path, &st) != 0) return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", path, strerror(errno ? errno : ENOMEM));
    if (read_exactly(err, path, f->file, head, n) != 0) return -1;
    f->plain = gzdirect(f->file);
    f->bytes = st.st_size;
    if (head[0] || head[1] || head[2] != 8 || head[3] != rank)
        return tl__fail(err, TL_EFORMAT, "%s: not an IDX file of bytes with %d dimension%s (it starts with %02x %02x %02x %02x)", path, rank,
                        rank > 1 ? "s" : "", head[0], head[1], head[2], head[3]);
    int64_t total = 1;
    for (int i = 0; i < rank; i++) {
        const uint8_t *b = head + 4 + 4 * i;
        f->dim[i] = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | b[3];
        if (f->dim[i] == 0 || (i > 0 && f->dim[i] > MAX_SIDE))
            return tl__fail(err, TL_EFORMAT, "%s: its header claims a dimension of %lld", path, (long long)f->dim[i]);
        if (tl__mul_size(total, f->dim[i], &total) != 0) return tl__fail(err, TL_EFORMAT, "%s: its header claims too much", path);
    }
    if (f->plain && total + (int64_t)n != f->bytes)
        return tl__fail(err, TL_EFORMAT, "%s: its header claims %lld bytes and the file has %lld", path, (long long)total + (long long)n, (long long)f->bytes);
    if (!f->plain && total / MAX_RATIO > f->bytes)
        return tl__fail(err, TL_EFORMAT, "%s: its header claims %lld bytes, more than the file can hold", path, (long long)total + (long long)n);
    return 0;
}

/* A compressed file that was read to its end has nothing behind, and its checksum is right. */
static int check_end(tl_error *err, const char *path, gzFile f)
{
    char more;
    int got = gzread(f, &more, 1), code;
    const char *text = gzerror(f, &code);
    if (code == Z_BUF_ERROR) return tl__fail(err, TL_EFORMAT, "%s: it is cut short", path);
    if (got < 0) return tl__fail(err, TL_EFORMAT, "%s: damaged: %s", path, text);
    return got == 0 ? 0 : tl__fail(err, TL_EFORMAT, "%s: longer than its header says", path);
}

static int read_pixels(tl_error *err, idx *x, int64_t limit)
{
    idx_file f = {0};
    int status = open_header(err, x->path, 3, &f);
    if (status == 0) {
        x->base.count = limit > 0 && limit < f.dim[0] ? limit : f.dim[0];
        x->base.height = (int)f.dim[1];
        x->base.width = (int)f.dim[2];
        x->base.channels = 1;
        size_t bytes = (size_t)(x->base.count * f.dim[1] * f.dim[2]);
        status = (x->pixels = tl__malloc(err, bytes)) ? read_exactly(err, x->path, f.file, x->pixels, bytes) : -1;
    }
    if (status == 0 && x->base.count == f.dim[0]) status = check_end(err, x->path, f.file);
    if (f.file) gzclose(f.file);
    return status;
}

static int read_labels(tl_error *err, idx *x, const char *path, const char *const *names)
{
    idx_file f = {0};
    uint8_t *label = NULL;
    int64_t n = x->base.count;
    int status = open_header(err, path, 1, &f);
    if (status == 0 && f.dim[0] < n)
        status = tl__fail(err, TL_EFORMAT, "%s: %lld labels for %lld pictures", path, (long long)f.dim[0], (long long)n);
    if (status == 0) status = tl__source_prepare(err, &x->base, n, names, CLASSES);
    if (status == 0) status = (label = tl__malloc(err, (size_t)n)) ? read_exactly(err, path, f.file, label, (size_t)n) : -1;
    for (int64_t i = 0; status == 0 && i < n; i++) {
        x->base.label[i] = label[i];
        if (label[i] >= CLASSES)
            status = tl__fail(err, TL_EFORMAT, "%s: picture %lld has the label %d; there are 0 to %d", path, (long long)i, label[i], CLASSES - 1);
    }
    if (status == 0 && n == f.dim[0]) status = check_end(err, path, f.file);
    free(label);
    if (f.file) gzclose(f.file);
    return status;
}

/* folder/name, folder/name.gz, or the file of that name in a folder of that name, which some unpackers make; NULL without an
 * error where there is none. */
static char *find_in(tl_error *err, const char *folder, const char *name)
{
    char *path[3] = {tl__asprintf(err, "%s/%s", folder, name), tl__asprintf(err, "%s/%s.gz", folder, name), tl__asprintf(err, "%s/%s/%s", folder, name, name)};
    char *found = NULL;
    for (int i = 0; i < 3; i++) {
        if (!found && path[i] && tl__is_file(path[i]))
            found = path[i];
        else
            free(path[i]);
    }
    return found;
}

/* The same in `root`, and where torchvision keeps it, with the dot that unpackers and mirrors put for the last hyphen but one
 * (train-images.idx3-ubyte) too. */
static char *find(tl_error *err, const char *root, const char *title, const char *name)
{
    char *dotted = tl__strdup(err, name), *raw = tl__asprintf(err, "%s/raw", root), *kept = tl__asprintf(err, "%s/%s/raw", root, title);
    char *found = NULL;
    if (dotted && raw && kept) {
        const char *const folders[] = {root, raw, kept};
        strstr(dotted, "-idx")[0] = '.';
        for (int i = 0; i < 6 && !found && !err->code; i++) found = find_in(err, folders[i / 2], i % 2 ? dotted : name);
    }
    free(dotted);
    free(raw);
    free(kept);
    return found;
}

/* Could a file of this name be meant where `wanted` is missing: the same number of dimensions, and not of the other part? */
static int is_likely(const char *name, const char *wanted)
{
    const char *dimensions = strstr(wanted, "idx3") ? "idx3" : "idx1";
    int test = strncmp(wanted, "t10k", 4) == 0;
    int other = test ? strstr(name, "train") != NULL : strstr(name, "t10k") || strstr(name, "test");
    return strstr(name, dimensions) && !other;
}

/* "; there is FILE, FILE" of files in `root` that could be `wanted` under another name, into `text`; empty where none is. */
static const char *likely_files(const char *root, const char *wanted, char *text, size_t size)
{
    DIR *d = opendir(root);
    int count = 0;
    text[0] = 0;
    for (struct dirent *e; d && count < 3 && (e = readdir(d)) != NULL;) {
        if (!is_likely(e->d_name, wanted)) continue;
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%.60s", count++ ? ", " : "; there is ", e->d_name);
    }
    if (d) closedir(d);
    return text;
}

static tl_source *open_idx(tl_error *err, const char *root, const char *part, int64_t limit, const char *title, const char *const *names, int *missing)
{
    static const char *const names_of[2][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
                                               {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}};
    const char *const *wanted = names_of[strcmp(part, "test") == 0];
    idx *x = tl__calloc(err, 1, sizeof *x);
    if (!x) return NULL;
    x->base.ops = &idx_ops;
    x->base.references = 1;
    tl_error failed = {0};
    char *labels = NULL;
    int status = -1;
    x->path = find(&failed, root, title, wanted[0]);
    if (!failed.code) labels = find(&failed, root, title, wanted[1]);
    if (failed.code) {
        tl__fail(err, failed.code, "%s", failed.text);
    } else if (!x->path || !labels) {
        char there[256], what[320];
        *missing = !x->path;
        const char *lacking = wanted[x->path != NULL];
        snprintf(what, sizeof what, "%s%s", lacking, likely_files(root, lacking, there, sizeof there));
        tl__fail_missing_part(err, root, part, what, 0);
    } else {
        status = read_pixels(err, x, limit) == 0 && read_labels(err, x, labels, names) == 0 ? 0 : -1;
    }
    free(labels);
    if (status == 0) return &x->base;
    tl__source_free(&x->base);
    return NULL;
}

tl_source *tl__open_mnist(tl_error *err, const char *root, const char *part, int64_t limit, int *missing)
{
    return open_idx(err, root, part, limit, "MNIST", digits, missing);
}

tl_source *tl__open_fashion_mnist(tl_error *err, const char *root, const char *part, int64_t limit, int *missing)
{
    return open_idx(err, root, part, limit, "FashionMNIST", clothes, missing);
}
