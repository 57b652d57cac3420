/* line.c - the terminal: its size, a line with editing (libedit), history and completion, and asking it what it can. */
#define _XOPEN_SOURCE 700 /* wchar_t and pselect */
#include "lua/binding.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

static int isatty_(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* core.terminal_width() -> columns, rows */
static int terminal_width(lua_State *L)
{
    struct winsize w;
    int ok = (ioctl(1, TIOCGWINSZ, &w) == 0 || ioctl(2, TIOCGWINSZ, &w) == 0) && w.ws_col > 0;
    lua_pushinteger(L, ok ? w.ws_col : 80);
    lua_pushinteger(L, ok ? w.ws_row : 24);
    return 2;
}

/* ---- one line ---- */

static EditLine *editor;
static History *entries;
static const char *prompt_text = "> ";
static lua_State *lua;       /* while a line is read: whose completion is called */
static int given_up;         /* Ctrl-C ended the line */
static volatile sig_atomic_t resized, continued;

static void on_resize(int sig)
{
    if (sig == SIGWINCH) resized = 1;
    else continued = 1;
}

static char *prompt(EditLine *e)
{
    static char text[64];
    (void)e;
    snprintf(text, sizeof text, "%s", prompt_text);
    return text;
}

/* What signals have left to do while a line is read. True where the line is given up. */
static int look_after_signals(EditLine *e)
{
    if (continued) { /* back from the background: the shell has had the terminal */
        el_set(e, EL_PREP_TERM, 0);
        el_set(e, EL_PREP_TERM, 1);
    }
    if (resized || continued) {
        fputs("\r\033[K", stdout); /* el_resize takes the line as empty */
        el_resize(e);
        el_set(e, EL_REFRESH);
    }
    resized = continued = 0;
    given_up = tl__lua_interrupted();
    return given_up;
}

/* Reads a byte; signals come in only while it waits, so that none is overlooked. 1, 0 at the end, -1 when given up. */
static int read_byte(EditLine *e, char *c)
{
    sigset_t mine, before;
    sigemptyset(&mine);
    sigaddset(&mine, SIGINT);
    sigaddset(&mine, SIGWINCH);
    sigaddset(&mine, SIGCONT);
    pthread_sigmask(SIG_BLOCK, &mine, &before);
    int n = -1;
    while (!look_after_signals(e)) {
        fd_set in;
        FD_ZERO(&in);
        FD_SET(0, &in);
        if (pselect(1, &in, NULL, NULL, NULL, &before) < 0) {
            if (errno == EINTR) continue;
            break;
        }
        n = (int)read(0, c, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

static int read_character(EditLine *e, wchar_t *out)
{
    mbstate_t state = {0};
    char c;
    for (;;) {
        int n = read_byte(e, &c);
        if (n <= 0) return n;
        size_t used = mbrtowc(out, &c, 1, &state);
        if (used == (size_t)-2) continue;
        if (used == (size_t)-1) *out = (unsigned char)c;
        return 1;
    }
}

/* Tab: the function at index 2 of the reader's stack gets the line up to the cursor, gives what to insert and a text to show. */
static unsigned char complete(EditLine *e, int key)
{
    (void)key;
    const LineInfo *line = el_line(e);
    unsigned char result = CC_ERROR;
    if (!lua || !lua_isfunction(lua, 2)) return result;
    int top = lua_gettop(lua);
    lua_pushvalue(lua, 2);
    lua_pushlstring(lua, line->buffer, (size_t)(line->cursor - line->buffer));
    if (lua_pcall(lua, 1, 2, 0) == LUA_OK) {
        const char *insert = lua_tostring(lua, -2), *show = lua_tostring(lua, -1);
        if (insert && *insert && el_insertstr(e, insert) == 0) result = CC_REFRESH;
        if (show && *show) {
            fprintf(stdout, "\n%s\n", show);
            fflush(stdout);
            result = CC_REDISPLAY;
        }
    }
    lua_settop(lua, top);
    return result;
}

static int open_editor(void)
{
    HistEvent ev;
    setlocale(LC_CTYPE, "");
    editor = el_init("tlua", stdin, stdout, stderr);
    entries = history_init();
    if (!editor || !entries) return -1;
    history(entries, &ev, H_SETSIZE, 1000);
    history(entries, &ev, H_SETUNIQUE, 1);
    el_set(editor, EL_PROMPT_ESC, prompt, '\1'); /* \1 stands around what takes no room: colours */
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, entries);
    el_set(editor, EL_GETCFN, read_character);
    el_set(editor, EL_ADDFN, "tlua-complete", "Complete names and files", complete);
    el_set(editor, EL_BIND, "^I", "tlua-complete", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    struct sigaction a = {.sa_handler = on_resize};
    sigaction(SIGWINCH, &a, NULL);
    sigaction(SIGCONT, &a, NULL);
    return 0;
}

/* core.read_line(prompt, complete) -> line without newline; nil at the end (Ctrl-D); false where Ctrl-C gave it up */
static int read_line(lua_State *L)
{
    lua_settop(L, 2);
    prompt_text = luaL_optstring(L, 1, "> ");
    if (!editor && open_editor() != 0) return tl__lua_raise(L, "the line editor does not start");
    tl__lua_catch_interrupt(NULL, 0);
    fflush(stdout);
    el_resize(editor);
    int n = 0;
    lua = L;
    given_up = 0;
    el_set(editor, EL_PREP_TERM, 1); /* before the prompt, so that nothing typed at it is echoed by the terminal itself */
    const char *line = el_gets(editor, &n);
    lua = NULL;
    if (given_up) {
        el_reset(editor);
        fputs("^C\n", stdout);
        fflush(stdout);
        lua_pushboolean(L, 0);
        return 1;
    }
    if (!line || n <= 0) return 0;
    while (n > 0 && line[n - 1] == '\n') n--;
    lua_pushlstring(L, line, (size_t)n);
    return 1;
}

/* core.remember(text): the arrow keys find it from now on. */
static int remember(lua_State *L)
{
    HistEvent ev;
    if (editor || open_editor() == 0) history(entries, &ev, H_ENTER, luaL_checkstring(L, 1));
    return 0;
}

/* core.ask_terminal(question, last, milliseconds) -> what the terminal answers up to the character `last`, nil where it does not in
 * time. What was typed meanwhile is in the answer. */
static int ask_terminal(lua_State *L)
{
    size_t size;
    const char *question = luaL_checklstring(L, 1, &size), *last = luaL_checkstring(L, 2);
    long milliseconds = (long)luaL_checkinteger(L, 3);
    struct termios before, raw;
    char answer[128];
    size_t n = 0;
    int found = 0;
    if (tcgetattr(0, &before) != 0 || !isatty(1)) return 0;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = raw.c_cc[VTIME] = 0;
    tcsetattr(0, TCSANOW, &raw);
    fflush(stdout);
    if (write(1, question, size) == (ssize_t)size)
        while (!found && n < sizeof answer) {
            fd_set in;
            FD_ZERO(&in);
            FD_SET(0, &in);
            if (select(1, &in, NULL, NULL, &(struct timeval){milliseconds / 1000, milliseconds % 1000 * 1000}) <= 0) break;
            if (read(0, answer + n, 1) != 1) break;
            found = answer[n++] == *last;
        }
    tcsetattr(0, TCSANOW, &before);
    if (!found) return 0;
    lua_pushlstring(L, answer, n);
    return 1;
}

void tl__lua_open_line(lua_State *L)
{
    static const luaL_Reg functions[] = {{"isatty", isatty_}, {"terminal_width", terminal_width}, {"read_line", read_line}, {"remember", remember},
                                         {"ask_terminal", ask_terminal}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
