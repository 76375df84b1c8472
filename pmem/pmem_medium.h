/* What the files of pmem/ share. Internal to it. */
#ifndef PMEM_PMEM_MEDIUM_H
#define PMEM_PMEM_MEDIUM_H

#include "base/file.h"
#include "pmem/pmem.h"

struct pmem_medium {
    struct weir_medium medium; /* first: a struct weir_medium * is one of these */
    struct base_directory directory;
    bool read_only;
    bool emulated;     /* mappings without MAP_SYNC */
    bool in_memory;    /* on tmpfs: nothing has to be told that a page will be written */
    int idle_event_fd; /* never readable; -1 until asked for */
};

struct weir_file {
    struct pmem_medium *owner;
    struct base_file file;
    bool writable;
};

/* The store half, in store.c. */
int pmem_store_create(struct weir_medium *medium, const char *name, uint64_t size_bytes,
                      struct weir_file **ret_file);
int pmem_store_open(struct weir_medium *medium, const char *name, enum weir_open_mode mode,
                    struct weir_file **ret_file);
void pmem_store_close(struct weir_file *file);
int pmem_store_size(struct weir_file *file, uint64_t *ret_size_bytes);
int pmem_store_read(struct weir_file *file, uint64_t offset, void *buffer, size_t size_bytes,
                    size_t *ret_size_bytes);
int pmem_store_write(struct weir_file *file, uint64_t offset, const void *buffer,
                     size_t size_bytes);
int pmem_store_sync(struct weir_file *file);
int pmem_store_list(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                    void *context);
int pmem_store_list_directories(struct weir_medium *medium, const char *directory, weir_list_fn fn,
                                void *context);
int pmem_store_make_directory(struct weir_medium *medium, const char *name);
int pmem_store_remove_directory(struct weir_medium *medium, const char *name);
int pmem_store_rename(struct weir_medium *medium, const char *from, const char *to);
int pmem_store_remove(struct weir_medium *medium, const char *name);
int pmem_store_sync_directory(struct weir_medium *medium, const char *directory);
int pmem_store_space(struct weir_medium *medium, uint64_t *ret_free_bytes);
int pmem_store_lock(struct weir_file *file, enum weir_lock_mode mode);
int pmem_store_map(struct weir_file *file, size_t size_bytes, const uint8_t **ret_base);
int pmem_store_map_private(struct weir_file *file, uint64_t offset, void *address,
                           size_t size_bytes);
void pmem_store_unmap(struct weir_medium *medium, const uint8_t *base, size_t size_bytes);

/* The window half, in window.c: the only file that calls libpmem. */
int pmem_window_open(struct weir_file *file, size_t size_bytes, struct weir_window **ret_window);
int pmem_window_load(struct weir_window *window, uint64_t offset, size_t size_bytes);
int pmem_window_freeze(struct weir_window *window);
void pmem_window_close(struct weir_window *window);
void pmem_window_copy(struct weir_window *window, uint64_t offset, const void *data,
                      size_t size_bytes);
void pmem_window_clean(struct weir_window *window, uint64_t offset, size_t size_bytes);
int pmem_window_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                        uint32_t flags, uint64_t token);
int pmem_window_flush_file(struct weir_window *window, uint64_t token);

#define PMEM_BLOCK_BYTES 64u /* a cache line */
/* Measured with the fence of the header that follows: 2048 B cost 450 ns stored and flushed, 494
 * past the caches; 2304 B cost 694 and 508. */
#define PMEM_COPY_FROM_BYTES 2112u

#endif
