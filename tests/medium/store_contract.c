/* The store half of the contract in weir/medium.h, sentence by sentence. */
#include "tests/medium/contract.h"

#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#define BLOCK ((size_t)4096)

static void expect_same(const uint8_t *bytes, size_t size, uint8_t value)
{
    for (size_t i = 0; i < size; i++) {
        assert_true(bytes[i] == value);
    }
}

static struct fixture *fixture_of(void **state)
{
    return *state;
}

/* ---- files ---- */

static void info_says_what_it_is(void **state)
{
    const struct weir_medium *medium = fixture_of(state)->medium;
    const struct weir_medium_info *info = &medium->info;
    assert_true(info->kind != WEIR_MEDIUM_AUTO);
    assert_true(*info->name != '\0' && *info->io != '\0');
    assert_true(*info->reason != '\0' && *info->file_system != '\0');
    assert_true(info->block_bytes == 4096 || info->block_bytes == 64);
    assert_true(info->queue_depth >= 1);
    assert_false(info->durable && info->emulated);
    assert_int_equal(medium->ops->copy == NULL, info->copy_from_bytes == SIZE_MAX);
}

static void a_name_that_leaves_the_directory_is_refused(void **state)
{
    static const char *const names[] = {"",     ".",    "..",     "/etc",    "a/",
                                        "../a", "a/..", "a/../b", "a/b/c/d", "./a"};
    struct weir_medium *medium = fixture_of(state)->medium;
    assert_int_equal(medium->ops->make_directory(medium, "a"), 0);
    struct weir_file *kept = create_file(medium, "kept", 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct weir_file *file = NULL;
        assert_int_equal(medium->ops->create(medium, names[i], 0, &file), -EINVAL);
        assert_int_equal(medium->ops->open(medium, names[i], WEIR_FILE_READ, &file), -EINVAL);
        assert_int_equal(medium->ops->rename(medium, "kept", names[i]), -EINVAL);
        assert_int_equal(medium->ops->rename(medium, names[i], "kept"), -EINVAL);
        assert_int_equal(medium->ops->remove(medium, names[i]), -EINVAL);
        assert_int_equal(medium->ops->make_directory(medium, names[i]), -EINVAL);
        assert_null(file);
    }
    medium->ops->close(kept);
}

static void a_created_file_is_zero_to_its_last_byte(void **state)
{
    static const uint64_t sizes[] = {0, BLOCK, 3 * BLOCK, (1 << 20) + BLOCK, 3 << 20};
    struct weir_medium *medium = fixture_of(state)->medium;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[16];
        snprintf(name, sizeof name, "zero%zu", i);
        struct weir_file *file = create_file(medium, name, sizes[i]);
        uint64_t size = 1;
        assert_int_equal(medium->ops->size(file, &size), 0);
        assert_int_equal(size, sizes[i]);
        medium->ops->close(file);
        uint8_t *bytes = read_back(medium, name, 0, (size_t)sizes[i]);
        expect_zeros(bytes, (size_t)sizes[i]);
        free(bytes);
    }
}

static void create_takes_a_name_once(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", BLOCK), *second = NULL;
    assert_int_equal(medium->ops->create(medium, "a", BLOCK, &second), -EEXIST);
    assert_null(second);
    medium->ops->close(file);
}

static void create_refuses_a_part_of_a_block(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = NULL;
    assert_int_equal(medium->ops->create(medium, "a", BLOCK + 512, &file), -EINVAL);
    assert_null(file);
    assert_int_equal(medium->ops->open(medium, "a", WEIR_FILE_READ, &file), -ENOENT);
}

static void a_create_that_fails_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *medium = fixture->medium;
    bool simulated = (fixture->subject->flags & MEDIUM_IS_SIMULATED) != 0;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct weir_file *file = NULL;
    int rc = medium->ops->create(medium, "big", UINT64_C(1) << 30, &file);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(rc, simulated ? -ENOSPC : -EFBIG);
    assert_null(file);
    assert_int_equal(medium->ops->open(medium, "big", WEIR_FILE_READ, &file), -ENOENT);
    file = create_file(medium, "big", BLOCK);
    medium->ops->close(file);
}

