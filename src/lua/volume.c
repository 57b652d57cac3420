/* volume.c - volumes in Lua: core.dicom.series and volume, core.nifti, core.volume. A volume is a table {x = tensor
 * float32 (slices, rows, columns), or (parts, slices, rows, columns), affine = {{4}, {4}, {4}}, spacing = {columns,
 * rows, slices}, axes = "RAS"}: the affine puts voxel (column, row, slice), from 0, at mm to the right, the front, up.
 *   core.dicom.series(folder) -> {{series=, study=, patient=, modality=, number=, rows=, columns=, files=,
 *     slices={{path=, frame=, position={x, y, z}}...}, spacing=, missing=, doubles=, notes={line...}, body_part=,
 *     laterality=, sex=, age=, manufacturer=, scanner=, description=}...}, {line...} of DICOM files left out, how many
 *     files are none, and of the lines those of files that should be pictures and cannot be read; `description` is
 *     for choosing: it is never printed
 *   core.dicom.volume(series or folder [, {series=, gaps="fill", doubles="first", threads=, and as below}]) -> volume,
 *     also with modality=, series=, notes=
 *   core.nifti.read(path [, {as below}]) -> volume, also with placed="sform", "qform" or "spacing"
 *   core.nifti.write(path, volume [, {whole=}])     .nii, .nii.gz; whole: masks as the smallest whole numbers
 *   core.volume.transform(volume, {as below, like=volume}) -> volume
 * core.volume.windows = {lung = {centre, width}, ...}
 * orientation="RAS" puts indices in the order and direction of the letters; spacing=mm or {3} takes a grid of that
 * spacing, like=volume that one's grid (outside is `fill`, 0), linearly or with nearest=true, for masks; window="lung",
 * "bone", "brain", "soft", "file" or {centre, width} makes 0 to 1 of values. In this order. */
#include "data/series.h"
#include "lua/binding.h"

#include <stdlib.h>
#include <string.h>

#define VOLUME "tlua.volume"
#define SCAN "tlua.series"

static tl_volume *new_volume(lua_State *L)
{
    tl_volume *v = lua_newuserdatauv(L, sizeof *v, 0);
    *v = (tl_volume){0};
    luaL_setmetatable(L, VOLUME);
    return v;
}

static int volume_gc(lua_State *L)
{
    tl__volume_free(luaL_checkudata(L, 1, VOLUME));
    return 0;
}

static int scan_gc(lua_State *L)
{
    tl__series_free(luaL_checkudata(L, 1, SCAN));
    return 0;
}

/* ---- tables ---- */

