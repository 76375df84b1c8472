/*
 * Salvage and backup: the directory that a new log is written to.
 *
 * Happy path: made where it is absent; empty, then locked, then still empty; a file SALVAGE says
 * what lies here until CONTROL does. Finished: CONTROL, then SALVAGE goes.
 *
 * Failure modes: something is there (-ENOTEMPTY, named); those of the medium. Undoing removes what
 * was made. A crash leaves SALVAGE without CONTROL: opening refuses that, and so does claiming it.
 *
 * Invariant: no file of a log is made before SALVAGE is durable, none removed of anybody else's.
 */
#include "wal/lock.h"
#include "wal/log.h"
#include "wal/medium_select.h"
#include "wal/open.h"
#include "wal/salvage.h"

#include <errno.h>
#include <string.h>

struct looking {
    const struct salvage_target *target;
    struct weir_error *why;
};

static int refuse_entry(void *context, const char *name)
{
    const struct looking *looking = context;
    const struct salvage_target *target = looking->target;
    if (target->lock != NULL && strcmp(name, LOCK_NAME) == 0) {
        return 0;
    }
    return log_error(looking->why, -ENOTEMPTY, name, UINT64_MAX,
                     "%s holds %s already, and %s is written into an empty directory", target->name,
                     name, target->work);
}

static int write_marker(struct weir_medium *medium)
{
    struct weir_file *marker;
    int rc = medium->ops->create(medium, FORMAT_SALVAGE_NAME, 0, &marker);
    if (rc == 0) {
        medium->ops->close(marker);
        rc = medium->ops->sync_directory(medium, "");
    }
    return rc;
}

static int claim(struct salvage_target *target, struct weir_error *why)
{
    struct weir_medium *medium = target->medium;
    struct looking looking = {target, why};
    if (create_check_unfinished(medium, NULL) == WEIR_E_NOT_A_LOG) {
        return log_error(why, -ENOTEMPTY, FORMAT_SALVAGE_NAME, UINT64_MAX,
                         "%s holds what an interrupted salvage or backup wrote: remove the "
                         "directory, then %s again",
                         target->name, target->again);
    }
    int rc = medium->ops->list(medium, "", refuse_entry, &looking);
    rc = rc != 0 ? rc : lock_take(medium, WEIR_LOCK_EXCLUSIVE, 0, &target->lock, why);
    rc = rc != 0 ? rc : medium->ops->list(medium, "", refuse_entry, &looking);
    if (rc != 0) {
        return rc;
    }
    rc = write_marker(medium);
    if (rc < 0) {
        salvage_target_undo(target);
    }
    return rc;
}

int salvage_target_open(struct salvage_target *target, const char *directory,
                        struct weir_error *why)
{
    struct weir_log_options *options = &target->options;
    bool custom = options->medium == WEIR_MEDIUM_CUSTOM;
    target->name = directory != NULL && directory[0] != '\0' ? directory : "NEW";
    options->flags &= WEIR_LOG_ALLOW_EMULATED_PMEM;
    int rc = custom || directory == NULL ? 0 : medium_make_directory(directory);
    if (rc < 0) {
        return log_error(why, rc, NULL, UINT64_MAX, "%s cannot be made: %s", directory,
                         weir_error_text(rc));
    }
    rc = medium_select(directory, options, &target->medium, why);
    return rc < 0 ? rc : claim(target, why);
}

int salvage_target_finish(struct salvage_target *target)
{
    struct weir_medium *medium = target->medium;
    int rc = salvage_write_finish(&target->writer);
    if (rc == 0) {
        (void)medium->ops->remove(medium, FORMAT_SALVAGE_NAME); /* CONTROL counts, either way */
        (void)medium->ops->sync_directory(medium, "");
    }
    return rc;
}

/* As if nothing had been begun. Best effort: what stays has SALVAGE beside it, and no CONTROL. */
void salvage_target_undo(struct salvage_target *target)
{
    struct weir_medium *medium = target->medium;
    salvage_remove_holds(medium);
    salvage_write_undo(&target->writer, medium);
    (void)medium->ops->remove(medium, FORMAT_SALVAGE_NAME);
    (void)medium->ops->remove(medium, LOCK_NAME);
    (void)medium->ops->sync_directory(medium, "");
}

void salvage_drop_unused(const struct weir_log_options *options, const struct weir_medium *used)
{
    if (options->custom_medium != NULL && options->custom_medium != used) {
        options->custom_medium->ops->destroy(options->custom_medium);
    }
}

void salvage_target_close(struct salvage_target *target)
{
    salvage_drop_unused(&target->options, target->medium);
    salvage_write_free(&target->writer);
    if (target->medium != NULL) {
        lock_drop(target->medium, &target->lock);
        target->medium->ops->destroy(target->medium);
        target->medium = NULL;
    }
}
