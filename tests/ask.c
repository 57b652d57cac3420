/* ask.c - a client for tests: sends any bytes to a port of this machine and shows what comes back.
 *   ask PORT          sends standard input at once
 *   ask PORT MS       sends it byte by byte, MS milliseconds apart
 *   ask PORT pause    sends it at once, and ends when nothing more comes for a while: of servers that keep connections
 *   ask PORT hold N   opens N connections that send nothing, says "held" and waits for the end of standard input
 * The status is 0 where the other side closed the connection by itself, 1 where it did not within 20 seconds, 2 where
 * there is no connection. */
#define _POSIX_C_SOURCE 200809L
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int open_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    perror("ask");
    exit(2);
}

static int hold(int port, int n)
{
    char c;
    for (int i = 0; i < n; i++) open_to(port);
    puts("held");
    fflush(stdout);
    while (read(0, &c, 1) > 0) continue;
    return 0;
}

int main(int argc, char **argv)
{
    static char request[1 << 20], reply[1 << 16];
    int port = argc > 1 ? atoi(argv[1]) : 0, ms = argc > 2 ? atoi(argv[2]) : 0, seen = 0;
    int pauses = argc > 2 && strcmp(argv[2], "pause") == 0;
    signal(SIGPIPE, SIG_IGN);
    if (argc > 3) return hold(port, atoi(argv[3]));
    size_t n = fread(request, 1, sizeof request, stdin);
    int fd = open_to(port);
    for (size_t i = 0, at = ms ? 1 : n; i < n; i += at) {
        if (write(fd, request + i, at) != (ssize_t)at) break;
        if (ms) nanosleep(&(struct timespec){.tv_nsec = 1000000L * ms}, NULL);
    }
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int most = pauses && seen ? 200 : 20000; /* once more, since it may be this program that stood still */
        if (poll(&p, 1, most) <= 0 && poll(&p, 1, most / 10) <= 0) return !(pauses && seen);
        ssize_t got = read(fd, reply, sizeof reply);
        seen = 1;
        if (got <= 0) return 0;
        fwrite(reply, 1, (size_t)got, stdout);
    }
}
