/*
 * A log with its engine and a host, and derived systems made of their definitions.
 *
 *     struct pipeline pipeline;
 *     struct derived derived = {0};
 *     int exit_code = pipeline_open(&pipeline, cli, &options->common);
 *     if (exit_code < 0)
 *         exit_code = pipeline_load(&pipeline, NAME, DEFINITION_INDEX, &derived);
 *     if (exit_code < 0)
 *         exit_code = pipeline_catch_up(&pipeline, &derived, &options->freshness);
 *     if (exit_code < 0)
 *         exit_code = show(...);                           // weir_index_query(pipeline.host, ...)
 *     return pipeline_close(&pipeline, &derived, exit_code);
 *
 * Each step returns -1 to go on, or the exit code of a failure that it has reported. The log is
 * opened read-only: everything here works beside a live writer.
 */
#ifndef CLI_DERIVED_H
#define CLI_DERIVED_H

#include "cli/definition.h"
#include "cli/engine.h"
#include "cli/fields.h"

#include <weir/host.h>

struct weir_index;
struct weir_materialized_view;
struct weir_text;

struct pipeline {
    struct engine engine;
    struct weir_host *host;
};

/* How new an answer has to be: up to date with the log, unless told otherwise. */
struct freshness {
    bool stale;                 /* as it was saved: do not look for changes */
    struct cli_number at_least; /* an LSN: not before it has got that far, */
    struct cli_number wait;     /* and not longer than this, in nanoseconds */
};

#define FRESHNESS_OPTIONS(type)                                                                    \
    {"stale",                                                                                      \
     CLI_FLAG,                                                                                     \
     0,                                                                                            \
     NULL,                                                                                         \
     "as it was saved: do not look for changes",                                                   \
     offsetof(type, freshness.stale)},                                                             \
        {"at-least",                                                                               \
         CLI_NUMBER,                                                                               \
         0,                                                                                        \
         "LSN",                                                                                    \
         "not before it has seen that record: exit 1",                                             \
         offsetof(type, freshness.at_least)},                                                      \
    {                                                                                              \
        "wait", CLI_DURATION, 0, "TIME", "how long to wait for that record (0)",                   \
            offsetof(type, freshness.wait)                                                         \
    }

struct derived {
    struct definition definition;
    struct weir_system_ops ops; /* of its kind; the version tells definitions apart, too */
    weir_table table;
    struct fields *fields;
    struct weir_index *index; /* one of the three */
    struct weir_materialized_view *view;
    struct weir_text *text;
};

/* 0; WEIR_E_NO_TABLE; -EINVAL (a path, a stemmer); -ENOMEM; with the detail. */
int derived_make(struct weir_engine *engine, const struct definition *definition,
                 struct derived *ret_derived, struct weir_error *why);
void derived_free(struct derived *derived);
const struct weir_system_ops *derived_ops(const struct derived *derived);
void *derived_self(const struct derived *derived);

/* weir_host_attach(), and -ENOENT when the definition was dropped, or made anew, since it was read:
 * nothing is left of it then. It stays where it is until it is detached. */
int derived_attach(struct weir_host *host, struct weir_log *log, const struct derived *derived,
                   bool unsaved, struct weir_error *why);

int pipeline_open(struct pipeline *pipeline, struct cli *cli, const struct cli_common *common);

/* @param derived  NULL, or what is freed behind the host */
int pipeline_close(struct pipeline *pipeline, struct derived *derived, int exit_code);

/* Finds the definition and makes the system. */
int pipeline_load(struct pipeline *pipeline, const char *name, enum definition_kind kind,
                  struct derived *ret_derived);

/* Attaches the system and applies what it has not seen; a little of that is not saved: the next one
 * does it again. */
int pipeline_catch_up(struct pipeline *pipeline, struct derived *derived,
                      const struct freshness *freshness);

/* On standard error: what rows it could not take something of. */
void derived_say_left_out(struct cli *cli, const struct derived *derived);

/* On standard error: fields that no document has had, of those that were looked at. */
void derived_say_never_met(struct cli *cli, const struct derived *derived);

/* Rows that it has something of. */
uint64_t derived_rows(const struct derived *derived);

/* Why there is no definition of that name; the exit code.
 * @param kind  "index", ...: what was looked for; NULL: any */
int pipeline_no_definition(struct pipeline *pipeline, const char *name, const char *kind, int rc,
                           struct weir_error *why);

/* How far a system is, and how it is. -1 to go on. */
int pipeline_status(struct pipeline *pipeline, const char *name,
                    struct weir_system_status *ret_status);

/* The failure of a call about a system, with what the system itself has to say. */
int pipeline_fail(struct pipeline *pipeline, const char *name, int code, struct weir_error *why,
                  const char *tried);

#endif
