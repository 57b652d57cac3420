/* interrupt.c - Ctrl-C. A script ends by it, a training run stops cleanly at its next step, and at the prompt what runs is given
 * up and the session stays: Lua code by a hook, waiting for the device by a flag (device/wait.c). */
#include "lua/binding.h"

#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t interrupts, polling, at_prompt, stop_device;
static int patience, nohup; /* nohup: the program was started to outlive its terminal */
static lua_State *running;
static pthread_t owner;

enum { PATIENCE = 1024 };

/* At the prompt once more after a while, should a pcall have caught it; what closes scopes on the way gets through meanwhile. A
 * loop around the pcall would catch it for ever if that while were always the same, so it is halved each time: at last it is a
 * single instruction, and the first one after the pcall is the loop's. */
static void stop(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, at_prompt ? stop : NULL, at_prompt ? LUA_MASKCOUNT : 0, patience);
    if (patience > 1) patience /= 2;
    luaL_error(L, "interrupted");
}

static void on_signal(int sig)
{
    /* Only the thread that runs Lua may touch its state. */
    if (!pthread_equal(pthread_self(), owner)) {
        pthread_kill(owner, sig);
        return;
    }
    if (!polling || sig != SIGHUP || interrupts == 0) interrupts++; /* a hang-up comes from kernel and shell, and is no impatience */
    if (polling && interrupts < 3) return;        /* the training loop looks by itself and stops cleanly */
    if (!at_prompt) signal(sig, SIG_DFL);         /* the next one ends the program whatever it does */
    else if (!running) return;                    /* nothing runs: the line editor looks by itself */
    else stop_device = 1;
    if (running) lua_sethook(running, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

int tl__lua_interrupted(void) { return interrupts > 0; }

void tl__lua_catch_interrupt(lua_State *L, int poll)
{
    owner = pthread_self();
    polling = poll;
    interrupts = 0;
    patience = PATIENCE;
    running = L;
    signal(SIGINT, on_signal);
    signal(SIGTERM, polling ? on_signal : SIG_DFL);
    if (!nohup) signal(SIGHUP, polling ? on_signal : SIG_DFL);
}

/* core.catch_interrupt(true): from now on Ctrl-C (SIGTERM and SIGHUP too) only sets what core.interrupted() tells; false: it raises an error again. */
static int catch_interrupt(lua_State *L)
{
    tl__lua_catch_interrupt(L, lua_toboolean(L, 1));
    return 0;
}

static int interrupted(lua_State *L)
{
    lua_pushboolean(L, interrupts > 0);
    return 1;
}

/* core.interruptible(f, handler, ...) -> as xpcall, and Ctrl-C ends f with the error "interrupted", also while it waits for the device;
 * never what comes after f. */
static int interruptible(lua_State *L)
{
    luaL_checkany(L, 2);
    lua_pushvalue(L, 1);
    lua_copy(L, 2, 1); /* the handler below the function, as lua_pcall wants it */
    lua_replace(L, 2);
    stop_device = 0;
    at_prompt = 1;
    tl__interruptible(&stop_device);
    tl__lua_catch_interrupt(L, 0);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
    running = NULL;
    polling = interrupts = stop_device = 0;
    lua_sethook(L, NULL, 0, 0);
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}

void tl__lua_open_interrupt(lua_State *L)
{
    struct sigaction before;
    nohup = sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    static const luaL_Reg functions[] = {{"catch_interrupt", catch_interrupt}, {"interrupted", interrupted}, {"interruptible", interruptible}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
