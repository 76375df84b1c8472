/*
 * Holds: named, durable LSN floors, one file each.
 *
 * Happy path of setting one: take holds/.lock, so that no truncation is under way; read what
 * CONTROL retains now; write the slot of the hold's file that does not count, sync. A hold that is
 * new is written into a file of another name first, synced, and renamed.
 *
 * Moving forward needs no holds/.lock: whoever truncates meanwhile saw a lower floor, which is
 * safe. The file's own lock keeps two movers from writing the same slot.
 *
 * What a crash leaves: the old slot or the new one, never neither; a file of a name with a leading
 * dot, which is no hold and is written over by the next one of its name.
 *
 * Failure modes: a file without a valid slot is never passed over: listing and truncation refuse
 * and name it. Setting that hold again, or dropping it, mends it.
 */
#include "wal/hold.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "wal/lock.h"
#include "wal/log.h"
#include "wal/reader.h"
#include "wal/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_LOCK_NAME HOLD_DIRECTORY "/.lock"
#define HOLD_PATH_BYTES 96u

_Static_assert(sizeof(((struct format_hold *)0)->name) == WEIR_HOLD_NAME_MAX + 1,
               "a name fits its field with a final 0");

bool hold_name_is_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t length = strnlen(name, WEIR_HOLD_NAME_MAX + 1);
    return length >= 1 && length <= WEIR_HOLD_NAME_MAX && name[0] != '.' &&
           strspn(name, allowed) == length;
}

/* ---- slots ---- */

static uint32_t slot_crc(const uint8_t *slot, uint32_t uuid_seed)
{
    size_t start = offsetof(struct format_hold, version);
    return base_crc32c(uuid_seed, slot + start, FORMAT_BLOCK - start);
}

void hold_encode(uint8_t *slot, const struct weir_hold *hold, uint64_t generation,
                 uint32_t uuid_seed)
{
    WEIR_ASSERT(hold_name_is_valid(hold->name) && hold->floor != WEIR_LSN_NONE);
    struct format_hold *fields = (struct format_hold *)slot;
    memset(slot, 0, FORMAT_BLOCK);
    memcpy(fields->magic, FORMAT_HOLD_MAGIC, FORMAT_MAGIC_BYTES);
    le32_store(&fields->version, FORMAT_VERSION);
    le64_store(&fields->generation, generation);
    le64_store(&fields->floor, hold->floor);
    le64_store(&fields->moved_ns, hold->moved_ns);
    memcpy(fields->name, hold->name, strlen(hold->name));
    le32_store(&fields->crc, slot_crc(slot, uuid_seed));
}

int hold_decode(const uint8_t *slot, const char *name, uint32_t uuid_seed,
                struct weir_hold *ret_hold, uint64_t *ret_generation)
{
    const struct format_hold *fields = (const struct format_hold *)slot;
    if (memcmp(fields->magic, FORMAT_HOLD_MAGIC, FORMAT_MAGIC_BYTES) != 0 ||
        le32_load(&fields->crc) != slot_crc(slot, uuid_seed)) {
        return WEIR_E_DAMAGED;
    }
    if (le32_load(&fields->version) != FORMAT_VERSION) {
        return WEIR_E_NEWER_FORMAT;
    }
    struct weir_hold hold = {
        .floor = le64_load(&fields->floor),
        .moved_ns = le64_load(&fields->moved_ns),
    };
    strncpy(hold.name, name, sizeof hold.name - 1);
    if (memcmp(fields->name, hold.name, sizeof hold.name) != 0 || hold.floor == WEIR_LSN_NONE ||
        !scan_is_zero(slot + sizeof *fields, FORMAT_BLOCK - sizeof *fields)) {
        return WEIR_E_DAMAGED; /* a copy of another hold's file */
    }
    *ret_hold = hold;
    *ret_generation = le64_load(&fields->generation);
    return 0;
}

/* ---- files ---- */

struct hold_file {
    struct weir_file *file; /* NULL: there is none */
    struct weir_hold hold;
    uint64_t generation; /* 0: no slot is valid */
    unsigned slot;       /* the one that counts */
};

