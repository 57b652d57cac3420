/* series.c - which slices of a folder are one series, and their order in space. */
#define _POSIX_C_SOURCE 200809L
#include "data/series.h"

#include "io/dicom.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_DEPTH 16
/* Positions that differ by less than this share of a slice's distance are one place; distances that differ by more
 * than UNEVEN are no longer called equal. */
#define SAME 0.01
#define UNEVEN 0.02

/* ---- files ---- */

static int files_below(tl_error *err, const char *folder, int depth, tl_texts *files)
{
    DIR *d = opendir(folder);
    if (!d) return tl__fail(err, TL_EIO, "%s: cannot be opened: %s", folder, strerror(errno));
    int bad = depth > MOST_DEPTH ? tl__fail(err, TL_EIO, "%s: folders lie more than %d deep", folder, MOST_DEPTH) : 0;
    for (struct dirent *e; !bad && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, "__MACOSX") == 0) continue;
        char *path = tl__asprintf(err, "%s/%s", folder, e->d_name);
        struct stat st;
        if (!path) bad = -1;
        else if (stat(path, &st) != 0) free(path); /* a link to nowhere */
        else if (S_ISDIR(st.st_mode)) bad = files_below(err, path, depth + 1, files), free(path);
        else if (S_ISREG(st.st_mode)) bad = tl__texts_add(err, files, path);
        else free(path);
    }
    closedir(d);
    return bad;
}

/* Adds a line; beyond a number that anybody reads only the first are kept. */
static int note(tl_error *err, tl_texts *notes, const char *format, ...) TL__PRINTF(3, 4);
static int note(tl_error *err, tl_texts *notes, const char *format, ...)
{
    char line[512];
    va_list ap;
    if (notes->count >= 100) return 0;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    return tl__texts_add(err, notes, tl__strdup(err, line));
}

/* ---- grouping ---- */

static tl_series *series_of(tl_error *err, tl_series_list *l, const tl_dicom *d)
{
    for (int64_t i = 0; i < l->count; i++)
        if (strcmp(l->at[i].uid, d->series) == 0 && strcmp(l->at[i].study, d->study) == 0) return &l->at[i];
    if (l->count == l->capacity) {
        int64_t room = l->capacity ? 2 * l->capacity : 4;
        tl_series *more = tl__realloc(err, l->at, (size_t)room * sizeof *more);
        if (!more) return NULL;
        l->at = more;
        l->capacity = room;
    }
    tl_series *s = &l->at[l->count++];
    *s = (tl_series){.number = d->series_number, .rows = d->rows, .columns = d->columns, .placed = 1};
    strcpy(s->uid, d->series);
    strcpy(s->study, d->study);
    strcpy(s->patient, d->patient);
    strcpy(s->modality, d->modality);
    strcpy(s->body_part, d->body_part);
    strcpy(s->laterality, d->laterality);
    strcpy(s->sex, d->sex);
    strcpy(s->age, d->age);
    strcpy(s->manufacturer, d->manufacturer);
    strcpy(s->scanner, d->scanner);
    strcpy(s->burned_in, d->burned_in);
    strcpy(s->description, d->description);
    memcpy(s->orientation, d->frame[0].orientation, sizeof s->orientation);
    s->placed = d->frame[0].oriented;
    s->spacing[0] = d->spacing[1];
    s->spacing[1] = d->spacing[0];
    s->spacing[2] = d->slice_spacing > 0 ? d->slice_spacing : d->thickness;
    int linear = !*d->window_function || strcmp(d->window_function, "LINEAR") == 0;
    if (d->window_count && linear) s->centre = d->windows[0].centre, s->width = d->windows[0].width;
    return s;
}

static int alike(const tl_series *s, const tl_dicom *d, const tl_dicom_frame *f)
{
    if (d->rows != s->rows || d->columns != s->columns || tl__dicom_channels(d) != 1) return 0;
    if (fabs(d->spacing[1] - s->spacing[0]) > 1e-4 || fabs(d->spacing[0] - s->spacing[1]) > 1e-4) return 0;
    for (int i = 0; i < 6; i++)
        if (fabs(f->orientation[i] - s->orientation[i]) > 1e-3) return 0;
    return 1;
}

