// What the library asks of the system's memory.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace pympf {

// Lets malloc keep what is freed, up to twice this size, for the next setup, instead of giving it
// back and taking it again page by page: a tenth of the time of a setup of 10 000 rows. glibc
// learns the sizes that a process uses from the blocks that it frees; this is one, never touched.
// What the user has set (MALLOC_TRIM_THRESHOLD_, mallopt) stays.
inline void keep_freed_memory() {
  void* volatile block = std::malloc(std::size_t{16} << 20);
  std::free(block);
}

// For libraries that do not survive a lack of memory:
// throws bad_alloc unless the limits of the process leave room for so many bytes, now. Memory that
// the system has not got shows only in use.
inline void require_room(std::size_t bytes) {
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const room = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  munmap(room, bytes);
}

}  // namespace pympf
