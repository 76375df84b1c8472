/*
 * Consumers, as the log knows them.
 *
 * Happy path of listing: for each name beside the log, what its state says of itself, what its
 * status says, whether somebody has its lock, and how far it is behind.
 *
 * Cutting one loose: mark it as lost, then drop its hold. A crash in between leaves one that is
 * marked and still held: it is cut again. Dropping one: take its lock, drop its hold, then remove
 * its files. A crash in between leaves some files and no hold: dropping it again goes on.
 *
 * Failure modes: a state or a status that is not readable is listed with the reason, never passed
 * over: where it is, its hold still says.
 *
 * Invariant: the status is written by who has the lock; the mark by who cuts, who has not.
 */
#include "derived/consumer.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/le.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/append.h>
#include <weir/inspect.h>
#include <weir/retain.h>

#define STATUS_KIND "consumer"
#define STATUS_VERSION 1u

/* ---- the status ---- */

struct status_bytes {
    struct le32 parked; /* two's complement */
    struct le32 start;
    struct le64 parked_lsn;
    struct le64 max_lag_bytes;
    struct le64 started_behind;
    uint8_t kind[WEIR_STATE_KIND_MAX + 1];
    uint8_t reason[CONSUMER_REASON_BYTES];
};

_Static_assert(sizeof(struct status_bytes) == 264, "as in FORMAT.md");

static int decode(struct weir_state_reader *reader, struct consumer_status *ret_status)
{
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    struct status_bytes bytes;
    int rc = weir_state_about(reader, &about);
    if (rc == 0 && (about.version != STATUS_VERSION || about.bytes != sizeof bytes)) {
        rc = WEIR_E_STATE;
    }
    rc = rc == 0 ? weir_state_read(reader, &bytes, sizeof bytes) : rc;
    if (rc < 0) {
        return rc;
    }
    struct consumer_status status = {
        .parked = (int)le32_load(&bytes.parked),
        .start = le32_load(&bytes.start),
        .parked_lsn = le64_load(&bytes.parked_lsn),
        .max_lag_bytes = le64_load(&bytes.max_lag_bytes),
        .started_behind = le64_load(&bytes.started_behind),
    };
    memcpy(status.kind, bytes.kind, sizeof status.kind - 1);
    memcpy(status.reason, bytes.reason, sizeof status.reason - 1);
    *ret_status = status;
    return 0;
}

int consumer_status_read(struct weir_log *log, const char *name, struct consumer_status *ret_status,
                         struct weir_error *why)
{
    struct weir_state_reader *reader;
    int rc = weir_state_open(log, name, CONSUMER_STATUS_FILE, &reader, why);
    if (rc < 0) {
        return rc;
    }
    rc = decode(reader, ret_status);
    weir_state_close(reader);
    if (rc < 0 && why != NULL && why->size >= sizeof *why) {
        why->code = rc;
        (void)snprintf(why->text, sizeof why->text, "the status of %s cannot be read: %s", name,
                       weir_error_text(rc));
    }
    return rc;
}

/* As much as fits, with a final 0. */
static void copy_text(void *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);
    memset(to, 0, size);
    memcpy(to, from, length);
}

int consumer_status_write(struct weir_log *log, const char *name,
                          const struct consumer_status *status, struct weir_error *why)
{
    struct weir_state_writer *writer;
    struct status_bytes bytes;
    le32_store(&bytes.parked, (uint32_t)status->parked);
    le32_store(&bytes.start, status->start);
    le64_store(&bytes.parked_lsn, status->parked_lsn);
    le64_store(&bytes.max_lag_bytes, status->max_lag_bytes);
    le64_store(&bytes.started_behind, status->started_behind);
    copy_text(bytes.kind, sizeof bytes.kind, status->kind);
    copy_text(bytes.reason, sizeof bytes.reason, status->reason);
    int rc = weir_state_create(log, name, CONSUMER_STATUS_FILE, &writer);
    if (rc < 0) {
        return rc;
    }
    (void)weir_state_write(writer, &bytes, sizeof bytes); /* commit tells an error again */
    return weir_state_commit(writer, STATUS_KIND, STATUS_VERSION, WEIR_LSN_NONE, why);
}

