/* What a store's process does with each question. */
#include "bench/kv/plan.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "bench/stolen.h"
#include "bench/workdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SCAN_SECONDS 0.2 /* of scans in a round, at least */
/* Of memory, touched before a store is opened: for each record, and for windows and caches. */
#define WARM_BYTES 64u
#define WARM_BYTES_MIN ((size_t)256 << 20)

static double seconds_since(uint64_t start_ns)
{
    return (double)(base_clock_monotonic_ns() - start_ns) / (double)BASE_NS_PER_S;
}

/* Anonymous memory of this process, in bytes; 0 when the kernel does not say. */
static uint64_t anonymous_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    uint64_t kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Anonymous:", 10) == 0) {
            kib = strtoull(line + 10, NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib << 10;
}

/* Once before the clock: the process of another store had the caches. Then again and again, as one
 * scan of a million rows is over before a clock says much. */
static int scan(struct kv_session *session, struct kv_outcome *outcome)
{
    void *reader;
    struct kv_tally before = {0}, tally = {0};
    uint64_t scans = 0;
    int rc = session->ops->reader_open(session->store, &reader);
    if (rc < 0) {
        return rc;
    }
    rc = session->ops->scan(reader, &before);
    struct bench_stolen stolen;
    bench_stolen_begin(&stolen);
    uint64_t start_cpu_ns = kv_thread_cpu_ns();
    uint64_t start_ns = base_clock_monotonic_ns();
    do {
        rc = rc < 0 ? rc : session->ops->scan(reader, &tally);
        scans++;
        outcome->seconds = seconds_since(start_ns);
    } while (rc == 0 && outcome->seconds < SCAN_SECONDS && !bench_interrupted());
    outcome->cpu_ns = (double)(kv_thread_cpu_ns() - start_cpu_ns) / (double)(tally.rows + 1);
    outcome->stolen = bench_stolen_share(&stolen);
    session->ops->reader_close(reader);
    outcome->operations = tally.rows / scans;
    outcome->bytes = tally.bytes / scans;
    outcome->seconds /= (double)scans;
    outcome->per_s = (double)outcome->operations / outcome->seconds;
    outcome->ns = 1e9 / outcome->per_s;
    if (rc == 0 && tally.rows != scans * session->present) {
        return kv_fail("%llu scans brought %llu rows of %llu each", (unsigned long long)scans,
                       (unsigned long long)tally.rows, (unsigned long long)session->present);
    }
    return rc;
}

/* Every row is read once before: memory is what a store in use takes, its caches filled. */
static int measure_memory(struct kv_session *session, const struct kv_case *question,
                          struct kv_outcome *outcome)
{
    int rc = kv_get(session, question, outcome);
    rc = rc < 0 ? rc : scan(session, outcome);
    uint64_t bytes = anonymous_bytes();
    outcome->anonymous_bytes =
        bytes > session->anonymous_before ? bytes - session->anonymous_before : 0;
    outcome->log_keys = session->present;
    outcome->cpu_ns = 0.0; /* of those reads: nothing to compare */
    return rc;
}

static int first_get(struct kv_session *session)
{
    uint8_t bytes[BENCH_KEY_BYTES_MAX];
    struct weir_bytes key = {bytes, session->keys.size};
    struct kv_tally tally = {0};
    void *reader;
    bench_key_make(&session->keys, 0, bytes);
    int rc = session->ops->reader_open(session->store, &reader);
    if (rc == 0) {
        rc = session->ops->get(reader, &key, 1, &tally);
        session->ops->reader_close(reader);
    }
    return rc;
}

/* A virtual machine pays ten times as much for memory that its host has taken back meanwhile, at
 * random: not what opening is measured for. Of files nothing is touched. */
static void warm_memory(const struct kv_case *question)
{
    size_t bytes = WARM_BYTES_MIN + (size_t)question->records * WARM_BYTES;
    void *memory = base_pages_alloc(bytes, BASE_PAGES_HUGE | BASE_PAGES_POPULATE);
    base_pages_free(memory, bytes);
}

static int open_again(struct kv_session *session, const struct kv_case *question,
                      struct kv_outcome *outcome)
{
    struct kv_settings settings;
    bench_keys_init(&session->keys, session->plan->key_kind, question->ascending,
                    question->records);
    kv_settings_fill(session, question, &settings);
    warm_memory(question);
    struct bench_stolen stolen;
    bench_stolen_begin(&stolen);
    uint64_t start_cpu_ns = kv_process_cpu_ns();
    uint64_t start_ns = base_clock_monotonic_ns();
    int rc = session->ops->open(&settings, false, &session->store);
    outcome->open_s = seconds_since(start_ns);
    if (rc < 0) {
        session->store = NULL;
        return rc;
    }
    rc = first_get(session);
    outcome->first_get_s = seconds_since(start_ns);
    outcome->cpu_ns = (double)(kv_process_cpu_ns() - start_cpu_ns) / (double)question->records;
    outcome->stolen = bench_stolen_share(&stolen);
    outcome->seconds = outcome->open_s;
    outcome->operations = question->records;
    outcome->per_s = (double)question->records / outcome->seconds;
    outcome->ns = 1e9 / outcome->per_s;
    return rc;
}

static int act(struct kv_session *session, const struct kv_case *question,
               struct kv_outcome *outcome)
{
    switch (question->action) {
    case KV_PUT:
        return kv_put(session, question, outcome);
    case KV_FILL:
        return kv_fill(session, question, outcome);
    case KV_GET:
        return kv_get(session, question, outcome);
    case KV_SCAN:
        return scan(session, outcome);
    case KV_MIXED:
        return kv_mixed(session, question, outcome);
    case KV_MEMORY:
        return measure_memory(session, question, outcome);
    case KV_OPEN:
        return open_again(session, question, outcome);
    default:
        return -EINVAL;
    }
}

int kv_answer(struct kv_session *session, const struct kv_case *question,
              struct kv_outcome *ret_outcome)
{
    memset(ret_outcome, 0, sizeof *ret_outcome);
    if (session->anonymous_before == 0) {
        session->anonymous_before = anonymous_bytes();
    }
    int rc = act(session, question, ret_outcome);
    if (session->store != NULL && session->ops->facts != NULL) {
        session->ops->facts(session->store, &ret_outcome->facts);
    }
    ret_outcome->rc = rc;
    ret_outcome->measured = rc == 0;
    if (rc < 0) {
        (void)snprintf(ret_outcome->error, sizeof ret_outcome->error, "%s",
                       kv_failure()[0] != '\0' ? kv_failure() : weir_error_text(rc));
    }
    return rc;
}
