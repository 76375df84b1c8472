/*
 * A power cut, or the death of the process, at every call while a state file is written, replaced
 * or removed: what is left is the old state or the new one, whole, never half of one, and never
 * none where there was one. What somebody has seen who has the lock is never taken back.
 *
 * WEIR_SEED begins elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "tests/crash/cut.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define RECORDS 12u
#define SEGMENT ((uint64_t)64 << 10)

/* What may be found: a state is known by its position, 0 is none. */
struct promise {
    weir_lsn old, new;
    bool may_be_none;
};

struct trial {
    const char *name;
    int (*prepare)(struct weir_log *log);
    int (*act)(struct weir_log *log);
    size_t bytes;
    struct promise during, after;
    bool by_reader;
    unsigned random;
};

struct run {
    const struct trial *trial;
    struct weir_medium *medium; /* whose calls are counted */
    bool inside;                /* looking: calls of images are not moments */
    struct promise promise;
    uint64_t seed;
    unsigned moments, images;
    char failure[700];
};

static size_t body_bytes;

static uint8_t byte_of(weir_lsn position, size_t at)
{
    return (uint8_t)(position * 37 + at * 11 + (at >> 8));
}

static int save(struct weir_log *log, const char *file, weir_lsn position)
{
    struct weir_state_writer *writer;
    int rc = weir_state_create(log, "name", file, &writer);
    if (rc < 0) {
        return rc;
    }
    for (size_t at = 0; at < body_bytes; at++) {
        uint8_t byte = byte_of(position, at);
        (void)weir_state_write(writer, &byte, 1);
    }
    return weir_state_commit(writer, "kind", 1, position, NULL);
}

/* The position of the state that is there, after looking at all of it; 0 (none); < 0. */
static int load(struct weir_log *log, const char *file, struct weir_error *why)
{
    struct weir_state_reader *reader;
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    int rc = weir_state_open(log, "name", file, &reader, why);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = weir_state_about(reader, &about);
    if (about.bytes != body_bytes) {
        rc = -EBADMSG;
    }
    for (size_t at = 0; at < body_bytes && rc == 0; at++) {
        uint8_t byte;
        rc = weir_state_read(reader, &byte, 1);
        rc = rc == 0 && byte != byte_of(about.position, at) ? -EBADMSG : rc;
    }
    weir_state_close(reader);
    return rc < 0 ? rc : (int)about.position;
}

static struct weir_log *open_log(struct weir_medium *medium, uint32_t flags)
{
    struct weir_log *log;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = flags;
    options.medium = WEIR_MEDIUM_CUSTOM;
    options.custom_medium = medium;
    options.segment_bytes = (flags & WEIR_LOG_CREATE) != 0 ? SEGMENT : 0;
    options.lock_wait_ns = WEIR_NO_WAIT;
    int rc = weir_log_open("memory", &options, &log, &why);
    if (rc < 0) {
        fail_msg("the log does not open: %d %s", rc, why.text);
    }
    return log;
}

/* ---- looking at what is left ---- */

static bool is_allowed(const struct promise *promise, int found)
{
    return (found == 0 && promise->may_be_none) ||
           (found > 0 && ((weir_lsn)found == promise->old || (weir_lsn)found == promise->new));
}

static void note_failure(struct run *run, const char *what, const char *call, const char *name,
                         int found, const char *text)
{
    if (run->failure[0] == '\0') {
        (void)snprintf(run->failure, sizeof run->failure,
                       "%s: %s, at %s(%s), moment %u: %d (old %d, new %d) %s", run->trial->name,
                       what, call, name, run->moments, found, (int)run->promise.old,
                       (int)run->promise.new, text);
    }
}

/* The next one to come finds its way, whatever was left. */
static int go_on(struct weir_log *log)
{
    struct weir_state_lock *lock;
    int rc = weir_state_lock(log, "name", &lock);
    if (rc < 0) {
        return rc;
    }
    rc = save(log, "state", 9);
    rc = rc == 0 ? load(log, "state", NULL) : rc;
    rc = rc == 9 ? weir_state_remove(log, "name", NULL) : rc > 0 ? -EBADMSG : rc;
    weir_state_unlock(lock);
    rc = rc == 0 ? load(log, "state", NULL) : rc;
    return rc;
}

