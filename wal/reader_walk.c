/*
 * The walk of a reader process through the open segment: read what is durable, check it, show it.
 *
 * Happy path: read the bytes behind the last walked group into memory of our own; each group is
 * checked by itself, in its place, and down to every payload; the directory gets its records. A
 * seal ends the segment: the next one becomes the open one.
 *
 * Failure modes: a group below the durable address is not valid: damage, or the file was truncated
 * and recycled under us; the caller asks CONTROL. Behind what is known durable an invalid group is
 * simply not written yet.
 *
 * Invariants: memory that was shown is not written again; bytes behind the walk are read again when
 * they were not known to be durable.
 */
#include "base/assert.h"
#include "wal/reader.h"

#include <string.h>

#define READ_BYTES ((uint64_t)1 << 20)

void reader_walk_begin(struct wal_reader *reader, struct wal_segment *segment)
{
    reader->segment = segment;
    reader->chain = segment->start;
    reader->offset = FORMAT_SEGMENT_HEADER_BYTES;
    reader->loaded = FORMAT_SEGMENT_HEADER_BYTES;
    reader->records = 0;
}

/* ---- reading ---- */

static int open_file(struct weir_log *log, struct wal_segment *segment, const char *name,
                     struct weir_error *why)
{
    if (segment->file != NULL) {
        return 0;
    }
    int rc = log->medium->ops->open(log->medium, name, WEIR_FILE_READ, &segment->file);
    if (rc < 0) {
        return log_error(why, rc, name, UINT64_MAX, "%s cannot be opened: %s", name,
                         weir_error_text(rc));
    }
    return 0;
}

static int read_blocks(struct weir_log *log, uint64_t offset, uint8_t *target, size_t size,
                       struct weir_error *why)
{
    struct wal_segment *segment = log->reader->segment;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(segment->ordinal, name);
    size_t got = 0;
    int rc = open_file(log, segment, name, why);
    if (rc < 0) {
        return rc;
    }
    rc = log->medium->ops->read(segment->file, offset, target, size, &got);
    if (rc < 0) {
        return log_error(why, rc, name, offset, "%s cannot be read: %s", name, weir_error_text(rc));
    }
    if (got < size) {
        return log_error(why, WEIR_E_CUT_SHORT, name, offset + got,
                         "%s ends after %llu bytes and was made with %llu", name,
                         (unsigned long long)(offset + got),
                         (unsigned long long)log->limits.segment_bytes);
    }
    return 0;
}

/* Reads on to `end`, by whole blocks. A block whose beginning was walked is read aside, since those
 * bytes may be lent to somebody. */
static int load(struct weir_log *log, uint64_t end, struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    uint8_t *base = (uint8_t *)(uintptr_t)reader->segment->base;
    uint64_t inside = reader->loaded % FORMAT_BLOCK;
    if (reader->loaded < end && inside != 0) {
        uint8_t block[FORMAT_BLOCK];
        int rc = read_blocks(log, reader->loaded - inside, block, sizeof block, why);
        if (rc < 0) {
            return rc;
        }
        memcpy(base + reader->loaded, block + inside, sizeof block - inside);
        reader->loaded += sizeof block - inside;
    }
    if (reader->loaded < end) {
        uint64_t size = format_align(end - reader->loaded, FORMAT_BLOCK);
        int rc = read_blocks(log, reader->loaded, base + reader->loaded, size, why);
        if (rc < 0) {
            return rc;
        }
        reader->loaded += size;
    }
    return 0;
}

/* Makes [offset, offset + size) readable, and more than that when more is known to be there. */
static int need(struct weir_log *log, uint64_t size, uint64_t limit, bool ahead,
                struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    uint64_t end = reader->offset + size;
    WEIR_ASSERT(end <= log->limits.segment_bytes);
    if (end <= reader->loaded) {
        return 0;
    }
    if (ahead) {
        uint64_t more = reader->loaded + READ_BYTES;
        more = more < limit ? more : limit;
        end = end > more ? end : more;
    }
    return load(log, end, why);
}

/* ---- groups ---- */