static void open_says_what_is_missing(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = NULL;
    assert_int_equal(medium->ops->open(medium, "none", WEIR_FILE_WRITE, &file), -ENOENT);
    assert_int_equal(medium->ops->open(medium, "no/ne", WEIR_FILE_READ, &file), -ENOENT);
    assert_int_equal(medium->ops->create(medium, "no/ne", 0, &file), -ENOENT);
    assert_int_equal(medium->ops->make_directory(medium, "holds"), 0);
    assert_int_equal(medium->ops->open(medium, "holds", WEIR_FILE_READ, &file), -EISDIR);
    assert_null(file);
}

static void what_was_written_is_read_from_any_alignment(void **state)
{
    static const size_t shifts[] = {0, 1, 512, 4095};
    static const size_t sizes[] = {BLOCK, 5 * BLOCK, (2 << 20) + BLOCK};
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", 4 << 20);
    uint8_t *memory = malloc((3 << 20) + 8192);
    assert_non_null(memory);
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            uint8_t *bytes = memory + shifts[i];
            unsigned seed = (unsigned)(i * 10 + k);
            fill(bytes, sizes[k], seed);
            assert_int_equal(medium->ops->write(file, BLOCK, bytes, sizes[k]), 0);
            memset(bytes, 0, sizes[k]);
            size_t got = 0;
            assert_int_equal(medium->ops->read(file, BLOCK, bytes, sizes[k], &got), 0);
            assert_int_equal(got, sizes[k]);
            expect_fill(bytes, sizes[k], seed);
        }
    }
    free(memory);
    assert_int_equal(medium->ops->sync(file), 0);
    medium->ops->close(file);
}

