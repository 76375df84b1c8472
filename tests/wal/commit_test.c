/*
 * Committing: who waits for what, and who wakes whom.
 */
#include "support.h"

#include "wal/commit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct call {
    struct weir_log *log;
    pthread_t thread;
    weir_lsn lsn;
    size_t size;
    enum weir_durability durability;
    int rc;
};

static void *append_call(void *context)
{
    struct call *call = context;
    uint8_t *payload = calloc(1, call->size);
    call->rc = try_append(call->log, payload, call->size, call->durability, &call->lsn);
    free(payload);
    return NULL;
}

static void start(struct call *call, void *(*run)(void *context))
{
    assert_int_equal(pthread_create(&call->thread, NULL, run, call), 0);
}

static int finish(struct call *call)
{
    pthread_join(call->thread, NULL);
    return call->rc;
}

/* ---- wake-ups ---- */

struct gate {
    const char *call;
    _Atomic uint32_t arrived, open;
};

static int stop_at_gate(void *context, const char *call, const char *name, uint64_t offset,
                        size_t size)
{
    struct gate *gate = context;
    (void)name;
    (void)offset;
    (void)size;
    if (strcmp(call, gate->call) == 0) {
        atomic_store(&gate->arrived, 1);
        while (atomic_load(&gate->open) == 0) {
            base_yield();
        }
    }
    return 0;
}

static void a_leader_waits_for_a_copy_beside_a_published_reservation(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct test_disk disk = disk_new();
        struct gate gate = {.call = "copy"};
        disk.options.block_bytes = 64;
        disk.options.window_is_file = true; /* large payloads go through copy() */
        struct weir_log *log = open_log(&disk, NULL);
        sim_memory_faults_set(log->medium, &(struct sim_memory_faults){stop_at_gate, &gate});
        struct weir_reservation reservation;
        assert_int_equal(weir_reserve(log, 0, 8, &reservation), 0);
        memset(reservation.data, 1, 8);
        assert_int_equal(weir_publish(log, &reservation, WEIR_NONE), 0);
        struct call copying = {.log = log, .size = 20000, .durability = WEIR_NONE};
        start(&copying, append_call);
        while (atomic_load(&gate.arrived) == 0) {
            base_yield();
        }
        uint64_t head = atomic_load(&log->tail.head);
        struct call leading = {.log = log, .size = 1, .durability = WEIR_EACH};
        start(&leading, append_call);
        while (atomic_load(&log->tail.head) == head) {
            base_yield();
        }
        atomic_store(&gate.open, 1);
        assert_int_equal(finish(&copying), 0);
        assert_int_equal(finish(&leading), 0);
        close_log(log);
        disk_free(&disk);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_waits_for_a_copy_beside_a_published_reservation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
