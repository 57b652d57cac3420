/* model.c - a trained network from a file, for those who only want its answers. The file brings what Lua knew when it was
 * written: the calls of the network (plan/listing.c), what happens to a picture before, and the names of the classes. */
#include "base/text.h"
#include "data/loader.h"
#include "io/io.h"
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

struct tl_model {
    tl_device *device;
    tl_plan *plan;
    tl_pipeline *pipeline;
    int hwc[3];     /* of a picture as the network wants it */
    int classes;
    char **label;   /* of each class */
};

void tl_model_free(tl_model *m)
{
    if (!m) return;
    tl__plan_free(m->plan);
    tl__pipeline_free(m->pipeline);
    for (int i = 0; m->label && i < m->classes; i++) free(m->label[i]);
    free(m->label);
    tl_device_release(m->device);
    free(m);
}

/* ---- loading ---- */

/* The float tensors of the file on the device, in the order of its entries; NULL for others. Owned by the scope. */
typedef struct weights {
    tl_error *err;
    const tl_archive *archive;
    tl_tensor **tensor;
} weights;

static int upload(tl_scope *s, weights *w)
{
    w->tensor = tl__calloc(&s->err, (size_t)w->archive->count + 1, sizeof(tl_tensor *));
    for (int i = 0; i < w->archive->count && !s->err.code; i++) {
        const tl_entry *e = &w->archive->entries[i];
        if (!tl__is_float(e->dtype) && e->dtype != TL_F64) continue;
        float *host = tl__malloc(&s->err, (size_t)tl__numel(&e->shape) * sizeof *host + 1);
        if (host && tl__entry_to_f32(&s->err, e, host) == 0) w->tensor[i] = tl_from(s, TL_F32, e->shape.rank, e->shape.dim, host);
        free(host);
    }
    return s->err.code ? -1 : 0;
}

static tl_tensor *weight_named(void *user, const char *name)
{
    const weights *w = user;
    const tl_entry *e = tl__archive_find(w->archive, name);
    const char *odd = e ? NULL : tl__archive_odd(w->archive, name);
    if (odd) tl__fail(w->err, TL_EFORMAT, "its tensor %.80s %s", name, odd);
    return e ? w->tensor[e - w->archive->entries] : NULL;
}

/* Pictures come as the pipeline makes them, and the plan wants them so; its answer is a row of classes. */
static int check_shapes(tl_error *err, tl_model *m)
{
    const tl_shape *x = &m->plan->slots[m->plan->g->in[0].slot].meta.shape, *y = &m->plan->slots[m->plan->out[0].slot].meta.shape;
    tl__pipeline_shape(m->pipeline, m->hwc);
    int same = x->rank == 4;
    for (int i = 0; i < 3 && same; i++) same = x->dim[i + 1] == m->hwc[i];
    if (!same) return tl__fail(err, TL_EFORMAT, "its pictures come as %d x %d x %d, and its plan wants others", m->hwc[0], m->hwc[1], m->hwc[2]);
    if (y->rank != 2 || y->dim[1] < 1 || y->dim[1] > 1 << 20) return tl__fail(err, TL_EFORMAT, "its plan does not end with a row of classes");
    m->classes = (int)y->dim[1];
    return 0;
}

/* The list of names in a description, which may be without one: as many texts as there are classes, or an error. */
static int check_labels(tl_error *err, const cJSON *labels, int classes)
{
    if (!labels || cJSON_IsNull(labels)) return 0;
    int texts = cJSON_IsArray(labels);
    for (const cJSON *each = texts ? labels->child : NULL; each; each = each->next) texts = texts && cJSON_IsString(each);
    if (!texts) return tl__fail(err, TL_EFORMAT, "its description is damaged: labels");
    if (cJSON_GetArraySize(labels) == classes) return 0;
    return tl__fail(err, TL_EFORMAT, "it names %d classes and its plan has %d", cJSON_GetArraySize(labels), classes);
}

/* The names in the description of the file; without a description, or a list of names in it, classes are called by their numbers. */
static int read_labels(tl_error *err, tl_model *m, const char *description)
{
    long before = tl__memory_failures();
    cJSON *j = description ? tl__json_parse(description, strlen(description)) : NULL;
    int bad = 0;
    if (description && !cJSON_IsObject(j))
        bad = tl__memory_failures() != before ? tl__fail(err, TL_EMEMORY, "no host memory for its description")
                                              : tl__fail(err, TL_EFORMAT, "its description is damaged: it is not JSON");
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(j, "labels");
    bad = bad || check_labels(err, labels, m->classes) != 0 || (m->label = tl__calloc(err, (size_t)m->classes, sizeof *m->label)) == NULL;
    const cJSON *each = cJSON_IsArray(labels) ? labels->child : NULL;
    for (int i = 0; i < m->classes && !bad; i++, each = each ? each->next : NULL) {
        m->label[i] = each ? tl__strdup(err, each->valuestring) : tl__asprintf(err, "%d", i);
        bad = !m->label[i];
    }
    cJSON_Delete(j);
    return bad ? -1 : 0;
}

