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

enum class InstructionSet { baseline, avx2, avx512 };

// The largest that the processor has and whose registers the system keeps.
InstructionSet instruction_set();

// The one of three versions of a kernel that suits this processor.
template <class F>
F choose(F plain, F avx2, F avx512) {
  switch (instruction_set()) {
    case InstructionSet::avx512:
      return avx512;
    case InstructionSet::avx2:
      return avx2;
    default:
      return plain;
  }
}

}  // namespace pympf
