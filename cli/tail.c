/*
 * weir tail: the records of a log in order, and with -f those that come.
 *
 * 1. The log is opened read-only, beside a writer if there is one.
 * 2. A cursor lends records in batches; each becomes a row.
 * 3. Caught up: without -f that is the end; with -f the rows are flushed and the cursor waits.
 *
 * Up to the horizon of a compacted log the rows are what compaction left; a note says so. A gap of
 * a salvaged log is one row; --raw and --binary, which have no form for it, end in front of it with
 * an error.
 *
 * Failures: a start below the earliest record, damage that is met, a cursor that truncation
 * overtook: the rows before it are printed, then the error with its LSNs. A closed pipe ends with
 * exit 0.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/signals.h"

#include "base/clock.h"
#include "base/le.h"
#include "base/text.h"

#include <weir/change.h>
#include <weir/cursor.h>
#include <weir/finding.h>
#include <weir/inspect.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BATCH 64
#define LOOK_FOR_SIGNALS_NS ((int64_t)(100 * BASE_NS_PER_MS))

struct tail_options {
    struct cli_common common;
    const char *from;
    struct cli_number count, last;
    bool follow;
    bool raw;
    bool binary;
};

static const struct cli_option tail_options[] = {
    {"from", CLI_TEXT, 0, "LSN|earliest|latest|@TIME",
     "where to start (earliest); TIME is RFC 3339 or seconds since 1970",
     offsetof(struct tail_options, from)},
    {"last", CLI_NUMBER, 0, "N", "start N LSNs before the end: the last N records",
     offsetof(struct tail_options, last)},
    {"count", CLI_NUMBER, 'n', "N", "end after N records, counted from where it starts",
     offsetof(struct tail_options, count)},
    {"follow", CLI_FLAG, 'f', NULL, "wait for records to come",
     offsetof(struct tail_options, follow)},
    {"raw", CLI_FLAG, 0, NULL, "the bytes of each record and a newline",
     offsetof(struct tail_options, raw)},
    {"binary", CLI_FLAG, 0, NULL, "the form that append --binary reads",
     offsetof(struct tail_options, binary)},
    {0},
};

/* Seconds since 1970 with an optional fraction, or RFC 3339. Returns 0 or -EINVAL. */
static int parse_moment(const char *text, uint64_t *ret_ns)
{
    char whole[24];
    size_t digits = strspn(text, "0123456789");
    const char *fraction = text + digits;
    if (digits == 0 || digits >= sizeof whole || (*fraction != '\0' && *fraction != '.')) {
        return base_parse_time(text, ret_ns);
    }
    memcpy(whole, text, digits);
    whole[digits] = '\0';
    uint64_t seconds;
    if (base_parse_u64(whole, &seconds) < 0 || seconds > UINT64_MAX / BASE_NS_PER_S - 1) {
        return -EINVAL;
    }
    uint64_t ns = seconds * BASE_NS_PER_S;
    uint64_t unit = BASE_NS_PER_S / 10;
    for (const char *at = fraction + (*fraction == '.'); *at != '\0'; at++, unit /= 10) {
        if (*at < '0' || *at > '9') {
            return -EINVAL;
        }
        ns += (uint64_t)(*at - '0') * unit;
    }
    *ret_ns = ns;
    return 0;
}

/* Returns 0 or -EINVAL. */
static int parse_from(const char *text, struct weir_cursor_options *ret_options)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    int rc = 0;
    if (text == NULL || strcmp(text, "earliest") == 0) {
        options.from = WEIR_FROM_EARLIEST;
    } else if (strcmp(text, "latest") == 0) {
        options.from = WEIR_FROM_LATEST;
    } else if (text[0] == '@') {
        options.from = WEIR_FROM_TIME;
        rc = parse_moment(text + 1, &options.time_ns);
    } else {
        options.from = WEIR_FROM_LSN;
        rc = base_parse_u64(text, &options.lsn);
    }
    if (rc == 0) {
        *ret_options = options;
    }
    return rc == 0 ? 0 : -EINVAL;
}

/* The newest `last` LSNs that are there. Returns 0 or a negative error. */
static int start_near_the_end(struct weir_log *log, uint64_t last, struct weir_cursor_options *from)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = weir_log_stat(log, &stat);
    if (rc == 0 && stat.latest != WEIR_LSN_NONE && last <= stat.latest - stat.earliest) {
        from->from = WEIR_FROM_LSN;
        from->lsn = stat.latest + 1 - last;
    }
    return rc;
}

