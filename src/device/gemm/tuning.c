/* tuning.c - see tuning.h. The file is text, one choice a line, with a hash of itself at the end:
 *
 *     tlua-tuning 1
 *     device NAME | PLATFORM | DRIVER | vector 16 | 2 units
 *     4096 512 512 nt kept one cpu-14x32 108
 *     check 0123...
 */
#define _POSIX_C_SOURCE 200809L
#include "device/gemm/tuning.h"
#include "device/gemm/maker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES = 128 * 1024, MOST_SIDE = 30 };
static const char first_line[] = "tlua-tuning 1\n";

/* ---- classes ---- */

/* The smallest e with 2^e >= x. */
static unsigned rounded(int64_t x)
{
    unsigned e = 0;
    while (e < MOST_SIDE && ((int64_t)1 << e) < x) e++;
    return e;
}

/* Bits: m, n, k five each, then four flags. */
static tl_gemm_class pack(unsigned m, unsigned n, unsigned k, int ta, int tb, int kept, int many)
{
    return m << 19 | n << 14 | k << 9 | (unsigned)(ta != 0) << 3 | (unsigned)(tb != 0) << 2 | (unsigned)(kept != 0) << 1 | (unsigned)(many != 0);
}

tl_gemm_class tl__gemm_class(const tl_gemm *g)
{
    int ta = (!g->patches || g->gathers_b) && g->a.col != 1 && g->m > 1 && g->k > 1;
    int tb = g->b.col != 1 && g->n > 1 && g->k > 1;
    return pack(rounded(g->m), rounded(g->n), rounded(g->k), ta, tb, g->constant_b, g->batch > 1);
}

const char *tl__gemm_class_text(tl_gemm_class c, char out[TL_CLASS_TEXT])
{
    snprintf(out, TL_CLASS_TEXT, "%ld %ld %ld %c%c %s %s", 1L << (c >> 19 & 31), 1L << (c >> 14 & 31), 1L << (c >> 9 & 31), c & 8 ? 't' : 'n', c & 4 ? 't' : 'n',
             c & 2 ? "kept" : "fresh", c & 1 ? "many" : "one");
    return out;
}

int tl__gemm_class_parse(const char *text, tl_gemm_class *out)
{
    long side[3];
    char a, b, kept[6], many[5], again[TL_CLASS_TEXT];
    if (sscanf(text, "%10ld %10ld %10ld %c%c %5s %4s", &side[0], &side[1], &side[2], &a, &b, kept, many) != 7) return -1;
    for (int i = 0; i < 3; i++)
        if (side[i] < 1 || side[i] > 1L << MOST_SIDE) return -1;
    tl_gemm_class c = pack(rounded(side[0]), rounded(side[1]), rounded(side[2]), a == 't', b == 't', strcmp(kept, "kept") == 0, strcmp(many, "many") == 0);
    /* The only text of this class: whatever else scanf lets through is refused. */
    if (strcmp(tl__gemm_class_text(c, again), text) != 0) return -1;
    *out = c;
    return 0;
}

/* ---- which file ---- */

static void device_line(const tl_device *d, char *out, size_t size)
{
    const tl_traits *t = &d->traits;
    snprintf(out, size, "device %s | %s | %s | vector %d | %d units", t->name, t->platform, t->driver, t->vector_width, t->compute_units);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ') *c = ' ';
}

static void hash_of(const void *data, size_t bytes, char hex[65])
{
    tl_sha256 h;
    tl__sha256_init(&h);
    tl__sha256_update(&h, data, bytes);
    tl__sha256_final(&h, hex);
}

char *tl__tuning_path(tl_error *err, const tl_device *d)
{
    char line[512], hex[65], *folder = tl__cache_folder(err, "tuning");
    if (!folder) return NULL;
    device_line(d, line, sizeof line);
    hash_of(line, strlen(line), hex);
    char *path = tl__asprintf(err, "%s/%.16s.txt", folder, hex);
    free(folder);
    return path;
}

