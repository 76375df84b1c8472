/*
 * Addresses: what the storage engine may know of the log beside its public interface. An address
 * names the place of a record (docs/FORMAT.md, 2); the engine keeps one for each key and nothing
 * else, so it has to write records that say which they are, and to read at an address.
 *
 *     wal_address_append(log, &batch, WEIR_NONE, &first_lsn);   // stamp() hears the addresses
 *     wal_address_pin(log, wal_address_ordinal(log, address), &segment);
 *     wal_address_read(log, segment, address, &record);         // lent as long as it is pinned
 *     wal_address_unpin(log, segment);
 *
 * Records that were written here carry their LSN, under the checksum of their payload, so that one
 * that is read at an address can be told from any other.
 */
#ifndef WAL_ADDRESS_H
#define WAL_ADDRESS_H

#include <weir/append.h>
#include <weir/cursor.h>
#include <weir/log.h>

struct wal_segment;

/* What goes on beside the opening of a log, which mostly waits for its disk. */
struct wal_address_opening {
    /* A writer has LOCK, and nothing of the log is known yet: files beside it may be read. */
    void (*begin)(void *context, struct weir_medium *medium);
    /* Where the log ends is known: its records may be read, and it be asked what it holds, until
     * settle(). Whether it may be opened is not known: nothing is shown to anybody, nothing is
     * written. Not called where nothing would be waited for meanwhile. */
    void (*found)(void *context, struct weir_log *log);
    /* It is known, and the log changes when this returns; also without a found(). */
    void (*settle)(void *context);
    /* The log cannot be opened. It, its pins and the medium go when this returns; also without a
     * begin(). */
    void (*end)(void *context);
    void *context;
};

/* As weir_log_open(). opening may be NULL. */
int wal_address_open(const char *directory, const struct weir_log_options *options,
                     const struct wal_address_opening *opening, struct weir_log **ret_log,
                     struct weir_error *ret_error);

struct wal_address_batch {
    const struct weir_entry *entries; /* of any type, reserved ones too */
    size_t count;
    /* Called before entry `index` is copied, with the place that it has got: what its parts point
     * to may still be changed. Must not call into the log. */
    void (*stamp)(void *context, size_t index, weir_lsn lsn, uint64_t address);
    void *context;
    bool waits_later; /* WEIR_EACH does not wait: weir_wait() does, with no lock held */
};

/* weir_append_batch() of records that carry their LSN: 8 bytes of each payload's limit. Neither
 * appended nor stamped when it fails, unless what failed is the flush that WEIR_EACH waits for. */
int wal_address_append(struct weir_log *log, const struct wal_address_batch *batch,
                       enum weir_durability durability, weir_lsn *ret_first_lsn);

/* Payload bytes that a record of wal_address_append() may have. */
uint64_t wal_address_record_bytes(const struct weir_log *log);

/* 0, or why no call is possible on this handle now: WEIR_E_FORKED. */
int wal_address_check(const struct weir_log *log);

/* Is this thread inside a callback that this log feeds? Then it may not append. */
bool wal_address_is_inside(const struct weir_log *log);
bool wal_address_is_read_only(const struct weir_log *log);

/* The horizon of compaction, as far as this handle knows. */
weir_lsn wal_address_horizon(const struct weir_log *log);

/* The last LSN that was given out, durable or not. */
weir_lsn wal_address_reserved(const struct weir_log *log);

/* Ordinals of compacted segments start here: what was moved lies in one. */
#define WAL_ADDRESS_COMPACTED ((uint64_t)1 << 31)

/* The segment that an address lies in. */
uint64_t wal_address_ordinal(const struct weir_log *log, uint64_t address);

/* Makes a segment readable and keeps it so, its memory where it is, until it is unpinned. 0;
 * WEIR_E_TRUNCATED (there is none of that ordinal); errors of mapping it, with the detail. */
int wal_address_pin(struct weir_log *log, uint64_t ordinal, struct wal_segment **ret_segment,
                    struct weir_error *why);
