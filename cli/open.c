/*
 * Opening and closing a log as the common options say.
 *
 * 1. cli_open() opens; with -v it says on standard error what opening found.
 * 2. cli_close() commits the rest; if that fails, the command has failed.
 */
#include "cli/errors.h"
#include "cli/options.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

void cli_log_options(const struct cli_common *common, uint32_t flags,
                     struct weir_log_options *ret_options)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = flags;
    if (common->allow_emulated_pmem) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    options.medium = (enum weir_medium_kind)common->medium;
    options.io = (enum weir_io_kind)common->io;
    options.witness = (enum weir_witness)common->witness;
    options.segment_bytes = common->segment_size.value;
    if (common->witness == WEIR_WITNESS_IDLE) {
        options.flags |= WEIR_LOG_SERVICE_THREAD;
    }
    if (common->lock_wait.given) {
        uint64_t wait_ns = common->lock_wait.value;
        options.lock_wait_ns = wait_ns == 0           ? WEIR_NO_WAIT
                               : wait_ns <= INT64_MAX ? (int64_t)wait_ns
                                                      : WEIR_WAIT_FOREVER;
    }
    *ret_options = options;
}

void cli_note_report(const struct cli *cli, const struct weir_log *log, uint32_t flags)
{
    bool writes = (flags & WEIR_LOG_READ_ONLY) == 0; /* who only reads needs no io_uring */
    struct weir_open_report report = {.size = sizeof report};
    if (weir_log_report(log, &report) < 0) {
        return;
    }
    cli_note(cli, "%s after %s: LSN %" PRIu64 " to %" PRIu64 ", epoch %" PRIu64 ", in %.1f ms",
             report.created ? "created" : "opened",
             report.created ? "no log was there"
             : report.clean ? "a clean close"
                            : "an interrupted writer",
             report.earliest, report.latest, report.epoch, report.total_s * 1e3);
    cli_note(cli,
             "read %" PRIu64 " records of %" PRIu64 " segments; dropped %" PRIu64
             " bytes of a torn tail",
             report.scanned_records, report.scanned_segments, report.cut_bytes);
    cli_note(cli, "medium %s%s%s, durable: %s; %s", report.medium.name, writes ? ", io " : "",
             writes ? report.medium.io : "", report.medium.durable ? "yes" : "no (memory)",
             report.medium.reason);
}

int cli_check_path(struct cli *cli)
{
    return cli->path[0] != '\0'
               ? -1
               : cli_usage_error(cli, "LOG is empty: it names the directory of a log");
}

int cli_open(struct cli *cli, const struct cli_common *common, uint32_t flags,
             struct weir_log **ret_log)
{
    const char *path = cli->path;
    struct weir_log_options options;
    struct weir_error why = WEIR_ERROR_INIT;
    int exit_code = cli_check_path(cli);
    if (exit_code >= 0) {
        return exit_code;
    }
    cli_log_options(common, flags, &options);
    int rc = weir_log_open(path, &options, ret_log, &why);
    if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot open %s", path);
    }
    if (cli->verbose) {
        cli_note_report(cli, *ret_log, flags);
    }
    return -1;
}

int cli_close(struct cli *cli, struct weir_log *log, int exit_code)
{
    int rc = weir_log_close(log);
    if (rc < 0 && exit_code == CLI_OK) {
        return cli_fail(cli, rc, NULL, "cannot close %s", cli->path);
    }
    return exit_code;
}
