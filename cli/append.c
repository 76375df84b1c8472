/*
 * weir append: lines of standard input become records; an LSN is printed once it is durable.
 *
 * 1. All records that were read so far are appended with WEIR_GROUP, so that those which came
 *    together share a flush.
 * 2. settle() acknowledges: with `each` it waits for the flush before it reads on, with `group` it
 *    reads on while a flush runs and waits when no input is ready, with `none` it only looks.
 * 3. input_fill() waits for more. At the end everything is committed and acknowledged.
 *
 * Failures: a record that is too large, a binary record that is cut off, no room, a poisoned log.
 * What was appended before is made durable and acknowledged where that is still possible, then the
 * error is reported. A signal ends the reading; whole records that were read are stored. When
 * nobody reads the acknowledgements any more, the same happens, and the exit code is
 * CLI_INTERRUPTED too.
 *
 * Invariant: acknowledged <= weir_durable_lsn(). A number that was printed survives a crash.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/signals.h"

#include "base/clock.h"
#include "base/text.h"

#include <weir/append.h>
#include <weir/inspect.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum pace { PACE_EACH, PACE_GROUP, PACE_NONE };

static const char *const pace_names[] = {"each", "group", "none"};

struct append_options {
    struct cli_common common;
    int pace; /* enum pace */
    bool binary;
    struct cli_number type;
};

static const struct cli_option append_options[] = {
    {"durability", CLI_CHOICE, 0, "each|group|none",
     "when to flush (each); an LSN is always durable before it is printed",
     offsetof(struct append_options, pace)},
    {"binary", CLI_FLAG, 0, NULL, "records are a u32 length, little-endian, and as many bytes",
     offsetof(struct append_options, binary)},
    {"type", CLI_NUMBER, 0, "N", "tag of the records, 0 to 65279 (0)",
     offsetof(struct append_options, type)},
    {0},
};

struct append {
    struct cli *cli;
    struct weir_log *log;
    const struct append_options *options;
    struct input input;
    weir_lsn first, last;    /* appended by this run; 0 = none */
    weir_lsn acknowledged;   /* printed */
    uint64_t records, bytes; /* appended */
    bool unreadable;         /* it was the input that failed */
};

/* ---- acknowledging ---- */

static void acknowledge(struct append *append, weir_lsn durable)
{
    struct output *out = &append->cli->out;
    if (durable > append->last) {
        durable = append->last;
    }
    for (weir_lsn lsn = append->acknowledged + 1; lsn <= durable; lsn++) {
        output_text(out, "{\"lsn\":");
        output_u64(out, lsn);
        output_text(out, "}\n");
        append->acknowledged = lsn;
    }
    output_flush(out);
}

/* Returns 0 or a negative error; prints what is durable either way. */
static int wait_for_all(struct append *append)
{
    int rc = append->last > append->acknowledged
                 ? weir_wait(append->log, append->last, WEIR_WAIT_FOREVER)
                 : 0;
    acknowledge(append, weir_durable_lsn(append->log));
    return rc;
}

static int settle(struct append *append)
{
    bool wait = append->options->pace == PACE_EACH ||
                (append->options->pace == PACE_GROUP && !input_is_ready(&append->input));
    if (wait) {
        return wait_for_all(append);
    }
    weir_lsn durable = weir_durable_lsn(append->log);
    if (append->options->pace == PACE_GROUP) {
        int rc = weir_process(append->log, &durable);
        if (rc < 0) {
            return rc;
        }
    }
    acknowledge(append, durable);
    return 0;
}

/* ---- reading and appending ---- */

/* Returns 0 or a negative error of the input or of the log. */
static int append_what_is_whole(struct append *append)
{
    struct weir_part part = {0};
    struct weir_entry entry = {
        .parts = &part,
        .part_count = 1,
        .type = (uint16_t)append->options->type.value,
    };
    enum weir_durability durability = append->options->pace == PACE_NONE ? WEIR_NONE : WEIR_GROUP;
    for (;;) {
        const char *data;
        int rc = input_next(&append->input, &data, &part.size);
        if (rc <= 0) {
            return rc;
        }
        part.data = data;
        weir_lsn lsn;
        rc = weir_append(append->log, &entry, durability, &lsn);
        if (rc < 0) {
            return rc;
        }
        if (append->first == WEIR_LSN_NONE) {
            append->first = lsn;
            append->acknowledged = lsn - 1;
        }
        append->last = lsn;
        append->records++;
        append->bytes += part.size;
    }
}

/* Returns 0 at the end of the input or when the output was closed, else a negative error. */
static int copy_input(struct append *append)
{
    for (;;) {
        int rc = append_what_is_whole(append);
        if (rc < 0) {
            return rc;
        }
        rc = settle(append);
        if (rc < 0 || append->cli->out.error != 0) {
            return rc;
        }
        rc = input_fill(&append->input);
        if (rc < 0) {
            append->unreadable = true;
            return rc;
        }
        if (rc == 0) {
            return append_what_is_whole(append); /* a last line without its newline */
        }
    }
}

/* ---- reporting ---- */

