/*
 * State files: what is written comes back, and what is not whole or does not fit the log is
 * refused.
 */
#include "compact_support.h"

#include "base/crc32c.h"
#include "wal/control.h"
#include "wal/log.h"
#include "wal/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH "derived/by_section/state"

struct fixture {
    struct test_disk disk;
    struct weir_log *log;
};

static struct fixture log_with_records(int count)
{
    struct fixture fixture = {.disk = disk_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    for (int i = 0; i < count; i++) {
        append_text(fixture.log, "record", WEIR_EACH);
    }
    return fixture;
}

static void finish(struct fixture *fixture)
{
    close_log(fixture->log);
    disk_free(&fixture->disk);
}

static void reopen(struct fixture *fixture)
{
    close_log(fixture->log);
    fixture->log = open_log(&fixture->disk, NULL);
}

/* A read-only handle beside the writer. */
static struct weir_log *open_reader(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    options.flags = WEIR_LOG_READ_ONLY;
    fixture->disk.options.read_only = true;
    struct weir_log *log = open_log(&fixture->disk, &options);
    fixture->disk.options.read_only = false;
    return log;
}

/* Bytes that depend on where they are, so that no two blocks are equal. */
static void fill(uint8_t *bytes, size_t size, size_t at, unsigned salt)
{
    for (size_t i = 0; i < size; i++) {
        size_t n = at + i;
        bytes[i] = (uint8_t)(n * 31 + (n >> 8) * 7 + (n >> 16) * 3 + salt);
    }
}

static int try_save(struct weir_log *log, size_t size, unsigned salt, weir_lsn position,
                    struct weir_error *why)
{
    struct weir_state_writer *writer;
    int rc = weir_state_create(log, "by_section", "state", &writer);
    if (rc < 0) {
        return rc;
    }
    uint8_t piece[1000];
    for (size_t at = 0; at < size; at += sizeof piece) {
        size_t part = size - at < sizeof piece ? size - at : sizeof piece;
        fill(piece, part, at, salt);
        (void)weir_state_write(writer, piece, part);
    }
    return weir_state_commit(writer, "index", 7, position, why);
}

static void save(struct weir_log *log, size_t size, unsigned salt, weir_lsn position)
{
    assert_int_equal(try_save(log, size, salt, position, NULL), 0);
}

static int try_load(struct weir_log *log, struct weir_error *why)
{
    struct weir_state_reader *reader = NULL;
    int rc = weir_state_open(log, "by_section", "state", &reader, why);
    if (rc == 0) {
        weir_state_close(reader);
    }
    return rc;
}

static void expect_refused(struct weir_log *log, const char *because)
{
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_load(log, &why), WEIR_E_STATE);
    assert_int_equal(why.code, WEIR_E_STATE);
    assert_string_equal(why.file, PATH);
    if (strstr(why.text, because) == NULL) {
        fail_msg("'%s' does not say '%s'", why.text, because);
    }
}

static void expect_state(struct weir_log *log, size_t size, unsigned salt, weir_lsn position)
{
    struct weir_state_reader *reader;
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_state_open(log, "by_section", "state", &reader, &why);
    if (rc < 0) {
        fail_msg("%d: %s", rc, why.text);
    }
    assert_int_equal(weir_state_about(reader, &about), 0);
    assert_int_equal(about.position, position);
    assert_int_equal(about.bytes, size);
    assert_int_equal(about.version, 7);
    assert_string_equal(about.kind, "index");
    uint8_t piece[777], expected[777];
    for (size_t at = 0; at < size; at += sizeof piece) {
        size_t part = size - at < sizeof piece ? size - at : sizeof piece;
        assert_int_equal(weir_state_left(reader), size - at);
        assert_int_equal(weir_state_read(reader, piece, part), 0);
        fill(expected, part, at, salt);
        assert_memory_equal(piece, expected, part);
    }
    assert_int_equal(weir_state_read(reader, piece, 1), WEIR_E_STATE);
    assert_int_equal(weir_state_read(reader, piece, 0), 0);
    weir_state_close(reader);
}

