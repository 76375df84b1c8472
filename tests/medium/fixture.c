/* Opening each kind of medium on a directory of its own. */
#include "tests/medium/fixture.h"

#include "iouring/iouring.h"
#include "pmem/pmem.h"
#include "sim/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_on_files(struct fixture *fixture, bool mapped, enum weir_io_kind io, bool single,
                         bool read_only, struct weir_medium **ret_medium)
{
    struct iouring_options options = {
        .directory = fixture->directory,
        .io = io,
        .read_only = read_only,
        .single_thread = single,
    };
    return mapped
               ? iouring_mapped_open(&options, ret_medium, fixture->reason, sizeof fixture->reason)
               : iouring_direct_open(&options, ret_medium, fixture->reason, sizeof fixture->reason);
}

static int open_direct_uring(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_on_files(fixture, false, WEIR_IO_URING, false, read_only, ret);
}

static int open_direct_single(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_on_files(fixture, false, WEIR_IO_URING, true, read_only, ret);
}

static int open_direct_sync(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_on_files(fixture, false, WEIR_IO_SYNC, false, read_only, ret);
}

static int open_mapped_uring(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_on_files(fixture, true, WEIR_IO_URING, false, read_only, ret);
}

static int open_mapped_sync(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_on_files(fixture, true, WEIR_IO_SYNC, false, read_only, ret);
}

static int open_pmem(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    struct pmem_options options = {
        .directory = fixture->directory, .read_only = read_only, .allow_emulated = true};
    return pmem_medium_open(&options, ret, fixture->reason, sizeof fixture->reason);
}

static int open_memory(struct fixture *fixture, struct sim_memory_options options, bool read_only,
                       struct weir_medium **ret)
{
    options.disk = fixture->disk;
    options.capacity_bytes = UINT64_C(256) << 20;
    options.read_only = read_only;
    int rc = sim_memory_open(&options, ret);
    if (rc == 0 && fixture->disk == NULL) {
        fixture->disk = sim_memory_disk(*ret);
    }
    return rc;
}

static int open_memory_sync(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_memory(fixture, (struct sim_memory_options){0}, read_only, ret);
}

static int open_memory_async(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_memory(fixture, (struct sim_memory_options){.asynchronous = true}, read_only, ret);
}

static int open_memory_reversed(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_memory(
        fixture,
        (struct sim_memory_options){.asynchronous = true, .reversed = true, .window_is_file = true},
        read_only, ret);
}

static int open_memory_lines(struct fixture *fixture, bool read_only, struct weir_medium **ret)
{
    return open_memory(fixture,
                       (struct sim_memory_options){.block_bytes = 64, .window_is_file = true},
                       read_only, ret);
}

const struct subject subjects[] = {
    {"direct_uring", open_direct_uring, 0},
    {"direct_uring_single", open_direct_single, 0},
    {"direct_sync", open_direct_sync, 0},
    {"mapped_uring", open_mapped_uring, 0},
    {"mapped_sync", open_mapped_sync, 0},
    {"pmem_emulated", open_pmem, MEDIUM_MEMORY_FILE_SYSTEM},
    {"memory_sync", open_memory_sync, MEDIUM_IS_SIMULATED},
    {"memory_async", open_memory_async, MEDIUM_IS_SIMULATED},
    {"memory_mapped_reversed", open_memory_reversed, MEDIUM_IS_SIMULATED},
    {"memory_lines", open_memory_lines, MEDIUM_IS_SIMULATED},
};

const size_t subject_count = sizeof subjects / sizeof *subjects;

int fixture_make_directory(char directory[256], const char *parent)
{
    if (parent == NULL) {
        parent = getenv("WEIR_TEST_DIR");
    }
    snprintf(directory, 256, "%s/weir-test-XXXXXX", parent != NULL ? parent : ".");
    return mkdtemp(directory) != NULL ? 0 : -errno;
}

static void remove_entries(int at, const char *name, int depth)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(stream); entry != NULL; entry = readdir(stream)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) < 0 && depth > 0) {
            remove_entries(fd, entry->d_name, depth - 1);
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
        }
    }
    closedir(stream);
}

void fixture_remove_directory(const char *directory)
{
    remove_entries(AT_FDCWD, directory, 2);
    (void)rmdir(directory);
}

int fixture_make(struct fixture *fixture, const struct subject *subject)
{
    *fixture = (struct fixture){.subject = subject};
    if ((subject->flags & MEDIUM_IS_SIMULATED) == 0) {
        bool in_memory =
            (subject->flags & MEDIUM_MEMORY_FILE_SYSTEM) != 0 && access("/dev/shm", W_OK) == 0;
        int rc = fixture_make_directory(fixture->directory, in_memory ? "/dev/shm" : NULL);
        if (rc < 0) {
            return rc;
        }
    }
    return subject->open(fixture, false, &fixture->medium);
}

void fixture_remove(struct fixture *fixture)
{
    if (fixture->medium != NULL) {
        fixture->medium->ops->destroy(fixture->medium);
    }
    if (*fixture->directory != '\0') {
        fixture_remove_directory(fixture->directory);
    }
}

struct weir_medium *open_another(struct fixture *fixture, bool read_only)
{
    struct weir_medium *medium = NULL;
    assert_int_equal(fixture->subject->open(fixture, read_only, &medium), 0);
    return medium;
}