static void path_of(const char *name, char path[HOLD_PATH_BYTES])
{
    (void)snprintf(path, HOLD_PATH_BYTES, HOLD_DIRECTORY "/%s", name);
}

/* What checksums of holds begin with. A reader may have been opened before its log was made, and
 * not have looked since. */
static int find_seed(struct weir_log *log, uint32_t *ret_seed)
{
    *ret_seed = log->uuid_seed;
    if (log->reader == NULL) {
        return 0;
    }
    struct control control;
    int rc = reader_load_control(log, &control, NULL);
    if (rc == 0) {
        *ret_seed = group_uuid_seed(control.uuid);
    }
    return rc;
}

/* Both slots; the newest valid one. 0; WEIR_E_DAMAGED: none; WEIR_E_NEWER_FORMAT; -errno. */
static int read_slots(struct weir_log *log, const char *name, struct hold_file *self)
{
    uint8_t slots[HOLD_FILE_BYTES];
    size_t size = 0;
    uint32_t seed;
    int rc = find_seed(log, &seed);
    rc = rc < 0 ? rc : log->medium->ops->read(self->file, 0, slots, sizeof slots, &size);
    if (rc < 0) {
        return rc;
    }
    rc = WEIR_E_DAMAGED;
    for (unsigned i = 0; i < 2 && (i + 1) * FORMAT_BLOCK <= size; i++) {
        struct weir_hold hold;
        uint64_t generation;
        int found = hold_decode(slots + i * FORMAT_BLOCK, name, seed, &hold, &generation);
        if (found == WEIR_E_NEWER_FORMAT) {
            return found;
        }
        if (found == 0 && (rc != 0 || generation > self->generation)) {
            self->hold = hold;
            self->generation = generation;
            self->slot = i;
            rc = 0;
        }
    }
    return rc;
}

static void close_hold(struct weir_log *log, struct hold_file *self)
{
    if (self->file != NULL) {
        (void)log->medium->ops->lock(self->file, WEIR_LOCK_NONE); /* as in hold_unlock() */
        log->medium->ops->close(self->file);
        self->file = NULL;
    }
}

/* Opens for an update, under the file's own lock. -ENOENT: there is no such hold. */
static int open_hold(struct weir_log *log, const char *name, struct hold_file *ret_self)
{
    char path[HOLD_PATH_BYTES];
    path_of(name, path);
    struct hold_file self = {0};
    int rc = log->medium->ops->open(log->medium, path, WEIR_FILE_WRITE, &self.file);
    if (rc < 0) {
        return rc;
    }
    rc = lock_file(log->medium, self.file, WEIR_LOCK_EXCLUSIVE,
                   lock_wait_a_moment(log->lock_wait_ns));
    rc = rc == -EAGAIN ? -ETIMEDOUT : rc;
    rc = rc < 0 ? rc : read_slots(log, name, &self);
    if (rc < 0) {
        close_hold(log, &self);
        return rc;
    }
    *ret_self = self;
    return 0;
}

static int write_slot(struct weir_log *log, struct weir_file *file, unsigned slot,
                      const struct weir_hold *hold, uint64_t generation)
{
    uint8_t block[FORMAT_BLOCK];
    uint32_t seed;
    int rc = find_seed(log, &seed);
    if (rc < 0) {
        return rc;
    }
    hold_encode(block, hold, generation, seed);
    rc = log->medium->ops->write(file, (uint64_t)slot * FORMAT_BLOCK, block, sizeof block);
    return rc < 0 ? rc : log->medium->ops->sync(file);
}

/* A process that was killed may have left the slot that counts, the hold's name or its directory
 * unflushed: power loss would take them back, with what is promised now. */
static int flush_hold(struct weir_log *log, struct weir_file *file)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    int rc = ops->sync(file);
    rc = rc < 0 ? rc : ops->sync_directory(log->medium, HOLD_DIRECTORY);
    return rc < 0 ? rc : ops->sync_directory(log->medium, "");
}