static void a_read_is_short_only_at_the_end(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", 3 * BLOCK);
    uint8_t bytes[4 * BLOCK];
    static const struct {
        size_t offset, size, expected;
    } rows[] = {
        {0, 4 * BLOCK, 3 * BLOCK}, {2 * BLOCK, 2 * BLOCK, BLOCK}, {3 * BLOCK, BLOCK, 0},
        {9 * BLOCK, BLOCK, 0},     {0, 3 * BLOCK, 3 * BLOCK},     {0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t got = 12345;
        assert_int_equal(medium->ops->read(file, rows[i].offset, bytes, rows[i].size, &got), 0);
        assert_int_equal(got, rows[i].expected);
    }
    medium->ops->close(file);
}

/* ---- reading ahead ---- */

#define AHEAD 6u

/* Begins a read, or does it at once where the medium says that it starts nothing. */
static bool begin_or_read(struct weir_medium *medium, struct weir_file *file, uint64_t offset,
                          uint8_t *memory, size_t size, uint64_t *ret_ticket, size_t *ret_got)
{
    int rc = medium->ops->read_begin == NULL
                 ? -EOPNOTSUPP
                 : medium->ops->read_begin(file, offset, memory, size, ret_ticket);
    if (rc == 0 || rc == 1) {
        return true;
    }
    assert_true(rc == -EOPNOTSUPP || rc == -EBUSY || rc == -EALREADY);
    assert_int_equal(medium->ops->read(file, offset, memory, size, ret_got), 0);
    return false;
}

static void reads_that_were_begun_together_end_in_any_order(void **state)
{
    static const unsigned orders[][AHEAD] = {
        {0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}};
    static const enum weir_open_mode modes[] = {WEIR_FILE_READ, WEIR_FILE_READ_CACHED};
    struct weir_medium *medium = fixture_of(state)->medium;
    assert_int_equal(medium->ops->read_begin == NULL, medium->ops->read_end == NULL);
    size_t piece = 8 * BLOCK, total = AHEAD * piece - 3 * BLOCK; /* the last one is short */
    uint8_t *memory = aligned_alloc(BLOCK, AHEAD * piece);
    assert_non_null(memory);
    struct weir_file *file = create_file(medium, "a", total);
    fill(memory, total, 5);
    assert_int_equal(medium->ops->write(file, 0, memory, total), 0);
    medium->ops->close(file);
    for (size_t i = 0; i < 6; i++) {
        uint64_t tickets[AHEAD] = {0};
        size_t got[AHEAD] = {0};
        bool begun[AHEAD];
        file = open_file(medium, "a", modes[i % 2]);
        memset(memory, 0, AHEAD * piece);
        for (unsigned k = 0; k < AHEAD; k++) {
            begun[k] = begin_or_read(medium, file, k * piece, memory + k * piece, piece,
                                     &tickets[k], &got[k]);
        }
        for (unsigned k = 0; k < AHEAD; k++) {
            unsigned which = orders[i / 2][k];
            if (begun[which]) {
                assert_int_equal(medium->ops->read_end(file, tickets[which], &got[which]), 0);
            }
            assert_int_equal(got[which], which + 1 < AHEAD ? piece : piece - 3 * BLOCK);
        }
        expect_fill(memory, total, 5);
        medium->ops->close(file);
    }
    free(memory);
}

static void closing_waits_for_reads_that_nobody_ended(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    medium->ops->close(create_file(medium, "a", 4 << 20));
    for (unsigned round = 0; round < 20; round++) { /* more than can be under way together */
        struct weir_file *file = open_file(medium, "a", WEIR_FILE_READ);
        uint8_t *memory = aligned_alloc(BLOCK, 4 << 20);
        assert_non_null(memory);
        for (unsigned k = 0; k < 4; k++) {
            uint64_t ticket;
            size_t got;
            (void)begin_or_read(medium, file, (uint64_t)k << 20, memory + ((size_t)k << 20),
                                1 << 20, &ticket, &got);
        }
        medium->ops->close(file);
        memset(memory, 1, 4 << 20);
        expect_same(memory, 4 << 20, 1);
        free(memory);
    }
}

#define READERS 4u
#define TURNS 60u
#define PIECES 16u

/* A thread of several that read one file. It records, the test asserts. */
struct reader {
    struct weir_medium *medium;
    struct weir_file *file;
    const uint8_t *expected;
    uint8_t *memory;
    size_t piece;
    unsigned number;
    unsigned failed, wrong;
    struct base_thread thread;
};

/* Every second time with a ticket, where that can be had. */
static int read_piece(struct reader *reader, uint64_t offset, bool ahead)
{
    const struct weir_medium_ops *ops = reader->medium->ops;
    uint64_t ticket = 0;
    size_t got = 0;
    bool begun = ahead && ops->read_begin != NULL &&
                 ops->read_begin(reader->file, offset, reader->memory, reader->piece, &ticket) >= 0;
    int rc = begun ? ops->read_end(reader->file, ticket, &got)
                   : ops->read(reader->file, offset, reader->memory, reader->piece, &got);
    return rc == 0 && got != reader->piece ? -EIO : rc;
}

static void read_pieces(void *context)
{
    struct reader *reader = context;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        size_t offset = (turn * (2 * reader->number + 1) + reader->number) % PIECES * reader->piece;
        memset(reader->memory, 0, reader->piece);
        reader->failed += read_piece(reader, offset, turn % 2 == 0) < 0;
        reader->wrong += memcmp(reader->memory, reader->expected + offset, reader->piece) != 0;
    }
}

