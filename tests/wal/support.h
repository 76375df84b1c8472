/*
 * Helper verbs for tests of the log: a small log on the memory medium, or on a real directory.
 */
#ifndef TESTS_WAL_SUPPORT_H
#define TESTS_WAL_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sim/memory.h>
#include <weir/weir.h>

#define SMALL_SEGMENT ((uint64_t)256 << 10)

/* A disk in memory that outlives the handles on it. */
struct test_disk {
    struct weir_medium *keeper; /* keeps the disk alive */
    struct sim_memory_options options;
};

struct test_disk disk_new(void);
void disk_free(struct test_disk *disk);

/* Opens the log on the disk; options may be NULL (small segments, create). Fails the test on error.
 */
struct weir_log *open_log(struct test_disk *disk, const struct weir_log_options *options);
int try_open_log(struct test_disk *disk, const struct weir_log_options *options,
                 struct weir_log **ret_log, struct weir_error *why);
struct weir_log_options small_options(void);
void close_log(struct weir_log *log);

/* Appends a C string and returns its LSN; fails the test on error. */
weir_lsn append_text(struct weir_log *log, const char *text, enum weir_durability durability);
int try_append(struct weir_log *log, const void *data, size_t size, enum weir_durability durability,
               weir_lsn *ret_lsn);

/* Reads everything from the earliest record and compares: the payload of LSN first + i is texts[i].
 */
void expect_texts(struct weir_log *log, weir_lsn first, const char *const *texts, size_t count);

/* Reads everything; returns how many records there are, and checks that LSNs rise by one. */
uint64_t count_records(struct weir_log *log);

/* The payload that belongs to a number: size and bytes are a function of it. */
size_t numbered_payload(uint64_t number, uint8_t *buffer, size_t most);

/* A fresh directory on a real disk ($WEIR_TEST_DIR or the working directory); remove_directory()
 * removes it with all that is in it. */
void make_directory(char *path, size_t size);
void remove_directory(const char *path);

#endif