static int update_hold(struct weir_log *log, const struct hold_file *self, weir_lsn floor)
{
    struct weir_hold hold = self->hold;
    hold.floor = floor;
    hold.moved_ns = base_clock_realtime_ns();
    int rc = flush_hold(log, self->file);
    rc = rc < 0 ? rc : write_slot(log, self->file, 1 - self->slot, &hold, self->generation + 1);
    if (rc == 0 && floor < self->hold.floor) {
        /* A lowered floor takes both slots: were the new one to rot, the old one would let go of
         * records that are still needed. */
        rc = write_slot(log, self->file, self->slot, &hold, self->generation + 1);
    }
    return rc;
}

/* Appears with its content, or not at all. The caller has holds/.lock. */
static int create_hold(struct weir_log *log, const char *name, weir_lsn floor)
{
    const struct weir_medium_ops *ops = log->medium->ops;
    char path[HOLD_PATH_BYTES];
    char new_path[HOLD_PATH_BYTES];
    path_of(name, path);
    (void)snprintf(new_path, sizeof new_path, HOLD_DIRECTORY "/.%s.new", name);
    struct weir_hold hold = {.floor = floor, .moved_ns = base_clock_realtime_ns()};
    strncpy(hold.name, name, sizeof hold.name - 1);

    int rc = ops->remove(log->medium, new_path);
    if (rc < 0 && rc != -ENOENT) {
        return rc;
    }
    struct weir_file *file;
    rc = ops->create(log->medium, new_path, HOLD_FILE_BYTES, &file);
    if (rc < 0) {
        return rc;
    }
    rc = write_slot(log, file, 0, &hold, 1);
    rc = rc < 0 ? rc : ops->rename(log->medium, new_path, path);
    rc = rc < 0 ? rc : flush_hold(log, file);
    ops->close(file);
    if (rc < 0) {
        (void)ops->remove(log->medium, new_path);
    }
    return rc;
}

/* ---- holds/.lock ---- */

static int open_lock(struct weir_medium *medium, struct weir_file **ret_file)
{
    int rc = medium->ops->open(medium, HOLD_LOCK_NAME, WEIR_FILE_WRITE, ret_file);
    if (rc != -ENOENT) {
        return rc;
    }
    rc = control_check_there(medium);
    rc = rc < 0 ? rc : medium->ops->make_directory(medium, HOLD_DIRECTORY);
    rc = rc < 0 ? rc : medium->ops->sync_directory(medium, "");
    rc = rc < 0 ? rc : medium->ops->create(medium, HOLD_LOCK_NAME, 0, ret_file);
    return rc == -EEXIST ? medium->ops->open(medium, HOLD_LOCK_NAME, WEIR_FILE_WRITE, ret_file)
                         : rc;
}

int hold_lock(struct weir_log *log, struct weir_file **ret_file, struct weir_error *why)
{
    struct weir_file *file;
    int rc = open_lock(log->medium, &file);
    if (rc < 0) {
        return log_error(why, rc, HOLD_LOCK_NAME, UINT64_MAX, "%s cannot be opened: %s",
                         HOLD_LOCK_NAME, weir_error_text(rc));
    }
    rc = lock_file(log->medium, file, WEIR_LOCK_EXCLUSIVE, lock_wait_a_moment(log->lock_wait_ns));
    if (rc < 0) {
        log->medium->ops->close(file);
        rc = rc == -EAGAIN ? -ETIMEDOUT : rc;
        return log_error(why, rc, HOLD_LOCK_NAME, UINT64_MAX,
                         "%s cannot be locked: somebody sets a hold or truncates (%s)",
                         HOLD_LOCK_NAME, weir_error_text(rc));
    }
    *ret_file = file;
    return 0;
}

void hold_unlock(struct weir_log *log, struct weir_file *file)
{
    (void)log->medium->ops->lock(file, WEIR_LOCK_NONE); /* a child of fork() may have a copy */
    log->medium->ops->close(file);
}

/* ---- the list ---- */

struct collecting {
    struct weir_log *log;
    struct hold_list *list;
    struct weir_error *why;
};

