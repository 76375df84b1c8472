/*
 * A log with its engine, as the commands of the engine open it: for reading or for writing, with a
 * table and, where they read, a read section.
 *
 *     struct engine engine;
 *     int exit_code = engine_open(&engine, cli, &options->common, WEIR_LOG_READ_ONLY, NULL);
 *     if (exit_code < 0)
 *         exit_code = engine_find_table(&engine, options->table, false);
 *     if (exit_code < 0)
 *         exit_code = engine_read(&engine, &options->as_of);
 *     if (exit_code < 0)
 *         exit_code = show(&engine, ...);                   // weir_get(&engine.read, ...)
 *     return engine_close(&engine, exit_code);
 *
 * Each step returns -1 to go on, or the exit code of a failure that it has reported;
 * engine_close() takes back whatever was opened.
 *
 * A log without a record, which a creation that was interrupted leaves, has every table, and
 * nothing in it.
 */
#ifndef CLI_ENGINE_H
#define CLI_ENGINE_H

#include "cli/json.h"
#include "cli/options.h"

#include <weir/read.h>
#include <weir/write.h>

struct engine {
    struct cli *cli;
    struct weir_log *log;
    struct weir_engine *engine;
    weir_table table;
    struct weir_read read;
    bool reading; /* read is open */
};

/* A row of a command's table of options. */
#define ENGINE_TABLE_OPTION(type)                                                                  \
    {                                                                                              \
        "table", CLI_TEXT, 't', "T", "the table (the one without a name)", offsetof(type, table)   \
    }
#define ENGINE_AS_OF_OPTION(type)                                                                  \
    {                                                                                              \
        "as-of", CLI_NUMBER, 0, "LSN", "the state behind that record, inclusive",                  \
            offsetof(type, as_of)                                                                  \
    }

/* The words of --durability, and what they mean. */
#define ENGINE_DURABILITIES "each|group|none"
const char *engine_durability_name(enum weir_durability durability);

/* @param flags  WEIR_LOG_*; @param options  NULL, or more than the defaults; progress is shown and
 * signals are heeded in any case. */
int engine_open(struct engine *engine, struct cli *cli, const struct cli_common *common,
                uint32_t flags, const struct weir_engine_options *options);
int engine_close(struct engine *engine, int exit_code);

/* Can a table have that name? For those who make a log, before they do. -1 to go on. */
int engine_check_table(struct cli *cli, const char *name);

/* @param name  NULL is the default table */
int engine_find_table(struct engine *engine, const char *name, bool create);

/* Begins the section. @param as_of  NULL or not given: the newest */
int engine_read(struct engine *engine, const struct cli_number *as_of);

/* Opens read-only, finds the table, begins the section. */
int engine_open_to_read(struct engine *engine, struct cli *cli, const struct cli_common *common,
                        const char *table, const struct cli_number *as_of);

/* A writer's compaction has taken away what this reader's engine points to (WEIR_E_TRUNCATED): the
 * section is given back, the engine follows, the section begins anew. At most ENGINE_LOOKS times.
 */
#define ENGINE_LOOKS 8
int engine_look_again(struct engine *engine, const struct cli_number *as_of);

/* Stores one change, waits until it is durable, prints {"lsn":N}. Returns the exit code. */
int engine_write(struct engine *engine, const struct weir_write *write,
                 enum weir_durability durability);

/* "...; medium direct, io uring, durability each, durable: yes" on standard error. */
__attribute__((format(printf, 3, 4))) void engine_note(const struct engine *engine,
                                                       enum weir_durability durability,
                                                       const char *format, ...);

/* A key of the command line. Returns -1 to go on. */
int engine_key(struct cli *cli, const char *text, struct weir_bytes *ret_key);

struct weir_bytes engine_text(const char *text);

/* The key is absent: nothing on standard output but, with --json, the error object. CLI_NO. */
int engine_say_absent(struct engine *engine);

/* For weir_engine_options.progress and that of compaction; the context is what is done. */
int engine_progress(void *context, uint64_t done_bytes, uint64_t all_bytes);

#endif
