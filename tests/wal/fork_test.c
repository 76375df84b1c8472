/*
 * fork() with an open handle, of a writer and of a reader: the child's copy only closes, and what
 * the child does or leaves undone changes nothing for those who open the log later.
 *
 * The child inherits the descriptors, hence the locks: they live on the open file description.
 */
#include "process_support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    const struct process_medium *medium;
    char directory[256];
    struct weir_log *log;
    struct weir_cursor *cursor;
    struct weir_state_lock *lock;
    struct weir_state_writer *writer;
    struct weir_state_reader *reader;
};

static struct place begin(void **state)
{
    struct place place = {.medium = *state};
    process_skip_without(place.medium);
    make_directory(place.directory, sizeof place.directory);
    place.log = process_open(place.medium, place.directory, WEIR_LOG_CREATE);
    append_text(place.log, "before", WEIR_EACH);
    return place;
}

/* Lives on with its copy; 'c' closes it, 'x' becomes another program. */
static int live_on(void *context, struct process *self)
{
    struct place *place = context;
    process_answer(self, 0);
    for (;;) {
        char order = process_next_order(self);
        if (order == '\0') {
            return 0;
        }
        if (order == 'c') {
            process_answer(self, (uint64_t)-weir_log_close(place->log));
        }
        if (order == 'x') {
            (void)dup2(self->orders, 0);
            (void)dup2(self->answers, 1);
            (void)execlp("cat", "cat", (char *)NULL);
            return 1;
        }
    }
}

static void wl_14_a_child_that_lives_on_does_not_keep_a_closed_log_locked(void **state)
{
    struct place place = begin(state);
    append_text(place.log, "on its way", WEIR_GROUP);
    struct process child = process_start(live_on, &place);
    assert_int_equal(process_hear(&child), 0);
    close_log(place.log);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(process_try_open(place.medium, place.directory, &why), 0);

    /* Nor does its closing take the lock from whoever has the log now. */
    struct weir_log *next = process_open(place.medium, place.directory, 0);
    process_tell(&child, 'c');
    assert_int_equal(process_hear(&child), 0);
    assert_int_equal(process_try_open(place.medium, place.directory, &why), WEIR_E_LOCKED);
    append_text(next, "after", WEIR_EACH);
    assert_int_equal(count_records(next), 3);
    close_log(next);
    assert_int_equal(process_end(&child), 0);
    remove_directory(place.directory);
}

static void wl_14_a_child_that_closes_leaves_its_parent_the_lock(void **state)
{
    struct place place = begin(state);
    struct process child = process_start(live_on, &place);
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(process_hear(&child), 0);
    process_tell(&child, 'c');
    assert_int_equal(process_hear(&child), 0);
    assert_int_equal(process_try_open(place.medium, place.directory, &why), WEIR_E_LOCKED);
    append_text(place.log, "after", WEIR_EACH);
    assert_int_equal(process_end(&child), 0);
    assert_int_equal(process_try_open(place.medium, place.directory, &why), WEIR_E_LOCKED);
    append_text(place.log, "still", WEIR_GROUP);
    close_log(place.log);
    remove_directory(place.directory);
}

/* Tries what is not allowed, then gives everything back: how many calls did not answer right. */
static int give_back_states(void *context, struct process *self)
{
    struct place *place = context;
    struct weir_state_lock *lock;
    struct weir_state_writer *writer;
    struct weir_state_reader *reader;
    char byte;
    unsigned wrong = 0;
    wrong += weir_state_lock(place->log, "b", &lock) != WEIR_E_FORKED;
    wrong += weir_state_is_locked(place->log, "a") != WEIR_E_FORKED;
    wrong += weir_state_create(place->log, "b", "state", &writer) != WEIR_E_FORKED;
    wrong += weir_state_open(place->log, "a", "state", &reader, NULL) != WEIR_E_FORKED;
    wrong += weir_state_remove(place->log, "a", NULL) != WEIR_E_FORKED;
    wrong += weir_state_write(place->writer, "x", 1) != WEIR_E_FORKED;
    wrong += weir_state_read(place->reader, &byte, 1) != WEIR_E_FORKED;
    wrong += weir_state_commit(place->writer, "kind", 1, 1, NULL) != WEIR_E_FORKED;
    weir_state_unlock(place->lock);
    weir_state_close(place->reader);
    wrong += weir_log_close(place->log) != 0;
    process_answer(self, wrong);
    return 0;
}