static int grow(struct hold_list *list)
{
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    struct weir_hold *holds = base_alloc_array(capacity, sizeof *holds);
    if (holds == NULL) {
        return -ENOMEM;
    }
    if (list->count > 0) {
        memcpy(holds, list->holds, list->count * sizeof *holds);
    }
    base_free(list->holds);
    list->holds = holds;
    list->capacity = capacity;
    return 0;
}

static int explain_hold(struct weir_error *why, const char *path, int rc)
{
    if (rc == WEIR_E_DAMAGED) {
        return log_error(why, rc, path, 0,
                         "%s has no slot that passes its checksum: what it holds is not known; set "
                         "or drop that hold",
                         path);
    }
    return log_error(why, rc, path, UINT64_MAX, "%s cannot be read: %s", path, weir_error_text(rc));
}

static int collect(void *context, const char *name)
{
    struct collecting *self = context;
    if (!hold_name_is_valid(name)) {
        return 0; /* .lock, or not of this log */
    }
    char path[HOLD_PATH_BYTES];
    path_of(name, path);
    struct weir_medium *medium = self->log->medium;
    struct hold_file file = {0};
    int rc = medium->ops->open(medium, path, WEIR_FILE_READ, &file.file);
    if (rc == -ENOENT) {
        return 0; /* dropped since the directory was read */
    }
    if (rc == 0) {
        rc = read_slots(self->log, name, &file);
        close_hold(self->log, &file);
    }
    if (rc < 0) {
        return explain_hold(self->why, path, rc);
    }
    struct hold_list *list = self->list;
    rc = list->count == list->capacity ? grow(list) : 0;
    if (rc == 0) {
        list->holds[list->count++] = file.hold;
    }
    return rc;
}

struct flushing {
    struct weir_medium *medium;
    struct weir_error *why;
};

/* One that this process may not read it may not write either, so nothing here is written on top of
 * it. */
static int flush_one(void *context, const char *name)
{
    struct flushing *self = context;
    struct weir_file *file;
    char path[HOLD_PATH_BYTES];
    if (!hold_name_is_valid(name)) {
        return 0;
    }
    path_of(name, path);
    int rc = self->medium->ops->open(self->medium, path, WEIR_FILE_READ, &file);
    if (rc == 0) {
        rc = self->medium->ops->sync(file);
        self->medium->ops->close(file);
    }
    if (rc == -ENOENT || rc == -EACCES) {
        return 0;
    }
    return rc == 0 ? 0
                   : log_error(self->why, rc, path, UINT64_MAX, "%s cannot be flushed: %s", path,
                               weir_error_text(rc));
}

int hold_flush_all(struct weir_medium *medium, struct weir_error *why)
{
    struct flushing context = {.medium = medium, .why = why};
    int rc = medium->ops->list(medium, HOLD_DIRECTORY, flush_one, &context);
    if (rc == 0) {
        rc = medium->ops->sync_directory(medium, HOLD_DIRECTORY);
    }
    return rc == -ENOENT || rc == -EACCES ? 0 : rc;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct weir_hold *)left)->name, ((const struct weir_hold *)right)->name);
}

int hold_read_all(struct weir_log *log, struct hold_list *ret_list, struct weir_error *why)
{
    struct hold_list list = {0};
    struct collecting context = {.log = log, .list = &list, .why = why};
    int rc = log->medium->ops->list(log->medium, HOLD_DIRECTORY, collect, &context);
    if (rc < 0 && rc != -ENOENT) {
        hold_list_free(&list);
        return rc;
    }
    if (list.count > 1) {
        qsort(list.holds, list.count, sizeof *list.holds, compare_names);
    }
    *ret_list = list;
    return 0;
}

void hold_list_free(struct hold_list *list)
{
    base_free(list->holds);
    *list = (struct hold_list){0};
}

/* ---- the public calls ---- */

static int check_call(const struct weir_log *log, const char *name)
{
    if (log == NULL || name == NULL) {
        return -EINVAL;
    }
    int rc = log_check(log);
    return rc < 0 ? rc : hold_name_is_valid(name) ? 0 : -EINVAL;
}

