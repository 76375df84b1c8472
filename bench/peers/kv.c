/* Running the benchmarks of stores with the stores that this program is linked with. */
#include "bench/peers/kv.h"

#include "bench/command.h"
#include "bench/exit.h"
#include "bench/workdir.h"

#include <argp.h>

static const struct kv_ops *const peers[] = {
#ifdef WEIR_PEER_ROCKSDB
    &kv_rocksdb,
#endif
#ifdef WEIR_PEER_LMDB
    &kv_lmdb,
#endif
    NULL,
};

int peers_kv_main(int argc, char **argv)
{
    bench_command_fn run = argc > 1 ? bench_store_command(argv[1]) : NULL;
    if (run == NULL) {
        return -1;
    }
    argp_err_exit_status = BENCH_EXIT_USAGE;
    kv_register_peers(peers);
#ifdef WEIR_PEER_SQLITE
    derived_register_peer(&derived_sqlite);
#endif
    bench_catch_interrupt();
    return run(argc - 1, argv + 1);
}
