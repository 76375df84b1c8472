#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test_disk disk_new(void)
{
    struct test_disk disk = {0};
    assert_int_equal(sim_memory_open(&disk.options, &disk.keeper), 0);
    disk.options.disk = sim_memory_disk(disk.keeper);
    return disk;
}

void disk_free(struct test_disk *disk)
{
    disk->keeper->ops->destroy(disk->keeper);
    disk->keeper = NULL;
}

struct weir_log_options small_options(void)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = WEIR_LOG_CREATE;
    options.lock_wait_ns = WEIR_NO_WAIT;
    return options;
}

/* On an existing log the fixed sizes are left alone. */
static bool has_control(struct test_disk *disk)
{
    uint64_t size;
    return sim_memory_bytes(disk->keeper, "CONTROL", false, &size) != NULL;
}

int try_open_log(struct test_disk *disk, const struct weir_log_options *options,
                 struct weir_log **ret_log, struct weir_error *why)
{
    struct weir_log_options own = options != NULL ? *options : small_options();
    struct weir_medium *medium;
    int rc = sim_memory_open(&disk->options, &medium);
    if (rc < 0) {
        return rc;
    }
    own.medium = WEIR_MEDIUM_CUSTOM;
    own.custom_medium = medium;
    if (own.segment_bytes == 0 && !has_control(disk)) {
        own.segment_bytes = SMALL_SEGMENT;
    }
    return weir_log_open("memory", &own, ret_log, why);
}

struct weir_log *open_log(struct test_disk *disk, const struct weir_log_options *options)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = try_open_log(disk, options, &log, &why);
    if (rc < 0) {
        print_error("open: %d %s\n", rc, why.text);
    }
    assert_int_equal(rc, 0);
    return log;
}

void close_log(struct weir_log *log)
{
    assert_int_equal(weir_log_close(log), 0);
}

int try_append(struct weir_log *log, const void *data, size_t size, enum weir_durability durability,
               weir_lsn *ret_lsn)
{
    struct weir_part part = {data, size};
    struct weir_entry entry = {.parts = &part, .part_count = 1};
    return weir_append(log, &entry, durability, ret_lsn);
}

weir_lsn append_text(struct weir_log *log, const char *text, enum weir_durability durability)
{
    weir_lsn lsn = 0;
    assert_int_equal(try_append(log, text, strlen(text), durability, &lsn), 0);
    return lsn;
}

void expect_texts(struct weir_log *log, weir_lsn first, const char *const *texts, size_t count)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(weir_cursor_next(cursor, &record), 1);
        assert_int_equal(record.lsn, first + i);
        assert_int_equal(record.size, strlen(texts[i]));
        assert_memory_equal(record.data, texts[i], record.size);
    }
    assert_int_equal(weir_cursor_next(cursor, &record), 0);
    weir_cursor_close(cursor);
}

uint64_t count_records(struct weir_log *log)
{
    struct weir_cursor *cursor;
    struct weir_record record;
    uint64_t count = 0;
    weir_lsn last = 0;
    assert_int_equal(weir_cursor_open(log, NULL, &cursor), 0);
    int rc;
    while ((rc = weir_cursor_next(cursor, &record)) == 1) {
        assert_true(last == 0 || record.lsn == last + 1);
        last = record.lsn;
        count++;
    }
    assert_int_equal(rc, 0);
    weir_cursor_close(cursor);
    return count;
}

size_t numbered_payload(uint64_t number, uint8_t *buffer, size_t most)
{
    uint64_t mixed = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = (size_t)((mixed >> 32) % (most + 1));
    for (size_t i = 0; i < size; i++) {
        buffer[i] = (uint8_t)(mixed >> (8 * (i % 8))) ^ (uint8_t)i;
    }
    return size;
}

void make_directory(char *path, size_t size)
{
    const char *parent = getenv("WEIR_TEST_DIR");
    int length = snprintf(path, size, "%s/weir-test-XXXXXX", parent != NULL ? parent : ".");
    assert_true(length > 0 && (size_t)length < size);
    assert_non_null(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void remove_directory(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
