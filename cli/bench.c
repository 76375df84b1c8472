/*
 * weir bench: hands over to the benchmarks, which are a room of their own and may be left out.
 */
#include "cli/commands.h"
#include "cli/errors.h"

#ifdef WEIR_CLI_HAS_BENCH
#include "bench/bench.h"
#endif

#include <signal.h>

static int run(struct cli *cli, const void *options)
{
    (void)options;
#ifdef WEIR_CLI_HAS_BENCH
    /* It has handlers of its own: it starts from what a program starts with. */
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigemptyset(&normal.sa_mask);
    (void)sigaction(SIGINT, &normal, NULL);
    (void)sigaction(SIGTERM, &normal, NULL);
    return bench_main(cli->raw_count, cli->raw_arguments);
#else
    return cli_refuse(cli, CLI_REFUSED,
                      "this weir was built without its benchmarks; build with -DWEIR_BENCH=ON");
#endif
}

const struct cli_command bench_command = {
    .name = "bench",
    .arguments = "append|device|scan|peers [OPTION...]",
    .summary = "Measures the log, the engine and the device; weir bench --help says more",
    .run = run,
    .raw = true,
};