static int add_file(tl_error *err, tl_series_list *l, const tl_dicom *d)
{
    tl_series *s = series_of(err, l, d);
    if (!s) return -1;
    s->files++;
    for (int i = 0; i < d->frames; i++) {
        const tl_dicom_frame *f = &d->frame[i];
        if (s->count == s->capacity) {
            int64_t room = s->capacity ? 2 * s->capacity : 64;
            tl_series_slice *more = tl__realloc(err, s->slice, (size_t)room * sizeof *more);
            if (!more) return -1;
            s->slice = more;
            s->capacity = room;
        }
        char *path = tl__strdup(err, d->name);
        if (!path) return -1;
        s->slice[s->count++] = (tl_series_slice){
            path, i, {f->position[0], f->position[1], f->position[2]}, 0, d->instance};
        if (!f->placed || !f->oriented) s->placed = 0;
        if (!alike(s, d, f)) s->mixed = 1;
    }
    return 0;
}

/* ---- order ---- */

static int by_place(const void *a, const void *b)
{
    const tl_series_slice *x = a, *y = b;
    if (x->along != y->along) return x->along < y->along ? -1 : 1;
    if (x->instance != y->instance) return x->instance < y->instance ? -1 : 1;
    int names = strcmp(x->path, y->path);
    return names ? names : (x->frame > y->frame) - (x->frame < y->frame);
}

static int by_number(const void *a, const void *b)
{
    const tl_series *x = a, *y = b;
    int order = strcmp(x->patient, y->patient);
    if (!order) order = strcmp(x->study, y->study);
    if (!order) order = (x->number > y->number) - (x->number < y->number);
    return order ? order : strcmp(x->uid, y->uid);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The distance of most neighbours: the median of those that are not 0. */
static int usual_distance(tl_error *err, const tl_series *s, double *usual)
{
    double *d = tl__malloc(err, (size_t)s->count * sizeof *d);
    int64_t n = 0;
    if (!d) return -1;
    for (int64_t i = 1; i < s->count; i++) {
        double apart = s->slice[i].along - s->slice[i - 1].along;
        if (apart > 1e-3) d[n++] = apart;
    }
    qsort(d, (size_t)n, sizeof *d, by_size);
    *usual = n ? d[n / 2] : 0;
    free(d);
    return 0;
}

/* Slices that do not lie straight above one another: the table moved along another line than the normal. The volume's
 * affine has it; who looks at voxels alone sees a patient who leans. */
static int say_tilt(tl_error *err, tl_series *s)
{
    const tl_series_slice *first = &s->slice[0], *last = &s->slice[s->count - 1];
    double along = last->along - first->along, square = 0;
    for (int r = 0; r < 3; r++) square += pow(last->position[r] - first->position[r], 2);
    double across = sqrt(fmax(square - along * along, 0)), degrees = atan2(across, along) * 180 / acos(-1);
    if (along <= 0 || degrees < 0.2) return 0;
    return note(err, &s->notes, "slices are moved against each other, by a gantry tilted by %.1f degrees", degrees);
}

static int look_at_distances(tl_error *err, tl_series *s)
{
    double usual, least = INFINITY, most = 0;
    if (usual_distance(err, s, &usual) != 0) return -1;
    for (int64_t i = 1; i < s->count; i++) {
        double from = s->slice[i - 1].along, to = s->slice[i].along, apart = to - from;
        if (apart <= SAME * usual || usual == 0) {
            s->doubles++;
        } else if (apart > 1.5 * usual) {
            long long n = (long long)floor(apart / usual + 0.5) - 1;
            s->missing += n;
            if (note(err, &s->notes,
                     "%lld slice%s missing between %.2f and %.2f mm along the series, where they are %.2f mm apart",
                     n, n == 1 ? " is" : "s are", from, to, usual) != 0)
                return -1;
        } else {
            least = fmin(least, apart);
            most = fmax(most, apart);
        }
    }
    if (usual > 0) s->spacing[2] = usual;
    /* What keeps a volume from being made comes first: an error quotes the first line. */
    s->uneven = most > 0 && most - least > UNEVEN * usual;
    if (s->uneven && note(err, &s->notes, "slices are %.3f to %.3f mm apart, not evenly", least, most) != 0) return -1;
    if (s->doubles &&
        note(err, &s->notes, "%lld slice%s at the place of another (times, echoes or copies in one series)",
             (long long)s->doubles, s->doubles == 1 ? " lies" : "s lie") != 0)
        return -1;
    return say_tilt(err, s);
}

/* Slices in order, and what is to be said of them. */
static int settle(tl_error *err, tl_series *s)
{
    const double *o = s->orientation;
    double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]};
    for (int64_t i = 0; i < s->count; i++) {
        tl_series_slice *x = &s->slice[i];
        x->along =
            s->placed ? x->position[0] * normal[0] + x->position[1] * normal[1] + x->position[2] * normal[2] : 0;
    }
    qsort(s->slice, (size_t)s->count, sizeof *s->slice, by_place);
    if (s->mixed)
        return note(err, &s->notes,
                    "its pictures differ in size, direction or kind (a localiser, colours): no volume is made of it");
    if (s->count == 1) return 0;
    if (!s->placed) {
        for (int64_t i = 0; i < s->count; i++) s->slice[i].along = (double)i * s->spacing[2];
        return note(err, &s->notes, "the files do not say where slices lie: they are in the order of their numbers");
    }
    return look_at_distances(err, s);
}

