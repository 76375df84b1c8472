/*
 * Places: from an address to the record that lies there. Segments that somebody has looked into
 * stay pinned until the log has dropped them and no section is open that may come by.
 */
#ifndef ENGINE_PLACE_H
#define ENGINE_PLACE_H

#include "engine/epoch.h"
#include "engine/index.h"
#include "engine/record.h"
#include "wal/address.h"

struct weir_engine;
struct engine_table;

#define PLACE_CHUNK_SLOTS 1024u
#define PLACE_CHUNKS 8192u

struct place_chunk {
    _Atomic(struct wal_segment *) slots[PLACE_CHUNK_SLOTS];
    bool leaving[PLACE_CHUNK_SLOTS]; /* under places.lock */
};

/* A segment that is let go of. */
struct place_leaving {
    struct epoch_retired retired;
    struct wal_segment *segment;
    struct place_chunk *chunk;
    uint32_t index;
};

struct engine_places {
    struct base_lock lock; /* pinning */
    struct epoch_bag bag;  /* of struct place_leaving, */
    struct epoch_bag gone; /* and of those whose slot is empty */
    struct weir_log *log;
    /* By ordinal: ordinary segments, and compacted ones. */
    _Atomic(struct place_chunk *) chunks[2][PLACE_CHUNKS];
};

void place_init(struct weir_engine *engine);

/* The segment of an address, kept readable: 0; errors of mapping it. In an epoch section, or before
 * anybody else has the engine. */
int place_segment(struct weir_engine *engine, uint64_t address, struct wal_segment **ret_segment);

/* Reads the record at an address that the index or a link gave. */
int place_read(struct weir_engine *engine, uint64_t address, struct weir_record *ret_record);
int place_version(struct weir_engine *engine, uint64_t address, struct engine_version *ret_version);

/* The newest version of a key: 1, a delete too; 0 (it never was, or was compacted away); errors of
 * reading. */
int place_find(struct weir_engine *engine, struct engine_table *table, struct weir_bytes key,
               struct engine_version *ret_version);

/* The row at an address, for views that show the newest: 1; 0 (a delete: the key alone); errors. */
int place_row(struct weir_engine *engine, uint64_t address, struct weir_row *ret_row);

/* Asks for the lines of a record that will be read soon. */
void place_prefetch(struct weir_engine *engine, uint64_t address);

/* Lets go of segments that the log has dropped, each when no section that could look into it is
 * open any more. No key points into one. Never waits: call it again. */
void place_let_go(struct weir_engine *engine);

/* Frees what no section can see any more. */
void place_reclaim(struct weir_engine *engine);
void place_drop_all(struct weir_engine *engine);

/* For struct index_source. */
int place_load_key(void *context, uint64_t address, struct index_key *ret_key);
void place_prefetch_key(void *context, uint64_t address);

#endif
