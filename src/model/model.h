/* model.h - what the files of this floor share. */
#ifndef TLUA_MODEL_H
#define TLUA_MODEL_H

#include "base/text.h"
#include "data/transform.h"
#include "plan/plan.h"
#include "task/assign.h"

/* What a file of task.detect keeps (docs/format.md): which boxes rows stand for, and which of them are said. */
typedef struct tl_finder {
    tl_levels levels;    /* height and width: of the pictures that are asked about */
    double confidence;   /* from which score on a box is said ... */
    double *chosen;      /* ... or of each class, where the run has chosen them; else NULL */
    double iou;          /* of boxes that overlap more the surest stays ... */
    int per_class;       /* ... of one class, or of all */
    int several;         /* a row may say several classes, and not its likeliest alone */
    int64_t most;        /* of a picture */
} tl_finder;

struct tl_model {
    tl_device *device;
    tl_plan *plan;
    tl_pipeline *pipeline;  /* NULL: what goes in is no picture, nor sound */
    int rate;               /* of the waves that a network hears; 0: it does not */
    int volumes;            /* it takes volumes */
    int texts;              /* it takes numbers of pieces of texts */
    int hwc[3];             /* of a picture as the network wants it; 0: any */
    char *task;
    int classes;
    char **label;           /* of each class */
    tl_finder *finder;      /* NULL: it finds no boxes */
    tl_model_tensor in[TL_PLAN_PORTS], out[TL_PLAN_PORTS];
};

/* The finder of a model of task.detect from `task`, its part of the description; NULL stays where nothing is said of
 * rows. 0, or -1 where what is said is damaged. */
int tl__finder_read(tl_error *err, tl_model *m, const cJSON *task);
/* Does what it says go with the model's classes and its plan? Takes the confidences of classes too. 0 or -1. */
int tl__finder_check(tl_error *err, tl_model *m, const cJSON *task);
void tl__finder_free(tl_finder *f);

#endif
