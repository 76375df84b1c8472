/* What `direct` and `mapped` have in common: the store, the ring, and how they are opened.
 *
 * Internal to iouring/. A medium brings its window operations and puts the shared ones beside them
 * with FILE_MEDIUM_SHARED_OPS.
 */
#ifndef IOURING_FILE_MEDIUM_H
#define IOURING_FILE_MEDIUM_H

#include "base/file.h"
#include "iouring/iouring.h"
#include "iouring/read_ahead.h"
#include "iouring/ring.h"
#include "iouring/window_pool.h"

struct file_medium {
    struct weir_medium medium; /* first: a struct weir_medium * is one of these */
    struct base_directory directory;
    bool read_only;
    enum base_direct direct;
    struct ring *ring;       /* NULL: the synchronous calls */
    int idle_event_fd;       /* without a ring: never readable; -1 until asked for */
    struct window_pool pool; /* `direct` only */
    struct read_ahead ahead;
};

struct weir_file {
    struct file_medium *owner;
    struct base_file file;
    bool writable;
    bool has_cached; /* WEIR_FILE_READ_CACHED on a file with O_DIRECT: the same file without */
    struct base_file cached;
};

struct file_medium_kind {
    enum weir_medium_kind kind;
    const char *name;
    const struct weir_medium_ops *ops;
    bool needs_direct; /* refuse a directory without O_DIRECT */
    bool window_is_file;
};

int file_medium_open(const struct file_medium_kind *kind, const struct iouring_options *options,
                     struct weir_medium **ret_medium, char *reason, size_t reason_size);

/* A window may be opened: 0, -EINVAL, or WEIR_E_CUT_SHORT. */
int file_medium_check_window(const struct weir_file *file, size_t size_bytes);

/* The range lies inside the window and starts and ends at blocks; anything else is a bug of ours.
 */
void file_medium_assert_range(const struct weir_window *window, uint64_t offset, size_t size_bytes);

int file_store_create(struct weir_medium *medium, const char *name, uint64_t size_bytes,
                      struct weir_file **ret_file);
int file_store_open(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                    struct weir_file **ret_file);
void file_store_close(struct weir_file *file);
int file_store_size(struct weir_file *file, uint64_t *ret_size_bytes);
int file_store_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                    size_t *ret_size_bytes);
int file_store_read_begin(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                          uint64_t *ret_ticket);
int file_store_read_end(struct weir_file *file, uint64_t ticket, size_t *ret_size_bytes);
int file_store_write(struct weir_file *file, uint64_t offset, const void *buffer,
                     size_t size_bytes);
int file_store_sync(struct weir_file *file);
int file_store_list(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                    void *context);
int file_store_list_directories(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                                void *context);
int file_store_make_directory(struct weir_medium *medium, const char *name);
int file_store_remove_directory(struct weir_medium *medium, const char *name);
int file_store_rename(struct weir_medium *medium, const char *from, const char *to);
int file_store_remove(struct weir_medium *medium, const char *name);
int file_store_sync_directory(struct weir_medium *medium, const char *directory);
int file_store_space(struct weir_medium *medium, uint64_t *ret_free_bytes);
int file_store_lock(struct weir_file *file, enum weir_lock_mode mode);
int file_store_map(struct weir_file *file, size_t size_bytes, const uint8_t **ret_base);
int file_store_map_private(struct weir_file *file, uint64_t offset, void *address,
                           size_t size_bytes);
void file_store_unmap(struct weir_medium *medium, const uint8_t *base, size_t size_bytes);

/* Also what makes a range of `mapped` durable. */
int file_medium_flush_file(struct weir_window *window, uint64_t token);
int file_medium_poll(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                     int64_t timeout_ns);
int file_medium_eventfd(struct weir_medium *medium, int *ret_fd);
void file_medium_destroy(struct weir_medium *medium);

#define FILE_MEDIUM_SHARED_OPS                                                                     \
    .create = file_store_create, .open = file_store_open, .close = file_store_close,               \
    .size = file_store_size, .read = file_store_read, .write = file_store_write,                   \
    .sync = file_store_sync, .list = file_store_list,                                              \
    .list_directories = file_store_list_directories,                                               \
    .remove_directory = file_store_remove_directory, .make_directory = file_store_make_directory,  \
    .rename = file_store_rename, .remove = file_store_remove,                                      \
    .sync_directory = file_store_sync_directory, .lock = file_store_lock, .map = file_store_map,   \
    .unmap = file_store_unmap, .map_private = file_store_map_private,                              \
    .flush_file = file_medium_flush_file, .poll = file_medium_poll,                                \
    .eventfd = file_medium_eventfd, .read_begin = file_store_read_begin,                           \
    .read_end = file_store_read_end, .space = file_store_space, .destroy = file_medium_destroy

#endif
