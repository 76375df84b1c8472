/*
 * Publish: the steps between a reserved range and a record that the commit leader may take.
 */
#ifndef WAL_PUBLISH_H
#define WAL_PUBLISH_H

#include "wal/reserve.h"

/* Refuses what no append may do: fork, read-only, poisoned, a wrong durability. 0 or the error. */
int publish_check(const struct weir_log *log, enum weir_durability durability);

/* The same for what takes LSNs: also -EDEADLK, inside a callback that this log feeds. */
int publish_check_append(const struct weir_log *log, enum weir_durability durability);

/* Payload bytes of an entry; WEIR_E_TOO_BIG, -EINVAL. */
int publish_measure(const struct weir_log *log, const struct weir_entry *entry,
                    uint64_t *ret_payload_bytes);

/* Records that are stored together. */
struct publish_batch {
    const struct weir_entry *entries;
    size_t count;
    bool waits_later; /* with WEIR_EACH: the caller waits, when it has let go of its own locks */
    bool numbered;    /* each payload is preceded by its record's LSN (docs/FORMAT.md, 6) */
    /* NULL, or called before record `index` is copied: its bytes may still be changed. */
    void (*stamp)(void *context, size_t index, weir_lsn lsn, uint64_t address);
    void *context;
};

/* weir_append_batch(), for any type of record. Nothing was appended and stamp() was not called when
 * it fails before a flush does. */
int publish_batch(struct weir_log *log, const struct publish_batch *batch,
                  enum weir_durability durability, weir_lsn *ret_first_lsn);

/* Achieves what was asked for, for a record that is published. */
int publish_finish(struct weir_log *log, const struct reserve_place *place, weir_lsn last_lsn,
                   enum weir_durability durability);

/* A published record announces itself by its size, stored last, with release order. */
static inline void publish_announce(struct format_record *record, uint32_t size)
{
    /* Release pairs with the acquire of the leader (seal.c) and of published cursors. The word is
     * aligned to 8 and little-endian on every machine that this is built for. */
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "size is stored as it lies");
    atomic_store_explicit((_Atomic uint32_t *)(void *)&record->size, size, memory_order_release);
}

#endif