/* ---- the table ---- */

static int by_class(const void *a, const void *b)
{
    tl_gemm_class x = ((const tl_choice *)a)->what, y = ((const tl_choice *)b)->what;
    return x < y ? -1 : x > y;
}

/* Sorts the choices and names them by their hash: classes and makers, nothing else. */
static void finish(tl_tuning *t)
{
    char text[TL_CLASS_TEXT], hex[65];
    tl_sha256 h;
    qsort(t->choices, (size_t)t->count, sizeof *t->choices, by_class);
    tl__sha256_init(&h);
    for (int i = 0; i < t->count; i++) {
        tl__gemm_class_text(t->choices[i].what, text);
        tl__sha256_update(&h, text, strlen(text) + 1);
        tl__sha256_update(&h, t->choices[i].maker->name, strlen(t->choices[i].maker->name) + 1);
    }
    tl__sha256_final(&h, hex);
    snprintf(t->hash, sizeof t->hash, "%.16s", t->count ? hex : "shipped");
}

static int forbidden(void)
{
    const char *maker = getenv("TLUA_GEMM"), *table = getenv("TLUA_TUNING");
    return (maker && (strcmp(maker, "own") == 0 || strcmp(maker, "clblast") == 0)) || (table && strcmp(table, "0") == 0);
}

const tl_tuning *tl__tuning_used(const tl_device *d)
{
    const tl_tuning *t = d->tuning;
    return t && t->count && !forbidden() ? t : NULL;
}

const tl_gemm_maker *tl__tuning_find(const tl_device *d, const tl_gemm *g)
{
    const tl_tuning *t = tl__tuning_used(d);
    tl_choice key = {.what = t ? tl__gemm_class(g) : 0};
    const tl_choice *c = t ? bsearch(&key, t->choices, (size_t)t->count, sizeof key, by_class) : NULL;
    return c ? c->maker : NULL;
}

/* ---- reading ---- */

/* One line of the table. 0; -1: it is none; 1: it names a maker that is not known, which stays in `name`. */
static int parse_choice(char *line, tl_choice *c, char name[32])
{
    int percent, end = 0;
    char *maker = line;
    for (int words = 0; words < 6 && maker; words++) maker = (maker = strchr(maker, ' ')) ? maker + 1 : NULL;
    if (!maker) return -1;
    maker[-1] = 0;
    if (tl__gemm_class_parse(line, &c->what) != 0) return -1;
    if (sscanf(maker, "%31s %6d%n", name, &percent, &end) != 2 || maker[end] || percent < 0) return -1;
    c->percent = percent;
    c->maker = tl__gemm_maker_named(name);
    return c->maker ? 0 : 1;
}

/* Checks the file's frame; returns where the choices begin, their end cut off by a NUL; NULL and why. */
static char *choices_of(const tl_device *d, char *text, size_t bytes, const char **why)
{
    char line[512], hex[65];
    size_t tail = strlen("check ") + 64 + 1, head = strlen(first_line);
    *why = "it is no table of this version of tlua";
    if (bytes < head || memcmp(text, first_line, head) != 0) return NULL;
    *why = "its checksum is wrong";
    if (bytes < head + tail || memchr(text, 0, bytes)) return NULL;
    char *check = text + bytes - tail;
    hash_of(text, bytes - tail, hex);
    if (memcmp(check, "check ", 6) != 0 || memcmp(check + 6, hex, 64) != 0 || check[70] != '\n') return NULL;
    *check = 0;
    *why = "it was made for another device";
    device_line(d, line, sizeof line);
    char *p = text + head;
    size_t n = strlen(line);
    return strncmp(p, line, n) == 0 && p[n] == '\n' ? p + n + 1 : NULL;
}

