/* source_split.c - which pictures are held out for testing, and which are left by a limit: drawn by the seed, so that
 * classes keep their shares, groups of pictures as a whole. */
#include "data/source.h"

#include <stdlib.h>
#include <string.h>

/* ---- choosing pictures class by class ---- */

/* What the streams of TL_RNG_SPLIT are for, above the class in their index. */
enum { STREAM_SPLIT = 0, STREAM_LIMIT = 1, STREAM_GROUPS = 2 };

/* Marks `quota[c]` pictures of each class c in `chosen`, drawn by the seed. */
static int choose(tl_error *err, const tl_source *s, const int64_t *quota, uint64_t seed, uint64_t stream,
                  uint8_t *chosen)
{
    int64_t *member = tl__malloc(err, (size_t)s->count * sizeof *member),
            *order = member ? tl__malloc(err, (size_t)s->count * sizeof *order) : NULL;
    for (int c = 0; order && c < s->class_count; c++) {
        int64_t n = 0;
        for (int64_t i = 0; i < s->count; i++)
            if (s->label[i] == c) member[n++] = i;
        tl__rng_permutation(tl__rng_key(seed, TL_RNG_SPLIT, stream << 32 | (uint64_t)c), n, order);
        for (int64_t i = 0; i < quota[c] && i < n; i++) chosen[member[order[i]]] = 1;
    }
    int status = order ? 0 : -1;
    free(member);
    free(order);
    return status;
}

/* The subset of pictures whose mark is `mark`, in their old order; takes `s` over. */
static tl_source *keep(tl_error *err, tl_source *s, const uint8_t *chosen, int mark)
{
    int64_t *index = tl__malloc(err, (size_t)s->count * sizeof *index), n = 0;
    for (int64_t i = 0; index && i < s->count; i++)
        if (chosen[i] == mark) index[n++] = i;
    tl_source *view = index ? tl__source_subset(err, s, index, n) : NULL;
    free(index);
    tl__source_free(s);
    return view;
}

static int64_t *class_sizes(tl_error *err, const tl_source *s)
{
    int64_t *size = tl__calloc(err, (size_t)s->class_count, sizeof *size);
    for (int64_t i = 0; size && i < s->count; i++)
        if (s->label[i] >= 0) size[s->label[i]]++;
    return size;
}

/* Pictures group by group: those of group g are member[start[g]..start[g + 1]), in their order. Returns how many
 * groups, or -1. */
static int64_t members_of_groups(tl_error *err, const int64_t *group, int64_t count, int64_t **start,
                                 int64_t **member)
{
    int64_t groups = 0;
    for (int64_t i = 0; i < count; i++) {
        if (group[i] < 0 || group[i] >= count)
            return tl__fail(err, TL_EARG, "group %lld of picture %lld is not a number below %lld",
                            (long long)group[i], (long long)i, (long long)count);
        if (group[i] >= groups) groups = group[i] + 1;
    }
    *start = tl__calloc(err, (size_t)groups + 2, sizeof **start);
    *member = *start ? tl__malloc(err, (size_t)count * sizeof **member) : NULL;
    if (!*member) return -1;
    for (int64_t i = 0; i < count; i++) (*start)[group[i] + 2]++;
    for (int64_t g = 0; g < groups; g++) (*start)[g + 2] += (*start)[g + 1];
    for (int64_t i = 0; i < count; i++) (*member)[(*start)[group[i] + 1]++] = i;
    return groups;
}

/* Marks whole groups, in an order drawn by the seed: one is chosen where that brings the classes nearer to their quotas
 * in sum. */
static int choose_groups(tl_error *err, const tl_source *s, const int64_t *quota, const int64_t *group, uint64_t seed,
                         int64_t *held, uint8_t *chosen)
{
    int64_t *start = NULL, *member = NULL, *order = NULL,
            groups = members_of_groups(err, group, s->count, &start, &member);
    if (groups >= 0) order = tl__malloc(err, (size_t)(groups + 1) * sizeof *order);
    if (order) tl__rng_permutation(tl__rng_key(seed, TL_RNG_SPLIT, (uint64_t)STREAM_GROUPS << 32), groups, order);
    for (int64_t k = 0; order && k < groups; k++) {
        int64_t from = start[order[k]], to = start[order[k] + 1], farther = 0;
        for (int64_t i = from; i < to; i++) {
            int32_t c = s->label[member[i]];
            farther += held[c] < quota[c] ? -1 : 1;
            held[c]++;
        }
        for (int64_t i = from; i < to; i++)
            if (farther < 0) chosen[member[i]] = 1;
            else held[s->label[member[i]]]--;
    }
    int status = order ? 0 : -1;
    free(start);
    free(member);
    free(order);
    return status;
}

