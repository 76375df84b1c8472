/*
 * Fetching single records by their addresses, many at a time, from sealed segments that nobody has
 * made readable: a few records of each of many segments cost a look at all their pages, or the
 * reading of all their bytes, where they are pinned instead.
 *
 *     wal_address_fetch_open(log, NULL, &fetch);
 *     wal_address_fetch_begin(fetch, address);     // up to WAL_ADDRESS_FETCHES of them
 *     if (wal_address_fetch_take(fetch, address, &record)) {
 *         use(record);                             // lent until wal_address_fetch_clear()
 *     } else {
 *         wal_address_read(...);                   // says what is wrong, if anything is
 *     }
 *     wal_address_fetch_clear(fetch);
 *     wal_address_fetch_close(fetch);
 *
 * For a writer's handle: beside another process that writes, a segment may be gone, and its file
 * something else. Threads: one for each, of any number that share their files.
 */
#ifndef WAL_ADDRESS_FETCH_H
#define WAL_ADDRESS_FETCH_H

#include "wal/address.h"

#define WAL_ADDRESS_FETCHES 256u

struct wal_address_fetch;

/* beside: NULL, or another one of this log, whose files it uses: together they open what one would.
 * 0; -ENOMEM. */
int wal_address_fetch_open(struct weir_log *log, struct wal_address_fetch *beside,
                           struct wal_address_fetch **ret_fetch);

/* Waits for what was begun. NULL is allowed. Before the one that it was opened beside. */
void wal_address_fetch_close(struct wal_address_fetch *fetch);

/* Starts to fetch a record, unless its segment is readable, or it was begun before, or too many
 * were. */
void wal_address_fetch_begin(struct wal_address_fetch *fetch, uint64_t address);

/* False: it was not begun, cannot be read this way, or is no whole record with an LSN of its
 * segment. */
bool wal_address_fetch_take(struct wal_address_fetch *fetch, uint64_t address,
                            struct weir_record *ret_record);

/* How many reads so far were begun and had to be waited for: what the page cache had was not, nor
 * what a medium reads that begins none. */
uint64_t wal_address_fetch_asked(const struct wal_address_fetch *fetch);

/* Forgets all records; what was lent is gone. */
void wal_address_fetch_clear(struct wal_address_fetch *fetch);

#endif
