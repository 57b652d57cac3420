/* source_records.c - samples by list: pictures or sound in files or in memory with any of labels, values, texts, masks,
 * boxes and points. What tables, folders of masks, annotations of boxes and lists of recordings are read into. */
#include "data/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct records {
    tl_source base;
    char **path, **mask, **text;
    int32_t (*tile)[5];      /* of pictures in files: left, top, width, height, number; NULL: whole ones */
    tl_clips *clips;         /* instead of pictures */
    tl_stacks *stacks;       /* instead of paths */
    tl_volumes *volumes;     /* likewise */
    tl_pieces *pieces;       /* likewise */
    tl_plane *plane;         /* what masks hold */
    tl_image *image;         /* instead of paths */
    char (*hash)[65];        /* of each of these */
    float *values;
    int16_t mask_value[256]; /* -1: unknown */
    int64_t *box_offset, *point_offset;
    float *box, *point;
    int32_t *box_label;
} records;

static void records_close(tl_source *s)
{
    records *r = (records *)s;
    tl__names_free(r->path, s->count);
    tl__names_free(r->mask, s->count);
    free(r->tile);
    tl__names_free(r->text, s->count);
    tl__clips_free(r->clips);
    tl__stacks_free(r->stacks);
    tl__volumes_free(r->volumes);
    tl__pieces_free(r->pieces);
    for (int64_t i = 0; r->plane && i < s->count; i++) free((char *)r->plane[i].data);
    free(r->plane);
    for (int64_t i = 0; r->image && i < s->count; i++) tl__image_free(&r->image[i]);
    free(r->image);
    free(r->hash);
    free(r->values);
    free(r->box_offset);
    free(r->point_offset);
    free(r->box);
    free(r->point);
    free(r->box_label);
    free(r);
}

/* Leaves the tile of a picture, in place. */
static int cut_tile(tl_error *err, const char *path, const int32_t tile[5], tl_image *image)
{
    size_t pixel = tl__image_pixel(image), row = (size_t)image->width * pixel, width = (size_t)tile[2] * pixel;
    if (tile[0] + tile[2] > image->width || tile[1] + tile[3] > image->height)
        return tl__fail(err, TL_EFORMAT, "%s: it is %d x %d now, and tile %d reaches to %d x %d: the file has changed",
                        path, image->width, image->height, tile[4], tile[0] + tile[2], tile[1] + tile[3]);
    const uint8_t *from = image->data + (size_t)tile[1] * row + (size_t)tile[0] * pixel;
    for (int y = 0; y < tile[3]; y++) memmove(image->data + (size_t)y * width, from + (size_t)y * row, width);
    image->width = tile[2];
    image->height = tile[3];
    return 0;
}

static int read_tile(tl_error *err, const records *r, int64_t i, const tl_image_request *request, tl_image *out)
{
    tl_image_request whole = *request;
    whole.smallest_side = 0;
    return tl__image_read_as(err, r->path[i], &whole, out) == 0 ? cut_tile(err, r->path[i], r->tile[i], out) : -1;
}

static int records_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    const records *r = (const records *)s;
    if (r->tile) return read_tile(err, r, i, request, out);
    if (r->path) return tl__image_read_as(err, r->path[i], request, out);
    if (tl__image_copy(err, &r->image[i], request, out) == 0) return 0;
    tl__error_prefix(err, "images#%lld: ", (long long)i + 1);
    return -1;
}

static const char *records_locate(const tl_source *s, int64_t i, int64_t *number)
{
    const records *r = (const records *)s;
    *number = r->tile ? r->tile[i][4] : r->path ? -1 : i + 1;
    return r->path ? r->path[i] : "images";
}

static char *memory_identity(tl_error *err, const tl_source *s, int64_t i) { return tl__asprintf(err, "images#%lld %s", (long long)i + 1, ((const records *)s)->hash[i]); }

static int stacks_read(tl_error *err, const tl_source *s, int64_t i, const tl_image_request *request, tl_image *out)
{
    return tl__stacks_read(err, ((const records *)s)->stacks, i, request, out);
}

static const char *stacks_locate(const tl_source *s, int64_t i, int64_t *number)
{
    return tl__stacks_locate(((const records *)s)->stacks, i, number);
}

static int records_wave(tl_error *err, const tl_source *s, int64_t i, const tl_audio_request *request,
                        tl_audio_heard *heard, tl_wave *out)
{
    return tl__clips_read(err, ((const records *)s)->clips, i, request, heard, out);
}

static tl_clip records_clip(const tl_source *s, int64_t i) { return tl__clips_about(((const records *)s)->clips, i); }

