/* rows.c - gradients that have some rows of a table only: a step over a vocabulary of 250,000 pieces touches a few
 * hundred. And the debt of the other rows, which an optimiser only shrinks. */
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

static const tl_program program = {"rows", NULL};

/* A launch over rows of `width` numbers; `*chunk` of them to a work-item. */
static tl_launch over(const tl_device *d, const char *kernel, int64_t rows, int64_t width, int64_t *chunk)
{
    *chunk = d->traits.is_cpu ? width : 1;
    return (tl_launch){.program = &program, .kernel = kernel, .dims = 1, .global = {(size_t)(rows * width / *chunk)}};
}

tl_tensor *tl__rows_new(tl_scope *s, int64_t count, const int32_t *id, int64_t width)
{
    tl_tensor *t = tl_full(s, TL_F32, 2, (int64_t[]){count + 1, width}, 0);
    tl_rows *rows = t ? tl__calloc(&s->err, 1, sizeof *rows + (size_t)count * sizeof *id) : NULL;
    if (!rows) return NULL;
    rows->count = count;
    memcpy(rows->id, id, (size_t)count * sizeof *id);
    t->rows = rows;
    return t;
}

tl_tensor *tl__rows_sum(tl_scope *s, const tl_tensor *a, const tl_tensor *b)
{
    const tl_rows *x = a->rows, *y = b->rows;
    int64_t width = a->shape.dim[1], most = x->count + y->count, i = 0, k = 0, n = 0, chunk;
    int32_t *id = tl__malloc(&s->err, (size_t)(3 * most + 1) * sizeof *id), *from = id ? id + most : NULL;
    if (!id) return NULL;
    while (i < x->count || k < y->count) {
        int32_t next = k == y->count || (i < x->count && x->id[i] < y->id[k]) ? x->id[i] : y->id[k];
        from[2 * n] = (int32_t)(i < x->count && x->id[i] == next ? i++ : x->count);
        from[2 * n + 1] = (int32_t)(k < y->count && y->id[k] == next ? k++ : y->count);
        id[n++] = next;
    }
    tl_tensor *sum = tl__rows_new(s, n, id, width), *table = tl_from(s, TL_I32, 2, (int64_t[]){n, 2}, from);
    free(id);
    if (!sum || !table) return NULL;
    tl_launch l = over(s->device, "rows_sum", n, width, &chunk);
    return TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KL(n * width), TL_KL(chunk), TL_KL(width),
                      TL_KBUF(table->buffer), TL_KBUF(a->buffer), TL_KBUF(b->buffer), TL_KBUF(sum->buffer)) == 0
               ? sum
               : NULL;
}

int tl__rows_add_into(tl_scope *s, tl_tensor *whole, const tl_tensor *rows)
{
    int64_t n = rows->rows->count, width = rows->shape.dim[1], chunk;
    tl_tensor *id = tl_from(s, TL_I32, 1, &n, rows->rows->id);
    if (!id) return -1;
    tl_launch l = over(s->device, "rows_add", n, width, &chunk);
    whole->buffer->version++;
    return TL__LAUNCH(&s->err, s->device, &l, "embedding", TL_KL(n * width), TL_KL(chunk), TL_KL(width),
                      TL_KBUF(id->buffer), TL_KT(rows), TL_KT(whole));
}

tl_tensor *tl__rows_whole(tl_scope *s, const tl_tensor *rows, const tl_shape *shape)
{
    tl_tensor *whole = tl_full(s, TL_F32, shape->rank, shape->dim, 0);
    return whole && tl__rows_add_into(s, whole, rows) == 0 ? whole : NULL;
}

int tl__rows_settle(tl_error *err, tl_buffer *of)
{
    tl_debt *debt = of->debt;
    int64_t chunk;
    tl_launch l = over(of->device, "rows_settle", debt->rows, debt->width, &chunk);
    if (TL__LAUNCH(err, of->device, &l, "optimiser", TL_KL(debt->rows * debt->width), TL_KL(chunk), TL_KL(debt->width),
                   TL_KRAW(of), TL_KL(debt->at), TL_KBUF(debt->paid), TL_KBUF(debt->factors), TL_KL(debt->count)) != 0)
        return -1;
    debt->count = 0;
    return 0;
}
