#include "tests/fault/scenario.h"

#include "base/alloc.h"
#include "tests/fault/inject.h"
#include "tests/wal/support.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_WAIT_NS                                                                               \
    INT64_C(20000000000) /* the kernel may still take a killed process's ring apart */
#define BIG 14000u
#define BIG_RECORDS 22u /* more than a segment takes */

const struct scenario_medium SCENARIO_MEDIA[] = {
    {"direct", "uring", WEIR_MEDIUM_DIRECT, WEIR_IO_URING},
    {"direct", "sync", WEIR_MEDIUM_DIRECT, WEIR_IO_SYNC},
    {"mapped", "uring", WEIR_MEDIUM_MAPPED, WEIR_IO_URING},
    {"mapped", "sync", WEIR_MEDIUM_MAPPED, WEIR_IO_SYNC},
    {"pmem", "emulated", WEIR_MEDIUM_PMEM, WEIR_IO_AUTO},
};
const unsigned SCENARIO_MEDIA_COUNT = sizeof SCENARIO_MEDIA / sizeof *SCENARIO_MEDIA;

/* ---- surroundings ---- */

static bool offers(const char *parent, const struct scenario_medium *medium)
{
    struct weir_medium_info info;
    int rc = weir_medium_probe(parent, medium->kind, medium->io_kind, &info);
    return rc == 0 || (medium->kind == WEIR_MEDIUM_PMEM && rc == WEIR_E_MEDIUM);
}

static const char *parent_of_logs(void)
{
    const char *asked = getenv("WEIR_TEST_DIR");
    return asked != NULL ? asked : offers("/dev/shm", &SCENARIO_MEDIA[1]) ? "/dev/shm" : ".";
}

void scenario_make_directory(char *path, size_t size)
{
    int length = snprintf(path, size, "%s/weir-fault-XXXXXX", parent_of_logs());
    assert_true(length > 0 && (size_t)length < size);
    assert_non_null(mkdtemp(path));
}

const char *scenario_refusal(const struct scenario_medium *medium)
{
    static struct weir_medium_info info;
    if (offers(parent_of_logs(), medium)) {
        return NULL;
    }
    (void)weir_medium_probe(parent_of_logs(), medium->kind, medium->io_kind, &info);
    return info.reason;
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *stream = opendir("/proc/self/fd");
    assert_non_null(stream);
    while (readdir(stream) != NULL) {
        count++;
    }
    (void)closedir(stream);
    return count;
}

/* Of files of the log, of its page in /dev/shm, of rings. */
static unsigned count_mappings(const char *directory)
{
    const char *name = strrchr(directory, '/') + 1;
    char line[512];
    unsigned count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, name) != NULL || strstr(line, "/dev/shm/weir-") != NULL ||
                 strstr(line, "[io_uring]") != NULL;
    }
    (void)fclose(file);
    return count;
}

struct scenario_resources scenario_resources(const char *directory)
{
    return (struct scenario_resources){
        .blocks = base_alloc_in_use(),
        .pages = base_pages_in_use(),
        .descriptors = count_descriptors(),
        .mappings = count_mappings(directory),
    };
}

struct weir_log_options scenario_options(const struct scenario *scenario, uint32_t flags)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    options.flags = flags;
    options.medium = scenario->medium->kind;
    options.io = scenario->medium->io_kind;
    options.lock_wait_ns = scenario->lock_wait_ns;
    if (options.medium == WEIR_MEDIUM_PMEM) {
        options.flags |= WEIR_LOG_ALLOW_EMULATED_PMEM;
    }
    if ((flags & WEIR_LOG_CREATE) != 0) {
        options.segment_bytes = SMALL_SEGMENT;
        options.run_ahead_bytes = SMALL_SEGMENT;
        options.group_bytes = 65536;
    }
    return options;
}

/* What a page that could not be removed leaves in /dev/shm. */
static void remove_pages(const uint8_t uuid[16])
{
    char pattern[80] = "/dev/shm/weir-";
    for (unsigned i = 0; i < 16; i++) {
        (void)snprintf(pattern + strlen(pattern), 3, "%02x", uuid[i]);
    }
    (void)strcat(pattern, "*");
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            (void)unlink(found.gl_pathv[i]);
        }
        globfree(&found);
    }
}

/* ---- what a call may say ---- */

