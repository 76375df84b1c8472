/*
 * Helper verbs for tests of the host: a store in memory (tests/engine/store.h), a host on it, and
 * ledgers attached to it.
 */
#ifndef TESTS_DERIVED_SCENE_H
#define TESTS_DERIVED_SCENE_H

#include "tests/derived/ledger.h"
#include "tests/engine/store.h"

#define SCENE_TEXT 2000

struct scene {
    struct store store;
    struct weir_host *host;
};

void scene_open(struct scene *scene);
void scene_close(struct scene *scene);
/* Closes the host, asserting success; the store stays. */
void scene_close_host(struct scene *scene);
void scene_open_host(struct scene *scene);
/* The host, the engine and the log, one after the other, and again. */
void scene_reopen(struct scene *scene);
/* What a power cut leaves of what is durable now; host, engine and log go on, for closing. The
 * image becomes the store. */
void scene_crash(struct scene *scene);
/* The same in two steps, to cut at one moment and go on there later. */
struct weir_medium *scene_cut(struct scene *scene);
void scene_go_on_with(struct scene *scene, struct weir_medium *image);

/* Attaches a ledger. Asserts rc. */
void scene_attach(struct scene *scene, const char *name, struct ledger *ledger);
int scene_try_attach(struct scene *scene, const char *name, struct ledger *ledger,
                     enum weir_start start, weir_lsn lsn);
/* Frees a ledger, at the end of a test; all are detached first. */
void scene_free(struct scene *scene, struct ledger *ledger);

/* Commits, then flushes: the number of events applied to `name` (NULL: to all). */
uint64_t scene_flush(struct scene *scene, const char *name);

/* So many puts of 50 keys that overwrite each other, enough for several segments; settled. */
weir_lsn scene_churn(struct scene *scene, unsigned count, char mark);

/* "a=1 b=2"; nothing wrong was seen. */
void expect_ledger(const struct ledger *ledger, const char *text);
struct weir_system_status scene_status(struct scene *scene, const char *name);
/* Floor of the hold of that name; 0: there is none. */
weir_lsn scene_hold(struct scene *scene, const char *name);
/* Compacts as far as holds allow; returns the horizon. */
weir_lsn scene_compact(struct scene *scene);
/* Its rows are those of the engine as of an LSN, versions included; it has seen all tables. False:
 * ret_why says what is not. */
bool scene_matches(struct weir_engine *engine, const struct ledger *ledger, weir_lsn lsn,
                   char *ret_why, size_t size);
/* Rebuilt equals live. */
void expect_verified(struct scene *scene, const char *name);

#endif
