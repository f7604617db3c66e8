/* What an instrumented library calls, passed on to atheris' libFuzzer: its own symbols can't be made global, since atheris
 * takes one that it finds there for a second libFuzzer. `PYCRUST_FUZZ_CORE` is the library that has them. Tail calls, so
 * that a comparison is seen where it is made. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static void *found(const char *name) {
    static void *core;
    if (!core) core = dlopen(getenv("PYCRUST_FUZZ_CORE"), RTLD_NOW | RTLD_LOCAL);
    void *function = core ? dlsym(core, name) : 0;
    if (!function) abort();
    return function;
}

#define PASS(name, one, other)                                   \
    void name(one a, other b) {                                  \
        static void (*real)(one, other);                         \
        if (!real) real = (void (*)(one, other))found(#name);    \
        real(a, b);                                              \
    }

PASS(__sanitizer_cov_8bit_counters_init, uint8_t *, uint8_t *)
PASS(__sanitizer_cov_pcs_init, const uintptr_t *, const uintptr_t *)
PASS(__sanitizer_cov_trace_cmp1, uint8_t, uint8_t)
PASS(__sanitizer_cov_trace_cmp2, uint16_t, uint16_t)
PASS(__sanitizer_cov_trace_cmp4, uint32_t, uint32_t)
PASS(__sanitizer_cov_trace_cmp8, uint64_t, uint64_t)
PASS(__sanitizer_cov_trace_const_cmp1, uint8_t, uint8_t)
PASS(__sanitizer_cov_trace_const_cmp2, uint16_t, uint16_t)
PASS(__sanitizer_cov_trace_const_cmp4, uint32_t, uint32_t)
PASS(__sanitizer_cov_trace_const_cmp8, uint64_t, uint64_t)
PASS(__sanitizer_cov_trace_switch, uint64_t, uint64_t *)

void __sanitizer_cov_trace_pc_indir(uintptr_t callee) {
    static void (*real)(uintptr_t);
    if (!real) real = (void (*)(uintptr_t))found("__sanitizer_cov_trace_pc_indir");
    real(callee);
}