/* Fills the table from the text; what it says is in the note. */
static void parse(tl_device *d, tl_tuning *t, char *text, size_t bytes, const char *path)
{
    const char *why;
    char unknown[32] = "", name[32];
    int strangers = 0;
    char *p = choices_of(d, text, bytes, &why);
    for (char *next; p && *p; p = next) {
        if (!(next = strchr(p, '\n'))) next = p + strlen(p);
        else *next++ = 0;
        why = "a line of it is damaged";
        int status = t->count < TL_MOST_CHOICES ? parse_choice(p, &t->choices[t->count], name) : -1;
        if (status < 0) p = NULL;
        else if (status == 0) t->count++;
        else if (strangers++ == 0) snprintf(unknown, sizeof unknown, "%s", name);
        if (!p) break;
    }
    if (!p) {
        t->count = 0;
        snprintf(t->note, sizeof t->note, "%.200s is not used: %s; `tlua tune` makes it anew, `tlua tune --clear` removes it", path, why);
    } else if (strangers)
        snprintf(t->note, sizeof t->note, "%.180s: %d choices name makers that are not known here, as \"%s\", and are passed over; `tlua tune` makes it anew", path,
                 strangers, unknown);
}

static tl_tuning *new_table(tl_error *err) { return tl__calloc(err, 1, sizeof(tl_tuning) + TL_MOST_CHOICES * sizeof(tl_choice)); }

int tl__tuning_load(tl_error *err, tl_device *d)
{
    tl_error quiet = {0};
    struct stat st;
    size_t bytes = 0;
    char *path = tl__tuning_path(&quiet, d), *text = NULL;
    if (path && stat(path, &st) == 0) {
        tl_tuning *t = new_table(err);
        d->tuning = t;
        if (t && (!S_ISREG(st.st_mode) || st.st_size > MOST_BYTES))
            snprintf(t->note, sizeof t->note, "%.200s is not used: it is too large for a table of choices; `tlua tune --clear` removes it", path);
        else if (t && !(text = tl__read_file(&quiet, path, &bytes)))
            snprintf(t->note, sizeof t->note, "%.300s", quiet.text);
        else if (t)
            parse(d, t, text, bytes, path);
        if (t) finish(t);
    }
    free(text);
    free(path);
    if (quiet.code == TL_EMEMORY) tl__fail(err, TL_EMEMORY, "%s", quiet.text);
    return err->code ? -1 : 0;
}

/* ---- writing ---- */

/* The whole file as text. */
static char *written(tl_error *err, const tl_device *d, const tl_tuning *t)
{
    size_t room = 1024 + (size_t)t->count * 128, n;
    char *text = tl__malloc(err, room), hex[65], class[TL_CLASS_TEXT], line[512];
    if (!text) return NULL;
    device_line(d, line, sizeof line);
    n = (size_t)snprintf(text, room, "%s%s\n", first_line, line);
    for (int i = 0; i < t->count; i++)
        n += (size_t)snprintf(text + n, room - n, "%s %s %d\n", tl__gemm_class_text(t->choices[i].what, class), t->choices[i].maker->name, t->choices[i].percent);
    hash_of(text, n, hex);
    snprintf(text + n, room - n, "check %s\n", hex);
    return text;
}

int tl__tuning_save(tl_error *err, tl_device *d, const tl_choice *choices, int count)
{
    if (count > TL_MOST_CHOICES) return tl__fail(err, TL_EARG, "%d choices are more than a table holds", count);
    tl_tuning *t = new_table(err);
    char *path = t ? tl__tuning_path(err, d) : NULL, *text = NULL;
    int bad = !path;
    if (!bad) {
        if (count) memcpy(t->choices, choices, (size_t)count * sizeof *choices);
        t->count = count;
        finish(t);
        if (count == 0) unlink(path);
        else bad = !(text = written(err, d, t)) || tl__write_file(err, path, text, strlen(text)) != 0;
    }
    free(text);
    free(path);
    if (bad) {
        free(t);
        return -1;
    }
    free(d->tuning);
    d->tuning = t;
    return 0;
}
