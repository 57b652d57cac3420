/* optim_table.c - parameters of many rows of which a step touches few. The numbers are those of a step over all rows: a
 * row that never had a gradient has no moments, and a step only multiplies it by the same factor as all others
 * (tl__rule.shrink). That it owes (tl_debt) until somebody reads it. */
#include "grad/optim_rules.h"

#include <stdlib.h>
#include <string.h>

static const tl_program program = {"rows", NULL};

/* Below so many rows, or where rows are wide, all of it is soon touched; debts are paid after so many steps. */
enum { FEWEST = 4096, ROWS_TO_WIDTH = 4, MOST_OWED = 256, FIRST_ROOM = 1024 };

int tl__table_suits(const tl__rule *r, const tl_optim_options *o, const tl_tensor *p)
{
    return r->shrink && r->shrink(o) != 0 && p->shape.rank == 2 && p->shape.dim[0] >= FEWEST &&
           p->shape.dim[0] >= ROWS_TO_WIDTH * p->shape.dim[1] && p->shape.dim[1] > 0 && tl__is_packed(p);
}

int tl__table_init(tl_error *err, tl__table *t, const tl_tensor *p, int i)
{
    *t = (tl__table){.param = i, .rows = p->shape.dim[0], .width = p->shape.dim[1]};
    if (tl__buffer_settle(err, p->buffer) != 0 || !(t->weights = tl__tensor_alias(err, p)) ||
        !(t->slot = tl__malloc(err, (size_t)t->rows * sizeof *t->slot)))
        return -1;
    memset(t->slot, 0xff, (size_t)t->rows * sizeof *t->slot);
    return 0;
}

tl__table *tl__table_of(const tl__group *g, int i)
{
    for (int k = 0; k < g->table_count; k++)
        if (g->tables[k].param == i) return &g->tables[k];
    return NULL;
}

static void drop(tl_tensor **t)
{
    tl_tensor_release(*t);
    *t = NULL;
}

void tl__table_free(tl__table *t)
{
    for (int k = 0; k < TL__MOMENTS; k++) {
        drop(&t->moment[k]);
        drop(&t->view[k]);
    }
    drop(&t->weights);
    drop(&t->place);
    free(t->row);
    free(t->slot);
}

/* ---- moments ---- */

static int is_of_rule(const tl__group *g, int k) { return k != TL__MOMENT_EMA && g->has >> k & 1; }

/* (rows, width) of which the first `kept` rows are those of `old`, zeros behind them; the caller's. */
static tl_tensor *enlarged(tl_scope *s, const tl_tensor *old, int64_t kept, int64_t rows, int64_t width)
{
    tl_shape shape = {2, {rows, width}};
    tl_tensor *t = tl__tensor_new(&s->err, s->device, TL_F32, &shape);
    size_t used = (size_t)(kept * width) * 4, all = (size_t)(rows * width) * 4;
    if (t && tl__buffer_fill(&s->err, t->buffer, used, all - used, 0) == 0 &&
        (!kept || tl__buffer_copy(&s->err, old->buffer, 0, t->buffer, 0, used) == 0))
        return t;
    tl_tensor_release(t);
    return NULL;
}

/* Moments for `room` rows in the place of those there are. */
static int make_room(tl_scope *s, const tl__group *g, tl__table *t, int64_t room)
{
    tl_tensor *fresh[TL__MOMENTS] = {0};
    int32_t *row = tl__realloc(&s->err, t->row, (size_t)room * sizeof *row);
    if (!row) return -1;
    t->row = row;
    for (int k = 0; k < TL__MOMENTS && !s->err.code; k++)
        if (is_of_rule(g, k)) fresh[k] = enlarged(s, t->moment[k], t->used, room, t->width);
    for (int k = 0; k < TL__MOMENTS; k++) {
        if (s->err.code) tl_tensor_release(fresh[k]);
        else if (fresh[k]) {
            drop(&t->moment[k]);
            t->moment[k] = fresh[k];
        }
    }
    if (!s->err.code) t->room = room;
    return s->err.code ? -1 : 0;
}

static int reserve(tl_scope *s, const tl__group *g, tl__table *t, int64_t wanted)
{
    int64_t room = t->room ? t->room + t->room / 2 : FIRST_ROOM;
    if (wanted <= t->room) return 0;
    if (room < wanted) room = wanted;
    if (room > t->rows) room = t->rows;
    return make_room(s, g, t, room);
}