static void one_file_is_read_by_several_threads_at_once(void **state)
{
    static const enum weir_open_mode modes[] = {WEIR_FILE_READ, WEIR_FILE_READ_CACHED};
    struct weir_medium *medium = fixture_of(state)->medium;
    size_t piece = 4 * BLOCK, total = PIECES * piece;
    uint8_t *memory = aligned_alloc(BLOCK, total + READERS * piece);
    assert_non_null(memory);
    struct weir_file *file = create_file(medium, "a", total);
    fill(memory, total, 7);
    assert_int_equal(medium->ops->write(file, 0, memory, total), 0);
    medium->ops->close(file);
    for (size_t i = 0; i < 2; i++) {
        struct reader readers[READERS];
        file = open_file(medium, "a", modes[i]);
        for (unsigned k = 0; k < READERS; k++) {
            readers[k] = (struct reader){.medium = medium,
                                         .file = file,
                                         .expected = memory,
                                         .memory = memory + total + k * piece,
                                         .piece = piece,
                                         .number = k};
            assert_int_equal(
                base_thread_start(&readers[k].thread, "reader", read_pieces, &readers[k]), 0);
        }
        for (unsigned k = 0; k < READERS; k++) {
            base_thread_join(&readers[k].thread);
        }
        for (unsigned k = 0; k < READERS; k++) {
            assert_int_equal(readers[k].failed, 0);
            assert_int_equal(readers[k].wrong, 0);
        }
        medium->ops->close(file);
    }
    free(memory);
}

static void a_read_that_cannot_start_ahead_is_left_to_read(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", 4 * BLOCK);
    uint8_t *memory = aligned_alloc(BLOCK, 2 * BLOCK);
    assert_non_null(memory);
    uint64_t ticket;
    if (medium->ops->read_begin != NULL) {
        assert_int_equal(medium->ops->read_begin(file, 0, memory + 8, BLOCK, &ticket), -EOPNOTSUPP);
        assert_int_equal(medium->ops->read_begin(file, 512, memory, BLOCK, &ticket), -EOPNOTSUPP);
        assert_int_equal(medium->ops->read_begin(file, 0, memory, 0, &ticket), -EOPNOTSUPP);
    }
    medium->ops->close(file);
    free(memory);
}

static void a_range_that_is_no_blocks_is_refused(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", 2 * BLOCK);
    uint8_t bytes[BLOCK];
    memset(bytes, 0, sizeof bytes);
    size_t got = 12345;
    assert_int_equal(medium->ops->read(file, 1, bytes, BLOCK, &got), -EINVAL);
    assert_int_equal(medium->ops->read(file, 0, bytes, 512, &got), -EINVAL);
    assert_int_equal(medium->ops->write(file, 512, bytes, BLOCK), -EINVAL);
    assert_int_equal(medium->ops->write(file, 0, bytes, 100), -EINVAL);
    assert_int_equal(got, 12345);
    medium->ops->close(file);
}

static void a_write_beyond_the_end_extends_the_file(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", 0);
    uint8_t bytes[BLOCK];
    fill(bytes, sizeof bytes, 1);
    assert_int_equal(medium->ops->write(file, 2 * BLOCK, bytes, BLOCK), 0);
    uint64_t size = 0;
    assert_int_equal(medium->ops->size(file, &size), 0);
    assert_int_equal(size, 3 * BLOCK);
    medium->ops->close(file);
    uint8_t *all = read_back(medium, "a", 0, 3 * BLOCK);
    expect_zeros(all, 2 * BLOCK);
    expect_fill(all + 2 * BLOCK, BLOCK, 1);
    free(all);
}

static void a_file_opened_for_reading_is_not_written(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    medium->ops->close(create_file(medium, "a", BLOCK));
    struct weir_file *file = open_file(medium, "a", WEIR_FILE_READ);
    uint8_t bytes[BLOCK];
    memset(bytes, 1, sizeof bytes);
    assert_int_equal(medium->ops->write(file, 0, bytes, BLOCK), -EBADF);
    medium->ops->close(file);
}

/* ---- names ---- */

struct listing {
    struct weir_medium *medium; /* removes what it sees when set */
    unsigned count;
    unsigned seen; /* bit n: "n" */
    unsigned stop_after;
};

static int note_name(void *context, const char *name)
{
    struct listing *listing = context;
    listing->count++;
    listing->seen |= 1u << (*name - '0');
    if (listing->medium != NULL) {
        assert_int_equal(listing->medium->ops->remove(listing->medium, name), 0);
    }
    return listing->count == listing->stop_after ? 42 : 0;
}

