/* source_cifar.c - CIFAR-10 and CIFAR-100 in their binary form: records of one label (CIFAR-100: a coarse
 * and a fine one) and 3072 bytes, red, green and blue planes of 32 x 32. Pictures are read from the files
 * when asked for, so that memory stays flat; labels are read at once, to be checked.
 * Source: https://www.cs.toronto.edu/~kriz/cifar.html */
#include "data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIXELS 1024
#define MAX_FILES 5

typedef struct layout {
    const char *title, *folder, *python_folder, *names_file;
    const char *train[MAX_FILES + 1], *test[2];
    int labels, classes; /* label bytes before a picture, the last of which counts */
    const char *const *names;
} layout;

typedef struct cifar {
    tl_source base;
    const layout *layout;
    int files, fd[MAX_FILES];
    char *path[MAX_FILES];
    int64_t first[MAX_FILES + 1]; /* number of each file's first picture, and the total */
} cifar;

static const char *const names10[] = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
static const char *const names100[] = {
    "apple",      "aquarium_fish", "baby",     "bear",       "beaver",     "bed",       "bee",         "beetle",       "bicycle",   "bottle",
    "bowl",       "boy",           "bridge",   "bus",        "butterfly",  "camel",     "can",         "castle",       "caterpillar", "cattle",
    "chair",      "chimpanzee",    "clock",    "cloud",      "cockroach",  "couch",     "crab",        "crocodile",    "cup",       "dinosaur",
    "dolphin",    "elephant",      "flatfish", "forest",     "fox",        "girl",      "hamster",     "house",        "kangaroo",  "keyboard",
    "lamp",       "lawn_mower",    "leopard",  "lion",       "lizard",     "lobster",   "man",         "maple_tree",   "motorcycle", "mountain",
    "mouse",      "mushroom",      "oak_tree", "orange",     "orchid",     "otter",     "palm_tree",   "pear",         "pickup_truck", "pine_tree",
    "plain",      "plate",         "poppy",    "porcupine",  "possum",     "rabbit",    "raccoon",     "ray",          "road",      "rocket",
    "rose",       "sea",           "seal",     "shark",      "shrew",      "skunk",     "skyscraper",  "snail",        "snake",     "spider",
    "squirrel",   "streetcar",     "sunflower", "sweet_pepper", "table",   "tank",      "telephone",   "television",   "tiger",     "tractor",
    "train",      "trout",         "tulip",    "turtle",     "wardrobe",   "whale",     "willow_tree", "wolf",         "woman",     "worm"};

static const layout layout10 = {"CIFAR-10", "cifar-10-batches-bin", "cifar-10-batches-py", "batches.meta.txt",
                                {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
                                {"test_batch.bin"}, 1, 10, names10};
static const layout layout100 = {"CIFAR-100", "cifar-100-binary", "cifar-100-python", "fine_label_names.txt", {"train.bin"}, {"test.bin"}, 2, 100, names100};

static int64_t record_bytes(const layout *l) { return l->labels + 3 * PIXELS; }

/* Reads exactly `n` bytes at `at`; any thread, since the file's position is not used. */
static int read_at(tl_error *err, const char *path, int fd, void *to, size_t n, int64_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(at + (int64_t)done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return tl__fail(err, TL_EIO, "%s: cannot be read: %s", path, got < 0 ? strerror(errno) : "it became shorter");
        done += (size_t)got;
    }
    return 0;
}

static void cifar_close(tl_source *s)
{
    cifar *c = (cifar *)s;
    for (int i = 0; i < c->files; i++) {
        if (c->fd[i] >= 0) close(c->fd[i]);
        free(c->path[i]);
    }
    free(c);
}

static int file_of(const cifar *c, int64_t i)
{
    int f = 0;
    while (i >= c->first[f + 1]) f++;
    return f;
}

static int cifar_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    const cifar *c = (const cifar *)s;
    int f = file_of(c, i);
    uint8_t planes[3 * PIXELS];
    int64_t at = (i - c->first[f]) * record_bytes(c->layout) + c->layout->labels;
    if (read_at(err, c->path[f], c->fd[f], planes, sizeof planes, at) != 0 || tl__image_reserve(err, out, 32, 32, 3) != 0) return -1;
    for (size_t p = 0; p < PIXELS; p++) {
        out->data[3 * p] = planes[p];
        out->data[3 * p + 1] = planes[PIXELS + p];
        out->data[3 * p + 2] = planes[2 * PIXELS + p];
    }
    return request->channels ? tl__image_to_channels(err, out, request->channels) : 0;
}

static const char *cifar_locate(const tl_source *s, int64_t i, int64_t *number)
{
    const cifar *c = (const cifar *)s;
    int f = file_of(c, i);
    *number = i - c->first[f];
    return c->path[f];
}

static const tl_source_ops cifar_ops = {.kind = "cifar", .from_files = 0, .close = cifar_close, .read = cifar_read, .locate = cifar_locate};