/* ---- cut loose ---- */

int consumer_is_lost(struct weir_log *log, const char *name)
{
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    int rc = weir_state_peek(log, name, CONSUMER_LOST_FILE, &about, NULL);
    if (rc == -ENOENT) {
        return 0;
    }
    return rc == 0 || rc == WEIR_E_STATE ? 1 : rc; /* that it is there is what it says */
}

int consumer_found(struct weir_log *log, const char *name)
{
    return weir_state_remove(log, name, CONSUMER_LOST_FILE);
}

static int mark_lost(struct weir_log *log, const char *name)
{
    struct weir_state_writer *writer;
    int rc = weir_state_create(log, name, CONSUMER_LOST_FILE, &writer);
    if (rc < 0) {
        return rc;
    }
    return weir_state_commit(writer, CONSUMER_LOST_FILE, 1, WEIR_LSN_NONE, NULL);
}

/* ---- one consumer ---- */

struct finding_hold {
    const char *name;
    weir_lsn floor; /* 0: there is none */
};

static int find_hold(void *context, const struct weir_hold *hold)
{
    struct finding_hold *finding = context;
    if (strcmp(hold->name, finding->name) == 0) {
        finding->floor = hold->floor;
    }
    return 0;
}

int consumer_hold(struct weir_log *log, const char *name, weir_lsn *ret_floor)
{
    struct finding_hold finding = {.name = name};
    int rc = weir_hold_list(log, find_hold, &finding);
    *ret_floor = finding.floor;
    return rc;
}

static void give_reason(struct weir_consumer *consumer, const char *reason)
{
    if (consumer->reason[0] == '\0') {
        copy_text(consumer->reason, sizeof consumer->reason, reason);
    }
}

/* Of one consumer's files alone: they are another user's, or none. */
static bool is_of_its_files(int rc)
{
    return rc == WEIR_E_STATE || rc == -EACCES || rc == -EISDIR || rc == -ENOTDIR || rc == -ELOOP;
}

static void give_code(struct weir_consumer *consumer, const char *what, int rc)
{
    char reason[sizeof consumer->reason];
    (void)snprintf(reason, sizeof reason, "its %s cannot be read: %.150s", what,
                   weir_error_text(rc));
    give_reason(consumer, reason);
}

/* A state that is not readable is no error here: its hold says where it was. */
static int look_at_state(struct weir_log *log, struct weir_consumer *consumer)
{
    struct weir_state_about about = WEIR_STATE_ABOUT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = weir_state_peek(log, consumer->name, CONSUMER_STATE_FILE, &about, &why);
    if (rc == 0) {
        consumer->position = about.position;
        memcpy(consumer->kind, about.kind, sizeof consumer->kind);
    } else if (is_of_its_files(rc)) {
        weir_lsn floor;
        if (rc == WEIR_E_STATE) {
            give_reason(consumer, why.text);
        }
        give_code(consumer, "state", rc);
        rc = consumer_hold(log, consumer->name, &floor);
        consumer->position = rc == 0 && floor > 0 ? floor - 1 : consumer->position;
    }
    return rc == -ENOENT ? 0 : rc;
}

static int look_at_status(struct weir_log *log, struct weir_consumer *consumer)
{
    struct consumer_status status;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = consumer_status_read(log, consumer->name, &status, &why);
    if (rc == 0) {
        memcpy(consumer->kind, status.kind, sizeof consumer->kind);
        consumer->position = status.started_behind;
        consumer->parked = status.parked;
        consumer->parked_lsn = status.parked_lsn;
        consumer->max_lag_bytes = status.max_lag_bytes;
        give_reason(consumer, status.reason);
    } else if (is_of_its_files(rc)) {
        if (rc == WEIR_E_STATE) {
            give_reason(consumer, why.text);
        }
        give_code(consumer, "status", rc);
        rc = 0;
    }
    return rc == -ENOENT ? 0 : rc;
}

