/* onnx.c - .onnx files, in memory and with a file of numbers beside them. */
#include "fuzz.h"
#include "io/onnx.h"

static volatile double sum;

/* Every number is read; the sum keeps the compiler from leaving it out. */
static void use_tensor(const tl_onnx *o, const Onnx__TensorProto *t)
{
    tl_onnx_values v;
    tl_error err = {0};
    if (!t) return;
    if (tl__onnx_values(&err, o, t, &v) != 0) {
        never(tl__onnx_type(t->data_type) != NULL);
        return;
    }
    for (size_t i = 0; i < t->n_string_data; i++)
        for (size_t k = 0; k < t->string_data[i].len; k++) sum += t->string_data[i].data[k];
    if (v.type->kind == 's' || v.count > 1 << 16) return;
    float *out = malloc((size_t)v.count * 4 + 4);
    never(!out);
    if (tl__onnx_to_f32(&err, &v, out) == 0)
        for (int64_t i = 0; i < v.count; i++) sum += (double)out[i] + tl__onnx_float(&v, i);
    else check_error(&err, "its elements are ");
    err = (tl_error){0};
    if (tl__onnx_to_i32(&err, &v, (int32_t *)out) != 0) check_error(&err, "");
    free(out);
}

static void use_nodes(tl_onnx *o, Onnx__NodeProto *const *nodes, size_t count);

static void use_graph(tl_onnx *o, const Onnx__GraphProto *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->n_initializer; i++) use_tensor(o, g->initializer[i]);
    use_nodes(o, g->node, g->n_node);
    for (size_t i = 0; i < g->n_input; i++) sum += g->input[i]->name ? strlen(g->input[i]->name) : 0;
}

static void use_nodes(tl_onnx *o, Onnx__NodeProto *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Onnx__NodeProto *n = nodes[i];
        tl_error err = {0};
        for (int k = 0; tl__onnx_newer(&err, o, &n->base, 9, k, &onnx__string_string_entry_proto__descriptor); k++)
            sum += k;
        for (size_t k = 0; k < n->n_input; k++) sum += strlen(n->input[k]);
        for (size_t k = 0; k < n->n_attribute; k++) {
            const Onnx__AttributeProto *a = n->attribute[k];
            use_tensor(o, a->t);
            use_graph(o, a->g);
            for (size_t j = 0; j < a->n_ints; j++) sum += (double)a->ints[j];
            for (size_t j = 0; j < a->n_floats; j++) sum += (double)a->floats[j];
            for (size_t j = 0; j < a->n_strings; j++)
                sum += a->strings[j].len ? a->strings[j].data[a->strings[j].len - 1] : 0;
            for (size_t j = 0; j < a->n_tensors; j++) use_tensor(o, a->tensors[j]);
            for (size_t j = 0; j < a->n_graphs; j++) use_graph(o, a->graphs[j]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char path[80];
    if (!*path) {
        uint8_t numbers[64] = {1, 2, 3};
        fuzz_put("w.bin", numbers, sizeof numbers);
        snprintf(path, sizeof path, "%s/f", fuzz_folder());
    }
    uint8_t *copy = fuzz_copy(data, bytes);
    tl_error err = {0};
    tl_onnx *o = tl__onnx_open_memory(&err, path, copy, bytes);
    if (o) {
        use_graph(o, o->model->graph);
        for (size_t i = 0; i < o->model->n_functions; i++)
            use_nodes(o, o->model->functions[i]->node, o->model->functions[i]->n_node);
    } else {
        check_error(&err, path);
    }
    tl__onnx_free(o);
    free(copy);
    return 0;
}
