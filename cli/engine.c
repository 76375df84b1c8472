/*
 * Opening a log with its engine for a command, and the steps that several of them share.
 *
 * 1. engine_open(): the log as the common options say, and its engine, with progress.
 * 2. engine_find_table(), engine_read(): names and LSNs become what the library takes.
 * 3. engine_write(): one change, durable before its LSN is printed.
 * 4. engine_close(): all of it back; only the log's own failure can change the exit code.
 *
 * Failures: what cannot be opened is exit 3; a condition that does not hold, or a key that is
 * absent, is exit 1; a signal while the engine replays is exit 5.
 */
#include "cli/engine.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include "base/text.h"

#include <weir/append.h>
#include <weir/inspect.h>
#include <weir/maintain.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *engine_durability_name(enum weir_durability durability)
{
    return durability == WEIR_EACH ? "each" : durability == WEIR_GROUP ? "group" : "none";
}

struct weir_bytes engine_text(const char *text)
{
    return (struct weir_bytes){text, strlen(text)};
}

int engine_key(struct cli *cli, const char *text, struct weir_bytes *ret_key)
{
    *ret_key = engine_text(text);
    if (ret_key->size == 0 || ret_key->size > WEIR_KEY_BYTES_MAX) {
        return cli_fail(cli, WEIR_E_KEY, NULL, "KEY has %zu bytes", ret_key->size);
    }
    return -1;
}

int engine_progress(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
    progress_bar((const char *)context, done_bytes, all_bytes);
    return signals_interrupted() ? 1 : 0;
}

/* ---- opening and closing ---- */

int engine_open(struct engine *engine, struct cli *cli, const struct cli_common *common,
                uint32_t flags, const struct weir_engine_options *options)
{
    static char replaying[] = "replaying the log";
    struct weir_engine_options with_progress = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    *engine = (struct engine){.cli = cli};
    struct weir_log_options log_options;
    int exit_code = cli_check_path(cli);
    if (exit_code >= 0) {
        return exit_code;
    }
    cli_log_options(common, flags, &log_options);
    if (options != NULL) {
        with_progress = *options;
    }
    with_progress.progress = engine_progress;
    with_progress.progress_context = replaying;
    int rc = weir_engine_open_at(cli->path, &log_options, &with_progress, &engine->log,
                                 &engine->engine, &why);
    progress_clear();
    if (rc == -ECANCELED) {
        return cli_refuse(cli, CLI_INTERRUPTED, "interrupted while %s was replayed", cli->path);
    }
    if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot open %s", cli->path);
    }
    if (cli->verbose) {
        cli_note_report(cli, engine->log, flags);
    }
    return -1;
}

int engine_close(struct engine *engine, int exit_code)
{
    if (engine->reading) {
        weir_read_end(&engine->read);
    }
    int rc = weir_engine_close(engine->engine);
    if (rc < 0 && exit_code == CLI_OK) {
        exit_code =
            cli_fail(engine->cli, rc, NULL, "cannot close the engine of %s", engine->cli->path);
    }
    return engine->log != NULL ? cli_close(engine->cli, engine->log, exit_code) : exit_code;
}

static bool log_is_empty(struct weir_log *log)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    return weir_log_stat(log, &stat) == 0 && stat.latest == WEIR_LSN_NONE;
}

int engine_check_table(struct cli *cli, const char *name)
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_-.";
    size_t length = name != NULL ? strlen(name) : 0;
    if (length == 0 ||
        (length <= WEIR_TABLE_NAME_MAX && name[0] != '.' && strspn(name, characters) == length)) {
        return -1;
    }
    return cli_usage_error(cli,
                           "--table takes up to %d letters, digits, '_', '-' and '.', not "
                           "beginning with '.'",
                           WEIR_TABLE_NAME_MAX);
}

int engine_find_table(struct engine *engine, const char *name, bool create)
{
    struct cli *cli = engine->cli;
    int rc = name != NULL ? weir_table_open(engine->engine, name, create, &engine->table) : 0;
    if (rc == 0 || (rc == WEIR_E_NO_TABLE && log_is_empty(engine->log))) {
        return -1; /* nothing is in the default table of an empty log either */
    }
    int exit_code = rc == -EINVAL ? engine_check_table(cli, name) : -1;
    if (exit_code >= 0) {
        return exit_code;
    }
    return cli_fail(cli, rc, NULL, "cannot find the table '%s' of %s", name, cli->path);
}

