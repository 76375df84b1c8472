/*
 * Files of one directory: the thin layer over POSIX that every real medium shares.
 *
 *     struct base_directory directory;
 *     struct base_file file;
 *     base_directory_open(&directory, "orders.log");
 *     base_file_create(&directory, "CONTROL", 4 * 4096, BASE_DIRECT_REQUIRED, &file);
 *     base_file_write(&file, 0, block, sizeof block);
 *     base_file_sync(&file);
 *     base_directory_sync(&directory, "");
 *
 * Everything goes by descriptors and names relative to the directory, so renaming the directory
 * under a running program is harmless. Results are 0 or -errno; outputs are untouched on failure.
 * Direct I/O wants offsets and sizes in multiples of BASE_FILE_BLOCK; memory may have any alignment
 * (what is not aligned goes through a bounce buffer).
 *
 * Threads: all functions may be called at the same time; those on one file too, as far as the
 * ranges do not overlap.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE_FILE_BLOCK 4096u

struct base_directory {
    int fd;
};

enum base_direct {
    BASE_DIRECT_NEVER,
    BASE_DIRECT_PREFERRED, /* through the page cache where O_DIRECT is refused */
    BASE_DIRECT_REQUIRED,  /* -EINVAL where O_DIRECT is refused */
};

struct base_file {
    int fd;
    bool direct; /* O_DIRECT is set */
    bool cached; /* without O_DIRECT: reading may bring what the page cache holds */
};

enum base_file_lock {
    BASE_FILE_LOCK_NONE,
    BASE_FILE_LOCK_SHARED,
    BASE_FILE_LOCK_EXCLUSIVE,
};

typedef int (*base_file_name_fn)(void *context, const char *name);

/* "CONTROL", "holds/backup", "derived/engine/checkpoint": relative, at most two '/', no "." and no
 * "..". */
bool base_file_name_is_valid(const char *name);

/* openat(), closed on exec, tried again after EINTR. Returns a descriptor or -errno. */
int base_open_at(int at, const char *name, int flags, mode_t mode);

/* Returns -ENOENT, -ENOTDIR, -EACCES, ... */
int base_directory_open(struct base_directory *ret_directory, const char *path);
void base_directory_close(struct base_directory *directory);

/* "ext4", "xfs", "tmpfs", ... or "0x1234" for one without a name here.
 * @param ret_is_memory  true where nothing survives power loss (tmpfs, ramfs). */
int base_directory_file_system(const struct base_directory *directory, char *ret_name,
                               size_t name_size, bool *ret_is_memory);

/* What files may still take, for who is not root. -EOPNOTSUPP: the file system counts nothing (a
 * tmpfs without a limit, some network file systems); -errno. */
int base_directory_free_bytes(const struct base_directory *directory, uint64_t *ret_free_bytes);

/*
 * Finds out whether files here take O_DIRECT in blocks of BASE_FILE_BLOCK: asks statx and sysfs for
 * the alignment and then believes a trial write to an unnamed file. A full disk counts as a yes.
 *
 * @param ret_alignment  what offsets and sizes must be multiples of, <= BASE_FILE_BLOCK.
 * @param reason         on failure, one clause that says why.
 * Returns 0, -EINVAL (refused), or -errno of making a file here.
 */
int base_directory_probe_direct(const struct base_directory *directory, uint32_t *ret_alignment,
                                char *reason, size_t reason_size);

/* Calls fn for each regular file of `name` ("" = the directory itself); stops at the first non-zero
 * result and returns it. fn may create and remove files. */
int base_directory_list(const struct base_directory *directory, const char *name,
                        base_file_name_fn fn, void *context);

/* The same for each directory in it, without "." and "..". */
int base_directory_list_directories(const struct base_directory *directory, const char *name,
                                    base_file_name_fn fn, void *context);

/* Makes a directory whose parent exists, and makes its name durable. 0 (also when it is there),
 * -ENOENT, -ENOTDIR, -EACCES, ... */
int base_path_make_directory(const char *path);

/* Removes an empty one, and makes that durable. 0, -ENOENT, -ENOTEMPTY, ... */
int base_path_remove_directory(const char *path);

