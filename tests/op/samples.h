/* samples.h - the samples of all operators (src/op/sample.c) as lists, for the programs in this folder. */
#ifndef TLUA_TEST_SAMPLES_H
#define TLUA_TEST_SAMPLES_H

#include "base/base.h"
#include "op/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sample_list { tl_sample *items; int count; } sample_list;

static void keep_sample(tl_sampler *to, const tl_sample *s)
{
    sample_list *l = to->user;
    l->items = realloc(l->items, (size_t)(l->count + 1) * sizeof *l->items);
    l->items[l->count++] = *s;
}

static sample_list samples_of(const tl_op *op, const tl_device *d)
{
    sample_list l = {0};
    tl_sampler to = {.take = keep_sample, .user = &l, .small = getenv("TLUA_TEST_SMALL") != NULL};
    tl__samples(op, d, &to);
    return l;
}

static void *sample_values(const tl_sample *s, int at, int i) { return tl__sample_values(NULL, s, at, i); }

#endif