/* ---- rows ---- */

/* What a record of the engine says, behind its bytes: to read along, "data" is what counts. */
static void change_to_json(struct json *json, const struct weir_record *record)
{
    static const char *const operations[] = {
        [WEIR_INSERT] = "insert", [WEIR_UPDATE] = "update", [WEIR_REMOVE] = "delete"};
    struct weir_change change;
    weir_table table;
    char name[WEIR_TABLE_NAME_MAX + 1];
    if (weir_change_decode(record, &change) == 1) {
        json_text(json, "op", operations[change.operation]);
        json_u64(json, "table", change.table);
        json_bytes(json, "key", change.key.data, change.key.size);
    } else if (weir_table_decode(record, &table, name) == 1) {
        json_text(json, "op", "table");
        json_u64(json, "table", table);
        json_text(json, "name", name);
    }
}

static void print_json(struct output *out, const struct weir_record *record)
{
    struct json json;
    json_begin(&json, out);
    json_u64(&json, "lsn", record->lsn);
    json_time(&json, "time", record->time_ns);
    json_u64(&json, "type", record->type);
    json_bytes(&json, "data", record->data, record->size);
    change_to_json(&json, record);
    json_end(&json);
}

static void print_human(struct output *out, const struct weir_record *record)
{
    output_format(out, "%8" PRIu64 "  ", record->lsn);
    output_time(out, record->time_ns);
    output_format(out, "  %5u  ", record->type);
    output_escaped(out, record->data, record->size);
    output_char(out, '\n');
}

/* One row for all of a gap. */
static void print_gap(struct cli *cli, const struct weir_record *record, weir_lsn to)
{
    struct output *out = &cli->out;
    const char *code = weir_gap_code(record);
    output_row_begin(out);
    if (cli->json) {
        struct json json;
        json_begin(&json, out);
        json_u64(&json, "lsn", record->lsn);
        json_bool(&json, "gap", true);
        json_u64(&json, "to_lsn", to);
        json_text(&json, "code", code);
        json_text(&json, "text", weir_finding_meaning(code));
        json_end(&json);
    } else {
        output_format(out, "%8" PRIu64 "  gap: LSN %" PRIu64 " to %" PRIu64 " were lost (%s: %s)\n",
                      record->lsn, record->lsn, to, code, weir_finding_meaning(code));
    }
    output_row_end(out);
}

static void print_record(struct cli *cli, const struct tail_options *options,
                         const struct weir_record *record)
{
    struct output *out = &cli->out;
    output_row_begin(out);
    if (options->raw) {
        output_bytes(out, record->data, record->size);
        output_char(out, '\n');
    } else if (options->binary) {
        struct le32 prefix;
        le32_store(&prefix, record->size);
        output_bytes(out, &prefix, sizeof prefix);
        output_bytes(out, record->data, record->size);
    } else if (cli->json) {
        print_json(out, record);
    } else {
        print_human(out, record);
    }
    output_row_end(out);
}

static int report_cursor_error(struct cli *cli, const struct weir_cursor *cursor, int rc)
{
    struct weir_error why = WEIR_ERROR_INIT;
    bool detailed = weir_cursor_error(cursor, &why) == 0 && why.code == rc;
    return cli_fail(cli, rc, detailed ? &why : NULL, "cannot read on from LSN %" PRIu64 " of %s",
                    weir_cursor_position(cursor), cli->path);
}

/* Returns -1 to go on, else the exit code. */
static int wait_for_more(struct cli *cli, const struct tail_options *options,
                         struct weir_cursor *cursor)
{
    if (!options->follow) {
        return CLI_OK;
    }
    if (output_flush(&cli->out) < 0) {
        return CLI_OK;
    }
    int rc = weir_cursor_wait(cursor, LOOK_FOR_SIGNALS_NS);
    return rc < 0 ? report_cursor_error(cli, cursor, rc) : -1;
}

/* Prints a batch; *gap_to is the last LSN of the gap that was printed last. Returns how many rows
 * there are. */
