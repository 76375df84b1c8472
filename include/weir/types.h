/* The scalar words of Weir, used by every other header.
 *
 *   LSN        log sequence number: 1, 2, 3, ... without gaps; 0 means "none".
 *   time       nanoseconds since 1970-01-01 UTC, in steps of about one millisecond.
 *   durability what weir_append() has achieved when it returns, see enum weir_durability.
 *
 * Iterating calls return 1 (an element), 0 (caught up) or a negative error. All other calls that
 * return int give 0 or a negative error. Errors of the operating system are -errno, those of Weir
 * are listed in <weir/error.h>. Outputs are untouched when a call fails.
 */
#ifndef WEIR_TYPES_H
#define WEIR_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Log sequence number. Dense, from 1, across restarts, segment rolls and truncation; at or below
 * the horizon compaction leaves out what nobody needs. */
typedef uint64_t weir_lsn;

#define WEIR_LSN_NONE ((weir_lsn)0)

/* What an append has achieved when it returns. What survives what: docs/DURABILITY.md. */
enum weir_durability {
    /* The record is durable: it survives power loss. */
    WEIR_EACH = 1,
    /* The record is published. A commit of it starts by itself while others go on; for the last
     * ones with the next append, wait, commit, process or close, or by the service thread. */
    WEIR_GROUP = 2,
    /* The record is published. A flush comes when half of W is used, or on request. */
    WEIR_NONE = 3,
};

/* One piece of a payload; the pieces of an entry are stored one behind the other. */
struct weir_part {
    const void *data;
    size_t size;
};

/* What the caller hands to weir_append(): a payload in pieces, and two tags that Weir keeps as
 * they are. type >= WEIR_TYPE_RESERVED is refused: those belong to Weir's own layers. */
struct weir_entry {
    const struct weir_part *parts;
    size_t part_count;
    uint32_t user;
    uint16_t type;
};

#define WEIR_TYPE_RESERVED ((uint16_t)0xff00)

/* What a cursor lends. data lies inside the segment's window: see <weir/cursor.h> for how long. */
struct weir_record {
    weir_lsn lsn;
    uint64_t time_ns;
    const void *data;
    uint32_t size;
    uint32_t user;
    uint16_t type;
    uint16_t flags; /* WEIR_RECORD_* */
};

/* A cancelled reservation: keeps its LSN, has no payload. */
#define WEIR_RECORD_VOID ((uint16_t)1)
/* Written by salvage in place of a record that was lost: no payload; type says why
 * (weir_gap_code()); user says how many LSNs the gap goes on for, this one included, so that lsn +
 * user - 1 is its last one (0xffffffff: at least so many). Below the horizon of compaction one such
 * record stands for all of them. */
#define WEIR_RECORD_GAP ((uint16_t)2)

/* What the *_INIT macros of structs that begin with their own size expand to: all zero but that.
 * C++ before C++20 has no designated initializers. */
#ifdef __cplusplus
#define WEIR_SIZED_INIT(type)                                                                      \
    ([] {                                                                                          \
        struct type made = {};                                                                     \
        made.size = sizeof made;                                                                   \
        return made;                                                                               \
    }())
#else
#define WEIR_SIZED_INIT(type)                                                                      \
    {                                                                                              \
        .size = sizeof(struct type)                                                                \
    }
#endif

#ifdef __cplusplus
}
#endif
#endif
