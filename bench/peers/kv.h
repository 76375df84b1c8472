/* The other stores, behind the interface of bench/kv: each takes part when it is installed. */
#ifndef BENCH_PEERS_KV_H
#define BENCH_PEERS_KV_H

#include "bench/derived/plan.h"
#include "bench/kv/store.h"

extern const struct kv_ops kv_lmdb;
extern const struct kv_ops kv_rocksdb;

/* The same indexes elsewhere, for `weir bench derived`. */
extern const struct derived_peer derived_sqlite;

/* `weir-peers put ...`: the same as `weir bench put ...`, with peers. Returns -1 when argv[1] is
 * no such word, else the exit code. */
int peers_kv_main(int argc, char **argv);

#endif
