/*
 * The store half of the medium on persistent memory: base/file behind the table of weir/medium.h.
 *
 * Happy path: each call is one of base/file, on the medium's directory.
 * Failure modes: a read-only medium refuses with -EROFS before any file of the log is opened for
 * writing. Files in directories below it (holds, derived data) have writers of their own.
 * O_DIRECT is never set: on DAX read() and write() reach the medium anyway, and where it is
 * emulated a direct write beside a mapping of the same file would go past what the mapping shows.
 * Invariants: a file keeps the description that its lock and its I/O are on until close().
 */
#include "pmem/pmem_medium.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static struct pmem_medium *medium_of(struct weir_medium *medium)
{
    return (struct pmem_medium *)medium;
}

static bool is_refused(const struct pmem_medium *self, const char *name)
{
    return self->read_only && strchr(name, '/') == NULL;
}

static struct weir_file *new_file(struct pmem_medium *owner, bool writable)
{
    struct weir_file *file = base_alloc_zero(sizeof *file);
    if (file != NULL) {
        file->owner = owner;
        file->writable = writable;
    }
    return file;
}

int pmem_store_create(struct weir_medium *medium, const char *name, uint64_t size_bytes,
                      struct weir_file **ret_file)
{
    struct pmem_medium *self = medium_of(medium);
    if (is_refused(self, name)) {
        return -EROFS;
    }
    struct weir_file *file = new_file(self, true);
    if (file == NULL) {
        return -ENOMEM;
    }
    int rc = base_file_create(&self->directory, name, size_bytes, BASE_DIRECT_NEVER, &file->file);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int pmem_store_open(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                    struct weir_file **ret_file)
{
    struct pmem_medium *self = medium_of(medium);
    bool writable = mode == WEIR_FILE_WRITE;
    if (writable && is_refused(self, name)) {
        return -EROFS;
    }
    struct weir_file *file = new_file(self, writable);
    if (file == NULL) {
        return -ENOMEM;
    }
    int rc = base_file_open(&self->directory, name, writable, BASE_DIRECT_NEVER, &file->file);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

void pmem_store_close(struct weir_file *file)
{
    /* A window's mapping holds the description, and with it the lock, as long as it is there. */
    base_file_close(&file->file);
    base_free(file);
}

int pmem_store_size(struct weir_file *file, uint64_t *ret_size_bytes)
{
    return base_file_size(&file->file, ret_size_bytes);
}

int pmem_store_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                    size_t *ret_size_bytes)
{
    return base_file_read(&file->file, offset, buffer, size_bytes, ret_size_bytes);
}

int pmem_store_write(struct weir_file *file, uint64_t offset, const void *buffer, size_t size_bytes)
{
    return base_file_write(&file->file, offset, buffer, size_bytes);
}

int pmem_store_sync(struct weir_file *file)
{
    return base_file_sync(&file->file);
}

int pmem_store_list(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                    void *context)
{
    return base_directory_list(&medium_of(medium)->directory, directory, fn, context);
}

int pmem_store_list_directories(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                                void *context)
{
    return base_directory_list_directories(&medium_of(medium)->directory, directory, fn, context);
}

int pmem_store_make_directory(struct weir_medium *medium, const char *name)
{
    return base_directory_make(&medium_of(medium)->directory, name);
}

int pmem_store_remove_directory(struct weir_medium *medium, const char *name)
{
    return base_directory_remove(&medium_of(medium)->directory, name);
}

int pmem_store_rename(struct weir_medium *medium, const char *from, const char *to)
{
    struct pmem_medium *self = medium_of(medium);
    bool refused = is_refused(self, from) || is_refused(self, to);
    return refused ? -EROFS : base_file_rename(&self->directory, from, to);
}

int pmem_store_remove(struct weir_medium *medium, const char *name)
{
    struct pmem_medium *self = medium_of(medium);
    return is_refused(self, name) ? -EROFS : base_file_remove(&self->directory, name);
}

int pmem_store_sync_directory(struct weir_medium *medium, const char *directory)
{
    return base_directory_sync(&medium_of(medium)->directory, directory);
}

int pmem_store_space(struct weir_medium *medium, uint64_t *ret_free_bytes)
{
    return base_directory_free_bytes(&medium_of(medium)->directory, ret_free_bytes);
}

int pmem_store_lock(struct weir_file *file, enum weir_lock_mode mode)
{
    static const enum base_file_lock locks[] = {
        [WEIR_LOCK_NONE] = BASE_FILE_LOCK_NONE,
        [WEIR_LOCK_SHARED] = BASE_FILE_LOCK_SHARED,
        [WEIR_LOCK_EXCLUSIVE] = BASE_FILE_LOCK_EXCLUSIVE,
    };
    return base_file_lock(&file->file, locks[mode]);
}

int pmem_store_map(struct weir_file *file, size_t size_bytes, const uint8_t **ret_base)
{
    uint8_t *base;
    int rc = base_file_map(&file->file, size_bytes, BASE_MAP_AT_ONCE, &base);
    if (rc == 0) {
        *ret_base = base;
    }
    return rc;
}

int pmem_store_map_private(struct weir_file *file, uint64_t offset, void *address,
                           size_t size_bytes)
{
    return base_file_map_private(&file->file, offset, address, size_bytes);
}

void pmem_store_unmap(struct weir_medium *medium, const uint8_t *base, size_t size_bytes)
{
    (void)medium;
    base_file_unmap(base, size_bytes);
}
