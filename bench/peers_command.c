/*
 * weir bench peers: runs the program weir-peers, which is linked with the other systems so that the
 * command need not be. It is looked for beside this program, then where a build leaves it, then on
 * PATH.
 */
#include "bench/command.h"
#include "bench/exit.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "weir-peers"

#define WORDS_MAX 64u

int bench_become_peers(char **words)
{
    static const char *const places[] = {"", "../bench/", "bench/"};
    static char name[] = "weir bench peers";
    char *argv[WORDS_MAX + 2] = {name};
    for (unsigned index = 0; index < WORDS_MAX && words[index] != NULL; index++) {
        argv[index + 1] = words[index];
    }
    (void)signal(SIGINT, SIG_DFL); /* it catches its own */
    (void)signal(SIGTERM, SIG_DFL);
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        self[length] = '\0';
        char *slash = strrchr(self, '/');
        int folder = slash != NULL ? (int)(slash - self) + 1 : 0;
        for (size_t index = 0; index < sizeof places / sizeof *places; index++) {
            char path[PATH_MAX + 64];
            (void)snprintf(path, sizeof path, "%.*s%s" PROGRAM, folder, self, places[index]);
            (void)execv(path, argv);
        }
    }
    (void)execvp(PROGRAM, argv);
    (void)fprintf(stderr,
                  "weir bench: other systems are measured by the program " PROGRAM
                  ", which is neither beside weir nor on PATH: %s\n"
                  "  it links those systems, so it is not installed with weir; `make build` in "
                  "Weir's source makes it: run build/release/cli/weir there, or put "
                  "build/release/bench/" PROGRAM " on PATH\n",
                  strerror(errno));
    return BENCH_EXIT_REFUSED;
}

int bench_peers_command(int argc, char **argv)
{
    (void)argc;
    return bench_become_peers(argv + 1);
}
