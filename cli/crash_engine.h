/*
 * Crash runs of the storage engine: writers put instead of appending, and behind each crash an
 * engine is opened over the log, asked for every version of every key, and compared with one that
 * is rebuilt without a checkpoint.
 */
#ifndef CLI_CRASH_ENGINE_H
#define CLI_CRASH_ENGINE_H

#include "cli/crash_referee.h"

#include <weir/engine.h>

/* Writers share this many keys, so that most puts are updates and many meet. */
#define CRASH_KEYS 4096u
#define CRASH_KEY_BYTES 9u /* "key-01234" */

/* What opening an engine over the recovered log has shown. */
struct crash_engine {
    struct weir_engine_open_report opened;  /* by a checkpoint, where there was one */
    struct weir_engine_open_report rebuilt; /* from the log alone */
    uint64_t keys;
    uint64_t versions; /* of all of them */
    bool same;         /* the two have the same fingerprint */
    uint8_t fingerprint[16];
};

/* The key of the record of this origin. */
void crash_engine_key(struct crash_origin origin, uint8_t ret_key[CRASH_KEY_BYTES]);

/* Options for engines that make checkpoints only when they are told. */
struct weir_engine_options crash_engine_options(uint32_t flags);

/*
 * Opens the engine, judges it, opens it again without a checkpoint. The referee has judged the log
 * before; what the engine lacks is added to the verdict.
 * @param stop  NULL, or asked now and then whether to give up
 * Returns 0, -EINTR when stopped, or an error with its detail in `why`.
 */
int crash_engine_judge(struct crash_referee *referee, struct weir_log *log, bool (*stop)(void),
                       struct crash_verdict *verdict, struct crash_engine *ret_engine,
                       struct weir_error *why);

/* The phases of opening an engine, as reports name them. */
struct crash_engine_phase {
    const char *name; /* "walk" */
    const char *json; /* "walk_s" */
    size_t offset;    /* of a double in struct weir_engine_open_report */
};

extern const struct crash_engine_phase crash_engine_phases[]; /* NULL ends it; the last: total */

double crash_engine_seconds(const struct crash_engine_phase *phase,
                            const struct weir_engine_open_report *report);

#endif
