/*
 * Opening the medium on persistent memory: is this DAX, and is libpmem in its right mind?
 *
 * Happy path:
 *   1. look for the variables that libpmem obeys;
 *   2. map a probe file with MAP_SYNC: the kernel grants it on DAX only;
 *   3. info says what was found.
 *
 * Failure modes:
 *   - PMEM_NO_FLUSH or PMEM_IS_PMEM_FORCE is set: WEIR_E_EMULATED, naming it.
 *   - not DAX: WEIR_E_MEDIUM, with the file system's name.
 *   With allow_emulated both go on, as emulated and not durable.
 *
 * Invariants: durable and emulated are never both true; a read-only medium makes no probe file.
 */
#include "pmem/pmem.h"

#include "base/alloc.h"
#include "pmem/pmem_medium.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/error.h>

/* ---- what libpmem was told ---- */

/* libpmem ignores other values of these; so do we ignore "0" and nothing else, to be on the safe
 * side. Returns the name of the variable that is set, or NULL. */
static const char *dangerous_variable(void)
{
    static const char *const names[] = {"PMEM_NO_FLUSH", "PMEM_IS_PMEM_FORCE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && strcmp(value, "0") != 0) {
            return names[i];
        }
    }
    return NULL;
}

/* ---- is this DAX? ---- */

