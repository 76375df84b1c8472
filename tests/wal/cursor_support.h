/*
 * Helper verbs for tests of cursors: the same log on each medium, records whose bytes follow from
 * their LSN, and readers that check what they get against that.
 */
#ifndef TESTS_WAL_CURSOR_SUPPORT_H
#define TESTS_WAL_CURSOR_SUPPORT_H

#include "tests/wal/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define PAYLOAD_MOST 700u

/* A medium to run a test on. */
struct rig {
    const char *name;
    enum weir_medium_kind kind; /* WEIR_MEDIUM_CUSTOM: the memory medium */
    bool window_is_file, asynchronous;
    uint32_t block_bytes;
    struct test_disk disk;
    char directory[128];
    struct weir_log *log;
};

extern const struct rig RIG_MEMORY, RIG_MEMORY_FILE, RIG_DIRECT, RIG_MAPPED;

/* Makes an empty place for a log; the log itself comes with rig_open(). */
void rig_begin(struct rig *rig, const struct rig *model);
void rig_end(struct rig *rig);

/* Opens the log (also again: closes it first). 0 or the error. */
struct weir_log *rig_open(struct rig *rig, const struct weir_log_options *options);
void rig_close(struct rig *rig);

/* Appends one record whose payload follows from its LSN. */
weir_lsn append_next(struct weir_log *log, enum weir_durability durability);
void append_many(struct weir_log *log, unsigned count, enum weir_durability durability);
weir_lsn append_batch_of(struct weir_log *log, unsigned count, enum weir_durability durability);

/* Takes an LSN and gives it back: a VOID record. */
weir_lsn append_void(struct weir_log *log);

/* Does the record hold what append_next() and append_batch_of() write? For any thread. */
bool is_intact(const struct weir_record *record);

struct weir_cursor *open_cursor(struct weir_log *log, const struct weir_cursor_options *options);
struct weir_cursor *open_cursor_at(struct weir_log *log, weir_lsn lsn);

/* The next record is this one, intact; returns its time. */
uint64_t expect_next(struct weir_cursor *cursor, weir_lsn lsn);
void expect_run(struct weir_cursor *cursor, weir_lsn from, weir_lsn to);
void expect_caught_up(struct weir_cursor *cursor);

/* The next call says this, and the detail names these LSNs. */
void expect_refusal(struct weir_cursor *cursor, int rc, weir_lsn from, weir_lsn to);

struct weir_stat stat_of(struct weir_log *log);

#endif
