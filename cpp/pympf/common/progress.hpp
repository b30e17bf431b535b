// Long work says now and then how far it is: levels, iterations, points.
#pragma once

#include <atomic>
#include <chrono>

namespace pympf {

namespace progress {
using Hook = void (*)(const char* unit, long number, double share);
inline std::atomic<Hook> hook{nullptr};

// Ten times a second in each thread; what is done sooner costs a look at the clock.
inline bool is_due() {
  using Clock = std::chrono::steady_clock;
  constexpr auto pause = std::chrono::milliseconds(100);
  thread_local Clock::time_point next = Clock::now() + pause;
  const auto now = Clock::now();
  if (now < next) return false;
  next = now + pause;
  return true;
}
}  // namespace progress

inline void set_progress_hook(progress::Hook hook) { progress::hook = hook; }

// The work of the calling thread has come to this number of `unit`, and to `share()` of all of it;
// a share that is not in [0, 1] is not known.
template <class F>
void say_progress(const char* unit, std::size_t number, const F& share) {
  const auto hook = progress::hook.load(std::memory_order_relaxed);
  if (hook && progress::is_due()) hook(unit, static_cast<long>(number), share());
}
inline void say_progress(const char* unit, std::size_t number) {
  say_progress(unit, number, [] { return -1.0; });
}

}  // namespace pympf
