/* What verification and salvage find: one table of reason codes, and the shape of a finding.
 *
 * Codes and numbers are stable: scripts compare the codes, and the number is in the type of the gap
 * records that weir_salvage() writes. A code says what is wrong with the bytes, not how it came
 * about: that the medium lied, that somebody wrote into a file, and that a copy was incomplete look
 * alike.
 *
 * Threads: all functions here may be called from any thread.
 */
#ifndef WEIR_FINDING_H
#define WEIR_FINDING_H

#include <weir/export.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to do where a code does not say more: the lines that `weir verify` and `weir salvage` end
 * with. */
#define WEIR_FINDING_RESTORE                                                                       \
    "restore the file that is named from a backup, or run `weir salvage LOG NEW` to copy what is " \
    "whole to a new log"

/* X(code, number, what it means, what to do) */
#define WEIR_FINDINGS(X)                                                                           \
    X("group-crc", 1, "bytes that should begin a group fail its checksum", WEIR_FINDING_RESTORE)   \
    X("group-fields", 2, "a group's header passes its checksum and holds impossible values",       \
      WEIR_FINDING_RESTORE)                                                                        \
    X("group-address", 3, "a whole group that belongs to another place: a misdirected write",      \
      WEIR_FINDING_RESTORE)                                                                        \
    X("chain", 4,                                                                                  \
      "what is here does not follow what lies before it: files of two copies of a "                \
      "log, or a stale write",                                                                     \
      WEIR_FINDING_RESTORE)                                                                        \
    X("group-lsn", 5, "a group's LSN does not continue from the group before",                     \
      WEIR_FINDING_RESTORE)                                                                        \
    X("group-time", 6, "a group's time goes back", WEIR_FINDING_RESTORE)                           \
    X("group-epoch", 7, "a group is of another epoch than the one in force", WEIR_FINDING_RESTORE) \
    X("body-crc", 8, "a group's record headers, or its body, fail their checksum",                 \
      WEIR_FINDING_RESTORE)                                                                        \
    X("record-sizes", 9, "a group's records do not fill it", WEIR_FINDING_RESTORE)                 \
    X("record-crc", 10, "a record's payload fails its checksum", WEIR_FINDING_RESTORE)             \
    X("padding", 11, "bytes that must be zero are not", WEIR_FINDING_RESTORE)                      \
    X("seal", 12, "a segment's directory of LSNs is damaged: it is derived from the groups",       \
      "nothing has to be done: readers walk the groups instead")                                   \
    X("segment-header", 13, "a segment's header is not valid in one of its two copies, or both",   \
      WEIR_FINDING_RESTORE)                                                                        \
    X("segment-missing", 14, "a segment's file is not there",                                      \
      "look for the file that is named: moved back into LOG it is as good as before; else "        \
      "restore "                                                                                   \
      "it from a backup, or run `weir salvage LOG NEW`")                                           \
    X("cut-short", 15, "a segment's file is shorter than it was made", WEIR_FINDING_RESTORE)       \
    X("medium-error", 16, "the medium cannot read a part of a file",                               \
      "copy LOG to another device, for example with ddrescue, and verify the copy; or run `weir "  \
      "salvage LOG NEW` with NEW on another device")                                               \
    X("control", 17, "CONTROL is missing or has no two equal valid copies",                        \
      "restore CONTROL from a backup of this very log, or run `weir salvage LOG NEW`: it needs "   \
      "no CONTROL")                                                                                \
    X("control-copy", 18, "one of the four copies of CONTROL is damaged",                          \
      "nothing has to be done: the others are enough, and the next writer makes it whole")         \
    X("epoch", 19, "the segments are newer than CONTROL, or tell another history than it",         \
      "bring back the whole directory instead of single files, or run `weir salvage LOG NEW`")     \
    X("lost", 20, "records that were acknowledged are not where they were", WEIR_FINDING_RESTORE)  \
    X("hole", 21, "valid groups lie further behind a damaged one than a crash can leave them",     \
      WEIR_FINDING_RESTORE)                                                                        \
    X("damaged-end", 22, "the log does not end where CONTROL says",                                \
      "run `weir salvage LOG NEW` to copy what is whole to a new log")                             \
    X("foreign-file", 23, "a file in the log's directory does not belong to the log",              \
      "move it elsewhere; Weir leaves it alone")                                                   \
    X("gap", 24,                                                                                   \
      "records were lost before this log was made by a salvage: its gap records say "              \
      "so",                                                                                        \
      "nothing has to be done: readers are told; a backup of the log that was salvaged may still " \
      "have them")                                                                                 \
    X("overlap", 25, "records whose LSNs were met before, in a file of another copy of the log",   \
      "compare both copies: salvage keeps the records that it meets first")                        \
    X("hold", 26, "a hold's file is damaged",                                                      \
      "set the hold again with `weir hold set`, or drop it")                                       \
    X("state", 27, "a file of something that is derived from the log is damaged",                  \
      "`weir rebuild LOG NAME` makes it again from the log; where the definition is damaged, "     \
      "`weir consumers LOG --drop NAME` comes first, and then it is created again")                \
    X("checkpoint", 28, "the engine's checkpoint is damaged; it is derived from the log",          \
      "nothing has to be done: the log is replayed instead; `weir checkpoint LOG` makes it again")

/* One thing that verification found. */
struct weir_finding {
    const char *code;          /* of the table above; a constant */
    weir_lsn from_lsn, to_lsn; /* inclusive; to_lsn UINT64_MAX = open end; 0, 0 = no record lost */
    char file[64];             /* name inside the log's directory */
    uint64_t offset;           /* in file; UINT64_MAX = the file as a whole */
    char text[400];            /* one sentence with file, offset and LSNs */
    const char *advice;        /* what to do about it; a constant */
    bool note; /* costs no record and keeps nobody from opening or reading: damage to what exists
                  twice or can be derived */
};

/* Says in a phrase what a code means.
 *
 * @param code  of a finding or a gap
 * Returns: a constant string; "" when there is no such code; never NULL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const char *weir_finding_meaning(const char *code);

/* Says what can be done about a code.
 *
 * @param code  of a finding or a gap
 * Returns: a constant string; "" when there is no such code; never NULL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const char *weir_finding_advice(const char *code);

/* Why the LSN of a gap record is missing.
 *
 * @param record  as a cursor with with_gaps lends it
 * Returns: a code of the table; "" for a record that is no gap, and for a reason that a later
 *   version wrote; never NULL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const char *weir_gap_code(const struct weir_record *record);

#ifdef __cplusplus
}
#endif
#endif