void wal_address_unpin(struct weir_log *log, struct wal_segment *segment);

/* A pinned segment that is no part of the log any more: truncated, or compacted away. */
bool wal_address_is_dropped(struct weir_log *log, const struct wal_segment *segment);
uint64_t wal_address_segment_bytes(const struct weir_log *log);

/* Where an address lies in a pinned segment: for prefetching, and to tell what is lent. */
const uint8_t *wal_address_at(const struct weir_log *log, const struct wal_segment *segment,
                              uint64_t address);

/* Lends the record at an address in a pinned segment; ret_record->time_ns is 0. Memory that nobody
 * has checked so far is checked: WEIR_E_DAMAGED when there is no record that carries an LSN of this
 * segment, whole. Where the group was checked, an address that no record begins at may give
 * anything that lies in the segment: whoever takes addresses from elsewhere than the index holds
 * LSN and key against it. */
int wal_address_read(struct weir_log *log, struct wal_segment *segment, uint64_t address,
                     struct weir_record *ret_record);

/* The same for a record that a cursor of this log has lent since the segment was pinned: its
 * checksum was right, and is not computed again. */
int wal_address_lend(struct weir_log *log, struct wal_segment *segment, uint64_t address,
                     struct weir_record *ret_record);

/* The address of a durable record not far in front of an LSN, from the directory alone: only
 * wal_address_read() tells what lies there. 0; errors of mapping the segment. */
int wal_address_near(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address);

/* Finds a durable record by its LSN: its address, its segment (pinned), its group's time. 0;
 * WEIR_E_TRUNCATED; WEIR_E_DAMAGED; -EAGAIN (not durable yet); -ENOENT (compacted away). */
int wal_address_find(struct weir_log *log, weir_lsn lsn, uint64_t *ret_address,
                     uint64_t *ret_time_ns);

/* What a state that is stored beside the log is bound to, so that it is never used with another
 * one: the log, how its records are laid out, and the group that holds an LSN. */
struct wal_address_identity {
    uint8_t uuid[16];
    uint64_t layout;
    uint64_t epoch; /* low 32 bits */
    uint32_t chain; /* CRC of the group's header */
    bool compacted; /* the record was moved: its group is another one than it was written in */
};

/* The identity at a durable LSN; of an empty log at LSN 0. Results as wal_address_find(). */
int wal_address_identify(struct weir_log *log, weir_lsn lsn,
                         struct wal_address_identity *ret_identity);

/* What the log holds: a part of weir_log_stat() that looks into no segment. Of a reader it is how
 * far the writer is now. 0; -errno; WEIR_E_*. */
struct wal_address_extent {
    weir_lsn earliest; /* 0 when it is empty */
    weir_lsn horizon;
    uint64_t layout;
};
int wal_address_extent(struct weir_log *log, struct wal_address_extent *ret_extent);

/* The medium of the log's directory: for files beside it. */
struct weir_medium *wal_address_medium(struct weir_log *log);

/* What may still be appended before the disk is full: what is free, and the segments that were made
 * ahead of need. Errors as weir_log_free_bytes(). */
int wal_address_room(struct weir_log *log, uint64_t *ret_bytes);

/* The address of the record that a cursor has just lent. */
uint64_t wal_address_of(const struct weir_log *log, const struct weir_cursor *cursor,
                        const struct weir_record *record);

/* Has the cursor lent the last record of a group, so that nothing that was appended together is cut
 * where it stands? */
bool wal_address_at_group_end(const struct weir_cursor *cursor);

/* Does a group end with this LSN? True also of 0, and of the last durable one; false also when it
 * cannot be told: of one that is not durable yet, and of one whose record is gone. */
bool wal_address_ends_group(struct weir_log *log, weir_lsn lsn);

/* For all that carry their LSN in the batch that a cursor has just lent: address = data + bias. */
uint64_t wal_address_bias(const struct weir_log *log, const struct weir_cursor *cursor);

#endif
