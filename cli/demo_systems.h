/*
 * The derived systems of the demo, with the log and the engine that they are derived from.
 */
#ifndef CLI_DEMO_SYSTEMS_H
#define CLI_DEMO_SYSTEMS_H

#include "cli/demo.h"
#include "cli/derived.h"

#include <weir/engine.h>
#include <weir/host.h>

struct demo_systems {
    struct weir_log *log;
    struct weir_engine *engine;
    struct weir_host *host;
    struct derived system[DEMO_SYSTEMS];
    double log_s, engine_s, attach_s; /* how long opening each took */
};

/* It stays where it is until it is closed. Opens LOG, its engine and a host with an index, a view
 * and a full text. 0 or a negative error; what was opened is closed again. @param flags WEIR_LOG_*;
 * with WEIR_LOG_CREATE the definitions are stored, so that `weir query` finds them in a log that is
 * kept */
int demo_systems_open(struct demo *demo, const char *path, uint32_t flags,
                      struct demo_systems *systems, struct weir_error *why);
int demo_systems_close(struct demo_systems *systems);

/* Of the engine, then of each system. */
int demo_systems_fingerprints(struct demo_systems *systems,
                              uint8_t ret_fingerprints[DEMO_SYSTEMS + 1][16]);

#endif
