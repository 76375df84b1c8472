/*
 * From an address to the row that lies there, inline: what gets and scans do for each row.
 */
#ifndef ENGINE_PLACE_ROW_H
#define ENGINE_PLACE_ROW_H

#include "engine/place.h"
#include "wal/address_read.h"

/* The row at an offset of a segment, for views that show the newest: 1; 0 (a delete: the key
 * alone); errors. */
__attribute__((always_inline)) static inline int place_row_from(struct engine_places *places,
                                                                struct wal_segment *segment,
                                                                uint64_t offset,
                                                                struct weir_row *ret_row)
{
    struct weir_record record;
    uint64_t bytes = UINT64_C(1) << place_shift(places);
    int rc = wal_address_read_at(places->log, segment, bytes, offset, &record);
    if (__builtin_expect(rc != 0, 0)) {
        return rc;
    }
    return __builtin_expect(record.type == WEIR_TYPE_CHANGE, 1) ? record_read_row(&record, ret_row)
                                                                : WEIR_E_DAMAGED;
}

/* The same at an address, whose slot it is. */
__attribute__((always_inline)) static inline int place_row_in(struct engine_places *places,
                                                              struct place_slot *slot,
                                                              uint64_t address,
                                                              struct weir_row *ret_row)
{
    struct wal_segment *segment;
    int rc = place_segment_in(places, slot, address, &segment);
    if (__builtin_expect(rc != 0, 0)) {
        return rc;
    }
    uint64_t within = (UINT64_C(1) << place_shift(places)) - 1;
    return place_row_from(places, segment, address & within, ret_row);
}

/* The record of a change at an offset of a slot's segment, where nothing is unusual: the segment is
 * known, and checked up to there, and the change has `least` bytes or more. False: place_row_in()
 * tells what it is. */
__attribute__((always_inline)) static inline bool place_change_in(const struct place_slot *slot,
                                                                  uint64_t offset, uint32_t least,
                                                                  struct weir_record *ret_record)
{
    /* Acquire pairs with the release in place_pin(): the base is there, and stays the same. */
    const struct wal_segment *segment = atomic_load_explicit(&slot->segment, memory_order_acquire);
    if (__builtin_expect(segment == NULL, 0)) {
        return false;
    }
    const uint8_t *base = atomic_load_explicit(&slot->base, memory_order_relaxed);
    return wal_address_read_plain(segment, base, offset, WEIR_TYPE_CHANGE, least, ret_record);
}

/* The row of a key of 1 to RECORD_KEY_INLINE bytes at a leaf, as place_row_in(), where nothing is
 * unusual: the segment known and checked, and a change of this very key there, no delete. False:
 * place_row_in() tells what it is. */
__attribute__((always_inline)) static inline bool place_row_of(struct engine_places *places,
                                                               uint64_t leaf, struct weir_bytes key,
                                                               struct weir_row *ret_row)
{
    uint64_t index = place_index((leaf >> place_shift(places)) & ~(uint64_t)PLACE_SPARE);
    struct weir_record record;
    return __builtin_expect(index < 2 * PLACE_SLOTS, 1) &&
           place_change_in(&places->table->slots[index], place_offset(places, leaf),
                           record_least(key.size), &record) &&
           record_read_row_of(&record, key, ret_row);
}

/* The same at a shortcut's spot. */
__attribute__((always_inline)) static inline bool place_row_near(struct engine_places *places,
                                                                 uint32_t spot,
                                                                 struct weir_bytes key,
                                                                 struct weir_row *ret_row)
{
    struct weir_record record;
    return place_change_in(place_near(places, spot), place_near_offset(places, spot),
                           record_least(key.size), &record) &&
           record_read_row_of(&record, key, ret_row);
}

#endif
