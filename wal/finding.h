/*
 * The numbers of the reason codes, as gap records carry them (docs/FORMAT.md, 6).
 */
#ifndef WAL_FINDING_H
#define WAL_FINDING_H

#include <weir/finding.h>

/* The table's own string for a code, so that it outlives who reported it; "" if there is none. */
const char *finding_code(const char *code);

/* The type of a gap record: WEIR_TYPE_RESERVED and the code's number; without one for a code that
 * is not in the table. */
uint16_t finding_gap_type(const char *code);

/* "" when the type names no code. */
const char *finding_gap_code(uint16_t type);

#endif
