/*
 * Fetching records one by one.
 *
 * Happy path: begin finds the segment of an address, opens its file for itself, once, and starts to
 * read the blocks that the record begins in; take waits for them and holds header, checksum and LSN
 * against them.
 *
 * Failure modes: whatever does not work out (no memory, no such segment, a disk that errs, a record
 * that is longer or damaged) makes take say so, and the caller goes the ordinary way, which tells
 * what is wrong.
 *
 * Invariants: a buffer is used for something else when the medium has let go of it, and never again
 * when it cannot say; files are those of sealed segments, which nobody writes any more.
 */
#include "wal/address_fetch.h"

#include "base/alloc.h"
#include "base/crc32c.h"
#include "wal/address_read.h"
#include "wal/log.h"

#include <errno.h>
#include <string.h>

/* The block that a record begins in, and the next one, which is read with it when it begins so near
 * the end that most records go on there; else when it turns out that this one does. */
#define FETCH_BYTES ((size_t)2 * FORMAT_BLOCK)
#define NEAR_END_BYTES 1024u
#define FILES_MAX 64u
/* Of one segment: 2 to 4 us each from a page cache, where making it readable takes 1 to 1.5 ms. */
#define RECORDS_OF_SEGMENT_MAX 512u

struct fetch_file {
    uint64_t ordinal;
    weir_lsn first, last; /* LSNs of the segment */
    uint32_t records;     /* that were begun */
    struct weir_file *file;
};

struct fetch_slot {
    uint64_t address;
    struct fetch_file *file;
    uint64_t start; /* offset of the first byte in the buffer */
    uint64_t ticket;
    size_t size; /* of what is read, or was */
    bool pending, failed;
    bool lost; /* the medium has not let go of the buffer */
};

/* Of all that were opened beside each other: a file stays where it is until they are closed. */
struct fetch_files {
    struct base_lock lock; /* in front of segments.lock */
    uint32_t count;
    struct fetch_file files[FILES_MAX];
};

struct wal_address_fetch {
    struct weir_log *log;
    uint8_t *buffers;
    struct fetch_files *files; /* own, or another's */
    bool owns_files;
    uint32_t slot_count;
    uint64_t asked; /* reads that the medium was asked for */
    struct fetch_slot slots[WAL_ADDRESS_FETCHES];
};

int wal_address_fetch_open(struct weir_log *log, struct wal_address_fetch *beside,
                           struct wal_address_fetch **ret_fetch)
{
    struct wal_address_fetch *fetch = base_alloc_zero(sizeof *fetch);
    uint8_t *buffers = base_alloc_aligned(FORMAT_BLOCK, WAL_ADDRESS_FETCHES * FETCH_BYTES);
    struct fetch_files *files =
        beside != NULL ? beside->files : base_alloc_zero(sizeof(struct fetch_files));
    if (fetch == NULL || buffers == NULL || files == NULL) {
        base_free(fetch);
        base_free(buffers);
        base_free(beside != NULL ? NULL : files);
        return -ENOMEM;
    }
    fetch->log = log;
    fetch->buffers = buffers;
    fetch->files = files;
    fetch->owns_files = beside == NULL;
    *ret_fetch = fetch;
    return 0;
}

/* ---- files ---- */

/* A sealed segment that has no memory: its LSNs. */
static bool find_segment(struct weir_log *log, uint64_t ordinal, struct fetch_file *ret_file)
{
    base_lock_acquire(&log->segments.lock);
    const struct wal_segment *segment = segment_lookup(log, ordinal);
    bool found = segment != NULL && segment->state == SEGMENT_SEALED && segment->base == NULL &&
                 segment->ordinal == ordinal;
    if (found) {
        ret_file->ordinal = ordinal;
        ret_file->first = segment->start.next_lsn;
        ret_file->last = segment->last_lsn;
        ret_file->records = 0;
    }
    base_lock_release(&log->segments.lock);
    return found;
}

static void close_files(struct wal_address_fetch *fetch)
{
    for (uint32_t i = 0; i < fetch->files->count; i++) {
        fetch->log->medium->ops->close(fetch->files->files[i].file);
    }
    base_free(fetch->files);
}

/* Under the lock of the files. */
static struct fetch_file *find_file(struct weir_log *log, struct fetch_files *files,
                                    uint64_t ordinal)
{
    for (uint32_t i = 0; i < files->count; i++) {
        if (files->files[i].ordinal == ordinal) {
            return &files->files[i];
        }
    }
    char name[FORMAT_NAME_BYTES];
    struct fetch_file *file = &files->files[files->count];
    if (files->count == FILES_MAX || !find_segment(log, ordinal, file)) {
        return NULL;
    }
    format_segment_name(ordinal, name);
    /* Sealed, so it was durable before the segment behind it had a record. */
    int rc = log->medium->ops->open(log->medium, name, WEIR_FILE_READ_CACHED, &file->file);
    files->count += rc == 0;
    return rc == 0 ? file : NULL;
}

/* The file that a record is to be read from; NULL: it cannot be had, or has been read enough. */
static struct fetch_file *file_for_record(struct wal_address_fetch *fetch, uint64_t ordinal)
{
    struct fetch_files *files = fetch->files;
    base_lock_acquire(&files->lock);
    struct fetch_file *file = find_file(fetch->log, files, ordinal);
    if (file != NULL && file->records == RECORDS_OF_SEGMENT_MAX) {
        file = NULL;
    } else if (file != NULL) {
        file->records++;
    }
    base_lock_release(&files->lock);
    return file;
}

/* ---- records ---- */

