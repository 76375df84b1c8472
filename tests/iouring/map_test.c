/* Mapping a file: what is there at once, and what comes when it is touched. */
#include "base/alloc.h"
#include "base/file.h"
#include "iouring/read_ahead.h"
#include "tests/medium/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define PAGES ((size_t)2048)

/* How many pages of a mapping this process has page table entries for. */
static size_t present_pages(const uint8_t *base)
{
    static uint64_t entries[PAGES];
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t offset = (off_t)((uintptr_t)base / PAGE * sizeof entries[0]);
    assert_int_equal(pread(fd, entries, sizeof entries, offset), sizeof entries);
    close(fd);
    size_t count = 0;
    for (size_t i = 0; i < PAGES; i++) {
        count += entries[i] >> 63;
    }
    return count;
}

/* Written through the page cache, so that all of it is there. */
static void make_file(char *directory, struct base_directory *ret_base, struct base_file *ret_file)
{
    assert_int_equal(fixture_make_directory(directory, NULL), 0);
    assert_int_equal(base_directory_open(ret_base, directory), 0);
    assert_int_equal(base_file_create(ret_base, "file", PAGES * PAGE, BASE_DIRECT_NEVER, ret_file),
                     0);
    uint8_t *bytes = base_alloc_aligned(PAGE, PAGES * PAGE);
    assert_non_null(bytes);
    fill(bytes, PAGES * PAGE, 3);
    assert_int_equal(base_file_write(ret_file, 0, bytes, PAGES * PAGE), 0);
    assert_int_equal(base_file_sync(ret_file), 0);
    base_free(bytes);
}

static void forget_file(const char *directory, struct base_directory *base, struct base_file *file)
{
    base_file_close(file);
    base_directory_close(base);
    fixture_remove_directory(directory);
}

static void what_the_page_cache_holds_is_mapped_when_it_is_touched(void **state)
{
    (void)state;
    char directory[256];
    struct base_directory base;
    struct base_file file;
    uint8_t *view;
    make_file(directory, &base, &file);
    assert_true(base_file_is_resident(&file, 0, PAGES * PAGE));
    assert_int_equal(base_file_map(&file, PAGES * PAGE, BASE_MAP_AT_ONCE, &view), 0);
    assert_int_equal(present_pages(view), PAGES);
    base_file_unmap(view, PAGES * PAGE);
    assert_int_equal(base_file_map(&file, PAGES * PAGE, BASE_MAP_WHEN_TOUCHED, &view), 0);
    size_t before = present_pages(view);
    expect_fill(view, PAGES * PAGE, 3);
    assert_int_equal(present_pages(view), PAGES);
    base_file_unmap(view, PAGES * PAGE);
    forget_file(directory, &base, &file);
    if (before == PAGES) {
        skip(); /* the kernel does not tell what is in the page cache: all of it was mapped */
    }
    assert_int_equal(before, 0);
}

static void what_the_page_cache_does_not_hold_is_mapped_at_once(void **state)
{
    (void)state;
    char directory[256];
    struct base_directory base;
    struct base_file file;
    uint8_t *view;
    make_file(directory, &base, &file);
    assert_int_equal(base_file_drop_cache(&file), 0);
    bool dropped = !base_file_is_resident(&file, 0, PAGES * PAGE);
    assert_int_equal(base_file_map(&file, PAGES * PAGE, BASE_MAP_WHEN_TOUCHED, &view), 0);
    size_t present = present_pages(view);
    expect_fill(view, PAGES * PAGE, 3);
    base_file_unmap(view, PAGES * PAGE);
    forget_file(directory, &base, &file);
    if (!dropped) {
        skip(); /* a file system in memory */
    }
    assert_int_equal(present, PAGES);
}

/* Touching the rest would read it, and where the medium cannot, raise SIGBUS. */
static void what_the_page_cache_lacks_of_a_file_is_read_when_it_is_mapped(void **state)
{
    (void)state;
    char directory[256], path[300];
    struct base_directory base;
    struct base_file file;
    uint8_t *view;
    make_file(directory, &base, &file);
    assert_int_equal(base_file_drop_cache(&file), 0);
    bool dropped = !base_file_is_resident(&file, 0, PAGE);
    (void)snprintf(path, sizeof path, "%s/file", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* nothing ahead */
    for (size_t i = 0; i < PAGES - 1; i++) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, (off_t)(i * PAGE)), 1);
    }
    close(fd);
    bool partly = dropped && !base_file_is_resident(&file, 0, PAGES * PAGE);
    assert_int_equal(base_file_map(&file, PAGES * PAGE, BASE_MAP_WHEN_TOUCHED, &view), 0);
    bool all = base_file_is_resident(&file, 0, PAGES * PAGE);
    size_t present = present_pages(view);
    base_file_unmap(view, PAGES * PAGE);
    forget_file(directory, &base, &file);
    if (!partly) {
        skip(); /* a file system in memory */
    }
    assert_true(all);
    assert_true(present >= 1); /* the one that was read, and perhaps its neighbours */
}

