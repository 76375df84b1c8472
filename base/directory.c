/*
 * A directory, over POSIX: its names, its file system, and whether its files take O_DIRECT.
 *
 * Happy path:
 *   1. base_directory_open keeps one descriptor; every name is resolved relative to it.
 *   2. base_directory_probe_direct decides once, by a trial write to a file without a name.
 *
 * Failure modes:
 *   - O_DIRECT refused, or only in larger blocks: -EINVAL with the reason.
 *   - a full disk: the probe counts it as a yes, because a log must open on a full disk.
 *
 * Invariants: no descriptor survives exec; a listing has a read position of its own.
 */
#include "base/file.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DIRECTORY_MODE 0755

bool base_file_name_is_valid(const char *name)
{
    unsigned slashes = 0;
    const char *part = name;
    for (;;) {
        size_t length = strcspn(part, "/");
        bool dots = length > 0 && length <= 2 && strncmp(part, "..", length) == 0;
        if (length == 0 || length > NAME_MAX || dots) {
            return false;
        }
        if (part[length] == '\0') {
            return true;
        }
        if (++slashes > 2) {
            return false;
        }
        part += length + 1;
    }
}

/* ---- the directory ---- */

int base_open_at(int at, const char *name, int flags, mode_t mode)
{
    int fd;
    do {
        fd = openat(at, name, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int base_directory_open(struct base_directory *ret_directory, const char *path)
{
    int fd = base_open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        return fd;
    }
    ret_directory->fd = fd;
    return 0;
}

void base_directory_close(struct base_directory *directory)
{
    close(directory->fd);
    directory->fd = -1;
}

struct file_system {
    unsigned long magic;
    const char *name;
    bool is_memory;
};

static const struct file_system file_systems[] = {
    {EXT4_SUPER_MAGIC, "ext4", false},   {0x58465342ul, "xfs", false},
    {BTRFS_SUPER_MAGIC, "btrfs", false}, {F2FS_SUPER_MAGIC, "f2fs", false},
    {0x2fc12fc1ul, "zfs", false},        {0xca451a4eul, "bcachefs", false},
    {NFS_SUPER_MAGIC, "nfs", false},     {OVERLAYFS_SUPER_MAGIC, "overlayfs", false},
    {FUSE_SUPER_MAGIC, "fuse", false},   {0x01021997ul, "9p", false},
    {MSDOS_SUPER_MAGIC, "vfat", false},  {TMPFS_MAGIC, "tmpfs", true},
    {RAMFS_MAGIC, "ramfs", true},
};

int base_directory_file_system(const struct base_directory *directory, char *ret_name,
                               size_t name_size, bool *ret_is_memory)
{
    struct statfs status;
    if (fstatfs(directory->fd, &status) < 0) {
        return -errno;
    }
    unsigned long magic = (unsigned long)status.f_type & 0xfffffffful;
    for (size_t i = 0; i < sizeof file_systems / sizeof *file_systems; i++) {
        if (file_systems[i].magic == magic) {
            snprintf(ret_name, name_size, "%s", file_systems[i].name);
            *ret_is_memory = file_systems[i].is_memory;
            return 0;
        }
    }
    snprintf(ret_name, name_size, "0x%lx", magic);
    *ret_is_memory = false;
    return 0;
}

int base_directory_free_bytes(const struct base_directory *directory, uint64_t *ret_free_bytes)
{
    struct statfs status;
    if (fstatfs(directory->fd, &status) < 0) {
        return -errno;
    }
    if (status.f_blocks == 0) {
        return -EOPNOTSUPP;
    }
    uint64_t unit = (uint64_t)(status.f_frsize > 0 ? status.f_frsize : status.f_bsize);
    *ret_free_bytes = (uint64_t)status.f_bavail * unit;
    return 0;
}

static int open_subdirectory(const struct base_directory *directory, const char *name)
{
    if (*name == '\0') {
        name = "."; /* a new description: its read position is our own */
    } else if (!base_file_name_is_valid(name)) {
        return -EINVAL;
    }
    return base_open_at(directory->fd, name, O_RDONLY | O_DIRECTORY, 0);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* type: S_IFREG or S_IFDIR. */
static bool is_of_type(int at, const struct dirent *entry, mode_t type)
{
    if (is_dots(entry->d_name)) {
        return false;
    }
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == (type == S_IFDIR ? DT_DIR : DT_REG);
    }
    struct stat status;
    return fstatat(at, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (status.st_mode & S_IFMT) == type;
}

static int list_type(const struct base_directory *directory, const char *name, mode_t type,
                     base_file_name_fn fn, void *context)
{
    int fd = open_subdirectory(directory, name);
    if (fd < 0) {
        return fd;
    }
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            rc = -errno;
            break;
        }
        if (is_of_type(fd, entry, type)) {
            rc = fn(context, entry->d_name);
        }
    }
    closedir(stream);
    return rc;
}

int base_directory_list(const struct base_directory *directory, const char *name,
                        base_file_name_fn fn, void *context)
{
    return list_type(directory, name, S_IFREG, fn, context);
}

int base_directory_list_directories(const struct base_directory *directory, const char *name,
                                    base_file_name_fn fn, void *context)
{
    return list_type(directory, name, S_IFDIR, fn, context);
}

static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    if (length >= sizeof parent) {
        return -ENAMETOOLONG;
    }
    memcpy(parent, path, length);
    parent[length] = '\0';
    struct base_directory directory;
    int rc = base_directory_open(&directory, length == 0 ? "." : parent);
    if (rc == 0) {
        rc = base_directory_sync(&directory, "");
        base_directory_close(&directory);
    }
    return rc;
}

