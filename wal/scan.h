/*
 * Scan: reading segment files and finding groups in them. Knows bytes and validity; what they mean
 * for the log is judged by who calls (recover.c, verify.c).
 *
 *     struct scan scan;
 *     scan_init(&scan, medium, segment_bytes, block_bytes, uuid_seed);
 *     scan_open(&scan, ordinal);
 *     struct scan_walk walk = { .chain = start, .offset = FORMAT_SEGMENT_HEADER_BYTES };
 *     scan_walk(&scan, &walk, each_group, context);       up to the first one not valid in place
 *     scan_evidence(&scan, walk.offset, segment_bytes, &epoch, &evidence);     behind that
 *     scan_close(&scan);
 *     scan_free(&scan);
 *
 * Reads go through the medium in large pieces, so they see the medium and not a page cache, unless
 * the caller says that they may. Pieces are under way while the ones before are checked, where the
 * medium can do that. A piece that cannot be read is narrowed down to the block. One scan belongs
 * to one thread.
 */
#ifndef WAL_SCAN_H
#define WAL_SCAN_H

#include "wal/group.h"
#include "wal/segment_header.h"

#include <weir/medium.h>

/* A group of 4 MiB is held while it is checked; as much and more is to be under way meanwhile. */
#define SCAN_PIECES 16u
#define SCAN_PIECE_BYTES ((size_t)1 << 20)

struct scan {
    struct weir_medium *medium;
    uint64_t segment_bytes;
    uint32_t block_bytes; /* of the open file's groups */
    uint32_t log_block_bytes, uuid_seed;
    struct weir_file *file; /* NULL between scan_close() and scan_open() */
    uint64_t ordinal;
    uint64_t file_bytes; /* how long it is, at most segment_bytes */
    uint64_t likely_end; /* set by the caller, behind scan_open(): what lies behind is read when
                            it is asked for, and not ahead */
    bool may_be_cached;  /* set by the caller: files may be read through the page cache */
    uint8_t *memory;
    size_t memory_bytes;
    size_t headroom; /* in front of the slots */
    uint8_t *target; /* memory of the caller's: byte n of the file goes there, and not to a slot */
    bool spoilt;     /* not all that was lent came from target, from the file's start on */
    uint8_t *bytes;  /* in memory: holds [start, start + size) of file */
    uint64_t start;
    size_t size;
    /* Pieces of the file from `origin` on, each SCAN_PIECE_BYTES: freed <= taken <= started. */
    uint64_t origin, freed, taken, started;
    struct scan_piece {
        uint64_t ticket;
        bool begun; /* under way; else it is read when it is taken */
    } pieces[SCAN_PIECES];
    bool careful;        /* piece by piece, each behind the one before: something was odd */
    size_t piece;        /* then: how much is read at once; shrinks where reads fail */
    uint64_t read_bytes; /* in total */
};

/* 0 or -ENOMEM. */
int scan_init(struct scan *scan, struct weir_medium *medium, uint64_t segment_bytes,
              uint32_t block_bytes, uint32_t uuid_seed);
void scan_free(struct scan *scan); /* accepts one that is all zero */

/* Opens the file of a segment. 0 or -errno (-ENOENT). */
int scan_open(struct scan *scan, uint64_t ordinal);
void scan_close(struct scan *scan);

/* The same; what is read is left in `target`, which has room for a segment and is the scan's until
 * scan_close(). As long as nothing was odd (spoilt) it holds the file up to the end of what was
 * lent, when that began at 0 and left nothing out. NULL: as scan_open(). */
int scan_open_into(struct scan *scan, uint64_t ordinal, uint8_t *target);

/* Lends [offset, offset + size) of the open file until the next call. 0; WEIR_E_CUT_SHORT (the file
 * ends before); -EIO (the medium cannot read it); other -errno. */
int scan_bytes(struct scan *scan, uint64_t offset, size_t size, const uint8_t **ret_bytes);

/* Is this result of a read the medium's word about these bytes, rather than about this moment? */
bool scan_is_medium_error(int rc);

bool scan_is_zero(const uint8_t *bytes, size_t size);

