/*
 * weir import: lines of JSON, or of keys and values, into a table.
 *
 * 1. import_line() makes a key and a value of each line; import_batch.c collects them.
 * 2. A batch that is full is stored, all of it or nothing; so is one that has to wait for input.
 * 3. What has become durable is counted, and with --acknowledge printed: {"line":N,"lsn":L} means
 *    that every row up to line N is durable.
 * 4. At the end all of it is made durable and reported.
 *
 * Failures: a line that is no row ends the import (exit 3) or is skipped, as --on-error says; the
 * rows in front of it are stored either way. A signal ends the reading; whole lines that were read
 * are stored, and the report is of those (exit 5). So it is when nobody reads the acknowledgements.
 *
 * Invariant: what is reported as stored is durable.
 */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/errors.h"
#include "cli/import_batch.h"
#include "cli/import_line.h"
#include "cli/input.h"
#include "cli/signals.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <weir/append.h>
#include <weir/inspect.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_DEFAULT 256u
#define BATCH_MAX 65536u
#define NOTES_MAX 20u
#define PROGRESS_NS (200 * BASE_NS_PER_MS)
/* Of JSON, six bytes for one: "\u0041". */
#define KEY_ROOM ((size_t)6 * WEIR_KEY_BYTES_MAX)

enum format { FORMAT_AUTO, FORMAT_JSON, FORMAT_TSV };

struct import_options {
    struct cli_common common;
    const char *table;
    const char *key;
    const char *input;
    struct cli_number batch;
    int format;     /* enum format */
    int skip;       /* 0: stop at a line that is no row */
    int durability; /* an index in DURABILITIES */
    bool acknowledge;
};

#define DURABILITIES "group|each|none"
static const enum weir_durability durabilities[] = {WEIR_GROUP, WEIR_EACH, WEIR_NONE};

static const struct cli_option import_options[] = {
    ENGINE_TABLE_OPTION(struct import_options),
    {"key", CLI_TEXT, 'k', "FIELD", "of JSON: what the key is; a.b is b inside of a",
     offsetof(struct import_options, key)},
    {"format", CLI_CHOICE, 0, "auto|json|tsv", "tsv: key, tab, value (auto: json with --key)",
     offsetof(struct import_options, format)},
    {"input", CLI_TEXT, 'i', "FILE|-", "read FILE instead of standard input",
     offsetof(struct import_options, input)},
    {"batch", CLI_NUMBER, 0, "N", "rows stored together, all or none of them (256)",
     offsetof(struct import_options, batch)},
    {"on-error", CLI_CHOICE, 0, "stop|skip", "what to do at a line that is no row",
     offsetof(struct import_options, skip)},
    {"durability", CLI_CHOICE, 0, DURABILITIES, "each waits for the flush of each batch (group)",
     offsetof(struct import_options, durability)},
    {"acknowledge", CLI_FLAG, 0, NULL, "print {\"line\":N,\"lsn\":L} when rows up to N are durable",
     offsetof(struct import_options, acknowledge)},
    {0},
};

struct import {
    struct cli *cli;
    const struct import_options *options;
    struct engine engine;
    struct import_form form;
    struct import_batch batch;
    struct input input;
    uint64_t input_bytes; /* of a file; 0 = not known */
    uint64_t skipped;
    uint64_t started_ns, shown_ns;
    double seconds;
    bool unreadable; /* it was the input that failed */
    bool stopped;    /* at a line that is no row */
    char reason[IMPORT_REASON_BYTES];
};

/* ---- lines ---- */

/* A line that is no row. Returns 0 to go on, or -EBADMSG. */
static int reject(struct import *import)
{
    if (!import->options->skip) {
        import->stopped = true;
        return -EBADMSG;
    }
    import->skipped++;
    if (import->skipped <= NOTES_MAX) {
        cli_note(import->cli, "line %" PRIu64 " skipped: %s", import->input.records,
                 import->reason);
    } else if (import->skipped == NOTES_MAX + 1) {
        cli_note(import->cli, "further lines that are skipped are only counted");
    }
    return 0;
}

