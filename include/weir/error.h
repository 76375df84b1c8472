/* Every error that is Weir's own: one table, its sentences, and the detail of a failed open.
 *
 * Calls return -errno for what the operating system said and one of these for what Weir found.
 * weir_error_text() turns either into a sentence, weir_error_advice() says what to do about it.
 *
 *     struct weir_error why = WEIR_ERROR_INIT;
 *     int rc = weir_log_open("orders.log", NULL, &log, &why);
 *     if (rc < 0)
 *         fprintf(stderr, "%s\n%s\n", why.text, weir_error_advice(rc));
 *
 * Threads: all functions here may be called from any thread. Nothing here allocates or blocks.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <weir/export.h>
#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What there is to do about damage, after a look for a backup. */
#define WEIR_ADVICE_DAMAGED                                                                        \
    "`weir verify LOG` lists what is damaged, `weir salvage LOG NEW` copies what is whole to a "   \
    "new log"

/* X(name, value, sentence, what to do) */
#define WEIR_ERRORS(X)                                                                             \
    X(WEIR_E_NOT_A_LOG, -20001, "the directory does not hold a Weir log",                          \
      "check the path; a new log needs an empty or absent directory")                              \
    X(WEIR_E_NEWER_FORMAT, -20002, "the log was written in a newer format",                        \
      "open it with the version of Weir that wrote it, or a later one")                            \
    X(WEIR_E_DAMAGED, -20003, "the log holds bytes that were not written by Weir",                 \
      "nothing was changed; " WEIR_ADVICE_DAMAGED)                                                 \
    X(WEIR_E_LOST, -20004, "records that were reported durable are missing or damaged",            \
      "nothing was changed; " WEIR_ADVICE_DAMAGED)                                                 \
    X(WEIR_E_HOLE, -20005, "valid groups lie beyond the run-ahead limit behind a damaged one",     \
      "nothing was changed; " WEIR_ADVICE_DAMAGED)                                                 \
    X(WEIR_E_ROLLED_BACK, -20006, "CONTROL is older than the segments beside it",                  \
      "bring back the whole directory, not single files; without one: " WEIR_ADVICE_DAMAGED)       \
    X(WEIR_E_CONTROL, -20007, "CONTROL has no two equal valid copies",                             \
      "restore CONTROL from a backup of this very log; without one: " WEIR_ADVICE_DAMAGED)         \
    X(WEIR_E_LOCKED, -20008, "another writer has the log open",                                    \
      "stop that writer, open read-only, or wait longer: lock_wait_ns, --lock-wait TIME")          \
    X(WEIR_E_POISONED, -20009, "an earlier write or flush failed, so the log takes no more",       \
      "mend the device, then close and open the log again: what is durable is kept")               \
    X(WEIR_E_TOO_BIG, -20010, "the record or batch is larger than this log's limit",               \
      "split it, or create the log with a larger record or group limit")                           \
    X(WEIR_E_TRUNCATED, -20011, "the LSN lies below the earliest one that is retained",            \
      "start again from `earliest`; the records below it were dropped by truncation")              \
    X(WEIR_E_HORIZON, -20012, "the LSN lies at or below the horizon of compaction",                \
      "start from the state as of the horizon, then follow the stream")                            \
    X(WEIR_E_HELD, -20013, "a hold needs records that would be dropped",                           \
      "move or drop the hold that is named, then try again; the engine's own goes with none "      \
      "of these: `weir compact LOG`")                                                              \
    X(WEIR_E_FORKED, -20014, "this handle was opened before fork()",                               \
      "open the log again in the child; the parent's handle is its own")                           \
    X(WEIR_E_MEDIUM, -20015, "the medium that was asked for cannot be had here",                   \
      "`weir devices PATH` says which media this directory offers, and why")                       \
    X(WEIR_E_EMULATED, -20016, "libpmem was told to skip flushes or to trust ordinary memory",     \
      "unset PMEM_NO_FLUSH and PMEM_IS_PMEM_FORCE, or allow emulation for a measurement")          \
    X(WEIR_E_SETTINGS, -20017, "an option does not fit this log or the other options",             \
      "leave sizes out for a log that exists, they were fixed when it was made; for a new one "    \
      "see the limits in <weir/log.h>")                                                            \
    X(WEIR_E_READ_ONLY, -20018, "the log was opened read-only",                                    \
      "open it for writing to append, truncate or hold")                                           \
    X(WEIR_E_CUT_SHORT, -20019, "a file of the log is shorter than it was made",                   \
      "bring the file back from elsewhere or from a backup; without one: " WEIR_ADVICE_DAMAGED)    \
    X(WEIR_E_NO_HOLD, -20020, "there is no hold of that name", "`weir stat LOG` lists the holds")  \
    X(WEIR_E_BUSY, -20021, "too many reservations are open at once",                               \
      "publish or cancel one first")                                                               \
    X(WEIR_E_GAP, -20022, "the records here were lost before this log was made by a salvage",      \
      "a cursor goes on at the LSN behind the gap, or shows it (with_gaps; `weir tail LOG` "       \
      "does); "                                                                                    \
      "an engine that is opened with WEIR_ENGINE_ACCEPT_GAPS accepts it for good (`weir rebuild "  \
      "LOG --accept-gaps`)")                                                                       \
    X(WEIR_E_KEY, -20023, "a key has 1 to 65535 bytes, and no more than a record has room for",    \
      "give a key of that length; a longer one can be hashed, and kept whole in the value")        \
    X(WEIR_E_NO_TABLE, -20024, "there is no table of that name or number",                         \
      "`weir stat LOG --engine` lists the tables; weir_table_open() and `weir put` make one")      \
    X(WEIR_E_TABLES, -20025, "the log has as many tables as it can have",                          \
      "put a prefix in front of the keys of one table instead")                                    \
    X(WEIR_E_CONFLICT, -20026, "the key's version is not the expected one",                        \
      "read the key again, decide again, and try with the version that was read")                  \
    X(WEIR_E_RECORD, -20027, "a record has the engine's type and is none of its records",          \
      "nothing was changed; " WEIR_ADVICE_DAMAGED)                                                 \
    X(WEIR_E_INDEX_FULL, -20028, "the index has reached its limit of memory",                      \
      "delete keys and compact, or open the engine with a larger index_bytes; keys that are "      \
      "there can be read, changed and deleted")                                                    \
    X(WEIR_E_DISK_LOW, -20029, "the file system has less room left than writes must leave free",   \
      "make room: `weir compact LOG`, or remove other files; reads go on")                         \
    X(WEIR_E_ENGINES_HOLD, -20030, "that hold belongs to the storage engine, which needs it",      \
      "space of a log with tables comes back by `weir compact LOG`, not by truncation")            \
    X(WEIR_E_POSITION_LOST, -20031, "what came behind the position was compacted or truncated",    \
      "rebuild the system: `weir rebuild LOG NAME`, weir_host_rebuild(); or attach it anew")       \
    X(WEIR_E_ATTACHED, -20032, "a consumer of that name is attached already",                      \
      "detach it, stop the process that drives it, or take another name")                          \
    X(WEIR_E_PARKED, -20033, "the derived system is parked: it failed at an event",                \
      "mend what the reason names, then retry; or skip the event, or rebuild")                     \
    X(WEIR_E_STATE, -20034, "a state beside the log is damaged, or is of another log or history",  \
      "nothing is lost: it is derived data, `weir rebuild LOG NAME` makes it again")               \
    X(WEIR_E_BEHIND, -20035, "the derived system has not got as far as that LSN",                  \
      "wait longer, or flush; `weir consumers LOG` shows how far each one is")                     \
    X(WEIR_E_NO_SYSTEM, -20036, "there is no derived system or consumer of that name",             \
      "`weir consumers LOG` lists them")