/* Whether somebody has it, and whether it was cut loose. */
static int look_at_marks(struct weir_log *log, struct weir_consumer *consumer)
{
    int locked = weir_state_is_locked(log, consumer->name);
    int lost = consumer_is_lost(log, consumer->name);
    consumer->attached = locked == 1;
    consumer->lost = lost == 1;
    if (is_of_its_files(locked) || is_of_its_files(lost)) {
        give_code(consumer, "lock", locked < 0 ? locked : lost);
        return 0;
    }
    return locked < 0 ? locked : (lost < 0 ? lost : 0);
}

static int look_at_lag(struct weir_log *log, struct weir_consumer *consumer)
{
    int rc = weir_log_bytes_between(log, consumer->position, UINT64_MAX, &consumer->lag_bytes);
    weir_lsn durable = weir_durable_lsn(log);
    consumer->lag_records = durable > consumer->position ? durable - consumer->position : 0;
    return rc;
}

static int look_at(struct weir_log *log, const char *name, struct weir_consumer *ret_consumer)
{
    struct weir_consumer consumer = {0};
    copy_text(consumer.name, sizeof consumer.name, name);
    int rc = look_at_marks(log, &consumer);
    rc = rc < 0 ? rc : look_at_status(log, &consumer);
    rc = rc < 0 ? rc : look_at_state(log, &consumer);
    rc = rc < 0 ? rc : look_at_lag(log, &consumer);
    if (rc == 0) {
        *ret_consumer = consumer;
    }
    return rc;
}

/* ---- all of them ---- */

struct visiting {
    struct weir_log *log;
    weir_consumer_fn fn;
    void *context;
};

static int list_one(void *context, const char *name)
{
    const struct visiting *visiting = context;
    struct weir_consumer consumer;
    int rc = look_at(visiting->log, name, &consumer);
    return rc < 0 ? rc : visiting->fn(visiting->context, &consumer);
}

int weir_consumer_list(struct weir_log *log, weir_consumer_fn fn, void *context)
{
    struct visiting visiting = {.log = log, .fn = fn, .context = context};
    if (log == NULL || fn == NULL) {
        return -EINVAL;
    }
    return weir_state_list(log, list_one, &visiting);
}

static int cut_one(void *context, const char *name)
{
    const struct visiting *visiting = context;
    struct weir_log *log = visiting->log;
    struct weir_consumer consumer;
    weir_lsn floor = 0;
    int rc = look_at(log, name, &consumer);
    if (rc < 0 || consumer.max_lag_bytes == 0 || consumer.lag_bytes <= consumer.max_lag_bytes) {
        return rc;
    }
    rc = consumer_hold(log, name, &floor);
    if (rc < 0 || floor == 0) {
        return rc; /* it was cut before, or it holds nothing */
    }
    rc = mark_lost(log, name);
    rc = rc < 0 ? rc : weir_hold_drop(log, name);
    if (rc < 0 && rc != WEIR_E_NO_HOLD) {
        return rc;
    }
    consumer.lost = true;
    return visiting->fn != NULL ? visiting->fn(visiting->context, &consumer) : 0;
}

int weir_consumer_cut(struct weir_log *log, weir_consumer_fn fn, void *context)
{
    struct visiting visiting = {.log = log, .fn = fn, .context = context};
    return log != NULL ? weir_state_list(log, cut_one, &visiting) : -EINVAL;
}

/* ---- dropping ---- */

static int is_name(void *context, const char *name)
{
    return strcmp(context, name) == 0 ? 1 : 0;
}

int weir_consumer_drop(struct weir_log *log, const char *name)
{
    struct weir_state_lock *lock;
    char wanted[WEIR_STATE_NAME_MAX + 1];
    if (log == NULL || name == NULL || strnlen(name, sizeof wanted) == sizeof wanted) {
        return -EINVAL;
    }
    copy_text(wanted, sizeof wanted, name);
    int rc = weir_state_list(log, is_name, wanted);
    if (rc <= 0) {
        return rc < 0 ? rc : -ENOENT; /* a hold of that name alone is none of ours */
    }
    rc = weir_state_lock(log, name, &lock);
    if (rc < 0) {
        return rc;
    }
    rc = weir_hold_drop(log, name);
    rc = rc == WEIR_E_NO_HOLD ? 0 : rc;
    rc = rc < 0 ? rc : weir_state_remove(log, name, NULL);
    weir_state_unlock(lock);
    return rc;
}
