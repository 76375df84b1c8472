/*
 * Opening a medium on files, and the completions that `direct` and `mapped` share.
 *
 * Happy path:
 *   1. open the directory, look at its file system, prove that O_DIRECT works (a trial write);
 *   2. set up the ring, unless io = sync or the medium is read-only;
 *   3. info says what was found, in words.
 *
 * Failure modes:
 *   - O_DIRECT refused: `direct` fails with WEIR_E_MEDIUM; `mapped` uses the page cache and says
 * so.
 *   - no io_uring: io = uring fails with WEIR_E_MEDIUM; io = auto runs on pwritev2 and fdatasync
 * and keeps the reason.
 *
 * Invariants: a read-only medium has no ring and opens nothing for writing, not even a trial file.
 */
#include "iouring/file_medium.h"

#include "base/alloc.h"
#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <weir/error.h>

#define QUEUE_DEPTH_DEFAULT 16u
#define POOL_BYTES_DEFAULT ((size_t)128 << 20)

/* ---- direct I/O ---- */

struct first_file {
    const struct base_directory *directory;
    bool refused;
};

static int try_first_file(void *context, const char *name)
{
    struct first_file *first = context;
    struct base_file file;
    int rc = base_file_open(first->directory, name, false, BASE_DIRECT_REQUIRED, &file);
    if (rc == 0) {
        base_file_close(&file);
    }
    first->refused = rc == -EINVAL;
    return 1;
}

/* Without writing: ask the first file that is there. An empty directory has nothing to read. */
static int probe_read_only(const struct base_directory *directory, char *reason, size_t reason_size)
{
    struct first_file first = {.directory = directory};
    int rc = base_directory_list(directory, "", try_first_file, &first);
    if (rc < 0) {
        snprintf(reason, reason_size, "the directory cannot be listed: %s", strerror(-rc));
        return rc;
    }
    if (first.refused) {
        snprintf(reason, reason_size, "the file system refuses O_DIRECT");
        return -EINVAL;
    }
    return 0;
}

/* Fills in self->direct. `note` becomes a clause for info.reason, or the reason of the failure. */
static int choose_direct(struct file_medium *self, bool needed, char *note, size_t note_size)
{
    char why[120] = "";
    uint32_t alignment = BASE_FILE_BLOCK;
    int rc = self->read_only
                 ? probe_read_only(&self->directory, why, sizeof why)
                 : base_directory_probe_direct(&self->directory, &alignment, why, sizeof why);
    if (rc == 0) {
        self->direct = BASE_DIRECT_REQUIRED;
        if (self->read_only) {
            snprintf(note, note_size, "read-only with direct I/O");
        } else {
            snprintf(note, note_size, "direct I/O works here (alignment %u)", alignment);
        }
        return 0;
    }
    self->direct = BASE_DIRECT_PREFERRED;
    if (rc != -EINVAL || needed) {
        snprintf(note, note_size, "%s", why);
        return rc == -EINVAL ? WEIR_E_MEDIUM : rc;
    }
    snprintf(note, note_size, "through the page cache (%s)", why);
    return 0;
}

/* ---- io_uring ---- */

static int choose_io(struct file_medium *self, const struct iouring_options *options, char *note,
                     size_t note_size)
{
    if (self->read_only) {
        snprintf(note, note_size, "nothing is written");
        return 0;
    }
    if (options->io == WEIR_IO_SYNC) {
        snprintf(note, note_size, "the synchronous calls were asked for");
        return 0;
    }
    struct ring_options ring = {
        .depth = self->medium.info.queue_depth,
        .single_thread = options->single_thread,
    };
    char why[160] = "";
    int rc = ring_create(&ring, &self->ring, why, sizeof why);
    if (rc == 0) {
        snprintf(note, note_size, "io_uring, and plain calls for a lone leader that waits");
        return 0;
    }
    if (options->io == WEIR_IO_URING) {
        snprintf(note, note_size, "%s", why);
        return rc == -ENOMEM ? rc : WEIR_E_MEDIUM;
    }
    snprintf(note, note_size, "pwritev2 and fdatasync because %s", why);
    return 0;
}

/* ---- open ---- */

static void fill_info(struct file_medium *self, const struct file_medium_kind *kind, bool is_memory,
                      const char *direct_note, const char *io_note)
{
    struct weir_medium_info *info = &self->medium.info;
    info->kind = kind->kind;
    snprintf(info->name, sizeof info->name, "%s", kind->name);
    snprintf(info->io, sizeof info->io, "%s", self->ring != NULL ? "uring" : "sync");
    snprintf(info->reason, sizeof info->reason, "%s; %s%s", direct_note, io_note,
             is_memory ? "; memory only: nothing survives power loss" : "");
    info->block_bytes = BASE_FILE_BLOCK;
    if (self->ring == NULL) {
        info->queue_depth = 1;
    }
    info->copy_from_bytes = SIZE_MAX;
    info->durable = !is_memory;
    info->asynchronous = self->ring != NULL;
    info->window_is_file = kind->window_is_file;
}

