// Large arrays that are read at random places, in pages of 2 MB where the system has them (Linux):
// with small ones the processor spends longer on finding a row's page than on reading the row.
#pragma once

#include <cstdlib>
#include <new>
#include <vector>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace pympf::lsh {

template <class T>
struct HugePages {
  using value_type = T;
  static constexpr std::size_t kPage = std::size_t{1} << 21, kLine = 64;

  HugePages() = default;
  template <class U>
  HugePages(const HugePages<U>&) {}

  T* allocate(std::size_t count) {
    const std::size_t unit = count * sizeof(T) >= kPage ? kPage : kLine;
    const std::size_t bytes = (count * sizeof(T) + unit - 1) / unit * unit;
    void* memory = std::aligned_alloc(unit, bytes);
    if (!memory) throw std::bad_alloc();
#ifdef __linux__
    if (unit == kPage) madvise(memory, bytes, MADV_HUGEPAGE);  // a wish, which may be refused
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { std::free(memory); }
  bool operator==(const HugePages&) const { return true; }
};

template <class T>
using HugeVector = std::vector<T, HugePages<T>>;

}  // namespace pympf::lsh
