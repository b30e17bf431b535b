// Parallel loops on a team of threads of our own. Nothing of the process or of other libraries is
// set or changed by them; waiting threads sleep; a child after fork gets a team of its own; an
// error in a loop is thrown behind it; and a thread that the machine does not let run keeps nobody
// waiting, for the others take over what it has not begun.
//
// Which thread does what is open, so a loop's result must depend on the index alone.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>

#include "pympf/common/interrupt.hpp"

namespace pympf {

// The number of threads that loops of the calling thread may use: at first OMP_NUM_THREADS, or else
// the cores that this process may use (affinity, quota of its control group).
int thread_count();
void set_thread_count(int count);  // of the calling thread

// The chunks of a loop, of which every thread has a share; whoever has done his own helps out.
class Loop {
 public:
  static constexpr int kMostThreads = 256;

  Loop(std::size_t chunks, int threads);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Works on the calling thread and on those that are free, and throws the error of the first chunk
  // that has one, on any number of threads.
  void run();
  void take_part(int thread) noexcept;

 protected:
  ~Loop() = default;
  // Works on chunks while there are any; `chunk` is where an error belongs.
  virtual void work(int thread, std::size_t& chunk) = 0;
  bool take(int thread, std::size_t& chunk) {
    for (int k = 0; k < threads_; ++k) {
      Share& share = shares_[thread + k < threads_ ? thread + k : thread + k - threads_];
      const std::atomic_ref next(share.next);
      if (next.load(std::memory_order_relaxed) >= share.end) continue;
      chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk < share.end && chunk < first_error_.load(std::memory_order_relaxed)) return true;
    }
    return false;
  }

 private:
  struct alignas(64) Share {
    std::size_t next, end;  // a plain number: only those in use are set
  };
  void keep_error(std::size_t chunk);

  int threads_;
  std::array<Share, kMostThreads> shares_;  // the first `threads_` are in use
  std::atomic<std::size_t> first_error_{std::numeric_limits<std::size_t>::max()};
  std::mutex mutex_;
  std::exception_ptr error_;
};

// Threads that wait for loops.
class Team {
 public:
  virtual int threads() const = 0;  // that a loop of the calling thread may use now
  virtual int thread_count() const = 0;
  virtual void set_thread_count(int count) = 0;
  virtual void run(Loop& loop, int threads) = 0;

 protected:
  ~Team() = default;
};

// That of this library; several libraries of one process, each with this code in it, may share one.
Team& team();
void share_team(Team& other);

namespace parallel {

template <class I, class Make>
class LoopOver final : public Loop {
 public:
  LoopOver(I n, I chunk_length, int threads, const Make& make_body)
      : Loop(static_cast<std::size_t>((n - 1) / chunk_length + 1), threads),
        n_(n),
        chunk_length_(chunk_length),
        make_body_(make_body) {}

 private:
  void work(int thread, std::size_t& chunk) override {
    auto body = make_body_();
    while (take(thread, chunk)) {
      if (thread == 0) checkpoint();
      const I begin = static_cast<I>(chunk) * chunk_length_;
      const I end = begin + std::min(chunk_length_, static_cast<I>(n_ - begin));
      run_chunk(body, begin, end);
    }
  }

  // Apart from the loop over chunks, which would take registers away from it.
  template <class Body>
  [[gnu::noinline]] static void run_chunk(Body& body, I begin, I end) {
    for (I i = begin; i < end; ++i) body(i);
  }

  const I n_, chunk_length_;
  const Make& make_body_;
};

}  // namespace parallel

// make_body() is called in each thread that takes part and gives body(i), which is called for all i
// in [0, n), `chunk_length` of them in turn; 0 leaves their number open. `many`: whether the loop
// is worth more than one thread.
template <class I, class Make>
void parallel_with(I n, I chunk_length, bool many, const Make& make_body) {
  if (n <= 0) return;
  constexpr int chunks_per_thread = 16;
  const int threads = many ? team().threads() : 1;
  if (!many)
    chunk_length = n;
  else if (chunk_length == 0)
    chunk_length = std::max<I>(1, n / static_cast<I>(chunks_per_thread * threads));
  parallel::LoopOver<I, Make>(n, chunk_length, threads, make_body).run();
}

// The same for a body that needs nothing of its own.
template <class I, class Body>
void parallel_for(I n, I chunk_length, bool many, const Body& body) {
  // A copy, which the compiler may keep in registers.
  parallel_with(n, chunk_length, many, [&] { return body; });
}
template <class I, class Body>
void parallel_for(I n, bool many, const Body& body) {
  parallel_for(n, I{0}, many, body);
}

}  // namespace pympf