static const char *clips_locate(const tl_source *s, int64_t i, int64_t *number)
{
    return tl__clips_locate(((const records *)s)->clips, i, number);
}

static char *clips_identity(tl_error *err, const tl_source *s, int64_t i)
{
    return tl__clips_identity(err, ((const records *)s)->clips, i);
}

static int records_volume(tl_error *err, const tl_source *s, int64_t i, tl_volume *image, tl_volume *mask)
{
    return tl__volumes_read(err, ((const records *)s)->volumes, i, image, mask);
}

static const tl_extent *records_extent(const tl_source *s, int64_t i)
{
    return tl__volumes_about(((const records *)s)->volumes, i);
}

static const char *volumes_locate(const tl_source *s, int64_t i, int64_t *number)
{
    *number = -1;
    return tl__volumes_locate(((const records *)s)->volumes, i);
}

static tl_piece_row records_pieces(const tl_source *s, int64_t i)
{
    return tl__pieces_row(((const records *)s)->pieces, i);
}

static const char *pieces_locate(const tl_source *s, int64_t i, int64_t *number)
{
    return tl__pieces_locate(((const records *)s)->pieces, i, number);
}

/* Texts are in memory: what they are is in the hash of the target. */
static char *pieces_identity(tl_error *err, const tl_source *s, int64_t i)
{
    int64_t number;
    const char *place = pieces_locate(s, i, &number);
    return tl__asprintf(err, "%s#%lld", place, (long long)number);
}

static const char *records_text(const tl_source *s, int64_t i) { return ((const records *)s)->text[i]; }

/* ---- targets ---- */

/* Turns a mask's values into classes in place. */
static int to_classes(tl_error *err, const records *r, const char *path, tl_image *mask)
{
    size_t n = (size_t)mask->width * (size_t)mask->height;
    for (size_t i = 0; i < n; i++) {
        int class = r->mask_value[mask->data[i]];
        if (class < 0)
            return tl__fail(err, TL_EFORMAT, "%s: the mask has the value %d in row %zu, column %zu (counted from 1), and no class has it", path, mask->data[i],
                            i / (size_t)mask->width + 1, i % (size_t)mask->width + 1);
        mask->data[i] = (uint8_t)class;
    }
    return 0;
}

static int read_mask(tl_error *err, const records *r, int64_t i, tl_image *mask)
{
    tl_image_request request = {.indices = 1};
    int bad = r->plane ? tl__plane_unpack(err, &r->plane[i], mask)
                       : tl__image_read_as(err, r->mask[i], &request, mask);
    return bad == 0 ? to_classes(err, r, r->mask[i], mask) : -1;
}

static int records_target(tl_error *err, const tl_source *s, int64_t i, unsigned fields, tl_target *out)
{
    const records *r = (const records *)s;
    int64_t b = fields & TL_FIELD_BOXES ? r->box_offset[i] : 0, boxes = fields & TL_FIELD_BOXES ? r->box_offset[i + 1] - b : 0;
    int64_t p = fields & TL_FIELD_POINTS ? r->point_offset[i] : 0, points = fields & TL_FIELD_POINTS ? r->point_offset[i + 1] - p : 0;
    tl_marks *m = &out->marks;
    if (fields & TL_FIELD_VALUES && tl__target_values(err, out, r->values + (size_t)i * (size_t)s->value_count, s->value_count) != 0) return -1;
    if (fields & TL_FIELD_MASK && !r->volumes) { /* those of volumes come with them */
        out->mask_name = r->mask[i];
        if (read_mask(err, r, i, &out->mask) != 0) return -1;
    }
    if (tl__marks_reserve(err, m, boxes, points) != 0) return -1;
    if (boxes) memcpy(m->box, r->box + 4 * b, (size_t)boxes * 4 * sizeof *m->box);
    if (boxes) memcpy(m->box_label, r->box_label + b, (size_t)boxes * sizeof *m->box_label);
    if (points) memcpy(m->point, r->point + 2 * p, (size_t)points * 2 * sizeof *m->point);
    m->boxes = boxes;
    m->points = points;
    return 0;
}