#define WEIR_ERROR_ENUM(name, value, sentence, advice) name = value,
enum weir_error_code { WEIR_ERRORS(WEIR_ERROR_ENUM) };
#undef WEIR_ERROR_ENUM

/* The detail of a failure: which file, where, which LSNs, and one sentence with all of it. */
struct weir_error {
    size_t size;               /* sizeof(struct weir_error) */
    int code;                  /* the same value that the call returned */
    weir_lsn from_lsn, to_lsn; /* inclusive; 0 = not about LSNs; to_lsn UINT64_MAX = open end */
    uint64_t offset;           /* byte offset in file; UINT64_MAX = none */
    char file[64];             /* name inside the log's directory; "" = none */
    char text[400];            /* one sentence, no newline */
};

#define WEIR_ERROR_INIT                                                                            \
    {                                                                                              \
        sizeof(struct weir_error), 0, 0, 0, UINT64_MAX, "", ""                                     \
    }

/* Names an error in one sentence: one of Weir's own, or strerror() for an -errno.
 *
 * @param code  what a call returned, negative
 * Returns: a constant string (thread-local for -errno); never NULL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const char *weir_error_text(int code);

/* Says what a person can do about an error.
 *
 * @param code  what a call returned, negative
 * Returns: a constant string, "" when there is nothing to advise; never NULL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const char *weir_error_advice(int code);

/* Gives the symbolic name of an error: "WEIR_E_LOCKED", "ENOSPC", or "UNKNOWN".
 *
 * @param code  what a call returned, negative
 * Returns: a constant string; never NULL.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
 */
WEIR_EXPORT const char *weir_error_name(int code);

#ifdef __cplusplus
}
#endif
#endif