/* ---- what is written comes back ---- */

static void cd_02_a_state_of_any_size_comes_back_byte_for_byte_after_a_reopen(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   4096 - sizeof(struct state_block),
                                   4096 - sizeof(struct state_block) + 1,
                                   STATE_BLOCK_ROOM - 1,
                                   STATE_BLOCK_ROOM,
                                   STATE_BLOCK_ROOM + 1,
                                   3 * STATE_BLOCK_ROOM,
                                   5000000};
    (void)state;
    struct fixture fixture = log_with_records(9);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        save(fixture.log, sizes[i], (unsigned)i, 3);
        expect_state(fixture.log, sizes[i], (unsigned)i, 3);
        reopen(&fixture);
        expect_state(fixture.log, sizes[i], (unsigned)i, 3);
    }
    finish(&fixture);
}

static void a_state_is_absent_until_it_is_committed_and_the_old_one_stays_until_then(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct weir_state_writer *writer;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_load(fixture.log, &why), -ENOENT);
    assert_int_equal(weir_state_create(fixture.log, "by_section", "state", &writer), 0);
    assert_int_equal(weir_state_write(writer, "abc", 3), 0);
    assert_int_equal(try_load(fixture.log, &why), -ENOENT);
    weir_state_abandon(writer);
    assert_int_equal(try_load(fixture.log, &why), -ENOENT);
    save(fixture.log, 3000, 1, 4);
    assert_int_equal(weir_state_create(fixture.log, "by_section", "state", &writer), 0);
    assert_int_equal(weir_state_write(writer, "abc", 3), 0);
    expect_state(fixture.log, 3000, 1, 4);
    weir_state_abandon(writer);
    expect_state(fixture.log, 3000, 1, 4);
    finish(&fixture);
}

static void a_reader_keeps_the_state_that_it_opened_while_it_is_replaced_and_removed(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct weir_state_reader *reader;
    size_t size = 2 * STATE_BLOCK_ROOM + 5;
    uint8_t *bytes = malloc(size), *expected = malloc(size);
    save(fixture.log, size, 1, 4);
    assert_int_equal(weir_state_open(fixture.log, "by_section", "state", &reader, NULL), 0);
    save(fixture.log, size, 2, 5);
    expect_state(fixture.log, size, 2, 5);
    assert_int_equal(weir_state_remove(fixture.log, "by_section", NULL), 0);
    assert_int_equal(weir_state_read(reader, bytes, size), 0);
    fill(expected, size, 0, 1);
    assert_memory_equal(bytes, expected, size);
    assert_int_equal(weir_log_close(fixture.log), -EBUSY);
    weir_state_close(reader);
    free(bytes);
    free(expected);
    finish(&fixture);
}

static void a_file_is_written_by_one_at_a_time_and_what_a_crash_left_is_no_hindrance(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct weir_state_writer *first, *second;
    struct weir_file *leftover;
    struct weir_medium *medium = fixture.log->medium;
    assert_int_equal(weir_state_create(fixture.log, "by_section", "state", &first), 0);
    assert_int_equal(weir_state_create(fixture.log, "by_section", "state", &second), -EBUSY);
    assert_int_equal(weir_state_create(fixture.log, "by_section", "definition", &second), 0);
    weir_state_abandon(second);
    weir_state_abandon(first);
    assert_int_equal(medium->ops->create(medium, "derived/by_section/.state.new", 4096, &leftover),
                     0);
    medium->ops->close(leftover);
    save(fixture.log, 100, 1, 2);
    expect_state(fixture.log, 100, 1, 2);
    finish(&fixture);
}