/* The moments of the rows that have some become moments of all rows. */
static int become_whole(tl_scope *s, const tl__group *g, tl__table *t, tl_home *home)
{
    tl_tensor *whole[TL__MOMENTS] = {0};
    int64_t n = t->used * t->width, chunk = s->device->traits.is_cpu ? t->width : 1;
    tl_tensor *id = t->used ? tl_from(s, TL_I32, 1, &t->used, t->row) : NULL;
    for (int k = 0; k < TL__MOMENTS && !s->err.code; k++) {
        if (!is_of_rule(g, k) || !(whole[k] = enlarged(s, NULL, 0, t->rows, t->width)) || !id) continue;
        tl_launch l = {.program = &program, .kernel = "rows_add", .dims = 1, .global = {(size_t)(n / chunk)}};
        TL__LAUNCH(&s->err, s->device, &l, "optimiser", TL_KL(n), TL_KL(chunk), TL_KL(t->width), TL_KBUF(id->buffer),
                   TL_KT(t->moment[k]), TL_KT(whole[k]));
    }
    if (s->err.code || tl__buffer_settle(&s->err, t->weights->buffer) != 0) {
        for (int k = 0; k < TL__MOMENTS; k++) tl_tensor_release(whole[k]);
        return -1;
    }
    for (int k = 0; k < TL__MOMENTS; k++)
        if (whole[k]) {
            drop(&t->moment[k]);
            t->moment[k] = whole[k];
        }
    t->whole = 1;
    home->by_rows = 0;
    return 0;
}

tl_tensor *tl__table_moment(const tl__group *g, tl__table *t, int which)
{
    tl_shape shape = {2, {which == TL__MOMENT_EMA || t->whole ? t->rows : t->used, t->width}};
    int64_t strides[TL_MAX_RANK] = {0};
    if (!(g->has >> which & 1) || !t->moment[which] || !shape.dim[0]) return NULL;
    tl__packed_strides(&shape, strides);
    drop(&t->view[which]);
    return t->view[which] = tl__tensor_view(NULL, t->moment[which], &shape, strides, 0);
}

/* ---- which rows ---- */

static void add_row(tl__table *t, int32_t row)
{
    t->slot[row] = (int32_t)t->used;
    t->row[t->used++] = row;
}

/* Where the step finds the rows: (used, 2), those without a gradient in this step with its last row. */
static int find_places(tl_scope *s, tl__table *t, const tl_rows *of)
{
    int32_t *place = tl__malloc(&s->err, (size_t)(2 * t->used + 1) * sizeof *place);
    if (!place) return -1;
    for (int64_t i = 0; i < t->used; i++) {
        place[2 * i] = t->row[i];
        place[2 * i + 1] = (int32_t)of->count;
    }
    for (int64_t i = 0; i < of->count; i++) place[2 * t->slot[of->id[i]] + 1] = (int32_t)i;
    tl_tensor *made = tl_from(s, TL_I32, 2, (int64_t[]){t->used, 2}, place);
    free(place);
    if (!made) return -1;
    drop(&t->place);
    t->place = made;
    tl_tensor_retain(made);
    return 0;
}

/* The buffer of weights gets an account for its debts, in the place of what another optimiser left. */
static int open_account(tl_scope *s, tl__table *t)
{
    tl_buffer *b = t->weights->buffer;
    if (t->account) return 0;
    if (tl__buffer_settle(&s->err, b) != 0) return -1;
    tl_debt *debt = tl__calloc(&s->err, 1, sizeof *debt);
    tl_buffer *paid = debt ? tl__buffer_new(&s->err, s->device, (size_t)t->rows * 4) : NULL,
              *factors = paid ? tl__buffer_new(&s->err, s->device, MOST_OWED * sizeof(float)) : NULL;
    if (!factors || tl__buffer_fill(&s->err, paid, 0, (size_t)t->rows * 4, 0) != 0) {
        if (paid) tl__buffer_release(paid);
        if (factors) tl__buffer_release(factors);
        free(debt);
        return -1;
    }
    *debt = (tl_debt){paid, factors, t->weights->offset, t->rows, t->width, 0, tl__rows_settle};
    if (b->debt) {
        tl__buffer_release(b->debt->paid);
        tl__buffer_release(b->debt->factors);
        free(b->debt);
    }
    b->debt = debt;
    t->account = 1;
    return 0;
}

int tl__table_ready(tl_scope *s, const tl__group *g, tl__table *t)
{
    tl_node *n = g->params[t->param]->node;
    if (!n->grad->rows) return t->whole ? 0 : become_whole(s, g, t, n->home);
    const tl_rows *of = n->grad->rows;
    int64_t fresh = 0;
    for (int64_t i = 0; i < of->count; i++) fresh += t->slot[of->id[i]] < 0;
    if (reserve(s, g, t, t->used + fresh) != 0) return -1;
    if (g->options.weight_decay != 0 && open_account(s, t) != 0) return -1;
    for (int64_t i = 0; i < of->count; i++)
        if (t->slot[of->id[i]] < 0) add_row(t, of->id[i]);
    return find_places(s, t, of);
}