/* The same in a directory. */
int base_directory_make(const struct base_directory *directory, const char *name);
int base_directory_remove(const struct base_directory *directory, const char *name);
int base_directory_sync(const struct base_directory *directory, const char *name);

/*
 * Makes a file whose size_bytes are all written as zero, piece by piece and, where possible, past
 * the page cache: the extents are written ones and no large folio exists. Removes it again on
 * failure.
 *
 * @param size_bytes  a multiple of BASE_FILE_BLOCK, or 0.
 * Returns 0, -EEXIST, -ENOSPC, -EDQUOT, -EINVAL, ...
 */
int base_file_create(const struct base_directory *directory, const char *name, uint64_t size_bytes,
                     enum base_direct direct, struct base_file *ret_file);
int base_file_open(const struct base_directory *directory, const char *name, bool writable,
                   enum base_direct direct, struct base_file *ret_file);
void base_file_close(struct base_file *file);

/* An empty file without a name, open for writing through the page cache: for probing. Where the
 * file system cannot do that, a crash may leave one called probe.PID.tmp behind. */
int base_file_open_unnamed(const struct base_directory *directory, struct base_file *ret_file);

int base_file_rename(const struct base_directory *directory, const char *from, const char *to);
int base_file_remove(const struct base_directory *directory, const char *name);

int base_file_size(const struct base_file *file, uint64_t *ret_size_bytes);

/* Short only at the end of the file. Without O_DIRECT, clean pages of the range leave the page
 * cache first, so that a failed write-back does not look like success; not when `cached` is set. */
int base_file_read(const struct base_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                   size_t *ret_size_bytes);

/* Is all of the range in the page cache? A process that may not write the file is always told so.
 */
bool base_file_is_resident(const struct base_file *file, uint64_t offset, size_t size_bytes);

/* True: all of it was in the page cache, and was read from there; file has no O_DIRECT. */
bool base_file_read_resident(const struct base_file *file, uint64_t offset, void *buffer,
                             size_t size_bytes, size_t *ret_size_bytes);

/* All or an error; a write that the kernel cut short is -EIO when it cannot be continued. */
int base_file_write(const struct base_file *file, uint64_t offset, const void *buffer,
                    size_t size_bytes);

/* As base_file_write, durable when it returns. Aligned memory only, when the file is direct. */
int base_file_write_durably(const struct base_file *file, uint64_t offset, const void *buffer,
                            size_t size_bytes);

/* Data and size, not times. */
int base_file_sync(const struct base_file *file);

/* Writes back what is dirty and drops the file's pages from the page cache, as far as nobody has
 * them mapped: what is read next is what the device holds. */
int base_file_drop_cache(const struct base_file *file);

/*
 * Takes, changes or drops the lock of this open file description, without waiting. It lives until
 * the last descriptor, mapping and I/O in flight of the description is gone.
 *
 * Returns 0, -EAGAIN (another description is in the way), or -EBADF (exclusive on a file that was
 * opened for reading).
 */
int base_file_lock(const struct base_file *file, enum base_file_lock lock);

enum base_map {
    BASE_MAP_AT_ONCE, /* every page is faulted in */
    /* Of a file that the page cache has most of, the rest is read now, so that errors are returned,
     * and pages are faulted in where they are touched: cheaper for who looks at little of it. Any
     * other file at once. */
    BASE_MAP_WHEN_TOUCHED,
};

/* Maps [0, size_bytes) shared and read-only. Returns 0, -EIO (the file is shorter, or cannot be
 * read), -ENOMEM. */
int base_file_map(const struct base_file *file, size_t size_bytes, enum base_map when,
                  uint8_t **ret_base);

/* Faults in a mapping and says when that failed. Read faults only: nothing becomes dirty. */
int base_file_map_populate(uint8_t *base, size_t size_bytes);

/* Puts a private, writable mapping of the file's bytes from offset on in place of the memory at
 * address, every page of it read. 0, -EIO (the file is shorter, or cannot be read), -EINVAL,
 * -ENOMEM; after a failure the memory is there and its bytes are undefined. */
int base_file_map_private(const struct base_file *file, uint64_t offset, void *address,
                          size_t size_bytes);
void base_file_unmap(const uint8_t *base, size_t size_bytes);

#endif
