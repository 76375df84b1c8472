/*
 * weir dump: the groups of a log as they lie on the medium, one row each.
 *
 * The log is opened read-only, beside a writer if there is one. A closed pipe or a signal stops it.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/signals.h"

#include <weir/inspect.h>

#include <errno.h>
#include <inttypes.h>

struct dump_options {
    struct cli_common common;
};

static int group_to_json(void *context, const struct weir_group *group)
{
    struct cli *cli = context;
    struct json json;
    json_begin(&json, &cli->out);
    json_text(&json, "kind", group->kind);
    json_text(&json, "file", group->file);
    json_u64(&json, "offset", group->offset);
    json_u64(&json, "size_bytes", group->size_bytes);
    json_u64(&json, "address", group->address);
    json_u64(&json, "first_lsn", group->first_lsn);
    json_u64(&json, "record_count", group->record_count);
    json_u64(&json, "durable_lsn", group->durable_lsn);
    json_u64(&json, "epoch", group->epoch);
    json_time(&json, "time", group->time_ns);
    json_u64(&json, "crc", group->crc);
    json_u64(&json, "previous_crc", group->previous_crc);
    json_end(&json);
    return signals_interrupted() || cli->out.error != 0 ? -EINTR : 0;
}

static int group_to_text(void *context, const struct weir_group *group)
{
    struct cli *cli = context;
    output_format(&cli->out,
                  "%-28s %10" PRIu64 " %9" PRIu64 "  %-8s %10" PRIu64 " %7" PRIu32 " %10" PRIu64
                  " %6" PRIu64 "  %08" PRIx32 "  ",
                  group->file, group->offset, group->size_bytes, group->kind, group->first_lsn,
                  group->record_count, group->durable_lsn, group->epoch, group->crc);
    output_time(&cli->out, group->time_ns);
    output_char(&cli->out, '\n');
    return signals_interrupted() || cli->out.error != 0 ? -EINTR : 0;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct dump_options *options = opaque;
    struct weir_log *log;
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    if (!cli->json) {
        output_format(&cli->out, "%-28s %10s %9s  %-8s %10s %7s %10s %6s  %-8s  %s\n", "file",
                      "offset", "bytes", "kind", "first lsn", "records", "durable", "epoch", "crc",
                      "time");
    }
    int rc = weir_log_groups(log, cli->json ? group_to_json : group_to_text, cli);
    if (rc == -EINTR) {
        exit_code = signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
    } else {
        exit_code =
            rc < 0 ? cli_fail(cli, rc, NULL, "cannot read the groups of %s", cli->path) : CLI_OK;
    }
    return cli_close(cli, log, exit_code);
}

const struct cli_command dump_command = {
    .name = "dump",
    .arguments = "LOG [OPTION...]",
    .summary = "Lists the groups of a log as they lie on the medium",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct dump_options),
    .options = {cli_open_options, cli_output_options},
    .run = run,
};
