/*
 * weir stat: the numbers of a log, and who holds it.
 *
 * 1. The log is opened read-only, beside a writer if there is one.
 * 2. With --engine the engine is opened as well, which may replay a part of the log.
 * 3. Its stat, its open report, its holds and consumers become a table or one JSON object.
 */
#include "cli/commands.h"
#include "cli/consumers.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/stat_engine.h"

#include "base/text.h"

#include <weir/consumer.h>
#include <weir/inspect.h>
#include <weir/retain.h>

#include <inttypes.h>

struct stat_options {
    struct cli_common common;
    bool engine;
};

static const struct cli_option stat_options[] = {
    {"engine", CLI_FLAG, 0, NULL, "also tables, keys and checkpoint: replays what none covers",
     offsetof(struct stat_options, engine)},
    {0},
};

struct facts {
    struct weir_stat stat;
    struct weir_open_report report;
    char uuid[33];
    bool has_free_bytes; /* some file systems do not tell */
    uint64_t free_bytes;
    bool has_tables;
    struct stat_engine engine; /* its engine is NULL unless it was asked for */
};

static int hold_to_json(void *context, const struct weir_hold *hold)
{
    struct json *json = context;
    json_object(json, NULL);
    json_text(json, "name", hold->name);
    json_u64(json, "floor", hold->floor);
    json_time(json, "moved", hold->moved_ns);
    json_object_end(json);
    return 0;
}

static int hold_to_text(void *context, const struct weir_hold *hold)
{
    struct output *out = context;
    output_label(out, "hold");
    output_format(out, "%s keeps LSN %" PRIu64 " on, moved ", hold->name, hold->floor);
    output_time(out, hold->moved_ns);
    output_char(out, '\n');
    return 0;
}

static int consumer_row(void *context, const struct weir_consumer *consumer)
{
    struct json *json = context;
    json_object(json, NULL);
    consumer_to_json(json, consumer);
    json_object_end(json);
    return 0;
}

static int consumer_to_text(void *context, const struct weir_consumer *consumer)
{
    struct output *out = context;
    output_label(out, "derived");
    output_format(out, "%s (%s): %s, saved as of LSN %" PRIu64 ", ", consumer->name,
                  consumer->kind[0] != '\0' ? consumer->kind : "consumer", consumer_state(consumer),
                  consumer->position);
    output_number_of(out, consumer->lag_records, "record");
    output_text(out, " and ");
    output_size(out, consumer->lag_bytes);
    output_text(out, " behind\n");
    return 0;
}

static void medium_to_json(struct json *json, const struct weir_medium_info *medium)
{
    json_text(json, "medium", medium->name);
    json_text(json, "io", medium->io); /* of this reading: what a writer would use is not known */
    json_text(json, "file_system", medium->file_system);
    json_bool(json, "durable_medium", medium->durable);
    json_bool(json, "emulated", medium->emulated);
    json_text(json, "reason", medium->reason);
}

static int print_json(struct cli *cli, struct weir_log *log, const struct facts *facts)
{
    const struct weir_stat *stat = &facts->stat;
    struct json json;
    json_begin(&json, &cli->out);
    json_text(&json, "path", cli->path);
    json_text(&json, "uuid", facts->uuid);
    json_u64(&json, "earliest", stat->earliest);
    json_u64(&json, "latest", stat->latest);
    json_u64(&json, "durable", stat->durable);
    json_u64(&json, "horizon", stat->horizon);
    if (stat->latest != WEIR_LSN_NONE) {
        json_time(&json, "earliest_time", stat->earliest_time_ns);
        json_time(&json, "latest_time", stat->latest_time_ns);
    }
    json_bool(&json, "live_writer", facts->report.live_writer);
    json_bool(&json, "clean", facts->report.clean);
    json_u64(&json, "epoch", stat->epoch);
    json_u64(&json, "layout", stat->layout);
    json_u64(&json, "log_bytes", stat->log_bytes);
    json_u64(&json, "segments", stat->segments);
    json_u64(&json, "compacted_segments", stat->compacted_segments);
    json_u64(&json, "spare_segments", stat->spare_segments);
    if (facts->has_free_bytes) {
        json_u64(&json, "free_bytes", facts->free_bytes);
    }
    json_u64(&json, "segment_bytes", stat->segment_bytes);
    json_u64(&json, "run_ahead_bytes", stat->run_ahead_bytes);
    json_u64(&json, "group_bytes", stat->group_bytes);
    json_u64(&json, "record_bytes", stat->record_bytes);
    json_u64(&json, "block_bytes", stat->block_bytes);
    json_u64(&json, "cut_bytes", facts->report.cut_bytes);
    medium_to_json(&json, &facts->report.medium);
    json_array(&json, "holds");
    int rc = weir_hold_list(log, hold_to_json, &json);
    json_array_end(&json);
    json_array(&json, "consumers");
    rc = rc == 0 ? weir_consumer_list(log, consumer_row, &json) : rc;
    json_array_end(&json);
    json_bool(&json, "has_tables", facts->has_tables);
    if (rc == 0 && facts->engine.engine != NULL) {
        rc = stat_engine_to_json(&json, &facts->engine);
    }
    json_end(&json);
    return rc;
}