/* ---- a step ---- */

/* Rows that are new pay what they owe, and owe nothing from now on. */
static int pay(tl_scope *s, tl__table *t)
{
    tl_debt *debt = t->weights->buffer->debt;
    int64_t fresh = t->used - t->paid, n = fresh * t->width, chunk = s->device->traits.is_cpu ? t->width : 1;
    if (!debt || !fresh) return 0;
    tl_launch l = {.program = &program, .kernel = "rows_pay", .dims = 1, .global = {(size_t)(n / chunk)}};
    if (TL__LAUNCH(&s->err, s->device, &l, "optimiser", TL_KL(n), TL_KL(chunk), TL_KL(t->width),
                   TL_KBUF(t->place->buffer), TL_KL(t->paid), TL_KRAW(t->weights->buffer), TL_KL(debt->at),
                   TL_KBUF(debt->paid), TL_KBUF(debt->factors), TL_KL(debt->count)) != 0)
        return -1;
    t->paid = t->used;
    return 0;
}

static int owe(tl_scope *s, tl__table *t, double shrink)
{
    tl_debt *debt = t->weights->buffer->debt;
    float factor = (float)shrink;
    uint32_t bits;
    if (!debt || factor == 1) return 0;
    if (debt->count == MOST_OWED && tl__buffer_settle(&s->err, t->weights->buffer) != 0) return -1;
    memcpy(&bits, &factor, 4);
    if (tl__buffer_fill(&s->err, debt->factors, (size_t)debt->count * 4, 4, bits) != 0) return -1;
    debt->count++;
    return 0;
}

int tl__table_step(tl_scope *s, const tl__rule *r, const tl__group *g, tl__stretch at)
{
    tl__table *t = at.table;
    tl__group own = *g;
    own.weights = t->weights;
    memcpy(own.moment, t->moment, sizeof own.moment);
    t->weights->buffer->version++;
    if (t->whole) {
        at.at = t->weights->offset;
        at.gradients_at = at.at; /* the gradient begins with the table */
        return r->apply(s, &own, at);
    }
    if (pay(s, t) != 0) return 0;
    at.at = t->weights->offset;
    at.n = t->used * t->width;
    at.gradients_at = t->width;
    at.place = t->place->buffer;
    int done = at.n ? r->apply(s, &own, at) : 0;
    if (!s->err.code) owe(s, t, r->shrink(&g->options));
    return done;
}

/* ---- state ---- */

int tl__table_take_all(tl_scope *s, const tl__group *g, tl__table *t)
{
    return t->whole ? 0 : become_whole(s, g, t, g->params[t->param]->node->home);
}

static int read_rows(tl_scope *s, const tl__table *t, const tl_tensor *rows, int32_t *to)
{
    int64_t n = tl_numel(rows);
    if (rows->dtype != TL_I32)
        return tl__fail(&s->err, TL_EDTYPE, "optimiser: the rows of a table's state must be int32");
    if (tl_read(s, (tl_tensor *)rows, to, (size_t)n * sizeof *to) != 0) return -1;
    for (int64_t i = 0; i < n; i++)
        if (to[i] < 0 || to[i] >= t->rows)
            return tl__fail(&s->err, TL_EARG, "optimiser: a state of row %d is of another table, which has %lld",
                            (int)to[i], (long long)t->rows);
    return 0;
}

int tl__table_take_rows(tl_scope *s, const tl__group *g, tl__table *t, const tl_tensor *rows)
{
    int64_t n = rows ? tl_numel(rows) : 0;
    int32_t *list = tl__malloc(&s->err, (size_t)(n + 1) * sizeof *list);
    tl_debt *debt = t->weights->buffer->debt;
    int bad = !list || (n && read_rows(s, t, rows, list) != 0) || tl__buffer_settle(&s->err, t->weights->buffer) != 0 ||
              (debt && tl__buffer_fill(&s->err, debt->paid, 0, (size_t)t->rows * 4, 0) != 0);
    if (!bad) {
        for (int k = 0; k < TL__MOMENTS && t->whole; k++)
            if (k != TL__MOMENT_EMA) drop(&t->moment[k]);
        if (t->whole) t->room = 0;
        t->used = t->paid = t->whole = 0;
        g->params[t->param]->node->home->by_rows = 1;
        memset(t->slot, 0xff, (size_t)t->rows * sizeof *t->slot);
        bad = reserve(s, g, t, n) != 0;
    }
    for (int64_t i = 0; i < n && !bad; i++) {
        if (t->slot[list[i]] >= 0)
            bad = tl__fail(&s->err, TL_EARG, "optimiser: a state has row %d twice", (int)list[i]);
        else add_row(t, list[i]);
    }
    free(list);
    return bad ? -1 : 0;
}
