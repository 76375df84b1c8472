/*
 * Helper verbs for tests of backup: a writer's log on one simulated disk, a copy on another.
 */
#ifndef TESTS_WAL_BACKUP_SUPPORT_H
#define TESTS_WAL_BACKUP_SUPPORT_H

#include "support.h"

#define PAYLOAD_MAX 3000u
#define TYPE_OF_LOG 7

struct fixture {
    struct test_disk from, to;
    struct weir_log *log; /* the writer's */
    struct weir_backup_options options;
    struct weir_backup_report report;
    struct weir_error why;
    struct sim_memory_faults from_faults, to_faults;
};

/* 0: blocks of 4096 in separate memory; 1: of 64, in the file itself. */
struct test_disk disk_of(size_t medium, uint64_t capacity_bytes);

struct fixture begin(void);
struct fixture begin_on(size_t from, size_t to, uint64_t target_bytes);
void end(struct fixture *fixture);

/* One record with a payload of its own; its LSN. */
weir_lsn append_one(struct weir_log *log, weir_lsn lsn);

/* Of callers, cancelled ones, and ones that carry their number, as those of the engine do. */
void append_mixed(struct weir_log *log, int count);

/* Options for another medium on a disk. */
struct weir_log_options custom_on(struct test_disk *disk, bool read_only,
                                  const struct sim_memory_faults *faults);

/* From the writer's handle, or as another process does. The second expects success. */
int back_up(struct fixture *fixture, bool other_process);
void backed_up(struct fixture *fixture, bool other_process);

/* The copy, for writing, once all of it was checked. */
struct weir_log *open_copy(struct fixture *fixture);

/* Shows VOID records and gaps, too. */
struct weir_cursor *open_cursor(struct weir_log *log);

/* The copy has no finding, and as many records as were reported. */
void expect_verified(struct fixture *fixture);

/* Every record of [report.first, report.last] is the source's, and no other is there. */
void expect_same(struct fixture *fixture, struct weir_log *source, struct weir_log *copy);

int holds_of(struct weir_log *log);
bool has_file(struct test_disk *disk, const char *name);

/* Nothing of a log was left at the target. */
void expect_nothing_in(struct fixture *fixture);

#endif