static void names_and_kinds_that_cannot_be_are_refused(void **state)
{
    static const char *const names[] = {NULL, "", ".x", "a/b", "..", "engine", "a b"};
    (void)state;
    struct fixture fixture = log_with_records(1);
    char long_name[WEIR_STATE_NAME_MAX + 2];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct weir_state_writer *writer;
    struct weir_state_reader *reader;
    struct weir_state_lock *lock;
    struct weir_log *log = fixture.log;
    for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
        const char *name = i < sizeof names / sizeof *names ? names[i] : long_name;
        assert_int_equal(weir_state_create(log, name, "state", &writer), -EINVAL);
        assert_int_equal(weir_state_open(log, name, "state", &reader, NULL), -EINVAL);
        assert_int_equal(weir_state_remove(log, name, NULL), -EINVAL);
        assert_int_equal(weir_state_lock(log, name, &lock), -EINVAL);
        assert_int_equal(weir_state_is_locked(log, name), -EINVAL);
    }
    assert_int_equal(weir_state_create(log, "a", "lock", &writer), -EINVAL);
    assert_int_equal(weir_state_create(log, "a", "../b", &writer), -EINVAL);
    long_name[WEIR_STATE_NAME_MAX] = '\0';
    assert_int_equal(weir_state_create(log, long_name, long_name, &writer), 0);
    assert_int_equal(
        weir_state_commit(writer, "a kind that is far longer than it may be", 1, 1, NULL), -EINVAL);
    assert_int_equal(weir_state_open(log, long_name, long_name, &reader, NULL), -ENOENT);
    assert_int_equal(weir_state_create(log, long_name, long_name, &writer), 0);
    assert_int_equal(weir_state_commit(writer, "0123456789012345678901234567890", 1, 1, NULL), 0);
    assert_int_equal(weir_state_open(log, long_name, long_name, &reader, NULL), 0);
    weir_state_close(reader);
    finish(&fixture);
}

static void a_position_that_is_not_durable_cannot_be_kept(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(3);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(try_save(fixture.log, 10, 1, 4, &why), -EINVAL);
    assert_non_null(strstr(why.text, "LSN 4 is not durable"));
    assert_int_equal(try_load(fixture.log, &why), -ENOENT);
    save(fixture.log, 10, 1, 3);
    save(fixture.log, 10, 2, 0);
    expect_state(fixture.log, 10, 2, 0);
    finish(&fixture);
}

static void an_empty_log_keeps_a_state_as_of_before_its_first_record(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(0);
    save(fixture.log, 10, 1, 0);
    reopen(&fixture);
    expect_state(fixture.log, 10, 1, 0);
    append_text(fixture.log, "first", WEIR_EACH);
    expect_state(fixture.log, 10, 1, 0);
    finish(&fixture);
}

/* ---- damage ---- */

static uint8_t *bytes_of(struct fixture *fixture, uint64_t *ret_size)
{
    uint8_t *bytes = sim_memory_bytes(fixture->disk.keeper, PATH, false, ret_size);
    assert_non_null(bytes);
    return bytes;
}

static void a_flipped_bit_anywhere_in_the_file_is_found_before_a_byte_is_handed_out(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    size_t size = STATE_BLOCK_ROOM + 5000;
    save(fixture.log, size, 1, 4);
    uint64_t file_size;
    uint8_t *bytes = bytes_of(&fixture, &file_size);
    for (uint64_t at = 0; at < file_size; at += at < 5000 ? 1 : 1009) {
        bytes[at] ^= 0x10;
        if (try_load(fixture.log, NULL) != WEIR_E_STATE) {
            fail_msg("byte %llu", (unsigned long long)at);
        }
        bytes[at] ^= 0x10;
    }
    bytes[file_size - 1] ^= 1; /* padding, too */
    expect_refused(fixture.log, "fails its checksum");
    bytes[file_size - 1] ^= 1;
    expect_state(fixture.log, size, 1, 4);
    finish(&fixture);
}

/* Puts these bytes in the place of the file. */
static void put_bytes(struct fixture *fixture, const char *path, const uint8_t *bytes, size_t size)
{
    struct weir_medium *medium = fixture->log->medium;
    struct weir_file *file;
    (void)medium->ops->remove(medium, path);
    assert_int_equal(medium->ops->create(medium, path, 0, &file), 0);
    if (size > 0) {
        assert_int_equal(medium->ops->write(file, 0, bytes, size), 0);
    }
    medium->ops->close(file);
}

