/* A disk that fails, or that remembers: preloaded into an agent, this stands between it and the files of its journal.

   DISK_FILES names them: every path that begins so. DISK_ORDERS is a small file that says what is to fail, read anew
   for each call, so that a test can release it: "CALLS ERRNO FROM", e.g. "write,sync 28 0"; calls are write, sync,
   truncate and open (for writing), FROM is how many of them still go well. Without the file all goes well.
   DISK_RECORD is where all that reaches the disk is written down: one header line per call, then the bytes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counted;
static char last_orders[128];

static int is_ours(const char *path)
{
    const char *files = getenv("DISK_FILES");
    return files && strncmp(path, files, strlen(files)) == 0;
}

static int name_of(int file, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return 1;
}

/* The error that this call is to fail with, or 0. */
static int ordered(const char *call)
{
    const char *orders = getenv("DISK_ORDERS");
    char text[128] = "", calls[64];
    int error, result = 0;
    long from;
    if (!orders)
        return 0;
    int file = syscall(SYS_openat, AT_FDCWD, orders, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    if (syscall(SYS_read, file, text, sizeof text - 1) < 0)
        text[0] = 0;
    syscall(SYS_close, file);
    pthread_mutex_lock(&lock);
    if (strcmp(text, last_orders) != 0) {
        strcpy(last_orders, text);
        counted = 0;
    }
    if (sscanf(text, "%63s %d %ld", calls, &error, &from) == 3 && strstr(calls, call) && counted++ >= from)
        result = error;
    pthread_mutex_unlock(&lock);
    return result;
}

static void record(const char *call, const char *path, off_t offset, const void *bytes, size_t length, int error)
{
    const char *to = getenv("DISK_RECORD");
    char header[PATH_MAX + 64];
    if (!to)
        return;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    int size = snprintf(header, sizeof header, "%s %s %lld %zu %d\n", call, name, (long long)offset, bytes ? length : 0, error);
    pthread_mutex_lock(&lock);
    int file = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (syscall(SYS_write, file, header, size) == size && bytes)
        size = syscall(SYS_write, file, bytes, length);
    syscall(SYS_close, file);
    pthread_mutex_unlock(&lock);
}

static int refused(const char *call, int file, off_t offset, const void *bytes, size_t length)
{
    char path[PATH_MAX];
    if (!name_of(file, path) || !is_ours(path))
        return 0;
    int error = ordered(call);
    if (!error || strcmp(call, "sync") == 0) /* a failed sync is worth remembering, a failed write never happened */
        record(call, path, offset, bytes, length, error);
    errno = error;
    return error;
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset)
{
    return refused("write", file, offset, bytes, length) ? -1 : syscall(SYS_pwrite64, file, bytes, length, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset)
{
    return pwrite(file, bytes, length, offset);
}

ssize_t write(int file, const void *bytes, size_t length)
{
    off_t offset = getenv("DISK_FILES") ? syscall(SYS_lseek, file, 0, SEEK_CUR) : 0;
    return offset >= 0 && refused("write", file, offset, bytes, length) ? -1 : syscall(SYS_write, file, bytes, length);
}

static int is_folder(int file)
{
    char path[PATH_MAX];
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISDIR(status.st_mode) || !name_of(file, path))
        return 0;
    record("folder", path, 0, NULL, 0, 0);
    return 1;
}

int fsync(int file)
{
    return !is_folder(file) && refused("sync", file, 0, NULL, 0) ? -1 : syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    return !is_folder(file) && refused("sync", file, 0, NULL, 0) ? -1 : syscall(SYS_fdatasync, file);
}

int ftruncate(int file, off_t length)
{
    return refused("truncate", file, length, NULL, 0) ? -1 : syscall(SYS_ftruncate, file, length);
}

int ftruncate64(int file, off_t length)
{
    return ftruncate(file, length);
}

int unlink(const char *path)
{
    if (is_ours(path))
        record("unlink", path, 0, NULL, 0, 0);
    return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static int opened(int folder, const char *path, int flags, int mode)
{
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && path[0] == '/' && is_ours(path)) {
        int error = ordered("open");
        if (error) {
            errno = error;
            return -1;
        }
        if (flags & O_CREAT && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0)
            record("create", path, 0, NULL, 0, 0);
    }
    return syscall(SYS_openat, folder, path, flags, mode);
}

#define WITH_MODE(call) va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); return call

int open(const char *path, int flags, ...) { WITH_MODE(opened(AT_FDCWD, path, flags, mode)); }
int open64(const char *path, int flags, ...) { WITH_MODE(opened(AT_FDCWD, path, flags | O_LARGEFILE, mode)); }
int openat(int folder, const char *path, int flags, ...) { WITH_MODE(opened(folder, path, flags, mode)); }
int openat64(int folder, const char *path, int flags, ...) { WITH_MODE(opened(folder, path, flags | O_LARGEFILE, mode)); }
