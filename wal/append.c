/*
 * Append: one record or a batch, from the caller's memory into the window.
 *
 * Happy path: measure, reserve, copy the payload with its CRC, announce it by storing its size with
 * release order, then do what the durability asks for: wait, start a commit, or nothing.
 *
 * A batch announces its first record last: whoever sees the first one sees them all.
 *
 * Failure modes: everything that can be refused is refused before the reservation, so that no range
 * is ever reserved that is not published.
 */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "wal/callback.h"
#include "wal/commit.h"
#include "wal/publish.h"
#include "wal/reservation.h"
#include "wal/write_through.h"

#include <errno.h>
#include <string.h>

/* With WEIR_NONE a group is written when it has this size. Of small records: large enough for one
 * submission to carry thousands, small enough to be sealed while it is still in the cache. Of large
 * ones the device is the limit, and takes more in larger writes (1 KiB records: 1.5 to 1.9 M/s). */
#define STREAM_GROUP_BYTES ((uint64_t)256 << 10)
#define STREAM_LARGE_GROUP_BYTES ((uint64_t)1 << 20)
#define STREAM_LARGE_RECORD_BYTES 512u
#define PREFETCH_AHEAD_BYTES 2048
#define PREFETCH_LEAST_BYTES 128
#define BATCH_RECORDS_MAX ((size_t)1 << 20)

int publish_check(const struct weir_log *log, enum weir_durability durability)
{
    int rc = log_check(log);
    if (rc < 0) {
        return rc;
    }
    if ((log->flags & WEIR_LOG_READ_ONLY) != 0) {
        return WEIR_E_READ_ONLY;
    }
    if (durability != WEIR_EACH && durability != WEIR_GROUP && durability != WEIR_NONE) {
        return -EINVAL;
    }
    return log_is_poisoned(log) ? WEIR_E_POISONED : 0;
}

int publish_check_append(const struct weir_log *log, enum weir_durability durability)
{
    int rc = publish_check(log, durability);
    return rc == 0 && callback_is_inside(log) ? -EDEADLK : rc;
}

int publish_measure(const struct weir_log *log, const struct weir_entry *entry,
                    uint64_t *ret_payload_bytes)
{
    uint64_t bytes = 0;
    if (entry->parts == NULL && entry->part_count != 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < entry->part_count; i++) {
        const struct weir_part *part = &entry->parts[i];
        if (part->data == NULL && part->size != 0) {
            return -EINVAL;
        }
        if (part->size > log->limits.record_bytes - bytes) {
            return WEIR_E_TOO_BIG;
        }
        bytes += part->size;
    }
    *ret_payload_bytes = bytes;
    return 0;
}

/* The types of Weir's own layers are not for callers. */
static int check_types(const struct weir_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].type >= WEIR_TYPE_RESERVED) {
            return -EINVAL;
        }
    }
    return 0;
}

/* How large a group may grow before it is written: 0 = until a commit takes it. */
static uint64_t close_bytes(const struct weir_log *log, enum weir_durability durability,
                            uint64_t record_bytes)
{
    if (durability != WEIR_NONE) {
        return 0;
    }
    uint64_t wanted =
        record_bytes < STREAM_LARGE_RECORD_BYTES ? STREAM_GROUP_BYTES : STREAM_LARGE_GROUP_BYTES;
    return log->limits.group_bytes < wanted ? log->limits.group_bytes : wanted;
}

/* A record that is being filled in. */
struct filling {
    struct weir_log *log;
    struct wal_segment *segment;
    uint8_t *memory; /* of its header */
    uint32_t offset; /* of it in the segment */
    uint8_t *target; /* where the payload goes on */
    uint32_t crc;    /* of the payload so far */
    bool large;      /* goes through the medium, which may have a better way than stores */
};

static void fill_part(struct filling *filling, const void *data, size_t size)
{
    if (filling->large) {
        uint32_t at = filling->offset + (uint32_t)(filling->target - filling->memory);
        filling->log->medium->ops->copy(filling->segment->window, at, data, size);
        filling->crc = base_crc32c(filling->crc, data, size);
    } else {
        filling->crc = base_crc32c_copy(filling->crc, filling->target, data, size);
    }
    filling->target += size;
}

/* Writes all of a record but its size. `number`: NULL, or the LSN that its payload begins with. */
static void fill(struct filling *filling, const struct weir_entry *entry, const struct le64 *number)
{
    struct format_record *record = (struct format_record *)filling->memory;
    filling->target = filling->memory + FORMAT_RECORD_HEADER_BYTES;
    filling->crc = 0;
    if (number != NULL) {
        fill_part(filling, number, sizeof *number);
    }
    for (size_t i = 0; i < entry->part_count; i++) {
        if (entry->parts[i].size > 0) {
            fill_part(filling, entry->parts[i].data, entry->parts[i].size);
        }
    }
    size_t pad = (size_t)(-(uintptr_t)filling->target & (FORMAT_RECORD_ALIGN - 1));
    memset(filling->target, 0, pad);
    le32_store(&record->crc, filling->crc);
    le16_store(&record->type, entry->type);
    le16_store(&record->flags, number != NULL ? FORMAT_RECORD_NUMBERED : 0);
    le32_store(&record->user, entry->user);
}