static void look_at_cut(struct run *run, struct weir_medium *image, const char *call,
                        const char *name)
{
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = open_log(image, 0);
    int found = load(log, "state", &why);
    if (!is_allowed(&run->promise, found)) {
        note_failure(run, "after a power cut", call, name, found, why.text);
    }
    int rc = go_on(log);
    if (rc != 0) {
        note_failure(run, "going on after a power cut", call, name, rc, weir_error_text(rc));
    }
    (void)weir_log_close(log);
    run->images++;
}

/* What a killed process left is shown to somebody who has the lock; then the power is cut. */
static void look_at_kill(struct run *run, const char *call, const char *name)
{
    struct weir_medium *killed, *image;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_state_lock *lock;
    int rc = sim_memory_copy(run->medium, &killed);
    assert_int_equal(rc, 0);
    struct weir_log *log = open_log(killed, 0);
    rc = weir_state_lock(log, "name", &lock);
    if (rc < 0) {
        note_failure(run, "locking after a kill", call, name, rc, weir_error_text(rc));
        (void)weir_log_close(log);
        return;
    }
    int found = load(log, "state", &why);
    if (!is_allowed(&run->promise, found)) {
        note_failure(run, "after a kill", call, name, found, why.text);
    }
    rc = sim_memory_crash(killed, NULL, NULL, &image);
    assert_int_equal(rc, 0);
    weir_state_unlock(lock);
    (void)weir_log_close(log);
    log = open_log(image, 0);
    int later = load(log, "state", &why);
    if (later != found && found != 0) {
        note_failure(run, "taken back by a power cut behind a kill", call, name, later, why.text);
    }
    (void)weir_log_close(log);
    run->images++;
}

static void look(struct run *run, const char *call, const char *name)
{
    struct weir_medium *image;
    struct cut_plan plan = {
        .subsets_of = 8, .random = run->trial->random, .seed = run->seed + run->moments};
    cut_begin(&plan, run->medium);
    while (run->failure[0] == '\0' && cut_next(&plan, &image)) {
        look_at_cut(run, image, call, name);
    }
    if (run->failure[0] == '\0') {
        look_at_kill(run, call, name);
    }
    run->moments++;
}

static int before_call(void *context, const char *call, const char *name, uint64_t offset,
                       size_t size)
{
    struct run *run = context;
    (void)offset;
    (void)size;
    if (!run->inside && run->failure[0] == '\0') {
        run->inside = true;
        look(run, call, name);
        run->inside = false;
    }
    return 0;
}

/* ---- what is tried ---- */

static int prepare_nothing(struct weir_log *log)
{
    (void)log;
    return 0;
}

static int prepare_lock(struct weir_log *log)
{
    struct weir_state_lock *lock;
    int rc = weir_state_lock(log, "name", &lock);
    if (rc == 0) {
        weir_state_unlock(lock);
    }
    return rc;
}

static int prepare_state(struct weir_log *log)
{
    int rc = prepare_lock(log);
    return rc < 0 ? rc : save(log, "state", 3);
}

static int prepare_two(struct weir_log *log)
{
    int rc = prepare_state(log);
    return rc < 0 ? rc : save(log, "definition", 1);
}

static int act_save(struct weir_log *log)
{
    return save(log, "state", 5);
}

static int act_lock_and_save(struct weir_log *log)
{
    struct weir_state_lock *lock;
    int rc = weir_state_lock(log, "name", &lock);
    if (rc < 0) {
        return rc;
    }
    rc = save(log, "state", 5);
    weir_state_unlock(lock);
    return rc;
}

static int act_save_another(struct weir_log *log)
{
    return save(log, "definition", 5);
}

static int act_abandon(struct weir_log *log)
{
    struct weir_state_writer *writer;
    uint8_t bytes[9000] = {1};
    int rc = weir_state_create(log, "name", "state", &writer);
    if (rc == 0) {
        (void)weir_state_write(writer, bytes, sizeof bytes);
        weir_state_abandon(writer);
    }
    return rc;
}

