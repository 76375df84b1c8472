/*
 * Scan: reading a segment in pieces, walking its groups, and looking for evidence behind the end.
 *
 * Happy path: a piece of a few MiB is read; groups are checked where they lie in it; what is left
 * of a group at its end moves to the front and the next piece is read behind it.
 *
 * Failure modes: a piece cannot be read (smaller ones are tried, down to the block, so that one bad
 * block costs one block); a file ends early; a group claims more than the buffer holds (it grows:
 * the size was checked against the segment before).
 *
 * Invariants: nothing here asserts about bytes of the medium; no length is used before its checksum
 * was right; a group is handed out only when all of it lies in the buffer.
 */
#include "wal/scan.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

#define PIECE_BYTES ((size_t)4 << 20)
#define ENTRIES_MIN 1024u

int scan_init(struct scan *scan, struct weir_medium *medium, uint64_t segment_bytes,
              uint32_t block_bytes, uint32_t uuid_seed)
{
    size_t most = segment_bytes < PIECE_BYTES ? (size_t)segment_bytes : PIECE_BYTES;
    *scan = (struct scan){
        .medium = medium,
        .segment_bytes = segment_bytes,
        .block_bytes = block_bytes,
        .uuid_seed = uuid_seed,
        .piece_max = most,
        .piece = most,
        .capacity = most < segment_bytes ? 2 * most : most, /* or all there can ever be */
    };
    scan->buffer = base_pages_alloc(scan->capacity, 0);
    return scan->buffer == NULL ? -ENOMEM : 0;
}

void scan_free(struct scan *scan)
{
    scan_close(scan);
    base_pages_free(scan->buffer, scan->capacity);
    scan->buffer = NULL;
}

int scan_open(struct scan *scan, uint64_t ordinal)
{
    WEIR_ASSERT(scan->file == NULL);
    const struct weir_medium_ops *ops = scan->medium->ops;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(ordinal, name);
    struct weir_file *file;
    int rc = ops->open(scan->medium, name, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc;
    }
    uint64_t bytes;
    rc = ops->size(file, &bytes);
    if (rc < 0) {
        ops->close(file);
        return rc;
    }
    scan->file = file;
    scan->ordinal = ordinal;
    scan->file_bytes = bytes < scan->segment_bytes ? bytes : scan->segment_bytes;
    scan->size = 0;
    scan->start = 0;
    scan->piece = scan->piece_max;
    return 0;
}

void scan_close(struct scan *scan)
{
    if (scan->file != NULL) {
        scan->medium->ops->close(scan->file);
        scan->file = NULL;
    }
}

bool scan_is_medium_error(int rc)
{
    return rc == -EIO || rc == -ENODATA || rc == -EBADMSG || rc == -EUCLEAN || rc == -EILSEQ ||
           rc == -EREMOTEIO || rc == -EFAULT;
}

bool scan_is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Room for `needed` bytes and one piece behind them; keeps what is there. */
static int grow_buffer(struct scan *scan, size_t needed)
{
    size_t capacity = (size_t)format_align(needed, FORMAT_BLOCK);
    capacity += capacity < scan->segment_bytes ? scan->piece_max : 0;
    if (capacity <= scan->capacity) {
        return 0;
    }
    uint8_t *buffer = base_pages_alloc(capacity, 0);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    memcpy(buffer, scan->buffer, scan->size);
    base_pages_free(scan->buffer, scan->capacity);
    scan->buffer = buffer;
    scan->capacity = capacity;
    return 0;
}

/* Forgets what lies before offset (which is moved to the front) or everything. */
static void drop_before(struct scan *scan, uint64_t offset)
{
    uint64_t base = offset & ~(uint64_t)(FORMAT_BLOCK - 1);
    if (base < scan->start || base >= scan->start + scan->size) {
        scan->start = base;
        scan->size = 0;
        return;
    }
    size_t keep = (size_t)(scan->start + scan->size - base);
    memmove(scan->buffer, scan->buffer + (base - scan->start), keep);
    scan->start = base;
    scan->size = keep;
}

