/*
 * weir scan: the keys of a table in the order of their bytes, with their values.
 *
 * 1. The log is opened read-only, beside a writer if there is one, and its engine with it.
 * 2. Rows are lent in batches and printed; they are all of one state.
 *
 * Failures: damage that is met: the rows before it are printed, then the error. A closed pipe ends
 * with exit 0, a signal with exit 5.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"
#include "cli/print_rows.h"
#include "cli/signals.h"

#include <inttypes.h>
#include <unistd.h>

#define BATCH 64

struct scan_options {
    struct cli_common common;
    const char *table;
    const char *prefix, *from, *to;
    bool reverse;
    struct cli_number limit;
    struct cli_number as_of;
};

static const struct cli_option scan_options[] = {
    ENGINE_TABLE_OPTION(struct scan_options),
    {"prefix", CLI_TEXT, 0, "P", "only keys that begin with P",
     offsetof(struct scan_options, prefix)},
    {"from", CLI_TEXT, 0, "A", "only keys from A on", offsetof(struct scan_options, from)},
    {"to", CLI_TEXT, 0, "B", "only keys in front of B", offsetof(struct scan_options, to)},
    {"reverse", CLI_FLAG, 'r', NULL, "last key first", offsetof(struct scan_options, reverse)},
    {"limit", CLI_NUMBER, 'n', "N", "end after N rows", offsetof(struct scan_options, limit)},
    ENGINE_AS_OF_OPTION(struct scan_options),
    {0},
};

static int print_all(struct cli *cli, struct weir_scan *scan, uint64_t left)
{
    struct weir_row rows[BATCH];
    bool escaped = isatty(cli->out.fd) == 1;
    while (left > 0 && cli->out.error == 0) {
        if (signals_interrupted()) {
            return CLI_INTERRUPTED;
        }
        int count = weir_scan_next_batch(scan, rows, left < BATCH ? (int)left : BATCH);
        if (count < 0) {
            return cli_fail(cli, count, NULL, "cannot read on in %s", cli->path);
        }
        if (count == 0) {
            break;
        }
        for (int i = 0; i < count; i++) {
            print_row(cli, &rows[i], escaped, NULL);
        }
        left -= (uint64_t)count;
    }
    return CLI_OK;
}

static int scan(struct engine *engine, const struct scan_options *options)
{
    struct weir_scan_options what = WEIR_SCAN_OPTIONS_INIT;
    struct weir_scan *rows;
    what.table = engine->table;
    what.reverse = options->reverse;
    what.bounded = options->to != NULL;
    what.prefix = engine_text(options->prefix != NULL ? options->prefix : "");
    what.from = engine_text(options->from != NULL ? options->from : "");
    what.to = engine_text(options->to != NULL ? options->to : "");
    int rc = weir_scan_open(&engine->read, &what, &rows);
    if (rc < 0) {
        return cli_fail(engine->cli, rc, NULL, "cannot scan %s", engine->cli->path);
    }
    int exit_code =
        print_all(engine->cli, rows, options->limit.given ? options->limit.value : UINT64_MAX);
    weir_scan_close(rows);
    return exit_code;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct scan_options *options = opaque;
    struct engine engine;
    if (options->prefix != NULL && (options->from != NULL || options->to != NULL)) {
        return cli_usage_error(cli, "--prefix excludes --from and --to");
    }
    int exit_code =
        engine_open_to_read(&engine, cli, &options->common, options->table, &options->as_of);
    if (exit_code < 0) {
        exit_code = scan(&engine, options);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command scan_command = {
    .name = "scan",
    .arguments = "LOG [OPTION...]",
    .summary = "Prints the keys and values of a table in the order of the keys' bytes",
    .details = "A row is the key, a tab and the value, as they are; on a terminal controls and\n"
               "bytes that are not UTF-8 are shown as \\n, \\xNN. All rows are of one state.\n"
               "Opens LOG read-only and may run beside a writer.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct scan_options),
    .options = {scan_options, cli_open_options, cli_output_options},
    .run = run,
};