static int read_model(tl_scope *s, tl_model *m, const tl_archive *a)
{
    const char *plan = tl__archive_meta(a, "tlua.plan"), *pipeline = tl__archive_meta(a, "tlua.pipeline");
    weights w = {.err = &s->err, .archive = a};
    if (!plan || !pipeline)
        return tl__fail(&s->err, TL_EFORMAT, "it holds no plan of its network; if it is a model or checkpoint of tlua, `tlua export` writes one that does");
    int bad = (m->pipeline = tl__pipeline_parse(&s->err, pipeline)) == NULL || upload(s, &w) != 0 ||
              (m->plan = tl__plan_read(&s->err, s->device, plan, weight_named, &w)) == NULL || check_shapes(&s->err, m) != 0 ||
              read_labels(&s->err, m, tl__archive_meta(a, "tlua")) != 0;
    free(w.tensor);
    return bad ? -1 : 0;
}

/* The model of an archive, which is freed here. */
static tl_model *load(tl_scope *s, const char *name, tl_archive *a)
{
    tl_model *m = a ? tl__calloc(&s->err, 1, sizeof *m) : NULL;
    if (m) {
        tl_scope inner;
        tl__scope_begin(&inner, s);
        m->device = s->device;
        tl_device_retain(m->device);
        if (read_model(&inner, m, a) != 0) {
            tl__error_prefix(&inner.err, "%s: ", name);
            tl_model_free(m);
            m = NULL;
        }
        tl__scope_end(&inner);
    }
    tl__archive_free(a);
    return m;
}

tl_model *tl_model_load(tl_scope *s, const char *path) { return s && !s->err.code ? load(s, path, tl__archive_read(&s->err, path)) : NULL; }

tl_model *tl_model_load_memory(tl_scope *s, const char *name, const void *data, size_t bytes)
{
    if (!s || s->err.code) return NULL;
    if (!name) name = "model";
    if (!data) {
        tl__fail(&s->err, TL_EARG, "%s: data is NULL", name);
        return NULL;
    }
    return load(s, name, tl__archive_read_memory(&s->err, name, NULL, data, bytes));
}

/* ---- asking ---- */

int tl_model_classes(const tl_model *m) { return m->classes; }
const char *tl_model_class(const tl_model *m, int i) { return i >= 0 && i < m->classes ? m->label[i] : NULL; }
void tl_model_input(const tl_model *m, int64_t hwc[3])
{
    for (int i = 0; i < 3; i++) hwc[i] = m->hwc[i];
}

/* Whether `n` pictures can be asked for; else an error. */
static int can_ask(tl_scope *s, const tl_model *m, const void *pictures, int n)
{
    if (!s || s->err.code) return 0;
    if (!m || !pictures) tl__fail(&s->err, TL_EARG, "%s is NULL", m ? "the list of pictures" : "the model");
    else if (n < 1) tl__fail(&s->err, TL_EARG, "tl_model_pictures: %d pictures", n);
    return !s->err.code;
}

/* All pictures of the source as one batch; the source is freed here. */
static tl_tensor *read_pictures(tl_scope *s, const tl_model *m, tl_source *source, int n)
{
    tl_tensor *x = NULL;
    tl_batch b;
    tl_loader *l = source ? tl__loader_open(&s->err, source, m->pipeline, &(tl_loader_config){.batch = n}) : NULL;
    if (l && tl__loader_start(l, &s->err, 0) == 0 && tl__loader_next(l, &s->err, &b) == 1) {
        x = tl_from(s, TL_F32, 4, (int64_t[]){b.n, b.height, b.width, b.channels}, b.x);
        tl__loader_recycle(l, &b);
    }
    tl__loader_close(l);
    if (source) tl__source_free(source);
    return x;
}

tl_tensor *tl_model_pictures(tl_scope *s, const tl_model *m, const char *const *paths, int n)
{
    return can_ask(s, m, paths, n) ? read_pictures(s, m, tl__source_files(&s->err, paths, n), n) : NULL;
}

tl_tensor *tl_model_pictures_memory(tl_scope *s, const tl_model *m, const tl_picture *pictures, int n)
{
    return can_ask(s, m, pictures, n) ? read_pictures(s, m, tl__source_memory(&s->err, pictures, n), n) : NULL;
}

tl_tensor *tl_model_logits(tl_scope *s, tl_model *m, tl_tensor *x)
{
    if (!s || s->err.code || !x) return NULL;
    tl_tensor *y[TL_PLAN_PORTS];
    if (m) return tl__plan_run(s, m->plan, &x, y) == 0 ? y[0] : NULL;
    tl__fail(&s->err, TL_EARG, "the model is NULL");
    return NULL;
}

tl_tensor *tl_model_predict(tl_scope *s, tl_model *m, const char *const *paths, int n)
{
    return tl_softmax(s, tl_model_logits(s, m, tl_model_pictures(s, m, paths, n)), -1);
}

tl_tensor *tl_model_predict_memory(tl_scope *s, tl_model *m, const tl_picture *pictures, int n)
{
    return tl_softmax(s, tl_model_logits(s, m, tl_model_pictures_memory(s, m, pictures, n)), -1);
}
