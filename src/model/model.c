/* model.c - a trained network from a file (docs/format.md), for those who only want its answers. The file brings
 * what Lua knew when it was written: the calls of the network (plan/reading.c), what happens to a picture before,
 * what it was trained for, and names. */
#include "model/model.h"

#include "data/loader.h"
#include "data/waves.h"
#include "io/io.h"

#include <stdlib.h>
#include <string.h>

void tl_model_free(tl_model *m)
{
    if (!m) return;
    tl__plan_free(m->plan);
    tl__pipeline_free(m->pipeline);
    for (int i = 0; m->label && i < m->classes; i++) free(m->label[i]);
    free(m->label);
    free(m->task);
    tl__finder_free(m->finder);
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
        if (host && tl__entry_to_f32(&s->err, e, host) == 0)
            w->tensor[i] = tl_from(s, TL_F32, e->shape.rank, e->shape.dim, host);
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

static tl_model_tensor about(const tl_port *port)
{
    tl_model_tensor t = {.name = port->name, .dtype = port->dtype, .rank = port->rank};
    for (int k = 0; k < port->rank; k++) t.dim[k] = port->dim[k].symbol == TL_SIZE_FIXED ? port->dim[k].times : -1;
    return t;
}

/* Pictures come as the pipeline makes them, and the plan wants them so; waves are any (N, T), volumes any
 * (N, D, H, W, C), and numbers of pieces whatever the plan has. */
static int check_shapes(tl_error *err, tl_model *m)
{
    for (int i = 0; i < m->plan->g->inputs; i++) m->in[i] = about(&m->plan->g->in[i]);
    for (int i = 0; i < m->plan->outputs; i++) m->out[i] = about(&m->plan->out[i]);
    if (!m->pipeline) return 0;
    const tl_model_tensor *x = &m->in[0];
    m->rate = tl__wave_rate(m->pipeline);
    if (m->rate && (x->rank != 2 || x->dtype != TL_F32))
        return tl__fail(err, TL_EFORMAT, "it hears waves (N, T), and its plan wants others");
    if (m->rate) return 0;
    m->volumes = m->pipeline->count && m->pipeline->step[0].row->stage >= TL_STAGE_GRID;
    if (m->volumes && (x->rank != 5 || x->dtype != TL_F32))
        return tl__fail(err, TL_EFORMAT, "it takes volumes (N, D, H, W, C), and its plan wants others");
    if (m->volumes) return 0;
    m->texts = m->pipeline->count == 0 && x->dtype == TL_I32;
    if (m->texts) return 0;
    tl__pipeline_shape(m->pipeline, m->hwc);
    int same = m->plan->g->inputs == 1 && x->rank == 4 && x->dtype == TL_F32;
    for (int i = 0; i < 3 && same; i++) same = x->dim[i + 1] == m->hwc[i] || (x->dim[i + 1] < 0 && i < 2);
    return same ? 0
                : tl__fail(err, TL_EFORMAT, "its pictures come as %d x %d x %d, and its plan wants others", m->hwc[0],
                           m->hwc[1], m->hwc[2]);
}

/* ---- the description ---- */

static int are_texts(const cJSON *list)
{
    int texts = cJSON_IsArray(list);
    for (const cJSON *each = texts ? list->child : NULL; each; each = each->next) texts = texts && cJSON_IsString(each);
    return texts;
}

/* How many things the first output tells apart: its last dimension, where it is a row or a map of them; 0 where it
 * is something else. */
static int width_of(const tl_model *m)
{
    const tl_model_tensor *y = &m->out[0];
    int64_t n = y->rank >= 2 ? y->dim[y->rank - 1] : 0;
    return n >= 1 && n <= 1 << 20 ? (int)n : 0;
}

/* Names of the classes or values: as many as there are in the list, or numbers. Of one label there are as many as
 * the row has numbers. */
static int take_names(tl_error *err, tl_model *m, const cJSON *names)
{
    int none = !names || cJSON_IsNull(names), width = width_of(m), rows = strcmp(m->task, "classify") == 0;
    if (!none && !are_texts(names)) return tl__fail(err, TL_EFORMAT, "its description is damaged: labels");
    if (m->finder) width -= (int)tl__levels_width(&m->finder->levels); /* of rows: what is not of classes */
    m->classes = none ? width > 0 ? width : 0 : cJSON_GetArraySize(names);
    if (rows && m->plan->outputs == 1 && m->out[0].rank == 2 && m->classes != width)
        return tl__fail(err, TL_EFORMAT, "it names %d classes and its plan has %d", m->classes, width);
    m->label = tl__calloc(err, (size_t)m->classes + 1, sizeof *m->label);
    const cJSON *each = none ? NULL : names->child;
    for (int i = 0; i < m->classes && m->label; i++, each = each ? each->next : NULL) {
        m->label[i] = each ? tl__strdup(err, each->valuestring) : tl__asprintf(err, "%d", i);
        if (!m->label[i]) return -1;
    }
    return m->label ? 0 : -1;
}

/* The task and the names in the description of the file, where it has one: of one label a picture, called by
 * numbers, where nothing is said. */
static int read_description(tl_error *err, tl_model *m, const char *description)
{
    long before = tl__memory_failures();
    cJSON *j = description ? tl__json_parse(description, strlen(description)) : NULL;
    int bad = 0;
    if (description && !cJSON_IsObject(j))
        bad = tl__memory_failures() != before ? tl__fail(err, TL_EMEMORY, "no host memory for its description")
                                              : tl__fail(err, TL_EFORMAT, "its description is damaged: it is not JSON");
    const cJSON *task = cJSON_GetObjectItemCaseSensitive(j, "task"),
                *name = cJSON_GetObjectItemCaseSensitive(task, "name");
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(task, "names");
    if (!bad && task && !cJSON_IsNull(task) && !cJSON_IsString(name))
        bad = tl__fail(err, TL_EFORMAT, "its description is damaged: task");
    if (!cJSON_IsArray(names)) names = cJSON_GetObjectItemCaseSensitive(j, "labels");
    bad = bad || (m->task = tl__strdup(err, name ? name->valuestring : "classify")) == NULL ||
          tl__finder_read(err, m, task) != 0 || take_names(err, m, names) != 0 || tl__finder_check(err, m, task) != 0;
    cJSON_Delete(j);
    return bad ? -1 : 0;
}

/* ---- the file ---- */

static int read_model(tl_scope *s, tl_model *m, const tl_archive *a)
{
    const char *plan = tl__archive_meta(a, "tlua.plan"), *pipeline = tl__archive_meta(a, "tlua.pipeline");
    weights w = {.err = &s->err, .archive = a};
    if (!plan)
        return tl__fail(&s->err, TL_EFORMAT,
                        "it holds no plan of its network; if it is a model or checkpoint of tlua, "
                        "`tlua export` writes one that does");
    int bad = (pipeline && (m->pipeline = tl__pipeline_parse(&s->err, pipeline)) == NULL) || upload(s, &w) != 0 ||
              (m->plan = tl__plan_read(&s->err, s->device, plan, weight_named, &w)) == NULL ||
              check_shapes(&s->err, m) != 0 || read_description(&s->err, m, tl__archive_meta(a, "tlua")) != 0;
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

tl_model *tl_model_load(tl_scope *s, const char *path)
{
    return s && !s->err.code ? load(s, path, tl__archive_read(&s->err, path)) : NULL;
}

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

const char *tl_model_task(const tl_model *m) { return m->task; }
int tl_model_classes(const tl_model *m) { return m->classes; }
const char *tl_model_class(const tl_model *m, int i) { return i >= 0 && i < m->classes ? m->label[i] : NULL; }
void tl_model_input(const tl_model *m, int64_t hwc[3])
{
    for (int i = 0; i < 3; i++) hwc[i] = m->hwc[i];
}
int tl_model_inputs(const tl_model *m, const tl_model_tensor **list)
{
    if (list) *list = m->in;
    return m->plan->g->inputs;
}
int tl_model_outputs(const tl_model *m, const tl_model_tensor **list)
{
    if (list) *list = m->out;
    return m->plan->outputs;
}

/* Whether `n` pictures can be asked for; else an error. */
static int can_ask(tl_scope *s, const tl_model *m, const void *pictures, int n)
{
    if (!s || s->err.code) return 0;
    if (!m || !pictures) tl__fail(&s->err, TL_EARG, "%s is NULL", m ? "the list of pictures" : "the model");
    else if (n < 1) tl__fail(&s->err, TL_EARG, "tl_model_pictures: %d pictures", n);
    else if (m->rate)
        tl__fail(&s->err, TL_ESTATE, "tl_model_pictures: the network hears; tl_model_run takes waves of %d Hz by name",
                 m->rate);
    else if (m->volumes)
        tl__fail(&s->err, TL_ESTATE,
                 "tl_model_pictures: the network takes volumes; tl_model_run takes them (N, D, H, W, C) by name");
    else if (m->texts)
        tl__fail(&s->err, TL_ESTATE,
                 "tl_model_pictures: the network reads; tl_model_run takes numbers of pieces (N, T) and their lengths "
                 "by name");
    else if (!m->pipeline)
        tl__fail(&s->err, TL_ESTATE,
                 "tl_model_pictures: the file does not say how pictures are prepared; tl_model_run takes tensors");
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

/* The number of a name among what goes in or comes out; -1 with an error. Without a name it is the only one. */
static int port_of(tl_scope *s, const tl_model_tensor *list, int n, const char *name, const char *what)
{
    if (!name && n == 1) return 0;
    for (int i = 0; name && i < n; i++)
        if (strcmp(list[i].name, name) == 0) return i;
    return name ? tl__fail(&s->err, TL_EARG, "tl_model_run: the network has no %s '%.80s'; there is '%s'%s", what, name,
                           list[0].name, n > 1 ? " and others" : "")
                : tl__fail(&s->err, TL_EARG, "tl_model_run: the network has %d %ss, and one without a name was given",
                           n, what);
}

int tl_model_run(tl_scope *s, tl_model *m, const tl_named *in, int n_in, tl_named *out, int n_out)
{
    tl_tensor *x[TL_PLAN_PORTS] = {0}, *y[TL_PLAN_PORTS];
    for (int i = 0; out && i < n_out; i++) out[i].tensor = NULL;
    if (!s || s->err.code) return -1;
    if (!m || !in || !out)
        return tl__fail(&s->err, TL_EARG, "tl_model_run: %s is NULL",
                        !m   ? "the model"
                        : in ? "the list of outputs"
                             : "the list of inputs");
    for (int i = 0; i < n_in; i++) {
        int k = port_of(s, m->in, m->plan->g->inputs, in[i].name, "input");
        if (k < 0 || !in[i].tensor)
            return k < 0 ? -1 : tl__fail(&s->err, TL_EARG, "tl_model_run: the input '%s' is NULL", m->in[k].name);
        x[k] = in[i].tensor;
    }
    if (tl__plan_run(s, m->plan, x, y) != 0) return -1;
    for (int i = 0; i < n_out; i++) {
        int k = port_of(s, m->out, m->plan->outputs, out[i].name, "output");
        if (k < 0) return -1;
        out[i].tensor = y[k];
    }
    return 0;
}

tl_tensor *tl_model_logits(tl_scope *s, tl_model *m, tl_tensor *x)
{
    tl_tensor *y[TL_PLAN_PORTS];
    if (!s || s->err.code || !x) return NULL;
    if (!m) tl__fail(&s->err, TL_EARG, "the model is NULL");
    else if (m->plan->g->inputs > 1)
        tl__fail(&s->err, TL_ESTATE, "tl_model_logits: the network has %d inputs; tl_model_run takes them by name",
                 m->plan->g->inputs);
    else if (tl__plan_run(s, m->plan, &x, y) == 0) return y[0];
    return NULL;
}

/* Is it one label a picture that the network gives? Else an error. */
static int gives_labels(tl_scope *s, const tl_model *m)
{
    if (!s || s->err.code || !m || (strcmp(m->task, "classify") == 0 && m->out[0].rank == 2)) return 1;
    tl__fail(&s->err, TL_ESTATE,
             "tl_model_predict is for one label a picture, and this network was made for another task: %s; "
             "tl_model_run gives what it says",
             m->task);
    return 0;
}

tl_tensor *tl_model_predict(tl_scope *s, tl_model *m, const char *const *paths, int n)
{
    return gives_labels(s, m) ? tl_softmax(s, tl_model_logits(s, m, tl_model_pictures(s, m, paths, n)), -1) : NULL;
}

tl_tensor *tl_model_predict_memory(tl_scope *s, tl_model *m, const tl_picture *pictures, int n)
{
    return gives_labels(s, m) ? tl_softmax(s, tl_model_logits(s, m, tl_model_pictures_memory(s, m, pictures, n)), -1)
                              : NULL;
}