/* Reads one more piece behind what is there. 1: some came; 0: end of file. */
static int read_piece(struct scan *scan)
{
    uint64_t at = scan->start + scan->size;
    size_t got = 0;
    for (;;) {
        size_t room = scan->capacity - scan->size;
        size_t want = scan->piece < room ? scan->piece : room;
        uint64_t left = format_align(scan->file_bytes, FORMAT_BLOCK);
        if (at >= left) {
            return 0;
        }
        want = want < left - at ? want : (size_t)(left - at);
        int rc = scan->medium->ops->read(scan->file, at, scan->buffer + scan->size, want, &got);
        if (rc >= 0) {
            break;
        }
        if (!scan_is_medium_error(rc)) {
            return rc;
        }
        if (want <= FORMAT_BLOCK) {
            return -EIO;
        }
        scan->piece = (size_t)format_align(want / 4, FORMAT_BLOCK);
    }
    if (scan->piece < scan->piece_max) {
        scan->piece *= 2;
    }
    scan->read_bytes += got;
    scan->size += got;
    return got > 0 ? 1 : 0;
}

int scan_bytes(struct scan *scan, uint64_t offset, size_t size, const uint8_t **ret_bytes)
{
    WEIR_ASSERT(scan->file != NULL);
    if (offset > scan->file_bytes || size > scan->file_bytes - offset) {
        return WEIR_E_CUT_SHORT;
    }
    if (offset < scan->start || offset + size > scan->start + scan->size) {
        drop_before(scan, offset);
        int rc = grow_buffer(scan, size + FORMAT_BLOCK);
        while (rc == 0 && offset + size > scan->start + scan->size) {
            int more = read_piece(scan);
            rc = more > 0 ? 0 : (more == 0 ? WEIR_E_CUT_SHORT : more);
        }
        if (rc < 0) {
            return rc;
        }
    }
    *ret_bytes = scan->buffer + (offset - scan->start);
    return 0;
}

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

static int reserve_entries(struct scan_directory *directory, uint64_t records)
{
    uint64_t needed = (directory->records + records) / FORMAT_DIRECTORY_STRIDE + 1;
    if (needed <= directory->capacity) {
        return 0;
    }
    uint64_t capacity = needed + directory->capacity + ENTRIES_MIN;
    struct format_directory_entry *entries = base_alloc_array(capacity, sizeof *entries);
    if (entries == NULL) {
        return -ENOMEM;
    }
    if (directory->count > 0) {
        memcpy(entries, directory->entries, directory->count * sizeof *entries);
    }
    base_free(directory->entries);
    directory->entries = entries;
    directory->capacity = (uint32_t)capacity;
    return 0;
}

int scan_directory_add(struct scan_directory *directory, const struct scan_group *group)
{
    directory->groups++;
    if (group->header.kind != FORMAT_GROUP_DATA) {
        return 0;
    }
    int rc = reserve_entries(directory, group->header.record_count);
    if (rc < 0) {
        return rc;
    }
    if (directory->records == 0) {
        directory->first_time_ns = group->header.time_ns;
    }
    uint32_t offset = FORMAT_GROUP_HEADER_BYTES;
    for (uint32_t i = 0; i < group->header.record_count; i++) {
        const struct format_record *record = (const struct format_record *)(group->bytes + offset);
        uint32_t size = le32_load(&record->size);
        if (directory->records % FORMAT_DIRECTORY_STRIDE == 0) {
            struct format_directory_entry *entry = &directory->entries[directory->count++];
            le32_store(&entry->record_offset, group->offset + offset);
            le32_store(&entry->group_offset, group->offset);
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
        .capacity = directory->capacity,
    };
}

void scan_directory_free(struct scan_directory *directory)
{
    base_free(directory->entries);
    *directory = (struct scan_directory){0};
}