/* What a failing call of the system may turn into, beside its own error. */
static bool is_consequence(int rc)
{
    switch (rc) {
    case -EIO:    /* a transfer of half, a page that cannot be faulted in */
    case -ENOMEM: /* a mapping that was refused for whatever reason */
    case WEIR_E_MEDIUM:
    case WEIR_E_LOCKED:
    case -ETIMEDOUT: /* holds/.lock cannot be had */
    case WEIR_E_CUT_SHORT:
    case WEIR_E_DAMAGED:
    case WEIR_E_CONTROL:
    case WEIR_E_NOT_A_LOG:
        return true;
    default:
        return fault_was(-rc);
    }
}

/* Returns rc. `also` is an error that a failure before may have as its consequence; 0: none. */
static int said(struct scenario *self, const char *call, int rc, int also)
{
    unsigned strikes = fault_strikes();
    self->struck = strikes != self->strikes_seen;
    self->strikes_seen = strikes;
    if (rc >= 0) {
        return rc;
    }
    bool right = rc == WEIR_E_POISONED ? strikes > 0
                                       : (self->struck && is_consequence(rc)) ||
                                             (rc == also && also != 0 && strikes > 0);
    self->poisoned = self->poisoned || rc == WEIR_E_POISONED;
    if (!right) {
        ledger_violation(&self->ledger, "%s: %s, %u strikes, %s", call, weir_error_name(rc),
                         strikes, self->struck ? "some during the call" : "none during the call");
    }
    return rc;
}

/* ---- appending ---- */

/* A failure that is not poison has changed nothing. */
static void settle(struct scenario *self, uint32_t number, int rc, weir_lsn lsn,
                   enum weir_durability durability)
{
    struct ledger_entry *entry = &self->ledger.entries[number];
    if (rc < 0) {
        entry->outcome = rc == WEIR_E_POISONED ? LEDGER_DOUBTFUL : LEDGER_ABSENT;
        return;
    }
    entry->outcome = LEDGER_APPENDED;
    entry->lsn = lsn;
    if (durability == WEIR_EACH) {
        ledger_acknowledge(&self->ledger, lsn);
        if (self->poisoned) {
            ledger_violation(&self->ledger, "a poisoned log took LSN %ju durably", (uintmax_t)lsn);
        }
    }
}

static void append(struct scenario *self, uint32_t size, enum weir_durability durability)
{
    static uint8_t bytes[LEDGER_PAYLOAD_MAX];
    uint32_t number = ledger_add(&self->ledger, size, 0, 1);
    ledger_fill(number, bytes, size);
    weir_lsn lsn = 0;
    int rc = said(self, "append", try_append(self->log, bytes, size, durability, &lsn), 0);
    settle(self, number, rc, lsn, durability);
}

static void append_batch(struct scenario *self, uint16_t count, enum weir_durability durability)
{
    static uint8_t bytes[8][2000];
    struct weir_part parts[8];
    struct weir_entry entries[8];
    uint32_t numbers[8];
    for (uint16_t i = 0; i < count; i++) {
        uint32_t size = 100 + 600u * i;
        numbers[i] = ledger_add(&self->ledger, size, i, count);
        ledger_fill(numbers[i], bytes[i], size);
        parts[i] = (struct weir_part){bytes[i], size};
        entries[i] = (struct weir_entry){.parts = &parts[i], .part_count = 1};
    }
    weir_lsn lsn = 0;
    int rc = said(self, "append_batch",
                  weir_append_batch(self->log, entries, count, durability, &lsn), 0);
    for (uint16_t i = 0; i < count; i++) {
        settle(self, numbers[i], rc, lsn + i, durability);
    }
}

static void reserve(struct scenario *self, bool cancel)
{
    uint32_t number = ledger_add(&self->ledger, 300, 0, 1);
    struct ledger_entry *entry = &self->ledger.entries[number];
    struct weir_reservation reservation;
    int rc = said(self, "reserve", weir_reserve(self->log, 1, 300, &reservation), 0);
    if (rc < 0) {
        settle(self, number, rc, 0, WEIR_NONE);
        return;
    }
    entry->lsn = reservation.lsn;
    if (cancel) {
        entry->outcome = LEDGER_VOID;
        (void)said(self, "cancel", weir_cancel(self->log, &reservation), 0);
        return;
    }
    ledger_fill(number, reservation.data, 300);
    entry->outcome = LEDGER_APPENDED; /* it is published whatever publish says */
    rc = said(self, "publish", weir_publish(self->log, &reservation, WEIR_EACH), 0);
    if (rc == 0) {
        ledger_acknowledge(&self->ledger, reservation.lsn);
    }
}