static uint64_t print_batch(struct cli *cli, const struct tail_options *options,
                            const struct weir_record *records, int count, weir_lsn *gap_to)
{
    uint64_t rows = 0;
    for (int i = 0; i < count; i++) {
        const struct weir_record *record = &records[i];
        if ((record->flags & WEIR_RECORD_GAP) == 0) {
            print_record(cli, options, record);
        } else if (record->lsn > *gap_to) {
            *gap_to = record->lsn + (record->user > 0 ? record->user : 1) - 1;
            print_gap(cli, record, *gap_to);
        } else {
            continue;
        }
        rows++;
    }
    return rows;
}

static int print_records(struct cli *cli, const struct tail_options *options,
                         struct weir_cursor *cursor)
{
    struct weir_record records[BATCH];
    uint64_t left = options->count.given ? options->count.value : UINT64_MAX;
    weir_lsn gap_to = WEIR_LSN_NONE;
    while (left > 0) {
        if (signals_interrupted()) {
            return CLI_INTERRUPTED;
        }
        int count = weir_cursor_next_batch(cursor, records, left < BATCH ? (int)left : BATCH);
        if (count < 0) {
            return report_cursor_error(cli, cursor, count);
        }
        left -= print_batch(cli, options, records, count, &gap_to);
        int rc = gap_to >= weir_cursor_position(cursor) ? weir_cursor_seek(cursor, gap_to + 1) : 0;
        if (rc < 0) {
            return report_cursor_error(cli, cursor, rc);
        }
        if (cli->out.error != 0) {
            return CLI_OK; /* main() tells a closed pipe from a full disk */
        }
        int exit_code = count == 0 ? wait_for_more(cli, options, cursor) : -1;
        if (exit_code >= 0) {
            return exit_code;
        }
    }
    return CLI_OK;
}

static void note_horizon(const struct cli *cli, struct weir_log *log,
                         const struct weir_cursor *cursor)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    if (weir_log_stat(log, &stat) == 0 && weir_cursor_position(cursor) <= stat.horizon) {
        cli_note(cli,
                 "the log was compacted: up to LSN %" PRIu64 " the versions of live keys and "
                 "records of other types are shown, the others are gone",
                 stat.horizon);
    }
}

static int run(struct cli *cli, const void *opaque)
{
    const struct tail_options *options = opaque;
    struct weir_cursor_options from;
    if (parse_from(options->from, &from) < 0) {
        return cli_usage_error(cli,
                               "--from takes an LSN, earliest, latest or @TIME (RFC 3339 or "
                               "seconds since 1970), not '%s'",
                               options->from);
    }
    if (options->last.given && options->from != NULL) {
        return cli_usage_error(cli, "--from and --last both say where to start");
    }
    from.compacted = true;
    from.with_gaps = !options->raw && !options->binary; /* which have no form for a gap */
    if (options->raw + options->binary + cli->json > 1) {
        return cli_usage_error(cli, "--raw, --binary and --json exclude each other");
    }
    struct weir_log *log;
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_READ_ONLY, &log);
    if (exit_code >= 0) {
        return exit_code;
    }
    struct weir_cursor *cursor;
    int rc = options->last.given ? start_near_the_end(log, options->last.value, &from) : 0;
    rc = rc < 0 ? rc : weir_cursor_open(log, &from, &cursor);
    if (rc < 0) {
        exit_code = cli_fail(cli, rc, NULL, "cannot read %s from %s", cli->path,
                             options->from != NULL ? options->from : "earliest");
        return cli_close(cli, log, exit_code);
    }
    note_horizon(cli, log, cursor);
    exit_code = print_records(cli, options, cursor);
    weir_cursor_close(cursor);
    return cli_close(cli, log, exit_code);
}

const struct cli_command tail_command = {
    .name = "tail",
    .arguments = "LOG [-f] [OPTION...]",
    .summary = "Prints records in order: LSN, time, type, data",
    .details =
        "From the earliest record on: -n 5 shows the first five, --last 5 the last five, and with\n"
        "-f what comes. Opens LOG read-only and may run beside a writer. Controls and bytes that\n"
        "are not UTF-8 are shown as \\n, \\xNN; with --json they are in data_base64; --raw prints\n"
        "them as they are. Where records were lost before LOG was made by a salvage, one row\n"
        "stands for the gap; --raw and --binary stop there. Records of the engine have type "
        "65281,\n"
        "with --json also op, table (its number) and key; 65282 names a table.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct tail_options),
    .options = {tail_options, cli_open_options, cli_output_options},
    .run = run,
};