static int open_parts(struct file_medium *self, const struct file_medium_kind *kind,
                      const struct iouring_options *options, char *note, size_t note_size)
{
    char io_note[200] = "";
    bool is_memory = false;
    int rc = base_directory_open(&self->directory, options->directory);
    if (rc < 0) {
        snprintf(note, note_size, "the directory cannot be opened: %s", strerror(-rc));
        return rc;
    }
    rc = base_directory_file_system(&self->directory, self->medium.info.file_system,
                                    sizeof self->medium.info.file_system, &is_memory);
    if (rc < 0) {
        snprintf(note, note_size, "the file system is unknown: %s", strerror(-rc));
        goto out_directory;
    }
    rc = choose_direct(self, kind->needs_direct, note, note_size);
    if (rc < 0) {
        goto out_directory;
    }
    rc = choose_io(self, options, io_note, sizeof io_note);
    if (rc < 0) {
        snprintf(note, note_size, "%s", io_note);
        goto out_directory;
    }
    fill_info(self, kind, is_memory, note, io_note);
    self->ahead.off = is_memory || options->io == WEIR_IO_SYNC; /* memory: nothing to wait for */
    return 0;

out_directory:
    base_directory_close(&self->directory);
    return rc;
}

int file_medium_open(const struct file_medium_kind *kind, const struct iouring_options *options,
                     struct weir_medium **ret_medium, char *reason, size_t reason_size)
{
    uint32_t depth = options->queue_depth == 0 ? QUEUE_DEPTH_DEFAULT : options->queue_depth;
    if (depth > RING_DEPTH_MAX) {
        snprintf(reason, reason_size, "queue_depth is larger than %u", RING_DEPTH_MAX);
        return WEIR_E_SETTINGS;
    }
    struct file_medium *self = base_alloc_zero(sizeof *self);
    if (self == NULL) {
        snprintf(reason, reason_size, "no memory for the medium");
        return -ENOMEM;
    }
    self->medium.ops = kind->ops;
    self->medium.info.queue_depth = depth;
    self->read_only = options->read_only;
    self->idle_event_fd = -1;
    self->pool.limit_bytes = options->pool_bytes == 0 ? POOL_BYTES_DEFAULT : options->pool_bytes;
    char note[160] = "";
    int rc = open_parts(self, kind, options, note, sizeof note);
    if (rc < 0) {
        snprintf(reason, reason_size, "%s: %s", kind->name, note);
        base_free(self);
        return rc;
    }
    *ret_medium = &self->medium;
    return 0;
}

void file_medium_destroy(struct weir_medium *medium)
{
    struct file_medium *self = (struct file_medium *)medium;
    if (self->ring != NULL) {
        ring_destroy(self->ring); /* waits: the kernel may still read the windows' memory */
    }
    if (self->idle_event_fd >= 0) {
        close(self->idle_event_fd);
    }
    read_ahead_destroy(&self->ahead);
    window_pool_destroy(&self->pool);
    base_directory_close(&self->directory);
    base_free(self);
}

/* ---- windows ---- */

int file_medium_check_window(const struct weir_file *file, size_t size_bytes)
{
    if (size_bytes == 0 || size_bytes % BASE_FILE_BLOCK != 0) {
        return -EINVAL;
    }
    uint64_t file_bytes;
    int rc = base_file_size(&file->file, &file_bytes);
    if (rc < 0) {
        return rc;
    }
    return file_bytes < size_bytes ? WEIR_E_CUT_SHORT : 0;
}

void file_medium_assert_range(const struct weir_window *window, uint64_t offset, size_t size_bytes)
{
    WEIR_ASSERT(offset % BASE_FILE_BLOCK == 0 && size_bytes % BASE_FILE_BLOCK == 0);
    WEIR_ASSERT(size_bytes > 0);
    WEIR_ASSERT(size_bytes <= window->size_bytes && offset <= window->size_bytes - size_bytes);
}

int file_medium_flush_file(struct weir_window *window, uint64_t token)
{
    struct weir_file *file = window->file;
    if (!file->writable) {
        return -EROFS;
    }
    if (file->owner->ring != NULL) {
        return ring_submit_sync(file->owner->ring, file->file.fd, token);
    }
    int rc = base_file_sync(&file->file);
    return rc < 0 ? rc : 1;
}

int file_medium_poll(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                     int64_t timeout_ns)
{
    struct file_medium *self = (struct file_medium *)medium;
    if (self->ring == NULL) {
        return 0; /* everything was done when persist() returned */
    }
    return ring_reap(self->ring, ret_completions, max, timeout_ns);
}

int file_medium_eventfd(struct weir_medium *medium, int *ret_fd)
{
    struct file_medium *self = (struct file_medium *)medium;
    if (self->ring != NULL) {
        return ring_eventfd(self->ring, ret_fd);
    }
    if (self->idle_event_fd < 0) {
        self->idle_event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (self->idle_event_fd < 0) {
            return -errno;
        }
    }
    *ret_fd = self->idle_event_fd;
    return 0;
}
