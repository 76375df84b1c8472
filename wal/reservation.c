/*
 * Reserve, publish, cancel: records that the caller writes in place.
 *
 * Happy path: take a slot of the table, reserve, lend the payload's memory; publish checksums what
 * the caller wrote and announces it; cancel fills it with zeros and announces a VOID record.
 *
 * Failure modes: no free slot (WEIR_E_BUSY); a slot that is not open (-EINVAL).
 *
 * Invariant: a slot is taken before its range is reserved and given back after it is announced, so
 * that every reserved range has a slot, or is being announced by a running append.
 */
#include "wal/reservation.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "wal/commit.h"
#include "wal/publish.h"

#include <errno.h>
#include <string.h>

/* Its address tells threads apart. */
static _Thread_local char thread_mark;

static uint64_t this_thread(void)
{
    return (uint64_t)(uintptr_t)&thread_mark;
}

bool reservation_is_mine(struct weir_log *log, weir_lsn lsn)
{
    struct wal_reservations *table = &log->reservations;
    /* Only this thread's own slots matter, and those it has seen itself. */
    if (__builtin_expect(atomic_load_explicit(&table->open, memory_order_relaxed) == 0, 1)) {
        return false;
    }
    bool mine = false;
    base_lock_acquire(&table->lock);
    for (unsigned i = 0; i < WAL_RESERVATIONS; i++) {
        const struct wal_reservation *slot = &table->slots[i];
        mine = mine || (slot->lsn != 0 && slot->lsn <= lsn && slot->thread == this_thread());
    }
    base_lock_release(&table->lock);
    return mine;
}

bool reservation_oldest(struct weir_log *log, weir_lsn *ret_lsn, uint64_t *ret_since_ns)
{
    struct wal_reservations *table = &log->reservations;
    const struct wal_reservation *oldest = NULL;
    base_lock_acquire(&table->lock);
    for (unsigned i = 0; i < WAL_RESERVATIONS; i++) {
        const struct wal_reservation *slot = &table->slots[i];
        bool open = slot->lsn != 0 && slot->segment != NULL;
        if (open && (oldest == NULL || slot->lsn < oldest->lsn)) {
            oldest = slot;
        }
    }
    if (oldest != NULL) {
        *ret_lsn = oldest->lsn;
        *ret_since_ns = oldest->since_ns;
    }
    base_lock_release(&table->lock);
    return oldest != NULL;
}

/* Marks a free slot as taken, with no LSN that anybody waits for yet. */
static int take_slot(struct weir_log *log)
{
    struct wal_reservations *table = &log->reservations;
    int found = WEIR_E_BUSY;
    base_lock_acquire(&table->lock);
    for (unsigned i = 0; i < WAL_RESERVATIONS && found < 0; i++) {
        if (table->slots[i].lsn == 0) {
            table->slots[i].lsn = UINT64_MAX;
            found = (int)i;
        }
    }
    base_lock_release(&table->lock);
    return found;
}

static void free_slot(struct weir_log *log, uint32_t index)
{
    base_lock_acquire(&log->reservations.lock);
    log->reservations.slots[index] = (struct wal_reservation){0};
    base_lock_release(&log->reservations.lock);
}

static void open_slot(struct weir_log *log, uint32_t index, const struct reserve_place *place,
                      uint16_t type, uint32_t size)
{
    base_lock_acquire(&log->reservations.lock);
    log->reservations.slots[index] = (struct wal_reservation){
        .lsn = place->lsn,
        .since_ns = base_clock_monotonic_ns(),
        .thread = this_thread(),
        .segment = place->segment,
        .group = place->group,
        .offset = place->offset,
        .size = size,
        .type = type,
    };
    atomic_fetch_add_explicit(&log->reservations.open, 1, memory_order_relaxed);
    base_lock_release(&log->reservations.lock);
}