static uint8_t *copy_of(struct fixture *fixture, uint64_t *ret_size)
{
    const uint8_t *bytes = bytes_of(fixture, ret_size);
    uint8_t *copy = malloc(*ret_size + 8192);
    assert_non_null(copy);
    memset(copy, 0, *ret_size + 8192);
    memcpy(copy, bytes, *ret_size);
    return copy;
}

static void a_file_that_was_cut_or_that_grew_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    save(fixture.log, STATE_BLOCK_ROOM + 5000, 1, 4);
    uint64_t size;
    uint8_t *copy = copy_of(&fixture, &size);
    for (uint64_t cut = 0; cut < size; cut += 4096) {
        put_bytes(&fixture, PATH, copy, cut);
        expect_refused(fixture.log, cut == 0 ? "cut short" : "should have");
    }
    put_bytes(&fixture, PATH, copy, size + 4096);
    expect_refused(fixture.log, "should have");
    put_bytes(&fixture, PATH, copy, size);
    expect_state(fixture.log, STATE_BLOCK_ROOM + 5000, 1, 4);
    free(copy);
    finish(&fixture);
}

static void blocks_that_changed_places_or_are_of_an_older_version_are_found(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    size_t body = 2 * STATE_BLOCK_ROOM;
    uint64_t size;
    save(fixture.log, body, 1, 4);
    uint8_t *old = copy_of(&fixture, &size);
    save(fixture.log, body, 2, 5);
    uint8_t *bytes = bytes_of(&fixture, &size);
    uint8_t *new = copy_of(&fixture, &size);
    memcpy(bytes + state_block_offset(0), new + state_block_offset(1), STATE_BLOCK_BYTES);
    memcpy(bytes + state_block_offset(1), new + state_block_offset(0), STATE_BLOCK_BYTES);
    expect_refused(fixture.log, "fails its checksum");
    memcpy(bytes, new, size);
    memcpy(bytes + state_block_offset(1), old + state_block_offset(1), STATE_BLOCK_BYTES);
    expect_refused(fixture.log, "not those of its header");
    memcpy(bytes, old, 4096); /* the header of the old one */
    expect_refused(fixture.log, "not those of its header");
    free(old);
    free(new);
    finish(&fixture);
}

static void what_the_medium_changes_after_the_check_is_not_handed_out(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct weir_state_reader *reader;
    size_t body = 2 * STATE_BLOCK_ROOM;
    save(fixture.log, body, 1, 4);
    assert_int_equal(weir_state_open(fixture.log, "by_section", "state", &reader, NULL), 0);
    uint64_t size;
    bytes_of(&fixture, &size)[5000] ^= 1;
    uint8_t *copy = malloc(body);
    assert_int_equal(weir_state_read(reader, copy, body), WEIR_E_STATE);
    free(copy);
    weir_state_close(reader);
    finish(&fixture);
}

static void a_file_of_another_name_of_another_format_or_of_no_format_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    struct weir_state_writer *writer;
    uint64_t size;
    save(fixture.log, 100, 1, 4);
    uint8_t *copy = copy_of(&fixture, &size);
    assert_int_equal(weir_state_create(fixture.log, "other", "state", &writer), 0);
    assert_int_equal(weir_state_commit(writer, "index", 7, 4, NULL), 0);
    put_bytes(&fixture, "derived/other/state", copy, size);
    struct weir_state_reader *reader;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_state_open(fixture.log, "other", "state", &reader, &why), WEIR_E_STATE);
    assert_non_null(strstr(why.text, "was written as " PATH));

    struct state_head head;
    assert_int_equal(state_header_decode(copy, "by_section", "state", &head, NULL), 0);
    uint8_t block[4096];
    state_header_encode(block, "by_section", "state", &head);
    assert_memory_equal(block, copy, sizeof block);
    le32_store(&((struct state_header *)block)->format_version, 2);
    uint8_t *body = block + offsetof(struct state_header, format_version);
    le32_store(&((struct state_header *)block)->crc,
               base_crc32c(0, body, sizeof block - offsetof(struct state_header, format_version)));
    memcpy(bytes_of(&fixture, &size), block, sizeof block);
    expect_refused(fixture.log, "version 2 of the format");
    memset(bytes_of(&fixture, &size), 0, 4096);
    expect_refused(fixture.log, "not a state file");
    free(copy);
    finish(&fixture);
}

