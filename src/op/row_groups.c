/* row_groups.c - launches of kernels in which a group of work-items shares a row, or a block of rows: the GPUs' way
 * with softmax, norms and reductions. Lanes, lengths of parts and so the order of each sum follow from the shape
 * alone. */
#include "op/op.h"

/* Work-items of a group (MOST_ITEMS of cl/gpu/row_group.clh), of one with little to do, lanes to the shortest row,
 * numbers to a lane of short rows, columns side by side. */
enum { ITEMS = 256, FEW_ITEMS = 32, LEAST_LANES = 4, TO_A_LANE = 4, ACROSS = 32 };
/* Parts of columns: each has so many rows or more; no more than this where there are many columns; most of all. */
enum { LEAST_ROWS = 64, GROUPS = 1024, MOST_PARTS = 256 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t power_from(int64_t n)
{
    int64_t p = 1;
    while (p < n) p *= 2;
    return p;
}

int tl__in_groups(const tl_device *d) { return !d->traits.is_cpu; }

/* Work-items of a group for which the device has room; 0 with an error. */
static int64_t items_for(tl_scope *s, const tl_launch *l)
{
    return (int64_t)tl__items_that_fit(&s->err, s->device, l->program, l->options, l->kernel, ITEMS);
}

enum { ARGS = 40 };

int tl__launch_row_groups(tl_scope *s, const tl_launch *of, const char *label, int64_t rows, int64_t n,
                          const tl_karg *args, int count)
{
    tl_karg all[ARGS];
    tl_launch l = *of;
    int64_t items = items_for(s, &l), wish = (int64_t)s->device->traits.group, lanes;
    if (items == 0) return -1;
    if (rows == 0) return 0;
    lanes = least(power_from(least((n + TO_A_LANE - 1) / TO_A_LANE, ITEMS)), items);
    if (lanes < LEAST_LANES) lanes = least(LEAST_LANES, items);
    if (wish) items = least(items, power_from(wish));
    else if (rows * lanes <= FEW_ITEMS) items = least(items, FEW_ITEMS);
    if (items < lanes) items = lanes;
    int64_t groups = (rows * lanes + items - 1) / items;
    for (int i = 0; i < count; i++) all[i] = args[i];
    all[count++] = TL_KL(rows);
    all[count++] = TL_KI(lanes);
    l.dims = 1;
    l.global[0] = (size_t)(groups * items);
    l.local[0] = (size_t)items;
    return tl__launch(&s->err, s->device, &l, all, count, label);
}

int tl__launch_by_rows(tl_scope *s, const tl_program *each, const tl_program *grouped, const char *kernel,
                       const char *label, int64_t rows, int64_t n, const tl_karg *args, int count)
{
    char name[64];
    tl_launch l = {.program = each, .kernel = kernel, .dims = 1, .global = {(size_t)rows}};
    if (!tl__in_groups(s->device)) return tl__launch(&s->err, s->device, &l, args, count, label);
    snprintf(name, sizeof name, "%s_gpu", kernel);
    l = (tl_launch){.program = grouped, .kernel = name};
    return tl__launch_row_groups(s, &l, label, rows, n, args, count);
}

static int64_t across_of(int64_t columns) { return power_from(least(columns, ACROSS)); }

tl_column_parts tl__column_parts(int64_t outer, int64_t rows, int64_t columns)
{
    int64_t across = across_of(columns), groups = (columns + across - 1) / across * outer,
            most = groups > 0 ? GROUPS / groups : 1;
    tl_column_parts g = {.outer = outer, .rows = rows, .columns = columns, .length = LEAST_ROWS};
    most = most < 1 ? 1 : least(most, MOST_PARTS);
    if (rows > LEAST_ROWS * most) g.length = (rows + most - 1) / most;
    g.parts = (rows + g.length - 1) / g.length;
    return g;
}

int tl__launch_columns(tl_scope *s, const tl_launch *of, const char *label, const tl_column_parts *g,
                       const tl_karg *args, int count)
{
    tl_karg all[ARGS];
    tl_launch l = *of;
    int64_t items = items_for(s, &l), across = least(across_of(g->columns), items);
    if (items == 0) return -1;
    if (g->rows == 0 || g->columns == 0) return 0;
    int64_t wanted = power_from(least(g->rows, least(g->length, ITEMS))) * across;
    items = least(items, wanted < FEW_ITEMS ? FEW_ITEMS : wanted);
    for (int i = 0; i < count; i++) all[i] = args[i];
    all[count++] = TL_KL(g->rows);
    all[count++] = TL_KL(g->columns);
    all[count++] = TL_KL(g->length);
    all[count++] = TL_KI(across);
    l.dims = 3;
    l.global[0] = (size_t)((g->columns + across - 1) / across * items);
    l.global[1] = (size_t)g->parts;
    l.global[2] = (size_t)g->outer;
    l.local[0] = (size_t)items;
    l.local[1] = l.local[2] = 1;
    return tl__launch(&s->err, s->device, &l, all, count, label);
}

/* ---- moments, for batch and group norm ---- */

static const tl_program moments = {"gpu/moments_gpu", NULL};

tl_tensor *tl__moments_in_groups(tl_scope *s, const tl_tensor *x, int64_t outer, int64_t rows, int64_t columns,
                                 const char *label)
{
    tl_column_parts g = tl__column_parts(outer, rows, columns), over = g;
    tl_tensor *parts = tl_empty(s, TL_F32, 4, (int64_t[]){outer, g.parts, 2, columns}), *joined;
    if (!parts) return NULL;
    tl_launch l = {.program = &moments, .kernel = "moments_gpu"},
              join = {.program = &moments, .kernel = "moments_joined_gpu"};
    tl_karg args[] = {TL_KT(x), TL_KT(parts), TL_KL(g.parts)};
    if (tl__launch_columns(s, &l, label, &g, args, (int)(sizeof args / sizeof *args)) != 0) return NULL;
    joined = tl_empty(s, TL_F32, 3, (int64_t[]){outer, 2, columns});
    if (!joined) return NULL;
    over.rows = over.length = g.parts;
    over.parts = 1;
    tl_karg more[] = {TL_KT(parts), TL_KT(joined), TL_KL(rows), TL_KL(g.length)};
    return tl__launch_columns(s, &join, label, &over, more, (int)(sizeof more / sizeof *more)) == 0 ? joined : NULL;
}