int base_path_make_directory(const char *path)
{
    if (mkdir(path, DIRECTORY_MODE) == 0) {
        return sync_parent(path);
    }
    if (errno != EEXIST) {
        return -errno;
    }
    struct stat status;
    if (stat(path, &status) < 0) {
        return -errno;
    }
    return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int base_path_remove_directory(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR) == 0 ? sync_parent(path) : -errno;
}

int base_directory_make(const struct base_directory *directory, const char *name)
{
    if (!base_file_name_is_valid(name)) {
        return -EINVAL;
    }
    if (mkdirat(directory->fd, name, DIRECTORY_MODE) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return -errno;
    }
    struct stat status;
    if (fstatat(directory->fd, name, &status, 0) < 0) {
        return -errno;
    }
    return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int base_directory_remove(const struct base_directory *directory, const char *name)
{
    if (!base_file_name_is_valid(name)) {
        return -EINVAL;
    }
    return unlinkat(directory->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int base_directory_sync(const struct base_directory *directory, const char *name)
{
    int fd = open_subdirectory(directory, name);
    if (fd < 0) {
        return fd;
    }
    int rc = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

/* ---- does O_DIRECT work here? ---- */

int base_file_open_unnamed(const struct base_directory *directory, struct base_file *ret_file)
{
    int fd = base_open_at(directory->fd, ".", O_TMPFILE | O_RDWR, 0600);
    if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT) { /* no O_TMPFILE here */
        char name[32];
        snprintf(name, sizeof name, "probe.%ld.tmp", (long)getpid());
        fd = base_open_at(directory->fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0) {
            unlinkat(directory->fd, name, 0);
        }
    }
    if (fd < 0) {
        return fd;
    }
    *ret_file = (struct base_file){.fd = fd};
    return 0;
}

/* 0 when sysfs does not know: not a block device, or a container without /sys. */
static uint32_t logical_block_size(dev_t device)
{
    static const char *const places[] = {"queue", "../queue"}; /* a disk, a partition */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[96];
        snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s/logical_block_size", major(device),
                 minor(device), places[i]);
        FILE *file = fopen(path, "re");
        if (file == NULL) {
            continue;
        }
        unsigned size = 0;
        int fields = fscanf(file, "%u", &size);
        fclose(file);
        if (fields == 1) {
            return size;
        }
    }
    return 0;
}

static uint32_t told_alignment(int fd)
{
    struct statx status;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_DIOALIGN, &status) < 0) {
        return 0;
    }
    if ((status.stx_mask & STATX_DIOALIGN) != 0 && status.stx_dio_offset_align != 0) {
        return status.stx_dio_offset_align;
    }
    return logical_block_size(makedev(status.stx_dev_major, status.stx_dev_minor));
}

static int trial_write(int fd, char *reason, size_t reason_size)
{
    void *block = base_alloc_aligned(BASE_FILE_BLOCK, BASE_FILE_BLOCK);
    if (block == NULL) {
        snprintf(reason, reason_size, "no memory for a trial write");
        return -ENOMEM;
    }
    memset(block, 0, BASE_FILE_BLOCK);
    ssize_t written = pwrite(fd, block, BASE_FILE_BLOCK, 0);
    int rc = written < 0 ? -errno : 0;
    base_free(block);
    if (rc == -ENOSPC || rc == -EDQUOT) {
        return 0; /* a full disk says nothing about alignment, and the log must still open */
    }
    if (rc == 0 && written != (ssize_t)BASE_FILE_BLOCK) {
        rc = -EIO;
    }
    if (rc < 0) {
        snprintf(reason, reason_size, "a trial write of %u bytes with O_DIRECT failed: %s",
                 BASE_FILE_BLOCK, strerror(-rc));
    }
    return rc;
}

static int probe_file(int fd, uint32_t alignment, char *reason, size_t reason_size)
{
    if (alignment > BASE_FILE_BLOCK) {
        snprintf(reason, reason_size, "the device wants direct I/O in blocks of %" PRIu32 " bytes",
                 alignment);
        return -EINVAL;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0) {
        int rc = -errno;
        snprintf(reason, reason_size, "the file system refuses O_DIRECT: %s", strerror(-rc));
        return rc;
    }
    return trial_write(fd, reason, reason_size);
}

int base_directory_probe_direct(const struct base_directory *directory, uint32_t *ret_alignment,
                                char *reason, size_t reason_size)
{
    struct base_file file;
    int rc = base_file_open_unnamed(directory, &file);
    if (rc == -ENOSPC || rc == -EDQUOT) { /* no inode left: the first file will tell */
        *ret_alignment = BASE_FILE_BLOCK;
        return 0;
    }
    if (rc < 0) {
        snprintf(reason, reason_size, "no file can be made here: %s", strerror(-rc));
        return rc;
    }
    uint32_t alignment = told_alignment(file.fd);
    rc = probe_file(file.fd, alignment, reason, reason_size);
    base_file_close(&file);
    if (rc == 0) {
        *ret_alignment = alignment == 0 ? BASE_FILE_BLOCK : alignment;
    }
    return rc;
}
