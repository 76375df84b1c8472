/* The medium: all that the log needs of the system, in two halves.
 *
 *   store   files in one directory: create, open, read, write, sync, list, rename, remove, lock,
 * map window  one contiguous range of memory that holds a segment's bytes while it is written: the
 *           log copies records into it and asks for [a, b) to be made durable
 *
 * Three media ship with Weir (pmem, direct, mapped); a fourth in sim/ serves the tests. To bring
 * your own, embed struct weir_medium as the first member of your structure, fill in the table and
 * hand it to weir_log_open() through weir_log_options.custom_medium.
 *
 * Names are relative to the directory ("CONTROL", "holds/backup") and hold at most two '/', no "."
 * and no ".." (-EINVAL). A read-only medium refuses to change files of the directory itself
 * (-EROFS).
 * Results are 0 or -errno unless stated otherwise. Offsets and sizes of read() and write() are
 * multiples of 4096; buffers may have any alignment.
 *
 * Threads: store functions may be called from any thread at the same time on different files; on
 * one file read(), read_begin() and read_end() may, as long as nobody writes to it.
 * persist(), flush_file() and poll() are called by one thread at a time (it may be another one
 * each time); copy() and clean() by any number.
 */
#ifndef WEIR_MEDIUM_H
#define WEIR_MEDIUM_H

#include <weir/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_medium; /* one directory on one kind of medium */
struct weir_file;   /* an open file of it */

enum weir_medium_kind {
    WEIR_MEDIUM_AUTO = 0, /* pmem on a DAX mount, else direct, else mapped */
    WEIR_MEDIUM_PMEM = 1,
    WEIR_MEDIUM_DIRECT = 2,
    WEIR_MEDIUM_MAPPED = 3,
    WEIR_MEDIUM_CUSTOM = 4,
};

enum weir_io_kind {
    WEIR_IO_AUTO = 0, /* io_uring, or the synchronous calls where it is not allowed */
    WEIR_IO_URING = 1,
    WEIR_IO_SYNC = 2,
};

/* How a medium presents itself; shown in the open report and in every benchmark. */
struct weir_medium_info {
    enum weir_medium_kind kind;
    char name[16];          /* "direct" */
    char io[16];            /* "uring", "sync", or "cpu" for cache-line flushes */
    char reason[240];       /* why this one, in a sentence */
    char file_system[32];   /* "ext4" */
    uint32_t block_bytes;   /* groups start and end at multiples of this: 4096, or 64 on pmem */
    uint32_t queue_depth;   /* how many persist() and flush_file() may be in flight together */
    size_t copy_from_bytes; /* payloads of at least this size go through copy(), else memcpy */
    bool durable;           /* false: memory only (tmpfs, the test medium) */
    bool emulated;          /* true: persistent memory that is none; for measurements only */
    bool asynchronous;      /* true: persist() may return 0 and complete later */
    bool write_through;  /* true: copy() of a small group as a whole costs less than stores, clean()
                            and persist(), and than waiting for another thread to do it. Used where
                            there is a copy(), and block_bytes is 64, 128 or 256 */
    bool window_is_file; /* true: the window is the file itself (mapped, pmem): bytes that are
                            copied in survive process death without persist() */
};

/* A segment's memory. base is fixed from window_open() to window_close(). */
struct weir_window {
    uint8_t *base;
    size_t size_bytes;
    struct weir_file *file;
};

struct weir_completion {
    uint64_t token; /* as given to persist() or flush_file() */
    int result;     /* 0, or -errno: the outcome is then unknown and the log is poisoned */
};

enum weir_open_mode {
    WEIR_FILE_READ = 0,
    WEIR_FILE_WRITE = 1, /* read and write */
    /* As READ, but read() may bring what a page cache holds. For files that were durable long ago,
     * whose cached bytes cannot be ones that a failed flush lost; a medium may ignore it. */
    WEIR_FILE_READ_CACHED = 2,
};