static void add_group(struct weir_log *log, const uint8_t *bytes, const struct group_header *header)
{
    struct wal_reader *reader = log->reader;
    segment_directory_add(reader->segment, &reader->records, (uint32_t)reader->offset, bytes,
                          header);
    group_chain_advance(&reader->chain, bytes, header);
    if (header->durable_lsn > reader->proven) {
        reader->proven = header->durable_lsn;
    }
    uint64_t stride = format_align(header->size_bytes, log->limits.block_bytes);
    reader->offset += stride;
    reader->walked_bytes += stride;
    reader->walked_records += header->record_count;
}

/* Checks the group at the walk's offset and goes behind it. 1: done; 0: not valid, *fault says why;
 * -errno. `limit`: the bytes below it are known to be durable, or the segment's end. */
static int step(struct weir_log *log, uint64_t limit, bool durable, enum group_fault *fault,
                struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    struct wal_segment *segment = reader->segment;
    *fault = GROUP_HEADER_CRC;
    if (reader->offset + FORMAT_GROUP_HEADER_BYTES > limit) {
        return 0;
    }
    int rc = need(log, FORMAT_GROUP_HEADER_BYTES, limit, durable, why);
    if (rc < 0) {
        return rc;
    }
    const uint8_t *bytes = segment->base + reader->offset;
    struct group_header header;
    *fault = group_decode(bytes, reader_address(log), reader->chain.seed, log->uuid_seed,
                          log->limits.segment_bytes, &header);
    if (*fault == GROUP_OK) {
        *fault = group_check_place(&header, &reader->chain);
    }
    if (*fault != GROUP_OK) {
        return 0;
    }
    rc = need(log, format_align(header.size_bytes, log->limits.block_bytes), limit, true, why);
    if (rc < 0) {
        return rc;
    }
    uint32_t record;
    *fault = group_check_body(bytes, &header, log->limits.block_bytes, &record);
    if (*fault != GROUP_OK) {
        return 0;
    }
    uint64_t offset = reader->offset;
    add_group(log, bytes, &header);
    rc = header.kind == FORMAT_GROUP_SEAL ? reader_table_roll(log, offset) : 0;
    return rc < 0 ? rc : 1;
}

static int explain_fault(struct weir_log *log, enum group_fault fault, struct weir_error *why)
{
    const struct wal_reader *reader = log->reader;
    char name[FORMAT_NAME_BYTES];
    format_segment_name(reader->segment->ordinal, name);
    weir_lsn lsn = reader->chain.next_lsn;
    int rc = log_error(why, WEIR_E_DAMAGED, name, reader->offset,
                       "%s: the group with LSN %llu, which the writer reported durable, is not "
                       "valid: %s",
                       name, (unsigned long long)lsn, group_fault_text(fault));
    return log_error_range(why, rc, lsn, UINT64_MAX);
}

/* How far the open segment is known to be durable; its whole length when that is not known. */
static uint64_t durable_limit(const struct weir_log *log, uint64_t end_address)
{
    uint64_t start = log_address(log, log->reader->segment, 0);
    if (end_address <= start) {
        return 0;
    }
    uint64_t limit = end_address - start;
    return limit < log->limits.segment_bytes ? limit : log->limits.segment_bytes;
}

int reader_walk(struct weir_log *log, uint64_t end_address, struct weir_error *why)
{
    struct wal_reader *reader = log->reader;
    bool durable = end_address != UINT64_MAX;
    int rc = 1;
    while (rc == 1) {
        uint64_t limit = durable_limit(log, end_address);
        if (durable && reader->offset >= limit) {
            break;
        }
        uint64_t next = log_address(log, reader->segment, log->limits.segment_bytes);
        if (durable && end_address > next && reader_table_skip(log)) {
            continue;
        }
        enum group_fault fault;
        rc = step(log, limit, durable, &fault, why);
        if (rc == 0 && durable) {
            rc = explain_fault(log, fault, why);
        }
    }
    /* What was read and is not walked may still be on its way: it is read again. */
    reader->loaded = reader->offset < reader->loaded ? reader->offset : reader->loaded;
    return rc < 0 ? rc : 0;
}
