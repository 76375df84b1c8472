/*
 * What a crash costs those documents, and what is left when everything derived is deleted.
 *
 * 1. A child changes and deletes documents, one after the other, each durable before it tells so
 *    through a pipe, while the index, the view and the full text follow. It is killed with SIGKILL.
 * 2. Log, engine and the three are opened again, timed by phase. For every document that the child
 *    told of, the newest version must be the one that it told, or a later one.
 * 3. The checkpoint and every saved state are deleted; all is built again from the log alone,
 * timed. The fingerprints must be equal.
 */
#include "cli/demo_systems.h"

#include "cli/errors.h"
#include "cli/signals.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <weir/maintain.h>
#include <weir/write.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANGE_NS (1500 * BASE_NS_PER_MS)
#define WAIT_MS 30000 /* for the first acknowledgement */
#define DELETE_EACH 7

/* What the child tells: this version of this document is durable. */
struct told {
    uint64_t index;
    weir_lsn lsn;
};

/* ---- the child ---- */

static int change_one(struct demo *demo, struct demo_systems *systems, uint64_t number,
                      struct told *ret_told)
{
    const struct demo_rows *rows = &demo->rows;
    weir_table table = systems->system[0].table;
    uint64_t index = number % rows->count;
    uint64_t other = (number * 31 + number / rows->count) % rows->count;
    int rc = -ENOENT;
    ret_told->index = index;
    if (number % DELETE_EACH == 0) {
        rc = weir_delete(systems->engine, table, rows->list[index].key, WEIR_EACH, &ret_told->lsn);
    }
    return rc == -ENOENT ? weir_put(systems->engine, table, rows->list[index].key,
                                    rows->list[other].value, WEIR_EACH, &ret_told->lsn)
                         : rc;
}

static _Noreturn void run_child(struct demo *demo, const char *path, int fd)
{
    struct demo_systems systems;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = demo_systems_open(demo, path, 0, &systems, &why);
    if (rc == 0) {
        rc = weir_host_start(systems.host);
    }
    for (uint64_t number = 0; rc == 0; number++) {
        struct told told;
        rc = change_one(demo, &systems, number, &told);
        if (rc == 0 && write(fd, &told, sizeof told) != (ssize_t)sizeof told) {
            rc = -EPIPE;
        }
    }
    _exit(1); /* nobody is told of its end but by this */
}

/* ---- the parent ---- */

struct telling {
    weir_lsn *newest; /* for each document the last LSN that was told */
    uint64_t count;   /* told in all */
};

static bool take_told(int fd, struct telling *telling)
{
    struct told told;
    ssize_t size = read(fd, &told, sizeof told); /* writes of this size are never split */
    if (size != (ssize_t)sizeof told) {
        return false;
    }
    telling->newest[told.index] = told.lsn;
    telling->count++;
    return true;
}

/* Listens for a while from the first acknowledgement on. 0, or -ETIMEDOUT, -ECHILD. */
static int listen_to(int fd, struct telling *telling)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint64_t until_ns = 0;
    while (!signals_interrupted()) {
        uint64_t now_ns = base_clock_monotonic_ns();
        if (until_ns != 0 && now_ns >= until_ns) {
            return 0;
        }
        int wait_ms = until_ns == 0 ? WAIT_MS : (int)((until_ns - now_ns) / BASE_NS_PER_MS) + 1;
        int rc = poll(&ready, 1, wait_ms);
        if (rc == 0 && until_ns == 0) {
            return -ETIMEDOUT;
        }
        if (rc > 0 && !take_told(fd, telling)) {
            return -ECHILD;
        }
        if (rc > 0 && until_ns == 0) {
            until_ns = base_clock_monotonic_ns() + CHANGE_NS;
        }
    }
    return 0;
}

static int kill_a_changer(struct demo *demo, const char *path, struct telling *telling)
{
    int ends[2];
    output_flush(&demo->cli->out); /* a child must not have it in its buffer as well */
    if (pipe(ends) < 0) {
        return -errno;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        run_child(demo, path, ends[1]);
    }
    close(ends[1]);
    int rc = child < 0 ? -errno : listen_to(ends[0], telling);
    if (child > 0) {
        kill(child, SIGKILL);
        while (take_told(ends[0], telling)) {
        }
        (void)waitpid(child, NULL, 0);
    }
    close(ends[0]);
    return rc;
}

/* ---- recovery ---- */