/* ---- a folder ---- */

/* A file of which there is no picture; TL_EARG is one that is none. */
static int note_file(tl_error *err, tl_series_list *l, const tl_error *why)
{
    if (note(err, &l->notes, "%s", why->text) != 0) return -1;
    return why->code == TL_EARG ? 0 : note(err, &l->damaged, "%s", why->text);
}

static int look_at(tl_error *err, tl_series_list *l, const char *path)
{
    tl_error own = {0};
    void *map;
    size_t bytes;
    if (tl__map_file(&own, path, "a DICOM file", &map, &bytes) != 0) return note_file(err, l, &own);
    if (!tl__looks_like_dicom(map, bytes)) {
        tl__unmap_file(map, bytes);
        l->passed++;
        return 0;
    }
    tl_dicom *d = tl__dicom_open_memory(&own, path, map, bytes);
    int bad = d ? add_file(err, l, d) : own.code == TL_EMEMORY ? tl__fail(err, own.code, "%s", own.text) : 0;
    if (!d && !bad) bad = note_file(err, l, &own);
    tl__dicom_close(d);
    tl__unmap_file(map, bytes);
    return bad;
}

int tl__series_scan(tl_error *err, const char *folder, tl_series_list *list)
{
    tl_texts files = {0};
    *list = (tl_series_list){0};
    int bad = files_below(err, folder, 0, &files);
    tl__texts_sort(&files);
    for (int64_t i = 0; !bad && i < files.count; i++) bad = look_at(err, list, files.at[i]);
    for (int64_t i = 0; !bad && i < list->count; i++) bad = settle(err, &list->at[i]);
    tl__texts_free(&files);
    if (bad) tl__series_free(list);
    else if (list->count) qsort(list->at, (size_t)list->count, sizeof *list->at, by_number);
    return bad ? -1 : 0;
}

void tl__series_clear(tl_series *s)
{
    for (int64_t k = 0; k < s->count; k++) free(s->slice[k].path);
    free(s->slice);
    tl__texts_free(&s->notes);
    *s = (tl_series){0};
}

int tl__series_copy(tl_error *err, const tl_series *from, tl_series *to)
{
    *to = *from;
    to->notes = (tl_texts){0};
    to->count = 0;
    to->capacity = from->count;
    to->slice = tl__malloc(err, (size_t)from->count * sizeof *to->slice + 1);
    int bad = !to->slice;
    for (int64_t k = 0; !bad && k < from->count; k++) {
        to->slice[k] = from->slice[k];
        bad = (to->slice[k].path = tl__strdup(err, from->slice[k].path)) == NULL;
        if (!bad) to->count++;
    }
    for (int64_t k = 0; !bad && k < from->notes.count; k++)
        bad = tl__texts_add(err, &to->notes, tl__strdup(err, from->notes.at[k])) != 0;
    if (!bad) return 0;
    tl__series_clear(to);
    return -1;
}

void tl__series_free(tl_series_list *list)
{
    for (int64_t i = 0; i < list->count; i++) tl__series_clear(&list->at[i]);
    free(list->at);
    tl__texts_free(&list->notes);
    tl__texts_free(&list->damaged);
    *list = (tl_series_list){0};
}