enum weir_lock_mode {
    WEIR_LOCK_NONE = 0,
    WEIR_LOCK_SHARED = 1,
    WEIR_LOCK_EXCLUSIVE = 2,
};

/* persist() writes but does not flush: the bytes are handed to the device, not yet durable. */
#define WEIR_PERSIST_WRITE_ONLY 1u

/* The caller has nothing else to do before this one is durable, and nothing else is in flight: a
 * medium may do it at once, within persist() (1), where that is the faster way. */
#define WEIR_PERSIST_WAITED_FOR 2u

typedef int (*weir_list_fn)(void *context, const char *name);

struct weir_medium_ops {
    /* ---- store ---- */

    /* Creates name exclusively (-EEXIST), size_bytes long, every byte written as zero (not just
     * allocated), open for reading and writing. Not durable before sync() of the file and of the
     * directory. Leaves nothing behind when it fails (-ENOSPC). size_bytes: multiple of 4096 or 0.
     */
    int (*create)(struct weir_medium *medium, const char *name, uint64_t size_bytes,
                  struct weir_file **ret_file);
    int (*open)(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                struct weir_file **ret_file);
    /* Gives back the file; drops its lock once no I/O on it is in flight. */
    void (*close)(struct weir_file *file);
    int (*size)(struct weir_file *file, uint64_t *ret_size_bytes);
    /* Reads what is on the medium, not what a page cache believes. Short only at the end of the
     * file: *ret_size_bytes says how much came. */
    int (*read)(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                size_t *ret_size_bytes);
    /* Writes all or fails. Durable after sync(). Not on a file that has a window: use that. */
    int (*write)(struct weir_file *file, uint64_t offset, const void *buffer, size_t size_bytes);
    int (*sync)(struct weir_file *file);
    /* Calls fn for each entry of a directory ("" = the medium's own), in no order, files only,
     * without "." and ".."; stops at the first non-zero result and returns it. */
    int (*list)(struct weir_medium *medium, const char *directory, weir_list_fn fn, void *context);
    int (*list_directories)(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                            void *context); /* the same for the directories in it */
    int (*make_directory)(struct weir_medium *medium, const char *name);   /* 0 if it is there */
    int (*remove_directory)(struct weir_medium *medium, const char *name); /* -ENOTEMPTY */
    int (*rename)(struct weir_medium *medium, const char *from, const char *to); /* replaces */
    int (*remove)(struct weir_medium *medium, const char *name);
    int (*sync_directory)(struct weir_medium *medium, const char *directory);
    /* Takes, changes or drops the lock of this open file description, without waiting: -EAGAIN
     * when another description has it. The lock lives as long as I/O on the file does, and as long
     * as a view from map(), a frozen window, or a window that is the file. Exclusive needs a file
     * that was opened for writing (-EBADF). */
    int (*lock)(struct weir_file *file, enum weir_lock_mode mode);
    /* Maps size_bytes of a file that is no longer written, read-only. What has to come from the
     * medium is read here; what a cache holds may be mapped when it is touched. */
    int (*map)(struct weir_file *file, size_t size_bytes, const uint8_t **ret_base);
    void (*unmap)(struct weir_medium *medium, const uint8_t *base, size_t size_bytes);
    /* Makes the caller's private memory [address, address + size_bytes) hold the file's bytes from
     * offset on, in place of what was there: a mapping that is copied where it is written, or a
     * copy. All three are multiples of the page size. Undefined bytes on failure; -EIO when the
     * file ends before. The file may be closed, renamed over and removed, but not written. */
    int (*map_private)(struct weir_file *file, uint64_t offset, void *address, size_t size_bytes);

    /* ---- window ---- */