/* The same, and an error where a class would have pictures on one side only. */
static int split_groups(tl_error *err, const tl_source *s, const int64_t *quota, const tl_source_options *o,
                        uint8_t *chosen)
{
    if (o->group_count != s->count)
        return tl__fail(err, TL_EARG, "there are %lld pictures, and groups of %lld", (long long)s->count,
                        (long long)o->group_count);
    int64_t *held = tl__calloc(err, (size_t)s->class_count, sizeof *held), *size = held ? class_sizes(err, s) : NULL;
    int status = size ? choose_groups(err, s, quota, o->group, o->seed, held, chosen) : -1;
    for (int c = 0; status == 0 && c < s->class_count; c++)
        if (size[c] > 0 && (held[c] == size[c] || (held[c] == 0 && size[c] > 1)))
            status = tl__fail(err, TL_EARG,
                              "class \"%s\" is left with no %s picture when groups stay whole and split = %g; "
                              "another split, or finer groups",
                              s->class_name[c], held[c] ? "training" : "test", o->split);
    free(held);
    free(size);
    return status;
}

tl_source *tl__source_split(tl_error *err, tl_source *s, const tl_source_options *o, int test)
{
    int64_t *quota = class_sizes(err, s);
    uint8_t *chosen = quota ? tl__calloc(err, (size_t)s->count, 1) : NULL;
    tl_source *view = NULL;
    for (int c = 0; chosen && c < s->class_count; c++) {
        int64_t n = quota[c], held = (int64_t)(o->split * (double)n + 0.5);
        if (held < 1) held = 1;
        if (held > n - 1) held = n - 1;
        quota[c] = n > 1 ? held : 0;
    }
    if (chosen && (o->group ? split_groups(err, s, quota, o, chosen)
                            : choose(err, s, quota, o->seed, STREAM_SPLIT, chosen)) == 0)
        view = keep(err, s, chosen, test);
    else tl__source_free(s);
    free(quota);
    free(chosen);
    return view;
}

/* `limit` pictures over the classes in proportion, by largest remainders, at least one of each class where
 * the limit allows: what a small try should look like. Turns class sizes into quotas. */
static void share_out(int64_t *quota, double *rest, int classes, int64_t count, int64_t limit)
{
    int64_t given = 0;
    for (int c = 0; c < classes; c++) {
        int64_t n = quota[c];
        double exact = (double)n * (double)limit / (double)count;
        quota[c] = (int64_t)exact;
        rest[c] = exact - (double)quota[c];
        if (quota[c] == 0 && n > 0) rest[c] += 1; /* first of all */
        given += quota[c];
    }
    for (; given < limit; given++) {
        int best = 0;
        for (int c = 1; c < classes; c++)
            if (rest[c] > rest[best]) best = c;
        quota[best]++;
        rest[best] -= 2;
    }
}

tl_source *tl__source_limit_classes(tl_error *err, tl_source *s, int64_t limit, uint64_t seed)
{
    int64_t *quota = class_sizes(err, s);
    double *rest = quota ? tl__calloc(err, (size_t)s->class_count, sizeof *rest) : NULL;
    uint8_t *chosen = rest ? tl__calloc(err, (size_t)s->count, 1) : NULL;
    tl_source *view = NULL;
    if (chosen) share_out(quota, rest, s->class_count, s->count, limit);
    if (chosen && choose(err, s, quota, seed, STREAM_LIMIT, chosen) == 0) view = keep(err, s, chosen, 1);
    else tl__source_free(s);
    free(quota);
    free(rest);
    free(chosen);
    return view;
}

tl_source *tl__source_limit_first(tl_error *err, tl_source *s, int64_t limit)
{
    uint8_t *chosen = tl__calloc(err, (size_t)s->count, 1);
    if (!chosen) {
        tl__source_free(s);
        return NULL;
    }
    memset(chosen, 1, (size_t)limit);
    tl_source *view = keep(err, s, chosen, 1);
    free(chosen);
    return view;
}