static void wl_14_a_child_gives_back_states_and_locks_and_its_parent_keeps_them(void **state)
{
    struct place place = begin(state);
    struct weir_state_lock *other;
    char bytes[3];
    assert_int_equal(weir_state_lock(place.log, "a", &place.lock), 0);
    assert_int_equal(weir_state_create(place.log, "a", "state", &place.writer), 0);
    assert_int_equal(weir_state_write(place.writer, "one", 3), 0);
    assert_int_equal(weir_state_commit(place.writer, "kind", 1, 1, NULL), 0);
    assert_int_equal(weir_state_create(place.log, "a", "state", &place.writer), 0);
    assert_int_equal(weir_state_write(place.writer, "two", 3), 0);
    assert_int_equal(weir_state_open(place.log, "a", "state", &place.reader, NULL), 0);

    struct process child = process_start(give_back_states, &place);
    assert_int_equal(process_hear(&child), 0);
    assert_int_equal(process_end(&child), 0);

    assert_int_equal(weir_state_is_locked(place.log, "a"), 1);
    assert_int_equal(weir_state_lock(place.log, "a", &other), WEIR_E_ATTACHED);
    assert_int_equal(weir_state_read(place.reader, bytes, 3), 0);
    assert_memory_equal(bytes, "one", 3);
    weir_state_close(place.reader);
    assert_int_equal(weir_state_commit(place.writer, "kind", 1, 1, NULL), 0);
    assert_int_equal(weir_state_open(place.log, "a", "state", &place.reader, NULL), 0);
    assert_int_equal(weir_state_read(place.reader, bytes, 3), 0);
    assert_memory_equal(bytes, "two", 3);
    weir_state_close(place.reader);
    weir_state_unlock(place.lock);
    close_log(place.log);
    remove_directory(place.directory);
}

/* A parent, in a process of its own: opens, forks a child that lives on, and waits to be killed. */
static int parent_of_a_child(void *context, struct process *self)
{
    struct place *place = context;
    place->log = process_open(place->medium, place->directory, 0);
    append_text(place->log, "of the parent", WEIR_EACH);
    struct process child = *self; /* it talks to the test, in its parent's place */
    pid_t pid = fork();
    if (pid == 0) {
        return live_on(place, &child);
    }
    int status;
    (void)waitpid(pid, &status, 0);
    return 0;
}

static void wl_14_the_child_of_a_killed_writer_holds_its_lock_until_it_closes(void **state)
{
    static const char ways_to_let_go[] = {'c', 'x'};
    struct place place = begin(state);
    close_log(place.log);
    for (unsigned i = 0; i < sizeof ways_to_let_go; i++) {
        struct process parent = process_start(parent_of_a_child, &place);
        assert_int_equal(process_hear(&parent), 0);
        assert_int_equal(kill(parent.pid, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid);

        /* It may still have writes in flight, as far as anybody can tell. */
        struct weir_error why = WEIR_ERROR_INIT;
        char name[64];
        (void)snprintf(name, sizeof name, "process %d on", (int)parent.pid);
        assert_int_equal(process_try_open(place.medium, place.directory, &why), WEIR_E_LOCKED);
        assert_non_null(strstr(why.text, name));
        process_tell(&parent, ways_to_let_go[i]);
        if (ways_to_let_go[i] == 'c') {
            assert_int_equal(process_hear(&parent), 0);
            assert_int_equal(process_try_open(place.medium, place.directory, &why), 0);
        }
        struct weir_log *next = process_open(place.medium, place.directory, 0);
        assert_int_equal(count_records(next), 2 + i);
        close_log(next);
        (void)close(parent.orders);
        (void)close(parent.answers);
    }
    remove_directory(place.directory);
}

/* Of a reader: everything but closing is refused. Returns the number of what was not. */
static int use_forked_reader(void *context, struct process *self)
{
    struct place *place = context;
    struct weir_cursor *cursor = NULL;
    struct weir_record record;
    struct weir_stat stat = WEIR_STAT_INIT;
    const int codes[] = {
        weir_cursor_next(place->cursor, &record),
        weir_cursor_wait(place->cursor, 0),
        weir_cursor_seek(place->cursor, 1),
        weir_cursor_open(place->log, NULL, &cursor),
        weir_log_stat(place->log, &stat),
        weir_hold_set(place->log, "child", 1),
        weir_wait(place->log, 1, 0),
    };
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i] != WEIR_E_FORKED) {
            return (int)i + 1;
        }
    }
    weir_cursor_close(place->cursor);
    if (weir_log_close(place->log) < 0) {
        return 50;
    }
    process_answer(self, 0);
    return process_next_order(self) == 'e' ? 0 : 51;
}

