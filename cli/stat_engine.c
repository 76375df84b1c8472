/*
 * What stat shows of the engine.
 *
 * 1. Whether there are tables is told by the hold that the engine has: that costs nothing.
 * 2. How many keys they have, only the engine knows: with --engine it is opened, which replays what
 *    the checkpoint does not cover, and shows how long that took.
 */
#include "cli/stat_engine.h"

#include "cli/errors.h"

#include <weir/retain.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ENGINE_HOLD "engine"

static int is_engine_hold(void *context, const struct weir_hold *hold)
{
    bool *found = context;
    *found = *found || strcmp(hold->name, ENGINE_HOLD) == 0;
    return 0;
}

int stat_has_tables(struct weir_log *log, bool *ret_has_tables)
{
    bool found = false;
    int rc = weir_hold_list(log, is_engine_hold, &found);
    if (rc == 0) {
        *ret_has_tables = found;
    }
    return rc;
}

int stat_engine_open(struct cli *cli, struct weir_log *log, struct stat_engine *engine)
{
    static char replaying[] = "replaying the log";
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    engine->status = (struct weir_engine_status)WEIR_ENGINE_STATUS_INIT;
    engine->open = (struct weir_engine_open_report)WEIR_ENGINE_OPEN_REPORT_INIT;
    options.progress = engine_progress;
    options.progress_context = replaying;
    int rc = weir_engine_open(log, &options, &engine->engine, &why);
    progress_clear();
    if (rc == -ECANCELED) {
        return cli_refuse(cli, CLI_INTERRUPTED, "interrupted while %s was replayed", cli->path);
    }
    if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot open the engine of %s", cli->path);
    }
    rc = weir_engine_stat(engine->engine, &engine->status);
    if (rc == 0) {
        rc = weir_engine_report(engine->engine, &engine->open);
    }
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot read the state of %s", cli->path) : -1;
}

void stat_engine_close(struct stat_engine *engine)
{
    (void)weir_engine_close(engine->engine); /* it has only read */
    engine->engine = NULL;
}

static int table_to_json(void *context, const struct weir_table_info *table)
{
    struct json *json = context;
    json_object(json, NULL);
    json_text(json, "name", table->name);
    json_u64(json, "table", table->table);
    json_u64(json, "created", table->created);
    json_u64(json, "keys", table->keys);
    json_u64(json, "deleted_keys", table->deleted_keys);
    json_object_end(json);
    return 0;
}

int stat_engine_to_json(struct json *json, const struct stat_engine *engine)
{
    const struct weir_engine_status *status = &engine->status;
    json_object(json, "engine");
    json_u64(json, "applied", status->applied);
    json_u64(json, "keys", status->keys);
    json_u64(json, "deleted_keys", status->deleted_keys);
    json_u64(json, "index_bytes", status->index_bytes);
    json_u64(json, "checkpoint_lsn", status->checkpoint_lsn);
    json_bool(json, "from_checkpoint", engine->open.from_checkpoint);
    json_text(json, "reason", engine->open.reason);
    json_u64(json, "since_checkpoint_records", engine->open.replayed_records);
    json_u64(json, "since_checkpoint_bytes", engine->open.replayed_bytes);
    json_double(json, "open_s", engine->open.total_s);
    json_array(json, "tables");
    int rc = weir_table_list(engine->engine, table_to_json, json);
    json_array_end(json);
    json_object_end(json);
    return rc;
}

static int table_to_text(void *context, const struct weir_table_info *table)
{
    struct output *out = context;
    output_label(out, "table");
    if (table->name[0] == '\0') {
        output_text(out, "(without a name)");
    } else {
        output_text(out, table->name);
    }
    output_text(out, ": ");
    output_number_of(out, table->keys, "key");
    output_format(out, ", %" PRIu64 " deleted\n", table->deleted_keys);
    return 0;
}

static void print_checkpoint(struct cli *cli, const struct weir_engine_open_report *open)
{
    struct output *out = &cli->out;
    output_label(out, "checkpoint");
    if (open->from_checkpoint) {
        output_format(out, "as of LSN %" PRIu64 ", ", open->checkpoint_lsn);
        output_size(out, open->checkpoint_bytes);
    } else {
        output_format(out, "none that can be used%s%s", open->reason[0] != '\0' ? ": " : "",
                      open->reason);
    }
    output_format(out, "\n  %-16s an open replays ", "");
    output_number_of(out, open->replayed_records, "record");
    output_text(out, ", ");
    output_size(out, open->replayed_bytes);
    output_format(out, ", and took %.3f s\n", open->total_s);
    if (open->replayed_records > 0) {
        char advice[640];
        cli_advice(cli, "`weir checkpoint LOG` saves that replay", advice, sizeof advice);
        output_format(out, "  %-16s %s\n", "", advice);
    }
}

int stat_engine_print(struct cli *cli, const struct stat_engine *engine)
{
    const struct weir_engine_status *status = &engine->status;
    struct output *out = &cli->out;
    output_label(out, "engine");
    output_number_of(out, status->keys, "key");
    output_format(out, ", %" PRIu64 " deleted, as of LSN %" PRIu64 ", index ", status->deleted_keys,
                  status->applied);
    output_size(out, status->index_bytes);
    output_char(out, '\n');
    print_checkpoint(cli, &engine->open);
    return weir_table_list(engine->engine, table_to_text, out);
}
