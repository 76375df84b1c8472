/* The subcommands of `weir bench`. Each takes argv[0] = its name and returns the exit code. */
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

#include <stdbool.h>

int bench_append_command(int argc, char **argv);
int bench_device_command(int argc, char **argv);
int bench_scan_command(int argc, char **argv);
int bench_recover_command(int argc, char **argv);
int bench_peers_command(int argc, char **argv);

/* The exit code for what a benchmark returned. */
int bench_exit_code(int rc, bool interrupted);

#endif
