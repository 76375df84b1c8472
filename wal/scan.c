/*
 * Scan: walking the groups of a segment, and noting what lies where. How its bytes come is
 * scan_read.c; what lies behind the end of a walk is scan_evidence.c.
 *
 * Happy path: header, place, body, callback, next; up to a seal.
 *
 * Failure modes: a group that is not valid in place, or cannot be read, ends the walk in front of
 * it.
 *
 * Invariants: nothing here asserts about bytes of the medium; no length is used before its checksum
 * was right; a group is handed out only when all of it lies in the buffer.
 */
#include "wal/scan.h"

#include "base/alloc.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

#define ENTRIES_MIN 1024u

/* ---- the walk ---- */

/* What only an epoch group says, in its body: that CRC has been checked. */
static enum group_fault check_epoch(const struct scan_group *group)
{
    const struct format_epoch *body =
        (const struct format_epoch *)(group->bytes + FORMAT_GROUP_HEADER_BYTES);
    uint64_t epoch = le64_load(&body->epoch);
    bool follows = epoch > group->chain->epoch && le64_load(&body->previous_epoch) < epoch &&
                   le32_load(&body->zero) == 0 && le64_load(&body->zero_too) == 0;
    return follows && (uint32_t)epoch == group->header.epoch ? GROUP_OK : GROUP_EPOCH;
}

/* Checks the group at walk->offset completely. 0, with walk->fault; or why it cannot be read. */
static int check_next(struct scan *scan, struct scan_walk *walk, struct scan_group *group)
{
    uint64_t address = scan->ordinal * scan->segment_bytes + walk->offset;
    walk->has_refused = false;
    walk->fault_record = 0;
    group->offset = walk->offset;
    group->chain = &walk->chain;
    if (walk->offset >= scan->segment_bytes) {
        walk->fault = GROUP_HEADER_CRC;
        return 0;
    }
    int rc = scan_bytes(scan, walk->offset, FORMAT_GROUP_HEADER_BYTES, &group->bytes);
    if (rc < 0) {
        return rc;
    }
    walk->fault = group_decode(group->bytes, address, walk->chain.seed, scan->uuid_seed,
                               scan->segment_bytes, &group->header);
    if (walk->fault == GROUP_OK) {
        walk->fault = group_check_place(&group->header, &walk->chain);
    }
    if (walk->fault != GROUP_OK) {
        return 0;
    }
    walk->refused = group->header;
    walk->has_refused = true;
    size_t padded = (size_t)format_align(group->header.size_bytes, scan->block_bytes);
    rc = scan_bytes(scan, walk->offset, padded, &group->bytes);
    if (rc < 0) {
        return rc;
    }
    walk->fault =
        group_check_body(group->bytes, &group->header, scan->block_bytes, &walk->fault_record);
    if (walk->fault == GROUP_OK && group->header.kind == FORMAT_GROUP_EPOCH) {
        walk->fault = check_epoch(group);
    }
    return 0;
}

static void pass(struct scan *scan, struct scan_walk *walk, const struct scan_group *group)
{
    group_chain_advance(&walk->chain, group->bytes, &group->header);
    walk->last_group_address = group->header.address;
    walk->groups++;
    walk->records += group->header.record_count;
    if (group->header.kind == FORMAT_GROUP_SEAL) {
        walk->seal_offset = walk->offset;
    }
    walk->offset += (uint32_t)format_align(group->header.size_bytes, scan->block_bytes);
}

int scan_walk(struct scan *scan, struct scan_walk *walk, scan_group_fn fn, void *context)
{
    for (;;) {
        struct scan_group group;
        int rc = check_next(scan, walk, &group);
        if (rc == WEIR_E_CUT_SHORT || rc == -EIO) {
            walk->end = SCAN_UNREADABLE;
            walk->error = rc;
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
        if (walk->fault != GROUP_OK) {
            walk->end = SCAN_INVALID;
            return 0;
        }
        walk->stop = fn(context, &group);
        if (walk->stop != 0) {
            walk->end = SCAN_STOPPED;
            return 0;
        }
        pass(scan, walk, &group);
        if (group.header.kind == FORMAT_GROUP_SEAL) {
            walk->end = SCAN_SEALED;
            return 0;
        }
    }
}

/* ---- what records lie where ---- */

static void *grow(void *old, size_t count, size_t capacity, size_t size)
{
    void *longer = base_alloc_array(capacity, size);
    if (longer != NULL && count > 0) {
        memcpy(longer, old, count * size);
    }
    if (longer != NULL) {
        base_free(old);
    }
    return longer;
}

static int reserve_entries(struct scan_directory *directory, uint64_t records, bool sparse)
{
    uint64_t needed = (directory->records + records) / FORMAT_DIRECTORY_STRIDE + 1;
    if (needed <= directory->capacity && (directory->lsns != NULL || !sparse)) {
        return 0;
    }
    uint64_t capacity = needed + directory->capacity + ENTRIES_MIN;
    void *entries =
        grow(directory->entries, directory->count, capacity, sizeof(struct format_directory_entry));
    if (entries == NULL) {
        return -ENOMEM;
    }
    directory->entries = entries;
    if (sparse || directory->lsns != NULL) {
        size_t lsns = directory->lsns != NULL ? directory->count : 0;
        void *longer = grow(directory->lsns, lsns, capacity, sizeof(struct le64));
        if (longer == NULL) {
            return -ENOMEM; /* the capacity is still the smaller one */
        }
        directory->lsns = longer;
    }
    directory->capacity = (uint32_t)capacity;
    return 0;
}

int scan_directory_add(struct scan_directory *directory, const struct scan_group *group)
{
    directory->groups++;
    if (group->header.kind != FORMAT_GROUP_DATA) {
        return 0;
    }
    bool sparse = group_is_sparse(&group->header);
    int rc = reserve_entries(directory, group->header.record_count, sparse);
    if (rc < 0) {
        return rc;
    }
    if (directory->records == 0) {
        directory->first_time_ns = group->header.time_ns;
        directory->first_lsn = group->header.first_lsn;
    }
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < group->header.record_count; i++) {
        const struct format_record *record = (const struct format_record *)(group->bytes + offset);
        uint32_t size = le32_load(&record->size);
        if (directory->records % FORMAT_DIRECTORY_STRIDE == 0) {
            struct format_directory_entry *entry = &directory->entries[directory->count];
            le32_store(&entry->record_offset, group->offset + offset);
            le32_store(&entry->group_offset, group->offset);
            if (sparse) {
                le64_store(&directory->lsns[directory->count],
                           group_record_lsn(&group->header, i, record));
            }
            directory->count++;
        }
        directory->records++;
        directory->payload_bytes += size - FORMAT_RECORD_HEADER_BYTES;
        offset += (uint32_t)format_align(size, FORMAT_RECORD_ALIGN);
    }
    return 0;
}

void scan_directory_clear(struct scan_directory *directory)
{
    *directory = (struct scan_directory){
        .entries = directory->entries,
        .lsns = directory->lsns,
        .capacity = directory->capacity,
    };
}

void scan_directory_free(struct scan_directory *directory)
{
    base_free(directory->entries);
    base_free(directory->lsns);
    *directory = (struct scan_directory){0};
}
