/* The command line of the benchmarks of stores. */
#ifndef BENCH_KV_OPTIONS_H
#define BENCH_KV_OPTIONS_H

#include "bench/kv/plan.h"

/*
 * Fills in the plan, whose members that the command line does not name stay as they are. Returns
 * -1, or the exit code with which to end at once. With peers that this program does not have it
 * runs weir-peers in its place, with the same words.
 */
int kv_options_parse(struct kv_plan *plan, const char *name, const char *doc, int argc,
                     char **argv);

#endif