static int reject_size(struct import *import)
{
    snprintf(import->reason, sizeof import->reason,
             "key and value are longer than this log's records can be (%zu bytes)",
             import->input.record_max);
    return reject(import);
}

/* A batch of one row may be refused for its size, which is that row's fault. */
static int store_batch(struct import *import)
{
    bool alone = import->batch.count == 1;
    int rc = import_batch_store(&import->batch);
    if (rc == WEIR_E_TOO_BIG && alone) {
        import_batch_clear(&import->batch);
        return reject_size(import);
    }
    return rc;
}

static int take_line(struct import *import, const char *data, size_t size)
{
    struct import_row row;
    if (import_line(&import->form, data, size, &row, import->reason) < 0) {
        return reject(import);
    }
    int rc = 0;
    if (!import_batch_has_room(&import->batch, &row)) {
        rc = import_batch_store(&import->batch);
    }
    if (rc == 0) {
        import_batch_add(&import->batch, &row, import->input.records);
        if (import_batch_is_full(&import->batch)) {
            rc = store_batch(import);
        }
    }
    return rc;
}

static void show_progress(struct import *import)
{
    uint64_t now_ns = base_clock_monotonic_ns();
    if (now_ns - import->shown_ns < PROGRESS_NS) {
        return;
    }
    import->shown_ns = now_ns;
    char what[80];
    double seconds = (double)(now_ns - import->started_ns) / (double)BASE_NS_PER_S;
    snprintf(what, sizeof what, "%" PRIu64 " rows stored, %.0f rows/s", import->batch.stored,
             (double)import->batch.stored / seconds);
    progress_bar(what, import->input.offset, import->input_bytes);
}

static int take_whole_lines(struct import *import)
{
    for (;;) {
        const char *data;
        size_t size;
        int rc = input_next(&import->input, &data, &size);
        if (rc == -E2BIG) {
            input_skip_line(&import->input);
            rc = reject_size(import);
        } else if (rc == 1) {
            rc = take_line(import, data, size);
        } else {
            return rc;
        }
        if (rc < 0) {
            return rc;
        }
    }
}

/* Returns 0 at the end of the input or when the output was closed, else a negative error. */
static int copy_input(struct import *import)
{
    for (;;) {
        int rc = take_whole_lines(import);
        bool idle = rc == 0 && !input_is_ready(&import->input);
        if (idle) {
            rc = store_batch(import);
        }
        if (rc == 0) {
            bool wait = idle && import->batch.durability != WEIR_NONE;
            rc = import_batch_settle(&import->batch, wait);
        }
        if (rc < 0 || import->cli->out.error != 0) {
            return rc;
        }
        show_progress(import);
        rc = input_fill(&import->input);
        if (rc < 0) {
            import->unreadable = true;
            return rc;
        }
        if (rc == 0) {
            return take_whole_lines(import); /* a last line without its newline */
        }
    }
}

/* ---- reporting ---- */

static void print_summary(struct import *import, bool interrupted)
{
    const struct import_batch *batch = &import->batch;
    struct weir_open_report report = {.size = sizeof report};
    struct json json;
    if (weir_log_report(import->engine.log, &report) < 0) {
        return;
    }
    double seconds = import->seconds > 0 ? import->seconds : 1e-9;
    json_begin(&json, &import->cli->out);
    json_u64(&json, "stored", batch->stored);
    json_u64(&json, "skipped", import->skipped);
    json_u64(&json, "lines", import->input.records);
    json_u64(&json, "first_lsn", batch->durable != WEIR_LSN_NONE ? batch->first : WEIR_LSN_NONE);
    json_u64(&json, "last_lsn", batch->durable);
    json_u64(&json, "bytes", batch->bytes_stored);
    json_double(&json, "seconds", import->seconds);
    json_double(&json, "records_per_s", (double)batch->stored / seconds);
    json_text(&json, "medium", report.medium.name);
    json_text(&json, "io", report.medium.io);
    json_text(&json, "durability", engine_durability_name(batch->durability));
    json_bool(&json, "durable", report.medium.durable);
    json_bool(&json, "interrupted", interrupted);
    json_end(&json);
    output_flush(&import->cli->out);
}