static struct fetch_slot *find_slot(struct wal_address_fetch *fetch, uint64_t address)
{
    for (uint32_t i = 0; i < fetch->slot_count; i++) {
        if (fetch->slots[i].address == address) {
            return &fetch->slots[i];
        }
    }
    return NULL;
}

static uint8_t *buffer_of(struct wal_address_fetch *fetch, const struct fetch_slot *slot)
{
    return fetch->buffers + (size_t)(slot - fetch->slots) * FETCH_BYTES;
}

static void finish(struct wal_address_fetch *fetch, struct fetch_slot *slot)
{
    if (slot->pending) {
        int rc = fetch->log->medium->ops->read_end(slot->file->file, slot->ticket, &slot->size);
        slot->pending = false;
        slot->failed = rc < 0;
        slot->lost = rc == -ENOTRECOVERABLE;
    }
}

static int start(struct wal_address_fetch *fetch, struct fetch_slot *slot)
{
    const struct weir_medium_ops *ops = fetch->log->medium->ops;
    return ops->read_begin != NULL
               ? ops->read_begin(slot->file->file, slot->start, buffer_of(fetch, slot), slot->size,
                                 &slot->ticket)
               : -EOPNOTSUPP;
}

/* Up to the end of the segment at most. */
static size_t most_bytes(const struct wal_address_fetch *fetch, const struct fetch_slot *slot)
{
    uint64_t left = fetch->log->limits.segment_bytes - slot->start;
    return left < FETCH_BYTES ? (size_t)left : FETCH_BYTES;
}

static void read_blocks(struct wal_address_fetch *fetch, struct fetch_slot *slot)
{
    int rc = start(fetch, slot);
    for (uint32_t i = 0; rc == -EBUSY && i < fetch->slot_count; i++) {
        if (fetch->slots[i].pending) { /* the oldest first */
            finish(fetch, &fetch->slots[i]);
            rc = start(fetch, slot);
        }
    }
    slot->pending = rc >= 0;
    fetch->asked += rc == 0;
    if (rc < 0) {
        size_t got = 0;
        slot->failed = fetch->log->medium->ops->read(slot->file->file, slot->start,
                                                     buffer_of(fetch, slot), slot->size, &got) < 0;
        slot->size = got;
    }
}

void wal_address_fetch_begin(struct wal_address_fetch *fetch, uint64_t address)
{
    struct weir_log *log = fetch->log;
    if (fetch->buffers == NULL || fetch->slot_count == WAL_ADDRESS_FETCHES ||
        find_slot(fetch, address) != NULL) {
        return;
    }
    struct fetch_file *file = file_for_record(fetch, address >> log->limits.segment_shift);
    if (file == NULL) {
        return;
    }
    uint64_t offset = address & (log->limits.segment_bytes - 1);
    uint64_t block = offset & ~(uint64_t)(FORMAT_BLOCK - 1);
    struct fetch_slot *slot = &fetch->slots[fetch->slot_count];
    *slot = (struct fetch_slot){.address = address, .file = file, .start = block};
    slot->size =
        block + FORMAT_BLOCK - offset < NEAR_END_BYTES ? most_bytes(fetch, slot) : FORMAT_BLOCK;
    read_blocks(fetch, slot);
    fetch->slot_count++;
}

/* The record in the buffer, whose bytes nobody else can change. */
static bool parse(const struct wal_address_fetch *fetch, const struct fetch_slot *slot,
                  const uint8_t *buffer, struct weir_record *ret_record)
{
    uint64_t at = (slot->address & (fetch->log->limits.segment_bytes - 1)) - slot->start;
    const struct wal_segment view = {.base = (uint8_t *)(uintptr_t)buffer};
    struct weir_record record;
    if (slot->failed || at >= slot->size || wal_address_parse(&view, slot->size, at, &record) < 0) {
        return false;
    }
    const struct format_record *header = (const struct format_record *)(buffer + at);
    if (base_crc32c(0, header + 1, record.size + FORMAT_RECORD_NUMBER_BYTES) !=
            le32_load(&header->crc) ||
        record.lsn < slot->file->first || record.lsn > slot->file->last) {
        return false;
    }
    *ret_record = record;
    return true;
}

bool wal_address_fetch_take(struct wal_address_fetch *fetch, uint64_t address,
                            struct weir_record *ret_record)
{
    struct fetch_slot *slot = find_slot(fetch, address);
    if (slot == NULL) {
        return false;
    }
    finish(fetch, slot);
    if (parse(fetch, slot, buffer_of(fetch, slot), ret_record)) {
        return true;
    }
    if (slot->failed || slot->size != FORMAT_BLOCK) {
        return false;
    }
    slot->size = most_bytes(fetch, slot); /* it may go on in the next block */
    read_blocks(fetch, slot);
    finish(fetch, slot);
    return parse(fetch, slot, buffer_of(fetch, slot), ret_record);
}

uint64_t wal_address_fetch_asked(const struct wal_address_fetch *fetch)
{
    return fetch->asked;
}

void wal_address_fetch_clear(struct wal_address_fetch *fetch)
{
    bool lost = false;
    for (uint32_t i = 0; i < fetch->slot_count; i++) {
        finish(fetch, &fetch->slots[i]);
        lost = lost || fetch->slots[i].lost;
    }
    fetch->slot_count = 0;
    if (lost) { /* the buffers stay the medium's: nothing is begun any more */
        fetch->buffers = NULL;
    }
}

void wal_address_fetch_close(struct wal_address_fetch *fetch)
{
    if (fetch != NULL) {
        wal_address_fetch_clear(fetch);
        if (fetch->owns_files) {
            close_files(fetch);
        }
        base_free(fetch->buffers);
        base_free(fetch);
    }
}