/* ---- does it fit the log? ---- */

static void a_state_of_another_log_is_refused(void **state)
{
    (void)state;
    struct fixture mine = log_with_records(9), other = log_with_records(9);
    uint64_t size;
    save(other.log, 100, 1, 4);
    save(mine.log, 100, 1, 4);
    uint8_t *copy = copy_of(&other, &size);
    put_bytes(&mine, PATH, copy, size);
    expect_refused(mine.log, "of another log");
    free(copy);
    finish(&mine);
    finish(&other);
}

/* The log as it is now, as a disk of its own. */
static struct fixture fork_log(struct fixture *fixture)
{
    struct fixture older = {0};
    older.disk.options = fixture->disk.options;
    assert_int_equal(sim_memory_copy(fixture->disk.keeper, &older.disk.keeper), 0);
    older.disk.options.disk = sim_memory_disk(older.disk.keeper);
    return older;
}

static void bring_over(struct fixture *from, struct fixture *to)
{
    uint64_t size;
    struct weir_medium *medium = to->log->medium;
    uint8_t *copy = copy_of(from, &size);
    assert_int_equal(medium->ops->make_directory(medium, "derived"), 0);
    assert_int_equal(medium->ops->make_directory(medium, "derived/by_section"), 0);
    put_bytes(to, PATH, copy, size);
    free(copy);
}

static void a_state_behind_the_end_of_a_log_that_was_taken_back_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(5);
    close_log(fixture.log);
    struct fixture older = fork_log(&fixture);
    fixture.log = open_log(&fixture.disk, NULL);
    for (int i = 0; i < 5; i++) {
        append_text(fixture.log, "more", WEIR_EACH);
    }
    save(fixture.log, 100, 1, 8);
    older.log = open_log(&older.disk, NULL); /* as often as the other one: the epoch is the same */
    bring_over(&fixture, &older);
    expect_refused(older.log, "the log ends at 5");
    for (int i = 0; i < 5; i++) {
        append_text(older.log, "other", WEIR_EACH);
    }
    expect_refused(older.log, "LSN 8 was written anew");
    save(older.log, 100, 2, 8);
    expect_state(older.log, 100, 2, 8);
    finish(&older);
    finish(&fixture);
}

static void numbers_of_control_that_went_back_show_a_log_that_was_taken_back(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(9);
    close_log(fixture.log);
    struct fixture older = fork_log(&fixture);
    older.log = open_log(&older.disk, NULL);
    fixture.log = open_log(&fixture.disk, NULL);
    reopen(&fixture);
    save(fixture.log, 100, 1, 4);
    bring_over(&fixture, &older);
    expect_refused(older.log, "epoch");
    reopen(&older);
    expect_state(older.log, 100, 1, 4); /* what lies up to 4 is the same */
    assert_int_equal(weir_truncate_before(fixture.log, 4, NULL), 0);
    save(fixture.log, 100, 1, 4);
    bring_over(&fixture, &older);
    expect_refused(older.log, "taken back");
    finish(&older);
    finish(&fixture);
}

/* Two of them often move together, so that one would hide that another is not looked at. */
static void each_number_that_a_state_is_bound_to_counts_alone(void **state)
{
    (void)state;
    static const char *const because[] = {"epoch",     "layout",       "horizon",
                                          "first LSN", "written anew", "written anew"};
    struct fixture fixture = log_with_records(9);
    struct state_head head, lie;
    uint64_t size;
    save(fixture.log, 100, 1, 4);
    uint8_t *copy = copy_of(&fixture, &size);
    assert_int_equal(state_header_decode(copy, "by_section", "state", &head, NULL), 0);
    assert_true(head.binding.bound);
    for (int i = 0; i < 6; i++) {
        lie = head;
        lie.binding.log_epoch += i == 0;
        lie.binding.log_layout += i == 1;
        lie.binding.log_horizon += i == 2;
        lie.binding.log_first_lsn += i == 3;
        lie.binding.epoch += i == 4;
        lie.binding.chain ^= i == 5;
        state_header_encode(bytes_of(&fixture, &size), "by_section", "state", &lie);
        expect_refused(fixture.log, because[i]);
    }
    state_header_encode(bytes_of(&fixture, &size), "by_section", "state", &head);
    expect_state(fixture.log, 100, 1, 4);
    free(copy);
    finish(&fixture);
}