/* A reader's knowledge of durable may be old; a floor is allowed one behind it. */
static int check_ceiling(struct weir_log *log, weir_lsn floor)
{
    if (floor <= log_durable(log) + 1) {
        return 0;
    }
    int rc = log->reader != NULL ? reader_refresh(log) : 0;
    if (rc < 0) {
        return rc;
    }
    return floor <= log_durable(log) + 1 ? 0 : -EINVAL;
}

/* What is retained now: nobody truncates while the caller has holds/.lock. */
static int check_floor(struct weir_log *log, weir_lsn floor)
{
    struct control control;
    int rc = reader_load_control(log, &control, NULL); /* another process may be storing it */
    if (rc < 0) {
        return rc;
    }
    return floor < control.first_lsn ? WEIR_E_TRUNCATED : 0;
}

static bool is_engines(const char *name)
{
    return strcmp(name, WEIR_HOLD_ENGINE) == 0;
}

int weir_hold_set(struct weir_log *log, const char *name, weir_lsn floor)
{
    int rc = check_call(log, name);
    if (rc == 0 && floor == WEIR_LSN_NONE) {
        rc = -EINVAL;
    }
    rc = rc < 0 ? rc : check_ceiling(log, floor);
    if (rc < 0) {
        return rc;
    }
    struct weir_file *lock;
    rc = hold_lock(log, &lock, NULL);
    if (rc < 0) {
        return rc;
    }
    rc = check_floor(log, floor);
    if (rc == 0) {
        struct hold_file file = {0};
        rc = open_hold(log, name, &file);
        if (rc == 0) {
            rc = is_engines(name) && floor > file.hold.floor ? WEIR_E_ENGINES_HOLD
                                                             : update_hold(log, &file, floor);
            close_hold(log, &file);
        } else if (rc == -ENOENT || rc == WEIR_E_DAMAGED) {
            rc = create_hold(log, name, floor);
        }
    }
    hold_unlock(log, lock);
    return rc;
}

int weir_hold_move(struct weir_log *log, const char *name, weir_lsn floor)
{
    int rc = check_call(log, name);
    rc = rc < 0 ? rc : check_ceiling(log, floor);
    if (rc < 0) {
        return rc;
    }
    struct hold_file file = {0};
    rc = open_hold(log, name, &file);
    if (rc < 0) {
        return rc == -ENOENT ? WEIR_E_NO_HOLD : rc;
    }
    if (floor < file.hold.floor) {
        rc = -EINVAL;
    } else if (is_engines(name)) {
        rc = WEIR_E_ENGINES_HOLD;
    } else if (floor > file.hold.floor) {
        rc = update_hold(log, &file, floor);
    }
    close_hold(log, &file);
    return rc;
}

int weir_hold_drop(struct weir_log *log, const char *name)
{
    int rc = check_call(log, name);
    rc = rc == 0 && is_engines(name) ? WEIR_E_ENGINES_HOLD : rc;
    if (rc < 0) {
        return rc;
    }
    char path[HOLD_PATH_BYTES];
    path_of(name, path);
    struct weir_file *lock;
    rc = hold_lock(log, &lock, NULL);
    if (rc < 0) {
        return rc;
    }
    rc = log->medium->ops->remove(log->medium, path);
    if (rc == 0) {
        rc = log->medium->ops->sync_directory(log->medium, HOLD_DIRECTORY);
    }
    hold_unlock(log, lock);
    return rc == -ENOENT ? WEIR_E_NO_HOLD : rc;
}

int weir_hold_list(struct weir_log *log, int (*fn)(void *context, const struct weir_hold *hold),
                   void *context)
{
    if (log == NULL || fn == NULL) {
        return -EINVAL;
    }
    struct hold_list list;
    int rc = log_check(log);
    rc = rc < 0 ? rc : hold_read_all(log, &list, NULL);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        rc = fn(context, &list.holds[i]);
    }
    hold_list_free(&list);
    return rc;
}
