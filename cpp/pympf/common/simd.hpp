// Array kernels are written once, in plain loops and GNU vector types, and compiled for
// three instruction sets; the processor that runs chooses. (Not by `target_clones`: its resolvers
// run before the sanitizers and some C libraries are ready for them.)
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define PYMPF_X86 1
#define PYMPF_AVX2 __attribute__((target("avx2,fma,popcnt")))
#define PYMPF_AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,fma,popcnt")))
#endif
#define PYMPF_INLINE [[gnu::always_inline]] inline

namespace pympf {

// The one of three versions of a kernel that suits this processor.
template <class F>
F choose(F plain, [[maybe_unused]] F avx2, [[maybe_unused]] F avx512) {
#ifdef PYMPF_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vpopcntdq"))
    return avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2;
#endif
  return plain;
}

}  // namespace pympf