static bool maps_synchronously(int fd, int protection)
{
    void *base = mmap(NULL, BASE_FILE_BLOCK, protection, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    if (base == MAP_FAILED) {
        return false;
    }
    munmap(base, BASE_FILE_BLOCK);
    return true;
}

struct first_file {
    const struct base_directory *directory;
    bool is_dax;
};

static int try_first_file(void *context, const char *name)
{
    struct first_file *first = context;
    struct base_file file;
    if (base_file_open(first->directory, name, false, BASE_DIRECT_NEVER, &file) == 0) {
        first->is_dax = maps_synchronously(file.fd, PROT_READ);
        base_file_close(&file);
    }
    return 1;
}

/* Without writing: ask the first file that is there. An empty directory proves nothing, and to
 * guess wrong would read through the page cache what a writer on `direct` puts there later. */
static int probe_read_only(const struct base_directory *directory, bool *ret_dax)
{
    struct first_file first = {.directory = directory};
    int rc = base_directory_list(directory, "", try_first_file, &first);
    if (rc < 0) {
        return rc;
    }
    *ret_dax = first.is_dax;
    return 0;
}

static int probe(const struct base_directory *directory, bool read_only, bool *ret_dax)
{
    if (read_only) {
        return probe_read_only(directory, ret_dax);
    }
    struct base_file file;
    int rc = base_file_open_unnamed(directory, &file);
    if (rc < 0) {
        return rc;
    }
    if (ftruncate(file.fd, BASE_FILE_BLOCK) < 0) {
        rc = -errno;
    } else {
        *ret_dax = maps_synchronously(file.fd, PROT_READ | PROT_WRITE);
    }
    base_file_close(&file);
    return rc;
}

/* ---- completions: there are none, every call is done when it returns ---- */

static int no_completions(struct weir_medium *medium, struct weir_completion *ret_completions,
                          int max, int64_t timeout_ns)
{
    (void)medium;
    (void)ret_completions;
    (void)max;
    (void)timeout_ns;
    return 0;
}

static int idle_eventfd(struct weir_medium *medium, int *ret_fd)
{
    struct pmem_medium *self = (struct pmem_medium *)medium;
    if (self->idle_event_fd < 0) {
        self->idle_event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (self->idle_event_fd < 0) {
            return -errno;
        }
    }
    *ret_fd = self->idle_event_fd;
    return 0;
}

static void destroy(struct weir_medium *medium)
{
    struct pmem_medium *self = (struct pmem_medium *)medium;
    if (self->idle_event_fd >= 0) {
        close(self->idle_event_fd);
    }
    base_directory_close(&self->directory);
    base_free(self);
}

static const struct weir_medium_ops pmem_ops = {
    .create = pmem_store_create,
    .open = pmem_store_open,
    .close = pmem_store_close,
    .size = pmem_store_size,
    .read = pmem_store_read,
    .write = pmem_store_write,
    .sync = pmem_store_sync,
    .list = pmem_store_list,
    .list_directories = pmem_store_list_directories,
    .make_directory = pmem_store_make_directory,
    .remove_directory = pmem_store_remove_directory,
    .rename = pmem_store_rename,
    .remove = pmem_store_remove,
    .sync_directory = pmem_store_sync_directory,
    .lock = pmem_store_lock,
    .map = pmem_store_map,
    .unmap = pmem_store_unmap,
    .map_private = pmem_store_map_private,
    .window_open = pmem_window_open,
    .load = pmem_window_load,
    .freeze = pmem_window_freeze,
    .window_close = pmem_window_close,
    .copy = pmem_window_copy,
    .clean = pmem_window_clean,
    .persist = pmem_window_persist,
    .flush_file = pmem_window_flush_file,
    .poll = no_completions,
    .eventfd = idle_eventfd,
    .space = pmem_store_space,
    .destroy = destroy,
};

/* ---- open ---- */

static void fill_info(struct pmem_medium *self, const char *variable, bool is_dax)
{
    struct weir_medium_info *info = &self->medium.info;
    self->emulated = !is_dax;
    info->kind = WEIR_MEDIUM_PMEM;
    snprintf(info->name, sizeof info->name, "pmem");
    snprintf(info->io, sizeof info->io, "cpu");
    info->block_bytes = PMEM_BLOCK_BYTES;
    info->queue_depth = 1;
    info->copy_from_bytes = PMEM_COPY_FROM_BYTES;
    info->emulated = !is_dax || variable != NULL;
    info->durable = !info->emulated;
    info->write_through = true;
    info->window_is_file = true;
    if (!info->emulated) {
        snprintf(info->reason, sizeof info->reason, "the directory is on a DAX mount (MAP_SYNC)");
        return;
    }
    snprintf(info->reason, sizeof info->reason, "emulated for measurements, not durable: %s%s%s%s",
             is_dax ? "" : "the directory is not on a DAX mount",
             !is_dax && variable != NULL ? ", and " : "", variable != NULL ? variable : "",
             variable != NULL ? " is set, so libpmem's flushes cannot be relied on" : "");
}

static int open_parts(struct pmem_medium *self, const struct pmem_options *options,
                      const char *variable, char *reason, size_t reason_size)
{
    struct weir_medium_info *info = &self->medium.info;
    int rc = base_directory_open(&self->directory, options->directory);
    if (rc < 0) {
        snprintf(reason, reason_size, "the directory cannot be opened: %s", strerror(-rc));
        return rc;
    }
    bool is_memory = false, is_dax = false;
    rc = base_directory_file_system(&self->directory, info->file_system, sizeof info->file_system,
                                    &is_memory);
    if (rc == 0) {
        rc = probe(&self->directory, options->read_only, &is_dax);
    }
    if (rc < 0) {
        snprintf(reason, reason_size, "no file can be made here: %s", strerror(-rc));
        goto out_directory;
    }
    if (!is_dax && !options->allow_emulated) {
        snprintf(reason, reason_size, "pmem: %s is not mounted with DAX here (%s)",
                 info->file_system,
                 options->read_only ? "no file of this directory takes MAP_SYNC"
                                    : "the kernel refuses MAP_SYNC");
        rc = WEIR_E_MEDIUM;
        goto out_directory;
    }
    fill_info(self, variable, is_dax);
    self->in_memory = is_memory;
    return 0;

out_directory:
    base_directory_close(&self->directory);
    return rc;
}

int pmem_medium_open(const struct pmem_options *options, struct weir_medium **ret_medium,
                     char *reason, size_t reason_size)
{
    const char *variable = dangerous_variable();
    if (variable != NULL && !options->allow_emulated) {
        snprintf(reason, reason_size,
                 "pmem: the environment variable %s is set and takes durability away", variable);
        return WEIR_E_EMULATED;
    }
    struct pmem_medium *self = base_alloc_zero(sizeof *self);
    if (self == NULL) {
        snprintf(reason, reason_size, "pmem: no memory for the medium");
        return -ENOMEM;
    }
    self->medium.ops = &pmem_ops;
    self->read_only = options->read_only;
    self->idle_event_fd = -1;
    int rc = open_parts(self, options, variable, reason, reason_size);
    if (rc < 0) {
        base_free(self);
        return rc;
    }
    *ret_medium = &self->medium;
    return 0;
}