static void summarize(struct append *append, uint64_t started_ns)
{
    char buffer[160];
    struct base_text text;
    struct weir_open_report report = {.size = sizeof report};
    if (weir_log_report(append->log, &report) < 0) {
        return;
    }
    uint64_t acknowledged =
        append->first == WEIR_LSN_NONE ? 0 : append->acknowledged + 1 - append->first;
    base_text_init(&text, buffer, sizeof buffer);
    base_text_append_format(&text, "%" PRIu64 " record%s", acknowledged,
                            acknowledged == 1 ? "" : "s");
    if (acknowledged > 0) {
        base_text_append_format(&text, ", LSN %" PRIu64 " to %" PRIu64, append->first,
                                append->acknowledged);
    }
    base_text_append(&text, ", in ");
    base_text_append_duration(&text, base_clock_monotonic_ns() - started_ns);
    cli_note(append->cli, "%s; medium %s, io %s, durability %s, durable: %s", text.data,
             report.medium.name, report.medium.io, pace_names[append->options->pace],
             report.medium.durable ? "yes" : "no (memory)");
}

static int report_input_error(struct append *append, int rc)
{
    const struct input *input = &append->input;
    uint64_t number = input->records + 1;
    if (rc == -E2BIG) {
        return cli_refuse(append->cli, CLI_REFUSED,
                          "record %" PRIu64 " (at byte %" PRIu64
                          " of the input) is longer than this log's limit of %zu bytes; "
                          "%" PRIu64 " records were stored before it; split it, or append to a log "
                          "that was made with larger segments (--segment-size)",
                          number, input->offset, input->record_max, append->records);
    }
    return cli_refuse(append->cli, CLI_REFUSED,
                      "the input ends inside the record that begins at byte %" PRIu64
                      ": %zu bytes of it came; %" PRIu64 " records were stored before it",
                      input->offset, input_rest(input), append->records);
}

static int report_interruption(struct append *append)
{
    size_t rest = input_rest(&append->input);
    if (rest > 0) {
        cli_note(append->cli,
                 "interrupted; %zu bytes of a record that had not ended were not stored", rest);
    } else {
        cli_note(append->cli, "interrupted");
    }
    return CLI_INTERRUPTED;
}

/* @param rc  how the copying ended; @param wait_rc  how the last wait ended */
static int report_end(struct append *append, int rc, int wait_rc)
{
    if (wait_rc < 0) {
        return cli_fail(append->cli, wait_rc, NULL,
                        "%" PRIu64 " of %" PRIu64 " appended records were acknowledged",
                        append->first == 0 ? 0 : append->acknowledged + 1 - append->first,
                        append->records);
    }
    if (append->cli->out.error != 0 && (rc == 0 || rc == -EINTR)) {
        cli_note(append->cli,
                 "nobody reads the acknowledgements any more (%s): reading ended, "
                 "%" PRIu64 " records were stored",
                 weir_error_text(append->cli->out.error), append->records);
        return append->cli->out.error == -EPIPE ? CLI_INTERRUPTED : CLI_DEVICE;
    }
    switch (rc) {
    case 0:
        return CLI_OK;
    case -EINTR:
        return report_interruption(append);
    case -E2BIG:
    case -EPROTO:
        return report_input_error(append, rc);
    default:
        if (append->unreadable) {
            return cli_fail(append->cli, rc, NULL,
                            "%" PRIu64 " records were stored, then standard input cannot be read",
                            append->records);
        }
        return cli_fail(append->cli, rc, NULL, "cannot store record %" PRIu64 " of the input",
                        append->records + 1);
    }
}

static int append_input(struct append *append)
{
    uint64_t started_ns = base_clock_monotonic_ns();
    int rc = copy_input(append);
    int wait_rc = wait_for_all(append);
    int exit_code = report_end(append, rc, wait_rc);
    summarize(append, started_ns);
    return exit_code;
}

static int run(struct cli *cli, const void *opaque)
{
    const struct append_options *options = opaque;
    struct append append = {.cli = cli, .options = options};
    struct weir_stat stat = WEIR_STAT_INIT;
    if (options->type.value >= WEIR_TYPE_RESERVED) {
        return cli_usage_error(cli, "--type goes from 0 to %d", WEIR_TYPE_RESERVED - 1);
    }
    int exit_code = cli_open(cli, &options->common, WEIR_LOG_CREATE, &append.log);
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = weir_log_stat(append.log, &stat);
    if (rc == 0) {
        rc = input_open(&append.input, STDIN_FILENO, options->binary, stat.record_bytes);
    }
    if (rc < 0) {
        exit_code = cli_fail(cli, rc, NULL, "cannot prepare to read standard input");
        return cli_close(cli, append.log, exit_code);
    }
    exit_code = append_input(&append);
    input_close(&append.input);
    return cli_close(cli, append.log, exit_code);
}

const struct cli_command append_command = {
    .name = "append",
    .arguments = "LOG [OPTION...] < LINES",
    .summary =
        "Appends the lines of standard input and prints {\"lsn\":N} for each once it is durable",
    .details = "LOG is made when it is not there. A line is any bytes up to a newline; an empty "
               "line is an\n"
               "empty record. Lines that come together share a flush:\n"
               "  each   waits for the flush of what was read before it reads on\n"
               "  group  reads on while a flush runs: more records a flush, more memory in flight\n"
               "  none   asks for no flush before the end; LSNs come as the log flushes by itself\n"
               "A summary with medium, io and durability goes to standard error. A closed standard "
               "output\n"
               "ends the reading with exit 5; what was read is durable.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct append_options),
    .options = {append_options, cli_create_options, cli_output_options},
    .run = run,
};
