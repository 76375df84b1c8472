/*
 * A directory on each kind of medium, and the verbs that the media's tests are written in. An error
 * where none is expected fails the test at the line of the verb.
 */
#ifndef TESTS_MEDIUM_FIXTURE_H
#define TESTS_MEDIUM_FIXTURE_H

#include <weir/error.h>
#include <weir/medium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sim_disk;
struct fixture;

#define MEDIUM_IS_SIMULATED 1u       /* no directory of the operating system lies below */
#define MEDIUM_MEMORY_FILE_SYSTEM 2u /* prefers /dev/shm */

struct subject {
    const char *name;
    int (*open)(struct fixture *fixture, bool read_only, struct weir_medium **ret_medium);
    unsigned flags;
};

extern const struct subject subjects[];
extern const size_t subject_count;

struct fixture {
    const struct subject *subject;
    char directory[256];
    struct weir_medium *medium;
    struct sim_disk *disk; /* simulated media only */
    char reason[256];      /* of the last open that failed */
};

/* Makes an empty directory below $WEIR_TEST_DIR, or the current one, and opens the medium on it. */
int fixture_make(struct fixture *fixture, const struct subject *subject);
void fixture_remove(struct fixture *fixture);

/* A fresh directory, without a medium: for tests that open theirs. */
int fixture_make_directory(char directory[256], const char *parent);
void fixture_remove_directory(const char *directory);

/* Another process's view, as far as one process can have it: a second medium on the same files. */
struct weir_medium *open_another(struct fixture *fixture, bool read_only);

static inline struct weir_file *create_file(struct weir_medium *medium, const char *name,
                                            uint64_t size_bytes)
{
    struct weir_file *file = NULL;
    assert_int_equal(medium->ops->create(medium, name, size_bytes, &file), 0);
    assert_non_null(file);
    return file;
}

static inline struct weir_file *open_file(struct weir_medium *medium, const char *name,
                                          enum weir_open_mode mode)
{
    struct weir_file *file = NULL;
    assert_int_equal(medium->ops->open(medium, name, mode, &file), 0);
    assert_non_null(file);
    return file;
}

static inline struct weir_window *open_window(struct weir_medium *medium, struct weir_file *file,
                                              size_t size_bytes)
{
    struct weir_window *window = NULL;
    assert_int_equal(medium->ops->window_open(file, size_bytes, &window), 0);
    assert_non_null(window);
    assert_int_equal(window->size_bytes, size_bytes);
    assert_ptr_equal(window->file, file);
    return window;
}

/* Waits for one completion of `token`. */
static inline void await(struct weir_medium *medium, uint64_t token)
{
    struct weir_completion completion = {0};
    assert_int_equal(medium->ops->poll(medium, &completion, 1, -1), 1);
    assert_int_equal(completion.token, token);
    assert_int_equal(completion.result, 0);
}

/* Nothing else is in flight. */
static inline void persist(struct weir_medium *medium, struct weir_window *window, uint64_t offset,
                           size_t size_bytes)
{
    if (medium->ops->clean != NULL) {
        medium->ops->clean(window, offset, size_bytes);
    }
    int rc = medium->ops->persist(window, offset, size_bytes, 0, 77);
    assert_true(rc == 0 || rc == 1);
    if (rc == 0) {
        await(medium, 77);
    }
}

static inline void flush_file(struct weir_medium *medium, struct weir_window *window)
{
    int rc = medium->ops->flush_file(window, 78);
    assert_true(rc == 0 || rc == 1);
    if (rc == 0) {
        await(medium, 78);
    }
}

/* Bytes that differ from block to block and from seed to seed, never zero. */
static inline void fill(uint8_t *bytes, size_t size_bytes, unsigned seed)
{
    for (size_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)(1 + (i * 31 + i / 4096 * 7 + seed * 101) % 255);
    }
}

static inline void expect_fill(const uint8_t *bytes, size_t size_bytes, unsigned seed)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i] != (uint8_t)(1 + (i * 31 + i / 4096 * 7 + seed * 101) % 255)) {
            fail_msg("byte %zu of %zu differs", i, size_bytes);
        }
    }
}

static inline void expect_zeros(const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i] != 0) {
            fail_msg("byte %zu of %zu is not zero", i, size_bytes);
        }
    }
}

/* What the medium holds, by a handle of its own: the caller frees. */
static inline uint8_t *read_back(struct weir_medium *medium, const char *name, uint64_t offset,
                                 size_t size_bytes)
{
    struct weir_file *file = open_file(medium, name, WEIR_FILE_READ);
    uint8_t *bytes = malloc(size_bytes);
    assert_non_null(bytes);
    size_t got = 0;
    assert_int_equal(medium->ops->read(file, offset, bytes, size_bytes, &got), 0);
    assert_int_equal(got, size_bytes);
    medium->ops->close(file);
    return bytes;
}

#endif