int engine_read(struct engine *engine, const struct cli_number *as_of)
{
    struct weir_read_options options = WEIR_READ_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    bool past = as_of != NULL && as_of->given;
    if (past) {
        options.view = WEIR_VIEW_AS_OF;
        options.lsn = as_of->value;
    }
    int rc = weir_read_begin(engine->engine, &options, &engine->read);
    if (rc == 0) {
        engine->reading = true;
        return -1;
    }
    if (weir_engine_stat(engine->engine, &status) == 0 && rc == -EAGAIN) {
        snprintf(why.text, sizeof why.text, "there is no such record yet; the newest is %" PRIu64,
                 status.applied);
    } else if (rc == WEIR_E_HORIZON) {
        snprintf(why.text, sizeof why.text,
                 "history up to LSN %" PRIu64
                 " was dropped by compaction or lies behind a gap, the "
                 "state as of that LSN and later ones can be read",
                 status.horizon);
    }
    if (!past) {
        return cli_fail(engine->cli, rc, &why, "cannot read %s", engine->cli->path);
    }
    return cli_fail(engine->cli, rc, &why, "cannot read %s as of LSN %" PRIu64, engine->cli->path,
                    options.lsn);
}

int engine_open_to_read(struct engine *engine, struct cli *cli, const struct cli_common *common,
                        const char *table, const struct cli_number *as_of)
{
    int exit_code = engine_open(engine, cli, common, WEIR_LOG_READ_ONLY, NULL);
    if (exit_code < 0) {
        exit_code = engine_find_table(engine, table, false);
    }
    return exit_code < 0 ? engine_read(engine, as_of) : exit_code;
}

int engine_look_again(struct engine *engine, const struct cli_number *as_of)
{
    struct weir_error why = WEIR_ERROR_INIT;
    weir_read_end(&engine->read);
    engine->reading = false;
    int rc = weir_engine_refresh(engine->engine, NULL, &why);
    if (rc < 0) {
        return cli_fail(engine->cli, rc, &why, "cannot read %s, which was compacted meanwhile",
                        engine->cli->path);
    }
    return engine_read(engine, as_of);
}

/* ---- writing ---- */

void engine_note(const struct engine *engine, enum weir_durability durability, const char *format,
                 ...)
{
    char text[320];
    struct weir_open_report report = {.size = sizeof report};
    if (weir_log_report(engine->log, &report) < 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_note(engine->cli, "%s; medium %s, io %s, durability %s, durable: %s", text,
             report.medium.name, report.medium.io, engine_durability_name(durability),
             report.medium.durable ? "yes" : "no (memory)");
}

int engine_say_absent(struct engine *engine)
{
    struct weir_error why = WEIR_ERROR_INIT;
    snprintf(why.text, sizeof why.text, "the key is absent%s",
             engine->reading && engine->read.as_of != UINT64_MAX ? " in that state" : "");
    return cli_fail_no(engine->cli, -ENOENT, &why, "nothing found in %s", engine->cli->path);
}

/* Tells what is there instead of what was expected. */
static int say_conflict(struct engine *engine, const struct weir_write *write)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_row row;
    int rc = -ENOENT;
    if (weir_read_begin(engine->engine, NULL, &engine->read) ==
        0) { /* else nothing is told of it */
        engine->reading = true;
        rc = weir_get(&engine->read, engine->table, write->key, &row);
    }
    if (rc == 1 && write->expected == WEIR_LSN_NONE) {
        snprintf(why.text, sizeof why.text, "the key is there, its version is %" PRIu64, row.lsn);
    } else if (rc == 1) {
        snprintf(why.text, sizeof why.text, "the key's version is %" PRIu64 ", not %" PRIu64,
                 row.lsn, write->expected);
    } else if (rc == 0) {
        snprintf(why.text, sizeof why.text, "the key is absent, its version is not %" PRIu64,
                 write->expected);
    }
    return cli_fail_no(engine->cli, WEIR_E_CONFLICT, &why, "nothing was stored in %s",
                       engine->cli->path);
}

int engine_write(struct engine *engine, const struct weir_write *write,
                 enum weir_durability durability)
{
    struct cli *cli = engine->cli;
    weir_lsn lsn;
    int rc = weir_engine_write(engine->engine, write, durability, &lsn);
    if (rc == WEIR_E_CONFLICT) {
        return say_conflict(engine, write);
    }
    if (rc == -ENOENT) {
        return engine_say_absent(engine);
    }
    if (rc == 0 && durability != WEIR_EACH) {
        rc = weir_wait(engine->log, lsn, WEIR_WAIT_FOREVER);
    }
    if (rc < 0) {
        return cli_fail(cli, rc, NULL, "cannot change %s", cli->path);
    }
    struct json json;
    json_begin(&json, &cli->out);
    json_u64(&json, "lsn", lsn);
    json_end(&json);
    output_flush(&cli->out);
    engine_note(engine, durability, "LSN %" PRIu64, lsn);
    return CLI_OK;
}