static void list_brings_each_file_once_and_no_directory(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    static const char *const names[] = {"0", "1", "holds/2", "holds/3"};
    assert_int_equal(medium->ops->make_directory(medium, "holds"), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        medium->ops->close(create_file(medium, names[i], 0));
    }
    struct listing top = {0}, holds = {0};
    assert_int_equal(medium->ops->list(medium, "", note_name, &top), 0);
    assert_int_equal(medium->ops->list(medium, "holds", note_name, &holds), 0);
    assert_true(top.count == 2 && top.seen == 0x3);
    assert_true(holds.count == 2 && holds.seen == 0xc);
}

static void directories_are_listed_apart_from_files(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    static const char *const directories[] = {"0", "1", "1/2", "1/3"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        assert_int_equal(medium->ops->make_directory(medium, directories[i]), 0);
    }
    medium->ops->close(create_file(medium, "4", 0));
    medium->ops->close(create_file(medium, "1/5", 0));
    medium->ops->close(create_file(medium, "1/2/6", 0));
    struct listing top = {0}, inner = {0}, empty = {0}, stopped = {.stop_after = 1};
    assert_int_equal(medium->ops->list_directories(medium, "", note_name, &top), 0);
    assert_int_equal(medium->ops->list_directories(medium, "1", note_name, &inner), 0);
    assert_int_equal(medium->ops->list_directories(medium, "1/2", note_name, &empty), 0);
    assert_true(top.count == 2 && top.seen == 0x3);
    assert_true(inner.count == 2 && inner.seen == 0xc);
    assert_int_equal(empty.count, 0);
    assert_int_equal(medium->ops->list_directories(medium, "", note_name, &stopped), 42);
    assert_int_equal(medium->ops->list_directories(medium, "none", note_name, &empty), -ENOENT);
    struct listing files = {0};
    assert_int_equal(medium->ops->list(medium, "1", note_name, &files), 0);
    assert_true(files.count == 1 && files.seen == 0x20);
}

static void only_an_empty_directory_is_removed(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    assert_int_equal(medium->ops->make_directory(medium, "0"), 0);
    assert_int_equal(medium->ops->make_directory(medium, "0/1"), 0);
    medium->ops->close(create_file(medium, "0/1/a", 0));
    medium->ops->close(create_file(medium, "b", 0));
    assert_int_equal(medium->ops->remove_directory(medium, "0/1"), -ENOTEMPTY);
    assert_int_equal(medium->ops->remove_directory(medium, "0"), -ENOTEMPTY);
    assert_int_equal(medium->ops->remove(medium, "0/1/a"), 0);
    assert_int_equal(medium->ops->remove_directory(medium, "0/1"), 0);
    assert_int_equal(medium->ops->remove_directory(medium, "0/1"), -ENOENT);
    assert_int_equal(medium->ops->remove_directory(medium, "0"), 0);
    assert_int_equal(medium->ops->remove_directory(medium, "b"), -ENOTDIR);
    struct listing top = {0};
    assert_int_equal(medium->ops->list_directories(medium, "", note_name, &top), 0);
    assert_int_equal(top.count, 0);
    assert_int_equal(medium->ops->make_directory(medium, "0"), 0);
}

static void list_stops_at_the_first_result(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    medium->ops->close(create_file(medium, "0", 0));
    medium->ops->close(create_file(medium, "1", 0));
    struct listing listing = {.stop_after = 1};
    assert_int_equal(medium->ops->list(medium, "", note_name, &listing), 42);
    assert_int_equal(listing.count, 1);
    assert_int_equal(medium->ops->list(medium, "none", note_name, &listing), -ENOENT);
}

static void what_list_brings_may_be_removed(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    medium->ops->close(create_file(medium, "0", 0));
    medium->ops->close(create_file(medium, "1", 0));
    struct listing listing = {.medium = medium};
    assert_int_equal(medium->ops->list(medium, "", note_name, &listing), 0);
    assert_int_equal(listing.seen, 0x3);
    listing = (struct listing){0};
    assert_int_equal(medium->ops->list(medium, "", note_name, &listing), 0);
    assert_int_equal(listing.count, 0);
}

