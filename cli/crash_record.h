/*
 * The records of crash runs: a record's bytes follow from who appended it and as which one, so that
 * whoever finds a record can tell whether it was ever appended, and by whom.
 */
#ifndef CLI_CRASH_RECORD_H
#define CLI_CRASH_RECORD_H

#include <weir/types.h>

#define CRASH_SIZE_MIN 16u /* the origin, and enough behind it to notice what was changed */
#define CRASH_SIZE_MAX (1u << 20)

/* Sizes of payloads, uniform between the two. */
struct crash_sizes {
    uint32_t min, max; /* bytes; both in CRASH_SIZE_MIN..CRASH_SIZE_MAX */
};

/* Which record, of which writer. */
struct crash_origin {
    uint32_t writer; /* 1 and up: a writer thread of a round; 0 is nobody */
    uint32_t number; /* 1, 2, 3, ... in the order in which that writer appends */
};

/* Fills in the payload; room for sizes->max. Returns its size. */
size_t crash_record_make(struct crash_origin origin, const struct crash_sizes *sizes,
                         uint8_t *payload);

/* Whose record it is; false when its bytes are not what that origin stands for. The record of a put
 * has these bytes as its value, under the key of that origin.
 * @param scratch  room for sizes->max */
bool crash_record_read(const struct weir_record *record, const struct crash_sizes *sizes,
                       uint8_t *scratch, struct crash_origin *ret_origin);

#endif