static void make_spare_if_wanted(struct weir_log *log, const struct reserve_place *place)
{
    if (__builtin_expect(place->spare_wanted, 0)) {
        (void)reserve_make_spare(log); /* the roll that needs it reports the error */
    }
}

int publish_finish(struct weir_log *log, const struct reserve_place *place, weir_lsn last_lsn,
                   enum weir_durability durability)
{
    make_spare_if_wanted(log, place);
    switch (durability) {
    case WEIR_EACH:
        return commit_wait(log, last_lsn, 0, WEIR_WAIT_FOREVER);
    case WEIR_GROUP:
        commit_kick(log, COMMIT_DURABLE);
        break;
    case WEIR_NONE:
        if (place->closed) {
            commit_kick(log, COMMIT_BACKGROUND);
        }
        break;
    default:
        WEIR_UNREACHABLE();
    }
    return 0;
}

/* A stream of appends misses the cache at every line of the window, and the locked instructions of
 * the next reservation wait for those misses: fetch what comes a few records later, as much as this
 * append takes. Measured without sync: 100 bytes 15.8 to 19.5 million a second; the copy of 1 KiB
 * 97 to 71 ns, as its lanes run ahead of what the processor guesses. Of more than that it sees
 * enough: 4 KiB would cost 430 ns instead of 370. */
static void prefetch_ahead(const struct weir_log *log, const uint8_t *memory, uint64_t bytes)
{
    bool small = bytes <= PREFETCH_AHEAD_BYTES && bytes < log->medium->info.copy_from_bytes;
    uint64_t end = small ? bytes : PREFETCH_LEAST_BYTES;
    for (uint64_t line = 0; line < end; line += BASE_CACHE_LINE) {
        __builtin_prefetch(memory + PREFETCH_AHEAD_BYTES + line, 1);
    }
}

/* All that does not depend on the place is done before it is known: behind the fence of the append
 * before there is time for it, and under the lock there is none. Results as of write_through(). */
static int append_through(struct weir_log *log, const struct weir_entry *entry,
                          const struct reserve_want *want, weir_lsn *ret_lsn)
{
    struct write_through_group group;
    uint8_t *memory = group.bytes + FORMAT_GROUP_HEADER_BYTES;
    struct format_record *record = (struct format_record *)memory;
    struct filling filling = {.log = log, .memory = memory};
    fill(&filling, entry, NULL);
    le32_store(&record->size, (uint32_t)(FORMAT_RECORD_HEADER_BYTES + want->payload_bytes));
    size_t size = FORMAT_GROUP_HEADER_BYTES + want->bytes;
    memset(group.bytes + size, 0, format_align(size, log->limits.block_bytes) - size);
    group.body_crc = base_crc32c_16(0, record);
    group.want = *want;
    group.now_ns = base_clock_monotonic_ns();
    struct reserve_place place;
    int rc = write_through(log, &group, &place);
    if (rc == 1) {
        if (ret_lsn != NULL) {
            *ret_lsn = place.lsn;
        }
        make_spare_if_wanted(log, &place);
    }
    return rc;
}

int weir_append(struct weir_log *log, const struct weir_entry *entry,
                enum weir_durability durability, weir_lsn *ret_lsn)
{
    if (log == NULL || entry == NULL) {
        return -EINVAL;
    }
    uint64_t payload_bytes = 0;
    int rc = publish_check_append(log, durability);
    if (rc == 0) {
        rc = check_types(entry, 1);
    }
    if (rc == 0) {
        rc = publish_measure(log, entry, &payload_bytes);
    }
    if (rc == 0 && durability == WEIR_EACH && reservation_is_mine(log, UINT64_MAX)) {
        rc = -EDEADLK;
    }
    if (rc < 0) {
        return rc;
    }
    struct reserve_want want = {.records = 1,
                                .bytes = format_record_stride(payload_bytes),
                                .payload_bytes = payload_bytes,
                                .close_bytes = close_bytes(log, durability, payload_bytes)};
    if (durability == WEIR_EACH && write_through_serves(log, want.bytes) &&
        append_through(log, entry, &want, ret_lsn) == 1) {
        return 0;
    }
    struct reserve_place place;
    rc = reserve(log, &want, &place);
    if (rc < 0) {
        return rc;
    }
    prefetch_ahead(log, place.memory, want.bytes);
    struct filling filling = {.log = log,
                              .segment = place.segment,
                              .memory = place.memory,
                              .offset = place.offset,
                              .large = payload_bytes >= log->medium->info.copy_from_bytes};
    fill(&filling, entry, NULL);
    publish_announce((struct format_record *)place.memory,
                     (uint32_t)(FORMAT_RECORD_HEADER_BYTES + payload_bytes));
    if (ret_lsn != NULL) {
        *ret_lsn = place.lsn;
    }
    return publish_finish(log, &place, place.lsn, durability);
}