static void cd_10_a_state_stays_good_across_compaction_and_truncation(void **state)
{
    (void)state;
    struct test_disk disk = disk_new();
    struct fixture fixture = {.disk = disk, .log = open_log(&disk, NULL)};
    struct story *story = story_new();
    story_fill(story, fixture.log, 8, 2000, 3);
    assert_int_equal(weir_commit(fixture.log), 0);
    weir_lsn end = story->last;
    static const unsigned parts[] = {8, 4, 2, 1};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        weir_lsn position = end / parts[i];
        save(fixture.log, 1000, 1, position);
        story_compact(story, fixture.log, end / 2 + i * (end / 16));
        expect_state(fixture.log, 1000, 1, position);
        save(fixture.log, 1000, 2, position); /* and one of below the horizon can be written */
        reopen(&fixture);
        expect_state(fixture.log, 1000, 2, position);
    }
    save(fixture.log, 1000, 3, end / 4);
    assert_int_equal(weir_truncate_before(fixture.log, end / 2, NULL), 0);
    expect_state(fixture.log, 1000, 3, end / 4);
    story_free(story);
    fixture.disk = disk;
    finish(&fixture);
}

/* ---- beside a writer ---- */

static void a_reader_beside_a_writer_keeps_states_and_knows_what_became_durable(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(5);
    struct weir_log *reader = open_reader(&fixture);
    save(reader, 300000, 1, 5);
    expect_state(reader, 300000, 1, 5);
    expect_state(fixture.log, 300000, 1, 5);
    append_text(fixture.log, "more", WEIR_EACH);
    save(fixture.log, 100, 2, 6);
    expect_state(reader, 100, 2, 6);
    append_text(fixture.log, "more", WEIR_EACH);
    save(reader, 100, 3, 7);
    expect_state(fixture.log, 100, 3, 7);
    assert_int_equal(weir_state_remove(reader, "by_section", "state"), 0);
    assert_int_equal(try_load(fixture.log, NULL), -ENOENT);
    close_log(reader);
    finish(&fixture);
}

static int fail_control(void *context, const char *call, const char *name, uint64_t offset,
                        size_t size)
{
    const bool *failing = context;
    (void)offset, (void)size;
    return *failing && strcmp(call, "sync") == 0 && strcmp(name, CONTROL_NAME) == 0 ? -EIO : 0;
}

/* Else the state would be one of a log that was taken back, behind a power cut. */
static void what_a_reader_binds_a_state_to_is_durable_before_the_state_is(void **state)
{
    (void)state;
    bool failing = false;
    struct fixture fixture = log_with_records(5);
    fixture.disk.options.faults = (struct sim_memory_faults){fail_control, &failing};
    reopen(&fixture);
    fixture.disk.options.faults = (struct sim_memory_faults){0};
    struct weir_log *reader = open_reader(&fixture);
    struct fixture after = {.disk.options = fixture.disk.options};
    failing = true;
    assert_true(weir_truncate_before(fixture.log, 3, NULL) < 0);
    save(reader, 100, 1, 5);
    assert_int_equal(sim_memory_crash(fixture.disk.keeper, NULL, NULL, &after.disk.keeper), 0);
    after.disk.options.disk = sim_memory_disk(after.disk.keeper);
    after.log = open_log(&after.disk, NULL);
    expect_state(after.log, 100, 1, 5);
    finish(&after);
    close_log(reader);
    (void)weir_log_close(fixture.log);
    disk_free(&fixture.disk);
}

/* ---- names ---- */