static void note_summary(struct import *import)
{
    const struct import_batch *batch = &import->batch;
    char span[80] = "";
    double seconds = import->seconds > 0 ? import->seconds : 1e-9;
    if (batch->durable != WEIR_LSN_NONE) {
        snprintf(span, sizeof span, ", LSN %" PRIu64 " to %" PRIu64, batch->first, batch->durable);
    }
    engine_note(&import->engine, batch->durability,
                "%" PRIu64 " row%s stored%s, %" PRIu64 " line%s skipped, in %.3f s (%.0f rows/s)",
                batch->stored, batch->stored == 1 ? "" : "s", span, import->skipped,
                import->skipped == 1 ? "" : "s", import->seconds, (double)batch->stored / seconds);
}

/* @param rc  how the copying ended; @param stored_rc  how storing the rest did */
static int report_end(struct import *import, int rc, int stored_rc)
{
    struct cli *cli = import->cli;
    if (cli->out.error != 0 && rc >= 0 && stored_rc >= 0) {
        cli_note(cli, "nobody reads the acknowledgements any more (%s): reading ended",
                 weir_error_text(cli->out.error));
        return cli->out.error == -EPIPE ? CLI_INTERRUPTED : CLI_DEVICE;
    }
    if (stored_rc < 0) { /* before anything that would say that they were stored */
        return cli_fail(cli, stored_rc, NULL, "cannot store the rows up to line %" PRIu64,
                        import->input.records);
    }
    if (import->stopped) {
        return cli_refuse(cli, CLI_REFUSED,
                          "line %" PRIu64 ": %s; the rows in front of it were stored",
                          import->input.records, import->reason);
    }
    if (rc == -EINTR) {
        cli_note(cli, "interrupted behind line %" PRIu64, import->input.records);
        return CLI_INTERRUPTED;
    }
    if (import->unreadable && rc != -EINTR) {
        return cli_fail(cli, rc, NULL, "the input cannot be read behind line %" PRIu64,
                        import->input.records);
    }
    return rc == 0 ? CLI_OK
                   : cli_fail(cli, rc, NULL, "cannot store the rows up to line %" PRIu64,
                              import->input.records);
}

static int import_rows(struct import *import)
{
    import->started_ns = import->shown_ns = base_clock_monotonic_ns();
    int rc = copy_input(import);
    bool own_fault = rc < 0 && !import->unreadable && !import->stopped;
    int stored_rc = own_fault ? 0 : store_batch(import);
    int settled_rc = import_batch_settle(&import->batch, true);
    stored_rc = stored_rc < 0 ? stored_rc : settled_rc;
    import->seconds =
        (double)(base_clock_monotonic_ns() - import->started_ns) / (double)BASE_NS_PER_S;
    progress_clear();
    if (import->cli->json) {
        print_summary(import, rc == -EINTR);
    } else {
        note_summary(import);
    }
    return report_end(import, rc, stored_rc);
}

/* ---- setting up ---- */

static int check_options(struct cli *cli, const struct import_options *options,
                         struct import_form *form)
{
    uint64_t batch = options->batch.value;
    form->json =
        options->format == FORMAT_JSON || (options->format == FORMAT_AUTO && options->key != NULL);
    form->field = options->key;
    if (options->batch.given && (batch == 0 || batch > BATCH_MAX)) {
        return cli_usage_error(cli, "--batch goes from 1 to %u", BATCH_MAX);
    }
    if (form->json != (options->key != NULL)) {
        return cli_usage_error(cli, form->json ? "JSON needs --key FIELD: the field that is the key"
                                               : "--key belongs to JSON, not to tsv");
    }
    int rc = form->json ? base_json_paths_create(&options->key, 1, 0, &form->path) : 0;
    if (rc == -EINVAL) {
        return cli_usage_error(cli, "--key takes up to %d names with a dot between them, not '%s'",
                               BASE_JSON_NAMES_MAX, options->key);
    }
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot prepare the import") : -1;
}