static void push_numbers(lua_State *L, const double *v, int n)
{
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushnumber(L, v[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_lines(lua_State *L, const tl_texts *lines)
{
    lua_createtable(L, (int)lines->count, 0);
    for (int64_t i = 0; i < lines->count; i++) {
        lua_pushstring(L, lines->at[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static tl_tensor *upload(tl_scope *s, const tl_shape *shape, tl_dtype dtype, const void *with)
{
    return tl_from(s, dtype, shape->rank, shape->dim, with);
}

void tl__lua_push_place(lua_State *L, const tl_volume *v)
{
    double spacing[3];
    char axes[4];
    lua_createtable(L, 3, 0);
    for (int r = 0; r < 3; r++) {
        push_numbers(L, v->affine[r], 4);
        lua_rawseti(L, -2, r + 1);
    }
    lua_setfield(L, -2, "affine");
    tl__volume_spacing(v, spacing);
    push_numbers(L, spacing, 3);
    lua_setfield(L, -2, "spacing");
    tl__volume_axes(v, axes);
    tl__lua_set_filled(L, "axes", axes);
}

/* Pushes the table of a volume, and frees its memory here. */
static void push_volume(lua_State *L, tl_volume *v)
{
    tl_shape shape = {0};
    for (int i = v->size[3] > 1 ? 3 : 2; i >= 0; i--) shape.dim[shape.rank++] = v->size[i];
    lua_createtable(L, 0, 6);
    tl__lua_make(L, upload, &shape, TL_F32, v->data);
    lua_setfield(L, -2, "x");
    tl__lua_push_place(L, v);
    tl__volume_free(v);
}

/* The affine of the table at `index`. */
static void take_affine(lua_State *L, int index, const char *function, double affine[3][4])
{
    int kind = lua_getfield(L, index, "affine");
    for (int r = 0; r < 3; r++) {
        if (kind != LUA_TTABLE || lua_rawgeti(L, -1, r + 1) != LUA_TTABLE)
            tl__lua_raisef(L, "%s: a volume has affine = {{4 numbers}, {4}, {4}}", function);
        for (int c = 0; c < 4; c++) {
            int number;
            lua_rawgeti(L, -1, c + 1);
            affine[r][c] = lua_tonumberx(L, -1, &number);
            if (!number) tl__lua_raisef(L, "%s: a volume has affine = {{4 numbers}, {4}, {4}}", function);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* The tensor of the table at `index`; its sizes go to `size`. */
static tl_tensor *take_tensor(lua_State *L, int index, const char *function, int64_t size[4])
{
    if (!lua_istable(L, index)) tl__lua_raisef(L, "%s: a volume is a table {x = tensor, affine =}", function);
    lua_getfield(L, index, "x");
    tl_tensor *t = tl__lua_tensor(L, lua_gettop(L));
    int rank = t->shape.rank;
    if (rank != 3 && rank != 4)
        tl__lua_raisef(L, "%s: x of a volume is (slices, rows, columns), or has parts before them", function);
    for (int i = 0; i < 4; i++) size[i] = i < rank ? t->shape.dim[rank - 1 - i] : 1;
    return t;
}

/* The volume at `index` in host memory; leaves a userdata on the stack. */
static tl_volume *take_volume(lua_State *L, int index, const char *function)
{
    int64_t size[4];
    tl_error err = {0};
    tl_tensor *t = take_tensor(L, index, function, size);
    const void *host = tl__lua_values(L, t);
    tl_volume *v = new_volume(L);
    take_affine(L, index, function, v->affine);
    if (tl__volume_reserve(&err, v, size) != 0) tl__lua_raise(L, err.text);
    int64_t n = tl__volume_numel(v);
    if (n == 0) tl__lua_raisef(L, "%s: the volume is empty", function);
    for (int64_t i = 0; i < n; i++) v->data[i] = (float)tl__lua_value_at(host, t->dtype, i);
    return v;
}

/* ---- what is done to one ---- */

#define STEPS "orientation spacing nearest window fill"

static void window_of(lua_State *L, int options, const char *function, double file_centre, double file_width,
                      tl_volume *v)
{
    double centre = 0, width = 0;
    int kind = lua_getfield(L, options, "window");
    if (kind == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (kind == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        centre = lua_tonumber(L, -2);
        width = lua_tonumber(L, -1);
        if (!(width > 0)) tl__lua_raisef(L, "%s: window is {centre, width}, with a width above 0", function);
        lua_pop(L, 2);
    } else {
        static const char *const known[] = {"lung", "bone", "brain", "soft", "file", NULL};
        const char *name = luaL_checkstring(L, -1);
        for (const tl_window *w = tl__windows; w->name; w++)
            if (strcmp(w->name, name) == 0) centre = w->centre, width = w->width;
        if (strcmp(name, "file") == 0) {
            centre = file_centre;
            width = file_width;
            if (!(width > 0))
                tl__lua_raisef(L, "%s: the file has no linear window; name one: lung, bone, brain, soft", function);
        } else if (!(width > 0)) {
            tl__lua_unknown(L, "window", name, known);
        }
    }
    lua_pop(L, 1);
    tl__window(v->data, tl__volume_numel(v), centre, width);
}

/* The wanted grid into `grid`; 0 where none is wanted. */
static int grid_of(lua_State *L, int options, const char *function, const tl_volume *v, tl_grid *grid)
{
    double spacing[3];
    if (lua_getfield(L, options, "like") != LUA_TNIL) {
        int64_t size[4];
        int like = lua_gettop(L);
        take_tensor(L, like, function, size);
        take_affine(L, like, function, grid->affine);
        memcpy(grid->size, size, sizeof grid->size);
        lua_settop(L, like - 1);
        return 1;
    }
    lua_pop(L, 1);
    int kind = lua_getfield(L, options, "spacing");
    for (int c = 0; c < 3 && kind != LUA_TNIL; c++) {
        if (kind == LUA_TTABLE) lua_rawgeti(L, -1, c + 1);
        else lua_pushvalue(L, -1);
        spacing[c] = lua_tonumber(L, -1);
        if (!(spacing[c] > 0)) tl__lua_raisef(L, "%s: spacing is a number of mm, or three, above 0", function);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (kind == LUA_TNIL) return 0;
    tl__volume_spaced(v, spacing, grid);
    return 1;
}

/* All that the options ask of the volume. */
static void steps(lua_State *L, int options, const char *function, double file_centre, double file_width,
                  tl_volume *v)
{
    tl_error err = {0};
    tl_grid grid;
    if (lua_isnoneornil(L, options)) return;
    int said = lua_getfield(L, options, "orientation");
    const char *axes = said == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (said != LUA_TNIL && tl__volume_orient(&err, v, axes) != 0) tl__lua_raisef(L, "%s: %s", function, err.text);
    lua_pop(L, 1);
    if (grid_of(L, options, function, v, &grid)) {
        int nearest = tl__lua_field_bool(L, options, "nearest", 0);
        float outside = (float)tl__lua_field_number(L, options, "fill", 0);
        tl_volume *out = new_volume(L);
        if (tl__volume_resample(&err, v, &grid, nearest, outside, out) != 0)
            tl__lua_raisef(L, "%s: %s", function, err.text);
        tl__volume_free(v);
        *v = *out;
        *out = (tl_volume){0};
        lua_pop(L, 1);
    }
    window_of(L, options, function, file_centre, file_width, v);
}

static int volume_transform(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TTABLE);
    tl_volume *v = take_volume(L, 1, "volume.transform");
    steps(L, 2, "volume.transform", 0, 0, v);
    push_volume(L, v);
    return 1;
}

/* ---- series ---- */

static void push_slices(lua_State *L, const tl_series *s)
{
    lua_createtable(L, (int)s->count, 0);
    for (int64_t i = 0; i < s->count; i++) {
        lua_createtable(L, 0, 3);
        tl__lua_set_filled(L, "path", s->slice[i].path);
        tl__lua_set_integer(L, "frame", s->slice[i].frame + 1);
        if (s->placed) {
            push_numbers(L, s->slice[i].position, 3);
            lua_setfield(L, -2, "position");
        }
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_series(lua_State *L, const tl_series *s)
{
    lua_createtable(L, 0, 24);
    tl__lua_set_filled(L, "series", s->uid);
    tl__lua_set_filled(L, "study", s->study);
    tl__lua_set_filled(L, "patient", s->patient);
    tl__lua_set_filled(L, "modality", s->modality);
    tl__lua_set_filled(L, "body_part", s->body_part);
    tl__lua_set_filled(L, "laterality", s->laterality);
    tl__lua_set_filled(L, "sex", s->sex);
    tl__lua_set_filled(L, "age", s->age);
    tl__lua_set_filled(L, "manufacturer", s->manufacturer);
    tl__lua_set_filled(L, "scanner", s->scanner);
    tl__lua_set_filled(L, "burned_in", s->burned_in);
    tl__lua_set_filled(L, "description", s->description);
    if (s->number >= 0) tl__lua_set_integer(L, "number", s->number);
    tl__lua_set_integer(L, "rows", s->rows);
    tl__lua_set_integer(L, "columns", s->columns);
    tl__lua_set_integer(L, "files", s->files);
    tl__lua_set_integer(L, "missing", s->missing);
    tl__lua_set_integer(L, "doubles", s->doubles);
    push_numbers(L, s->spacing, 3);
    lua_setfield(L, -2, "spacing");
    push_slices(L, s);
    lua_setfield(L, -2, "slices");
    push_lines(L, &s->notes);
    lua_setfield(L, -2, "notes");
}

static tl_series_list *scan(lua_State *L, int index)
{
    const char *folder = tl__lua_path(L, index);
    tl_error err = {0};
    tl_series_list *l = lua_newuserdatauv(L, sizeof *l, 0);
    *l = (tl_series_list){0};
    luaL_setmetatable(L, SCAN);
    if (tl__series_scan(&err, folder, l) != 0) tl__lua_raise(L, err.text);
    return l;
}

static int dicom_series(lua_State *L)
{
    tl_series_list *l = scan(L, 1);
    int list = lua_gettop(L);
    lua_createtable(L, (int)l->count, 0);
    for (int64_t i = 0; i < l->count; i++) {
        push_series(L, &l->at[i]);
        lua_pushvalue(L, list); /* what core.dicom.volume reads from */
        lua_setfield(L, -2, "scan");
        tl__lua_set_integer(L, "index", i + 1);
        lua_rawseti(L, -2, i + 1);
    }
    push_lines(L, &l->notes);
    lua_pushinteger(L, l->passed);
    push_lines(L, &l->damaged);
    return 4;
}

/* How many series of the list have this number. */
static int64_t numbered(const tl_series_list *l, int64_t number)
{
    int64_t n = 0;
    for (int64_t i = 0; i < l->count; i++) n += l->at[i].number == number;
    return n;
}

/* Pushes what there is to choose from. Numbers name series where they can, since UIDs may be traced to people. */
static const char *push_choice(lua_State *L, const tl_series_list *l)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (int64_t i = 0; i < l->count && i < 12; i++) {
        const tl_series *s = &l->at[i];
        char line[200], name[80];
        if (s->number >= 0 && numbered(l, s->number) == 1) snprintf(name, sizeof name, "%lld", (long long)s->number);
        else snprintf(name, sizeof name, "\"%s\"", s->uid);
        snprintf(line, sizeof line, "%s%s, %lld slice%s of %d x %d: series = %s", i ? "; " : "",
                 *s->modality ? s->modality : "pictures", (long long)s->count, s->count == 1 ? "" : "s", s->rows,
                 s->columns, name);
        luaL_addstring(&b, line);
    }
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

/* The series of a folder that options.series names by its UID or number; without that there may be but one. */
static const tl_series *chosen(lua_State *L, const tl_series_list *l, const char *folder)
{
    const char *wanted = NULL;
    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "series");
        wanted = lua_isnil(L, -1) ? NULL : luaL_checkstring(L, -1);
    }
    char number[32];
    for (int64_t i = 0; wanted && i < l->count; i++) {
        snprintf(number, sizeof number, "%lld", (long long)l->at[i].number);
        if (strcmp(wanted, l->at[i].uid) == 0) return &l->at[i];
        if (strcmp(wanted, number) == 0 && numbered(l, l->at[i].number) == 1) return &l->at[i];
    }
    if (l->count == 1 && !wanted) return &l->at[0];
    if (l->count == 0)
        tl__lua_raisef(L, "%s: no DICOM pictures below this folder%s%s", folder, l->notes.count ? "; " : "",
                       l->notes.count ? l->notes.at[0] : "");
    const char *choice = push_choice(L, l);
    if (wanted) tl__lua_raisef(L, "%s: no series \"%s\" here, or several, but %s", folder, wanted, choice);
    tl__lua_raisef(L, "%s: %lld series, and one is to be named: %s", folder, (long long)l->count, choice);
    return NULL;
}

/* Is the option said? It has but one value. */
static int word(lua_State *L, const char *key, const char *value)
{
    int kind = lua_istable(L, 2) ? lua_getfield(L, 2, key) : (lua_pushnil(L), LUA_TNIL);
    const char *said = kind == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (kind != LUA_TNIL && strcmp(said, value) != 0)
        tl__lua_raisef(L, "dicom.volume: %s is \"%s\", or not given", key, value);
    lua_pop(L, 1);
    return kind != LUA_TNIL;
}

const tl_series *tl__lua_series(lua_State *L, int index)
{
    lua_getfield(L, index, "scan");
    lua_getfield(L, index, "index");
    const tl_series_list *l = luaL_testudata(L, -2, SCAN);
    int64_t i = lua_tointeger(L, -1);
    lua_pop(L, 2); /* the table keeps the list alive */
    return l && i >= 1 && i <= l->count ? &l->at[i - 1] : NULL;
}

static int dicom_volume(lua_State *L)
{
    const tl_series *s;
    tl_error err = {0};
    lua_settop(L, 2);
    if (lua_istable(L, 1)) {
        s = tl__lua_series(L, 1);
        if (!s) tl__lua_raise(L, "dicom.volume: a series of core.dicom.series, or a folder");
    } else {
        s = chosen(L, scan(L, 1), lua_tostring(L, 1));
    }
    int flags = (word(L, "gaps", "fill") ? TL_SERIES_FILL : 0) | (word(L, "doubles", "first") ? TL_SERIES_FIRST : 0);
    int threads = (int)tl__lua_field_integer(L, 2, "threads", 0, 0, 64);
    tl__lua_device(L);
    tl_volume *v = new_volume(L);
    if (tl__series_volume(&err, s, flags, threads, v) != 0) return tl__lua_raise(L, err.text);
    steps(L, 2, "dicom.volume", s->centre, s->width, v);
    push_volume(L, v);
    tl__lua_set_filled(L, "modality", s->modality);
    tl__lua_set_filled(L, "series", s->uid);
    push_lines(L, &s->notes);
    lua_setfield(L, -2, "notes");
    return 1;
}

/* ---- NIfTI ---- */

static int nifti_read(lua_State *L)
{
    lua_settop(L, 2);
    const char *path = tl__lua_path(L, 1);
    tl_error err = {0};
    tl_nifti about;
    tl__lua_device(L);
    tl_volume *v = new_volume(L);
    if (tl__nifti_read(&err, path, v, &about) != 0) return tl__lua_raise(L, err.text);
    steps(L, 2, "nifti.read", 0, 0, v);
    push_volume(L, v);
    tl__lua_set_filled(L, "placed", about.placed);
    return 1;
}

static int nifti_write(lua_State *L)
{
    lua_settop(L, 3);
    const char *path = tl__lua_path(L, 1);
    tl_error err = {0};
    int whole = tl__lua_field_bool(L, 3, "whole", 0);
    tl_volume *v = take_volume(L, 2, "nifti.write");
    if (tl__nifti_write(&err, path, v, whole) != 0) return tl__lua_raise(L, err.text);
    return 0;
}

static void add_type(lua_State *L, const char *name, lua_CFunction gc)
{
    const tl__lua_entry methods[] = {{"__gc", gc, TL__ANY, NULL}, {NULL, NULL, 0, NULL}};
    luaL_newmetatable(L, name);
    tl__lua_functions(L, methods, 1);
    lua_pop(L, 1);
}

void tl__lua_open_volume(lua_State *L)
{
    static const tl__lua_entry dicom[] = {{"series", dicom_series, 1, NULL},
                                          {"volume", dicom_volume, 2, "series gaps doubles threads " STEPS},
                                          {NULL, NULL, 0, NULL}};
    static const tl__lua_entry nifti[] = {
        {"read", nifti_read, 2, STEPS}, {"write", nifti_write, 3, "whole"}, {NULL, NULL, 0, NULL}};
    static const tl__lua_entry volume[] = {{"transform", volume_transform, 2, "like " STEPS}, {NULL, NULL, 0, NULL}};
    add_type(L, VOLUME, volume_gc);
    add_type(L, SCAN, scan_gc);
    lua_getfield(L, -1, "dicom");
    tl__lua_functions(L, dicom, 0);
    lua_pop(L, 1);
    lua_newtable(L);
    tl__lua_functions(L, nifti, 0);
    lua_setfield(L, -2, "nifti");
    lua_newtable(L);
    tl__lua_functions(L, volume, 0);
    lua_newtable(L);
    for (const tl_window *w = tl__windows; w->name; w++) {
        push_numbers(L, (const double[]){w->centre, w->width}, 2);
        lua_setfield(L, -2, w->name);
    }
    lua_setfield(L, -2, "windows");
    lua_setfield(L, -2, "volume");
}