int weir_reserve(struct weir_log *log, uint16_t type, size_t size,
                 struct weir_reservation *ret_reservation)
{
    if (log == NULL || ret_reservation == NULL || type >= WEIR_TYPE_RESERVED) {
        return -EINVAL;
    }
    int rc = publish_check_append(log, WEIR_NONE);
    if (rc < 0) {
        return rc;
    }
    if (size > log->limits.record_bytes) {
        return WEIR_E_TOO_BIG;
    }
    int slot = take_slot(log);
    if (slot < 0) {
        return slot;
    }
    struct reserve_want want = {
        .records = 1, .bytes = format_record_stride(size), .payload_bytes = size, .in_place = true};
    struct reserve_place place;
    rc = reserve(log, &want, &place);
    if (rc < 0) {
        free_slot(log, (uint32_t)slot);
        return rc;
    }
    open_slot(log, (uint32_t)slot, &place, type, (uint32_t)size);
    *ret_reservation = (struct weir_reservation){
        .data = place.memory + FORMAT_RECORD_HEADER_BYTES,
        .size = (uint32_t)size,
        .slot = (uint32_t)slot,
        .lsn = place.lsn,
    };
    if (place.spare_wanted) {
        (void)reserve_make_spare(log);
    }
    return 0;
}

/* Copies the slot if it is the one that the reservation names. */
static int look_up(struct weir_log *log, const struct weir_reservation *reservation,
                   struct wal_reservation *ret_slot)
{
    if (log == NULL || reservation == NULL || reservation->slot >= WAL_RESERVATIONS) {
        return -EINVAL;
    }
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    base_lock_acquire(&log->reservations.lock);
    struct wal_reservation *slot = &log->reservations.slots[reservation->slot];
    bool open = slot->segment != NULL && slot->lsn == reservation->lsn;
    if (open) {
        *ret_slot = *slot;
        slot->segment = NULL; /* nobody else can publish it now */
    }
    base_lock_release(&log->reservations.lock);
    return open ? 0 : -EINVAL;
}

static void announce(struct weir_log *log, const struct wal_reservation *slot, uint16_t flags)
{
    uint8_t *memory = slot->segment->window->base + slot->offset;
    uint8_t *payload = memory + FORMAT_RECORD_HEADER_BYTES;
    struct format_record *record = (struct format_record *)memory;
    uint64_t stride = format_record_stride(slot->size);
    memset(payload + slot->size, 0, stride - FORMAT_RECORD_HEADER_BYTES - slot->size);
    le32_store(&record->crc, base_crc32c(0, payload, slot->size));
    le16_store(&record->type, slot->type);
    le16_store(&record->flags, flags);
    le32_store(&record->user, 0);
    publish_announce(record, FORMAT_RECORD_HEADER_BYTES + slot->size);
    commit_published(log, slot->group);
}

static void close_slot(struct weir_log *log, struct weir_reservation *reservation)
{
    free_slot(log, reservation->slot);
    atomic_fetch_sub_explicit(&log->reservations.open, 1, memory_order_relaxed);
    reservation->data = NULL;
    reservation->slot = WAL_RESERVATIONS;
}

int weir_publish(struct weir_log *log, struct weir_reservation *reservation,
                 enum weir_durability durability)
{
    struct wal_reservation slot;
    int rc = look_up(log, reservation, &slot);
    if (rc < 0) {
        return rc;
    }
    announce(log, &slot, 0);
    close_slot(log, reservation);
    rc = publish_check(log, durability);
    if (rc < 0) {
        return rc;
    }
    if (durability == WEIR_EACH && reservation_is_mine(log, slot.lsn)) {
        return -EDEADLK;
    }
    struct reserve_place place = {.lsn = slot.lsn, .closed = true};
    return publish_finish(log, &place, slot.lsn, durability);
}

int weir_cancel(struct weir_log *log, struct weir_reservation *reservation)
{
    struct wal_reservation slot;
    int rc = look_up(log, reservation, &slot);
    if (rc < 0) {
        return rc;
    }
    uint8_t *payload = slot.segment->window->base + slot.offset + FORMAT_RECORD_HEADER_BYTES;
    memset(payload, 0, slot.size);
    announce(log, &slot, WEIR_RECORD_VOID);
    close_slot(log, reservation);
    return 0;
}
