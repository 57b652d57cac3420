/* limit.c - runs a command for so many seconds at most: limit SECONDS LOG COMMAND [ARGS]. Its output goes to LOG; "STATUS SECONDS" is
 * printed: the exit status as a shell tells it (128 + the signal), 124 where the time was over. Whatever the command has started is gone
 * when this ends, also what went into sessions of its own, and also when whoever called this is gone. Linux alone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static void on_signal(int signal) { stopped = signal; }

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void rest(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&t, NULL);
}

/* All that is left of the command's processes: orphans become this process's children (PR_SET_CHILD_SUBREAPER). */
static void kill_children(pid_t group)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int round = 0; round < 100; round++) {
        kill(-group, SIGKILL);
        FILE *f = fopen(path, "r");
        int child;
        while (f && fscanf(f, "%d", &child) == 1) kill(child, SIGKILL);
        if (f) fclose(f);
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) return;
        rest(0.02);
    }
}

static int run(char **argv)
{
    int log = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0666), nothing = open("/dev/null", O_RDONLY);
    if (log < 0 || nothing < 0) {
        fprintf(stderr, "limit: cannot write %s: %s\n", argv[2], strerror(errno));
        return 126;
    }
    setpgid(0, 0);
    dup2(nothing, 0);
    dup2(log, 1);
    dup2(log, 2);
    execvp(argv[3], argv + 3);
    fprintf(stderr, "limit: cannot run %s: %s\n", argv[3], strerror(errno));
    return 127;
}

int main(int argc, char **argv)
{
    char *end;
    double seconds = argc > 3 ? strtod(argv[1], &end) : 0;
    if (argc < 4 || *end || !(seconds > 0)) {
        fprintf(stderr, "limit: limit SECONDS LOG COMMAND [ARGS]\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct sigaction act = {.sa_handler = on_signal};
    for (int i = 0; i < 3; i++) sigaction((int[]){SIGTERM, SIGINT, SIGHUP}[i], &act, NULL);
    double begin = now();
    pid_t child = fork();
    if (child < 0) return 126;
    if (child == 0) {
        for (int i = 0; i < 3; i++) signal((int[]){SIGTERM, SIGINT, SIGHUP}[i], SIG_DFL);
        _exit(run(argv));
    }
    setpgid(child, child); /* also here, so that it is done before anybody kills the group */
    int status = 0, code = 124;
    while (!stopped && now() - begin < seconds) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child) {
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            break;
        }
        rest(0.01);
    }
    if (code == 124 && !stopped) { /* a chance to write what it has */
        kill(-child, SIGTERM);
        for (int i = 0; i < 100 && waitpid(child, &status, WNOHANG) == 0; i++) rest(0.01);
    }
    kill_children(child);
    printf("%d %.2f\n", stopped ? 130 : code, now() - begin);
    return 0;
}