static void print_span(struct output *out, const struct weir_stat *stat)
{
    output_label(out, "records");
    if (stat->latest == WEIR_LSN_NONE) {
        output_text(out, "none\n");
        return;
    }
    output_format(out, "LSN %" PRIu64 " to %" PRIu64 "\n", stat->earliest, stat->latest);
    output_label(out, "written");
    output_time(out, stat->earliest_time_ns);
    output_text(out, " to ");
    output_time(out, stat->latest_time_ns);
    output_char(out, '\n');
}

static const char *writer_state(const struct weir_open_report *report)
{
    if (report->live_writer) {
        return "at work";
    }
    return report->clean ? "none; the last one closed the log"
                         : "none; the last one was interrupted";
}

static int print_text(struct cli *cli, struct weir_log *log, const struct facts *facts)
{
    const struct weir_stat *stat = &facts->stat;
    const struct weir_medium_info *medium = &facts->report.medium;
    struct output *out = &cli->out;
    output_format(out, "%s\n", cli->path);
    print_span(out, stat);
    if (stat->segment_bytes == 0) {
        output_label(out, "size");
        output_text(out, "none: its creation has not begun or was interrupted\n");
        return weir_hold_list(log, hold_to_text, out);
    }
    output_label(out, "size");
    output_size(out, stat->log_bytes);
    output_text(out, " in ");
    output_number_of(out, stat->segments, "segment");
    output_text(out, " of ");
    output_size(out, stat->segment_bytes);
    output_format(out, ", %" PRIu64 " spare", stat->spare_segments);
    if (facts->has_free_bytes) {
        output_text(out, "; ");
        output_size(out, facts->free_bytes);
        output_text(out, " free in the file system");
    }
    output_char(out, '\n');
    if (stat->horizon > 0) {
        output_label(out, "horizon");
        output_format(out, "LSN %" PRIu64 ", in %" PRIu64 " compacted ", stat->horizon,
                      stat->compacted_segments);
        output_text(out, stat->compacted_segments == 1 ? "segment\n" : "segments\n");
    }
    output_label(out, "limits");
    output_text(out, "record ");
    output_size(out, stat->record_bytes);
    output_text(out, ", group ");
    output_size(out, stat->group_bytes);
    output_text(out, ", run-ahead ");
    output_size(out, stat->run_ahead_bytes);
    output_char(out, '\n');
    output_label(out, "writer");
    output_format(out, "%s (epoch %" PRIu64 ")\n", writer_state(&facts->report), stat->epoch);
    if (facts->report.cut_bytes > 0) {
        output_label(out, "torn tail");
        output_format(
            out, "%" PRIu64 " bytes that were never acknowledged; the next writer drops them\n",
            facts->report.cut_bytes);
    }
    output_label(out, "medium");
    output_format(out, "%s, on %s, durable: %s\n", medium->name, medium->file_system,
                  medium->durable ? "yes" : "no (memory)");
    output_label(out, "identity");
    output_format(out, "%s\n", facts->uuid);
    int rc = weir_hold_list(log, hold_to_text, out);
    rc = rc == 0 ? weir_consumer_list(log, consumer_to_text, out) : rc;
    if (rc == 0 && facts->engine.engine != NULL) {
        rc = stat_engine_print(cli, &facts->engine);
    } else if (rc == 0 && facts->has_tables) {
        output_label(out, "engine");
        output_text(out, "it has tables; --engine counts their keys\n");
    }
    return rc;
}

/* Returns 0 or a negative error. */
static int collect(struct weir_log *log, struct facts *facts)
{
    struct base_text uuid;
    int rc = weir_log_stat(log, &facts->stat);
    if (rc == 0) {
        rc = weir_log_report(log, &facts->report);
    }
    if (rc == 0) {
        rc = stat_has_tables(log, &facts->has_tables);
    }
    facts->has_free_bytes = weir_log_free_bytes(log, &facts->free_bytes) == 0;
    base_text_init(&uuid, facts->uuid, sizeof facts->uuid);
    base_text_append_hex(&uuid, facts->report.uuid, sizeof facts->report.uuid);
    return rc;
}

static int show(struct cli *cli, struct weir_log *log, const struct facts *facts)
{
    int rc = cli->json ? print_json(cli, log, facts) : print_text(cli, log, facts);
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot read the state of %s", cli->path) : CLI_OK;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct stat_options *options = opaque;
    struct weir_log *log;
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    struct facts facts = {.stat = WEIR_STAT_INIT, .report = {.size = sizeof facts.report}};
    int rc = collect(log, &facts);
    exit_code = rc < 0 ? cli_fail(cli, rc, NULL, "cannot read the state of %s", cli->path) : -1;
    if (exit_code < 0 && options->engine) {
        exit_code = stat_engine_open(cli, log, &facts.engine);
    }
    if (exit_code < 0) {
        exit_code = show(cli, log, &facts);
    }
    stat_engine_close(&facts.engine);
    return cli_close(cli, log, exit_code);
}

const struct cli_command stat_command = {
    .name = "stat",
    .arguments = "LOG [OPTION...]",
    .summary = "Shows what a log holds, its limits, its writer, its holds and its tables",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct stat_options),
    .options = {stat_options, cli_open_options, cli_output_options},
    .run = run,
};
