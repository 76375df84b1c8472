/*
 * Applying records of the log one by one, for those who have them: engine/replay.c.
 */
#ifndef ENGINE_FOLLOW_H
#define ENGINE_FOLLOW_H

#include "engine/engine.h"

struct wal_address_fetch;

/* The version at an address: fetched, where that was begun, or read where it lies. fetch may be
 * NULL. As place_version(). */
int follow_version_at(struct weir_engine *engine, struct wal_address_fetch *fetch, uint64_t address,
                      struct engine_version *ret_version);

/* Where the version before lay when the record was written; 0: the record does not tell. */
uint64_t follow_address_before(const struct weir_engine *engine,
                               const struct engine_version *version);

/* As follow_apply(), with records that were fetched. Other threads may apply changes of other keys
 * meanwhile, and the same tables. */
int follow_apply_fetched(struct weir_engine *engine, struct wal_address_fetch *fetch,
                         const struct weir_record *record, uint64_t address);

#endif