/* ---- batches ---- */

static int measure_batch(const struct weir_log *log, const struct publish_batch *batch,
                         uint64_t *ret_bytes, uint64_t *ret_payload_bytes)
{
    uint64_t bytes = 0, payload_bytes = 0;
    uint64_t most = log->limits.group_bytes - FORMAT_GROUP_HEADER_BYTES;
    for (size_t i = 0; i < batch->count; i++) {
        uint64_t one;
        int rc = publish_measure(log, &batch->entries[i], &one);
        if (rc < 0) {
            return rc;
        }
        one += batch->numbered ? FORMAT_RECORD_NUMBER_BYTES : 0;
        bytes += format_record_stride(one);
        payload_bytes += one;
        if (one > log->limits.record_bytes || bytes > most) {
            return WEIR_E_TOO_BIG;
        }
    }
    *ret_bytes = bytes;
    *ret_payload_bytes = payload_bytes;
    return 0;
}

/* Fills in record `index` of a batch at `memory` and returns its size. */
static uint32_t fill_one(struct weir_log *log, const struct reserve_place *place,
                         const struct publish_batch *batch, size_t index, uint8_t *memory)
{
    struct filling filling = {.log = log,
                              .segment = place->segment,
                              .memory = memory,
                              .offset = place->offset + (uint32_t)(memory - place->memory)};
    weir_lsn lsn = place->lsn + index;
    if (batch->stamp != NULL) {
        batch->stamp(batch->context, index, lsn, log_address(log, place->segment, filling.offset));
    }
    uint64_t payload_bytes;
    int rc = publish_measure(log, &batch->entries[index], &payload_bytes);
    WEIR_ASSERT(rc == 0);
    payload_bytes += batch->numbered ? FORMAT_RECORD_NUMBER_BYTES : 0;
    filling.large = payload_bytes >= log->medium->info.copy_from_bytes;
    struct le64 number;
    le64_store(&number, lsn);
    fill(&filling, &batch->entries[index], batch->numbered ? &number : NULL);
    return (uint32_t)(FORMAT_RECORD_HEADER_BYTES + payload_bytes);
}

static void fill_batch(struct weir_log *log, const struct reserve_place *place,
                       const struct publish_batch *batch)
{
    uint8_t *memory = place->memory;
    uint32_t first_size = 0;
    for (size_t i = 0; i < batch->count; i++) {
        uint32_t size = fill_one(log, place, batch, i, memory);
        if (i == 0) {
            first_size = size;
        } else {
            publish_announce((struct format_record *)memory, size);
        }
        memory += format_align(size, FORMAT_RECORD_ALIGN);
    }
    publish_announce((struct format_record *)place->memory, first_size);
}

int publish_batch(struct weir_log *log, const struct publish_batch *batch,
                  enum weir_durability durability, weir_lsn *ret_first_lsn)
{
    if (batch->entries == NULL || batch->count == 0 || batch->count > BATCH_RECORDS_MAX) {
        return -EINVAL;
    }
    uint64_t bytes = 0, payload_bytes = 0;
    int rc = publish_check_append(log, durability);
    if (rc == 0) {
        rc = measure_batch(log, batch, &bytes, &payload_bytes);
    }
    if (rc == 0 && durability == WEIR_EACH && reservation_is_mine(log, UINT64_MAX)) {
        rc = -EDEADLK;
    }
    if (rc < 0) {
        return rc;
    }
    struct reserve_want want = {.records = (uint32_t)batch->count,
                                .bytes = bytes,
                                .payload_bytes = payload_bytes,
                                .close_bytes =
                                    close_bytes(log, durability, payload_bytes / batch->count)};
    struct reserve_place place;
    rc = reserve(log, &want, &place);
    if (rc < 0) {
        return rc;
    }
    prefetch_ahead(log, place.memory, bytes);
    fill_batch(log, &place, batch);
    if (ret_first_lsn != NULL) {
        *ret_first_lsn = place.lsn;
    }
    if (batch->waits_later && durability == WEIR_EACH) {
        durability = WEIR_NONE; /* no group was closed for it */
        place.closed = false;
    }
    return publish_finish(log, &place, place.lsn + batch->count - 1, durability);
}

int weir_append_batch(struct weir_log *log, const struct weir_entry *entries, size_t entry_count,
                      enum weir_durability durability, weir_lsn *ret_first_lsn)
{
    if (log == NULL || entries == NULL || check_types(entries, entry_count) < 0) {
        return -EINVAL;
    }
    struct publish_batch batch = {.entries = entries, .count = entry_count};
    return publish_batch(log, &batch, durability, ret_first_lsn);
}
