/* aliases.c - names that stand for samples in all that is written: of a patient's picture nobody may see the path. */
#include "data/source.h"

#include <stdlib.h>

int tl__source_set_aliases(tl_error *err, tl_source *s, const char *const *alias)
{
    char **copy = tl__names_copy(err, alias, s->count);
    if (!copy) return -1;
    tl__names_free(s->alias, s->count);
    s->alias = copy;
    return 0;
}

const char *tl__source_alias(const tl_source *s, int64_t i)
{
    for (; s; s = s->ops->behind ? s->ops->behind(s, &i) : NULL)
        if (s->alias) return s->alias[i];
    return NULL;
}

char *tl__source_path(tl_error *err, const tl_source *s, int64_t i)
{
    int64_t number = -1;
    const char *path = s->ops->locate(s, i, &number);
    return number < 0 ? tl__strdup(err, path) : tl__asprintf(err, "%s#%lld", path, (long long)number);
}

char *tl__source_name(tl_error *err, const tl_source *s, int64_t i)
{
    const char *alias = tl__source_alias(s, i);
    return alias ? tl__strdup(err, alias) : tl__source_path(err, s, i);
}