static void a_directory_may_be_made_twice(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    assert_int_equal(medium->ops->make_directory(medium, "holds"), 0);
    assert_int_equal(medium->ops->make_directory(medium, "holds"), 0);
    medium->ops->close(create_file(medium, "file", 0));
    assert_int_equal(medium->ops->make_directory(medium, "file"), -ENOTDIR);
    assert_int_equal(medium->ops->sync_directory(medium, ""), 0);
    assert_int_equal(medium->ops->sync_directory(medium, "holds"), 0);
    assert_int_equal(medium->ops->sync_directory(medium, "none"), -ENOENT);
}

static void rename_replaces_what_is_there(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    uint8_t bytes[BLOCK];
    fill(bytes, sizeof bytes, 9);
    struct weir_file *fresh = create_file(medium, "new", BLOCK);
    assert_int_equal(medium->ops->write(fresh, 0, bytes, BLOCK), 0);
    medium->ops->close(fresh);
    medium->ops->close(create_file(medium, "old", 2 * BLOCK));
    assert_int_equal(medium->ops->rename(medium, "new", "old"), 0);
    assert_int_equal(medium->ops->rename(medium, "new", "old"), -ENOENT);
    uint8_t *back = read_back(medium, "old", 0, BLOCK);
    expect_fill(back, BLOCK, 9);
    free(back);
}

static void a_removed_file_lives_while_it_is_open(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", BLOCK);
    uint8_t bytes[BLOCK];
    fill(bytes, sizeof bytes, 3);
    assert_int_equal(medium->ops->remove(medium, "a"), 0);
    assert_int_equal(medium->ops->remove(medium, "a"), -ENOENT);
    assert_int_equal(medium->ops->write(file, 0, bytes, BLOCK), 0);
    memset(bytes, 0, sizeof bytes);
    size_t got = 0;
    assert_int_equal(medium->ops->read(file, 0, bytes, BLOCK, &got), 0);
    expect_fill(bytes, BLOCK, 3);
    struct weir_file *again = create_file(medium, "a", BLOCK);
    assert_int_equal(medium->ops->read(again, 0, bytes, BLOCK, &got), 0);
    expect_zeros(bytes, BLOCK);
    medium->ops->close(again);
    medium->ops->close(file);
}

/* ---- locks ---- */

static void locks_follow_the_table(void **state)
{
    static const struct {
        enum weir_lock_mode held, asked;
        int expected;
    } rows[] = {
        {WEIR_LOCK_NONE, WEIR_LOCK_SHARED, 0},
        {WEIR_LOCK_NONE, WEIR_LOCK_EXCLUSIVE, 0},
        {WEIR_LOCK_SHARED, WEIR_LOCK_SHARED, 0},
        {WEIR_LOCK_SHARED, WEIR_LOCK_EXCLUSIVE, -EAGAIN},
        {WEIR_LOCK_EXCLUSIVE, WEIR_LOCK_SHARED, -EAGAIN},
        {WEIR_LOCK_EXCLUSIVE, WEIR_LOCK_EXCLUSIVE, -EAGAIN},
        {WEIR_LOCK_EXCLUSIVE, WEIR_LOCK_NONE, 0},
    };
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *mine = fixture->medium, *other = open_another(fixture, false);
    mine->ops->close(create_file(mine, "LOCK", 0));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_file *holder = open_file(mine, "LOCK", WEIR_FILE_WRITE);
        struct weir_file *same = open_file(mine, "LOCK", WEIR_FILE_WRITE);
        struct weir_file *asker = open_file(other, "LOCK", WEIR_FILE_WRITE);
        assert_int_equal(mine->ops->lock(holder, rows[i].held), 0);
        assert_int_equal(other->ops->lock(asker, rows[i].asked), rows[i].expected);
        assert_int_equal(other->ops->lock(asker, WEIR_LOCK_NONE), 0);
        assert_int_equal(mine->ops->lock(same, rows[i].asked), rows[i].expected);
        mine->ops->close(holder);
        assert_int_equal(other->ops->lock(asker, WEIR_LOCK_NONE), 0);
        mine->ops->close(same);
        assert_int_equal(other->ops->lock(asker, WEIR_LOCK_EXCLUSIVE), 0);
        other->ops->close(asker);
    }
    other->ops->destroy(other);
}