static void commit(struct scenario *self)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    int rc = said(self, "stat", weir_log_stat(self->log, &stat), 0);
    ledger_acknowledge(&self->ledger, rc == 0 ? stat.durable : 0);
    rc = said(self, "commit", weir_commit(self->log), 0);
    if (rc == 0) {
        ledger_acknowledge(&self->ledger, stat.reserved);
    }
    ledger_acknowledge(&self->ledger, weir_durable_lsn(self->log));
}

static void process(struct scenario *self)
{
    int fd;
    weir_lsn durable = 0;
    (void)said(self, "eventfd", weir_eventfd(self->log, &fd), 0);
    for (int i = 0; i < 3; i++) {
        append(self, 200, WEIR_GROUP);
        int rc = said(self, "process", weir_process(self->log, &durable), 0);
        ledger_acknowledge(&self->ledger, rc == 0 ? durable : 0);
    }
    weir_lsn last = self->ledger.entries[self->ledger.count].lsn;
    if (last != 0 && said(self, "wait", weir_wait(self->log, last, WEIR_WAIT_FOREVER), 0) == 0) {
        ledger_acknowledge(&self->ledger, last);
    }
}

/* ---- reading ---- */

void scenario_read(struct scenario *self, struct weir_log *log)
{
    struct weir_cursor_options options = WEIR_CURSOR_OPTIONS_INIT;
    struct weir_cursor *cursor = NULL;
    struct weir_pin *pin = NULL;
    struct weir_record record;
    struct ledger_walk walk = {0};
    options.with_void = true;
    if (said(self, "cursor_open", weir_cursor_open(log, &options, &cursor), 0) < 0) {
        return;
    }
    int rc;
    while ((rc = said(self, "next", weir_cursor_next(cursor, &record), 0)) == 1) {
        ledger_see(&self->ledger, &walk, &record);
        if (pin == NULL) {
            (void)said(self, "pin", weir_cursor_pin(cursor, &pin), 0);
        }
    }
    if (rc == 0) {
        ledger_acknowledge(&self->ledger, walk.last); /* it was shown */
        bool reads_only = log != self->log;
        if (!reads_only) {
            ledger_seen_all(&self->ledger, &walk);
        }
        (void)said(self, "seek", weir_cursor_seek(cursor, 0), 0);
        (void)said(self, "seek_time", weir_cursor_seek_time(cursor, 1), 0);
    }
    weir_pin_drop(pin);
    weir_cursor_close(cursor);
}

static int count_hold(void *context, const struct weir_hold *hold)
{
    (void)hold;
    ++*(unsigned *)context;
    return 0;
}

/* Beside the writer, or after it. */
static void read_only(struct scenario *self)
{
    struct weir_log_options options = scenario_options(self, WEIR_LOG_READ_ONLY);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    int rc = weir_log_open(self->directory, &options, &log, &why);
    /* A creation that failed leaves no log. */
    if (said(self, "open read-only", rc, -ENOENT) < 0) {
        return;
    }
    struct weir_stat stat = WEIR_STAT_INIT;
    unsigned holds = 0;
    bool known = said(self, "stat read-only", weir_log_stat(log, &stat), 0) == 0;
    scenario_read(self, log);
    (void)said(self, "hold_list", weir_hold_list(log, count_hold, &holds), 0);
    weir_lsn earliest = stat.earliest != 0 ? stat.earliest : 1;
    int absent = self->ledger.count == 0 ? WEIR_E_NOT_A_LOG : 0; /* an interrupted creation */
    (void)said(self, "hold_set read-only", weir_hold_set(log, "reader", earliest),
               known ? absent : WEIR_E_TRUNCATED);
    rc = weir_hold_drop(log, "reader");
    (void)said(self, "hold_drop read-only", rc, rc == WEIR_E_NOT_A_LOG ? absent : WEIR_E_NO_HOLD);
    (void)said(self, "close read-only", weir_log_close(log), 0);
}

static int note_finding(void *context, const struct weir_finding *finding)
{
    struct weir_finding *last = context;
    *last = *finding;
    return 0;
}