/* Before the log is made. Returns -1 to go on. */
static int open_file(struct import *import, int *ret_fd)
{
    const char *path = import->options->input;
    struct stat status;
    *ret_fd = STDIN_FILENO;
    if (path != NULL && strcmp(path, "-") != 0) {
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (*ret_fd < 0) {
        return cli_fail_open(import->cli, -errno, NULL, "cannot read %s", path);
    }
    if (fstat(*ret_fd, &status) == 0 && S_ISREG(status.st_mode)) {
        import->input_bytes = (uint64_t)status.st_size;
    }
    return -1;
}

static int import_file(struct import *import, int fd)
{
    struct cli *cli = import->cli;
    struct weir_stat stat = WEIR_STAT_INIT;
    const struct import_options *options = import->options;
    size_t rows = options->batch.given ? options->batch.value : BATCH_DEFAULT;
    import->form.key_capacity = KEY_ROOM;
    import->form.key = base_alloc(KEY_ROOM);
    int rc = import->form.key != NULL ? weir_log_stat(import->engine.log, &stat) : -ENOMEM;
    if (rc == 0) {
        rc = input_open(&import->input, fd, false, stat.record_bytes);
    }
    if (rc == 0) {
        rc = import_batch_init(&import->batch, &import->engine, rows, &stat);
    }
    import->batch.durability = durabilities[options->durability];
    import->batch.out = options->acknowledge ? &cli->out : NULL;
    int exit_code =
        rc < 0 ? cli_fail(cli, rc, NULL, "cannot prepare the import") : import_rows(import);
    import_batch_free(&import->batch);
    if (import->input.buffer != NULL) {
        input_close(&import->input);
    }
    base_free(import->form.key);
    return exit_code;
}

static int import_into_log(struct import *import)
{
    struct cli *cli = import->cli;
    int fd;
    int exit_code = open_file(import, &fd);
    if (exit_code >= 0) {
        return exit_code;
    }
    exit_code = engine_open(&import->engine, cli, &import->options->common, WEIR_LOG_CREATE, NULL);
    if (exit_code < 0) {
        exit_code = engine_find_table(&import->engine, import->options->table, true);
    }
    if (exit_code < 0) {
        exit_code = import_file(import, fd);
    }
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    return engine_close(&import->engine, exit_code);
}

static int run(struct cli *cli, const void *opaque)
{
    struct import import = {.cli = cli, .options = opaque};
    int exit_code = engine_check_table(cli, import.options->table);
    exit_code = exit_code < 0 ? check_options(cli, import.options, &import.form) : exit_code;
    if (exit_code < 0) {
        exit_code = import_into_log(&import);
    }
    base_json_paths_free(import.form.path);
    return exit_code;
}

const struct cli_command import_command = {
    .name = "import",
    .arguments = "LOG [OPTION...] < LINES",
    .summary = "Puts lines of JSON, or of key, tab and value, into a table",
    .details = "LOG and the table are made when they are not there. The value of JSON is the line "
               "as it is;\n"
               "its key is the text of FIELD, a number as it is written. At a line that is no row "
               "the\n"
               "import ends with exit 3 and says which and why, or skips it; what was in front of\n"
               "it is stored. At the end all that is reported as stored is durable.",
    .arguments_min = 1,
    .arguments_max = 1,
    .options_size = sizeof(struct import_options),
    .options = {import_options, cli_create_options, cli_output_options},
    .run = run,
};