int tl__hash_file(tl_error *err, const char *path, const char *root, tl_sha256 *h)
{
    struct stat st = {0};
    char line[80];
    if (stat(path, &st) != 0 && !root) return tl__fail(err, TL_EIO, "%s: %s", path, strerror(errno));
    if (root) snprintf(line, sizeof line, "#%lld", (long long)st.st_size);
    else
        snprintf(line, sizeof line, "#%lld %lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                 (long)st.st_mtim.tv_nsec);
    const char *name = root ? tl__path_below(root, path) : path;
    tl__sha256_update(h, name, strlen(name) + 1);
    tl__sha256_update(h, line, strlen(line) + 1);
    return 0;
}

static int hash_mask(tl_error *err, const records *r, int64_t i, const char *root, tl_sha256 *h)
{
    if (tl__hash_file(err, r->mask[i], root, h) != 0) return -1;
    if (r->plane) tl__sha256_update(h, r->plane[i].data, r->plane[i].bytes);
    tl__sha256_update(h, r->mask_value, sizeof r->mask_value);
    return 0;
}

static int records_target_hash(tl_error *err, const tl_source *s, int64_t i, const char *root, tl_sha256 *h)
{
    const records *r = (const records *)s;
    if (r->hash) tl__sha256_update(h, r->hash[i], sizeof r->hash[i]);
    if (r->tile) tl__sha256_update(h, r->tile[i], sizeof r->tile[i]);
    if (r->clips) tl__clips_hash(r->clips, i, h);
    if (r->pieces) tl__pieces_hash(r->pieces, i, h);
    if (r->stacks) tl__stacks_hash(r->stacks, i, root, h);
    if (r->text) tl__sha256_update(h, r->text[i], strlen(r->text[i]) + 1);
    if (s->fields & TL_FIELD_VALUES)
        tl__sha256_update(h, r->values + (size_t)i * (size_t)s->value_count, (size_t)s->value_count * sizeof *r->values);
    if (s->fields & TL_FIELD_BOXES) {
        int64_t from = r->box_offset[i], n = r->box_offset[i + 1] - from;
        tl__sha256_update(h, r->box + 4 * from, (size_t)n * 4 * sizeof *r->box);
        tl__sha256_update(h, r->box_label + from, (size_t)n * sizeof *r->box_label);
    }
    if (s->fields & TL_FIELD_POINTS) {
        int64_t from = r->point_offset[i], n = r->point_offset[i + 1] - from;
        tl__sha256_update(h, r->point + 2 * from, (size_t)n * 2 * sizeof *r->point);
    }
    if (r->volumes) return tl__volumes_hash(err, r->volumes, i, root, h);
    return s->fields & TL_FIELD_MASK ? hash_mask(err, r, i, root, h) : 0;
}

#define RECORDS \
    .kind = "records", .close = records_close, .target = records_target, .target_hash = records_target_hash, \
    .text = records_text
static const tl_source_ops records_ops = {RECORDS, .from_files = 1, .read = records_read, .locate = records_locate};
static const tl_source_ops memory_ops = {RECORDS, .read = records_read, .locate = records_locate,
                                         .identity = memory_identity};
static const tl_source_ops stacks_ops = {RECORDS, .from_files = 1, .read = stacks_read, .locate = stacks_locate};
static const tl_source_ops clips_ops = {RECORDS, .from_files = 1, .locate = clips_locate, .wave = records_wave,
                                        .clip = records_clip};
static const tl_source_ops waves_ops = {RECORDS, .locate = clips_locate, .wave = records_wave, .clip = records_clip,
                                        .identity = clips_identity};
static const tl_source_ops volumes_ops = {RECORDS, .from_files = 1, .locate = volumes_locate, .volume = records_volume,
                                          .extent = records_extent};

static const tl_source_ops pieces_ops = {RECORDS, .locate = pieces_locate, .pieces = records_pieces,
                                         .identity = pieces_identity};

/* ---- opening ---- */

static const char *name_of(const tl_records *g, int64_t i, char text[40])
{
    snprintf(text, 40, "images#%lld", (long long)i + 1);
    if (g->stacks) return g->stacks->path[g->stacks->slice[i * g->stacks->width + g->stacks->width / 2] - 1];
    if (g->volumes) snprintf(text, 40, "volumes#%lld", (long long)i + 1);
    if (g->pieces) snprintf(text, 40, "texts#%lld", (long long)i + 1);
    return g->path ? g->path[i] : g->wave ? g->wave[i] : text;
}

static int check_labels(tl_error *err, const tl_records *g)
{
    char name[40];
    for (int64_t i = 0; g->label && i < g->count; i++)
        if (g->label[i] < -1 || g->label[i] >= g->class_count)
            return tl__fail(err, TL_EARG, "%s: label %d of %d classes", name_of(g, i, name), g->label[i], g->class_count);
    return 0;
}

static int check_boxes(tl_error *err, const tl_records *g)
{
    char name[40];
    for (int64_t i = 0; g->box && i < g->count; i++)
        for (int64_t k = g->box_offset[i]; k < g->box_offset[i + 1]; k++) {
            const float *b = g->box + 4 * k;
            long long number = (long long)(k - g->box_offset[i]) + 1;
            if (!(b[0] < b[2] && b[1] < b[3]))
                return tl__fail(err, TL_EARG, "%s: box %lld is (%g, %g, %g, %g), and must be left, top, right, bottom with room between", name_of(g, i, name),
                                number, (double)b[0], (double)b[1], (double)b[2], (double)b[3]);
            if (g->box_label[k] < 0 || g->box_label[k] >= g->class_count)
                return tl__fail(err, TL_EARG, "%s: box %lld has label %d of %d classes", name_of(g, i, name), number, g->box_label[k], g->class_count);
        }
    return 0;
}

/* The class of each value of a mask: as told, or itself where it is one. What is ignored stays, unless it is told otherwise. */
static int take_mask_values(tl_error *err, records *r, const tl_records *g)
{
    if (g->class_count > TL_MASK_IGNORED)
        return tl__fail(err, TL_EARG, "%d classes, and masks of 8 bits have %d at most", g->class_count, TL_MASK_IGNORED);
    for (int v = 0; v < 256; v++) {
        int known = g->class_count == 0 || v < g->class_count || v == TL_MASK_IGNORED;
        int class = g->mask_value ? g->mask_value[v] : known ? v : -1;
        if (g->mask_value && class < 0 && v == TL_MASK_IGNORED) class = v;
        if (class > TL_MASK_IGNORED || (class != TL_MASK_IGNORED && g->class_count && class >= g->class_count))
            return tl__fail(err, TL_EARG, "mask value %d is to be class %d, and there are %d", v, class, g->class_count);
        r->mask_value[v] = (int16_t)class;
    }
    return 0;
}

static void *copied(tl_error *err, const void *from, size_t bytes)
{
    void *to = tl__malloc(err, bytes + 1);
    if (to && bytes) memcpy(to, from, bytes);
    return to;
}

static int take_boxes(tl_error *err, records *r, const tl_records *g)
{
    size_t n = (size_t)g->box_offset[g->count];
    if (check_boxes(err, g) != 0) return -1;
    r->box_offset = copied(err, g->box_offset, ((size_t)g->count + 1) * sizeof *r->box_offset);
    r->box = r->box_offset ? copied(err, g->box, n * 4 * sizeof *r->box) : NULL;
    r->box_label = r->box ? copied(err, g->box_label, n * sizeof *r->box_label) : NULL;
    return r->box_label ? 0 : -1;
}

static int take_points(tl_error *err, records *r, const tl_records *g)
{
    size_t n = (size_t)g->point_offset[g->count];
    r->point_offset = copied(err, g->point_offset, ((size_t)g->count + 1) * sizeof *r->point_offset);
    r->point = r->point_offset ? copied(err, g->point, n * 2 * sizeof *r->point) : NULL;
    return r->point ? 0 : -1;
}

static int take_masks(tl_error *err, records *r, const tl_records *g)
{
    if (take_mask_values(err, r, g) != 0 || !(r->mask = tl__names_copy(err, g->mask, g->count))) return -1;
    if (g->plane && !(r->plane = tl__calloc(err, (size_t)g->count + 1, sizeof *r->plane))) return -1;
    for (int64_t i = 0; g->plane && i < g->count; i++) {
        r->plane[i] = (tl_plane){copied(err, g->plane[i].data, g->plane[i].bytes), g->plane[i].bytes};
        if (!r->plane[i].data) return -1;
    }
    return 0;
}

static int take_values(tl_error *err, records *r, const tl_records *g)
{
    r->values = copied(err, g->values, (size_t)g->count * (size_t)g->value_count * sizeof *r->values);
    if (!r->values) return -1;
    if (g->value_name && !(r->base.value_name = tl__names_copy(err, g->value_name, g->value_count))) return -1;
    r->base.value_count = g->value_count;
    return 0;
}

/* The pictures themselves, at the very end: until then they are the caller's. */
static int take_images(tl_error *err, records *r, const tl_records *g)
{
    r->hash = tl__malloc(err, (size_t)g->count * sizeof *r->hash + 1);
    r->image = r->hash ? tl__calloc(err, (size_t)g->count, sizeof *r->image) : NULL;
    if (!r->image) return -1;
    tl_source *s = &r->base;
    for (int64_t i = 0; i < g->count; i++) {
        tl_image *m = &g->image[i];
        tl_sha256 h;
        const int about[] = {m->height, m->width, m->channels, m->depth};
        tl__sha256_init(&h);
        tl__sha256_update(&h, about, sizeof about);
        tl__sha256_update(&h, m->data, (size_t)m->width * (size_t)m->height * tl__image_pixel(m));
        tl__sha256_final(&h, r->hash[i]);
        if (i == 0) s->height = m->height, s->width = m->width, s->channels = m->channels;
        if (m->height != s->height || m->width != s->width) s->height = s->width = 0;
        if (m->channels != s->channels) s->channels = 0;
        r->image[i] = *m;
        *m = (tl_image){0};
    }
    return 0;
}

static int take_tiles(tl_error *err, records *r, const tl_records *g)
{
    char name[40];
    for (int64_t i = 0; i < g->count; i++) {
        const int32_t *t = g->tile + 5 * i;
        if (!g->path || t[0] < 0 || t[1] < 0 || t[2] < 1 || t[3] < 1 || t[4] < 1 || t[0] > 1 << 24 || t[1] > 1 << 24 ||
            t[2] > 1 << 24 || t[3] > 1 << 24)
            return tl__fail(err, TL_EARG, "%s: a tile is left, top, width, height and number of a picture in a file",
                            name_of(g, i, name));
    }
    r->base.tiled = 1;
    r->tile = copied(err, g->tile, (size_t)g->count * sizeof *r->tile);
    return r->tile ? 0 : -1;
}

static int take(tl_error *err, records *r, const tl_records *g)
{
    tl_source *s = &r->base;
    /* Stacks first: messages name their slices. */
    if (g->stacks && (r->stacks = tl__stacks_open(err, g->count, g->stacks)) == NULL) return -1;
    if (check_labels(err, g) != 0 || tl__source_prepare(err, s, g->count, g->class_name, g->class_count) != 0) return -1;
    if (g->path && (r->path = tl__names_copy(err, g->path, g->count)) == NULL) return -1;
    if (g->tile && take_tiles(err, r, g) != 0) return -1;
    for (int64_t i = 0; i < g->count; i++) s->label[i] = g->label ? g->label[i] : -1;
    int sound = g->wave || g->waves;
    int masked = g->mask || (g->volumes && g->volumes->mask);
    s->fields = (sound        ? TL_FIELD_WAVE
                 : g->volumes ? TL_FIELD_VOLUME
                 : g->pieces  ? TL_FIELD_PIECES
                              : TL_FIELD_IMAGE) |
                (g->pieces && g->pieces->mark ? TL_FIELD_MARKS : 0) |
                (g->pieces && g->pieces->span ? TL_FIELD_SPANS : 0) |
                (g->text ? TL_FIELD_TEXT : 0) | (g->label ? TL_FIELD_LABEL : 0) |
                (g->values ? TL_FIELD_VALUES : 0) | (masked ? TL_FIELD_MASK : 0) |
                (g->box ? TL_FIELD_BOXES : 0) | (g->point ? TL_FIELD_POINTS : 0);
    if (g->values && take_values(err, r, g) != 0) return -1;
    if (g->mask && take_masks(err, r, g) != 0) return -1;
    if (g->box && take_boxes(err, r, g) != 0) return -1;
    if (g->point && take_points(err, r, g) != 0) return -1;
    if (g->text && !(r->text = tl__names_copy(err, g->text, g->count))) return -1;
    if (sound && s->fields & TL_FIELDS_PLACED) return tl__fail(err, TL_EARG, "sound has no masks, boxes or points");
    if (sound) return (r->clips = tl__clips_open(err, g->count, g->wave, g->first, g->frames, g->waves)) ? 0 : -1;
    if (g->volumes && (g->mask || s->fields & (TL_FIELD_BOXES | TL_FIELD_POINTS)))
        return tl__fail(err, TL_EARG, "volumes have masks of volumes, and no boxes or points");
    if (g->volumes) return (r->volumes = tl__volumes_open(err, g->volumes)) ? 0 : -1;
    if (g->pieces && s->fields & TL_FIELDS_PLACED)
        return tl__fail(err, TL_EARG, "texts have no masks, boxes or points");
    if (g->pieces) return (r->pieces = tl__pieces_open(err, g->pieces)) ? 0 : -1;
    return g->path || g->stacks ? 0 : take_images(err, r, g);
}

tl_source *tl__source_records(tl_error *err, const tl_records *given)
{
    records *r = tl__calloc(err, 1, sizeof *r);
    if (!r) return NULL;
    r->base.ops = given->volumes  ? &volumes_ops
                  : given->pieces ? &pieces_ops
                  : given->wave   ? &clips_ops
                  : given->waves  ? &waves_ops
                  : given->stacks ? &stacks_ops
                  : given->path   ? &records_ops
                                  : &memory_ops;
    r->base.references = 1;
    if (take(err, r, given) == 0) return &r->base;
    tl__source_free(&r->base);
    return NULL;
}