/* Adds a file, whose size must be that of whole records. */
static int add_file(tl_error *err, cifar *c, const char *folder, const char *name)
{
    struct stat st;
    int f = c->files++;
    c->fd[f] = -1;
    if ((c->path[f] = tl__path_join(err, folder, name)) == NULL) return -1;
    if ((c->fd[f] = open(c->path[f], O_RDONLY | O_CLOEXEC)) < 0 || fstat(c->fd[f], &st) != 0)
        return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", c->path[f], strerror(errno));
    int64_t record = record_bytes(c->layout);
    if (st.st_size == 0 || st.st_size % record != 0)
        return tl__fail(err, TL_EFORMAT, "%s: %lld bytes are not a whole number of %s records of %lld bytes; the file is cut short or another one",
                        c->path[f], (long long)st.st_size, c->layout->title, (long long)record);
    c->first[f + 1] = c->first[f] + st.st_size / record;
    return 0;
}

static int read_labels(tl_error *err, cifar *c)
{
    for (int64_t i = 0; i < c->base.count; i++) {
        int f = file_of(c, i);
        uint8_t label[2];
        int64_t number = i - c->first[f];
        if (read_at(err, c->path[f], c->fd[f], label, (size_t)c->layout->labels, number * record_bytes(c->layout)) != 0) return -1;
        c->base.label[i] = label[c->layout->labels - 1];
        if (c->base.label[i] >= c->layout->classes)
            return tl__fail(err, TL_EFORMAT, "%s: picture %lld has the label %d; %s has 0 to %d", c->path[f], (long long)number, c->base.label[i],
                            c->layout->title, c->layout->classes - 1);
    }
    return 0;
}

/* The folder with the files: `root` or the one that the archive makes in it; NULL with an error. */
static char *find_folder(tl_error *err, const layout *l, const char *root)
{
    char *inner = tl__path_join(err, root, l->folder), *python = inner ? tl__path_join(err, root, l->python_folder) : NULL;
    char *folder = NULL;
    if (python) {
        folder = tl__is_folder(inner) ? tl__strdup(err, inner) : tl__strdup(err, root);
        char *train = folder ? tl__path_join(err, folder, l->train[0]) : NULL, *test = train ? tl__path_join(err, folder, l->test[0]) : NULL;
        if (!test || (!tl__is_file(train) && !tl__is_file(test))) {
            tl__fail(err, TL_EIO, "%s: no %s in binary form (%s) here or in %s%s", root, l->title, l->train[0], l->folder,
                     tl__is_folder(python) ? "; there is the Python form, which is not read" : "");
            free(folder);
            folder = NULL;
        }
        free(train);
        free(test);
    }
    free(inner);
    free(python);
    return folder;
}

static int prepare(tl_error *err, cifar *c, const char *folder, int64_t limit)
{
    const layout *l = c->layout;
    char *path = tl__path_join(err, folder, l->names_file), **names = NULL;
    int n = path ? tl__names_read(err, path, 1000, &names) : -1, status = -1;
    int64_t total = c->first[c->files];
    if (n > 0 && n != l->classes) tl__fail(err, TL_EFORMAT, "%s: %d class names; %s has %d", path, n, l->title, l->classes);
    if (n == 0 || n == l->classes)
        status = tl__source_prepare(err, &c->base, limit > 0 && limit < total ? limit : total, n ? (const char *const *)names : l->names, l->classes);
    tl__names_free(names, n);
    free(path);
    return status;
}

static tl_source *open_layout(tl_error *err, const layout *l, const char *root, const char *part, int64_t limit, int *missing)
{
    char *folder = find_folder(err, l, root);
    cifar *c = folder ? tl__calloc(err, 1, sizeof *c) : NULL;
    if (!c) {
        free(folder);
        return NULL;
    }
    c->base.ops = &cifar_ops;
    c->base.references = 1;
    c->layout = l;
    c->base.height = c->base.width = 32;
    c->base.channels = 3;
    const char *const *names = strcmp(part, "test") == 0 ? l->test : l->train;
    char *first = tl__path_join(err, folder, names[0]);
    *missing = first && !tl__is_file(first);
    int bad = !first || (*missing && tl__fail_missing_part(err, folder, part, names[0], 0) != 0);
    /* With a limit, files that lie wholly behind it are not needed. */
    for (int i = 0; !bad && names[i] && (limit <= 0 || c->first[c->files] < limit); i++) bad = add_file(err, c, folder, names[i]) != 0;
    bad = bad || prepare(err, c, folder, limit) != 0 || read_labels(err, c) != 0;
    free(first);
    free(folder);
    if (!bad) return &c->base;
    tl__source_free(&c->base);
    return NULL;
}

tl_source *tl__open_cifar10(tl_error *err, const char *root, const char *part, int64_t limit, int *missing)
{
    return open_layout(err, &layout10, root, part, limit, missing);
}

tl_source *tl__open_cifar100(tl_error *err, const char *root, const char *part, int64_t limit, int *missing)
{
    return open_layout(err, &layout100, root, part, limit, missing);
}