static void wl_14_a_forked_reader_only_closes_and_harms_nobody(void **state)
{
    struct place writer = begin(state), reader = writer;
    reader.log = process_open(reader.medium, reader.directory, WEIR_LOG_READ_ONLY);
    assert_int_equal(weir_cursor_open(reader.log, NULL, &reader.cursor), 0);
    process_read_to(reader.cursor, 1);
    struct process child = process_start(use_forked_reader, &reader);
    assert_int_equal(process_hear(&child), 0);

    /* Beside the child, which has closed its copy, and behind it. */
    append_text(writer.log, "after", WEIR_EACH);
    process_read_to(reader.cursor, 2);
    assert_int_equal(weir_truncate_before(writer.log, 2, NULL), 0);
    process_tell(&child, 'e');
    assert_int_equal(process_end(&child), 0);
    close_log(writer.log);
    writer.log = process_open(writer.medium, writer.directory, 0);
    append_text(writer.log, "of the next writer", WEIR_EACH);
    process_read_to(reader.cursor, 3);
    weir_cursor_close(reader.cursor);
    close_log(reader.log);
    close_log(writer.log);
    remove_directory(writer.directory);
}

#define SUBJECTS 5u

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } subjects[SUBJECTS] = {
        {"wl_14_a_child_that_lives_on_does_not_keep_a_closed_log_locked",
         wl_14_a_child_that_lives_on_does_not_keep_a_closed_log_locked},
        {"wl_14_a_child_that_closes_leaves_its_parent_the_lock",
         wl_14_a_child_that_closes_leaves_its_parent_the_lock},
        {"wl_14_a_child_gives_back_states_and_locks_and_its_parent_keeps_them",
         wl_14_a_child_gives_back_states_and_locks_and_its_parent_keeps_them},
        {"wl_14_the_child_of_a_killed_writer_holds_its_lock_until_it_closes",
         wl_14_the_child_of_a_killed_writer_holds_its_lock_until_it_closes},
        {"wl_14_a_forked_reader_only_closes_and_harms_nobody",
         wl_14_a_forked_reader_only_closes_and_harms_nobody},
    };
    static char names[SUBJECTS * 8][160];
    struct CMUnitTest tests[SUBJECTS * 8];
    unsigned count = 0;
    for (unsigned m = 0; m < PROCESS_MEDIA_COUNT; m++) {
        for (unsigned i = 0; i < SUBJECTS; i++, count++) {
            (void)snprintf(names[count], sizeof names[count], "%s_on_%s", subjects[i].name,
                           PROCESS_MEDIA[m].name);
            tests[count] = (struct CMUnitTest){names[count], subjects[i].run, NULL, NULL,
                                               (void *)(uintptr_t)&PROCESS_MEDIA[m]};
        }
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    return _cmocka_run_group_tests("fork", tests, count, NULL, NULL);
}
