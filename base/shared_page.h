/*
 * A page of 4096 bytes in /dev/shm named after a log's uuid, through which a writer tells reader
 * processes how far the log is durable and readers count themselves as waiters.
 *
 * The page is a hint, never the truth: a reader believes it only while the writer's file lock is
 * held, recovery only where it is this user's, and both when what it says about boot and epoch
 * agrees. Creating replaces the name in one step, so a stale page (of a killed writer, of an older
 * container) is never written again.
 */
#ifndef BASE_SHARED_PAGE_H
#define BASE_SHARED_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE_SHARED_PAGE_SIZE 4096
#define BASE_UUID_SIZE 16

struct base_shared_page {
    void *data;    /* BASE_SHARED_PAGE_SIZE bytes, shared; NULL when closed */
    bool writable; /* false: mapped read-only, a store would fault */
    bool own;      /* nobody but this user, or root, can have stored anything into it */
};

/*
 * Makes a fresh, zeroed page and puts it in place of any other of this uuid.
 *
 * @param mode  permissions, not cut by the umask; readers that may write can wait without polling.
 * Returns 0 or -errno: -ENOENT (no /dev/shm), -EACCES or -EPERM (a page of another user is in the
 * way), -ENOSPC, -EMFILE, -ENFILE, -ENOMEM.
 */
int base_shared_page_create(struct base_shared_page *page, const uint8_t uuid[BASE_UUID_SIZE],
                            mode_t mode);

/*
 * Maps the page that is in place, for writing if permitted, else read-only (page->writable says).
 * Returns 0 or -errno: -ENOENT (none), -EACCES, -EPROTO (a file of that name is not such a page).
 */
int base_shared_page_open(struct base_shared_page *page, const uint8_t uuid[BASE_UUID_SIZE]);

/* Unmaps; the page stays in place for others. Twice is harmless. */
void base_shared_page_close(struct base_shared_page *page);

/* Removes the name. Returns 0 (also when there was none) or -errno. */
int base_shared_page_remove(const uint8_t uuid[BASE_UUID_SIZE]);

#endif