static void a_part_that_is_not_there_is_not_resident(void **state)
{
    (void)state;
    char directory[256];
    struct base_directory base;
    struct base_file file;
    make_file(directory, &base, &file);
    assert_true(base_file_is_resident(&file, 5 * PAGE, 1));
    assert_true(base_file_is_resident(&file, 5 * PAGE + 100, PAGE));
    assert_false(base_file_is_resident(&file, (PAGES - 1) * PAGE, 2 * PAGE));
    assert_false(base_file_is_resident(&file, 0, 0));
    forget_file(directory, &base, &file);
}

/* Who is told no reads past the page cache: what the question had begun to read is read twice. */
static void what_the_page_cache_lacks_is_not_fetched_by_asking(void **state)
{
    (void)state;
    char directory[256];
    struct base_directory base;
    struct base_file file;
    make_file(directory, &base, &file);
    uint8_t *bytes = base_alloc_aligned(PAGE, PAGES * PAGE);
    assert_non_null(bytes);
    size_t got = 0;
    assert_true(base_file_read_resident(&file, 0, bytes, PAGES * PAGE, &got));
    assert_int_equal(got, PAGES * PAGE);
    expect_fill(bytes, PAGES * PAGE, 3);
    assert_int_equal(base_file_drop_cache(&file), 0);
    bool dropped = !base_file_is_resident(&file, 0, PAGE);
    bool found = base_file_read_resident(&file, 0, bytes, PAGE, &got);
    bool fetched = base_file_is_resident(&file, 0, PAGE);
    base_free(bytes);
    forget_file(directory, &base, &file);
    if (!dropped) {
        skip(); /* a file system in memory */
    }
    assert_false(found);
    assert_false(fetched);
}

/* Who copies from the page cache waits for nobody: not for a slot, not for the ring, not for who
 * waits for the medium with the lock held. */
static void what_the_page_cache_has_is_read_without_a_slot_and_without_the_lock(void **state)
{
    (void)state;
    char directory[256];
    struct base_directory base;
    struct base_file file;
    static struct read_ahead ahead;
    make_file(directory, &base, &file);
    uint8_t *bytes = base_alloc_aligned(PAGE, 2 * PAGE);
    assert_non_null(bytes);
    const struct weir_file *owner = (const struct weir_file *)(const void *)&base;
    uint64_t ticket;
    size_t got = 0;
    ahead = (struct read_ahead){.off = true};
    assert_int_equal(read_ahead_begin(&ahead, owner, file.fd, NULL, 0, bytes, 2 * PAGE, &ticket),
                     -EOPNOTSUPP);
    assert_int_equal(read_ahead_begin(&ahead, owner, file.fd, &file, 0, bytes, 2 * PAGE, &ticket),
                     1);
    base_lock_acquire(&ahead.lock);
    assert_int_equal(read_ahead_end(&ahead, &file, ticket, &got), 0);
    base_lock_release(&ahead.lock);
    assert_int_equal(got, 2 * PAGE);
    expect_fill(bytes, 2 * PAGE, 3);
    for (unsigned slot = 0; slot < READ_AHEAD_DEPTH; slot++) {
        assert_null(ahead.slots[slot].file);
    }
    base_free(bytes);
    forget_file(directory, &base, &file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_page_cache_holds_is_mapped_when_it_is_touched),
        cmocka_unit_test(what_the_page_cache_does_not_hold_is_mapped_at_once),
        cmocka_unit_test(what_the_page_cache_lacks_of_a_file_is_read_when_it_is_mapped),
        cmocka_unit_test(a_part_that_is_not_there_is_not_resident),
        cmocka_unit_test(what_the_page_cache_lacks_is_not_fetched_by_asking),
        cmocka_unit_test(what_the_page_cache_has_is_read_without_a_slot_and_without_the_lock),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
