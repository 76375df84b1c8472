/*
 * The part of stat about the engine: tables, keys, checkpoint.
 */
#ifndef CLI_STAT_ENGINE_H
#define CLI_STAT_ENGINE_H

#include "cli/engine.h"

#include <weir/maintain.h>

struct stat_engine {
    struct weir_engine *engine;
    struct weir_engine_status status;
    struct weir_engine_open_report open;
};

/* Whether the log has tables: then it is held for them. Reads no record. Returns 0 or an error. */
int stat_has_tables(struct weir_log *log, bool *ret_has_tables);

/* Opens the engine of a log that is open read-only, which replays what no checkpoint covers.
 * Returns -1 to go on, else the exit code. */
int stat_engine_open(struct cli *cli, struct weir_log *log, struct stat_engine *engine);
void stat_engine_close(struct stat_engine *engine);

/* Return 0 or a negative error. */
int stat_engine_to_json(struct json *json, const struct stat_engine *engine);
int stat_engine_print(struct cli *cli, const struct stat_engine *engine);

#endif
