/*
 * What a state file is bound to.
 *
 * Happy path of writing one: the uuid; of CONTROL the epoch, layout, horizon and first LSN, none of
 * which ever goes back; epoch and chain of the group that holds the position, where it lies as it
 * was written. Of reading: the same log, none of the numbers smaller than they were, the position
 * not behind the end, and the same group where it is still there.
 *
 * A compaction may drop the record of the position, or move it to another group: then the group
 * proves nothing, in either direction, and the numbers of CONTROL are what is left. Each compaction
 * raises one of them.
 *
 * Failure modes: the position lies behind what is durable (-EINVAL when writing; a log that was
 * taken back when reading); the log is damaged where the position lies (the log's own error).
 *
 * Not found: a log that was brought back from an older copy and has since been written beyond the
 * position, opened as often, and compacted beyond the position.
 */
#include "wal/address.h"
#include "wal/control.h"
#include "wal/reader.h"
#include "wal/state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A reader may see numbers that the writer has not made durable yet; what is bound to them must not
 * outlive them. */
static int flush_control(struct weir_medium *medium)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, CONTROL_NAME, WEIR_FILE_READ, &file);
    if (rc == 0) {
        rc = medium->ops->sync(file);
        medium->ops->close(file);
    }
    return rc;
}

static int look_at_control(struct weir_log *log, struct control *ret_control,
                           struct weir_error *why)
{
    if ((log->flags & WEIR_LOG_READ_ONLY) != 0) {
        return reader_load_control(log, ret_control, why);
    }
    base_lock_acquire(&log->control_lock);
    *ret_control = log->control;
    base_lock_release(&log->control_lock);
    return 0;
}

/* A reader's knowledge of durable may be old. */
static int is_durable(struct weir_log *log, weir_lsn position)
{
    if (position <= log_durable(log)) {
        return 1;
    }
    int rc = log->reader != NULL ? reader_refresh(log) : 0;
    return rc < 0 ? rc : position <= log_durable(log);
}

/* 1: found as it was written; 0: it is not there any more, or not in its own group. */
static int identify(struct weir_log *log, weir_lsn position,
                    struct wal_address_identity *ret_identity)
{
    if (position == WEIR_LSN_NONE) {
        return 0;
    }
    int rc = wal_address_identify(log, position, ret_identity);
    if (rc == -ENOENT || rc == WEIR_E_TRUNCATED || rc == WEIR_E_HORIZON) {
        return 0;
    }
    return rc < 0 ? rc : !ret_identity->compacted;
}

int state_bind(struct weir_log *log, weir_lsn position, struct state_binding *ret_binding,
               struct weir_error *why)
{
    struct control control;
    struct wal_address_identity identity = {0};
    int rc = is_durable(log, position);
    if (rc == 0) {
        return log_error(why, -EINVAL, NULL, UINT64_MAX,
                         "LSN %" PRIu64 " is not durable, so nothing can be kept as of it",
                         position);
    }
    rc = rc < 0 ? rc : identify(log, position, &identity);
    bool bound = rc == 1;
    rc = rc < 0 ? rc : look_at_control(log, &control, why);
    if (rc == 0 && (log->flags & WEIR_LOG_READ_ONLY) != 0) {
        rc = flush_control(log->medium);
    }
    if (rc < 0) {
        return rc;
    }
    *ret_binding = (struct state_binding){
        .epoch = bound ? identity.epoch : 0,
        .chain = bound ? identity.chain : 0,
        .bound = bound,
        .log_epoch = control.epoch,
        .log_layout = control.layout,
        .log_horizon = control.horizon,
        .log_first_lsn = control.first_lsn,
    };
    memcpy(ret_binding->uuid, control.uuid, sizeof ret_binding->uuid);
    return 0;
}

static int check_numbers(const struct state_binding *binding, const struct control *control,
                         const char *path, struct weir_error *why)
{
    const struct {
        const char *what;
        uint64_t then, now;
    } rows[] = {
        {"epoch", binding->log_epoch, control->epoch},
        {"layout", binding->log_layout, control->layout},
        {"horizon", binding->log_horizon, control->horizon},
        {"first LSN", binding->log_first_lsn, control->first_lsn},
    };
    if (memcmp(binding->uuid, control->uuid, sizeof binding->uuid) != 0) {
        return log_error(why, WEIR_E_STATE, path, 16, "%s is of another log", path);
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].then > rows[i].now) {
            return log_error(why, WEIR_E_STATE, path, UINT64_MAX,
                             "%s was written when the log's %s was %" PRIu64 ", now it is %" PRIu64
                             ": the log was taken back to an older copy",
                             path, rows[i].what, rows[i].then, rows[i].now);
        }
    }
    return 0;
}

static int check_group(struct weir_log *log, const struct state_head *head, const char *path,
                       struct weir_error *why)
{
    struct wal_address_identity identity;
    weir_lsn position = head->about.position;
    int rc = head->binding.bound ? identify(log, position, &identity) : 0;
    if (rc < 0) {
        return log_error(why, rc, path, UINT64_MAX,
                         "%s cannot be checked: LSN %" PRIu64 " cannot be read: %s", path, position,
                         weir_error_text(rc));
    }
    if (rc == 1 &&
        (identity.epoch != head->binding.epoch || identity.chain != head->binding.chain)) {
        return log_error(why, WEIR_E_STATE, path, 32,
                         "%s is of another history: LSN %" PRIu64 " was written anew since", path,
                         position);
    }
    return 0;
}

int state_check(struct weir_log *log, const struct state_head *head, const char *path,
                struct weir_error *why)
{
    struct control control;
    weir_lsn position = head->about.position;
    int rc = look_at_control(log, &control, why);
    rc = rc < 0 ? rc : check_numbers(&head->binding, &control, path, why);
    if (rc < 0) {
        return rc;
    }
    rc = is_durable(log, position);
    if (rc == 0) {
        return log_error(why, WEIR_E_STATE, path, 32,
                         "%s is as of LSN %" PRIu64 ", and the log ends at %" PRIu64
                         ": it was taken back to an older copy",
                         path, position, log_durable(log));
    }
    return rc < 0 ? rc : check_group(log, head, path, why);
}