static void verify(struct scenario *self)
{
    struct weir_finding last = {.code = "none"};
    struct weir_log_options options = scenario_options(self, 0);
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    int rc = weir_verify(self->directory, &options, note_finding, &last, &report, NULL);
    rc = said(self, "verify", rc, -ENOENT);
    /* One copy of a header that was being written counts as a finding; it is mended by a writer. */
    bool mended = self->log == NULL && fault_strikes() == 0;
    if (rc == 0 && !self->struck && (!report.ok || (mended && report.findings != 0))) {
        ledger_violation(&self->ledger, "verify: %ju findings, %s: %s", (uintmax_t)report.findings,
                         last.code, last.text);
    }
}

/* ---- retention ---- */

static void holds(struct scenario *self)
{
    unsigned count = 0;
    weir_lsn durable = weir_durable_lsn(self->log), earliest = self->ledger.cut_tried;
    earliest = earliest == 0 ? 1 : earliest;
    if (durable < earliest + 3) {
        return;
    }
    (void)said(self, "hold_set", weir_hold_set(self->log, "consumer", earliest + 1), 0);
    (void)said(self, "hold_set lower", weir_hold_set(self->log, "consumer", earliest), 0);
    (void)said(self, "hold_move", weir_hold_move(self->log, "consumer", earliest + 2),
               WEIR_E_NO_HOLD);
    (void)said(self, "hold_list", weir_hold_list(self->log, count_hold, &count), 0);
}

static void truncate_before(struct scenario *self, weir_lsn lsn)
{
    if (lsn > weir_durable_lsn(self->log) + 1) {
        return;
    }
    weir_lsn tried = self->ledger.cut_tried;
    self->ledger.cut_tried = lsn > tried ? lsn : tried;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = said(self, "truncate", weir_truncate_before(self->log, lsn, &why), WEIR_E_HELD);
    if (rc == 0) {
        self->ledger.cut_done = lsn > self->ledger.cut_done ? lsn : self->ledger.cut_done;
    }
}

static void hold_against_truncation(struct scenario *self)
{
    holds(self);
    weir_lsn durable = weir_durable_lsn(self->log);
    struct weir_error why = WEIR_ERROR_INIT;
    unsigned count = 0;
    bool held =
        said(self, "hold_list", weir_hold_list(self->log, count_hold, &count), 0) == 0 && count > 0;
    if (held && durable > 5) {
        int rc = weir_truncate_before(self->log, durable, &why);
        if (rc == 0) {
            ledger_violation(&self->ledger, "a hold was passed");
        } else if (rc != WEIR_E_HELD) {
            (void)said(self, "truncate held", rc, 0);
        }
        (void)said(self, "after held", 0, 0);
    }
    (void)said(self, "hold_drop", weir_hold_drop(self->log, "consumer"), WEIR_E_NO_HOLD);
    truncate_before(self, durable / 2);
}

/* ---- the life ---- */

/* A creation that failed may be begun again: the log is then empty. */
static bool open_writer(struct scenario *self)
{
    struct weir_log_options options = scenario_options(self, WEIR_LOG_CREATE);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_open_report report = WEIR_OPEN_REPORT_INIT;
    self->log = NULL;
    self->poisoned = false;
    int rc = weir_log_open(self->directory, &options, &self->log, &why);
    if (rc < 0 && why.text[0] == '\0') {
        ledger_violation(&self->ledger, "a refusal without a word: %s", weir_error_name(rc));
    }
    /* Of a ring that failed writes may still be in flight, and nobody waits here. */
    if (said(self, "open", rc, WEIR_E_LOCKED) < 0) {
        return false;
    }
    (void)weir_log_report(self->log, &report);
    if (memcmp(self->uuid, report.uuid, sizeof self->uuid) != 0) {
        remove_pages(self->uuid); /* of a creation that was begun again */
    }
    memcpy(self->uuid, report.uuid, sizeof self->uuid);
    ledger_reopened(&self->ledger, weir_durable_lsn(self->log));
    return true;
}

static void close_writer(struct scenario *self)
{
    weir_lsn last = 0;
    for (uint32_t i = 1; i <= self->ledger.count; i++) {
        const struct ledger_entry *entry = &self->ledger.entries[i];
        bool there = entry->outcome == LEDGER_APPENDED || entry->outcome == LEDGER_VOID;
        last = there && entry->lsn > last ? entry->lsn : last;
    }
    int rc = said(self, "close", weir_log_close(self->log), 0);
    if (rc == 0) {
        ledger_acknowledge(&self->ledger, last);
    }
    self->log = NULL;
    self->poisoned = false;
}

