// A parallel loop whose body may throw: the error of the first index that has one is thrown behind
// the loop, whatever the number of threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>

namespace pympf::lsh {

// body(i, own) for i in [0, count), `chunk` in turn; *make() is an object for each thread.
template <class Make, class Body>
void parallel_for(std::size_t count, int chunk, bool many, const Make& make, const Body& body) {
  std::exception_ptr error;
  std::atomic<std::size_t> first{count};
  const auto guarded = [&](std::size_t i, const auto& call) {
    try {
      call();
    } catch (...) {
#pragma omp critical(pympf_lsh_error)
      if (!error || i < first) {
        error = std::current_exception();
        first = i;
      }
    }
  };
#pragma omp parallel if (many)
  {
    decltype(make()) own{};
    guarded(0, [&] { own = make(); });
#pragma omp barrier
#pragma omp for schedule(dynamic, chunk)
    for (std::size_t i = 0; i < count; ++i) {
      if (i < first) guarded(i, [&] { body(i, *own); });
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace pympf::lsh
