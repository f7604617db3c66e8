/* What the standard library synchronises, told to ThreadSanitizer.
 *
 * The library of a toolchain is compiled without the sanitizer, which therefore does not see what happens inside of it: a
 * lock that was waited for, a thread that was woken, a cell that another thread has filled. Everything that such a lock
 * guards would look like a race. The linker puts these functions between the tests and the library (`--wrap`); each calls
 * the library's own and says what it has done. What is inlined from the library is instrumented and needs nothing here.
 *
 * `std.py` gives the functions' names, which differ from one release of Rust to the next. `tsan.supp` names the little that
 * is left. `thread::park()` is not among these: what is tested does not call it.
 */
#include <stdbool.h>
#include <stdint.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define REAL(name) JOIN(__real_, name)
#define WRAP(name) JOIN(__wrap_, name)

void __tsan_acquire(void *address);
void __tsan_release(void *address);

/* Locks: `unlock` is inlined and releases at the lock's first word; who has waited acquires there. */

extern void REAL(MUTEX_LOCK)(void *lock);
void WRAP(MUTEX_LOCK)(void *lock) {
    REAL(MUTEX_LOCK)(lock);
    __tsan_acquire(lock);
}

extern void REAL(RWLOCK_READ)(void *lock);
void WRAP(RWLOCK_READ)(void *lock) {
    REAL(RWLOCK_READ)(lock);
    __tsan_acquire(lock);
}

extern void REAL(RWLOCK_WRITE)(void *lock);
void WRAP(RWLOCK_WRITE)(void *lock) {
    REAL(RWLOCK_WRITE)(lock);
    __tsan_acquire(lock);
}

/* Condition variables unlock and lock inside. */

extern void REAL(CONDVAR_WAIT)(void *condvar, void *mutex);
void WRAP(CONDVAR_WAIT)(void *condvar, void *mutex) {
    __tsan_release(mutex);
    REAL(CONDVAR_WAIT)(condvar, mutex);
    __tsan_acquire(mutex);
}

extern bool REAL(CONDVAR_WAIT_TIMEOUT)(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds);
bool WRAP(CONDVAR_WAIT_TIMEOUT)(void *condvar, void *mutex, uint64_t seconds, uint32_t nanoseconds) {
    __tsan_release(mutex);
    bool woken = REAL(CONDVAR_WAIT_TIMEOUT)(condvar, mutex, seconds, nanoseconds);
    __tsan_acquire(mutex);
    return woken;
}

/* Cells that are filled once: whoever comes later reads the state inline, and has to find there what the first has released,
 * between filling the cell and saying so. So the function that fills it is put into another: a `&mut dyn FnMut(&OnceState)`
 * is its data and a table of drop, size, alignment, `call_once` and `call_mut`. */

enum { CALL_MUT = 4 };

struct filling {
    void *data;
    void *const *table;
    void *once;
};

static void fill(struct filling *filling, void *state) {
    void (*given)(void *, void *) = (void (*)(void *, void *))filling->table[CALL_MUT];
    given(filling->data, state);
    __tsan_release(filling->once);
}

extern void REAL(ONCE_CALL)(void *once, bool poisoned, void *data, void *const *table, void *location);
void WRAP(ONCE_CALL)(void *once, bool poisoned, void *data, void *const *table, void *location) {
    static void *const fills[] = {0, (void *)sizeof(struct filling), (void *)_Alignof(struct filling), (void *)fill, (void *)fill};
    struct filling filling = {data, table, once};
    REAL(ONCE_CALL)(once, poisoned, &filling, fills, location);
    __tsan_acquire(once);
}

/* The end of a scope's thread. Where the counter lies in the scope's data is the library's affair: three words. */

extern void REAL(SCOPE_END)(char *scope, bool panicked);
void WRAP(SCOPE_END)(char *scope, bool panicked) {
    for (int word = 0; word < 3; word++)
        __tsan_release(scope + 8 * word);
    REAL(SCOPE_END)(scope, panicked);
}

/* `unpark` is inlined and releases somewhere behind the two counters of the thread's data. */

static void woken(char *const *thread) {
    for (int half = 4; half < 16; half++)
        __tsan_acquire(*thread + 4 * half);
}

extern void REAL(THREAD_PARK)(char *const *thread);
void WRAP(THREAD_PARK)(char *const *thread) {
    REAL(THREAD_PARK)(thread);
    woken(thread);
}

extern void REAL(THREAD_PARK_TIMEOUT)(char *const *thread, uint64_t seconds, uint32_t nanoseconds);
void WRAP(THREAD_PARK_TIMEOUT)(char *const *thread, uint64_t seconds, uint32_t nanoseconds) {
    REAL(THREAD_PARK_TIMEOUT)(thread, seconds, nanoseconds);
    woken(thread);
}

/* `Arc` counts down with a release, and whoever reaches 0 passes an acquiring fence, of which the sanitizer knows nothing.
 * Rust's own build for it acquires with the count, as this does. */

enum { RELEASE = 3, ACQUIRE_RELEASE = 4 };

extern uint64_t __real___tsan_atomic64_fetch_sub(volatile uint64_t *value, uint64_t less, int order);
uint64_t __wrap___tsan_atomic64_fetch_sub(volatile uint64_t *value, uint64_t less, int order) {
    return __real___tsan_atomic64_fetch_sub(value, less, order == RELEASE ? ACQUIRE_RELEASE : order);
}