static int check_told(struct demo *demo, struct demo_systems *systems,
                      const struct telling *telling)
{
    struct weir_read read;
    int rc = weir_read_begin(systems->engine, NULL, &read);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < demo->rows.count && rc >= 0; i++) {
        struct weir_history history;
        struct weir_key_version version;
        if (telling->newest[i] == WEIR_LSN_NONE) {
            continue;
        }
        rc = weir_history_begin(&read, systems->system[0].table, demo->rows.list[i].key, &history);
        rc = rc == 0 ? weir_history_next(&history, &version) : rc;
        demo->recover.lost += rc == 0 || (rc == 1 && version.lsn < telling->newest[i]);
    }
    weir_read_end(&read);
    return rc < 0 ? rc : 0;
}

static double seconds_since(uint64_t started_ns)
{
    return (double)(base_clock_monotonic_ns() - started_ns) / (double)BASE_NS_PER_S;
}

static int recover(struct demo *demo, const char *path, const struct telling *telling,
                   struct weir_error *why)
{
    struct demo_recover *result = &demo->recover;
    struct demo_systems systems;
    int rc = demo_systems_open(demo, path, 0, &systems, why);
    if (rc < 0) {
        return rc;
    }
    uint64_t started_ns = base_clock_monotonic_ns();
    rc = weir_host_flush(systems.host, NULL, 0);
    result->derived_s = systems.attach_s + seconds_since(started_ns);
    result->log_s = systems.log_s;
    result->engine_s = systems.engine_s;
    result->told = telling->count;
    if (rc >= 0) {
        rc = check_told(demo, &systems, telling);
    }
    if (rc == 0) {
        rc = demo_systems_fingerprints(&systems, result->before);
    }
    int close_rc = demo_systems_close(&systems);
    result->recovered = rc == 0 && close_rc == 0;
    return rc < 0 ? rc : close_rc;
}

/* ---- from the log alone ---- */

static int delete_one(const char *path, const char *name, const char *file)
{
    char target[PATH_MAX + 128];
    snprintf(target, sizeof target, "%s/derived/%s/%s", path, name, file);
    return unlink(target) == 0 || errno == ENOENT ? 0 : -errno;
}

/* The definitions stay: they say what is derived, and are not. */
static int delete_derived(const char *path)
{
    int rc = delete_one(path, "engine", "checkpoint");
    for (size_t i = 0; i < DEMO_SYSTEMS && rc == 0; i++) {
        rc = delete_one(path, demo_system_names[i], "state");
    }
    return rc;
}

static int rebuild(struct demo *demo, const char *path, struct weir_error *why)
{
    struct demo_recover *result = &demo->recover;
    struct demo_systems systems;
    int rc = delete_derived(path);
    if (rc == 0) {
        rc = demo_systems_open(demo, path, 0, &systems, why);
    }
    if (rc < 0) {
        return rc;
    }
    struct weir_engine_open_report report = WEIR_ENGINE_OPEN_REPORT_INIT;
    rc = weir_engine_report(systems.engine, &report);
    result->rebuilt[0].events = report.replayed_records;
    result->rebuilt[0].seconds = systems.engine_s;
    for (size_t i = 0; i < DEMO_SYSTEMS && rc == 0; i++) {
        struct weir_rebuild_report rebuilt = WEIR_REBUILD_REPORT_INIT;
        rc = weir_host_rebuild(systems.host, demo_system_names[i], NULL, NULL, &rebuilt, why);
        result->rebuilt[1 + i].events = rebuilt.events;
        result->rebuilt[1 + i].seconds = rebuilt.seconds;
    }
    if (rc == 0) {
        rc = demo_systems_fingerprints(&systems, result->after);
    }
    int close_rc = demo_systems_close(&systems);
    for (size_t i = 0; i <= DEMO_SYSTEMS && rc == 0; i++) {
        result->unequal += memcmp(result->before[i], result->after[i], 16) != 0;
    }
    result->done = rc == 0 && close_rc == 0;
    return rc < 0 ? rc : close_rc;
}

int demo_recover(struct demo *demo)
{
    char path[PATH_MAX + 16];
    struct telling telling = {0};
    struct weir_error why = WEIR_ERROR_INIT;
    if (!demo->documents.done) {
        return -1; /* there are no documents */
    }
    snprintf(path, sizeof path, "%s/documents", demo->directory);
    telling.newest = base_alloc_array(demo->rows.count, sizeof *telling.newest);
    if (telling.newest == NULL) {
        return cli_fail(demo->cli, -ENOMEM, NULL, "cannot keep acknowledgements");
    }
    progress_show("changing documents, kill -9, recovery ...");
    int rc = kill_a_changer(demo, path, &telling);
    if (rc == 0 && !signals_interrupted()) {
        rc = recover(demo, path, &telling, &why);
    }
    base_free(telling.newest);
    if (rc == 0 && !signals_interrupted()) {
        progress_show("deleting all that is derived, building it again ...");
        rc = rebuild(demo, path, &why);
    }
    return rc < 0 ? cli_fail(demo->cli, rc, &why, "the documents of %s", demo->documents.source)
                  : -1;
}
