/*
 * weir truncate: drops the records below an LSN, for ever.
 *
 * 1. The log is opened for writing, never made.
 * 2. weir_truncate_before() refuses while a hold needs what would go, and names it.
 * 3. What is retained now is printed.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"

#include "base/text.h"

#include <weir/inspect.h>
#include <weir/retain.h>

#include <inttypes.h>

struct truncate_options {
    struct cli_common common;
    const char *before;
};

static const struct cli_option truncate_options[] = {
    {"before", CLI_TEXT, 0, "LSN", "the earliest record to keep; needed",
     offsetof(struct truncate_options, before)},
    {0},
};

static void print_result(struct cli *cli, const struct weir_stat *stat)
{
    if (cli->json) {
        struct json json;
        json_begin(&json, &cli->out);
        json_u64(&json, "earliest", stat->earliest);
        json_u64(&json, "latest", stat->latest);
        json_u64(&json, "log_bytes", stat->log_bytes);
        json_u64(&json, "segments", stat->segments);
        json_end(&json);
    } else if (stat->latest == WEIR_LSN_NONE) {
        output_format(&cli->out, "%s is empty now\n", cli->path);
    } else {
        output_format(&cli->out, "%s keeps LSN %" PRIu64 " to %" PRIu64 ", ", cli->path,
                      stat->earliest, stat->latest);
        output_size(&cli->out, stat->log_bytes);
        output_text(&cli->out, " in ");
        output_number_of(&cli->out, stat->segments, "segment");
        output_char(&cli->out, '\n');
    }
}

static int truncate_log(struct cli *cli, struct weir_log *log, weir_lsn lsn)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_truncate_before(log, lsn, &why);
    if (rc == 0) {
        rc = weir_log_stat(log, &stat);
    }
    if (rc < 0) {
        return cli_fail(cli, rc, &why, "cannot drop the records below %" PRIu64 " from %s", lsn,
                        cli->path);
    }
    print_result(cli, &stat);
    return CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct truncate_options *options = opaque;
    weir_lsn lsn;
    if (options->before == NULL) {
        return cli_usage_error(cli, "--before LSN is needed: the earliest record to keep");
    }
    if (base_parse_u64(options->before, &lsn) < 0 || lsn == WEIR_LSN_NONE) {
        return cli_usage_error(cli, "--before takes an LSN, not '%s'", options->before);
    }
    struct weir_log *log;
    int exit_code = cli_open(cli, &options->common, 0, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    return cli_close(cli, log, truncate_log(cli, log, lsn));
}

const struct cli_command truncate_command = {
    .name = "truncate",
    .arguments = "LOG --before LSN [OPTION...]",
    .summary = "Drops all records below an LSN, unless a hold needs them",
    .details = "They cannot be brought back. `weir stat LOG` lists the holds.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct truncate_options),
    .options = {truncate_options, cli_open_options, cli_output_options},
    .run = run,
};