    /* Gives file a window of size_bytes. On media whose window is the file it holds the file's
     * bytes, else undefined bytes: see load(). A file opened for reading gets one that only load()
     * changes: persist() is -EROFS. WEIR_E_CUT_SHORT when the file is shorter. */
    int (*window_open)(struct weir_file *file, size_t size_bytes, struct weir_window **ret_window);
    /* Makes the window hold what the file holds in [offset, offset + size_bytes): the bytes on the
     * medium, also where a page cache believes otherwise, so recovery calls it on every medium.
     * WEIR_E_CUT_SHORT when the file ends before. */
    int (*load)(struct weir_window *window, uint64_t offset, size_t size_bytes);
    /* The segment is complete and durable: the memory becomes a read-only view of the file, at
     * the same address and without a moment in which it is not there. Unchanged on failure. */
    int (*freeze)(struct weir_window *window);
    void (*window_close)(struct weir_window *window); /* nothing is in flight; file stays open */
    /* Copies a payload of at least info.copy_from_bytes in, or with info.write_through a whole
     * group, and fences it on this CPU: it is durable, and clean() need not cover it. NULL when
     * copy_from_bytes is SIZE_MAX. */
    void (*copy)(struct weir_window *window, uint64_t offset, const void *data, size_t size_bytes);
    /* Starts to write back ordinary stores in the range; the next persist() fences. NULL where
     * there is nothing to do. */
    void (*clean)(struct weir_window *window, uint64_t offset, size_t size_bytes);
    /* Makes [offset, offset + size_bytes) durable (both multiples of block_bytes, at most 1 GiB):
     * returns 1 when it is, 0 when it is under way and poll() will bring token, -EBUSY when
     * queue_depth are under way already (nothing was started), or -errno: the log is poisoned.
     * With a clean() it is only the fence: what this thread did not clean() or copy() stays
     * volatile. The bytes stay as they are, and window and file open, until poll() brings token;
     * the thread that started it may exit. */
    int (*persist)(struct weir_window *window, uint64_t offset, size_t size_bytes, uint32_t flags,
                   uint64_t token);
    /* Makes durable all that was written to the window's file and has completed. Same results. */
    int (*flush_file)(struct weir_window *window, uint64_t token);
    /* Brings up to max completions in any order: the count, 0 after timeout_ns (0 = do not wait,
     * negative = wait as long as it takes; with nothing in flight returns 0 at once), or -errno:
     * poisoned. */
    int (*poll)(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                int64_t timeout_ns);
    /* A descriptor that becomes readable when poll() has something; made on first use. poll()
     * empties it and never leaves it empty with completions that did not fit max. */
    int (*eventfd)(struct weir_medium *medium, int *ret_fd);

    /* ---- reading ahead: both or neither may be NULL, then read() serves ---- */

    /* Starts what read() would do: 0 with a ticket for read_end(), 1 with one for which that waits
     * for nothing (it was at hand; 0 is right, too), or, with nothing started, the caller reads:
     * -EALREADY (read() will not wait for the medium), -EBUSY (many are under way),
     * -EOPNOTSUPP (not this file, or this memory: it may have to be aligned to 4096). The buffer
     * belongs to the medium until read_end(), or close(), which waits. */
    int (*read_begin)(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                      uint64_t *ret_ticket);
    /* Waits for that read. Results as of read(); and -ENOTRECOVERABLE: nobody knows when the medium
     * lets go of the buffer, so it must not be used again. */
    int (*read_end)(struct weir_file *file, uint64_t ticket, size_t *ret_size_bytes);

    /* ---- room: NULL where nobody knows ---- */

    /* How many bytes files may still take here, as far as the file system tells an ordinary user:
     * quotas are not seen. -EOPNOTSUPP: it does not tell. */
    int (*space)(struct weir_medium *medium, uint64_t *ret_free_bytes);

    void (*destroy)(struct weir_medium *medium); /* all files and windows are closed */
};

struct weir_medium {
    const struct weir_medium_ops *ops;
    struct weir_medium_info info;
};

#ifdef __cplusplus
}
#endif
#endif
