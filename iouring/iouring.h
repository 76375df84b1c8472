/* Media on files: `direct` and `mapped`, each on io_uring or on the synchronous calls.
 *
 *     struct iouring_options options = {.directory = "orders.log"};
 *     rc = iouring_direct_open(&options, &medium, reason, sizeof reason);
 *
 * direct   the window is anonymous memory; persist() is one O_DIRECT write with RWF_DSYNC.
 * mapped   the window is a shared mapping of the file; persist() is an fdatasync.
 *
 * The directory must exist. On failure `reason` holds one sentence; on success it is left alone and
 * medium->info.reason says what runs and why.
 */
#ifndef IOURING_IOURING_H
#define IOURING_IOURING_H

#include <weir/medium.h>

struct iouring_options {
    const char *directory;
    enum weir_io_kind io;
    bool read_only;       /* no file of the directory is opened for writing (-EROFS), persist() is
                             refused; files in directories below it (holds) may be written */
    uint32_t queue_depth; /* 0 = 16; at most 1024 */
    bool single_thread;   /* only the opening thread calls persist, flush_file and poll */
    size_t pool_bytes;    /* window memory kept for reuse by `direct`; 0 = 128 MiB */
};

/*
 * Returns 0, WEIR_E_MEDIUM (no direct I/O here, or io_uring was asked for and is not to be had),
 * WEIR_E_SETTINGS (queue_depth), -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOMEM, ...
 */
int iouring_direct_open(const struct iouring_options *options, struct weir_medium **ret_medium,
                        char *reason, size_t reason_size);

/* As above; works without direct I/O too, through the page cache (info.reason says so). */
int iouring_mapped_open(const struct iouring_options *options, struct weir_medium **ret_medium,
                        char *reason, size_t reason_size);

#endif