static int note_name(void *context, const char *name)
{
    char *text = context;
    strcat(text, name);
    strcat(text, " ");
    return strcmp(name, "stop") == 0 ? 42 : 0;
}

static void touch(struct weir_log *log, const char *name, const char *file)
{
    struct weir_state_writer *writer;
    assert_int_equal(weir_state_create(log, name, file, &writer), 0);
    assert_int_equal(weir_state_commit(writer, "x", 1, 1, NULL), 0);
}

static void expect_names(struct weir_log *log, const char *expected)
{
    char text[200] = "";
    assert_int_equal(weir_state_list(log, note_name, text), 0);
    assert_string_equal(text, expected);
}

static void names_are_listed_in_order_and_go_with_all_their_files(void **state)
{
    (void)state;
    struct fixture fixture = log_with_records(3);
    struct weir_log *log = fixture.log;
    struct weir_medium *medium = log->medium;
    struct weir_state_lock *lock;
    expect_names(log, "");
    assert_int_equal(weir_state_remove(log, "none", NULL), 0);
    touch(log, "b", "state");
    touch(log, "b", "definition");
    touch(log, "a", "state");
    assert_int_equal(weir_state_lock(log, "c", &lock), 0);
    weir_state_unlock(lock);
    assert_int_equal(medium->ops->make_directory(medium, "derived/engine"), 0);
    assert_int_equal(medium->ops->make_directory(medium, "derived/.x"), 0);
    expect_names(log, "a b c ");
    assert_int_equal(weir_state_remove(log, "b", "state"), 0);
    assert_int_equal(weir_state_remove(log, "b", "state"), 0);
    expect_names(log, "a b c ");
    assert_int_equal(weir_state_remove(log, "b", NULL), 0);
    assert_int_equal(weir_state_remove(log, "c", NULL), 0);
    expect_names(log, "a ");
    reopen(&fixture);
    expect_names(fixture.log, "a ");
    touch(fixture.log, "stop", "state");
    touch(fixture.log, "t", "state");
    char text[200] = "";
    assert_int_equal(weir_state_list(fixture.log, note_name, text), 42);
    assert_string_equal(text, "a stop ");
    finish(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_02_a_state_of_any_size_comes_back_byte_for_byte_after_a_reopen),
        cmocka_unit_test(a_state_is_absent_until_it_is_committed_and_the_old_one_stays_until_then),
        cmocka_unit_test(a_reader_keeps_the_state_that_it_opened_while_it_is_replaced_and_removed),
        cmocka_unit_test(a_file_is_written_by_one_at_a_time_and_what_a_crash_left_is_no_hindrance),
        cmocka_unit_test(names_and_kinds_that_cannot_be_are_refused),
        cmocka_unit_test(a_position_that_is_not_durable_cannot_be_kept),
        cmocka_unit_test(an_empty_log_keeps_a_state_as_of_before_its_first_record),
        cmocka_unit_test(a_flipped_bit_anywhere_in_the_file_is_found_before_a_byte_is_handed_out),
        cmocka_unit_test(a_file_that_was_cut_or_that_grew_is_refused),
        cmocka_unit_test(blocks_that_changed_places_or_are_of_an_older_version_are_found),
        cmocka_unit_test(what_the_medium_changes_after_the_check_is_not_handed_out),
        cmocka_unit_test(a_file_of_another_name_of_another_format_or_of_no_format_is_refused),
        cmocka_unit_test(a_state_of_another_log_is_refused),
        cmocka_unit_test(a_state_behind_the_end_of_a_log_that_was_taken_back_is_refused),
        cmocka_unit_test(numbers_of_control_that_went_back_show_a_log_that_was_taken_back),
        cmocka_unit_test(each_number_that_a_state_is_bound_to_counts_alone),
        cmocka_unit_test(cd_10_a_state_stays_good_across_compaction_and_truncation),
        cmocka_unit_test(a_reader_beside_a_writer_keeps_states_and_knows_what_became_durable),
        cmocka_unit_test(what_a_reader_binds_a_state_to_is_durable_before_the_state_is),
        cmocka_unit_test(names_are_listed_in_order_and_go_with_all_their_files),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
