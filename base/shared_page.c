/*
 * A page of shared memory under /dev/shm.
 *
 * Create: a new file under a name nobody else has, full size, filled (so that a store can never
 * meet a full tmpfs as SIGBUS), mapped, then renamed over the real name. A crash right before the
 * rename leaves a stray file of 4 KiB, which the next boot forgets.
 * Open: without following links, and only if it is a regular file of exactly one page.
 */
#include "base/shared_page.h"

#include "base/assert.h"
#include "base/random.h"
#include "base/system.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_CAPACITY 96

static void name_of(struct base_text *name, char buffer[NAME_CAPACITY], const uint8_t *uuid)
{
    base_text_init(name, buffer, NAME_CAPACITY);
    base_text_append(name, "/dev/shm/weir-");
    base_text_append_hex(name, uuid, BASE_UUID_SIZE);
    WEIR_ASSERT(!name->truncated);
}

static int map_page(struct base_shared_page *page, int file, bool writable, bool own)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *data = mmap(NULL, BASE_SHARED_PAGE_SIZE, protection, MAP_SHARED, file, 0);
    if (data == MAP_FAILED) {
        return -errno;
    }
    *page = (struct base_shared_page){.data = data, .writable = writable, .own = own};
    return 0;
}

static int fill_new_file(int file, mode_t mode)
{
    if (fchmod(file, mode) != 0) {
        return -errno;
    }
    return -posix_fallocate(file, 0, BASE_SHARED_PAGE_SIZE);
}

int base_shared_page_create(struct base_shared_page *page, const uint8_t uuid[BASE_UUID_SIZE],
                            mode_t mode)
{
    if (base_system_is_alone()) {
        return -ENOSYS;
    }
    uint8_t salt[8];
    int result = base_random_bytes(salt, sizeof salt);
    if (result != 0) {
        return result;
    }
    char final_name[NAME_CAPACITY];
    char new_name[NAME_CAPACITY];
    struct base_text text;
    name_of(&text, final_name, uuid);
    name_of(&text, new_name, uuid);
    base_text_append(&text, ".new-");
    base_text_append_hex(&text, salt, sizeof salt);

    int file = open(new_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) {
        return -errno;
    }
    struct base_shared_page made = {.data = NULL};
    result = fill_new_file(file, mode);
    if (result == 0) {
        result = map_page(&made, file, true, (mode & (S_IWGRP | S_IWOTH)) == 0);
    }
    if (result == 0 && rename(new_name, final_name) != 0) {
        result = -errno;
    }
    if (result == 0) {
        *page = made;
    } else {
        base_shared_page_close(&made);
        (void)unlink(new_name);
    }
    close(file);
    return result;
}

int base_shared_page_open(struct base_shared_page *page, const uint8_t uuid[BASE_UUID_SIZE])
{
    if (base_system_is_alone()) {
        return -ENOSYS;
    }
    char path[NAME_CAPACITY];
    struct base_text text;
    name_of(&text, path, uuid);

    bool writable = true;
    int file = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
        writable = false;
        file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    }
    if (file < 0) {
        return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EPROTO : -errno;
    }
    struct stat status;
    int result = fstat(file, &status) == 0 ? 0 : -errno;
    if (result == 0 && (!S_ISREG(status.st_mode) || status.st_size != BASE_SHARED_PAGE_SIZE)) {
        result = -EPROTO;
    }
    if (result == 0) {
        bool own = status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
        result = map_page(page, file, writable, own);
    }
    close(file);
    return result;
}

void base_shared_page_close(struct base_shared_page *page)
{
    if (page->data == NULL) {
        return;
    }
    int result = munmap(page->data, BASE_SHARED_PAGE_SIZE);
    WEIR_ASSERT(result == 0);
    page->data = NULL;
}

int base_shared_page_remove(const uint8_t uuid[BASE_UUID_SIZE])
{
    if (base_system_is_alone()) {
        return 0;
    }
    char path[NAME_CAPACITY];
    struct base_text text;
    name_of(&text, path, uuid);
    return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}
