/* ops_doc.c - prints docs/ops.md from the table of operators. */
#include "op/op.h"

#include <stdio.h>
#include <string.h>

static const char *kind(const tl_attr *a)
{
    switch (a->kind) {
    case TL_A_INT: return "whole number";
    case TL_A_FLOAT: return "number";
    case TL_A_BOOL: return "boolean";
    case TL_A_AXIS: return "dimension";
    case TL_A_AXES: return "list of dimensions";
    case TL_A_INTS: return "list of whole numbers";
    case TL_A_FLOATS: return "list of numbers";
    default: return "name";
    }
}

/* The default as Lua writes it: dimensions count from 1 there. */
static void fallback(const tl_attr *a, char *out, size_t size)
{
    if (a->required) snprintf(out, size, "required");
    else if (a->kind == TL_A_AXES || a->kind == TL_A_INTS || a->kind == TL_A_FLOATS) snprintf(out, size, "empty");
    else if (a->kind == TL_A_BOOL) snprintf(out, size, "%s", a->fallback != 0 ? "true" : "false");
    else if (a->kind == TL_A_CHOICE) snprintf(out, size, "\"%s\"", a->choices[(int)a->fallback]);
    else if (a->kind == TL_A_AXIS) snprintf(out, size, "%g", a->fallback < 0 ? a->fallback : a->fallback + 1);
    else snprintf(out, size, "%g", a->fallback);
}

static void signature(const tl_op *op)
{
    printf("### %s\n\n```text\ntlua.ops.%s(", op->name, op->name);
    for (int i = 0; i < TL_MAX_INPUTS && op->inputs[i]; i++) printf(i ? ", %s" : "%s", op->inputs[i]);
    if (op->attrs[0].kind != TL_A_END) {
        printf(op->inputs[0] ? ", {" : "{");
        for (int i = 0; op->attrs[i].kind != TL_A_END; i++) printf(i ? ", %s =" : " %s =", op->attrs[i].name);
        printf(" }");
    }
    printf(")\n```\n%s\n\n", op->brief);
}

static void describe(const tl_op *op)
{
    char text[64];
    signature(op);
    for (int i = 0; op->attrs[i].kind != TL_A_END; i++) {
        const tl_attr *a = &op->attrs[i];
        fallback(a, text, sizeof text);
        printf("- `%s` (%s, %s): %s", a->name, kind(a), text, a->brief);
        for (int k = 0; a->kind == TL_A_CHOICE && a->choices[k]; k++) printf("%s\"%s\"", k ? ", " : "; one of ", a->choices[k]);
        printf("\n");
    }
    if (op->attrs[0].kind != TL_A_END) printf("\n");
    printf("PyTorch: `%s`. ", op->torch ? op->torch : "-");
    if (!op->vjp) printf("No gradient.");
    else {
        int any = 0;
        printf("Gradient towards ");
        for (int i = 0; i < TL_MAX_INPUTS && op->inputs[i]; i++) {
            if (op->int_inputs >> i & 1 || op->constants >> i & 1) continue;
            printf(any++ ? ", %.*s" : "%.*s", (int)strcspn(op->inputs[i], "?."), op->inputs[i]);
        }
        printf(".");
    }
    if (op->ints && !op->any_dtype) printf(" Takes whole numbers (int32) too.");
    printf("\n\n");
}

int main(void)
{
    printf("# Operators\n\n"
           "Made by `make docs` from the descriptors in src/op; do not edit. Each is a function `tlua.ops.NAME` and a method\n"
           "`x:NAME(...)`. Tensors come first (`?` marks one that may be nil), attributes follow one by one or as one table.\n"
           "Dimensions count from 1, from the end where negative; classes and ids are data and count from 0. Float inputs may be\n"
           "float32, float16 or bfloat16; everything is computed in float32. In C the same operators are in src/tlua_ops.h. Examples are lines as\n"
           "they are typed at the prompt; `-->` has what it shows, numbers in one row.\n\n");
    for (int i = 0; tl__ops()[i]; i++) printf("[%s](#%s)%s", tl__ops()[i]->name, tl__ops()[i]->name, tl__ops()[i + 1] ? " · " : "\n\n");
    for (int i = 0; tl__ops()[i]; i++) describe(tl__ops()[i]);
    return 0;
}
