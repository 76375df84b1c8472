/*
 * The store half of the media on files: base/file behind the table of weir/medium.h.
 *
 * Happy path: each call is one of base/file, on the medium's directory.
 * Failure modes: a read-only medium refuses with -EROFS before any file of the log is opened for
 * writing. Files in directories below it (holds, derived data) have writers of their own.
 * Invariants: a file keeps the description that its lock and its I/O are on until close().
 */
#include "iouring/file_medium.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static struct file_medium *medium_of(struct weir_medium *medium)
{
    return (struct file_medium *)medium;
}

static bool is_refused(const struct file_medium *self, const char *name)
{
    return self->read_only && strchr(name, '/') == NULL;
}

static struct weir_file *new_file(struct file_medium *owner, bool writable)
{
    struct weir_file *file = base_alloc_zero(sizeof *file);
    if (file != NULL) {
        file->owner = owner;
        file->writable = writable;
    }
    return file;
}

int file_store_create(struct weir_medium *medium, const char *name, uint64_t size_bytes,
                      struct weir_file **ret_file)
{
    struct file_medium *self = medium_of(medium);
    if (is_refused(self, name)) {
        return -EROFS;
    }
    struct weir_file *file = new_file(self, true);
    if (file == NULL) {
        return -ENOMEM;
    }
    int rc = base_file_create(&self->directory, name, size_bytes, self->direct, &file->file);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

/* What is in the page cache is read from there, through a description without O_DIRECT. */
static int open_cached(const struct file_medium *self, const char *name, struct weir_file *file)
{
    if (!file->file.direct) {
        file->file.cached = true;
        return 0;
    }
    int rc = base_file_open(&self->directory, name, false, BASE_DIRECT_NEVER, &file->cached);
    file->has_cached = rc == 0;
    return rc;
}

int file_store_open(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                    struct weir_file **ret_file)
{
    struct file_medium *self = medium_of(medium);
    bool writable = mode == WEIR_FILE_WRITE;
    if (writable && is_refused(self, name)) {
        return -EROFS;
    }
    struct weir_file *file = new_file(self, writable);
    if (file == NULL) {
        return -ENOMEM;
    }
    int rc = base_file_open(&self->directory, name, writable, self->direct, &file->file);
    if (rc < 0) {
        base_free(file);
        return rc;
    }
    rc = mode == WEIR_FILE_READ_CACHED ? open_cached(self, name, file) : 0;
    if (rc < 0) {
        file_store_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

void file_store_close(struct weir_file *file)
{
    read_ahead_forget(&file->owner->ahead, file);
    if (file->has_cached) {
        base_file_close(&file->cached);
    }
    /* The kernel holds the description, and with it the lock, until I/O in flight has ended. */
    base_file_close(&file->file);
    base_free(file);
}

int file_store_size(struct weir_file *file, uint64_t *ret_size_bytes)
{
    return base_file_size(&file->file, ret_size_bytes);
}

int file_store_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                    size_t *ret_size_bytes)
{
    if (file->has_cached &&
        base_file_read_resident(&file->cached, offset, buffer, size_bytes, ret_size_bytes)) {
        return 0;
    }
    return base_file_read(&file->file, offset, buffer, size_bytes, ret_size_bytes);
}

/* So short a piece is copied from the page cache at once: after -EALREADY the caller asks again. */
#define AT_ONCE_BYTES ((size_t)16 << 10)

int file_store_read_begin(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                          uint64_t *ret_ticket)
{
    bool aligned = (uintptr_t)buffer % BASE_FILE_BLOCK == 0 && offset % BASE_FILE_BLOCK == 0 &&
                   size_bytes % BASE_FILE_BLOCK == 0 && size_bytes > 0;
    if (!aligned || !file->file.direct) {
        return -EOPNOTSUPP; /* read() bounces, or asks the page cache to forget first */
    }
    const struct base_file *cached =
        file->has_cached && size_bytes <= AT_ONCE_BYTES ? &file->cached : NULL;
    if (file->has_cached && cached == NULL &&
        base_file_is_resident(&file->cached, offset, size_bytes)) {
        return -EALREADY;
    }
    return read_ahead_begin(&file->owner->ahead, file, file->file.fd, cached, offset, buffer,
                            size_bytes, ret_ticket);
}

int file_store_read_end(struct weir_file *file, uint64_t ticket, size_t *ret_size_bytes)
{
    return read_ahead_end(&file->owner->ahead, &file->file, ticket, ret_size_bytes);
}

int file_store_write(struct weir_file *file, uint64_t offset, const void *buffer, size_t size_bytes)
{
    return base_file_write(&file->file, offset, buffer, size_bytes);
}

int file_store_sync(struct weir_file *file)
{
    return base_file_sync(&file->file);
}

int file_store_list(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                    void *context)
{
    return base_directory_list(&medium_of(medium)->directory, directory, fn, context);
}

int file_store_list_directories(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                                void *context)
{
    return base_directory_list_directories(&medium_of(medium)->directory, directory, fn, context);
}

int file_store_make_directory(struct weir_medium *medium, const char *name)
{
    return base_directory_make(&medium_of(medium)->directory, name);
}

int file_store_remove_directory(struct weir_medium *medium, const char *name)
{
    return base_directory_remove(&medium_of(medium)->directory, name);
}

int file_store_rename(struct weir_medium *medium, const char *from, const char *to)
{
    struct file_medium *self = medium_of(medium);
    bool refused = is_refused(self, from) || is_refused(self, to);
    return refused ? -EROFS : base_file_rename(&self->directory, from, to);
}

int file_store_remove(struct weir_medium *medium, const char *name)
{
    struct file_medium *self = medium_of(medium);
    return is_refused(self, name) ? -EROFS : base_file_remove(&self->directory, name);
}

int file_store_sync_directory(struct weir_medium *medium, const char *directory)
{
    return base_directory_sync(&medium_of(medium)->directory, directory);
}

int file_store_space(struct weir_medium *medium, uint64_t *ret_free_bytes)
{
    return base_directory_free_bytes(&medium_of(medium)->directory, ret_free_bytes);
}

int file_store_lock(struct weir_file *file, enum weir_lock_mode mode)
{
    static const enum base_file_lock locks[] = {
        [WEIR_LOCK_NONE] = BASE_FILE_LOCK_NONE,
        [WEIR_LOCK_SHARED] = BASE_FILE_LOCK_SHARED,
        [WEIR_LOCK_EXCLUSIVE] = BASE_FILE_LOCK_EXCLUSIVE,
    };
    return base_file_lock(&file->file, locks[mode]);
}

int file_store_map(struct weir_file *file, size_t size_bytes, const uint8_t **ret_base)
{
    uint8_t *base;
    int rc = base_file_map(&file->file, size_bytes, BASE_MAP_WHEN_TOUCHED, &base);
    if (rc == 0) {
        *ret_base = base;
    }
    return rc;
}

int file_store_map_private(struct weir_file *file, uint64_t offset, void *address,
                           size_t size_bytes)
{
    return base_file_map_private(&file->file, offset, address, size_bytes);
}

void file_store_unmap(struct weir_medium *medium, const uint8_t *base, size_t size_bytes)
{
    (void)medium;
    base_file_unmap(base, size_bytes);
}
