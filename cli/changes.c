/*
 * weir changes: what was put and deleted, in order, each with the value before it.
 *
 * 1. The log is opened read-only, beside a writer if there is one, and its engine with it.
 * 2. The stream lends changes in batches; each becomes a row, a whole state first where one was
 *    asked for or compaction has left no more.
 * 3. Caught up: without -f that is the end; with -f the rows are flushed and the stream waits.
 *
 * Failures: damage that is met, compaction that overtakes the stream: the rows before it are
 * printed, then the error with its LSNs. A closed pipe ends with exit 0, a signal with exit 5.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"
#include "cli/signals.h"

#include "base/clock.h"
#include "base/text.h"

#include <weir/changes.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BATCH 256
#define LOOK_FOR_SIGNALS_NS ((int64_t)(100 * BASE_NS_PER_MS))

struct changes_options {
    struct cli_common common;
    const char *from;
    const char *table;
    const char *operations;
    struct cli_number count;
    bool follow;
};

static const struct cli_option changes_options[] = {
    {"from", CLI_TEXT, 0, "LSN|beginning|now|snapshot",
     "where to start (beginning); snapshot: first the state as of now",
     offsetof(struct changes_options, from)},
    {"table", CLI_TEXT, 't', "T", "only changes of this table (all)",
     offsetof(struct changes_options, table)},
    {"op", CLI_TEXT, 0, "OP[,OP...]", "only these: insert, update, delete",
     offsetof(struct changes_options, operations)},
    {"count", CLI_NUMBER, 'n', "N", "end after N changes", offsetof(struct changes_options, count)},
    {"follow", CLI_FLAG, 'f', NULL, "wait for changes to come",
     offsetof(struct changes_options, follow)},
    {0},
};

/* ---- the command line ---- */

/* Returns 0 or -EINVAL. */
static int parse_from(const char *text, struct weir_changes_options *options)
{
    weir_lsn lsn;
    if (text == NULL || strcmp(text, "beginning") == 0) {
        options->from = WEIR_CHANGES_BEGINNING;
    } else if (strcmp(text, "now") == 0) {
        options->from = WEIR_CHANGES_NOW;
    } else if (strcmp(text, "snapshot") == 0) {
        options->from = WEIR_CHANGES_SNAPSHOT;
    } else if (base_parse_u64(text, &lsn) == 0) {
        options->from = WEIR_CHANGES_BEHIND;
        options->lsn = lsn > 0 ? lsn - 1 : 0; /* the one that is given is the first that is shown */
    } else {
        return -EINVAL;
    }
    return 0;
}

static uint32_t operation_of(const char *word, size_t size)
{
    static const struct {
        const char *word;
        uint32_t bit;
    } operations[] = {
        {"insert", WEIR_ON_INSERT}, {"update", WEIR_ON_UPDATE}, {"delete", WEIR_ON_REMOVE}};
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (strlen(operations[i].word) == size && memcmp(operations[i].word, word, size) == 0) {
            return operations[i].bit;
        }
    }
    return 0;
}

/* Returns 0 or -EINVAL. */
static int parse_operations(const char *text, struct weir_changes_options *options)
{
    while (text != NULL) {
        size_t size = strcspn(text, ",");
        uint32_t bit = operation_of(text, size);
        if (bit == 0) {
            return -EINVAL;
        }
        options->operations |= bit;
        text = text[size] == ',' ? text + size + 1 : NULL;
    }
    return 0;
}

/* ---- rows ---- */

static const char *table_name(struct weir_changes *changes, weir_table table)
{
    const char *name = weir_changes_table_name(changes, table);
    return name != NULL ? name : "";
}

/* An empty value is "", one that is not there is null. */
static void image_to_json(struct json *json, const char *name, bool is_there,
                          struct weir_bytes bytes)
{
    if (is_there) {
        json_bytes(json, name, bytes.data, bytes.size);
    } else {
        json_null(json, name);
    }
}

/* The members of a change event as others have them, so that what reads those reads this. */
static void print_json(struct output *out, struct weir_changes *changes,
                       const struct weir_event *event)
{
    static const char *const operations[] = {
        [WEIR_INSERT] = "c", [WEIR_UPDATE] = "u", [WEIR_REMOVE] = "d"};
    bool has_before = event->before_lsn != WEIR_LSN_NONE;
    struct json json;
    json_begin(&json, out);
    image_to_json(&json, "before", has_before, event->before);
    image_to_json(&json, "after", event->operation != WEIR_REMOVE, event->after);
    json_text(&json, "op", event->state ? "r" : operations[event->operation]);
    json_u64(&json, "ts_ms", event->time_ns / BASE_NS_PER_MS);
    json_object(&json, "source");
    json_u64(&json, "lsn", event->lsn);
    json_text(&json, "table", table_name(changes, event->table));
    if (has_before) {
        json_u64(&json, "before_lsn", event->before_lsn);
    } else {
        json_null(&json, "before_lsn");
    }
    json_bool(&json, "snapshot", event->state);
    json_object_end(&json);
    json_bytes(&json, "key", event->key.data, event->key.size);
    json_end(&json);
}

