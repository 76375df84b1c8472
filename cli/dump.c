/*
 * weir dump: the groups of a log as they lie on the medium, one row each.
 *
 * The log is opened read-only, beside a writer if there is one. A closed pipe or a signal stops it.
 * Damaged groups are passed over; the error at the end names where the first of them stands.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/signals.h"

#include <weir/inspect.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct dump_options {
    struct cli_common common;
};

#define FIRST_GROUP_OFFSET 8192u /* in a segment: docs/FORMAT.md */

struct dump {
    struct cli *cli;
    bool sealed;           /* the last group that was shown ends its segment */
    char file[64];         /* where the next one should stand; "" before the first */
    uint64_t offset;       /* in it */
    weir_lsn lsn;          /* and its first LSN; 0 = not known */
    struct weir_error why; /* the first gap; text is "" when there was none */
};

/* @param next  the group behind the gap, or NULL at the end of the log */
static void note_gap(struct dump *dump, const char *file, uint64_t offset,
                     const struct weir_group *next)
{
    struct weir_error *why = &dump->why;
    if (why->text[0] != '\0') {
        return;
    }
    snprintf(why->file, sizeof why->file, "%s", file);
    why->offset = offset;
    int length = snprintf(why->text, sizeof why->text, "%s, offset %" PRIu64 ": no valid group",
                          why->file, why->offset);
    if (next != NULL && dump->lsn != WEIR_LSN_NONE && next->first_lsn > dump->lsn) {
        why->from_lsn = dump->lsn;
        why->to_lsn = next->first_lsn - 1;
        snprintf(why->text + length, sizeof why->text - (size_t)length,
                 "; LSNs %" PRIu64 " to %" PRIu64 " are missing", why->from_lsn, why->to_lsn);
    }
}

static void look_for_gap(struct dump *dump, const struct weir_group *group)
{
    bool same_file = strcmp(dump->file, group->file) == 0;
    if (!same_file && dump->file[0] != '\0' && !dump->sealed) {
        note_gap(dump, dump->file, dump->offset, group);
    }
    uint64_t expected = same_file ? dump->offset : FIRST_GROUP_OFFSET;
    if (group->offset != expected) {
        note_gap(dump, group->file, expected, group);
    }
    snprintf(dump->file, sizeof dump->file, "%s", group->file);
    dump->offset = group->offset + group->size_bytes;
    dump->lsn = group->last_lsn + 1;
    dump->sealed = strcmp(group->kind, "seal") == 0;
}

static int group_to_json(struct cli *cli, const struct weir_group *group)
{
    struct json json;
    json_begin(&json, &cli->out);
    json_text(&json, "kind", group->kind);
    json_text(&json, "file", group->file);
    json_u64(&json, "offset", group->offset);
    json_u64(&json, "size_bytes", group->size_bytes);
    json_u64(&json, "address", group->address);
    json_u64(&json, "first_lsn", group->first_lsn);
    json_u64(&json, "last_lsn", group->last_lsn);
    json_u64(&json, "record_count", group->record_count);
    json_bool(&json, "sparse", group->sparse);
    json_u64(&json, "durable_lsn", group->durable_lsn);
    json_u64(&json, "epoch", group->epoch);
    json_time(&json, "time", group->time_ns);
    json_u64(&json, "crc", group->crc);
    json_u64(&json, "previous_crc", group->previous_crc);
    json_end(&json);
    return signals_interrupted() || cli->out.error != 0 ? -EINTR : 0;
}

static int group_to_text(struct cli *cli, const struct weir_group *group)
{
    output_format(&cli->out,
                  "%-28s %10" PRIu64 " %9" PRIu64 "  %-8s %10" PRIu64 " %7" PRIu32 " %10" PRIu64
                  " %6" PRIu64 "  %08" PRIx32 "  ",
                  group->file, group->offset, group->size_bytes, group->kind, group->first_lsn,
                  group->record_count, group->durable_lsn, group->epoch, group->crc);
    output_time(&cli->out, group->time_ns);
    output_char(&cli->out, '\n');
    return signals_interrupted() || cli->out.error != 0 ? -EINTR : 0;
}

static int show_group(void *context, const struct weir_group *group)
{
    struct dump *dump = context;
    look_for_gap(dump, group);
    return dump->cli->json ? group_to_json(dump->cli, group) : group_to_text(dump->cli, group);
}

static int run(struct cli *cli, const void *opaque)
{
    const struct dump_options *options = opaque;
    struct dump dump = {.cli = cli, .why = WEIR_ERROR_INIT};
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
    int rc = weir_log_groups(log, show_group, &dump);
    if (rc == WEIR_E_DAMAGED && dump.file[0] != '\0') {
        note_gap(&dump, dump.file, dump.offset, NULL);
    }
    if (rc == -EINTR) {
        exit_code = signals_interrupted() ? CLI_INTERRUPTED : CLI_OK;
    } else {
        exit_code = rc < 0 ? cli_fail(cli, rc, &dump.why, "cannot read all groups of %s", cli->path)
                           : CLI_OK;
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
