#include "pympf/common/simd.hpp"

#ifdef PYMPF_X86
#include <cpuid.h>
#endif

namespace pympf {
namespace {

#ifdef PYMPF_X86
constexpr bool has(unsigned bits, unsigned all) { return (bits & all) == all; }

// The registers that the system saves when it changes threads: XCR0.
unsigned saved_registers() {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

// The processor is asked itself, and not `__builtin_cpu_supports`: that reads a table which the
// runtime library of the compiler fills, and the one of zig, with which wheels are made, does not.
InstructionSet detect() {
  constexpr unsigned fma = 1u << 12, popcnt = 1u << 23, osxsave = 1u << 27;
  constexpr unsigned avx2 = 1u << 5;                                             // ebx
  constexpr unsigned avx512 = avx2 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // f, dq, bw, vl
  constexpr unsigned vpopcntdq = 1u << 14;                                       // ecx
  constexpr unsigned ymm = 1u << 1 | 1u << 2, zmm = ymm | 1u << 5 | 1u << 6 | 1u << 7;  // XCR0
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, fma | popcnt | osxsave))
    return InstructionSet::baseline;
  const unsigned saved = saved_registers();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, avx2) || !has(saved, ymm))
    return InstructionSet::baseline;
  const bool wide = has(b, avx512) && has(c, vpopcntdq) && has(saved, zmm);
  return wide ? InstructionSet::avx512 : InstructionSet::avx2;
}
#else
InstructionSet detect() { return InstructionSet::baseline; }
#endif

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet found = detect();
  return found;
}

}  // namespace pympf
