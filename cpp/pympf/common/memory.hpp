// Memory for libraries that do not survive its want.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace pympf {

// Throws bad_alloc unless the limits of the process leave room for so many bytes, now. Memory that
// the system has not got shows only in use.
inline void require_room(std::size_t bytes) {
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const room = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  munmap(room, bytes);
}

}  // namespace pympf
