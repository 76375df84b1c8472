/*
 * weir scan: the keys of a table in the order of their bytes, with their values.
 *
 * 1. The log is opened read-only, beside a writer if there is one, and its engine with it.
 * 2. Rows are lent in batches and printed; they are all of one state.
 *
 * Failures: damage that is met: the rows before it are printed, then the error. A closed pipe ends
 * with exit 0, a signal with exit 5. A writer that compacts the log in between: the engine follows
 * it, and the rows that are still to come are read anew, as long as their state can be.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"
#include "cli/print_rows.h"
#include "cli/signals.h"

#include <weir/maintain.h>

#include <inttypes.h>
#include <string.h>
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

struct listing {
    struct weir_scan_options what;
    uint64_t left;
    bool escaped;
    struct weir_bytes last;  /* printed; lent */
    struct cli_number state; /* that the rows are of, once some were printed */
    uint8_t bound[WEIR_KEY_BYTES_MAX + 1];
};

/* 0; errors of the engine. */
static int print_all(struct engine *engine, struct listing *listing)
{
    struct weir_row rows[BATCH];
    struct weir_scan *scan;
    int rc = weir_scan_open(&engine->read, &listing->what, &scan);
    if (rc < 0) {
        return rc;
    }
    int count = 1;
    while (count > 0 && listing->left > 0 && engine->cli->out.error == 0 &&
           !signals_interrupted()) {
        count =
            weir_scan_next_batch(scan, rows, listing->left < BATCH ? (int)listing->left : BATCH);
        for (int i = 0; i < count; i++) {
            print_row(engine->cli, &rows[i], listing->escaped, NULL);
            listing->last = rows[i].key;
        }
        listing->left -= count > 0 ? (uint64_t)count : 0;
    }
    weir_scan_close(scan);
    return count < 0 ? count : 0;
}

/* What is still to come is read from behind the last key, and of the same state. */
static int look_again(struct engine *engine, struct listing *listing)
{
    struct weir_bytes last = listing->last;
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    if (last.size > 0 && !listing->state.given) {
        int rc = weir_engine_stat(engine->engine, &status);
        if (rc < 0) {
            return cli_fail(engine->cli, rc, NULL, "cannot read on in %s", engine->cli->path);
        }
        listing->state = (struct cli_number){.given = true, .value = status.applied};
    }
    if (last.size > 0) {
        memmove(listing->bound, last.data, last.size);
        listing->bound[last.size] = 0; /* the first key that can come behind it */
        listing->last.data = listing->bound;
    }
    if (last.size > 0 && listing->what.reverse) {
        listing->what.bounded = true;
        listing->what.to = listing->last;
    } else if (last.size > 0) {
        listing->what.from = (struct weir_bytes){listing->bound, last.size + 1};
    }
    return engine_look_again(engine, &listing->state);
}

static int scan(struct engine *engine, struct listing *listing)
{
    struct cli *cli = engine->cli;
    listing->what.table = engine->table;
    int rc = print_all(engine, listing);
    for (int looks = 1; rc == WEIR_E_TRUNCATED && looks < ENGINE_LOOKS; looks++) {
        int exit_code = look_again(engine, listing);
        if (exit_code >= 0) {
            return exit_code;
        }
        rc = print_all(engine, listing);
    }
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot read on in %s", cli->path);
    }
    return signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
}

static void begin(struct listing *listing, struct cli *cli, const struct scan_options *options)
{
    struct weir_scan_options what = WEIR_SCAN_OPTIONS_INIT;
    what.reverse = options->reverse;
    what.bounded = options->to != NULL;
    what.prefix = engine_text(options->prefix != NULL ? options->prefix : "");
    what.from = engine_text(options->from != NULL ? options->from : "");
    what.to = engine_text(options->to != NULL ? options->to : "");
    listing->what = what;
    listing->left = options->limit.given ? options->limit.value : UINT64_MAX;
    listing->escaped = isatty(cli->out.fd) == 1;
    listing->last = (struct weir_bytes){NULL, 0};
    listing->state = options->as_of;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct scan_options *options = opaque;
    static struct listing listing;
    struct engine engine;
    if (options->prefix != NULL && (options->from != NULL || options->to != NULL)) {
        return cli_usage_error(cli, "--prefix excludes --from and --to");
    }
    int exit_code =
        engine_open_to_read(&engine, cli, &options->common, options->table, &options->as_of);
    if (exit_code < 0) {
        begin(&listing, cli, options);
        exit_code = scan(&engine, &listing);
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
