/*
 * The measuring part of the demo, by the benchmarks' own functions.
 *
 * 1. The device by itself: overwrites, sequential reads and writes, and an ideal leader that writes
 * the records of n writers with nothing else to do.
 * 2. The log, with the same records and as many writers, each waiting until its record is durable.
 *
 * A weir that was built without its benchmarks leaves this part out and says so.
 */
#include "cli/demo.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include <stdio.h>

const unsigned demo_writers[DEMO_RUNS] = {1, 8, 64};

#ifdef WEIR_CLI_HAS_BENCH

#define DEVICE_ROW_S 0.3
#define DEVICE_FILE_BYTES ((uint64_t)128 << 20)
#define APPEND_S 2.0

static int measure_device(struct demo *demo)
{
    struct bench_device_options options = BENCH_DEVICE_OPTIONS_INIT;
    options.directory = demo->directory;
    options.seconds = DEVICE_ROW_S;
    options.file_bytes = DEVICE_FILE_BYTES;
    progress_show("measuring the device by itself, about 8 s ...");
    int rc = bench_device(&options, &demo->measure.device);
    if (rc < 0) {
        /* tmpfs before Linux 6.6 has no O_DIRECT: the log runs there all the same. */
        cli_note(demo->cli, "the device by itself cannot be measured: %s",
                 demo->measure.device.error);
        demo->measure.device.count = 0;
    }
    return -1;
}

static int measure_append(struct demo *demo, unsigned writers, struct bench_result *ret_result)
{
    struct bench_append_options options = BENCH_APPEND_OPTIONS_INIT;
    const struct cli_common *common = &demo->options->common;
    options.directory = demo->directory;
    options.writers = writers;
    options.seconds = APPEND_S;
    options.medium = (enum weir_medium_kind)common->medium;
    options.io = (enum weir_io_kind)common->io;
    options.emulated_pmem = common->allow_emulated_pmem;
    progress_show("appending with %u writer%s, each record durable ...", writers,
                  writers == 1 ? "" : "s");
    int rc = bench_append(&options, ret_result);
    if (rc < 0) {
        struct weir_error why = WEIR_ERROR_INIT;
        snprintf(why.text, sizeof why.text, "%s", ret_result->error);
        return cli_fail(demo->cli, rc, &why, "cannot append with %u writers", writers);
    }
    return -1;
}

int demo_measure(struct demo *demo)
{
    int exit_code = measure_device(demo);
    for (size_t i = 0; exit_code < 0 && i < DEMO_RUNS; i++) {
        if (signals_interrupted()) {
            return -1;
        }
        exit_code = measure_append(demo, demo_writers[i], &demo->measure.appends[i]);
    }
    demo->measure.done = exit_code < 0;
    return exit_code;
}

#else

int demo_measure(struct demo *demo)
{
    cli_note(demo->cli, "nothing is measured: this weir was built without its benchmarks");
    return -1;
}

#endif
