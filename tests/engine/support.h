/*
 * What the tests of the engine share: a log of keys in memory, an index over it, sets of keys in
 * order, and a reference that is an array.
 */
#ifndef TESTS_ENGINE_SUPPORT_H
#define TESTS_ENGINE_SUPPORT_H

#include "base/random.h"
#include "engine/index.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* The tests of a program: all, or those that match its first argument. */
#define RUN_TESTS(tests, argc, argv)                                                               \
    (cmocka_set_test_filter((argc) > 1 ? (argv)[1] : NULL),                                        \
     cmocka_run_group_tests(tests, NULL, NULL))

#define WORLD_SPARE 53 /* arena_spare() of a world: as with segments of 1 GiB */

/* A log that consists of keys: the record at address 16 * (n + 1) has keys[n]. */
struct fake_log {
    struct index_key *keys;
    _Atomic uint64_t count;
    uint64_t capacity;
    _Atomic int damage;     /* what load() returns instead, when not 0 */
    _Atomic uint64_t loads; /* keys loaded */
};

void fake_log_init(struct fake_log *log, uint64_t capacity);
void fake_log_destroy(struct fake_log *log);
uint64_t fake_log_append(struct fake_log *log, struct index_key key);
struct index_key fake_log_key(const struct fake_log *log, uint64_t address);

/* Epochs, an arena, an index over a fake log. */
struct world {
    struct engine_epochs epochs;
    struct engine_arena arena;
    struct fake_log log;
    struct index index;
};

struct world *world_new(uint64_t records, uint64_t arena_bytes);
void world_free(struct world *world);
struct index_source world_source(struct world *world);

/* Appends a record and puts it; the address, and the one before in *ret_old. Asserts success. */
uint64_t world_put(struct world *world, struct index_key key, uint64_t *ret_old);
uint64_t world_find(struct world *world, struct index_key key); /* 0 when absent */
void world_check(struct world *world);

/* Keys in ascending order, none twice. */
struct key_set {
    struct index_key *keys;
    uint32_t count;
};

struct key_kind {
    const char *name;
    struct key_set (*make)(struct base_prng *prng, uint32_t count);
};

extern const struct key_kind key_kinds[];
extern const unsigned key_kind_count;

void key_set_free(struct key_set *set);
int key_compare(const void *left, const void *right);

static inline struct index_key key_of(const char *text)
{
    return (struct index_key){.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

#endif