static void first_life(struct scenario *self)
{
    static const enum weir_durability mix[] = {WEIR_NONE, WEIR_GROUP, WEIR_EACH, WEIR_NONE};
    append(self, 60, WEIR_EACH);
    append(self, 600, WEIR_GROUP);
    append(self, 6000, WEIR_NONE);
    append_batch(self, 3, WEIR_EACH);
    reserve(self, false);
    reserve(self, true);
    process(self);
    (void)said(self, "prepare", weir_prepare(self->log, SMALL_SEGMENT / 4), 0);
    for (unsigned i = 0; i < BIG_RECORDS; i++) {
        append(self, BIG, mix[i % 4]);
    }
    commit(self);
    scenario_read(self, self->log);
    hold_against_truncation(self);
    read_only(self);
    append_batch(self, 2, WEIR_GROUP);
    append(self, 100, WEIR_EACH);
    commit(self);
    scenario_read(self, self->log);
}

static void second_life(struct scenario *self)
{
    append(self, 100, WEIR_EACH);
    scenario_read(self, self->log);
    for (unsigned i = 0; i < 4; i++) {
        append(self, BIG, WEIR_NONE);
    }
    truncate_before(self, weir_durable_lsn(self->log));
    append(self, 100, WEIR_EACH);
}

void scenario_run(struct scenario *self)
{
    if (open_writer(self)) {
        first_life(self);
        close_writer(self);
    }
    read_only(self);
    verify(self);
    if (open_writer(self)) {
        second_life(self);
        close_writer(self);
    }
}

/* ---- around it ---- */

void scenario_begin(struct scenario *self, const struct scenario_medium *medium)
{
    void (*violated)(const char *text) = self->ledger.violated;
    memset(self, 0, sizeof *self);
    self->ledger.violated = violated;
    self->medium = medium;
    self->lock_wait_ns = WEIR_NO_WAIT;
    scenario_make_directory(self->directory, sizeof self->directory);
    self->before = scenario_resources(self->directory);
}

static void check_resources(struct scenario *self)
{
    struct scenario_resources now = scenario_resources(self->directory);
    const struct scenario_resources *before = &self->before;
    if (now.blocks != before->blocks || now.pages != before->pages ||
        now.descriptors != before->descriptors || now.mappings != before->mappings) {
        ledger_violation(
            &self->ledger, "leaked: %ju blocks, %ju bytes of pages, %d descriptors, %d mappings",
            (uintmax_t)(now.blocks - before->blocks), (uintmax_t)(now.pages - before->pages),
            (int)(now.descriptors - before->descriptors), (int)(now.mappings - before->mappings));
    }
}

/* What a read-only open shows after the last writer is what the next writer keeps. */
static weir_lsn shown_latest(struct scenario *self)
{
    struct weir_log_options options = scenario_options(self, WEIR_LOG_READ_ONLY);
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    int rc = weir_log_open(self->directory, &options, &log, &why);
    if (rc < 0) {
        if (rc != -ENOENT || self->ledger.acknowledged != 0) {
            ledger_violation(&self->ledger, "a later reader is refused: %s", why.text);
        }
        return 0;
    }
    weir_lsn latest = weir_durable_lsn(log);
    scenario_read(self, log);
    (void)weir_log_close(log);
    return latest;
}

void scenario_check(struct scenario *self)
{
    check_resources(self);
    self->log = NULL; /* of a process that was killed, it may be */
    self->lock_wait_ns = LAST_WAIT_NS;
    struct fault_plan none = {0};
    fault_arm(&none); /* no strike any more: whatever fails from here on is a violation */
    (void)fault_disarm();
    self->strikes_seen = 0;
    weir_lsn shown = shown_latest(self);
    if (!open_writer(self)) {
        return;
    }
    if (weir_durable_lsn(self->log) != shown) {
        ledger_violation(&self->ledger, "a reader was shown %ju, the writer keeps %ju",
                         (uintmax_t)shown, (uintmax_t)weir_durable_lsn(self->log));
    }
    scenario_read(self, self->log);
    append(self, 100, WEIR_EACH);
    append_batch(self, 3, WEIR_EACH);
    scenario_read(self, self->log);
    close_writer(self);
    verify(self);
    check_resources(self);
}

void scenario_end(struct scenario *self)
{
    remove_pages(self->uuid);
    remove_directory(self->directory);
}