static void a_lock_changes_in_place(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *mine = create_file(medium, "LOCK", 0);
    struct weir_file *other = open_file(medium, "LOCK", WEIR_FILE_READ);
    assert_int_equal(medium->ops->lock(mine, WEIR_LOCK_EXCLUSIVE), 0);
    assert_int_equal(medium->ops->lock(mine, WEIR_LOCK_SHARED), 0);
    assert_int_equal(medium->ops->lock(other, WEIR_LOCK_SHARED), 0);
    assert_int_equal(medium->ops->lock(mine, WEIR_LOCK_EXCLUSIVE), -EAGAIN);
    assert_int_equal(medium->ops->lock(other, WEIR_LOCK_EXCLUSIVE), -EBADF);
    assert_int_equal(medium->ops->lock(other, WEIR_LOCK_NONE), 0);
    assert_int_equal(medium->ops->lock(mine, WEIR_LOCK_EXCLUSIVE), 0);
    medium->ops->close(other);
    medium->ops->close(mine);
}

static void closing_one_handle_keeps_the_lock_of_another(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *mine = create_file(medium, "LOCK", 0);
    struct weir_file *passing = open_file(medium, "LOCK", WEIR_FILE_WRITE);
    assert_int_equal(medium->ops->lock(mine, WEIR_LOCK_EXCLUSIVE), 0);
    medium->ops->close(passing);
    struct weir_file *other = open_file(medium, "LOCK", WEIR_FILE_WRITE);
    assert_int_equal(medium->ops->lock(other, WEIR_LOCK_SHARED), -EAGAIN);
    medium->ops->close(other);
    medium->ops->close(mine);
}

/* ---- views ---- */

static void a_view_shows_the_file_and_outlives_its_handle(void **state)
{
    struct weir_medium *medium = fixture_of(state)->medium;
    struct weir_file *file = create_file(medium, "a", 4 * BLOCK);
    uint8_t bytes[4 * BLOCK];
    fill(bytes, sizeof bytes, 5);
    assert_int_equal(medium->ops->write(file, 0, bytes, sizeof bytes), 0);
    assert_int_equal(medium->ops->sync(file), 0);
    const uint8_t *view = NULL;
    assert_true(medium->ops->map(file, 5 * BLOCK, &view) < 0);
    assert_null(view);
    assert_int_equal(medium->ops->map(file, 4 * BLOCK, &view), 0);
    expect_fill(view, 4 * BLOCK, 5);
    medium->ops->close(file);
    assert_int_equal(medium->ops->remove(medium, "a"), 0);
    expect_fill(view, 4 * BLOCK, 5);
    medium->ops->unmap(medium, view, 4 * BLOCK);
}

/* ---- read-only ---- */

static void a_read_only_medium_changes_no_file_of_the_directory(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct weir_medium *medium = fixture->medium, *reader = NULL;
    struct weir_file *file = create_file(medium, "0", BLOCK), *refused = NULL;
    assert_int_equal(medium->ops->sync(file), 0);
    assert_int_equal(medium->ops->make_directory(medium, "holds"), 0);
    reader = open_another(fixture, true);
    assert_int_equal(reader->ops->create(reader, "1", 0, &refused), -EROFS);
    assert_int_equal(reader->ops->open(reader, "0", WEIR_FILE_WRITE, &refused), -EROFS);
    assert_int_equal(reader->ops->rename(reader, "0", "1"), -EROFS);
    assert_int_equal(reader->ops->rename(reader, "holds/0", "1"), -EROFS);
    assert_int_equal(reader->ops->remove(reader, "0"), -EROFS);
    assert_null(refused);
    struct listing listing = {0};
    assert_int_equal(reader->ops->list(reader, "", note_name, &listing), 0);
    assert_true(listing.count == 1 && listing.seen == 1);
    struct weir_file *read = open_file(reader, "0", WEIR_FILE_READ);
    assert_int_equal(reader->ops->lock(read, WEIR_LOCK_SHARED), 0);
    assert_int_equal(reader->ops->sync(read), 0);
    reader->ops->close(read);
    reader->ops->close(create_file(reader, "holds/backup", BLOCK));
    assert_int_equal(reader->ops->remove(reader, "holds/backup"), 0);
    medium->ops->close(file);
    reader->ops->destroy(reader);
}

