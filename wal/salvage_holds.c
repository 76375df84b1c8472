/*
 * Salvage: the holds of the source.
 *
 * They keep records for whoever still needs them, and whoever that is may not have noticed yet that
 * the log is another one: so the floors stay. One that lies outside of what the new log holds is
 * moved to its end that is nearest. What is derived is not copied, so nobody moves the hold of a
 * consumer any more: each hold is told, and whether it is one of these.
 *
 * Failure modes: a hold whose file is damaged is told and left out: without a floor there is
 * nothing to copy.
 */
#include "wal/salvage.h"

#include "wal/hold.h"
#include "wal/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 96u

static void path_of(const char *name, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, HOLD_DIRECTORY "/%s", name);
}

int salvage_read_hold(struct weir_medium *medium, const char *name, uint32_t uuid_seed,
                      struct weir_hold *ret_hold)
{
    char path[PATH_BYTES];
    uint8_t slots[HOLD_FILE_BYTES];
    struct weir_file *file;
    path_of(name, path);
    int rc = medium->ops->open(medium, path, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc;
    }
    size_t size = 0;
    rc = medium->ops->read(file, 0, slots, sizeof slots, &size);
    medium->ops->close(file);
    if (rc < 0) {
        return scan_is_medium_error(rc) ? WEIR_E_DAMAGED : rc;
    }
    uint64_t newest = 0;
    for (size_t at = 0; at + FORMAT_BLOCK <= size; at += FORMAT_BLOCK) {
        struct weir_hold hold;
        uint64_t generation;
        rc = hold_decode(slots + at, name, uuid_seed, &hold, &generation);
        if (rc == WEIR_E_NEWER_FORMAT) {
            return rc;
        }
        if (rc == 0 && generation >= newest) {
            newest = generation;
            *ret_hold = hold;
        }
    }
    return newest > 0 ? 0 : WEIR_E_DAMAGED;
}

static weir_lsn clip(const struct salvage_writer *writer, weir_lsn floor)
{
    weir_lsn first = writer->control.first_lsn;
    weir_lsn next = writer->chain.next_lsn;
    return floor < first ? first : floor > next ? next : floor;
}

int salvage_write_hold(struct salvage_writer *writer, struct weir_hold hold)
{
    char path[PATH_BYTES];
    uint8_t slots[HOLD_FILE_BYTES];
    struct weir_file *file;
    struct weir_medium *medium = writer->medium;
    hold.floor = clip(writer, hold.floor);
    path_of(hold.name, path);
    hold_encode(slots, &hold, 1, writer->uuid_seed);
    memcpy(slots + FORMAT_BLOCK, slots, FORMAT_BLOCK);
    int rc = medium->ops->create(medium, path, sizeof slots, &file);
    if (rc < 0) {
        return rc;
    }
    rc = medium->ops->write(file, 0, slots, sizeof slots);
    rc = rc < 0 ? rc : medium->ops->sync(file);
    medium->ops->close(file);
    return rc;
}

static int is_there(void *context, const char *name)
{
    (void)context;
    (void)name;
    return 1;
}

/* Its files are beside the source. What cannot be listed is no reason to give up the log. */
static bool is_of_consumer(struct weir_medium *source, const char *name)
{
    char path[STATE_PATH_BYTES];
    (void)snprintf(path, sizeof path, STATE_DIRECTORY "/%s", name);
    return state_name_is_valid(name) && source->ops->list(source, path, is_there, NULL) == 1;
}

static int tell_hold(struct salvage *self, const char *name, weir_lsn floor)
{
    const struct weir_salvage_watch *watch = self->watch;
    struct weir_salvage_hold hold = {
        .kept = floor != WEIR_LSN_NONE,
        .consumer = is_of_consumer(self->verify.medium, name),
        .floor = floor,
    };
    (void)snprintf(hold.name, sizeof hold.name, "%s", name);
    self->report->holds += hold.kept;
    self->report->holds_of_consumers += hold.kept && hold.consumer;
    self->report->holds_lost += !hold.kept;
    return watch != NULL && watch->hold != NULL ? watch->hold(watch->context, &hold) : 0;
}

static int tell_lost(struct salvage *self, const char *name)
{
    struct weir_finding finding = {.code = "hold", .offset = 0};
    (void)snprintf(finding.file, sizeof finding.file, HOLD_DIRECTORY "/%.50s", name);
    (void)snprintf(finding.text, sizeof finding.text,
                   "neither of its two slots is valid, so the hold is not copied");
    verify_report(&self->verify, &finding, false);
    return self->verify.stopped != 0 ? self->verify.stopped : tell_hold(self, name, WEIR_LSN_NONE);
}

static int copy_hold(void *context, const char *name)
{
    struct salvage *self = context;
    struct weir_hold hold;
    if (!hold_name_is_valid(name)) {
        return 0;
    }
    int rc = salvage_read_hold(self->verify.medium, name,
                               group_uuid_seed(self->verify.control.uuid), &hold);
    if (rc == WEIR_E_DAMAGED) {
        return tell_lost(self, name);
    }
    hold.floor = rc < 0 ? WEIR_LSN_NONE : clip(&self->target.writer, hold.floor);
    rc = rc < 0 ? rc : salvage_write_hold(&self->target.writer, hold);
    return rc < 0 ? rc : tell_hold(self, name, hold.floor);
}

int salvage_copy_holds(struct salvage *self)
{
    struct weir_medium *target = self->target.writer.medium;
    int rc = target->ops->make_directory(target, HOLD_DIRECTORY);
    if (rc == 0) {
        rc = self->verify.medium->ops->list(self->verify.medium, HOLD_DIRECTORY, copy_hold, self);
        rc = rc == -ENOENT ? 0 : rc;
    }
    return rc != 0 ? rc : target->ops->sync_directory(target, HOLD_DIRECTORY);
}

static int remove_hold(void *context, const char *name)
{
    struct weir_medium *medium = context;
    char path[PATH_BYTES];
    path_of(name, path);
    (void)medium->ops->remove(medium, path);
    return 0;
}

void salvage_remove_holds(struct weir_medium *medium)
{
    (void)medium->ops->list(medium, HOLD_DIRECTORY, remove_hold, medium);
}