/* ---- the walk ---- */

/* A group that is valid in place, before the walk moves behind it. */
struct scan_group {
    struct group_header header;
    const uint8_t *bytes; /* of the header, body behind it */
    uint32_t offset;
    const struct group_chain *chain; /* what it continues from */
};

/* 0 accepts it; anything else ends the walk in front of it (SCAN_STOPPED). */
typedef int (*scan_group_fn)(void *context, const struct scan_group *group);

enum scan_end {
    SCAN_SEALED,     /* behind a seal: the log goes on in the next segment */
    SCAN_INVALID,    /* in front of bytes that are no group in place: fault */
    SCAN_STOPPED,    /* in front of a group that the callback did not accept: stop */
    SCAN_UNREADABLE, /* in front of a group that cannot be read: error */
};

struct scan_walk {
    struct group_chain chain; /* in: what the first group continues from; out: where it ended */
    uint32_t offset;          /* in: of the first group; out: behind the last valid one */
    enum scan_end end;
    enum group_fault fault;
    uint32_t fault_record;       /* index in its group */
    int stop;                    /* what the callback returned */
    int error;                   /* -EIO, WEIR_E_CUT_SHORT */
    struct group_header refused; /* SCAN_INVALID, header valid in place, body not: that header */
    bool has_refused;
    uint64_t last_group_address; /* 0: none was valid */
    uint64_t groups, records;
    uint32_t seal_offset; /* SCAN_SEALED */
};

/* Returns 0 and how it ended in *walk; -ENOMEM and other -errno that say nothing about the bytes.
 */
int scan_walk(struct scan *scan, struct scan_walk *walk, scan_group_fn fn, void *context);

/* ---- what records lie where ---- */

/* Every 16th record of a segment, and what its seal will say. Filled group by group. */
struct scan_directory {
    struct format_directory_entry *entries;
    struct le64 *lsns; /* of the entries, of a compacted segment; else NULL */
    uint32_t count, capacity;
    uint64_t records, groups, payload_bytes;
    weir_lsn first_lsn;     /* of the first record, */
    uint64_t first_time_ns; /* and of its group */
};

int scan_directory_add(struct scan_directory *directory, const struct scan_group *group);
void scan_directory_clear(struct scan_directory *directory); /* keeps the memory */
void scan_directory_free(struct scan_directory *directory);

/* ---- evidence behind the end of a walk ---- */

/* Whose groups are looked for. */
struct scan_epoch {
    uint64_t epoch; /* CONTROL's: only its groups prove anything */
    uint32_t seed;
    uint32_t walk_seed; /* where the walk ended; groups of an older epoch are leftovers */
    uint64_t walk_epoch;
};

/* Collected over any number of calls; start with all zero. Addresses are 0 where there is none. */
struct scan_evidence {
    weir_lsn durable_lsn;                /* largest one that a header of the epoch reports, */
    uint64_t durable_address;            /* and which says so */
    uint64_t first_address;              /* of the first whole group, of either seed, */
    weir_lsn first_lsn;                  /* and where it begins */
    uint64_t newest_address;             /* of the last header of the epoch */
    uint64_t newer_epoch, newer_address; /* an epoch that CONTROL does not know of */
    uint64_t groups, records;            /* whole ones, of either seed */
    uint64_t held_bytes; /* in blocks that hold something other than an earlier life's groups */
    uint64_t unreadable_bytes;
    uint64_t stale_until; /* end of an earlier life's group that is being passed */
    uint64_t zero_from;   /* what was looked at from here on is all zero; 0: everything */
};

/* Looks at every block of [offset, end) for headers that are valid by themselves. 0 or -errno that
 * says nothing about the bytes; what cannot be read or is not there is counted. */
int scan_evidence(struct scan *scan, uint64_t offset, uint64_t end, const struct scan_epoch *epoch,
                  struct scan_evidence *evidence);

/* The same for a segment's header that was decoded. */
void scan_evidence_header(const struct segment_header *header, uint64_t segment_bytes,
                          const struct scan_epoch *epoch, struct scan_evidence *evidence);

#endif
