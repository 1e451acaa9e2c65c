/* Counts what a program asks of the allocator. tools/gate loads it into boveda (LD_PRELOAD): at its end, the program leaves
 * the number of allocations and of the bytes asked for in the file that GATE_COUNTS names. For glibc, whose allocator can be
 * called by these names from within its own replacement. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_ulong allocations, bytes;

static void count(size_t size) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
}

void *malloc(size_t size) {
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count(number * size);
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count(size);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **into, size_t alignment, size_t size) {
    *into = memalign(alignment, size);
    return *into ? 0 : ENOMEM;
}

__attribute__((destructor)) static void leave(void) {
    const char *path = getenv("GATE_COUNTS");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (file < 0) {
        return;
    }
    /* Before anything here allocates. */
    unsigned long done = allocations, asked = bytes;
    char line[64];
    int length = snprintf(line, sizeof line, "%lu %lu\n", done, asked);
    if (write(file, line, length) != length) {
        _exit(1);
    }
    close(file);
}