static void the_room_that_is_left_is_told_or_not_known(void **state)
{
    struct fixture *fixture = *state;
    struct weir_medium *medium = fixture->medium;
    uint64_t bytes = 77;
    int rc = medium->ops->space(medium, &bytes);
    if (rc == -EOPNOTSUPP) {
        assert_int_equal(bytes, 77); /* a disk without a limit */
        return;
    }
    assert_int_equal(rc, 0);
    assert_true(bytes > 0 && bytes < UINT64_MAX);
}

static void a_read_only_medium_opens_an_empty_directory(void **state)
{
    struct weir_medium *reader = open_another(fixture_of(state), true);
    assert_false(reader->info.asynchronous && reader->info.kind != WEIR_MEDIUM_CUSTOM);
    reader->ops->destroy(reader);
}

const struct contract_test store_contract[] = {
    CONTRACT_TEST(info_says_what_it_is),
    CONTRACT_TEST(a_name_that_leaves_the_directory_is_refused),
    CONTRACT_TEST(a_created_file_is_zero_to_its_last_byte),
    CONTRACT_TEST(create_takes_a_name_once),
    CONTRACT_TEST(create_refuses_a_part_of_a_block),
    CONTRACT_TEST(a_create_that_fails_leaves_nothing_behind),
    CONTRACT_TEST(open_says_what_is_missing),
    CONTRACT_TEST(what_was_written_is_read_from_any_alignment),
    CONTRACT_TEST(a_read_is_short_only_at_the_end),
    CONTRACT_TEST(reads_that_were_begun_together_end_in_any_order),
    CONTRACT_TEST(closing_waits_for_reads_that_nobody_ended),
    CONTRACT_TEST(one_file_is_read_by_several_threads_at_once),
    CONTRACT_TEST(a_read_that_cannot_start_ahead_is_left_to_read),
    CONTRACT_TEST(a_range_that_is_no_blocks_is_refused),
    CONTRACT_TEST(a_write_beyond_the_end_extends_the_file),
    CONTRACT_TEST(a_file_opened_for_reading_is_not_written),
    CONTRACT_TEST(list_brings_each_file_once_and_no_directory),
    CONTRACT_TEST(directories_are_listed_apart_from_files),
    CONTRACT_TEST(only_an_empty_directory_is_removed),
    CONTRACT_TEST(list_stops_at_the_first_result),
    CONTRACT_TEST(what_list_brings_may_be_removed),
    CONTRACT_TEST(a_directory_may_be_made_twice),
    CONTRACT_TEST(rename_replaces_what_is_there),
    CONTRACT_TEST(a_removed_file_lives_while_it_is_open),
    CONTRACT_TEST(locks_follow_the_table),
    CONTRACT_TEST(a_lock_changes_in_place),
    CONTRACT_TEST(closing_one_handle_keeps_the_lock_of_another),
    CONTRACT_TEST(a_view_shows_the_file_and_outlives_its_handle),
    CONTRACT_TEST(a_read_only_medium_changes_no_file_of_the_directory),
    CONTRACT_TEST(a_read_only_medium_opens_an_empty_directory),
    CONTRACT_TEST(the_room_that_is_left_is_told_or_not_known),
};

const size_t store_contract_count = sizeof store_contract / sizeof *store_contract;