static void print_human(struct output *out, struct weir_changes *changes,
                        const struct weir_event *event)
{
    static const char *const operations[] = {
        [WEIR_INSERT] = "insert", [WEIR_UPDATE] = "update", [WEIR_REMOVE] = "delete"};
    const char *table = table_name(changes, event->table);
    output_format(out, "%8" PRIu64 "  ", event->lsn);
    output_time(out, event->time_ns);
    output_format(out, "  %-6s  ", event->state ? "state" : operations[event->operation]);
    if (table[0] != '\0') {
        output_text(out, table);
        output_text(out, ": ");
    }
    output_escaped(out, event->key.data, event->key.size);
    output_text(out, " = ");
    if (event->before_lsn != WEIR_LSN_NONE) {
        output_escaped(out, event->before.data, event->before.size);
        output_text(out, " -> ");
    }
    if (event->operation != WEIR_REMOVE) {
        output_escaped(out, event->after.data, event->after.size);
    } else {
        output_text(out, "(deleted)");
    }
    output_char(out, '\n');
}

static void print_event(struct cli *cli, struct weir_changes *changes,
                        const struct weir_event *event)
{
    output_row_begin(&cli->out);
    if (cli->json) {
        print_json(&cli->out, changes, event);
    } else {
        print_human(&cli->out, changes, event);
    }
    output_row_end(&cli->out);
}

/* ---- the stream ---- */

static int report_error(struct cli *cli, const struct weir_changes *changes, int rc)
{
    struct weir_error why = WEIR_ERROR_INIT;
    bool detailed = weir_changes_error(changes, &why) == 0 && why.code == rc;
    return cli_fail(cli, rc, detailed ? &why : NULL, "cannot read on behind LSN %" PRIu64 " of %s",
                    weir_changes_position(changes), cli->path);
}

/* Returns -1 to go on, else the exit code. */
static int wait_for_more(struct cli *cli, bool follow, struct weir_changes *changes)
{
    if (!follow || output_flush(&cli->out) < 0) {
        return CLI_OK;
    }
    int rc = weir_changes_wait(changes, LOOK_FOR_SIGNALS_NS);
    return rc < 0 ? report_error(cli, changes, rc) : -1;
}

static int print_changes(struct cli *cli, const struct changes_options *options,
                         struct weir_changes *changes)
{
    static struct weir_event events[BATCH];
    uint64_t left = options->count.given ? options->count.value : UINT64_MAX;
    while (left > 0) {
        if (signals_interrupted()) {
            return CLI_INTERRUPTED;
        }
        int count = weir_changes_next(changes, events, left < BATCH ? (int)left : BATCH);
        if (count < 0) {
            return report_error(cli, changes, count);
        }
        for (int i = 0; i < count; i++) {
            print_event(cli, changes, &events[i]);
        }
        left -= (uint64_t)count;
        if (cli->out.error != 0) {
            return CLI_OK; /* main() tells a closed pipe from a full disk */
        }
        int exit_code = count == 0 ? wait_for_more(cli, options->follow, changes) : -1;
        if (exit_code >= 0) {
            return exit_code;
        }
    }
    return CLI_OK;
}

static int stream(struct engine *engine, const struct changes_options *options,
                  const struct weir_changes_options *what)
{
    struct cli *cli = engine->cli;
    struct weir_changes *changes;
    int rc = weir_changes_open(engine->engine, what, &changes);
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot read the changes of %s from %s", cli->path,
                        options->from != NULL ? options->from : "beginning");
    }
    weir_lsn state = weir_changes_state_lsn(changes);
    if (state != WEIR_LSN_NONE && what->from != WEIR_CHANGES_SNAPSHOT) {
        cli_note(cli,
                 "history up to LSN %" PRIu64 " was dropped by compaction, or lies behind a gap: "
                 "there is the state as of it, the changes are gone",
                 state);
    }
    int exit_code = print_changes(cli, options, changes);
    weir_changes_close(changes);
    return exit_code;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct changes_options *options = opaque;
    struct weir_changes_options what = WEIR_CHANGES_OPTIONS_INIT;
    struct engine engine;
    if (parse_from(options->from, &what) < 0) {
        return cli_usage_error(cli, "--from takes an LSN, beginning, now or snapshot, not '%s'",
                               options->from);
    }
    if (parse_operations(options->operations, &what) < 0) {
        return cli_usage_error(cli,
                               "--op takes insert, update and delete, with commas between "
                               "them, not '%s'",
                               options->operations);
    }
    int exit_code = engine_open(&engine, cli, &options->common, WEIR_LOG_READ_ONLY, NULL);
    if (exit_code < 0) {
        exit_code = engine_find_table(&engine, options->table, false);
    }
    if (exit_code < 0) {
        what.tables = &engine.table;
        what.table_count = options->table != NULL ? 1 : 0;
        exit_code = stream(&engine, options, &what);
    }
    return engine_close(&engine, exit_code);
}

const struct cli_command changes_command = {
    .name = "changes",
    .arguments = "LOG [-f] [OPTION...]",
    .summary = "Prints puts and deletes in order, each with the value before it",
    .details =
        "Opens LOG read-only and may run beside a writer. A row is LSN, time, what was done, the\n"
        "key, the value before and the one after. With --json a row has before, after, op (c, u,\n"
        "d; r: a row of the state that it begins with), ts_ms, source and key; what is not UTF-8\n"
        "is in before_base64, after_base64, key_base64; what is not there is null. Where\n"
        "compaction has left a state only, that state comes first.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct changes_options),
    .options = {changes_options, cli_open_options, cli_output_options},
    .run = run,
};
