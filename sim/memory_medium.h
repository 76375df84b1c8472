/* The memory medium's own structures, shared by memory.c (store, crash) and memory_window.c.
 *
 * Internal to sim/.
 */
#ifndef SIM_MEMORY_MEDIUM_H
#define SIM_MEMORY_MEDIUM_H

#include "sim/disk.h"

struct sim_operation {
    uint64_t token;
    struct weir_file *file;
    struct sim_cover cover;  /* what completion makes durable */
    struct sim_write *write; /* or completes only: not durable before a flush */
    uint64_t offset;
};

struct sim_memory {
    struct weir_medium medium; /* first */
    struct sim_disk *disk;
    struct sim_memory_options options;
    struct weir_file *files;          /* linked by next_of_medium */
    struct sim_operation *operations; /* in flight, oldest first; queue_depth slots */
    uint32_t operation_count;
    int event_fd;
    bool dead;
};

struct weir_file {
    struct sim_memory *owner;
    struct sim_node *node;
    struct weir_file *next_of_node, *next_of_medium;
    enum weir_lock_mode lock;
    unsigned in_flight;
    bool writable;
    bool closed;                  /* waits for what is in flight */
    char name[SIM_DISK_NAME_MAX]; /* as it was opened */
};

/* The fault hook's answer, or -EIO from a process that is dead. */
int sim_memory_enter(struct sim_memory *self, const char *call, const char *name, uint64_t offset,
                     size_t size_bytes);

/* With the lock held: frees a closed file once nothing is in flight on it. */
void sim_memory_settle(struct weir_file *file);

/* The same for a call that brings bytes: they become part of the trace. */
int sim_memory_enter_with(struct sim_memory *self, const char *call, const char *name,
                          uint64_t offset, const void *data, size_t size_bytes);

/* Where a device that errs puts a write; as asked without one. */
void sim_memory_misplace(const struct sim_memory *self, const char *name, uint64_t *offset,
                         size_t *size_bytes);

/* The device has done it: a flush that starts now covers it. */
void sim_operation_arrive(struct sim_operation *operation);

/* Gives up an operation, its file included: nobody will hear of it, and the device does it. */
void sim_operation_drop(struct sim_operation *operation);

extern const struct weir_medium_ops sim_memory_block_ops, sim_memory_pmem_ops;

int sim_window_open(struct weir_file *file, size_t size_bytes, struct weir_window **ret_window);
int sim_window_load(struct weir_window *window, uint64_t offset, size_t size_bytes);
int sim_window_freeze(struct weir_window *window);
void sim_window_close(struct weir_window *window);
void sim_window_copy(struct weir_window *window, uint64_t offset, const void *data,
                     size_t size_bytes);
void sim_window_clean(struct weir_window *window, uint64_t offset, size_t size_bytes);
int sim_window_persist(struct weir_window *window, uint64_t offset, size_t size_bytes,
                       uint32_t flags, uint64_t token);
int sim_window_flush_file(struct weir_window *window, uint64_t token);
int sim_window_poll(struct weir_medium *medium, struct weir_completion *ret_completions, int max,
                    int64_t timeout_ns);
int sim_window_eventfd(struct weir_medium *medium, int *ret_fd);

#endif
