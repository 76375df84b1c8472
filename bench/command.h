/* The subcommands of `weir bench`. Each takes argv[0] = its name and returns the exit code. */
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

#include <stdbool.h>

int bench_append_command(int argc, char **argv);
int bench_device_command(int argc, char **argv);
int bench_scan_command(int argc, char **argv);
int bench_recover_command(int argc, char **argv);
int bench_peers_command(int argc, char **argv);

/* Of the storage engine and other stores (bench/kv). */
int bench_put_command(int argc, char **argv);
int bench_get_command(int argc, char **argv);
int bench_scan_keys_command(int argc, char **argv);
int bench_rebuild_command(int argc, char **argv);
int bench_reopen_command(int argc, char **argv);
int bench_mixed_command(int argc, char **argv);
int bench_memory_command(int argc, char **argv);

/* Of derived systems (bench/derived). */
int bench_derived_command(int argc, char **argv);

typedef int (*bench_command_fn)(int argc, char **argv);

/* One of those by its name: "put"; NULL: it is none of them. */
bench_command_fn bench_store_command(const char *name);

/* Runs weir-peers in place of this program, with these words behind its name. Returns only when
 * that cannot be: the exit code. */
int bench_become_peers(char **words);

/* The exit code for what a benchmark returned. */
int bench_exit_code(int rc, bool interrupted);

#endif