static int act_remove_file(struct weir_log *log)
{
    return weir_state_remove(log, "name", "state");
}

static int act_remove_name(struct weir_log *log)
{
    return weir_state_remove(log, "name", NULL);
}

static const struct trial trials[] = {
    {"the first one", prepare_nothing, act_save, 5000, {0, 5, true}, {0, 5, false}, false, 6},
    {"the first one, with its lock",
     prepare_nothing,
     act_lock_and_save,
     100,
     {0, 5, true},
     {0, 5, false},
     false,
     6},
    {"the first one, in a directory",
     prepare_lock,
     act_save,
     100,
     {0, 5, true},
     {0, 5, false},
     false,
     6},
    {"another one in its place",
     prepare_state,
     act_save,
     5000,
     {3, 5, false},
     {0, 5, false},
     false,
     6},
    {"another file beside it",
     prepare_state,
     act_save_another,
     100,
     {3, 3, false},
     {3, 3, false},
     false,
     6},
    {"an empty one", prepare_state, act_save, 0, {3, 5, false}, {0, 5, false}, false, 6},
    {"a large one", prepare_state, act_save, 300000, {3, 5, false}, {0, 5, false}, false, 3},
    {"by a reader", prepare_state, act_save, 5000, {3, 5, false}, {0, 5, false}, true, 6},
    {"abandoned", prepare_state, act_abandon, 100, {3, 3, false}, {3, 3, false}, false, 6},
    {"removed", prepare_two, act_remove_file, 100, {3, 3, true}, {0, 0, true}, false, 6},
    {"removed with its name",
     prepare_two,
     act_remove_name,
     100,
     {3, 3, true},
     {0, 0, true},
     false,
     6},
};

static void try_one(const struct trial *trial, uint64_t seed)
{
    struct sim_memory_options shape = {0};
    struct weir_medium *keeper, *medium;
    struct run run = {.trial = trial, .promise = trial->during, .seed = seed};
    assert_int_equal(sim_memory_open(&shape, &keeper), 0);
    shape.disk = sim_memory_disk(keeper);
    assert_int_equal(sim_memory_open(&shape, &medium), 0);
    body_bytes = trial->bytes;
    struct weir_log *writer = open_log(medium, WEIR_LOG_CREATE), *log = writer;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct weir_part part = {"record", 6};
        const struct weir_entry entry = {.parts = &part, .part_count = 1};
        assert_int_equal(weir_append(writer, &entry, WEIR_EACH, NULL), 0);
    }
    assert_int_equal(trial->prepare(writer), 0);
    if (trial->by_reader) {
        shape.read_only = true;
        assert_int_equal(sim_memory_open(&shape, &medium), 0);
        log = open_log(medium, WEIR_LOG_READ_ONLY);
    }
    run.medium = keeper; /* its disk is the one; its handles are not in the way */
    sim_memory_faults_set(medium, &(struct sim_memory_faults){before_call, &run});
    int rc = trial->act(log);
    sim_memory_faults_set(medium, &(struct sim_memory_faults){0});
    run.promise = trial->after;
    if (rc == 0 && run.failure[0] == '\0') {
        look(&run, "the end", "");
    }
    if (log != writer) {
        assert_int_equal(weir_log_close(log), 0);
    }
    assert_int_equal(weir_log_close(writer), 0);
    keeper->ops->destroy(keeper);
    print_message("%s: %u moments, %u images\n", trial->name, run.moments, run.images);
    if (run.failure[0] != '\0') {
        fail_msg("WEIR_SEED=%ju: %s", (uintmax_t)seed, run.failure);
    }
    assert_int_equal(rc, 0);
    assert_true(run.moments > 2);
}

static void cd_02_a_crash_leaves_the_old_state_or_the_new_one_whole(void **state)
{
    (void)state;
    const char *text = getenv("WEIR_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        try_one(&trials[i], seed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_02_a_crash_leaves_the_old_state_or_the_new_one_whole),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
