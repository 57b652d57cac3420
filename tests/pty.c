/* pty.c - drives a program in a pseudo-terminal of 80 x 24, for tests of what only shows there. Reads from stdin what to do, a line each:
 *
 *   send TEXT      types TEXT; \r is Enter, \t Tab, \x03 Ctrl-C, \x04 Ctrl-D, \e Escape
 *   line TEXT      the same with Enter after it, and waits for the next prompt
 *   expect TEXT    waits until TEXT has come, after what was expected last
 *   absent TEXT    TEXT has not come since the expectation before the last one
 *   prompt         waits until what has come ends with a prompt, "> " or ">> " at the beginning of a line
 *   end            waits until the program ends, with status 0
 *
 * Nothing waits for a time: only where nothing comes for LONG seconds, the test has failed. Escape sequences and carriage returns
 * are taken out of what has come before it is looked at. Status: 0, 1 after a failure, which is told with the last output. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG = 180, ROOM = 1 << 20 };

static char text[ROOM]; /* all that has come, as plain text */
static size_t length, seen, before, typed; /* up to where the last expectation has looked, the one before it, the last typing */
static int terminal, in_escape;
static pid_t child;

static int fail(const char *why, const char *what)
{
    size_t from = length > 1500 ? length - 1500 : 0;
    printf("FAILED: %s '%s'; the last output:\n%s\n", why, what, text + from);
    kill(child, SIGKILL);
    exit(1);
}

/* Takes escape sequences away: CSI up to its letter, OSC and APC strings up to BEL or ESC \, others one character. */
static void add(char c)
{
    switch (in_escape) {
    case 0:
        if (c == 27) in_escape = 1;
        else if (c != '\r' && c != '\a' && length + 1 < ROOM) text[length++] = c;
        break;
    case 1: in_escape = c == '[' ? 2 : c == ']' || c == '_' || c == 'P' ? 3 : 0; break;
    case 2: in_escape = c >= '@' && c <= '~' ? 0 : 2; break;
    case 3: in_escape = c == '\a' ? 0 : c == 27 ? 1 : 3; break;
    }
    text[length] = 0;
}

/* Waits for more output. 0 at its end. */
static int more(void)
{
    char piece[4096];
    struct pollfd p = {.fd = terminal, .events = POLLIN};
    if (poll(&p, 1, LONG * 1000) <= 0) fail("nothing came for a long time", "");
    ssize_t n = read(terminal, piece, sizeof piece);
    if (n <= 0) return 0; /* EIO: nobody holds the other side any more */
    for (ssize_t i = 0; i < n; i++) add(piece[i]);
    return 1;
}

static void expect(const char *what)
{
    const char *at;
    while (!(at = strstr(text + seen, what)))
        if (!more()) fail("the program ended before it wrote", what);
    before = seen;
    seen = (size_t)(at - text) + strlen(what);
}

static int at_prompt(void)
{
    if (length >= 3 && length > typed && strcmp(text + length - 3, "\n> ") == 0) return 1;
    if (length == 2 && strcmp(text, "> ") == 0) return 1;
    return length >= 4 && length > typed && strcmp(text + length - 4, "\n>> ") == 0;
}

static void prompt(void)
{
    while (!at_prompt())
        if (!more()) fail("the program ended before its", "prompt");
}

/* Writes with \r, \t, \e, \n, \\ and \xHH put in. */
static void type_text(const char *what)
{
    typed = length;
    for (const char *p = what; *p; p++) {
        char c = *p;
        if (c == '\\' && p[1]) {
            p++;
            c = *p == 'r' ? '\r' : *p == 't' ? '\t' : *p == 'e' ? 27 : *p == 'n' ? '\n' : *p;
            if (*p == 'x' && p[1] && p[2]) {
                char hex[3] = {p[1], p[2], 0};
                c = (char)strtol(hex, NULL, 16);
                p += 2;
            }
        }
        if (write(terminal, &c, 1) != 1) fail("cannot type", what);
    }
}

static void end(void)
{
    int status = 0;
    while (more()) {}
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("the program ended with another status than 0", "");
}

static void obey(const char *verb, const char *rest)
{
    if (strcmp(verb, "send") == 0) type_text(rest);
    else if (strcmp(verb, "line") == 0) {
        prompt();
        before = seen = length;
        type_text(rest);
        type_text("\\r");
        expect("\n"); /* the end of its echo */
        prompt();
    } else if (strcmp(verb, "expect") == 0) expect(rest);
    else if (strcmp(verb, "absent") == 0) {
        if (strstr(text + before, rest)) fail("this should not have come", rest);
    } else if (strcmp(verb, "prompt") == 0) prompt();
    else if (strcmp(verb, "end") == 0) end();
    else fail("unknown order", verb);
}

int main(int argc, char **argv)
{
    char order[4096];
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (argc < 2) return 2;
    child = forkpty(&terminal, NULL, NULL, &size);
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0) return 2;
    while (fgets(order, sizeof order, stdin)) {
        order[strcspn(order, "\n")] = 0;
        char *rest = strchr(order, ' ');
        if (rest) *rest++ = 0;
        if (*order && *order != '#') obey(order, rest ? rest : "");
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
