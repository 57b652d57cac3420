/* hear.c - what a network hears, from C: samples come through a pipe (16 bits, one channel, at the rate that the network
 * was trained at), and a text, or classes with their probabilities, go out.
 *
 *     cc hear.c $(pkg-config --cflags --libs tlua) -o hear
 *     sox talk.wav -t raw -r 16000 -c 1 -e signed -b 16 - | ./hear runs/NAME/model.safetensors
 *
 * Of speech each frame has its likeliest symbol, what is said twice in a row counts once, and a name in angle brackets,
 * like <blank>, is no letter. A network that learnt clips of one length (data.seconds) wants clips of that length. */
#include <tlua.h>

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1 << 24 }; /* samples: a quarter of an hour at 16 kHz */

/* The samples of a pipe, from -1 to 1; how many in *n. The caller frees them. */
static float *samples(FILE *from, int64_t *n)
{
    float *x = malloc(MOST * sizeof *x);
    unsigned char b[2];
    for (*n = 0; x && *n < MOST && fread(b, 1, 2, from) == 2; ++*n)
        x[*n] = (float)(int16_t)(b[0] | b[1] << 8) / 32768;
    return x;
}

/* y (1, F, K), of which `frames` count: the text. */
static int print_text(tl_scope *s, const tl_model *model, tl_tensor *y, int32_t frames)
{
    int64_t all = y ? tl_dim(y, 1) : 0;
    int32_t *ids = malloc((size_t)(all + 1) * sizeof *ids), last = -1;
    int status = ids ? tl_read(s, tl_argmax(s, y, 2), ids, (size_t)all * sizeof *ids) : -1;
    for (int32_t i = 0; status == 0 && i < frames && i < all; last = ids[i++]) {
        const char *name = tl_model_class(model, ids[i]);
        if (ids[i] != last && name && (name[0] != '<' || !name[1])) fputs(name, stdout);
    }
    if (status == 0) putchar('\n');
    free(ids);
    return status;
}

/* y (1, K): each class and its probability. */
static int print_classes(tl_scope *s, const tl_model *model, tl_tensor *y)
{
    int n = tl_model_classes(model);
    float *p = malloc((size_t)(n + 1) * sizeof *p);
    int status = p ? tl_read(s, tl_softmax(s, y, -1), p, (size_t)n * sizeof *p) : -1;
    for (int i = 0; status == 0 && i < n; i++)
        printf("%s\t%.4f\n", tl_model_class(model, i), (double)p[i]);
    free(p);
    return status;
}

static int hear(tl_scope *s, tl_model *model, const float *x, int64_t n)
{
    int32_t length = (int32_t)n, frames = 0;
    tl_named in[] = {{"input", tl_from(s, TL_F32, 2, (int64_t[]){1, n}, x)},
                     {"lengths", tl_from(s, TL_I32, 1, (int64_t[]){1}, &length)}};
    tl_named out[] = {{"output", NULL}, {"output_lengths", NULL}};
    int outputs = tl_model_outputs(model, NULL);
    if (tl_model_run(s, model, in, 2, out, outputs) != 0) return -1;
    if (outputs == 1) return print_classes(s, model, out[0].tensor);
    if (tl_read(s, out[1].tensor, &frames, sizeof frames) != 0) return -1;
    return print_text(s, model, out[0].tensor, frames);
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: %s MODEL.safetensors < SAMPLES\n", argv[0]), 2;
    tl_error err = {0};
    tl_device *device = tl_device_open(NULL, &err);
    tl_scope *s = device ? tl_scope_open(device, &err) : NULL;
    tl_model *model = s ? tl_model_load(s, argv[1]) : NULL;
    int64_t n = 0;
    float *x = model && tl_model_inputs(model, NULL) == 2 ? samples(stdin, &n) : NULL;
    int bad = n == 0 || hear(s, model, x, n) != 0;
    if (model && n == 0)
        fprintf(stderr, "%s hears nothing: no waves go in, or none came\n", argv[1]);
    else if (bad)
        fprintf(stderr, "%s\n", s && tl_scope_failed(s) ? tl_scope_error(s)->text : err.text);
    free(x);
    tl_model_free(model);
    tl_scope_close(s);
    if (device) tl_device_release(device);
    return bad;
}
