/* source.c - the files of data sets: IDX (MNIST), plain and compressed, and CIFAR's records with their class names. The first byte chooses,
 * the second says where the input is cut into two files. Of a record of CIFAR the input has the label and a byte, which stands for
 * all of the picture's. */
#include "fuzz.h"
#include "data/source.h"

static void use(tl_source *s)
{
    tl_image image = {0};
    tl_error err = {0};
    for (int64_t i = 0; i < s->count && i < 4; i++) {
        tl_image_request request = {.channels = i % 2 ? 3 : 0};
        never(tl__source_read(&err, s, i, &request, &image) != 0 || s->label[i] < 0 || s->label[i] >= s->class_count);
        char *name = tl__source_name(&err, s, i), *identity = tl__source_identity(&err, s, i);
        never(!name || !identity);
        free(name);
        free(identity);
    }
    tl__image_free(&image);
    tl__source_free(s);
}

static void put_records(const char *name, const uint8_t *data, size_t bytes, size_t labels, size_t surplus)
{
    size_t record = labels + 3072, count = bytes / (labels + 1), n = count * record + surplus;
    uint8_t *file = calloc(1, n + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(file + i * record, data + i * (labels + 1), labels);
        memset(file + i * record + labels, data[i * (labels + 1) + labels], 3072);
    }
    fuzz_put(name, file, n);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const kinds[] = {"mnist", "fashion_mnist", "cifar10", "cifar100"};
    if (bytes < 2) return 0;
    int kind = data[0] & 3;
    size_t first = (bytes - 2) * data[1] / 255, second = bytes - 2 - first;
    const uint8_t *a = data + 2, *b = a + first;
    tl_source_options o = {.part = "train", .limit = data[0] >> 2 & 7};
    if (kind < 2) {
        fuzz_put("train-images-idx3-ubyte", a, first);
        fuzz_put("train-labels-idx1-ubyte", b, second);
    } else {
        size_t labels = kind == 2 ? 1 : 2;
        put_records(kind == 2 ? "data_batch_1.bin" : "train.bin", a, first, labels, data[0] >> 7);
        for (int i = 2; i <= 5 && kind == 2; i++) {
            char name[32];
            snprintf(name, sizeof name, "data_batch_%d.bin", i);
            put_records(name, a, first, labels, 0);
        }
        fuzz_put(kind == 2 ? "batches.meta.txt" : "fine_label_names.txt", b, second);
    }
    tl_error err = {0};
    tl_source *s = tl__source_open(&err, kinds[kind], fuzz_folder(), &o);
    if (s) use(s);
    else check_error(&err, fuzz_folder());
    return 0;
}
